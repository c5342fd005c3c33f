//! What messages set in motion at the real service: the owner's program, and
//! commands; and questions by USSD.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use a7670e_emulator::fault::Effect;
use a7670e_emulator::profile::Profile;
use serde_json::Value;

use crate::common::namespace::{ip, outside};
use crate::messages::{list, until};
use crate::rig::Rig;
use crate::wire::Wire;
use crate::{CONFIG, PROGRAM, Service};

const BOSS: &str = "+254700000002";
const KEY: &str = "a key of this test only";

fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
}

fn comes(rig: &Rig, from: &str, text: &str) {
    rig.inflict(Effect::Sms { from: from.into(), text: text.into() });
}

#[test]
fn the_program_gets_each_message_also_when_the_service_is_killed() {
    if outside("commands::the_program_gets_each_message_also_when_the_service_is_killed") {
        return;
    }
    ip("link set lo up");
    let folder = tempfile::tempdir().unwrap();
    let (program, out) = (folder.path().join("program"), folder.path().join("out"));
    script(
        &program,
        "#!/bin/sh\nread -r line\necho \"$line\" >> \"$1\"\n\
         if [ \"$A7670E_SMS_TEXT\" = hang ] && ! [ -e \"$1.hung\" ]; then\n\
         echo $$ > \"$1.hung\"; exec sleep 600\nfi\n",
    );
    let hook = format!("[sms]\nhook = [\"{}\", \"{}\"]\n", program.display(), out.display());
    let config = format!("{CONFIG}{hook}");
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
    let mut service = Service::start(folder.path(), &config);
    service.wait("online");
    let told = || -> Vec<Value> {
        let text = fs::read_to_string(&out).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let texts = || -> Vec<String> {
        told().iter().map(|told| told["message"]["text"].as_str().unwrap().to_owned()).collect()
    };
    let nasty = "\"; touch /tmp/x; $(reboot) `x` 😀";
    comes(&rig, "Shop & Co", nasty);
    until("it is run", || texts() == [nasty]);
    assert_eq!(told()[0]["message"]["address"], "Shop & Co");
    assert_eq!((&told()[0]["modem"], &told()[0]["event"]), (&"1-1".into(), &"received".into()));

    comes(&rig, BOSS, "hang");
    comes(&rig, BOSS, "after");
    let hung = out.with_file_name("out.hung");
    until("it hangs", || fs::read_to_string(&hung).is_ok_and(|pid| pid.ends_with('\n')));
    until("both came", || list(&service).len() == 3);
    service.kill();
    // systemd would end it with the service.
    let pid: i32 = fs::read_to_string(&hung).unwrap().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    service = Service::start(folder.path(), &config);
    until("it is run again", || texts() == [nasty, "hang", "hang", "after"]);
    let numbers: Vec<u64> =
        told().iter().map(|told| told["message"]["id"].as_u64().unwrap()).collect();
    assert_eq!(numbers[1], numbers[2], "the number tells that it is the same");
    service.stop();
    let service = Service::start(folder.path(), &config);
    comes(&rig, BOSS, "last");
    until("the last", || texts().last().is_some_and(|text| text == "last"));
    assert_eq!(texts().len(), 5, "what is done is done");
    service.stop();
    drop(rig);
}

/// What the sender's own machine says is to be sent.
fn code(key: &Path, counter: u64, command: &str) -> String {
    let mut line = Command::new(PROGRAM);
    line.args(["sms", "code", "--key"]).arg(key).args(["--counter", &counter.to_string()]);
    let output = line.args(command.split(' ')).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn answers(rig: &Rig) -> Vec<String> {
    let sent = rig.with(|modem, _| modem.sent_messages().to_vec());
    assert!(sent.iter().all(|message| message.to == BOSS), "{sent:?}");
    sent.into_iter().map(|message| message.text).collect()
}

#[test]
fn commands_are_done_once_and_answered() {
    if outside("commands::commands_are_done_once_and_answered") {
        return;
    }
    ip("link set lo up");
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, KEY).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let config = format!(
        "{CONFIG}[sms.commands]\nfrom = [\"{BOSS}\"]\nkey = {{ file = \"{}\" }}\n",
        key.display()
    );
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
    let mut service = Service::start(folder.path(), &config);
    service.wait("online");
    let status = code(&key, 5, "status");
    comes(&rig, BOSS, &status);
    until("it is answered", || answers(&rig).len() == 1);
    assert!(answers(&rig)[0].starts_with("online"), "{:?}", answers(&rig));
    assert!(answers(&rig)[0].contains("192.168.0.2"), "{:?}", answers(&rig));

    // Not twice, not after a restart, not from others, not with another code.
    service.kill();
    service = Service::start(folder.path(), &config);
    service.wait("online");
    comes(&rig, BOSS, &format!("{status} "));
    comes(&rig, "+254700000009", &code(&key, 6, "reboot"));
    comes(&rig, BOSS, &code(&key, 6, "status").replace("status", "reboot"));
    until("they came", || {
        list(&service).iter().filter(|one| one["direction"] == "in").count() == 4
    });
    // The one behind them is answered, so they were judged before.
    comes(&rig, BOSS, &code(&key, 6, "Why"));
    until("it is answered", || answers(&rig).len() >= 2);
    assert!(answers(&rig)[1].starts_with("online"), "{:?}", answers(&rig));

    // There is no bus here, so nobody who reboots.
    comes(&rig, BOSS, &code(&key, 7, "reboot"));
    until("it is answered twice", || answers(&rig).len() >= 4);
    assert_eq!(answers(&rig)[2], "rebooting");
    assert!(answers(&rig)[3].starts_with("no reboot: no system bus"), "{:?}", answers(&rig));

    // Another access point, which stays.
    comes(&rig, BOSS, &code(&key, 8, "apn safaricom saf data"));
    until("it is answered", || answers(&rig).len() >= 5);
    assert_eq!(answers(&rig)[4], "online with APN safaricom");
    let cellular = |service: &Service| {
        let status = service.ask(&["status"]).unwrap_or_default();
        let cellular = &status["modems"][0]["session"]["cellular"];
        (cellular["apn"].clone(), cellular["apn_source"].clone())
    };
    assert_eq!(cellular(&service), ("safaricom".into(), "sms".into()));
    service.kill();
    service = Service::start(folder.path(), &config);
    service.wait("online");
    assert_eq!(cellular(&service), ("safaricom".into(), "sms".into()));
    assert_eq!(answers(&rig).len(), 5);
    service.stop();
    drop(rig);
}

/// What it prints, or why not.
fn ussd(service: &Service, arguments: &[&str]) -> Result<Value, String> {
    let mut command = Command::new(PROGRAM);
    command.arg("ussd").args(arguments).args(["--json", "--socket"]).arg(&service.socket);
    let output = command.output().unwrap();
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

#[test]
fn questions_by_ussd_with_ims_and_without() {
    if outside("commands::questions_by_ussd_with_ims_and_without") {
        return;
    }
    ip("link set lo up");
    for ims in [None, Some(true)] {
        let folder = tempfile::tempdir().unwrap();
        let mut profile = Profile::load("a7670e-ecm").unwrap();
        profile.at.ims = ims;
        let rig = Rig::of(Wire::Tap, folder.path(), profile, 100, "");
        let service = Service::start(folder.path(), CONFIG);
        service.wait("online");
        let switch = || {
            let asked = service.ask(&["at", "AT*IMSRCFG=\"switch\""]).unwrap_or_default();
            asked["lines"][0].as_str().map(str::to_owned)
        };
        let is_on = || ims.is_none() || switch().is_some_and(|line| line.contains("\"on\""));
        let balance = ussd(&service, &["*144#"]).unwrap();
        assert_eq!(balance["stage"], "done");
        assert!(balance["text"].as_str().unwrap().contains("balance"), "{balance}");
        assert!(is_on());
        let menu = ussd(&service, &["*100#"]).unwrap();
        assert_eq!((&menu["stage"], &menu["text"]), (&"more".into(), &"1 Data\n2 Calls".into()));
        assert!(ims.is_none() || !is_on(), "for as long as the dialogue lasts");
        let chosen = ussd(&service, &["2"]).unwrap();
        assert_eq!((&chosen["stage"], &chosen["text"]), (&"done".into(), &"You chose 2".into()));
        until("IMS is on again", is_on);
        ussd(&service, &["*100#"]).unwrap();
        assert_eq!(ussd(&service, &["--cancel"]).unwrap()["stage"], "ended");
        assert!(is_on());
        let balance = ussd(&service, &["*144#"]).unwrap();
        assert!(balance["text"].as_str().unwrap().contains("balance"), "the menu is left");
        service.wait("online");
        service.stop();
        drop(rig);
    }
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path(), "a7670e-lnxy", 100, "");
    let service = Service::start(folder.path(), CONFIG);
    service.wait("online");
    let error = ussd(&service, &["*144#"]).unwrap_err();
    assert!(error.contains("data-only model"), "{error}");
    service.stop();
    drop(rig);
}
