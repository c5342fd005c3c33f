//! ModemManager dials by PPP, NetworkManager has the profile: the way that the
//! programs of every desktop take, with the same modem.
//!
//! It needs pppd, so an image of its own (`images/pi4b-ppp.toml`).

use anyhow::Result;

use super::bench::{Bench, Mark};
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
    let dial = "nmcli connection add type gsm con-name cell ifname '*' apn safaricom >/dev/null && \
        nmcli --wait 90 connection up cell";
    let state = |about, state| {
        run(
            about,
            "mmcli --modem any --output-json",
            Until::Json("/modem/generic/state", state),
            90,
        )
    };
    let steps = vec![
        Step::Plug,
        verdict("online by USB", "online", 240),
        // The modem then leaves dialling to the host, and ModemManager has it.
        run("not dialling", "a7670e at AT+DIALMODE=1", Until::Says("OK"), 20),
        run("let go", "systemctl stop a7670e && echo done", Until::Says("done"), 30),
        state("registered", "registered"),
        run("dialled", dial, Until::Says("successfully activated"), 120),
        state("connected", "connected"),
        run("route", "ip -4 route show default", Until::Says("dev ppp0"), 10),
        run("a page by name", PAGE, Until::Says("200000"), 60),
        run("hung up", "nmcli connection delete cell", Until::Says("successfully"), 30),
        run("taken back", "systemctl start a7670e && echo done", Until::Says("done"), 30),
        verdict("online by USB again", "online", 240),
    ];
    Scenario {
        name: "ppp",
        profile: "a7670e-ecm",
        faults: "",
        boot_ms: Some(1000),
        without: &[],
        steps,
    }
}
