//! A PPP call on the modem port: `ATD*99#` or `ATD*99***1#`, up to `NO CARRIER`.

use std::time::Duration;

use super::{Action, Modem, Port};
use crate::at::{Failure, Outcome};
use crate::data::far::RESOLVER;
use crate::data::neighbour;
use crate::ppp::{Addresses, Call, Step};

/// The access point's data call; a number behind three asterisks names the context
/// (3GPP TS 27.007 section 10.2.1.1).
const SERVICE: &str = "*99";

impl Modem {
    /// `ATD`. A unit that dials for itself refuses (A76XX manual, `AT+DIALMODE`).
    pub(crate) fn dial(&mut self, port: Port, number: &str) -> Outcome {
        let rest = number.strip_prefix(SERVICE).and_then(|rest| rest.strip_suffix('#'));
        let context = rest.and_then(|rest| match rest.strip_prefix("***") {
            Some(number) => number.parse().ok(),
            None => rest.is_empty().then_some(1),
        });
        let kind = context.and_then(|it| self.contexts.get(&it)).map(|(kind, _)| kind.as_str());
        let (Some(context), Some(kind), Port::Modem, false) = (context, kind, port, self.dials)
        else {
            return Err(Failure::Error);
        };
        // The network gives IPv4 addresses only, and one to each access point.
        if !self.pdn || !self.admits(context) || kind.eq_ignore_ascii_case("IPV6") {
            return Ok(vec!["NO CARRIER".into()]);
        }
        let host = self.profile.cell.address;
        let (_, peer) = neighbour(host);
        self.call = Some(Call::new(self.now, Addresses { host, peer, dns: RESOLVER }));
        Ok(vec!["CONNECT 115200".into()])
    }

    /// Whether the port carries PPP and no commands.
    pub(super) fn carries(&self, port: Port) -> bool {
        port == Port::Modem && self.call.is_some()
    }

    /// Bytes from the host to the call.
    pub(super) fn hear_call(&mut self, bytes: &[u8]) {
        if let Some(call) = &mut self.call {
            call.receive(self.now, bytes);
            self.tend_call();
        }
    }

    /// A packet from the network for the host of the call.
    pub fn from_network(&mut self, now: Duration, packet: &[u8]) {
        self.advance(now);
        if let Some(call) = &mut self.call {
            call.send_packet(packet);
            self.tend_call();
        }
    }

    /// What is due by now, and what the call wants done.
    pub(super) fn tend_call(&mut self) {
        let Some(call) = &mut self.call else { return };
        if !self.pdn {
            call.hang_up();
        }
        call.advance(self.now);
        for step in call.take() {
            match step {
                Step::Serial(bytes) => self.send(Port::Modem, bytes),
                Step::Packet(packet) => self.out.push(Action::Packet(packet)),
                Step::End => self.end_call(),
            }
        }
    }

    /// The port takes commands again.
    pub(super) fn end_call(&mut self) {
        if self.call.take().is_some() {
            self.send(Port::Modem, b"\r\nNO CARRIER\r\n".to_vec());
            self.tell_link();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultScript;
    use crate::profile::Profile;

    fn ask(modem: &mut Modem, port: Port, command: &str) -> Vec<u8> {
        let now = modem.now;
        modem.write(now, port, format!("{command}\r").as_bytes());
        modem.advance(now + Duration::from_millis(11));
        let bytes = modem.take().into_iter().filter_map(|action| match action {
            Action::Serial { port: from, bytes } if from == port => Some(bytes),
            _ => None,
        });
        bytes.flatten().collect()
    }

    /// A modem that has registered and does not dial for itself.
    fn booted() -> Modem {
        let mut modem = Modem::new(Profile::load("a7670e-ecm").unwrap(), FaultScript::default(), 0);
        modem.advance(Duration::from_secs(20));
        assert!(ask(&mut modem, Port::At, "AT+DIALMODE=1").ends_with(b"OK\r\n"));
        modem
    }

    #[test]
    fn a_call_begins_with_connect_and_a_frame_of_the_modem() {
        let mut modem = booted();
        let said = ask(&mut modem, Port::Modem, "ATD*99***1#");
        let text = String::from_utf8_lossy(&said);
        assert!(text.starts_with("ATD*99***1#\r\r\nCONNECT 115200\r\n~"), "{text:?}");
        assert!(modem.link().call && !modem.link().forwarding);
        // What is said now is PPP's, and no command.
        assert_eq!(ask(&mut modem, Port::Modem, "AT"), b"");
        // The other port still takes commands.
        assert!(ask(&mut modem, Port::At, "AT").ends_with(b"OK\r\n"));
    }

    #[test]
    fn a_call_ends_with_its_line() {
        let mut modem = booted();
        ask(&mut modem, Port::Modem, "ATD*99#");
        modem.line_state(modem.now, Port::Modem, false);
        let said: Vec<_> = modem.take();
        assert!(said.iter().any(|action| matches!(action, Action::Serial { bytes, .. }
            if bytes.ends_with(b"NO CARRIER\r\n"))));
        assert!(!modem.link().call);
        assert!(ask(&mut modem, Port::Modem, "AT").ends_with(b"OK\r\n"));
    }

    #[test]
    fn the_network_ends_a_call() {
        let mut modem = booted();
        ask(&mut modem, Port::Modem, "ATD*99#");
        let now = modem.now;
        modem.inflict(now, crate::fault::Effect::PdnDeact { text: "NW PDN DEACT 1".into() });
        modem.advance(now);
        assert!(!modem.link().call);
    }

    #[test]
    fn a_modem_that_dials_for_itself_refuses_and_so_do_other_numbers() {
        let mut modem = booted();
        for number in
            ["ATD*98#", "ATD*991#", "ATD*99*1#", "ATD*99***2#", "ATD*99***1", "ATD+254700000001;"]
        {
            assert!(ask(&mut modem, Port::Modem, number).ends_with(b"ERROR\r\n"), "{number}");
        }
        ask(&mut modem, Port::At, "AT+CGDCONT=2,\"IP\",\"nowhere\"");
        assert!(ask(&mut modem, Port::Modem, "ATD*99***2#").ends_with(b"NO CARRIER\r\n"));
        assert!(ask(&mut modem, Port::At, "ATD*99#").ends_with(b"ERROR\r\n"));
        ask(&mut modem, Port::At, "AT+DIALMODE=0");
        assert!(ask(&mut modem, Port::Modem, "ATD*99#").ends_with(b"ERROR\r\n"));
    }
}
