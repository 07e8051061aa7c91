//! Identities that every spectral law obeys, and closed forms against second routes.

use std::f64::consts::PI;
use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_ensembles::{
    Affine, Complex64, Empirical, EnsembleError, MarchenkoPastur, Semicircle, Spectrum, Support,
};
use onsager_scalar::quadrature::Estimate;
use proptest::prelude::*;

/// A law without its closed forms: what is derived from the Stieltjes transform alone.
struct Derived<L>(L);

impl<L: Spectrum> Spectrum for Derived<L> {
    fn stieltjes(&self, z: Complex64) -> Complex64 {
        self.0.stieltjes(z)
    }
    fn support(&self) -> &Support {
        self.0.support()
    }
    fn moment(&self, order: u32) -> f64 {
        self.0.moment(order)
    }
}

fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!(
        (found - expected).abs() <= tolerance,
        "{what}: {found} is not {expected} up to {tolerance:e}"
    );
}

/// Relative error left to averages beyond their own estimate: rounding for a closed density;
/// the derived one is smeared over 1e-13 of the support, which no quadrature can see.
const CLOSED: f64 = 4e-14;
const SMEARED: f64 = 1e-12;

/// `found` within its own error, which must be small, and the slack.
fn agrees(found: Estimate, expected: f64, slack: f64, what: &str) {
    let tolerance = found.error + slack * (1.0 + expected.abs());
    close(found.value, expected, tolerance, what);
    let error = found.error;
    assert!(
        error < 1e-10 * (1.0 + expected.abs()),
        "{what}: error {error:e}"
    );
}

/// Everything that holds for any law.
fn check_spectrum(law: &dyn Spectrum, slack: f64) {
    let support = law.support();
    let (lower, upper) = (support.lower(), support.upper());
    let width = (upper - lower).max(1e-3 * upper.abs());

    agrees(law.average(&|_| 1.0).unwrap(), 1.0, slack, "mass");
    for k in 0..5 {
        let found = law.average(&|t| t.powi(k)).unwrap();
        let size = law.average(&|t| t.abs().powi(k)).unwrap().value;
        close(
            found.value,
            law.moment(k as u32),
            found.error + slack * size,
            "moment",
        );
    }

    // Stieltjes transform: above the support, to its left, to its right, next to an edge.
    let middle = 0.5 * (lower + upper);
    for z in [
        Complex64::new(middle, 0.3 * width),
        Complex64::new(middle, -0.3 * width),
        Complex64::new(upper, 0.1 * width),
        Complex64::new(lower - 0.2 * width, 0.0),
        Complex64::new(upper + 0.2 * width, 0.0),
        Complex64::new(upper + 1e-3 * width, 0.0),
        Complex64::new(upper + 1e6 * width, 0.0),
    ] {
        let term = |t: f64| Complex64::from(1.0) / (Complex64::from(t) - z);
        let s = law.stieltjes(z);
        let scale = s.norm_sqr().sqrt();
        for (found, part) in [
            (law.average(&|t| term(t).re).unwrap(), s.re),
            (law.average(&|t| term(t).im).unwrap(), s.im),
        ] {
            close(found.value, part, found.error + slack * scale, "stieltjes");
        }
    }

    for gamma in [-0.7 / upper.abs(), 1e-9, 0.4, 3.0, 1e4] {
        if 1.0 + gamma * lower <= 0.0 {
            assert!(matches!(law.eta(gamma), Err(EnsembleError::Gamma { .. })));
            continue;
        }
        agrees(
            law.average(&|t| 1.0 / (1.0 + gamma * t)).unwrap(),
            law.eta(gamma).unwrap(),
            slack,
            "eta",
        );
        let shannon = law.shannon(gamma).unwrap();
        let direct = law.average(&|t| (gamma * t).ln_1p()).unwrap();
        let tolerance = shannon.error + direct.error + slack * direct.value.abs();
        close(shannon.value, direct.value, tolerance, "shannon");
    }
    // γ V' = 1 - η, by a central difference whose error is O(h²) (|V'''| γ³ < 2) and ε/h.
    let (gamma, h) = (0.4 / upper.abs(), 1e-5);
    let v = |x: f64| law.shannon(gamma * x).unwrap().value;
    let slope = (v(1.0 + h) - v(1.0 - h)) / (2.0 * h);
    close(
        slope,
        1.0 - law.eta(gamma).unwrap(),
        h * h + 1e-15 / h,
        "slope of shannon",
    );

    // G(z) = -s(z): R(G) + 1/G = z and S(η - 1) = γη/(1 - η).
    let z = upper + 0.4 * width;
    let g = -law.stieltjes(z.into()).re;
    if let Some(r) = law.r_transform(g) {
        close(r + 1.0 / g, z, 1e-13 * (z.abs() + r.abs()), "R-transform");
    }
    let gamma = 0.8 / upper.abs();
    let eta = law.eta(gamma).unwrap();
    if let Some(s) = law.s_transform(eta - 1.0) {
        // A few roundings of η, seen through 1 - η.
        let tolerance = 16.0 * f64::EPSILON / (1.0 - eta);
        close(
            s / (gamma * eta / (1.0 - eta)),
            1.0,
            tolerance,
            "S-transform",
        );
    }
}

