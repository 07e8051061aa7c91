//! The conformance drivers accept what is right and refuse what is wrong, identity by identity.

use std::sync::{Arc, OnceLock};

use onsager_scalar::activation::{Erf, Parity, Piece, PiecewiseLinear, Sigmoid, Smooth, Tanh};
use onsager_scalar::conformance::{Failure, Report, check_activation, check_law, check_output};
use onsager_scalar::likelihood::{
    Additive, Blurred, Invertible, Logistic, Noiseless, Poisson, Possible, Seen,
};
use onsager_scalar::prior::{GaussBernoulli, Gaussian, Mixture, Rademacher, Scale, Truncated};
use onsager_scalar::{Activation, Channel, Channels, Likelihood, Moments, Precisions, Prior};
use rand::Rng;

/// Every law of the crate, at generic parameters.
fn laws() -> Vec<Box<dyn Prior>> {
    // Two widths, a point between them, one part far away.
    let parts = [
        (0.5, 0.0, 0.01),
        (1.0, 0.5, 0.0),
        (0.3, -1.0, 2.0),
        (0.01, 9.0, 0.1),
    ]
    .map(|(weight, mean, variance)| (weight, Scale { mean, variance }));
    vec![
        Box::new(Gaussian::standard()),
        Box::new(Gaussian::new(0.3, 2.0).unwrap()),
        Box::new(Gaussian::new(-10.0, 0.01).unwrap()),
        Box::new(Rademacher),
        Box::new(GaussBernoulli::new(0.05, 0.0, 0.5).unwrap()),
        Box::new(GaussBernoulli::new(0.2, -1.0, 0.5).unwrap()),
        Box::new(GaussBernoulli::new(1.0, 0.5, 3.0).unwrap()),
        Box::new(GaussBernoulli::new(0.003, 2.0, 0.01).unwrap()),
        Box::new(Mixture::binary(0.8).unwrap()),
        Box::new(Mixture::bernoulli(0.03).unwrap()),
        Box::new(Mixture::rademacher_bernoulli(0.1).unwrap()),
        Box::new(Mixture::new(parts).unwrap()),
        Box::new(Truncated::exponential(0.7).unwrap()),
        Box::new(Truncated::laplace(2.0).unwrap()),
        Box::new(Truncated::half_normal(1.5).unwrap()),
        Box::new(Truncated::uniform(-1.0, 3.0).unwrap()),
        Box::new(Truncated::uniform(-0.2, 0.2).unwrap()),
    ]
}

/// Every activation of the crate.
fn activations() -> Vec<Box<dyn Activation>> {
    // Neither even nor odd, with a jump and a flat part.
    let edges = [f64::NEG_INFINITY, -0.5, 1.0, f64::INFINITY];
    let lines = [(0.3, 0.0), (-0.2, 2.0), (1.0, -0.5)];
    let three = edges
        .windows(2)
        .zip(lines)
        .map(|(w, (offset, slope))| Piece {
            lower: w[0],
            upper: w[1],
            offset,
            slope,
        });
    vec![
        Box::new(PiecewiseLinear::linear()),
        Box::new(PiecewiseLinear::sign()),
        Box::new(PiecewiseLinear::relu()),
        Box::new(PiecewiseLinear::abs()),
        Box::new(PiecewiseLinear::leaky_relu(0.2).unwrap()),
        Box::new(PiecewiseLinear::hard_tanh()),
        Box::new(PiecewiseLinear::door(0.7).unwrap()),
        Box::new(PiecewiseLinear::new(three).unwrap()),
        Box::new(Smooth::new(Tanh)),
        Box::new(Smooth::new(Sigmoid)),
        Box::new(Smooth::new(Erf)),
    ]
}

/// Their reports, made once.
fn law_reports() -> &'static [Report] {
    static REPORTS: OnceLock<Vec<Report>> = OnceLock::new();
    let check = |law: Box<dyn Prior>| check_law(law.as_ref()).unwrap_or_else(|e| panic!("{e}"));
    REPORTS.get_or_init(|| laws().into_iter().map(check).collect())
}

fn activation_reports() -> &'static [Report] {
    static REPORTS: OnceLock<Vec<Report>> = OnceLock::new();
    let check =
        |phi: Box<dyn Activation>| check_activation(phi.as_ref()).unwrap_or_else(|e| panic!("{e}"));
    REPORTS.get_or_init(|| activations().into_iter().map(check).collect())
}

