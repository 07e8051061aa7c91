use std::ops::ControlFlow;

use dashu_int::IBig;

use crate::equations::{Equations, Labels, is_free};
use crate::watch::{Observer, Watch};
use crate::{LatticeError, Reals, Recovery, Search, estimated_bits};

/// Correspondence retrieval of `k` signals: each sample comes with the labels `<w_1, x_i>, ..., <w_k, x_i>`,
/// but not with which is whose.
///
/// One label `z_ia` of each sample belongs to a signal, so that `Σ λ_i z_ia = 0` over these: with the last
/// label of each sample as reference, a relation with coefficients 0 and 1 between the `(k - 1)(d + 1)`
/// numbers `λ_i (z_ia - z_ik)` and `Σ λ_i z_ik`. The lattice holds such a vector for every signal. The first
/// that is found is taken, its labels are struck out, and the next search is for one signal less; the last
/// one needs none. Phase retrieval is the case of the two signals `w` and `-w`.
///
/// - **Source**: Andoni, Hsu, Shi and Sun (2017), with one number for each label; the reference is our own,
///   and saves a share of `1/k` of the numbers.
#[derive(Debug, Clone)]
pub struct Correspondence {
    equations: Equations,
    labels: Vec<Vec<IBig>>,
}

impl Correspondence {
    /// Samples of dimension `d`, at least `d + 1` of them; `labels` holds for each sample its `k >= 1`
    /// labels in any order, right to `2^-accuracy`.
    ///
    /// # Errors
    ///
    /// Shapes that do not fit, samples 1 to d + 1 of which `d` are dependent to double precision.
    pub fn new(samples: &[Reals], labels: &[Reals], accuracy: usize) -> Result<Self, LatticeError> {
        let signals = labels.first().ok_or(LatticeError::Empty("labels"))?.len();
        if signals == 0 {
            return Err(LatticeError::Empty("the labels of a sample"));
        }
        if let Some(row) = labels.iter().position(|z| z.len() != signals) {
            return Err(LatticeError::Ragged {
                row,
                expected: signals,
                found: labels[row].len(),
            });
        }
        let bits = labels.iter().map(Reals::bits).max().unwrap_or(0);
        let firsts = labels
            .iter()
            .map(|z| z.with_bits(bits).mantissas[0].clone());
        let equations = Equations::new(samples, &Reals::new(firsts.collect(), bits), accuracy)?;
        let precision = equations.precision;
        let labels = labels.iter().map(|z| z.with_bits(precision).mantissas);
        Ok(Self {
            labels: labels.collect(),
            equations,
        })
    }

    /// Bits that the labels of `signals` signals need in dimension `d`, by counting.
    pub fn bits_needed(dimension: usize, signals: usize) -> f64 {
        let others = signals.saturating_sub(1);
        estimated_bits(others * (dimension + 1) + 1, norm(dimension, signals))
    }

    /// All signals in the order in which they are found, each with a certificate; `hidden` holds which of
    /// the labels of samples 1 to d + 1 are its own.
    ///
    /// # Errors
    ///
    /// [`LatticeError::NotFound`] if no such signals fit the labels, with the bits that should do.
    pub fn recover(&self, search: &Search) -> Result<Vec<Recovery>, LatticeError> {
        self.recover_with(search, &mut |_| ControlFlow::Continue(()))
    }

    /// The same under the eyes of an observer, which can stop it.
    ///
    /// # Errors
    ///
    /// As [`Correspondence::recover`], and [`LatticeError::Stopped`].
    pub fn recover_with(
        &self,
        search: &Search,
        observer: Observer<'_>,
    ) -> Result<Vec<Recovery>, LatticeError> {
        let mut watch = Watch::new(observer);
        let all = |z: &Vec<IBig>| z.iter().cloned().enumerate().collect();
        let mut left = Unassigned {
            equations: &self.equations,
            labels: self.labels.iter().map(all).collect(),
        };
        let signals = self.labels[0].len();
        (0..signals)
            .map(|_| left.next(search, &mut watch))
            .collect()
    }
}

