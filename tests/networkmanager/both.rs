//! The service between both: ModemManager has the AT port, NetworkManager the link.

use std::time::{Duration, Instant};

use crate::common::namespace::{ip, outside};
use crate::modems;
use crate::rig::Rig;
use crate::service::{DEADLINE, Service, download, ours};
use crate::wire::Wire;
use crate::{CONFIG, Manager, default_route, wait};

#[test]
#[ignore = "needs Debian's NetworkManager in A7670E_NETWORKMANAGER_ROOT, ModemManager likewise"]
fn each_manager_has_its_part() {
    if outside("both::each_manager_has_its_part") {
        return;
    }
    let mut manager = Manager::on(tempfile::tempdir().unwrap());
    let folder = manager.folder.path().to_owned();
    let home = modems::home(&folder);
    let mut modems = modems::Manager::new(&folder);
    let rig = Rig::on(Wire::Veth, &folder, "a7670e-ecm", 200, "");
    wait("plugged in", || rig.plugged() > 0);
    modems.start();
    manager.start_with_real_sysfs();
    let config = format!("[modem]\ncontrol = \"modemmanager\"\n{CONFIG}");
    let service = Service::start_on(&manager.address, &home, &config);
    let session = || service.ask(&["status"]).unwrap_or_default()["modems"][0]["session"].clone();
    let start = Instant::now();
    let shared = || {
        // One look: both at the same moment.
        let session = session();
        let (control, network) = (&session["cellular"]["control"], &session["network"]);
        control["holder"] == "modemmanager"
            && control["settled"] == true
            && network["manager"]["state"] == "connected"
            && session["verdict"] == "online"
    };
    while !shared() {
        assert!(start.elapsed() < DEADLINE * 4, "{:#}\n{}", session(), modems.said());
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("each has its part after {:.1?}", start.elapsed());
    assert!(default_route(700), "{}", ip("-4 route"));
    assert_eq!(ours(), "", "the service configured something itself");
    assert!(modems.value("modem.generic.state ").contains("registered"));
    download(100_000);
    service.stop();
    manager.judge_left();
    drop(rig);
}
