//! Largest eigenpairs by the Lanczos method: thick restarts, full reorthogonalisation.
//!
//! The method sees the operator by its products only and holds at most
//! [`basis`](LanczosSettings::basis) vectors (twice that with a preconditioner). Near a phase
//! transition the gap closes and products are many: a spent budget is an answer with
//! `converged: false`, not an error.
//!
//! - **Source**: Wu and Simon (2000), *SIAM J. Matrix Anal. Appl.* 22, thick restarts; twice
//!   repeated Gram-Schmidt keeps the basis orthonormal to rounding.

use nalgebra::DMatrix;

use crate::factorisations::symmetric_eigen;
use crate::operator::{check_square, check_vector};
use crate::{LinearOperator, OperatorError};

/// An approximate eigenpair and how far to trust it.
#[derive(Clone, Debug, PartialEq)]
pub struct Eigenpair {
    /// Eigenvalue.
    pub value: f64,
    /// Eigenvector of unit Euclidean norm; its product with the start is not negative.
    pub vector: Vec<f64>,
    /// `|A v - λ v|`, Euclidean, computed from the operator itself at the end. For symmetric
    /// `A` some eigenvalue lies within this distance of `value`.
    pub residual: f64,
    /// Products spent on this pair (with a preconditioner: products with each operator).
    pub products: u64,
    /// Whether `residual <= tolerance |λ|`, or the residual is at the level of rounding.
    pub converged: bool,
}

/// When to stop, and how much memory to use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LanczosSettings {
    /// Bound on `|A v - λ v| / |λ|`, at least 0. An eigenvalue gap `δ` then bounds the angle to
    /// the eigenvector by `tolerance |λ| / δ`.
    pub tolerance: f64,
    /// Bound on the products for each pair, at least 2.
    pub max_products: u64,
    /// Vectors held at once, at least 4.
    pub basis: usize,
}

impl Default for LanczosSettings {
    /// Ten digits, 10,000 products, 60 vectors: their orthogonalisation costs less than one
    /// product with a full matrix from about `p = 250`.
    fn default() -> Self {
        Self {
            tolerance: 1e-10,
            max_products: 10_000,
            basis: 60,
        }
    }
}

/// Eigenpair of the largest (algebraic) eigenvalue of a symmetric operator.
///
/// - **Arguments**: `start` needs a component along the eigenvector: one exactly orthogonal to
///   it never finds it. A random vector is safe. Deterministic in its arguments.
/// - **Accuracy**: see [`Eigenpair::residual`]; the error of the value is of the order of the
///   squared residual over the gap.
/// - **Errors**: shapes that disagree, settings out of range, [`OperatorError::Start`],
///   [`OperatorError::NotFinite`].
pub fn top_eigenpair(
    op: &dyn LinearOperator,
    start: &[f64],
    settings: LanczosSettings,
) -> Result<Eigenpair, OperatorError> {
    check_square("operator", op.shape())?;
    Problem::new(op, None, settings, start)?
        .solve(start, &[])
        .map(|(pair, _)| pair)
}

/// Eigenpairs of the `count` largest eigenvalues of a symmetric operator, decreasing.
///
/// Pairs are found one after the other in the orthogonal complement of those before, from fresh
/// fixed pseudo-random starts, so multiple eigenvalues come with all their copies.
///
/// - **Errors**: as [`top_eigenpair`], and [`OperatorError::Setting`] when `count` exceeds the
///   dimension.
pub fn top_eigenpairs(
    op: &dyn LinearOperator,
    count: usize,
    start: &[f64],
    settings: LanczosSettings,
) -> Result<Vec<Eigenpair>, OperatorError> {
    let size = check_square("operator", op.shape())?;
    if count > size {
        let (name, range) = ("number of eigenpairs", "at most the dimension");
        return Err(OperatorError::Setting {
            name,
            range,
            value: count as f64,
        });
    }
    let (mut pairs, mut locked) = (vec![], vec![]);
    for k in 0..count {
        let fresh;
        let start = if k == 0 {
            start
        } else {
            fresh = scrambled(size, k);
            &fresh
        };
        let (pair, vector) = Problem::new(op, None, settings, start)?.solve(start, &locked)?;
        pairs.push(pair);
        locked.push(vector);
    }
    pairs.sort_by(|a, b| b.value.total_cmp(&a.value));
    Ok(pairs)
}

