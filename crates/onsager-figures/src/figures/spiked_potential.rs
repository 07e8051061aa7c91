//! The potential of the spiked Wigner model through its transitions, and its mutual information.

use std::sync::Arc;

use onsager_amp::{Settings, Stop};
use onsager_model::{Chain, ModelError, Tree};
use onsager_operators::LinearOperator;
use onsager_replica::{Key, StateEvolution, ThresholdKind, information_at, thresholds};
use onsager_scalar::prior::GaussBernoulli;

use crate::agreement::{Agreement, Claim, Identity, MeanSeries, Means, Sample, Success};
use crate::drawing::{Axis, BLACK, Line, Marker, Picture, Plot, Points, Rule};
use crate::figures::common::{
    REST, Sized, controlled, derivative, gaussian, ladder, layered, slope, stencil, trials,
};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Potential against overlap, information against noise.
pub(crate) struct SpikedPotential;

/// A signal, the noises at which its information is judged and those at which it is simulated.
struct Signal {
    name: &'static str,
    /// Relative to `ρ²`; away from transitions by more than the differences reach.
    judged: &'static [f64],
    /// Away from transitions by `3 p^(-1/3)`, where 5 percent of noise change the information by more
    /// than it fluctuates: not for the sparse spike.
    simulated: &'static [f64],
}

const SIGNALS: [Signal; 4] = [
    Signal {
        name: "linear, α = 2",
        judged: &[0.2, 0.6, 1.5, 2.2, 4.0],
        simulated: &[0.6, 1.0],
    },
    Signal {
        name: "sign, α = 2",
        judged: &[0.2, 0.6, 1.2, 2.5],
        simulated: &[0.5, 0.7],
    },
    Signal {
        name: "relu, α = 2",
        judged: &[0.1, 0.5, 1.5, 5.0],
        simulated: &[1.5],
    },
    Signal {
        name: SPARSE,
        judged: &[0.1, 0.3, 0.7, 4.0],
        simulated: &[],
    },
];
const SPARSE: &str = "sparse, 5 %";
const GAUSSIAN: &str = "Gaussian";
/// Probability of a component of the sparse spike to differ from zero.
const SPARSITY: f64 = 0.05;
/// Noises of the continuous transition of the sign layer, relative to the threshold.
const AROUND: [f64; 4] = [0.7, 0.85, 1.0, 1.2];
/// Ends of the information curves in noise over `ρ²`.
const RANGE: (f64, f64) = (0.05, 6.0);
/// Relative step of differences of eighth order: what they leave out is of
/// relative order `9!/630 · 0.03^8 = 4e-10` for functions whose nearest singularity is as far as
/// zero, and far below 1e-7 where it is four times closer.
const STEP: f64 = 0.03;

