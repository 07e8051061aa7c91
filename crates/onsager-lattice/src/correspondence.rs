use dashu_int::IBig;

use crate::reals::scaled;
use crate::{LatticeError, PhaseRetrieval, Reals, Recovery, Search};

/// Correspondence retrieval of two signals: each sample comes with `<u, x_i>` and `<v, x_i>`, but not with
/// which is which.
///
/// The sums of the pairs are linear in `u + v`; the sizes of their differences are the labels of phase
/// retrieval for `u - v`. So `d + 1` samples suffice, by the same lattice.
///
/// - **Source**: Andoni, Hsu, Shi and Sun (2017) for any number of signals; the reduction of two to phase
///   retrieval is elementary.
#[derive(Debug, Clone)]
pub struct Correspondence {
    difference: PhaseRetrieval,
    sums: Vec<IBig>,
}

/// Two signals; which is called first is arbitrary.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// One signal.
    pub first: Reals,
    /// The other one.
    pub second: Reals,
    /// The recovery of their difference.
    pub difference: Recovery,
}

impl Correspondence {
    /// Samples of dimension `d`, at least `d + 1` of them; `labels` holds the two labels of each sample in
    /// any order, right to `2^-accuracy`.
    ///
    /// # Errors
    ///
    /// As [`PhaseRetrieval::new`].
    pub fn new(
        samples: &[Reals],
        labels: &[[Reals; 2]],
        accuracy: usize,
    ) -> Result<Self, LatticeError> {
        let bits = labels.iter().flatten().map(Reals::bits).max().unwrap_or(0);
        if let Some(row) = labels
            .iter()
            .position(|pair| pair.iter().any(|z| z.len() != 1))
        {
            return Err(LatticeError::Ragged {
                row,
                expected: 1,
                found: labels[row].iter().map(Reals::len).max().unwrap_or(0),
            });
        }
        let value = |z: &Reals| z.with_bits(bits).mantissas[0].clone();
        let size = |z: IBig| if z < IBig::ZERO { -z } else { z };
        let differences = (labels.iter())
            .map(|[a, b]| size(value(a) - value(b)))
            .collect();
        // The error of a difference is that of both.
        let accuracy = accuracy.saturating_sub(1);
        let difference = PhaseRetrieval::new(samples, &Reals::new(differences, bits), accuracy)?;
        let precision = difference.equations().precision;
        let sum = |[a, b]: &[Reals; 2]| scaled(&(value(a) + value(b)), (precision - bits) as i64);
        Ok(Self {
            sums: labels.iter().map(sum).collect(),
            difference,
        })
    }

    /// Both signals, with a certificate.
    ///
    /// # Errors
    ///
    /// [`LatticeError::NotFound`] if no two signals fit the labels.
    pub fn recover(&self, search: &Search) -> Result<Pair, LatticeError> {
        let difference = self.difference.recover(search)?;
        let equations = self.difference.equations();
        // The sums hide nothing, and must fit all samples by themselves.
        let sum = equations.solve(&self.sums[..=equations.dimension()])?;
        if !equations.fits_linear(&sum, &self.sums) {
            return Err(LatticeError::NotFound {
                bits: difference.bits,
                estimate: PhaseRetrieval::bits_needed(equations.dimension()),
            });
        }
        let half = |sign: i64| {
            let both = sum.iter().zip(difference.signal.mantissas());
            let halves = both.map(|(s, d)| scaled(&(s + d * sign), -1)).collect();
            Reals::new(halves, equations.precision)
        };
        Ok(Pair {
            first: half(1),
            second: half(-1),
            difference,
        })
    }
}
