//! Gradient descent on the latent of a relu layer beside message passing.

use std::sync::Arc;

use nalgebra::{DMatrix, DVector};
use onsager_amp::Settings;
use onsager_baselines::{Data, Generator, Settings as Descent, Stop, descend};
use onsager_ensembles::{Seed, sample};
use onsager_model::{Chain, Instance, ModelError, Tree};
use onsager_operators::LinearOperator;
use onsager_replica::StateEvolution;

use super::common::{REST, SHIFT, Sized, controlled, decades, gaussian, ladder, layered, trials};
use crate::agreement::{Agreement, Claim, Collapse, MeanSeries, Means, Sample, Success};
use crate::drawing::{Axis, Line, Marker, Picture, Plot, Points, Rule};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// `|v - x|²/|x|²` against the noise that each degree of freedom receives.
pub(crate) struct LatentDescent;

/// `E x²` of a relu layer on a standard Gaussian latent.
const RHO: f64 = 0.5;
/// Components of the signal per latent component where theory is judged.
const ALPHA: usize = 10;
/// Where it is: a fraction of order `θ` of the components change sign, and few must.
const SMALL: [f64; 2] = [0.0001, 0.0003];
/// Where errors are collapsed over the size of the latent. At larger noise the means of small latents
/// are those of the few runs that end far from the truth, and a collapse says little.
const GRID: [f64; 3] = [0.05, 0.15, 0.25];
/// Where message passing is said to err less, and most runs to end near the truth once the latent is large.
const LARGE: f64 = 0.4;
/// Error over `|x|²` beyond which a run has ended far from the truth: twice that of a typical run at
/// `LARGE`.
const FAR: f64 = 0.5;
/// Ends of the abscissa.
const RANGE: (f64, f64) = (8e-5, 1.0);
/// Where the MMSE is drawn from: below it does not change in units of `θ²`.
const DRAWN: f64 = 1e-3;
/// Rows of the Wishart matrix per column.
const ASPECT: usize = 1;
/// Multiple of sizes that stands for their limit: `k - 1/2` is `k` to 1e-7.
const LIMIT: usize = 1_000_000;
/// Squared relative step at rest where theory is judged: far below the smallest `θ²`.
const EXACT: f64 = 1e-16;
/// Typical component of a random start: tiny, so that it knows nothing of the scale either.
const START: f64 = 1e-3;

const DESCENT: &str = "gradient descent";
const AMP: &str = "message passing";
const RANKS: [&str; 3] = ["p/4", "p/2", "p"];
const SHIFTED: &str = "shifted";
const ERROR: &str = "error";
const PRODUCTS: &str = "products";
const RESTED: &str = "at rest";
const LED: &str = "errs less";
const NEAR: &str = "near";
const SIZES: &str = "sizes";
const LATENTS: &str = "latents";
const MMSE: &str = "MMSE";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    Wigner,
    Wishart,
}

/// One experiment: the sizes of signal and latent.
#[derive(Debug, Clone, Copy)]
struct Size {
    model: Model,
    p: usize,
    k: usize,
}

const MODELS: [Model; 2] = [Model::Wigner, Model::Wishart];

