use dashu_int::IBig;

use crate::equations::{
    Equations, Labels, ball, check_frequency, common_divisor, is_free, to_integers,
};
use crate::reals::Circle;
use crate::{LatticeError, Reals, estimated_bits};

/// A neuron with a cosine, `z_i = cos(2π γ <w, x_i>)`: `w` up to its sign from `d + 1` samples.
///
/// With `t_i = arccos(z_i)/2π`, `γ <w, x_i> = ε_i t_i + k_i` for a sign and a whole number of turns, so
/// that `Σ k_i λ_i + Σ ε_i λ_i t_i = 0`: a relation between `2d + 2` known numbers. The arccosine multiplies
/// the error of a label by `1/(2π √(1 - z²))`, which the tolerances include.
///
/// - **Source**: Song, Zadik and Bruna (2021), arXiv 2106.10744.
#[derive(Debug, Clone)]
pub struct CosineNeuron {
    equations: Equations,
    gamma: f64,
    /// `t_i`, and what an error of the label does to it.
    turns: Vec<IBig>,
    amplification: Vec<f64>,
}

impl CosineNeuron {
    /// Samples of dimension `d`, at least `d + 1` of them, with labels that are right to `2^-accuracy`,
    /// and the frequency `γ`, which counts as exact.
    ///
    /// # Errors
    ///
    /// Shapes that do not fit, labels outside [-1, 1] (beyond their accuracy), a frequency that is not
    /// positive, samples 2 to d + 1 that are dependent to double precision.
    pub fn new(
        samples: &[Reals],
        labels: &Reals,
        accuracy: usize,
        gamma: f64,
    ) -> Result<Self, LatticeError> {
        check_frequency(gamma)?;
        let equations = Equations::new(samples, labels, accuracy)?;
        let values = labels.to_f64();
        let error = 2.0_f64.powi(-(accuracy.min(900) as i32));
        if let Some(index) = values.iter().position(|z| z.abs() > 1.0 + error) {
            return Err(LatticeError::Label {
                index,
                allowed: "in [-1, 1]",
                found: values[index],
            });
        }
        let circle = Circle::new(equations.precision);
        let labels = labels.with_bits(equations.precision);
        // The slope of the arccosine, which stays finite because the label cannot leave its range; the
        // factor covers the change of the slope within the error.
        let slope = |z: &f64| 1.5 / (std::f64::consts::TAU * (1.0 - z * z).max(error).sqrt());
        Ok(Self {
            equations,
            gamma,
            turns: labels.mantissas.iter().map(|z| circle.arccos(z)).collect(),
            amplification: values.iter().map(slope).collect(),
        })
    }

    /// Bits that the labels need in dimension `d`, by counting, if `w` has norm one.
    pub fn bits_needed(dimension: usize, gamma: f64) -> f64 {
        let n = 2 * dimension + 2;
        estimated_bits(n, norm(n, gamma))
    }
}

/// Norm of the relation: signs, and turns of variance `γ²`.
fn norm(n: usize, gamma: f64) -> f64 {
    (0.5 * n as f64 * (1.0 + gamma * gamma)).sqrt()
}

impl Labels for CosineNeuron {
    fn equations(&self) -> &Equations {
        &self.equations
    }

    fn coefficients(&self) -> Vec<IBig> {
        let equations = &self.equations;
        let products =
            (equations.lambda.iter().zip(&self.turns)).map(|(l, t)| equations.product(l, t));
        equations.lambda.iter().cloned().chain(products).collect()
    }

    fn norm(&self) -> f64 {
        norm(2 * self.equations.lambda.len(), self.gamma)
    }

    fn scale(&self) -> f64 {
        self.gamma
    }

    fn forms(&self, relation: &[i64]) -> Option<(Vec<i64>, Vec<IBig>)> {
        let (turns, signs) = relation.split_at(relation.len() / 2);
        let size = common_divisor(signs);
        if size == 0 {
            return None;
        }
        let form = |((&k, &e), t): ((&i64, &i64), &IBig)| {
            let sign = if e == 0 && is_free(t) { size } else { e };
            (sign.abs() == size && k % size == 0)
                .then(|| (IBig::from(k / size) << self.equations.precision) + t * (sign / size))
        };
        let forms = (turns.iter().zip(signs).zip(&self.turns))
            .map(form)
            .collect::<Option<_>>()?;
        Some((turns.iter().map(|k| k / size).collect(), forms))
    }

    fn distance(&self, i: usize, form: &IBig) -> IBig {
        let bits = self.equations.precision;
        let turn = &self.turns[i];
        to_integers(&(form - turn), bits).min(to_integers(&(form + turn), bits))
    }

    fn amplification(&self, i: usize) -> f64 {
        self.amplification[i]
    }

    fn candidates(&self, hidden: &[i64]) -> f64 {
        // Signs beside the turns.
        hidden.len() as f64 + ball(hidden)
    }
}
