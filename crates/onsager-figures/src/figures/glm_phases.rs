//! Phase diagrams of compressed sensing and phase retrieval: generative against sparse signals.

use std::f64::consts::PI;
use std::sync::Arc;

use onsager_amp::Settings;
use onsager_model::{Chain, ModelError, Tree};
use onsager_replica::{Diagram, Key, StateEvolution};
use onsager_scalar::prior::GaussBernoulli;
use onsager_scalar::special::{ndtr, normal_density};

use super::common::{
    EASY, POSSIBLE, SHIFT, Sized, WEAK, exact_output, greatest, layered, ratio_lines, trials,
};
use crate::agreement::{Agreement, Claim, Identity, Success};
use crate::drawing::{Axis, BLACK, Dash, HeatMap, Line, Marker, Picture, Plot, Points};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Optimal error over sampling ratio and `ρ`, with its lines.
pub(crate) struct GlmPhases;

const PROBLEMS: [(&str, &str); 2] = [("compressed sensing", "linear"), ("phase retrieval", "abs")];
const SIGNALS: [&str; 4] = ["linear", "relu", "sign", SPARSE];
const SPARSE: &str = "sparse";

/// Largest sampling ratio, and largest ratio of sizes of a layer.
const RATIO: f64 = 1.5;
const WIDEST: f64 = 2.0;
/// Width of a column that stands alone, in units of the distance to the next.
const STRIP: f64 = 0.1;
/// Ratios of sizes that are each other's inverse, on every grid to the bit.
const DUAL: [f64; 2] = [0.5, 2.0];

/// Signals that are recovered: half the threshold of message passing or more above and below it, which is
/// beyond the rounding 3 n^(-1/2) of a spinodal from 40 measurements on. Outputs that hide the sign of
/// a centred signal need random starts and are left out.
const TRIED: [(&str, &str, f64); 5] = [
    ("linear", "linear", 0.5),
    ("linear", "relu", 0.25),
    ("linear", "sign", 0.5),
    ("linear", SPARSE, 0.25),
    ("abs", "relu", 0.25),
];
const AWAY: [f64; 2] = [0.6, 1.5];
/// Error over `ρ` below which a signal counts as recovered; just below a threshold it is above 1e-2.
const RECOVERED: f64 = 1e-3;

