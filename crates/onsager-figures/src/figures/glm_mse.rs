//! Compressed sensing and phase retrieval: message passing against theory, over the sampling ratio.

use std::sync::Arc;

use onsager_amp::{Damping, Posterior, Settings, Start};
use onsager_ensembles::Seed;
use onsager_model::{Chain, Instance, Tree};
use onsager_replica::{StateEvolution, ThresholdKind, sweep_ratio, trajectory};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::likelihood::Noiseless;

use super::common::{
    RANKS, REST, SHIFT, SPARSE, Sized, controlled, gaussian, ladder, sensing_accidents, trials,
    with_freedom,
};
use crate::agreement::{Agreement, Claim, Identity, MeanSeries, Means, Sample, Success};
use crate::drawing::{Axis, Dash, Line, Marker, Picture, Plot, Points};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Error against the number of measurements for five priors.
pub(crate) struct GlmMse;

impl Figure for GlmMse {
    fn id(&self) -> &'static str {
        "glm-mse"
    }

    fn title(&self) -> &'static str {
        "Compressed sensing and phase retrieval with generative priors"
    }

    fn source(&self) -> &'static str {
        "Aubin, Loureiro, Baker, Krzakala, Zdeborová, arXiv:1912.02008: MSE against the sampling ratio"
    }

    fn claim(&self) -> &'static str {
        "Without noise as many measurements as degrees of freedom determine the signal; message passing \
         needs up to 2.6 times as many for a sparse one, and hardly more behind a linear or relu layer. At \
         every ratio it ends where state evolution says, from nothing and from the truth."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let points = profile.pick(14, 28, 120);
        let mut jobs = Vec::new();
        for case in cases(profile) {
            let key = format!(
                "{} {} points={points} {:?}",
                case.problem.name(),
                case.prior,
                case.plan
            );
            jobs.push(Job::new(key, move |_| case.theory(points)));
        }
        for (i, steps) in STEPS.iter().enumerate() {
            let sizes = ladder(steps.size(profile));
            let is_run = i < run(profile).len();
            let key = format!("steps {} {sizes:?} run={is_run}", steps.case.prior);
            jobs.push(Job::new(key, move |_| steps.theory(sizes, is_run)));
        }
        jobs
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let mut jobs: Vec<_> = cases(profile).iter().flat_map(Case::simulation).collect();
        for steps in run(profile) {
            let count = profile.pick(TRIALS, TRIALS, 4 * TRIALS);
            for (rank, p) in RANKS.into_iter().zip(ladder(steps.size(profile))) {
                let key = format!("steps {} p={p} trials={count}", steps.case.prior);
                jobs.push(Job::new(key, move |context| {
                    steps.simulate(context, rank, p, count)
                }));
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let mut means = Means::new(
            "the error of message passing at rest, and step by step",
            1.0,
        );
        let mut found = Success::new("each start finds the signal where state evolution says");
        let mut limits = Identity::new(
            "perfect recovery is possible from as many measurements as degrees of freedom",
            "a limit in closed form",
        );
        for case in cases(Profile::Paper) {
            let panel = case.problem.name();
            let names = RANKS.map(|rank| case.named(rank));
            let sizes = theory.values(panel, &case.named("sizes"));
            if let &[quarter, half, full] = sizes.as_slice() {
                let series = MeanSeries {
                    panel,
                    sizes: [quarter, half, full],
                    theory: names.each_ref().map(String::as_str),
                    simulation: names.each_ref().map(String::as_str),
                    shifted: &case.named("shifted"),
                };
                means = means.series(theory, simulation, series, |_| true);
            }
            for start in STARTS {
                let series = case.named(&format!("{start} finds it"));
                for row in theory.series(panel, &series) {
                    let claim = match row.y {
                        1.0 => Claim::AtLeast(0.9),
                        _ => Claim::AtMost(0.1),
                    };
                    let label = format!("{panel}, {series} at {}", row.x);
                    found = found.row(label, simulation.at(panel, &series, row.x), claim);
                }
            }
            let dimension = match case.prior {
                "gaussian" => 1.0,
                _ => FREEDOM,
            };
            for row in theory.series(panel, &case.named(IT)) {
                let label = format!("{panel}, {}", case.prior);
                limits = limits
                    .point(label, row.x, dimension, 1e-9)
                    .control(SHIFT * dimension);
            }
        }
        for steps in STEPS {
            let sizes = theory.values(steps.case.prior, "sizes");
            if let &[quarter, half, full] = sizes.as_slice() {
                let series = MeanSeries {
                    panel: steps.case.prior,
                    sizes: [quarter, half, full],
                    theory: RANKS,
                    simulation: RANKS,
                    shifted: "shifted",
                };
                means = means.series(theory, simulation, series, |t| JUDGED.contains(&t));
            }
        }
        vec![means.into(), found.into(), limits.into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut picture = Picture::new(3);
        for (problem, steps) in [Problem::Sensing, Problem::Retrieval]
            .into_iter()
            .zip(STEPS)
        {
            for (what, priors, range) in [
                ("without structure, and sparse", &PRIORS[..2], (0.0, 1.4)),
                (
                    "a latent of a quarter of the size",
                    &PRIORS[2..],
                    (0.0, 0.6),
                ),
            ] {
                let mut plot = Plot::new(
                    format!("{}: {what}", problem.name()),
                    Axis::linear("measurements per component α").range(range.0, range.1),
                    Axis::linear("MSE/ρ").range(0.0, 1.05),
                );
                // Colours are of priors, markers of starts: the latter are named once.
                let is_run = |prior: &&str| {
                    let series = format!("{prior}, {}", STARTS[0]);
                    !simulation.points(problem.name(), &series).is_empty()
                };
                let first = priors.iter().position(is_run);
                for (colour, prior) in priors.iter().enumerate() {
                    let is_first = first == Some(colour);
                    let what = (problem, *prior, is_first);
                    plot = draw(plot, theory, simulation, what, colour);
                }
                picture = picture.panel(plot);
            }
            picture = picture.panel(steps.panel(theory, simulation));
        }
        picture
    }
}

/// What is measured of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Problem {
    /// The field itself.
    Sensing,
    /// Its modulus.
    Retrieval,
}