impl Figure for SpikedPotential {
    fn id(&self) -> &'static str {
        "spiked-potential"
    }

    fn title(&self) -> &'static str {
        "Potential and mutual information"
    }

    fn source(&self) -> &'static str {
        "arXiv 1905.12385 (potential, theorem on the mutual information); arXiv 1701.00858 (sparse)"
    }

    fn claim(&self) -> &'static str {
        "Fixed points of state evolution are the stationary points of the potential, its least value \
         is the mutual information with slope (ρ² - q²)/4 in 1/Δ, and the Bethe evidence of message \
         passing measures it on single instances."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let points = profile.pick(9, 61, 201);
        let mut jobs = vec![
            Job::new(format!("continuous points={points}"), move |_| {
                let tree = |noise| tree("sign, α = 2", noise);
                let critical = 1.0 + 8.0 / std::f64::consts::PI.powi(2);
                potentials(CONTINUOUS, &tree, &AROUND.map(|a| a * critical), points)
            }),
            Job::new(format!("first order points={points}"), move |_| {
                first_order(points)
            }),
        ];
        for signal in SIGNALS {
            let key = format!("{} points={points}", signal.name);
            jobs.push(Job::new(key, move |_| information(&signal, points)));
        }
        jobs.push(Job::new("Gaussian", |_| closed_form()));
        let n = size(profile);
        jobs.push(Job::new(format!("sizes n={n}"), move |_| {
            let row = |(i, p): (usize, usize)| Row::theory(SIZES, "p", i as f64, p as f64);
            Ok(ladder(n).into_iter().enumerate().map(row).collect())
        }));
        jobs
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let counts = profile.pick([320; 3], [320; 3], [1024; 3]);
        let mut jobs = Vec::new();
        for Signal {
            name, simulated, ..
        } in SIGNALS
        {
            for &noise in simulated {
                let sizes = ladder(size(profile)).into_iter().zip(counts);
                for (level, (p, count)) in sizes.enumerate() {
                    let key = format!("{name} noise={noise} p={p} trials={count}");
                    jobs.push(Job::new(key, move |context| {
                        simulate(context, name, noise, level, p, count)
                    }));
                }
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let value =
            |panel: &str, name: &str, x| theory.at(panel, name, x).map_or(f64::NAN, |row| row.y);
        let mut stationary = Identity::new(
            "fixed points are stationary points of the potential",
            "potential of accuracy 1e-10 in differences over steps of 0.03 of the overlap",
        );
        for panel in [CONTINUOUS, FIRST_ORDER] {
            let gradient = format!("{panel} gradient");
            for row in theory.series(&gradient, GRADIENT) {
                stationary = stationary
                    .point(format!("{panel}, overlap {:.4}", row.x), 0.0, row.y, 1e-7)
                    .control(value(&gradient, GRADIENT_SHIFTED, row.x));
            }
        }
        let mut slopes = Identity::new(
            "I-MMSE: slope of the information in 1/Δ is (ρ² - q²)/4",
            "averages of relative accuracy 1e-9, in differences over steps of 0.03/Δ",
        );
        let mut limits = Identity::new(
            "i Δ tends to (ρ² - q²)/4, q known without data",
            "the next term of the expansion in 1/Δ at Δ = 1e6 ρ²",
        );
        let mut information = Means::new("information by Bethe evidence", 1.0);
        let mut converged = Success::new("message passing converges");
        for Signal {
            name,
            judged,
            simulated,
        } in SIGNALS
        {
            for &noise in judged {
                slopes = slopes
                    .point(
                        format!("{name}, Δ/ρ² = {noise}"),
                        value(SLOPE, &format!("{name}: slope"), noise),
                        value(SLOPE, &format!("{name}: overlap"), noise),
                        1e-7,
                    )
                    .control(value(SLOPE, &format!("{name}: overlap shifted"), noise));
            }
            // Relu: E x = 1/√(2π) given nothing, hence q = 1/(2π) and ρ = 1/2.
            let known = if name.starts_with("relu") {
                (2.0 / std::f64::consts::TAU).powi(2)
            } else {
                0.0
            };
            limits = limits
                .point(name, value(LIMIT, name, 1e6), 1.0 - known, 1e-5)
                .control(1.0 - 1.05 * (1.0 - known));
            let names = at_sizes(name);
            let names = [0, 1, 2].map(|i| names[i].as_str());
            let series = MeanSeries {
                panel: INFORMATION,
                sizes: [0.0, 1.0, 2.0].map(|i| value(SIZES, "p", i)),
                theory: [name; 3],
                simulation: names,
                shifted: &format!("{name}, shifted"),
            };
            information = information.series(theory, simulation, series, |noise| {
                simulated.contains(&noise)
            });
            for &noise in simulated {
                let row = simulation.at(CONVERGED, names[2], noise);
                let (fraction, trials) = row.map_or((0.0, 0), |row| (row.y, row.trials));
                converged = converged.point(
                    format!("{name}, Δ/ρ² = {noise}"),
                    (fraction * trials as f64).round() as u64,
                    trials,
                    Claim::AtLeast(0.9),
                );
            }
        }
        let mut closed = Identity::new(
            "Gaussian spike: i = Δ/4 - ln(Δ)/2 below Δ = 1",
            "accuracy of averages and potentials",
        );
        for row in theory.series(SLOPE, GAUSSIAN) {
            let exact = |noise: f64| 0.25 * noise - 0.5 * noise.ln();
            closed = closed
                .point(format!("Δ = {}", row.x), row.y, exact(row.x), 1e-8)
                .control(exact(1.05 * row.x));
        }
        vec![
            stationary.into(),
            slopes.into(),
            limits.into(),
            closed.into(),
            information.into(),
            converged.into(),
        ]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut picture = Picture::new(2);
        for (panel, title, low, high) in [
            (CONTINUOUS, "Sign layer, α = 2: continuous", -0.002, 0.008),
            (FIRST_ORDER, "Sparse spike, 5 %: first order", -0.004, 0.008),
        ] {
            let mut plot = Plot::new(
                title,
                Axis::linear("overlap q/ρ").range(-0.02, 1.0),
                Axis::linear("i(Δ, q) - i(Δ, 0) (nats/component)").range(low, high),
            );
            let stationary = format!("{panel} stationary");
            for (colour, name) in theory.names(panel).into_iter().enumerate() {
                plot = plot
                    .with(Line::new(name, theory.curve(panel, name)).colour(colour))
                    .with(Points::new("", theory.points(&stationary, name)).colour(colour));
            }
            picture = picture.panel(plot);
        }
        let mut plot = Plot::new(
            "Mutual information",
            Axis::log("noise Δ/ρ²").range(RANGE.0, RANGE.1),
            Axis::linear("i/(ρ²/4Δ)").range(0.0, 1.04),
        );
        for row in theory.series(RULES, SPARSE) {
            plot = plot.with(Rule::vertical(row.x, "Δ_IT, sparse").colour(BLACK));
        }
        let markers = [
            Marker::Disc,
            Marker::Square,
            Marker::Diamond,
            Marker::Triangle,
        ];
        for (
            i,
            Signal {
                name, simulated, ..
            },
        ) in SIGNALS.into_iter().enumerate()
        {
            let mut line = theory.curve(INFORMATION, name);
            line.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut points = simulation.points(INFORMATION, &at_sizes(name)[2]);
            points.retain(|point| simulated.contains(&point.0));
            plot = plot
                .with(Line::new(name, line).colour(i))
                .with(Points::new(name, points).colour(i).marker(markers[i]));
        }
        picture.panel(plot)
    }
}

