//! Phase retrieval by eigenvectors, with the prior and without it, and from there by message passing.

use onsager_amp::{Problem, Settings, Start, Stop, infer, spectral};
use onsager_ensembles::Spectrum;
use onsager_model::{Instance, Tree};
use onsager_operators::LinearOperator;
use onsager_replica::average::output_filtered;
use onsager_replica::spectral::{Covariance, lamp, pca};
use onsager_replica::{StateEvolution, ThresholdKind};

use super::common::{
    RANKS, REST, SHIFT, Sized, controlled, exact_output, ladder, layered, sensing_accidents, trials,
};
use crate::agreement::{Agreement, Claim, Identity, MeanSeries, Means, Sample, Success};
use crate::drawing::{Axis, Line, Marker, Picture, Plot, Points, Rule};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Squared overlaps of three methods against the number of measurements.
pub(crate) struct GlmLamp;

const METHODS: [&str; 3] = ["AMP", "LAMP", "blind"];

/// A prior, and numbers of measurements per component.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Case {
    panel: &'static str,
    layers: &'static [(f64, &'static str)],
    /// `E t²`, `t` the eigenvalue law of the covariance.
    square: f64,
    /// End of the axis.
    high: f64,
    /// Half of what an eigenvector needs.
    lost: f64,
    /// Too few for message passing, which an eigenvector does not wait for.
    missed: f64,
    /// Between the thresholds with and without the prior.
    between: Option<f64>,
    /// Where message passing finds the signal.
    found: f64,
    /// Where a mean is judged, and of which method: far above the threshold, where instances scatter less.
    judged: (f64, &'static str),
    /// Others that are shown.
    more: [f64; 2],
}

/// `(2/π)²`, the fourth power of the gain of a sign layer.
const GAIN: f64 = std::f64::consts::FRAC_2_PI * std::f64::consts::FRAC_2_PI;
const CASES: [Case; 3] = [
    Case {
        panel: "no layer",
        layers: &[],
        square: 1.0,
        high: 2.2,
        lost: 0.25,
        missed: 0.9,
        between: None,
        found: 1.4,
        judged: (2.0, "blind"),
        more: [0.7, 1.1],
    },
    Case {
        panel: "linear layer, p/k = 2",
        layers: &[(2.0, "linear")],
        square: 3.0,
        high: 1.4,
        lost: 1.0 / 12.0,
        missed: 0.3,
        between: Some(0.4),
        found: 0.9,
        judged: (1.2, "LAMP"),
        more: [0.5, 0.65],
    },
    Case {
        panel: "sign layer, p/k = 2",
        layers: &[(2.0, "sign")],
        square: 1.0 + 2.0 * GAIN,
        high: 1.6,
        lost: 0.14,
        missed: 0.3,
        between: Some(0.6),
        found: 1.2,
        judged: (1.4, "LAMP"),
        more: [0.45, 0.8],
    },
];

const THRESHOLDS: &str = "threshold";
const SIZES: &str = "sizes";
const JUDGED: &str = "judged";
const SHIFTED: &str = "shifted";
const SHOWN: &str = "shown";
const FOUND: &str = "AMP finds the signal";
const CLOSER: &str = "LAMP closer than blind";
const NOTHING: &str = "nothing found";
/// Squared error over `ρ` below which a signal is found.
const SOLVED: f64 = 1e-3;
/// Squared cosine that counts as nothing: below its threshold the leading eigenvector keeps one of order
/// `p^(-2/3)`.
const LOST: f64 = 0.3;

fn named(method: &str, what: &str) -> String {
    format!("{method}, {what}")
}

/// The largest size of the judged means with its trials, and of the points that are shown. The scatter of
/// an eigenvector falls like `p^(-1/2)` and its cost grows faster than `p²`: many small instances say most.
fn plan(profile: Profile) -> [(usize, usize); 2] {
    profile.pick(
        [(80, 512), (96, 16)],
        [(160, 640), (240, 16)],
        [(640, 640), (960, 64)],
    )
}

/// The quick profile judges the first mean only.
fn is_judged(case: Case, profile: Profile) -> bool {
    profile != Profile::Quick || case == CASES[0]
}

