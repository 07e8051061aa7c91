//! The covariance of Fashion-MNIST as a prior: what its own spectrum predicts for Gaussian spikes.

use onsager_amp::spectral::{self, lamp_with};
use onsager_ensembles::Seed;
use onsager_operators::{LinearOperator, Shape};
use onsager_replica::spectral::{Covariance, SpikedMatrix, lamp_given, pca_spectrum};
use onsager_scalar::Prior;
use onsager_scalar::prior::Gaussian;

use crate::agreement::{Agreement, Claim, Collapse, Identity, MeanSeries, Means, Sample, Success};
use crate::data::PIXELS;
use crate::drawing::{Axis, BLACK, Dash, Line, Marker, Picture, Plot, Points, Rule};
use crate::figures::common::{SHIFT, controlled, decades, ladder};
use crate::figures::spiked_fashion::{Data, component, data, linearised, matrix};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Overlap and transition from measured eigenvalues.
pub(crate) struct LampFashion;

/// Noises of the simulation, in units of the threshold `mean t²`.
const SIMULATED: [f64; 5] = [0.005, 0.02, 0.05, 0.4, 4.0];
/// As many of them are judged. Closer to the transition one eigenvector, which has more than a third
/// of the variance, decides alone: finite size rules, and the points are shown.
const JUDGED: usize = 3;
/// How far the squared overlap of one spike may lie from theory: fluctuations are of order `1/√p`,
/// enhanced as the noise grows, where they reach 0.05.
const CLOSE: f64 = 0.15;