impl Problem {
    /// Panel of the tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sensing => "compressed sensing",
            Self::Retrieval => "phase retrieval",
        }
    }

    fn tree(self, chain: Chain, ratio: f64) -> Result<Tree, FigureError> {
        let output = match self {
            Self::Sensing => PiecewiseLinear::linear(),
            Self::Retrieval => PiecewiseLinear::abs(),
        };
        Ok(chain.glm(ratio, Arc::new(Noiseless::new(output)))?)
    }
}

const PRIORS: [&str; 5] = ["gaussian", SPARSE, "linear", "relu", "sign"];
/// Nonzero components, or latent ones, for every component of the signal.
const FREEDOM: f64 = 0.25;
const STARTS: [&str; 2] = ["uninformed", "informed"];
const OPTIMAL: &str = "optimal";
const ALGORITHMIC: &str = "algorithmic";
const IT: &str = "α_IT";
/// Squared errors below this part of the second moment are those of a run that found the signal and came
/// to rest; the least of one that did not, in theory, is a hundredth.
const FOUND: f64 = 1e-3;
/// Squared error of informed starts over `ρ`: in the basin of every perfect fixed point of the plan, and far
/// from where nothing moves because nothing is missing.
const INFORMED: f64 = 1e-4;
/// Where the truth is not the end, the first sweeps lead away from it by a constant factor, up to 1e4 times
/// as far. Full steps of a few hundred components overshoot there, and adaptive damping, which is slow to
/// recover, would be on its way still after the last sweep; half steps are at rest after two hundred.
const AWAY: f64 = 0.5;
const MOST: usize = 300;
/// Further random starts of phase retrieval, where the first has not found a solution.
const RESTARTS: usize = 2;

/// One curve, with its points of message passing.
#[derive(Debug, Clone)]
struct Case {
    problem: Problem,
    prior: &'static str,
    plan: Plan,
}

/// Where message passing is run, from both starts; and where the mean of its error is judged, on a ladder of
/// sizes.
#[derive(Debug, Clone, Default)]
struct Plan {
    /// Components of the signal where it is shown, and trials.
    p: usize,
    trials: usize,
    /// Ratios at least `3 n^(-1/2)` away from a jump, and such as are shown only.
    far: Vec<f64>,
    near: Vec<f64>,
    /// Judged means: the largest size, trials, ratios.
    largest: usize,
    many: usize,
    judged: Vec<f64>,
}

