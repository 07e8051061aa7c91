//! How the thresholds of generalised linear models move with the noise of their outputs.

use std::sync::Arc;

use onsager_model::{Chain, ModelError, Tree};
use onsager_replica::{Key, StateEvolution, ThresholdKind, meetings, thresholds};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::likelihood::Additive;
use onsager_scalar::prior::GaussBernoulli;

use super::common::{
    EASY, ENDS, POSSIBLE, SHIFT, decades, gaussian, greatest, layered, rademacher, ratio_lines,
    sparse_error,
};
use crate::agreement::{Agreement, Identity};
use crate::drawing::{Axis, BLACK, Band, Dash, Line, Picture, Plot, Rule};
use crate::{Figure, FigureError, Job, Profile, Row, Table};

/// Thresholds in the sampling ratio against the noise.
pub(crate) struct GlmNoise;

/// A signal, its output, its dimension, and noises from which on nothing is hard.
struct Case {
    name: &'static str,
    dimension: f64,
    /// Noises between which the hard phase ends.
    closes: (f64, f64),
    /// The axis of ratios.
    ratios: (f64, f64),
}

const SPARSE: &str = "compressed sensing, sparse";
const LAYERED: &str = "phase retrieval, relu layer";
const SPARSITY: f64 = 0.2;
const CASES: [Case; 4] = [
    Case {
        name: SPARSE,
        dimension: SPARSITY,
        closes: (1e-4, 1e-1),
        ratios: (0.15, 0.45),
    },
    Case {
        name: "compressed sensing, signs",
        dimension: 0.0,
        closes: (1e-3, 1.0),
        ratios: (0.0, 0.7),
    },
    Case {
        name: "phase retrieval, Gaussian",
        dimension: 1.0,
        closes: (1e-4, 1.0),
        ratios: (0.95, 1.3),
    },
    Case {
        name: LAYERED,
        dimension: 0.25,
        closes: (1e-6, 1e-1),
        ratios: (0.2, 0.32),
    },
];
/// Least noise drawn.
const LEAST: f64 = 1e-8;
/// Noises judged by the second routes, inside every hard phase.
const JUDGED: [f64; 2] = [1e-5, 1e-6];

impl Figure for GlmNoise {
    fn id(&self) -> &'static str {
        "glm-noise"
    }

    fn title(&self) -> &'static str {
        "Thresholds and noise"
    }

    fn source(&self) -> &'static str {
        "Krzakala et al., arXiv:1206.3953 (noisy compressed sensing); Barbier et al., arXiv:1708.03395"
    }

    fn claim(&self) -> &'static str {
        "Noise closes the hard phase: its ends meet at a cusp. As the noise vanishes the threshold of message \
         passing arrives linearly, the information-theoretic one only like 1/ln(1/Δ), so that percents \
         are missing at a noise of 1e-8."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (index, case) in CASES.iter().enumerate() {
            // Averages of the modulus with noise cost more.
            let is_cheap = index < 2;
            let count = if is_cheap {
                profile.pick(2, 13, 60)
            } else {
                profile.pick(2, 7, 40)
            };
            let is_layered = case.name == LAYERED;
            let mut noises = decades(LEAST, case.closes.1, count);
            for noise in &JUDGED[..profile.pick(1, if is_layered { 1 } else { 2 }, 2)] {
                noises.retain(|known| (known / noise).ln().abs() > 1e-6);
                noises.push(*noise);
            }
            for noise in noises {
                jobs.push(Job::new(
                    format!("{} noise={noise}", case.name),
                    move |_| lines(index, noise, JUDGED.contains(&noise)),
                ));
            }
            let is_closed = profile.pick(case.name == SPARSE, !is_layered, true);
            if is_closed {
                jobs.push(Job::new(format!("{} cusp", case.name), move |_| {
                    cusp(index)
                }));
            }
        }
        jobs
    }

    fn simulation(&self, _: Profile) -> Vec<Job> {
        Vec::new()
    }

    fn agreements(&self, theory: &Table, _: &Table) -> Vec<Agreement> {
        let mut areas = Identity::new(
            "information: equal potentials and Maxwell's equal areas",
            "thresholds are promised to 1e-6, relatively",
        );
        let mut plain = Identity::new(
            "sparse compressed sensing: the first maximum of A (Δ + mmse(A)), by plain sums",
            "sums of analytic functions and golden sections leave less than 1e-7",
        );
        let mut cusps = Identity::new(
            "folds just below and just beyond the noise at which the hard phase closes",
            "folds are counted",
        );
        for case in &CASES {
            for row in theory.series(case.name, AREAS) {
                let line = theory.value(case.name, POSSIBLE, row.x);
                areas = areas
                    .point(
                        format!("{}, Δ = {:e}", case.name, row.x),
                        line,
                        row.y,
                        1e-6 * row.y,
                    )
                    .control(SHIFT * row.y);
            }
            for row in theory.series(case.name, PLAIN) {
                let line = theory.value(case.name, EASY, row.x);
                plain = plain
                    .point(format!("Δ = {:e}", row.x), line, row.y, 1e-6 * row.y)
                    .control(SHIFT * row.y);
            }
            for (series, wanted, wrong) in [(BELOW, 2.0, 0.0), (BEYOND, 0.0, 2.0)] {
                for row in theory.series(case.name, series) {
                    let label = format!("{}, {series}", case.name);
                    cusps = cusps.point(label, row.y, wanted, 0.0).control(wrong);
                }
            }
        }
        vec![areas.into(), plain.into(), cusps.into()]
    }

    fn picture(&self, theory: &Table, _: &Table) -> Picture {
        CASES.iter().fold(Picture::new(2), |picture, case| {
            let cusp = theory.series(case.name, CUSP).next();
            let shown = |name: &str| {
                let mut line = theory.curve(case.name, name);
                line.extend(cusp.map(|cusp| (cusp.x, cusp.y)));
                line.sort_by(|a, b| a.0.total_cmp(&b.0));
                line
            };
            let (possible, easy) = (shown(POSSIBLE), shown(EASY));
            let hard = possible.iter().filter_map(|(x, low)| {
                let high = easy.iter().find(|(other, _)| other == x)?;
                Some((*x, *low, high.1))
            });
            let band = Band::new("hard", hard.collect()).colour(1);
            let mut plot = Plot::new(
                case.name,
                Axis::log("noise Δ").range(LEAST, case.closes.1),
                Axis::linear("measurements α = n/p").range(case.ratios.0, case.ratios.1),
            )
            .with(band)
            .with(Line::new(ENDS, shown(ENDS)).colour(2).dash(Dash::Dotted))
            .with(Line::new(EASY, easy).colour(1))
            .with(Line::new(POSSIBLE, possible).colour(0));
            if case.dimension > 0.0 {
                plot = plot.with(Rule::horizontal(case.dimension, "dimension").colour(BLACK));
            }
            picture.panel(plot)
        })
    }
}

