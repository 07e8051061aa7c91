//! Critical lines of generalised linear models without layers, against sparsity and width.

use std::sync::Arc;

use onsager_model::{Chain, ModelError, Tree};
use onsager_replica::{Key, thresholds};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::likelihood::Noiseless;
use onsager_scalar::prior::GaussBernoulli;
use onsager_scalar::special::{ndtr, normal_density};

use super::common::{
    EASY, LINES, POSSIBLE, SHIFT, WEAK, exact_output, greatest, plain_score, rademacher,
    ratio_lines, sparse_error,
};
use crate::agreement::{Agreement, Identity};
use crate::drawing::{Axis, BLACK, Band, Dash, Line, Picture, Plot, Rule};
use crate::{Figure, FigureError, Job, Profile, Row, Table};

/// Thresholds of sparse signals behind three outputs and of signs behind a door.
pub(crate) struct GlmCritical;

/// Outputs of sparse signals, with the share of outputs that have a slope.
const OUTPUTS: [(&str, f64); 3] = [("linear", 1.0), ("relu", 0.5), ("abs", 1.0)];
const DOOR: &str = "door";
/// Sparsities judged by the second route, on every grid.
const JUDGED: [f64; 2] = [0.3, 0.6];
/// Width of a door that is open half of the time.
const BALANCED: f64 = 0.674_489_750_196_081_7;

impl Figure for GlmCritical {
    fn id(&self) -> &'static str {
        "glm-critical"
    }

    fn title(&self) -> &'static str {
        "Critical lines of generalised linear models"
    }

    fn source(&self) -> &'static str {
        "Krzakala et al., arXiv:1206.3953 (compressed sensing); Barbier et al., arXiv:1708.03395 (relu, \
         abs and door outputs)"
    }

    fn claim(&self) -> &'static str {
        "Sparse signals of density ρ are determined by ρ measurements per component, by 2ρ rectified ones, \
         and are easy to find from a larger ratio on; a door says h(P) nats, so that signs are determined \
         from ln 2/h(P) on, at exactly one measurement each where it is open half of the time."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let count = profile.pick(2, 20, 80);
        let mut jobs = Vec::new();
        for (output, _) in OUTPUTS {
            for rho in sparsities(count) {
                let judged = JUDGED.contains(&rho);
                jobs.push(Job::new(format!("{output} ρ={rho}"), move |_| {
                    sparse(output, rho, judged)
                }));
            }
        }
        for width in widths(count) {
            jobs.push(Job::new(format!("door width={width}"), move |_| {
                door(width)
            }));
        }
        jobs
    }

    fn simulation(&self, _: Profile) -> Vec<Job> {
        Vec::new()
    }

    fn agreements(&self, theory: &Table, _: &Table) -> Vec<Agreement> {
        let mut easy = Identity::new(
            "message passing: the largest A/E g²(mmse(A)), by plain sums",
            "sums of analytic functions and golden sections leave less than 1e-7",
        );
        let mut door = Identity::new(
            "door: signs are determined where outputs say ln 2 nats",
            "thresholds are promised to 1e-6, relatively",
        );
        let mut weak = Identity::new(
            "weak recovery: 1/2 behind abs, P (1 - P)/(2Kφ(K))² behind a door",
            "a closed average over two outputs or an analytic one",
        );
        for (output, _) in OUTPUTS {
            for row in theory.series(output, PLAIN) {
                let line = theory.value(output, EASY, row.x);
                easy = easy
                    .point(
                        format!("{output}, ρ = {}", row.x),
                        line,
                        row.y,
                        1e-6 * row.y,
                    )
                    .control(SHIFT * row.y);
            }
        }
        for row in theory.series("abs", WEAK) {
            let label = format!("abs, ρ = {:.3}", row.x);
            weak = weak.point(label, row.y, 0.5, 1e-9).control(0.5 * SHIFT);
        }
        for row in theory.series(DOOR, WEAK) {
            let expected = weak_door(row.x);
            weak = weak
                .point(
                    format!("door, K = {:.3}", row.x),
                    row.y,
                    expected,
                    1e-9 * expected,
                )
                .control(weak_door(SHIFT * row.x));
        }
        for row in theory.series(DOOR, POSSIBLE) {
            // Beyond weak recovery the uninformed point knows more than nothing.
            if row.y < weak_door(row.x) {
                let expected = std::f64::consts::LN_2 / entropy(row.x);
                door = door
                    .point(
                        format!("K = {:.3}", row.x),
                        row.y,
                        expected,
                        1e-6 * expected,
                    )
                    .control(std::f64::consts::LN_2 / entropy(1.2 * row.x));
            }
        }
        vec![easy.into(), door.into(), weak.into()]
    }

    fn picture(&self, theory: &Table, _: &Table) -> Picture {
        let mut picture = Picture::new(2);
        for (output, share) in OUTPUTS {
            let title = match output {
                "linear" => "compressed sensing".to_owned(),
                "abs" => "phase retrieval".to_owned(),
                output => format!("{output} output"),
            };
            let plot = Plot::new(
                title,
                Axis::linear("sparsity ρ").range(0.0, 1.0),
                Axis::linear("measurements α = n/p")
                    .range(0.0, if share < 1.0 { 2.2 } else { 1.3 }),
            );
            picture = picture.panel(lines(theory, output, plot));
        }
        let plot = Plot::new(
            "signs behind a symmetric door",
            Axis::linear("width K").range(0.2, 1.6),
            Axis::linear("measurements α = n/p").range(0.5, 3.0),
        );
        let plot = plot.with(Rule::vertical(BALANCED, "P = 1/2").colour(BLACK));
        picture.panel(lines(theory, DOOR, plot))
    }
}

