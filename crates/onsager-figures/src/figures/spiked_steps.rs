//! Message passing against state evolution: step by step, at rest, and how the difference shrinks.

use std::f64::consts::PI;
use std::sync::Arc;

use onsager_amp::{Damping, Outcome, Posterior, Settings, Stop};
use onsager_ensembles::Seed;
use onsager_model::{Chain, FactorKind, Instance, Tree};
use onsager_operators::{LinearOperator, Shape};
use onsager_replica::{StateEvolution, Trajectory, spectral, trajectory};

use super::common::{REST, Sized, ladder, layered, rademacher, trials};
use crate::agreement::{Agreement, Claim, Collapse, MeanPoint, MeanSeries, Means, Sample, Success};
use crate::drawing::{Axis, BLACK, Dash, Line, Marker, Picture, Plot, Points, Rule};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// The figure.
pub(crate) struct SpikedSteps;

impl Figure for SpikedSteps {
    fn id(&self) -> &'static str {
        "spiked-steps"
    }

    fn title(&self) -> &'static str {
        "Message passing against state evolution, step by step"
    }

    fn source(&self) -> &'static str {
        "arXiv 1905.12385, MSE of AMP and state evolution for one sign layer at alpha = 2"
    }

    fn claim(&self) -> &'static str {
        "From every matched start the error of AMP is that of state evolution at each iteration \
         and at rest, up to a bias of order 1/p, and the error it claims is the one it makes."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let sizes = ladder(size(profile));
        let mut jobs = Vec::new();
        for model in MODELS {
            for start in model.starts(profile) {
                jobs.push(Job::new(
                    format!("steps {} {} {sizes:?}", model.name, start.name()),
                    move |_| steps_theory(model, *start, sizes),
                ));
            }
        }
        jobs.push(Job::new("rest", move |_| rest_theory(profile)));
        jobs
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let mut jobs = Vec::new();
        // Long points first, so that no thread is left with one at the end.
        for (i, p) in ladder(size(profile)).into_iter().enumerate().rev() {
            for model in MODELS {
                for start in model.starts(profile) {
                    let count = model.trials(*start, profile);
                    let key = format!("steps {} {} {p} trials={count}", model.name, start.name());
                    jobs.push(Job::new(key, move |context| {
                        steps_simulation(context, model, *start, i, p, count)
                    }));
                }
            }
            for noise in rest_noises(profile) {
                let count = rest_trials(noise, profile);
                jobs.push(Job::new(
                    format!("rest {noise} {p} trials={count}"),
                    move |context| rest_simulation(context, noise, i, p, count),
                ));
            }
        }
        for p in BIAS_SIZES {
            let count = profile.pick(700, 2000, 20_000);
            jobs.push(Job::new(
                format!("bias {p} trials={count}"),
                move |context| bias_simulation(context, p, count),
            ));
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let mut means = Means::new("error at each step and at rest", 1.0);
        for model in MODELS {
            for start in model.starts {
                let names = SIZES.map(|size| format!("{} {size}", start.name()));
                let series = MeanSeries {
                    panel: model.name,
                    sizes: sizes_of(simulation),
                    theory: names.each_ref().map(String::as_str),
                    simulation: names.each_ref().map(String::as_str),
                    shifted: &format!("{} shifted", start.name()),
                };
                means = means.series(theory, simulation, series, |t| model.judged.contains(&t));
            }
        }
        let rest = MeanSeries {
            panel: "rest",
            sizes: sizes_of(simulation),
            theory: ["judged"; 3],
            simulation: SIZES,
            shifted: "shifted",
        };
        means = means.series(theory, simulation, rest, |noise| noise < rest_threshold());
        let mut found = Success::new("the overlap exceeds 1/4 below the threshold only");
        for row in theory.series("rest", "judged") {
            let claim = if row.x < rest_threshold() {
                Claim::AtLeast(0.9)
            } else {
                Claim::AtMost(0.1)
            };
            let seen = simulation.at("overlap", "n", row.x);
            found = found.row(format!("noise = {:.3}", row.x), seen, claim);
        }
        let bias = BIAS_SIZES
            .map(|p| p as f64)
            .map(|p| (p, Sample::at(simulation, "bias", "bias", p)))
            .to_vec();
        let bias = Collapse::new("the bias is of order 1/p", 1.0, 0.5, BIAS_CORRECTION)
            .point(format!("step {BIAS_STEP}"), bias);
        vec![
            means.into(),
            claimed(theory, simulation).into(),
            found.into(),
            bias.into(),
        ]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        MODELS
            .iter()
            .fold(Picture::new(3), |picture, model| {
                picture.panel(steps_panel(theory, simulation, model))
            })
            .panel(rest_panel(theory, simulation))
            .panel(bias_panel(simulation))
            .panel(claimed_panel(simulation))
    }
}

