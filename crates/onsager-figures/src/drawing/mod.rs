//! Pictures from tables: what a panel may show. It knows numbers and words, and no physics.
//!
//! A [`Picture`] is a grid of [`Panel`]s; a panel is either a plot (axes with layers on them) or an
//! array of grey images with captions. Colours are indices into [`PALETTE`], which stays
//! distinguishable for colour-blind readers; by convention theory is a line and simulation are points of
//! the same colour.

mod axis;
mod canvas;
mod images;
mod layer;
mod page;
mod plot;

pub use axis::{Axis, Scale};
pub use images::{Image, Images};
pub use layer::{Band, Dash, HeatMap, Histogram, Layer, Line, Marker, Points, Rule};
pub use plot::Plot;

/// Colours of Okabe and Ito (2008), darkest contrast first; their yellow is left out, since it
/// vanishes on white. The last one, [`BLACK`], is for rules and references.
pub const PALETTE: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#222222",
];

/// Index of the neutral colour of the [`PALETTE`].
pub const BLACK: usize = PALETTE.len() - 1;

/// A grid of panels, filled row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    columns: usize,
    panels: Vec<Panel>,
}

impl Picture {
    /// An empty grid with this many columns (at least one).
    pub fn new(columns: usize) -> Self {
        Self {
            columns: columns.max(1),
            panels: Vec::new(),
        }
    }

    /// Adds a panel.
    pub fn panel(mut self, panel: impl Into<Panel>) -> Self {
        self.panels.push(panel.into());
        self
    }

    /// The picture as SVG; text stays text.
    pub fn svg(&self) -> String {
        page::draw(self).svg()
    }

    /// The picture as PNG, two pixels for each unit of the SVG.
    ///
    /// # Errors
    ///
    /// What the rasteriser says when the picture is too large.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        page::draw(self).png()
    }
}

/// One cell of a picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Panel {
    /// Axes with layers.
    Plot(Plot),
    /// Grey images in rows and columns.
    Images(Images),
}

impl From<Plot> for Panel {
    fn from(plot: Plot) -> Self {
        Self::Plot(plot)
    }
}

impl From<Images> for Panel {
    fn from(images: Images) -> Self {
        Self::Images(images)
    }
}
