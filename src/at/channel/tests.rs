//! Tests of the dialogue, in virtual time.

use proptest::prelude::*;

use super::*;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A channel whose port answers, at time 0.
fn ready() -> Channel {
    let mut channel = Channel::default();
    channel.opened(at(0));
    channel.receive(at(0), b"AT\r\r\nOK\r\n");
    assert_eq!(drain(&mut channel), [write("AT\r"), Output::Answering]);
    channel
}

fn drain(channel: &mut Channel) -> Vec<Output> {
    std::iter::from_fn(|| channel.take()).collect()
}

fn write(text: &str) -> Output {
    Output::Write(text.into())
}

fn urc(line: &str) -> Output {
    Output::Urc(Urc { line: line.into(), data: None })
}

fn done(id: u32, lines: &[&str], ms: u64) -> Output {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    Output::Done(Done { id, result: Ok(Reply { lines, result: Final::Ok, took: at(ms) }) })
}

fn failed(id: u32, error: AtError) -> Output {
    Output::Done(Done { id, result: Err(error) })
}

/// Lets time pass up to `until`, as the caller's loop would.
fn pass(channel: &mut Channel, until: Duration) -> Vec<Output> {
    let mut outputs = Vec::new();
    while let Some(when) = channel.next_event().filter(|when| *when <= until) {
        channel.advance(when);
        outputs.extend(drain(channel));
    }
    outputs
}

#[test]
fn one_command_at_a_time() {
    let mut channel = ready();
    let first = channel.submit(at(1), Command::new("AT+CSQ"));
    let second = channel.submit(at(1), Command::new("AT+CIMI"));
    assert_eq!(drain(&mut channel), [write("AT+CSQ\r")]);
    channel.receive(at(11), b"AT+CSQ\r\r\n+CSQ: 20,99\r\n\r\nOK\r\n");
    assert_eq!(drain(&mut channel), [done(first, &["+CSQ: 20,99"], 10), write("AT+CIMI\r")]);
    channel.receive(at(12), b"\r\n639020000000001\r\n\r\nOK\r\n");
    assert_eq!(drain(&mut channel), [done(second, &["639020000000001"], 1)]);
    assert!(channel.is_idle());
}

#[test]
fn a_code_in_the_middle_of_a_reply_is_told_apart() {
    let mut channel = ready();
    let id = channel.submit(at(1), Command::new("AT+CGDCONT?"));
    channel.receive(
        at(2),
        b"\r\n+CGDCONT: 1,\"IP\",\"a\"\r\n\r\n+CMTI: \"SM\",1\r\n\r\n+CGDCONT: 2,\"IP\",\"b\"\r\n\
          \r\n+CDS: 2\r\n07AB\r\n\r\nOK\r\n",
    );
    let report = Urc { line: "+CDS: 2".into(), data: Some("07AB".into()) };
    assert_eq!(
        drain(&mut channel),
        [
            write("AT+CGDCONT?\r"),
            urc("+CMTI: \"SM\",1"),
            Output::Urc(report),
            done(id, &["+CGDCONT: 1,\"IP\",\"a\"", "+CGDCONT: 2,\"IP\",\"b\""], 1),
        ]
    );
}

#[test]
fn the_text_of_a_code_may_have_lines() {
    let mut channel = ready();
    let id = channel.submit(at(0), Command::new("AT+CSQ"));
    drain(&mut channel);
    channel.receive(at(5), b"+CUSD: 1,\"1 Data\r\n2 OK\r\nOK\",15\r\n+CSQ: 20,99\r\nOK\r\n");
    let menu = urc("+CUSD: 1,\"1 Data\n2 OK\nOK\",15");
    assert_eq!(drain(&mut channel), [menu, done(id, &["+CSQ: 20,99"], 5)]);
    // An inch in the text takes nothing of what follows.
    let id = channel.submit(at(6), Command::new("AT+CSQ"));
    drain(&mut channel);
    channel.receive(at(6), b"+CUSD: 0,\"A 7\" screen\",15\r\n+CSQ: 20,99\r\nOK\r\n");
    let offer = urc("+CUSD: 0,\"A 7\" screen\",15");
    assert_eq!(drain(&mut channel), [offer, done(id, &["+CSQ: 20,99"], 0)]);
    // Cut short, it takes what comes in the same breath at most.
    channel.receive(at(7), b"+CUSD: 0,\"cut\r\n");
    let id = channel.submit(at(2000), Command::new("AT+CSQ"));
    drain(&mut channel);
    channel.receive(at(2010), b"+CSQ: 20,99\r\nOK\r\n");
    let cut = urc("+CUSD: 0,\"cut");
    assert_eq!(drain(&mut channel), [cut, done(id, &["+CSQ: 20,99"], 10)]);
    // One that never ends takes no more than it may have.
    channel.receive(at(2020), b"+CUSD: 1,\"x\r\n");
    for _ in 0..200 {
        channel.receive(at(2021), b"0123456789\r\n");
    }
    let told = drain(&mut channel);
    assert!(matches!(&told[0], Output::Urc(urc) if urc.line.len() < 2000), "{told:?}");
}