/// A model away from its transition.
struct Model {
    name: &'static str,
    title: &'static str,
    layers: &'static [(f64, &'static str)],
    noise: f64,
    starts: &'static [Start],
    /// The starts of the quick profile, and those whose claims are judged: the fast ones.
    fast: &'static [Start],
    /// Judged iterations; those between are strongly correlated with them. The start is drawn.
    judged: &'static [f64],
}

/// The starts from which state evolution holds with one number per variable.
#[derive(Clone, Copy, PartialEq)]
enum Start {
    /// The estimate given a side channel of precision [`SNR`].
    SideInformation,
    /// The true signal, with nothing known of the latent.
    Truth,
    /// The leading eigenvector of linearised message passing.
    Spectral,
    /// The prior means.
    Mean,
}

use Start::{Mean, SideInformation, Spectral, Truth};

const MODELS: &[Model] = &[
    Model {
        name: "rademacher",
        title: "Rademacher spike, Δ = 0.4",
        layers: &[],
        noise: 0.4,
        starts: &[SideInformation, Truth, Spectral],
        fast: &[Truth, SideInformation, Spectral],
        judged: &[1.0, 2.0, 4.0, 7.0, 12.0],
    },
    Model {
        name: "sign",
        title: "one sign layer, α = 2, Δ = 0.35",
        layers: &[(2.0, "sign")],
        noise: 0.35,
        starts: &[SideInformation, Truth, Spectral],
        fast: &[Truth],
        judged: &[1.0, 4.0, 12.0],
    },
    Model {
        name: "relu",
        title: "one relu layer, α = 2, Δ = 0.1",
        layers: &[(2.0, "relu")],
        noise: 0.1,
        starts: &[SideInformation, Mean],
        fast: &[Mean],
        judged: &[1.0, 4.0, 12.0],
    },
];

/// Precision of the side channel.
const SNR: f64 = 0.5;
const STEPS: usize = 12;
/// Names of the series of the three sizes.
const SIZES: [&str; 3] = ["n/4", "n/2", "n"];

fn size(profile: Profile) -> usize {
    profile.pick(200, 320, 1600)
}

impl Start {
    fn name(self) -> &'static str {
        match self {
            SideInformation => "side information",
            Truth => "truth",
            Spectral => "spectral",
            Mean => "prior mean",
        }
    }

    /// The start as the legend calls it.
    fn words(self) -> &'static str {
        match self {
            SideInformation => "side information",
            Truth => "the truth",
            Spectral => "the spectral estimate",
            Mean => "the prior mean",
        }
    }

    fn predicted(self, tree: &Tree) -> Result<onsager_replica::Start, FigureError> {
        Ok(match self {
            SideInformation => onsager_replica::Start::SideInformation { snr: SNR },
            // The signal alone, as in the runs.
            Truth => {
                let signal = tree.signal();
                let known = [(signal.name.clone(), signal.second_moment)];
                onsager_replica::Start::Overlaps(known.into())
            }
            Spectral => onsager_replica::Start::Overlaps(spectral::lamp_overlaps(tree)?),
            Mean => onsager_replica::Start::Mean,
        })
    }

    fn of_algorithm(self, sized: &Sized, instance: &Instance) -> onsager_amp::Start {
        match self {
            SideInformation => onsager_amp::Start::SideInformation { snr: SNR },
            Truth => {
                let signal = sized.tree.signal_index();
                let truth = instance.truth(signal).unwrap_or_default();
                let mut known = Posterior::constant(truth.len(), 1, 0.0, 0.0);
                known.mean.as_mut_slice().copy_from_slice(truth);
                onsager_amp::Start::Given(vec![(sized.tree.signal().name.clone(), known)])
            }
            Spectral => onsager_amp::Start::Spectral,
            Mean => onsager_amp::Start::Mean,
        }
    }
}

