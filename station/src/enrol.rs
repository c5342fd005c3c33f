//! Reads what units report: JSON, a line or a list of them, or text messages, in
//! any mixture that has one report a line.

use a7670e_unit::{Enrolment, SMS, wording};

/// Most bytes of reports that are read at once: 10,000 units' are some 3 MB.
pub const MAX: u64 = 64 << 20;

/// What is wrong with a text of reports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A line is no report.
    #[error("line {line}: {says}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        says: String,
    },
    /// There is no report in it.
    #[error("there is no report in it: `a7670e enrol` on the unit prints one")]
    Empty,
}

/// The reports in a text.
///
/// # Errors
/// The first line that is no report.
pub fn parse(text: &str) -> Result<Vec<Enrolment>, ParseError> {
    let wrong = |line: usize, says: String| ParseError::Line { line, says };
    let reports = if text.trim_start().starts_with('[') {
        let reports: Vec<Enrolment> =
            serde_json::from_str(text).map_err(|error| wrong(error.line(), json(&error)))?;
        reports.into_iter().map(|it| it.checked().map_err(|no| wrong(1, no.to_string()))).collect()
    } else if let Ok(report) = serde_json::from_str::<Enrolment>(text) {
        // It may go over several lines.
        report.checked().map(|it| vec![it]).map_err(|no| wrong(1, no.to_string()))
    } else {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines.map(|(at, line)| one(line).map_err(|says| wrong(at + 1, says))).collect()
    };
    match reports {
        Ok(reports) if reports.is_empty() => Err(ParseError::Empty),
        other => other,
    }
}

fn one(line: &str) -> Result<Enrolment, String> {
    let line = line.trim();
    if line.starts_with(&SMS[..SMS.len() - 1]) {
        return Enrolment::from_sms(line).map_err(|no| no.to_string());
    }
    let report: Enrolment = serde_json::from_str(line).map_err(|error| json(&error))?;
    report.checked().map_err(|no| no.to_string())
}

/// Without where it stands, which the caller says.
fn json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(says, _)| says);
    wording(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_come_in_several_forms() {
        let json = r#"{"version":1,"unit":"1","imei":"490154203237518"}"#;
        let one = &parse(json).unwrap()[0];
        assert_eq!(one.imei.as_ref().unwrap().as_str(), "490154203237518");
        let pretty = serde_json::to_string_pretty(one).unwrap();
        let sms = one.to_sms();
        for text in [
            format!("[{json},{json}]"),
            format!("{json}\n\n{json}\n"),
            format!("{json}\r\n{sms}\r\n"),
            format!("{sms}\n{sms}"),
        ] {
            assert_eq!(parse(&text).unwrap(), [one.clone(), one.clone()], "{text}");
        }
        assert_eq!(&parse(&pretty).unwrap()[0], one);
        for (text, want) in [
            ("", "no report"),
            ("[]", "no report"),
            (r#"{"version":1}"#, "line 1: missing field `unit`"),
            (r#"{"version":2,"unit":"1"}"#, "line 1: it is of version 2"),
            (r#"[{"version":1,"unit":"a b"}]"#, "line 1: a unit's id is"),
            (
                &format!("{json}\n{{\"version\":1,\"unit\":\"1\",\"imei\":\"1\"}}"),
                "line 2: an IMEI",
            ),
            (&format!("{json}\n{}", sms.replace("490", "491")), "line 2: its check"),
            ("A7670E/9 1 - - - - - 00000000", "line 1: it is of version A7670E/9"),
            ("hello", "line 1: "),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