impl Figure for GlmPhases {
    fn id(&self) -> &'static str {
        "glm-phases"
    }

    fn title(&self) -> &'static str {
        "Phases of generalised linear models"
    }

    fn source(&self) -> &'static str {
        "Aubin, Loureiro, Baker, Krzakala, Zdeborová, arXiv:1912.02008: compressed sensing and phase \
         retrieval with generative priors; Donoho and Tanner: the line of l1"
    }

    fn claim(&self) -> &'static str {
        "Without noise as many measurements as the signal has dimensions suffice, and a generative prior \
         needs few more to be easy: none for one linear layer in compressed sensing, a few percent in \
         phase retrieval, where a sparse signal of the same dimension needs at least half as many as \
         components."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let (columns, rows) = profile.pick((2, 12), (7, 60), (41, 150));
        let mut jobs = Vec::new();
        for problem in PROBLEMS {
            for signal in SIGNALS {
                for rho in abscissae(signal, columns) {
                    let key = format!("{} {signal} ρ={rho} of {columns} rows={rows}", problem.0);
                    jobs.push(Job::new(key, move |_| column(problem, signal, rho, rows)));
                }
            }
        }
        jobs.push(Job::new("l1", |_| Ok(convex())));
        jobs
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let p = profile.pick(200, 240, 1600);
        let count = profile.pick(16, 16, 32);
        let mut jobs = Vec::new();
        for tried in TRIED {
            let key = format!("{tried:?} away={AWAY:?} p={p} trials={count}");
            jobs.push(Job::new(key, move |context| {
                attempts(context, tried, p, count)
            }));
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let mut dimension = Identity::new(
            "the line of information is lim snr · error of the signal, observed directly",
            "components within √(ln snr/snr) of zero are confused with it, which adds a relative \
             (ln snr)^(3/2) snr^(-1/2) = 8e-3 at snr 1e8",
        );
        let mut weak = Identity::new(
            "weak recovery at ρ_x²/(2M)",
            "the curve of fixed points is read at a relative overlap of 1e-7 or less, in which it is linear",
        );
        let mut dual = Identity::new(
            "phase retrieval of a linear layer: the threshold per dimension is that of 1/ρ",
            "thresholds of message passing are good to 1e-8",
        );
        let mut convex = Identity::new(
            "the line of l1: least minimax error against the parametric form of Donoho and Tanner",
            "golden sections: 1e-10 in the value",
        );
        for (problem, _) in PROBLEMS {
            for signal in SIGNALS {
                let panel = panel(problem, signal);
                for row in theory.series(&panel, LIMIT) {
                    let line = theory.value(&panel, POSSIBLE, row.x);
                    dimension = dimension
                        .point(
                            format!("{panel}, ρ = {:.3}", row.x),
                            row.y,
                            line,
                            1e-2 * line,
                        )
                        .control(SHIFT * line);
                }
                for row in theory.series(&panel, FIRST) {
                    let expected = weak_recovery(signal, row.x);
                    weak = weak
                        .point(
                            format!("{panel}, ρ = {:.3}", row.x),
                            row.y,
                            expected,
                            1e-5 * expected,
                        )
                        .control(weak_recovery(signal, SHIFT * row.x) * SHIFT);
                }
            }
        }
        let retrieved = panel(PROBLEMS[1].0, "linear");
        let easy = |rho: f64| theory.value(&retrieved, EASY, rho) / rho.min(1.0);
        dual = dual
            .point("ρ = 1/2 and 2", easy(DUAL[0]), easy(DUAL[1]), 1e-7)
            .control(SHIFT * easy(DUAL[1]));
        for row in theory.series(CONVEX, PARAMETRIC) {
            convex = convex
                .point(format!("ρ = {:.3}", row.x), minimax(row.x), row.y, 1e-8)
                .control(SHIFT * row.y);
        }
        let mut success = Success::new("message passing recovers above its line and not below");
        for (output, signal, rho) in TRIED {
            let panel = panel(name_of(output), signal);
            for (series, claim) in [(BELOW, Claim::AtMost(0.4)), (ABOVE, Claim::AtLeast(0.6))] {
                let row = simulation.series(&panel, series).next();
                success = success.row(format!("{panel}, ρ = {rho}, {series}"), row, claim);
            }
        }
        vec![
            dimension.into(),
            weak.into(),
            dual.into(),
            convex.into(),
            Agreement::Success(success),
        ]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut picture = Picture::new(4);
        for (problem, _) in PROBLEMS {
            for signal in SIGNALS {
                picture = picture.panel(map(theory, simulation, problem, signal));
            }
        }
        picture
    }
}

const LIMIT: &str = "snr · error";
const FIRST: &str = "first overlap";
const CONVEX: &str = "l1";
const PARAMETRIC: &str = "parametric";
const BELOW: &str = "recovered below";
const ABOVE: &str = "recovered above";

fn panel(problem: &str, signal: &str) -> String {
    format!("{problem}, {signal}")
}

fn name_of(output: &str) -> &'static str {
    let mut problems = PROBLEMS.into_iter();
    problems.find(|p| p.1 == output).map_or("", |p| p.0)
}

/// Values of `ρ`; those of layers hold [`DUAL`].
fn abscissae(signal: &str, count: usize) -> Vec<f64> {
    let at = |i: usize| (i as f64 + 0.5) / count as f64;
    if signal == SPARSE {
        return (0..count).map(at).collect();
    }
    let mut all: Vec<f64> = (0..count)
        .map(|i| WIDEST * (i + 1) as f64 / count as f64)
        .collect();
    // The nearest value makes room; a coarse grid has none for the kink at 1.
    let kink = (count > 4).then_some(1.0);
    for dual in DUAL.into_iter().chain(kink) {
        let near = |x: &&mut f64| (**x - dual).abs() < 0.5001 * WIDEST / count as f64;
        if let Some(x) = all.iter_mut().find(near) {
            *x = dual;
        }
    }
    all
}

fn signal_of(signal: &str, rho: f64) -> Result<Chain, ModelError> {
    Ok(match signal {
        SPARSE => Chain::new(Arc::new(GaussBernoulli::new(rho, 0.0, 1.0)?)),
        layer => layered(&[(1.0 / rho, layer)]),
    })
}

