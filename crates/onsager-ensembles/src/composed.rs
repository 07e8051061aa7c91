//! Laws built by free convolution: products with Marchenko-Pastur laws, affine maps, free sums
//! with a semicircle, in any order and number.

use std::f64::consts::PI;

use onsager_scalar::quadrature::Estimate;
use onsager_scalar::roots::bracketed_root;

use crate::error::{finite, positive};
use crate::resolvent::{Dual, Resolvent, Sheet, Step};
use crate::spectrum::{Atom, Complex64, Spectrum, Support, average_over};
use crate::{Empirical, EnsembleError};

/// The law of a matrix that is made from a point mass (or given eigenvalues) by independent
/// random matrices.
///
/// | step | matrix |
/// | --- | --- |
/// | [`wishart`](Self::wishart) | `W K Wᵀ/k`, `W` of `p x k` independent entries of unit variance: free product with Marchenko-Pastur |
/// | [`affine`](Self::affine) | `shift + scale K` |
/// | [`semicircle`](Self::semicircle) | `K + ξ √(v/p)`: free sum |
///
/// Each is a rational map between `(z, s(z))` of the old and of the new law, so that all of them
/// together are one curve with a rational parameter, `w = z` of the law at the start. The line
/// off the support is the image of at most one interval of real `w` for every gap of the law at
/// the start, found level by level: the new law has a gap where `E t²/(t - w)² < a` (`wishart`)
/// or `v E 1/(t - w)² < 1` (`semicircle`), functions that are convex on every gap of the old law.
/// Inside the support the one complex root is followed from far above the axis.
///
/// - **Accuracy**: edges, atoms and moments to a few 1e-14 of the upper edge; transforms to
///   about `1e-14/√d` at a relative distance `d` from an edge.
/// - **Source**: Marchenko and Pastur (1967), Silverstein and Choi (1995), Pastur (1972) for the
///   steps; their composition: own derivation.
///
/// ```
/// use onsager_ensembles::{Composed, Spectrum};
/// // Squared singular values of a product of two square matrices: Fuss-Catalan.
/// let law = Composed::point(1.0)?.wishart(1.0)?.wishart(1.0)?;
/// assert!((law.support().upper() - 27.0 / 4.0).abs() < 1e-13);
/// assert_eq!(law.moment(3), 12.0);
/// # Ok::<(), onsager_ensembles::EnsembleError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Composed {
    atoms: Vec<Atom>,
    /// All steps but the last affine ones.
    steps: Vec<Step>,
    /// `(shift, scale)` after the steps.
    tail: (f64, f64),
    angles: Angles,
    /// Complement of the support after the steps; the last gap contains infinity.
    gaps: Vec<Gap>,
    /// Atoms after the steps, with their angles.
    placed: Vec<(f64, Atom)>,
    /// After the steps.
    core: Support,
    support: Support,
}

/// Real `w = centre - radius cot φ` from the whole projective line; increases with `φ`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Angles {
    centre: f64,
    radius: f64,
}

impl Angles {
    fn tau(&self, angle: f64) -> Complex64 {
        let (sin, cos) = angle.sin_cos();
        (sin / (self.radius * cos - self.centre * sin)).into()
    }

    /// In `(0, π)`.
    fn of(&self, w: f64) -> f64 {
        self.radius.atan2(self.centre - w)
    }
}

/// An interval of angles off the support. Infinity is at `π`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Gap {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Gap {
    fn is_outer(&self) -> bool {
        self.low < PI && PI < self.high
    }
}

impl Composed {
    /// The law that is one point, of `location > 0`: `K = location · I`.
    ///
    /// # Errors
    /// A location that is not finite and positive.
    pub fn point(location: f64) -> Result<Self, EnsembleError> {
        Self::start(&[Atom {
            location: positive("location", location)?,
            mass: 1.0,
        }])
    }

