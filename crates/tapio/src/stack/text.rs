//! How a stack is printed.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use super::frame::{Frame, Origin, Stack};
use super::names::{dropped_type, plain};
use super::origin::fetched_folder;

/// Lines for the user's frames at most, and for all others.
const USER_LINES_MAX: usize = 16;
const OTHER_LINES_MAX: usize = 6;
/// Dependencies that are named at most.
const PACKAGES_MAX: usize = 5;
/// A longer type is printed without the types in it.
const TYPE_CHARS_MAX: usize = 80;

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Lines { f, is_first: true };
        let of = |origin| {
            self.frames
                .iter()
                .filter(move |frame| frame.origin == origin)
        };
        if let Some(callee) = self.callee() {
            lines.list("at", of(Origin::User), USER_LINES_MAX)?;
            match (callee, callee.and_then(Frame::place)) {
                (None, _) => {}
                // Where in a library that the user calls; and line tables alone
                // give an inlined function's last name.
                (Some(callee), Some(place)) if callee.needs_place() => {
                    lines.one(format_args!("  inside of {} ({place})", callee.title()))?;
                }
                (Some(callee), _) => {
                    lines.one(format_args!("  inside of {}", callee.title()))?;
                }
            }
            self.packages(&mut lines)?;
        } else if of(Origin::Dependency).next().is_some() {
            let label = "no code of yours, but that of dependencies, at";
            lines.list(label, of(Origin::Dependency), OTHER_LINES_MAX)?;
        } else {
            lines.list("no code of yours, but", self.frames.iter(), OTHER_LINES_MAX)?;
        }
        for note in &self.notes {
            lines.one(format_args!("  ({note})"))?;
        }
        Ok(())
    }
}

impl Stack {
    /// What the user's innermost function has called, if there is one: in a
    /// dependency, if it leads there. The outer `None` is for a stack without
    /// any code of the user's.
    fn callee(&self) -> Option<Option<&Frame>> {
        let mut frames = self.frames.iter();
        let innermost = frames.position(|frame| frame.origin == Origin::User)?;
        let inside = &self.frames[..innermost];
        let mut dependencies = inside.iter().rev();
        let dependency = dependencies.find(|frame| frame.origin == Origin::Dependency);
        Some(dependency.or_else(|| inside.last()))
    }

    /// The dependencies that called the user's code, or were called: they say
    /// in what the code runs, and their own lines nothing more.
    fn packages(&self, lines: &mut Lines<'_, '_>) -> fmt::Result {
        let mut packages: Vec<String> = Vec::new();
        for frame in &self.frames {
            if let Some(package) = frame
                .package()
                .filter(|_| frame.origin == Origin::Dependency)
                && !packages.contains(&package)
            {
                packages.push(package);
            }
        }
        let (named, rest) = packages.split_at(packages.len().min(PACKAGES_MAX));
        match (named, rest.len()) {
            ([], _) => Ok(()),
            (named, 0) => lines.one(format_args!("  by way of {}", named.join(", "))),
            (named, rest) => lines.one(format_args!(
                "  by way of {} and {rest} more",
                named.join(", ")
            )),
        }
    }
}

impl Frame {
    /// `file:line`, with a path below the current directory as a relative one.
    pub(crate) fn place(&self) -> Option<String> {
        let file = short(self.file.as_ref()?);
        Some(match self.line {
            Some(line) => format!("{file}:{line}"),
            None => file,
        })
    }

    /// Its name as it is printed: without the types that it is made for, which
    /// can take a page.
    fn title(&self) -> Cow<'_, str> {
        let Some(function) = &self.function else {
            return self.offset.as_str().into();
        };
        match dropped_type(function) {
            Some(dropped) if dropped.len() <= TYPE_CHARS_MAX => format!("drop of {dropped}"),
            Some(dropped) => format!("drop of {}", plain(dropped)),
            None => plain(function),
        }
        .into()
    }

    /// Whether its name alone does not say which it is.
    fn needs_place(&self) -> bool {
        self.origin == Origin::Dependency || !self.title().contains("::")
    }

    /// The package that it is of, with its version if that is known.
    fn package(&self) -> Option<String> {
        let path = self.file.as_ref()?.to_string_lossy();
        fetched_folder(&path).map(str::to_owned)
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.place(), &self.function) {
            (Some(place), Some(_)) => write!(f, "{place} in {}", self.title()),
            (Some(place), None) => f.write_str(&place),
            (None, Some(_)) => write!(f, "{} ({})", self.title(), self.offset),
            (None, None) => f.write_str(&self.offset),
        }
    }
}

