//! The data context and the modem's own router.

use std::net::IpAddr;

use crate::at::fields::{after, fields};

/// A context as `+CGDCONT?` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Its number.
    pub cid: u8,
    /// `IP`, `IPV6`, `IPV4V6`.
    pub pdp_type: String,
    /// Access point name; may be empty.
    pub apn: String,
}

/// Reads `+CGDCONT: <cid>,<type>[,<apn>[,<address>…]]`: some firmware leaves
/// out all after the APN.
pub fn context(line: &str) -> Option<Context> {
    let fields = fields(after(line, "+CGDCONT")?);
    Some(Context {
        cid: fields.first()?.number()?,
        pdp_type: fields.get(1)?.text.to_ascii_uppercase(),
        apn: fields.get(2).map_or(String::new(), |field| field.text.to_owned()),
    })
}

/// Reads `+CGPADDR: <cid>,<address>[,<address>]`: the first address of a
/// context. `0.0.0.0` is none.
pub fn address(line: &str, cid: u8) -> Option<IpAddr> {
    let fields = fields(after(line, "+CGPADDR")?);
    (fields.first()?.number::<u8>()? == cid).then_some(())?;
    let address: IpAddr = fields.get(1)?.text.parse().ok()?;
    (!address.is_unspecified()).then_some(address)
}

/// Reads the kind of `+CGAUTH: <cid>,<auth>[,…]`: 0 none, 1 PAP, 2 CHAP.
pub fn auth_type(line: &str, cid: u8) -> Option<u8> {
    let fields = fields(after(line, "+CGAUTH")?);
    (fields.first()?.number::<u8>()? == cid).then_some(())?;
    fields.get(1)?.number()
}

/// Reads `+DIALMODE: <n>`: whether the modem dials by itself (0 is yes).
pub fn dial_mode(lines: &[String]) -> Option<bool> {
    match super::number(lines, "+DIALMODE")? {
        0 => Some(true),
        1 => Some(false),
        _ => None,
    }
}

/// Reads the mode of `$MYCONFIG: "usbnetmode",<mode>,<port>`: 0 RNDIS, 1 ECM,
/// 2 automatic.
pub fn usb_net_mode(line: &str) -> Option<u8> {
    let fields = fields(after(line, "$MYCONFIG")?);
    fields.first()?.text.eq_ignore_ascii_case("usbnetmode").then_some(())?;
    fields.get(1)?.number()
}

/// Reads the third octet of `+USBNETIP: 0,<third>,…`; `None` also when the
/// modem passes the public address through.
pub fn usb_net_third(line: &str) -> Option<u8> {
    let fields = fields(after(line, "+USBNETIP")?);
    (fields.first()?.text == "0").then_some(())?;
    fields.get(1)?.number()
}

/// Reads `+CNBP: 0X<gsm>,0X<lte>[,…]`: the masks of bands.
pub fn bands(line: &str) -> Option<(u64, u64)> {
    let fields = fields(after(line, "+CNBP")?);
    let mask = |at: usize| {
        let text = fields.get(at)?.text;
        u64::from_str_radix(text.strip_prefix("0X").or(text.strip_prefix("0x"))?, 16).ok()
    };
    Some((mask(0)?, mask(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_contexts() {
        let short = context("+CGDCONT: 1,\"IP\",\"safaricom\"").unwrap();
        let long = context("+CGDCONT: 1,\"ip\",\"safaricom\",\"10.0.0.1\",0,0,0,0").unwrap();
        assert_eq!(short, long);
        assert_eq!((short.cid, short.apn.as_str()), (1, "safaricom"));
        assert_eq!(context("+CGDCONT: 1,\"IP\"").unwrap().apn, "");
    }

    #[test]
    fn addresses() {
        let address = |line| address(line, 1).map(|address| address.to_string());
        assert_eq!(address("+CGPADDR: 1,10.83.214.110").unwrap(), "10.83.214.110");
        assert_eq!(address("+CGPADDR: 1,\"10.83.214.110\"").unwrap(), "10.83.214.110");
        for line in ["+CGPADDR: 2,10.0.0.1", "+CGPADDR: 1,0.0.0.0", "+CGPADDR: 1"] {
            assert_eq!(address(line), None, "{line}");
        }
    }

    #[test]
    fn router_settings() {
        assert_eq!(dial_mode(&["+DIALMODE: 0".into()]), Some(true));
        assert_eq!(usb_net_mode("$MYCONFIG: \"usbnetmode\",1,1"), Some(1));
        assert_eq!(usb_net_third("+USBNETIP: 0,69,2,100"), Some(69));
        assert_eq!(usb_net_third("+USBNETIP: 1"), None);
        let line = "+CNBP: 0X0000000000000180,0X0000000040080085,0X0080";
        assert_eq!(bands(line), Some((0x180, 0x4008_0085)));
        assert_eq!(auth_type("+CGAUTH: 1,1,\"saf\",\"data\"", 1), Some(1));
    }
}
