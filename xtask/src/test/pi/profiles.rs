//! The link in NetworkManager's hands, and back: on the image the service asks as
//! its own user, of a NetworkManager that asks polkit.

use anyhow::{Result, ensure};

use super::hands::{PLAIN, held};
use super::scenario::{Scenario, Step, Until, run};
use super::scenarios::{PAGE, verdict};

/// What NetworkManager has of ours, and where: a line each.
const TRACES: &str = "nmcli -t -f NAME connection show; nmcli -t -f DEVICE,TYPE,STATE device; \
    ls /run/NetworkManager/system-connections /etc/NetworkManager/system-connections";

/// NetworkManager has the link, the service the AT port.
pub fn link() -> Scenario {
    scenario("networkmanager", "[network]\\nby = \"networkmanager\"\\n", None)
}

/// NetworkManager has the link, ModemManager the AT port: of the same modem, whose
/// parts NetworkManager would otherwise leave to ModemManager.
pub fn link_and_port() -> Scenario {
    let config = "[modem]\\ncontrol = \"modemmanager\"\\n[network]\\nby = \"networkmanager\"\\n";
    scenario("both-managers", config, Some("modemmanager"))
}

fn scenario(name: &'static str, config: &str, holder: Option<&'static str>) -> Scenario {
    let configured =
        format!("printf '{config}' >/etc/a7670e.toml && systemctl restart a7670e && echo done");
    let active = "nmcli -t -f NAME,DEVICE,STATE connection show --active";
    let file = "stat -c '%U %a' /run/NetworkManager/system-connections/a7670e-wwan0.nmconnection";
    let priority = "nmcli -g ipv4.route-metric,ipv4.dns-priority connection show a7670e-wwan0";
    let mut steps = vec![
        run("configured", configured, Until::Says("done"), 30),
        Step::Plug,
        verdict("online", "online", 240),
    ];
    if let Some(holder) = holder {
        steps.extend(held("given away", holder));
    }
    steps.extend([
        run("profile", active, Until::Says("a7670e-wwan0:wwan0:activated"), 20),
        run("route", "ip -4 route show default", Until::Holds(by_profile), 20),
        run("priorities", priority, Until::Says("700\n200"), 20),
        run("name server", "resolvectl dns wwan0", Until::Says("192.168.0.1"), 20),
        run("its file", file, Until::Says("root 600"), 20),
        run("a page by name", PAGE, Until::Says("200000"), 60),
        Step::Inflict(r#"{"effect": "usb_gone", "for_ms": 3000}"#),
        verdict("gone", "no-modem", 30),
        verdict("online again", "online", 240),
        run("a page again", PAGE, Until::Says("200000"), 60),
        run("as before", active, Until::Says("a7670e-wwan0:wwan0:activated"), 60),
        Step::Upset(PLAIN),
        verdict("by netlink", "online", 240),
        run("its route", "ip -4 route show default", Until::Holds(by_netlink), 20),
        run("nothing left", TRACES, Until::Holds(nothing_left), 20),
        run("a page by netlink", PAGE, Until::Says("200000"), 60),
    ]);
    Scenario { name, profile: "a7670e-ecm", faults: "", boot_ms: Some(1000), without: &[], steps }
}

/// The only default route is NetworkManager's.
fn by_profile(routes: &str) -> Result<()> {
    let route = "default via 192.168.0.1 dev wwan0 proto dhcp src 192.168.0.2 metric 700";
    let lines: Vec<_> = routes.lines().map(str::trim).collect();
    ensure!(lines == [route], "{routes:?}");
    Ok(())
}

/// The only default route is the service's.
fn by_netlink(routes: &str) -> Result<()> {
    ensure!(routes.lines().count() == 1 && routes.contains("dev wwan0 proto 167"), "{routes:?}");
    Ok(())
}

/// No profile of ours, and the link is nobody's.
fn nothing_left(text: &str) -> Result<()> {
    ensure!(!text.contains("a7670e"), "still there: {text:?}");
    let unmanaged = text.lines().any(|line| line == "wwan0:ethernet:unmanaged");
    ensure!(unmanaged, "not left alone: {text:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_seen() {
        let left = "lo\nwwan0:ethernet:unmanaged\n/run/NetworkManager/system-connections:\n";
        assert!(nothing_left(left).is_ok());
        assert!(nothing_left(&format!("{left}a7670e-wwan0.nmconnection\n")).is_err());
        assert!(nothing_left("wwan0:ethernet:connected\n").is_err());
    }

    #[test]
    fn routes_tell_whose_they_are() {
        let route = "default via 192.168.0.1 dev wwan0 proto dhcp src 192.168.0.2 metric 700 \n";
        assert!(by_profile(route).is_ok() && by_netlink(route).is_err());
        let ours = "default via 192.168.0.1 dev wwan0 proto 167 src 192.168.0.2 metric 700 \n";
        assert!(by_netlink(ours).is_ok() && by_profile(ours).is_err());
        assert!(by_profile(&format!("{route}{ours}")).is_err());
        assert!(by_netlink(&format!("{route}{ours}")).is_err());
    }
}
