//! The conformance driver accepts every law of the crate and refuses what is wrong, identity by
//! identity.

use std::sync::Arc;

use onsager_ensembles::conformance::{check_spectrum, check_spectrum_to};
use onsager_ensembles::{
    Affine, Atom, Complex64, Empirical, EnsembleError, MarchenkoPastur, Semicircle, Spectrum,
    Support,
};
use onsager_scalar::conformance::{Failure, Report};
use onsager_scalar::quadrature::Estimate;

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

/// Relative error left to averages beyond their own estimate: rounding for a closed density;
/// the derived one is smeared over 1e-13 of the support, which no quadrature can see.
const CLOSED: f64 = 4e-14;
const SMEARED: f64 = 1e-12;

fn laws() -> Vec<Arc<dyn Spectrum>> {
    let mut laws: Vec<Arc<dyn Spectrum>> = Vec::new();
    for aspect in [1e-3, 0.3, 0.999, 1.0, 1.001, 2.7, 40.0] {
        laws.push(Arc::new(MarchenkoPastur::rows(aspect).unwrap()));
        laws.push(Arc::new(MarchenkoPastur::columns(aspect).unwrap()));
    }
    for (shift, scale, aspect) in [(0.36, 0.64, 3.0), (-0.5, 2.0, 0.2), (1.5, 0.1, 1.0)] {
        let inner = MarchenkoPastur::rows(aspect).unwrap();
        laws.push(Arc::new(Affine::new(shift, scale, inner).unwrap()));
    }
    let scaled = Affine::new(0.0, 3.0, MarchenkoPastur::columns(0.4).unwrap()).unwrap();
    assert!(scaled.s_transform(-0.1).is_some());
    laws.push(Arc::new(scaled));
    laws.push(Arc::new(Semicircle::new(0.6).unwrap()));
    laws.push(Arc::new(
        Empirical::new(vec![0.5, -0.25, 4.0, 0.5, 1.0]).unwrap(),
    ));
    laws
}

#[test]
fn laws_conform_to_rounding() {
    for law in laws() {
        check_spectrum_to(&law, CLOSED).unwrap_or_else(|e| panic!("{e}\n{}", e.report()));
    }
}

#[test]
fn derived_transforms_need_only_the_stieltjes_transform() {
    let inner = Semicircle::new(1.0).unwrap();
    let law = Derived(Affine::new(0.2, 0.8, inner).unwrap());
    check_spectrum_to(&law, SMEARED).unwrap_or_else(|e| panic!("{e}\n{}", e.report()));
}

/// What is wrong with [`Wrong`].
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    None,
    Stieltjes,
    Conjugate,
    Sign,
    Support,
    Mass,
    Moment,
    Density,
    Outside,
    Average,
    AverageNaN,
    Eta,
    Shannon,
    Domain,
    R,
    S,
}

/// A law that tells one lie.
struct Wrong<L> {
    truth: L,
    support: Support,
    lie: Lie,
}

/// The size of most lies.
const SMALL: f64 = 1e-6;

impl<L: Spectrum> Wrong<L> {
    fn new(truth: L, lie: Lie) -> Self {
        let mut support = truth.support().clone();
        match lie {
            Lie::Support => support.intervals.push((-1.0, -2.0)),
            Lie::Mass => support.atoms.push(Atom {
                location: support.upper(),
                mass: SMALL,
            }),
            _ => {}
        }
        Self {
            truth,
            support,
            lie,
        }
    }
    fn off(&self, lie: Lie) -> f64 {
        if self.lie == lie { 1.0 + SMALL } else { 1.0 }
    }
}

