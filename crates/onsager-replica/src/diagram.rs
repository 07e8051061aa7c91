//! Phase diagrams: errors on a grid of two parameters, and the lines where they change.

use onsager_model::{ModelError, Tree};
use serde::Serialize;

use crate::ReplicaError;
use crate::chain::StateEvolution;
use crate::family::{Member, passed};
use crate::threshold::{Key, Threshold, ThresholdKind};

/// A phase diagram over two parameters, column by column.
///
/// A column holds one value of the parameter *across* and all of the parameter *along*. Where the
/// latter is the noise of the model's own curve ([`Diagram::new`], `key`) one curve of fixed points
/// gives the errors of a whole column and every line that crosses it; otherwise every cell has a
/// curve of its own, and lines between cells are located by secants.
///
/// Columns are independent: [`Diagram::missing`] names those to compute next, in any order and on
/// any thread, until none is left. After the grid these are columns between neighbours where a
/// line begins or ends, or is steep.
///
/// ```
/// use std::sync::Arc;
/// use onsager_model::Chain;
/// use onsager_replica::{Diagram, Key, ThresholdKind};
/// use onsager_scalar::{activation::PiecewiseLinear, prior::Gaussian};
///
/// // A spike behind one linear layer, against the aspect α of the layer and the noise Δ.
/// let family = |aspect: f64, noise: f64| {
///     Chain::new(Arc::new(Gaussian::standard()))
///         .layer(aspect, Arc::new(PiecewiseLinear::linear()))
///         .spiked_wigner(noise)
/// };
/// let mut diagram = Diagram::new(vec![0.5, 1.0, 2.0], vec![0.5, 2.0, 4.0], Key::Noise)?;
/// while let Some(aspect) = diagram.missing(0).first() {
///     diagram.insert(diagram.column(&family, *aspect));
/// }
/// let lines = diagram.lines();
/// assert_eq!(lines[0].kind, ThresholdKind::WeakRecovery);
/// for point in &lines[0].points {
///     assert!((point.along - (1.0 + point.across)).abs() < 1e-12); // Δ_c = 1 + α
/// }
/// # Ok::<(), onsager_replica::ReplicaError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Diagram {
    across: Vec<f64>,
    along: Vec<f64>,
    key: Key,
    /// By increasing value.
    columns: Vec<Column>,
}

/// One value of the parameter across.
#[derive(Debug, Clone)]
pub struct Column {
    /// The value.
    pub value: f64,
    /// The errors at every value along, or why there are none; empty beside the grid.
    pub cells: Vec<Result<Errors, ReplicaError>>,
    /// The thresholds in the parameter along, between its ends.
    pub thresholds: Result<Vec<Threshold>, ReplicaError>,
}

/// Mean squared errors per component of the signal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Errors {
    /// Of message passing.
    pub algorithmic: f64,
    /// The least possible one.
    pub optimal: f64,
}

/// Thresholds of one kind that belong together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Which change.
    pub kind: ThresholdKind,
    /// The variable whose zero overlap becomes unstable, for weak recovery.
    pub variable: Option<String>,
    /// By increasing value across.
    pub points: Vec<LinePoint>,
}

/// One threshold of a line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LinePoint {
    /// Value of the parameter across.
    pub across: f64,
    /// Value of the parameter along.
    pub along: f64,
    /// Estimated absolute error of `along`.
    pub uncertainty: f64,
}

/// A model for every pair of values, across and along.
type Family<'a> = dyn Fn(f64, f64) -> Result<Tree, ModelError> + 'a;

/// A line that passes more than this share of the cells between two columns gets one in between.
const STEEP: f64 = 0.05;