#[test]
fn laws_and_activations_conform() {
    for report in law_reports().iter().chain(activation_reports()) {
        // Differences see many points; not those at which a variance all but vanishes, which is four of
        // five of a function of two values.
        for row in report.rows() {
            assert!(row.points > row.blind / 5, "{report}");
        }
    }
}

/// What is wrong with [`Wrong`].
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    None,
    Partition,
    Norm,
    Mean,
    Variance,
    Negative,
    NotFinite,
    Likelihood,
    LikelihoodSlope,
    FirstMoment,
    SecondMoment,
    SecondMomentNaN,
    Zero,
    Even,
    NotEven,
    Scales,
    Sampler,
    SamplerShape,
    SamplerNaN,
    SamplerAtoms,
    Dimension,
    Entropy,
    Column,
    Sharp,
    Hole,
}

/// A law that tells one lie.
#[derive(Debug)]
struct Wrong<P> {
    truth: P,
    lie: Lie,
}

/// The size of most lies: one in a million.
const SMALL: f64 = 1e-6;

impl<P: Prior> Wrong<P> {
    fn off(&self, lie: Lie) -> f64 {
        if self.lie == lie { 1.0 + SMALL } else { 1.0 }
    }
}

impl<P: Prior> Prior for Wrong<P> {
    fn log_partition(&self, a: f64, b: f64) -> f64 {
        let a_part = if self.lie == Lie::Partition {
            SMALL * a.ln_1p()
        } else {
            0.0
        };
        let norm = if self.lie == Lie::Norm { SMALL } else { 0.0 };
        self.truth.log_partition(a, b) + a_part + norm
    }
    fn log_likelihood(&self, a: f64, y: f64) -> f64 {
        match self.lie {
            // Derived from the partition, so that only the partition is wrong.
            Lie::Partition | Lie::Norm => self.log_partition(a, a * y) - 0.5 * a * y * y,
            Lie::Likelihood => self.truth.log_likelihood(a, y) - SMALL * (y * a.sqrt()).sin(),
            Lie::Hole if y > 2.0 => f64::NAN,
            Lie::LikelihoodSlope => self.truth.log_likelihood(a, y) + SMALL * a.ln_1p(),
            _ => self.truth.log_likelihood(a, y),
        }
    }
    fn moments(&self, a: f64, b: f64) -> Moments {
        let mut m = self.truth.moments(a, b);
        match self.lie {
            Lie::Negative if m.mean > 1.0 => m.variance = -m.variance,
            Lie::NotFinite if b > 1e9 => m.mean = f64::NAN,
            Lie::Zero if a == 0.0 => m.mean = 1e-3,
            Lie::Sharp if a > 1e9 => m.mean += 0.01,
            _ => {}
        }
        m.mean *= self.off(Lie::Mean);
        m.variance *= self.off(Lie::Variance);
        m
    }
    fn mean(&self) -> f64 {
        self.truth.mean()
            + if self.lie == Lie::FirstMoment {
                SMALL
            } else {
                0.0
            }
    }
    fn second_moment(&self) -> f64 {
        match self.lie {
            Lie::SecondMomentNaN => f64::NAN,
            _ => self.truth.second_moment() * self.off(Lie::SecondMoment),
        }
    }
    fn scales(&self) -> Vec<Scale> {
        match self.lie {
            Lie::Scales => Vec::new(),
            _ => self.truth.scales(),
        }
    }
    fn sample(&self, rng: &mut dyn Rng) -> f64 {
        let x = self.truth.sample(rng);
        match self.lie {
            Lie::Sampler => 1.1 * x,
            // The same two moments, another law: a sum of two is closer to Gaussian.
            Lie::SamplerShape => (x + self.truth.sample(rng)) / 2f64.sqrt(),
            Lie::SamplerNaN => f64::NAN,
            Lie::SamplerAtoms if x == 0.0 => {
                1e-9 * self.truth.sample(rng).abs() + 1e-9 * f64::from(rng.next_u32()) / 4e9
            }
            _ => x,
        }
    }
    fn is_even(&self) -> bool {
        match self.lie {
            Lie::Even => true,
            Lie::NotEven => false,
            _ => self.truth.is_even(),
        }
    }
    fn discrete_entropy(&self) -> Option<f64> {
        self.truth
            .discrete_entropy()
            .map(|h| h * self.off(Lie::Entropy))
    }
    fn dimension(&self) -> f64 {
        match self.lie {
            Lie::Dimension => 0.95 * self.truth.dimension() + 1e-3,
            _ => self.truth.dimension(),
        }
    }
    fn moments_into(&self, a: Precisions<'_>, b: &[f64], out: &mut [Moments]) {
        for (i, (b, out)) in b.iter().zip(out).enumerate() {
            // Wrong from the second lane of eight on.
            let a = if self.lie == Lie::Column {
                a.at(i / 8 * 8)
            } else {
                a.at(i)
            };
            *out = self.moments(a, *b);
        }
    }
}