impl Model {
    fn starts(&self, profile: Profile) -> &'static [Start] {
        match profile {
            Profile::Quick => self.fast,
            _ => self.starts,
        }
    }

    /// As many as most of the points need to tell a noise that is wrong by 5 percent.
    fn trials(&self, start: Start, profile: Profile) -> usize {
        match start {
            Truth => profile.pick(680, 960, 2000),
            SideInformation if self.layers.is_empty() => profile.pick(680, 960, 2000),
            // What iterates before it starts costs as much as the run.
            Spectral => profile.pick(400, 400, 500),
            SideInformation => profile.pick(170, 240, 500),
            Mean => profile.pick(340, 480, 1000),
        }
    }

    fn tree(&self, noise: f64) -> Result<Tree, FigureError> {
        let chain = match self.layers {
            [] => Chain::new(rademacher()),
            layers => layered(layers),
        };
        Ok(chain.spiked_wigner(noise)?)
    }
}

/// State evolution of a model; `p` decides the realised ratios.
fn theory_at(model: &Model, noise: f64, start: Start, p: usize) -> Result<Trajectory, FigureError> {
    let tree = Sized::new(&model.tree(noise)?, p)?.tree;
    Ok(trajectory(&tree, &start.predicted(&tree)?, STEPS)?)
}

fn steps_theory(model: &Model, start: Start, sizes: [usize; 3]) -> Result<Vec<Row>, FigureError> {
    let mut rows = Vec::new();
    let mut add = |series: &str, noise, p| {
        let run = theory_at(model, noise, start, p)?;
        rows.extend(run.steps.iter().map(|step| {
            let series = format!("{} {series}", start.name());
            Row::theory(model.name, series, step.iteration as f64, step.mmse)
        }));
        Ok::<_, FigureError>(())
    };
    for (name, p) in SIZES.iter().zip(sizes) {
        add(name, model.noise, p)?;
    }
    add("shifted", 1.05 * model.noise, sizes[2])?;
    Ok(rows)
}

fn steps_simulation(
    context: &Context,
    model: &Model,
    start: Start,
    size: usize,
    p: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let sized = Sized::new(&model.tree(model.noise)?, p)?;
    let runs = trials(context, count, |seed| {
        pair(&sized, seed, |instance| {
            plain(start.of_algorithm(&sized, instance), STEPS, seed)
        })
    })?;
    let mut rows = vec![Row::theory("size", SIZES[size], 0.0, sized.p() as f64)];
    let series = format!("{} {}", start.name(), SIZES[size]);
    for t in 0..=STEPS {
        let mean = |f: &dyn Fn(&Outcome) -> f64| sample(&runs, f);
        let error = mean(&|run| error(run, t));
        rows.push(Row::measured(model.name, &series, t as f64, error));
        let series = format!("{} {series}", model.name);
        rows.push(Row::measured(
            "claimed",
            series,
            t as f64,
            mean(&|run| gap(run, t)),
        ));
    }
    Ok(rows)
}

