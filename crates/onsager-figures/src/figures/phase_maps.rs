//! MMSE of a spike behind one layer over the plane of aspect and noise.

use std::collections::BTreeMap;
use std::f64::consts::{FRAC_2_PI, TAU};
use std::sync::Arc;

use onsager_model::{Chain, ModelError, Tree};
use onsager_replica::{Start, StateEvolution, ThresholdKind, trajectory};
use onsager_scalar::Activation;
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::roots::bracketed_root;

use super::common::{SHIFT, activation, gaussian};
use crate::agreement::{Agreement, Identity};
use crate::drawing::{Axis, BLACK, Dash, HeatMap, Line, Picture, Plot};
use crate::{Figure, FigureError, Job, Profile, Row, Table};

/// Heat maps for linear, sign, relu and abs.
pub(crate) struct PhaseMaps;

const NAMES: [&str; 4] = ["linear", "sign", "relu", "abs"];

/// Largest aspect and largest noise over ρ².
const ASPECT: f64 = 10.0;
const NOISE: f64 = 10.0;

/// The noises over ρ² at which plain iteration is compared with the curve, at aspect [`JUDGED`].
const ITERATED: [f64; 2] = [0.45, 4.05];
/// A power of two, so that it is on every grid to the bit.
const JUDGED: f64 = 2.0;

impl Figure for PhaseMaps {
    fn id(&self) -> &'static str {
        "phase-maps"
    }

    fn title(&self) -> &'static str {
        "Phases of a spike behind one layer"
    }

    fn source(&self) -> &'static str {
        "Aubin, Loureiro, Maillard, Krzakala, Zdeborová, arXiv:1905.12385: MMSE against α and Δ/ρ²"
    }

    fn claim(&self) -> &'static str {
        "A wider latent structure (larger α) lifts the noise below which a centred spike is found from \
         the line of PCA, Δ = ρ², to Δ_c = 1 + α (linear) or 1 + 4α/π² (sign); relu and abs are found at \
         any noise, and below an abs layer the latent itself appears at a continuous transition."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let (columns, rows) = profile.pick((3, 8), (11, 24), (41, 80));
        let mut jobs = Vec::new();
        for name in NAMES {
            for i in 0..columns {
                // Equal ratios around JUDGED on one side and up to the largest aspect on the other.
                let alpha =
                    JUDGED * (ASPECT / JUDGED).powf(2.0 * i as f64 / (columns - 1) as f64 - 1.0);
                let judged = 2 * i + 1 == columns;
                let alpha = if judged { JUDGED } else { alpha };
                jobs.push(Job::new(
                    format!("{name} α={alpha} rows={rows}"),
                    move |_| column(name, alpha, rows, judged),
                ));
            }
        }
        jobs
    }

    fn simulation(&self, _: Profile) -> Vec<Job> {
        Vec::new()
    }

    fn agreements(&self, theory: &Table, _: &Table) -> Vec<Agreement> {
        let mut linear = Identity::new(
            "linear: Δ = (α + V) mmse, mmse = V (α - 1 + V)/α",
            "fixed points are exact for a noise that differs by 1e-8, relatively",
        );
        let mut iterated = Identity::new(
            "plain iteration comes to rest on the map",
            "errors change by at most 1 when the noise changes by a factor e; 150 steps leave less \
             than 1e-7, since every step halves what is left",
        );
        let mut latent = Identity::new(
            "abs: the latent appears where α E[(∂g/∂ω)²] = 1 at zero overlap",
            "thresholds are promised to 1e-6, relatively",
        );
        for name in NAMES {
            for alpha in aspects(theory, name) {
                for row in theory.series(name, &series(alpha)) {
                    if name == "linear" && row.x < 1.0 + alpha {
                        let label = format!("α = {alpha:.3}, Δ = {:.3}", row.x);
                        linear = linear
                            .point(label, noise_of_linear(alpha, row.y), row.x, 1e-8 * row.x)
                            .control(SHIFT * row.x);
                    }
                }
                for row in theory.series(name, &format!("{}, iterated", series(alpha))) {
                    let value =
                        |what: &str| theory.value(name, &format!("{}{what}", series(alpha)), row.x);
                    iterated = iterated
                        .point(
                            format!("{name} at Δ/ρ² = {}", row.x),
                            row.y,
                            value(", point"),
                            2e-7,
                        )
                        .control(value(", shifted"));
                }
                let closed = theory.value(LATENT_CLOSED, name, alpha);
                if closed.is_finite() {
                    let found = theory.value(LATENT, name, alpha);
                    latent = latent
                        .point(format!("α = {alpha:.3}"), found, closed, 1e-6 * closed)
                        .control(SHIFT * closed);
                }
            }
        }
        vec![linear.into(), iterated.into(), latent.into()]
    }

    fn picture(&self, theory: &Table, _: &Table) -> Picture {
        NAMES.into_iter().fold(Picture::new(2), |picture, name| {
            let alphas = aspects(theory, name);
            let noises: Vec<f64> = alphas
                .first()
                .map(|alpha| {
                    theory
                        .series(name, &series(*alpha))
                        .map(|row| row.x)
                        .collect()
                })
                .unwrap_or_default();
            let value = |noise: &f64, alpha: &f64| theory.value(name, &series(*alpha), *noise);
            let values = noises
                .iter()
                .flat_map(|noise| alphas.iter().map(move |alpha| value(noise, alpha)));
            let values: Vec<f64> = values.collect();
            let mut plot = Plot::new(
                format!("{name} layer"),
                Axis::log("aspect α"),
                Axis::linear("noise Δ/ρ²"),
            )
            .with(HeatMap::new("MMSE/ρ", alphas.clone(), noises, values).range(0.0, 1.0));
            let ends = [alphas.first(), alphas.last()].into_iter().flatten();
            let pca: Vec<(f64, f64)> = ends.map(|alpha| (*alpha, 1.0)).collect();
            plot = plot.with(Line::new("PCA", pca).colour(5).dash(Dash::Dotted));
            let inside =
                |line: Vec<(f64, f64)>| line.into_iter().filter(|(_, y)| *y <= NOISE).collect();
            if gain(name).is_some() {
                let line: Vec<_> = (0..=200)
                    .map(|i| JUDGED * (ASPECT / JUDGED).powf(0.01 * f64::from(i) - 1.0))
                    .filter_map(|alpha| Some((alpha, critical(name, alpha)?)))
                    .collect();
                plot = plot.with(
                    Line::new("Δ_c", inside(line))
                        .colour(BLACK)
                        .dash(Dash::Dashed),
                );
            }
            let latent = inside(theory.curve(LATENT, name));
            if !latent.is_empty() {
                plot = plot.with(
                    Line::new("the latent appears", latent)
                        .colour(BLACK)
                        .dash(Dash::Dashed),
                );
            }
            picture.panel(plot)
        })
    }
}

