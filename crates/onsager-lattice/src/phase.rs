use dashu_int::IBig;

use crate::equations::{Equations, Labels, common_divisor, is_free};
use crate::{LatticeError, Reals, estimated_bits};

/// Noiseless phase retrieval, `z_i = |<w, x_i>|`: `w` up to its sign from `d + 1` samples.
///
/// With `Σ λ_i x_i = 0`, the signs satisfy `Σ ε_i λ_i z_i = 0`: a relation of norm `√(d + 1)` between
/// `d + 1` known numbers. About `n (2.05 + 0.029 n)` bits are needed for `n = d + 1` samples, so labels in
/// double precision, right to about 48 bits, do up to a dimension of about 16 by this estimate and 24 in
/// practice; from 28 on they could not tell the signal from chance. Samples count as exact. Further
/// samples are used to check.
///
/// - **Source**: Song, Zadik and Bruna (2021), arXiv 2106.10744, section on phase retrieval; Andoni, Hsu,
///   Shi and Sun (2017).
#[derive(Debug, Clone)]
pub struct PhaseRetrieval {
    equations: Equations,
    labels: Vec<IBig>,
}

impl PhaseRetrieval {
    /// Samples of dimension `d`, at least `d + 1` of them, with labels that are right to `2^-accuracy`.
    ///
    /// # Errors
    ///
    /// Shapes that do not fit, negative labels (beyond their accuracy), samples 2 to d + 1 that are
    /// dependent to double precision.
    pub fn new(samples: &[Reals], labels: &Reals, accuracy: usize) -> Result<Self, LatticeError> {
        let equations = Equations::new(samples, labels, accuracy)?;
        let values = labels.to_f64();
        let least = -(2.0_f64.powi(-(accuracy.min(1000) as i32)));
        if let Some(index) = values.iter().position(|&z| z < least) {
            return Err(LatticeError::Label {
                index,
                allowed: "at least 0",
                found: values[index],
            });
        }
        let labels = labels.with_bits(equations.precision).mantissas;
        let labels = labels.into_iter().map(|z| z.max(IBig::ZERO)).collect();
        Ok(Self { equations, labels })
    }

    /// Bits that the labels need in dimension `d`, by counting.
    pub fn bits_needed(dimension: usize) -> f64 {
        let n = dimension + 1;
        estimated_bits(n, (n as f64).sqrt())
    }
}

impl Labels for PhaseRetrieval {
    fn equations(&self) -> &Equations {
        &self.equations
    }

    fn coefficients(&self) -> Vec<IBig> {
        let equations = &self.equations;
        (equations.lambda.iter().zip(&self.labels))
            .map(|(l, z)| equations.product(l, z))
            .collect()
    }

    fn norm(&self) -> f64 {
        (self.equations.lambda.len() as f64).sqrt()
    }

    fn forms(&self, relation: &[i64]) -> Option<(Vec<i64>, Vec<IBig>)> {
        let size = common_divisor(relation).max(1);
        let sign = |(&r, z): (&i64, &IBig)| {
            // The sign of a form that vanishes, or does not count, is free.
            if r.abs() == size {
                Some(r.signum())
            } else {
                (r == 0 && is_free(z)).then_some(1)
            }
        };
        let signs: Vec<i64> = (relation.iter().zip(&self.labels))
            .map(sign)
            .collect::<Option<_>>()?;
        let forms = (signs.iter().zip(&self.labels))
            .map(|(s, z)| z * s)
            .collect();
        Some((signs, forms))
    }

    fn distance(&self, i: usize, form: &IBig) -> IBig {
        let size = if *form < IBig::ZERO {
            -form
        } else {
            form.clone()
        };
        let gap = size - &self.labels[i];
        if gap < IBig::ZERO { -gap } else { gap }
    }

    fn amplification(&self, _: usize) -> f64 {
        1.0
    }

    fn candidates(&self, hidden: &[i64]) -> f64 {
        hidden.len() as f64 - 1.0
    }
}