impl Figure for LatentDescent {
    fn id(&self) -> &'static str {
        "latent-descent"
    }

    fn title(&self) -> &'static str {
        "Gradient descent on the latent beside message passing"
    }

    fn source(&self) -> &'static str {
        "Cocola, Hand, Voroninski, arXiv:2006.07953 (descent, scaling with k); first order in the noise: own"
    }

    fn claim(&self) -> &'static str {
        "Behind a relu layer gradient descent on the latent errs by |v - x|²/|x|² = θ² for small noise, \
         with θ² = (k/p) Δ/ρ² for spiked Wigner and (k/n) (Δ/ρ)(1 + Δ/ρ) for spiked Wishart: a function \
         of θ alone, whatever k. Where θ is not small, runs with a small latent sometimes end far away, and \
         their mean falls with k. Message passing errs as little for small noise, and less elsewhere."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let mut jobs = Vec::new();
        for model in MODELS {
            let (ranks, latents) = (ranks(model, profile), collapsed(model, profile));
            // Curves of other k hardly differ.
            let (count, widest) = (profile.pick(7, 25, 49), latents[latents.len() - 1]);
            let key = format!("{model:?} {ranks:?} {latents:?}");
            jobs.push(Job::new(key, move |_| {
                Ok(first_orders(model, ranks, &latents))
            }));
            let key = format!("{model:?} curve of {count}: {widest:?}");
            jobs.push(Job::new(key, move |_| widest.curve(count)));
        }
        jobs
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let mut jobs = Vec::new();
        let mut add = |size: Size, series: String, theta: f64, count: usize| {
            let key = format!(
                "{:?} {series}: {size:?} θ={theta} trials={count}",
                size.model
            );
            jobs.push(Job::new(key, move |context| {
                size.simulate(context, &series, theta, count)
            }));
        };
        for model in MODELS {
            for (rank, size) in RANKS.iter().zip(ranks(model, profile)) {
                for theta in SMALL {
                    add(size, (*rank).to_owned(), theta, profile.pick(20, 30, 200));
                }
            }
            for size in collapsed(model, profile) {
                for theta in grid(profile) {
                    add(size, size.name(), theta, profile.pick(48, 40, 200));
                }
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        // The plan is in the tables: a profile only decides which points they hold.
        let mut descent = Means::new("gradient descent errs by θ² for small noise", 1.0);
        let mut rested = Success::new("gradient descent comes to rest");
        let mut led = Success::new(format!("message passing errs less at θ = {LARGE}"));
        let mut near = Success::new(format!("descents end near the truth at θ = {LARGE}"));
        // Second orders in the noise depend on θ and on k/p, which is 0.1 at most. The rival says that
        // errors depend on the noise alone, which is in proportion to 1/k at fixed θ.
        let mut collapse = Collapse::new("gradient descent: collapse over k", 0.0, 1.0, 0.2);
        for model in MODELS {
            let panel = model.panel();
            let sizes = theory.values(panel, SIZES);
            let &[quarter, half, full, ..] = sizes.as_slice() else {
                continue;
            };
            let series = MeanSeries {
                panel,
                sizes: [quarter, half, full],
                theory: RANKS,
                simulation: RANKS,
                shifted: SHIFTED,
            };
            descent = descent.series(theory, simulation, series, |_| true);
            let latents = theory.values(panel, LATENTS);
            let at = |method: &str, k: &f64, what: &str| format!("{method}, k = {k}, {what}");
            let Some((first, last)) = latents.first().zip(latents.last()) else {
                continue;
            };
            for row in simulation.series(panel, &at(DESCENT, first, ERROR)) {
                let label = format!("{panel}, θ = {}", row.x);
                let sized = |k: &f64| {
                    let series = at(DESCENT, k, ERROR);
                    (*k, Sample::at(simulation, panel, &series, row.x))
                };
                if row.x < LARGE {
                    collapse = collapse.point(&label, latents.iter().map(sized).collect());
                }
                for k in &latents {
                    let row = simulation.at(panel, &at(DESCENT, k, RESTED), row.x);
                    rested = rested.row(format!("{label}, k = {k}"), row, Claim::AtLeast(0.9));
                }
            }
            // Optimality is that of large sizes, of the latent too.
            let label = format!("{panel}, k = {last}");
            let row = simulation.at(panel, &at(AMP, last, LED), LARGE);
            led = led.row(&label, row, Claim::AtLeast(0.75));
            let row = simulation.at(panel, &at(DESCENT, last, NEAR), LARGE);
            near = near.row(&label, row, Claim::AtLeast(0.75));
        }
        vec![
            descent.into(),
            collapse.into(),
            led.into(),
            near.into(),
            rested.into(),
        ]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut picture = Picture::new(2);
        for model in MODELS {
            let panel = model.panel();
            // Errors in units of the first order.
            let scaled = |series: &str| {
                let points = simulation.points(panel, series).into_iter();
                let scale = |(x, y, e): (f64, f64, f64)| (x, y / (x * x), e / (x * x));
                points.map(scale).collect::<Vec<_>>()
            };
            let mmse = theory.curve(panel, MMSE).into_iter();
            let mut errors = Plot::new(
                panel,
                Axis::log("θ").range(RANGE.0, RANGE.1),
                Axis::linear("|v - x|²/(θ²|x|²)").range(0.5, 2.0),
            )
            .with(Rule::horizontal(1.0, "first order"))
            .with(Line::new("MMSE", mmse.map(|(x, y)| (x, y / (x * x))).collect()).colour(3))
            .with(Points::new("descent, k = p/10", scaled(RANKS[2])).colour(2));
            let mut costs = Plot::new(
                format!("{panel}: cost"),
                Axis::log("θ").range(0.03, RANGE.1),
                Axis::log("products until rest").range(10.0, 1e4),
            );
            for (i, k) in theory.values(panel, LATENTS).iter().enumerate() {
                for (method, marker) in [(DESCENT, Marker::Disc), (AMP, Marker::Diamond)] {
                    let name = |what: &str| format!("{method}, k = {k}, {what}");
                    let drawn = |points| {
                        let label = format!("{method}, k = {k}");
                        Points::new(label, points).colour(i).marker(marker)
                    };
                    errors = errors.with(drawn(scaled(&name(ERROR))));
                    costs = costs.with(drawn(simulation.points(panel, &name(PRODUCTS))));
                }
            }
            picture = picture.panel(errors).panel(costs);
        }
        picture
    }
}

