//! Message passing, its linearisation and the principal component against the noise.

use onsager_amp::spectral::{normalised_error, optimal_error};
use onsager_model::{Chain, Tree};
use onsager_replica::StateEvolution;
use onsager_replica::spectral::{lamp, pca};

use crate::agreement::{Agreement, Claim, Identity, MeanSeries, Means, Success};
use crate::drawing::{Axis, Line, Marker, Picture, Plot, Points, Rule};
use crate::figures::common::{
    Directions, METHODS, RANKS, SHIFT, Spike, decades, gaussian, ladder, layered, trials,
};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Errors of three methods, Wigner and Wishart, in two conventions.
pub(crate) struct LampMmse;

/// Panel, activation, and rows of the matrix per column if it is rectangular.
type Case = (&'static str, &'static str, Option<f64>);
const CASES: [Case; 3] = [
    ("linear layer", "linear", None),
    ("sign layer", "sign", None),
    ("sign layer, rectangular matrix", "sign", Some(2.0)),
];
/// Components of the signal per latent component.
const ALPHA: f64 = 2.0;
/// Ends of the abscissa.
const RANGE: (f64, f64) = (0.05, 5.0);

/// Errors in units of `ρ`: a direction at its best scale, or at the norm of the signal.
const CONVENTIONS: [&str; 2] = ["best scale", "norm of the signal"];

fn errors(cos_squared: f64) -> [f64; 2] {
    [
        optimal_error(1.0, cos_squared),
        normalised_error(1.0, cos_squared),
    ]
}

