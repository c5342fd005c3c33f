//! Which unit goes onto which card: a function of the fleet, the records, and
//! what the cards hold.

use crate::boot::Place;
use crate::card::Card as Device;
use crate::records::{Card, Standing};

/// Bytes of a token.
const TOKEN: usize = 16;

/// A unit with what the records say of it.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Its id.
    pub id: &'a str,
    /// Whether a card has it.
    pub standing: Standing,
}

/// Who goes where, and what the user should know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Number of the card and number of the unit, by card.
    pub pairs: Vec<(usize, usize)>,
    /// What was passed over, and why.
    pub notes: Vec<String>,
}

/// Gives each card a unit, in the units' order. `holds` has for each card the
/// line of the records that its token leads to; `named` says that the user
/// named the units, `again` that units and cards that are done may be written
/// again.
#[must_use]
pub fn assign(units: &[Candidate<'_>], holds: &[Option<Card>], named: bool, again: bool) -> Plan {
    let mut plan = Plan::default();
    let mut free: Vec<bool> = vec![true; holds.len()];
    for (card, line) in holds.iter().enumerate() {
        match line {
            // Nobody took out the finished one.
            Some(line) if line.state == "right" && !again => {
                free[card] = false;
                plan.notes.push(format!(
                    "card {} is unit {}, written and verified: put another one in, or say \
                     `--unit {} --again` to write it once more",
                    card + 1,
                    line.unit,
                    line.unit
                ));
            }
            _ => {}
        }
    }
    let mut waiting = Vec::new();
    for (number, unit) in units.iter().enumerate() {
        // Its own card, if that is there.
        let own = |line: &Card| {
            let same = |held: &Option<Card>| held.as_ref().is_some_and(|it| it.token == line.token);
            holds.iter().position(same)
        };
        match &unit.standing {
            Standing::Free => waiting.push(number),
            Standing::Right(line) | Standing::Unclear(line) if again => {
                match own(line).filter(|&card| free[card]) {
                    Some(card) => {
                        free[card] = false;
                        plan.pairs.push((card, number));
                    }
                    None => waiting.push(number),
                }
            }
            Standing::Right(line) => {
                if named {
                    plan.notes.push(format!(
                        "unit {} is on a card already (number {} of the records): say `--unit {} \
                         --again` to write it once more",
                        unit.id, line.number, unit.id
                    ));
                }
            }
            Standing::Unclear(line) => match own(line).filter(|&card| free[card]) {
                Some(card) => {
                    free[card] = false;
                    plan.pairs.push((card, number));
                }
                None => plan.notes.push(format!(
                    "unit {} may be on the card that was in {}, whose writing was cut short at \
                     its very end: put that card in again, or destroy it and say `--unit {} --again`",
                    unit.id, line.target, unit.id
                )),
            },
        }
    }
    let cards = (0..holds.len()).filter(|&card| free[card]);
    let mut waiting = waiting.into_iter();
    let mut pairs: Vec<_> = cards.map_while(|card| Some((card, waiting.next()?))).collect();
    plan.pairs.append(&mut pairs);
    plan.pairs.sort_unstable();
    plan
}

/// A new token.
///
/// # Errors
/// The kernel gives no random bytes.
pub fn token() -> std::io::Result<String> {
    Ok(hex::encode(*crate::keys::random::<TOKEN>()?))
}

/// The token on a card, if there is one where the image has the unit's file.
pub fn read_token(device: &mut dyn Device, place: Place) -> Option<String> {
    let page = crate::aligned::PAGE as u64;
    let start = place.offset / page * page;
    let len = (place.offset + place.len).next_multiple_of(page) - start;
    if device.size().is_some_and(|size| start + len > size) {
        return None;
    }
    let mut buffer = crate::aligned::Aligned::zeroed(usize::try_from(len).ok()?);
    // A card that cannot be read, or a file that ends before, has none.
    device.read(start, buffer.bytes_mut()).ok()?;
    let skip = usize::try_from(place.offset - start).ok()?;
    // What follows is another file's.
    let file = buffer.bytes().get(skip..skip + usize::try_from(place.len).ok()?)?;
    find_token(&String::from_utf8_lossy(file))
}

/// The token in the text of a unit's file. Files for the unit stand in that
/// text too, so it is not searched but read.
fn find_token(text: &str) -> Option<String> {
    let table: toml::Table = toml::from_str(text).ok()?;
    let token = table.get("unit")?.get("card")?.as_str()?;
    let whole = token.len() == 2 * TOKEN && token.bytes().all(|it| it.is_ascii_hexdigit());
    whole.then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(unit: &str, state: &str, token: &str) -> Card {
        Card {
            number: 1,
            unit: unit.into(),
            state: state.into(),
            token: token.into(),
            target: "/dev/sdb".into(),
            ..Card::default()
        }
    }

    fn units() -> [Candidate<'static>; 4] {
        let right = Standing::Right(line("1", "right", "a"));
        let unclear = Standing::Unclear(line("2", "closing", "b"));
        [("1", right), ("2", unclear), ("3", Standing::Free), ("4", Standing::Free)]
            .map(|(id, standing)| Candidate { id, standing })
    }

    #[test]
    fn units_go_in_order_to_cards_that_are_not_done() {
        let plan = assign(&units(), &[None, Some(line("1", "right", "a")), None], false, false);
        assert_eq!(plan.pairs, [(0, 2), (2, 3)]);
        assert_eq!(plan.notes.len(), 2, "{:?}", plan.notes);
        assert!(plan.notes[0].contains("card 2 is unit 1"), "{:?}", plan.notes);
        assert!(plan.notes[0].contains("`--unit 1 --again`"), "{:?}", plan.notes);
        assert!(plan.notes[1].contains("unit 2 may be on"), "{:?}", plan.notes);
        assert!(plan.notes[1].contains("`--unit 2 --again`"), "{:?}", plan.notes);
    }

    #[test]
    fn an_unclear_unit_goes_back_to_its_card() {
        let holds = [None, Some(line("2", "closing", "b")), None];
        let plan = assign(&units(), &holds, false, false);
        assert_eq!(plan, Plan { pairs: vec![(0, 2), (1, 1), (2, 3)], notes: vec![] });
        // A card of an earlier, interrupted writing is not that card.
        let holds = [Some(line("2", "interrupted", "x"))];
        assert_eq!(assign(&units(), &holds, false, false).pairs, [(0, 2)]);
    }

    #[test]
    fn again_overrules() {
        let holds = [Some(line("1", "right", "a")), None];
        assert_eq!(assign(&units(), &holds, true, true).pairs, [(0, 0), (1, 1)]);
        // Onto its own card first, if that is there.
        let holds = [None, Some(line("1", "right", "a"))];
        assert_eq!(assign(&units()[..1], &holds, true, true).pairs, [(1, 0)]);
        let holds = [Some(line("1", "right", "a")), None];
        let plan = assign(&units()[..1], &holds, true, false);
        assert!(plan.pairs.is_empty() && plan.notes.len() == 2, "{plan:?}");
    }

    #[test]
    fn tokens_are_found_in_units_files_only() {
        let token = token().unwrap();
        assert_eq!(find_token(&format!("[unit]\nid = \"1\"\ncard = \"{token}\"\n\n")), Some(token));
        for text in ["", "\u{fffd}", "[unit]\ncard = \"12\"", "[unit]\ncard = 7", "unit = 1"] {
            assert_eq!(find_token(text), None, "{text}");
        }
        let text = format!("[unit]\ncard = \"{}\"", "\u{e4}".repeat(TOKEN));
        assert_eq!(find_token(&text), None);
        // Content of a file that looks like it.
        let (own, other) = ("1".repeat(2 * TOKEN), "2".repeat(2 * TOKEN));
        let fleet = format!(
            "[[unit]]\nid = '1'\nfiles = [{{ path = '/a', content = '''\ncard = \"{other}\"\n''' }}]"
        );
        let fleet = crate::fleet::Fleet::parse("fleet.toml".as_ref(), &fleet).unwrap();
        let files = crate::fleet::render::render(&fleet.units[0], &own).unwrap();
        let text = files.texts[1].reveal();
        assert!(text.contains(&format!("card = \"{other}\"")), "{text}");
        assert_eq!(find_token(text), Some(own));
    }
}
