//! A page as SVG 1.1.

use std::fmt::Write as _;

use super::{CHARACTER, DPI, Page, Shape};

/// The page's text; its unit is a dot.
#[must_use]
pub fn svg(page: &Page) -> String {
    // Hundredths of a millimetre, without floating point.
    let millimetres = |dots: u32| {
        let hundredths = dots * 2540 / DPI;
        format!("{}.{:02}mm", hundredths / 100, hundredths % 100)
    };
    let (width, height) = (page.size.width, page.size.height);
    let mut boxes = String::new();
    let mut texts = String::new();
    for shape in &page.shapes {
        // Writing to a String cannot fail.
        _ = match shape {
            Shape::Box { x, y, size } => {
                let (wide, high) = (size.width, size.height);
                write!(boxes, "M{x} {y}h{wide}v{high}h-{wide}z")
            }
            Shape::Text { x, y, scale, text } => {
                let (high, wide) = (CHARACTER.height * scale, CHARACTER.width * scale);
                // Where letters stand, with what hangs below them in the box.
                let base = y + high * 3 / 4;
                // Whatever font there is, it goes into its box.
                let length = wide * text.chars().count() as u32;
                writeln!(
                    texts,
                    "<text x=\"{x}\" y=\"{base}\" font-size=\"{high}\" textLength=\"{length}\" \
                     lengthAdjust=\"spacingAndGlyphs\">{}</text>",
                    escaped(text)
                )
            }
        };
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"monospace\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <path d=\"{boxes}\" shape-rendering=\"crispEdges\"/>\n{texts}</svg>\n",
        millimetres(width),
        millimetres(height),
    )
}

/// XML 1.0 §2.4.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
