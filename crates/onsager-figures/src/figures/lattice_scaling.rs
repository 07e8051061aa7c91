//! The fewest bits with which phase retrieval succeeds, against the dimension.

use onsager_lattice::planted::{self, Shape};
use onsager_lattice::{PhaseRetrieval, Recover, Search, Settings, estimated_bits};

use crate::agreement::{Agreement, Claim, Sample, Success};
use crate::drawing::{Axis, Dash, Line, Marker, Picture, Plot, Points};
use crate::figures::common::{fewest_bits, trials};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Fewest bits against dimension.
pub(crate) struct LatticeScaling;

const BITS: &str = "bits";
const WITHIN: &str = "within";
const LLL: &str = "adjacent exchanges (LLL)";
const DEEP: &str = "deep insertion, 10 back";
/// Places a row may move in one insertion.
const DEPTHS: [(&str, usize); 2] = [(LLL, 1), (DEEP, 10)];

const ESTIMATE: &str = "estimate";
const SHORTEST: &str = "shortest vector";
const SIGNS: &str = "one bit for each sign";

fn dimensions(profile: Profile) -> &'static [usize] {
    profile.pick(
        &[10, 20, 30],
        &[10, 15, 20, 25, 30, 40, 50],
        &[10, 15, 20, 25, 30, 40, 50, 60, 80, 100],
    )
}

/// The dimensions that every profile holds.
const JUDGED: [usize; 3] = [10, 20, 30];

impl Figure for LatticeScaling {
    fn id(&self) -> &'static str {
        "lattice-scaling"
    }

    fn title(&self) -> &'static str {
        "Fewest sufficient bits against dimension"
    }

    fn source(&self) -> &'static str {
        "arXiv 2106.10744 (no figure there)"
    }

    fn claim(&self) -> &'static str {
        "The bits that lattice reduction needs for phase retrieval from d + 1 samples lie between the d \
         that the unknown signs contain and the estimate by counting, far below the d² of the theorem."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let last = dimensions(profile).last().copied().unwrap_or(10);
        vec![Job::new(format!("d to {last}"), move |_| {
            let rows = (5..=last).step_by(5).flat_map(|d| {
                let n = d + 1;
                let whole = estimated_bits(n, (n as f64).sqrt());
                // Without the loss of a reduction against the shortest vector.
                let shortest = whole - (n * n) as f64 * 1.02_f64.log2();
                [(ESTIMATE, whole), (SHORTEST, shortest), (SIGNS, d as f64)]
                    .map(|(series, bits)| Row::theory(BITS, series, d as f64, bits))
            });
            Ok(rows.collect())
        })]
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let count = profile.pick(16, 20, 100);
        let points = DEPTHS
            .iter()
            .flat_map(|depth| dimensions(profile).iter().map(move |d| (depth, *d)));
        points
            .map(|(&(name, depth), d)| {
                Job::new(format!("{name} d={d} trials={count}"), move |context| {
                    simulate(context, name, depth, d, count)
                })
            })
            .collect()
    }

    fn agreements(&self, _: &Table, simulation: &Table) -> Vec<Agreement> {
        let mut enough = Success::new("bits within the estimate");
        let mut few = Success::new("more than one bit for each sign");
        for (name, _) in DEPTHS {
            for d in JUDGED {
                let label = format!("{name}, d = {d}");
                let row = |what: &str| simulation.at(WITHIN, &format!("{name}: {what}"), d as f64);
                enough = enough.row(label.clone(), row(ESTIMATE), Claim::AtLeast(0.9));
                few = few.row(label, row(SIGNS), Claim::AtMost(0.1));
            }
        }
        vec![enough.into(), few.into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut plot = Plot::new(
            "phase retrieval from d + 1 samples",
            Axis::linear("dimension d"),
            Axis::linear("fewest bits of the labels"),
        );
        for (i, (name, dash)) in [
            (ESTIMATE, Dash::Solid),
            (SHORTEST, Dash::Dashed),
            (SIGNS, Dash::Dotted),
        ]
        .into_iter()
        .enumerate()
        {
            plot = plot.with(
                Line::new(name, theory.curve(BITS, name))
                    .colour(i + 2)
                    .dash(dash),
            );
        }
        for (i, (name, _)) in DEPTHS.into_iter().enumerate() {
            let marker = [Marker::Disc, Marker::Square][i];
            let points = simulation.points(BITS, name);
            plot = plot.with(Points::new(name, points).colour(i).marker(marker));
        }
        Picture::new(1).panel(plot)
    }
}

fn simulate(
    context: &Context,
    name: &str,
    depth: usize,
    dimension: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let estimate = PhaseRetrieval::bits_needed(dimension);
    // Room beyond the estimate, so that hardly any instance is left out of the mean.
    let most = (1.5 * estimate) as usize;
    let search = Search {
        reduction: Settings {
            depth,
            ..Settings::default()
        },
        // A few percent of what is measured at the larger sizes.
        step: (dimension / 20).max(1),
        most_bits: Some(most),
    };
    let fewest = trials(context, count, |seed| {
        let rng = &mut seed.stream("", 0, 0, "instance");
        let shape = Shape::least(dimension, most + 44);
        fewest_bits(
            planted::phase_retrieval(shape, rng)?
                .problem
                .recover(&search),
        )
    })?;
    let found: Vec<f64> = fewest
        .iter()
        .map(|bits| bits.unwrap_or(most) as f64)
        .collect();
    let d = dimension as f64;
    let within = |what: &str, limit: f64| {
        let inside = fewest
            .iter()
            .flatten()
            .filter(|&&bits| bits as f64 <= limit)
            .count();
        Row::fraction(
            WITHIN,
            format!("{name}: {what}"),
            d,
            inside as u64,
            count as u64,
        )
    };
    Ok(vec![
        Row::measured(BITS, name, d, Sample::of(&found)),
        within(ESTIMATE, estimate),
        within(SIGNS, d),
    ])
}