/// Sizes at which theory is judged.
fn ranks(model: Model, profile: Profile) -> [Size; 3] {
    ladder(profile.pick(80, 200, 800)).map(|p| Size {
        model,
        p,
        k: p / ALPHA,
    })
}

/// Sizes whose errors are collapsed.
fn collapsed(model: Model, profile: Profile) -> Vec<Size> {
    let p = profile.pick(120, 200, 1600);
    let latents = profile.pick(&[30, 10][..], &[40, 20, 10], &[40, 20, 10]);
    let size = |alpha: &usize| Size {
        model,
        p,
        k: p / alpha,
    };
    latents.iter().map(size).collect()
}

fn grid(profile: Profile) -> Vec<f64> {
    let collapsed = profile.pick(&GRID[1..2], &GRID, &GRID);
    [collapsed, &[LARGE]].concat()
}

/// The sizes, the first order at every rank, and its control.
fn first_orders(model: Model, ranks: [Size; 3], latents: &[Size]) -> Vec<Row> {
    let row = |series: &str, x, y| Row::theory(model.panel(), series, x, y);
    let mut rows = Vec::new();
    for (rank, size) in RANKS.iter().zip(ranks) {
        rows.push(row(SIZES, size.p as f64, size.p as f64));
        rows.extend(SMALL.map(|theta| row(rank, theta, theta * theta)));
    }
    let shifted = |theta| ranks[2].first_order(SHIFT * ranks[2].noise(theta), RHO);
    rows.extend(SMALL.map(|theta| row(SHIFTED, theta, shifted(theta))));
    let latents = latents.iter();
    rows.extend(latents.map(|size| row(LATENTS, size.k as f64, size.k as f64)));
    rows
}

impl Model {
    fn panel(self) -> &'static str {
        match self {
            Self::Wigner => "spiked Wigner",
            Self::Wishart => "spiked Wishart, β = 1",
        }
    }

    fn tree(self, chain: Chain, noise: f64) -> Result<Tree, ModelError> {
        match self {
            Self::Wigner => chain.spiked_wigner(noise),
            Self::Wishart => chain.spiked_wishart(noise, ASPECT as f64, Chain::new(gaussian())),
        }
    }
}

/// What one instance gave; errors relative to `|x|²`.
struct Trial {
    descent: f64,
    passing: f64,
    /// First order of the descent on this instance minus its mean.
    accident: f64,
    products: [f64; 2],
    rested: bool,
}

