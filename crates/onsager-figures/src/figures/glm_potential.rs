//! The potential of generalised linear models through a hard phase, and their mutual information.

use std::f64::consts::TAU;
use std::sync::Arc;

use onsager_amp::{Settings, Start};
use onsager_model::{Chain, Instance, ModelError, Tree};
use onsager_replica::average::output;
use onsager_replica::{StateEvolution, information_at};
use onsager_scalar::Likelihood;
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::likelihood::Additive;

use super::common::{
    RANKS, REST, SHIFT, SPARSE, Sized, controlled, derivative, gaussian, ladder, sensing_accidents,
    slope, stencil, trials, with_freedom,
};
use crate::agreement::{Agreement, Claim, Identity, MeanSeries, Means, Sample, Success};
use crate::drawing::{Axis, Dash, Line, Marker, Picture, Plot, Points};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Potential against error, information against the sampling ratio.
pub(crate) struct GlmPotential;

/// Outputs with noise of a relative variance.
#[derive(Debug, Clone, Copy)]
struct Model {
    name: &'static str,
    is_modulus: bool,
    prior: &'static str,
    /// Variance of the noise over `ρ`.
    noise: f64,
}

/// Sparse signals with a wide hard phase: below, inside and above it. Message passing is compared at least
/// `3 n^(-1/2)` away from jumps.
const HARD: [(Model, [f64; 3], usize); 2] = [
    (
        Model {
            name: "compressed sensing",
            is_modulus: false,
            prior: SPARSE,
            noise: 1e-6,
        },
        [0.2, 0.36, 0.48],
        1400,
    ),
    (
        Model {
            name: "phase retrieval",
            is_modulus: true,
            prior: SPARSE,
            noise: 1e-4,
        },
        [0.25, 0.53, 0.75],
        600,
    ),
];

/// Signals whose information is followed.
const SIGNALS: [Model; 4] = [
    Model {
        name: "sensing, Gaussian",
        is_modulus: false,
        prior: "gaussian",
        noise: 0.01,
    },
    Model {
        name: "sensing, sparse",
        is_modulus: false,
        prior: SPARSE,
        noise: 0.01,
    },
    Model {
        name: "sensing, linear layer",
        is_modulus: false,
        prior: "linear",
        noise: 0.01,
    },
    Model {
        name: "retrieval, relu layer",
        is_modulus: true,
        prior: "relu",
        noise: 0.01,
    },
];

/// Nonzero components, or latent ones, for every component of the signal.
const FREEDOM: f64 = 0.25;
/// Ratios at which slopes are compared, away from jumps by more than the differences reach.
const JUDGED: [f64; 3] = [0.2, 0.8, 1.6];
/// The ratio at which evidence is compared with information.
const SIMULATED: f64 = 1.5;
const RANGE: (f64, f64) = (0.05, 2.0);
/// Relative step of differences of eighth order.
const STEP: f64 = 0.03;
const STARTS: [&str; 2] = ["uninformed", "informed"];
/// A run has found a fixed point if its error is that near, as a ratio: the two of a hard phase differ by
/// factors of a thousand, runs of one fixed point by a fifth.
const NEAR: f64 = 1.5;

