//! Labels for units: a QR code and text, on a page of their own or many on a
//! sheet. Nothing secret is on them, and the same units give the same bytes.
//!
//! All lengths are in dots of 1/300 inch: what most label printers print.

mod raster;
mod svg;

use qrcode::{Color, EcLevel, QrCode};

pub use raster::png;
pub use svg::svg;

/// Dots in an inch.
pub const DPI: u32 = 300;

/// A label of 62 x 29 mm, a usual size of address labels.
pub const LABEL: Size = Size { width: 732, height: 342 };

/// A sheet of A4, 210 x 297 mm.
pub const SHEET: Size = Size { width: 2480, height: 3508 };

/// Modules around a QR code that stay light (ISO/IEC 18004 §6.3.8).
const QUIET: u32 = 4;

/// Width and height of a character in dots, at its smallest.
const CHARACTER: Size = Size { width: 10, height: 20 };

/// Dots around the text.
const MARGIN: u32 = 14;

/// Most times that characters are enlarged.
const LARGEST: u32 = 4;

/// Width and height in dots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

/// What a label says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// The unit's id.
    pub unit: String,
    /// Its host name.
    pub host: Option<String>,
    /// Its modem's number.
    pub imei: Option<String>,
    /// Its Ethernet address.
    pub mac: Option<String>,
}

/// Why labels cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// Too much text for a QR code.
    #[error("the unit {0:?} has too much text for a QR code")]
    TooLong(String),
    /// So many labels are not on a sheet.
    #[error("{0} labels beside and {1} below each other do not go onto A4: at most 3x10")]
    TooMany(u32, u32),
    /// The picture cannot be written.
    #[error("the picture cannot be written: {0}")]
    Png(#[from] png::EncodingError),
}

/// Something black, with its left upper corner.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// A box.
    Box { x: u32, y: u32, size: Size },
    /// A line of text, enlarged so many times.
    Text { x: u32, y: u32, scale: u32, text: String },
}

/// A page that is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    size: Size,
    shapes: Vec<Shape>,
}

impl Label {
    /// What the QR code says: lines of `name=value`, the unit first.
    #[must_use]
    pub fn content(&self) -> String {
        let pairs = [("host", &self.host), ("imei", &self.imei), ("mac", &self.mac)];
        let lines = pairs.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let mut text = format!("a7670e-unit={}", self.unit);
        lines.for_each(|(name, value)| text += &format!("\n{name}={value}"));
        text
    }

    /// A page with this label alone.
    ///
    /// # Errors
    /// It has too much text.
    pub fn page(&self) -> Result<Page, LabelError> {
        let mut page = Page { size: LABEL, shapes: Vec::new() };
        self.draw(0, 0, &mut page.shapes)?;
        Ok(page)
    }

    fn draw(&self, x: u32, y: u32, shapes: &mut Vec<Shape>) -> Result<(), LabelError> {
        let code = QrCode::with_error_correction_level(self.content(), EcLevel::M)
            .map_err(|_| LabelError::TooLong(self.unit.clone()))?;
        // A code has 177 modules at most.
        let modules = code.width() as u32;
        let dots = LABEL.height / (modules + 2 * QUIET);
        if dots < 2 {
            return Err(LabelError::TooLong(self.unit.clone()));
        }
        let edge = (LABEL.height - modules * dots) / 2;
        for (row, line) in (0..).zip(code.to_colors().chunks(code.width())) {
            // Modules beside each other are one box.
            let mut at = 0;
            while at < line.len() {
                let dark = line[at..].iter().take_while(|it| **it == Color::Dark).count();
                if dark > 0 {
                    let size = Size { width: dark as u32 * dots, height: dots };
                    let (x, y) = (x + edge + at as u32 * dots, y + edge + row * dots);
                    shapes.push(Shape::Box { x, y, size });
                }
                at += dark.max(1);
            }
        }
        let left = x + LABEL.height;
        let room = LABEL.width - LABEL.height - MARGIN;
        let mut top = y + edge;
        for (scale, text) in self.lines(room) {
            shapes.push(Shape::Text { x: left, y: top, scale, text });
            top += CHARACTER.height * scale + CHARACTER.height / 2;
        }
        Ok(())
    }

    /// The text beside the code, and how large each line is.
    fn lines(&self, room: u32) -> Vec<(u32, String)> {
        let fits = room / CHARACTER.width;
        let mut lines = Vec::new();
        // Ids and host names are ASCII, so bytes are characters.
        let mut add = |text: &str, most: u32| {
            let len = text.len().max(1) as u32;
            let scale = (fits / len).clamp(1, most);
            for part in text.as_bytes().chunks(fits as usize) {
                lines.push((scale, String::from_utf8_lossy(part).into_owned()));
            }
        };
        add(&self.unit, LARGEST);
        if let Some(host) = &self.host {
            add(host, 2);
        }
        for (name, value) in [("IMEI", &self.imei), ("MAC", &self.mac)] {
            if let Some(value) = value {
                add(&format!("{name} {value}"), 1);
            }
        }
        lines
    }
}

/// Sheets of A4 with labels in `columns` and `rows`, filled line by line.
///
/// # Errors
/// So many do not go onto a sheet; a label has too much text.
pub fn sheets(labels: &[Label], columns: u32, rows: u32) -> Result<Vec<Page>, LabelError> {
    let fits = |count: u32, whole: u32, each: u32| (1..=whole / each).contains(&count);
    if !fits(columns, SHEET.width, LABEL.width) || !fits(rows, SHEET.height, LABEL.height) {
        return Err(LabelError::TooMany(columns, rows));
    }
    let (wide, high) = (SHEET.width / columns, SHEET.height / rows);
    let mut pages = Vec::new();
    for part in labels.chunks((columns * rows) as usize) {
        let mut page = Page { size: SHEET, shapes: Vec::new() };
        for (number, label) in (0..).zip(part) {
            let x = number % columns * wide + (wide - LABEL.width) / 2;
            let y = number / columns * high + (high - LABEL.height) / 2;
            label.draw(x, y, &mut page.shapes)?;
        }
        pages.push(page);
    }
    Ok(pages)
}

#[cfg(test)]
mod tests;