#[test]
fn a_line_that_may_be_reply_or_code_is_judged_by_who_asked() {
    let mut channel = ready();
    // Nobody asked.
    channel.receive(at(1), b"\r\n+CEREG: 2\r\n\r\n+CPIN: READY\r\n");
    assert_eq!(drain(&mut channel), [urc("+CEREG: 2"), urc("+CPIN: READY")]);
    // Asked, and a code of the same name slips in.
    let id = channel.submit(at(2), Command::new("AT+CEREG?"));
    channel.receive(
        at(3),
        b"\r\n+CEREG: 1,0957,0A89DD70,7\r\n\r\n+CEREG: 2,1,0957,0A89DD70\r\n\r\nOK\r\n",
    );
    assert_eq!(
        drain(&mut channel)[1..],
        [urc("+CEREG: 1,0957,0A89DD70,7"), done(id, &["+CEREG: 2,1,0957,0A89DD70"], 1)]
    );
    // Asked, refused, and the code comes before the refusal.
    let id = channel.submit(at(4), Command::new("AT+CPIN?"));
    channel.receive(at(5), b"\r\n+CPIN: READY\r\n\r\n+CME ERROR: 13\r\n");
    let refused = AtError::Refused(Final::parse("+CME ERROR: 13").unwrap());
    assert_eq!(drain(&mut channel)[1..], [urc("+CPIN: READY"), failed(id, refused)]);
    // Set, not asked.
    let id = channel.submit(at(6), Command::new("AT+CEREG=2"));
    channel.receive(at(7), b"\r\n+CEREG: 0,2\r\n\r\nOK\r\n");
    assert_eq!(drain(&mut channel)[1..], [urc("+CEREG: 0,2"), done(id, &[], 1)]);
}

#[test]
fn text_is_sent_at_the_prompt_only() {
    let mut channel = ready();
    let id = channel.submit(at(1), Command::new("AT+CMGS=3").with_payload("00AB"));
    channel.receive(at(2), b"AT+CMGS=3\r\r\n> ");
    assert_eq!(drain(&mut channel), [write("AT+CMGS=3\r"), write("00AB\u{1a}")]);
    channel.receive(at(3), b"00AB\x1a\r\n+CMGS: 4\r\n\r\nOK\r\n");
    assert_eq!(drain(&mut channel), [done(id, &["+CMGS: 4"], 2)]);
}

#[test]
fn the_port_is_probed_until_it_answers() {
    let mut channel = Channel::default();
    channel.opened(at(0));
    assert_eq!(drain(&mut channel), [write("AT\r")]);
    let id = channel.submit(at(0), Command::new("ATE0"));
    assert_eq!(pass(&mut channel, at(700)), [write("AT\r"), write("AT\r")]);
    assert_eq!(channel.silent_since(), Some(at(0)));
    channel.receive(at(710), b"\r\n*ATREADY: 1\r\n");
    assert_eq!(
        drain(&mut channel),
        [urc("*ATREADY: 1"), failed(id, AtError::Restarted), write("AT\r")]
    );
    channel.receive(at(720), b"AT\r\r\nOK\r\n");
    assert_eq!(drain(&mut channel), [Output::Answering]);
    assert_eq!(channel.silent_since(), None);
}

#[test]
fn answers_to_several_probes_are_not_taken_for_those_of_commands() {
    let mut channel = Channel::default();
    channel.opened(at(0));
    let id = channel.submit(at(0), Command::new("AT+CIMI"));
    pass(&mut channel, at(400));
    channel.receive(at(500), b"\r\nOK\r\n");
    channel.receive(at(550), b"\r\nOK\r\n");
    assert_eq!(pass(&mut channel, at(660)), [Output::Answering, write("AT+CIMI\r")]);
    channel.receive(at(670), b"\r\n1\r\n\r\nOK\r\n");
    assert_eq!(drain(&mut channel), [done(id, &["1"], 20)]);
}

#[test]
fn a_wedged_port_is_drained_probed_and_at_last_reopened() {
    let mut channel = ready();
    let lost = channel.submit(at(0), Command::new("AT+CIMI"));
    let next = channel.submit(at(0), Command::new("AT+CSQ"));
    drain(&mut channel);
    channel.advance(at(9000));
    let timed_out = failed(lost, AtError::TimedOut(at(9000)));
    assert_eq!(drain(&mut channel), [write("\r"), timed_out]);
    // The late answer is let pass, and the next command is not lost.
    channel.receive(at(9100), b"\r\n639020000000001\r\n\r\nOK\r\n");
    assert_eq!(pass(&mut channel, at(9400)), [write("AT\r")]);
    channel.receive(at(9410), b"\r\nOK\r\n");
    assert_eq!(drain(&mut channel), [Output::Answering, write("AT+CSQ\r")]);
    // Now it is dead.
    let outputs = pass(&mut channel, at(60_000));
    assert_eq!(outputs[1], failed(next, AtError::TimedOut(at(9000))));
    assert_eq!(outputs.last(), Some(&Output::Reopen));
    assert_eq!(channel.next_event(), None);
    channel.opened(at(60_000));
    assert_eq!(drain(&mut channel), [write("AT\r")]);
}

