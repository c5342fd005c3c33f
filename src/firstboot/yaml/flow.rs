//! Values on one line: texts plain or in quotes, and lists and mappings in
//! brackets.

use super::{DEEPEST, Line, Node, Value, Wrong};

/// A value on one line.
pub struct Flow<'a> {
    line: Line<'a>,
    /// Bytes of the line's text that are read.
    pub at: usize,
    depth: usize,
}

impl<'a> Flow<'a> {
    /// Begins at a byte of the line.
    pub fn new(line: Line<'a>, at: usize) -> Self {
        Self { line, at, depth: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.line.text[self.at..]
    }

    fn column(&self) -> usize {
        self.line.indent + self.line.text[..self.at].chars().count() + 1
    }

    fn wrong(&self, message: &'static str) -> Wrong {
        Wrong { line: self.line.number, column: self.column(), message }
    }

    fn spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// A value, and nothing behind it but a comment.
    pub fn whole(mut self) -> Result<Node, Wrong> {
        let node = self.value(false)?;
        let before = self.at;
        self.spaces();
        let comment = self.rest().starts_with('#') && self.at > before;
        if self.rest().is_empty() || comment {
            return Ok(node);
        }
        Err(self.wrong("more stands here than one value: put the text in quotes"))
    }

    fn value(&mut self, inside: bool) -> Result<Node, Wrong> {
        self.spaces();
        let (line, column) = (self.line.number, self.column());
        let value = match self.rest().as_bytes().first() {
            Some(b'"' | b'\'') => Value::Text(self.quoted()?),
            Some(b'[') => Value::List(self.list()?),
            Some(b'{') => Value::Map(self.map()?),
            Some(b'&' | b'*' | b'!' | b'%' | b'@' | b'`' | b'|' | b'>') => {
                return Err(self.wrong("anchors, tags and the like are not understood here"));
            }
            Some(b'?') if matches!(self.rest().as_bytes().get(1), None | Some(b' ')) => {
                return Err(self.wrong("a name like this is not understood: put it in quotes"));
            }
            _ => match self.plain(inside)? {
                "" | "~" | "null" => Value::Null,
                text => Value::Text(text.to_owned()),
            },
        };
        Ok(Node { line, column, value })
    }

    fn plain(&mut self, inside: bool) -> Result<&'a str, Wrong> {
        let rest = self.rest();
        let mut end = rest.find(" #").unwrap_or(rest.len());
        if inside {
            end = end.min(rest.find([',', ']', '}', '[', '{']).unwrap_or(rest.len()));
        }
        let text = rest[..end].trim_end();
        if text.contains(": ") || text.ends_with(':') {
            return Err(self.wrong("a text with a colon must stand in quotes"));
        }
        self.at += text.len();
        Ok(text)
    }

    /// A text in quotes, which begins here.
    pub fn quoted(&mut self) -> Result<String, Wrong> {
        let double = self.rest().starts_with('"');
        let open = self.wrong("the quote is not closed on its line");
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(next) = self.rest().chars().next() else { return Err(open) };
            self.at += next.len_utf8();
            match next {
                '"' if double => return Ok(text),
                '\\' if double => text.push(self.escape()?),
                '\'' if !double => {
                    if !self.rest().starts_with('\'') {
                        return Ok(text);
                    }
                    self.at += 1;
                    text.push('\'');
                }
                other => text.push(other),
            }
        }
    }

    /// YAML 1.2.2 §5.7.
    fn escape(&mut self) -> Result<char, Wrong> {
        let unknown = self.wrong("there is no such escape");
        let Some(kind) = self.rest().chars().next() else { return Err(unknown) };
        self.at += kind.len_utf8();
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            '0' => return Ok('\0'),
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            'e' => return Ok('\u{1b}'),
            '"' | '\\' | '/' | ' ' => return Ok(kind),
            _ => return Err(unknown),
        };
        let code = self.rest().get(..digits).and_then(|it| u32::from_str_radix(it, 16).ok());
        let found = code.and_then(char::from_u32).ok_or(unknown)?;
        self.at += digits;
        Ok(found)
    }

    fn list(&mut self) -> Result<Vec<Node>, Wrong> {
        let mut items = Vec::new();
        self.open()?;
        while !self.closes(']', items.is_empty())? {
            items.push(self.value(true)?);
        }
        Ok(items)
    }

    fn map(&mut self) -> Result<Vec<(String, Node)>, Wrong> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        self.open()?;
        while !self.closes('}', entries.is_empty())? {
            self.spaces();
            let here = self.wrong("must be `name: value`");
            let name = if self.rest().starts_with(['"', '\'']) {
                self.quoted()?
            } else {
                let end = self.rest().find(':').ok_or_else(|| here.clone())?;
                let name = self.rest()[..end].to_owned();
                self.at += end;
                name
            };
            if !self.rest().starts_with(':') || name.contains([',', '{', '[', ']', '}']) {
                return Err(here);
            }
            self.at += 1;
            entries.push((name, self.value(true)?));
        }
        Ok(entries)
    }

    fn open(&mut self) -> Result<(), Wrong> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong("is nested too deeply"));
        }
        self.at += 1;
        Ok(())
    }

    /// Takes the bracket, or the comma before the next entry.
    fn closes(&mut self, bracket: char, first: bool) -> Result<bool, Wrong> {
        self.spaces();
        if self.rest().starts_with(bracket) {
            self.at += 1;
            self.depth -= 1;
            return Ok(true);
        }
        if first {
            return if self.rest().is_empty() { Err(self.wrong(OPEN)) } else { Ok(false) };
        }
        if !self.rest().starts_with(',') {
            return Err(self.wrong(OPEN));
        }
        self.at += 1;
        self.spaces();
        if self.rest().starts_with(bracket) {
            self.at += 1;
            self.depth -= 1;
            return Ok(true);
        }
        Ok(false)
    }
}

const OPEN: &str = "a comma or the closing bracket is missing on this line";
