//! What is read as what, and what is refused.

use proptest::prelude::*;

use super::*;

/// A node in JSON's form.
fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(name, node)| (name.clone(), json(node)));
            serde_json::Value::Object(entries.collect())
        }
    }
}

#[test]
fn texts_are_read_as_yaml_has_them() {
    for (text, want) in [
        ("", "null"),
        ("# only a comment\n", "null"),
        ("---\na: b # c\n", r#"{"a":"b"}"#),
        ("a: x#y\nb: ~\nc:\nd: null\n", r##"{"a":"x#y","b":null,"c":null,"d":null}"##),
        ("a:\n- b\n- c: d\n  e: f\n", r#"{"a":["b",{"c":"d","e":"f"}]}"#),
        ("a:\n  - b\n  -\n    c: d\n", r#"{"a":["b",{"c":"d"}]}"#),
        ("- - a\n  - b\n- c\n", r#"[["a","b"],"c"]"#),
        ("a: [ b, \"c, d\", [], {e: f} ]\n", r#"{"a":["b","c, d",[],{"e":"f"}]}"#),
        ("a: {}\nb: { c: d, 'e': [f] }\n", r#"{"a":{},"b":{"c":"d","e":["f"]}}"#),
        ("a: 'it''s'\nb: \"\\x41\\u00e4\\n\\\"\"\n", "{\"a\":\"it's\",\"b\":\"Aä\\n\\\"\"}"),
        ("\"a b\": c\n'd': e\n", r#"{"a b":"c","d":"e"}"#),
        ("a: |\n  b {\n    c\n\n  }\nd: e\n", "{\"a\":\"b {\\n  c\\n\\n}\\n\",\"d\":\"e\"}"),
        ("a: >-\n  b\n  c\n", r#"{"a":"b c"}"#),
        ("a: ALL=(ALL) NOPASSWD:ALL\n", r#"{"a":"ALL=(ALL) NOPASSWD:ALL"}"#),
        ("a: http://x/y\n", r#"{"a":"http://x/y"}"#),
        ("a:\r\n  b: c\r\n", r#"{"a":{"b":"c"}}"#),
    ] {
        let want: serde_json::Value = serde_json::from_str(want).unwrap();
        assert_eq!(json(&parse(text).unwrap()), want, "{text}");
    }
}

#[test]
fn what_is_not_understood_is_refused_at_its_place() {
    for (text, line, column) in [
        ("a: &x b\n", 1, 4),
        ("a: *x\n", 1, 4),
        ("a: !!str b\n", 1, 4),
        ("a: \"b\n", 1, 4),
        ("a: \"b\" c\n", 1, 8),
        ("a: b: c\n", 1, 4),
        ("a: [b\n", 1, 6),
        ("a: [b c: d]\n", 1, 5),
        ("a: {b}\n", 1, 5),
        ("a: \"\\q\"\n", 1, 6),
        ("a: |2\n  b\n", 1, 4),
        ("a: b\na: c\n", 2, 1),
        ("a: b\n  c: d\n", 2, 3),
        ("a:\n    b: c\n  d: e\n", 3, 3),
        ("- a\nb: c\n", 2, 1),
        ("a:\n\tb: c\n", 2, 1),
        ("a: b\nc\n", 2, 1),
        ("? a\n", 1, 1),
        ("ä: &x\n", 1, 4),
    ] {
        let wrong = parse(text).unwrap_err();
        assert_eq!((wrong.line, wrong.column), (line, column), "{text}{wrong:?}");
    }
    parse(&"[".repeat(10_000)).unwrap_err();
    parse(&"- ".repeat(10_000)).unwrap_err();
    let deep: String = (0..1000).map(|depth| " ".repeat(depth) + "a:\n").collect();
    parse(&deep).unwrap_err();
}

proptest! {
    #[test]
    fn no_text_makes_it_fall(text in "[-a:\\[\\]{}\"'#|>, \n\t&\\\\x0é]{0,60}") {
        // Errors are fine; a fall, or a place that is not there, is not.
        if let Err(wrong) = parse(&text) {
            let length = text.lines().nth(wrong.line - 1).unwrap_or_default().chars().count();
            prop_assert!(wrong.column <= length + 1, "{wrong:?}");
        }
    }

    #[test]
    fn any_text_in_quotes_comes_back(text in "[ -~]{0,40}") {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        let node = parse(&format!("a: \"{quoted}\"\n")).unwrap();
        prop_assert_eq!(node.get("a").unwrap().text(), Some(text.as_str()));
        let single = text.replace('\'', "''");
        let node = parse(&format!("- '{single}'\n")).unwrap();
        prop_assert!(matches!(&node.value, Value::List(items) if items[0].text() == Some(&text)));
    }
}
