//! The part of YAML in which Raspberry Pi Imager writes cloud-init's files:
//! mappings and lists by indentation, texts plain or in quotes, literal blocks,
//! and lists and mappings in brackets on one line. All else (anchors, tags,
//! several documents, texts over several lines) is an error with its place, not
//! a guess. docs/adr/0018 says why this is no library.

mod flow;
#[cfg(test)]
mod tests;

use std::fmt;

use flow::Flow;

/// Deepest nesting. Imager's files have six levels.
const DEEPEST: usize = 20;

/// Something at a place. It may be a secret, so it is not shown.
#[derive(Clone, PartialEq)]
pub struct Node {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// Nothing: left out, `~` or `null`.
    Null,
    /// A text, in whatever form it was written.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the file's order.
    Map(Vec<(String, Node)>),
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What, without the text itself.
    pub message: &'static str,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.value {
            Value::Null => "nothing",
            Value::Text(_) => "text",
            Value::List(_) => "list",
            Value::Map(_) => "mapping",
        };
        write!(f, "{kind} at {}:{}", self.line, self.column)
    }
}

impl Node {
    /// The value of `key`, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find_map(|(name, node)| (name == key).then_some(node))
    }

    /// What the mapping has; nothing when it is none.
    pub fn entries(&self) -> &[(String, Node)] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The text, when it is one.
    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The error of this place.
    pub fn wrong(&self, message: &'static str) -> Wrong {
        Wrong { line: self.line, column: self.column, message }
    }
}

/// Reads a document. An empty one is [`Value::Null`].
///
/// # Errors
/// The first thing that is no YAML, or not of this part of it.
pub fn parse(text: &str) -> Result<Node, Wrong> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let rest = line.trim_start_matches(' ');
        let indent = line.len() - rest.len();
        if rest.starts_with('\t') && !rest.trim().is_empty() {
            return Err(Wrong { line: index + 1, column: indent + 1, message: TAB });
        }
        lines.push(Line { number: index + 1, indent, text: rest.trim_end() });
    }
    let mut parser = Parser { lines, at: 0, depth: 0 };
    if parser.peek().is_some_and(|line| line.text == "---") {
        parser.at += 1;
    }
    let Some(first) = parser.peek() else {
        return Ok(Node { line: 1, column: 1, value: Value::Null });
    };
    let node = parser.block(first)?;
    match parser.peek() {
        None => Ok(node),
        Some(line) => Err(line.wrong("stands outside of all above: check the indentation")),
    }
}

const TAB: &str = "a tab cannot indent in YAML: use spaces";

#[derive(Clone, Copy)]
struct Line<'a> {
    number: usize,
    indent: usize,
    text: &'a str,
}

impl Line<'_> {
    fn wrong(&self, message: &'static str) -> Wrong {
        Wrong { line: self.number, column: self.indent + 1, message }
    }

    fn is_item(&self) -> bool {
        self.text == "-" || self.text.starts_with("- ")
    }
}