fn refused(truth: impl Prior, lie: Lie) -> Failure {
    match check_law(&Wrong { truth, lie }) {
        Ok(report) => panic!("{lie:?} passed\n{report}"),
        Err(failure) => failure,
    }
}

#[test]
fn a_law_that_lies_about_nothing_passes() {
    let truth = GaussBernoulli::new(0.3, 0.4, 1.5).unwrap();
    check_law(&Wrong {
        truth,
        lie: Lie::None,
    })
    .unwrap();
}

/// Every identity that reports speak of must have been seen broken.
fn no_identity_without_power(reports: &[Report], failures: &[Failure]) {
    let all = reports.iter().flat_map(|r| r.rows());
    for identity in all.map(|row| row.identity) {
        let seen = failures.iter().any(|f| f.names(identity));
        assert!(seen, "nothing breaks \"{identity}\"");
    }
}

#[test]
fn each_identity_of_a_law_refuses_what_breaks_it() {
    let sparse = || GaussBernoulli::new(0.3, 0.4, 1.5).unwrap();
    let even = || GaussBernoulli::new(0.3, 0.0, 1.5).unwrap();
    let mut failures = Vec::new();
    for (lie, identities) in [
        (Lie::Partition, &["-2 ∂A/∂a = mean² + variance"][..]),
        (
            Lie::Norm,
            &[
                "normalisation: ∫ P(y) dy = 1",
                "a → 0: A = 0, moments of the law",
            ],
        ),
        (Lie::Mean, &["∂A/∂b = mean", "E mean = E x"]),
        (Lie::Variance, &["∂mean/∂b = variance"]),
        (Lie::Negative, &["variance >= 0"]),
        (Lie::NotFinite, &["values are finite"]),
        (Lie::Hole, &["averages over the data are finite"]),
        (Lie::Likelihood, &["likelihood = A(a, ay) - ay²/2"]),
        (Lie::LikelihoodSlope, &["-2 ∂likelihood/∂a = E(x - y)²"]),
        (Lie::FirstMoment, &["E mean = E x", "E y = E x"]),
        (
            Lie::SecondMoment,
            &["E mean² + E variance = E x²", "E y² = E x² + 1/a"],
        ),
        (Lie::SecondMomentNaN, &["mean and E x² are finite"]),
        (Lie::Zero, &["a → 0: A = 0, moments of the law"]),
        (Lie::Sharp, &["a → ∞: mean = x"]),
        (Lie::Even, &["even: x and -x agree"]),
        (Lie::Scales, &["scales are finite"]),
        (Lie::Sampler, &["sampler: E x", "sampler: E x²"]),
        (Lie::SamplerNaN, &["draws are finite"]),
        (Lie::SamplerAtoms, &["sampler: dimension"]),
        (
            Lie::Dimension,
            &["sampler: dimension", "a → ∞: a E variance = dimension"],
        ),
        (Lie::Column, &["moments_into = moments"]),
    ] {
        let failure = refused(sparse(), lie);
        for identity in identities {
            assert!(failure.names(identity), "{lie:?}: {failure}");
        }
        failures.push(failure);
    }
    failures.push(refused(even(), Lie::NotEven));
    failures.push(refused(even(), Lie::SamplerShape));
    failures.push(refused(Rademacher, Lie::Entropy));
    failures.push(refused(Rademacher, Lie::Dimension));
    no_identity_without_power(law_reports(), &failures);
}

/// What is wrong with [`Bent`].
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bend {
    None,
    Partition,
    PartitionOfPrecision,
    PartitionOfWidth,
    Output,
    OutputVariance,
    Score,
    Curvature,
    Input,
    InputVariance,
    Negative,
    NotFinite,
    Likelihood,
    Function,
    Mean,
    Square,
    SquareNaN,
    Gain,
    Sloped,
    Parity(Parity),
    Discrete,
    Continuous,
    Pieces,
    Zero,
    Drift,
    Hole,
    Cliff,
    Column,
}

