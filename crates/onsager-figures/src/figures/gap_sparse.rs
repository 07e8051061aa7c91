//! Sparse against generative: where message passing stops short of what is possible.

use std::f64::consts::FRAC_2_PI;

use onsager_amp::{Settings, Start};
use onsager_replica::{StateEvolution, ThresholdKind};

use super::common::{SPARSE, Sized, decades, trials, with_freedom};
use crate::agreement::{Agreement, Claim, Identity, Sample, Success};
use crate::drawing::{Axis, BLACK, Band, Dash, Line, Marker, Picture, Plot, Points, Rule};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// A sparse spike and spikes behind one layer with as many degrees of freedom.
pub(crate) struct GapSparse;

/// Nonzero components, or latent ones, for every component of the signal.
const FREEDOM: f64 = 0.1;
const LAYERS: [&str; 3] = ["linear", "sign", "relu"];
/// Components of the sparse spike, 500 of them nonzero, and of the others.
const SIZE: usize = 5000;
const LAYERED: usize = 1000;
/// Noises over ρ²: in the hard phase of the sparse spike, below it and beyond what is possible.
const HARD: f64 = 1.25;
const EASY: f64 = 0.6;
const IMPOSSIBLE: f64 = 2.5;
/// Ends of the abscissa of the curves.
const RANGE: (f64, f64) = (0.1, 12.0);
/// A run has found a state if its error is that near in units of ρ: a quarter of what tells the states
/// of the hard phase apart, and many times what runs of this size fluctuate by.
const NEAR: f64 = 0.15;

