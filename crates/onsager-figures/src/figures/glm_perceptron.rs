//! The perceptron: what a student learns of a teacher from its answers.

use std::f64::consts::{LN_2, PI, TAU};
use std::sync::Arc;

use onsager_amp::{Settings, Start};
use onsager_model::{Chain, Tree};
use onsager_replica::{FixedPoint, StateEvolution, ThresholdKind, sweep_ratio};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::likelihood::Noiseless;
use onsager_scalar::special::log_ndtr;

use super::common::{
    RANKS, REST, SHIFT, Sized, controlled, decades, gaussian, ladder, rademacher,
    sensing_accidents, trials,
};
use crate::agreement::{Agreement, Claim, Identity, MeanSeries, Means, Sample, Success};
use crate::drawing::{Axis, BLACK, Dash, Line, Marker, Picture, Plot, Points, Rule};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Generalisation error of binary and Gaussian teachers against the number of examples.
pub(crate) struct GlmPerceptron;

impl Figure for GlmPerceptron {
    fn id(&self) -> &'static str {
        "glm-perceptron"
    }

    fn title(&self) -> &'static str {
        "The perceptron: binary and Gaussian teachers"
    }

    fn source(&self) -> &'static str {
        "Györgyi, Phys. Rev. A 41, 7097 (1990); Opper and Haussler, Phys. Rev. Lett. 66, 2677 (1991); \
         PNAS 116, 5451 (2019)"
    }

    fn claim(&self) -> &'static str {
        "A binary teacher is determined by 1.245 examples for each weight, and message passing finds it from \
         1.493 on; between, the phase is hard. The error of a Gaussian teacher falls as 0.442/α."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let points = profile.pick(24, 100, 300);
        let mut jobs = vec![
            Job::new(format!("binary points={points}"), move |_| {
                binary(points, profile)
            }),
            Job::new(format!("Gaussian points={points}"), move |_| {
                continuous(points)
            }),
        ];
        for (name, ratio, largest) in judged(profile) {
            jobs.push(Job::new(
                format!("mean {name} α={ratio} p={largest}"),
                move |_| {
                    let tree = tree(name, ratio)?;
                    let found = sweep_ratio(&tree, &[ratio, SHIFT * ratio])?;
                    let errors = found
                        .iter()
                        .map(|point| error(&point.prediction.algorithmic));
                    let mut rows = Vec::new();
                    for (series, y) in ["judged", "shifted"].into_iter().zip(errors) {
                        rows.push(Row::theory(name, series, ratio, y));
                    }
                    for (rank, p) in RANKS.into_iter().zip(ladder(largest)) {
                        rows.push(Row::theory(name, format!("size {rank}"), ratio, p as f64));
                    }
                    Ok(rows)
                },
            ));
        }
        jobs
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let mut jobs = Vec::new();
        let count = profile.pick(16, 16, 64);
        for (ratio, _) in ratios(profile) {
            let p = profile.pick(800, 800, 3200);
            for start in STARTS {
                let key = format!("{BINARY} {start} α={ratio} p={p} trials={count}");
                jobs.push(Job::new(key, move |context| {
                    let runs = simulate(context, BINARY, ratio, p, count, start)?;
                    let errors: Vec<f64> = runs.iter().map(|run| run.error).collect();
                    let found = errors.iter().filter(|e| **e < FOUND).count() as u64;
                    Ok(vec![
                        Row::measured(BINARY, start, ratio, Sample::of(&errors)),
                        Row::fraction(
                            BINARY,
                            format!("{start} finds it"),
                            ratio,
                            found,
                            count as u64,
                        ),
                    ])
                }));
            }
        }
        for (name, ratio, largest) in judged(profile) {
            let count = profile.pick(500, 500, 1600);
            for (rank, p) in RANKS.into_iter().zip(ladder(largest)) {
                let key = format!("mean {name} α={ratio} p={p} trials={count}");
                jobs.push(Job::new(key, move |context| {
                    let runs = simulate(context, name, ratio, p, count, STARTS[0])?;
                    let errors: Vec<f64> = runs.iter().map(|run| run.error).collect();
                    let control = |i: usize| runs.iter().map(|run| run.accidents[i]).collect();
                    let mean = controlled(&errors, &[control(0), control(1), control(2)]);
                    Ok(vec![Row::measured(name, rank, ratio, mean)])
                }));
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let mut thresholds = Identity::new(
            "thresholds of the binary teacher",
            "reference values by plain sums have ten digits",
        );
        for (series, value) in [(IT, 1.244_683_989_85), (ALGORITHMIC_LINE, 1.492_631_818_23)] {
            let found = theory.value(BINARY, series, 0.0);
            thresholds = thresholds
                .point(series, found, value, 1e-9)
                .control(SHIFT * value);
        }
        let mut decay = Identity::new(
            "Gaussian teacher: α ε tends to √2/(√π ∫ φ²/(ΦΦ̄))",
            "at α = 1000 the next order is the squared error of the direction, 2e-6",
        );
        let limit = decay_constant();
        decay = decay
            .point(
                "α = 1000",
                theory.value(GAUSSIAN, "scaled", 1e3),
                limit,
                1e-5,
            )
            .control(SHIFT * limit);
        let mut found =
            Success::new("each start finds a binary teacher where state evolution says");
        for start in STARTS {
            let series = format!("{start} finds it");
            for row in theory.series(BINARY, &series) {
                let claim = match row.y {
                    1.0 => Claim::AtLeast(0.9),
                    _ => Claim::AtMost(0.1),
                };
                let label = format!("{series}, α = {}", row.x);
                found = found.row(label, simulation.at(BINARY, &series, row.x), claim);
            }
        }
        let mut means = Means::new("the generalisation error of message passing", 1.0);
        for name in [BINARY, GAUSSIAN] {
            for row in theory.series(name, "judged") {
                let sizes = RANKS.map(|rank| theory.value(name, &format!("size {rank}"), row.x));
                let series = MeanSeries {
                    panel: name,
                    sizes,
                    theory: ["judged"; 3],
                    simulation: RANKS,
                    shifted: "shifted",
                };
                means = means.series(theory, simulation, series, |ratio| ratio == row.x);
            }
        }
        vec![thresholds.into(), decay.into(), found.into(), means.into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let examples = "examples per weight α";
        let mut left = Plot::new(
            "binary teacher",
            Axis::linear(examples).range(0.0, 2.0),
            Axis::linear("generalisation error").range(0.0, 0.52),
        )
        .with(Line::new("optimal", theory.curve(BINARY, OPTIMAL)).dash(Dash::Dashed))
        .with(Line::new("message passing", theory.curve(BINARY, ALGORITHMIC)).colour(1));
        for (i, start) in STARTS.into_iter().enumerate() {
            let mut points = simulation.points(BINARY, start);
            if i == 0 {
                points.extend(simulation.points(BINARY, RANKS[2]));
            }
            let marker = [Marker::Disc, Marker::Circle][i];
            left = left.with(
                Points::new(format!("AMP, {start}"), points)
                    .colour([1, 0][i])
                    .marker(marker),
            );
        }
        for series in [IT, ALGORITHMIC_LINE] {
            let at = theory.value(BINARY, series, 0.0);
            left = left.with(Rule::vertical(at, series).colour(BLACK));
        }
        let limit = decay_constant();
        let tail = [2.0, 100.0].map(|ratio| (ratio, limit / ratio)).to_vec();
        let middle = Plot::new(
            "Gaussian teacher",
            Axis::log(examples).range(0.1, 100.0),
            Axis::log("generalisation error").range(3e-3, 0.6),
        )
        .with(Line::new("optimal", theory.curve(GAUSSIAN, OPTIMAL)))
        .with(Line::new("0.442/α", tail).colour(BLACK).dash(Dash::Dashed))
        .with(Points::new(
            "AMP, uninformed",
            simulation.points(GAUSSIAN, RANKS[2]),
        ));
        let right = Plot::new(
            "binary teacher: what is known",
            Axis::linear(examples).range(0.0, 2.0),
            Axis::linear("information (bits per weight)").range(0.0, 1.25),
        )
        .with(Line::new("optimal", theory.curve(BITS, OPTIMAL)).dash(Dash::Dashed))
        .with(
            Line::new(
                "at the point that message passing reaches",
                theory.curve(BITS, ALGORITHMIC),
            )
            .colour(1),
        )
        .with(Rule::horizontal(1.0, "").colour(BLACK));
        Picture::new(3).panel(left).panel(middle).panel(right)
    }
}

const BINARY: &str = "binary";
const GAUSSIAN: &str = "Gaussian";
const BITS: &str = "bits";
const OPTIMAL: &str = "optimal";
const ALGORITHMIC: &str = "algorithmic";
const IT: &str = "α_IT";
const ALGORITHMIC_LINE: &str = "α_alg";
const STARTS: [&str; 2] = ["uninformed", "informed"];
/// Largest ratio of the curves of the binary teacher.
const HIGHEST: f64 = 2.0;
/// A binary teacher is found when the error is below this: the least of a run that did not find it is, in
/// theory, 0.13.
const FOUND: f64 = 0.02;

/// Examples per weight of the binary teacher, and whether they are `3 n^(-1/2)` away from where message
/// passing jumps.
fn ratios(profile: Profile) -> Vec<(f64, bool)> {
    profile.pick(
        vec![(1.35, true), (1.8, true)],
        vec![
            (1.0, true),
            (1.35, true),
            (1.45, false),
            (1.6, false),
            (1.8, true),
        ],
        vec![
            (1.0, true),
            (1.35, true),
            (1.45, false),
            (1.6, false),
            (1.8, true),
        ],
    )
}

/// Teachers, ratios and largest sizes of judged means.
fn judged(profile: Profile) -> Vec<(&'static str, f64, usize)> {
    let size = profile.pick(160, 240, 960);
    let all = [
        (GAUSSIAN, 2.0, size),
        (BINARY, 0.8, size),
        (GAUSSIAN, 0.5, size),
        (GAUSSIAN, 5.0, size),
    ];
    all[..profile.pick(1, 4, 4)].into()
}

fn tree(name: &str, ratio: f64) -> Result<Tree, FigureError> {
    let prior = match name {
        BINARY => rademacher(),
        _ => gaussian(),
    };
    let answers = Noiseless::new(PiecewiseLinear::sign());
    Ok(Chain::new(prior).glm(ratio, Arc::new(answers))?)
}

/// Probability to answer a new question wrongly by the sign of the mean field, whose correlation with the
/// teacher's is `√(q/ρ)`; small errors from the sine.
fn error(point: &FixedPoint) -> f64 {
    (point.mmse / (point.mmse + point.overlap))
        .sqrt()
        .min(1.0)
        .asin()
        / PI
}

/// `lim α ε`: `E g² V → √V/√(2π) ∫ φ(u)²/(Φ(u) Φ(-u)) du` and `V = 1/A` give `√V α` times that integral
/// `= √(2π)`, and `ε = √V/π`. By the trapezoidal rule, which is exact to rounding here.
fn decay_constant() -> f64 {
    let (reach, step) = (12.0, 0.05);
    let count = (2.0 * reach / step) as usize;
    let integral: f64 = (0..=count)
        .map(|i| {
            let u = -reach + i as f64 * step;
            (-u * u - TAU.ln() - log_ndtr(u) - log_ndtr(-u)).exp() * step
        })
        .sum();
    TAU.sqrt() / (PI * integral)
}

fn binary(points: usize, profile: Profile) -> Result<Vec<Row>, FigureError> {
    let chain = StateEvolution::new(&tree(BINARY, 1.0)?)?;
    let curve = chain.curve(Some((0.9 / HIGHEST, 3.0 * points as f64 / HIGHEST)))?;
    let mut rows = Vec::new();
    let mut grid: Vec<f64> = (1..=points)
        .map(|i| HIGHEST * i as f64 / points as f64)
        .collect();
    for threshold in chain.thresholds_on(&curve)?.thresholds {
        let series = match threshold.kind {
            ThresholdKind::InformationTheoretic => IT,
            ThresholdKind::Algorithmic => ALGORITHMIC_LINE,
            _ => continue,
        };
        let at = 1.0 / threshold.value;
        rows.push(Row::theory(BINARY, series, 0.0, at));
        grid.extend([at * (1.0 - 1e-4), at * (1.0 + 1e-4)]);
    }
    grid.sort_by(f64::total_cmp);
    for ratio in grid {
        let found = chain.predict_on(&curve, 1.0 / ratio)?;
        for (series, point) in [(OPTIMAL, found.optimal), (ALGORITHMIC, found.algorithmic)] {
            rows.push(Row::theory(BINARY, series, ratio, error(&point)));
            let bits = point.mutual_information.map_or(f64::NAN, |i| i / LN_2);
            rows.push(Row::theory(BITS, series, ratio, bits));
        }
    }
    for (ratio, _) in ratios(profile).into_iter().filter(|(_, is_far)| *is_far) {
        let found = chain.predict_on(&curve, 1.0 / ratio)?;
        let any = found.fixed_points.iter().any(|point| point.perfect);
        for (start, perfect) in STARTS.into_iter().zip([found.algorithmic.perfect, any]) {
            let y = f64::from(u8::from(perfect));
            rows.push(Row::theory(BINARY, format!("{start} finds it"), ratio, y));
        }
    }
    Ok(rows)
}

fn continuous(points: usize) -> Result<Vec<Row>, FigureError> {
    let tree = tree(GAUSSIAN, 1.0)?;
    let mut rows = Vec::new();
    for point in sweep_ratio(&tree, &decades(0.1, 100.0, points))? {
        let y = error(&point.prediction.optimal);
        rows.push(Row::theory(GAUSSIAN, OPTIMAL, point.value, y));
    }
    for point in sweep_ratio(&tree, &[1e3])? {
        let y = point.value * error(&point.prediction.optimal);
        rows.push(Row::theory(GAUSSIAN, "scaled", point.value, y));
    }
    Ok(rows)
}

/// What came of one trial.
struct Run {
    /// Probability of a wrong answer.
    error: f64,
    accidents: [f64; 3],
}

fn simulate(
    context: &Context,
    name: &str,
    ratio: f64,
    p: usize,
    count: usize,
    start: &str,
) -> Result<Vec<Run>, FigureError> {
    let sized = Sized::new(&tree(name, ratio)?, p)?;
    let start = match start {
        "informed" => Start::Informed,
        _ => Start::Uninformed,
    };
    trials(context, count, |seed| {
        let instance = sized.draw(seed)?;
        let settings = Settings {
            start: start.clone(),
            tolerance: REST,
            seed,
            ..Settings::default()
        };
        let v = sized.infer(&instance, &settings)?.estimate;
        let x = instance
            .truth(sized.tree.signal_index())
            .unwrap_or_default();
        let dot: f64 = v.iter().zip(x).map(|(v, x)| v * x).sum();
        let norms = v.norm_squared() * x.iter().map(|x| x * x).sum::<f64>();
        Ok(Run {
            error: (dot / norms.sqrt()).clamp(-1.0, 1.0).acos() / PI,
            accidents: sensing_accidents(&sized.tree, &instance)?,
        })
    })
}