const CONTINUOUS: &str = "continuous";
const FIRST_ORDER: &str = "first order";
const GRADIENT: &str = "gradient";
const GRADIENT_SHIFTED: &str = "gradient shifted";
/// Informations are relative to `ρ²/(4Δ)`, that of a signal of which nothing is recovered.
const INFORMATION: &str = "information";
const SLOPE: &str = "slope";
const LIMIT: &str = "limit";
const RULES: &str = "thresholds";
const CONVERGED: &str = "converged";
const SIZES: &str = "sizes";

/// A multiple of 80, so that aspects and the number of nonzero components are exact at all sizes.
fn size(profile: Profile) -> usize {
    profile.pick(240, 320, 1920)
}

/// Name of a signal at the three sizes.
fn at_sizes(signal: &str) -> [String; 3] {
    ["n/4", "n/2", "n"].map(|size| format!("{signal}, {size}"))
}

/// The model of a signal; `noise` is relative to `ρ²`.
fn tree(signal: &str, noise: f64) -> Result<Tree, ModelError> {
    let chain = match signal.split_once(", ") {
        Some(("sparse", _)) => {
            // Normalised to ρ = 1.
            let law = GaussBernoulli::new(SPARSITY, 0.0, 1.0 / SPARSITY);
            Chain::new(Arc::new(law.map_err(ModelError::from)?))
        }
        Some((activation, _)) => {
            let rho: f64 = if activation == "relu" { 0.5 } else { 1.0 };
            return layered(&[(2.0, activation)]).spiked_wigner(noise * rho * rho);
        }
        None => Chain::new(gaussian()),
    };
    chain.spiked_wigner(noise)
}

type Family<'a> = &'a dyn Fn(f64) -> Result<Tree, ModelError>;

