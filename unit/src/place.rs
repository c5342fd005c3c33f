//! Where something stands in a file, and what may be said of it.

/// Line and column, from 1, of a byte in a text.
#[must_use]
pub fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// An error's message without the value: serde repeats it where it is of a wrong
/// kind, and it may be a secret in a wrong place.
#[must_use]
pub fn wording(message: &str) -> String {
    let kinds = ["invalid type: ", "invalid value: ", "unknown variant "];
    if !kinds.iter().any(|kind| message.starts_with(kind)) {
        return message.to_owned();
    }
    match message.rsplit_once(", expected ") {
        Some((_, want)) if want.starts_with("struct ") => "must be a table".into(),
        Some((_, "u8" | "u16" | "u32" | "u64" | "i64")) => "must be a whole number".into(),
        Some((_, want)) => format!("is of another kind: expected {want}"),
        None => "is of another kind".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a\näb\n";
        for (at, want) in [(0, (1, 1)), (2, (2, 1)), (4, (2, 2)), (6, (3, 1)), (99, (1, 1))] {
            assert_eq!(place(text, at), want, "{at}");
        }
    }

    #[test]
    fn no_value_is_repeated() {
        for (message, want) in [
            ("invalid type: string \"1234\", expected u32", "must be a whole number"),
            ("invalid type: string \"1234\", expected struct Peer", "must be a table"),
            (
                "invalid type: integer `1234`, expected a string",
                "is of another kind: expected a string",
            ),
            ("unknown field `apm`, expected `apn`", "unknown field `apm`, expected `apn`"),
        ] {
            assert_eq!(wording(message), want);
        }
    }
}