    /// The law of given eigenvalues.
    ///
    /// # Errors
    /// Eigenvalues that are all zero.
    ///
    /// ```
    /// use onsager_ensembles::{Composed, Empirical, Spectrum};
    /// let measured = Empirical::new(vec![1.0, 1.0, 10.0])?;
    /// let law = Composed::given(&measured)?.wishart(20.0)?;
    /// assert_eq!(law.support().intervals.len(), 2); // many rows keep them apart
    /// # Ok::<(), onsager_ensembles::EnsembleError>(())
    /// ```
    pub fn given(law: &Empirical) -> Result<Self, EnsembleError> {
        let mut atoms: Vec<Atom> = Vec::new();
        for atom in &law.support().atoms {
            match atoms.last_mut() {
                Some(last) if last.location == atom.location => last.mass += atom.mass,
                _ => atoms.push(*atom),
            }
        }
        let largest = atoms.iter().map(|a| a.location.abs()).fold(0.0, f64::max);
        positive("largest eigenvalue", largest)?;
        Self::start(&atoms)
    }

    fn start(atoms: &[Atom]) -> Result<Self, EnsembleError> {
        let centre: f64 = atoms.iter().map(|a| a.mass * a.location).sum();
        let away = |a: &Atom| (a.location - centre).abs();
        let angles = Angles {
            centre,
            radius: atoms.iter().map(away).fold(centre.abs(), f64::max),
        };
        let placed: Vec<_> = (atoms.iter().map(|a| (angles.of(a.location), *a))).collect();
        let mut gaps: Vec<Gap> = (placed.windows(2))
            .map(|pair| Gap {
                low: pair[0].0,
                high: pair[1].0,
            })
            .collect();
        if let (Some(first), Some(last)) = (placed.first(), placed.last()) {
            gaps.push(Gap {
                low: last.0,
                high: first.0 + PI,
            });
        }
        let core = Support {
            intervals: Vec::new(),
            atoms: atoms.to_vec(),
        };
        Ok(Self {
            atoms: atoms.to_vec(),
            steps: Vec::new(),
            tail: (0.0, 1.0),
            angles,
            gaps,
            placed,
            support: core.clone(),
            core,
        })
    }

    /// The law of `W K Wᵀ/k`; `aspect` is rows over columns of `W`.
    ///
    /// # Errors
    /// An aspect that is not finite and positive; an upper edge that overflows.
    pub fn wishart(self, aspect: f64) -> Result<Self, EnsembleError> {
        let aspect = positive("aspect", aspect)?;
        let mut next = self.untailed();
        let zero = next.placed.iter().find(|(_, a)| a.location == 0.0).copied();
        let rank = 1.0 - zero.map_or(0.0, |(_, atom)| atom.mass);
        let merged = match zero {
            // A null space is no obstacle: only t ≠ 0 enters E t²/(t - w)².
            Some((angle, _)) => merged(&next.gaps, angle),
            None => next.gaps.clone(),
        };
        let square = |at: &Resolvent| {
            let tau = at.tau.value;
            (tau * tau * at.square() / aspect).re
        };
        let narrowed: Vec<Gap> = merged
            .iter()
            .filter_map(|gap| next.narrowed(*gap, &square))
            .collect();
        let mass = 1.0 - rank / aspect;
        let at_zero = zero.map(|(angle, _)| angle);
        let at_zero = at_zero.or_else(|| narrowed.iter().find_map(|gap| next.zero_in(gap)));
        next.placed = Vec::new();
        // A mass that is rounding is none.
        if mass > 4.0 * f64::EPSILON {
            let location = 0.0;
            next.placed
                .push((at_zero.unwrap_or(f64::NAN), Atom { location, mass }));
        }
        next.gaps = match at_zero {
            Some(angle) => split(&narrowed, angle),
            None => narrowed,
        };
        next.steps.push(Step::Wishart { aspect });
        next.settled()
    }

    /// The law of `shift + scale K`.
    ///
    /// # Errors
    /// A shift that is not finite, a scale that is not finite and positive.
    pub fn affine(mut self, shift: f64, scale: f64) -> Result<Self, EnsembleError> {
        finite("shift", shift)?;
        positive("scale", scale)?;
        self.tail = (shift + scale * self.tail.0, scale * self.tail.1);
        self.support = moved(&self.core, self.tail);
        finite("upper edge", self.support.upper())?;
        Ok(self)
    }

