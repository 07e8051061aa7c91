//! The covariance of Fashion-MNIST as a prior: what its own spectrum predicts for Gaussian spikes.

use onsager_ensembles::Seed;
use onsager_replica::spectral::{Covariance, SpikedMatrix, lamp_given, pca_spectrum};
use onsager_scalar::Prior;
use onsager_scalar::prior::Gaussian;

use crate::agreement::{Agreement, Claim, Identity, Sample, Success};
use crate::data::PIXELS;
use crate::drawing::{Axis, BLACK, Dash, Line, Marker, Picture, Plot, Points, Rule};
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
         and rounded, because one direction has a third of the variance."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let points = profile.pick(24, 80, 160);
        vec![Job::new(format!("overlap points={points}"), move |_| {
            theory(points)
        })]
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let count = profile.pick(16, 48, 400);
        let job = |relative: f64| {
            let key = format!("noise={relative} spikes={count}");
            Job::new(key, move |context| simulate(context, relative, count))
        };
        SIMULATED.map(job).into()
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
        vec![
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
        Picture::new(2).panel(plot).panel(ranked)
    }
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
        let spike = lamp_given(values, &typical, noise)?.cos_squared;
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
        given.push(lamp_given(&data.eigen.values, &weights, noise)?.cos_squared);
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
