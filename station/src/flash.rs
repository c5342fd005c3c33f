//! One image onto many cards at once, from one unpacking.

use std::sync::{Arc, mpsc};

use crate::card::Card;
use crate::cut::{Cutter, Piece, Whole};
use crate::progress::{Phase, Progress};
use crate::source::{Source, SourceError};
use crate::window::{Taken, Window};
use crate::write::{self, CardError, Feed, Notes, Patch, Written};

/// What is to be done with one card.
pub struct Order<'a> {
    /// The card.
    pub card: Box<dyn Card + 'a>,
    /// What is different on it.
    pub patches: Vec<Patch>,
    /// Where its progress is told.
    pub progress: Arc<Progress>,
    /// Where its steps are noted.
    pub notes: Box<dyn Notes + 'a>,
}

/// What became of a card.
pub type Outcome = Result<Written, CardError>;

/// Writes all cards; calls `done` with a card's number as soon as its outcome
/// is known. One card's failure does not touch the others.
pub fn flash(source: &Source, orders: Vec<Order<'_>>, mut done: impl FnMut(usize, Outcome)) {
    let window = Window::new(orders.len());
    let total = source.map.as_ref().map_or(source.size().unwrap_or(0), |map| {
        // Holes that must be zero are written like the rest.
        if map.holes == crate::bmap::Holes::Free { map.mapped() } else { map.size }
    });
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for (number, order) in orders.into_iter().enumerate() {
            let (sender, window) = (sender.clone(), &window);
            let told = Told { number, sender, window };
            scope.spawn(move || told.tell(one(source, window, number, order, total)));
        }
        drop(sender);
        scope.spawn(|| produce(source, &window));
        for (number, outcome) in receiver {
            done(number, outcome);
        }
    });
}

/// Makes sure that a card's outcome is told, even when its thread panics.
struct Told<'a> {
    number: usize,
    sender: mpsc::Sender<(usize, Outcome)>,
    window: &'a Window,
}

impl Told<'_> {
    fn tell(self, outcome: Outcome) {
        // The receiver lives as long as there are senders.
        let _ = self.sender.send((self.number, outcome));
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.window.give_up(self.number);
        if std::thread::panicking() {
            let _ = self.sender.send((self.number, Err(CardError::Thread)));
        }
    }
}

/// Unpacks the image into the window.
fn produce(source: &Source, window: &Window) {
    let all = || -> Result<Option<Whole>, SourceError> {
        let mut cutter = Cutter::new(source)?;
        while let Some(piece) = cutter.piece()? {
            if !window.push(piece) {
                return Ok(None);
            }
        }
        cutter.finish().map(Some)
    };
    match all() {
        Ok(Some(whole)) => window.end(Ok(whole)),
        // Nobody is listening.
        Ok(None) => {}
        Err(error) => window.end(Err(Arc::new(error))),
    }
}

fn one(source: &Source, window: &Window, number: usize, order: Order<'_>, total: u64) -> Outcome {
    let Order { mut card, patches, progress, mut notes } = order;
    let mut feed = Shared { source, window, number, own: None, end: None };
    let outcome = write::write(&mut *card, &mut feed, &patches, &progress, total, &mut *notes);
    progress.begin(if outcome.is_ok() { Phase::Done } else { Phase::Failed }, 0);
    outcome
}

/// A card's pieces: from the window, or from an own stream when the others
/// went on.
struct Shared<'a> {
    source: &'a Source,
    window: &'a Window,
    number: usize,
    own: Option<Cutter<'a>>,
    end: Option<Result<Whole, Arc<SourceError>>>,
}

impl Feed for Shared<'_> {
    fn piece(&mut self) -> Result<Option<Piece>, Arc<SourceError>> {
        if self.own.is_none() {
            match self.window.take(self.number) {
                Taken::Piece(piece) => return Ok(Some(piece)),
                Taken::End(end) => {
                    self.end = Some(end);
                    return Ok(None);
                }
                Taken::Left(had) => {
                    let mut cutter = Cutter::new(self.source)?;
                    for _ in 0..had {
                        cutter.piece()?;
                    }
                    self.own = Some(cutter);
                }
            }
        }
        match &mut self.own {
            Some(cutter) => Ok(cutter.piece()?),
            None => Ok(None),
        }
    }

    fn whole(&mut self) -> Result<Whole, Arc<SourceError>> {
        match (self.own.take(), self.end.take()) {
            (Some(cutter), _) => Ok(cutter.finish()?),
            (None, Some(end)) => end,
            (None, None) => Err(Arc::new(SourceError::Wrong {
                path: self.source.path().to_owned(),
                why: "its end was not reached".into(),
            })),
        }
    }
}
