//! A text in as many messages as it needs.

use super::alphabet::{ESCAPE, to_septets};
use super::body::{Body, UserData};
use super::coding::{Alphabet, Coding};
use super::header::{Concat, Header};

/// A text ready to be sent: its coding and its parts, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Alphabet and class of each part.
    pub coding: Coding,
    /// The parts, one at least. With more than one each has a header.
    pub parts: Vec<UserData>,
}

/// A text that no 255 messages hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text needs {0} messages; 255 is the most")]
pub struct TooLong(pub usize);

/// Octets of the header that names a part, its length included: with a
/// reference of 8 and of 16 bits (TS 23.040 §9.2.3.24.1, .8).
const SHORT: usize = 6;
const LONG: usize = 7;

/// Puts a text into messages, in the default alphabet where it has all
/// characters, else in UCS-2. `class` 0 is a text to be shown at once.
///
/// Parts are named by `reference`, its lower half when `wide` is not set. No
/// part ends within a character.
///
/// # Errors
/// It needs more than 255 messages.
pub fn split(
    text: &str,
    class: Option<u8>,
    reference: u16,
    wide: bool,
) -> Result<Message, TooLong> {
    let header = if wide { LONG } else { SHORT };
    let (alphabet, bodies): (_, Vec<Body>) = match to_septets(text) {
        Some(septets) => {
            // 160 septets; a header takes whole septets.
            let room = 160 - (header * 8).div_ceil(7);
            let parts = cut(&septets, 160, room, |last| last == ESCAPE);
            (Alphabet::Gsm7, parts.into_iter().map(Body::Septets).collect())
        }
        None => {
            let units: Vec<u16> = text.encode_utf16().collect();
            let parts =
                cut(&units, 70, (140 - header) / 2, |last| (0xd800..0xdc00).contains(&last));
            (Alphabet::Ucs2, parts.into_iter().map(Body::Units).collect())
        }
    };
    let total = u8::try_from(bodies.len()).map_err(|_| TooLong(bodies.len()))?;
    let reference = if wide { reference } else { reference & 0xff };
    let part = |(number, body)| {
        let concat = Concat { reference, wide, total, number };
        let header = (total > 1).then(|| Header(vec![concat.element()]));
        UserData { header, body }
    };
    Ok(Message {
        coding: Coding::text(alphabet, class),
        parts: (1..=total).zip(bodies).map(part).collect(),
    })
}

/// One piece of at most `whole`, or pieces of at most `room`, none of which
/// ends in what only begins a character.
fn cut<T: Copy>(all: &[T], whole: usize, room: usize, begins: impl Fn(T) -> bool) -> Vec<Vec<T>> {
    if all.len() <= whole {
        return vec![all.to_vec()];
    }
    let mut pieces = Vec::new();
    let mut rest = all;
    while rest.len() > room {
        let end = if begins(rest[room - 1]) { room - 1 } else { room };
        pieces.push(rest[..end].to_vec());
        rest = &rest[end..];
    }
    pieces.push(rest.to_vec());
    pieces
}
