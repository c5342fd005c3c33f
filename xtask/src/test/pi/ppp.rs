//! ModemManager dials by PPP, NetworkManager has the profile: the way that the
//! programs of every desktop take, with the same modem. The service has set it up,
//! and looks after the call.
//!
//! It needs pppd, so an image of its own (`images/pi4b-ppp.toml`).

use anyhow::{Result, ensure};

use super::bench::{Bench, Mark};
use super::hands::{PLAIN, held};
use super::scenario::{Scenario, Step, Until, run};
use super::scenarios::{PAGE, verdict};
use crate::context::Context;
use crate::emulate::Machine;
use crate::test::image_of;

/// Carries it out; gives how long what took, and whether all of it held.
pub fn carry_out(ctx: &Context) -> Result<(Vec<Mark>, Result<()>)> {
    let image = image_of(ctx, "pi4b-ppp", "test-image-ppp")?;
    let mut bench = Bench::boot_image(ctx, Machine::Virt, image)?;
    let (marks, result) = bench.carry_out(&scenario())?;
    bench.end()?;
    Ok((marks, result))
}

fn scenario() -> Scenario {
    let config = "[modem]\\ncontrol = \"modemmanager\"\\ndata = \"ppp\"\\n\
        [network]\\nby = \"networkmanager\"\\n";
    let configured = format!(
        "printf '{config}' >/etc/a7670e.toml && a7670e check-config >/dev/null && \
         systemctl restart a7670e && echo done"
    );
    let active = "nmcli -t -f NAME,TYPE,STATE connection show --active";
    let file = "stat -c '%U %a' /run/NetworkManager/system-connections/a7670e-gsm.nmconnection";
    // Counted: more than the page.
    let used = "test $(a7670e usage --json | grep -o '\"rx\":[0-9]*' | head -n 1 | cut -d: -f2) \
        -gt 200000 && echo counted";
    let mut steps = vec![
        Step::Plug,
        verdict("online by USB", "online", 240),
        run("configured", configured, Until::Says("done"), 30),
    ];
    steps.extend(held("given away", "modemmanager"));
    steps.extend([
        run(
            "connected",
            "mmcli --modem any --output-json",
            Until::Json("/modem/generic/state", "connected"),
            240,
        ),
        verdict("online by PPP", "online", 120),
        run("profile", active, Until::Says("a7670e-gsm:gsm:activated"), 20),
        run("its file", file, Until::Says("root 600"), 20),
        run("route", "ip -4 route show default", Until::Holds(by_ppp), 20),
        run("nothing on USB", "ip -4 address show dev wwan0", Until::Silent, 20),
        run(
            "who dials",
            "a7670e why --json",
            Until::Json(
                "/0/dials",
                "by NetworkManager through ModemManager, profile a7670e-gsm on ppp0",
            ),
            20,
        ),
        run("a page by name", PAGE, Until::Says("200000"), 60),
        run("counted", used, Until::Says("counted"), 30),
        // A call that somebody hangs up comes back.
        Step::Upset("nmcli connection down a7670e-gsm"),
        run("dialled again", active, Until::Says("a7670e-gsm:gsm:activated"), 120),
        verdict("online again", "online", 120),
        run("a page again", PAGE, Until::Says("200000"), 60),
        Step::Upset(PLAIN),
        verdict("online by USB again", "online", 240),
        run("dials by itself", "a7670e at AT+DIALMODE?", Until::Says("+DIALMODE: 0"), 20),
        run("its route", "ip -4 route show default", Until::Holds(by_usb), 20),
        run("no profile", "nmcli -t -f NAME connection show", Until::Holds(no_profile), 20),
        run("a page by USB", PAGE, Until::Says("200000"), 60),
    ]);
    Scenario {
        name: "ppp",
        profile: "a7670e-ecm",
        faults: "",
        boot_ms: Some(1000),
        without: &[],
        steps,
    }
}

/// The only default route is the call's.
fn by_ppp(routes: &str) -> Result<()> {
    let ours = routes.contains("dev ppp0") && routes.contains("metric 700");
    ensure!(routes.lines().count() == 1 && ours, "{routes:?}");
    Ok(())
}

/// The only default route is the link's on USB.
fn by_usb(routes: &str) -> Result<()> {
    ensure!(routes.lines().count() == 1 && routes.contains("dev wwan0 proto 167"), "{routes:?}");
    Ok(())
}

fn no_profile(names: &str) -> Result<()> {
    ensure!(!names.contains("a7670e"), "still there: {names:?}");
    Ok(())
}
