//! Minimal mean squared error of a spike with a one-layer generative prior.

use std::f64::consts::PI;

use onsager_model::Chain;
use onsager_replica::sweep_noise;

use super::common::{
    AtRest, Case, Plan, SHIFT, Shown, decades, draw, gaussian, layered, rademacher,
};
use crate::agreement::{Agreement, Identity};
use crate::drawing::{Axis, Picture, Plot};
use crate::{Figure, FigureError, Job, Profile, Row, Table};

/// MMSE against noise at five aspects, for linear, sign and relu layers.
pub(crate) struct SpikedMmse;

const ACTIVATIONS: [&str; 3] = ["linear", "sign", "relu"];
const ASPECTS: [f64; 5] = [0.0, 1.0, 10.0, 100.0, 1000.0];

/// Ends of the abscissa, which contain every transition.
const RANGE: (f64, f64) = (1e-2, 1e4);

/// Stands for aspect 0 where the law in the limit is not one of the priors. A latent of a million
/// components for each of the signal's cannot be learned: `h = W z/√k` is an independent
/// Gaussian, and the signal an independent rectified one.
const TINY: f64 = 1e-6;

impl Figure for SpikedMmse {
    fn id(&self) -> &'static str {
        "spiked-mmse"
    }

    fn title(&self) -> &'static str {
        "MMSE of a spike with a one-layer generative prior"
    }

    fn source(&self) -> &'static str {
        "Aubin, Loureiro, Maillard, Krzakala, Zdeborová, arXiv:1905.12385: MMSE against Δ"
    }

    fn claim(&self) -> &'static str {
        "A linear or sign layer of aspect α moves the transition of the spiked Wigner model from \
         Δ = 1 to 1 + α or 1 + 4α/π²; a relu layer has none; message passing attains the MMSE \
         below the transition and finds nothing above."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let count = profile.pick(19, 49, 97);
        let mut jobs = Vec::new();
        for case in cases(profile) {
            let key = format!(
                "{} {} grid={count} {:?}",
                case.panel, case.series, case.plan
            );
            let grid = decades(RANGE.0, RANGE.1, count);
            jobs.push(Job::new(key, move |_| case.theory(&grid)));
        }
        for alpha in dual_aspects() {
            jobs.push(Job::new(format!("duality α={alpha}"), move |_| {
                dual(alpha)
            }));
        }
        jobs
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        cases(profile).iter().flat_map(Case::simulation).collect()
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        // The plan is that of the tables: a profile only decides which points they hold.
        let cases = cases(Profile::Paper);
        let end = "the curve of fixed points ends at 1 + α or 1 + 4α/π²";
        let mut all = AtRest::judge(&cases, end, theory, simulation).agreements();
        let mut duality = Identity::new(
            "linear layers: MMSE(α, Δ) = MMSE(1/α, Δ/α)",
            "each side is exact for a noise that differs by 1e-8, relatively, and MMSE/ρ changes \
             by at most 1 when the noise changes by a factor e",
        );
        for alpha in dual_aspects() {
            let [left, right, shifted] = dual_series(alpha);
            for row in theory.series(DUALITY, &left) {
                let value = |series: &str| theory.value(DUALITY, series, row.x);
                duality = duality
                    .point(
                        format!("{left} at {:.3}", row.x),
                        row.y,
                        value(&right),
                        2e-8,
                    )
                    .control(value(&shifted));
            }
        }
        all.push(Agreement::Identity(duality));
        all
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let cases = cases(Profile::Paper);
        ACTIVATIONS
            .into_iter()
            .fold(Picture::new(3), |picture, name| {
                let plot = Plot::new(
                    format!("{name} layer"),
                    Axis::log("noise variance Δ").range(RANGE.0, RANGE.1),
                    Axis::linear("MMSE/ρ").range(0.0, 1.05),
                );
                picture.panel(draw(&cases, name, plot, theory, simulation))
            })
    }
}

/// Every curve, with the points of message passing that the profile can afford. At least 400
/// latent components at the judged size: a finite-size correction is of order 1/k.
fn cases(profile: Profile) -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ACTIVATIONS {
        for alpha in ASPECTS {
            let threshold = match name {
                "linear" => Some(1.0 + alpha),
                "sign" => Some(1.0 + 4.0 * alpha / (PI * PI)),
                _ => None,
            };
            cases.push(Case {
                panel: name,
                series: format!("α = {alpha}"),
                chain: prior(name, alpha),
                left: None,
                threshold,
                plan: plan(profile, name, alpha, threshold),
            });
        }
    }
    cases
}

fn prior(name: &str, alpha: f64) -> Chain {
    match (name, alpha) {
        ("linear", 0.0) => Chain::new(gaussian()),
        ("sign", 0.0) => Chain::new(rademacher()),
        (_, 0.0) => layered(&[(TINY, name)]),
        _ => layered(&[(alpha, name)]),
    }
}

