//! Starts cards: looks, opens, gives units, records, writes.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use super::check::{CheckError, against, identities, open, still, system};
use super::units::{Line, Units, lock, new_keys, now, patches};
use super::{Desk, DeskError, Job, Wanted};
use crate::card::Device;
use crate::device::Target;
use crate::flash::{Order, flash};
use crate::keys::Public;
use crate::progress::Progress;
use crate::provision::{read_token, token};
use crate::records::Start;
use crate::write::{Notes, Patch};

/// A card that is about to be written.
struct Seat {
    target: Target,
    device: Device,
    identities: Vec<super::check::Identity>,
}

/// What a card is to become.
struct Plan {
    seat: usize,
    unit: Option<String>,
    patches: Vec<Patch>,
    keys: Public,
    token: String,
    old: Option<String>,
}

impl Desk {
    /// Begins to write cards; gives notes for the user. None is touched when
    /// one of them must not be.
    ///
    /// # Errors
    /// Nothing was written, and why.
    pub fn start(self: &Arc<Self>, wanted: &[Wanted]) -> Result<Vec<String>, DeskError> {
        let _one_at_a_time = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        let (writing, units) = self.busy();
        let system = system()?;
        let mut refused = Vec::new();
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for card in wanted {
            let target = system.target(&card.path).map_err(CheckError::from)?;
            let own = identities(&target)?;
            let mut refuse = |why: &str| refused.push(format!("{}: {why}", card.path.display()));
            if own.iter().any(|it| writing.contains(it)) {
                refuse("it is being written");
            } else if !own.iter().all(|it| seen.insert(*it)) {
                refuse("it is named twice");
            } else if super::look::mark(&target) != card.mark {
                refuse("it is another card than a moment ago: look again");
            }
            let named = self.is_named(&own);
            if !named && !self.takes_cards(&target) {
                refuse(super::look::FIXED);
            }
            for why in against(&target, &self.work.source, &self.inputs(), self.rules(named))? {
                refuse(&why);
            }
            found.push((target, own));
        }
        if !refused.is_empty() || found.is_empty() {
            return Err(DeskError::Refused(refused));
        }
        let mut seats = Vec::new();
        for (target, identities) in found {
            let device = open(&target)?;
            seats.push(Seat { target, device, identities });
        }
        let (plans, notes) = match &self.work.units {
            Some(fleet) => give(fleet, &mut seats, &units)?,
            None => (alike(seats.len()), Vec::new()),
        };
        // Making keys and asking for secrets takes a while.
        for plan in &plans {
            still(&seats[plan.seat].target)?;
        }
        self.write(seats, plans)?;
        Ok(notes)
    }

    /// Records the cards, and lets a thread write them.
    fn write(self: &Arc<Self>, seats: Vec<Seat>, plans: Vec<Plan>) -> Result<(), DeskError> {
        let mut seats: Vec<_> = seats.into_iter().map(Some).collect();
        let mut begun = Vec::new();
        for plan in plans {
            let Some(seat) = seats[plan.seat].take() else { continue };
            let line = match self.begin(&seat, &plan) {
                Ok(line) => line,
                Err(error) => {
                    self.call_off(begun, "another card could not be recorded");
                    return Err(error);
                }
            };
            begun.push((seat, plan, line));
        }
        let mut orders = Vec::new();
        let mut numbers = Vec::new();
        for (seat, plan, line) in begun {
            let progress = Arc::new(Progress::default());
            let notes: Box<dyn Notes> = match (&self.work.units, line) {
                (Some(units), Some(number)) => {
                    Box::new(Line { records: units.records.clone(), number, old: plan.old })
                }
                _ => Box::new(()),
            };
            let card = Box::new(seat.device);
            orders.push(Order { card, patches: plan.patches, progress: progress.clone(), notes });
            let mut inner = self.inner();
            numbers.push(inner.jobs.len());
            inner.jobs.push(Job {
                target: seat.target,
                identities: seat.identities,
                unit: plan.unit,
                line,
                progress,
                rate: super::Rate::default(),
                end: None,
            });
        }
        let desk = self.clone();
        let told = numbers.clone();
        let spawned = std::thread::Builder::new().spawn(move || {
            flash(&desk.work.source, orders, |card, outcome| desk.ended(told[card], &outcome));
        });
        if let Err(error) = spawned {
            for number in numbers {
                self.ended(number, &Err(crate::write::CardError::Thread));
            }
            return Err(error.into());
        }
        // They are being written, whatever can be shown of it.
        self.reread();
        Ok(())
    }

    fn begin(&self, seat: &Seat, plan: &Plan) -> Result<Option<i64>, DeskError> {
        let (Some(units), Some(unit)) = (&self.work.units, &plan.unit) else { return Ok(None) };
        let image = self.work.source.path().file_name().unwrap_or_default().to_string_lossy();
        let number = lock(&units.records).start(Start {
            unit,
            token: &plan.token,
            old: plan.old.as_deref(),
            target: &seat.target,
            image: &image,
            operator: units.operator.as_deref(),
            keys: &plan.keys,
            now: now(),
        })?;
        let line = lock(&units.records).by_token(&plan.token)?;
        if line.is_some_and(|it| it.has_new_keys()) {
            self.note(new_keys(unit));
        }
        Ok(Some(number))
    }

    /// Takes back what was recorded of cards that are not written after all.
    fn call_off(&self, begun: Vec<(Seat, Plan, Option<i64>)>, why: &str) {
        let Some(units) = &self.work.units else { return };
        for line in begun.into_iter().filter_map(|(_, _, line)| line) {
            if let Err(error) = lock(&units.records).failed(line, why, false, now()) {
                self.note(format!("the records cannot be written: {error}"));
            }
        }
    }
}

fn alike(seats: usize) -> Vec<Plan> {
    let plan = |seat| Plan {
        seat,
        unit: None,
        patches: Vec::new(),
        keys: Public::default(),
        token: String::new(),
        old: None,
    };
    (0..seats).map(plan).collect()
}

/// Gives the cards units, with all their secrets.
fn give(
    fleet: &Units,
    seats: &mut [Seat],
    busy: &BTreeSet<String>,
) -> Result<(Vec<Plan>, Vec<String>), DeskError> {
    let mut held = Vec::new();
    for seat in seats {
        // The second file is the one with the token.
        let place = fleet.places.get(1);
        held.push(match place.and_then(|place| read_token(&mut seat.device, *place)) {
            Some(token) => lock(&fleet.records).by_token(&token)?,
            None => None,
        });
    }
    let (plan, units) = fleet.plan(&held, busy)?;
    if plan.pairs.is_empty() {
        return Err(DeskError::NoUnit(plan.notes));
    }
    let mut plans = Vec::new();
    for (seat, unit) in plan.pairs {
        let token = token()?;
        let (patches, keys) =
            patches(units[unit], &token, &fleet.places).map_err(DeskError::Unit)?;
        plans.push(Plan {
            seat,
            unit: Some(units[unit].id.as_str().to_owned()),
            patches,
            keys,
            token,
            old: held[seat].as_ref().map(|line| line.token.clone()),
        });
    }
    Ok((plans, plan.notes))
}
