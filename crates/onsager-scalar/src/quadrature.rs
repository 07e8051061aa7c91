//! Composite Gauss-Legendre quadrature on panels that follow the scales of the integrand.
//!
//! A narrow feature is invisible to a global rule, whatever its order. Here the caller names
//! the places and widths it knows ([`Panels::split_at`] for a kink, [`Panels::refine_towards`]
//! for a scale), each panel gets one Gauss-Legendre rule, and a lower rule on the same panels
//! gives the error. [`adaptive`] is an independent and slower second route.

use crate::special::normal_density;
use gauss_quad::legendre::GaussLegendre;
use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::OnceLock;

/// Value of an integral, with an estimate of its absolute error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The integral.
    pub value: f64,
    /// Estimated absolute error, rounding included; usually pessimistic, never negative.
    pub error: f64,
}

/// What makes an integral meaningless.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuadratureError {
    /// The integrand is NaN or infinite.
    #[error("integrand must be finite, and is not at {at}")]
    NotFinite {
        /// Where it was evaluated.
        at: f64,
    },
    /// A break point or a limit is NaN or infinite.
    #[error("break points must be finite, got {0}")]
    BreakPoint(f64),
    /// Fewer than two distinct break points.
    #[error("panels need at least two distinct break points, got {0}")]
    Empty(usize),
    /// The number of nodes per panel is out of range.
    #[error("quadrature order must lie in 1..={MAX_ORDER}, got {0}")]
    Order(usize),
    /// The width given to a refinement is not finite and positive.
    #[error("refinement scale must be finite and positive, got {0}")]
    Scale(f64),
    /// The tolerance is not in `(0, 1)`.
    #[error("relative tolerance must lie in (0, 1), got {0}")]
    Tolerance(f64),
}

/// Integral of `f` over the panels, `order` Gauss-Legendre nodes on each.
///
/// The error is the sum over panels of the distance to a rule with a quarter fewer nodes, plus
/// `4ε ∫|f|` for rounding; it costs three quarters more evaluations. A kink or a jump inside a
/// panel can fool both rules at once: split there.
///
/// - **Accuracy**: exact to rounding for a polynomial of degree `2·order - 1` on each panel.
/// - **Errors**: [`QuadratureError::NotFinite`] at the first bad value,
///   [`QuadratureError::Order`].
///
/// ```
/// use onsager_scalar::quadrature::{Panels, integrate};
/// let panels = Panels::new([-1.0, 2.0])?.split_at(0.3);
/// let area = integrate(&panels, 4, |x| (x - 0.3).abs())?;
/// assert!((area.value - (1.3f64.powi(2) + 1.7f64.powi(2)) / 2.0).abs() <= area.error);
/// assert!(area.error < 1e-14);
/// # Ok::<(), onsager_scalar::quadrature::QuadratureError>(())
/// ```
pub fn integrate(
    panels: &Panels,
    order: usize,
    mut f: impl FnMut(f64) -> f64,
) -> Result<Estimate, QuadratureError> {
    integrate_all(panels, order, |x| [f(x)]).map(|[only]| only)
}

/// Integrals of the `N` components of `f` in one pass over the nodes; see [`integrate`].
pub fn integrate_all<const N: usize>(
    panels: &Panels,
    order: usize,
    mut f: impl FnMut(f64) -> [f64; N],
) -> Result<[Estimate; N], QuadratureError> {
    let high = Rule::new(order)?;
    // A single node has nothing to be compared with: then the error is the whole integral.
    let low = match order - (order / 4).max(1) {
        0 => None,
        fewer => Some(Rule::new(fewer)?),
    };
    let mut value = [0.0; N];
    let mut error = [0.0; N];
    for (a, b) in panels.iter() {
        let mut fine = [0.0; N];
        for (x, w) in high.on(a, b) {
            let y = f(x);
            for i in 0..N {
                check(y[i], x)?;
                fine[i] += w * y[i];
                error[i] += 4.0 * f64::EPSILON * w * y[i].abs();
            }
        }
        let mut coarse = [0.0; N];
        if let Some(low) = low {
            for (x, w) in low.on(a, b) {
                let y = f(x);
                for i in 0..N {
                    check(y[i], x)?;
                    coarse[i] += w * y[i];
                }
            }
        }
        for i in 0..N {
            value[i] += fine[i];
            error[i] += (fine[i] - coarse[i]).abs();
        }
    }
    Ok(std::array::from_fn(|i| Estimate {
        value: value[i],
        error: error[i],
    }))
}

