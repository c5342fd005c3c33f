//! A page as a picture of black and white dots.

use std::convert::Infallible;

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_10X20;
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::{Dimensions, DrawTarget, Drawable as _, Pixel, Point};
use embedded_graphics::primitives::Rectangle;
use embedded_graphics::text::{Baseline, Text};

use super::{DPI, LabelError, Page, Shape, Size};

/// Dots, eight in a byte, a line begins with a byte; 1 is white, as PNG has it.
pub(super) struct Canvas {
    size: Size,
    stride: usize,
    bytes: Vec<u8>,
}

impl Canvas {
    /// The page's dots.
    pub(super) fn of(page: &Page) -> Self {
        let stride = page.size.width.div_ceil(8) as usize;
        let bytes = vec![0xFF; stride * page.size.height as usize];
        let mut canvas = Self { size: page.size, stride, bytes };
        for shape in &page.shapes {
            match shape {
                Shape::Box { x, y, size } => canvas.fill(*x, *y, *size),
                Shape::Text { x, y, scale, text } => {
                    let style = MonoTextStyle::new(&FONT_10X20, BinaryColor::On);
                    let text = Text::with_baseline(text, Point::zero(), style, Baseline::Top);
                    let mut pen = Pen { canvas: &mut canvas, x: *x, y: *y, scale: *scale };
                    let Ok(_) = text.draw(&mut pen);
                }
            }
        }
        canvas
    }

    /// Makes a box black; what is outside the page is left out.
    fn fill(&mut self, x: u32, y: u32, size: Size) {
        for y in y..(y + size.height).min(self.size.height) {
            for x in x..(x + size.width).min(self.size.width) {
                self.bytes[y as usize * self.stride + x as usize / 8] &= !(0x80 >> (x % 8));
            }
        }
    }
}

/// Draws letters that are enlarged.
struct Pen<'a> {
    canvas: &'a mut Canvas,
    x: u32,
    y: u32,
    scale: u32,
}

impl Dimensions for Pen<'_> {
    fn bounding_box(&self) -> Rectangle {
        let size = self.canvas.size;
        let size = embedded_graphics::prelude::Size::new(size.width, size.height);
        Rectangle::new(Point::zero(), size)
    }
}

impl DrawTarget for Pen<'_> {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<BinaryColor>>,
    {
        let size = Size { width: self.scale, height: self.scale };
        for Pixel(at, color) in pixels {
            if let (BinaryColor::On, Ok(x), Ok(y)) =
                (color, u32::try_from(at.x), u32::try_from(at.y))
            {
                self.canvas.fill(self.x + x * self.scale, self.y + y * self.scale, size);
            }
        }
        Ok(())
    }
}

/// The page as PNG, in black and white, with its size for printers.
///
/// # Errors
/// The picture cannot be written.
pub fn png(page: &Page) -> Result<Vec<u8>, LabelError> {
    let canvas = Canvas::of(page);
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, page.size.width, page.size.height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    // An inch is 25.4 mm.
    let per_metre = DPI * 10_000 / 254;
    let unit = png::Unit::Meter;
    encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: per_metre, yppu: per_metre, unit }));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&canvas.bytes)?;
    writer.finish()?;
    Ok(out)
}
