//! Whether labels modulo one hide a direction: the shortest vector with and without one.

use onsager_lattice::planted::{self, Shape};
use onsager_lattice::{Clwe, Search};

use crate::agreement::{Agreement, Claim, Sample, Success};
use crate::drawing::{Axis, Histogram, Line, Marker, Picture, Plot, Points, Rule};
use crate::figures::common::trials;
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Detection in continuous learning with errors.
pub(crate) struct LatticeDetect;

const DIMENSION: usize = 16;
const GAMMA: f64 = 2.0;
/// Bits in percent of the estimate; the histogram is at the second.
const PERCENT: [usize; 5] = [105, 130, 160, 200, 250];
const SHOWN: usize = 130;

const PLANTED: &str = "hidden direction";
const NULL: &str = "uniform labels";
const NORM: &str = "norm";
const DETECTED: &str = "detected";
const SAMPLES: &str = "samples";

fn bits(percent: usize) -> f64 {
    (Clwe::bits_needed(DIMENSION, GAMMA) * percent as f64 / 100.0).ceil()
}

impl Figure for LatticeDetect {
    fn id(&self) -> &'static str {
        "lattice-detect"
    }

    fn title(&self) -> &'static str {
        "Detecting a hidden direction in labels modulo one"
    }

    fn source(&self) -> &'static str {
        "arXiv 2106.10744 (no figure there)"
    }

    fn claim(&self) -> &'static str {
        "From d + 1 samples the shortest vector that lattice reduction finds tells labels γ<w, x> mod 1 \
         from uniform ones: its norm is √(1 + (d + 1)γ²) against a length that doubles with every n bits."
    }

    fn theory(&self, _: Profile) -> Vec<Job> {
        vec![Job::new(format!("d={DIMENSION} gamma={GAMMA}"), |_| {
            let n = (DIMENSION + 2) as f64;
            let cell = std::f64::consts::TAU * std::f64::consts::E;
            let planted = 0.5 * (1.0 + (DIMENSION + 1) as f64 * GAMMA * GAMMA).log2();
            let rows = PERCENT.into_iter().flat_map(|percent| {
                let x = bits(percent);
                // For numbers of order one; each instance is judged by its own volume.
                let null = 0.5 * (n / cell).log2() + x / n;
                [
                    Row::theory(NORM, PLANTED, x, planted),
                    Row::theory(NORM, NULL, x, null),
                ]
            });
            Ok(rows.collect())
        })]
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let count = profile.pick(60, 400, 2000);
        let kinds = [(PLANTED, true), (NULL, false)];
        let points = kinds
            .into_iter()
            .flat_map(|kind| PERCENT.map(|percent| (kind, percent)));
        points
            .map(|((name, planted), percent)| {
                Job::new(
                    format!("{name} percent={percent} trials={count}"),
                    move |context| simulate(context, name, planted, percent, count),
                )
            })
            .collect()
    }

    fn agreements(&self, _: &Table, simulation: &Table) -> Vec<Agreement> {
        let mut there = Success::new("a hidden direction is seen");
        let mut nothing = Success::new("none is seen in uniform labels");
        for percent in PERCENT.into_iter().filter(|&percent| percent >= SHOWN) {
            let row = |name: &str| simulation.at(DETECTED, name, bits(percent));
            let label = format!("{} bits", bits(percent));
            there = there.row(label.clone(), row(PLANTED), Claim::AtLeast(0.95));
            nothing = nothing.row(label, row(NULL), Claim::AtMost(0.05));
        }
        vec![there.into(), nothing.into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let norm = "log2 of the norm of the first vector";
        let mut histogram = Plot::new(
            format!("d = {DIMENSION}, γ = {GAMMA}, {} bits", bits(SHOWN)),
            Axis::linear(norm),
            Axis::linear("density"),
        );
        let mut growth = Plot::new("against bits", Axis::linear("bits N"), Axis::linear(norm));
        for (i, name) in [PLANTED, NULL].into_iter().enumerate() {
            let sample = simulation.values(SAMPLES, name);
            histogram = histogram
                .with(Histogram::of(name, &sample, 2.0, 6.5, 45).colour(i))
                .with(Rule::vertical(theory.value(NORM, name, bits(SHOWN)), "").colour(i));
            let marker = [Marker::Disc, Marker::Square][i];
            growth = growth
                .with(Line::new(name, theory.curve(NORM, name)).colour(i))
                .with(
                    Points::new(name, simulation.points(NORM, name))
                        .colour(i)
                        .marker(marker),
                );
        }
        Picture::new(2).panel(histogram).panel(growth)
    }
}

fn simulate(
    context: &Context,
    name: &str,
    planted: bool,
    percent: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let x = bits(percent);
    let search = Search {
        most_bits: Some(x as usize),
        ..Search::default()
    };
    let found = trials(context, count, |seed| {
        let rng = &mut seed.stream("", 0, 0, "instance");
        let shape = Shape::least(DIMENSION, x as usize + 8);
        let problem = if planted {
            planted::clwe(shape, GAMMA, rng)?.problem
        } else {
            planted::clwe_null(shape, GAMMA, rng)?
        };
        match problem.detect(&search) {
            Ok(found) => Ok(Some(found)),
            // Samples whose relation is short leave a lattice in which nothing can be told.
            Err(onsager_lattice::LatticeError::TooFewBits { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })?;
    let norms: Vec<f64> = found.iter().flatten().map(|found| found.norm).collect();
    let seen = found.iter().flatten().filter(|found| found.planted).count() as u64;
    let mut rows = vec![
        Row::measured(NORM, name, x, Sample::of(&norms)),
        Row::fraction(DETECTED, name, x, seen, count as u64),
    ];
    if percent == SHOWN {
        let sample = norms.iter().enumerate();
        rows.extend(sample.map(|(i, norm)| Row::theory(SAMPLES, name, i as f64, *norm)));
    }
    Ok(rows)
}
