use std::ops::ControlFlow;

use dashu_int::IBig;
use dashu_int::ops::BitTest;

use crate::reals::{log2, scaled};
use crate::relation::{self, Search, estimated_bits};
use crate::solve::Solver;
use crate::watch::{Observer, Watch};
use crate::{LatticeError, Reals};

/// A signal that fits every label.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// The signal `w`, up to its global sign where the labels do not decide it.
    pub signal: Reals,
    /// Bits to which every component is right if the labels are as accurate as was said.
    pub accuracy: f64,
    /// What the labels hid of samples 1 to d + 1: signs, whole turns, or which label is this signal's.
    pub hidden: Vec<i64>,
    /// Bits `N` of the relation with which it was found.
    pub bits: usize,
    /// Bits by which the unused equation is satisfied beyond the choice among all candidates: a wrong
    /// signal passes with a probability of about `2^-surplus`.
    pub surplus: f64,
    /// Insertions that the reductions made.
    pub insertions: u64,
}

/// Least surplus with which a signal is believed: one in a million.
pub const LEAST_SURPLUS: f64 = 20.0;

/// Problems that hide one signal behind the signs or whole turns of their labels.
pub trait Recover {
    /// The signal, with a certificate.
    ///
    /// # Errors
    ///
    /// [`LatticeError::NotFound`] if no signal fits the labels, with the bits that should do.
    fn recover(&self, search: &Search) -> Result<Recovery, LatticeError> {
        self.recover_with(search, &mut |_| ControlFlow::Continue(()))
    }

    /// The same under the eyes of an observer, which can stop it.
    ///
    /// # Errors
    ///
    /// As [`Recover::recover`], and [`LatticeError::Stopped`].
    fn recover_with(
        &self,
        search: &Search,
        observer: Observer<'_>,
    ) -> Result<Recovery, LatticeError>;
}

impl<L: Labels> Recover for L {
    fn recover_with(
        &self,
        search: &Search,
        observer: Observer<'_>,
    ) -> Result<Recovery, LatticeError> {
        self.equations()
            .recover(self, search, &mut Watch::new(observer))
    }
}

/// Bits carried beyond those of the data.
const GUARD: usize = 40;

/// Bits behind the point that hold any scale from `2^-75` on exactly.
const SCALE: usize = 128;

/// Whether a frequency may be one; outside, it was mistyped.
pub(crate) fn check_frequency(gamma: f64) -> Result<(), LatticeError> {
    if (2.0_f64.powi(-60)..=2.0_f64.powi(60)).contains(&gamma) {
        return Ok(());
    }
    Err(LatticeError::Setting {
        name: "gamma",
        allowed: "from 2^-60 to 2^60",
        found: gamma,
    })
}

/// Samples `x_1, ..., x_n`, `n >= d + 1`, and the relation between the first `d + 1` of them,
/// `Σ λ_i x_i = 0` with `λ_1 = 1`: for every `w`, `Σ λ_i <w, x_i> = 0`.
#[derive(Debug, Clone)]
pub(crate) struct Equations {
    /// Mantissas of the samples.
    samples: Vec<Vec<IBig>>,
    bits: usize,
    /// Bits of labels, relations and signals on the way.
    pub(crate) precision: usize,
    /// `λ_i` with that precision.
    pub(crate) lambda: Vec<IBig>,
    /// `-log2` of the largest error of a label.
    pub(crate) accuracy: usize,
}

/// Whether a number of the equations vanishes to all bits of the data.
pub(crate) fn is_free(x: &IBig) -> bool {
    x.bit_len() <= GUARD
}

/// What a kind of labels contributes.
pub(crate) trait Labels {
    /// Samples and the relation between them.
    fn equations(&self) -> &Equations;
    /// Numbers between which a short relation is expected.
    fn coefficients(&self) -> Vec<IBig>;
    /// Norm of the expected relation.
    fn norm(&self) -> f64;
    /// Rows of a reduced basis, from the first, among which the relation is looked for.
    fn relations(&self) -> usize {
        1
    }
    /// What the forms are of, in units of the signal.
    fn scale(&self) -> f64 {
        1.0
    }
    /// What a relation says was hidden, and the forms `<w, x_i>` that follow, for samples 1 to d + 1.
    fn forms(&self, relation: &[i64]) -> Option<(Vec<i64>, Vec<IBig>)>;
    /// Distance of a form of sample `i` from the nearest one that its label allows.
    fn distance(&self, i: usize, form: &IBig) -> IBig;
    /// Error of the form for a unit error of label `i`.
    fn amplification(&self, i: usize) -> f64;
    /// `log2` of the number of relations of this kind that are no longer than `hidden`.
    fn candidates(&self, hidden: &[i64]) -> f64;
}