impl Diagram {
    /// A diagram without columns.
    ///
    /// - **Arguments**: increasing values of the two parameters, two or more each; `key` says what
    ///   the parameter along is. [`Key::Noise`] of a generalised linear model is any other number,
    ///   since its curves run along the sampling ratio.
    ///
    /// # Errors
    /// Values that are fewer than two, do not increase or are not finite; or not positive along a
    /// curve.
    pub fn new(across: Vec<f64>, along: Vec<f64>, key: Key) -> Result<Self, ReplicaError> {
        let positive = |x: &f64| key == Key::Other || *x > 0.0;
        for (quantity, values) in [("values across", &across), ("values along", &along)] {
            let refused = |allowed, value| ReplicaError::Range {
                quantity,
                allowed,
                value,
            };
            if values.len() < 2 {
                return Err(refused("a set of two or more", values.len() as f64));
            }
            let grows = |w: &&[f64]| !(w[0] < w[1] && w[1].is_finite());
            if let Some(pair) = values.windows(2).find(grows) {
                return Err(refused("increasing order", pair[1]));
            }
        }
        if let Some(value) = along.iter().find(|x| !positive(x)) {
            return Err(ReplicaError::Range {
                quantity: "values along a curve of fixed points",
                allowed: "the positive numbers",
                value: *value,
            });
        }
        Ok(Self {
            across,
            along,
            key,
            columns: Vec::new(),
        })
    }

    /// The columns so far, by increasing value.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The values across whose columns are to be computed next; none when the diagram is complete.
    ///
    /// Once the grid is there, gaps between columns are halved, each gap of the grid up to `halvings`
    /// times, where a line begins or ends or passes more than a twentieth of all cells. Failed columns are not
    /// approached.
    #[must_use]
    pub fn missing(&self, halvings: u32) -> Vec<f64> {
        let known = |x: &f64| self.columns.iter().any(|c| c.value == *x);
        let grid: Vec<f64> = self.across.iter().copied().filter(|x| !known(x)).collect();
        if !grid.is_empty() {
            return grid;
        }
        let gap = |x: f64| {
            let i = self.across.partition_point(|a| *a <= x);
            let i = i.clamp(1, self.across.len() - 1);
            self.across[i] - self.across[i - 1]
        };
        let coarse = |pair: &&[Column]| {
            let (a, b) = (&pair[0], &pair[1]);
            // Half a unit against rounding.
            let finest = gap(a.value) / 2f64.powi(halvings as i32);
            b.value - a.value > 1.5 * finest && self.differ(a, b)
        };
        let middle = |pair: &[Column]| 0.5 * (pair[0].value + pair[1].value);
        self.columns.windows(2).filter(coarse).map(middle).collect()
    }

    /// Adds a column, in the place of one of the same value if there is one.
    pub fn insert(&mut self, column: Column) {
        let at = self.columns.partition_point(|c| c.value < column.value);
        match self.columns.get_mut(at) {
            Some(known) if known.value == column.value => *known = column,
            _ => self.columns.insert(at, column),
        }
    }

    /// Computes one column. What fails is told in its place.
    #[must_use]
    pub fn column(&self, family: &Family<'_>, value: f64) -> Column {
        let shown = self.across.contains(&value);
        self.on_curve(family, value, shown)
            .unwrap_or_else(|| self.by_cells(family, value, shown))
    }

    fn failed(&self, value: f64, reason: ReplicaError) -> Column {
        let shown = self.across.contains(&value);
        let cells = self.along.iter().filter(|_| shown);
        let cells = cells.map(|_| Err(reason.clone())).collect();
        Column {
            value,
            cells,
            thresholds: Err(reason),
        }
    }

    /// One curve for the whole column, unless the parameter along is not that of the curve.
    fn on_curve(&self, family: &Family<'_>, value: f64, shown: bool) -> Option<Column> {
        let ends = (self.along[0], self.along[self.along.len() - 1]);
        let is_along = |chain: &StateEvolution| {
            let (declared, expected) = (chain.noise(), self.noise(ends.0));
            chain.key() == self.key && (declared / expected - 1.0).abs() < 1e-12
        };
        let chain = match family(value, ends.0).map(|tree| StateEvolution::new(&tree)) {
            Ok(Ok(chain)) if is_along(&chain) => chain,
            Ok(Err(error)) => return Some(self.failed(value, error)),
            // Not the parameter of the curve; or refused at one end, with members elsewhere.
            _ => return None,
        };
        let (low, high) = (self.noise(ends.0), self.noise(ends.1));
        let curve = match chain.around(low.min(high), low.max(high)) {
            Ok(curve) => curve,
            Err(error) => return Some(self.failed(value, error)),
        };
        let errors = |along: &f64| {
            let prediction = chain.predict_without_labels(&curve, self.noise(*along))?;
            Ok(Errors {
                algorithmic: prediction.algorithmic.mmse,
                optimal: prediction.optimal.mmse,
            })
        };
        let cells = self.along.iter().filter(|_| shown).map(errors).collect();
        let thresholds = chain.thresholds_on(&curve).map(|found| {
            let found = match self.key {
                Key::SamplingRatio => chain.in_ratios(found, false),
                _ => found,
            };
            let inside = |t: &Threshold| ends.0 <= t.value && t.value <= ends.1;
            found.thresholds.into_iter().filter(inside).collect()
        });
        Some(Column {
            value,
            cells,
            thresholds,
        })
    }