impl Size {
    fn name(self) -> String {
        format!("k = {}", self.k)
    }

    fn tree(self, noise: f64) -> Result<Tree, ModelError> {
        let chain = layered(&[(self.p as f64 / self.k as f64, "relu")]);
        self.model.tree(chain, noise)
    }

    /// `θ²`, the mean of `|v - x|²/|x|²` to first order in the noise, of a signal with
    /// `|x|²/p = strength`.
    ///
    /// The estimate moves within the tangent space of the generator at the latent, of `k` dimensions,
    /// by the projection of `E x/strength`, `M = x xᵀ/p + E`; along `x` itself by half of it. Exact for
    /// noise of the matrix given everything else.
    fn first_order(self, noise: f64, strength: f64) -> f64 {
        let (p, k, ratio) = (self.p as f64, self.k as f64, noise / strength);
        match self.model {
            Model::Wigner => (k - 0.5) / p * ratio / strength,
            Model::Wishart => (k + (k - 0.5) * ratio) * ratio / (ASPECT as f64 * p),
        }
    }

    /// The noise at which it is `theta²` for the typical strength.
    fn noise(self, theta: f64) -> f64 {
        let (p, k) = (self.p as f64, self.k as f64);
        let per_degree = theta * theta * p / (k - 0.5);
        match self.model {
            Model::Wigner => per_degree * RHO * RHO,
            // The positive root of r² + r k/(k - 1/2) = per_degree β, without cancellation.
            Model::Wishart => {
                let (half, c) = (0.5 * k / (k - 0.5), per_degree * ASPECT as f64);
                RHO * c / (half + (half * half + c).sqrt())
            }
        }
    }

    /// MMSE/ρ against `θ`, both in the limit of large sizes.
    fn curve(self, count: usize) -> Result<Vec<Row>, FigureError> {
        let chain = StateEvolution::new(&self.tree(1.0)?)?;
        let limit = Self {
            p: LIMIT * self.p,
            k: LIMIT * self.k,
            ..self
        };
        let [low, high] = [DRAWN, RANGE.1].map(|theta| limit.noise(theta));
        let curve = chain.curve(Some((0.9 * low, 1.1 * high)))?;
        let at = |theta: f64| {
            let found = chain.predict_on(&curve, limit.noise(theta))?;
            let mmse = found.algorithmic.mmse / RHO;
            Ok(Row::theory(self.model.panel(), MMSE, theta, mmse))
        };
        decades(DRAWN, RANGE.1, count).into_iter().map(at).collect()
    }

    fn simulate(
        self,
        context: &Context,
        series: &str,
        theta: f64,
        count: usize,
    ) -> Result<Vec<Row>, FigureError> {
        let panel = self.model.panel();
        let sized = Sized::new(&self.tree(self.noise(theta))?, self.p)?;
        let is_judged = RANKS.contains(&series);
        let runs = trials(context, count, |seed| {
            self.trial(&sized, theta, !is_judged, seed)
        })?;
        let of = |f: fn(&Trial) -> f64| runs.iter().map(f).collect::<Vec<f64>>();
        let accidents = [of(|t| t.accident)];
        let descent = controlled(&of(|t| t.descent), &accidents);
        if is_judged {
            return Ok(vec![Row::measured(panel, series, theta, descent)]);
        }
        let passing = controlled(&of(|t| t.passing), &accidents);
        let name = |method: &str, what: &str| format!("{method}, {series}, {what}");
        let measured =
            |method, what, sample| Row::measured(panel, name(method, what), theta, sample);
        let fraction = |method, what, is: fn(&Trial) -> bool| {
            let successes = runs.iter().filter(|t| is(t)).count() as u64;
            Row::fraction(panel, name(method, what), theta, successes, count as u64)
        };
        Ok(vec![
            measured(DESCENT, ERROR, descent),
            measured(AMP, ERROR, passing),
            measured(DESCENT, PRODUCTS, Sample::of(&of(|t| t.products[0]))),
            measured(AMP, PRODUCTS, Sample::of(&of(|t| t.products[1]))),
            fraction(DESCENT, RESTED, |t| t.rested),
            fraction(AMP, LED, |t| t.passing < t.descent),
            fraction(DESCENT, NEAR, |t| t.descent < FAR),
        ])
    }

