//! How long recovery by lattice reduction takes.

use std::time::Instant;

use onsager_lattice::planted::{self, Shape};
use onsager_lattice::{PhaseRetrieval, Recover, Search};

use crate::agreement::{Agreement, Claim, Sample, Success};
use crate::drawing::{Axis, Line, Marker, Picture, Plot, Points};
use crate::figures::common::{fewest_bits, trials};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Time against dimension.
pub(crate) struct LatticeTime;

const TIME: &str = "time";
const RECOVERED: &str = "recovered";
const SERIES: &str = "recovery, one thread";
/// Trials fall with the cost of one; only dimensions with enough of them are judged.
const JUDGED: [usize; 3] = [10, 20, 30];

fn points(profile: Profile) -> &'static [(usize, usize)] {
    profile.pick(
        &[(10, 16), (20, 16), (30, 16), (40, 4)],
        &[
            (10, 32),
            (20, 32),
            (30, 32),
            (40, 16),
            (60, 8),
            (80, 4),
            (100, 3),
        ],
        &[
            (10, 64),
            (20, 64),
            (30, 64),
            (40, 64),
            (60, 32),
            (80, 32),
            (100, 32),
            (120, 16),
        ],
    )
}

impl Figure for LatticeTime {
    fn id(&self) -> &'static str {
        "lattice-time"
    }

    fn title(&self) -> &'static str {
        "Time of recovery against dimension"
    }

    fn source(&self) -> &'static str {
        "our own measurement"
    }

    fn claim(&self) -> &'static str {
        "Phase retrieval from d + 1 samples with 1.15 times the estimated bits succeeds, in less than a \
         second at d = 40 and less than ten at d = 100."
    }

    fn measured(&self) -> bool {
        true
    }

    fn theory(&self, _: Profile) -> Vec<Job> {
        vec![Job::new("targets", |_| {
            let targets = [(40.0, 1.0), (100.0, 10.0)];
            Ok(targets
                .map(|(d, seconds)| Row::theory(TIME, "target", d, seconds))
                .into())
        })]
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let one = |&(d, count): &(usize, usize)| {
            Job::new(format!("d={d} trials={count}"), move |context| {
                simulate(context, d, count)
            })
        };
        points(profile).iter().map(one).collect()
    }

    fn agreements(&self, _: &Table, simulation: &Table) -> Vec<Agreement> {
        let judge = |success: Success, d: usize| {
            let row = simulation.at(RECOVERED, SERIES, d as f64);
            success.row(format!("d = {d}"), row, Claim::AtLeast(0.9))
        };
        // Times are shown, never judged: they are those of one machine on one day.
        let recovered = Success::new("recovery with 1.15 times the estimated bits");
        vec![JUDGED.into_iter().fold(recovered, judge).into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let times = simulation.points(TIME, SERIES);
        let targets = theory.points(TIME, "target");
        let plot = Plot::new(
            "phase retrieval, bits 1.15 times the estimate",
            Axis::log("dimension d"),
            Axis::log("seconds"),
        )
        .with(Line::new("", simulation.curve(TIME, SERIES)).colour(0))
        .with(Points::new(SERIES, times).colour(0))
        .with(
            Points::new("to be undercut", targets)
                .colour(1)
                .marker(Marker::Triangle),
        );
        Picture::new(1).panel(plot)
    }
}

fn simulate(context: &Context, dimension: usize, count: usize) -> Result<Vec<Row>, FigureError> {
    let bits = (1.15 * PhaseRetrieval::bits_needed(dimension)).ceil() as usize;
    let search = Search {
        most_bits: Some(bits),
        ..Search::default()
    };
    let runs = trials(context, count, |seed| {
        let rng = &mut seed.stream("", 0, 0, "instance");
        let problem = planted::phase_retrieval(Shape::least(dimension, bits + 40), rng)?.problem;
        let start = Instant::now();
        let found = fewest_bits(problem.recover(&search))?;
        Ok((start.elapsed().as_secs_f64(), found.is_some()))
    })?;
    let seconds: Vec<f64> = runs.iter().map(|run| run.0).collect();
    let found = runs.iter().filter(|run| run.1).count() as u64;
    let d = dimension as f64;
    Ok(vec![
        Row::measured(TIME, SERIES, d, Sample::of(&seconds)),
        Row::fraction(RECOVERED, SERIES, d, found, count as u64),
    ])
}
