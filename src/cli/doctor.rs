//! `a7670e doctor`: the report that one would otherwise make by hand with a
//! terminal program, with what each error means.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::args::Asked;
use super::client::{Client, write_out};
use crate::modem::transcript::Redactor;
use crate::protocol::{AtAnswer, Params};
use crate::random;

/// On top of the modem's own time, what is before the command in the queue.
const QUEUE: Duration = Duration::from_secs(300);

/// A question to the modem.
struct Question {
    command: &'static str,
    about: &'static str,
    /// Why an error here is harmless; none where it is a finding.
    harmless: Option<&'static str>,
}

const fn must(command: &'static str, about: &'static str) -> Question {
    Question { command, about, harmless: None }
}

const fn may(command: &'static str, about: &'static str, harmless: &'static str) -> Question {
    Question { command, about, harmless: Some(harmless) }
}

/// None of them changes anything. Which fail on healthy modems is known from the
/// SIMCom A76XX AT Command Manual V1.09 (what is not in it) and from owners'
/// logs.
const QUESTIONS: &[Question] = &[
    must("ATI", "who it is"),
    must("AT+CGMR", "firmware"),
    must("AT+CGSN", "IMEI"),
    must("AT+CFUN?", "radio on"),
    must("AT+CPIN?", "SIM ready"),
    may("AT+CICCID", "SIM's number", "only a SIM that is ready has one"),
    may("AT+SPIC", "tries left for PIN and PUK", "SIM7600 counts them elsewhere"),
    may("AT+CLCK=\"SC\",2", "whether the SIM asks for a PIN", "needs a SIM"),
    may("AT+CLCK=\"PN\",2", "network lock", "A7670E answers 100 to this: it has no such lock"),
    must("AT+CSQ", "signal"),
    must("AT+CPSI?", "cell"),
    may("AT+CESQ", "signal in finer steps", "not in the A76XX manual"),
    must("AT+CEREG?", "registration for LTE data"),
    must("AT+CGREG?", "registration for GSM data"),
    must("AT+COPS?", "operator"),
    may("AT+CPOL=,2", "format of the list of operators", "A7670E answers 21 to this"),
    must("AT+CGDCONT=?", "kinds of data context"),
    must("AT+CGDCONT?", "data contexts and their APN"),
    may("AT+CGAUTH?", "authentication", "some firmware cannot tell"),
    must("AT+CGPADDR=1", "address"),
    may("AT+CNMP?", "networks to use", "data-only models refuse"),
    may("AT+CNBP?", "bands to use", "data-only models refuse"),
    may("AT+DIALMODE?", "dials by itself (0)", "A76XX only"),
    may("AT$MYCONFIG?", "function on USB", "A76XX only"),
    may("AT+USBNETIP?", "its own network", "newer A76XX firmware only"),
    may("AT+CUSBPIDSWITCH?", "USB composition", "SIM7600 only; an A7670E answers ERROR"),
    may("AT+CNAOP?", "order of networks", "not in the A76XX manual"),
    may("AT+WS46=?", "radio technologies", "not in the A76XX manual"),
    may("AT*CNTI=2", "radio technologies", "not in the A76XX manual"),
    may("AT+CMGF?", "text messages", "data-only models (LNXY) refuse: they have no SMS"),
    may("AT+CPMS?", "room for text messages", "data-only models (LNXY) refuse"),
    may("AT+CSCA?", "SMS centre", "data-only models (LNXY) refuse"),
    may("AT*IMSRCFG=\"switch\"", "IMS, which USSD needs off", "not all firmware has it"),
];

/// One line of the report.
#[derive(Debug, Serialize)]
struct Finding {
    command: &'static str,
    about: &'static str,
    ok: bool,
    took_ms: Option<u64>,
    answer: Vec<String>,
    /// Why a failure is no matter; none for one that is.
    harmless: Option<&'static str>,
}