impl Figure for GapSparse {
    fn id(&self) -> &'static str {
        "gap-sparse-generative"
    }

    fn title(&self) -> &'static str {
        "Are generative priors the new sparsity?"
    }

    fn source(&self) -> &'static str {
        "Loureiro, talk: are generative models the new sparsity?; arXiv:1905.12385"
    }

    fn claim(&self) -> &'static str {
        "A sparse spike has a wide noise range in which its recovery is possible and message passing \
         finds nothing; a spike with as many degrees of freedom behind a linear, sign or relu layer of \
         a Gaussian latent has none: message passing from the truth and from nothing end alike."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let (points, columns) = profile.pick((25, 2), (81, 13), (161, 31));
        let mut jobs = Vec::new();
        for name in [SPARSE].into_iter().chain(LAYERS) {
            jobs.push(Job::new(format!("{name} points={points}"), move |_| {
                curves(name, points)
            }));
        }
        for freedom in decades(0.01, 0.25, columns) {
            jobs.push(Job::new(format!("thresholds at {freedom}"), move |_| {
                lines(freedom)
            }));
        }
        jobs
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let sparse: &[f64] = profile.pick(
            &[HARD],
            &[EASY, HARD, IMPOSSIBLE],
            &[EASY, HARD, IMPOSSIBLE],
        );
        let generative: &[f64] = profile.pick(
            &[HARD],
            &[EASY, HARD, IMPOSSIBLE],
            &[EASY, HARD, IMPOSSIBLE],
        );
        let count = profile.pick(16, 20, 64);
        let mut jobs = Vec::new();
        for name in [SPARSE].into_iter().chain(LAYERS) {
            let (noises, p) = if name == SPARSE {
                (sparse, SIZE)
            } else {
                (generative, LAYERED)
            };
            // At the quick profile the sign layer stands for all.
            if profile == Profile::Quick && !matches!(name, SPARSE | "sign") {
                continue;
            }
            for &noise in noises {
                let key = format!("{name} noise={noise} p={p} trials={count}");
                jobs.push(Job::new(key, move |context| {
                    simulate(context, name, noise, p, count)
                }));
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let mut sparse =
            Success::new("sparse: each start of message passing ends where the curve says");
        for row in simulation.series(SPARSE, &format!("{}, near", STARTS[0])) {
            for start in STARTS {
                let series = format!("{start}, near");
                let label = format!("{start} start, Δ/ρ² = {}", row.x);
                sparse = sparse.row(
                    label,
                    simulation.at(SPARSE, &series, row.x),
                    Claim::AtLeast(0.9),
                );
            }
        }
        let mut gap = Success::new(
            "both starts end in one state: behind a layer always, sparse not in the hard phase",
        );
        for name in [SPARSE].into_iter().chain(LAYERS) {
            for row in simulation.series(name, ALIKE) {
                let hard = name == SPARSE && row.x == HARD;
                let claim = if hard {
                    Claim::AtMost(0.1)
                } else {
                    Claim::AtLeast(0.9)
                };
                gap = gap.row(format!("{name}, Δ/ρ² = {}", row.x), Some(row), claim);
            }
        }
        let mut folds = Identity::new(
            "folds of the curve: two for sparse spikes, none behind one layer",
            "folds are counted",
        );
        for name in [SPARSE].into_iter().chain(LAYERS) {
            let (count, other) = if name == SPARSE {
                (2.0, 0.0)
            } else {
                (0.0, 2.0)
            };
            for row in theory.series(FOLDS, name) {
                folds = folds
                    .point(format!("{name} at {:.3}", row.x), row.y, count, 0.0)
                    .control(other);
            }
        }
        vec![sparse.into(), gap.into(), folds.into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let markers = [Marker::Disc, Marker::Circle];
        let axes = |title: &str| {
            Plot::new(
                title,
                Axis::log("noise Δ/ρ²").range(RANGE.0, RANGE.1),
                Axis::linear("MMSE/ρ").range(0.0, 1.05),
            )
        };
        let mut left = axes("10 % of the components nonzero");
        let hard: Vec<_> = theory
            .curve(SPARSE, OPTIMAL)
            .into_iter()
            .map(|(x, low)| (x, low, theory.value(SPARSE, ALGORITHMIC, x)))
            .collect();
        left = left.with(Band::new("gap", hard).colour(1));
        left = left.with(Line::new("optimal", theory.curve(SPARSE, OPTIMAL)).colour(0));
        let algorithmic = Line::new("message passing", theory.curve(SPARSE, ALGORITHMIC));
        left = left.with(algorithmic.colour(1).dash(Dash::Dashed));
        for (i, start) in STARTS.into_iter().enumerate() {
            let points = Points::new(format!("AMP, {start}"), simulation.points(SPARSE, start));
            left = left.with(points.colour([1, 0][i]).marker(markers[i]));
        }
        for kind in ["Δ_alg", "Δ_IT"] {
            for row in theory.series(SPARSE, kind) {
                left = left.with(Rule::vertical(row.y, kind).colour(BLACK));
            }
        }
        let mut right = axes("a latent of 10 % of the components");
        for (i, name) in LAYERS.into_iter().enumerate() {
            right = right.with(Line::new(name, theory.curve(name, OPTIMAL)).colour(i));
            for (marker, start) in markers.into_iter().zip(STARTS) {
                let label = if i == 0 {
                    format!("AMP, {start}")
                } else {
                    String::new()
                };
                let points = Points::new(label, simulation.points(name, start));
                right = right.with(points.colour(i).marker(marker));
            }
        }
        let mut phases = Plot::new(
            "where recovery is hard",
            Axis::log("degrees of freedom for each component"),
            Axis::log("noise Δ/ρ²").range(0.7, 2e2),
        );
        let alg = theory.curve(PHASES, "Δ_alg");
        let it = theory.curve(PHASES, "Δ_IT");
        let band = alg
            .iter()
            .zip(&it)
            .map(|((x, low), (_, high))| (*x, *low, *high));
        phases = phases
            .with(Band::new("sparse: hard", band.collect()).colour(1))
            .with(Line::new("sparse: Δ_IT", it).colour(0))
            .with(Line::new("sparse: Δ_alg", alg).colour(1));
        for (i, name) in ["linear", "sign"].into_iter().enumerate() {
            let line = Line::new(format!("{name}: Δ_c"), theory.curve(PHASES, name));
            phases = phases.with(line.colour(2 + i).dash(Dash::Dashed));
        }
        Picture::new(3).panel(left).panel(right).panel(phases)
    }
}

const OPTIMAL: &str = "optimal";
const ALGORITHMIC: &str = "algorithmic";
const PHASES: &str = "phases";
const FOLDS: &str = "folds";
const ALIKE: &str = "alike";
const STARTS: [&str; 2] = ["uninformed", "informed"];

/// Errors on a grid of noises, and where the noises of the simulation lead from either start.
fn curves(name: &str, points: usize) -> Result<Vec<Row>, FigureError> {
    let tree = with_freedom(name, FREEDOM)?.spiked_wigner(1.0)?;
    let rho = tree.signal().second_moment;
    let unit = rho * rho;
    let chain = StateEvolution::new(&tree)?;
    let curve = chain.curve(Some((0.5 * RANGE.0 * unit, 2.0 * RANGE.1 * unit)))?;
    let mut rows = Vec::new();
    for noise in decades(RANGE.0, RANGE.1, points) {
        let found = chain.predict_on(&curve, noise * unit)?;
        rows.push(Row::theory(name, OPTIMAL, noise, found.optimal.mmse / rho));
        rows.push(Row::theory(
            name,
            ALGORITHMIC,
            noise,
            found.algorithmic.mmse / rho,
        ));
    }
    for threshold in chain.thresholds_on(&curve)?.thresholds {
        rows.extend(
            named(threshold.kind)
                .map(|kind| Row::theory(name, kind, FREEDOM, threshold.value / unit)),
        );
    }
    Ok(rows)
}

fn named(kind: ThresholdKind) -> Option<&'static str> {
    match kind {
        ThresholdKind::Algorithmic => Some("Δ_alg"),
        ThresholdKind::InformationTheoretic => Some("Δ_IT"),
        _ => None,
    }
}