/// An activation with one fault.
#[derive(Debug)]
struct Bent {
    truth: PiecewiseLinear,
    bend: Bend,
    pieces: Vec<Piece>,
}

impl Bent {
    fn new(truth: PiecewiseLinear, bend: Bend) -> Self {
        let mut pieces = truth.pieces().to_vec();
        if bend == Bend::Pieces {
            pieces.reverse();
        }
        Self {
            truth,
            bend,
            pieces,
        }
    }
    fn off(&self, bend: Bend) -> f64 {
        if self.bend == bend { 1.0 + SMALL } else { 1.0 }
    }
}

impl Activation for Bent {
    fn apply(&self, h: f64) -> f64 {
        match self.bend {
            Bend::Hole if h > 3.0 => f64::NAN,
            _ => self.truth.apply(h) * self.off(Bend::Function),
        }
    }
    fn channel(&self, a: f64, b: f64, omega: f64, v: f64) -> Channel {
        let mut c = self.truth.channel(a, b, omega, v);
        c.log_partition += match self.bend {
            Bend::Partition => SMALL * (b / a.sqrt()).sin(),
            Bend::PartitionOfPrecision => SMALL * a.ln_1p(),
            Bend::PartitionOfWidth => SMALL * (a * v).ln_1p(),
            _ => 0.0,
        };
        if a > 0.0 {
            c.output.mean *= self.off(Bend::Output);
        }
        c.output.variance *= self.off(Bend::OutputVariance);
        c.score *= self.off(Bend::Score);
        c.curvature *= self.off(Bend::Curvature);
        c.input.mean *= self.off(Bend::Input);
        c.input.variance *= self.off(Bend::InputVariance);
        match self.bend {
            Bend::Negative if omega > 1.0 => c.output.variance *= -1.0,
            Bend::NotFinite if b > 1e6 => c.score = f64::INFINITY,
            Bend::Drift if a > 0.0 => c.score += SMALL,
            Bend::Zero if a == 0.0 => c.curvature = 1e-3,
            _ => {}
        }
        c
    }
    fn channels_into(
        &self,
        a: Precisions<'_>,
        b: &[f64],
        omega: &[f64],
        v: Precisions<'_>,
        out: &mut Channels,
    ) {
        // Wrong from the second lane of eight on.
        let column = |i: usize| {
            if self.bend == Bend::Column {
                i / 8 * 8
            } else {
                i
            }
        };
        out.fill(b.len(), |i| {
            self.channel(a.at(column(i)), b[i], omega[i], v.at(i))
        });
    }
    fn log_likelihoods_into(
        &self,
        a: Precisions<'_>,
        y: &[f64],
        omega: &[f64],
        v: Precisions<'_>,
        out: &mut Vec<f64>,
    ) {
        let place = |i: usize| {
            if self.bend == Bend::Column {
                i / 8 * 8
            } else {
                i
            }
        };
        let one = |i: usize| self.log_likelihood(a.at(i), y[place(i)], omega[i], v.at(i));
        *out = (0..y.len()).map(one).collect();
    }
    fn log_likelihood(&self, a: f64, y: f64, omega: f64, v: f64) -> f64 {
        match self.bend {
            Bend::Partition | Bend::PartitionOfPrecision | Bend::PartitionOfWidth => {
                self.channel(a, a * y, omega, v).log_partition - 0.5 * a * y * y
            }
            Bend::Cliff if y > 2.0 => f64::NAN,
            _ => self.truth.log_likelihood(a, y, omega, v) * self.off(Bend::Likelihood),
        }
    }
    fn mean(&self, r: f64) -> f64 {
        self.truth.mean(r) * self.off(Bend::Mean)
    }
    fn second_moment(&self, r: f64) -> f64 {
        match self.bend {
            Bend::SquareNaN => f64::NAN,
            _ => self.truth.second_moment(r) * self.off(Bend::Square),
        }
    }
    fn linear_gain(&self, r: f64) -> f64 {
        self.truth.linear_gain(r) * self.off(Bend::Gain)
    }
    fn parity(&self) -> Parity {
        match self.bend {
            Bend::Parity(parity) => parity,
            _ => self.truth.parity(),
        }
    }
    fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
    fn sloped_fraction(&self, r: f64) -> f64 {
        let fraction = self.truth.sloped_fraction(r);
        if self.bend == Bend::Sloped {
            0.999 * fraction
        } else {
            fraction
        }
    }
    fn is_discrete(&self) -> bool {
        self.bend == Bend::Discrete || self.truth.is_discrete()
    }
    fn is_discontinuous(&self) -> bool {
        self.truth.is_discontinuous() && self.bend != Bend::Continuous
    }
}