impl Figure for LampMmse {
    fn id(&self) -> &'static str {
        "lamp-mmse"
    }

    fn title(&self) -> &'static str {
        "Message passing, its linearisation, and the principal component"
    }

    fn source(&self) -> &'static str {
        "Aubin, Loureiro, Maillard, Krzakala, Zdeborová, arXiv:1905.12385: AMP, LAMP and PCA against Δ"
    }

    fn claim(&self) -> &'static str {
        "Linearised message passing loses the signal where message passing does, and not where the \
         principal component does. It attains the MMSE behind a linear layer; behind a sign layer it \
         attains the error of the optimal linear theory of the same covariance, above the MMSE."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let count = profile.pick(25, 61, 121);
        let job = |case: Case| {
            let noises = METHODS.map(|method| judged(case, method, profile));
            let key = format!(
                "{} grid={count} judged={noises:?} p={}",
                case.0,
                size(profile)
            );
            Job::new(key, move |_| theory(case, count, &noises, size(profile)))
        };
        CASES.map(job).into()
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let (count, shown_count) = (profile.pick(180, 180, 240), profile.pick(16, 32, 96));
        let sizes = ladder(size(profile));
        let mut jobs = Vec::new();
        for case in CASES {
            let panel = case.0;
            for methods in [&METHODS[..1], &METHODS[1..]] {
                for noise in judged(case, methods[0], profile) {
                    for (rank, p) in RANKS.into_iter().zip(sizes) {
                        let key = format!(
                            "{panel}, {rank} {methods:?} noise={noise} p={p} trials={count}"
                        );
                        jobs.push(Job::new(key, move |context| {
                            simulate(context, case, noise, methods, rank, p, count)
                        }));
                    }
                }
            }
            for noise in shown(case, profile) {
                let p = sizes[2];
                let key = format!("{panel}, {SHOWN} noise={noise} p={p} trials={shown_count}");
                jobs.push(Job::new(key, move |context| {
                    simulate(context, case, noise, &METHODS, SHOWN, p, shown_count)
                }));
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        // The terms of order p^(-1/2) are linear in accidents of mean zero.
        let mut means = Means::new("errors of AMP, LAMP and PCA, in both conventions", 1.0);
        let mut linear = Identity::new(
            "linear layer: LAMP attains the MMSE",
            "fixed points are exact for a noise that differs by 1e-8, relatively, and errors change \
             by less than 1 when the noise changes by a factor e",
        );
        let mut closer = Success::new(
            "the instance is found better by AMP than by LAMP (sign, well \
             below both thresholds) and by LAMP than by PCA (between them)",
        );
        let mut above = Success::new("nothing is found above the threshold of LAMP");
        for case in CASES {
            let panel = case.0;
            let sizes = theory.values(panel, SIZES);
            let &[quarter, half, full] = sizes.as_slice() else {
                continue;
            };
            for method in METHODS {
                for convention in CONVENTIONS {
                    let name = named(method, convention);
                    let [at, shifted] = [JUDGED, SHIFTED].map(|what| format!("{name}, {what}"));
                    let ranks = RANKS.map(|rank| format!("{name}, {rank}"));
                    let series = MeanSeries {
                        panel,
                        sizes: [quarter, half, full],
                        theory: [&at; 3],
                        simulation: ranks.each_ref().map(String::as_str),
                        shifted: &shifted,
                    };
                    means = means.series(theory, simulation, series, |_| true);
                }
            }
            let [below, between, beyond] = compared(case);
            let row = |series: &str, noise: f64| simulation.at(panel, series, noise);
            let label = |noise: f64| format!("{panel} at {noise:.3}");
            if case.1 == "sign" {
                let row = row(AMP_CLOSER, below);
                closer = closer.row(label(below), row, Claim::AtLeast(0.9));
            }
            let found = row(LAMP_CLOSER, between);
            closer = closer.row(label(between), found, Claim::AtLeast(0.7));
            let lost = row(NOTHING, beyond);
            above = above.row(label(beyond), lost, Claim::AtLeast(0.8));
        }
        let (panel, bayes) = (CASES[0].0, named(METHODS[0], CONVENTIONS[0]));
        let series = format!("{}, {ROUTES}", named(METHODS[1], CONVENTIONS[0]));
        for row in theory.series(panel, &series) {
            let [at, shifted] = [ROUTES, ROUTES_SHIFTED]
                .map(|what| theory.value(panel, &format!("{bayes}, {what}"), row.x));
            let label = format!("at {:.3}", row.x);
            linear = linear.point(label, row.y, at, 2e-8).control(shifted);
        }
        vec![means.into(), linear.into(), closer.into(), above.into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut picture = Picture::new(3);
        for (convention, top) in CONVENTIONS.into_iter().zip([1.05, 2.1]) {
            for case in CASES {
                let title = match case.2 {
                    None => format!("{}, α = {ALPHA}", case.0),
                    Some(aspect) => format!("{}, α = {ALPHA}, β = {aspect}", case.0),
                };
                let mut plot = Plot::new(
                    title,
                    Axis::log("noise variance Δ").range(RANGE.0, RANGE.1),
                    Axis::linear(format!("error/ρ, {convention}")).range(0.0, top),
                );
                for (i, method) in METHODS.into_iter().enumerate() {
                    let name = named(method, convention);
                    let marker = [Marker::Disc, Marker::Square, Marker::Diamond][i % 3];
                    let points = [RANKS[2], SHOWN]
                        .map(|rank| simulation.points(case.0, &format!("{name}, {rank}")))
                        .concat();
                    plot = plot
                        .with(Line::new(method, theory.curve(case.0, &name)).colour(i))
                        .with(Points::new(method, points).colour(i).marker(marker));
                }
                for (i, threshold) in thresholds(case).into_iter().enumerate() {
                    let label = format!("{threshold:.2}");
                    plot = plot.with(Rule::vertical(threshold, label).colour(2 - i));
                }
                picture = picture.panel(plot);
            }
        }
        picture
    }
}

const SIZES: &str = "sizes";
const JUDGED: &str = "judged";
const SHIFTED: &str = "shifted";
const ROUTES: &str = "routes";
const ROUTES_SHIFTED: &str = "routes, shifted";
const SHOWN: &str = "shown";
const AMP_CLOSER: &str = "AMP closer than LAMP";
const LAMP_CLOSER: &str = "LAMP closer than PCA";
const NOTHING: &str = "nothing found";
/// Squared cosine that counts as nothing: above its threshold the leading eigenvector keeps one of
/// order `p^(-2/3)`, with a large constant for LAMP, whose covariance favours few directions.
const LOST: f64 = 0.3;

fn named(method: &str, convention: &str) -> String {
    format!("{method}, {convention}")
}

fn size(profile: Profile) -> usize {
    profile.pick(200, 320, 960)
}

fn tree((_, activation, aspect): Case, noise: f64) -> Result<Tree, FigureError> {
    let chain = layered(&[(ALPHA, activation)]);
    Ok(match aspect {
        None => chain.spiked_wigner(noise)?,
        Some(aspect) => chain.spiked_wishart(noise, aspect, Chain::new(gaussian()))?,
    })
}

/// Where the principal component and linearised message passing lose the signal: 1 or √β, and
/// `1 + α κ⁴` or the root of β times that.
fn thresholds((_, activation, aspect): Case) -> [f64; 2] {
    let gain = match activation {
        "sign" => std::f64::consts::FRAC_2_PI.powi(2),
        _ => 1.0,
    };
    [1.0, 1.0 + ALPHA * gain].map(|square| match aspect {
        None => square,
        Some(aspect) => (aspect * square).sqrt(),
    })
}

/// Noises at which means are judged: far below both thresholds. Of message passing higher up: behind
/// a sign layer its error falls faster than any power of the noise, and a few instances make it.
fn judged(case: Case, method: &str, profile: Profile) -> Vec<f64> {
    let fractions: &[f64] = match method {
        "AMP" if case.1 == "sign" => profile.pick(&[0.4], &[0.3, 0.4], &[0.2, 0.3, 0.4]),
        _ => profile.pick(&[0.15], &[0.1, 0.2], &[0.05, 0.1, 0.2]),
    };
    let [pca, _] = thresholds(case);
    fractions.iter().map(|x| x * pca).collect()
}

/// Below the thresholds, between them, and above both.
fn compared(case: Case) -> [f64; 3] {
    let [pca, lamp] = thresholds(case);
    [0.5 * pca, (pca * lamp).sqrt(), 1.7 * lamp]
}

/// Noises at which few runs of all methods are shown.
fn shown(case: Case, profile: Profile) -> Vec<f64> {
    let [pca, lamp] = thresholds(case);
    let more = [0.3 * pca, 0.8 * pca, 0.9 * lamp];
    let more = &more[..profile.pick(0, 3, 3)];
    [&compared(case), more].concat()
}

fn theory(
    case: Case,
    count: usize,
    judged: &[Vec<f64>; 3],
    p: usize,
) -> Result<Vec<Row>, FigureError> {
    let panel = case.0;
    let chain = StateEvolution::new(&tree(case, 1.0)?)?;
    let curve = chain.curve(Some((0.9 * RANGE.0, 1.2 * RANGE.1)))?;
    // Squared cosines of the three methods.
    let found = |noise: f64| -> Result<[f64; 3], FigureError> {
        let tree = tree(case, noise)?;
        let amp = chain.predict_on(&curve, noise)?.algorithmic;
        Ok([
            amp.overlap / (amp.overlap + amp.mmse),
            lamp(&tree)?.cos_squared,
            pca(&tree)?.cos_squared,
        ])
    };
    let mut rows = Vec::new();
    let mut add = |what: &str, of: &[&str], x: f64, noise: f64| -> Result<(), FigureError> {
        for (method, cos_squared) in METHODS.into_iter().zip(found(noise)?) {
            if !of.contains(&method) {
                continue;
            }
            for (convention, y) in CONVENTIONS.into_iter().zip(errors(cos_squared)) {
                let name = format!("{}{what}", named(method, convention));
                rows.push(Row::theory(panel, name, x, y));
            }
        }
        Ok(())
    };
    let mut noises = decades(RANGE.0, RANGE.1, count);
    noises.extend(thresholds(case));
    noises.sort_by(f64::total_cmp);
    for noise in noises {
        add("", &METHODS, noise, noise)?;
    }
    for (method, noises) in METHODS.iter().zip(judged) {
        for &noise in noises {
            add(&format!(", {JUDGED}"), &[method], noise, noise)?;
            add(&format!(", {SHIFTED}"), &[method], noise, SHIFT * noise)?;
        }
    }
    if case == CASES[0] {
        for noise in compared(case)[..2]
            .iter()
            .copied()
            .chain(judged[1].iter().copied())
        {
            add(&format!(", {ROUTES}"), &METHODS, noise, noise)?;
            add(
                &format!(", {ROUTES_SHIFTED}"),
                &METHODS,
                noise,
                SHIFT * noise,
            )?;
        }
    }
    for (i, p) in ladder(p).into_iter().enumerate() {
        rows.push(Row::theory(panel, SIZES, i as f64, p as f64));
    }
    Ok(rows)
}

fn simulate(
    context: &Context,
    case: Case,
    noise: f64,
    methods: &[&str],
    rank: &str,
    p: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let panel = case.0;
    let spike = Spike::new(&tree(case, noise)?, p)?;
    let runs = trials(context, count, |seed| spike.directions(methods, seed))?;
    let mut rows = Vec::new();
    for (m, method) in methods.iter().enumerate() {
        for (c, convention) in CONVENTIONS.into_iter().enumerate() {
            let sample = Directions::mean(&runs, |cosines| errors(cosines[m])[c]);
            let name = format!("{}, {rank}", named(method, convention));
            rows.push(Row::measured(panel, name, noise, sample));
        }
    }
    if rank == SHOWN {
        let fraction = |name, holds: &dyn Fn(&[f64]) -> bool| {
            let hits = Directions::count(&runs, holds);
            Row::fraction(panel, name, noise, hits, count as u64)
        };
        rows.push(fraction(AMP_CLOSER, &|found| found[0] > found[1]));
        rows.push(fraction(LAMP_CLOSER, &|found| found[1] > found[2]));
        rows.push(fraction(NOTHING, &|found| found.iter().all(|x| *x < LOST)));
    }
    Ok(rows)
}