/// Gaussian average `E f(z)`, `z ~ N(0, 1)`, split at the given break points.
///
/// Panels of [`Panels::gaussian`] with 16 nodes each. The part `|z| > 9.5` is dropped: it holds
/// a mass 2.1e-21, and a share 2e-19 of `E z²`, so any `f` of polynomial growth loses nothing.
///
/// - **Accuracy**: about 1e-15 for `f` smooth on unit scale between break points; the estimate
///   says so, or says otherwise. Give narrower features to [`gaussian_averages`] as panels.
/// - **Errors**: as [`integrate`]; [`QuadratureError::BreakPoint`].
///
/// ```
/// use onsager_scalar::quadrature::gaussian_average;
/// let relu = gaussian_average(|z| z.max(0.0), &[0.0])?;
/// let exact = 1.0 / (2.0 * std::f64::consts::PI).sqrt();
/// assert!((relu.value - exact).abs() < 1e-15);
/// # Ok::<(), onsager_scalar::quadrature::QuadratureError>(())
/// ```
pub fn gaussian_average(
    mut f: impl FnMut(f64) -> f64,
    break_points: &[f64],
) -> Result<Estimate, QuadratureError> {
    let mut panels = Panels::gaussian();
    for &point in break_points {
        if !point.is_finite() {
            return Err(QuadratureError::BreakPoint(point));
        }
        panels = panels.split_at(point);
    }
    gaussian_averages(&panels, 16, |z| [f(z)]).map(|[only]| only)
}

/// Gaussian averages of the `N` components of `f` over the given panels in one pass.
///
/// `∫ φ(z) f_i(z) dz` over the hull of the panels, usually [`Panels::gaussian`] refined; a hull
/// that ends earlier truncates the average there.
pub fn gaussian_averages<const N: usize>(
    panels: &Panels,
    order: usize,
    mut f: impl FnMut(f64) -> [f64; N],
) -> Result<[Estimate; N], QuadratureError> {
    integrate_all(panels, order, |z| {
        let weight = normal_density(z);
        f(z).map(|y| weight * y)
    })
}

/// Consecutive intervals, each to be integrated by one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Panels {
    /// Increasing, at least two.
    edges: Vec<f64>,
}

impl Panels {
    /// Panels between the given points, in any order; repeated points count once.
    ///
    /// - **Errors**: [`QuadratureError::BreakPoint`], [`QuadratureError::Empty`].
    pub fn new(points: impl IntoIterator<Item = f64>) -> Result<Self, QuadratureError> {
        let mut edges: Vec<f64> = points.into_iter().collect();
        if let Some(&bad) = edges.iter().find(|x| !x.is_finite()) {
            return Err(QuadratureError::BreakPoint(bad));
        }
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        if edges.len() < 2 {
            return Err(QuadratureError::Empty(edges.len()));
        }
        Ok(Self { edges })
    }

    /// Panels for the weight `φ(z)` on `[-9.5, 9.5]`, about one standard deviation each.
    pub fn gaussian() -> Self {
        const HALF: [f64; 7] = [1.0, 2.0, 3.0, 4.2, 5.6, 7.3, 9.5];
        let mut edges: Vec<f64> = HALF.iter().rev().map(|x| -x).collect();
        edges.push(0.0);
        edges.extend(HALF);
        Self { edges }
    }

    /// Adds an edge at `point`, where the integrand or a derivative jumps. A point outside the
    /// hull changes nothing.
    #[must_use]
    pub fn split_at(mut self, point: f64) -> Self {
        if self.edges[0] < point && point < self.edges[self.edges.len() - 1] {
            let place = self.edges.partition_point(|&e| e < point);
            if self.edges[place] != point {
                self.edges.insert(place, point);
            }
        }
        self
    }

