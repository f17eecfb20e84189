//! What is in a result that nobody read: a panic, an error, or nothing to
//! speak of.
//!
//! Which types of results can be looked into is decided when a task's code is
//! generated: for all others every function here comes down to a constant.

use std::any::{Any, type_name};
use std::error::Error;
use std::fmt;
use std::io;

use super::error::JoinError;
use crate::report::{Report, TaskInfo, Unobserved, UnobservedError, UnobservedPanic, UnreadResult};

/// What was found in a result; nothing in it is the result's own.
#[derive(Debug)]
pub(super) enum Found {
    Panic {
        message: Option<String>,
        place: Option<String>,
    },
    Error {
        text: String,
        /// Whether the user asked for it, with `report_errors`.
        is_asked_for: bool,
    },
    /// A `Result` of a type that cannot be looked into, by its name.
    Unknown(&'static str),
}

/// The text of the error in a task's output, if there is one.
pub(super) type ShowError = fn(&dyn Any) -> Option<String>;

/// Whether `T` is a `Result` that can be an `Err`.
#[inline]
pub(super) fn is_result<T>() -> bool {
    // The best that stable Rust has. A type's name is no promise: should it
    // change one day, less is reported, and nothing goes wrong.
    let name = type_name::<T>();
    name.starts_with("core::result::Result<")
        && !name.ends_with(", core::convert::Infallible>")
        && !name.ends_with(", !>")
}

/// Looks into a result that is about to be dropped unread. An error is no
/// surprise when its task `is_aborted`; a panic always is. Calls the error's
/// own code, which may panic.
pub(super) fn look<T: 'static>(
    output: &Result<T, JoinError>,
    show: Option<ShowError>,
    is_aborted: bool,
) -> Option<Found> {
    let value = match output {
        Ok(value) => value,
        Err(error) => {
            return error.is_news().then(|| Found::Panic {
                message: error.message().map(Into::into),
                place: error.place().map(Into::into),
            });
        }
    };
    if let Some(show) = show {
        return show(value).map(|text| Found::Error {
            text,
            is_asked_for: true,
        });
    }
    if !is_result::<T>() || is_aborted {
        return None;
    }
    match known_error(value) {
        Some(Ok(())) => None,
        Some(Err(text)) => Some(Found::Error {
            text,
            is_asked_for: false,
        }),
        None => Some(Found::Unknown(type_name::<T>())),
    }
}

/// Whether a result is an error, and which, if its type is one that is known
/// here: those that errors mostly have where nobody made a type for them.
fn known_error<R: 'static>(result: &R) -> Option<Result<(), String>> {
    known_error_beside::<(), R>(result)
        .or_else(|| known_error_beside::<bool, R>(result))
        .or_else(|| known_error_beside::<u64, R>(result))
        .or_else(|| known_error_beside::<usize, R>(result))
        // What `copy_bidirectional` returns.
        .or_else(|| known_error_beside::<(u64, u64), R>(result))
        .or_else(|| known_error_beside::<String, R>(result))
        .or_else(|| known_error_beside::<Vec<u8>, R>(result))
}

/// As `known_error`, for results that are a `T` when all is well.
fn known_error_beside<T: 'static, R: 'static>(result: &R) -> Option<Result<(), String>> {
    macro_rules! first_of {
        ($($error:ty),+ $(,)?) => {
            $(if let Some(result) = (result as &dyn Any).downcast_ref::<Result<T, $error>>() {
                return Some(result.as_ref().map(drop).map_err(ToString::to_string));
            })+
        };
    }
    first_of!(
        io::Error,
        Box<dyn Error + Send + Sync>,
        Box<dyn Error + Send>,
        Box<dyn Error>,
        String,
        &'static str,
        fmt::Error,
        JoinError,
    );
    None
}

impl Found {
    /// What the scheduler counts of it.
    pub(super) fn counted(&self) -> Option<Unobserved> {
        match self {
            Found::Panic { .. } => Some(Unobserved::Panic),
            Found::Error { .. } => Some(Unobserved::Error),
            Found::Unknown(_) => None,
        }
    }

    /// The report, unless enough was said of this kind already.
    pub(super) fn into_report(self, task: TaskInfo) -> Option<Report> {
        match self {
            Found::Panic { message, place } => {
                let panic = UnobservedPanic::new(task, message, place);
                Some(Report::UnobservedPanic(panic))
            }
            Found::Error { text, is_asked_for } => {
                let error = if is_asked_for {
                    UnobservedError::asked_for(task, text)
                } else {
                    UnobservedError::lost(task, text)
                };
                error.is_due().then_some(Report::UnobservedError(error))
            }
            Found::Unknown(type_name) => {
                UnreadResult::new(task, type_name).map(Report::UnreadResult)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::fmt;
    use std::io;

    use super::{Found, is_result, look};

    struct Own;

    #[test]
    fn only_results_that_can_fail_are_looked_at() {
        assert!(is_result::<Result<(), Own>>());
        assert!(is_result::<io::Result<Vec<Infallible>>>());
        assert!(!is_result::<Result<u8, Infallible>>());
        assert!(!is_result::<(Result<(), Own>,)>());
        assert!(!is_result::<Option<Result<(), Own>>>());
        assert!(!is_result::<()>());
    }

    #[test]
    fn an_error_of_a_known_type_shows_its_text_and_success_is_no_find() {
        let failed: Result<u64, io::Error> = Err(io::Error::other("full"));
        let found = look(&Ok(failed), None, false);
        assert!(
            matches!(found, Some(Found::Error { text, is_asked_for: false }) if text == "full")
        );
        assert!(look(&Ok(Ok::<u64, io::Error>(1)), None, false).is_none());
        assert!(look(&Ok(Err::<(), _>(fmt::Error)), None, true).is_none());
    }

    #[test]
    fn a_result_of_any_other_type_is_named() {
        let found = look(&Ok(Ok::<u8, Own>(1)), None, false);
        assert!(matches!(found, Some(Found::Unknown(name)) if name.ends_with("::Own>")));
        assert!(look(&Ok(Ok::<u8, Own>(1)), None, true).is_none());
    }
}