const LATENT: &str = "latent";
const LATENT_CLOSED: &str = "latent by linear response";

fn series(alpha: f64) -> String {
    format!("α = {alpha}")
}

/// The aspects of the table, as numbers; they are written with all digits.
fn aspects(theory: &Table, name: &str) -> Vec<f64> {
    let number = |series: &str| series.strip_prefix("α = ")?.parse().ok();
    theory.names(name).into_iter().filter_map(number).collect()
}

fn layer(name: &str) -> Arc<dyn Activation> {
    match name {
        "abs" => Arc::new(PiecewiseLinear::abs()),
        _ => activation(name),
    }
}

/// `κ⁴` of layers that have a weak-recovery transition.
fn gain(name: &str) -> Option<f64> {
    match name {
        "linear" => Some(1.0),
        "sign" => Some(FRAC_2_PI * FRAC_2_PI),
        _ => None,
    }
}

/// `Δ_c/ρ² = 1 + α κ⁴`, with ρ = 1.
fn critical(name: &str, alpha: f64) -> Option<f64> {
    Some(1.0 + alpha * gain(name)?)
}

/// The model at a noise over ρ².
fn tree(name: &str, alpha: f64, noise: f64) -> Result<Tree, ModelError> {
    let phi = layer(name);
    let rho = phi.second_moment(1.0);
    Chain::new(gaussian())
        .layer(alpha, phi)
        .spiked_wigner(noise * rho * rho)
}

