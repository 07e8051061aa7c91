//! Roots, thresholds and minima of one variable.
//!
//! Each function here is assumed expensive (one value may be a whole state evolution): values
//! are remembered, counted and never asked for twice.

/// A root, with what it cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Root {
    /// Its place: the end of the final bracket where `|f|` is smaller.
    pub x: f64,
    /// `f(x)`.
    pub residual: f64,
    /// Number of distinct points where `f` was evaluated.
    pub evaluations: usize,
}

/// Width of the final bracket: `absolute + relative·|x|`.
///
/// A plain number `t` stands for both parts equal to `t`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Part proportional to `|x|`; rounding sets a floor of `4ε`.
    pub relative: f64,
    /// Part that decides when the root is near 0.
    pub absolute: f64,
}

impl From<f64> for Tolerance {
    fn from(t: f64) -> Self {
        Self {
            relative: t,
            absolute: t,
        }
    }
}

impl Tolerance {
    fn at(&self, x: f64) -> f64 {
        self.absolute + self.relative.max(4.0 * f64::EPSILON) * x.abs()
    }

    fn check(self) -> Result<Self, RootError> {
        let valid = |t: f64| t.is_finite() && t >= 0.0;
        match (valid(self.relative), valid(self.absolute)) {
            (true, true) => Ok(self),
            (false, _) => Err(RootError::Tolerance(self.relative)),
            (_, false) => Err(RootError::Tolerance(self.absolute)),
        }
    }
}

/// Why there is no root, threshold or minimum to return.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// The function has the same sign at both ends.
    #[error("no sign change between {a} (value {fa}) and {b} (value {fb})")]
    NoBracket {
        /// Left end.
        a: f64,
        /// Value there.
        fa: f64,
        /// Right end.
        b: f64,
        /// Value there.
        fb: f64,
    },
    /// The function is NaN or infinite.
    #[error("function must be finite, and is {value} at {at}")]
    NotFinite {
        /// Where it was evaluated.
        at: f64,
        /// What it returned.
        value: f64,
    },
    /// An end of the interval is NaN or infinite, or the interval is empty.
    #[error("interval ends must be finite and distinct, got {a} and {b}")]
    Interval {
        /// First end.
        a: f64,
        /// Second end.
        b: f64,
    },
    /// A tolerance is NaN, infinite or negative.
    #[error("tolerance must be finite and non-negative, got {0}")]
    Tolerance(f64),
    /// A positive start inside positive limits is required.
    #[error("start {start} must lie in the positive interval [{low}, {high}]")]
    Start {
        /// Start given.
        start: f64,
        /// Lower limit given.
        low: f64,
        /// Upper limit given.
        high: f64,
    },
    /// The evaluations allowed did not suffice.
    #[error("bracket [{a}, {b}] is still wider than the tolerance after {evaluations} evaluations")]
    Budget {
        /// Left end of the bracket reached.
        a: f64,
        /// Right end of the bracket reached.
        b: f64,
        /// Evaluations spent.
        evaluations: usize,
    },
}

/// Evaluations allowed to Brent's method, and again to the bisection that may follow it.
const MAX_EVALUATIONS: usize = 200;

/// Root of a continuous `f` between `a` and `b`, where its signs differ.
///
/// Brent's method from crate `roots`. What it returns is not trusted: the answer is read from
/// the narrowest sign change among all points evaluated, and bisection finishes the work should
/// that still be wider than the tolerance. An exact zero ends the search at once.
///
/// - **Accuracy**: a sign change lies within `tolerance` of `x`.
/// - **Errors**: every [`RootError`] but `Start`.
///
/// ```
/// use onsager_scalar::roots::bracketed_root;
/// let root = bracketed_root(|x| x * x - 2.0, 0.0, 2.0, 1e-14)?;
/// assert!((root.x - 2f64.sqrt()).abs() < 1e-13);
/// # Ok::<(), onsager_scalar::roots::RootError>(())
/// ```
pub fn bracketed_root(
    f: impl FnMut(f64) -> f64,
    a: f64,
    b: f64,
    tolerance: impl Into<Tolerance>,
) -> Result<Root, RootError> {
    let tolerance = tolerance.into().check()?;
    let (a, b) = interval(a, b)?;
    let mut memory = Memory::new(f);
    let (fa, fb) = (memory.value(a)?, memory.value(b)?);
    if fa != 0.0 && fb != 0.0 && (fa > 0.0) == (fb > 0.0) {
        return Err(RootError::NoBracket { a, fa, b, fb });
    }
    // Only the sign of products matters to the library: a scale of order one keeps them from
    // underflowing as long as it can be helped.
    let scale = fa.abs().max(fb.abs());
    let mut failure = None;
    let g = |x: f64| match memory.value(x) {
        Ok(y) => y / scale,
        Err(error) => {
            // A zero makes the library return; its answer is then discarded.
            failure = Some(error);
            0.0
        }
    };
    // Whether it found the root or spent its budget is decided below, from the memory.
    let _ = roots::find_root_brent(a, b, g, &mut Convergence(tolerance));
    if let Some(error) = failure {
        return Err(error);
    }
    let limit = memory.known.len() + MAX_EVALUATIONS;
    loop {
        let (low, high) = memory.bracket();
        let best = if low.1.abs() <= high.1.abs() {
            low
        } else {
            high
        };
        let evaluations = memory.known.len();
        let middle = 0.5 * (low.0 + high.0);
        let split = low.0 < middle && middle < high.0;
        if best.1 == 0.0 || high.0 - low.0 <= tolerance.at(best.0) || !split {
            return Ok(Root {
                x: best.0,
                residual: best.1,
                evaluations,
            });
        }
        if evaluations >= limit {
            return Err(RootError::Budget {
                a: low.0,
                b: high.0,
                evaluations,
            });
        }
        memory.value(middle)?;
    }
}

