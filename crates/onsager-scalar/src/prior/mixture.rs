use rand::Rng;

use super::{FAINT, Gaussian, Prior, Scale, positive};
use crate::columns::{self, Kernel, Messages, Posteriors};
use crate::lanes::exp;
use crate::special::log_add_exp;
use crate::{Moments, Precisions, ScalarError};

/// A finite mixture of Gaussians and point masses: `P = Σ wᵢ N(mᵢ, vᵢ)`, `vᵢ = 0` for a point.
///
/// `exp A = Σ wᵢ exp Aᵢ` with the log-partitions `Aᵢ` of [`Gaussian`]. The origin is moved next
/// to the message first: a log-partition is of order `a mᵢ²`, and the odds of the parts must not be
/// a difference of two such numbers.
///
/// - **Accuracy**: 12 ulp of the mean (or of the width of the posterior where that is larger), of
///   the variance per unit of its logarithm, and of `1 + |A|`, for `a` up to 1e8, against a
///   table of 700-digit sums.
///
/// ```
/// use onsager_scalar::{Prior, prior::{Mixture, Scale}};
/// let (spike, slab) = (Scale { mean: 0.0, variance: 0.0 }, Scale { mean: 1.0, variance: 2.0 });
/// let law = Mixture::new([(3.0, spike), (1.0, slab)])?; // weights count relative to their sum
/// assert_eq!((law.mean(), law.second_moment(), law.dimension()), (0.25, 0.75, 0.25));
/// # Ok::<(), onsager_scalar::ScalarError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    weight: f64,
    ln_weight: f64,
    /// May have variance 0: none of its formulas divides by it.
    law: Gaussian,
}

impl Mixture {
    /// Parts with their weights, which count relative to their sum; equal parts count as one.
    ///
    /// # Errors
    /// A weight that is not finite and positive, a mean that is not finite, a variance that is not
    /// finite and at least 0, moments beyond the range of numbers, a single point mass or none.
    pub fn new(parts: impl IntoIterator<Item = (f64, Scale)>) -> Result<Self, ScalarError> {
        let mut distinct: Vec<(f64, Gaussian)> = vec![];
        for (weight, part) in parts {
            let weight = positive("weight", weight)?;
            let law = Gaussian::or_point(part.mean, part.variance)?;
            match distinct.iter_mut().find(|(_, other)| *other == law) {
                Some((sum, _)) => *sum += weight,
                None => distinct.push((weight, law)),
            }
        }
        let total: f64 = distinct.iter().map(|(weight, _)| weight).sum();
        if total == f64::INFINITY {
            positive("sum of the weights", total)?;
        }
        let parts = distinct.into_iter().map(|(weight, law)| Part {
            weight: weight / total,
            ln_weight: (weight / total).ln(),
            law,
        });
        let law = Self {
            // A part below the smallest number is none.
            parts: parts.filter(|p| p.weight > 0.0).collect(),
        };
        // One point has no variance, and no part has none either.
        let constant = law.dimension() == 0.0 && law.parts.len() < 2;
        let variance = if constant { 0.0 } else { law.second_moment() };
        positive("variance of the mixture", variance)?;
        Ok(law)
    }

    fn points(parts: &[(f64, f64)]) -> Result<Self, ScalarError> {
        let present = parts.iter().filter(|(weight, _)| *weight > 0.0);
        Self::new(present.map(|&(weight, mean)| {
            let variance = 0.0;
            (weight, Scale { mean, variance })
        }))
    }

    /// `+1` with this probability, else `-1`.
    ///
    /// ```
    /// use onsager_scalar::{Prior, prior::Mixture};
    /// assert_eq!(Mixture::binary(0.75)?.mean(), 0.5);
    /// let error = Mixture::binary(1.5).unwrap_err();
    /// assert_eq!(error.to_string(), "probability must be in (0, 1), got 1.5");
    /// # Ok::<(), onsager_scalar::ScalarError>(())
    /// ```
    ///
    /// # Errors
    /// A probability outside `(0, 1)`.
    pub fn binary(probability: f64) -> Result<Self, ScalarError> {
        let p = open("probability", probability)?;
        Self::points(&[(1.0 - p, -1.0), (p, 1.0)])
    }