    /// The law of `K + ξ √(variance/p)`, `ξ` symmetric with unit variance off the diagonal.
    ///
    /// # Errors
    /// A variance that is not finite and positive.
    pub fn semicircle(self, variance: f64) -> Result<Self, EnsembleError> {
        let variance = positive("variance", variance)?;
        let mut next = self.untailed();
        // v E 1/(t - w)² = v ds/dw, w = -1/τ.
        let pull = |at: &Resolvent| {
            let slope = (at.tau * at.eta).slope / at.tau.slope;
            (slope * at.tau.value * at.tau.value * variance).re
        };
        next.gaps = (next.gaps.iter())
            .filter_map(|gap| next.narrowed(*gap, &pull))
            .collect();
        next.placed = Vec::new();
        next.steps.push(Step::Semicircle { variance });
        next.settled()
    }

    /// Number of laws on the way to this one, the start and this one included; neighbouring affine
    /// steps are one, and an identity is none.
    ///
    /// ```
    /// let law = onsager_ensembles::Composed::point(1.0)?.wishart(2.0)?.affine(0.2, 0.8)?;
    /// assert_eq!(law.laws(), 3);
    /// # Ok::<(), onsager_ensembles::EnsembleError>(())
    /// ```
    #[must_use]
    pub fn laws(&self) -> usize {
        1 + self.steps.len() + usize::from(self.tail != (0.0, 1.0))
    }

    /// The last affine step made a step like the others.
    fn untailed(mut self) -> Self {
        let (shift, scale) = self.tail;
        if self.tail != (0.0, 1.0) {
            self.steps.push(Step::Affine { shift, scale });
            self.core = self.support.clone();
            for (_, atom) in &mut self.placed {
                atom.location = shift + scale * atom.location;
            }
            self.tail = (0.0, 1.0);
        }
        self
    }

    /// The support after a step, from gaps and atoms.
    fn settled(mut self) -> Result<Self, EnsembleError> {
        let upper = self.gaps.last().map_or(f64::NAN, |g| self.location(g.low));
        finite("upper edge", upper)?;
        // Where two conditions meet exactly, as for square factors, the edge is 0 up to rounding.
        let exact = |x: f64| {
            if x.abs() > 1e-14 * upper.abs() {
                x
            } else {
                0.0
            }
        };
        let first = self.gaps.last().map(|g| g.high - PI);
        let below = first.into_iter().chain(self.gaps.iter().map(|g| g.high));
        let intervals = below
            .zip(&self.gaps)
            .filter(|(low, gap)| *low < gap.low)
            .map(|(low, gap)| (exact(self.location(low)), exact(self.location(gap.low))))
            .filter(|(a, b)| a < b)
            .collect();
        self.core = Support {
            intervals,
            atoms: self.placed.iter().map(|(_, atom)| *atom).collect(),
        };
        self.support = self.core.clone();
        Ok(self)
    }

    /// After the steps, at an angle; zero where `τ` is infinite.
    fn location(&self, angle: f64) -> f64 {
        let z = -self.after_steps(self.angles.tau(angle)).tau.value.inv().re;
        if z.is_finite() { z } else { 0.0 }
    }

    fn after_steps(&self, tau: Complex64) -> Resolvent {
        let start = Resolvent::of(&self.atoms, tau);
        self.steps.iter().fold(start, |at, step| step.apply(at))
    }

    /// The part of a gap where a criterion, convex in `w`, is below 1.
    fn narrowed(&self, gap: Gap, criterion: &dyn Fn(&Resolvent) -> f64) -> Option<Gap> {
        let value = |angle: f64| {
            let at = |angle| criterion(&self.after_steps(self.angles.tau(angle)));
            // At w = 0 the criterion has a limit, not a value.
            let f = Some(at(angle)).filter(|f| f.is_finite());
            let f = f.unwrap_or_else(|| at(angle + 1e-12 * (gap.high - gap.low)));
            // Negative or nothing beyond the end of the gap, by rounding.
            if f >= 0.0 { f } else { f64::INFINITY }
        };
        // At infinity the criterion is 0.
        let bottom = if gap.is_outer() {
            PI
        } else {
            least(&value, gap.low, gap.high)
        };
        if gap.is_outer() || value(bottom) < 1.0 {
            Some(Gap {
                low: crossing(&value, bottom, gap.low),
                high: crossing(&value, bottom, gap.high),
            })
        } else {
            None
        }
    }