const PLAIN: &str = "by plain sums";

fn sparsities(count: usize) -> Vec<f64> {
    let last = count as f64 + 0.5;
    let mut all: Vec<f64> = (1..=count).map(|i| i as f64 / last).collect();
    all.retain(|x| JUDGED.iter().all(|judged| (x - judged).abs() > 0.3 / last));
    all.extend(JUDGED);
    all.sort_by(f64::total_cmp);
    all
}

fn widths(count: usize) -> Vec<f64> {
    let mut all: Vec<f64> = (0..count)
        .map(|i| 0.3 + 1.2 * (i as f64 + 0.5) / count as f64)
        .collect();
    all.push(BALANCED);
    all.sort_by(f64::total_cmp);
    all
}

/// Thresholds at one sparsity; message passing by a second route where it is judged.
fn sparse(output: &str, rho: f64, judged: bool) -> Result<Vec<Row>, FigureError> {
    let family = |ratio: f64| -> Result<Tree, ModelError> {
        Chain::new(Arc::new(GaussBernoulli::new(rho, 0.0, 1.0)?)).glm(ratio, exact_output(output))
    };
    let found = thresholds(&family, None, Key::SamplingRatio)?;
    let mut rows = ratio_lines(&found.thresholds, output, rho);
    if judged {
        let ratio = |log_snr: f64| {
            let snr = log_snr.exp();
            let error = sparse_error(rho, snr);
            snr / plain_score(output, rho - error, error)
        };
        let largest = greatest(ratio, ((0.3 / rho).ln(), (300.0 / rho).ln()));
        rows.push(Row::theory(output, PLAIN, rho, largest));
    }
    Ok(rows)
}

/// Thresholds of signs behind a door of one width.
fn door(width: f64) -> Result<Vec<Row>, FigureError> {
    let family = |ratio: f64| -> Result<Tree, ModelError> {
        let door = Noiseless::new(PiecewiseLinear::door(width)?);
        Chain::new(rademacher()).glm(ratio, Arc::new(door))
    };
    let found = thresholds(&family, Some((0.1, 10.0)), Key::SamplingRatio)?;
    Ok(ratio_lines(&found.thresholds, DOOR, width))
}

/// Probability that a standard field lies inside the door.
fn open(width: f64) -> f64 {
    1.0 - 2.0 * ndtr(-width)
}

/// What an output behind a door says of a field of which nothing is known, in nats.
fn entropy(width: f64) -> f64 {
    let p = open(width);
    -p * p.ln() - (1.0 - p) * (1.0 - p).ln()
}

fn weak_door(width: f64) -> f64 {
    let p = open(width);
    p * (1.0 - p) / (2.0 * width * normal_density(width)).powi(2)
}

fn lines(theory: &Table, panel: &str, plot: Plot) -> Plot {
    let shown = |name: &str| {
        let mut line = theory.curve(panel, name);
        line.sort_by(|a, b| a.0.total_cmp(&b.0));
        line
    };
    let (possible, easy) = (shown(POSSIBLE), shown(EASY));
    let hard = possible.iter().filter_map(|(x, low)| {
        let high = easy.iter().find(|(other, _)| other == x)?;
        Some((*x, *low, high.1))
    });
    let mut plot = plot.with(Band::new("hard", hard.collect()).colour(1));
    let styles = [(2, Dash::Dashed), (1, Dash::Solid), (0, Dash::Solid)];
    for ((name, _), (colour, dash)) in LINES.into_iter().zip(styles) {
        let line = shown(name);
        if !line.is_empty() {
            plot = plot.with(Line::new(name, line).colour(colour).dash(dash));
        }
    }
    plot
}
