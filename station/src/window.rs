//! Hands every piece of one stream to all cards, a bounded way ahead of the
//! slowest.
//!
//! Cards are not equally fast, and any may stall for seconds. The window lets
//! them drift apart by [`ROOM`]. When it is full because of a slow card while
//! another has had nothing to do for [`PATIENCE`], the slow one is left behind:
//! it goes on by a stream of its own, and holds nobody up any more.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cut::{Piece, Whole};
use crate::source::SourceError;

/// Bytes in the window: three pieces of 1 MiB for each of eight cards, or two
/// seconds of a card that writes 12 MB/s.
pub const ROOM: u64 = 24 << 20;

/// Pieces without bytes count too, or a map of a million holes would not.
const MOST: usize = 1024;

/// How long a card may wait for another one.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// How the stream ended.
pub type End = Result<Whole, Arc<SourceError>>;

/// What a card gets.
#[derive(Debug)]
pub enum Taken {
    /// The next piece.
    Piece(Piece),
    /// There are no more.
    End(End),
    /// The others went on. The number of pieces that this card has had.
    Left(u64),
}

/// The pieces between the slowest card and the stream.
pub struct Window {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    pieces: VecDeque<Piece>,
    /// Number of the first of them.
    base: u64,
    bytes: u64,
    cards: Vec<Place>,
    end: Option<End>,
    /// Since when a card waits for a piece while the window is full.
    starving: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Wants this piece next; whether it waits for it.
    At(u64, bool),
    /// Was left behind.
    Left(u64),
    /// Has failed.
    Gone,
}