#[test]
fn an_activation_without_a_fault_passes() {
    check_activation(&Bent::new(PiecewiseLinear::relu(), Bend::None)).unwrap();
}

#[test]
fn each_identity_of_an_activation_refuses_what_breaks_it() {
    let (relu, sign, abs) = (
        PiecewiseLinear::relu,
        PiecewiseLinear::sign,
        PiecewiseLinear::abs,
    );
    let mut failures = Vec::new();
    for (truth, bend, identities) in [
        (relu(), Bend::Hole, &["values of φ are finite"][..]),
        (relu(), Bend::Cliff, &["averages over the data are finite"]),
        (relu(), Bend::Partition, &["∂lnZ/∂b = E x"]),
        (
            relu(),
            Bend::PartitionOfPrecision,
            &["-2 ∂lnZ/∂a = E x²", "normalisation: ∫ P(y) dy = 1"],
        ),
        (
            relu(),
            Bend::PartitionOfWidth,
            &[
                "∂lnZ/∂V = (score² - curvature)/2",
                "lnZ = ln ∫ N(h) exp(bφ - aφ²/2) dh",
            ],
        ),
        (
            relu(),
            Bend::Output,
            &["E x by integration", "E E[x|y] = E x"],
        ),
        (
            relu(),
            Bend::OutputVariance,
            &[
                "∂E x/∂b = Var x",
                "Var x by integration",
                "E E[x²|y] = E x²",
            ],
        ),
        (
            relu(),
            Bend::Score,
            &[
                "∂lnZ/∂ω = score",
                "E h = ω + V score",
                "E curvature = E score²",
            ],
        ),
        (
            relu(),
            Bend::Curvature,
            &["-∂score/∂ω = curvature", "Var h = V - V² curvature"],
        ),
        (
            relu(),
            Bend::Input,
            &["E h = ω + V score", "E h by integration"],
        ),
        (
            relu(),
            Bend::InputVariance,
            &["Var h = V - V² curvature", "Var h by integration"],
        ),
        (relu(), Bend::Negative, &["variances >= 0"]),
        (relu(), Bend::NotFinite, &["values are finite"]),
        (relu(), Bend::Likelihood, &["likelihood = lnZ(ay) - ay²/2"]),
        (
            relu(),
            Bend::Function,
            &["E φ by integration", "E x by integration"],
        ),
        (relu(), Bend::Mean, &["E φ by integration"]),
        (relu(), Bend::Square, &["E φ² by integration"]),
        (relu(), Bend::SquareNaN, &["E φ² is finite and positive"]),
        (relu(), Bend::Gain, &["E hφ/r by integration"]),
        (relu(), Bend::Sloped, &["P(φ' ≠ 0) by integration"]),
        (relu(), Bend::Parity(Parity::Odd), &["parity of φ"]),
        (sign(), Bend::Parity(Parity::None), &["parity of φ"]),
        (
            abs(),
            Bend::Parity(Parity::Odd),
            &["odd: channel under ω, b → -ω, -b"],
        ),
        (
            sign(),
            Bend::Parity(Parity::Even),
            &["even: channel under ω → -ω"],
        ),
        (relu(), Bend::Discrete, &["discreteness"]),
        (sign(), Bend::Continuous, &["jumps"]),
        (relu(), Bend::Pieces, &["pieces cover the line in order"]),
        (
            relu(),
            Bend::Column,
            &[
                "channels_into = channel",
                "log_likelihoods_into = log_likelihood",
            ],
        ),
        (relu(), Bend::Drift, &["E score = 0"]),
        (relu(), Bend::Zero, &["a → 0: Z = 1, moments of the layer"]),
    ] {
        let failure = match check_activation(&Bent::new(truth, bend)) {
            Ok(report) => panic!("{bend:?} passed\n{report}"),
            Err(failure) => failure,
        };
        for identity in identities {
            assert!(failure.names(identity), "{bend:?}, {identity}: {failure}");
        }
        failures.push(failure);
    }
    no_identity_without_power(activation_reports(), &failures);
}