    /// The angle inside a gap where `w` of the law before the next step is 0.
    fn zero_in(&self, gap: &Gap) -> Option<f64> {
        let w = |angle: f64| -self.after_steps(self.angles.tau(angle)).tau.value.inv().re;
        // On either side of infinity w is continuous.
        let parts = if gap.is_outer() {
            [(gap.low, PI - 1e-9), (PI + 1e-9, gap.high)]
        } else {
            [(gap.low, gap.high), (gap.low, gap.low)]
        };
        parts.into_iter().find_map(|(low, high)| {
            let changes = w(low) < 0.0 && 0.0 < w(high);
            let root = changes.then(|| bracketed_root(w, low, high, 1e-16))?;
            root.ok().map(|root| root.x)
        })
    }

    /// The averages of this law at every angle of the innermost coordinate.
    pub(crate) fn at(&self, tau: Complex64) -> Resolvent {
        let (shift, scale) = self.tail;
        Step::Affine { shift, scale }.apply(self.after_steps(tau))
    }

    /// `E t/(1 + tτ)` and `E t²/(1 + tτ)²` at `τ` of this law, off the support of `-1/τ`. The hint is
    /// the coordinate of a neighbour, and becomes that of this point.
    pub(crate) fn filtered(
        &self,
        tau: Complex64,
        hint: &mut Option<Complex64>,
    ) -> (Complex64, Complex64) {
        let (shift, scale) = self.tail;
        let z = (-tau.inv() - shift) / scale;
        let above = Complex64::new(z.re, z.im.abs());
        // On the physical sheet above the axis there is one root, from wherever it is reached.
        let near = hint.filter(|_| above.im > 0.0);
        let near = near.and_then(|near| self.newton(above, near, &mut None));
        let found = near.unwrap_or_else(|| self.root(above));
        *hint = Some(found);
        let at = self.at(found);
        let (first, square) = (at.first.value, at.square());
        if z.im < 0.0 {
            (first.conj(), square.conj())
        } else {
            (first, square)
        }
    }

    /// `τ` of the innermost coordinate at an angle.
    pub(crate) fn tau(&self, angle: f64) -> Complex64 {
        self.angles.tau(angle)
    }

    /// The real line off the support.
    pub(crate) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// `dτ/dτ'` from this law to the innermost coordinate, at `τ = 0`.
    pub(crate) fn dilation(&self) -> f64 {
        self.core_dilation() * self.tail.1
    }

    fn core_dilation(&self) -> f64 {
        self.steps.iter().map(|step| step.dilation()).product()
    }

    /// `n` square factors leave a density `t^(-n/(n+1))` at 0, which `t = vⁿ⁺¹` makes smooth.
    pub(crate) fn hardness(&self) -> i32 {
        let is_factor = |step: &&Step| matches!(step, Step::Wishart { .. });
        self.steps.iter().filter(is_factor).count() as i32 + 1
    }

    /// Size of the atoms that the law starts from.
    pub(crate) fn innermost(&self) -> f64 {
        self.angles.radius
    }

    /// Whether the imaginary part of `τ` has one sign through all steps, as on the physical sheet.
    pub(crate) fn is_one_sided(&self, tau: Complex64) -> bool {
        let mut at = Resolvent::of(&self.atoms, tau);
        let (mut up, mut down) = (tau.im >= 0.0, tau.im <= 0.0);
        for step in &self.steps {
            at = step.apply(at);
            (up, down) = (up && at.tau.value.im >= 0.0, down && at.tau.value.im <= 0.0);
        }
        up || down
    }

    /// Averages after every step, the start included, at a positive `τ` of the start; `None` where
    /// that is not the image of a positive `τ` of this law.
    fn levels(&self, start: f64) -> Option<Vec<Level>> {
        let (shift, scale) = self.tail;
        let tail = (self.tail != (0.0, 1.0)).then_some(Step::Affine { shift, scale });
        let mut at = Resolvent::of(&self.atoms, start.into());
        let mut levels = vec![Level::from(at)];
        for step in self.steps.iter().copied().chain(tail) {
            at = step.apply(at);
            levels.push(Level::from(at));
        }
        let inside = |level: &Level| level.tau > 0.0 && level.tau.is_finite();
        levels.iter().all(inside).then_some(levels)
    }

