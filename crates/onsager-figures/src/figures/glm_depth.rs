//! Phase retrieval behind layers: how the hard phase depends on depth and compression.

use onsager_ensembles::{Composed, Spectrum};
use onsager_model::{ModelError, Tree};
use onsager_replica::{Key, StateEvolution, thresholds};

use super::common::{
    EASY, POSSIBLE, SHIFT, exact_output, greatest, layered, plain_score, ratio_lines,
};
use crate::agreement::{Agreement, Identity};
use crate::drawing::{Axis, Dash, Line, Marker, Picture, Plot, Points};
use crate::{Figure, FigureError, Job, Profile, Row, Table};

/// `α_alg - α_IT` against depth and compression.
pub(crate) struct GlmDepth;

const LAYERS: [&str; 2] = ["relu", "linear"];
/// Components of the signal per component of the latent, where the depth varies: no two terms of the
/// dimension tie at any depth.
const COMPRESSION: f64 = 6.0;
const COMPRESSIONS: (f64, f64) = (1.3, 16.0);

/// Widths of hidden layers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Widths {
    Signal,
    Geometric,
    Latent,
}

const WIDTHS: [(&str, Widths); 3] = [
    ("hidden widths p", Widths::Signal),
    ("geometric", Widths::Geometric),
    ("hidden widths k", Widths::Latent),
];

