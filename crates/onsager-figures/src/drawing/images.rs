//! Arrays of grey images.

use super::canvas::{Anchor, Canvas, Frame, text_width};
use super::page::{Size, heading};

/// A grey image: row by row from the top, 0 black and 1 white on the page.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub(super) width: usize,
    pub(super) pixels: Vec<f64>,
}

impl Image {
    /// An image of rows of `width` pixels, whose values are mapped linearly so that the smallest is
    /// black and the largest white.
    pub fn stretched(width: usize, pixels: &[f64]) -> Self {
        let finite = || pixels.iter().copied().filter(|value| value.is_finite());
        let (low, high) = (
            finite().fold(f64::INFINITY, f64::min),
            finite().fold(f64::NEG_INFINITY, f64::max),
        );
        Self::new(width, pixels, low, high)
    }

    /// An image in which `low` is black and `high` white.
    pub fn new(width: usize, pixels: &[f64], low: f64, high: f64) -> Self {
        let span = if high > low { high - low } else { 1.0 };
        let pixels = pixels
            .iter()
            .map(|value| ((value - low) / span).clamp(0.0, 1.0))
            .collect();
        Self {
            width: width.max(1),
            pixels,
        }
    }
}

/// Images in rows and columns, with a caption for each of both.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Images {
    pub(super) title: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<(String, Vec<Image>)>,
}

impl Images {
    /// An empty array under a title, with the captions of its columns.
    pub fn new<C: Into<String>>(
        title: impl Into<String>,
        columns: impl IntoIterator<Item = C>,
    ) -> Self {
        Self {
            title: title.into(),
            columns: columns.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row of images with its caption.
    pub fn row(mut self, caption: impl Into<String>, images: Vec<Image>) -> Self {
        self.rows.push((caption.into(), images));
        self
    }
}

/// Side of an image on the page: two units for each pixel of 28, so that all are equally wide.
const SIDE: f64 = 56.0;
/// Between neighbouring images.
const GAP: f64 = 5.0;
const TITLE: f64 = 24.0;
const CAPTION: f64 = 18.0;
const TEXT: u32 = 11;
const HEADING: u32 = 13;

impl Image {
    pub(super) fn height(&self) -> usize {
        self.pixels.len().div_ceil(self.width).max(1)
    }
}

impl Images {
    pub(super) fn size(&self) -> Size {
        let columns = self
            .rows
            .iter()
            .map(|(_, images)| images.len())
            .max()
            .unwrap_or(0);
        let columns = columns.max(self.columns.len()) as f64;
        let title = text_width(&heading(Some("(a)".to_owned()), &self.title), HEADING);
        Size {
            width: (self.caption_width() + columns * (SIDE + GAP)).max(title),
            height: TITLE + CAPTION + self.rows.len() as f64 * (SIDE + GAP),
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, corner: (f64, f64), letter: Option<String>) {
        let at = (corner.0, corner.1 + f64::from(HEADING));
        canvas.text(at, Anchor::Start, HEADING, &heading(letter, &self.title));
        let (left, top) = (corner.0 + self.caption_width(), corner.1 + TITLE + CAPTION);
        for (column, caption) in self.columns.iter().enumerate() {
            let x = left + (SIDE + GAP) * column as f64 + SIDE / 2.0;
            canvas.text((x, top - 6.0), Anchor::Middle, TEXT, caption);
        }
        for (row, (caption, images)) in self.rows.iter().enumerate() {
            let y = top + (SIDE + GAP) * row as f64;
            let baseline = y + SIDE / 2.0 + f64::from(TEXT) * 0.36;
            canvas.text((left - 8.0, baseline), Anchor::End, TEXT, caption);
            for (column, image) in images.iter().enumerate() {
                let x = left + (SIDE + GAP) * column as f64;
                canvas.image(
                    Frame {
                        left: x,
                        top: y,
                        width: SIDE,
                        height: SIDE,
                    },
                    image,
                );
            }
        }
    }

    fn caption_width(&self) -> f64 {
        let widths = self
            .rows
            .iter()
            .map(|(caption, _)| text_width(caption, TEXT));
        widths.fold(0.0, f64::max) + 14.0
    }
}
