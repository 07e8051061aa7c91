//! MMSE of a rectangular spike against the noise, for a generative right factor.

use std::f64::consts::PI;

use onsager_model::Chain;

use super::common::{AtRest, Case, INFORMATION, Plan, SHIFT, decades, draw, gaussian, layered};
use crate::agreement::{Agreement, Identity};
use crate::drawing::{Axis, Line, Picture, Plot, Points};
use crate::{Figure, FigureError, Job, Profile, Row, Table};

/// MMSE of the right factor at three aspects, for linear, sign and relu layers.
pub(crate) struct SpikedWishart;

const ACTIVATIONS: [&str; 3] = ["linear", "sign", "relu"];
/// Rows of the matrix per column.
const ASPECTS: [f64; 3] = [0.5, 2.0, 8.0];
/// Components of the right factor per latent component.
const ALPHA: f64 = 1.0;

/// Ends of the abscissa, which contain every transition.
const RANGE: (f64, f64) = (1e-2, 1e2);

impl Figure for SpikedWishart {
    fn id(&self) -> &'static str {
        "spiked-wishart"
    }

    fn title(&self) -> &'static str {
        "A rectangular spike with a generative right factor"
    }

    fn source(&self) -> &'static str {
        "Aubin, Loureiro, Maillard, Krzakala, Zdeborová, arXiv:1905.12385: spiked Wishart model"
    }

    fn claim(&self) -> &'static str {
        "With an unstructured left factor the transition of the spiked Wishart model lies at \
         Δ = √(β(1 + α)) for a linear layer and √(β(1 + 4α/π²)) for a sign layer; a relu layer has \
         none. Message passing between the two factors attains the MMSE below and finds nothing \
         above, and its Bethe evidence is the mutual information of both factors with the matrix."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let count = profile.pick(13, 41, 81);
        let mut jobs = Vec::new();
        for case in cases(profile) {
            let key = format!(
                "{} {} grid={count} {:?}",
                case.panel, case.series, case.plan
            );
            let grid = decades(RANGE.0, RANGE.1, count);
            jobs.push(Job::new(key, move |_| case.theory(&grid)));
        }
        jobs.push(Job::new("singular vectors", |_| closed_form()));
        jobs
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        cases(profile).iter().flat_map(Case::simulation).collect()
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        // The plan is that of the tables: a profile only decides which points they hold.
        let cases = cases(Profile::Paper);
        let end = "the curve of fixed points ends at √(β(1 + α)) or √(β(1 + 4α/π²))";
        let mut all = AtRest::judge(&cases, end, theory, simulation).agreements();
        let mut vectors = Identity::new(
            "two Gaussian factors: MMSE of leading singular vectors, 1 - (β - Δ²)/(β + Δ)",
            "fixed points are exact for a noise that differs by 1e-8, relatively, and MMSE/ρ \
             changes by less than 2 when the noise changes by a factor e",
        );
        for aspect in ASPECTS {
            let found = singular(aspect);
            for row in theory.series(SINGULAR, &found) {
                let exact = |noise: f64| 1.0 - (aspect - noise * noise) / (aspect + noise);
                vectors = vectors
                    .point(
                        format!("{found} at {:.3}", row.x),
                        row.y,
                        exact(row.x),
                        2e-8,
                    )
                    .control(exact(SHIFT * row.x));
            }
        }
        all.push(Agreement::Identity(vectors));
        all
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let cases = cases(Profile::Paper);
        let picture = ACTIVATIONS
            .into_iter()
            .fold(Picture::new(3), |picture, name| {
                let plot = Plot::new(
                    format!("{name} layer, α = {ALPHA}"),
                    Axis::log("noise variance Δ").range(RANGE.0, RANGE.1),
                    Axis::linear("MMSE/ρ of the right factor").range(0.0, 1.05),
                );
                picture.panel(draw(&cases, name, plot, theory, simulation))
            });
        (cases.iter().filter(|case| case.plan.is_some())).fold(picture, |picture, case| {
            let plot = Plot::new(
                format!("{} layer, {}", case.panel, case.series),
                Axis::log("noise variance Δ").range(RANGE.0, RANGE.1),
                Axis::linear("information, in units of β E u² E x²/2Δ").range(0.0, 1.05),
            );
            let line = theory.curve(case.panel, &case.named(INFORMATION));
            if line.is_empty() {
                return picture;
            }
            let points = simulation.points(case.panel, &case.named(&format!("{INFORMATION}, n")));
            picture.panel(
                plot.with(Line::new("replica", line).colour(1))
                    .with(Points::new("Bethe evidence", points).colour(1)),
            )
        })
    }
}

fn cases(profile: Profile) -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ACTIVATIONS {
        for aspect in ASPECTS {
            let threshold = match name {
                "linear" => Some((aspect * (1.0 + ALPHA)).sqrt()),
                "sign" => Some((aspect * (1.0 + 4.0 * ALPHA / (PI * PI))).sqrt()),
                _ => None,
            };
            cases.push(Case {
                panel: name,
                series: format!("β = {aspect}"),
                chain: layered(&[(ALPHA, name)]),
                left: Some((aspect, Chain::new(gaussian()))),
                threshold,
                plan: plan(profile, name, aspect, threshold),
            });
        }
    }
    cases
}

/// Message passing at one aspect: points below and above the transition.
fn plan(profile: Profile, name: &str, aspect: f64, threshold: Option<f64>) -> Option<Plan> {
    if aspect != 2.0 {
        return None;
    }
    let noises: &[f64] = match (name, profile) {
        ("relu", Profile::Quick) => return None,
        ("relu", _) => &[0.2, 0.5],
        ("linear", Profile::Quick) => &[0.3, 2.2],
        (_, Profile::Quick) => &[2.2],
        _ => &[0.2, 0.35, 2.2],
    };
    // Fractions of the threshold, where there is one.
    let scale = threshold.unwrap_or(1.0);
    Some(Plan {
        p: profile.pick(240, 400, 1000),
        trials: 320,
        noises: noises.iter().map(|x| x * scale).collect(),
        shown: None,
    })
}

const SINGULAR: &str = "singular vectors";

fn singular(aspect: f64) -> String {
    format!("β = {aspect}")
}

/// Two Gaussian factors, below the transition.
fn closed_form() -> Result<Vec<Row>, FigureError> {
    let mut rows = Vec::new();
    for aspect in ASPECTS {
        for fraction in [0.05, 0.3, 0.8, 0.98] {
            let noise = fraction * aspect.sqrt();
            let left = Chain::new(gaussian());
            let tree = Chain::new(gaussian()).spiked_wishart(noise, aspect, left)?;
            let found = onsager_replica::StateEvolution::new(&tree)?.predict()?;
            rows.push(Row::theory(
                SINGULAR,
                singular(aspect),
                noise,
                found.optimal.mmse,
            ));
        }
    }
    Ok(rows)
}