const AREAS: &str = "equal areas";
const PLAIN: &str = "by plain sums";
const CUSP: &str = "cusp";
const BELOW: &str = "folds just below the cusp";
const BEYOND: &str = "folds just beyond";

fn tree(case: usize, noise: f64, ratio: f64) -> Result<Tree, ModelError> {
    let (chain, phi) = match case {
        0 => {
            let prior = GaussBernoulli::new(SPARSITY, 0.0, 1.0)?;
            (Chain::new(Arc::new(prior)), PiecewiseLinear::linear())
        }
        1 => (Chain::new(rademacher()), PiecewiseLinear::linear()),
        2 => (Chain::new(gaussian()), PiecewiseLinear::abs()),
        _ => (layered(&[(4.0, "relu")]), PiecewiseLinear::abs()),
    };
    chain.glm(ratio, Arc::new(Additive::new(Arc::new(phi), noise)?))
}

/// Thresholds at one noise, and second routes to them.
fn lines(case: usize, noise: f64, judged: bool) -> Result<Vec<Row>, FigureError> {
    let name = CASES[case].name;
    let family = |ratio: f64| tree(case, noise, ratio);
    let found = thresholds(&family, Some((0.02, 5.0)), Key::SamplingRatio)?;
    let mut rows = ratio_lines(&found.thresholds, name, noise);
    if judged {
        let chain = StateEvolution::new(&tree(case, noise, 1.0)?)?;
        for tie in chain.equal_areas(&chain.curve(Some((0.2, 50.0)))?)? {
            rows.push(Row::theory(name, AREAS, noise, 1.0 / tie.noise));
        }
        if name == SPARSE {
            // Beyond the square root of 1/Δ the noise takes over from the error.
            let ratio = |log: f64| log.exp() * (noise + sparse_error(SPARSITY, log.exp()));
            let ends = ((0.3 / SPARSITY).ln(), -0.5 * noise.ln());
            rows.push(Row::theory(name, PLAIN, noise, greatest(ratio, ends)));
        }
    }
    Ok(rows)
}

/// Where the ends of the hard phase meet.
fn cusp(case: usize) -> Result<Vec<Row>, FigureError> {
    /// Relative distance from which the two sides are looked at.
    const ASIDE: f64 = 1e-2;
    let Case { name, closes, .. } = CASES[case];
    let family = |noise: f64| tree(case, noise, 1.0);
    let kinds = (ThresholdKind::Algorithmic, ThresholdKind::Dynamical);
    let mut rows = Vec::new();
    for meeting in meetings(&family, closes, 3, kinds)? {
        rows.push(Row {
            uncertainty: meeting.uncertainty,
            ..Row::theory(name, CUSP, meeting.value, 1.0 / meeting.noise)
        });
        for (series, side) in [(BELOW, 1.0 - ASIDE), (BEYOND, 1.0 + ASIDE)] {
            let noise = side * meeting.value;
            let folds = StateEvolution::new(&tree(case, noise, 1.0)?)?
                .curve(None)?
                .folds;
            rows.push(Row::theory(name, series, noise, folds.len() as f64));
        }
    }
    Ok(rows)
}