/// Runs on an instance and on its mirror image, with the noise of the opposite sign: what is odd in
/// the noise, most of the scatter, drops out of the mean of the two.
fn pair(
    sized: &Sized,
    seed: Seed,
    settings: impl Fn(&Instance) -> Settings,
) -> Result<[Outcome; 2], FigureError> {
    let instance = sized.draw(seed)?;
    let mirrored = mirror(&sized.tree, &instance)?;
    Ok([
        sized.infer(&instance, &settings(&instance))?,
        sized.infer(&mirrored, &settings(&mirrored))?,
    ])
}

/// The mean over the two runs of each trial is one number of the sample.
fn sample(runs: &[[Outcome; 2]], f: &dyn Fn(&Outcome) -> f64) -> Sample {
    let mean = |[a, b]: &[Outcome; 2]| 0.5 * (f(a) + f(b));
    Sample::of(&runs.iter().map(mean).collect::<Vec<_>>())
}

fn mirror(tree: &Tree, instance: &Instance) -> Result<Instance, FigureError> {
    let mut given = Instance::given(tree, instance.sizes())?;
    for (f, factor) in tree.factors().iter().enumerate() {
        let Some(operator) = instance.operator(f) else {
            continue;
        };
        let spike = instance.truth(factor.variables[0]).unwrap_or_default();
        let operator: Arc<dyn LinearOperator> = match factor.kind {
            FactorKind::SpikedWigner { .. } => Arc::new(Mirrored {
                operator: operator.clone(),
                spike: spike.to_vec(),
            }),
            _ => operator.clone(),
        };
        given = given.operator(f, operator)?;
    }
    for v in 0..tree.variables().len() {
        if let Some(truth) = instance.truth(v) {
            given = given.truth(v, truth.to_vec())?;
        }
    }
    Ok(given.build()?)
}

/// `2 x xᵀ/√p - Y`.
struct Mirrored {
    operator: Arc<dyn LinearOperator>,
    spike: Vec<f64>,
}

impl LinearOperator for Mirrored {
    fn shape(&self) -> Shape {
        self.operator.shape()
    }

    fn apply_column(&self, x: &[f64], y: &mut [f64]) {
        self.operator.apply_column(x, y);
        let dot: f64 = self.spike.iter().zip(x).map(|(s, x)| s * x).sum();
        let scale = 2.0 * dot / (self.spike.len() as f64).sqrt();
        for (y, s) in y.iter_mut().zip(&self.spike) {
            *y = scale * s - *y;
        }
    }

    fn apply_adjoint_column(&self, x: &[f64], y: &mut [f64]) {
        self.apply_column(x, y);
    }

    fn bytes(&self) -> usize {
        self.operator.bytes()
    }
}

/// Message passing without damping for a number of iterations.
fn plain(start: onsager_amp::Start, steps: usize, seed: Seed) -> Settings {
    Settings {
        start,
        damping: Damping::Fixed(1.0),
        max_iterations: steps,
        tolerance: 0.0,
        seed,
        ..Settings::default()
    }
}

/// True squared error after iteration `t`; NaN, which no agreement accepts, for a run that ended.
fn error(run: &Outcome, t: usize) -> f64 {
    run.trace.get(t).and_then(|r| r.mse).unwrap_or(f64::NAN)
}

/// Claimed minus true error after iteration `t`.
fn gap(run: &Outcome, t: usize) -> f64 {
    run.trace.get(t).map_or(f64::NAN, |r| r.claimed_mse) - error(run, t)
}

/// The model at rest: one sign layer.
const RESTING: &[(f64, &str)] = &[(2.0, "sign")];
/// Δ_c = 1 + 4α/π².
fn rest_threshold() -> f64 {
    1.0 + 8.0 / PI.powi(2)
}

/// Both sides of the threshold, outside of its rounding.
fn rest_noises(profile: Profile) -> Vec<f64> {
    let fractions: &[f64] = profile.pick(
        &[0.2, 1.8],
        &[0.15, 0.25, 0.35, 1.6, 2.0],
        &[0.15, 0.25, 0.35, 0.5, 1.6, 2.0],
    );
    fractions
        .iter()
        .map(|fraction| fraction * rest_threshold())
        .collect()
}