impl Figure for GlmLamp {
    fn id(&self) -> &'static str {
        "glm-lamp"
    }

    fn title(&self) -> &'static str {
        "Phase retrieval from an eigenvector that knows the prior"
    }

    fn source(&self) -> &'static str {
        "Aubin, Loureiro, Baker, Krzakala, Zdeborová, arXiv:1912.02008 (weak recovery); Maillard, Krzakala, \
         Lu, Zdeborová, arXiv:2012.04524 (linearised message passing); overlap behind layers: own"
    }

    fn claim(&self) -> &'static str {
        "The best spectral method that ignores the prior needs half a measurement for each component. \
         Linearised message passing multiplies its matrix by the covariance of the prior and finds the \
         signal from 1/(2 E t²) on, t the eigenvalues of the covariance, where message passing does. Its \
         overlap is that of a formula. It stays below that of message passing, which started from it jumps \
         to the signal itself."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let points = profile.pick(22, 55, 110);
        let largest = plan(profile)[0].0;
        let job = |case: Case| {
            let key = format!("{case:?} points={points} p={largest}");
            Job::new(key, move |_| {
                case.theory(points, is_judged(case, profile).then_some(largest))
            })
        };
        CASES.map(job).into()
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let [(largest, many), (p, count)] = plan(profile);
        let mut jobs = Vec::new();
        for case in CASES {
            for alpha in case.shown(profile) {
                let key = format!("{} shown α={alpha} p={p} trials={count}", case.panel);
                jobs.push(Job::new(key, move |context| {
                    case.simulate(context, alpha, p, count)
                }));
            }
            if !is_judged(case, profile) {
                continue;
            }
            // Half as many trials at n/2 add little to the error of the extrapolation.
            let counts = [many, many / 2, many];
            for ((rank, p), count) in RANKS.into_iter().zip(ladder(largest)).zip(counts) {
                let key = format!("{} {:?} p={p} trials={count}", case.panel, case.judged);
                jobs.push(Job::new(key, move |context| {
                    case.measure(context, rank, p, count)
                }));
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        // The terms of order p^(-1/2) are linear in accidents of mean zero.
        let mut means = Means::new("squared cosines of eigenvectors", 1.0);
        let mut found = Success::new("AMP from the eigenvector finds the signal, or cannot");
        let mut closer =
            Success::new("LAMP is closer than the blind method between their thresholds");
        let mut nothing = Success::new("LAMP finds nothing at half of its threshold");
        let mut ends = Identity::new(
            "LAMP finds something from where message passing does",
            "the end of the curve of fixed points to 1e-8",
        );
        for case in CASES {
            let panel = case.panel;
            let sizes = theory.values(panel, SIZES);
            if let &[quarter, half, full] = sizes.as_slice() {
                let ranks = RANKS.map(|rank| named(case.judged.1, rank));
                let series = MeanSeries {
                    panel,
                    sizes: [quarter, half, full],
                    theory: [JUDGED; 3],
                    simulation: ranks.each_ref().map(String::as_str),
                    shifted: SHIFTED,
                };
                means = means.series(theory, simulation, series, |_| true);
            }
            let row = |series: &str, alpha: f64| simulation.at(panel, series, alpha);
            let label = |alpha: f64| format!("{panel} at {alpha:.3}");
            let claims = [
                (case.missed, Claim::AtMost(0.1)),
                (case.found, Claim::AtLeast(0.9)),
            ];
            for (alpha, claim) in claims {
                found = found.row(label(alpha), row(FOUND, alpha), claim);
            }
            if let Some(alpha) = case.between {
                closer = closer.row(label(alpha), row(CLOSER, alpha), Claim::AtLeast(0.7));
            }
            let lost = row(NOTHING, case.lost);
            nothing = nothing.row(label(case.lost), lost, Claim::AtLeast(0.8));
            for at in theory.series(panel, THRESHOLDS) {
                ends = ends
                    .point(panel, at.y, at.x, 1e-7 * at.x)
                    .control(SHIFT * at.x);
            }
        }
        vec![
            means.into(),
            found.into(),
            closer.into(),
            nothing.into(),
            ends.into(),
        ]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut picture = Picture::new(3);
        for case in CASES {
            let mut plot = Plot::new(
                format!("phase retrieval: {}", case.panel),
                Axis::linear("measurements per component α").range(0.0, case.high),
                Axis::linear("cos²").range(0.0, 1.05),
            );
            for (i, method) in METHODS.into_iter().enumerate() {
                let marker = [Marker::Disc, Marker::Square, Marker::Diamond][i % 3];
                let points = [RANKS[2], SHOWN]
                    .map(|what| simulation.points(case.panel, &named(method, what)))
                    .concat();
                plot = plot
                    .with(Line::new(method, theory.curve(case.panel, method)).colour(i))
                    .with(Points::new(method, points).colour(i).marker(marker));
            }
            let thresholds = [case.threshold(), 0.5];
            for (colour, at) in [1, 2].into_iter().zip(thresholds) {
                if colour == 1 || case.threshold() < 0.5 {
                    plot = plot.with(Rule::vertical(at, format!("{at:.3}")).colour(colour));
                }
            }
            picture = picture.panel(plot);
        }
        picture
    }
}

