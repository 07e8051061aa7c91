//! Axes: a name, a unit, a scale, ticks.

/// How values are laid out along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// In proportion.
    #[default]
    Linear,
    /// In proportion to the logarithm; values that are not positive are left out.
    Log,
}

/// An axis with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub(super) name: String,
    pub(super) scale: Scale,
    pub(super) range: Option<(f64, f64)>,
}

impl Axis {
    /// A linear axis; `name` includes the unit: `"mutual information (nats per component)"`.
    pub fn linear(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            scale: Scale::Linear,
            range: None,
        }
    }

    /// A logarithmic axis.
    pub fn log(name: impl Into<String>) -> Self {
        Self {
            scale: Scale::Log,
            ..Self::linear(name)
        }
    }

    /// Fixed ends, instead of those of the data.
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }
}