/// Writes lines with no line break after the last.
struct Lines<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    is_first: bool,
}

impl Lines<'_, '_> {
    fn one(&mut self, line: fmt::Arguments<'_>) -> fmt::Result {
        if !self.is_first {
            self.f.write_str("\n")?;
        }
        self.is_first = false;
        self.f.write_fmt(line)
    }

    /// A line for each frame, the first after `label`; one line for a frame
    /// that repeats itself.
    fn list<'a>(
        &mut self,
        label: &str,
        frames: impl Iterator<Item = &'a Frame>,
        max: usize,
    ) -> fmt::Result {
        let mut runs: Vec<(&Frame, usize)> = Vec::new();
        for frame in frames {
            match runs.last_mut() {
                Some((last, times)) if last.is_same_place(frame) => *times += 1,
                _ => runs.push((frame, 1)),
            }
        }
        let indent = " ".repeat(label.len());
        for (index, (frame, times)) in runs.iter().take(max).enumerate() {
            let label = if index == 0 { label } else { &indent };
            match times {
                1 => self.one(format_args!("  {label} {frame}"))?,
                _ => self.one(format_args!("  {label} {frame}, {times} times"))?,
            }
        }
        if let Some(more @ 1..) = runs.len().checked_sub(max) {
            self.one(format_args!("  {indent} and {more} more"))?;
        }
        Ok(())
    }
}

impl Frame {
    fn is_same_place(&self, other: &Frame) -> bool {
        (&self.function, &self.file, self.line) == (&other.function, &other.file, other.line)
            && (self.function.is_some() || self.file.is_some())
    }
}

/// A path as a reader wants it: relative to the current directory when below
/// it, and without the way to where Cargo or the compiler keeps sources.
fn short(file: &Path) -> String {
    let current = std::env::current_dir().ok();
    if let Some(below) = current.and_then(|current| file.strip_prefix(current).ok()) {
        return below.display().to_string();
    }
    let path = file.display().to_string();
    let below = |folder| path.split_once(folder).map(|(_, below)| below);
    if let Some(below) = below("/registry/src/") {
        // After the name of the registry.
        return below.split_once('/').map_or(below, |(_, rest)| rest).into();
    }
    if let Some(below) = path.strip_prefix("/rustc/") {
        return below.split_once('/').map_or(below, |(_, rest)| rest).into();
    }
    path
}

#[cfg(test)]
mod tests {
    use super::{Frame, Origin, Stack, short};

    fn frame(function: &str, place: Option<(&str, u32)>, origin: Origin) -> Frame {
        Frame {
            function: (!function.is_empty()).then(|| function.into()),
            file: place.map(|(file, _)| file.into()),
            line: place.map(|(_, line)| line),
            origin,
            address: 0x10,
            start: 0x10,
            offset: "app+0x10".into(),
            is_innermost: false,
        }
    }

    fn helper(function: &str, line: u32) -> Frame {
        let file = "/c/registry/src/i/helper-1.0.0/src/lib.rs";
        frame(function, Some((file, line)), Origin::Dependency)
    }

    fn print(frames: Vec<Frame>, notes: &[&str]) -> String {
        let notes = notes.iter().map(|note| note.to_string()).collect();
        Stack { frames, notes }.to_string()
    }

