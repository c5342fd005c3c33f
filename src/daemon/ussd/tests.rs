//! Dialogues with a modem that has IMS, and with a menu behind `*100#`.

use std::sync::{Arc, Mutex};

use super::*;
use crate::at::{Final, Reply as AtReply};
use crate::daemon::messages::tests::task;
use crate::modem::catalogue::NetKind;
use crate::modem::inventory::{Modem, Network};

/// What the modem was told, IMS and the dialogue.
type Said = Arc<Mutex<Vec<String>>>;

fn place() -> UsbPath {
    "1-1".parse().unwrap()
}

/// A service with this state folder, and its modem.
fn service(folder: &Path) -> (Reader, Said) {
    let network =
        Network { kind: NetKind::Ecm, interface: None, device: None, driver: None, control: None };
    let modem = Modem {
        usb_path: place(),
        usb_id: "1e0e:9011".to_owned(),
        model: "A76XX".to_owned(),
        ports: Vec::new(),
        network,
        problems: Vec::new(),
    };
    let shared = Arc::clone(&task(folder).shared);
    let (reader, mut orders) = Reader::of_one(Arc::clone(&shared), modem);
    let said = Said::default();
    let heard = Arc::clone(&said);
    tokio::spawn(async move {
        while let Some(Order::Request(command, answer)) = orders.recv().await {
            let text = command.text().to_owned();
            let lines = match text == IMS {
                true => vec!["*IMSRCFG: \"switch\",\"on\"".to_owned()],
                false => Vec::new(),
            };
            let told = match text.as_str() {
                "AT+CUSD=1,\"*100#\",15" => Some("1,\"menu\",15"),
                "AT+CUSD=1,\"*144#\",15" => Some("0,\"12.50\",15"),
                _ => None,
            };
            if text != IMS {
                heard.lock().unwrap().push(text);
            }
            let reply = AtReply { lines, result: Final::Ok, took: Duration::ZERO };
            _ = answer.send(Ok(reply));
            if let Some(told) = told {
                _ = shared.by_text.ussd.send((place(), told.to_owned()));
            }
        }
    });
    (reader, said)
}

fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work);
}

/// Whether it is so once all tasks have had their turn.
async fn becomes(so: impl Fn() -> bool) -> bool {
    for _ in 0..1000 {
        if so() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

fn on() -> String {
    format!("{IMS},\"on\"")
}

/// After minutes it would end whatever dialogue there is by then.
#[test]
fn nobody_sees_to_the_end_of_a_dialogue_that_is_over() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let (reader, said) = service(folder.path());
        let listeners = || reader.shared.by_text.ussd.receiver_count();
        for _ in 0..2 {
            let menu = reader.ussd(1, None, Some("*100#")).await.unwrap();
            assert_eq!(menu.stage, Stage::More);
            assert!(becomes(|| listeners() == 1).await, "one, not one for each question");
        }
        assert!(!said.lock().unwrap().contains(&on()));
        assert_eq!(reader.ussd(1, None, None).await.unwrap().stage, Stage::Ended);
        assert!(becomes(|| listeners() == 0).await);
        let menu = reader.ussd(1, None, Some("*100#")).await.unwrap();
        assert_eq!(menu.stage, Stage::More);
        assert_eq!(reader.ussd(1, None, Some("*144#")).await.unwrap().stage, Stage::Done);
        assert!(becomes(|| listeners() == 0).await);
        assert_eq!(said.lock().unwrap().last(), Some(&on()));
        // What cannot be asked changes nothing of a dialogue.
        reader.ussd(1, None, Some("*100#")).await.unwrap();
        reader.ussd(1, None, Some("\"")).await.unwrap_err();
        assert_eq!(listeners(), 1);
    });
}

#[test]
fn a_service_that_is_killed_in_a_dialogue_switches_ims_on_again() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let (reader, said) = service(folder.path());
        reader.ussd(1, None, Some("*100#")).await.unwrap();
        assert!(!said.lock().unwrap().contains(&on()));
    });
    // Its tasks are gone with it.
    run(async {
        let (reader, said) = service(folder.path());
        reader.mend_once().await;
        assert_eq!(*said.lock().unwrap(), [on()]);
        assert!(reader.shared.by_text.asking.lock().await.off.is_empty());
    });
    run(async {
        let (reader, said) = service(folder.path());
        reader.mend_once().await;
        assert!(said.lock().unwrap().is_empty(), "once");
    });
}