/// Every curve, with the points that a profile can afford.
fn cases(profile: Profile) -> Vec<Case> {
    use Problem::{Retrieval, Sensing};
    // Ratios far from jumps, near them, and those of judged means. Up to its jump errors of phase
    // retrieval scatter so much that no mean of few trials says anything.
    type Ratios = &'static [f64];
    let all: [(Problem, &str, Ratios, Ratios, Ratios); 10] = [
        (Sensing, "gaussian", &[0.25, 1.3], &[0.75, 1.1], &[0.5]),
        (Sensing, SPARSE, &[0.34, 0.55], &[0.15, 0.28, 0.7], &[0.2]),
        (Sensing, "linear", &[0.1, 0.4], &[0.2, 0.3], &[0.15]),
        (Sensing, "relu", &[0.1, 0.4], &[0.2, 0.3], &[]),
        (Sensing, "sign", &[0.1, 0.4], &[0.2, 0.3], &[]),
        (Retrieval, "gaussian", &[0.8, 1.35], &[0.6, 1.05, 1.2], &[]),
        (Retrieval, SPARSE, &[0.45, 0.85], &[0.3, 0.6, 0.7], &[]),
        (Retrieval, "linear", &[0.16, 0.4], &[0.22, 0.3], &[]),
        (Retrieval, "relu", &[0.1, 0.4], &[0.2, 0.3], &[]),
        (Retrieval, "sign", &[0.25, 0.55], &[0.35, 0.45], &[]),
    ];
    let is_quick = |problem: Problem, prior: &str| match problem {
        Sensing => prior == SPARSE,
        Retrieval => prior == "gaussian",
    };
    let case = |(problem, prior, far, near, judged): (Problem, _, Ratios, Ratios, Ratios)| {
        if profile == Profile::Quick && !is_quick(problem, prior) {
            return Case::bare(problem, prior);
        }
        let is_layered = !matches!(prior, "gaussian" | SPARSE);
        Case {
            problem,
            prior,
            plan: Plan {
                p: match (problem, is_layered) {
                    (Sensing, false) => profile.pick(800, 800, 3200),
                    _ => profile.pick(400, 400, 1600),
                },
                trials: profile.pick(16, 16, 64),
                far: far.into(),
                near: profile.pick(&[][..], near, near).into(),
                largest: profile.pick(400, 400, 1600),
                many: profile.pick(320, 320, 640),
                judged: judged.into(),
            },
        }
    };
    all.into_iter().map(case).collect()
}

impl Case {
    fn tree(&self, ratio: f64) -> Result<Tree, FigureError> {
        let chain = match self.prior {
            "gaussian" => Chain::new(gaussian()),
            prior => with_freedom(prior, FREEDOM)?,
        };
        self.problem.tree(chain, ratio)
    }

    fn named(&self, what: &str) -> String {
        format!("{}, {what}", self.prior)
    }