/// The potential against the overlap, with its fixed points.
fn potentials(
    panel: &str,
    tree: Family<'_>,
    noises: &[f64],
    points: usize,
) -> Result<Vec<Row>, FigureError> {
    let mut rows = Vec::new();
    for &noise in noises {
        let (here, shifted) = (tree(noise)?, tree(1.05 * noise)?);
        let rho = here.signal().second_moment;
        let name = format!("Δ = {noise:.3}");
        let fixed_points = |tree: &Tree| -> Result<Vec<(f64, f64)>, FigureError> {
            let found = StateEvolution::new(tree)?.predict()?.fixed_points;
            let number = |i: Option<f64>| i.unwrap_or(f64::NAN);
            Ok(found
                .iter()
                .map(|f| (f.overlap, number(f.mutual_information)))
                .collect())
        };
        // Zero overlap is stationary at the end of the interval: there is no second side.
        let inside = |q: &f64| *q > 1e-3 * rho;
        let found = fixed_points(&here)?;
        let mut differentiated: Vec<f64> = found.iter().map(|f| f.0).filter(inside).collect();
        let own = differentiated.len();
        differentiated.extend(fixed_points(&shifted)?.iter().map(|f| f.0).filter(inside));
        let step = |q: f64| STEP * q.min(rho - q);
        let grid = (0..points).map(|i| 0.999 * rho * i as f64 / (points - 1) as f64);
        let around = |q: &f64| stencil(*q, step(*q));
        // One call for all overlaps: they are read off one curve.
        let overlaps: Vec<f64> = grid.chain(differentiated.iter().flat_map(around)).collect();
        let potential = information_at(&here, &overlaps)?;
        let (on_grid, stencils) = potential.split_at(points);
        for (q, i) in overlaps.iter().zip(on_grid) {
            rows.push(Row::theory(panel, &name, q / rho, i - on_grid[0]));
        }
        for (q, i) in &found {
            rows.push(Row::theory(
                format!("{panel} stationary"),
                &name,
                q / rho,
                i - on_grid[0],
            ));
        }
        let gradients: Vec<f64> = stencils
            .chunks_exact(8)
            .zip(&differentiated)
            .map(|(values, q)| slope(values, step(*q)))
            .collect();
        let at = format!("{panel} gradient");
        for (q, gradient) in differentiated.iter().zip(&gradients).take(own) {
            rows.push(Row::theory(&at, GRADIENT, *q, *gradient));
            // The same gradient where the fixed point of a noise 5 percent larger lies.
            let wrong = differentiated.iter().zip(&gradients).skip(own);
            let nearest = wrong.min_by(|a, b| (a.0 - q).abs().total_cmp(&(b.0 - q).abs()));
            if let Some((_, gradient)) = nearest {
                rows.push(Row::theory(&at, GRADIENT_SHIFTED, *q, *gradient));
            }
        }
    }
    Ok(rows)
}

/// The sparse spike from below its algorithmic threshold to above its dynamical one.
fn first_order(points: usize) -> Result<Vec<Row>, FigureError> {
    let family = |noise| tree(SPARSE, noise);
    let found = thresholds(&family, Some((0.1, 20.0)), Key::Noise)?;
    let value = |kind| {
        let threshold = found.thresholds.iter().find(|t| t.kind == kind);
        threshold.map(|t| t.value).ok_or_else(|| FigureError::Data {
            name: "thresholds of the sparse spike",
            reason: format!("no {kind:?} threshold"),
        })
    };
    let optimal = value(ThresholdKind::InformationTheoretic)?;
    let (low, high) = (
        value(ThresholdKind::Algorithmic)?,
        value(ThresholdKind::Dynamical)?,
    );
    let between = |a: f64, b: f64| 0.5 * (a + b);
    let noises = [
        0.9 * low,
        0.95 * optimal,
        optimal,
        between(optimal, high),
        1.05 * high,
    ];
    let mut rows = potentials(FIRST_ORDER, &family, &noises, points)?;
    for (name, noise) in [(SPARSE, optimal), ("algorithmic", low), ("dynamical", high)] {
        rows.push(Row::theory(RULES, name, noise, 0.0));
    }
    Ok(rows)
}