fn rest_tree(noise: f64) -> Result<Tree, FigureError> {
    Ok(layered(RESTING).spiked_wigner(noise)?)
}

fn rest_trials(noise: f64, profile: Profile) -> usize {
    if noise < rest_threshold() {
        profile.pick(128, 160, 1000)
    } else {
        64
    }
}

/// All sizes are even, so their ratios are the declared ones.
fn rest_theory(profile: Profile) -> Result<Vec<Row>, FigureError> {
    let state_evolution = StateEvolution::new(&rest_tree(1.0)?)?;
    let curve = state_evolution.curve(None)?;
    let row = |series: &str, x, noise| {
        let mmse = state_evolution.predict_on(&curve, noise)?.algorithmic.mmse;
        Ok::<_, FigureError>(Row::theory("rest", series, x, mmse))
    };
    let mut rows = Vec::new();
    for noise in rest_noises(profile) {
        rows.push(row("judged", noise, noise)?);
        rows.push(row("shifted", noise, 1.05 * noise)?);
    }
    for i in 1..=75 {
        let noise = 0.05 * f64::from(i);
        rows.push(row("line", noise, noise)?);
    }
    Ok(rows)
}

fn rest_simulation(
    context: &Context,
    noise: f64,
    size: usize,
    p: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let sized = Sized::new(&rest_tree(noise)?, p)?;
    let runs = trials(context, count, |seed| {
        let settings = Settings {
            tolerance: REST,
            seed,
            ..Settings::default()
        };
        pair(&sized, seed, |_| settings.clone())
    })?;
    let mean = |f: &dyn Fn(&Outcome) -> f64| sample(&runs, f);
    let fraction = |panel, holds: &dyn Fn(&Outcome) -> bool| {
        // Of the drawn instances alone, which are independent.
        let successes = runs.iter().filter(|[run, _]| holds(run)).count() as u64;
        Row::fraction(panel, SIZES[size], noise, successes, count as u64)
    };
    let row = |panel, sample| Row::measured(panel, SIZES[size], noise, sample);
    Ok(vec![
        row("rest", mean(&|run| run.mse.unwrap_or(f64::NAN))),
        fraction("overlap", &|run| run.overlap.is_some_and(|m| m > 0.25)),
        fraction("not at rest", &|run| run.stop == Stop::NotConverged),
    ])
}

/// The model whose bias is measured.
const BIASED: &Model = &MODELS[0];
/// Nearer to the transition than the steps, where the bias is larger.
const BIAS_NOISE: f64 = 0.5;
const BIAS_STEP: usize = 7;
const BIAS_SIZES: [usize; 4] = [50, 100, 200, 400];
/// Corrections of relative order 1/p at the smallest size.
const BIAS_CORRECTION: f64 = 0.1;

fn bias_simulation(context: &Context, p: usize, count: usize) -> Result<Vec<Row>, FigureError> {
    let start = SideInformation;
    let expected = theory_at(BIASED, BIAS_NOISE, start, p)?.steps[BIAS_STEP].mmse;
    let sized = Sized::new(&BIASED.tree(BIAS_NOISE)?, p)?;
    let runs = trials(context, count, |seed| {
        pair(&sized, seed, |instance| {
            plain(start.of_algorithm(&sized, instance), BIAS_STEP, seed)
        })
    })?;
    let bias = sample(&runs, &|run| error(run, BIAS_STEP) - expected);
    Ok(vec![Row::measured("bias", "bias", p as f64, bias)])
}

fn sizes_of(simulation: &Table) -> [f64; 3] {
    SIZES.map(|size| {
        simulation
            .at("size", size, 0.0)
            .map_or(f64::NAN, |row| row.y)
    })
}