    /// Both errors on a grid and on both sides of the jumps; where each start leads at the ratios
    /// of the plan.
    fn theory(&self, points: usize) -> Result<Vec<Row>, FigureError> {
        let high = match self.prior {
            "gaussian" | SPARSE => 1.4,
            _ => 0.6,
        };
        let low = high / points as f64;
        let tree = self.tree(high)?;
        let rho = tree.signal().second_moment;
        let chain = StateEvolution::new(&tree)?;
        let curve = chain.curve(Some((0.9 / high, 1.1 / low)))?;
        let panel = self.problem.name();
        let mut rows = Vec::new();
        let mut thresholds = Vec::new();
        let mut ratios: Vec<f64> = (1..=points).map(|i| low * i as f64).collect();
        for threshold in chain.thresholds_on(&curve)?.thresholds {
            let at = 1.0 / threshold.value;
            thresholds.push(at);
            ratios.extend([at * (1.0 - 1e-4), at * (1.0 + 1e-4)]);
            let name = match threshold.kind {
                ThresholdKind::Algorithmic => "α_alg",
                ThresholdKind::InformationTheoretic => IT,
                _ => continue,
            };
            rows.push(Row::theory(
                panel,
                self.named(name),
                at,
                threshold.mmse_from / rho,
            ));
        }
        ratios.sort_by(f64::total_cmp);
        // On a threshold itself there may be no fixed point.
        for ratio in ratios
            .into_iter()
            .filter(|ratio| (ratio - 1.0).abs() > 1e-9)
        {
            let found = chain.predict_on(&curve, 1.0 / ratio)?;
            for (series, point) in [(OPTIMAL, found.optimal), (ALGORITHMIC, found.algorithmic)] {
                rows.push(Row::theory(
                    panel,
                    self.named(series),
                    ratio,
                    point.mmse / rho,
                ));
            }
        }
        for &ratio in &self.plan.far {
            let found = chain.predict_on(&curve, 1.0 / ratio)?;
            let any = found.fixed_points.iter().any(|point| point.perfect);
            for (start, perfect) in STARTS.into_iter().zip([found.algorithmic.perfect, any]) {
                let series = self.named(&format!("{start} finds it"));
                rows.push(Row::theory(
                    panel,
                    series,
                    ratio,
                    f64::from(u8::from(perfect)),
                ));
            }
        }
        if self.plan.judged.is_empty() {
            return Ok(rows);
        }
        let mut add = |series: &str, ratios: &[f64], factor: f64| -> Result<(), FigureError> {
            let scaled: Vec<_> = ratios.iter().map(|ratio| factor * ratio).collect();
            for (ratio, point) in ratios.iter().zip(sweep_ratio(&tree, &scaled)?) {
                let error = point.prediction.algorithmic.mmse / rho;
                rows.push(Row::theory(panel, self.named(series), *ratio, error));
            }
            Ok(())
        };
        // Sizes divide the ratios, which are the realised ones.
        for rank in RANKS {
            add(rank, &self.plan.judged, 1.0)?;
        }
        add("shifted", &self.plan.judged, SHIFT)?;
        for (i, p) in ladder(self.plan.largest).into_iter().enumerate() {
            rows.push(Row::theory(panel, self.named("sizes"), i as f64, p as f64));
        }
        Ok(rows)
    }

    fn simulation(&self) -> Vec<Job> {
        let plan = &self.plan;
        let mut jobs = Vec::new();
        for &ratio in plan.far.iter().chain(&plan.near) {
            let (case, p, count) = (self.clone(), plan.p, plan.trials);
            let key = format!(
                "{} {} α={ratio} p={p} trials={count}",
                case.problem.name(),
                case.prior
            );
            jobs.push(Job::new(key, move |context| {
                case.simulate(context, ratio, p, count)
            }));
        }
        for &ratio in &plan.judged {
            for (rank, p) in RANKS.into_iter().zip(ladder(plan.largest)) {
                let (case, count) = (self.clone(), plan.many);
                let what = format!("{} {}", case.problem.name(), case.prior);
                let key = format!("{what} mean α={ratio} p={p} trials={count}");
                jobs.push(Job::new(key, move |context| {
                    let runs = case.errors(context, ratio, p, count, STARTS[0])?;
                    let mean = Run::mean(&runs, 0);
                    Ok(vec![Row::measured(
                        case.problem.name(),
                        case.named(rank),
                        ratio,
                        mean,
                    )])
                }));
            }
        }
        jobs
    }

    /// Both starts on the same instances.
    fn simulate(
        &self,
        context: &Context,
        ratio: f64,
        p: usize,
        count: usize,
    ) -> Result<Vec<Row>, FigureError> {
        let panel = self.problem.name();
        let mut rows = Vec::new();
        for name in STARTS {
            let runs = self.errors(context, ratio, p, count, name)?;
            let found = runs.iter().filter(|run| run.errors[0] < FOUND).count() as u64;
            let plain: Vec<f64> = runs.iter().map(|run| run.errors[0]).collect();
            let finds = self.named(&format!("{name} finds it"));
            rows.push(Row::measured(
                panel,
                self.named(name),
                ratio,
                Sample::of(&plain),
            ));
            rows.push(Row::fraction(panel, finds, ratio, found, count as u64));
        }
        Ok(rows)
    }

    /// `|v - x|²/(pρ)` at rest, aligned by the sign where that is free.
    fn errors(
        &self,
        context: &Context,
        ratio: f64,
        p: usize,
        count: usize,
        start: &str,
    ) -> Result<Vec<Run>, FigureError> {
        let sized = Sized::new(&self.tree(ratio)?, p)?;
        let rho = sized.tree.signal().second_moment;
        let restarts = match self.problem {
            Problem::Sensing => 0,
            Problem::Retrieval => RESTARTS,
        };
        trials(context, count, |seed| {
            let instance = sized.draw(seed)?;
            let (start, damping) = match start {
                "informed" => (informed(&sized, &instance, seed), Damping::Fixed(AWAY)),
                _ => (Start::Uninformed, Damping::Adaptive),
            };
            let settings = Settings {
                start,
                damping,
                restarts,
                max_iterations: MOST,
                tolerance: REST,
                seed,
                ..Settings::default()
            };
            let outcome = sized.infer(&instance, &settings)?;
            Ok(Run {
                errors: vec![outcome.mse.map_or(f64::NAN, |mse| mse / rho)],
                accidents: sensing_accidents(&sized.tree, &instance)?,
            })
        })
    }
}