impl<L: Spectrum> Spectrum for Wrong<L> {
    fn stieltjes(&self, z: Complex64) -> Complex64 {
        let s = self.truth.stieltjes(z);
        match self.lie {
            Lie::Conjugate if z.im < 0.0 => s.conj(),
            Lie::Sign if z.im > 0.0 => s.conj(),
            _ => s * self.off(Lie::Stieltjes),
        }
    }
    fn support(&self) -> &Support {
        &self.support
    }
    fn moment(&self, order: u32) -> f64 {
        self.truth.moment(order) * self.off(Lie::Moment)
    }
    fn density(&self, t: f64) -> f64 {
        let d = self.truth.density(t);
        match self.lie {
            Lie::Outside if t > self.support.upper() => SMALL,
            _ => d * self.off(Lie::Density),
        }
    }
    fn average(&self, f: &dyn Fn(f64) -> f64) -> Result<Estimate, EnsembleError> {
        let mut average = self.truth.average(f)?;
        average.value *= self.off(Lie::Average);
        match self.lie {
            Lie::AverageNaN => self.truth.average(&|_| f64::NAN),
            _ => Ok(average),
        }
    }
    fn eta(&self, gamma: f64) -> Result<f64, EnsembleError> {
        let domain = if self.lie == Lie::Domain {
            gamma.min(0.0)
        } else {
            gamma
        };
        Ok(self.truth.eta(domain)? * self.off(Lie::Eta))
    }
    fn shannon(&self, gamma: f64) -> Result<Estimate, EnsembleError> {
        let mut v = self.truth.shannon(gamma)?;
        v.value *= self.off(Lie::Shannon);
        Ok(v)
    }
    fn r_transform(&self, w: f64) -> Option<f64> {
        Some(self.truth.r_transform(w)? * self.off(Lie::R))
    }
    fn s_transform(&self, x: f64) -> Option<f64> {
        Some(self.truth.s_transform(x)? * self.off(Lie::S))
    }
}

#[test]
fn each_identity_refuses_what_breaks_it() {
    // With an edge of either sign in reach, so that some arguments lie outside.
    let truth = || MarchenkoPastur::rows(0.3).unwrap();
    check_spectrum(&Wrong::new(truth(), Lie::None)).unwrap();
    let mut failures: Vec<Failure> = Vec::new();
    for (lie, identity) in [
        (Lie::Stieltjes, "stieltjes = E 1/(t - z)"),
        (Lie::Conjugate, "conjugate values below the axis"),
        (Lie::Sign, "Im stieltjes > 0 above the axis"),
        (Lie::Support, "support in order"),
        (Lie::Mass, "mass = 1"),
        (Lie::Moment, "moment = E tᵏ"),
        (Lie::Density, "mass = 1"),
        (Lie::Outside, "density = 0 off the support"),
        (Lie::Average, "average = ∫ density · f + atoms"),
        (Lie::AverageNaN, "averages are finite"),
        (Lie::Eta, "η = E 1/(1 + γt)"),
        (Lie::Shannon, "V = E ln(1 + γt)"),
        (Lie::Shannon, "γ V' = 1 - η"),
        (Lie::R, "R(G(z)) + 1/G(z) = z"),
        (Lie::S, "S(η - 1) = γη/(1 - η)"),
    ] {
        let failure = match check_spectrum(&Wrong::new(truth(), lie)) {
            Ok(report) => panic!("{lie:?} passed\n{report}"),
            Err(failure) => failure,
        };
        assert!(failure.names(identity), "{lie:?}: {failure}");
        failures.push(failure);
    }
    let wide = Affine::new(-3.0, 1.0, truth()).unwrap();
    let failure = check_spectrum(&Wrong::new(wide, Lie::Domain)).unwrap_err();
    assert!(failure.names("arguments outside are refused"), "{failure}");
    failures.push(failure);
    let failure = check_spectrum(&Wrong::new(Semicircle::new(1.0).unwrap(), Lie::Density));
    failures.push(failure.unwrap_err());
    // Every identity that reports speak of has been seen broken.
    let reports: Vec<Report> = laws().iter().map(|l| check_spectrum(l).unwrap()).collect();
    for identity in reports
        .iter()
        .flat_map(|r| r.rows())
        .map(|row| row.identity)
    {
        let seen = failures.iter().any(|f| f.names(identity));
        assert!(seen, "nothing breaks \"{identity}\"");
    }
}