/// Every kind of output of the crate.
fn outputs() -> Vec<Arc<dyn Likelihood>> {
    let exactly = |phi| Arc::new(Noiseless::new(phi));
    let noisy = |phi| Arc::new(Additive::new(Arc::new(phi), 0.1).unwrap());
    let levels = [(-0.5, 0.0), (0.7, 1.0), (f64::INFINITY, 2.0)];
    let mut lower = f64::NEG_INFINITY;
    let levels = levels.map(|(upper, offset)| {
        let slope = 0.0;
        let piece = Piece {
            lower,
            upper,
            offset,
            slope,
        };
        lower = upper;
        piece
    });
    vec![
        exactly(PiecewiseLinear::linear()),
        exactly(PiecewiseLinear::sign()),
        exactly(PiecewiseLinear::relu()),
        exactly(PiecewiseLinear::abs()),
        exactly(PiecewiseLinear::door(0.7).unwrap()),
        exactly(PiecewiseLinear::new(levels).unwrap()),
        noisy(PiecewiseLinear::linear()),
        noisy(PiecewiseLinear::abs()),
        Arc::new(Blurred::new(exactly(PiecewiseLinear::sign()), 0.4).unwrap()),
        Arc::new(Blurred::new(Arc::new(Logistic), 0.4).unwrap()),
        Arc::new(Invertible::new(Tanh)),
        Arc::new(Invertible::new(Sigmoid)),
        Arc::new(Logistic),
        Arc::new(Poisson::rectified()),
        Arc::new(Poisson::exponential()),
    ]
}

fn output_reports() -> &'static [Report] {
    static REPORTS: OnceLock<Vec<Report>> = OnceLock::new();
    let check = |law: Arc<dyn Likelihood>| check_output(&*law).unwrap_or_else(|e| panic!("{e}"));
    REPORTS.get_or_init(|| outputs().into_iter().map(check).collect())
}

#[test]
fn outputs_conform() {
    for report in output_reports() {
        for row in report.rows() {
            assert!(row.points > row.blind / 4, "{report}");
        }
    }
}

/// What is wrong with [`False`].
#[derive(Debug, Clone, Copy, PartialEq)]
enum Slip {
    None,
    Evidence,
    Score,
    Drift,
    Curvature,
    Mean,
    Variance,
    Negative,
    NotFinite,
    Column,
    Parity(Parity),
    Weight,
    Missing,
    Told,
    Sampler,
    SamplerWide,
    Forbidden,
    Labels,
    Entropy,
    Sharpness(f64),
}

/// A likelihood with one fault.
#[derive(Debug)]
struct False<L> {
    truth: L,
    slip: Slip,
}

impl<L: Likelihood> False<L> {
    fn off(&self, slip: Slip) -> f64 {
        if self.slip == slip { 1.0 + SMALL } else { 1.0 }
    }
}

