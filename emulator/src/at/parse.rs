//! Takes a command line apart (ITU-T V.250 section 5.2 to 5.4).

/// What is asked of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// `AT+X`
    Execute,
    /// `AT+X?`
    Read,
    /// `AT+X=?`
    Test,
    /// `AT+X=a,b`; `None` is a parameter left out, quotes are taken off.
    Set(Vec<Option<String>>),
}

/// One command of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// In upper case with its sign (`+CPIN`), or a letter (`E`, `&C`).
    pub name: String,
    /// What is asked.
    pub form: Form,
}

impl Command {
    /// The command as the profile's tables have it.
    pub fn key(&self) -> String {
        match self.form {
            Form::Execute | Form::Set(_) => self.name.clone(),
            Form::Read => format!("{}?", self.name),
            Form::Test => format!("{}=?", self.name),
        }
    }

    /// The parameter at `index`, when this sets anything and it is there.
    pub fn text(&self, index: usize) -> Option<&str> {
        match &self.form {
            Form::Set(all) => all.get(index)?.as_deref(),
            _ => None,
        }
    }

    /// The same as a number.
    pub fn number(&self, index: usize) -> Option<u32> {
        self.text(index)?.trim().parse().ok()
    }
}

/// The commands of a line, without its `AT`.
pub(crate) fn split(mut rest: &str) -> Vec<Command> {
    let mut all = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ';']);
        let Some(first) = rest.chars().next() else { return all };
        let (command, after) =
            if "+$*^".contains(first) { extended(rest) } else { basic(rest, first) };
        all.push(command);
        rest = after;
    }
}

/// Up to the next `;` outside quotes.
fn extended(text: &str) -> (Command, &str) {
    let mut quoted = false;
    let end = text.find(|it| {
        quoted ^= it == '"';
        it == ';' && !quoted
    });
    let (body, after) = text.split_at(end.unwrap_or(text.len()));
    let (name, form) = match body.split_once('=') {
        Some((name, "?")) => (name, Form::Test),
        Some((name, values)) => (name, Form::Set(parameters(values))),
        None => match body.strip_suffix('?') {
            Some(name) => (name, Form::Read),
            None => (body, Form::Execute),
        },
    };
    (Command { name: name.trim().to_ascii_uppercase(), form }, after)
}

/// A letter (after `&`, perhaps) and its number; `D` takes the whole line.
fn basic(text: &str, first: char) -> (Command, &str) {
    let letters = text.char_indices().nth(if first == '&' { 2 } else { 1 });
    let (name, rest) = text.split_at(letters.map_or(text.len(), |(at, _)| at));
    let name = name.to_ascii_uppercase();
    let end = if name == "D" { rest.find(';') } else { rest.find(|it: char| !it.is_ascii_digit()) };
    let (value, after) = rest.split_at(end.unwrap_or(rest.len()));
    let form = if value.is_empty() { Form::Execute } else { Form::Set(vec![Some(value.into())]) };
    (Command { name, form }, after)
}

fn parameters(text: &str) -> Vec<Option<String>> {
    let mut all = vec![None];
    let mut quoted = false;
    for it in text.chars() {
        match it {
            '"' => {
                quoted = !quoted;
                if let Some(last) = all.last_mut() {
                    last.get_or_insert_with(String::new);
                }
            }
            ',' if !quoted => all.push(None),
            it => {
                if let Some(last) = all.last_mut() {
                    last.get_or_insert_with(String::new).push(it);
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_apart() {
        let all = split("E0V1;+CGAUTH=1,1,\"a;b\",;+CPIN?");
        let names: Vec<_> = all.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["E", "V", "+CGAUTH", "+CPIN"]);
        assert_eq!(all[2].text(2), Some("a;b"));
        assert_eq!(all[2].text(3), None);
        assert_eq!(all[3].form, Form::Read);
        assert_eq!(split("D*99#")[0].text(0), Some("*99#"));
    }
}