/// Interval `(x₁, x₂)` where a function of a positive variable changes sign.
///
/// Walks away from `start` on the logarithmic scale in both directions, the step doubling from
/// `ln 2`, and stays within `limits`. For a monotone `f` it finds the sign change if there is
/// one; otherwise it may step over an even number of them.
///
/// - **Errors**: [`RootError::NoBracket`] when both limits are reached, [`RootError::Start`],
///   [`RootError::NotFinite`].
pub fn expand_bracket(
    f: impl FnMut(f64) -> f64,
    start: f64,
    limits: (f64, f64),
) -> Result<(f64, f64), RootError> {
    let (low, high) = limits;
    if !(0.0 < low && low <= start && start <= high && low < high && high.is_finite()) {
        return Err(RootError::Start { start, low, high });
    }
    let mut memory = Memory::new(f);
    let fs = memory.value(start)?;
    let (mut a, mut fa) = (start, fs);
    let (mut b, mut fb) = (start, fs);
    let mut factor = 2.0;
    loop {
        if a > low {
            let next = (a / factor).max(low);
            let value = memory.value(next)?;
            if changes(value, fa) {
                return Ok((next, a));
            }
            (a, fa) = (next, value);
        }
        if b < high {
            let next = (b * factor).min(high);
            let value = memory.value(next)?;
            if changes(fb, value) {
                return Ok((b, next));
            }
            (b, fb) = (next, value);
        }
        if a <= low && b >= high {
            return Err(RootError::NoBracket { a, fa, b, fb });
        }
        factor *= factor;
    }
}

/// Last place where a condition that holds at `holds` still holds on the way to `fails`.
///
/// Success or failure is a step function, for which bisection is optimal. Returns the final
/// pair `(holds, fails)`, no farther apart than the tolerance; the ends are not tested.
///
/// - **Errors**: [`RootError::Interval`], [`RootError::Tolerance`], [`RootError::Budget`].
pub fn threshold(
    mut condition: impl FnMut(f64) -> bool,
    holds: f64,
    fails: f64,
    tolerance: impl Into<Tolerance>,
) -> Result<(f64, f64), RootError> {
    let tolerance = tolerance.into().check()?;
    interval(holds, fails)?;
    let (mut yes, mut no) = (holds, fails);
    for _ in 0..MAX_EVALUATIONS {
        let middle = 0.5 * (yes + no);
        if (yes - no).abs() <= tolerance.at(middle) {
            return Ok((yes, no));
        }
        if condition(middle) {
            yes = middle;
        } else {
            no = middle;
        }
    }
    Err(RootError::Budget {
        a: yes.min(no),
        b: yes.max(no),
        evaluations: MAX_EVALUATIONS,
    })
}

/// A minimum, with what it cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Minimum {
    /// Its place, strictly inside the interval.
    pub x: f64,
    /// `f(x)`, the smallest value seen.
    pub value: f64,
    /// Number of evaluations of `f`.
    pub evaluations: usize,
}