impl Equations {
    pub(crate) fn new(
        samples: &[Reals],
        labels: &Reals,
        accuracy: usize,
    ) -> Result<Self, LatticeError> {
        let dimension = samples.first().ok_or(LatticeError::Empty("samples"))?.len();
        if dimension == 0 {
            return Err(LatticeError::Empty("a sample"));
        }
        if samples.len() != labels.len() {
            return Err(LatticeError::Unpaired {
                samples: samples.len(),
                labels: labels.len(),
            });
        }
        if let Some(row) = samples.iter().position(|x| x.len() != dimension) {
            return Err(LatticeError::Ragged {
                row,
                expected: dimension,
                found: samples[row].len(),
            });
        }
        if samples.len() <= dimension {
            return Err(LatticeError::TooFewSamples {
                dimension,
                found: samples.len(),
            });
        }
        if accuracy == 0 || accuracy > labels.bits {
            return Err(LatticeError::Setting {
                name: "accuracy",
                allowed: "from 1 to the bits of the labels",
                found: accuracy as f64,
            });
        }
        let bits = samples.iter().map(|x| x.bits).max().unwrap_or(0);
        let precision = bits.max(labels.bits) + GUARD;
        let samples: Vec<Vec<IBig>> = (samples.iter())
            .map(|x| x.with_bits(bits).mantissas)
            .collect();
        let columns: Vec<Vec<IBig>> = (0..dimension)
            .map(|c| {
                samples[1..=dimension]
                    .iter()
                    .map(|x| x[c].clone())
                    .collect()
            })
            .collect();
        let right: Vec<IBig> = samples[0].iter().map(|x| -x).collect();
        let lambda = Solver::new(&columns)
            .and_then(|solver| solver.solve(&right, precision))
            .map_err(|_| LatticeError::DependentSamples(dimension))?;
        let lambda = [vec![IBig::ONE << precision], lambda].concat();
        if let Some(sample) = lambda.iter().position(is_free) {
            return Err(LatticeError::IdleSample { dimension, sample });
        }
        Ok(Self {
            samples,
            bits,
            precision,
            lambda,
            accuracy,
        })
    }

    pub(crate) fn dimension(&self) -> usize {
        self.samples[0].len()
    }

    /// `x y` of two numbers with the precision of the equations.
    pub(crate) fn product(&self, x: &IBig, y: &IBig) -> IBig {
        scaled(&(x * y), -(self.precision as i64))
    }

    /// The signal with these forms on samples 2 to d + 1.
    pub(crate) fn solve(&self, forms: &[IBig]) -> Result<Vec<IBig>, LatticeError> {
        let dimension = self.dimension();
        Solver::new(&self.samples[1..=dimension])
            .and_then(|solver| solver.solve(&forms[1..], self.bits))
            .map_err(|_| LatticeError::DependentSamples(dimension))
    }

    /// The recovery of `w` from that of `scale · w`.
    fn divided(&self, found: Recovery, scale: f64) -> Result<Recovery, LatticeError> {
        let unit = Reals::from_f64(&[scale], SCALE)?;
        let one = |m: &IBig| (m << SCALE) / &unit.mantissas[0];
        let mantissas = found.signal.mantissas.iter().map(one).collect();
        Ok(Recovery {
            signal: Reals::new(mantissas, self.precision),
            accuracy: found.accuracy + scale.log2(),
            ..found
        })
    }

    /// `<w, x_i>`.
    pub(crate) fn form(&self, i: usize, signal: &[IBig]) -> IBig {
        scaled(
            &crate::exact::dot(&self.samples[i], signal),
            -(self.bits as i64),
        )
    }