impl Figure for GlmPotential {
    fn id(&self) -> &'static str {
        "glm-potential"
    }

    fn title(&self) -> &'static str {
        "Potential and information of generalised linear models"
    }

    fn source(&self) -> &'static str {
        "Barbier, Krzakala, Macris, Miolane, Zdeborová, PNAS 116, 5451 (2019); arXiv:1912.02008"
    }

    fn claim(&self) -> &'static str {
        "Message passing rests at stationary points of the potential: from nothing at the first one, in \
         the hard phase short of the least; the least value is the mutual information, its slope in the \
         sampling ratio what one more measurement tells, and evidence measures it on single instances."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let points = profile.pick(25, 81, 201);
        let mut jobs = Vec::new();
        for (model, ratios, _) in HARD {
            for ratio in ratios {
                let key = format!("{} {} α={ratio} points={points}", model.name, model.noise);
                jobs.push(Job::new(key, move |_| model.potential(ratio, points)));
            }
        }
        let points = profile.pick(9, 40, 100);
        for model in signals(profile) {
            let key = format!("information {} points={points}", model.name);
            jobs.push(Job::new(key, move |_| model.information(points)));
        }
        let largest = size(profile);
        jobs.push(Job::new(format!("sizes {largest}"), move |_| {
            let row = |(i, p): (usize, usize)| Row::theory(SIZES, "p", i as f64, p as f64);
            Ok(ladder(largest).into_iter().enumerate().map(row).collect())
        }));
        jobs
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (model, ratios, p) in HARD {
            let count = profile.pick(16, 16, 64);
            // At the quick profile inside the hard phase of the cheaper one only.
            if profile == Profile::Quick && !model.is_modulus {
                continue;
            }
            for &ratio in profile.pick(&ratios[1..2], &ratios[..], &ratios[..]) {
                let key = format!("{} α={ratio} p={p} trials={count}", model.name);
                jobs.push(Job::new(key, move |context| {
                    model.rest(context, ratio, p, count)
                }));
            }
        }
        let count = profile.pick(160, 200, 400);
        for model in signals(profile) {
            for (rank, p) in RANKS.into_iter().zip(ladder(size(profile))) {
                let key = format!("evidence {} {p} trials={count}", model.name);
                let run = move |context: &Context| model.evidence(context, rank, p, count);
                jobs.push(Job::new(key, run));
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let mut stationary = Identity::new(
            "fixed points are stationary points of the potential",
            "potential of accuracy 1e-9 in differences over steps of 0.03 in the logarithm of the error",
        );
        let mut resting = Success::new("message passing rests at the fixed point of its start");
        for (model, ratios, _) in HARD {
            for ratio in ratios {
                let series = format!("α = {ratio}");
                for row in theory.series(GRADIENT, &format!("{}, {series}", model.name)) {
                    let shifted = theory.value(
                        GRADIENT,
                        &format!("{}, {series}, shifted", model.name),
                        row.x,
                    );
                    let label = format!("{}, {series}, error {:.1e}", model.name, row.x);
                    stationary = stationary.point(label, row.y, 0.0, 1e-6).control(shifted);
                }
            }
            for start in STARTS {
                let series = format!("{start}, near");
                for row in simulation.series(model.name, &series) {
                    let label = format!("{}, {start}, α = {}", model.name, row.x);
                    resting = resting.row(label, Some(row), Claim::AtLeast(0.9));
                }
            }
            let hard = simulation.at(model.name, "alike", ratios[1]);
            if simulation.series(model.name, "alike").next().is_some() {
                let label = format!("{}: both alike in the hard phase", model.name);
                resting = resting.row(label, hard, Claim::AtMost(0.1));
            }
        }
        let mut slopes = Identity::new(
            "di/dα is what one more measurement tells, -Ψ_y(q) - H(y|h)",
            "information of relative accuracy 1e-9, in differences over steps of 0.03 α",
        );
        let mut immse = Identity::new(
            "I-MMSE: di/d(1/Δ) = (α/2) Δ V/(Δ + V) for linear outputs",
            "the same, over steps of 0.03/Δ",
        );
        let mut means = Means::new("information by Bethe evidence", 1.0);
        let sizes = [0.0, 1.0, 2.0].map(|i| theory.value(SIZES, "p", i));
        for model in SIGNALS {
            for (panel, identity) in [(SLOPE, &mut slopes), (IMMSE, &mut immse)] {
                for row in theory.series(panel, model.name) {
                    let value = |what: &str| theory.value(panel, &model.named(what), row.x);
                    let point = identity.clone().point(
                        format!("{}, α = {}", model.name, row.x),
                        row.y,
                        value("side"),
                        1e-6 * row.y,
                    );
                    *identity = point.control(value("side, shifted"));
                }
            }
            let names = RANKS.map(|rank| model.named(rank));
            let judged = model.named("judged");
            let series = MeanSeries {
                panel: INFORMATION,
                sizes,
                theory: [&judged; 3],
                simulation: names.each_ref().map(String::as_str),
                shifted: &model.named("shifted"),
            };
            means = means.series(theory, simulation, series, |_| true);
        }
        vec![
            stationary.into(),
            resting.into(),
            slopes.into(),
            immse.into(),
            means.into(),
        ]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut picture = Picture::new(3);
        for ((model, ratios, _), (low, high)) in HARD.into_iter().zip([(-1.1, 0.25), (-1.5, 0.25)])
        {
            let mut plot = Plot::new(
                format!("{}, sparse", model.name),
                Axis::log("error (ρ - q)/ρ").range(model.noise / 3.0, 1.3),
                Axis::linear("i(q) - i(0) (nats per component)").range(low, high),
            );
            for (colour, ratio) in ratios.into_iter().enumerate() {
                let series = format!("α = {ratio}");
                plot = plot
                    .with(Line::new(&series, theory.curve(model.name, &series)).colour(colour))
                    .with(
                        Points::new(
                            "",
                            theory.points(STATIONARY, &format!("{}, {series}", model.name)),
                        )
                        .colour(colour)
                        .marker(Marker::Cross),
                    );
                for (start, marker) in STARTS.into_iter().zip([Marker::Disc, Marker::Circle]) {
                    let series = format!("{}, α = {ratio}", model.name);
                    // The mean error of the runs, at the height of the fixed point they found.
                    let rows = simulation
                        .series(model.name, start)
                        .filter(|row| row.x == ratio);
                    let points = rows.map(|row| {
                        let nearest =
                            theory
                                .points(STATIONARY, &series)
                                .into_iter()
                                .min_by(|a, b| {
                                    let far = |x: f64| (x / row.y).ln().abs();
                                    far(a.0).total_cmp(&far(b.0))
                                });
                        (row.y, nearest.map_or(f64::NAN, |point| point.1), 0.0)
                    });
                    let label = match colour {
                        0 => format!("AMP, {start}"),
                        _ => String::new(),
                    };
                    plot = plot.with(
                        Points::new(label, points.collect())
                            .colour(colour)
                            .marker(marker),
                    );
                }
            }
            picture = picture.panel(plot);
        }
        let mut plot = Plot::new(
            "mutual information, noise Δ/ρ = 0.01",
            Axis::linear("measurements per component α").range(0.0, RANGE.1),
            Axis::linear("i (nats per component)").range(0.0, 3.2),
        );
        for (colour, model) in SIGNALS.into_iter().enumerate() {
            let dash = if model.is_modulus {
                Dash::Dashed
            } else {
                Dash::Solid
            };
            let mut line = theory.curve(INFORMATION, model.name);
            line.sort_by(|a, b| a.0.total_cmp(&b.0));
            let points = simulation.points(INFORMATION, &model.named(RANKS[2]));
            plot = plot
                .with(Line::new(model.name, line).colour(colour).dash(dash))
                .with(Points::new("", points).colour(colour));
        }
        picture.panel(plot)
    }
}