/// Information of the optimal point, its slope, and its limit at large noise.
fn information(signal: &Signal, points: usize) -> Result<Vec<Row>, FigureError> {
    let name = signal.name;
    let model = tree(name, 1.0)?;
    let rho = model.signal().second_moment;
    let chain = StateEvolution::new(&model)?;
    let unit = rho * rho;
    let curve = chain.curve(Some((0.5 * RANGE.0 * unit, 2e6 * unit)))?;
    let optimal = |noise: f64| {
        let point = chain.predict_on(&curve, noise * unit)?.optimal;
        let i = point.mutual_information.unwrap_or(f64::NAN);
        Ok::<_, FigureError>((i, point.overlap))
    };
    let relative = |noise: f64| Ok::<_, FigureError>(4.0 * noise * optimal(noise)?.0);
    let mut rows = Vec::new();
    let grid =
        (0..points).map(|i| RANGE.0 * (RANGE.1 / RANGE.0).powf(i as f64 / (points - 1) as f64));
    for noise in grid.chain(signal.simulated.iter().copied()) {
        rows.push(Row::theory(INFORMATION, name, noise, relative(noise)?));
    }
    for &noise in signal.simulated {
        // In units of this noise, not of the shifted one.
        let shifted = 4.0 * noise * optimal(1.05 * noise)?.0;
        rows.push(Row::theory(
            INFORMATION,
            format!("{name}, shifted"),
            noise,
            shifted,
        ));
    }
    for &noise in signal.judged {
        let snr = 1.0 / noise;
        let at = |snr: f64| Ok(optimal(1.0 / snr)?.0);
        // i is a function of ρ²/Δ here: both sides are divided by ρ².
        let slope = derivative(at, snr, STEP * snr)?;
        let side = |noise: f64| {
            let q = optimal(noise)?.1 / rho;
            Ok::<_, FigureError>(0.25 * (1.0 - q * q))
        };
        rows.push(Row::theory(SLOPE, format!("{name}: slope"), noise, slope));
        rows.push(Row::theory(
            SLOPE,
            format!("{name}: overlap"),
            noise,
            side(noise)?,
        ));
        let series = format!("{name}: overlap shifted");
        rows.push(Row::theory(SLOPE, series, noise, side(1.05 * noise)?));
    }
    rows.push(Row::theory(LIMIT, name, 1e6, relative(1e6)?));
    Ok(rows)
}

/// The Gaussian spike, whose information has a closed form.
fn closed_form() -> Result<Vec<Row>, FigureError> {
    let row = |noise: f64| {
        let prediction = StateEvolution::new(&tree(GAUSSIAN, noise)?)?.predict()?;
        let i = prediction.optimal.mutual_information.unwrap_or(f64::NAN);
        Ok(Row::theory(SLOPE, GAUSSIAN, noise, i))
    };
    [0.05, 0.3, 0.8].into_iter().map(row).collect()
}

/// Message passing on independent instances.
fn simulate(
    context: &Context,
    name: &str,
    noise: f64,
    level: usize,
    p: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let sized = Sized::new(&tree(name, noise)?, p)?;
    let signal = sized.tree.signal_index();
    let observation = sized.tree.factors().len() - 1;
    let rho = sized.tree.signal().second_moment;
    let (delta, size) = (noise * rho * rho, p as f64);
    let runs = trials(context, count, |seed| {
        let instance = sized.draw(seed)?;
        let settings = Settings {
            tolerance: REST,
            seed,
            ..Settings::default()
        };
        let run = sized.infer(&instance, &settings)?;
        // The evidence is ln P(Y)/P(noise alone) in units of p, and E ln P(Y|x)/P(noise alone) is
        // ρ²/(4Δ): the information is their difference, here in units of ρ²/(4Δ) = 1/(4 noise).
        let information = 1.0 - 4.0 * noise * run.evidence.unwrap_or(f64::NAN);
        let converged = f64::from(u8::from(run.stop == Stop::Converged));
        // Fluctuations of what was drawn: norm of the signal, and noise along it.
        let x = instance.truth(signal).unwrap_or_default();
        let mut image = vec![0.0; p];
        if let Some(y) = instance.operator(observation) {
            y.apply_column(x, &mut image);
        }
        let square: f64 = x.iter().map(|x| x * x).sum::<f64>() / size;
        let noise_image: Vec<f64> = image
            .iter()
            .zip(x)
            .map(|(y, x)| y / size.sqrt() - square * x)
            .collect();
        let along: f64 = x.iter().zip(&noise_image).map(|(x, n)| x * n).sum::<f64>() / size;
        let norm: f64 = noise_image.iter().map(|n| n * n).sum::<f64>() / size;
        let drawn = [square - rho, along, norm - delta * square];
        Ok(([information, converged], drawn))
    })?;
    let series = &at_sizes(name)[level];
    let values = |i: usize| runs.iter().map(|run| run.0[i]).collect::<Vec<_>>();
    let controls = [0, 1, 2].map(|i| runs.iter().map(|run| run.1[i]).collect());
    Ok(vec![
        Row::measured(
            INFORMATION,
            series,
            noise,
            controlled(&values(0), &controls),
        ),
        Row::measured(CONVERGED, series, noise, Sample::of(&values(1))),
    ])
}