/// One column of a map: the optimal error at `count` noises, in the middle of their cells.
fn column(name: &str, alpha: f64, count: usize, judged: bool) -> Result<Vec<Row>, FigureError> {
    let chain = StateEvolution::new(&tree(name, alpha, 1.0)?)?;
    let rho = layer(name).second_moment(1.0);
    let unit = rho * rho;
    let cell = NOISE / count as f64;
    let curve = chain.curve(Some((0.1 * cell * unit, 2.0 * NOISE * unit)))?;
    let mmse = |noise: f64| {
        Ok::<_, FigureError>(chain.predict_on(&curve, noise * unit)?.optimal.mmse / rho)
    };
    let mut rows = Vec::new();
    for i in 0..count {
        let noise = (i as f64 + 0.5) * cell;
        rows.push(Row::theory(name, series(alpha), noise, mmse(noise)?));
    }
    if judged && gain(name) != Some(1.0) {
        for noise in ITERATED {
            // Half of everything known: below an abs layer nothing else breaks the symmetry of the
            // latent.
            let half = BTreeMap::from([("z".to_owned(), 0.5), ("x".to_owned(), 0.5 * rho)]);
            let run = trajectory(&tree(name, alpha, noise)?, &Start::Overlaps(half), 150)?;
            let end = run.steps.last().map_or(f64::NAN, |step| step.mmse / rho);
            let values = [
                ("iterated", end),
                ("point", mmse(noise)?),
                ("shifted", mmse(SHIFT * noise)?),
            ];
            rows.extend(values.map(|(what, y)| {
                Row::theory(name, format!("{}, {what}", series(alpha)), noise, y)
            }));
        }
    }
    if name == "abs" {
        let found = chain.thresholds_on(&curve)?.thresholds;
        let weak = found.iter().find(|t| t.kind == ThresholdKind::WeakRecovery);
        if let Some(weak) = weak {
            rows.push(Row::theory(LATENT, name, alpha, weak.value / unit));
        }
        if judged {
            rows.push(Row::theory(
                LATENT_CLOSED,
                name,
                alpha,
                latent_by_response(alpha),
            ));
        }
    }
    Ok(rows)
}

/// With `V` the error of the latent the linear chain is rational: the noise that belongs to an error.
fn noise_of_linear(alpha: f64, mmse: f64) -> f64 {
    let d = alpha - 1.0;
    let root = (d * d + 4.0 * alpha * mmse).sqrt();
    let v = if d > 0.0 {
        2.0 * alpha * mmse / (d + root)
    } else {
        0.5 * (root - d)
    };
    (alpha + v) * mmse
}

/// The noise at which zero latent overlap below an abs layer loses stability: a small overlap `q`
/// makes fields `ω ~ N(0, q)`, these make scores `g = ω ∂g/∂ω`, and the latent answers to the
/// ratio `α E g²` with the same overlap. The signal is half-normal then, with `Δ = q_x(A)/A`.
fn latent_by_response(alpha: f64) -> f64 {
    let phi = layer("abs");
    // b = A|h| + √A n has the density Z(b) N(b; 0, A): trapezoidal sums of analytic integrands.
    let averages = |a: f64| {
        let reach = 9.0 * (a + a * a).sqrt();
        let count = 4000;
        let step = 2.0 * reach / f64::from(count);
        (0..=count).fold([0.0; 2], |[response, overlap], i| {
            let b = f64::from(i) * step - reach;
            let c = phi.channel(a, b, 0.0, 1.0);
            let weight = step * (c.log_partition - 0.5 * b * b / a).exp() / (TAU * a).sqrt();
            [
                response + weight * c.curvature * c.curvature,
                overlap + weight * c.output.mean * c.output.mean,
            ]
        })
    };
    match bracketed_root(|x| alpha * averages(x.exp())[0] - 1.0, -7.0, 7.0, 1e-12) {
        Ok(root) => averages(root.x.exp())[1] / root.x.exp(),
        Err(_) => f64::NAN,
    }
}
