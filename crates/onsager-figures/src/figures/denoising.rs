//! Plain denoising, `y = x + √Δ n`, of signals with one and two layers.

use onsager_amp::{Settings, Stop};
use onsager_model::{ModelError, Tree};
use onsager_replica::{Curve, FixedPoint, StateEvolution};

use crate::agreement::{Agreement, Claim, Identity, MeanSeries, Means, Sample, Success};
use crate::drawing::{Axis, Line, Marker, Picture, Plot, Points};
use crate::figures::common::{REST, Sized, controlled, derivative, ladder, layered, trials};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Information and error of a signal seen through plain Gaussian noise.
pub(crate) struct DenoisingFigure;

/// A name and layers (aspect, activation), latent first.
type Prior = (&'static str, &'static [(f64, &'static str)]);

const PRIORS: [Prior; 5] = [
    ("linear", &[(2.0, "linear")]),
    ("sign", &[(2.0, "sign")]),
    ("relu", &[(2.0, "relu")]),
    ("linear, linear", &[(2.0, "linear"), (1.5, "linear")]),
    ("relu, relu", &[(2.0, "relu"), (1.5, "relu")]),
];
/// Priors of one layer come first.
const ONE_LAYER: usize = 3;
/// Signal-to-noise ratios `1/Δ` of the simulation: denoising has no transition.
const SIMULATED: [f64; 3] = [0.5, 1.5, 5.0];
/// Where a change of the noise by 5 percent shows in the information and the error of a few hundred
/// instances; elsewhere their fluctuations hide it. What is claimed fluctuates less and is judged
/// everywhere.
const VISIBLE: [(&str, &[f64]); 3] = [
    ("linear", &SIMULATED),
    ("sign", &[0.5, 1.5]),
    ("linear, linear", &[5.0]),
];
/// Ends of the curves.
const RANGE: (f64, f64) = (0.05, 50.0);
/// Relative step of differences: what they leave out is of relative order
/// `9!/630 · 0.04^8 = 4e-9` for functions whose nearest singularity is as far away as zero.
const STEP: f64 = 0.04;

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
        let points = profile.pick(9, 37, 97);
        let one = |prior: Prior| {
            Job::new(format!("{} n={n} points={points}", prior.0), move |_| {
                theory(prior, n, points)
            })
        };
        PRIORS.map(one).into()
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let mut jobs = Vec::new();
        for prior in PRIORS {
            for snr in SIMULATED {
                let counts = if visible(prior.0).contains(&snr) {
                    profile.pick([640; 3], [640; 3], [1024; 3])
                } else {
                    profile.pick([320, 256, 256], [320, 256, 256], [1024; 3])
                };
                let sizes = ladder(size(profile)).into_iter().zip(counts);
                for (level, (p, count)) in sizes.enumerate() {
                    let key = format!("{} snr={snr} p={p} trials={count}", prior.0);
                    jobs.push(Job::new(key, move |context| {
                        simulate(context, prior, snr, level, p, count)
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
        let value =
            |panel: &str, name: &str, x| theory.at(panel, name, x).map_or(f64::NAN, |row| row.y);
        let mut information = Means::new("information by Bethe evidence", 1.0);
        let mut error = Means::new("squared error of message passing", 1.0);
        let mut claimed = Means::new("error that message passing claims", 1.0);
        let mut converged = Success::new("message passing converges");
        for (name, _) in PRIORS {
            for snr in SIMULATED {
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
            let visible = visible(name);
            information = add(information, theory, simulation, INFORMATION, name, visible);
            error = add(error, theory, simulation, MMSE, name, visible);
            claimed = add(claimed, theory, simulation, CLAIMED, name, &SIMULATED);
            for snr in SIMULATED {
                let row = simulation.at(CONVERGED, &at_sizes(name)[2], snr);
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
                (
                    INFORMATION,
                    "I(x; y)/p (nats)",
                    format!("Information, {title}"),
                ),
                (MMSE, "squared error/ρ", format!("Error, {title}")),
            ] {
                let snr = Axis::log("signal-to-noise ratio 1/Δ").range(RANGE.0, RANGE.1);
                let mut plot = Plot::new(title, snr, Axis::linear(what));
                for (i, (name, _)) in priors.iter().enumerate() {
                    plot = plot.with(Line::new(*name, theory.curve(panel, name)).colour(i));
                    let marker = [Marker::Disc, Marker::Square, Marker::Diamond][i % 3];
                    let points = simulation.points(panel, &at_sizes(name)[2]);
                    plot = plot.with(Points::new(*name, points).colour(i).marker(marker));
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
const SIZES: &str = "sizes";

/// The ratios at which information and error of a prior are judged.
fn visible(prior: &str) -> &'static [f64] {
    let found = VISIBLE.iter().find(|(name, _)| *name == prior);
    found.map_or(&[], |(_, snrs)| snrs)
}

/// A multiple of 24, so that all aspects are exact at all three sizes.
fn size(profile: Profile) -> usize {
    profile.pick(240, 240, 960)
}

/// Name of a prior at the three sizes.
fn at_sizes(prior: &str) -> [String; 3] {
    ["n/4", "n/2", "n"].map(|size| format!("{prior}, {size}"))
}

fn tree((_, layers): Prior, noise: f64) -> Result<Tree, ModelError> {
    layered(layers).denoising(noise)
}

/// Adds the judged points of one prior.
fn add(
    means: Means,
    theory: &Table,
    simulation: &Table,
    panel: &str,
    prior: &str,
    judged: &[f64],
) -> Means {
    let names = at_sizes(prior);
    let names = [0, 1, 2].map(|i| names[i].as_str());
    let size = |i: f64| theory.at(SIZES, "p", i).map_or(f64::NAN, |row| row.y);
    let series = MeanSeries {
        panel,
        sizes: [0.0, 1.0, 2.0].map(size),
        theory: names,
        simulation: names,
        shifted: &format!("{prior}, shifted"),
    };
    means.series(theory, simulation, series, |snr| judged.contains(&snr))
}

/// Curves of one prior, its values at the three sizes, and both sides of the I-MMSE identity.
fn theory(prior: Prior, n: usize, points: usize) -> Result<Vec<Row>, FigureError> {
    let name = prior.0;
    // The ends of the curves with room for differences and shifted controls.
    let range = (0.5 / RANGE.1, 2.0 / RANGE.0);
    let mut rows = Vec::new();
    let asymptotic = Evolution::new(&tree(prior, 1.0)?, range)?;
    for i in 0..points {
        let snr = RANGE.0 * (RANGE.1 / RANGE.0).powf(i as f64 / (points - 1) as f64);
        let at = asymptotic.at(snr)?;
        rows.push(Row::theory(INFORMATION, name, snr, at.information));
        rows.push(Row::theory(MMSE, name, snr, at.error));
    }
    for snr in SIMULATED {
        let information = |snr| Ok(asymptotic.at(snr)?.information);
        let slope = derivative(information, snr, STEP * snr)?;
        let mmse = |snr| Ok::<_, FigureError>(asymptotic.at(snr)?.error * asymptotic.rho);
        rows.push(Row::theory(SLOPE, format!("{name}: slope"), snr, slope));
        rows.push(Row::theory(SLOPE, format!("{name}: mmse"), snr, mmse(snr)?));
        let shifted = mmse(snr / 1.05)?;
        rows.push(Row::theory(
            SLOPE,
            format!("{name}: mmse shifted"),
            snr,
            shifted,
        ));
    }
    for ((level, p), series) in ladder(n).into_iter().enumerate().zip(at_sizes(name)) {
        rows.push(Row::theory(SIZES, "p", level as f64, p as f64));
        // The realised ratios are the declared ones, so that one curve serves all sizes.
        let sized = &asymptotic;
        for snr in SIMULATED {
            let at = sized.at(snr)?;
            rows.push(Row::theory(INFORMATION, &series, snr, at.information));
            rows.push(Row::theory(MMSE, &series, snr, at.error));
            rows.push(Row::theory(CLAIMED, &series, snr, at.error));
            if p == n {
                let at = sized.at(snr / 1.05)?;
                let series = format!("{name}, shifted");
                rows.push(Row::theory(INFORMATION, &series, snr, at.information));
                rows.push(Row::theory(MMSE, &series, snr, at.error));
                rows.push(Row::theory(CLAIMED, &series, snr, at.error));
            }
        }
    }
    Ok(rows)
}

/// All fixed points of a denoising problem at every noise.
struct Evolution {
    chain: StateEvolution,
    curve: Curve,
    rho: f64,
}

/// What theory says at one noise; the error is relative to `ρ`.
struct Predicted {
    information: f64,
    error: f64,
}

impl Evolution {
    fn new(tree: &Tree, range: (f64, f64)) -> Result<Self, FigureError> {
        let chain = StateEvolution::new(tree)?;
        let curve = chain.curve(Some(range))?;
        let rho = tree.signal().second_moment;
        Ok(Self { chain, curve, rho })
    }

    fn at(&self, snr: f64) -> Result<Predicted, FigureError> {
        let optimal: FixedPoint = self.chain.predict_on(&self.curve, 1.0 / snr)?.optimal;
        Ok(Predicted {
            information: optimal.mutual_information.unwrap_or(f64::NAN),
            error: optimal.mmse / self.rho,
        })
    }
}

/// Message passing on independent instances.
fn simulate(
    context: &Context,
    prior: Prior,
    snr: f64,
    level: usize,
    p: usize,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let sized = Sized::new(&tree(prior, 1.0 / snr)?, p)?;
    let signal = sized.tree.signal_index();
    let observation = sized.tree.factors().len() - 1;
    let rho = sized.tree.signal().second_moment;
    let runs = trials(context, count, |seed| {
        let instance = sized.draw(seed)?;
        let settings = Settings {
            tolerance: REST,
            seed,
            ..Settings::default()
        };
        let run = sized.infer(&instance, &settings)?;
        // The evidence is relative to noise without signal: E ln P(y|x)/P(y) is the rest.
        let information = 0.5 * rho * snr - run.evidence.unwrap_or(f64::NAN);
        let converged = f64::from(u8::from(run.stop == Stop::Converged));
        let error = run.mse.unwrap_or(f64::NAN) / rho;
        let numbers = [information, error, run.claimed_mse / rho, converged];
        // Fluctuations of what was drawn, of mean zero.
        let (x, y) = (instance.truth(signal), instance.data(observation));
        let pairs = || x.unwrap_or_default().iter().zip(y.unwrap_or_default());
        let mean = |f: &dyn Fn(f64, f64) -> f64| {
            pairs().map(|(x, y)| f(*x, y - x)).sum::<f64>() / p as f64
        };
        let drawn = [
            mean(&|x, _| x * x) - rho,
            mean(&|_, n| n * n) - 1.0 / snr,
            mean(&|x, n| x * n),
        ];
        Ok((numbers, drawn))
    })?;
    let series = &at_sizes(prior.0)[level];
    let values = |i: usize| runs.iter().map(|run| run.0[i]).collect::<Vec<_>>();
    let controls = [0, 1, 2].map(|i| runs.iter().map(|run| run.1[i]).collect());
    let measured = |(i, panel): (usize, &str)| {
        Row::measured(panel, series, snr, controlled(&values(i), &controls))
    };
    let panels = [INFORMATION, MMSE, CLAIMED];
    let mut rows: Vec<_> = panels.into_iter().enumerate().map(measured).collect();
    rows.push(Row::measured(
        CONVERGED,
        series,
        snr,
        Sample::of(&values(3)),
    ));
    Ok(rows)
}
