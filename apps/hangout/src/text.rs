//! What people may call themselves and their rooms, and what they may write.

use crate::config::Limits;
use crate::protocol::{Code, Problem};

/// The name of a person, without the spaces around it.
pub(crate) fn person_name(name: &str, limits: &Limits) -> Result<String, Problem> {
    label(name, limits.name_chars)
        .map_err(|why| Problem::new(Code::BadName, format!("a name {why}")))
}

/// The name of a room, without the spaces around it.
pub(crate) fn room_name(name: &str, limits: &Limits) -> Result<String, Problem> {
    let room = label(name, limits.room_chars).and_then(|room| match room.as_str() {
        // Browsers and curl resolve these away in a path, so that their API could not be reached.
        "." | ".." => Err("cannot be '.' or '..'".to_owned()),
        _ => Ok(room),
    });
    room.map_err(|why| Problem::new(Code::BadRoomName, format!("a room name {why}")))
}

/// The text of a message: line ends made one kind, and no space left at the end.
pub(crate) fn message_text(text: &str, limits: &Limits) -> Result<String, Problem> {
    let text = text.replace("\r\n", "\n");
    let text = text.trim_end();
    if text.trim_start().is_empty() {
        return Err(Problem::new(Code::BadText, "a message needs some text"));
    }
    let length = text.chars().count();
    if length > limits.message_chars {
        let limit = limits.message_chars;
        let message = format!("this message has {length} characters; {limit} are allowed");
        return Err(Problem::new(Code::TextTooLong, message));
    }
    if let Some(bad) = text
        .chars()
        .find(|c| c.is_control() && !matches!(c, '\n' | '\t'))
    {
        let message = format!(
            "a message cannot contain the control character U+{:04X}",
            bad as u32
        );
        return Err(Problem::new(Code::BadText, message));
    }
    Ok(text.to_owned())
}

/// A client's own unique mark on a message.
pub(crate) fn nonce(nonce: &str) -> Result<&str, Problem> {
    const MOST_BYTES: usize = 64;
    if nonce.is_empty() || nonce.len() > MOST_BYTES || !nonce.bytes().all(|b| b.is_ascii_graphic())
    {
        let message = format!(
            "a nonce is 1 to {MOST_BYTES} visible ASCII characters, unique to the message, such as a UUID"
        );
        return Err(Problem::new(Code::BadNonce, message));
    }
    Ok(nonce)
}

fn label(given: &str, most_chars: usize) -> Result<String, String> {
    let label = given.trim();
    let length = label.chars().count();
    if length == 0 {
        return Err("cannot be empty".to_owned());
    }
    if length > most_chars {
        return Err(format!(
            "has at most {most_chars} characters; this one has {length}"
        ));
    }
    if let Some(bad) = label.chars().find(|&c| c.is_control() || is_invisible(c)) {
        return Err(format!(
            "cannot contain the invisible character U+{:04X}",
            bad as u32
        ));
    }
    if !label.chars().any(is_visible) {
        return Err("needs a character that can be seen".to_owned());
    }
    Ok(label.to_owned())
}

/// Characters that show nothing themselves but change how their neighbours read; in a label they
/// serve to imitate another label. The zero-width joiner stays: emoji are made with it.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
    )
}

fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '\u{200d}' | '\u{fe0e}' | '\u{fe0f}')
}

#[cfg(test)]
mod tests {
    use super::{message_text, nonce, person_name, room_name};
    use crate::config::Limits;
    use crate::protocol::Code;

    fn limits() -> Limits {
        Limits {
            message_chars: 10,
            name_chars: 4,
            room_chars: 5,
            ..Limits::default()
        }
    }

    #[test]
    fn names_are_trimmed_and_bounded_in_characters() {
        assert_eq!(person_name("  Ada ", &limits()).unwrap(), "Ada");
        assert_eq!(person_name("åäöü", &limits()).unwrap(), "åäöü");
        for bad in ["", "   ", "Babbage", "a\u{7}b", "a\u{202e}b", "\u{200d}"] {
            assert_eq!(
                person_name(bad, &limits()).unwrap_err().code,
                Code::BadName,
                "{bad:?}"
            );
        }
        for bad in [".", "..", "lounge", "a\nb"] {
            assert_eq!(
                room_name(bad, &limits()).unwrap_err().code,
                Code::BadRoomName,
                "{bad:?}"
            );
        }
    }

    #[test]
    fn text_keeps_its_lines_and_loses_its_tail() {
        assert_eq!(
            message_text("  a\r\nb\t \n\n", &limits()).unwrap(),
            "  a\nb"
        );
        assert_eq!(
            message_text(" \n ", &limits()).unwrap_err().code,
            Code::BadText
        );
        assert_eq!(
            message_text("a\u{1b}[31m", &limits()).unwrap_err().code,
            Code::BadText
        );
        assert_eq!(
            message_text("12345678901", &limits()).unwrap_err().code,
            Code::TextTooLong
        );
        assert!(message_text("ääääääääää", &limits()).is_ok());
    }

    #[test]
    fn nonces_are_short_and_plain() {
        assert!(nonce("5b9a-1").is_ok());
        for bad in ["", "a b", "ä", &"x".repeat(65)] {
            assert_eq!(nonce(bad).unwrap_err().code, Code::BadNonce);
        }
    }
}