#[test]
fn a_time_out_at_the_prompt_leaves_the_prompt() {
    let mut channel = ready();
    channel.submit(at(0), Command::new("AT+CMGS=3").with_payload("00AB"));
    drain(&mut channel);
    channel.advance(at(40_000));
    assert_eq!(drain(&mut channel)[0], write("\u{1b}\r"));
}

#[test]
fn a_restart_ends_what_is_in_flight() {
    let mut channel = ready();
    let id = channel.submit(at(1), Command::new("AT+COPS?"));
    channel.receive(at(2), b"+COPS: 0,\xff\x00\x13*ATRE\r\n\r\n*ATREADY: 1\r\n");
    assert_eq!(
        drain(&mut channel)[1..],
        [urc("*ATREADY: 1"), failed(id, AtError::Restarted), write("AT\r")]
    );
}

#[test]
fn cancelled_commands_end_once() {
    let mut channel = ready();
    let flying = channel.submit(at(1), Command::new("AT+COPS=?"));
    let waiting = channel.submit(at(1), Command::new("AT+CSQ"));
    drain(&mut channel);
    channel.flush();
    assert_eq!(
        drain(&mut channel),
        [failed(waiting, AtError::Cancelled), failed(flying, AtError::Cancelled)]
    );
    let next = channel.submit(at(2), Command::new("AT+CIMI"));
    assert_eq!(drain(&mut channel), [], "the modem is still busy with the first");
    channel.receive(at(3), b"\r\nOK\r\n");
    assert_eq!(drain(&mut channel), [write("AT+CIMI\r")]);
    channel.closed();
    assert_eq!(drain(&mut channel), [failed(next, AtError::PortClosed)]);
}

#[test]
fn the_queue_is_bounded() {
    let mut channel = Channel::default();
    let ids: Vec<u32> =
        (0..=MAX_QUEUE).map(|_| channel.submit(at(0), Command::new("AT"))).collect();
    assert_eq!(drain(&mut channel), [failed(ids[MAX_QUEUE], AtError::QueueFull)]);
}

proptest! {
    /// However the bytes are cut, the same comes out.
    #[test]
    fn cuts_make_no_difference(cuts: Vec<u8>) {
        let said = b"AT+CEREG?\r\r\n+CEREG: 1,0957,0A89DD70,7\r\n\r\n+CMTI: \"SM\",1\r\n\r\n\
            +CEREG: 2,1,0957,0A89DD70\r\n\r\nOK\r\n\r\n+CDS: 2\r\n07AB\r\nPB DONE\r\n";
        let run = |cuts: &[u8]| {
            let mut channel = ready();
            channel.submit(at(1), Command::new("AT+CEREG?"));
            let mut rest = &said[..];
            for cut in cuts {
                let (now, later) = rest.split_at(usize::from(*cut).min(rest.len()));
                channel.receive(at(2), now);
                rest = later;
            }
            channel.receive(at(2), rest);
            drain(&mut channel)
        };
        prop_assert_eq!(run(&cuts), run(&[]));
    }

    /// Whatever a port says, every command ends exactly once, and time always
    /// moves on.
    #[test]
    fn every_command_ends_once(noise: Vec<(Vec<u8>, u16)>) {
        let mut channel = Channel::default();
        channel.opened(at(0));
        let mut now = at(0);
        let mut open = std::collections::BTreeSet::new();
        let mut outputs = Vec::new();
        for (bytes, ms) in noise {
            open.insert(channel.submit(now, Command::new("AT+CPIN?")));
            channel.receive(now, &bytes);
            now += at(ms.into());
            outputs.extend(pass(&mut channel, now));
            outputs.extend(drain(&mut channel));
        }
        channel.closed();
        outputs.extend(drain(&mut channel));
        for output in outputs {
            if let Output::Done(done) = output {
                prop_assert!(open.remove(&done.id), "{} ended twice", done.id);
            }
        }
        prop_assert!(open.is_empty());
    }
}

#[test]
fn a_prompt_that_another_left_open_is_left() {
    let mut channel = Channel::default();
    channel.opened(at(0));
    let mut sent = drain(&mut channel);
    sent.extend(pass(&mut channel, at(1000)));
    let probe = || write("AT\r");
    assert_eq!(sent, [probe(), probe(), probe(), write("\u{1b}\rAT\r")]);
    // The end of the prompt, then the answer to the last probe.
    channel.receive(at(1010), b"\r\nOK\r\n\r\nOK\r\n");
    assert_eq!(pass(&mut channel, at(1300)), [Output::Answering]);
}
