//! One layer at every aspect, from independent components to a latent known to ten digits.

mod common;

use common::{close, wigner};
use onsager_replica::{Start, StateEvolution, trajectory};
use onsager_scalar::prior::Gaussian;

const ASPECTS: [f64; 9] = [1e-9, 1e-3, 0.1, 1.0, 10.0, 30.0, 100.0, 1e3, 1e4];

/// Backward error in the noise that the crate promises.
const PROMISED: f64 = 1e-8;

/// With `V` the error of the latent, the linear chain is rational: `mmse = V(α - 1 + V)/α` and
/// `Δ = (α + V) mmse`. The noise that belongs to an error is read off, never iterated for.
fn noise_of_linear(alpha: f64, mmse: f64) -> f64 {
    let d = alpha - 1.0;
    let root = (d * d + 4.0 * alpha * mmse).sqrt();
    let v = if d > 0.0 {
        2.0 * alpha * mmse / (d + root)
    } else {
        0.5 * (root - d)
    };
    (alpha + v) * mmse
}

#[test]
fn a_linear_layer_is_exact_at_every_aspect_and_noise() {
    for alpha in ASPECTS {
        let tree = wigner(Gaussian::standard(), &[("linear", alpha)], 1.0);
        let chain = StateEvolution::new(&tree).unwrap();
        let curve = chain.curve(None).unwrap();
        assert!(curve.folds.is_empty());
        for k in -12..=12 {
            let noise = 1.03 * 10f64.powf(0.5 * f64::from(k));
            let f = chain.predict_on(&curve, noise).unwrap().optimal;
            if f.overlap == 0.0 {
                assert!(noise > 1.0 + alpha);
                continue;
            }
            let off = (noise_of_linear(alpha, f.mmse) / noise - 1.0).abs();
            assert!(
                off < PROMISED && off < f.backward_error,
                "{alpha} {noise} {off:e}"
            );
            assert!(f.backward_error < PROMISED, "{alpha} {noise} {f:?}");
        }
    }
}

#[test]
fn linear_models_of_inverse_aspects_are_dual() {
    let of = |alpha: f64| {
        let tree = wigner(Gaussian::standard(), &[("linear", alpha)], 1.0);
        let chain = StateEvolution::new(&tree).unwrap();
        let curve = chain.curve(None).unwrap();
        (chain, curve)
    };
    for alpha in [1e1, 1e2, 1e3, 1e4] {
        let ((one, a), (dual, b)) = (of(alpha), of(1.0 / alpha));
        for noise in [1e-4, 1e-2, 1.0, 0.9 * alpha] {
            let x = one.predict_on(&a, noise).unwrap().optimal.mmse;
            let y = dual.predict_on(&b, noise / alpha).unwrap().optimal.mmse;
            // mmse is at most proportional to the noise.
            close(x, y, 2.0 * PROMISED * x);
        }
    }
}

#[test]
fn nonlinear_layers_have_one_branch_at_every_aspect() {
    for name in ["sign", "relu"] {
        for alpha in [1e-9, 30.0, 1e3, 1e4] {
            let tree = wigner(Gaussian::standard(), &[(name, alpha)], 1.0);
            let chain = StateEvolution::new(&tree).unwrap();
            let curve = chain.curve(None).unwrap();
            assert!(curve.folds.is_empty(), "{name} {alpha} {:?}", curve.folds);
            for noise in [1e-6, 1e-3, 1.0, 1e2] {
                let f = chain.predict_on(&curve, noise).unwrap().optimal;
                // A relu shows its mean at any noise: at large noise the overlap no longer tells
                // which, and is known itself far better.
                let error = f.backward_error.min(f.forward_error / f.overlap);
                assert!(error < PROMISED, "{name} {alpha} {noise} {f:?}");
            }
        }
    }
}

#[test]
fn plain_iteration_reaches_the_same_points() {
    // Damping is absent and both points contract by a half or more a step, so that 80 steps leave
    // nothing but the averages' own accuracy.
    for (name, alpha, noise) in [
        ("sign", 100.0, 5.0),
        ("relu", 100.0, 0.5),
        ("relu", 1e3, 20.0),
    ] {
        let tree = wigner(Gaussian::standard(), &[(name, alpha)], noise);
        let f = StateEvolution::new(&tree)
            .unwrap()
            .predict()
            .unwrap()
            .algorithmic;
        let run = trajectory(&tree, &Start::SideInformation { snr: 1e-3 }, 80).unwrap();
        close(run.steps[80].mmse, f.mmse, PROMISED * f.mmse);
    }
}
