//! The Bayes-optimal error and the information of small systems, by summing over all signals.
//!
//! This is the evidence that the theory describes the *optimal* estimator: neither reading of the
//! declaration is used on the exact side.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_ensembles::Seed;
use onsager_model::Chain;
use onsager_replica::StateEvolution;
use onsager_scalar::prior::Rademacher;
use rand::Rng;
use rayon::prelude::*;

/// What is exact for one instance of p fair signs seen through a spiked Wigner matrix.
struct Exact {
    /// Mean over pairs of ⟨x_i x_j⟩ x*_i x*_j.
    squared_overlap: f64,
    /// `I(x; Y)/p` of the instance up to terms of zero mean, nats.
    information: f64,
    /// Of zero mean and correlated with the others: the log-likelihood of the truth, centred.
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
        squared_overlap: (squared / total - n) / (n * (n - 1.0)),
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

#[test]
fn theory_is_the_limit_of_exact_sums() {
    let noise = 0.4;
    let tree = Chain::new(Arc::new(Rademacher))
        .spiked_wigner(noise)
        .expect("a valid model");
    let theory = StateEvolution::new(&tree)
        .and_then(|chain| chain.predict())
        .expect("a prediction")
        .optimal;
    let sizes: [(usize, usize); 3] = [(6, 20_000), (10, 20_000), (18, 3_000)];
    let seed = 20;
    let mut information = Vec::new();
    let mut overlap = Vec::new();
    for (p, instances) in sizes {
        let exact: Vec<Exact> = (0..instances as u64)
            .into_par_iter()
            .map(|trial| {
                let mut rng = Seed(seed).stream("enumeration", p as u64, trial, "noise");
                enumerate(p, noise, &mut rng)
            })
            .collect();
        let inverse = 1.0 / p as f64;
        let (m, e) = mean(&exact, |x| x.information);
        information.push((inverse, m, e));
        let (m, e) = mean(&exact, |x| x.squared_overlap);
        overlap.push((inverse, m, e));
    }
    let expected = [
        (
            "information",
            &information,
            theory.mutual_information.expect("finite information"),
        ),
        ("squared overlap", &overlap, theory.overlap.powi(2)),
    ];
    for (name, points, theory) in expected {
        // Through all three sizes and through the last two: their difference estimates what the
        // truncated expansion in 1/p leaves out.
        let (value, error) = extrapolate(points);
        let (lower, _) = extrapolate(&points[1..]);
        let bound = 5.0 * error + (value - lower).abs();
        assert!(
            (value - theory).abs() <= bound,
            "{name}: exact {value} ± {error}, theory {theory}, sizes {points:?}, seed {seed}"
        );
        // The bound is tight enough to exclude the theory at a noise 25 percent away.
        let far = Chain::new(Arc::new(Rademacher))
            .spiked_wigner(1.25 * noise)
            .expect("valid");
        let far = StateEvolution::new(&far)
            .and_then(|c| c.predict())
            .expect("valid")
            .optimal;
        let far = if name == "information" {
            far.mutual_information.expect("finite information")
        } else {
            far.overlap.powi(2)
        };
        assert!(
            (value - far).abs() > bound,
            "{name}: no power, {value} against {theory} and {far}, bound {bound}"
        );
    }
}