const STATIONARY: &str = "stationary";
const GRADIENT: &str = "gradient";
const INFORMATION: &str = "information";
const SLOPE: &str = "slope";
const IMMSE: &str = "I-MMSE";
const SIZES: &str = "sizes";

fn signals(profile: Profile) -> Vec<Model> {
    let count = profile.pick(2, SIGNALS.len(), SIGNALS.len());
    SIGNALS[..count].into()
}

fn size(profile: Profile) -> usize {
    profile.pick(240, 240, 960)
}

impl Model {
    fn named(&self, what: &str) -> String {
        format!("{}, {what}", self.name)
    }

    fn chain(&self) -> Result<Chain, FigureError> {
        Ok(match self.prior {
            "gaussian" => Chain::new(gaussian()),
            prior => with_freedom(prior, FREEDOM)?,
        })
    }

    /// `ρ`: `sparse` and linear signals have 1.
    fn second_moment(&self) -> f64 {
        if self.prior == "relu" { 0.5 } else { 1.0 }
    }

    /// The output at a noise relative to `ρ`.
    fn law(&self, noise: f64) -> Result<Additive, FigureError> {
        let phi = if self.is_modulus {
            PiecewiseLinear::abs()
        } else {
            PiecewiseLinear::linear()
        };
        let delta = noise * self.second_moment();
        Ok(Additive::new(Arc::new(phi), delta).map_err(ModelError::from)?)
    }

    fn tree(&self, noise: f64, ratio: f64) -> Result<Tree, FigureError> {
        Ok(self.chain()?.glm(ratio, Arc::new(self.law(noise)?))?)
    }

