//! Where lattice reduction and where message passing recovers: noise against samples.

use std::sync::Arc;

use onsager_amp::Settings;
use onsager_lattice::planted::{self, Shape};
use onsager_lattice::{PhaseRetrieval, Recover, Search};
use onsager_model::{Chain, ModelError, Tree};
use onsager_replica::{Key, ThresholdKind, thresholds};
use onsager_scalar::Likelihood;
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::likelihood::Additive;

use super::common::{REST, SHIFT, Sized, exact_output, fewest_bits, gaussian, trials};
use crate::agreement::{Agreement, Claim, Identity, Success};
use crate::drawing::{Axis, HeatMap, Marker, Picture, Plot, Points, Rule};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Success over noise and number of samples.
pub(crate) struct LatticeNoise;

const PANEL: &str = "success";
const LINE: &str = "line";
const LATTICE: &str = "lattice reduction";
const PASSING: &str = "message passing";
const NOISY: &str = "with the larger noise";
const JUDGED: &str = "recovers";
const DIMENSION: usize = 20;
/// Samples beyond the dimension.
const BEYOND: [usize; 6] = [1, 2, 4, 6, 8, 10];
/// Noise is uniform in `±2^-b`.
const BITS: [usize; 11] = [8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88];
/// Digits of the labels beyond their noise.
const GUARD: usize = 32;
/// Noises at which message passing is run, the largest and one near the square root of the rounding of double
/// precision: it does not tell them apart.
const COARSE: [usize; 2] = [8, 24];
/// Further random starts of message passing, where the first has not found a solution.
const RESTARTS: usize = 2;
/// The threshold of message passing in the literature, in four digits.
const PUBLISHED: f64 = 1.128;
/// Squared error over that of no estimate below which message passing has found the signal: what noise leaves
/// is below 1e-4, what a fixed point that is not informed leaves above 0.15.
const FOUND: f64 = 1e-3;

/// Components of the signal of message passing, and samples for each: where the threshold is
/// `3 n^(-1/2)` away or more, and where not.
fn tried(profile: Profile) -> (usize, &'static [f64], &'static [f64]) {
    profile.pick(
        // The smaller one is n = d + 1.
        (625, &[1.0016, 1.35], &[]),
        (1600, &[1.05, 1.2, 1.35], &[1.1]),
        (3200, &[1.05, 1.2, 1.35, 1.5], &[1.1, 1.15]),
    )
}

fn ratio(beyond: usize) -> f64 {
    (DIMENSION + beyond) as f64 / DIMENSION as f64
}

fn series(bits: usize) -> String {
    format!("b = {bits}")
}

/// Phase retrieval of a Gaussian signal, with noise of the variance of the uniform one, or without.
fn tree(bits: Option<usize>, ratio: f64) -> Result<Tree, ModelError> {
    let output: Arc<dyn Likelihood> = match bits {
        Some(bits) => {
            let variance = 0.25f64.powi(bits as i32) / 3.0;
            Arc::new(Additive::new(Arc::new(PiecewiseLinear::abs()), variance)?)
        }
        None => exact_output("abs"),
    };
    Chain::new(gaussian()).glm(ratio, output)
}

/// The threshold of message passing in samples per component.
fn easy(bits: Option<usize>) -> Result<f64, FigureError> {
    let family = |ratio: f64| tree(bits, ratio);
    let found = thresholds(&family, Some((0.9, 1.5)), Key::SamplingRatio)?.thresholds;
    let mut easy = found
        .iter()
        .filter(|t| t.kind == ThresholdKind::Algorithmic);
    Ok(easy.next().map_or(f64::NAN, |t| t.value))
}