/// Eigenpair of the largest eigenvalue of `Γ = K M`, `K` symmetric positive semi-definite and
/// possibly singular, `M` symmetric.
///
/// `M K` is self-adjoint for `<x, y>_K = x'K y`; from its eigenvector `u` follows `v = K u` with
/// `K M v = λ v`. Null directions of `K` are invisible to this inner product, and `Γ` has no
/// eigenvector of non-zero eigenvalue outside the range of `K`; zero itself is returned only if
/// it is the largest eigenvalue on that range. One product with each operator per step.
///
/// - **Accuracy**: `residual = |K M v - λ v|`, Euclidean, with `|v| = 1`.
/// - **Errors**: as [`top_eigenpair`] (a start with `K x = 0` is refused), and
///   [`OperatorError::NotPositive`] when a step shows that `K` has a negative direction.
pub fn top_eigenpair_preconditioned(
    k: &dyn LinearOperator,
    m: &dyn LinearOperator,
    start: &[f64],
    settings: LanczosSettings,
) -> Result<Eigenpair, OperatorError> {
    check_square("operator", m.shape())?;
    if k.shape() != m.shape() {
        let (quantity, expected, found) = ("preconditioner", m.shape(), k.shape());
        return Err(OperatorError::Shape {
            quantity,
            expected,
            found,
        });
    }
    Problem::new(m, Some(k), settings, start)?
        .solve(start, &[])
        .map(|(pair, _)| pair)
}

/// The operator `M K`, self-adjoint for `x'K y`; `K = I` when there is no metric.
struct Problem<'a> {
    operator: &'a dyn LinearOperator,
    metric: Option<&'a dyn LinearOperator>,
    settings: LanczosSettings,
    size: usize,
    products: u64,
    /// Largest `|K x| / |x|` met: the scale of rounding in products with `K`.
    metric_scale: f64,
}

/// A vector `u` and, with a metric, `K u`.
struct Direction {
    plain: Vec<f64>,
    image: Option<Vec<f64>>,
}

impl Direction {
    fn image(&self) -> &[f64] {
        self.image.as_deref().unwrap_or(&self.plain)
    }

    fn scale(&mut self, factor: f64) {
        let image = self.image.iter_mut().flatten();
        self.plain
            .iter_mut()
            .chain(image)
            .for_each(|x| *x *= factor);
    }

    /// `Σ_i c_i u_i`, and its image.
    fn combine<'c>(basis: &[Self], c: impl Iterator<Item = &'c f64> + Clone) -> Self {
        let sum = |part: &dyn Fn(&Self) -> &[f64]| {
            let mut sum = vec![0.0; basis[0].plain.len()];
            basis
                .iter()
                .zip(c.clone())
                .for_each(|(u, &c)| add(&mut sum, c, part(u)));
            sum
        };
        let image = basis[0].image.is_some().then(|| sum(&|u| u.image()));
        Self {
            plain: sum(&|u| &u.plain),
            image,
        }
    }
}

impl<'a> Problem<'a> {
    fn new(
        operator: &'a dyn LinearOperator,
        metric: Option<&'a dyn LinearOperator>,
        settings: LanczosSettings,
        start: &[f64],
    ) -> Result<Self, OperatorError> {
        let refuse = |name, range, value| Err(OperatorError::Setting { name, range, value });
        let LanczosSettings {
            tolerance,
            max_products,
            basis,
        } = settings;
        if !(tolerance >= 0.0 && tolerance.is_finite()) {
            return refuse("tolerance", "finite and at least 0", tolerance);
        }
        if max_products < 2 {
            return refuse("max_products", "at least 2", max_products as f64);
        }
        if basis < 4 {
            return refuse("basis", "at least 4", basis as f64);
        }
        let size = operator.shape().rows;
        check_vector("start", size, start)?;
        check_finite("start", start)?;
        Ok(Self {
            operator,
            metric,
            settings,
            size,
            products: 0,
            metric_scale: 0.0,
        })
    }

