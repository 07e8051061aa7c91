//! Arrays of grey images.

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
