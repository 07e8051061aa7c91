//! Phase retrieval behind a linear generative prior, from one sample more than the latent has components.

use onsager_lattice::planted::{self, Shape};
use onsager_lattice::{PhaseRetrieval, Recover, Search};

use crate::agreement::{Agreement, Claim, Success};
use crate::drawing::{Axis, Line, Marker, Picture, Plot, Points, Rule};
use crate::figures::common::{fewest_bits, trials};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// `y = |A W z|` from `k + 1` samples.
pub(crate) struct LatticePrior;

const PANEL: &str = "success";
/// Components of the latent, and of the signal in the three models, of which the first has no layer.
const LATENT: usize = 16;
/// Powers of four, whose root scales the layer exactly.
const WIDTHS: [usize; 3] = [16, 64, 256];
/// Bits in percent of the estimate at which success is counted.
const PERCENT: [usize; 13] = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 115, 120, 130];
const ENOUGH: usize = 115;
const TOO_FEW: usize = 20;

fn series(width: usize) -> String {
    if width == LATENT {
        format!("no layer, p = k = {LATENT}")
    } else {
        format!("linear layer, p = {width}")
    }
}

fn bits(percent: usize) -> f64 {
    (PhaseRetrieval::bits_needed(LATENT) * percent as f64 / 100.0).ceil()
}

impl Figure for LatticePrior {
    fn id(&self) -> &'static str {
        "lattice-prior"
    }

    fn title(&self) -> &'static str {
        "A linear generative prior: k + 1 samples for p unknowns"
    }

    fn source(&self) -> &'static str {
        "arXiv 2106.10744, on the rows of A W"
    }

    fn claim(&self) -> &'static str {
        "Behind a linear layer of any width p, noiseless phase retrieval y = |A W z| succeeds from k + 1 \
         samples, with the bits that the k latent components need and not more."
    }

    fn theory(&self, _: Profile) -> Vec<Job> {
        vec![Job::new(format!("k={LATENT}"), |_| {
            let estimate = PhaseRetrieval::bits_needed(LATENT);
            Ok(vec![Row::theory(
                PANEL,
                "estimate",
                LATENT as f64,
                estimate,
            )])
        })]
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let count = profile.pick(24, 200, 1000);
        let one = |width: usize| {
            Job::new(format!("p={width} trials={count}"), move |context| {
                simulate(context, width, count)
            })
        };
        WIDTHS.map(one).into()
    }

    fn agreements(&self, _: &Table, simulation: &Table) -> Vec<Agreement> {
        let mut enough = Success::new("recovery with 1.15 times the estimated bits");
        let mut few = Success::new("failure with a fifth of them");
        for width in WIDTHS {
            let row = |percent| simulation.at(PANEL, &series(width), bits(percent));
            enough = enough.row(series(width), row(ENOUGH), Claim::AtLeast(0.95));
            few = few.row(series(width), row(TOO_FEW), Claim::AtMost(0.05));
        }
        vec![enough.into(), few.into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut plot = Plot::new(
            format!("k = {LATENT}, {} samples", LATENT + 1),
            Axis::linear("bits N of the labels"),
            Axis::linear("fraction recovered").range(-0.03, 1.03),
        )
        .with(Rule::vertical(
            theory.value(PANEL, "estimate", LATENT as f64),
            "estimate for k",
        ));
        for (i, width) in WIDTHS.into_iter().enumerate() {
            let marker = [Marker::Disc, Marker::Square, Marker::Diamond][i];
            let points = simulation.points(PANEL, &series(width));
            plot = plot
                .with(Line::new("", simulation.curve(PANEL, &series(width))).colour(i))
                .with(Points::new(series(width), points).colour(i).marker(marker));
        }
        Picture::new(1).panel(plot)
    }
}

fn simulate(context: &Context, width: usize, count: usize) -> Result<Vec<Row>, FigureError> {
    let most = bits(PERCENT[PERCENT.len() - 1]) as usize;
    let shape = Shape::least(LATENT, most + 44);
    let search = Search {
        step: 1,
        most_bits: Some(most),
        ..Search::default()
    };
    let fewest = trials(context, count, |seed| {
        let rng = &mut seed.stream("", 0, 0, "instance");
        let planted = if width == LATENT {
            planted::phase_retrieval(shape, rng)?
        } else {
            planted::linear_prior(shape, width, rng)?
        };
        fewest_bits(planted.problem.recover(&search))
    })?;
    let row = |percent| {
        let x = bits(percent);
        let found = fewest
            .iter()
            .flatten()
            .filter(|&&bits| bits as f64 <= x)
            .count();
        Row::fraction(PANEL, series(width), x, found as u64, count as u64)
    };
    Ok(PERCENT.map(row).into())
}
