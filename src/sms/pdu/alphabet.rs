//! GSM's 7 bit default alphabet and its extension table (TS 23.038 §6.2.1).
//!
//! The national tables of TS 23.038 annex A are not used: no network here is
//! known to need them, and a text that would is sent as UCS-2.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Leads to the extension table.
pub(super) const ESCAPE: u8 = 0x1b;

/// Characters of 0x00 to 0x7f; the escape stands for itself.
const BASE: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', //
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1b}', 'Æ', 'æ', 'ß', 'É', //
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/', //
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?', //
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', //
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', //
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', //
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

/// Characters after the escape.
const EXTENSION: [(u8, char); 10] = [
    (0x0a, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2f, '\\'),
    (0x3c, '['),
    (0x3d, '~'),
    (0x3e, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// The septets of a text, unpacked; `None` when a character has none.
#[must_use]
pub fn to_septets(text: &str) -> Option<Vec<u8>> {
    static CODES: OnceLock<BTreeMap<char, (bool, u8)>> = OnceLock::new();
    let codes = CODES.get_or_init(|| {
        let base = (0_u8..).zip(BASE).filter(|(code, _)| *code != ESCAPE);
        let base = base.map(|(code, char)| (char, (false, code)));
        base.chain(EXTENSION.map(|(code, char)| (char, (true, code)))).collect()
    });
    let mut out = Vec::with_capacity(text.len());
    for char in text.chars() {
        let (extended, code) = *codes.get(&char)?;
        if extended {
            out.push(ESCAPE);
        }
        out.push(code);
    }
    Some(out)
}

/// The text of septets. What the extension table does not have is shown as the
/// character of the main table, and an escape before an escape or the end as a
/// space (TS 23.038 §6.2.1.1, notes 1 and 3). The eighth bit is ignored.
#[must_use]
pub fn from_septets(septets: &[u8]) -> String {
    let mut out = String::with_capacity(septets.len());
    let mut septets = septets.iter().map(|septet| septet & 0x7f);
    while let Some(septet) = septets.next() {
        if septet != ESCAPE {
            out.push(BASE[usize::from(septet)]);
            continue;
        }
        match septets.next() {
            None | Some(ESCAPE) => out.push(' '),
            Some(code) => {
                let found = EXTENSION.iter().find(|row| row.0 == code);
                out.push(found.map_or(BASE[usize::from(code)], |row| row.1));
            }
        }
    }
    out
}