impl Figure for LampFashion {
    fn id(&self) -> &'static str {
        "lamp-fashion"
    }

    fn title(&self) -> &'static str {
        "The spectrum of Fashion-MNIST as a prior"
    }

    fn source(&self) -> &'static str {
        "arXiv 1905.12385, spikes from Fashion-MNIST; random-matrix lines: own"
    }

    fn claim(&self) -> &'static str {
        "The eigenvalues of the covariance of the training images predict how well linearised message \
         passing recovers a Gaussian spike of that covariance at noises where the principal component \
         has lost it; the transition, at the mean square of the eigenvalues, is two decades later, \
         and 784 pixels do not show it: one direction has a third of the variance, and without any \
         information the eigenvector still points there. With every eigenvalue repeated m times \
         the same law has the transition, sharper as m grows."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let points = profile.pick(24, 80, 160);
        let largest = copies(profile);
        vec![
            Job::new(format!("overlap points={points}"), move |_| theory(points)),
            Job::new(format!("copies={largest} points={points}"), move |_| {
                replicated(points, largest)
            }),
        ]
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let count = profile.pick(16, 48, 400);
        let job = |relative: f64| {
            let key = format!("noise={relative} spikes={count}");
            Job::new(key, move |context| simulate(context, relative, count))
        };
        let mut jobs: Vec<Job> = SIMULATED.map(job).into();
        let ladder = ladder(copies(profile));
        for relative in [&BELOW[..], &[BETWEEN, BEYOND]].concat() {
            let count = profile.pick(960, 480, 480);
            // What is shown, and a power, need fewer.
            let count = if BELOW.contains(&relative) {
                count
            } else {
                count / 3
            };
            for copies in [1].into_iter().chain(ladder) {
                let key = format!("copies={copies} noise={relative} spikes={count}");
                jobs.push(Job::new(key, move |context| {
                    repeated(context, relative, copies, count)
                }));
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let mut routes = Identity::new(
            "overlap: the law of the eigenvalues, and a spike with typical components",
            "two bisections of different equations, each to rounding seen through a slope",
        );
        for relative in SIMULATED.into_iter().filter(|relative| *relative < 1.0) {
            let value = |series| theory.value(ROUTES, series, relative);
            routes = routes
                .point(format!("{relative} Δc"), value("law"), value("spike"), 1e-8)
                .control(value("law shifted"));
        }
        let success = |title: &str, name: &str, noises: &[f64]| {
            noises.iter().fold(Success::new(title), |success, noise| {
                let row = simulation.at(SUCCESS, name, *noise);
                let (fraction, trials) = row.map_or((0.0, 0), |row| (row.y, row.trials));
                let count = (fraction * trials as f64).round() as u64;
                let label = format!("{noise} Δc");
                success.point(label, count, trials, Claim::AtLeast(0.8))
            })
        };
        // Fluctuations that the spike explains are taken out; the rest is of order 1/m on average.
        let mut means = Means::new("repeated eigenvalues: overlap below the transition", 1.0);
        let ladder: Vec<f64> = theory.values(COPIES, SIZES);
        // A direction without information has cos² of order 1/m: the rest is 1/m of that.
        let mut transition = Collapse::new(
            "repeated eigenvalues: above the transition the overlap falls as 1/m",
            1.0,
            0.0,
            0.3,
        );
        if let &[quarter, half, full] = ladder.as_slice() {
            let names = [quarter, half, full].map(times);
            let series = MeanSeries {
                panel: COPIES,
                sizes: [quarter, half, full],
                theory: [JUDGED_COPIES; 3],
                simulation: names.each_ref().map(String::as_str),
                shifted: SHIFTED_COPIES,
            };
            means = means.series(theory, simulation, series, |_| true);
            let sized = |copies: &f64| {
                (
                    *copies,
                    Sample::at(simulation, COPIES, &times(*copies), BEYOND),
                )
            };
            transition =
                transition.point(format!("{BEYOND} Δc"), ladder.iter().map(sized).collect());
        }
        vec![
            means.into(),
            transition.into(),
            routes.into(),
            success(
                "squared overlap as theory says for the spike",
                AS_SAID,
                &SIMULATED[..JUDGED],
            )
            .into(),
            success("LAMP finds what PCA has lost", FOUND, &SIMULATED[1..JUDGED]).into(),
        ]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let threshold = theory.value(THRESHOLD, LAMP, 0.0);
        let plot = Plot::new(
            "Gaussian spikes with the covariance of Fashion-MNIST",
            Axis::log("noise Δ"),
            Axis::linear("cos²").range(0.0, 1.0),
        )
        .with(Line::new("LAMP, typical spike", theory.curve(OVERLAP, LAMP)).colour(0))
        .with(
            Points::new("LAMP, simulation", simulation.points(OVERLAP, LAMP))
                .colour(0)
                .marker(Marker::Disc),
        )
        .with(
            Points::new("theory given the spikes", simulation.points(OVERLAP, GIVEN))
                .colour(2)
                .marker(Marker::Diamond),
        )
        .with(
            Line::new(PCA, theory.curve(OVERLAP, PCA))
                .colour(1)
                .dash(Dash::Dashed),
        )
        .with(
            Points::new(PCA, simulation.points(OVERLAP, PCA))
                .colour(1)
                .marker(Marker::Square),
        )
        .with(Rule::vertical(threshold, "mean square of the eigenvalues"));
        let ranked = Plot::new(
            "Eigenvalues of the covariance",
            Axis::log("rank"),
            Axis::log("eigenvalue"),
        )
        .with(Line::new("eigenvalues", theory.curve(RANKED, LAMP)).colour(BLACK));
        let mut many = Plot::new(
            format!("The {LEADING} largest eigenvalues, m times each"),
            Axis::log("noise/transition"),
            Axis::linear("cos²").range(0.0, 1.0),
        )
        .with(Line::new("m = ∞", theory.curve(COPIES, LAMP)).colour(BLACK))
        .with(Rule::vertical(1.0, "1"));
        let sizes = theory.values(COPIES, SIZES);
        for (i, copies) in [1.0].into_iter().chain(sizes).enumerate() {
            let points = simulation.points(COPIES, &times(copies));
            let marker = [Marker::Disc, Marker::Square, Marker::Diamond][i % 3];
            many = many.with(Points::new(times(copies), points).colour(i).marker(marker));
        }
        Picture::new(3).panel(plot).panel(ranked).panel(many)
    }
}

