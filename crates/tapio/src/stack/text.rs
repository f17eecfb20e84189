//! How a stack is printed.

use std::fmt;
use std::path::Path;

use super::frame::{Frame, Origin, Stack};

/// Lines for the user's frames at most, and for all others.
const USER_LINES_MAX: usize = 16;
const OTHER_LINES_MAX: usize = 6;

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Lines { f, is_first: true };
        let of = |origin| {
            self.frames
                .iter()
                .filter(move |frame| frame.origin == origin)
        };
        let innermost = self
            .frames
            .iter()
            .position(|frame| frame.origin == Origin::User);
        if let Some(innermost) = innermost {
            lines.list("at", of(Origin::User), USER_LINES_MAX)?;
            let callee = innermost.checked_sub(1).map(|index| &self.frames[index]);
            // A dependency that was called is listed below.
            if let Some(callee) = callee.filter(|frame| frame.origin == Origin::System) {
                match (callee.title(), callee.place()) {
                    // Line tables alone give an inlined function's last name.
                    (name, Some(place)) if !name.contains("::") => {
                        lines.one(format_args!("  inside of {name} ({place})"))?;
                    }
                    (name, _) => lines.one(format_args!("  inside of {name}"))?,
                }
            }
        }
        lines.list("dependencies, at", of(Origin::Dependency), OTHER_LINES_MAX)?;
        if lines.is_first {
            lines.list("no code of yours, but", self.frames.iter(), OTHER_LINES_MAX)?;
        }
        for note in &self.notes {
            lines.one(format_args!("  ({note})"))?;
        }
        Ok(())
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

    fn title(&self) -> &str {
        self.function.as_deref().unwrap_or(&self.offset)
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.place(), &self.function) {
            (Some(place), Some(function)) => write!(f, "{place} in {function}"),
            (Some(place), None) => f.write_str(&place),
            (None, Some(function)) => write!(f, "{function} ({})", self.offset),
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
            frame("app::nap", Some(("/app/src/nap.rs", 3)), Origin::User),
            frame("core::future::poll", None, Origin::System),
            frame(
                "helper::run",
                Some(("/c/registry/src/i/helper-1.0.0/src/lib.rs", 5)),
                Origin::Dependency,
            ),
            frame("app::deep", Some(("/app/src/deep.rs", 9)), Origin::User),
            frame("app::deep", Some(("/app/src/deep.rs", 9)), Origin::User),
            frame("app::main", None, Origin::User),
        ];
        let expected = "  at /app/src/nap.rs:3 in app::nap
     /app/src/deep.rs:9 in app::deep, 2 times
     app::main (app+0x10)
  inside of std::thread::sleep
  dependencies, at helper-1.0.0/src/lib.rs:5 in helper::run
  (a note)";
        assert_eq!(print(frames, &["a note"]), expected);
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
