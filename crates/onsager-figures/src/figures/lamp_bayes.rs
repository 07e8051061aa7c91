//! How far the linear theory is from Bayes behind layers that are less and less linear.

use std::sync::Arc;

use onsager_model::{Chain, ModelError, Tree};
use onsager_replica::spectral::{lamp, lamp_overlaps};
use onsager_replica::{Start, StateEvolution, trajectory};
use onsager_scalar::Activation;
use onsager_scalar::activation::{Piece, PiecewiseLinear};

use crate::agreement::{Agreement, Claim, Identity, MeanSeries, Means, Sample, Success};
use crate::drawing::{Axis, Line, Marker, Picture, Plot, Points, Rule};
use crate::figures::common::{
    Directions, METHODS, RANKS, SHIFT, Spike, decades, gaussian, ladder, trials,
};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Error of LAMP over the MMSE against the share of a layer that is not linear.
pub(crate) struct LampBayes;

/// Odd functions `φ` of a width `t`, which together make the identity.
///
/// The share of `E φ²` that is not linear, `1 - κ²/ρ`, grows from 0: as the width of the first
/// falls, to `1 - 2/π` of the sign; as that of the second grows, to 1.
const FAMILIES: [&str; 2] = ["saturation at ±t", "dead zone of ±t"];
/// Widths, from nearly linear to nearly the limit; the second family ends before its signals become
/// so sparse that message passing and Bayes part.
const WIDTHS: [(f64, f64); 2] = [(4.0, 0.02), (0.02, 1.5)];
/// Components of the signal per latent component.
const ALPHA: f64 = 2.0;
/// Noises in units of the weak-recovery threshold, with the steps in which message passing comes to
/// rest from its linearisation, to 1e-8: every step leaves a part that grows towards the threshold.
const NOISES: [(f64, usize); 3] = [(0.05, 24), (0.2, 40), (0.5, 90)];
/// Where means are judged, and where the ratio is shown.
const JUDGED: f64 = 0.05;
const SHOWN: f64 = 0.2;