/// Eigenvalues that are repeated, from the largest: with 0.12 percent of the mean square left out (and
/// 19 percent of the mean), the matrices of many copies stay small.
const LEADING: usize = 24;
/// Noises in units of the transition of the repeated eigenvalues: where means are judged, and above
/// it a power of the copies; between them a point is shown.
const BELOW: [f64; 2] = [0.05, 0.1];
const BETWEEN: f64 = 0.4;
const BEYOND: f64 = 4.0;
const COPIES: &str = "copies";
const SIZES: &str = "sizes";
const JUDGED_COPIES: &str = "judged";
const SHIFTED_COPIES: &str = "judged, shifted";

fn times(copies: impl Into<f64>) -> String {
    format!("m = {}", copies.into())
}

/// Most copies of an eigenvalue.
fn copies(profile: Profile) -> usize {
    profile.pick(8, 32, 128)
}

/// The largest eigenvalues, and their mean and mean square over all pixels.
fn leading(data: &Data) -> (Vec<f64>, f64, f64) {
    let values = data.eigen.values[PIXELS - LEADING..].to_vec();
    let mean = |f: &dyn Fn(f64) -> f64| values.iter().map(|t| f(*t)).sum::<f64>() / PIXELS as f64;
    let (first, second) = (mean(&|t| t), mean(&|t| t * t));
    (values, first, second)
}

/// Overlap of the repeated eigenvalues as their number grows.
fn replicated(points: usize, largest: usize) -> Result<Vec<Row>, FigureError> {
    let (mut values, _, critical) = leading(data()?);
    values.resize(PIXELS, 0.0);
    let covariance = Covariance::measured(values)?;
    let overlap = |relative: f64| {
        let noise = relative * critical;
        covariance.overlap(SpikedMatrix::Wigner { noise })
    };
    let mut rows = Vec::new();
    for relative in decades(0.02, 6.0, points) {
        rows.push(Row::theory(COPIES, LAMP, relative, overlap(relative)?));
    }
    for relative in BELOW {
        for (series, at) in [
            (JUDGED_COPIES, relative),
            (SHIFTED_COPIES, SHIFT * relative),
        ] {
            rows.push(Row::theory(COPIES, series, relative, overlap(at)?));
        }
    }
    for (i, m) in ladder(largest).into_iter().enumerate() {
        rows.push(Row::theory(COPIES, SIZES, i as f64, m as f64));
    }
    Ok(rows)
}

/// A diagonal covariance: noise has no preferred basis.
struct Diagonal(Vec<f64>);

impl LinearOperator for Diagonal {
    fn shape(&self) -> Shape {
        Shape::square(self.0.len())
    }
    fn apply_column(&self, x: &[f64], y: &mut [f64]) {
        let products = self.0.iter().zip(x).map(|(t, x)| t * x);
        y.iter_mut()
            .zip(products)
            .for_each(|(y, product)| *y = product);
    }
    fn apply_adjoint_column(&self, x: &[f64], y: &mut [f64]) {
        self.apply_column(x, y);
    }
    fn bytes(&self) -> usize {
        8 * self.0.len()
    }
}