impl Figure for GlmDepth {
    fn id(&self) -> &'static str {
        "glm-depth"
    }

    fn title(&self) -> &'static str {
        "Depth, width and the hard phase"
    }

    fn source(&self) -> &'static str {
        "Aubin, Loureiro, Baker, Krzakala, Zdeborová, arXiv:1912.02008: the role of depth and width in \
         phase retrieval"
    }

    fn claim(&self) -> &'static str {
        "The hard phase of phase retrieval narrows with every linear layer, and at p/k = 6 with every relu \
         layer as wide as the signal. Not in general: relative to α_IT it widens with compression from \
         p/k = 2 on, and a second relu layer widens it where it is as narrow as the latent, or the \
         compression is large."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let deepest = profile.pick(2, 4, 6);
        let count = profile.pick(2, 5, 20);
        let mut jobs = Vec::new();
        for layer in LAYERS {
            // One layer has no hidden widths: the first series serves all.
            let first = format!("{layer} depth=1");
            jobs.push(Job::new(first, move |_| {
                let panel = against_depth(layer);
                let mut rows = Vec::new();
                let one = gap(layer, COMPRESSION, (Widths::Signal, 1), &panel, "", 1.0)?;
                for (name, _) in WIDTHS {
                    let named = |row: &Row| Row {
                        series: format!("{name}{}", row.series),
                        ..row.clone()
                    };
                    rows.extend(one.iter().map(named));
                }
                Ok(rows)
            }));
            for (name, widths) in WIDTHS {
                for depth in 2..=deepest {
                    let key = format!("{layer} {name} depth={depth}");
                    jobs.push(Job::new(key, move |_| {
                        let panel = against_depth(layer);
                        gap(
                            layer,
                            COMPRESSION,
                            (widths, depth),
                            &panel,
                            name,
                            depth as f64,
                        )
                    }));
                }
            }
            for i in 0..count {
                let step = i as f64 / (count - 1) as f64;
                let compression = if i + 1 == count {
                    COMPRESSIONS.1
                } else {
                    COMPRESSIONS.0 * (COMPRESSIONS.1 / COMPRESSIONS.0).powf(step)
                };
                for depth in [1, 2] {
                    let key = format!("{layer} compression={compression} depth={depth}");
                    jobs.push(Job::new(key, move |_| {
                        let name = deep(depth);
                        let panel = against_compression(layer);
                        gap(
                            layer,
                            compression,
                            (Widths::Signal, depth),
                            &panel,
                            &name,
                            compression,
                        )
                    }));
                }
            }
        }
        jobs
    }

    fn simulation(&self, _: Profile) -> Vec<Job> {
        Vec::new()
    }

    fn agreements(&self, theory: &Table, _: &Table) -> Vec<Agreement> {
        let mut plain = Identity::new(
            "linear layers: message passing by the spectrum of the signal's covariance and plain sums",
            "sums of analytic functions and golden sections leave less than 1e-6",
        );
        let mut limit = Identity::new(
            "information: lim snr · error of the signal, observed directly",
            "at snr 1e8 the product misses its limit by a few times snr^(-1/2), and by a small power near ties",
        );
        for layer in LAYERS {
            for panel in [against_depth(layer), against_compression(layer)] {
                for name in theory.names(&panel) {
                    let Some(series) = name.strip_suffix(PLAIN) else {
                        continue;
                    };
                    for row in theory.series(&panel, name) {
                        let line = theory.value(&panel, &named(series, EASY), row.x);
                        plain = plain
                            .point(
                                format!("{panel}, {series}, {:.3}", row.x),
                                line,
                                row.y,
                                1e-6 * row.y,
                            )
                            .control(SHIFT * row.y);
                    }
                }
                for name in theory.names(&panel) {
                    let Some(series) = name.strip_suffix(LIMIT) else {
                        continue;
                    };
                    for row in theory.series(&panel, name) {
                        let line = theory.value(&panel, &named(series, POSSIBLE), row.x);
                        limit = limit
                            .point(
                                format!("{panel}, {series}, {:.3}", row.x),
                                row.y,
                                line,
                                2e-2 * line,
                            )
                            .control(SHIFT * line);
                    }
                }
            }
        }
        let mut order = Identity::new(
            "which of two gaps is wider",
            "signs of differences far above the accuracy of thresholds",
        );
        for (panel, [narrow, wide], relative) in orders() {
            let gap = |(series, x): (&str, f64)| {
                let value = |line: &str| theory.value(&panel, &named(series, line), x);
                let (high, low) = (value(EASY), value(POSSIBLE));
                (high - low) / if relative { low } else { 1.0 }
            };
            let difference = gap(wide) - gap(narrow);
            let label = format!("{panel}: {wide:?} against {narrow:?}");
            order = order
                .point(label, difference.signum(), 1.0, 0.0)
                .control(-1.0);
        }
        vec![plain.into(), limit.into(), order.into()]
    }

    fn picture(&self, theory: &Table, _: &Table) -> Picture {
        let mut picture = Picture::new(4);
        for relative in [false, true] {
            let axis = Axis::linear(match relative {
                true => "(α_alg - α_IT)/α_IT",
                false => "α_alg - α_IT",
            });
            for layer in LAYERS {
                let x = Axis::linear("depth L");
                let names = WIDTHS.map(|(name, _)| name.to_owned());
                let title = format!("{layer} layers, p/k = {COMPRESSION}");
                let plot = Plot::new(title, x, axis.clone());
                picture =
                    picture.panel(gaps(theory, plot, &against_depth(layer), &names, relative));
            }
            for layer in LAYERS {
                let x = Axis::log("compression p/k");
                let title = format!("{layer} layers, hidden widths p");
                let plot = Plot::new(title, x, axis.clone());
                let names = [1, 2].map(deep);
                let panel = against_compression(layer);
                picture = picture.panel(gaps(theory, plot, &panel, &names, relative));
            }
        }
        picture
    }
}

const PLAIN: &str = ", by its spectrum";
const LIMIT: &str = ", snr · error";

