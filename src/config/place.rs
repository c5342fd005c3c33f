//! Fields and their places in a file's text.

use toml::de::{DeTable, DeValue};

/// The field (`cellular.apn`) whose name or value has the byte `offset`. `None`
/// where no field is, or when the text is no TOML. What is within a secret is
/// not looked at: its name would be part of it.
pub fn field_at(text: &str, offset: usize) -> Option<String> {
    let mut found = None;
    walk(text, |path, key, value| {
        if key.contains(&offset) || value.contains(&offset) {
            found = Some(path.to_owned());
        }
    });
    found
}

/// Where the name of `field` begins, in bytes; `None` when the text has no such
/// field.
pub fn offset_of(text: &str, field: &str) -> Option<usize> {
    let mut found = None;
    walk(text, |path, key, _| {
        if path == field {
            found = Some(key.start);
        }
    });
    found
}

type Span = std::ops::Range<usize>;

/// Visits each field with the places of its name and value, the outer ones
/// first.
fn walk(text: &str, mut visit: impl FnMut(&str, Span, Span)) {
    if let Ok(table) = DeTable::parse(text) {
        within("", table.get_ref(), &mut visit);
    }
}

fn within(above: &str, table: &DeTable, visit: &mut impl FnMut(&str, Span, Span)) {
    for (key, value) in table {
        let path = if above.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{above}.{}", key.get_ref())
        };
        visit(&path, key.span(), value.span());
        match value.get_ref() {
            DeValue::Table(inner) if !super::is_secret(key.get_ref()) => {
                within(&path, inner, visit);
            }
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if let DeValue::Table(inner) = item.get_ref() {
                        within(&format!("{path}[{}]", index + 1), inner, visit);
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_places() {
        let text = "[cellular]\napn = \"x\"\n[network]\nprobe = { interval = 6 }\n\
                    [modem]\npin = { secret = \"1234\" }\n[[file]]\n[[file]]\nmode = \"8\"\n";
        for (part, field) in [
            ("apn", Some("cellular.apn")),
            ("\"x\"", Some("cellular.apn")),
            ("6 }", Some("network.probe.interval")),
            ("\"1234\"", Some("modem.pin")),
            ("\"8\"", Some("file[2].mode")),
        ] {
            let offset = text.find(part).unwrap();
            assert_eq!(field_at(text, offset).as_deref(), field, "{part}");
        }
        assert_eq!(offset_of(text, "network.probe.interval"), text.find("interval"));
        assert_eq!((offset_of(text, "apn"), offset_of("[", "apn")), (None, None));
        assert_eq!((field_at("a = [", 0), field_at("", 0)), (None, None));
    }
}