/// Gaussian spikes whose covariance has each of the largest eigenvalues `copies` times, and else
/// zeros: of the matrix only the part in their range is drawn, which alone matters.
fn repeated(
    context: &Context,
    relative: f64,
    copies: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let (values, rho, critical) = leading(data()?);
    let noise = relative * critical;
    let all = copies * PIXELS;
    let spectrum = Diagonal(values.iter().flat_map(|t| vec![*t; copies]).collect());
    let size = spectrum.0.len();
    let mut padded = values.clone();
    padded.resize(PIXELS, 0.0);
    let limit = Covariance::measured(padded.clone())?.overlap(SpikedMatrix::Wigner { noise })?;
    // Spike and noise of the part, in the units of its own size.
    let part = size as f64 / all as f64;
    let (mut found, mut rest) = (Vec::new(), Vec::new());
    let mut accidents = [const { Vec::new() }; 3];
    for trial in 0..count {
        context.check()?;
        let seed = Seed(context.seed(trial as u64, "copies"));
        let mut stream = seed.stream("copies", 0, 0, "spike");
        let normal = Gaussian::standard();
        let drawn: Vec<f64> = (spectrum.0.iter())
            .map(|t| t.sqrt() * normal.sample(&mut stream))
            .collect();
        let norm: f64 = drawn.iter().map(|x| x * x).sum();
        let scale = (all as f64 * rho / norm).sqrt();
        let x: Vec<f64> = drawn.iter().map(|x| x * scale * part.sqrt()).collect();
        let y = matrix(&x, noise * part, seed)?;
        let spiked = spectral::SpikedMatrix {
            matrix: y.clone(),
            noise: noise * part,
            left: None,
        };
        let cos_squared = lamp_with(&spiked, &spectrum, rho)?.squared_cosine(&x);
        // Only the weight of all copies of an eigenvalue matters.
        let shares = x.chunks_exact(copies);
        let mut weights: Vec<f64> = shares
            .map(|x| x.iter().map(|x| x * x / size as f64).sum())
            .collect();
        weights.resize(PIXELS, 0.0);
        let given = lamp_given(&padded, &weights, SpikedMatrix::Wigner { noise })?.cos_squared;
        found.push(cos_squared);
        rest.push(limit + cos_squared - given);
        // The noise on the spike, and three of its numbers, of mean zero.
        let mut image = vec![0.0; size];
        y.apply_column(&x, &mut image);
        let square: f64 = x.iter().map(|x| x * x).sum();
        let noisy: Vec<f64> = (image.iter().zip(&x))
            .map(|(y, x)| y / (size as f64).sqrt() - square * x / size as f64)
            .collect();
        let dot = |a: &[f64], b: &[f64], power: i32| -> f64 {
            let spectrum = spectrum.0.iter();
            (a.iter().zip(b).zip(spectrum))
                .map(|((a, b), t)| a * b * t.powi(power))
                .sum()
        };
        let trace: f64 = spectrum.0.iter().sum();
        let mean = noise * part / size as f64 * (square * trace + dot(&x, &x, 1));
        accidents[0].push(dot(&x, &noisy, 0));
        accidents[1].push(dot(&x, &noisy, 1));
        accidents[2].push(dot(&noisy, &noisy, 1) - mean);
    }
    let name = times(copies as f64);
    let sample = if BELOW.contains(&relative) {
        controlled(&rest, &accidents)
    } else {
        Sample::of(&found)
    };
    Ok(vec![Row::measured(COPIES, &name, relative, sample)])
}

const PCA: &str = "PCA";
const LAMP: &str = "LAMP";
const GIVEN: &str = "LAMP given the spike";
const OVERLAP: &str = "overlap";
const ROUTES: &str = "routes";
const THRESHOLD: &str = "threshold";
const RANKED: &str = "eigenvalues";
const SUCCESS: &str = "success";
const AS_SAID: &str = "as predicted";
const FOUND: &str = "found";
/// Squared overlap that counts as nothing; above its threshold the principal component has a few `1/p`.
const NOTHING: f64 = 0.1;

/// Mean square of the eigenvalues.
fn threshold(data: &Data) -> f64 {
    data.eigen.values.iter().map(|t| t * t).sum::<f64>() / PIXELS as f64
}

