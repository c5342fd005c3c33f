//! Desks on plain files.

use std::time::Duration;

use super::*;
use crate::progress::Phase;
use crate::source::Options;

fn desk(dir: &std::path::Path, named: &[PathBuf]) -> Arc<Desk> {
    let image = dir.join("a.img");
    std::fs::write(&image, vec![7; 3 << 20]).unwrap();
    let source = Source::new(&image, &Options::default()).unwrap();
    let work = Work {
        source,
        inputs: Vec::new(),
        units: None,
        named: named.to_owned(),
        yes_really: false,
        hot_add: None,
    };
    Desk::new(work).unwrap()
}

fn wanted(desk: &Arc<Desk>, path: &std::path::Path) -> Wanted {
    let card = desk.look().unwrap().into_iter().find(|it| it.card.path == path.to_string_lossy());
    Wanted { path: path.to_owned(), mark: card.unwrap().card.mark }
}

#[test]
fn a_card_that_was_seen_is_written_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (card, other) = (dir.path().join("card"), dir.path().join("other"));
    std::fs::write(&card, [0xA5; 4096]).unwrap();
    std::fs::write(&other, [0xA5; 4096]).unwrap();
    let desk = desk(dir.path(), std::slice::from_ref(&card));
    let seen = wanted(&desk, &card);

    let refused = |wanted: &[Wanted], what: &str| {
        let error = desk.start(wanted).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    // Whoever asks names what was offered, as it was offered, once.
    refused(&[Wanted { path: other.clone(), mark: seen.mark.clone() }], "another card");
    let target = check::system().unwrap().target(&other).unwrap();
    refused(&[Wanted { path: other.clone(), mark: look::mark(&target) }], "name it on the command");
    refused(&[seen.clone(), seen.clone()], "named twice");
    refused(&[], "nothing was written");
    let image = dir.path().join("a.img");
    let target = check::system().unwrap().target(&image).unwrap();
    refused(&[Wanted { path: image, mark: look::mark(&target) }], "needed here");
    assert_eq!(std::fs::read(&card).unwrap(), [0xA5; 4096]);

    desk.start(std::slice::from_ref(&seen)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while desk.count()[0] > 0 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(desk.count(), [0, 1, 0]);
    assert!(std::fs::read(&card).unwrap() == vec![7; 3 << 20]);
    assert_eq!(std::fs::read(&other).unwrap(), [0xA5; 4096]);
    let state = desk.state(Instant::now());
    assert_eq!((state.jobs[0].number, state.jobs[0].phase), (1, Phase::Done));
    // It has grown since: whoever saw it before saw another one.
    refused(&[seen], "another card");
    let json = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<State>(&json).unwrap(), state);
}