impl Window {
    /// A window for so many cards.
    #[must_use]
    pub fn new(cards: usize) -> Self {
        let state = State {
            pieces: VecDeque::new(),
            base: 0,
            bytes: 0,
            cards: vec![Place::At(0, false); cards],
            end: None,
            starving: None,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a piece when there is room. False when no card wants it.
    pub fn push(&self, piece: Piece) -> bool {
        let mut state = self.state();
        loop {
            if !state.wanted() {
                return false;
            }
            if state.bytes < ROOM && state.pieces.len() < MOST {
                break;
            }
            let wait = state.patience(Instant::now());
            if wait.is_zero() {
                state.leave_slowest();
                self.changed.notify_all();
                continue;
            }
            state =
                self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.starving = None;
        state.bytes += cost(&piece);
        state.pieces.push_back(piece);
        self.changed.notify_all();
        true
    }

    /// Ends the stream.
    pub fn end(&self, end: End) {
        self.state().end = Some(end);
        self.changed.notify_all();
    }

    /// The next piece for a card; waits for it.
    pub fn take(&self, card: usize) -> Taken {
        let mut state = self.state();
        loop {
            let next = match state.cards[card] {
                Place::At(next, _) => next,
                Place::Left(next) => return Taken::Left(next),
                Place::Gone => return Taken::Left(0),
            };
            // Between the window's ends by construction, so it fits.
            let piece = usize::try_from(next - state.base).ok().and_then(|at| state.pieces.get(at));
            if let Some(piece) = piece.cloned() {
                state.cards[card] = Place::At(next + 1, false);
                state.drop_front();
                self.changed.notify_all();
                return Taken::Piece(piece);
            }
            if let Some(end) = &state.end {
                return Taken::End(end.clone());
            }
            state.cards[card] = Place::At(next, true);
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Says that a card wants nothing more.
    pub fn give_up(&self, card: usize) {
        let mut state = self.state();
        state.cards[card] = Place::Gone;
        state.drop_front();
        self.changed.notify_all();
    }
}

/// What a piece costs of the window's room.
fn cost(piece: &Piece) -> u64 {
    match piece {
        Piece::Data { bytes, .. } => bytes.bytes().len() as u64,
        Piece::Zero { .. } | Piece::Free { .. } => 0,
    }
}

impl State {
    fn wanted(&self) -> bool {
        self.cards.iter().any(|card| matches!(card, Place::At(..)))
    }

    fn drop_front(&mut self) {
        let slowest = self.cards.iter().filter_map(|card| match card {
            Place::At(next, _) => Some(*next),
            Place::Left(_) | Place::Gone => None,
        });
        let slowest = slowest.min().unwrap_or(self.base + self.pieces.len() as u64);
        while self.base < slowest {
            match self.pieces.pop_front() {
                Some(piece) => self.bytes -= cost(&piece),
                None => break,
            }
            self.base += 1;
        }
    }

    /// How long the stream may still wait for the slowest, now that the window
    /// is full.
    fn patience(&mut self, now: Instant) -> Duration {
        if !self.cards.iter().any(|card| matches!(card, Place::At(_, true))) {
            self.starving = None;
            // Woken by any change.
            return Duration::from_secs(60);
        }
        let since = *self.starving.get_or_insert(now);
        PATIENCE.saturating_sub(now.duration_since(since))
    }

    fn leave_slowest(&mut self) {
        let base = self.base;
        for card in &mut self.cards {
            if *card == Place::At(base, false) {
                *card = Place::Left(base);
            }
        }
        self.starving = None;
        self.drop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aligned::Aligned;
    use crate::cut::PIECE;

    fn piece(number: u64) -> Piece {
        let bytes = Arc::new(Aligned::zeroed(PIECE));
        Piece::Data { offset: number, bytes, len: 1, sha256: [0; 32] }
    }

    fn number(taken: &Taken) -> u64 {
        match taken {
            Taken::Piece(Piece::Data { offset, .. }) => *offset,
            other => panic!("{other:?}"),
        }
    }

    const COUNT: u64 = 5 * ROOM / PIECE as u64;

    fn whole() -> Whole {
        let file = crate::source::Verdict { sha256: String::new(), checksum: false, signed: None };
        Whole { size: 0, sha256: String::new(), file }
    }

    /// Takes all pieces; tells how many, and whether it was left behind.
    fn drain(window: &Window, card: usize) -> (u64, bool) {
        let mut count = 0;
        loop {
            match window.take(card) {
                Taken::End(end) => {
                    end.unwrap();
                    return (count, false);
                }
                Taken::Left(had) => {
                    assert_eq!(had, count);
                    return (count, true);
                }
                taken => {
                    assert_eq!(number(&taken), count);
                    count += 1;
                }
            }
        }
    }

    fn feed(window: &Window) -> u64 {
        for at in 0..COUNT {
            if !window.push(piece(at)) {
                return at;
            }
        }
        window.end(Ok(whole()));
        COUNT
    }

    #[test]
    fn all_get_everything_in_order() {
        let window = Window::new(3);
        std::thread::scope(|scope| {
            let cards: Vec<_> = (0..3)
                .map(|card| {
                    scope.spawn({
                        let window = &window;
                        move || drain(window, card)
                    })
                })
                .collect();
            assert_eq!(feed(&window), COUNT);
            for card in cards {
                // On a busy machine one may be left behind, and knows where.
                let (count, left) = card.join().unwrap();
                assert!(left || count == COUNT);
            }
        });
    }

    #[test]
    fn a_card_that_stands_still_is_left_behind_and_knows_where() {
        let window = Window::new(2);
        assert!(window.push(piece(0)));
        assert_eq!(number(&window.take(0)), 0);
        assert_eq!(number(&window.take(1)), 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for at in 1..COUNT {
                    assert!(window.push(piece(at)));
                }
                window.end(Ok(whole()));
            });
            for at in 1..COUNT {
                assert_eq!(number(&window.take(0)), at);
            }
            assert!(matches!(window.take(0), Taken::End(Ok(_))));
        });
        // It had one piece; what the window still held for it is gone.
        assert!(matches!(window.take(1), Taken::Left(1)));
    }

    #[test]
    fn a_lone_slow_card_is_waited_for() {
        let window = Window::new(1);
        std::thread::scope(|scope| {
            let feeder = scope.spawn(|| feed(&window));
            // Longer than anybody's patience, with a full window.
            std::thread::sleep(PATIENCE + PATIENCE / 2);
            assert_eq!(drain(&window, 0), (COUNT, false));
            assert_eq!(feeder.join().unwrap(), COUNT);
        });
    }

    #[test]
    fn cards_that_gave_up_hold_nobody_up() {
        let window = Window::new(2);
        window.give_up(1);
        std::thread::scope(|scope| {
            let card = scope.spawn(|| drain(&window, 0));
            assert_eq!(feed(&window), COUNT);
            assert_eq!(card.join().unwrap(), (COUNT, false));
        });
        window.give_up(0);
        assert!(!window.push(piece(0)), "nobody is left");
    }
}
