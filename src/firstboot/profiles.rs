//! NetworkManager's profiles (nm-settings-keyfile(5)) of a unit's networks.
//! They hold secrets; NetworkManager passes over those that others may read.

use std::fmt::Write as _;

use a7670e_unit::{Net, WireGuard};

use super::wanted::{Security, Wifi};

/// The tunnel's interface.
const TUNNEL: &str = "wg0";

/// The profile of a tunnel.
pub fn wireguard(from: &WireGuard) -> String {
    let WireGuard { address, private_key, peer } = from;
    let mut text = format!(
        "[connection]\nid=a7670e-{TUNNEL}\ntype=wireguard\ninterface-name={TUNNEL}\n\
         autoconnect=true\n\n[wireguard]\nprivate-key={}\n\n[wireguard-peer.{}]\nendpoint={}\n",
        private_key.reveal(),
        peer.public_key.as_str(),
        peer.endpoint.as_str(),
    );
    let nets: String = peer.allowed_ips.iter().flat_map(|net| [net.as_str(), ";"]).collect();
    // Writing to a String cannot fail.
    _ = writeln!(text, "allowed-ips={nets}");
    if let Some(seconds) = peer.keepalive {
        _ = writeln!(text, "persistent-keepalive={seconds}");
    }
    let (six, four): (Vec<&Net>, Vec<&Net>) =
        address.iter().partition(|net| net.as_str().contains(':'));
    for (section, nets) in [("ipv4", four), ("ipv6", six)] {
        _ = writeln!(text, "\n[{section}]");
        if nets.is_empty() {
            _ = writeln!(text, "method=disabled");
            continue;
        }
        _ = writeln!(text, "method=manual");
        for (index, net) in nets.iter().enumerate() {
            _ = writeln!(text, "address{}={}", index + 1, net.as_str());
        }
    }
    text
}

/// The profile of a wireless network.
pub fn wifi(from: &Wifi) -> String {
    // As octets, so that no name needs quoting.
    let ssid: String = from.ssid.iter().flat_map(|octet| [octet.to_string(), ";".into()]).collect();
    let mut text = format!(
        "[connection]\nid=a7670e-wifi\ntype=wifi\nautoconnect=true\n\n[wifi]\n\
         mode=infrastructure\nssid={ssid}\n"
    );
    if from.hidden {
        text.push_str("hidden=true\n");
    }
    let security = match &from.security {
        Security::Open => None,
        Security::Owe => Some(("owe", None)),
        // Also WPA3's, where the network has both.
        Security::Psk(psk) => Some(("wpa-psk", Some(psk))),
        Security::Sae(psk) => Some(("sae", Some(psk))),
    };
    if let Some((kind, psk)) = security {
        _ = writeln!(text, "\n[wifi-security]\nkey-mgmt={kind}");
        if let Some(psk) = psk {
            _ = writeln!(text, "psk={}", escaped(psk.reveal()));
        }
    }
    text.push_str("\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n");
    text
}

/// A value as GLib's key files have it: a space at its begin, and backslashes.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\");
    match text.strip_prefix(' ') {
        Some(rest) => format!("\\s{rest}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use a7670e_unit::Secret;

    use super::*;

    #[test]
    fn a_tunnels_profile() {
        let key = "A".repeat(43) + "=";
        let text = format!(
            "private_key = '{key}'\naddress = ['10.0.0.2/24', 'fd00::2/64', '10.1.0.2/24']\n\
             [peer]\npublic_key = '{key}'\nendpoint = 'vpn.example.com:51820'\n\
             allowed_ips = ['10.0.0.0/24', '::/0']\nkeepalive = 25\n"
        );
        let made = wireguard(&toml::from_str(&text).unwrap());
        for part in [
            &format!("[wireguard]\nprivate-key={key}\n"),
            &format!("[wireguard-peer.{key}]\nendpoint=vpn.example.com:51820\n"),
            "allowed-ips=10.0.0.0/24;::/0;\npersistent-keepalive=25\n",
            "[ipv4]\nmethod=manual\naddress1=10.0.0.2/24\naddress2=10.1.0.2/24\n",
            "[ipv6]\nmethod=manual\naddress1=fd00::2/64\n",
        ] {
            assert!(made.contains(part), "{part}");
        }
    }

    #[test]
    fn a_wireless_networks_profile() {
        let psk = Secret::from(" a\\b;#c d".to_owned());
        let mut network =
            Wifi { ssid: b"H\xC3\xA4".to_vec(), hidden: true, security: Security::Psk(psk) };
        let text = wifi(&network);
        assert!(text.contains("ssid=72;195;164;\nhidden=true\n"), "{text}");
        assert!(text.contains("[wifi-security]\nkey-mgmt=wpa-psk\npsk=\\sa\\\\b;#c d\n"), "{text}");
        network.security = Security::Open;
        assert!(!wifi(&network).contains("security"));
        network.security = Security::Owe;
        assert!(wifi(&network).contains("key-mgmt=owe\n"));
    }
}
