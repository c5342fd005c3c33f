//! The modem in ModemManager's hands, and back.

use anyhow::{Result, bail, ensure};

use super::scenario::{Scenario, Step, Until, run};
use super::scenarios::{RECEIVE, SEND, has_come, no_messages, served, three_parts, verdict};

/// As it was before.
pub const PLAIN: &str = "rm -f /etc/a7670e.toml && systemctl restart a7670e";

/// Waits until this one has the AT port, and knows how the modem is.
pub fn held(about: &'static str, holder: &'static str) -> [Step; 2] {
    [
        run(about, "a7670e control --json", Until::Json("/holder", holder), 240),
        run("settled", "a7670e control --json", Until::Json("/settled", "true"), 120),
    ]
}

/// A long message each way through ModemManager, which shows the one that came
/// before the service has taken it.
pub fn messages() -> Scenario {
    let managed = "printf '[modem]\\ncontrol = \"modemmanager\"\\n' >/etc/a7670e.toml && \
        systemctl restart a7670e && echo done";
    let shown = "for sms in $(mmcli --modem any --messaging-list-sms | grep -o '/SMS/[0-9]*'); do \
        mmcli --sms ${sms##*/}; done";
    let empty = "mmcli --modem any --messaging-list-sms";
    let mut steps = vec![
        run("configured", managed, Until::Says("done"), 30),
        Step::Plug,
        verdict("online", "online", 240),
    ];
    steps.extend(held("given away", "modemmanager"));
    steps.extend([
        run("mmcli", "mmcli --modem any", Until::Says("registered"), 120),
        no_messages(),
        run("accepted", SEND, Until::Json("/0/state", "accepted"), 20),
        run("reported", "a7670e sms outbox --json", Until::Json("/0/state", "reported"), 120),
        Step::Sent(Until::Holds(three_parts)),
        Step::Upset("systemctl kill --signal=STOP a7670e"),
        Step::Inflict(RECEIVE),
        run("shown by mmcli", shown, Until::Says("4714."), 20),
        Step::Upset("systemctl kill --signal=CONT a7670e"),
        run("received", "a7670e sms list --json", Until::Holds(has_come), 120),
        run("gone from mmcli", empty, Until::Says("No sms messages were found"), 60),
        verdict("still online", "online", 30),
        Step::Upset(PLAIN),
    ]);
    Scenario {
        name: "messages-modemmanager",
        profile: "a7670e-ecm",
        faults: "",
        boot_ms: Some(1000),
        without: &[],
        steps,
    }
}

/// The name of the changes of hands. They take minutes: by their name, or that of
/// the part.
pub const HANDOVER: &str = "handover";

/// The name of the step whose answer is the pauses of the flow.
pub const FLOW: &str = "flow";

/// To ModemManager and back, five times, while packets flow.
pub fn handover() -> Scenario {
    let mut there_and_back =
        vec![run("told", "a7670e control modemmanager", Until::Says("ModemManager"), 20)];
    there_and_back.extend(held("given away", "modemmanager"));
    there_and_back.push(run("told back", "a7670e control direct", Until::Says("service"), 20));
    there_and_back.extend(held("taken back", "service"));
    served(
        HANDOVER,
        "a7670e-ecm",
        vec![
            Step::Upset(
                "rm -f /run/a7670e-stop; (flow 192.0.2.80 /run/a7670e-stop >/run/a7670e-flow 2>&1; \
                 touch /run/a7670e-flowed) >/dev/null 2>&1 &",
            ),
            Step::Repeat(5, there_and_back),
            verdict("still online", "online", 30),
            Step::Upset("touch /run/a7670e-stop"),
            run("stopped", "ls /run/a7670e-flowed", Until::Says("flowed"), 20),
            run(FLOW, "cat /run/a7670e-flow", Until::Holds(flowed), 20),
            Step::Upset("rm -f /run/a7670e-stop /run/a7670e-flow /run/a7670e-flowed"),
        ],
    )
}

/// Whether packets flowed, nearly all of them; the pauses are told, not judged, as
/// the emulated machine has its own.
fn flowed(said: &str) -> Result<()> {
    let mut lines: Vec<&str> = said.lines().collect();
    let counts = lines.pop().unwrap_or_default();
    let numbers = counts.split_once(" of ").and_then(|(answers, sent)| {
        Some((answers.parse::<u32>().ok()?, sent.parse::<u32>().ok()?))
    });
    let Some((answers, sent)) = numbers else { bail!("the flow ended by {said:?}") };
    ensure!(answers > 100 && answers * 10 > sent * 9, "only {counts} were answered: {lines:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_with_few_answers_is_none() {
        assert!(flowed("1000 300\n950 of 1000\n").is_ok());
        assert!(flowed("1000 300\n850 of 1000\n").is_err());
        assert!(flowed("9 of 9\n").is_err());
        assert!(flowed("").is_err());
    }
}
