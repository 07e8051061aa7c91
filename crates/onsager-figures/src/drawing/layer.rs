//! The layers of a plot.

/// One thing drawn on the axes.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// A curve.
    Line(Line),
    /// The area between two curves.
    Band(Band),
    /// Markers with error bars.
    Points(Points),
    /// A straight line across the panel.
    Rule(Rule),
    /// A field of colours with its colour bar.
    HeatMap(HeatMap),
    /// Bars of a density.
    Histogram(Histogram),
}

macro_rules! layer {
    ($($kind:ident),*) => {$(
        impl From<$kind> for Layer {
            fn from(layer: $kind) -> Self {
                Self::$kind(layer)
            }
        }
    )*};
}
layer!(Line, Band, Points, Rule, HeatMap, Histogram);

/// How a line is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dash {
    /// Not at all.
    #[default]
    Solid,
    /// Long strokes.
    Dashed,
    /// Dots.
    Dotted,
}

/// A curve through points; a point that is not finite interrupts it.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) colour: usize,
    pub(super) dash: Dash,
}

impl Line {
    /// A solid line; an empty name keeps it out of the legend.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points,
            colour: 0,
            dash: Dash::Solid,
        }
    }

    /// Index into the palette, taken modulo its length.
    pub fn colour(mut self, colour: usize) -> Self {
        self.colour = colour;
        self
    }

    /// How the line is broken.
    pub fn dash(mut self, dash: Dash) -> Self {
        self.dash = dash;
        self
    }
}

/// The area between two curves over the same abscissae.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64, f64)>,
    pub(super) colour: usize,
}

impl Band {
    /// A band through points (x, lower, upper).
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points,
            colour: 0,
        }
    }

    /// The band y ± uncertainty of points (x, y, uncertainty).
    pub fn around(name: impl Into<String>, points: &[(f64, f64, f64)]) -> Self {
        Self::new(
            name,
            points.iter().map(|&(x, y, u)| (x, y - u, y + u)).collect(),
        )
    }

    /// Index into the palette, taken modulo its length.
    pub fn colour(mut self, colour: usize) -> Self {
        self.colour = colour;
        self
    }
}

/// Shape of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Marker {
    /// A disc.
    #[default]
    Disc,
    /// A circle, white inside.
    Circle,
    /// A square.
    Square,
    /// A diamond.
    Diamond,
    /// A triangle.
    Triangle,
    /// A cross.
    Cross,
}

/// Markers with vertical error bars of one standard error.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64, f64)>,
    pub(super) colour: usize,
    pub(super) marker: Marker,
}

impl Points {
    /// Points (x, y, uncertainty).
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points,
            colour: 0,
            marker: Marker::Disc,
        }
    }

    /// Index into the palette, taken modulo its length.
    pub fn colour(mut self, colour: usize) -> Self {
        self.colour = colour;
        self
    }

    /// Shape of the marker.
    pub fn marker(mut self, marker: Marker) -> Self {
        self.marker = marker;
        self
    }
}

/// A dashed line across the whole panel, with a label beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub(super) at: f64,
    pub(super) label: String,
    pub(super) colour: usize,
    pub(super) vertical: bool,
}

impl Rule {
    /// At an abscissa.
    pub fn vertical(at: f64, label: impl Into<String>) -> Self {
        Self {
            at,
            label: label.into(),
            colour: super::BLACK,
            vertical: true,
        }
    }

    /// At an ordinate.
    pub fn horizontal(at: f64, label: impl Into<String>) -> Self {
        Self {
            vertical: false,
            ..Self::vertical(at, label)
        }
    }

    /// Index into the palette, taken modulo its length.
    pub fn colour(mut self, colour: usize) -> Self {
        self.colour = colour;
        self
    }
}

/// A value for every pair of abscissa and ordinate, as colours.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    pub(super) name: String,
    pub(super) x: Vec<f64>,
    pub(super) y: Vec<f64>,
    pub(super) values: Vec<f64>,
    pub(super) range: Option<(f64, f64)>,
}

impl HeatMap {
    /// `values[j * x.len() + i]` at `(x[i], y[j])`, both strictly increasing; `name` labels the
    /// colour bar. Missing and not finite values are left grey.
    pub fn new(name: impl Into<String>, x: Vec<f64>, y: Vec<f64>, values: Vec<f64>) -> Self {
        Self {
            name: name.into(),
            x,
            y,
            values,
            range: None,
        }
    }

    /// Values of the two ends of the colour bar, instead of the extremes of the data.
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }
}

/// Bars of a normalised histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    pub(super) name: String,
    pub(super) edges: Vec<f64>,
    pub(super) densities: Vec<f64>,
    pub(super) colour: usize,
}

impl Histogram {
    /// Bars of these heights between consecutive edges (one edge more than heights).
    pub fn new(name: impl Into<String>, edges: Vec<f64>, densities: Vec<f64>) -> Self {
        Self {
            name: name.into(),
            edges,
            densities,
            colour: 4,
        }
    }

    /// The density of a sample in equal bins between `low` and `high`; what lies outside counts in
    /// the normalisation and is not drawn.
    pub fn of(name: impl Into<String>, sample: &[f64], low: f64, high: f64, bins: usize) -> Self {
        let width = (high - low) / bins as f64;
        let mut counts = vec![0.0; bins];
        for value in sample {
            let bin = ((value - low) / width).floor();
            if bin >= 0.0 && bin < bins as f64 {
                counts[bin as usize] += 1.0;
            }
        }
        let edges = (0..=bins).map(|bin| low + width * bin as f64).collect();
        let densities = counts
            .iter()
            .map(|count| count / (width * sample.len() as f64))
            .collect();
        Self::new(name, edges, densities)
    }

    /// Index into the palette, taken modulo its length.
    pub fn colour(mut self, colour: usize) -> Self {
        self.colour = colour;
        self
    }
}
