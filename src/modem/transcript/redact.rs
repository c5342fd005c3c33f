//! Replacing what tells who and where the owner is.
//!
//! Each secret becomes another of the same length and kind, the same one each
//! time it occurs, so that a transcript still works as a dialogue.

use std::net::Ipv6Addr;

use sha2::{Digest, Sha256};

/// Runs of digits so long or longer are replaced: telephone numbers begin at
/// seven digits, IMEI and IMSI have 15, ICCID 19 or 20.
const LONG: usize = 7;

/// Runs of hexadecimal digits so long or longer are replaced: PDUs and SIM
/// records. EF_AD, which is needed, has eight.
const LONG_HEX: usize = 10;

/// Lines whose texts in quotes are personal: names, numbers, messages,
/// passwords, by what stands before.
const PERSONAL: &[&str] = &[
    "+CGAUTH", "+CPIN=", "+CLCK", "+CPWD", "+CNUM", "+CPBR", "+CPBF", "+CPBW", "+CUSD", "+CMGR",
    "+CMGL", "+CMGW", "+CMT:", "+CLIP", "+CLCC", "+CCFC", "+CSCA", "+HTTP", "+CFTPS", "+CSSLCFG",
    "+CMQTT", "$QCPDPP", "+CSDH", "+CSIM", "+CRSM",
];

/// Lines with area and cell, by the parameters that they may be in.
const PLACES: &[&str] = &["+CREG:", "+CGREG:", "+CEREG:", "+CPSI:", "+CNETCI:", "+CCED:"];

/// Starts of lines whose long numbers mean bands or firmware, not persons.
const HARMLESS: &[&str] = &["+CNBP:", "AT+CNBP=", "+CGMR:", "REVISION:"];

/// Replaces secrets.
pub struct Redactor {
    salt: [u8; 16],
}

impl Redactor {
    /// One whose replacements depend on `salt`.
    pub fn new(salt: [u8; 16]) -> Redactor {
        Redactor { salt }
    }

    /// A line of the dialogue, without its secrets.
    pub fn line(&self, line: &str) -> String {
        let upper = line.to_ascii_uppercase();
        let is = |list: &[&str]| list.iter().any(|name| upper.contains(name));
        if HARMLESS.iter().any(|start| upper.starts_with(start)) {
            return line.to_owned();
        }
        let line = if is(PERSONAL) { self.quoted(line) } else { line.to_owned() };
        let line = if is(PLACES) { self.place(&line) } else { line };
        self.tokens(&line)
    }

    /// Replaces all that stands in quotes; a quote that nothing ends reaches
    /// to the end.
    fn quoted(&self, line: &str) -> String {
        let parts = line.split('"').enumerate().map(|(at, part)| {
            if at % 2 == 1 { self.fake(part, Kind::Text) } else { part.to_owned() }
        });
        parts.collect::<Vec<_>>().join("\"")
    }

    /// Replaces the parameters of a registration line that are longer than a
    /// status or a technology: two digits. Names and band stay.
    fn place(&self, line: &str) -> String {
        let Some((name, rest)) = line.split_once(':') else { return line.to_owned() };
        let fields = rest.split(',').map(|field| {
            let digits = field.trim().trim_matches('"');
            let bare = digits.trim_start_matches("0x").trim_start_matches("0X");
            if bare.len() > 2 && bare.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                field.replace(bare, &self.fake(bare, Kind::Hex))
            } else {
                field.to_owned()
            }
        });
        format!("{name}:{}", fields.collect::<Vec<_>>().join(","))
    }

    /// Replaces what is secret by its look: addresses, long numbers, long
    /// hexadecimal numbers.
    fn tokens(&self, line: &str) -> String {
        let mut out = String::with_capacity(line.len());
        let mut rest = line;
        while !rest.is_empty() {
            let is_token = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':');
            let end = rest.find(|c| !is_token(c)).unwrap_or(rest.len());
            if end == 0 {
                let next = rest.find(is_token).unwrap_or(rest.len());
                out.push_str(&rest[..next]);
                rest = &rest[next..];
                continue;
            }
            out.push_str(&self.token(&rest[..end]));
            rest = &rest[end..];
        }
        out
    }

    fn token(&self, token: &str) -> String {
        if token.parse::<Ipv6Addr>().is_ok() || token.matches('.').count() >= 3 {
            // TS 27.007 §10.1.1 writes IPv6 as 16 decimal octets with dots.
            let kind = if token.contains(':') { Kind::Hex } else { Kind::Octet };
            return each_run(token, |run| self.fake(run, kind));
        }
        each_run(token, |run| {
            let decimal = run.bytes().all(|byte| byte.is_ascii_digit());
            match run.len() {
                length if decimal && length >= LONG => self.fake(run, Kind::Digits),
                length if length >= LONG_HEX => self.fake(run, Kind::Hex),
                _ => self.runs_of_digits(run),
            }
        })
    }

    /// A number that touches letters a to f is still one.
    fn runs_of_digits(&self, text: &str) -> String {
        let parts = text.split_inclusive(|c: char| !c.is_ascii_digit()).map(|part| {
            let number = part.trim_end_matches(|c: char| !c.is_ascii_digit());
            if number.len() >= LONG {
                part.replacen(number, &self.fake(number, Kind::Digits), 1)
            } else {
                part.to_owned()
            }
        });
        parts.collect()
    }

    /// Another text of the same length and kind, the same each time.
    fn fake(&self, text: &str, kind: Kind) -> String {
        let mut round = 0_u32;
        loop {
            let mut stream = Stream { seed: (self.salt, text, round), block: [0; 32], at: 32 };
            let fake: String = text
                .chars()
                .enumerate()
                .map(|(at, c)| kind.replace(c, at, text.len(), stream.next()))
                .collect();
            round += 1;
            // A text with nothing to replace stays; any other must change, and
            // one digit is soon another by chance.
            if fake != text || round > 64 {
                return fake;
            }
        }
    }
}