struct Parser<'a> {
    lines: Vec<Line<'a>>,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// The next line that says something.
    fn peek(&mut self) -> Option<Line<'a>> {
        loop {
            let line = *self.lines.get(self.at)?;
            if line.text.is_empty() || line.text.starts_with('#') {
                self.at += 1;
                continue;
            }
            return Some(line);
        }
    }

    /// What begins in this line, which is the next one.
    fn block(&mut self, line: Line<'a>) -> Result<Node, Wrong> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(line.wrong("is nested too deeply"));
        }
        let value = if line.is_item() {
            Value::List(self.list(line.indent)?)
        } else if key(line)?.is_some() {
            Value::Map(self.map(line.indent)?)
        } else {
            self.at += 1;
            Flow::new(line, 0).whole()?.value
        };
        self.depth -= 1;
        Ok(Node { line: line.number, column: line.indent + 1, value })
    }

    fn list(&mut self, indent: usize) -> Result<Vec<Node>, Wrong> {
        let mut items = Vec::new();
        while let Some(line) = self.peek() {
            if line.indent < indent || (line.indent == indent && !line.is_item()) {
                break;
            }
            if line.indent > indent {
                return Err(line.wrong("is indented more than the list that it is in"));
            }
            let rest = line.text[1..].trim_start();
            if rest.is_empty() || rest.starts_with('#') {
                self.at += 1;
                items.push(self.below(line, indent, false)?);
                continue;
            }
            // `- name: x`: what follows stands as if on a line of its own.
            let inner = Line { indent: indent + line.text.len() - rest.len(), text: rest, ..line };
            self.lines[self.at] = inner;
            items.push(self.block(inner)?);
        }
        Ok(items)
    }

    fn map(&mut self, indent: usize) -> Result<Vec<(String, Node)>, Wrong> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        while let Some(line) = self.peek() {
            if line.indent < indent || (line.indent == indent && line.is_item()) {
                break;
            }
            if line.indent > indent {
                return Err(line.wrong("is indented more than the mapping that it is in"));
            }
            let Some((name, used)) = key(line)? else {
                return Err(line.wrong("must be `name: value`"));
            };
            if entries.iter().any(|(other, _)| *other == name) {
                return Err(line.wrong("has a name that is there already"));
            }
            self.at += 1;
            let rest = line.text[used..].trim_start();
            let node = match rest.as_bytes().first() {
                None | Some(b'#') => self.below(line, indent, true)?,
                Some(b'|' | b'>') => {
                    let node =
                        Node { line: line.number, column: indent + used + 2, value: Value::Null };
                    let text = self.literal(indent, rest, &node)?;
                    Node { value: Value::Text(text), ..node }
                }
                Some(_) => Flow::new(line, line.text.len() - rest.len()).whole()?,
            };
            entries.push((name, node));
        }
        Ok(entries)
    }

    /// What stands on the lines below `line`; a mapping's list may stand as far
    /// left as the mapping.
    fn below(&mut self, line: Line<'a>, indent: usize, map: bool) -> Result<Node, Wrong> {
        match self.peek() {
            Some(next) if next.indent > indent => self.block(next),
            Some(next) if map && next.indent == indent && next.is_item() => self.block(next),
            _ => Ok(Node { line: line.number, column: line.indent + 1, value: Value::Null }),
        }
    }

    /// A literal or folded block below a mapping at `indent`.
    fn literal(&mut self, indent: usize, head: &str, node: &Node) -> Result<String, Wrong> {
        let mark = head.split(" #").next().unwrap_or_default().trim_end();
        if !matches!(mark, "|" | "|-" | "|+" | ">" | ">-" | ">+") {
            return Err(node.wrong("only |, |-, |+, >, >- and >+ are understood here"));
        }
        let mut parts = Vec::new();
        let mut own = None;
        while let Some(line) = self.lines.get(self.at) {
            if !line.text.is_empty() && line.indent <= indent {
                break;
            }
            if !line.text.is_empty() {
                let own = *own.get_or_insert(line.indent);
                parts.push(format!("{}{}", " ".repeat(line.indent.saturating_sub(own)), line.text));
            } else {
                parts.push(String::new());
            }
            self.at += 1;
        }
        while parts.last().is_some_and(String::is_empty) {
            parts.pop();
        }
        let text = parts.join(if mark.starts_with('|') { "\n" } else { " " });
        Ok(if mark.ends_with('-') || text.is_empty() { text } else { text + "\n" })
    }
}

/// The name that a line of a mapping begins with, and how many bytes it takes
/// with its colon. `None` when the line is no such line.
fn key(line: Line<'_>) -> Result<Option<(String, usize)>, Wrong> {
    let text = line.text;
    if text.starts_with(['"', '\'']) {
        let mut flow = Flow::new(line, 0);
        let name = flow.quoted()?;
        let rest = &text[flow.at..];
        let ends = rest == ":" || rest.starts_with(": ");
        return Ok(ends.then(|| (name, flow.at + 1)));
    }
    if text.starts_with(['[', '{']) {
        return Ok(None);
    }
    let end = match text.find(": ") {
        Some(end) => end,
        None if text.ends_with(':') => text.len() - 1,
        None => return Ok(None),
    };
    let name = &text[..end];
    if name.starts_with(['?', '&', '*', '!', '|', '>', '%', '@', '`']) || name.contains(" #") {
        return Err(line.wrong("a name like this is not understood: put it in quotes"));
    }
    Ok(Some((name.trim_end().to_owned(), end + 1)))
}
