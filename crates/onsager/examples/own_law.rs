//! A law and a function of one's own, run through theory and algorithm.
//!
//!     cargo run --release -p onsager --example own_law

use std::sync::Arc;

use onsager::amp::{Problem, Settings, infer};
use onsager::ensembles::Seed;
use onsager::model::{Activation, Instance, Law, Model, Teacher};
use onsager::replica::StateEvolution;
use onsager::scalar::activation::{Curve, Parity, Smooth};
use onsager::scalar::prior::{Prior, Scale};
use onsager::scalar::{Moments, special::log_add_exp};
use rand::Rng;

/// Two values, `-1/2` and `2`, with probabilities 4/5 and 1/5: mean 0, variance 1.
#[derive(Debug)]
struct Skewed;

impl Skewed {
    /// Log-weights of both values behind the message `exp(-ax²/2 + bx)`.
    fn logs(a: f64, b: f64) -> [f64; 2] {
        [
            0.8f64.ln() - 0.125 * a - 0.5 * b,
            0.2f64.ln() - 2.0 * a + 2.0 * b,
        ]
    }
}

impl Prior for Skewed {
    fn log_partition(&self, a: f64, b: f64) -> f64 {
        let [low, high] = Self::logs(a, b);
        log_add_exp(low, high)
    }
    fn moments(&self, a: f64, b: f64) -> Moments {
        let [low, high] = Self::logs(a, b);
        // Both probabilities from their own logistic: 1 - p would lose the small one.
        let (p, q) = (
            1.0 / (1.0 + (low - high).exp()),
            1.0 / (1.0 + (high - low).exp()),
        );
        Moments {
            mean: 2.0 * p - 0.5 * q,
            variance: 6.25 * p * q,
        }
    }
    fn mean(&self) -> f64 {
        0.0
    }
    fn second_moment(&self) -> f64 {
        1.0
    }
    fn scales(&self) -> Vec<Scale> {
        let at = |mean| Scale {
            mean,
            variance: 0.0,
        };
        vec![at(-0.5), at(2.0)]
    }
    fn sample(&self, rng: &mut dyn Rng) -> f64 {
        if rng.next_u32() % 5 == 0 { 2.0 } else { -0.5 }
    }
    fn discrete_entropy(&self) -> Option<f64> {
        Some(-0.8 * 0.8f64.ln() - 0.2 * 0.2f64.ln())
    }
}

/// `2/π arctan h`.
#[derive(Debug)]
struct Arctan;

impl Curve for Arctan {
    fn jet(&self, h: f64) -> [f64; 3] {
        let (scale, d) = (std::f64::consts::FRAC_2_PI, 1.0 + h * h);
        [scale * h.atan(), scale / d, -2.0 * scale * h / (d * d)]
    }
    fn range(&self) -> (f64, f64) {
        (-1.0, 1.0)
    }
    fn inverse(&self, x: f64) -> f64 {
        if x.abs() >= 1.0 {
            return f64::INFINITY.copysign(x);
        }
        (std::f64::consts::FRAC_PI_2 * x).tan()
    }
    fn bend(&self) -> f64 {
        0.5
    }
    fn parity(&self) -> Parity {
        Parity::Odd
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let models = [
        Model::builder()
            .prior(Law::custom(Arc::new(Skewed)))
            .spiked_wigner(0.6)?,
        Model::builder()
            .prior(Law::gaussian())
            .layer(2.0, Activation::custom(Arc::new(Smooth::new(Arctan))))
            .spiked_wigner(0.1)?,
    ];
    for model in models {
        let tree = model.tree()?;
        let theory = StateEvolution::new(&tree)?.predict()?.algorithmic;
        let sizes = tree.sizes(tree.signal_index(), 2000);
        let stream = |purpose: &str| Seed(1).stream("own law", 0, 0, purpose);
        let instance = Instance::draw(&tree, &sizes, stream, Teacher::fixed())?;
        let outcome = infer(&Problem::new(&tree, &instance)?, &Settings::default())?;
        let found = outcome.mse.ok_or("the truth is known")?;
        println!("predicted {:.4}, found {found:.4}", theory.mmse);
        // One instance of p = 2000 fluctuates by a few times 1/√p.
        assert!((found - theory.mmse).abs() < 0.1);
    }
    Ok(())
}