/// Asks everything and shows the report; ten seconds with a healthy modem.
///
/// # Errors
/// There is no modem, its port is closed, or the kernel has no random bytes.
pub fn doctor(client: &mut Client, asked: &Asked) -> Result<()> {
    // The modem's own numbers are shortened in status; here they are replaced.
    let salt = random::salt().context("no report, as your numbers could not be hidden in it")?;
    let redactor = Redactor::new(salt);
    let mut findings = Vec::new();
    for question in QUESTIONS {
        let params = Params {
            modem: asked.modem.clone(),
            command: Some(question.command.to_owned()),
            ..Params::default()
        };
        let answer: AtAnswer = client.ask("at", params, QUEUE)?;
        let mut lines = answer.lines;
        if !answer.ok {
            lines.push(answer.result);
        }
        let finding = Finding {
            command: question.command,
            about: question.about,
            ok: answer.ok,
            took_ms: answer.took_ms,
            answer: lines.iter().map(|line| redactor.line(line)).collect(),
            harmless: question.harmless.filter(|_| !answer.ok),
        };
        if !asked.json {
            write_out(&text(&finding))?;
        }
        findings.push(finding);
    }
    if asked.json {
        return write_out(&super::line(&findings)?);
    }
    let status = client.status(asked)?;
    write_out(&format!("\n{}\n{}", super::why::render(&status), summary(&findings)))
}

fn text(finding: &Finding) -> String {
    let mut out = String::new();
    let took = finding.took_ms.map_or(String::new(), |took| format!("{took} ms"));
    let mark = match (finding.ok, finding.harmless) {
        (true, _) => "ok",
        (false, Some(_)) => "--",
        (false, None) => "!!",
    };
    // Writing to a String cannot fail.
    _ = writeln!(out, "{mark} {:<22} {:>7}  {}", finding.command, took, finding.about);
    for line in &finding.answer {
        _ = writeln!(out, "     {line}");
    }
    if let Some(harmless) = finding.harmless {
        _ = writeln!(out, "     harmless: {harmless}");
    }
    out
}

fn summary(findings: &[Finding]) -> String {
    let count = |test: fn(&&Finding) -> bool| findings.iter().filter(test).count();
    let harmless = count(|finding| finding.harmless.is_some());
    let bad: Vec<&str> = findings
        .iter()
        .filter(|finding| !finding.ok && finding.harmless.is_none())
        .map(|finding| finding.command)
        .collect();
    let slowest = findings.iter().max_by_key(|finding| finding.took_ms);
    let mut out = format!(
        "{} questions, {} answered, {harmless} refused harmlessly",
        findings.len(),
        count(|finding| finding.ok)
    );
    if let Some((command, took)) = slowest.and_then(|one| Some((one.command, one.took_ms?))) {
        // Writing to a String cannot fail.
        _ = write!(out, "; slowest {command}, {took} ms");
    }
    if !bad.is_empty() {
        _ = write!(out, "\nnot harmless: {}", bad.join(", "));
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::at::Command;

    /// Commands that ask although they have no question mark.
    const ASK_BY_THEMSELVES: [&str; 13] = [
        "ATI",
        "AT+CGMR",
        "AT+CGSN",
        "AT+CICCID",
        "AT+SPIC",
        "AT+CSQ",
        "AT+CESQ",
        "AT*CNTI=2",
        "AT+CGPADDR=1",
        "AT+CLCK=\"SC\",2",
        "AT+CLCK=\"PN\",2",
        "AT+CPOL=,2",
        "AT*IMSRCFG=\"switch\"",
    ];

    #[test]
    fn every_question_is_a_command_that_asks() {
        for question in QUESTIONS {
            assert!(Command::typed(question.command).is_ok(), "{}", question.command);
            let asks =
                question.command.contains('?') || ASK_BY_THEMSELVES.contains(&question.command);
            assert!(asks, "{} changes something", question.command);
        }
    }

    #[test]
    fn what_matters_is_told_from_what_does_not() {
        let finding = |command, ok, harmless| Finding {
            command,
            about: "x",
            ok,
            took_ms: Some(7),
            answer: Vec::new(),
            harmless,
        };
        let all = [
            finding("ATI", true, None),
            finding("AT+CESQ", false, Some("it is")),
            finding("AT+CPIN?", false, None),
        ];
        let text = summary(&all);
        assert!(text.starts_with("3 questions, 1 answered, 1 refused harmlessly"), "{text}");
        assert!(text.contains("not harmless: AT+CPIN?"), "{text}");
    }
}