    /// The top eigenpair in the complement of the locked directions.
    fn solve(
        mut self,
        start: &[f64],
        locked: &[Direction],
    ) -> Result<(Eigenpair, Direction), OperatorError> {
        let room = self.size - locked.len();
        let width = self.settings.basis.min(room);
        let mut first = start.to_vec();
        reorthogonalise(&mut first, locked, |_, _| ());
        let (mut next, norm) = self.measure(first)?;
        if norm == 0.0 {
            return Err(OperatorError::Start(norm));
        }
        next.scale(1.0 / norm);

        let mut basis: Vec<Direction> = Vec::with_capacity(width);
        let mut projected = DMatrix::zeros(width, width); // <u_i, A u_j>
        let mut looks = Looks::after(self.products);
        loop {
            let mut image = self.product(next.image())?;
            basis.push(next);
            let steps = basis.len();
            reorthogonalise(&mut image, locked, |_, _| ());
            reorthogonalise(&mut image, &basis, |i, h| projected[(i, steps - 1)] += h);
            for i in 0..steps {
                projected[(steps - 1, i)] = projected[(i, steps - 1)];
            }
            let (candidate, norm) = self.measure(image)?;
            let spent = self.products + 1 >= self.settings.max_products; // one is kept for the end
            let exhausted = norm == 0.0 || steps == room || spent;
            if exhausted || steps == width || self.products >= looks.next {
                let ritz = symmetric_eigen(&projected.view((0, 0), (steps, steps)).into_owned())?;
                let top = ritz.vectors.column(steps - 1);
                let found = Direction::combine(&basis, top.iter());
                let value = ritz.values[steps - 1];
                let residual =
                    top[steps - 1].abs() * length(candidate.image()) / length(found.image());
                let scale = value.abs().max(ritz.values[0].abs());
                // Half the bound, because the computed residual must pass the whole one.
                let bound = self.bound(value, scale) / 2.0;
                if exhausted || residual <= bound {
                    return self.finish(found, scale, start);
                }
                looks.plan(self.products, residual / bound);
                if steps == width {
                    // Half the basis is kept: enough old directions to go on as if unrestarted,
                    // enough room to make progress before the next restart.
                    let kept = steps - width / 2..steps;
                    let columns = kept.clone().rev();
                    let thick: Vec<_> = columns
                        .map(|k| Direction::combine(&basis, ritz.vectors.column(k).iter()))
                        .collect();
                    projected.fill(0.0);
                    for (i, k) in kept.rev().enumerate() {
                        projected[(i, i)] = ritz.values[k];
                    }
                    basis = thick;
                }
            }
            next = candidate;
            next.scale(1.0 / norm);
        }
    }

    /// The residual that counts as converged: the tolerance, or a few roundings of one product.
    fn bound(&self, value: f64, scale: f64) -> f64 {
        const ROUNDINGS: f64 = 10.0;
        let rounding = ROUNDINGS * f64::EPSILON * (self.size as f64).sqrt() * scale;
        rounding.max(self.settings.tolerance * value.abs())
    }

    /// Normalises, computes value and residual from the operator itself, fixes the sign.
    fn finish(
        mut self,
        mut found: Direction,
        scale: f64,
        start: &[f64],
    ) -> Result<(Eigenpair, Direction), OperatorError> {
        let norm = dot(&found.plain, found.image()).sqrt();
        found.scale(1.0 / norm);
        let mut image = self.product(found.image())?;
        let value = dot(found.image(), &image); // Rayleigh quotient in the metric
        if self.metric.is_some() {
            image = self.through_metric(&image)?;
        }
        add(&mut image, -value, found.image());
        let unit = length(found.image());
        let residual = length(&image) / unit;
        let sign = if dot(found.image(), start) < 0.0 {
            -1.0
        } else {
            1.0
        };
        let pair = Eigenpair {
            value,
            vector: found.image().iter().map(|x| sign * x / unit).collect(),
            residual,
            products: self.products,
            converged: residual <= self.bound(value, scale),
        };
        Ok((pair, found))
    }

    /// `M x`, counted.
    fn product(&mut self, x: &[f64]) -> Result<Vec<f64>, OperatorError> {
        self.products += 1;
        let mut y = vec![0.0; self.size];
        self.operator.apply_column(x, &mut y);
        check_finite("product", &y)?;
        Ok(y)
    }