    /// The point `τ > 0` where a function of the averages turns from negative to positive, as the
    /// averages of this law and of every law on the way to it, in the order of the steps.
    ///
    /// `None` if the function is nowhere negative. Of several such points it finds one.
    ///
    /// - **Domain**: a support without negative numbers.
    /// - **Accuracy**: rounding of the function, seen through its slope.
    ///
    /// ```
    /// use onsager_ensembles::Composed;
    /// // τ E 1/(1 + tτ) of the law of Wᵀ W of square matrices is 1 at η = 1/τ = 1/2.
    /// let square = Composed::point(1.0)?.wishart(1.0)?;
    /// let levels = square.turning(&|at| at.tau * at.eta - 1.0).unwrap();
    /// assert!((levels[1].tau - 2.0).abs() < 1e-14);
    /// # Ok::<(), onsager_ensembles::EnsembleError>(())
    /// ```
    #[must_use]
    pub fn turning(&self, function: &dyn Fn(&Level) -> f64) -> Option<Vec<Level>> {
        // Beyond the image of τ = ∞ lies what is larger.
        let is_below = |start: f64| {
            let levels = self.levels(start);
            levels.is_some_and(|l| l.last().is_some_and(|at| function(at) < 0.0))
        };
        let mut high = 1.0 / self.innermost();
        for _ in 0..1000 {
            if !is_below(high) {
                break;
            }
            high *= 2.0;
        }
        let mut low = high;
        for _ in 0..200 {
            if is_below(low) {
                break;
            }
            (low, high) = (0.5 * low, low);
        }
        if !is_below(low) {
            return None;
        }
        loop {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                return self.levels(low);
            }
            if is_below(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
    }
}

/// Averages of a law at one `τ > 0`, the strength of a filter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// `τ`.
    pub tau: f64,
    /// `E 1/(1 + tτ)`.
    pub eta: f64,
    /// `E t/(1 + tτ)`.
    pub first: f64,
    /// `E t²/(1 + tτ)`.
    pub second: f64,
}

impl From<Resolvent> for Level {
    fn from(at: Resolvent) -> Self {
        Self {
            tau: at.tau.value.re,
            eta: at.eta.value.re,
            first: at.first.value.re,
            second: at.second.value.re,
        }
    }
}

impl Sheet for Composed {
    fn residual(&self, z: Complex64, tau: Complex64, _: &mut Option<Complex64>) -> (Dual, bool) {
        let mut at = Resolvent::of(&self.atoms, tau);
        let mut up = at.tau.value.im >= 0.0;
        for step in &self.steps {
            at = step.apply(at);
            up &= at.tau.value.im >= 0.0;
        }
        // zτ = -1, in the coordinate that Newton's steps are taken in.
        let product = at.tau.scaled(z);
        let f = if tau.norm_sqr().sqrt() * self.scale() > 1.0 {
            Dual::constant(1.0) / product + 1.0
        } else {
            product + 1.0
        };
        (f, up || z.im == 0.0)
    }

    fn start(&self, z: Complex64) -> Complex64 {
        -z.inv() * self.core_dilation()
    }

    fn radius(&self) -> f64 {
        self.core.lower().abs().max(self.core.upper().abs())
    }

    fn scale(&self) -> f64 {
        self.innermost().max(self.radius() / self.core_dilation())
    }

    fn clearance(&self, x: f64) -> f64 {
        self.core.clearance(x)
    }
}

impl Spectrum for Composed {
    fn stieltjes(&self, z: Complex64) -> Complex64 {
        let (shift, scale) = self.tail;
        let mut z = (z - shift) / scale;
        if z.norm_sqr() == 0.0 {
            // A pole, or a point near which nothing happens.
            z = Complex64::from(1e-100 * self.radius());
        }
        let above = Complex64::new(z.re, z.im.abs());
        let s = self.after_steps(self.root(above)).stieltjes() / scale;
        if z.im < 0.0 { s.conj() } else { s }
    }

    fn support(&self) -> &Support {
        &self.support
    }

    fn moment(&self, order: u32) -> f64 {
        let start: Vec<f64> = (0..=order)
            .map(|n| {
                let power = |a: &Atom| a.mass * a.location.powf(f64::from(n));
                self.atoms.iter().map(power).sum()
            })
            .collect();
        let (shift, scale) = self.tail;
        let steps = self.steps.iter().copied();
        let last = steps
            .chain([Step::Affine { shift, scale }])
            .fold(start, |moments, step| step.moments(&moments));
        last[order as usize]
    }