/// Local minimum of `f` between `a` and `b`, the global one if `f` has a single valley.
///
/// Brent's minimiser: parabolas through the three best points, golden sections when they do
/// not help. A monotone `f` gives a point within the tolerance of the lower end.
///
/// - **Accuracy**: `x` within `tolerance`, but not below about `√(ε f/f'')`, where rounding makes
///   `f` flat; the value is accurate to rounding there.
/// - **Errors**: [`RootError::NotFinite`], [`RootError::Interval`], [`RootError::Tolerance`],
///   [`RootError::Budget`].
/// - **Source**: R. P. Brent (1973), *Algorithms for Minimization without Derivatives*, ch. 5.
pub fn bracketed_minimum(
    f: impl FnMut(f64) -> f64,
    a: f64,
    b: f64,
    tolerance: impl Into<Tolerance>,
) -> Result<Minimum, RootError> {
    let tolerance = tolerance.into().check()?;
    let (mut a, mut b) = interval(a, b)?;
    let mut memory = Memory::new(f);
    // (3 - √5)/2, the share of a golden section.
    let golden = 0.5 * (3.0 - 5f64.sqrt());
    let mut x = a + golden * (b - a);
    let mut fx = memory.value(x)?;
    // `x` is the best point, `w` the second best, `v` the one before.
    let (mut w, mut fw, mut v, mut fv) = (x, fx, x, fx);
    let (mut step, mut previous) = (0.0f64, 0.0f64);
    while memory.known.len() < MAX_EVALUATIONS {
        let middle = 0.5 * (a + b);
        // No closer than √ε: two values there could not be told apart.
        let near =
            0.5 * tolerance.at(x).max(f64::EPSILON.sqrt() * 0.1 * x.abs()) + f64::MIN_POSITIVE;
        if (x - middle).abs() + 0.5 * (b - a) <= 2.0 * near {
            return Ok(Minimum {
                x,
                value: fx,
                evaluations: memory.known.len(),
            });
        }
        let (r, q) = ((x - w) * (fx - fv), (x - v) * (fx - fw));
        let (mut p, mut q) = ((x - v) * q - (x - w) * r, 2.0 * (q - r));
        if q > 0.0 {
            p = -p;
        }
        q = q.abs();
        let before = previous;
        previous = step;
        let parabola = before.abs() > near
            && p.abs() < (0.5 * q * before).abs()
            && p > q * (a - x)
            && p < q * (b - x);
        if parabola {
            step = p / q;
            let u = x + step;
            if u - a < 2.0 * near || b - u < 2.0 * near {
                step = near.copysign(middle - x);
            }
        } else {
            previous = if x < middle { b - x } else { a - x };
            step = golden * previous;
        }
        let u = x + if step.abs() >= near {
            step
        } else {
            near.copysign(step)
        };
        let fu = memory.value(u)?;
        if fu <= fx {
            if u < x {
                b = x
            } else {
                a = x
            }
            (v, fv, w, fw, x, fx) = (w, fw, x, fx, u, fu);
        } else {
            if u < x {
                a = u
            } else {
                b = u
            }
            if fu <= fw || w == x {
                (v, fv, w, fw) = (w, fw, u, fu);
            } else if fu <= fv || v == x || v == w {
                (v, fv) = (u, fu);
            }
        }
    }
    Err(RootError::Budget {
        a,
        b,
        evaluations: memory.known.len(),
    })
}

fn interval(a: f64, b: f64) -> Result<(f64, f64), RootError> {
    if a.is_finite() && b.is_finite() && a != b {
        Ok((a.min(b), a.max(b)))
    } else {
        Err(RootError::Interval { a, b })
    }
}

fn changes(fa: f64, fb: f64) -> bool {
    fa == 0.0 || fb == 0.0 || (fa > 0.0) != (fb > 0.0)
}

/// Every value asked for so far, in the order of asking.
struct Memory<F> {
    f: F,
    known: Vec<(f64, f64)>,
}

impl<F: FnMut(f64) -> f64> Memory<F> {
    fn new(f: F) -> Self {
        Self {
            f,
            known: Vec::with_capacity(32),
        }
    }

    fn value(&mut self, x: f64) -> Result<f64, RootError> {
        if let Some(&(_, y)) = self.known.iter().rev().find(|(known, _)| *known == x) {
            return Ok(y);
        }
        let value = (self.f)(x);
        if !value.is_finite() {
            return Err(RootError::NotFinite { at: x, value });
        }
        self.known.push((x, value));
        Ok(value)
    }

    /// The narrowest neighbours with a sign change, or a zero twice.
    fn bracket(&self) -> ((f64, f64), (f64, f64)) {
        let mut sorted = self.known.clone();
        sorted.sort_by(|p, q| p.0.total_cmp(&q.0));
        if let Some(&zero) = sorted.iter().find(|p| p.1 == 0.0) {
            return (zero, zero);
        }
        let mut best = (sorted[0], sorted[sorted.len() - 1]);
        for pair in sorted.windows(2) {
            let narrower = pair[1].0 - pair[0].0 <= best.1.0 - best.0.0;
            if narrower && changes(pair[0].1, pair[1].1) {
                best = (pair[0], pair[1]);
            }
        }
        best
    }
}

/// The library asks this, and nothing else, when to stop.
struct Convergence(Tolerance);

impl roots::Convergency<f64> for Convergence {
    fn is_root_found(&mut self, y: f64) -> bool {
        y == 0.0
    }

    fn is_converged(&mut self, x1: f64, x2: f64) -> bool {
        (x1 - x2).abs() <= self.0.at(x1.abs().min(x2.abs()))
    }

    fn is_iteration_limit_reached(&mut self, iterations: usize) -> bool {
        iterations >= MAX_EVALUATIONS
    }
}