/// Applies `change` to what stands between dots and colons.
fn each_run(token: &str, change: impl Fn(&str) -> String) -> String {
    let parts = token.split_inclusive(['.', ':']).map(|part| {
        let run = part.trim_end_matches(['.', ':']);
        format!(
            "{}{}",
            if run.is_empty() { String::new() } else { change(run) },
            &part[run.len()..]
        )
    });
    parts.collect()
}

#[derive(Clone, Copy)]
enum Kind {
    Digits,
    Hex,
    Octet,
    Text,
}

impl Kind {
    fn replace(self, c: char, at: usize, length: usize, random: u8) -> char {
        let digit = |below: u8| char::from(b'0' + random % below);
        match self {
            // 0 to 199: valid whatever the others are, with no zero in front.
            Kind::Octet if length == 3 && at == 0 => '1',
            Kind::Octet if length == 2 && at == 0 => char::from(b'1' + random % 9),
            Kind::Digits | Kind::Octet => digit(10),
            Kind::Hex => char::from(b"0123456789ABCDEF"[usize::from(random % 16)]),
            Kind::Text if c.is_ascii_digit() => digit(10),
            Kind::Text if c == '+' || c == ',' || c == '#' || c == '*' => c,
            Kind::Text => char::from(b'a' + random % 26),
        }
    }
}

/// Bytes that follow from a salt and a text.
struct Stream<'a> {
    seed: ([u8; 16], &'a str, u32),
    block: [u8; 32],
    at: usize,
}

impl Stream<'_> {
    fn next(&mut self) -> u8 {
        if self.at == self.block.len() {
            let (salt, text, round) = self.seed;
            let digest = Sha256::new()
                .chain_update(salt)
                .chain_update(round.to_le_bytes())
                .chain_update(self.block)
                .chain_update(text);
            self.block = digest.finalize().into();
            self.at = 0;
        }
        self.at += 1;
        self.block[self.at - 1]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redact(line: &str) -> String {
        Redactor::new([7; 16]).line(line)
    }

    #[test]
    fn what_is_needed_stays() {
        for line in [
            "OK",
            "+CSQ: 20,99",
            "+CPIN: READY",
            "+CGDCONT: 1,\"IP\",\"safaricom\"",
            "+CME ERROR: 13",
            "+CGMR: A110B03A7670M7",
            "+COPS: 0,0,\"Safaricom\",7",
            "+CNBP: 0X0000000000000180,0X0000000040080085,0X0080",
            "+CEREG: 2,1",
            "$MYCONFIG: \"usbnetmode\",1,1",
        ] {
            assert_eq!(redact(line), line);
        }
    }

    #[test]
    fn the_same_each_time_and_of_the_same_shape() {
        let imei = redact("862771071659240");
        assert_eq!(imei, redact("862771071659240"));
        assert_eq!(redact("+X: \"862771071659240\""), format!("+X: \"{imei}\""));
        let line = redact("+CEREG: 1,0957,0A89DD70,7");
        assert!(line.starts_with("+CEREG: 1,") && line.ends_with(",7"), "{line}");
        let address = redact("+CGPADDR: 1,10.158.12.34");
        let address = address.strip_prefix("+CGPADDR: 1,").unwrap();
        assert!(address.parse::<std::net::Ipv4Addr>().is_ok(), "{address}");
        let cell = redact("+CPSI: LTE,Online,639-02,0x0957,176807280,130,EUTRAN-BAND20,6400,3");
        assert!(cell.contains("639-02") && cell.contains("EUTRAN-BAND20"), "{cell}");
    }

    proptest! {
        #[test]
        fn no_secret_survives(
            number in "[0-9]{15}",
            iccid in "89[0-9]{17,18}",
            phone in "\\+[0-9]{9,14}",
            password in "[!#-~]{4,20}",
            cell in "[0-9A-F]{8}",
            area in "[0-9A-F]{4}",
            octets: [u8; 4],
            groups in prop::array::uniform8(0x1000_u16..),
            pdu in "([0-9A-F]{2}){10,80}",
        ) {
            let v4 = std::net::Ipv4Addr::from(octets).to_string();
            let v6 = std::net::Ipv6Addr::from(groups).to_string();
            for (line, secret) in [
                (number.clone(), &number),
                (format!("IMEI: {number}"), &number),
                (format!("+CGSN: \"{number}\""), &number),
                (format!("+ICCID: {iccid}"), &iccid),
                (format!("+CMT: \"{phone}\",,\"x\""), &phone),
                (format!("ATD{phone};"), &phone),
                (format!("AT+CGAUTH=1,1,\"{password}\",\"saf\""), &password),
                (format!("AT+CGAUTH=1,1,\"{password}"), &password),
                (format!("at+cpin=\"{password}\""), &password),
                (format!("+CEREG: 2,1,{area},{cell}"), &cell),
                (format!("+CREG: 1,\"{area}\",\"{cell}\",7"), &cell),
                (format!("+CGPADDR: 1,{v4}"), &v4),
                (format!("+CGPADDR: 1,\"{v6}\""), &v6),
                (pdu.clone(), &pdu),
                (format!("+CRSM: 144,0,\"{pdu}\""), &pdu),
            ] {
                let told = redact(&line);
                prop_assert!(!told.contains(secret.as_str()), "{line} -> {told}");
                prop_assert_eq!(told.chars().count(), line.chars().count());
            }
        }

        #[test]
        fn any_line_can_be_redacted(line: String) {
            prop_assert_eq!(redact(&line).chars().count(), line.chars().count());
        }
    }
}