impl Figure for LatticeNoise {
    fn id(&self) -> &'static str {
        "lattice-noise"
    }

    fn title(&self) -> &'static str {
        "Phase retrieval: lattice reduction against message passing"
    }

    fn source(&self) -> &'static str {
        "arXiv 2106.10744; the threshold of message passing from PNAS 116, 5451 (2019)"
    }

    fn claim(&self) -> &'static str {
        "With exponentially small noise lattice reduction recovers the signal from d + 1 samples, fewer \
         than the 1.128 d of message passing; with more noise it fails however many samples there are, and \
         message passing does not."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let (_, far, _) = tried(profile);
        vec![
            Job::new(format!("d={DIMENSION}"), |_| {
                let needed = PhaseRetrieval::bits_needed(DIMENSION);
                // The search uses two bits less than the noise leaves.
                Ok(vec![Row::theory(LINE, LATTICE, 0.0, needed + 2.0)])
            }),
            Job::new(format!("{PASSING} far={far:?}"), move |_| {
                let line = easy(None)?;
                let noisy = easy(Some(COARSE[0]))?;
                let mut rows = vec![
                    Row::theory(LINE, PASSING, 0.0, line),
                    Row::theory(LINE, NOISY, 0.0, noisy),
                ];
                for ratio in far {
                    let recovers = f64::from(u8::from(*ratio > line));
                    rows.push(Row::theory(PASSING, JUDGED, *ratio, recovers));
                }
                Ok(rows)
            }),
        ]
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let count = profile.pick(16, 40, 400);
        let points = BITS
            .into_iter()
            .flat_map(|bits| BEYOND.map(|beyond| (bits, beyond)));
        let mut jobs: Vec<_> = points
            .map(|(bits, beyond)| {
                Job::new(
                    format!("b={bits} beyond={beyond} trials={count}"),
                    move |context| simulate(context, bits, beyond, count),
                )
            })
            .collect();
        let (p, far, near) = tried(profile);
        let count = profile.pick(16, 16, 32);
        for bits in COARSE {
            for ratio in far.iter().chain(near) {
                let key = format!("{PASSING} b={bits} n/d={ratio} d={p} trials={count}");
                jobs.push(Job::new(key, move |context| {
                    pass(context, bits, *ratio, p, count)
                }));
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let needed = theory.value(LINE, LATTICE, 0.0);
        let mut low =
            Success::new("recovery where the noise is 1.15 times as many bits down as estimated");
        let mut high = Success::new("failure where it is less than half as many down");
        for bits in BITS {
            for beyond in BEYOND {
                let x = ratio(beyond);
                let label = format!("b = {bits}, n/d = {x}");
                let row = simulation.at(PANEL, &series(bits), x);
                if bits as f64 >= 1.15 * needed {
                    low = low.row(label, row, Claim::AtLeast(0.9));
                } else if (bits as f64) < 0.5 * needed {
                    high = high.row(label, row, Claim::AtMost(0.1));
                }
            }
        }
        let mut passed =
            Success::new("message passing recovers beyond its threshold, at either noise");
        for bits in COARSE {
            for row in theory.series(PASSING, JUDGED) {
                let claim = match row.y {
                    1.0 => Claim::AtLeast(0.9),
                    _ => Claim::AtMost(0.1),
                };
                let label = format!("b = {bits}, n/d = {}", row.x);
                let found = simulation.at(PASSING, &series(bits), row.x);
                passed = passed.row(label, found, claim);
            }
        }
        let mut lines = Identity::new(
            "the threshold of message passing is the published one, with noise and without",
            "four digits are published",
        );
        for (label, series) in [("without noise", PASSING), (NOISY, NOISY)] {
            lines = lines
                .point(label, theory.value(LINE, series, 0.0), PUBLISHED, 6e-4)
                .control(SHIFT * PUBLISHED);
        }
        vec![low.into(), high.into(), passed.into(), lines.into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let values = (BITS.iter())
            .flat_map(|&bits| {
                BEYOND.map(|beyond| simulation.value(PANEL, &series(bits), ratio(beyond)))
            })
            .collect();
        let map = HeatMap::new(
            "fraction recovered by lattice reduction",
            BEYOND.map(ratio).into(),
            BITS.map(|bits| bits as f64).into(),
            values,
        );
        let line = theory.value(LINE, PASSING, 0.0);
        let samples = || Axis::linear("samples per component n/d").range(0.98, 1.55);
        let mut left = Plot::new(
            format!("lattice reduction at d = {DIMENSION}, message passing far larger"),
            samples(),
            Axis::linear("bits b of the labels above the noise").range(0.0, 92.0),
        )
        .with(map.range(0.0, 1.0))
        .with(Rule::vertical(line, "α_alg").colour(1))
        .with(Rule::horizontal(theory.value(LINE, LATTICE, 0.0), "").colour(1));
        for (label, marker, finds) in [
            ("message passing recovers", Marker::Disc, true),
            ("it does not", Marker::Circle, false),
        ] {
            let points = COARSE.iter().flat_map(|&bits| {
                let found = simulation.curve(PASSING, &series(bits)).into_iter();
                found
                    .filter(move |(_, y)| (*y >= 0.5) == finds)
                    .map(move |(x, _)| (x, bits as f64, 0.0))
            });
            left = left.with(
                Points::new(label, points.collect())
                    .colour(1)
                    .marker(marker),
            );
        }
        let mut right = Plot::new(
            "both at two noises",
            samples(),
            Axis::linear("fraction recovered").range(-0.05, 1.05),
        )
        .with(Rule::vertical(line, "α_alg").colour(1));
        for (bits, marker) in [
            (BITS[BITS.len() - 1], Marker::Square),
            (COARSE[1], Marker::Diamond),
        ] {
            let points = simulation.points(PANEL, &series(bits));
            right = right.with(
                Points::new(format!("{LATTICE}, b = {bits}"), points)
                    .colour(0)
                    .marker(marker),
            );
        }
        for (bits, marker) in COARSE.into_iter().zip([Marker::Disc, Marker::Circle]) {
            let points = simulation.points(PASSING, &series(bits));
            right = right.with(
                Points::new(format!("{PASSING}, b = {bits}"), points)
                    .colour(1)
                    .marker(marker),
            );
        }
        Picture::new(2).panel(left).panel(right)
    }
}

/// Lattice reduction in trials of its own.
fn simulate(
    context: &Context,
    bits: usize,
    beyond: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let shape = Shape {
        dimension: DIMENSION,
        samples: DIMENSION + beyond,
        bits: bits + GUARD,
        noise: Some(bits),
    };
    let found = trials(context, count, |seed| {
        let rng = &mut seed.stream("", 0, 0, "instance");
        fewest_bits(
            planted::phase_retrieval(shape, rng)?
                .problem
                .recover(&Search::default()),
        )
    })?;
    let found = found.iter().flatten().count() as u64;
    Ok(vec![Row::fraction(
        PANEL,
        series(bits),
        ratio(beyond),
        found,
        count as u64,
    )])
}

/// Message passing from random starts.
fn pass(
    context: &Context,
    bits: usize,
    ratio: f64,
    p: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let sized = Sized::new(&tree(Some(bits), ratio)?, p)?;
    let found = trials(context, count, |seed| {
        let settings = Settings {
            restarts: RESTARTS,
            max_iterations: 200,
            tolerance: REST,
            seed,
            ..Settings::default()
        };
        let outcome = sized.infer(&sized.draw(seed)?, &settings)?;
        Ok(outcome.mse.is_some_and(|mse| mse < FOUND))
    })?;
    let found = found.iter().filter(|found| **found).count() as u64;
    Ok(vec![Row::fraction(
        PASSING,
        series(bits),
        ratio,
        found,
        count as u64,
    )])
}
