//! Where lattice reduction and where message passing recovers: noise against samples.

use onsager_lattice::planted::{self, Shape};
use onsager_lattice::{PhaseRetrieval, Search};

use crate::agreement::{Agreement, Claim, Success};
use crate::drawing::{Axis, HeatMap, Picture, Plot, Rule};
use crate::figures::common::{fewest_bits, trials};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Success over noise and number of samples.
pub(crate) struct LatticeNoise;

const PANEL: &str = "success";
const DIMENSION: usize = 20;
/// Samples beyond the dimension.
const BEYOND: [usize; 6] = [1, 2, 4, 6, 8, 10];
/// Noise is uniform in `±2^-b`.
const BITS: [usize; 11] = [8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88];
/// Digits of the labels beyond their noise.
const GUARD: usize = 32;
/// Samples for each component that message passing needs without noise, in the limit of large sizes,
/// for a Gaussian signal (Barbier et al. 2019).
const MESSAGE_PASSING: f64 = 1.128;

fn ratio(beyond: usize) -> f64 {
    (DIMENSION + beyond) as f64 / DIMENSION as f64
}

fn series(bits: usize) -> String {
    format!("b = {bits}")
}

impl Figure for LatticeNoise {
    fn id(&self) -> &'static str {
        "lattice-noise"
    }

    fn title(&self) -> &'static str {
        "Phase retrieval: lattice reduction against message passing"
    }

    fn source(&self) -> &'static str {
        "arXiv 2106.10744; the threshold of message passing from PNAS 116, 5451 (2019)"
    }

    fn claim(&self) -> &'static str {
        "With exponentially small noise lattice reduction recovers the signal from d + 1 samples, fewer \
         than the 1.128 d of message passing; with more noise it fails however many samples there are."
    }

    fn theory(&self, _: Profile) -> Vec<Job> {
        vec![Job::new(format!("d={DIMENSION}"), |_| {
            let needed = PhaseRetrieval::bits_needed(DIMENSION);
            Ok(vec![
                // The search uses two bits less than the noise leaves.
                Row::theory("line", "lattice reduction", 0.0, needed + 2.0),
                Row::theory("line", "message passing", 0.0, MESSAGE_PASSING),
            ])
        })]
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let count = profile.pick(16, 40, 400);
        let points = BITS
            .into_iter()
            .flat_map(|bits| BEYOND.map(|beyond| (bits, beyond)));
        points
            .map(|(bits, beyond)| {
                Job::new(
                    format!("b={bits} beyond={beyond} trials={count}"),
                    move |context| simulate(context, bits, beyond, count),
                )
            })
            .collect()
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let needed = theory.value("line", "lattice reduction", 0.0);
        let mut low =
            Success::new("recovery where the noise is 1.15 times as many bits down as estimated");
        let mut high = Success::new("failure where it is less than half as many down");
        for bits in BITS {
            for beyond in BEYOND {
                let x = ratio(beyond);
                let label = format!("b = {bits}, n/d = {x}");
                let row = simulation.at(PANEL, &series(bits), x);
                if bits as f64 >= 1.15 * needed {
                    low = low.row(label, row, Claim::AtLeast(0.9));
                } else if (bits as f64) < 0.5 * needed {
                    high = high.row(label, row, Claim::AtMost(0.1));
                }
            }
        }
        vec![low.into(), high.into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let values = (BITS.iter())
            .flat_map(|&bits| {
                BEYOND.map(|beyond| simulation.value(PANEL, &series(bits), ratio(beyond)))
            })
            .collect();
        let map = HeatMap::new(
            "fraction recovered by lattice reduction",
            BEYOND.map(ratio).into(),
            BITS.map(|bits| bits as f64).into(),
            values,
        );
        let plot = Plot::new(
            format!("d = {DIMENSION}; horizontal: estimate by counting"),
            Axis::linear("samples per component n/d"),
            Axis::linear("bits b of the labels above the noise"),
        )
        .with(map.range(0.0, 1.0))
        .with(
            Rule::vertical(
                theory.value("line", "message passing", 0.0),
                "message passing",
            )
            .colour(1),
        )
        .with(Rule::horizontal(theory.value("line", "lattice reduction", 0.0), "").colour(1));
        Picture::new(1).panel(plot)
    }
}

fn simulate(
    context: &Context,
    bits: usize,
    beyond: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let shape = Shape {
        dimension: DIMENSION,
        samples: DIMENSION + beyond,
        bits: bits + GUARD,
        noise: Some(bits),
    };
    let found = trials(context, count, |seed| {
        let rng = &mut seed.stream("", 0, 0, "instance");
        fewest_bits(
            planted::phase_retrieval(shape, rng)?
                .problem
                .recover(&Search::default()),
        )
    })?;
    let found = found.iter().flatten().count() as u64;
    Ok(vec![Row::fraction(
        PANEL,
        series(bits),
        ratio(beyond),
        found,
        count as u64,
    )])
}
