//! The parameters of a reply: `+NAME: 1,"two",,4`.

/// One parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its text, without quotes and outer blanks.
    pub text: &'a str,
    /// Whether it stood in quotes: text, not a number.
    pub quoted: bool,
}

impl Field<'_> {
    /// The number it is, in decimal.
    pub fn number<T: std::str::FromStr>(&self) -> Option<T> {
        self.text.parse().ok()
    }

    /// The number it is, in hexadecimal with or without `0x`.
    pub fn hex(&self) -> Option<u32> {
        let digits = self.text.strip_prefix("0x").or_else(|| self.text.strip_prefix("0X"));
        u32::from_str_radix(digits.unwrap_or(self.text), 16).ok()
    }
}

/// Splits the parameters of a line, or of what follows its `+NAME:`. A comma
/// within quotes does not split; a quote that nothing ends goes to the end.
pub fn fields(text: &str) -> Vec<Field<'_>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut in_quotes = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => in_quotes = !in_quotes,
            b',' if !in_quotes => {
                found.push(field(&text[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(field(&text[start..]));
    found
}

fn field(text: &str) -> Field<'_> {
    let text = text.trim();
    match text.strip_prefix('"') {
        Some(rest) => Field { text: rest.strip_suffix('"').unwrap_or(rest), quoted: true },
        None => Field { text, quoted: false },
    }
}

/// What follows `name:` in a line.
pub(super) fn after<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.strip_prefix(name)?.strip_prefix(':').map(str::trim)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        fields(text).iter().map(|field| field.text).collect()
    }

    #[test]
    fn commas_in_quotes_do_not_split() {
        assert_eq!(texts(r#"1,"a,b", ,4"#), ["1", "a,b", "", "4"]);
        assert_eq!(texts(r#"1,"open"#), ["1", "open"]);
        assert_eq!(texts(""), [""]);
        assert!(fields(r#""7""#)[0].quoted);
        assert_eq!(fields("0x846E")[0].hex(), Some(0x846e));
    }

    proptest! {
        #[test]
        fn any_text_splits(text: String) {
            prop_assert!(!fields(&text).is_empty());
        }
    }
}