/// Norm of the relation of one of these signals, whose label is the reference for one sample in `k`.
fn norm(dimension: usize, signals: usize) -> f64 {
    let share = 1.0 - 1.0 / signals.max(1) as f64;
    (1.0 + (dimension + 1) as f64 * share).sqrt()
}

/// Labels that belong to no signal yet, and their positions.
struct Unassigned<'a> {
    equations: &'a Equations,
    labels: Vec<Vec<(usize, IBig)>>,
}

impl Unassigned<'_> {
    /// One more signal, whose labels are struck out.
    fn next(&mut self, search: &Search, watch: &mut Watch<'_>) -> Result<Recovery, LatticeError> {
        let mut found = self.equations.recover(&*self, search, watch)?;
        for (i, labels) in self.labels.iter_mut().enumerate() {
            let form = self.equations.form(i, &found.signal.mantissas);
            let nearest = (0..labels.len()).min_by_key(|&a| distance(&form, &labels[a].1));
            let (position, _) = labels.remove(nearest.unwrap_or(0));
            if let Some(hidden) = found.hidden.get_mut(i) {
                *hidden = position as i64;
            }
        }
        Ok(found)
    }

    /// `Σ λ_i z_ik`.
    fn reference(&self) -> IBig {
        let last = self.labels.iter().filter_map(|z| z.last());
        let terms = self.equations.lambda.iter().zip(last);
        terms.map(|(l, (_, z))| self.equations.product(l, z)).sum()
    }
}

/// `|x - y|`.
fn distance(x: &IBig, y: &IBig) -> IBig {
    let gap = x - y;
    if gap < IBig::ZERO { -gap } else { gap }
}

impl Labels for Unassigned<'_> {
    fn equations(&self) -> &Equations {
        self.equations
    }

    fn coefficients(&self) -> Vec<IBig> {
        let mut numbers = Vec::new();
        if self.relations() == 1 {
            // Of one signal nothing is hidden.
            return numbers;
        }
        for (l, labels) in self.equations.lambda.iter().zip(&self.labels) {
            if let Some(((_, last), others)) = labels.split_last() {
                let product = |(_, z): &(usize, IBig)| self.equations.product(l, &(z - last));
                numbers.extend(others.iter().map(product));
            }
        }
        numbers.push(self.reference());
        numbers
    }

    fn norm(&self) -> f64 {
        norm(self.equations.dimension(), self.labels[0].len())
    }

    fn relations(&self) -> usize {
        self.labels[0].len()
    }

    fn forms(&self, relation: &[i64]) -> Option<(Vec<i64>, Vec<IBig>)> {
        let (&size, choices) = relation.split_last().unwrap_or((&1, &[]));
        // Where the last labels are those of a signal, nothing needs to be chosen.
        if size == 0 && !is_free(&self.reference()) {
            return None;
        }
        let others = self.relations() - 1;
        let chosen = |i: usize| {
            let mut chosen = others;
            for (a, &r) in choices[i * others..][..others].iter().enumerate() {
                if r == size && r != 0 && chosen == others {
                    chosen = a;
                } else if r != 0 {
                    return None;
                }
            }
            Some(chosen)
        };
        let samples = 0..self.equations.lambda.len();
        let chosen: Vec<usize> = samples.map(chosen).collect::<Option<_>>()?;
        let form = |(i, &a): (usize, &usize)| self.labels[i][a].1.clone();
        let forms = chosen.iter().enumerate().map(form).collect();
        Some((chosen.iter().map(|&a| a as i64).collect(), forms))
    }

    fn distance(&self, i: usize, form: &IBig) -> IBig {
        let gaps = self.labels[i].iter().map(|(_, z)| distance(form, z));
        gaps.min().unwrap_or(IBig::ZERO)
    }

    fn amplification(&self, _: usize) -> f64 {
        1.0
    }

    fn candidates(&self, hidden: &[i64]) -> f64 {
        hidden.len() as f64 * (self.labels[0].len() as f64).log2()
    }
}