    /// Resolves a feature of width `scale` around `point`, which may lie outside the hull.
    ///
    /// Adds `point` and `point ± scale·2ᵏ`, `k = 0, 1, …`, across the hull, leaving out what the
    /// panels present resolve already: no edge goes into a panel narrower than half its
    /// distance to `point`, nor within a quarter of that distance from another edge. The width
    /// of a panel is then of the order of `scale` plus its distance to `point`.
    ///
    /// - **Errors**: [`QuadratureError::Scale`], [`QuadratureError::BreakPoint`].
    pub fn refine_towards(self, point: f64, scale: f64) -> Result<Self, QuadratureError> {
        if !(scale.is_finite() && scale > 0.0) {
            return Err(QuadratureError::Scale(scale));
        }
        if !point.is_finite() {
            return Err(QuadratureError::BreakPoint(point));
        }
        let (a, b) = self.hull();
        let reach = (point - a).abs().max((b - point).abs());
        let mut panels = self.split_at(point);
        // Below the spacing of doubles around the point an edge would coincide with it.
        let mut d = scale.max(4.0 * f64::EPSILON * point.abs());
        while d < reach {
            for edge in [point - d, point + d] {
                if a < edge && edge < b {
                    let place = panels.edges.partition_point(|&e| e < edge);
                    let (below, above) = (panels.edges[place - 1], panels.edges[place]);
                    if above - below > 0.5 * d && (edge - below).min(above - edge) > 0.25 * d {
                        panels.edges.insert(place, edge);
                    }
                }
            }
            d *= 2.0;
        }
        Ok(panels)
    }

    /// The edges, increasing.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// First and last edge.
    pub fn hull(&self) -> (f64, f64) {
        (self.edges[0], self.edges[self.edges.len() - 1])
    }

    /// The panels `(a, b)`, from left to right.
    pub fn iter(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.edges.windows(2).map(|pair| (pair[0], pair[1]))
    }

    /// Nodes and weights of the composite rule, for loops that do their own sums (no error
    /// estimate, no check of the integrand).
    pub fn nodes<'a>(&'a self, rule: &'a Rule) -> impl Iterator<Item = (f64, f64)> + 'a {
        self.iter().flat_map(|(a, b)| rule.on(a, b))
    }
}

/// Largest number of nodes of a [`Rule`]; beyond it more panels are the better choice.
pub const MAX_ORDER: usize = 64;

/// Gauss-Legendre rule on `[-1, 1]`, weights summing to 2; built once per order.
#[derive(Debug)]
pub struct Rule {
    pairs: Vec<(f64, f64)>,
}

impl Rule {
    /// The rule with `order` nodes, exact for polynomials of degree `2·order - 1`.
    ///
    /// - **Errors**: [`QuadratureError::Order`] outside `1..=64`.
    pub fn new(order: usize) -> Result<&'static Self, QuadratureError> {
        static RULES: [OnceLock<Rule>; MAX_ORDER] = [const { OnceLock::new() }; MAX_ORDER];
        let count = NonZeroUsize::new(order).ok_or(QuadratureError::Order(order))?;
        let cell = RULES.get(order - 1).ok_or(QuadratureError::Order(order))?;
        Ok(cell.get_or_init(|| Self {
            pairs: GaussLegendre::new(count).as_node_weight_pairs().to_vec(),
        }))
    }

    /// Nodes and weights on `[-1, 1]`, nodes increasing.
    pub fn pairs(&self) -> &[(f64, f64)] {
        &self.pairs
    }

    /// Nodes and weights on `[a, b]`.
    pub fn on(&self, a: f64, b: f64) -> impl Iterator<Item = (f64, f64)> + '_ {
        let (half, middle) = (0.5 * (b - a), 0.5 * (b + a));
        self.pairs
            .iter()
            .map(move |&(x, w)| (middle + half * x, half * w))
    }
}

fn check(y: f64, at: f64) -> Result<(), QuadratureError> {
    if y.is_finite() {
        Ok(())
    } else {
        Err(QuadratureError::NotFinite { at })
    }
}

/// Number of panels [`adaptive`] starts from.
const FIRST_PANELS: usize = 8;
/// Halvings allowed to [`adaptive`]: a jump is then confined to `2⁻⁴⁸` of a first panel.
const MAX_DEPTH: usize = 48;
/// Relative error of the tabulated weights and of the cut tails of crate `quadrature`.
const LIBRARY_WEIGHTS: f64 = 1e-13;