    /// 1 with probability `sparsity`, else 0.
    ///
    /// ```
    /// use onsager_scalar::{Prior, prior::Mixture};
    /// assert_eq!(Mixture::bernoulli(0.25)?.second_moment(), 0.25);
    /// # Ok::<(), onsager_scalar::ScalarError>(())
    /// ```
    ///
    /// # Errors
    /// A sparsity outside `(0, 1)`.
    pub fn bernoulli(sparsity: f64) -> Result<Self, ScalarError> {
        let p = open("sparsity", sparsity)?;
        Self::points(&[(1.0 - p, 0.0), (p, 1.0)])
    }

    /// `±1` with probability `sparsity/2` each, else 0.
    ///
    /// ```
    /// use onsager_scalar::{Prior, prior::Mixture};
    /// let law = Mixture::rademacher_bernoulli(0.5)?;
    /// assert!(law.is_even() && law.second_moment() == 0.5);
    /// assert_eq!(law.discrete_entropy(), Some(1.5 * std::f64::consts::LN_2));
    /// # Ok::<(), onsager_scalar::ScalarError>(())
    /// ```
    ///
    /// # Errors
    /// A sparsity outside `(0, 1]`.
    pub fn rademacher_bernoulli(sparsity: f64) -> Result<Self, ScalarError> {
        let p = super::probability("sparsity", sparsity)?;
        Self::points(&[(0.5 * p, -1.0), (1.0 - p, 0.0), (0.5 * p, 1.0)])
    }

    /// `ln Σ wᵢ exp(logᵢ)` where no exponent is large.
    fn faint(&self, log: impl Fn(&Gaussian) -> f64) -> Option<f64> {
        let mut sum = 0.0;
        for part in &self.parts {
            let log = log(&part.law);
            if log.abs() >= FAINT {
                return None;
            }
            sum += part.weight * log.exp_m1();
        }
        Some(sum.ln_1p())
    }

    /// Posterior mean of the part that the message suits best, and the field seen from there.
    fn origin(&self, a: f64, b: f64) -> (f64, f64) {
        let mut best = (0.0, f64::INFINITY);
        for part in &self.parts {
            let Gaussian { mean, variance } = part.law;
            let field = (b - a * mean) / (1.0 + a * variance);
            if field.abs() < best.1.abs() {
                best = (part.law.moments(a, b).mean, field);
            }
        }
        best
    }
}

fn open(quantity: &'static str, value: f64) -> Result<f64, ScalarError> {
    if value > 0.0 && value < 1.0 {
        return Ok(value);
    }
    Err(ScalarError::Range {
        quantity,
        allowed: "in (0, 1)",
        value,
    })
}

impl Part {
    /// The law seen from `origin`.
    #[inline(always)]
    fn moved(&self, origin: f64) -> Gaussian {
        Gaussian {
            mean: self.law.mean - origin,
            ..self.law
        }
    }

    /// The part seen from `origin`, where the field is `b`: its log-weight, mean and variance.
    fn posterior(&self, origin: f64, a: f64, b: f64) -> (f64, Moments) {
        let moved = self.moved(origin);
        (
            self.ln_weight + moved.log_partition(a, b),
            moved.moments(a, b),
        )
    }

    /// The same without branches.
    #[inline(always)]
    fn branchless(&self, origin: f64, a: f64, b: f64) -> (f64, Moments) {
        let moved = self.moved(origin);
        (
            self.ln_weight + moved.log_partition_lane(a, b),
            moved.moments(a, b),
        )
    }
}

