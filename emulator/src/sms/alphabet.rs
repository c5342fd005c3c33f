//! GSM's default alphabet and its packing (TS 23.038 sections 6.1.2 and 6.2.1).

const BASE: &str = concat!(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?",
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);

/// Characters behind the escape 1b.
const EXTENSION: &[(u8, char)] = &[
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

/// Septets of a text; `None` when a character is not of the alphabet.
pub(crate) fn septets(text: &str) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    for it in text.chars() {
        if let Some(code) = BASE.chars().position(|known| known == it && it != '\u{1b}') {
            all.push(u8::try_from(code).ok()?);
        } else {
            let (code, _) = EXTENSION.iter().find(|(_, known)| *known == it)?;
            all.extend([0x1b, *code]);
        }
    }
    Some(all)
}

/// Text of septets.
pub(crate) fn text(septets: &[u8]) -> String {
    let base = |code: u8| BASE.chars().nth(usize::from(code & 0x7f)).unwrap_or(' ');
    let mut all = String::new();
    let mut codes = septets.iter().copied();
    while let Some(code) = codes.next() {
        if code != 0x1b {
            all.push(base(code));
        } else if let Some(code) = codes.next() {
            let known = EXTENSION.iter().find(|(known, _)| *known == code);
            all.push(known.map_or_else(|| if code == 0x1b { ' ' } else { base(code) }, |it| it.1));
        }
    }
    all
}

/// Packs septets behind `skip` septets' room, which stays zero.
pub(crate) fn pack(septets: &[u8], skip: usize) -> Vec<u8> {
    let mut out = vec![0; ((septets.len() + skip) * 7).div_ceil(8)];
    for (index, septet) in septets.iter().enumerate() {
        let bit = (index + skip) * 7;
        let value = u16::from(*septet & 0x7f) << (bit % 8);
        let [low, high] = value.to_le_bytes();
        if let Some(byte) = out.get_mut(bit / 8) {
            *byte |= low;
        }
        if let Some(byte) = out.get_mut(bit / 8 + 1) {
            *byte |= high;
        }
    }
    out
}

/// Unpacks septets number `skip` up to `count`.
pub(crate) fn unpack(bytes: &[u8], skip: usize, count: usize) -> Vec<u8> {
    let byte = |index: usize| u16::from(bytes.get(index).copied().unwrap_or(0));
    (skip..count)
        .map(|index| {
            let bit = index * 7;
            let pair = byte(bit / 8) | byte(bit / 8 + 1) << 8;
            (pair >> (bit % 8) & 0x7f) as u8
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_as_the_standard_does() {
        let packed = pack(&septets("hellohello").unwrap(), 0);
        assert_eq!(packed, [0xe8, 0x32, 0x9b, 0xfd, 0x46, 0x97, 0xd9, 0xec, 0x37]);
        assert_eq!(text(&unpack(&packed, 0, 10)), "hellohello");
        assert_eq!(BASE.chars().count(), 128);
        assert_eq!(septets("€").unwrap(), [0x1b, 0x65]);
        assert_eq!(septets("😀"), None);
    }
}