    /// The potential against the error, and its stationary points.
    fn potential(&self, ratio: f64, points: usize) -> Result<Vec<Row>, FigureError> {
        let tree = self.tree(self.noise, ratio)?;
        let series = format!("α = {ratio}");
        let named = self.named(&series);
        let errors = |tree: &Tree| -> Result<Vec<f64>, FigureError> {
            let found = StateEvolution::new(tree)?.predict()?.fixed_points;
            // At zero overlap there is no second side.
            Ok(found
                .iter()
                .map(|f| f.mmse)
                .filter(|m| *m < 1.0 - 1e-3)
                .collect())
        };
        let own = errors(&tree)?;
        let mut all = own.clone();
        all.extend(errors(&self.tree(self.noise, SHIFT * ratio)?)?);
        let low = 0.4 * self.noise;
        let grid = (0..points).map(|i| low.powf(1.0 - i as f64 / (points - 1) as f64));
        // Steps stay inside the interval.
        let step = |m: f64| STEP * m.min(1.0 - m);
        let around = |m: &f64| stencil(*m, step(*m));
        let wanted: Vec<f64> = grid
            .chain(own.iter().copied())
            .chain(all.iter().flat_map(around))
            .collect();
        let overlaps: Vec<f64> = wanted.iter().map(|m| 1.0 - m).collect();
        let values = information_at(&tree, &overlaps)?;
        let zero = values[points - 1];
        let mut rows = Vec::new();
        for (m, i) in wanted.iter().zip(&values).take(points) {
            rows.push(Row::theory(self.name, &series, *m, i - zero));
        }
        for (m, i) in wanted.iter().zip(&values).skip(points).take(own.len()) {
            rows.push(Row::theory(STATIONARY, &named, *m, i - zero));
        }
        let gradients = values[points + own.len()..].chunks_exact(8).zip(&all);
        let gradients: Vec<(f64, f64)> = gradients
            .map(|(values, m)| (*m, slope(values, step(*m)) * m.min(1.0 - m)))
            .collect();
        for (m, gradient) in &gradients[..own.len()] {
            rows.push(Row::theory(GRADIENT, &named, *m, *gradient));
            // The same where the fixed point of a ratio 5 percent larger lies.
            let wrong = gradients[own.len()..]
                .iter()
                .min_by(|a, b| (a.0 / m).ln().abs().total_cmp(&(b.0 / m).ln().abs()));
            if let Some((_, gradient)) = wrong {
                rows.push(Row::theory(
                    GRADIENT,
                    format!("{named}, shifted"),
                    *m,
                    *gradient,
                ));
            }
        }
        Ok(rows)
    }

    /// Message passing from both starts on the same instances.
    fn rest(
        &self,
        context: &Context,
        ratio: f64,
        p: usize,
        count: usize,
    ) -> Result<Vec<Row>, FigureError> {
        let tree = self.tree(self.noise, ratio)?;
        let sized = Sized::new(&tree, p)?;
        let prediction = StateEvolution::new(&tree)?.predict()?;
        let greatest = prediction.fixed_points.last().map_or(f64::NAN, |f| f.mmse);
        let ends = [prediction.algorithmic.mmse, greatest];
        let runs = trials(context, count, |seed| {
            let instance = sized.draw(seed)?;
            let run = |start| -> Result<f64, FigureError> {
                let settings = Settings {
                    start,
                    tolerance: REST,
                    seed,
                    ..Settings::default()
                };
                Ok(sized.infer(&instance, &settings)?.mse.unwrap_or(f64::NAN))
            };
            Ok([run(Start::Uninformed)?, run(Start::Informed)?])
        })?;
        let is_near = |a: f64, b: f64| (a / b).ln().abs() < NEAR.ln();
        let number =
            |holds: &dyn Fn(&[f64; 2]) -> bool| runs.iter().filter(|r| holds(r)).count() as u64;
        let mut rows = Vec::new();
        let mut fraction = |series: String, successes| {
            rows.push(Row::fraction(
                self.name,
                series,
                ratio,
                successes,
                count as u64,
            ));
        };
        for (i, start) in STARTS.into_iter().enumerate() {
            fraction(
                format!("{start}, near"),
                number(&|run| is_near(run[i], ends[i])),
            );
        }
        fraction("alike".into(), number(&|run| is_near(run[0], run[1])));
        for (i, start) in STARTS.into_iter().enumerate() {
            let errors: Vec<f64> = runs.iter().map(|run| run[i]).collect();
            rows.push(Row::measured(self.name, start, ratio, Sample::of(&errors)));
        }
        Ok(rows)
    }