impl Prior for Mixture {
    fn log_partition(&self, a: f64, b: f64) -> f64 {
        if let Some(faint) = self.faint(|law| law.log_partition(a, b)) {
            return faint;
        }
        let (origin, field) = self.origin(a, b);
        let logs = self.parts.iter().map(|p| p.posterior(origin, a, field).0);
        // exp(-ax²/2 + bx) at the origin itself.
        0.5 * origin * (b + field) + logs.fold(f64::NEG_INFINITY, log_add_exp)
    }
    fn log_likelihood(&self, a: f64, y: f64) -> f64 {
        self.faint(|law| law.log_likelihood(a, y))
            .unwrap_or_else(|| {
                (self.parts.iter())
                    .map(|p| p.ln_weight + p.law.log_likelihood(a, y))
                    .fold(f64::NEG_INFINITY, log_add_exp)
            })
    }
    fn moments(&self, a: f64, b: f64) -> Moments {
        let (origin, field) = self.origin(a, b);
        let mut heaviest = (f64::NEG_INFINITY, Moments::default());
        for part in &self.parts {
            let found = part.posterior(origin, a, field);
            if found.0 > heaviest.0 {
                heaviest = found;
            }
        }
        let (top, centre) = heaviest;
        // Deviations from the heaviest part, of weight 1/K or more: the last difference costs at
        // most a factor K, and nothing when one part takes all.
        let [mut mass, mut shift, mut square] = [0.0; 3];
        for part in &self.parts {
            let (log, m) = part.posterior(origin, a, field);
            let (w, d) = ((log - top).exp(), m.mean - centre.mean);
            mass += w;
            shift += w * d;
            square += w * (m.variance + d * d);
        }
        let shift = shift / mass;
        Moments {
            mean: origin + centre.mean + shift,
            variance: (square / mass - shift * shift).max(0.0),
        }
    }
    fn moments_into(&self, a: Precisions<'_>, b: &[f64], out: &mut [Moments]) {
        columns::moments(self, a, b, out);
    }
    fn mean(&self) -> f64 {
        self.parts.iter().map(|p| p.weight * p.law.mean).sum()
    }
    fn second_moment(&self) -> f64 {
        let second = |p: &Part| p.weight * p.law.second_moment();
        self.parts.iter().map(second).sum()
    }
    fn scales(&self) -> Vec<Scale> {
        self.parts.iter().flat_map(|p| p.law.scales()).collect()
    }
    fn sample(&self, rng: &mut dyn Rng) -> f64 {
        let mut u = super::uniform(rng);
        let chosen = self.parts.iter().find(|p| {
            u -= p.weight;
            u < 0.0
        });
        // Rounding may leave a last sliver, which goes to the last part.
        (chosen.or(self.parts.last())).map_or(0.0, |p| p.law.sample(rng))
    }
    fn is_even(&self) -> bool {
        self.parts.iter().all(|p| {
            let mirrored = |q: &Part| {
                q.weight == p.weight
                    && q.law.mean == -p.law.mean
                    && q.law.variance == p.law.variance
            };
            self.parts.iter().any(mirrored)
        })
    }
    fn discrete_entropy(&self) -> Option<f64> {
        let terms = self.parts.iter().map(|p| -p.weight * p.ln_weight);
        (self.dimension() == 0.0).then(|| terms.sum())
    }
    fn dimension(&self) -> f64 {
        let spread = self.parts.iter().filter(|p| p.law.variance > 0.0);
        spread.map(|p| p.weight).sum()
    }
}

impl Kernel<2, 2> for &Mixture {
    /// Step by step as one by one, parts outside and components inside.
    #[inline(always)]
    fn block<const N: usize>(&self, [a, b]: &Messages<N>, [mean, variance]: &mut Posteriors<N>) {
        let (mut origin, mut field) = ([0.0; N], [f64::INFINITY; N]);
        for &part in &self.parts {
            for i in 0..N {
                let d = 1.0 + a[i] * part.law.variance;
                let seen = (b[i] - a[i] * part.law.mean) / d;
                let nearer = seen.abs() < field[i].abs();
                let here = part.law.moments(a[i], b[i]).mean;
                field[i] = if nearer { seen } else { field[i] };
                origin[i] = if nearer { here } else { origin[i] };
            }
        }
        let (mut top, mut centre) = ([f64::NEG_INFINITY; N], [0.0; N]);
        for &part in &self.parts {
            for i in 0..N {
                let (log, m) = part.branchless(origin[i], a[i], field[i]);
                let heavier = log > top[i];
                top[i] = if heavier { log } else { top[i] };
                centre[i] = if heavier { m.mean } else { centre[i] };
            }
        }
        let (mut mass, mut shift, mut square) = ([0.0; N], [0.0; N], [0.0; N]);
        for &part in &self.parts {
            for i in 0..N {
                let (log, m) = part.branchless(origin[i], a[i], field[i]);
                let (w, d) = (exp(log - top[i]), m.mean - centre[i]);
                mass[i] += w;
                shift[i] += w * d;
                square[i] += w * (m.variance + d * d);
            }
        }
        for i in 0..N {
            let shift = shift[i] / mass[i];
            mean[i] = origin[i] + centre[i] + shift;
            variance[i] = (square[i] / mass[i] - shift * shift).max(0.0);
        }
    }
}
