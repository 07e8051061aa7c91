use std::ops::ControlFlow;

use dashu_int::IBig;

use crate::equations::{Equations, Labels, ball, check_frequency, to_integers};
use crate::reals::log2;
use crate::relation;
use crate::watch::Watch;
use crate::{LatticeError, Reals, Search, estimated_bits};

/// Continuous learning with errors, `z_i = γ <w, x_i> mod 1`, without errors but the rounding: the signal
/// from `d + 1` samples, and the test whether there is one.
///
/// `γ <w, x_i> = z_i + k_i`, so that `Σ k_i λ_i + Σ λ_i z_i = 0`: a relation between the `d + 2` numbers
/// `λ_1, ..., λ_{d+1}` and `Σ λ_i z_i`.
///
/// - **Source**: Song, Zadik and Bruna (2021), arXiv 2106.10744; the problem is due to Bruna, Regev, Song
///   and Tang (2021).
#[derive(Debug, Clone)]
pub struct Clwe {
    equations: Equations,
    gamma: f64,
    /// In [-1/2, 1/2].
    labels: Vec<IBig>,
}

/// Whether labels follow a hidden direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Whether they do: the shortest vector found is nearer to `planted_norm` than to `null_norm`.
    pub planted: bool,
    /// `log2` of the norm of the first vector of the reduced basis.
    pub norm: f64,
    /// `log2 √(1 + (d + 1) γ²)`, its value if they do (for `w` of norm one).
    pub planted_norm: f64,
    /// `log2 √(n/2πe) det^(1/n)`, that of the shortest vector if labels are uniform.
    pub null_norm: f64,
    /// Bits used.
    pub bits: usize,
}

impl Clwe {
    /// Samples of dimension `d`, at least `d + 1` of them, with labels modulo one that are right to
    /// `2^-accuracy`, and the frequency `γ`.
    ///
    /// # Errors
    ///
    /// Shapes that do not fit, a frequency that is not positive, samples 2 to d + 1 that are dependent
    /// to double precision.
    pub fn new(
        samples: &[Reals],
        labels: &Reals,
        accuracy: usize,
        gamma: f64,
    ) -> Result<Self, LatticeError> {
        check_frequency(gamma)?;
        let equations = Equations::new(samples, labels, accuracy)?;
        let bits = equations.precision;
        let half = IBig::ONE << (bits - 1);
        let labels = labels.with_bits(bits).mantissas;
        let centred = |z: IBig| &z - (((&z + &half) >> bits) << bits);
        Ok(Self {
            equations,
            gamma,
            labels: labels.into_iter().map(centred).collect(),
        })
    }

    /// Bits that the labels need in dimension `d`, by counting, if `w` has norm one.
    pub fn bits_needed(dimension: usize, gamma: f64) -> f64 {
        estimated_bits(dimension + 2, planted(dimension, gamma))
    }

    /// Whether the labels follow a hidden direction of norm one or are uniform.
    ///
    /// # Errors
    ///
    /// [`LatticeError::TooFewBits`] if the two norms that are told apart differ by less than a factor
    /// of `1.02^n`, which a reduction may lose.
    pub fn detect(&self, search: &Search) -> Result<Detection, LatticeError> {
        search.check()?;
        let equations = &self.equations;
        let dimension = equations.dimension();
        let coefficients = self.coefficients();
        let n = coefficients.len() as f64;
        let most = equations.accuracy.saturating_sub(2).max(1);
        let bits = most.min(search.most_bits.unwrap_or(most));
        let estimate = Self::bits_needed(dimension, self.gamma);
        let planted_norm = planted(dimension, self.gamma).log2();
        // The volume of the lattice of rows (e_i, a_i) is √(1 + |a|²).
        let squares: IBig = coefficients.iter().map(|c| c * c).sum();
        let volume = 0.5 * log2(&squares) - equations.precision as f64 + bits as f64;
        let cell = std::f64::consts::TAU * std::f64::consts::E;
        let null_norm = 0.5 * (n / cell).log2() + volume.max(0.0) / n;
        if null_norm < planted_norm + n * 1.02_f64.log2() {
            return Err(LatticeError::TooFewBits { bits, estimate });
        }
        let active: Vec<IBig> = coefficients.into_iter().filter(|c| !c.is_zero()).collect();
        let mut norm = f64::INFINITY;
        let numbers = (active.as_slice(), equations.precision);
        let observer = &mut |_| ControlFlow::Continue(());
        relation::search(numbers, most, search, &mut Watch::new(observer), |basis| {
            norm = basis.norm();
            Ok(ControlFlow::<()>::Continue(()))
        })?;
        Ok(Detection {
            planted: norm < 0.5 * (planted_norm + null_norm),
            norm,
            planted_norm,
            null_norm,
            bits,
        })
    }
}

/// Norm of the relation for a signal of norm one.
fn planted(dimension: usize, gamma: f64) -> f64 {
    (1.0 + (dimension + 1) as f64 * gamma * gamma).sqrt()
}

impl Labels for Clwe {
    fn equations(&self) -> &Equations {
        &self.equations
    }

    fn coefficients(&self) -> Vec<IBig> {
        let equations = &self.equations;
        let products =
            (equations.lambda.iter().zip(&self.labels)).map(|(l, z)| equations.product(l, z));
        let sum: IBig = products.sum();
        equations.lambda.iter().cloned().chain([sum]).collect()
    }

    fn norm(&self) -> f64 {
        planted(self.equations.dimension(), self.gamma)
    }

    fn scale(&self) -> f64 {
        self.gamma
    }

    fn forms(&self, relation: &[i64]) -> Option<(Vec<i64>, Vec<IBig>)> {
        let (&last, turns) = relation.split_last()?;
        let whole = |k: &i64| (last != 0 && k % last == 0).then(|| k / last);
        let turns: Vec<i64> = if self.labels.iter().all(IBig::is_zero) {
            // No signal, no label, no relation to look for.
            vec![0; turns.len()]
        } else {
            turns.iter().map(whole).collect::<Option<_>>()?
        };
        let form = |(&k, z): (&i64, &IBig)| (IBig::from(k) << self.equations.precision) + z;
        let forms = turns.iter().zip(&self.labels).map(form).collect();
        Some((turns, forms))
    }

    fn distance(&self, i: usize, form: &IBig) -> IBig {
        to_integers(&(form - &self.labels[i]), self.equations.precision)
    }

    fn amplification(&self, _: usize) -> f64 {
        1.0
    }

    fn candidates(&self, hidden: &[i64]) -> f64 {
        ball(hidden)
    }
}