    fn density(&self, t: f64) -> f64 {
        let (shift, scale) = self.tail;
        self.core_density((t - shift) / scale) / scale
    }

    fn average(&self, f: &dyn Fn(f64) -> f64) -> Result<Estimate, EnsembleError> {
        let (shift, scale) = self.tail;
        average_over(
            &self.core,
            self.hardness(),
            &|t| self.core_density(t),
            &|t| f(shift + scale * t),
        )
    }
}

impl Composed {
    /// Density after the steps.
    fn core_density(&self, t: f64) -> f64 {
        if self.core.is_inside(t) {
            let s = self.after_steps(self.root(t.into())).stieltjes();
            (s.im / PI).max(0.0)
        } else {
            0.0
        }
    }
}

/// A support under `t -> shift + scale t`.
fn moved(support: &Support, (shift, scale): (f64, f64)) -> Support {
    let at = |t: f64| shift + scale * t;
    Support {
        intervals: (support.intervals.iter())
            .map(|(a, b)| (at(*a), at(*b)))
            .collect(),
        atoms: (support.atoms.iter())
            .map(|atom| Atom {
                location: at(atom.location),
                mass: atom.mass,
            })
            .collect(),
    }
}

/// Gaps with the two that meet at an angle made one.
fn merged(gaps: &[Gap], angle: f64) -> Vec<Gap> {
    let Some((outer, inner)) = gaps.split_last() else {
        return Vec::new();
    };
    // The gap below the lowest point is the end of the outer one.
    let below = Gap {
        low: outer.low - PI,
        high: outer.high - PI,
    };
    let line: Vec<Gap> = std::iter::once(below)
        .chain(inner.iter().copied())
        .collect();
    let mut joined: Vec<Gap> = Vec::new();
    for gap in line.into_iter().chain([*outer]) {
        match joined.last_mut() {
            Some(last) if last.high == angle && gap.low == angle => last.high = gap.high,
            _ => joined.push(gap),
        }
    }
    // The first and the last are the same gap, seen from both sides.
    if joined.len() > 1 {
        let first = joined.remove(0);
        if let Some(last) = joined.last_mut() {
            last.high = first.high + PI;
        }
    }
    joined
}

/// Gaps without one point.
fn split(gaps: &[Gap], angle: f64) -> Vec<Gap> {
    let mut parts = Vec::new();
    for gap in gaps {
        let (low, high) = (gap.low, gap.high);
        let inside = [angle, angle + PI]
            .into_iter()
            .find(|x| low < *x && *x < high);
        match inside {
            // Of a gap that contains infinity, the end beyond the point comes first.
            Some(x) if gap.is_outer() && x > PI => {
                let first = Gap {
                    low: x - PI,
                    high: high - PI,
                };
                parts.insert(0, first);
                parts.push(Gap { low, high: x });
            }
            Some(x) => {
                parts.push(Gap { low, high: x });
                parts.push(Gap { low: x, high });
            }
            None => parts.push(*gap),
        }
    }
    parts
}

/// The minimum of a function that falls and then rises: golden sections to 1e-9 of the interval.
fn least(f: &dyn Fn(f64) -> f64, low: f64, high: f64) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let (mut a, mut b) = (low, high);
    let (mut x, mut y) = (b - GOLDEN * (b - a), a + GOLDEN * (b - a));
    let (mut fx, mut fy) = (f(x), f(y));
    while b - a > 1e-9 * (high - low) && a < x && y < b {
        if fx < fy {
            (b, y, fy) = (y, x, fx);
            x = b - GOLDEN * (b - a);
            fx = f(x);
        } else {
            (a, x, fx) = (x, y, fy);
            y = a + GOLDEN * (b - a);
            fy = f(y);
        }
    }
    if fx < fy { x } else { y }
}

/// Where an increasing function reaches 1 on the way from `from` to `end`; `end` if nowhere.
fn crossing(f: &dyn Fn(f64) -> f64, from: f64, end: f64) -> f64 {
    let mut inside = from;
    let mut rest = end - from;
    for _ in 0..60 {
        rest *= 0.5;
        let x = end - rest;
        if f(x) >= 1.0 {
            let excess = |x: f64| f(x).min(f64::MAX) - 1.0;
            let found = bracketed_root(excess, inside, x, 1e-16);
            return found.map_or(inside, |root| root.x);
        }
        inside = x;
    }
    end
}
