//! Labels, read again by somebody else's code.

use super::*;

fn label(unit: &str) -> Label {
    Label {
        unit: unit.into(),
        host: Some(format!("pump-{}", unit.to_ascii_lowercase())),
        imei: Some("490154203237518".into()),
        mac: Some("dc:a6:32:00:11:22".into()),
    }
}

/// What the codes on a picture say, by another program's library.
fn read(size: Size, dark: impl Fn(u32, u32) -> bool) -> Vec<String> {
    let (width, height) = (size.width as usize, size.height as usize);
    let light = |x: usize, y: usize| if dark(x as u32, y as u32) { 0 } else { 255 };
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, light);
    let mut texts: Vec<_> =
        image.detect_grids().iter().map(|grid| grid.decode().unwrap().1).collect();
    texts.sort();
    texts
}

/// The dots of a PNG, by the same crate's reader.
fn dots(bytes: &[u8]) -> (Size, Vec<bool>) {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut buffer = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut buffer).unwrap();
    let dark = buffer[..info.buffer_size()].iter().map(|it| *it < 128).collect();
    (Size { width: info.width, height: info.height }, dark)
}

fn read_png(bytes: &[u8]) -> Vec<String> {
    let (size, dark) = dots(bytes);
    read(size, |x, y| dark[(y * size.width + x) as usize])
}

#[test]
fn a_label_is_read_again_from_both_forms() {
    let ids = ["1", "0001", "PUMP-42", &"X".repeat(64)];
    for unit in ids {
        let label = label(unit);
        let page = label.page().unwrap();
        let picture = png(&page).unwrap();
        assert_eq!(dots(&picture).0, LABEL);
        assert_eq!(read_png(&picture), [label.content()], "{unit}");
        // The SVG's boxes, filled by hand.
        let text = svg(&page);
        let document = roxmltree::Document::parse(&text).unwrap();
        let path = document.descendants().find(|it| it.has_tag_name("path")).unwrap();
        let mut dark = vec![false; (LABEL.width * LABEL.height) as usize];
        for part in path.attribute("d").unwrap().split('z').filter(|it| !it.is_empty()) {
            let numbers: Vec<u32> =
                part.split(['M', ' ', 'h', 'v', '-']).filter_map(|it| it.parse().ok()).collect();
            let [x, y, wide, high, _] = numbers[..] else { panic!("{part}") };
            for (x, y) in (y..y + high).flat_map(|y| (x..x + wide).map(move |x| (x, y))) {
                dark[(y * LABEL.width + x) as usize] = true;
            }
        }
        let codes = read(LABEL, |x, y| dark[(y * LABEL.width + x) as usize]);
        assert_eq!(codes, [label.content()], "{unit}");
        let words: String =
            document.descendants().filter(|it| it.is_text()).filter_map(|it| it.text()).collect();
        assert!(words.replace('\n', "").contains(unit), "{words}");
    }
}

#[test]
fn text_is_drawn_beside_the_code_and_on_the_label() {
    let bare = Label { unit: "7".into(), ..Label::default() };
    let page = bare.page().unwrap();
    let (size, dark) = dots(&png(&page).unwrap());
    let count = |from: u32, to: u32| {
        let at = |x: u32, y: u32| dark[(y * size.width + x) as usize];
        (0..size.height)
            .flat_map(|y| (from..to).map(move |x| (x, y)))
            .filter(|(x, y)| at(*x, *y))
            .count()
    };
    assert!(count(LABEL.height, LABEL.height + LARGEST * CHARACTER.width) > 100, "no text");
    assert_eq!(count(LABEL.height + LARGEST * CHARACTER.width, size.width), 0);
    // The longest goes down no further than the label does.
    for shape in &label(&"W".repeat(63)).page().unwrap().shapes {
        let (right, below) = match shape {
            Shape::Box { x, y, size } => (x + size.width, y + size.height),
            Shape::Text { x, y, scale, text } => {
                let wide = CHARACTER.width * scale * text.len() as u32;
                (x + wide, y + CHARACTER.height * scale)
            }
        };
        assert!(right <= LABEL.width && below <= LABEL.height, "{shape:?}");
    }
}

#[test]
fn a_sheet_has_each_unit_once_and_always_the_same_bytes() {
    let labels: Vec<_> = (1..=25).map(|number| label(&format!("{number:04}"))).collect();
    let pages = sheets(&labels, 3, 8).unwrap();
    assert_eq!(pages.len(), 2);
    let pictures: Vec<_> = pages.iter().map(|page| png(page).unwrap()).collect();
    let contents: Vec<_> = labels.iter().map(Label::content).collect();
    // Cell by cell: the reader takes corners of neighbours for those of one code.
    let mut found = Vec::new();
    for picture in &pictures {
        let (size, dark) = dots(picture);
        assert_eq!(size, SHEET);
        let (wide, high) = (SHEET.width / 3, SHEET.height / 8);
        for (left, top) in (0..8).flat_map(|row| (0..3).map(move |at| (at * wide, row * high))) {
            let cell = Size { width: wide, height: high };
            found.extend(read(cell, |x, y| dark[((top + y) * size.width + left + x) as usize]));
        }
    }
    assert_eq!(found, contents);
    let again = sheets(&labels, 3, 8).unwrap();
    assert!(png(&again[0]).unwrap() == pictures[0] && svg(&again[0]) == svg(&pages[0]));
    for (columns, rows) in [(0, 1), (4, 1), (1, 11), (1, 0)] {
        assert!(matches!(sheets(&labels, columns, rows), Err(LabelError::TooMany(..))));
    }
}
