//! Discrete variables below sign layers: frozen states open a gap behind generative priors.

use onsager_amp::{Settings, Start};
use onsager_ensembles::Seed;
use onsager_model::{Chain, Instance};
use onsager_replica::{StateEvolution, ThresholdKind};

use super::common::{Sized, activation, decades, layered, rademacher, trials};
use crate::agreement::{Agreement, Claim, Identity, Sample, Success};
use crate::drawing::{Axis, BLACK, Dash, Line, Marker, Picture, Plot, Points, Rule};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// A sign layer on fair signs, and two sign layers on a Gaussian latent.
pub(crate) struct GapFrozen;

const CASES: [Case; 2] = [
    Case {
        name: "sign on fair signs, α = 2",
        chain: || Chain::new(rademacher()).layer(2.0, activation("sign")),
        hard: 0.5,
        range: (0.1, 4.0),
    },
    Case {
        name: "sign on sign, α = 1, 4",
        chain: || layered(&[(1.0, "sign"), (4.0, "sign")]),
        hard: 1.4,
        range: (0.3, 6.0),
    },
];

/// A prior with a frozen state.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    chain: fn() -> Chain,
    /// A noise between Δ_alg and Δ_IT.
    hard: f64,
    range: (f64, f64),
}

/// Components of the signal where both starts are compared.
const SIZE: usize = 1600;
/// Noises and sizes at which the frozen state of the first case melts.
const MELTING: [f64; 5] = [0.2, 0.35, 0.5, 0.8, 1.2];
const SIZES: [usize; 4] = [200, 400, 800, SIZE];