fn plan(profile: Profile, name: &str, alpha: f64, threshold: Option<f64>) -> Option<Plan> {
    // Fractions of the threshold; for relu multiples of ρ² = 1/4, near which its error changes most.
    let scale = threshold.unwrap_or(0.25);
    let noises = |fractions: &[f64]| fractions.iter().map(|x| x * scale).collect();
    let shown = |p, trials| {
        let fractions: &[f64] = match name {
            "relu" => &[0.1, 1.0, 10.0],
            // A latent of 400 components melts the transition: its neighbourhood says little.
            _ if alpha > 1.0 => &[0.05, 0.3, 0.5],
            _ => &[0.05, 0.3, 0.6, 0.8],
        };
        (profile > Profile::Quick).then(|| Shown {
            p,
            trials,
            noises: noises(fractions),
        })
    };
    match alpha {
        0.0 if name == "relu" => None,
        0.0 | 1.0 => Some(Plan {
            p: profile.pick(400, 400, 2000),
            trials: match name {
                "relu" => 160,
                _ => profile.pick(300, 360, 360),
            },
            noises: match name {
                "linear" => profile.pick(
                    noises(&[0.1, 2.2]),
                    noises(&[0.1, 0.2, 2.2, 4.0]),
                    noises(&[0.1, 0.2, 0.3, 0.4, 0.5, 1.6, 2.2, 4.0]),
                ),
                "sign" => profile.pick(
                    noises(&[0.3, 2.2]),
                    noises(&[0.3, 0.4, 2.2, 4.0]),
                    noises(&[0.2, 0.3, 0.4, 0.5, 1.6, 2.2, 4.0]),
                ),
                _ => profile.pick(
                    noises(&[0.2]),
                    noises(&[0.4]),
                    noises(&[0.1, 0.2, 0.4, 0.8]),
                ),
            },
            shown: shown(1000, 16),
        }),
        10.0 if profile > Profile::Quick => Some(Plan {
            p: 4000,
            trials: profile.pick(0, 16, 64),
            noises: match (profile, name) {
                (Profile::Standard, "sign") => noises(&[0.3]),
                (Profile::Standard, _) => Vec::new(),
                _ => noises(&[0.2, 0.4, 3.0]),
            },
            shown: shown(4000, 6),
        }),
        _ => None,
    }
}

const DUALITY: &str = "duality";

fn dual_aspects() -> impl Iterator<Item = f64> {
    // At α = 1 both sides are the same model.
    ASPECTS.into_iter().filter(|alpha| *alpha > 1.0)
}

fn dual_series(alpha: f64) -> [String; 3] {
    [
        format!("α = {alpha}"),
        format!("α = 1/{alpha}"),
        format!("α = 1/{alpha}, shifted"),
    ]
}

/// Both sides of the duality, on two curves, on both sides of the scales Δ = 1, √α, and α.
fn dual(alpha: f64) -> Result<Vec<Row>, FigureError> {
    let noises = decades(0.05, 0.9 * alpha, 9);
    let mmse = |alpha: f64, factor: f64| -> Result<Vec<f64>, FigureError> {
        let tree = layered(&[(alpha, "linear")]).spiked_wigner(1.0)?;
        let scaled: Vec<_> = noises.iter().map(|noise| factor * noise).collect();
        let points = sweep_noise(&tree, &scaled)?;
        Ok(points
            .iter()
            .map(|point| point.prediction.optimal.mmse)
            .collect())
    };
    let sides = [
        mmse(alpha, 1.0)?,
        mmse(1.0 / alpha, 1.0 / alpha)?,
        mmse(1.0 / alpha, SHIFT / alpha)?,
    ];
    let rows = dual_series(alpha)
        .into_iter()
        .zip(sides)
        .flat_map(|(series, values)| {
            let points: Vec<_> = noises.iter().copied().zip(values).collect();
            points
                .into_iter()
                .map(move |(x, y)| Row::theory(DUALITY, &series, x, y))
        });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::common::{Sized, ladder};

    #[test]
    fn sizes_realise_the_aspects() {
        for profile in [Profile::Quick, Profile::Standard, Profile::Paper] {
            for case in cases(profile) {
                let Some(plan) = case.plan else { continue };
                let tree = case.chain.spiked_wigner(1.0).expect("a tree");
                for p in ladder(plan.p) {
                    let sized = Sized::new(&tree, p).expect("sizes");
                    let ratios = |tree: &onsager_model::Tree| {
                        tree.variables().iter().map(|v| v.ratio).collect::<Vec<_>>()
                    };
                    assert_eq!(ratios(&sized.tree), ratios(&tree), "{profile} {p}");
                }
            }
        }
    }
}
