//! Closed forms against second routes; the identities of every law are in `conformance.rs`.

use std::f64::consts::PI;

use nalgebra::DMatrix;
use onsager_ensembles::{Affine, Complex64, Empirical, MarchenkoPastur, Semicircle, Spectrum};
use proptest::prelude::*;

fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!(
        (found - expected).abs() <= tolerance,
        "{what}: {found} is not {expected} up to {tolerance:e}"
    );
}

proptest! {
    /// One root of the quadratic, on the whole range, to rounding: `η (1 + γ (1 - c + c η)) = 1`,
    /// written `η (1 + γ (1 - c (1 - η)))` with `1 - η` free of cancellation from its companion.
    #[test]
    fn eta_solves_its_quadratic(ln_c in -30.0..30.0f64, ln_gamma in -60.0..60.0f64) {
        let (c, gamma) = (ln_c.exp(), ln_gamma.exp());
        let rows = MarchenkoPastur::rows(c).unwrap().eta(gamma).unwrap();
        let columns = MarchenkoPastur::columns(c).unwrap().eta(gamma).unwrap();
        // η_rows (1 + γ η_columns) = 1: a product of positive terms, exact to a few ulp.
        let product = rows * (1.0 + gamma * columns);
        prop_assert!((product - 1.0).abs() < 1e-14, "c = {c}, gamma = {gamma}: {product}");
        let product = columns * (1.0 + c * gamma * rows);
        prop_assert!((product - 1.0).abs() < 1e-14, "c = {c}, gamma = {gamma}: {product}");
    }

    /// The Stieltjes transform solves `c z s² + (z + c - 1) s + 1 = 0`, with a positive imaginary
    /// part above the axis and `-1/z` at infinity.
    #[test]
    fn stieltjes_solves_its_quadratic(
        ln_c in -12.0..12.0f64, ln_size in -20.0..20.0f64, angle in 1e-6..(PI - 1e-6),
    ) {
        let c = ln_c.exp();
        let z = Complex64::from_polar(ln_size.exp(), angle);
        let s = MarchenkoPastur::rows(c).unwrap().stieltjes(z);
        let terms = [z * s * s * c, z * s, s * (c - 1.0), Complex64::from(1.0)];
        let sum: Complex64 = terms.iter().sum();
        let size: f64 = terms.iter().map(|t| t.norm_sqr().sqrt()).sum();
        prop_assert!(sum.norm_sqr().sqrt() < 1e-13 * size, "c = {c}, z = {z}: {sum}");
        prop_assert!(s.im > 0.0);
        // |s| <= 1/Im z for any probability law: picks the root.
        prop_assert!(s.norm_sqr().sqrt() * z.im <= 1.0 + 1e-13);
    }
}

/// Limits that would be lost to cancellation, from expansions worked out by hand.
#[test]
fn extreme_arguments_keep_their_digits() {
    let tiny = MarchenkoPastur::rows(1e-14).unwrap();
    // c → 0: t → 1 with variance c.
    close(tiny.eta(1.0).unwrap(), 0.5, 1e-14, "point mass");
    let square = MarchenkoPastur::rows(1.0).unwrap();
    // 2/(1 + √(1 + 4γ)) → γ^-1/2 - 1/(2γ).
    close(
        square.eta(1e20).unwrap() * 1e10,
        1.0 - 0.5e-10,
        1e-15,
        "hard edge",
    );
    close(
        square.shannon(1e-12).unwrap().value / 1e-12,
        1.0 - 1e-12,
        1e-14,
        "V ~ γ - γ²",
    );
    let tall = MarchenkoPastur::rows(2.0).unwrap();
    // Atom 1/2; over the bulk, also of mass 1/2, E 1/t = 1 and E 1/t² = 2.
    // Rounding of η costs ε γ = 2e-10; the next term is smaller.
    let bulk = (tall.eta(1e6).unwrap() - 0.5) * 1e6;
    close(bulk, 0.5 - 0.5 * 2.0 * 1e-6, 2e-10, "atom and bulk");
    let far = tall.stieltjes((-1e-12).into()).re * 1e-12;
    close(far, 0.5, 1e-11, "pole of the atom");
    // -1/z - 1/z² - ... at infinity.
    let z = 1e9;
    close(
        -tall.stieltjes(z.into()).re * z,
        1.0 + 1.0 / z,
        1e-15,
        "infinity",
    );
    let wigner = Semicircle::new(1.0).unwrap();
    close(-wigner.stieltjes(z.into()).re * z, 1.0, 1e-15, "infinity");
}

/// Both normalisations against eigenvalues of a matrix: the second route that knows of no law.
#[test]
fn eigenvalues_of_a_matrix_follow_the_law_of_the_documented_normalisation() {
    let (p, k) = (160, 80);
    let mut state = 1u64;
    // Signs from a linear congruential generator: unit variance, no Gaussian needed.
    let w = DMatrix::from_fn(p, k, |_, _| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        if state >> 63 == 0 { 1.0 } else { -1.0 }
    });
    let cases = [
        (&w * w.transpose(), MarchenkoPastur::rows(2.0)),
        (w.transpose() * &w, MarchenkoPastur::columns(2.0)),
    ];
    for (matrix, law) in cases {
        let law = law.unwrap();
        let n = matrix.nrows();
        let eigenvalues = (matrix / k as f64).symmetric_eigenvalues();
        let measured = Empirical::new(eigenvalues.iter().copied().collect()).unwrap();
        // Linear statistics differ by O(1) eigenvalues: 3/n with a generous constant.
        let tolerance = 3.0 / n as f64;
        for gamma in [0.3, 2.0] {
            let (eta, found) = (law.eta(gamma).unwrap(), measured.eta(gamma));
            // Zero eigenvalues round to ±1e-15: inside the domain all the same.
            close(found.unwrap(), eta, tolerance, "eta of a matrix");
        }
        close(
            measured.moment(1),
            law.moment(1),
            1e-12,
            "mean: exact for signs",
        );
        close(
            measured.moment(2) / law.moment(2),
            1.0,
            tolerance,
            "second moment",
        );
    }
}

#[test]
fn what_is_not_a_law_is_refused() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(MarchenkoPastur::rows(bad).is_err());
        assert!(MarchenkoPastur::columns(bad).is_err());
        assert!(Semicircle::new(bad).is_err());
        assert!(Affine::new(0.0, bad, Semicircle::new(1.0).unwrap()).is_err());
    }
    assert!(Affine::new(f64::NAN, 1.0, Semicircle::new(1.0).unwrap()).is_err());
    assert!(Empirical::new(vec![]).is_err());
    assert!(Empirical::new(vec![1.0, f64::NAN]).is_err());
    let law = MarchenkoPastur::rows(1.0).unwrap();
    let error = law.eta(-0.25).unwrap_err().to_string();
    assert_eq!(
        error,
        "gamma must keep 1 + gamma t positive on [0, 4], got -0.25"
    );
    assert!(law.shannon(f64::NAN).is_err() && law.eta(f64::INFINITY).is_err());
    assert!(law.average(&|t| 1.0 / (t - t)).is_err());
    assert_eq!(law.r_transform(1.5), None);
}