impl Case {
    fn tree(self, alpha: f64) -> Result<Tree, FigureError> {
        Ok(layered(self.layers).glm(alpha, exact_output("abs"))?)
    }

    /// `1/(2 E t²)`: weak recovery.
    fn threshold(self) -> f64 {
        0.5 / self.square
    }

    /// Where something is claimed, and more.
    fn shown(self, profile: Profile) -> Vec<f64> {
        let claimed = [self.lost, self.missed, self.found].into_iter();
        let more = profile.pick(&[][..], &self.more[..], &self.more[..]);
        claimed.chain(self.between).chain(more.to_vec()).collect()
    }

    /// The three curves; what is judged at the largest size, if any; the threshold along the curve of
    /// fixed points, against that of LAMP.
    fn theory(self, points: usize, judged: Option<usize>) -> Result<Vec<Row>, FigureError> {
        let panel = self.panel;
        let low = self.high / points as f64;
        let chain = StateEvolution::new(&self.tree(1.0)?)?;
        let curve = chain.curve(Some((0.9 / self.high, 1.1 / low)))?;
        let mut rows = Vec::new();
        let mut ratios: Vec<f64> = (1..=points).map(|i| low * i as f64).collect();
        ratios.extend([self.threshold(), 0.5]);
        for found in chain.thresholds_on(&curve)?.thresholds {
            let at = 1.0 / found.value;
            match found.kind {
                ThresholdKind::WeakRecovery => {
                    let row = Row::theory(panel, THRESHOLDS, at, lamp(&self.tree(1.0)?)?.threshold);
                    rows.push(row);
                }
                ThresholdKind::Algorithmic => {
                    ratios.extend([at * (1.0 - 1e-4), at * (1.0 + 1e-4)]);
                }
                _ => {}
            }
        }
        ratios.sort_by(f64::total_cmp);
        for alpha in ratios {
            let tree = self.tree(alpha)?;
            let amp = chain.predict_on(&curve, 1.0 / alpha)?.algorithmic;
            let cosines = [
                amp.overlap / (amp.overlap + amp.mmse),
                lamp(&tree)?.cos_squared,
                pca(&tree)?.cos_squared,
            ];
            for (method, y) in METHODS.into_iter().zip(cosines) {
                rows.push(Row::theory(panel, method, alpha, y));
            }
        }
        if let Some(p) = judged {
            let (alpha, method) = self.judged;
            for (series, factor) in [(JUDGED, 1.0), (SHIFTED, SHIFT)] {
                let tree = self.tree(factor * alpha)?;
                let found = if method == "LAMP" {
                    lamp(&tree)?
                } else {
                    pca(&tree)?
                };
                rows.push(Row::theory(panel, series, alpha, found.cos_squared));
            }
            for (i, p) in ladder(p).into_iter().enumerate() {
                rows.push(Row::theory(panel, SIZES, i as f64, p as f64));
            }
        }
        Ok(rows)
    }

    /// Means of all methods, and how often what is claimed holds.
    fn simulate(
        self,
        context: &Context,
        alpha: f64,
        p: usize,
        count: usize,
    ) -> Result<Vec<Row>, FigureError> {
        let sized = Sized::new(&self.tree(alpha)?, p)?;
        let runs = trials(context, count, |seed| {
            let instance = sized.draw(seed)?;
            let problem = Problem::new(&sized.tree, &instance)?;
            let settings = Settings {
                start: Start::Spectral,
                max_iterations: 200,
                tolerance: REST,
                seed,
                ..Settings::default()
            };
            let amp = infer(&problem, &settings)?;
            let along = match amp.stop {
                // An estimate that vanishes points nowhere.
                Stop::Trivial => 0.0,
                _ => cosine(&sized, &instance, amp.estimate.as_slice()),
            };
            let [known, blind] = [spectral::lamp(&problem)?, spectral::pca(&problem)?]
                .map(|found| cosine(&sized, &instance, &found.vector));
            let rho = sized.tree.signal().second_moment;
            let solved = amp.mse.is_some_and(|mse| mse < SOLVED * rho);
            Ok(([along, known, blind], solved))
        })?;
        let mut rows = Vec::new();
        for (m, method) in METHODS.into_iter().enumerate() {
            let values: Vec<f64> = runs.iter().map(|run| run.0[m]).collect();
            let sample = Sample::of(&values);
            rows.push(Row::measured(
                self.panel,
                named(method, SHOWN),
                alpha,
                sample,
            ));
        }
        for (name, holds) in [
            (FOUND, runs.iter().map(|run| run.1).collect::<Vec<_>>()),
            (CLOSER, runs.iter().map(|run| run.0[1] > run.0[2]).collect()),
            (NOTHING, runs.iter().map(|run| run.0[1] < LOST).collect()),
        ] {
            let hits = holds.iter().filter(|hit| **hit).count() as u64;
            rows.push(Row::fraction(self.panel, name, alpha, hits, count as u64));
        }
        Ok(rows)
    }