/// Integral of `f` over `[a, b]` by double-exponential quadrature and bisection: the second
/// route, for tests and references.
///
/// The rule of crate `quadrature` takes non-finite values for 0 and squares its last
/// difference as error. Neither is believed here: a value that is not finite is an error, and
/// a piece is accepted only when it agrees with the sum of its two halves.
///
/// - **Arguments**: `f` finite on the closed interval; `tolerance` relative to `∫|f|`.
/// - **Accuracy**: the reported error, a sum of absolute differences; it may exceed the
///   tolerance when 48 halvings do not settle a piece. A feature missed by the first 8 panels
///   (narrower than about 1/1000 of the interval) stays unseen: split there.
/// - **Errors**: [`QuadratureError::NotFinite`], [`QuadratureError::BreakPoint`] for a limit,
///   [`QuadratureError::Tolerance`].
pub fn adaptive(
    f: impl Fn(f64) -> f64,
    a: f64,
    b: f64,
    tolerance: f64,
) -> Result<Estimate, QuadratureError> {
    if !(tolerance > 0.0 && tolerance < 1.0) {
        return Err(QuadratureError::Tolerance(tolerance));
    }
    if let Some(limit) = [a, b].into_iter().find(|x| !x.is_finite()) {
        return Err(QuadratureError::BreakPoint(limit));
    }
    if a > b {
        // The rule never converges on reversed limits.
        return adaptive(f, b, a, tolerance).map(|reversed| Estimate {
            value: -reversed.value,
            ..reversed
        });
    }
    let width = (b - a) / FIRST_PANELS as f64;
    if width == 0.0 {
        return Ok(Estimate {
            value: 0.0,
            error: 0.0,
        });
    }
    let edges = (0..=FIRST_PANELS).map(|k| {
        if k == FIRST_PANELS {
            b
        } else {
            a + k as f64 * width
        }
    });
    let panels = Panels::new(edges)?;
    let size = integrate(&panels, 16, |x| f(x).abs())?.value;
    let bisection = Bisection {
        f,
        not_finite: Cell::new(None),
        density: 0.25 * tolerance * size / (b - a),
        relative: 0.25 * tolerance,
    };
    let mut total = Estimate {
        value: 0.0,
        error: LIBRARY_WEIGHTS * size,
    };
    for (left, right) in panels.iter() {
        let whole = bisection.rule(left, right)?;
        bisection.add(left, right, whole, MAX_DEPTH, &mut total)?;
    }
    Ok(total)
}

struct Bisection<F> {
    f: F,
    not_finite: Cell<Option<f64>>,
    /// Error allowed per unit length.
    density: f64,
    /// Error allowed relative to a piece.
    relative: f64,
}

impl<F: Fn(f64) -> f64> Bisection<F> {
    fn rule(&self, a: f64, b: f64) -> Result<f64, QuadratureError> {
        let f = |x| {
            let y = (self.f)(x);
            if !y.is_finite() && self.not_finite.get().is_none() {
                self.not_finite.set(Some(x));
            }
            y
        };
        let target = 0.1 * self.density * (b - a);
        let found = quadrature::integrate(f, a, b, target);
        match self.not_finite.get() {
            Some(at) => Err(QuadratureError::NotFinite { at }),
            None => Ok(found.integral),
        }
    }

    fn add(
        &self,
        a: f64,
        b: f64,
        whole: f64,
        depth: usize,
        total: &mut Estimate,
    ) -> Result<(), QuadratureError> {
        let middle = 0.5 * (a + b);
        let (left, right) = (self.rule(a, middle)?, self.rule(middle, b)?);
        let difference = (left + right - whole).abs();
        let allowed = (self.density * (b - a)).max(self.relative * (left.abs() + right.abs()));
        let indivisible = depth == 0 || middle <= a || middle >= b;
        if difference <= allowed || indivisible {
            total.value += left + right;
            total.error += difference;
            return Ok(());
        }
        self.add(a, middle, left, depth - 1, total)?;
        self.add(middle, b, right, depth - 1, total)
    }
}
