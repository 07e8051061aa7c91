//! The Bayes-optimal error and the information of small systems, by summing over all signals: spiked matrices, and
//! outputs whose information has no closed form.
//!
//! This is the evidence that the theory describes the *optimal* estimator: neither reading of the
//! declaration is used on the exact side.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_ensembles::Seed;
use onsager_model::{Chain, ModelError, Tree};
use onsager_replica::StateEvolution;
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::likelihood::{Blurred, Likelihood, Logistic, Noiseless, Poisson};
use onsager_scalar::prior::Rademacher;
use onsager_scalar::special::{ndtr, normal_density};
use rand::Rng;
use rayon::prelude::*;

/// What is exact for one instance of p fair signs.
struct Exact {
    /// Behind a spiked Wigner matrix the mean over pairs of ⟨x_i x_j⟩ x*_i x*_j, which is the squared overlap
    /// in the limit; behind an output the mean of ⟨x_i⟩ x*_i.
    overlap: f64,
    /// `I(x; Y)/p` of the instance up to terms of zero mean, nats.
    information: f64,
    /// Of zero mean and correlated with the others: a log-likelihood of the truth, centred.
    control: f64,
}

/// A standard normal from two uniforms (Box and Muller), independent of the library's samplers.
fn normal(rng: &mut impl Rng) -> f64 {
    let mut uniform = || ((rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
}

/// Sums over all 2^(p-1) signals up to their global sign, the truth being (1, ..., 1): by the
/// symmetry of fair signs that is no restriction.
fn enumerate(p: usize, noise: f64, rng: &mut impl Rng) -> Exact {
    // Couplings J_ij = Y_ij/(Δ√p); ln weight = Σ_{i<j} J_ij x_i x_j (x_i² x_j² is constant).
    let mut coupling = DMatrix::zeros(p, p);
    for (i, j) in (0..p).flat_map(|i| (0..i).map(move |j| (i, j))) {
        let y = 1.0 / (p as f64).sqrt() + noise.sqrt() * normal(rng);
        coupling[(i, j)] = y / (noise * (p as f64).sqrt());
        coupling[(j, i)] = coupling[(i, j)];
    }
    let mut x = vec![1.0; p];
    let mut field: Vec<f64> = coupling.row_iter().map(|row| row.sum()).collect();
    let truth: f64 = 0.5 * field.iter().sum::<f64>();
    let (mut exponent, mut overlap) = (truth, p as f64);
    let (mut total, mut squared) = (0.0, 0.0);
    // Gray code: one sign changes from one signal to the next; x_{p-1} stays +1.
    for step in 1u64..=(1 << (p - 1)) {
        // Weights relative to the truth's: the sum is then of order one at any noise.
        let weight = (exponent - truth).exp();
        total += weight;
        squared += weight * overlap * overlap;
        let flip = step.trailing_zeros() as usize;
        if flip >= p - 1 {
            break;
        }
        exponent -= 2.0 * x[flip] * field[flip];
        overlap -= 2.0 * x[flip];
        x[flip] = -x[flip];
        for (field, coupling) in field.iter_mut().zip(&coupling.column(flip)) {
            *field += 2.0 * x[flip] * coupling;
        }
    }
    let n = p as f64;
    Exact {
        // E⟨x_i x_j⟩ x*_i x*_j over pairs, which is E⟨x_i x_j⟩² by Bayes' rule.
        overlap: (squared / total - n) / (n * (n - 1.0)),
        // E ln P(Y|x*)/P(Y); both signs of x count in P(Y).
        // Divided by p - 1, not p: every spin has p - 1 partners, and the limit comes sooner.
        information: -(total.ln() - (n - 1.0) * std::f64::consts::LN_2) / (n - 1.0),
        control: (truth - (n - 1.0) / (2.0 * noise)) / n,
    }
}

/// Mean and standard error of `y` after regression on a control of zero mean.
fn mean(exact: &[Exact], y: impl Fn(&Exact) -> f64) -> (f64, f64) {
    let n = exact.len() as f64;
    let average = |f: &dyn Fn(&Exact) -> f64| exact.iter().map(f).sum::<f64>() / n;
    let centre = average(&|e| y(e));
    let slope = average(&|e| (y(e) - centre) * e.control) / average(&|e| e.control.powi(2));
    let rest = |e: &Exact| y(e) - slope * e.control;
    let m = average(&|e| rest(e));
    (m, (average(&|e| (rest(e) - m).powi(2)) / (n - 2.0)).sqrt())
}

/// Value at 1/p = 0 of the polynomial in 1/p through the given points, with its standard error.
fn extrapolate(points: &[(f64, f64, f64)]) -> (f64, f64) {
    let mut value = 0.0;
    let mut variance = 0.0;
    for (i, (x, y, error)) in points.iter().enumerate() {
        let lagrange: f64 = points
            .iter()
            .enumerate()
            .filter(|(j, _)| *j != i)
            .map(|(_, (other, ..))| other / (other - x))
            .product();
        value += lagrange * y;
        variance += (lagrange * error).powi(2);
    }
    (value, variance.sqrt())
}

/// `∫ f dN(0, 1)` by Simpson's rule on both sides of zero, where some outputs have a kink.
fn average(f: impl Fn(f64) -> f64) -> f64 {
    let (steps, step) = (60, 0.12);
    let weight = |i: i32| match i {
        0 | 60 => 1.0,
        i if i % 2 == 1 => 4.0,
        _ => 2.0,
    };
    let term = |i: i32| {
        let z = step * f64::from(i);
        weight(i) * step / 3.0 * normal_density(z) * (f(z) + f(-z))
    };
    (0..=steps).map(term).sum()
}

/// Outputs whose information has no closed form, written down here a second time.
#[derive(Debug, Clone, Copy)]
enum Seen {
    Logistic,
    /// A sign of the field and a normal variable of variance 1/2.
    Probit,
    /// Counts of mean `max(h, 0)`, and `exp h`.
    Rectified,
    Exponential,
}

impl Seen {
    fn output(self) -> Arc<dyn Likelihood> {
        match self {
            Self::Logistic => Arc::new(Logistic),
            Self::Probit => {
                let sign = Noiseless::new(PiecewiseLinear::sign());
                Arc::new(Blurred::new(Arc::new(sign), 0.5).expect("a positive noise"))
            }
            Self::Rectified => Arc::new(Poisson::rectified()),
            Self::Exponential => Arc::new(Poisson::exponential()),
        }
    }

    /// Outputs and their probabilities, up to the last that matters.
    fn chances(self, h: f64) -> Vec<(f64, f64)> {
        let labels = |up: f64, down: f64| vec![(1.0, up), (-1.0, down)];
        let counts = |rate: f64| {
            let last = (rate + 12.0 * rate.sqrt() + 20.0) as u32;
            let next = |p: &mut f64, y: u32| {
                *p *= if y == 0 { 1.0 } else { rate / f64::from(y) };
                Some((f64::from(y), *p))
            };
            (0..=last).scan((-rate).exp(), next).collect()
        };
        match self {
            Self::Logistic => labels(1.0 / (1.0 + (-h).exp()), 1.0 / (1.0 + h.exp())),
            Self::Probit => {
                let u = h * std::f64::consts::SQRT_2;
                labels(ndtr(u), ndtr(-u))
            }
            Self::Rectified => counts(h.max(0.0)),
            Self::Exponential => counts(h.exp()),
        }
    }

    fn draw(self, h: f64, rng: &mut impl Rng) -> f64 {
        let mut left = ((rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        let all = self.chances(h);
        let is_drawn = |(_, p): &&(f64, f64)| {
            left -= p;
            left < 0.0
        };
        all.iter().find(is_drawn).unwrap_or(&all[0]).0
    }

    /// `P(y|h)/P(y|h')`; counts would overflow without the other.
    fn odds(self, y: f64, h: f64, other: f64) -> f64 {
        match self {
            Self::Logistic => (1.0 + (-y * other).exp()) / (1.0 + (-y * h).exp()),
            Self::Probit => {
                let scale = y * std::f64::consts::SQRT_2;
                ndtr(scale * h) / ndtr(scale * other)
            }
            Self::Rectified if h > 0.0 => (h / other.max(0.0)).powf(y) * (other.max(0.0) - h).exp(),
            // Nothing is counted at rate zero.
            Self::Rectified if y > 0.0 => 0.0,
            Self::Rectified => other.max(0.0).exp(),
            Self::Exponential => (y * (h - other) + other.exp() - h.exp()).exp(),
        }
    }

    /// `-ln ∫ P(y|h')/P(y|h) dN(h')`: what one output tells of its field.
    fn told(self, y: f64, h: f64) -> f64 {
        -average(|z| self.odds(y, z, h)).ln()
    }

    /// `I(y; h)`, the mean of what is told.
    fn tells(self) -> f64 {
        average(|h| {
            let all = self.chances(h);
            all.iter()
                .filter(|(_, p)| *p > 1e-30)
                .map(|(y, p)| p * self.told(*y, h))
                .sum()
        })
    }

    /// All 2^p signals behind `n` outputs, the truth being (1, ..., 1); `told` is `I(y; h)`.
    fn enumerate(self, p: usize, n: usize, told: f64, rng: &mut impl Rng) -> Exact {
        let scale = 1.0 / (p as f64).sqrt();
        let a = DMatrix::from_fn(n, p, |_, _| scale * normal(rng));
        let truth: Vec<f64> = a.row_iter().map(|row| row.sum()).collect();
        let y: Vec<f64> = truth.iter().map(|h| self.draw(*h, rng)).collect();
        let mut x = vec![1.0; p];
        let (mut field, mut sum) = (truth.clone(), p as f64);
        let (mut total, mut overlap) = (0.0, 0.0);
        for step in 1u64..=(1 << p) {
            let weight: f64 = (0..n)
                .map(|i| self.odds(y[i], field[i], truth[i]))
                .product();
            total += weight;
            overlap += weight * sum;
            let flip = step.trailing_zeros() as usize;
            if flip >= p {
                break;
            }
            sum -= 2.0 * x[flip];
            for (field, a) in field.iter_mut().zip(&a.column(flip)) {
                *field -= 2.0 * x[flip] * a;
            }
            x[flip] = -x[flip];
        }
        let size = p as f64;
        let alone: f64 = y.iter().zip(&truth).map(|(y, h)| self.told(*y, *h)).sum();
        Exact {
            overlap: overlap / (total * size),
            information: std::f64::consts::LN_2 - total.ln() / size,
            control: (alone - n as f64 * told) / size,
        }
    }
}

/// The limit of exact values against a theory, which another one, of a parameter a quarter away, must miss.
fn judge(name: &str, points: &[(f64, f64, f64)], theory: f64, far: f64) {
    // Through all three sizes and through the last two: their difference estimates what the truncated
    // expansion in 1/p leaves out.
    let (value, error) = extrapolate(points);
    let (lower, _) = extrapolate(&points[1..]);
    let bound = 5.0 * error + (value - lower).abs();
    assert!(
        (value - theory).abs() <= bound,
        "{name}: exact {value} ± {error}, theory {theory}, bound {bound}, sizes {points:?}"
    );
    assert!(
        (value - far).abs() > bound,
        "{name}: no power, {value} against {theory} and {far}, bound {bound}"
    );
}

/// Information and overlap in theory.
fn optimal(tree: Result<Tree, ModelError>) -> (f64, f64) {
    let x = StateEvolution::new(&tree.expect("a valid model"))
        .and_then(|chain| chain.predict())
        .expect("a prediction")
        .optimal;
    (x.mutual_information.expect("finite information"), x.overlap)
}

fn stream(p: usize, trial: u64) -> impl Rng {
    Seed(20).stream("enumeration", p as u64, trial, "noise")
}

/// Inverse size, mean and standard error of information and overlap.
type Limits = (Vec<(f64, f64, f64)>, Vec<(f64, f64, f64)>);

fn limits<F>(sizes: [(usize, usize); 3], exact: F) -> Limits
where
    F: Fn(usize, u64) -> Exact + Sync,
{
    let at = |(p, instances): (usize, usize)| {
        let all: Vec<Exact> = (0..instances as u64)
            .into_par_iter()
            .map(|trial| exact(p, trial))
            .collect();
        let inverse = 1.0 / p as f64;
        let [(m, e), (q, d)] = [mean(&all, |x| x.information), mean(&all, |x| x.overlap)];
        ((inverse, m, e), (inverse, q, d))
    };
    sizes.into_iter().map(at).unzip()
}

#[test]
fn theory_is_the_limit_of_exact_sums() {
    let noise = 0.4;
    let theory = |noise| optimal(Chain::new(Arc::new(Rademacher)).spiked_wigner(noise));
    let sizes: [(usize, usize); 3] = [(6, 20_000), (10, 20_000), (18, 3_000)];
    let (information, overlap) =
        limits(sizes, |p, trial| enumerate(p, noise, &mut stream(p, trial)));
    let (near, far) = (theory(noise), theory(1.25 * noise));
    judge("information", &information, near.0, far.0);
    judge("squared overlap", &overlap, near.1.powi(2), far.1.powi(2));
}

/// As many outputs as signs.
#[test]
fn information_of_outputs_is_the_limit_of_exact_sums() {
    let theory =
        |law: Seen, ratio| optimal(Chain::new(Arc::new(Rademacher)).glm(ratio, law.output()));
    for law in [
        Seen::Logistic,
        Seen::Probit,
        Seen::Rectified,
        Seen::Exponential,
    ] {
        let told = law.tells();
        let sizes = [(3, 10_000), (5, 10_000), (8, 10_000)];
        let (information, overlap) = limits(sizes, |p, trial| {
            law.enumerate(p, p, told, &mut stream(p, trial))
        });
        let (near, far) = (theory(law, 1.0), theory(law, 1.25));
        judge(
            &format!("information, {law:?}"),
            &information,
            near.0,
            far.0,
        );
        judge(&format!("overlap, {law:?}"), &overlap, near.1, far.1);
    }
}
