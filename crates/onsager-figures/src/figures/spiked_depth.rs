//! Minimal mean squared error of a spike with a generative prior of one, two and three layers.

use std::f64::consts::{FRAC_2_PI, PI, TAU};

use onsager_replica::StateEvolution;

use super::common::{ALGORITHMIC, AtRest, Case, Plan, decades, draw, layered};
use crate::agreement::{Agreement, Identity};
use crate::drawing::{Axis, Picture, Plot, Rule};
use crate::{Figure, FigureError, Job, Profile, Row, Table};

/// MMSE against noise at depths 1, 2 and 3, all variables of one size.
pub(crate) struct SpikedDepth;

const ACTIVATIONS: [&str; 3] = ["linear", "sign", "relu"];
const DEPTHS: [usize; 3] = [1, 2, 3];

impl Figure for SpikedDepth {
    fn id(&self) -> &'static str {
        "spiked-depth"
    }

    fn title(&self) -> &'static str {
        "MMSE of a spike with one, two and three layers"
    }

    fn source(&self) -> &'static str {
        "Aubin, Loureiro, Maillard, Krzakala, Zdeborová, arXiv:1905.12385: role of depth"
    }

    fn claim(&self) -> &'static str {
        "With L square layers the transition of the spiked Wigner model lies at Δ = 1 + L (linear) \
         or 1 + Σ (2/π)^(2j) over j = 1..L (sign), while relu layers approach a plateau without \
         one; message passing attains the MMSE, since the frozen states of hidden signs are never \
         optimal at these widths."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let count = profile.pick(13, 41, 81);
        let mut jobs = Vec::new();
        for case in cases(profile) {
            let key = format!(
                "{} {} grid={count} {:?}",
                case.panel, case.series, case.plan
            );
            let (low, high) = range(case.panel);
            let grid = decades(low, high, count);
            jobs.push(Job::new(key, move |_| case.theory(&grid)));
        }
        for depth in 1..=profile.pick(1, 3, 3) {
            jobs.push(Job::new(format!("plateau {depth}"), move |_| {
                plateau_row(depth)
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
        let end = "the curve of fixed points ends at 1 + L or 1 + Σ (2/π)^(2j)";
        let mut all = AtRest::judge(&cases, end, theory, simulation).agreements();
        let mut frozen = Identity::new(
            "hidden signs: message passing is optimal at every noise",
            "one and the same fixed point; the control is the frozen state, without error",
        );
        for case in &cases {
            if case.panel == "sign" && case.series != series(1) {
                for row in theory.series(case.panel, &case.series) {
                    let reached = theory.value(case.panel, &case.named(ALGORITHMIC), row.x);
                    let label = format!("{} at {:.3}", case.series, row.x);
                    frozen = frozen.point(label, row.y, reached, 0.0).control(0.0);
                }
            }
        }
        let mut plateaus = Identity::new(
            "relu: without data the known mean leaves the plateau",
            "at Δ = 1e8 a message of snr q/Δ < 2e-9 takes less than ρ q/Δ off the error; averages \
             are exact to 1e-9",
        );
        for row in theory.series("plateau", "relu") {
            let depth = row.x as usize;
            plateaus = plateaus
                .point(series(depth), row.y, plateau(depth), 2e-9)
                .control(plateau(depth + 1));
        }
        all.extend([plateaus, frozen].map(Agreement::Identity));
        all
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let cases = cases(Profile::Paper);
        ACTIVATIONS
            .into_iter()
            .fold(Picture::new(3), |picture, name| {
                let (low, high) = range(name);
                let mut plot = Plot::new(
                    format!("{name} layers"),
                    Axis::log("noise variance Δ").range(low, high),
                    Axis::linear("MMSE/ρ").range(0.0, 1.05),
                );
                plot = draw(&cases, name, plot, theory, simulation);
                let plateaus = DEPTHS.map(plateau).into_iter().enumerate();
                for (colour, value) in plateaus.filter(|_| name == "relu") {
                    let rule = Rule::horizontal(value, format!("{value:.3}"));
                    plot = plot.with(rule.colour(colour));
                }
                picture.panel(plot)
            })
    }
}

/// Ends of the abscissa. The signal behind three relu layers has `ρ = 1/8`, hence its scale
/// `Δ = ρ²` lies far lower.
fn range(name: &str) -> (f64, f64) {
    match name {
        "relu" => (1e-4, 1e2),
        _ => (5e-2, 2e1),
    }
}

fn series(depth: usize) -> String {
    format!("L = {depth}")
}

fn cases(profile: Profile) -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ACTIVATIONS {
        for depth in DEPTHS {
            // The curves of deep nonlinear layers cost as much as all others.
            let costly = matches!((name, depth), ("sign", 3) | ("relu", 2..));
            if profile == Profile::Quick && costly {
                continue;
            }
            let threshold = threshold(name, depth);
            cases.push(Case {
                panel: name,
                series: series(depth),
                chain: layered(&vec![(1.0, name); depth]),
                left: None,
                threshold,
                plan: plan(profile, name, depth, threshold),
            });
        }
    }
    cases
}

/// Deep chains take many iterations and fluctuate more: they have fewer points and trials, the
/// deepest with a nonlinearity none but in the longest runs.
fn plan(profile: Profile, name: &str, depth: usize, threshold: Option<f64>) -> Option<Plan> {
    // Fractions of the threshold; for relu multiples of ρ², near which its error changes most.
    let scale = threshold.unwrap_or(0.25f64.powi(depth as i32));
    let (fractions, trials): (&[f64], _) = match (profile, name, depth) {
        (Profile::Quick, "linear", 1) => (&[0.05, 0.1, 0.15, 3.0], 640),
        (Profile::Quick, "linear", 2) => (&[0.1, 3.0], 128),
        (Profile::Quick, "sign", 1) => (&[0.2, 3.0], 960),
        (Profile::Quick, ..) => return None,
        (Profile::Standard, "linear", 1) => (&[0.05, 0.1, 0.2, 3.0], 360),
        (Profile::Standard, "linear", 2) => (&[0.1, 3.0], 480),
        (Profile::Standard, "linear", _) => (&[0.1, 4.0], 96),
        (Profile::Standard, "sign", 1) => (&[0.3, 0.35, 3.0], 360),
        (Profile::Standard, "sign", 2) => (&[0.3, 3.0], 96),
        (Profile::Standard, "relu", 1) => (&[0.4], 320),
        (Profile::Standard, "relu", 2) => (&[0.8], 96),
        (Profile::Standard, ..) => return None,
        (Profile::Paper, "relu", _) => (&[0.1, 0.2, 0.4, 0.8], 256),
        (Profile::Paper, ..) => (&[0.1, 0.2, 0.3, 0.4, 0.5, 4.0], 256),
    };
    Some(Plan {
        p: profile.pick(200, 400, 1600),
        trials,
        noises: fractions.iter().map(|x| x * scale).collect(),
        shown: None,
    })
}

/// `M_L` of the recursion `M_l = ρ_l² + κ_l⁴ M_{l-1}`, `M_0 = 1`, solved: `κ = 1` for linear and
/// `κ² = 2/π` for sign layers.
fn threshold(name: &str, depth: usize) -> Option<f64> {
    match name {
        "linear" => Some(1.0 + depth as f64),
        "sign" => Some(
            1.0 + (1..=depth)
                .map(|j| FRAC_2_PI.powi(2 * j as i32))
                .sum::<f64>(),
        ),
        _ => None,
    }
}

/// `MMSE/ρ` of `L` relu layers without data. The overlap that the weights alone give follows
/// `q_l = ρ_{l-1} [√(1 - c²) + c (π - arccos c)]/(2π)` with `c = q_{l-1}/ρ_{l-1}`, from `q_0 = 0`
/// and `ρ_0 = 1`; `ρ_l = ρ_{l-1}/2`.
fn plateau(depth: usize) -> f64 {
    let (q, rho) = (0..depth).fold((0.0, 1.0), |(q, rho): (f64, f64), _| {
        let c = q / rho;
        let next = rho / TAU * ((1.0 - c * c).sqrt() + c * (PI - c.acos()));
        (next, rho / 2.0)
    });
    1.0 - q / rho
}

/// The same from the curve of fixed points, at a noise that drowns the data.
fn plateau_row(depth: usize) -> Result<Vec<Row>, FigureError> {
    let noise = 1e8;
    let tree = layered(&vec![(1.0, "relu"); depth]).spiked_wigner(noise)?;
    let chain = StateEvolution::new(&tree)?;
    let curve = chain.curve(Some((0.5 * noise, 2.0 * noise)))?;
    let point = chain.predict_on(&curve, noise)?.optimal;
    let value = point.mmse / (point.mmse + point.overlap);
    Ok(vec![Row::theory("plateau", "relu", depth as f64, value)])
}