/// Thresholds and folds at one number of degrees of freedom.
fn lines(freedom: f64) -> Result<Vec<Row>, FigureError> {
    let mut rows = Vec::new();
    for name in [SPARSE].into_iter().chain(LAYERS) {
        let tree = with_freedom(name, freedom)?.spiked_wigner(1.0)?;
        let unit = tree.signal().second_moment.powi(2);
        let chain = StateEvolution::new(&tree)?;
        let curve = chain.curve(Some((1e-3 * unit, 1e3 * unit)))?;
        rows.push(Row::theory(FOLDS, name, freedom, curve.folds.len() as f64));
        if name == SPARSE {
            for threshold in chain.thresholds_on(&curve)?.thresholds {
                let row = |kind| Row::theory(PHASES, kind, freedom, threshold.value / unit);
                rows.extend(named(threshold.kind).map(row));
            }
        }
    }
    let critical = [("linear", 1.0), ("sign", FRAC_2_PI * FRAC_2_PI)];
    rows.extend(
        critical.map(|(name, gain)| Row::theory(PHASES, name, freedom, 1.0 + gain / freedom)),
    );
    Ok(rows)
}

/// Message passing from both starts on the same instances.
fn simulate(
    context: &Context,
    name: &str,
    noise: f64,
    p: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let model = with_freedom(name, FREEDOM)?.spiked_wigner(1.0)?;
    let rho = model.signal().second_moment;
    let tree = with_freedom(name, FREEDOM)?.spiked_wigner(noise * rho * rho)?;
    let sized = Sized::new(&tree, p)?;
    let prediction = StateEvolution::new(&tree)?.predict()?;
    let greatest = prediction.fixed_points.last().map_or(f64::NAN, |f| f.mmse);
    let ends = [prediction.algorithmic.mmse / rho, greatest / rho];
    let runs = trials(context, count, |seed| {
        let instance = sized.draw(seed)?;
        let run = |start| -> Result<f64, FigureError> {
            let settings = Settings {
                start,
                // A change of a thousandth of the estimate in a step: states lie far apart.
                tolerance: 1e-6,
                seed,
                ..Settings::default()
            };
            Ok(sized
                .infer(&instance, &settings)?
                .mse
                .map_or(f64::NAN, |mse| mse / rho))
        };
        Ok([run(Start::Uninformed)?, run(Start::Informed)?])
    })?;
    let mut rows = Vec::new();
    let number =
        |holds: &dyn Fn(&[f64; 2]) -> bool| runs.iter().filter(|r| holds(r)).count() as u64;
    for (i, start) in STARTS.into_iter().enumerate() {
        let errors: Vec<f64> = runs.iter().map(|run| run[i]).collect();
        rows.push(Row::measured(name, start, noise, Sample::of(&errors)));
        let near = number(&|run| (run[i] - ends[i]).abs() < NEAR);
        rows.push(Row::fraction(
            name,
            format!("{start}, near"),
            noise,
            near,
            count as u64,
        ));
    }
    let alike = number(&|run| (run[0] - run[1]).abs() < NEAR);
    rows.push(Row::fraction(name, ALIKE, noise, alike, count as u64));
    Ok(rows)
}