    /// One instance; with message passing beside the descent, which is then exact to what it needs.
    fn trial(
        self,
        sized: &Sized,
        theta: f64,
        is_compared: bool,
        seed: Seed,
    ) -> Result<Trial, FigureError> {
        let instance = sized.draw(seed)?;
        let last = sized.tree.factors().len() - 1;
        let x = truth(&instance, sized.tree.signal_index());
        let (Some(weights), Some(y)) = (instance.operator(1), instance.operator(last)) else {
            unreachable!("a layer and a spiked matrix have operators");
        };
        let noise = self.noise(theta);
        let data = match self.model {
            Model::Wigner => Data::Wigner(Arc::clone(y)),
            Model::Wishart => Data::Wishart {
                matrix: Arc::clone(y),
                noise,
                left: 1.0,
            },
        };
        let generator = Generator::relu(vec![Arc::clone(weights)])?;
        let rng = &mut seed.stream("start", 0, 0, "");
        let start = sample::noisy(&vec![0.0; self.k], START * START, rng)?;
        let settings = Descent {
            tolerance: if is_compared { REST } else { EXACT },
            ..Descent::default()
        };
        let descent = descend(&generator, &data, &start, &settings)?;
        let settings = Settings {
            tolerance: REST,
            seed,
            ..Settings::default()
        };
        let (mse, products) = if is_compared {
            let passing = sized.infer(&instance, &settings)?;
            (passing.mse.unwrap_or(f64::NAN), passing.products as f64)
        } else {
            (f64::NAN, f64::NAN)
        };
        let strength = x.norm_squared() / x.len() as f64;
        // Signals of different strength at one noise have different θ: errors are taken to that of the
        // typical strength, which is exact to first order.
        let mean = self.first_order(noise, strength);
        let typical = theta * theta / mean;
        let miss = (DVector::from_vec(descent.estimate) - &x).norm_squared() / x.norm_squared();
        Ok(Trial {
            descent: typical * miss,
            passing: typical * mse / strength,
            accident: typical * (self.realised(&**weights, &**y, &x, noise)? - mean),
            products: [descent.products as f64, products],
            rested: descent.stop == Stop::Converged,
        })
    }

    /// `|v - x|²/|x|²` to first order in the noise of this matrix, of mean [`Size::first_order`].
    fn realised(
        self,
        weights: &dyn LinearOperator,
        y: &dyn LinearOperator,
        x: &DVector<f64>,
        noise: f64,
    ) -> Result<f64, FigureError> {
        let (p, power) = (x.len() as f64, x.norm_squared());
        let column = DMatrix::from_column_slice(x.len(), 1, x.as_slice());
        let image = match self.model {
            Model::Wigner => y.apply(&column)? / p.sqrt(),
            Model::Wishart => {
                let n = y.shape().rows as f64;
                y.apply_adjoint(&y.apply(&column)?)? / n - &column * noise
            }
        };
        // E x/strength, and its part in the tangent space.
        let force = (image * (p / power)).column(0) - x;
        let mut tangent = weights.apply(&DMatrix::identity(self.k, self.k))?;
        for (mut row, x) in tangent.row_iter_mut().zip(x.iter()) {
            if *x == 0.0 {
                row.fill(0.0);
            }
        }
        let projected = tangent.tr_mul(&force);
        let Some(gram) = tangent.tr_mul(&tangent).cholesky() else {
            return Ok(f64::NAN);
        };
        let along = force.dot(x);
        let inside = projected.dot(&gram.solve(&projected)) - 0.75 * along * along / power;
        Ok(inside / power)
    }
}

fn truth(instance: &Instance, v: usize) -> DVector<f64> {
    DVector::from_column_slice(instance.truth(v).unwrap_or_default())
}