    /// The mean of the judged method, less what the accidents of the instances explain.
    fn measure(
        self,
        context: &Context,
        rank: &str,
        p: usize,
        count: usize,
    ) -> Result<Vec<Row>, FigureError> {
        let (alpha, method) = self.judged;
        let sized = Sized::new(&self.tree(alpha)?, p)?;
        let q = match method {
            "LAMP" => lamp(&sized.tree)?,
            _ => pca(&sized.tree)?,
        };
        let accidents = Accidents::new(&sized, q.cos_squared)?;
        let runs = trials(context, count, |seed| {
            let instance = sized.draw(seed)?;
            let problem = Problem::new(&sized.tree, &instance)?;
            let found = match method {
                "LAMP" => spectral::lamp(&problem)?,
                _ => spectral::pca(&problem)?,
            };
            let along = cosine(&sized, &instance, &found.vector);
            Ok((along, accidents.of(&sized, &problem, &instance)?))
        })?;
        let values: Vec<f64> = runs.iter().map(|run| run.0).collect();
        let controls: Vec<Vec<f64>> = (0..Accidents::COUNT)
            .map(|i| runs.iter().map(|run| run.1[i]).collect())
            .collect();
        let sample = controlled(&values, &controls);
        Ok(vec![Row::measured(
            self.panel,
            named(method, rank),
            alpha,
            sample,
        )])
    }
}

fn cosine(sized: &Sized, instance: &Instance, v: &[f64]) -> f64 {
    let truth = instance
        .truth(sized.tree.signal_index())
        .unwrap_or_default();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(v, truth).powi(2) / (dot(v, v) * dot(truth, truth))
}

/// Accidents of an instance that move the overlap of an eigenvector, of mean zero up to terms of order `1/p`:
/// those of the sensing matrix, of the outputs as the filter `F = G/(1 + qG)` of the linear theory hears them,
/// and of the signal along its covariance.
struct Accidents {
    q: f64,
    /// `E G F`, and `E t²`.
    filtered: f64,
    square: f64,
}

impl Accidents {
    const COUNT: usize = 6;

    fn new(sized: &Sized, cos_squared: f64) -> Result<Self, FigureError> {
        let rho = sized.tree.signal().second_moment;
        let q = rho * cos_squared;
        let filtered = output_filtered(&*exact_output("abs"), q, rho);
        Ok(Self {
            q,
            filtered: filtered.unwrap_or(f64::NAN),
            square: Covariance::of(&sized.tree)?.law().moment(2),
        })
    }

    fn of(
        &self,
        sized: &Sized,
        problem: &Problem,
        instance: &Instance,
    ) -> Result<[f64; Self::COUNT], FigureError> {
        let tree = &sized.tree;
        let rho = tree.signal().second_moment;
        let y = instance.data(tree.factors().len() - 1).unwrap_or_default();
        let mean = |f: &dyn Fn(f64) -> f64| {
            let each = y.iter().map(|y| f((y * y / rho - 1.0) / rho));
            each.sum::<f64>() / y.len() as f64
        };
        let x = instance.truth(tree.signal_index()).unwrap_or_default();
        let mut image = vec![0.0; x.len()];
        spectral::covariance(problem)?.apply_column(x, &mut image);
        let along: f64 = x.iter().zip(&image).map(|(x, k)| x * k).sum();
        let [norm, field, back] = sensing_accidents(tree, instance)?;
        let heard = |g: f64| g / (1.0 + self.q * g);
        Ok([
            norm,
            field,
            back,
            mean(&|g| g * heard(g)) - self.filtered,
            // E F = -q E G F, as E G = 0.
            mean(&heard) + self.q * self.filtered,
            along / x.len() as f64 - self.square,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_realise_the_ratios() {
        for profile in [Profile::Quick, Profile::Standard, Profile::Paper] {
            for case in CASES {
                for p in ladder(plan(profile)[0].0) {
                    let tree = case.tree(case.judged.0).expect("a tree");
                    let sized = Sized::new(&tree, p).expect("sizes");
                    for (found, wanted) in sized.tree.variables().iter().zip(tree.variables()) {
                        assert!(
                            (found.ratio / wanted.ratio - 1.0).abs() < 1e-12,
                            "{case:?} {p}"
                        );
                    }
                }
            }
        }
    }
}