    /// `K x`.
    fn through_metric(&mut self, x: &[f64]) -> Result<Vec<f64>, OperatorError> {
        let Some(metric) = self.metric else {
            return Ok(x.to_vec());
        };
        let mut y = vec![0.0; self.size];
        metric.apply_column(x, &mut y);
        check_finite("product with the preconditioner", &y)?;
        Ok(y)
    }

    /// The direction `x` with its image, and its norm `sqrt(x'K x)`, zero below rounding.
    fn measure(&mut self, x: Vec<f64>) -> Result<(Direction, f64), OperatorError> {
        let plain = length(&x);
        if self.metric.is_none() || plain == 0.0 {
            let image = self.metric.map(|_| x.clone());
            return Ok((Direction { plain: x, image }, plain));
        }
        let image = self.through_metric(&x)?;
        self.metric_scale = self.metric_scale.max(length(&image) / plain);
        let square = dot(&x, &image);
        // x'K x is computed within about p u |K| |x|²: below that it is noise of either sign.
        let rounding = self.size as f64 * f64::EPSILON * self.metric_scale * plain * plain;
        if square < -rounding {
            let cosine = square / (plain * length(&image));
            return Err(OperatorError::NotPositive { cosine });
        }
        let norm = if square <= rounding {
            0.0
        } else {
            square.sqrt()
        };
        Ok((
            Direction {
                plain: x,
                image: Some(image),
            },
            norm,
        ))
    }
}

/// When to solve the projected eigenproblem, which is cubic in the steps and at small size costs
/// more than a product: when the residual, which falls at a geometric rate, should have fallen
/// nearly enough.
struct Looks {
    /// Products at the next look.
    next: u64,
    /// Products at the last look, and the logarithm of the residual over its bound.
    last: Option<(u64, f64)>,
}

impl Looks {
    const FIRST: u64 = 5;
    const MOST: f64 = 20.0;

    fn after(products: u64) -> Self {
        Self {
            next: products + Self::FIRST,
            last: None,
        }
    }

    fn plan(&mut self, products: u64, excess: f64) {
        let excess = excess.ln();
        let wait = match self.last {
            Some((then, before)) if before > excess => {
                let rate = (before - excess) / (products - then) as f64;
                // Early, because the rate grows; a rate of a plateau says nothing.
                (0.75 * excess / rate).clamp(1.0, Self::MOST) as u64
            }
            _ => Self::FIRST,
        };
        self.last = Some((products, excess));
        self.next = products + wait;
    }
}

/// Removes from `x` its components along orthonormal directions; two passes leave rounding only.
fn reorthogonalise(x: &mut [f64], basis: &[Direction], mut record: impl FnMut(usize, f64)) {
    for _ in 0..2 {
        for (i, u) in basis.iter().enumerate() {
            let h = dot(u.image(), x);
            record(i, h);
            add(x, -h, &u.plain);
        }
    }
}

/// `x'y` over eight lanes, so that it is vectorised with a fixed order.
fn dot(x: &[f64], y: &[f64]) -> f64 {
    let ((x8, x1), (y8, y1)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    let mut lanes = [0.0; 8];
    for (x, y) in x8.iter().zip(y8) {
        (0..8).for_each(|l| lanes[l] += x[l] * y[l]);
    }
    lanes.iter().sum::<f64>() + x1.iter().zip(y1).map(|(x, y)| x * y).sum::<f64>()
}

fn length(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

/// `x <- x + c y`.
fn add(x: &mut [f64], c: f64, y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += c * y);
}

fn check_finite(quantity: &'static str, x: &[f64]) -> Result<(), OperatorError> {
    match x.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(row) => Err(OperatorError::NotFinite {
            quantity,
            row,
            column: 0,
            value: x[row],
        }),
    }
}

/// A fixed pseudo-random vector in [-1, 1), one for each `k`: Weyl sequence and the finaliser of
/// splitmix64. It only has to be in general position.
fn scrambled(size: usize, k: usize) -> Vec<f64> {
    let weyl = 0x9e37_79b9_7f4a_7c15_u64;
    let entry = |i: u64| {
        let mut z = weyl.wrapping_mul(i.wrapping_add((k as u64) << 40).wrapping_add(1));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / 2f64.powi(52) - 1.0
    };
    (0..size as u64).map(entry).collect()
}
