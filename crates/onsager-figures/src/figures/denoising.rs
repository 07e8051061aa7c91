//! Plain denoising, `y = x + √Δ n`, of signals with one and two layers.

use onsager_amp::{Settings, Stop};
use onsager_model::{ModelError, Tree};
use onsager_replica::{Curve, FixedPoint, StateEvolution};

use crate::agreement::{Agreement, Claim, Identity, MeanSeries, Means, Sample, Success};
use crate::drawing::{Axis, Line, Marker, Picture, Plot, Points};
use crate::figures::common::{Sized, ladder, layered, trials};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Information and error of a signal seen through plain Gaussian noise.
pub(crate) struct DenoisingFigure;

/// A name and layers (aspect, activation), latent first.
type Prior = (&'static str, &'static [(f64, &'static str)]);

const PRIORS: [Prior; 6] = [
    ("linear", &[(2.0, "linear")]),
    ("sign", &[(2.0, "sign")]),
    ("relu", &[(2.0, "relu")]),
    ("linear, linear", &[(2.0, "linear"), (1.5, "linear")]),
    ("relu, sign", &[(2.0, "relu"), (1.5, "sign")]),
    ("relu, relu", &[(2.0, "relu"), (1.5, "relu")]),
];
/// Priors of one layer come first.
const ONE_LAYER: usize = 3;
/// Signal-to-noise ratios `1/Δ` of the simulation, all judged: denoising has no transition.
const JUDGED: [f64; 4] = [0.3, 1.0, 3.0, 10.0];
/// Ends of the curves.
const RANGE: (f64, f64) = (0.05, 50.0);
/// Relative step of differences of eighth order: what they leave out is of relative order
/// `9!/630 · 0.04^8 = 4e-9` for functions whose nearest singularity is as far away as zero.
const STEP: f64 = 0.04;
const WEIGHTS: [f64; 4] = [4.0 / 5.0, -1.0 / 5.0, 4.0 / 105.0, -1.0 / 280.0];

impl Figure for DenoisingFigure {
    fn id(&self) -> &'static str {
        "denoising"
    }

    fn title(&self) -> &'static str {
        "Denoising with layered priors"
    }

    fn source(&self) -> &'static str {
        "arXiv 1905.12385 and 1805.09785: the denoising problem inside every model"
    }

    fn claim(&self) -> &'static str {
        "Message passing on y = x + √Δ n reaches the minimal error of one- and two-layer priors, its \
         Bethe evidence is their mutual information, and the slope of the information is half the \
         error."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let n = size(profile);
        let points = profile.pick(25, 49, 97);
        let one = |prior: Prior| {
            Job::new(format!("{} n={n} points={points}", prior.0), move |_| {
                theory(prior, n, points)
            })
        };
        PRIORS.map(one).into()
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let counts = profile.pick([64, 48, 32], [192, 160, 128], [512, 384, 256]);
        let mut jobs = Vec::new();
        for prior in PRIORS {
            for snr in JUDGED {
                for (p, count) in ladder(size(profile)).into_iter().zip(counts) {
                    let key = format!("{} snr={snr} p={p} trials={count}", prior.0);
                    jobs.push(Job::new(key, move |context| {
                        simulate(context, prior, snr, p, count)
                    }));
                }
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let mut slopes = Identity::new(
            "I-MMSE: slope of the information is half the error",
            "averages of relative accuracy 1e-9, in differences over steps of 0.04 snr, and what \
             these leave out",
        );
        let value = |panel: &str, name: &str, x| {
            theory.at(panel, name, x).map_or(f64::NAN, |row| row.y)
        };
        let mut information = Means::new("information by Bethe evidence", 1.0);
        let mut error = Means::new("squared error of message passing", 1.0);
        let mut claimed = Means::new("error that message passing claims", 1.0);
        let mut converged = Success::new("message passing converges");
        for (name, _) in PRIORS {
            for snr in JUDGED {
                let mmse = |name: &str| 0.5 * value(SLOPE, name, snr);
                slopes = slopes
                    .point(
                        format!("{name}, snr {snr}"),
                        value(SLOPE, &format!("{name}: slope"), snr),
                        mmse(&format!("{name}: mmse")),
                        1e-7,
                    )
                    .control(mmse(&format!("{name}: mmse shifted")));
            }
            information = add(information, theory, simulation, INFORMATION, INFORMATION, name);
            error = add(error, theory, simulation, MMSE, MMSE, name);
            claimed = add(claimed, theory, simulation, MMSE, CLAIMED, name);
            for snr in JUDGED {
                let row = names(name, simulation).and_then(|names| {
                    simulation.at(CONVERGED, &names[2], snr)
                });
                let (fraction, trials) = row.map_or((0.0, 0), |row| (row.y, row.trials));
                converged = converged.point(
                    format!("{name}, snr {snr}"),
                    (fraction * trials as f64).round() as u64,
                    trials,
                    Claim::AtLeast(0.9),
                );
            }
        }
        vec![
            slopes.into(),
            information.into(),
            error.into(),
            claimed.into(),
            converged.into(),
        ]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut picture = Picture::new(2);
        for (title, priors) in [
            ("one layer, α = 2", &PRIORS[..ONE_LAYER]),
            ("two layers, α = 2 and 1.5", &PRIORS[ONE_LAYER..]),
        ] {
            for (panel, what, title) in [
                (INFORMATION, "I(x; y)/p (nats)", format!("Information, {title}")),
                (MMSE, "squared error/ρ", format!("Error, {title}")),
            ] {
                let snr = Axis::log("signal-to-noise ratio 1/Δ").range(RANGE.0, RANGE.1);
                let mut plot = Plot::new(title, snr, Axis::linear(what));
                for (i, (name, _)) in priors.iter().enumerate() {
                    plot = plot.with(Line::new(*name, theory.curve(panel, name)).colour(i));
                    if let Some(names) = names(name, simulation) {
                        let marker = [Marker::Disc, Marker::Square, Marker::Diamond][i % 3];
                        let points = Points::new(*name, simulation.points(panel, &names[2]));
                        plot = plot.with(points.colour(i).marker(marker));
                    }
                }
                picture = picture.panel(plot);
            }
        }
        picture
    }
}

const INFORMATION: &str = "information";
/// Errors are relative to the second moment of the signal.
const MMSE: &str = "error";
const CLAIMED: &str = "claimed error";
const CONVERGED: &str = "converged";
const SLOPE: &str = "slope";

/// Three pairwise multiples of 6, so that all aspects are exact.
fn size(profile: Profile) -> usize {
    profile.pick(240, 480, 1920)
}

fn series(name: &str, p: usize) -> String {
    format!("{name} p={p}")
}

/// Series of the three sizes in the simulation, the largest last.
fn names(prior: &str, simulation: &Table) -> Option<[String; 3]> {
    let largest = Profile::Paper;
    [Profile::Quick, Profile::Standard, largest]
        .map(|profile| ladder(size(profile)).map(|p| series(prior, p)))
        .into_iter()
        .find(|names| {
            let known = simulation.names(INFORMATION);
            names.iter().all(|name| known.contains(&name.as_str()))
        })
}

fn tree((_, layers): Prior, noise: f64) -> Result<Tree, ModelError> {
    layered(layers).denoising(noise)
}