    #[test]
    fn the_users_frames_come_first_and_the_runtimes_not_at_all() {
        let frames = vec![
            frame("clock_nanosleep", None, Origin::System),
            frame(
                "std::thread::sleep",
                Some(("/rustc/1/library/std/src/t.rs", 7)),
                Origin::System,
            ),
            frame(
                "app::nap<u8, S>",
                Some(("/app/src/nap.rs", 3)),
                Origin::User,
            ),
            frame("core::future::poll", None, Origin::System),
            helper("helper::run<fn(app::Order) -> Result<A, B>>", 5),
            helper("helper::call", 15),
            frame("app::deep", Some(("/app/src/deep.rs", 9)), Origin::User),
            frame("app::deep", Some(("/app/src/deep.rs", 9)), Origin::User),
            frame("app::main", None, Origin::User),
        ];
        let expected = "  at /app/src/nap.rs:3 in app::nap
     /app/src/deep.rs:9 in app::deep, 2 times
     app::main (app+0x10)
  inside of std::thread::sleep
  by way of helper-1.0.0
  (a note)";
        assert_eq!(print(frames, &["a note"]), expected);
    }

    #[test]
    fn a_dependency_is_one_line_however_many_calls_it_makes() {
        let user = || frame("app::go", Some(("/app/src/go.rs", 3)), Origin::User);
        let system = |name| frame(name, Some(("/rustc/1/library/a.rs", 1)), Origin::System);
        // What the user's code has called leads into one.
        let inner = vec![
            system("core::hint::spin_loop"),
            helper("spin<u8>", 9),
            helper("helper::resize<A, B>", 5),
            system("core::iter::Iterator::for_each"),
            user(),
        ];
        let expected = "  at /app/src/go.rs:3 in app::go
  inside of helper::resize (helper-1.0.0/src/lib.rs:5)
  by way of helper-1.0.0";
        assert_eq!(print(inner, &[]), expected);
        // Others have called it.
        let names = [
            "a-1.0.0",
            "b-c-2.0.0",
            "d-0.1.0",
            "e-1.1.1",
            "f-1.0.0",
            "g-1.0.0",
        ];
        let others = names.iter().flat_map(|name| {
            let path = format!("/c/registry/src/i/{name}/src/lib.rs");
            [1, 2].map(|line| frame("poll<T>", Some((&path, line)), Origin::Dependency))
        });
        let expected = "  at /app/src/go.rs:3 in app::go
  by way of a-1.0.0, b-c-2.0.0, d-0.1.0, e-1.1.1, f-1.0.0 and 1 more";
        assert_eq!(
            print([user()].into_iter().chain(others).collect(), &[]),
            expected
        );
        // There is no other code.
        let expected = "  no code of yours, but that of dependencies, at \
                        helper-1.0.0/src/lib.rs:5 in helper::run";
        assert_eq!(print(vec![helper("helper::run<T>", 5)], &[]), expected);
    }

    #[test]
    fn what_is_dropped_is_named() {
        let drop = |of: &str| {
            let name = format!("core::ptr::drop_in_place<{of}>");
            print(vec![frame(&name, None, Origin::User)], &[])
        };
        assert_eq!(
            drop("alloc::vec::Vec<app::Tree>"),
            "  at drop of alloc::vec::Vec<app::Tree> (app+0x10)"
        );
        let long = format!("app::Tree<{}>", "u8, ".repeat(40));
        assert_eq!(drop(&long), "  at drop of app::Tree (app+0x10)");
    }

    #[test]
    fn a_stack_without_the_users_frames_shows_what_there_is() {
        let unknown = frame("", None, Origin::System);
        let expected = "  no code of yours, but app+0x10";
        assert_eq!(print(vec![unknown], &[]), expected);
        let many = (0..20).map(|line| frame("a::b", Some(("/b.rs", line)), Origin::User));
        let text = print(many.collect(), &[]);
        assert_eq!(text.lines().count(), 17);
        assert!(text.ends_with("     and 4 more"), "{text}");
    }

    #[test]
    fn paths_are_short() {
        let here = std::env::current_dir().expect("there is one");
        assert_eq!(short(&here.join("src/a.rs")), "src/a.rs");
        let library = "/rustc/0123/library/std/src/thread.rs";
        assert_eq!(short(library.as_ref()), "library/std/src/thread.rs");
        assert_eq!(short("/other/a.rs".as_ref()), "/other/a.rs");
    }
}