/// Claimed minus true error against zero; the control is what AMP would claim that believes the
/// noise to be 5 percent larger.
fn claimed(theory: &Table, simulation: &Table) -> Means {
    let mut means = Means::new("claimed error is true error", 1.0);
    for model in MODELS {
        for start in model.fast.iter().filter(|start| **start != Spectral) {
            for t in model.judged {
                let error = |series: &str| {
                    let row = theory.at(model.name, &format!("{} {series}", start.name()), *t);
                    row.map_or(f64::NAN, |row| row.y)
                };
                let sample = |size: &str| {
                    let series = format!("{} {} {size}", model.name, start.name());
                    Sample::at(simulation, "claimed", &series, *t)
                };
                means = means.point(MeanPoint {
                    label: format!("{} from {} at {t}", model.name, start.name()),
                    sizes: sizes_of(simulation),
                    theory: [0.0; 3],
                    samples: SIZES.map(sample),
                    shifted: error("shifted") - error("n"),
                    quantity: error("n"),
                });
            }
        }
    }
    means
}

fn steps_panel(theory: &Table, simulation: &Table, model: &Model) -> Plot {
    let axes = (
        Axis::linear("iteration"),
        Axis::linear("mean squared error"),
    );
    let plot = Plot::new(model.title, axes.0, axes.1);
    model.starts.iter().fold(plot, |plot, start| {
        // One colour for one start in every panel.
        let i = *start as usize;
        let series = format!("{} n", start.name());
        let name = format!("from {}", start.words());
        plot.with(Line::new(&name, theory.curve(model.name, &series)).colour(i))
            .with(
                Points::new(&name, simulation.points(model.name, &series))
                    .colour(i)
                    .marker(MARKERS[i]),
            )
    })
}

const MARKERS: [Marker; 4] = [
    Marker::Circle,
    Marker::Square,
    Marker::Triangle,
    Marker::Diamond,
];

fn rest_panel(theory: &Table, simulation: &Table) -> Plot {
    Plot::new(
        "at rest: one sign layer, α = 2",
        Axis::linear("noise Δ"),
        Axis::linear("mean squared error"),
    )
    .with(Rule::vertical(rest_threshold(), "Δc = 1 + 4α/π²").colour(BLACK))
    .with(Line::new("state evolution", theory.curve("rest", "line")))
    .with(Points::new("AMP", simulation.points("rest", "n")))
}

fn bias_panel(simulation: &Table) -> Plot {
    let points = simulation.points("bias", "bias");
    let magnitude = points
        .iter()
        .map(|(p, y, error)| (*p, y.abs(), *error))
        .collect();
    // The line through the most precise point, the smallest size.
    let line = points.first().map_or(Vec::new(), |(p, y, _)| {
        let at = |size: &usize| (*size as f64, y.abs() * p / *size as f64);
        BIAS_SIZES.iter().map(at).collect()
    });
    Plot::new(
        format!("bias at iteration {BIAS_STEP}, Rademacher spike, Δ = {BIAS_NOISE}"),
        Axis::log("size p"),
        Axis::log("|mean error of AMP - state evolution|"),
    )
    .with(Line::new("slope -1", line).colour(BLACK).dash(Dash::Dashed))
    .with(Points::new("AMP, side information", magnitude))
}

fn claimed_panel(simulation: &Table) -> Plot {
    let plot = Plot::new(
        "claimed minus true error",
        Axis::linear("iteration"),
        Axis::linear("claimed error - true error"),
    )
    .with(Rule::horizontal(0.0, "").colour(BLACK));
    MODELS.iter().enumerate().fold(plot, |plot, (i, model)| {
        let series = format!("{} {} n", model.name, model.fast[0].name());
        plot.with(
            Points::new(
                format!("{} from {}", model.name, model.fast[0].words()),
                simulation.points("claimed", &series),
            )
            .colour(i)
            .marker(MARKERS[i]),
        )
    })
}