    /// The noise of the model's curve at a value along it.
    fn noise(&self, along: f64) -> f64 {
        match self.key {
            Key::SamplingRatio => 1.0 / along,
            _ => along,
        }
    }

    /// One curve for every cell.
    fn by_cells(&self, family: &Family<'_>, value: f64, shown: bool) -> Column {
        let mut members = Vec::new();
        let mut cell = |along: f64| {
            let chain = StateEvolution::new(&family(value, along)?)?;
            let noise = chain.noise();
            let curve = chain.around(noise, noise)?;
            let prediction = chain.predict_without_labels(&curve, noise)?;
            members.push(Member::on(&chain, &curve, along)?);
            Ok(Errors {
                algorithmic: prediction.algorithmic.mmse,
                optimal: prediction.optimal.mmse,
            })
        };
        let mut cells: Vec<_> = self.along.iter().map(|along| cell(*along)).collect();
        let failure = cells.iter().find_map(|cell| cell.as_ref().err().cloned());
        let thresholds = match failure {
            Some(reason) if members.is_empty() => Err(reason),
            _ => passed(&|along| family(value, along), &members),
        };
        if !shown {
            cells.clear();
        }
        Column {
            value,
            cells,
            thresholds,
        }
    }

    /// The lines through the thresholds of neighbouring columns.
    ///
    /// Each threshold continues the nearest line of its kind and variable, distances counted in
    /// cells, unless a nearer threshold does; a failed column ends every line.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        // The lines that reached the column before.
        let mut open: Vec<usize> = Vec::new();
        for column in &self.columns {
            let Ok(thresholds) = &column.thresholds else {
                open.clear();
                continue;
            };
            let end = |line: &Line| line.points.last().map_or(f64::NAN, |p| p.along);
            let mut pairs = Vec::new();
            for (i, t) in thresholds.iter().enumerate() {
                for l in &open {
                    let line = &lines[*l];
                    if line.kind == t.kind && line.variable == t.variable {
                        pairs.push((self.cells_between(end(line), t.value), i, *l));
                    }
                }
            }
            pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut continued: Vec<Option<usize>> = vec![None; thresholds.len()];
            for (_, i, l) in pairs {
                if continued[i].is_none() && !continued.contains(&Some(l)) {
                    continued[i] = Some(l);
                }
            }
            open.clear();
            for (t, line) in thresholds.iter().zip(continued) {
                let line = line.unwrap_or_else(|| {
                    lines.push(Line {
                        kind: t.kind,
                        variable: t.variable.clone(),
                        points: Vec::new(),
                    });
                    lines.len() - 1
                });
                lines[line].points.push(LinePoint {
                    across: column.value,
                    along: t.value,
                    uncertainty: t.uncertainty,
                });
                open.push(line);
            }
        }
        lines.sort_by_key(|line| line.kind);
        lines
    }

    /// Whether a line begins, ends or is steep between two columns.
    fn differ(&self, a: &Column, b: &Column) -> bool {
        let (Ok(x), Ok(y)) = (&a.thresholds, &b.thresholds) else {
            return false;
        };
        // Both are sorted by kind and value.
        let steep = STEEP * (self.along.len() - 1) as f64;
        let follows = |(s, t): (&Threshold, &Threshold)| {
            s.kind == t.kind
                && s.variable == t.variable
                && self.cells_between(s.value, t.value) <= steep
        };
        x.len() != y.len() || !x.iter().zip(y).all(follows)
    }

    /// Cells between two values along.
    fn cells_between(&self, from: f64, to: f64) -> f64 {
        let place = |x: f64| {
            let i = self.along.partition_point(|a| *a <= x);
            let i = i.clamp(1, self.along.len() - 1);
            let (low, high) = (self.along[i - 1], self.along[i]);
            i as f64 + (x - low) / (high - low)
        };
        (place(to) - place(from)).abs()
    }
}
