//! From random starts: what state evolution predicts of the norm, and when the overlap escapes.

use onsager_amp::{Damping, Outcome, Posterior, Settings};
use onsager_ensembles::Seed;
use onsager_model::{Chain, Tree};
use onsager_replica::{Start, Trajectory, trajectory};
use onsager_scalar::Prior;
use onsager_scalar::prior::Gaussian;
use statrs::distribution::{ContinuousCDF, Normal};

use super::common::{REST, Sized, ladder, layered, rademacher, trials};
use crate::agreement::{Agreement, Identity, MeanSeries, Means, Sample};
use crate::drawing::{Axis, Line, Marker, Picture, Plot, Points};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// The figure.
pub(crate) struct SpikedEscape;

impl Figure for SpikedEscape {
    fn id(&self) -> &'static str {
        "spiked-escape"
    }

    fn title(&self) -> &'static str {
        "Escape from random starts"
    }

    fn source(&self) -> &'static str {
        "arXiv 1905.12385, state evolution off the Nishimori line"
    }

    fn claim(&self) -> &'static str {
        "From a random start the norm of the estimate follows the two-parameter recursion, the \
         overlap escapes after a + b ln p iterations with b = 1/ln λ, and the fixed point of \
         state evolution is reached."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let sizes = ladder(size(profile));
        let mut jobs = Vec::new();
        for model in MODELS {
            jobs.push(Job::new(format!("norm {}", model.name), move |_| {
                norm_theory(model)
            }));
            jobs.push(Job::new(
                format!("escape {} {sizes:?}", model.name),
                move |_| escape_theory(model, sizes),
            ));
        }
        jobs
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (i, p) in ladder(size(profile)).into_iter().enumerate().rev() {
            for model in MODELS {
                let count = model.trials;
                jobs.push(Job::new(
                    format!("escape {} {p} trials={count}", model.name),
                    move |context| escape_simulation(context, model, i, p, count),
                ));
                // Norms fluctuate less than times.
                let count = profile.pick(count / 2, count, count);
                jobs.push(Job::new(
                    format!("norm {} {p} trials={count}", model.name),
                    move |context| norm_simulation(context, model, i, p, count),
                ));
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let sizes = SIZES.map(|size| {
            let row = simulation.at("size", size, 0.0);
            row.map_or(f64::NAN, |row| row.y)
        });
        let compare = |means: Means, panel: &str, model: &Model| {
            let names = SIZES.map(|size| format!("{} {size}", model.name));
            let series = MeanSeries {
                panel,
                sizes,
                theory: names.each_ref().map(String::as_str),
                simulation: names.each_ref().map(String::as_str),
                shifted: &format!("{} shifted", model.name),
            };
            means.series(theory, simulation, series, |t| t != 0.0 || panel != "norm")
        };
        let (mut norm, mut time, mut rest) = (
            Means::new("norm at each step", 1.0),
            Means::new("mean escape time", 1.0),
            Means::new("the fixed point of state evolution is reached", 1.0),
        );
        let mut slope = Identity::new(
            "escape time grows by ln(4)/ln λ from p = 2000 to 8000",
            "0.03 iterations: corrections of order 1/p, and the grid of starts",
        );
        for model in MODELS {
            norm = compare(norm, "norm", model);
            time = compare(time, "time", model);
            rest = compare(rest, "rest", model);
            let at = |panel: &str, series: &str| {
                let row = theory.at(panel, &format!("{} {series}", model.name), 0.0);
                row.map_or(f64::NAN, |row| row.y)
            };
            slope = slope
                .point(
                    model.name,
                    at("slope", "difference"),
                    4f64.ln() * at("slope", "b"),
                    0.03,
                )
                .control(4f64.ln() * at("slope", "shifted"));
        }
        vec![norm.into(), time.into(), slope.into(), rest.into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut norm = Plot::new(
            "norm from a random start of norm ρ/10",
            Axis::linear("iteration"),
            Axis::linear("squared norm of the estimate / p"),
        );
        let mut law = Plot::new(
            "law of the escape time at the largest size",
            Axis::linear("iteration"),
            Axis::linear("fraction of runs that escaped"),
        );
        let mut time = Plot::new(
            "mean escape time",
            Axis::log("size p"),
            Axis::linear("iterations until half of the squared overlap"),
        );
        for (i, model) in MODELS.iter().enumerate() {
            let series = format!("{} n", model.name);
            let marker = [Marker::Circle, Marker::Square][i];
            let draw = |plot: Plot, panel: &str| {
                let points = simulation.points(panel, &series);
                plot.with(Line::new(model.title, theory.curve(panel, &series)).colour(i))
                    .with(Points::new(model.title, points).colour(i).marker(marker))
            };
            norm = draw(norm, "norm");
            law = draw(law, "law");
            let points = SIZES
                .iter()
                .filter_map(|size| {
                    let p = simulation.at("size", size, 0.0)?.y;
                    let row = simulation.at("time", &format!("{} {size}", model.name), 0.0)?;
                    Some((p, row.y, row.uncertainty))
                })
                .collect();
            let name = format!("{}, a + b ln p", model.name);
            time = time
                .with(Line::new(name, theory.curve("line", model.name)).colour(i))
                .with(Points::new(model.title, points).colour(i).marker(marker));
        }
        Picture::new(3).panel(norm).panel(law).panel(time)
    }
}

/// A centred model below its threshold.
struct Model {
    name: &'static str,
    title: &'static str,
    /// Aspect of a linear layer on a Gaussian latent; a Rademacher spike without.
    aspect: Option<f64>,
    /// Noise over the threshold. Escapes are fast, so that even the smallest matrices have a
    /// leading eigenvector apart from the rest.
    fraction: f64,
    trials: usize,
}

const MODELS: &[Model] = &[
    Model {
        name: "rademacher",
        title: "Rademacher spike",
        aspect: None,
        fraction: 0.35,
        trials: 1000,
    },
    Model {
        name: "linear",
        title: "one linear layer, α = 2",
        aspect: Some(2.0),
        fraction: 0.2,
        trials: 640,
    },
];

const SIZES: [&str; 3] = ["n/4", "n/2", "n"];
/// Iterations over which the norm is followed.
const NORM_STEPS: usize = 3;
/// Escape times are counted up to here, in theory and simulation alike: the few small matrices
/// whose leading eigenvector is lost do not decide the mean.
const CAP: usize = 18;
/// A size at which corrections to the logarithm are small in theory.
const LARGE: usize = 2000;
/// Squared norm of the start of escapes, all components together: the overlap outgrows the rest,
/// which takes `ln p/ln λ` iterations, well before the estimate saturates.
const SMALL: f64 = 1e-4;

fn size(profile: Profile) -> usize {
    profile.pick(400, 800, 3200)
}

impl Model {
    /// `Δ_c = 1 + α`.
    fn threshold(&self) -> f64 {
        1.0 + self.through_latent()
    }

    /// `ακ⁴` with `κ = 1` of a linear layer; nothing without one.
    fn through_latent(&self) -> f64 {
        self.aspect.unwrap_or(0.0)
    }

    fn noise(&self) -> f64 {
        self.fraction * self.threshold()
    }

    fn tree(&self, noise: f64) -> Result<Tree, FigureError> {
        let chain = match self.aspect {
            None => Chain::new(rademacher()),
            Some(alpha) => layered(&[(alpha, "linear")]),
        };
        Ok(chain.spiked_wigner(noise)?)
    }

    /// Growth of overlaps and of squared norms alike around zero, per iteration.
    ///
    /// An iteration maps (signal x, latent z) to `(x/Δ + z, αx/Δ)`, since the field of the layer
    /// is that of the latent before: `λ² = λ/Δ + α/Δ`, and `λ = 1/Δ` without a layer. So the
    /// ratio of squared overlap to squared norm grows by `λ`, and `λ = 1` at the threshold.
    fn growth(&self, noise: f64) -> f64 {
        let half = 0.5 / noise;
        half + (half * half + self.through_latent() / noise).sqrt()
    }

    /// Variance of the overlap that grows, over that of the start.
    ///
    /// At every step the noises of the messages have overlaps of order `√(q/p)` of their own with
    /// the truth. Carried back to the start by the left eigenvector `(1, 1/λ)` of the map above,
    /// they add up to a geometric series. Without a layer it is `1/(1 - Δ)`: the share of the
    /// start in the leading eigenvector of `Y` over that in the truth.
    fn amplification(&self, noise: f64) -> f64 {
        let lambda = self.growth(noise);
        let alpha = self.through_latent();
        let field = f64::from(u8::from(self.aspect.is_some()));
        // One noise of the message of `Y` kicks the signal, and α times that the latent.
        let data = (1.0 + alpha / lambda).powi(2);
        let (mut x, mut z, mut sum, mut weight) = (1.0, 0.0, 1.0, 1.0);
        for _ in 0..CAP {
            weight /= lambda * lambda;
            sum += weight * (data * x / noise + field * z);
            (x, z) = (x / noise + field * z, alpha * x / noise);
        }
        sum
    }

    /// State evolution with declared ratios; all sizes are even, so they are the realised ones.
    fn run(&self, noise: f64, start: &Start, steps: usize) -> Result<Trajectory, FigureError> {
        Ok(trajectory(&self.tree(noise)?, start, steps)?)
    }

    /// The squared overlap that counts as escaped: half of its value at the fixed point.
    fn escaped(&self) -> Result<f64, FigureError> {
        let run = self.run(self.noise(), &Start::Informed, REST_STEPS)?;
        let m = run.steps.last().map_or(f64::NAN, |step| 1.0 - step.mmse);
        Ok(0.5 * m * m)
    }

    /// Law of the escape time at size `p`, without the cap: quantiles, of equal weight.
    fn escape_times(&self, noise: f64, p: usize) -> Result<Vec<f64>, FigureError> {
        let goal = self.escaped()?;
        let (norm, lambda) = (SMALL / p as f64, self.growth(noise));
        let scale = self.amplification(noise) * norm / p as f64;
        let name = self.tree(noise)?.signal().name.clone();
        let mut grid = Vec::new();
        for log in log_squares() {
            // Both until the overlap outgrows the rest, and until it is of order 1.
            let steps = 10 + ((2.0 * (p as f64).ln() - SMALL.ln() - log) / lambda.ln()) as usize;
            let truth = (scale * log.exp()).sqrt();
            let run = self.run(noise, &Start::Random { truth, norm }, steps)?;
            let squares: Vec<f64> = run
                .steps
                .iter()
                .map(|step| step.variables[&name].truth.powi(2))
                .collect();
            let after = squares.iter().position(|m2| *m2 >= goal).unwrap_or(CAP);
            let time = match after {
                0 | CAP => after as f64,
                t => {
                    let (low, high) = (squares[t - 1].ln(), squares[t].ln());
                    (t - 1) as f64 + (goal.ln() - low) / (high - low)
                }
            };
            grid.push((log, time));
        }
        let normal = Normal::standard();
        let quantile = |i: usize| {
            let level = (i as f64 + 0.5) / QUANTILES as f64;
            2.0 * normal.inverse_cdf(0.5 + 0.5 * level).ln()
        };
        let time = |log| interpolate(&grid, log).ceil().max(0.0);
        Ok((0..QUANTILES).map(|i| time(quantile(i))).collect())
    }
}

/// `ln χ²` of standard normal overlaps `χ` at which state evolution is run: fine enough for the
/// fractions of an iteration to average out. Below, the escape time is all but linear in it.
fn log_squares() -> impl Iterator<Item = f64> {
    (0..19).map(|i| -10.0 + 0.7 * f64::from(i))
}

const QUANTILES: usize = 4000;
/// Iterations to the fixed point, at a rate that is not close to 1.
const REST_STEPS: usize = 200;

/// Through increasing abscissae, on along the first and the last segment.
fn interpolate(points: &[(f64, f64)], x: f64) -> f64 {
    let last = points.len() - 2;
    let i = points[1..=last].partition_point(|point| point.0 < x);
    let ((x0, y0), (x1, y1)) = (points[i], points[i + 1]);
    y0 + (y1 - y0) * (x - x0) / (x1 - x0)
}

fn mean(values: &[f64], cap: f64) -> f64 {
    values.iter().map(|value| value.min(cap)).sum::<f64>() / values.len() as f64
}

fn norm_theory(model: &Model) -> Result<Vec<Row>, FigureError> {
    let start = Start::Random {
        truth: 0.0,
        norm: NORM,
    };
    let name = model.tree(1.0)?.signal().name.clone();
    let mut rows = Vec::new();
    for (series, noise) in [("n", model.noise()), ("shifted", 1.05 * model.noise())] {
        for step in model.run(noise, &start, NORM_STEPS)?.steps {
            let (t, norm) = (step.iteration as f64, step.variables[&name].norm);
            let names = if series == "n" {
                &SIZES[..]
            } else {
                &["shifted"]
            };
            rows.extend(
                names
                    .iter()
                    .map(|size| Row::theory("norm", format!("{} {size}", model.name), t, norm)),
            );
        }
    }
    Ok(rows)
}

fn escape_theory(model: &Model, sizes: [usize; 3]) -> Result<Vec<Row>, FigureError> {
    let row = |panel: &str, series: &str, y| {
        Row::theory(panel, format!("{} {series}", model.name), 0.0, y)
    };
    let (noise, shifted) = (model.noise(), 1.05 * model.noise());
    let mut rows = Vec::new();
    let mut largest = Vec::new();
    for (size, p) in SIZES.into_iter().zip(sizes) {
        largest = model.escape_times(noise, p)?;
        rows.push(row("time", size, mean(&largest, CAP as f64)));
    }
    let [quarter, _, n] = sizes;
    rows.push(row(
        "time",
        "shifted",
        mean(&model.escape_times(shifted, n)?, CAP as f64),
    ));
    let free = |p| Ok::<_, FigureError>(mean(&model.escape_times(noise, p)?, f64::INFINITY));
    rows.push(row("slope", "difference", free(4 * LARGE)? - free(LARGE)?));
    let slope = model.growth(noise).ln().recip();
    rows.push(row("slope", "b", slope));
    rows.push(row("slope", "shifted", model.growth(shifted).ln().recip()));
    for t in 0..CAP {
        let escaped = largest.iter().filter(|time| **time <= t as f64).count();
        let name = format!("{} n", model.name);
        rows.push(Row::theory(
            "law",
            name,
            t as f64,
            escaped as f64 / QUANTILES as f64,
        ));
    }
    // The line of slope b through the largest size.
    for p in [quarter / 2, 2 * n] {
        let y = mean(&largest, CAP as f64) + slope * (p as f64 / n as f64).ln();
        rows.push(Row::theory("line", model.name, p as f64, y));
    }
    for (series, noise) in [("n", noise), ("shifted", shifted)] {
        let run = model.run(noise, &Start::Informed, REST_STEPS)?;
        let y = run.steps.last().map_or(f64::NAN, |step| step.mmse);
        let names = if series == "n" {
            &SIZES[..]
        } else {
            &["shifted"]
        };
        rows.extend(names.iter().map(|size| row("rest", size, y)));
    }
    Ok(rows)
}

/// Squared norm per component of the starts whose norm is followed.
const NORM: f64 = 0.1;

fn norm_simulation(
    context: &Context,
    model: &Model,
    size: usize,
    p: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let sized = Sized::new(&model.tree(model.noise())?, p)?;
    let runs = trials(context, count, |seed| {
        run_from(&sized, NORM, seed, |settings| {
            settings.max_iterations = NORM_STEPS;
            settings.tolerance = 0.0;
        })
    })?;
    let series = format!("{} {}", model.name, SIZES[size]);
    let row = |t: usize| {
        let norm = |run: &Outcome| run.trace.get(t).map_or(f64::NAN, |record| record.norm);
        let sample = Sample::of(&runs.iter().map(norm).collect::<Vec<_>>());
        Row::measured("norm", &series, t as f64, sample)
    };
    Ok((0..=NORM_STEPS).map(row).collect())
}

fn escape_simulation(
    context: &Context,
    model: &Model,
    size: usize,
    p: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let goal = model.escaped()?;
    let sized = Sized::new(&model.tree(model.noise())?, p)?;
    let runs = trials(context, count, |seed| {
        run_from(&sized, SMALL / sized.p() as f64, seed, |settings| {
            settings.tolerance = REST;
            settings.max_iterations = 4 * CAP;
        })
    })?;
    let time = |run: &Outcome| {
        let escaped = |m: Option<f64>| m.is_some_and(|m| m * m >= goal);
        let found = run.trace.iter().position(|record| escaped(record.overlap));
        found.unwrap_or(CAP).min(CAP) as f64
    };
    let times: Vec<f64> = runs.iter().map(time).collect();
    let errors: Vec<f64> = runs.iter().map(|run| run.mse.unwrap_or(f64::NAN)).collect();
    let series = format!("{} {}", model.name, SIZES[size]);
    let mut rows = vec![
        Row::theory("size", SIZES[size], 0.0, sized.p() as f64),
        Row::measured("time", &series, 0.0, Sample::of(&times)),
        Row::measured("rest", &series, 0.0, Sample::of(&errors)),
    ];
    for t in 0..CAP {
        let escaped = |time: &f64| f64::from(u8::from(*time <= t as f64));
        let sample = Sample::of(&times.iter().map(escaped).collect::<Vec<_>>());
        rows.push(Row::measured("law", &series, t as f64, sample));
    }
    Ok(rows)
}

/// Plain message passing from a random vector of squared norm `norm` per component.
fn run_from(
    sized: &Sized,
    norm: f64,
    seed: Seed,
    choose: impl FnOnce(&mut Settings),
) -> Result<Outcome, FigureError> {
    let mut stream = seed.stream("start", 0, 0, "direction");
    let mut start = Posterior::constant(sized.p(), 1, 0.0, 1.0 - norm);
    let direction = start.mean.as_mut_slice();
    let normal = Gaussian::standard();
    direction
        .iter_mut()
        .for_each(|x| *x = normal.sample(&mut stream));
    let square: f64 = direction.iter().map(|x| x * x).sum();
    let scale = (norm * sized.p() as f64 / square).sqrt();
    direction.iter_mut().for_each(|x| *x *= scale);
    let name = sized.tree.signal().name.clone();
    let mut settings = Settings {
        start: onsager_amp::Start::Given(vec![(name, start)]),
        damping: Damping::Fixed(1.0),
        seed,
        ..Settings::default()
    };
    choose(&mut settings);
    sized.infer(&sized.draw(seed)?, &settings)
}