/// The truth up to a small Gaussian error, with nothing known of the latents. The norm is that of a
/// posterior mean with this error.
fn informed(sized: &Sized, instance: &Instance, seed: Seed) -> Start {
    let signal = sized.tree.signal();
    let truth = instance
        .truth(sized.tree.signal_index())
        .unwrap_or_default();
    let (normal, mut rng) = (gaussian(), seed.stream("informed", 0, 0, "start"));
    let scale = (INFORMED * (1.0 - INFORMED) * signal.second_moment).sqrt();
    let variance = INFORMED * signal.second_moment;
    let mut known = Posterior::constant(truth.len(), 1, 0.0, variance);
    for (v, x) in known.mean.iter_mut().zip(truth) {
        *v = (1.0 - INFORMED) * x + scale * normal.sample(&mut rng);
    }
    Start::Given(vec![(signal.name.clone(), known)])
}

/// What came of one trial.
struct Run {
    /// `|v - x|²/(pρ)`, at rest or of every iteration.
    errors: Vec<f64>,
    accidents: [f64; 3],
}

impl Run {
    /// Means of the errors `t`, see [`controlled`].
    fn mean(runs: &[Self], t: usize) -> Sample {
        let errors: Vec<f64> = runs.iter().map(|run| run.errors[t]).collect();
        let control = |i: usize| runs.iter().map(|run| run.accidents[i]).collect();
        controlled(&errors, &[control(0), control(1), control(2)])
    }
}

/// Message passing from the prior means, iteration by iteration.
struct Steps {
    case: Case,
    ratio: f64,
    title: &'static str,
}

/// Iterations, those of which are judged, and trials.
const COUNT: usize = 8;
const JUDGED: [f64; 3] = [1.0, 2.0, 3.0];
const TRIALS: usize = 400;

/// Where message passing is run step by step: at the quick profile of the cheaper model only.
fn run(profile: Profile) -> &'static [Steps] {
    &STEPS[..profile.pick(1, 2, 2)]
}

/// Models in which the prior means are a start that knows something after one step: of a field that is seen
/// itself, and of a signal that has a mean.
static STEPS: &[Steps] = &[
    Steps {
        case: Case::bare(Problem::Sensing, SPARSE),
        ratio: 0.8,
        title: "compressed sensing: sparse, α = 0.8",
    },
    Steps {
        case: Case::bare(Problem::Retrieval, "relu"),
        ratio: 0.8,
        title: "phase retrieval: relu, α = 0.8",
    },
];

impl Case {
    const fn bare(problem: Problem, prior: &'static str) -> Self {
        let plan = Plan {
            p: 0,
            trials: 0,
            far: Vec::new(),
            near: Vec::new(),
            largest: 0,
            many: 0,
            judged: Vec::new(),
        };
        Self {
            problem,
            prior,
            plan,
        }
    }
}

impl Steps {
    fn size(&self, profile: Profile) -> usize {
        profile.pick(400, 400, 1600)
    }

    /// The largest size, which is drawn; where message passing is run, what judges it too.
    fn theory(&self, sizes: [usize; 3], is_run: bool) -> Result<Vec<Row>, FigureError> {
        let mut rows = Vec::new();
        let mut add = |series: &str, ratio: f64, p: usize| -> Result<(), FigureError> {
            let tree = Sized::new(&self.case.tree(ratio)?, p)?.tree;
            let rho = tree.signal().second_moment;
            for step in trajectory(&tree, &onsager_replica::Start::Mean, COUNT)?.steps {
                let t = step.iteration as f64;
                rows.push(Row::theory(self.case.prior, series, t, step.mmse / rho));
            }
            Ok(())
        };
        if !is_run {
            add(RANKS[2], self.ratio, sizes[2])?;
            return Ok(rows);
        }
        for (rank, p) in RANKS.into_iter().zip(sizes) {
            add(rank, self.ratio, p)?;
        }
        add("shifted", SHIFT * self.ratio, sizes[2])?;
        for (i, p) in sizes.into_iter().enumerate() {
            rows.push(Row::theory(self.case.prior, "sizes", i as f64, p as f64));
        }
        Ok(rows)
    }