/// A series and an abscissa.
type Place = (&'static str, f64);

/// Panels, places of the narrower and of the wider gap, and whether gaps are relative to `α_IT`.
fn orders() -> Vec<(String, [Place; 2], bool)> {
    let [wide, geometric, narrow] = WIDTHS.map(|(name, _)| name);
    let depth = |layer, name, more: f64, less: f64, relative| {
        (against_depth(layer), [(name, more), (name, less)], relative)
    };
    let (low, high) = COMPRESSIONS;
    vec![
        // It narrows with depth.
        depth("linear", wide, 2.0, 1.0, true),
        depth("linear", geometric, 2.0, 1.0, true),
        depth("linear", narrow, 2.0, 1.0, true),
        depth("relu", wide, 2.0, 1.0, true),
        depth("relu", geometric, 2.0, 1.0, true),
        // It does not.
        depth("relu", narrow, 1.0, 2.0, true),
        (
            against_compression("relu"),
            [("depth 1", high), ("depth 2", high)],
            false,
        ),
        // With compression the gap narrows, and widens relative to what is possible.
        (
            against_compression("linear"),
            [("depth 1", high), ("depth 1", low)],
            false,
        ),
        (
            against_compression("linear"),
            [("depth 1", low), ("depth 1", high)],
            true,
        ),
    ]
}

fn against_depth(layer: &str) -> String {
    format!("{layer} against depth")
}

fn against_compression(layer: &str) -> String {
    format!("{layer} against compression")
}

fn deep(depth: usize) -> String {
    format!("depth {depth}")
}

fn named(series: &str, line: &str) -> String {
    format!("{series}, {line}")
}

/// Ratios of neighbouring widths, latent first.
fn aspects(compression: f64, widths: Widths, depth: usize) -> Vec<f64> {
    let mut aspects = vec![1.0; depth];
    match widths {
        Widths::Signal => aspects[0] = compression,
        Widths::Geometric => aspects.fill(compression.powf(1.0 / depth as f64)),
        Widths::Latent => aspects[depth - 1] = compression,
    }
    aspects
}

/// Both thresholds at one depth and compression, and second routes to them.
fn gap(
    layer: &'static str,
    compression: f64,
    (widths, depth): (Widths, usize),
    panel: &str,
    series: &str,
    x: f64,
) -> Result<Vec<Row>, FigureError> {
    let aspects = aspects(compression, widths, depth);
    let layers: Vec<(f64, &str)> = aspects.iter().map(|aspect| (*aspect, layer)).collect();
    let family = |ratio: f64| -> Result<Tree, ModelError> {
        layered(&layers).glm(ratio, exact_output("abs"))
    };
    let found = thresholds(&family, None, Key::SamplingRatio)?;
    let mut rows: Vec<Row> = ratio_lines(&found.thresholds, panel, x)
        .into_iter()
        .filter(|row| row.series == EASY || row.series == POSSIBLE)
        .map(|row| Row {
            series: named(series, &row.series),
            ..row
        })
        .collect();
    // Hidden layers as wide as the latent tie with it, and the limit of infinite ratios decides.
    if layer == "linear" && depth < 3 && (depth == 1 || widths != Widths::Latent) {
        let mut law = Composed::point(1.0)?;
        for aspect in &aspects {
            law = law.wishart(*aspect)?;
        }
        let ratio = |log: f64| {
            let snr = log.exp();
            // E t/(1 + A t) = (1 - η(A))/A.
            let error = law.eta(snr).map_or(f64::NAN, |eta| (1.0 - eta) / snr);
            snr / plain_score("abs", 1.0 - error, error)
        };
        let largest = greatest(ratio, (-3.0, 12.0));
        rows.push(Row::theory(panel, format!("{series}{PLAIN}"), x, largest));
    }
    if layer == "relu" && depth == 1 && x > 2.5 {
        /// Of the direct observation.
        const SNR: f64 = 1e8;
        let seen = layered(&layers).denoising(1.0 / SNR)?;
        let error = StateEvolution::new(&seen)?.predict()?.optimal.mmse;
        rows.push(Row::theory(
            panel,
            format!("{series}{LIMIT}"),
            x,
            SNR * error,
        ));
    }
    Ok(rows)
}

/// Gaps of several series of one panel.
fn gaps(theory: &Table, plot: Plot, panel: &str, names: &[String], relative: bool) -> Plot {
    names.iter().enumerate().fold(plot, |plot, (i, name)| {
        let gap = |(x, high): (f64, f64)| {
            let low = theory.value(panel, &named(name, POSSIBLE), x);
            (x, (high - low) / if relative { low } else { 1.0 })
        };
        let mut line: Vec<_> = theory
            .curve(panel, &named(name, EASY))
            .into_iter()
            .map(gap)
            .collect();
        line.sort_by(|a, b| a.0.total_cmp(&b.0));
        let points = line.iter().map(|(x, y)| (*x, *y, 0.0)).collect();
        let marker = [Marker::Disc, Marker::Square, Marker::Diamond][i % 3];
        plot.with(Line::new("", line).colour(i).dash(Dash::Solid))
            .with(Points::new(name.as_str(), points).colour(i).marker(marker))
    })
}
