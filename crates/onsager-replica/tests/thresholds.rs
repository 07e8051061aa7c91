//! Thresholds against closed forms and Maxwell's rule.

mod common;

use common::{chain, close, predict, wigner};
use onsager_model::Tree;
use onsager_replica::{
    Key, Location, Side, StateEvolution, Threshold, ThresholdKind, Thresholds, average, thresholds,
};
use onsager_scalar::prior::{GaussBernoulli, Gaussian, Rademacher};

fn in_noise(tree: &Tree) -> Thresholds {
    let chain = StateEvolution::new(tree).unwrap();
    chain.thresholds_on(&chain.curve(None).unwrap()).unwrap()
}

fn only(found: &Thresholds, kind: ThresholdKind) -> &Threshold {
    let all: Vec<_> = found.thresholds.iter().filter(|t| t.kind == kind).collect();
    assert_eq!(all.len(), 1, "{found:?}");
    all[0]
}

#[test]
fn weak_recovery_is_the_closed_recursion_and_the_limit_of_the_curve() {
    let p = 4.0 / (std::f64::consts::PI * std::f64::consts::PI);
    let cases = [
        (vec![("linear", 2.0)], 3.0),
        (vec![("sign", 2.0)], 1.0 + 2.0 * p),
        (vec![("linear", 2.0), ("linear", 3.0)], 1.0 + 3.0 + 6.0),
        (
            vec![("sign", 2.0), ("sign", 3.0)],
            1.0 + p * 3.0 * (1.0 + p * 2.0),
        ),
        (vec![("linear", 0.5), ("sign", 3.0)], 1.0 + p * 3.0 * 1.5),
    ];
    for (layers, expected) in cases {
        let tree = wigner(Gaussian::standard(), &layers, 1.0);
        let chain = StateEvolution::new(&tree).unwrap();
        let curve = chain.curve(None).unwrap();
        let found = chain.thresholds_on(&curve).unwrap();
        let t = only(&found, ThresholdKind::WeakRecovery);
        close(t.value, expected, 1e-14 * expected);
        // The first point of the curve is the limit of vanishing overlap, found by shooting.
        close(curve.points[0].noise, expected, 1e-8 * expected);
        assert_eq!((t.at, t.easier), (Location::Origin, Side::Below));
        assert_eq!(t.variable.as_deref(), Some("x"));
    }
}

#[test]
fn generative_priors_of_one_layer_have_no_hard_phase() {
    for (name, transitions) in [("linear", 1), ("sign", 1), ("relu", 0)] {
        let found = in_noise(&wigner(Gaussian::standard(), &[(name, 2.0)], 1.0));
        assert_eq!(found.thresholds.len(), transitions, "{found:?}");
        assert!(found.hard_phases.is_empty());
    }
}