fn tree(output: &str, signal: &str, rho: f64, ratio: f64) -> Result<Tree, ModelError> {
    signal_of(signal, rho)?.glm(ratio, exact_output(output))
}

fn second_moment(signal: &str, rho: f64) -> f64 {
    match signal {
        SPARSE => rho,
        "relu" => 0.5,
        _ => 1.0,
    }
}

/// `ρ_x²/(2M)` with `M = ρ_x² + κ⁴/ρ`.
fn weak_recovery(signal: &str, rho: f64) -> f64 {
    let gain = match signal {
        "linear" => 1.0,
        "sign" => (2.0 / PI).powi(2),
        _ => 0.0,
    };
    0.5 / (1.0 + gain / rho)
}

/// Errors and lines at one `ρ`, with what the lines are compared with.
fn column(
    (problem, output): (&str, &str),
    signal: &str,
    rho: f64,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let panel = panel(problem, signal);
    let along: Vec<f64> = (0..count)
        .map(|i| RATIO * (i as f64 + 0.5) / count as f64)
        .collect();
    let diagram = Diagram::new(vec![rho, 2.0 * rho], along.clone(), Key::SamplingRatio)?;
    let column = diagram.column(&|rho, ratio| tree(output, signal, rho, ratio), rho);
    let mut rows = ratio_lines(&column.thresholds?, &panel, rho);
    for (ratio, cell) in along.into_iter().zip(column.cells) {
        let error = cell?.optimal / second_moment(signal, rho);
        rows.push(Row::theory(panel.as_str(), series(rho), ratio, error));
    }
    // Behind a tie of two dimensions the limit is approached too slowly to be seen.
    let tied = |x: f64| (rho / x).ln().abs() < 0.2;
    let is_tied = (signal == "linear" && tied(1.0)) || (signal == "relu" && tied(0.5));
    if output == "linear" && signal != "sign" && !is_tied && rho < 1.2 {
        /// Of the direct observation.
        const SNR: f64 = 1e8;
        let seen = signal_of(signal, rho)?.denoising(1.0 / SNR)?;
        let error = StateEvolution::new(&seen)?.predict()?.optimal.mmse;
        rows.push(Row::theory(panel.as_str(), LIMIT, rho, SNR * error));
    }
    if output == "abs" && signal != "relu" {
        let chain = StateEvolution::new(&tree(output, signal, rho, 1.0)?)?;
        let curve = chain.curve(None)?;
        let unit = second_moment(signal, rho).powi(2);
        let small = curve.points.iter().filter(|p| p.overlap < 1e-7 * unit);
        let largest = small.max_by(|a, b| a.overlap.total_cmp(&b.overlap));
        rows.extend(largest.map(|p| Row::theory(panel.as_str(), FIRST, rho, 1.0 / p.noise)));
    }
    Ok(rows)
}

fn series(rho: f64) -> String {
    format!("ρ = {rho}")
}

/// Measurements per component from which on least l1 finds a signal of sparsity `rho`, the least error
/// of soft thresholds: `min_t ρ (1 + t²) + 2 (1 - ρ) ((1 + t²) Φ(-t) - t φ(t))`.
fn minimax(rho: f64) -> f64 {
    let risk = |t: f64| {
        let beyond = (1.0 + t * t) * ndtr(-t) - t * normal_density(t);
        rho * (1.0 + t * t) + 2.0 * (1.0 - rho) * beyond
    };
    -greatest(|t| -risk(t), (0.0, 6.0))
}

/// The same line by the parameter `z`: `n/p = 2φ/(z + 2φ - 2zΦ(-z))`, `k/n = 1 - zΦ(-z)/φ`.
fn convex() -> Vec<Row> {
    let at = |i: u32| {
        let z = 0.05 * f64::from(i);
        let (density, beyond) = (normal_density(z), ndtr(-z));
        let ratio = 2.0 * density / (z + 2.0 * (density - z * beyond));
        let rho = ratio * (1.0 - z * beyond / density);
        Row::theory(CONVEX, PARAMETRIC, rho, ratio)
    };
    (1..60).map(at).collect()
}