impl<L: Likelihood> Likelihood for False<L> {
    fn observe(&self, y: f64, omega: f64, v: f64) -> Seen {
        let mut seen = self.truth.observe(y, omega, v);
        match self.slip {
            Slip::Evidence => seen.log_evidence += SMALL * omega.sin(),
            Slip::Drift => seen.score += SMALL,
            Slip::Negative if omega > 0.5 => seen.field.variance *= -1.0,
            Slip::NotFinite if omega > 0.5 => seen.score = f64::NAN,
            _ => {}
        }
        seen.score *= self.off(Slip::Score);
        seen.curvature *= self.off(Slip::Curvature);
        seen.field.mean += (self.off(Slip::Mean) - 1.0) * v.sqrt();
        seen.field.variance *= self.off(Slip::Variance);
        seen
    }
    fn observe_into(&self, y: &[f64], omega: &[f64], v: Precisions<'_>, out: &mut [Seen]) {
        for (i, out) in out.iter_mut().enumerate() {
            // Wrong from the second lane of eight on.
            let v = v.at(if self.slip == Slip::Column {
                i / 8 * 8
            } else {
                i
            });
            *out = self.observe(y[i], omega[i], v);
        }
    }
    fn sample(&self, h: f64, rng: &mut dyn Rng) -> f64 {
        let y = self.truth.sample(h, rng);
        let coin = rng.next_u32();
        match self.slip {
            Slip::Sampler if coin.is_multiple_of(8) => -y,
            // The same mean, a larger variance.
            Slip::SamplerWide => 2.0 * y * f64::from(coin & 1),
            Slip::Forbidden => y + 0.5,
            _ => y,
        }
    }
    fn allows(&self, y: f64) -> bool {
        self.truth.allows(y)
    }
    fn labels(&self) -> Option<&[f64]> {
        match self.slip {
            Slip::Labels => Some(&[0.0, 1.0]),
            _ => self.truth.labels(),
        }
    }
    fn parity(&self) -> Parity {
        match self.slip {
            Slip::Parity(parity) => parity,
            _ => self.truth.parity(),
        }
    }
    fn sharpness(&self, r: f64) -> Option<f64> {
        match self.slip {
            Slip::Sharpness(x) => Some(x),
            _ => self.truth.sharpness(r),
        }
    }
    fn entropy(&self, r: f64) -> f64 {
        let wrong = if self.slip == Slip::Entropy {
            1e-3
        } else {
            0.0
        };
        self.truth.entropy(r) + wrong
    }
    fn pieces(&self) -> &[Piece] {
        self.truth.pieces()
    }
    fn outputs(&self, omega: f64, v: f64, out: &mut Vec<Possible>) {
        self.truth.outputs(omega, v, out);
        if self.slip == Slip::Missing {
            out.pop();
        }
        for possible in out {
            possible.seen = self.observe(possible.y, omega, v);
            possible.weight *= self.off(Slip::Weight);
            if self.slip == Slip::Told {
                possible.seen.log_evidence -= SMALL;
            }
        }
    }
}

fn slips(truth: impl Likelihood, slip: Slip) -> Failure {
    match check_output(&False { truth, slip }) {
        Ok(report) => panic!("{slip:?} passed\n{report}"),
        Err(failure) => failure,
    }
}

#[test]
fn an_output_without_a_fault_passes() {
    let (truth, slip) = (Logistic, Slip::None);
    check_output(&False { truth, slip }).unwrap();
}

#[test]
fn each_identity_of_an_output_refuses_what_breaks_it() {
    let mut failures = Vec::new();
    for (slip, identities) in [
        (
            Slip::Evidence,
            &["∂lnP/∂ω = score", "P(y) = ∫ N(h) P(y|h) dh"][..],
        ),
        (Slip::Score, &["∂lnP/∂ω = score", "E h = ω + V score"]),
        (Slip::Drift, &["E score = 0"]),
        (
            Slip::Curvature,
            &[
                "-∂score/∂ω = curvature",
                "∂lnP/∂V = (score² - curvature)/2",
                "Var h = V - V² curvature",
                "E curvature = E score²",
            ],
        ),
        (Slip::Mean, &["E h by integration", "E E[h|y] = ω"]),
        (
            Slip::Variance,
            &["Var h by integration", "E E[(h - ω)²|y] = V"],
        ),
        (Slip::Negative, &["variance >= 0"]),
        (Slip::NotFinite, &["values are finite"]),
        (Slip::Column, &["observe_into = observe"]),
        (Slip::Parity(Parity::Even), &["even: P(y|ω) under ω → -ω"]),
        (Slip::Weight, &["normalisation: Σ P(y) = 1"]),
        (Slip::Missing, &["normalisation: Σ P(y) = 1"]),
        (Slip::Told, &["outputs tell what observe tells"]),
        (Slip::Sampler, &["sampler: E score = 0"]),
        (Slip::Forbidden, &["outputs drawn are allowed"]),
        (Slip::Labels, &["outputs drawn are among the labels"]),
        (Slip::Entropy, &["entropy: E H(y|h)"]),
        (Slip::Sharpness(0.5), &["V → 0: V E score² = sharpness"]),
        (Slip::Sharpness(2.0), &["sharpness is a probability"]),
    ] {
        let failure = slips(Noiseless::new(PiecewiseLinear::sign()), slip);
        for identity in identities {
            assert!(failure.names(identity), "{slip:?}, {identity}: {failure}");
        }
        failures.push(failure);
    }
    let abs = Noiseless::new(PiecewiseLinear::abs());
    failures.push(slips(abs, Slip::Parity(Parity::Odd)));
    let wide = slips(Poisson::exponential(), Slip::SamplerWide);
    assert!(wide.names("sampler: E curvature = E score²"), "{wide}");
    failures.push(wide);
    no_identity_without_power(output_reports(), &failures);
}