/// The density against the boundary value of the Stieltjes transform, to its documented accuracy.
fn check_density(law: &dyn Spectrum) {
    for &(a, b) in &law.support().intervals {
        for x in [0.001, 0.1, 0.4, 0.77, 0.999] {
            let t = a + (b - a) * x;
            let found = Derived(law_ref(law)).density(t) * (b - a);
            close(found, law.density(t) * (b - a), 1e-9, "density");
        }
        assert_eq!(law.density(b + 1e-9 * b.abs()), 0.0);
        assert_eq!(Derived(law_ref(law)).density(b + 1e-9 * b.abs()), 0.0);
    }
}

/// `&dyn Spectrum` as a law of its own.
fn law_ref(law: &dyn Spectrum) -> &dyn Spectrum {
    law
}

#[test]
fn marchenko_pastur_obeys_the_identities() {
    for aspect in [1e-3, 0.3, 0.999, 1.0, 1.001, 2.7, 40.0] {
        for law in [
            MarchenkoPastur::rows(aspect),
            MarchenkoPastur::columns(aspect),
        ] {
            let law = law.unwrap();
            check_spectrum(&law, CLOSED);
            check_density(&law);
        }
    }
}

#[test]
fn semicircle_affine_and_empirical_obey_them_too() {
    check_spectrum(&Semicircle::new(0.6).unwrap(), CLOSED);
    check_density(&Semicircle::new(0.6).unwrap());
    for (shift, scale, aspect) in [(0.36, 0.64, 3.0), (-0.5, 2.0, 0.2), (1.5, 0.1, 1.0)] {
        let inner = MarchenkoPastur::rows(aspect).unwrap();
        let law: Arc<dyn Spectrum> = Arc::new(Affine::new(shift, scale, inner).unwrap());
        check_spectrum(&law, CLOSED);
        check_density(&law);
    }
    let scaled = Affine::new(0.0, 3.0, MarchenkoPastur::columns(0.4).unwrap()).unwrap();
    assert!(scaled.s_transform(-0.1).is_some());
    check_spectrum(&scaled, CLOSED);
    check_spectrum(
        &Empirical::new(vec![0.5, -0.25, 4.0, 0.5, 1.0]).unwrap(),
        CLOSED,
    );
}

#[test]
fn derived_transforms_need_only_the_stieltjes_transform() {
    let inner = Semicircle::new(1.0).unwrap();
    check_spectrum(&Derived(Affine::new(0.2, 0.8, inner).unwrap()), SMEARED);
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