    fn simulate(
        &self,
        context: &Context,
        rank: &str,
        p: usize,
        count: usize,
    ) -> Result<Vec<Row>, FigureError> {
        let sized = Sized::new(&self.case.tree(self.ratio)?, p)?;
        let rho = sized.tree.signal().second_moment;
        let runs = trials(context, count, |seed| {
            let settings = Settings {
                start: Start::Mean,
                damping: Damping::Fixed(1.0),
                tolerance: 0.0,
                max_iterations: COUNT,
                seed,
                ..Settings::default()
            };
            let instance = sized.draw(seed)?;
            // What a run that stopped early lacks is missing, and its point not judged.
            let trace = sized.infer(&instance, &settings)?.trace;
            let at = |t: usize| trace.get(t).and_then(|record| record.mse);
            Ok(Run {
                errors: (0..=COUNT)
                    .map(|t| at(t).map_or(f64::NAN, |mse| mse / rho))
                    .collect(),
                accidents: sensing_accidents(&sized.tree, &instance)?,
            })
        })?;
        let row = |t| Row::measured(self.case.prior, rank, t as f64, Run::mean(&runs, t));
        Ok((0..=COUNT).map(row).collect())
    }

    fn panel(&self, theory: &Table, simulation: &Table) -> Plot {
        let panel = self.case.prior;
        let mut plot = Plot::new(
            self.title,
            Axis::linear("iteration").range(0.0, COUNT as f64),
            Axis::log("MSE/ρ").range(1e-3, 1.5),
        );
        plot = plot.with(Line::new("state evolution", theory.curve(panel, RANKS[2])));
        for (colour, rank) in RANKS.into_iter().enumerate().rev() {
            let points = simulation.points(panel, rank);
            if points.is_empty() {
                continue;
            }
            let p = theory.value(panel, "sizes", colour as f64);
            let points = Points::new(format!("AMP, p = {p}"), points);
            let marker = [Marker::Triangle, Marker::Square, Marker::Disc][colour];
            plot = plot.with(points.colour(2 - colour).marker(marker));
        }
        plot
    }
}

/// What message passing reaches, what is possible, and runs from both starts.
fn draw(
    plot: Plot,
    theory: &Table,
    simulation: &Table,
    (problem, prior, is_first): (Problem, &str, bool),
    colour: usize,
) -> Plot {
    let (panel, named) = (problem.name(), |what: &str| format!("{prior}, {what}"));
    let curve = |series: &str| theory.curve(panel, &named(series));
    let mut plot = plot
        .with(Line::new(prior, curve(ALGORITHMIC)).colour(colour))
        .with(
            Line::new("", curve(OPTIMAL))
                .colour(colour)
                .dash(Dash::Dashed),
        );
    for (start, marker) in STARTS.into_iter().zip([Marker::Disc, Marker::Circle]) {
        let mut points = simulation.points(panel, &named(start));
        if start == STARTS[0] {
            points.extend(simulation.points(panel, &named(RANKS[2])));
        }
        if points.is_empty() {
            continue;
        }
        let label = match is_first {
            true => format!("AMP, {start}"),
            false => String::new(),
        };
        plot = plot.with(Points::new(label, points).colour(colour).marker(marker));
    }
    plot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_realise_the_ratios() {
        for profile in [Profile::Quick, Profile::Standard, Profile::Paper] {
            for case in cases(profile) {
                for &ratio in &case.plan.judged {
                    for p in ladder(case.plan.largest) {
                        let tree = case.tree(ratio).expect("a tree");
                        let sized = Sized::new(&tree, p).expect("sizes");
                        let ratios = |tree: &Tree| {
                            tree.variables().iter().map(|v| v.ratio).collect::<Vec<_>>()
                        };
                        for (found, wanted) in ratios(&sized.tree).iter().zip(ratios(&tree)) {
                            assert!((found / wanted - 1.0).abs() < 1e-12, "{case:?} {p}");
                        }
                    }
                }
            }
        }
    }
}
