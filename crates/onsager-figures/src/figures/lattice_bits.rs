//! How many bits of the labels lattice reduction needs, for three kinds of labels.

use onsager_lattice::planted::{self, Shape};
use onsager_lattice::{Clwe, CosineNeuron, PhaseRetrieval, Recover, Search};

use crate::agreement::{Agreement, Claim, Success};
use crate::drawing::{Axis, Line, Marker, Picture, Plot, Points, Rule};
use crate::figures::common::{fewest_bits, trials};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Success of lattice reduction against the bits of the labels.
pub(crate) struct LatticeBits;

#[derive(Clone, Copy, PartialEq)]
enum Labels {
    Phase,
    Cosine,
    Residue,
}

const KINDS: [(Labels, &str); 3] = [
    (Labels::Phase, "phase retrieval"),
    (Labels::Cosine, "cosine neuron"),
    (Labels::Residue, "learning with errors"),
];

/// Frequency of the cosine and of the residues.
const GAMMA: f64 = 2.0;

/// Bits in percent of the estimate at which success is counted.
const PERCENT: [usize; 25] = {
    let mut grid = [0; 25];
    let mut i = 0;
    while i < grid.len() {
        grid[i] = 10 + 5 * i;
        i += 1;
    }
    grid
};
/// Where recovery is certain, and where the labels hold too little for any algorithm.
const ENOUGH: usize = 115;
const TOO_FEW: usize = 20;

/// Bits carried beyond those of the search, for the certificate.
const GUARD: usize = 44;

impl Labels {
    fn dimensions(self) -> [usize; 3] {
        match self {
            Self::Phase => [10, 20, 30],
            Self::Cosine => [5, 8, 12],
            Self::Residue => [10, 20, 30],
        }
    }

    fn estimate(self, dimension: usize) -> f64 {
        match self {
            Self::Phase => PhaseRetrieval::bits_needed(dimension),
            Self::Cosine => CosineNeuron::bits_needed(dimension, GAMMA),
            Self::Residue => Clwe::bits_needed(dimension, GAMMA),
        }
    }
}

fn series(dimension: usize) -> String {
    format!("d = {dimension}")
}

fn bits(estimate: f64, percent: usize) -> f64 {
    (estimate * percent as f64 / 100.0).ceil()
}

impl Figure for LatticeBits {
    fn id(&self) -> &'static str {
        "lattice-bits"
    }

    fn title(&self) -> &'static str {
        "Recovery from d + 1 samples, given enough bits"
    }

    fn source(&self) -> &'static str {
        "arXiv 2106.10744 (no figure there)"
    }

    fn claim(&self) -> &'static str {
        "Lattice reduction recovers the signal behind |<w, x>|, cos(2πγ<w, x>) and γ<w, x> mod 1 from \
         d + 1 noiseless samples once the labels carry the number of bits that counting asks for, and \
         not from a fifth of them."
    }

    fn theory(&self, _: Profile) -> Vec<Job> {
        let one = |(labels, name): (Labels, &'static str)| {
            Job::new(name, move |_| {
                let row = |d| Row::theory(name, "estimate", d as f64, labels.estimate(d));
                Ok(labels.dimensions().map(row).into())
            })
        };
        KINDS.map(one).into()
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let count = profile.pick(20, 100, 1000);
        let points = KINDS
            .into_iter()
            .flat_map(|kind| kind.0.dimensions().map(|d| (kind, d)));
        points
            .map(|((labels, name), d)| {
                Job::new(format!("{name} d={d} trials={count}"), move |context| {
                    simulate(context, labels, name, d, count)
                })
            })
            .collect()
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let mut enough = Success::new("recovery with 1.15 times the estimated bits");
        let mut few = Success::new("failure with a fifth of them");
        for (labels, name) in KINDS {
            for d in labels.dimensions() {
                let estimate = theory.value(name, "estimate", d as f64);
                let row = |percent| simulation.at(name, &series(d), bits(estimate, percent));
                let label = format!("{name}, d = {d}");
                enough = enough.row(label.clone(), row(ENOUGH), Claim::AtLeast(0.95));
                few = few.row(label, row(TOO_FEW), Claim::AtMost(0.05));
            }
        }
        vec![enough.into(), few.into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut picture = Picture::new(3);
        for (labels, name) in KINDS {
            let mut plot = Plot::new(
                name,
                Axis::linear("bits N of the labels"),
                Axis::linear("fraction recovered").range(-0.03, 1.03),
            );
            for (i, d) in labels.dimensions().into_iter().enumerate() {
                let marker = [Marker::Disc, Marker::Square, Marker::Diamond][i];
                let points = simulation.points(name, &series(d));
                let curve = simulation.curve(name, &series(d));
                plot = plot
                    .with(Rule::vertical(theory.value(name, "estimate", d as f64), "").colour(i))
                    .with(Line::new("", curve).colour(i))
                    .with(Points::new(series(d), points).colour(i).marker(marker));
            }
            picture = picture.panel(plot);
        }
        picture
    }
}

fn simulate(
    context: &Context,
    labels: Labels,
    name: &str,
    dimension: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let estimate = labels.estimate(dimension);
    let most = bits(estimate, PERCENT[PERCENT.len() - 1]) as usize;
    let shape = Shape::least(dimension, most + GUARD);
    let search = Search {
        step: 1,
        most_bits: Some(most),
        ..Search::default()
    };
    let fewest = trials(context, count, |seed| {
        let rng = &mut seed.stream("", 0, 0, "instance");
        fewest_bits(match labels {
            Labels::Phase => planted::phase_retrieval(shape, rng)?
                .problem
                .recover(&search),
            Labels::Cosine => planted::cosine_neuron(shape, GAMMA, rng)?
                .problem
                .recover(&search),
            Labels::Residue => planted::clwe(shape, GAMMA, rng)?.problem.recover(&search),
        })
    })?;
    let row = |percent| {
        let x = bits(estimate, percent);
        let found = fewest
            .iter()
            .flatten()
            .filter(|&&bits| bits as f64 <= x)
            .count();
        Row::fraction(name, series(dimension), x, found as u64, count as u64)
    };
    Ok(PERCENT.map(row).into())
}