impl Figure for GapFrozen {
    fn id(&self) -> &'static str {
        "gap-frozen"
    }

    fn title(&self) -> &'static str {
        "Frozen states below sign layers"
    }

    fn source(&self) -> &'static str {
        "own: a counterexample to the absence of gaps behind generative priors, cf. arXiv:1905.12385"
    }

    fn claim(&self) -> &'static str {
        "A binary variable below a sign layer has a state in which it is known exactly, at every noise; \
         between Δ_alg and Δ_IT it is optimal, message passing stays there from the truth and does not \
         find it from nothing. At finite size it melts at noises that grow with the size."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let points = profile.pick(25, 81, 161);
        let cases = &CASES[..profile.pick(1, 2, 2)];
        let job = |case: &Case| {
            let case = *case;
            Job::new(format!("{} points={points}", case.name), move |_| {
                curves(case, points)
            })
        };
        cases.iter().map(job).collect()
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let count = profile.pick(16, 20, 64);
        let mut jobs = Vec::new();
        for case in &CASES[..profile.pick(1, 2, 2)] {
            let case = *case;
            let key = format!("{} noise={} p={SIZE} trials={count}", case.name, case.hard);
            jobs.push(Job::new(key, move |context| both(context, case, count)));
        }
        let noises: &[f64] = profile.pick(&MELTING[4..], &MELTING, &MELTING);
        let sizes = &SIZES[..profile.pick(1, 4, 4)];
        for &noise in noises {
            for &p in sizes {
                let key = format!("melting noise={noise} p={p} trials={count}");
                jobs.push(Job::new(key, move |context| {
                    melting(context, noise, p, count)
                }));
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let mut gap = Success::new(
            "between Δ_alg and Δ_IT the frozen state is kept from the truth and not found from nothing",
        );
        let mut melts =
            Success::new("the frozen state melts in small systems and not in large ones");
        let mut entropies = Identity::new(
            "Δ_IT lies where the other branch carries the entropy of the frozen variable, (k/p) ln 2",
            "thresholds are promised to 1e-6, informations of order 1 change by as much",
        );
        for case in CASES {
            for start in STARTS {
                if let Some(row) = simulation.at(case.name, &kept(start), case.hard) {
                    let claim = if start == STARTS[0] {
                        Claim::AtMost(0.1)
                    } else {
                        Claim::AtLeast(0.9)
                    };
                    gap = gap.row(format!("{}, {start}", case.name), Some(row), claim);
                }
            }
            for row in theory.series(case.name, ENTROPY) {
                let informed = theory.value(case.name, BRANCH, row.x);
                entropies = entropies
                    .point(case.name, informed, row.y, 1e-6)
                    .control(1.05 * row.y);
            }
        }
        // Where the largest noise melts every small system, and the least none of the large ones.
        for (noise, p, claim) in [
            (1.2, 200, Claim::AtMost(0.1)),
            (0.35, SIZE, Claim::AtLeast(0.9)),
            (0.5, SIZE, Claim::AtLeast(0.9)),
        ] {
            if let Some(row) = simulation.at(MELTS, &series(p), noise) {
                melts = melts.row(format!("p = {p}, Δ = {noise}"), Some(row), claim);
            }
        }
        vec![gap.into(), melts.into(), entropies.into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut picture = Picture::new(3);
        for case in CASES {
            let mut plot = Plot::new(
                case.name,
                Axis::log("noise Δ").range(case.range.0, case.range.1),
                Axis::linear("MMSE").range(-0.02, 1.05),
            )
            .with(Line::new("optimal", theory.curve(case.name, OPTIMAL)).colour(0))
            .with(
                Line::new("message passing", theory.curve(case.name, ALGORITHMIC))
                    .colour(1)
                    .dash(Dash::Dashed),
            );
            for (i, start) in STARTS.into_iter().enumerate() {
                let points = simulation.points(case.name, start);
                let marker = [Marker::Disc, Marker::Circle][i];
                plot = plot.with(
                    Points::new(format!("AMP, {start}"), points)
                        .colour([1, 0][i])
                        .marker(marker),
                );
            }
            for kind in ["Δ_alg", "Δ_IT"] {
                for row in theory.series(case.name, kind) {
                    plot = plot.with(Rule::vertical(row.y, kind).colour(BLACK));
                }
            }
            picture = picture.panel(plot);
        }
        let mut plot = Plot::new(
            "melting, sign on fair signs",
            Axis::log("noise Δ"),
            Axis::linear("fraction that stays frozen").range(-0.02, 1.05),
        );
        for (i, p) in SIZES.into_iter().enumerate() {
            let name = series(p);
            plot = plot
                .with(Line::new(&name, simulation.curve(MELTS, &name)).colour(i))
                .with(Points::new(&name, simulation.points(MELTS, &name)).colour(i));
        }
        picture.panel(plot)
    }
}

const OPTIMAL: &str = "optimal";
const ALGORITHMIC: &str = "algorithmic";
const ENTROPY: &str = "entropy of the frozen variable";
const BRANCH: &str = "information of the other branch";
const MELTS: &str = "melting";
const STARTS: [&str; 2] = ["uninformed", "informed"];

fn series(p: usize) -> String {
    format!("p = {p}")
}

fn kept(start: &str) -> String {
    format!("{start}, frozen")
}

/// Errors on a grid, thresholds, and what ties at Δ_IT.
fn curves(case: Case, points: usize) -> Result<Vec<Row>, FigureError> {
    let tree = (case.chain)().spiked_wigner(1.0)?;
    let chain = StateEvolution::new(&tree)?;
    let (low, high) = case.range;
    let curve = chain.curve(Some((0.5 * low, 2.0 * high)))?;
    let mut rows = Vec::new();
    for noise in decades(low, high, points) {
        let found = chain.predict_on(&curve, noise)?;
        rows.push(Row::theory(case.name, OPTIMAL, noise, found.optimal.mmse));
        rows.push(Row::theory(
            case.name,
            ALGORITHMIC,
            noise,
            found.algorithmic.mmse,
        ));
    }
    for threshold in chain.thresholds_on(&curve)?.thresholds {
        let kind = match threshold.kind {
            ThresholdKind::Algorithmic => "Δ_alg",
            ThresholdKind::InformationTheoretic => "Δ_IT",
            _ => continue,
        };
        let value = threshold.value;
        rows.push(Row::theory(case.name, kind, case.hard, value));
        // The entropy has a closed form where nothing lies below the frozen variable.
        if kind == "Δ_IT" && case.name == CASES[0].name {
            let tied = chain.predict_on(&curve, value)?.algorithmic;
            let information = tied.mutual_information.unwrap_or(f64::NAN);
            rows.push(Row::theory(case.name, BRANCH, value, information));
            let entropy = 0.5 * std::f64::consts::LN_2;
            rows.push(Row::theory(case.name, ENTROPY, value, entropy));
        }
    }
    Ok(rows)
}

/// Error of a run, and whether it ended nearer to the frozen state, which has none, than to the
/// other one.
fn run(sized: &Sized, instance: &Instance, start: Start, seed: Seed) -> Result<f64, FigureError> {
    let settings = Settings {
        start,
        // A change of a thousandth of the estimate in a step: states lie far apart.
        tolerance: 1e-6,
        seed,
        ..Settings::default()
    };
    Ok(sized.infer(instance, &settings)?.mse.unwrap_or(f64::NAN))
}

/// Error at the other state, half of which tells the two apart.
fn other(sized: &Sized) -> Result<f64, FigureError> {
    let points = StateEvolution::new(&sized.tree)?.predict()?.fixed_points;
    let stable = points.iter().find(|f| f.stable && !f.perfect);
    Ok(stable.map_or(f64::NAN, |f| f.mmse))
}

/// Message passing from both starts on the same instances.
fn both(context: &Context, case: Case, count: usize) -> Result<Vec<Row>, FigureError> {
    let sized = Sized::new(&(case.chain)().spiked_wigner(case.hard)?, SIZE)?;
    let half = 0.5 * other(&sized)?;
    let runs = trials(context, count, |seed| {
        let instance = sized.draw(seed)?;
        let from = |start| run(&sized, &instance, start, seed);
        Ok([from(Start::Uninformed)?, from(Start::Informed)?])
    })?;
    let mut rows = Vec::new();
    for (i, start) in STARTS.into_iter().enumerate() {
        let errors: Vec<f64> = runs.iter().map(|run| run[i]).collect();
        let frozen = errors.iter().filter(|e| **e < half).count() as u64;
        rows.push(Row::measured(
            case.name,
            start,
            case.hard,
            Sample::of(&errors),
        ));
        rows.push(Row::fraction(
            case.name,
            kept(start),
            case.hard,
            frozen,
            count as u64,
        ));
    }
    Ok(rows)
}

/// How often the frozen state of the first case survives.
fn melting(context: &Context, noise: f64, p: usize, count: usize) -> Result<Vec<Row>, FigureError> {
    let sized = Sized::new(&(CASES[0].chain)().spiked_wigner(noise)?, p)?;
    // Below Δ_alg there is no other state: half of what it was there.
    let half = 0.5 * other(&sized)?.max(0.07);
    let errors = trials(context, count, |seed| {
        run(&sized, &sized.draw(seed)?, Start::Informed, seed)
    })?;
    let frozen = errors.iter().filter(|e| **e < half).count() as u64;
    Ok(vec![Row::fraction(
        MELTS,
        series(p),
        noise,
        frozen,
        count as u64,
    )])
}