/// How many of `count` signals are recovered on both sides of the threshold.
fn attempts(
    context: &Context,
    (output, signal, rho): (&'static str, &'static str, f64),
    p: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let family = |ratio: f64| tree(output, signal, rho, ratio);
    let found = onsager_replica::thresholds(&family, Some((0.05, RATIO)), Key::SamplingRatio)?;
    let easy = ratio_lines(&found.thresholds, "", rho)
        .into_iter()
        .find(|row| row.series == EASY)
        .map_or(f64::NAN, |row| row.y);
    let at = |(away, name): (f64, &str)| {
        let ratio = away * easy;
        let sized = Sized::new(&tree(output, signal, rho, ratio)?, p)?;
        let recovered = trials(context, count, |seed| {
            let instance = sized.draw(seed)?;
            let settings = Settings {
                seed,
                ..Settings::default()
            };
            let error = sized.infer(&instance, &settings)?.mse;
            Ok(error.is_some_and(|mse| mse < RECOVERED * second_moment(signal, rho)))
        })?;
        let successes = recovered.iter().filter(|found| **found).count() as u64;
        let panel = panel(name_of(output), signal);
        Ok(Row::fraction(&panel, name, ratio, successes, count as u64))
    };
    AWAY.into_iter().zip([BELOW, ABOVE]).map(at).collect()
}

fn map(theory: &Table, simulation: &Table, problem: &str, signal: &str) -> Plot {
    let panel = panel(problem, signal);
    let number = |series: &str| series.strip_prefix("ρ = ")?.parse::<f64>().ok();
    let mut rhos: Vec<f64> = theory
        .names(&panel)
        .into_iter()
        .filter_map(number)
        .collect();
    rhos.sort_by(f64::total_cmp);
    let ratios = rhos.first().map_or(Vec::new(), |rho| {
        theory
            .series(&panel, &series(*rho))
            .map(|row| row.x)
            .collect::<Vec<f64>>()
    });
    // Columns far apart tell nothing of what is between them: strips, with nothing beside them.
    if let [first, second] = rhos[..] {
        let width = STRIP * (second - first);
        rhos = [first, second]
            .into_iter()
            .flat_map(|rho| [rho - width, rho, rho + width])
            .collect();
    }
    let value = |ratio: &f64, rho: &f64| theory.value(&panel, &series(*rho), *ratio);
    let values = ratios
        .iter()
        .flat_map(|ratio| rhos.iter().map(move |rho| value(ratio, rho)));
    let values: Vec<f64> = values.collect();
    let is_sparse = signal == SPARSE;
    let title = match is_sparse {
        true => format!("{problem}, sparse"),
        false => format!("{problem}, {signal} layer"),
    };
    let widest = if is_sparse { 1.0 } else { WIDEST };
    let mut plot = Plot::new(
        title,
        Axis::linear(if is_sparse { "sparsity ρ" } else { "ρ = k/p" }).range(0.0, widest),
        Axis::linear("measurements α = n/p").range(0.0, RATIO),
    )
    .with(HeatMap::new("MMSE/ρ_x", rhos, ratios, values).range(0.0, 1.0));
    if is_sparse {
        let line = theory.curve(CONVEX, PARAMETRIC);
        plot = plot.with(Line::new("l1", line).colour(5).dash(Dash::Dotted));
    }
    let shown = |name: &str| {
        let mut line = theory.curve(&panel, name);
        line.sort_by(|a, b| a.0.total_cmp(&b.0));
        line
    };
    for (name, label, colour, dash) in [
        (WEAK, "weak recovery", 2, Dash::Dashed),
        (EASY, "message passing", 1, Dash::Solid),
        (POSSIBLE, "information", 4, Dash::Solid),
    ] {
        let line = shown(name);
        if !line.is_empty() {
            plot = plot.with(Line::new(label, line).colour(colour).dash(dash));
        }
    }
    for (series, label, marker, colour) in [
        (BELOW, "not recovered", Marker::Circle, BLACK),
        (ABOVE, "recovered", Marker::Disc, 2),
    ] {
        let tried = TRIED
            .iter()
            .find(|t| name_of(t.0) == problem && t.1 == signal);
        let row = simulation.series(&panel, series).next();
        if let (Some(tried), Some(row)) = (tried, row) {
            let points = vec![(tried.2, row.x, 0.0)];
            plot = plot.with(Points::new(label, points).colour(colour).marker(marker));
        }
    }
    plot
}