fn theory(points: usize) -> Result<Vec<Row>, FigureError> {
    let data = data()?;
    let values = &data.eigen.values;
    let covariance = Covariance::measured(values.clone())?;
    let critical = threshold(data);
    let overlap = |noise: f64| covariance.overlap(SpikedMatrix::Wigner { noise });
    let mut rows = vec![Row::theory(THRESHOLD, LAMP, 0.0, critical)];
    let (low, high) = (0.05f64, 6.0 * critical);
    for i in 0..points {
        let noise = low * (high / low).powf(i as f64 / (points - 1) as f64);
        rows.push(Row::theory(OVERLAP, LAMP, noise, overlap(noise)?));
        let pca = pca_spectrum(1.0, SpikedMatrix::Wigner { noise })?.overlap;
        rows.push(Row::theory(OVERLAP, PCA, noise, pca));
    }
    let typical: Vec<f64> = values.iter().map(|t| t / PIXELS as f64).collect();
    for relative in SIMULATED {
        let noise = relative * critical;
        let spike = lamp_given(values, &typical, SpikedMatrix::Wigner { noise })?.cos_squared;
        let law = [("law", noise), ("law shifted", 1.05 * noise)];
        rows.push(Row::theory(ROUTES, "spike", relative, spike));
        for (series, noise) in law {
            rows.push(Row::theory(ROUTES, series, relative, overlap(noise)?));
        }
    }
    let ranked = values.iter().rev().enumerate().filter(|(_, t)| **t > 1e-6);
    rows.extend(ranked.map(|(i, t)| Row::theory(RANKED, LAMP, (i + 1) as f64, *t)));
    Ok(rows)
}

/// A Gaussian spike of the covariance, at squared norm `p`.
fn spike(data: &Data, seed: Seed) -> Vec<f64> {
    let mut stream = seed.stream("spike", 0, 0, "spike");
    let mut x = vec![0.0; PIXELS];
    let vectors = data.eigen.vectors.as_slice().chunks_exact(PIXELS);
    for (u, t) in vectors.zip(&data.eigen.values) {
        let along = t.max(0.0).sqrt() * Gaussian::standard().sample(&mut stream);
        x.iter_mut().zip(u).for_each(|(x, u)| *x += along * u);
    }
    let norm: f64 = x.iter().map(|x| x * x).sum();
    x.iter()
        .map(|x| x * (PIXELS as f64 / norm).sqrt())
        .collect()
}

fn simulate(context: &Context, relative: f64, count: usize) -> Result<Vec<Row>, FigureError> {
    let data = data()?;
    let noise = relative * threshold(data);
    let (mut found, mut lost, mut given) = (Vec::new(), Vec::new(), Vec::new());
    for trial in 0..count {
        context.check()?;
        let seed = Seed(context.seed(trial as u64, "trial"));
        let x = spike(data, seed);
        let y = matrix(&x, noise, seed)?;
        let lamp = linearised(&y, noise)?;
        found.push(lamp.squared_cosine(&x));
        lost.push(component(&y, noise)?.squared_cosine(&x));
        let weights = data.weights(&x);
        given.push(
            lamp_given(&data.eigen.values, &weights, SpikedMatrix::Wigner { noise })?.cos_squared,
        );
    }
    let fraction = |name: &str, holds: &dyn Fn(usize) -> bool| {
        let hits: Vec<f64> = (0..count).map(|i| f64::from(u8::from(holds(i)))).collect();
        Row::measured(SUCCESS, name, relative, Sample::of(&hits))
    };
    Ok(vec![
        Row::measured(OVERLAP, LAMP, noise, Sample::of(&found)),
        Row::measured(OVERLAP, GIVEN, noise, Sample::of(&given)),
        Row::measured(OVERLAP, PCA, noise, Sample::of(&lost)),
        fraction(AS_SAID, &|i| (found[i] - given[i]).abs() < CLOSE),
        fraction(FOUND, &|i| found[i] > NOTHING && lost[i] < NOTHING),
    ])
}