    /// Information of the optimal point, and its slopes.
    fn information(&self, points: usize) -> Result<Vec<Row>, FigureError> {
        let rho = self.second_moment();
        let chain = StateEvolution::new(&self.tree(self.noise, 1.0)?)?;
        let curve = chain.curve(Some((0.4 / RANGE.1, 3.0 / RANGE.0)))?;
        let law = self.law(self.noise)?;
        let optimal = |ratio: f64| -> Result<(f64, f64), FigureError> {
            let found = chain.predict_on(&curve, 1.0 / ratio)?.optimal;
            Ok((found.mutual_information.unwrap_or(f64::NAN), found.mmse))
        };
        let mut rows = Vec::new();
        let grid =
            (0..points).map(|i| RANGE.0 + (RANGE.1 - RANGE.0) * i as f64 / (points - 1) as f64);
        for ratio in grid {
            rows.push(Row::theory(
                INFORMATION,
                self.name,
                ratio,
                optimal(ratio)?.0,
            ));
        }
        let judged = optimal(SIMULATED)?.0;
        rows.push(Row::theory(
            INFORMATION,
            self.named("judged"),
            SIMULATED,
            judged,
        ));
        let shifted = optimal(SHIFT * SIMULATED)?.0;
        rows.push(Row::theory(
            INFORMATION,
            self.named("shifted"),
            SIMULATED,
            shifted,
        ));
        for ratio in JUDGED {
            let found = derivative(|ratio| Ok(optimal(ratio)?.0), ratio, STEP * ratio)?;
            let side = |ratio: f64| -> Result<f64, FigureError> {
                let v = optimal(ratio)?.1;
                let told = output(&law, rho - v, v).map_err(FigureError::computation)?;
                Ok(-told.potential - law.entropy(rho))
            };
            rows.push(Row::theory(SLOPE, self.name, ratio, found));
            rows.push(Row::theory(SLOPE, self.named("side"), ratio, side(ratio)?));
            rows.push(Row::theory(
                SLOPE,
                self.named("side, shifted"),
                ratio,
                side(SHIFT * ratio)?,
            ));
        }
        if self.is_modulus {
            return Ok(rows);
        }
        let ratio = JUDGED[1];
        let at = |snr: f64| -> Result<(f64, f64), FigureError> {
            let found = StateEvolution::new(&self.tree(1.0 / snr, ratio)?)?
                .predict()?
                .optimal;
            Ok((found.mutual_information.unwrap_or(f64::NAN), found.mmse))
        };
        let snr = 1.0 / self.noise;
        let side = |snr: f64| -> Result<f64, FigureError> {
            let (delta, v) = (rho / snr, at(snr)?.1);
            Ok(0.5 * ratio * delta * v / (delta + v) / rho)
        };
        let found = derivative(|snr| Ok(at(snr)?.0), snr, STEP * snr)?;
        rows.push(Row::theory(IMMSE, self.name, ratio, found));
        rows.push(Row::theory(IMMSE, self.named("side"), ratio, side(snr)?));
        rows.push(Row::theory(
            IMMSE,
            self.named("side, shifted"),
            ratio,
            side(snr / SHIFT)?,
        ));
        Ok(rows)
    }

    /// Information by the evidence of message passing: `-ln P(y|A)/p` less the entropy of the noise.
    fn evidence(
        &self,
        context: &Context,
        rank: &str,
        p: usize,
        count: usize,
    ) -> Result<Vec<Row>, FigureError> {
        let sized = Sized::new(&self.tree(self.noise, SIMULATED)?, p)?;
        let delta = self.noise * self.second_moment();
        let entropy = SIMULATED * 0.5 * (TAU * std::f64::consts::E * delta).ln();
        let runs = trials(context, count, |seed| {
            let instance = sized.draw(seed)?;
            let settings = Settings {
                tolerance: REST,
                seed,
                ..Settings::default()
            };
            let found = sized.infer(&instance, &settings)?.evidence;
            let noise = self.noise_excess(&sized.tree, &instance) - delta;
            let accidents = sensing_accidents(&sized.tree, &instance)?;
            Ok((-found.unwrap_or(f64::NAN) - entropy, noise, accidents))
        })?;
        let values: Vec<f64> = runs.iter().map(|run| run.0).collect();
        let mut controls = vec![runs.iter().map(|run| run.1).collect()];
        controls.extend([0, 1, 2].map(|i| runs.iter().map(|run| run.2[i]).collect()));
        let mean = controlled(&values, &controls);
        Ok(vec![Row::measured(
            INFORMATION,
            self.named(rank),
            SIMULATED,
            mean,
        )])
    }

    /// `|y - φ(h)|²/n` of what was drawn, of mean Δ.
    fn noise_excess(&self, tree: &Tree, instance: &Instance) -> f64 {
        let last = tree.factors().len() - 1;
        let h = instance
            .truth(tree.factors()[last].variables[0])
            .unwrap_or_default();
        let y = instance.data(last).unwrap_or_default();
        let phi = |h: f64| if self.is_modulus { h.abs() } else { h };
        let sum: f64 = y.iter().zip(h).map(|(y, h)| (y - phi(*h)).powi(2)).sum();
        sum / h.len() as f64
    }
}