    /// Looks for a relation that certifies a signal.
    pub(crate) fn recover(
        &self,
        labels: &dyn Labels,
        settings: &Search,
        watch: &mut Watch<'_>,
    ) -> Result<Recovery, LatticeError> {
        settings.check()?;
        let coefficients = labels.coefficients();
        // A number that vanishes takes part in no relation.
        let active: Vec<usize> = (0..coefficients.len())
            .filter(|&i| !is_free(&coefficients[i]))
            .collect();
        // Bits to find the relation, or to tell it from chance, whichever are more.
        let n = active.len().max(1);
        let reduction = (n * n) as f64 * 1.02_f64.log2();
        let estimate = estimated_bits(n, labels.norm()) + (LEAST_SURPLUS - reduction).max(0.0);
        let most = self.accuracy.saturating_sub(2).max(1);
        let missing = LatticeError::NotFound {
            bits: most.min(settings.most_bits.unwrap_or(most)),
            estimate,
        };
        if active.is_empty() {
            // Nothing is hidden, as where all labels vanish and so does the signal.
            return self
                .certified(labels, &vec![0; coefficients.len()], 0, 0)?
                .ok_or(missing);
        }
        let chosen: Vec<IBig> = active.iter().map(|&i| coefficients[i].clone()).collect();
        let visit = |basis: &relation::Basis<'_>| {
            for found in basis.relations().take(labels.relations()) {
                let mut relation = vec![0; coefficients.len()];
                for (&i, &r) in active.iter().zip(found) {
                    relation[i] = r;
                }
                let recovery = self.certified(labels, &relation, basis.bits, basis.insertions)?;
                if let Some(recovery) = recovery {
                    return Ok(ControlFlow::Break(recovery));
                }
            }
            Ok(ControlFlow::Continue(()))
        };
        let numbers = (chosen.as_slice(), self.precision);
        relation::search(numbers, most, settings, watch, visit)?.ok_or(missing)
    }

    /// The signal of a relation, if it fits all labels and could not do so by chance.
    fn certified(
        &self,
        labels: &dyn Labels,
        relation: &[i64],
        bits: usize,
        insertions: u64,
    ) -> Result<Option<Recovery>, LatticeError> {
        let Some((hidden, forms)) = labels.forms(relation) else {
            return Ok(None);
        };
        let dimension = self.dimension();
        // The unused equation, Σ λ_i form_i = 0: first the sum, which is cheap.
        let lambda = Reals::new(self.lambda.clone(), self.precision).to_f64();
        let amplification = |i: usize| labels.amplification(i);
        // Tolerances in units of the largest error of a label.
        let own = 1.01
            * (0..=dimension)
                .map(|i| lambda[i].abs() * amplification(i))
                .sum::<f64>();
        let unit = -(self.accuracy as f64);
        let sum: IBig = (self.lambda.iter().zip(&forms)).map(|(l, f)| l * f).sum();
        if log2(&sum) - 2.0 * self.precision as f64 > own.log2() + unit {
            return Ok(None);
        }
        let spread: IBig = (self.lambda.iter().zip(&forms))
            .map(|(l, f)| self.product(l, f).pow(2))
            .sum();
        let spread = 0.5 * log2(&spread) - self.precision as f64;
        let surplus = spread - own.log2() - unit - labels.candidates(&hidden);
        // No signal but zero fits zeros: nothing was chosen, and nothing is beyond chance.
        let trivial = forms.iter().all(IBig::is_zero);
        let surplus = if trivial { 0.0 } else { surplus };
        if surplus < LEAST_SURPLUS && !trivial {
            return Ok(None);
        }
        let signal = self.solve(&forms)?;
        // Then every label again, from the signal.
        let solver = Solver::new(&self.samples[1..=dimension])
            .map_err(|_| LatticeError::DependentSamples(dimension))?;
        for (i, sample) in self.samples.iter().enumerate() {
            let form = self.form(i, &signal);
            let own = if i == 0 {
                own
            } else {
                let direction = Reals::new(sample.clone(), self.bits).to_f64();
                let weights = solver.transposed(&direction, self.bits);
                let others = weights
                    .iter()
                    .enumerate()
                    .map(|(j, w)| w.abs() * amplification(j + 1));
                1.01 * (amplification(i) + others.sum::<f64>())
            };
            if log2(&labels.distance(i, &form)) - self.precision as f64 > own.log2() + unit {
                return Ok(None);
            }
        }
        let component = |c: usize| {
            let direction: Vec<f64> = (0..dimension)
                .map(|j| f64::from(u8::from(j == c)))
                .collect();
            let weights = solver.transposed(&direction, self.bits);
            weights
                .iter()
                .enumerate()
                .map(|(j, w)| w.abs() * amplification(j + 1))
                .sum::<f64>()
        };
        let error = (0..dimension).map(component).fold(0.0, f64::max);
        let found = Recovery {
            signal: Reals::new(signal, self.precision),
            accuracy: -(error.log2() + unit),
            hidden,
            bits,
            surplus,
            insertions,
        };
        self.divided(found, labels.scale()).map(Some)
    }
}

/// `log2` of the number of integer vectors no longer than this one: the volume of the ball, widened by
/// the second moment of a unit cell so that short vectors count too.
pub(crate) fn ball(vector: &[i64]) -> f64 {
    let n = vector.len() as f64;
    let squares: f64 = vector.iter().map(|&k| (k as f64).powi(2)).sum();
    let cell = std::f64::consts::TAU * std::f64::consts::E * (squares / n + 1.0 / 12.0);
    0.5 * n * cell.log2()
}

/// Distance to the nearest multiple of `2^bits`.
pub(crate) fn to_integers(x: &IBig, bits: usize) -> IBig {
    let gap = x - (scaled(x, -(bits as i64)) << bits);
    if gap < IBig::ZERO { -gap } else { gap }
}

/// Largest common divisor of the sizes; 0 for zeros.
pub(crate) fn common_divisor(values: &[i64]) -> i64 {
    values.iter().fold(0, |mut a, &b| {
        let mut b = b.abs();
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    })
}
