//! MMSE of a rectangular spike over the plane of the two aspects.

use std::f64::consts::FRAC_2_PI;

use onsager_amp::{Settings, Stop};
use onsager_model::{Chain, Tree};
use onsager_replica::StateEvolution;
use onsager_scalar::roots::bracketed_root;

use super::common::{REST, SHIFT, Sized, decades, gaussian, layered, trials};
use crate::agreement::{Agreement, Claim, Identity, Sample, Success};
use crate::drawing::{Axis, BLACK, Dash, HeatMap, Line, Marker, Picture, Plot, Points};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Heat maps of both factors for linear and sign layers.
pub(crate) struct WishartPhases;

const NAMES: [&str; 2] = ["linear", "sign"];
/// The noise, in units of `ρ_u ρ`.
const NOISE: f64 = 1.0;
/// Components of the right factor per latent component.
const ALPHA: (f64, f64) = (0.1, 10.0);
/// Rows per column.
const BETA: (f64, f64) = (0.05, 20.0);
/// Where message passing runs: aspects of the layer, and of the matrix in units of the critical one.
const ALPHAS: [f64; 2] = [0.5, 4.0];
const BETAS: [f64; 2] = [0.35, 3.5];

impl Figure for WishartPhases {
    fn id(&self) -> &'static str {
        "wishart-phases"
    }

    fn title(&self) -> &'static str {
        "Phases of a rectangular spike"
    }

    fn source(&self) -> &'static str {
        "Aubin, Loureiro, Maillard, Krzakala, Zdeborová, arXiv:1905.12385: spiked Wishart model; the \
         plane: own"
    }

    fn claim(&self) -> &'static str {
        "Both factors of a rectangular spike appear together, where β exceeds Δ²/(1 + α) behind a \
         linear and Δ²/(1 + 4α/π²) behind a sign layer: a structured right factor lowers the number \
         of rows that is needed from Δ², that of singular vectors. Message passing finds the spike \
         on one side of the line and nothing on the other."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let (columns, rows) = profile.pick((3, 7), (11, 15), (21, 31));
        let mut jobs = Vec::new();
        for name in NAMES {
            for alpha in decades(ALPHA.0, ALPHA.1, columns) {
                let key = format!("{name} α={alpha} rows={rows}");
                jobs.push(Job::new(key, move |_| column(name, alpha, rows)));
            }
        }
        for name in NAMES {
            for alpha in ALPHAS {
                let key = format!("routes {name} α={alpha}");
                jobs.push(Job::new(key, move |_| routes(name, alpha, BETAS[1])));
            }
        }
        jobs
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let (p, count) = (profile.pick(160, 320, 960), profile.pick(24, 40, 64));
        let mut jobs = Vec::new();
        for name in NAMES {
            for alpha in ALPHAS {
                for beta in BETAS {
                    let key = format!("{name} α={alpha} β={beta} p={p} trials={count}");
                    jobs.push(Job::new(key, move |context| {
                        simulate(context, name, alpha, beta, p, count)
                    }));
                }
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let mut square = Identity::new(
            "rectangular fixed points against those of a square matrix of noise Δ(Δ + q)/β",
            "fixed points are exact for a noise that differs by 1e-8, relatively, and errors change \
             by less than 1 when the noise changes by a factor e",
        );
        let mut line = Identity::new(
            "the MMSE is 1 below the line",
            "errors on the map follow from fixed points that are exact to 1e-8",
        );
        let mut vanished = Success::new("the estimate vanishes below the line and not above it");
        for name in NAMES {
            for alpha in aspects(theory, name) {
                let below = |row: &&Row| row.x < critical(name, alpha);
                for row in theory.series(name, &series(alpha)).filter(below) {
                    let label = format!("{name}, α = {alpha:.3}, β = {:.3}", row.x);
                    line = line.point(label, row.y, 1.0, 1e-8);
                }
            }
            for alpha in ALPHAS {
                let value = |what: &str| {
                    theory.value(ROUTES, &format!("{name}, α = {alpha}{what}"), BETAS[1])
                };
                for (side, route, shifted) in
                    [("", SQUARE, SHIFTED), (LEFT, SQUARE_LEFT, SHIFTED_LEFT)]
                {
                    square = square
                        .point(
                            format!("{name}, α = {alpha}{side}"),
                            value(side),
                            value(route),
                            3e-8,
                        )
                        .control(value(shifted));
                }
            }
            for alpha in ALPHAS {
                for beta in BETAS {
                    let claim = match beta < 1.0 {
                        true => Claim::AtLeast(0.8),
                        false => Claim::AtMost(0.2),
                    };
                    let row = simulation.at(name, &format!("{}{beta}", series(alpha)), 0.0);
                    let label = format!("{name}, α = {alpha}, β = {beta} β_c");
                    vanished = vanished.row(label, row, claim);
                }
            }
        }
        vec![square.into(), line.into(), vanished.into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut picture = Picture::new(2);
        for (side, title) in [("", "right factor"), (LEFT, "left factor")] {
            for name in NAMES {
                let alphas = aspects(theory, name);
                let betas: Vec<f64> = (alphas.first())
                    .map(|alpha| {
                        theory
                            .series(name, &series(*alpha))
                            .map(|row| row.x)
                            .collect()
                    })
                    .unwrap_or_default();
                let value = |beta: f64, alpha: &f64| {
                    theory.value(name, &format!("{}{side}", series(*alpha)), beta)
                };
                let values = betas
                    .iter()
                    .flat_map(|beta| alphas.iter().map(|alpha| value(*beta, alpha)))
                    .collect();
                let border = |x: f64| (x, critical(name, x));
                let curve: Vec<_> = decades(ALPHA.0, ALPHA.1, 60)
                    .into_iter()
                    .map(border)
                    .collect();
                let pca = [ALPHA.0, ALPHA.1]
                    .map(|alpha| (alpha, NOISE * NOISE))
                    .into();
                let mut plot = Plot::new(
                    format!("{title}, {name} layer, Δ = {NOISE}"),
                    Axis::log("aspect α of the layer").range(ALPHA.0, ALPHA.1),
                    Axis::log("aspect β of the matrix").range(BETA.0, BETA.1),
                )
                .with(HeatMap::new("MMSE/ρ", alphas, betas, values).range(0.0, 1.0))
                .with(Line::new("β_c", curve).colour(BLACK).dash(Dash::Dashed))
                .with(
                    Line::new("singular vectors", pca)
                        .colour(5)
                        .dash(Dash::Dotted),
                );
                // What most runs ended in.
                for (vanishes, marker, label) in [
                    (false, Marker::Disc, "AMP finds"),
                    (true, Marker::Circle, "AMP vanishes"),
                ] {
                    let mut points = Vec::new();
                    for alpha in ALPHAS {
                        for beta in BETAS {
                            let series = format!("{}{beta}", series(alpha));
                            let fraction = simulation.value(name, &series, 0.0);
                            if fraction.is_finite() && (fraction > 0.5) == vanishes {
                                points.push((alpha, beta * critical(name, alpha), 0.0));
                            }
                        }
                    }
                    if !points.is_empty() {
                        plot = plot.with(Points::new(label, points).colour(BLACK).marker(marker));
                    }
                }
                picture = picture.panel(plot);
            }
        }
        picture
    }
}

const LEFT: &str = ", left";
const SQUARE: &str = ", square";
const SHIFTED: &str = ", square, shifted";
const SQUARE_LEFT: &str = ", left, square";
const SHIFTED_LEFT: &str = ", left, square, shifted";
const ROUTES: &str = "routes";

fn series(alpha: f64) -> String {
    format!("α = {alpha}")
}

/// The aspects of the table, as numbers; they are written with all digits.
fn aspects(theory: &Table, name: &str) -> Vec<f64> {
    let number = |series: &str| series.strip_prefix("α = ")?.parse().ok();
    theory.names(name).into_iter().filter_map(number).collect()
}

/// `β_c = Δ²/(1 + α κ⁴)`, with second moments 1.
fn critical(name: &str, alpha: f64) -> f64 {
    let gain = match name {
        "sign" => FRAC_2_PI * FRAC_2_PI,
        _ => 1.0,
    };
    NOISE * NOISE / (1.0 + alpha * gain)
}

fn tree(name: &str, alpha: f64, beta: f64) -> Result<Tree, FigureError> {
    let left = Chain::new(gaussian());
    Ok(layered(&[(alpha, name)]).spiked_wishart(NOISE, beta, left)?)
}

/// The errors of both factors at `count` aspects of the matrix.
///
/// With a Gaussian left factor, which `q` of the right one makes known with `q/(Δ + q)`, the message
/// to the right factor is that of a square matrix of noise `Δ(Δ + q)/β`: one curve serves all `β`.
fn column(name: &str, alpha: f64, count: usize) -> Result<Vec<Row>, FigureError> {
    let square = StateEvolution::new(&layered(&[(alpha, name)]).spiked_wigner(1.0)?)?;
    let ends = |beta: f64| [NOISE * NOISE / beta, NOISE * (NOISE + 1.0) / beta];
    let curve = square.curve(Some((0.9 * ends(BETA.1)[0], 1.1 * ends(BETA.0)[1])))?;
    let mut rows = Vec::new();
    for beta in decades(BETA.0, BETA.1, count) {
        let overlap = |log: f64| {
            let found = square.predict_on(&curve, log.exp());
            found.map_or(f64::NAN, |found| found.optimal.overlap)
        };
        let excess = |log: f64| (NOISE * (NOISE + overlap(log)) / beta).ln() - log;
        let [low, high] = ends(beta).map(f64::ln);
        // Nothing known at the lower end is its own solution.
        let root = match excess(low) {
            0.0 => low,
            _ => bracketed_root(excess, low, high, 1e-9).map_or(f64::NAN, |root| root.x),
        };
        let q = overlap(root);
        let series = series(alpha);
        rows.push(Row::theory(name, &series, beta, 1.0 - q));
        let left = NOISE / (NOISE + q);
        rows.push(Row::theory(name, format!("{series}{LEFT}"), beta, left));
    }
    Ok(rows)
}

/// The same from the fixed points of the rectangular matrix, where message passing runs and finds
/// the spike; and what the relation to the square matrix says there.
fn routes(name: &str, alpha: f64, relative: f64) -> Result<Vec<Row>, FigureError> {
    let beta = relative * critical(name, alpha);
    let found = StateEvolution::new(&tree(name, alpha, beta)?)?
        .predict()?
        .optimal;
    let square = StateEvolution::new(&layered(&[(alpha, name)]).spiked_wigner(1.0)?)?;
    let noise = NOISE * (NOISE + found.overlap) / beta;
    let curve = square.curve(Some((0.9 * noise, 1.1 * noise)))?;
    let at = |noise: f64| Ok::<_, FigureError>(square.predict_on(&curve, noise)?.optimal);
    let (route, shifted) = (at(noise)?, at(SHIFT * noise)?);
    let values = [
        ("", found.mmse),
        (LEFT, found.mmse_left.unwrap_or(f64::NAN)),
        (SQUARE, route.mmse),
        (SHIFTED, shifted.mmse),
        (SQUARE_LEFT, NOISE / (NOISE + route.overlap)),
        (SHIFTED_LEFT, NOISE / (NOISE + shifted.overlap)),
    ];
    let series = |what: &str| format!("{name}, α = {alpha}{what}");
    Ok(values
        .map(|(what, y)| Row::theory(ROUTES, series(what), relative, y))
        .into())
}

/// The fraction of runs whose estimate vanishes.
fn simulate(
    context: &Context,
    name: &'static str,
    alpha: f64,
    relative: f64,
    p: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let beta = relative * critical(name, alpha);
    let sized = Sized::new(&tree(name, alpha, beta)?, p)?;
    let runs = trials(context, count, |seed| {
        let settings = Settings {
            tolerance: REST,
            seed,
            ..Settings::default()
        };
        let found = sized.infer(&sized.draw(seed)?, &settings)?;
        Ok((found.stop == Stop::Trivial, found.mse.unwrap_or(f64::NAN)))
    })?;
    let hits = runs.iter().filter(|(vanished, _)| *vanished).count() as u64;
    let errors: Vec<f64> = runs.iter().map(|(_, mse)| *mse).collect();
    let point = format!("{}{relative}", series(alpha));
    Ok(vec![
        Row::fraction(name, &point, 0.0, hits, count as u64),
        Row::measured(name, format!("{point}, error"), 0.0, Sample::of(&errors)),
    ])
}