#[test]
fn a_sparse_spike_is_hard_between_its_spinodal_and_equal_informations() {
    let rho = 0.05;
    let prior = GaussBernoulli::new(rho, 0.0, 1.0).unwrap();
    let found = in_noise(&wigner(prior, &[], 1.0));
    let weak = only(&found, ThresholdKind::WeakRecovery).value;
    let alg = only(&found, ThresholdKind::Algorithmic).value;
    let it = only(&found, ThresholdKind::InformationTheoretic).value;
    let dynamical = only(&found, ThresholdKind::Dynamical).value;
    close(weak, rho * rho, 1e-15);
    assert!(alg < weak && alg < it && it < dynamical);
    assert_eq!(found.hard_phases, [(alg, it)]);

    // Maxwell: from zero overlap, 2 ∫ q dA = q A at the transition. Simpson's rule in ln A.
    let end = predict(&wigner(prior, &[], it)).fixed_points.pop().unwrap();
    let a = end.snr.unwrap();
    let (n, low) = (2000, 1e-9f64);
    let h = (a / low).ln() / f64::from(n);
    let integral: f64 = (0..=n)
        .map(|i| {
            let a = low * (h * f64::from(i)).exp();
            let weight = match i {
                0 => 1.0,
                i if i == n => 1.0,
                i if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * a * average::prior(&prior, a).unwrap().overlap
        })
        .sum();
    close(2.0 * integral * h / 3.0, end.overlap * a, 1e-8);
}

#[test]
fn the_extrema_of_a_scalar_curve_are_its_spinodals() {
    // Second route: golden section on Δ(A) = q(A)/A itself.
    let prior = GaussBernoulli::new(0.03, 0.0, 1.0).unwrap();
    let found = in_noise(&wigner(prior, &[], 1.0));
    let noise = |x: f64| average::prior(&prior, x.exp()).unwrap().overlap / x.exp();
    let dynamical = only(&found, ThresholdKind::Dynamical);
    let extremum = |mut lo: f64, mut hi: f64, sign: f64| {
        let golden = 0.5 * (5f64.sqrt() - 1.0);
        while hi - lo > 1e-6 {
            let (x, y) = (hi - golden * (hi - lo), lo + golden * (hi - lo));
            if sign * noise(x) < sign * noise(y) {
                lo = x;
            } else {
                hi = y;
            }
        }
        noise(0.5 * (lo + hi))
    };
    let expected = extremum(3f64.ln(), 100f64.ln(), 1.0);
    close(dynamical.value, expected, 1e-8 * expected);
    let expected = extremum(1e-3f64.ln(), 1f64.ln(), -1.0);
    let algorithmic = only(&found, ThresholdKind::Algorithmic);
    close(algorithmic.value, expected, 1e-8 * expected);
}

#[test]
fn equal_entropies_end_the_frozen_phase() {
    // Rademacher latent below sign: optimal recovery is perfect below the noise at which the
    // other branch carries (k/p) ln 2.
    let tree = wigner(Rademacher, &[("sign", 2.0)], 1.0);
    let found = in_noise(&tree);
    let it = only(&found, ThresholdKind::InformationTheoretic);
    assert_eq!((it.at, it.mmse_to), (Location::Perfect, 0.0));
    let at = predict(&wigner(Rademacher, &[("sign", 2.0)], it.value));
    let rest = at.fixed_points.iter().filter(|f| f.stable && !f.perfect);
    let least = rest
        .map(|f| f.mutual_information.unwrap())
        .fold(f64::INFINITY, f64::min);
    close(least, 0.5 * std::f64::consts::LN_2, 1e-9);
    assert!(
        !found
            .thresholds
            .iter()
            .any(|t| t.kind == ThresholdKind::Dynamical)
    );
}

#[test]
fn other_keys_cross_the_same_lines() {
    let family = |alpha: f64| chain(Gaussian::standard(), &[("linear", alpha)]).spiked_wigner(3.0);
    let found = thresholds(&family, Some((0.5, 5.0)), Key::Other).unwrap();
    let t = only(&found, ThresholdKind::WeakRecovery);
    close(t.value, 2.0, 1e-6); // 1 + α = Δ
    assert_eq!(t.easier, Side::Above);
}

#[test]
fn sparsity_thresholds_agree_with_those_in_the_noise() {
    let noise = 0.0045;
    let prior = |rho: f64| GaussBernoulli::new(rho, 0.0, 1.0).unwrap();
    let family = |rho: f64| chain(prior(rho), &[]).spiked_wigner(noise);
    let found = thresholds(&family, Some((0.03, 0.06)), Key::Other).unwrap();
    let it = only(&found, ThresholdKind::InformationTheoretic);
    let back = in_noise(&wigner(prior(it.value), &[], noise));
    close(
        only(&back, ThresholdKind::InformationTheoretic).value,
        noise,
        1e-5 * noise,
    );
    // The hard phase lies between equal informations and the spinodal, beyond weak recovery.
    let noise = 0.004;
    let family = |rho: f64| chain(prior(rho), &[]).spiked_wigner(noise);
    let found = thresholds(&family, Some((0.03, 0.08)), Key::Other).unwrap();
    let weak = only(&found, ThresholdKind::WeakRecovery);
    let algorithmic = only(&found, ThresholdKind::Algorithmic);
    let it = only(&found, ThresholdKind::InformationTheoretic);
    close(weak.value, noise.sqrt(), weak.uncertainty);
    assert!(algorithmic.value > weak.value);
    assert_eq!(found.hard_phases, [(it.value, algorithmic.value)]);
}
