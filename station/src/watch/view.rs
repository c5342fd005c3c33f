//! A desk's state as text: a screen that is drawn anew, or lines of what has
//! changed.

use crate::desk::state::{JobState, State};
use crate::progress::Phase;

/// So many lines of the history are on the screen.
const PAST: usize = 10;

/// Bytes for people, in the units that cards are sold by.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        // Tenths without floating point, rounded.
        Some((unit, name)) => {
            let tenths = (bytes + unit / 20) / (unit / 10);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

/// A phase for people.
#[must_use]
pub fn label(phase: Phase) -> &'static str {
    match phase {
        Phase::Waiting => "waiting",
        Phase::Writing => "writing",
        Phase::Verifying => "verifying",
        Phase::Closing => "closing",
        Phase::Done => "right",
        Phase::Failed => "failed",
    }
}

/// The whole state, for a screen of so many columns.
#[must_use]
pub fn screen(state: &State, columns: usize) -> String {
    let mut lines = vec![head(state), String::new()];
    for card in &state.cards {
        let mut facts = vec![size(card.size)];
        facts.extend(card.model.iter().chain(&card.serial).chain(&card.slot).cloned());
        lines.push(format!("{:16} {}", card.path, facts.join("  ")));
        lines.extend(card.against.iter().map(|why| format!("    {why}")));
    }
    lines.push(String::new());
    lines.extend(state.jobs.iter().rev().map(|job| job_line(job, true)));
    if state.fleet.is_some() {
        lines.push(String::new());
        for past in state.history.iter().take(PAST) {
            let why = past.why.as_deref().unwrap_or_default();
            let (unit, target) = (&past.unit, &past.target);
            lines.push(format!("{:5}  {unit:16} {:12} {target} {why}", past.number, past.state));
        }
    }
    lines.extend(state.notes.iter().map(|note| format!("note: {note}")));
    let mut text = String::new();
    for line in lines.iter().flat_map(|it| it.lines().map(clean).collect::<Vec<_>>()) {
        text.extend(line.chars().take(columns));
        text.push('\n');
    }
    text
}

/// What is new in `now`, as lines for a log.
#[must_use]
pub fn changes(before: &State, now: &State) -> Vec<String> {
    let mut lines = Vec::new();
    if before.image != now.image {
        lines.push(head(now));
    }
    for job in &now.jobs {
        let old = before.jobs.iter().find(|old| old.number == job.number);
        if old.is_none_or(|old| old.phase != job.phase) {
            lines.push(job_line(job, false));
        }
    }
    for past in now.history.iter().rev() {
        // Of this run's jobs more is told above.
        let old = before.history.iter().find(|old| old.number == past.number);
        if now.jobs.is_empty() && old.is_none_or(|old| old.state != past.state) {
            let why = past.why.as_deref().unwrap_or_default();
            lines.push(format!("{} {} on {} {why}", past.unit, past.state, past.target));
        }
    }
    lines.extend(new_notes(before, now).iter().map(|note| format!("note: {note}")));
    lines.iter().flat_map(|it| it.lines().map(clean).collect::<Vec<_>>()).collect()
}

/// The notes of `now` that came since `before`. The same may be noted once more,
/// and only so many are kept.
#[must_use]
pub fn new_notes<'a>(before: &State, now: &'a State) -> &'a [String] {
    let old = &before.notes;
    let kept = (0..=old.len()).find(|&gone| now.notes.starts_with(&old[gone..]));
    &now.notes[kept.map_or(0, |gone| old.len() - gone)..]
}

fn head(state: &State) -> String {
    let mut text = state.image.name.clone();
    if let Some(bytes) = state.image.size {
        text += &format!(", {}", size(bytes));
    }
    if let Some(fleet) = &state.fleet {
        text += &format!(", {} of {} units left", fleet.left, fleet.units);
    }
    text
}

fn job_line(job: &JobState, with_progress: bool) -> String {
    let mut text = job.path.clone();
    if let Some(unit) = &job.unit {
        text += &format!(" {unit}");
    }
    text += &format!(": {}", label(job.phase));
    if let Some(end) = &job.end {
        return text + &format!("; {end}");
    }
    if with_progress {
        text += &format!(", {}", size(job.done));
        if job.total > 0 {
            text += &format!(" of {}", size(job.total));
        }
        if let Some(speed) = job.speed {
            text += &format!(", {}/s", size(speed));
        }
        if let Some(seconds) = job.remaining {
            text += &format!(", {seconds} s left");
        }
    }
    text
}

/// Without what a terminal would take for commands: a card's name is whatever
/// its maker, or a prankster, put there.
fn clean(text: &str) -> String {
    text.trim_end().chars().map(|it| if it.is_control() { '?' } else { it }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::state::{CardState, FleetState, ImageState};

    fn state() -> State {
        State {
            image: ImageState { name: "a.img".into(), size: Some(2_000_000), signed: false },
            fleet: Some(FleetState { units: 9, left: 4 }),
            cards: vec![CardState {
                path: "/dev/sdb".into(),
                slot: None,
                model: Some("Reader\u{1b}[2J".into()),
                serial: None,
                size: 31_914_983_424,
                against: vec!["it is mounted".into()],
                busy: false,
                mark: String::new(),
            }],
            jobs: vec![JobState {
                number: 1,
                path: "/dev/sdc".into(),
                unit: Some("pump-1".into()),
                phase: Phase::Writing,
                done: 500_000,
                total: 1_000_000,
                speed: Some(250_000),
                remaining: Some(2),
                end: None,
            }],
            ..State::default()
        }
    }

    #[test]
    fn sizes_as_on_the_box() {
        for (bytes, text) in [
            (999, "999 B"),
            (1000, "1.0 kB"),
            (31_914_983_424, "31.9 GB"),
            (1_073_741_824, "1.1 GB"),
            (999_960_000, "1000.0 MB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn the_screen_tells_all_and_no_card_commands_it() {
        let text = screen(&state(), 200);
        for part in [
            "a.img, 2.0 MB, 4 of 9 units left",
            "31.9 GB  Reader?[2J",
            "    it is mounted",
            "/dev/sdc pump-1: writing, 500.0 kB of 1.0 MB, 250.0 kB/s, 2 s left",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(screen(&state(), 10).lines().all(|line| line.chars().count() <= 10));
    }

    #[test]
    fn only_what_is_new_is_told() {
        let (before, mut now) = (state(), state());
        assert!(changes(&before, &now).is_empty());
        now.jobs[0].done = 600_000;
        assert!(changes(&before, &now).is_empty());
        now.jobs[0].phase = Phase::Failed;
        now.jobs[0].end = Some("it was removed".into());
        now.notes.push("a\nb".into());
        let lines = ["/dev/sdc pump-1: failed; it was removed", "note: a", "b"];
        assert_eq!(changes(&before, &now), lines);
        assert_eq!(changes(&State::default(), &before).len(), 2);
    }

    #[test]
    fn a_note_that_comes_again_is_told_again() {
        let noted = |notes: &str| {
            let notes = notes.chars().map(String::from).collect();
            State { notes, ..State::default() }
        };
        for (before, now, new) in [
            ("", "ab", "ab"),
            ("ab", "ab", ""),
            ("ab", "aba", "a"),
            ("aba", "bab", "b"),
            ("abc", "cd", "d"),
            ("abc", "xyz", "xyz"),
        ] {
            assert_eq!(new_notes(&noted(before), &noted(now)).concat(), new, "{before} {now}");
        }
    }
}