impl Figure for LampBayes {
    fn id(&self) -> &'static str {
        "lamp-bayes"
    }

    fn title(&self) -> &'static str {
        "The price of linearity"
    }

    fn source(&self) -> &'static str {
        "own; behind a linear layer: Aubin, Loureiro, Maillard, Krzakala, Zdeborová, arXiv:1905.12385"
    }

    fn claim(&self) -> &'static str {
        "Linearised message passing errs as much as Bayes would if the layer were its linear part with \
         Gaussian noise of the remaining variance. It loses nothing behind a linear layer, and the \
         more the larger the remaining share and the smaller the noise."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let count = profile.pick(4, 9, 21);
        let noises = &NOISES[..profile.pick(2, 3, 3)];
        let mut jobs = Vec::new();
        for (family, (first, last)) in WIDTHS.into_iter().enumerate() {
            let mut widths = decades(first, last, count);
            widths.extend(simulated(family, profile));
            // From nearly linear on, as the curve is drawn.
            widths.sort_by(|a, b| (a - b).total_cmp(&0.0));
            if first > last {
                widths.reverse();
            }
            for width in widths {
                let key = format!("{} t={width} noises={}", FAMILIES[family], noises.len());
                let judged = simulated(family, profile).contains(&width);
                let key = format!("{key} judged={judged}");
                jobs.push(Job::new(key, move |_| {
                    theory(family, width, noises, judged)
                }));
            }
        }
        if profile != Profile::Quick {
            for (family, name) in FAMILIES.into_iter().enumerate() {
                for width in simulated(family, profile) {
                    let key = format!("{name} t={width} at rest noises={}", noises.len());
                    jobs.push(Job::new(key, move |_| {
                        rest(name, &activation(family, width)?, noises)
                    }));
                }
            }
        }
        let p = size(profile);
        let key = format!("ends p={p} noises={}", noises.len());
        jobs.push(Job::new(key, move |_| ends(p, noises)));
        jobs
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let (count, shown_count) = (profile.pick(200, 240, 240), profile.pick(24, 48, 240));
        let sizes = ladder(size(profile));
        let mut jobs = Vec::new();
        for (family, name) in FAMILIES.into_iter().enumerate() {
            for width in simulated(family, profile) {
                for (rank, p) in RANKS.into_iter().zip(sizes) {
                    let key = format!("{name} t={width} p={p} trials={count}");
                    jobs.push(Job::new(key, move |context| {
                        means(context, family, width, rank, p, count)
                    }));
                }
                let p = sizes[2];
                let key = format!("{name} t={width} p={p} shown trials={shown_count}");
                jobs.push(Job::new(key, move |context| {
                    ratio(context, family, width, p, shown_count)
                }));
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let mut means = Means::new("errors of LAMP and of message passing", 1.0);
        let mut closer = Success::new("message passing is closer than LAMP on the instance");
        let mut linear = Identity::new(
            "LAMP against Bayes behind the linear part of the layer and noise, in closed form",
            "two fixed-point equations, each solved to rounding seen through a slope",
        );
        let mut rest = Identity::new(
            "message passing comes to rest from its linearisation where the potential is largest",
            "plain iteration leaves 1e-8, and fixed points are exact to that",
        );
        let sizes = theory.values(SIZES, "p");
        for name in FAMILIES {
            if let &[quarter, half, full] = sizes.as_slice() {
                for method in &METHODS[..2] {
                    let ranks = RANKS.map(|rank| format!("{method}, {rank}"));
                    let [at, shifted] =
                        [JUDGED_AT, SHIFTED_AT].map(|what| format!("{method}, {what}"));
                    let series = MeanSeries {
                        panel: name,
                        sizes: [quarter, half, full],
                        theory: [&at; 3],
                        simulation: ranks.each_ref().map(String::as_str),
                        shifted: &shifted,
                    };
                    means = means.series(theory, simulation, series, |_| true);
                }
            }
            for row in theory.series(name, &format!("{LAMP}, {JUDGED_AT}")) {
                let hits = simulation.at(name, CLOSER, row.x);
                let label = format!("{name} at {:.3}", row.x);
                closer = closer.row(label, hits, Claim::AtLeast(0.6));
            }
            for (noise, _) in NOISES {
                let series = |what: &str| format!("{noise} Δc, {what}");
                for row in theory.series(name, &series(LAMP)) {
                    let other = |what: &str| theory.value(name, &series(what), row.x);
                    let label = format!("{name} at {:.3}, {noise} Δc", row.x);
                    linear = linear
                        .point(label, row.y, other(CLOSED), 1e-9)
                        .control(other(CLOSED_SHIFTED));
                }
                for row in theory.series(name, &series(REST)) {
                    let other = |what: &str| theory.value(name, &series(what), row.x);
                    let label = format!("{name} at {:.3}, {noise} Δc", row.x);
                    rest = rest
                        .point(label, row.y, other(BAYES), 3e-8)
                        .control(other(BAYES_SHIFTED));
                }
            }
        }
        vec![means.into(), closer.into(), linear.into(), rest.into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut picture = Picture::new(2);
        for (family, name) in FAMILIES.into_iter().enumerate() {
            let mut plot = Plot::new(
                format!("{name}, α = {ALPHA}"),
                Axis::linear("share that is not linear, 1 - κ²/ρ"),
                Axis::log("error of LAMP / error of AMP"),
            );
            for (colour, (noise, _)) in NOISES.into_iter().enumerate() {
                let series = format!("{noise} Δc");
                let mut line = theory.curve(name, &series);
                if line.is_empty() {
                    continue;
                }
                line.insert(0, (0.0, 1.0));
                plot = plot.with(Line::new(format!("Δ = {series}"), line).colour(colour));
                if noise == SHOWN {
                    let points = Points::new("simulation", simulation.points(name, RATIO));
                    plot = plot.with(points.colour(colour).marker(Marker::Disc));
                }
            }
            if family == 0 {
                plot = plot.with(Rule::vertical(1.0 - std::f64::consts::FRAC_2_PI, "sign"));
            }
            picture = picture.panel(plot);
        }
        picture
    }
}

const SIZES: &str = "sizes";
const LAMP: &str = "LAMP";
const JUDGED_AT: &str = "judged";
const SHIFTED_AT: &str = "shifted";
const CLOSED: &str = "linear layer and noise";
const CLOSED_SHIFTED: &str = "linear layer and noise, shifted";
const REST: &str = "at rest";
const BAYES: &str = "Bayes";
const BAYES_SHIFTED: &str = "Bayes, shifted";
const CLOSER: &str = "message passing closer";
const RATIO: &str = "ratio";

fn size(profile: Profile) -> usize {
    profile.pick(240, 320, 960)
}

/// Widths of the simulation.
fn simulated(family: usize, profile: Profile) -> Vec<f64> {
    let all: [&[f64]; 2] = match profile {
        Profile::Quick => [&[0.3], &[0.7]],
        _ => [&[1.0, 0.3], &[0.4, 1.0]],
    };
    all[family].to_vec()
}

fn pieces(pieces: impl IntoIterator<Item = Piece>) -> Result<Arc<dyn Activation>, FigureError> {
    Ok(Arc::new(
        PiecewiseLinear::new(pieces).map_err(ModelError::from)?,
    ))
}

/// `max(-t, min(t, h))`, or what it takes from `h`.
fn activation(family: usize, t: f64) -> Result<Arc<dyn Activation>, FigureError> {
    let inf = f64::INFINITY;
    let piece = |lower, upper, offset, slope| Piece {
        lower,
        upper,
        offset,
        slope,
    };
    match family {
        0 => pieces([
            piece(-inf, -t, -t, 0.0),
            piece(-t, t, 0.0, 1.0),
            piece(t, inf, t, 0.0),
        ]),
        _ => pieces([
            piece(-inf, -t, t, 1.0),
            piece(-t, t, 0.0, 0.0),
            piece(t, inf, -t, 1.0),
        ]),
    }
}

/// `κ` and `ρ`, for a field of variance 1.
fn moments(phi: &dyn Activation) -> (f64, f64) {
    (phi.linear_gain(1.0), phi.second_moment(1.0))
}

/// `1 - κ²/ρ`.
fn share(phi: &dyn Activation) -> f64 {
    let (gain, rho) = moments(phi);
    1.0 - gain * gain / rho
}

/// `Δ_c = ρ² + α κ⁴`.
fn critical(phi: &dyn Activation) -> f64 {
    let (gain, rho) = moments(phi);
    rho * rho + ALPHA * gain.powi(4)
}

/// The model at a noise in units of its threshold.
fn tree(phi: &Arc<dyn Activation>, relative: f64) -> Result<Tree, FigureError> {
    let chain = Chain::new(gaussian()).layer(ALPHA, phi.clone());
    Ok(chain.spiked_wigner(relative * critical(&**phi))?)
}

/// Error/ρ of LAMP.
fn linear(phi: &Arc<dyn Activation>, relative: f64) -> Result<f64, FigureError> {
    Ok(1.0 - lamp(&tree(phi, relative)?)?.cos_squared)
}

/// MMSE/ρ behind `x = κ h + √(ρ - κ²) n`, by iteration of Gaussian conditioning: with `v` the error
/// of the latent and `w = κ² v + ρ - κ²`, a message of precision `A` leaves `w/(1 + A w)` of `x`,
/// and tells `κ²/(ρ - κ² + 1/A)` about `h`.
fn closed(phi: &dyn Activation, relative: f64) -> f64 {
    let (gain, rho) = moments(phi);
    let (noise, square) = (relative * critical(phi), gain * gain);
    let rest = rho - square;
    let (mut v, mut a) = (0.0, rho / noise);
    for _ in 0..2_000 {
        let w = square * v + rest;
        let below = square / (rest + 1.0 / a);
        v = 1.0 / (1.0 + ALPHA * below / (1.0 + below * v));
        a = (rho - w / (1.0 + a * w)) / noise;
    }
    let w = square * v + rest;
    w / (1.0 + a * w) / rho
}

/// Error/ρ of message passing after `steps` from its linearisation.
fn at_rest(phi: &Arc<dyn Activation>, relative: f64, steps: usize) -> Result<f64, FigureError> {
    let tree = tree(phi, relative)?;
    let start = Start::Overlaps(lamp_overlaps(&tree)?);
    let run = trajectory(&tree, &start, steps)?.steps;
    let last = run.last().map_or(f64::NAN, |step| step.mmse);
    Ok(last / tree.signal().second_moment)
}

fn theory(
    family: usize,
    width: f64,
    noises: &[(f64, usize)],
    judged: bool,
) -> Result<Vec<Row>, FigureError> {
    let name = FAMILIES[family];
    let phi = activation(family, width)?;
    let x = share(&*phi);
    let mut rows = Vec::new();
    for &(noise, steps) in noises {
        let lamp = linear(&phi, noise)?;
        let amp = at_rest(&phi, noise, steps)?;
        let mut add = |what: &str, y| {
            rows.push(Row::theory(name, format!("{noise} Δc{what}"), x, y));
        };
        add("", lamp / amp);
        add(&format!(", {LAMP}"), lamp);
        add(&format!(", {CLOSED}"), closed(&*phi, noise));
        add(&format!(", {CLOSED_SHIFTED}"), closed(&*phi, SHIFT * noise));
    }
    if judged {
        for (what, noise) in [(JUDGED_AT, JUDGED), (SHIFTED_AT, SHIFT * JUDGED)] {
            let errors = [at_rest(&phi, noise, NOISES[0].1)?, linear(&phi, noise)?];
            for (method, error) in METHODS.iter().zip(errors) {
                rows.push(Row::theory(name, format!("{method}, {what}"), x, error));
            }
        }
    }
    Ok(rows)
}

fn means(
    context: &Context,
    family: usize,
    width: f64,
    rank: &str,
    p: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let phi = activation(family, width)?;
    let spike = Spike::new(&tree(&phi, JUDGED)?, p)?;
    let runs = trials(context, count, |seed| spike.directions(&METHODS[..2], seed))?;
    let row = |m: usize| {
        let sample = Directions::mean(&runs, |cosines| 1.0 - cosines[m]);
        let series = format!("{}, {rank}", METHODS[m]);
        Row::measured(FAMILIES[family], series, share(&*phi), sample)
    };
    Ok(vec![row(0), row(1)])
}

/// The ratio of the mean errors of LAMP and of message passing.
fn ratio(
    context: &Context,
    family: usize,
    width: f64,
    p: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let phi = activation(family, width)?;
    let (name, x) = (FAMILIES[family], share(&*phi));
    let spike = Spike::new(&tree(&phi, SHOWN)?, p)?;
    let runs = trials(context, count, |seed| spike.directions(&METHODS[..2], seed))?;
    let [amp, lamp] = [0, 1].map(|m| Directions::mean(&runs, |cosines| 1.0 - cosines[m]));
    // Errors as if those of the two methods were independent, which is too large.
    let relative = [amp, lamp].map(|s| s.standard_error / s.mean);
    let sample = Sample {
        mean: lamp.mean / amp.mean,
        standard_error: lamp.mean / amp.mean * relative[0].hypot(relative[1]),
        ..lamp
    };
    let hits = Directions::count(&runs, |cosines| cosines[0] > cosines[1]);
    Ok(vec![
        Row::measured(name, RATIO, x, sample),
        Row::fraction(name, CLOSER, x, hits, count as u64),
    ])
}

/// The limit of the first family, as the last point of its curve, and the sizes of the simulation.
fn ends(p: usize, noises: &[(f64, usize)]) -> Result<Vec<Row>, FigureError> {
    let phi: Arc<dyn Activation> = Arc::new(PiecewiseLinear::sign());
    let (name, x) = (FAMILIES[0], share(&*phi));
    let mut rows = rest(name, &phi, noises)?;
    for &(noise, steps) in noises {
        let ratio = linear(&phi, noise)? / at_rest(&phi, noise, steps)?;
        rows.push(Row::theory(name, format!("{noise} Δc"), x, ratio));
    }
    for (i, p) in ladder(p).into_iter().enumerate() {
        rows.push(Row::theory(SIZES, "p", i as f64, p as f64));
    }
    Ok(rows)
}

/// The errors at rest beside those of the curve of all fixed points, which takes seconds behind
/// layers of three pieces.
fn rest(
    name: &str,
    phi: &Arc<dyn Activation>,
    noises: &[(f64, usize)],
) -> Result<Vec<Row>, FigureError> {
    let chain = StateEvolution::new(&tree(phi, 1.0)?)?;
    let (unit, (_, rho)) = (critical(&**phi), moments(&**phi));
    let last = noises.last().map_or(SHOWN, |(noise, _)| *noise);
    let curve = chain.curve(Some((0.9 * NOISES[0].0 * unit, 1.1 * last * unit)))?;
    let mut rows = Vec::new();
    for &(noise, steps) in noises {
        let bayes = |relative: f64| -> Result<f64, FigureError> {
            Ok(chain.predict_on(&curve, relative * unit)?.optimal.mmse / rho)
        };
        let values = [
            (REST, at_rest(phi, noise, steps)?),
            (BAYES, bayes(noise)?),
            (BAYES_SHIFTED, bayes(SHIFT * noise)?),
        ];
        let row = |(what, y)| Row::theory(name, format!("{noise} Δc, {what}"), share(&**phi), y);
        rows.extend(values.map(row));
    }
    Ok(rows)
}
