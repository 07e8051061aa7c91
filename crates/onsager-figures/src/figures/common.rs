//! What figures share: instances at realised sizes, trials on named streams.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_amp::{Outcome, Problem, Settings, Stop, infer, spectral};
use onsager_ensembles::sample::{spiked_wigner, spiked_wishart};
use onsager_ensembles::{Seed, Spectrum};
use onsager_lattice::{LatticeError, Recovery};
use onsager_model::{Chain, FactorKind, Instance, ModelError, Teacher, Tree};
use onsager_operators::{LinearOperator, Symmetric};
use onsager_replica::spectral::{Covariance, SpikedMatrix};
use onsager_replica::{FixedPoint, StateEvolution, Threshold, ThresholdKind};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::likelihood::Noiseless;
use onsager_scalar::prior::{GaussBernoulli, Gaussian, Rademacher};
use onsager_scalar::roots::bracketed_root;
use onsager_scalar::special::{ndtr, normal_density};
use onsager_scalar::{Activation, Likelihood, Prior};

use crate::agreement::{Agreement, Claim, Identity, MeanSeries, Means, Sample, Success};
use crate::drawing::{Line, Plot, Points, Rule};
use crate::{Context, FigureError, Job, Row, Table};

/// The activations of the talk by name: `linear`, `sign`, `relu`.
pub(crate) fn activation(name: &str) -> Arc<dyn Activation> {
    Arc::new(match name {
        "sign" => PiecewiseLinear::sign(),
        "relu" => PiecewiseLinear::relu(),
        _ => PiecewiseLinear::linear(),
    })
}

/// The standard Gaussian law of latents.
pub(crate) fn gaussian() -> Arc<dyn Prior> {
    Arc::new(Gaussian::standard())
}

/// Fair signs.
pub(crate) fn rademacher() -> Arc<dyn Prior> {
    Arc::new(Rademacher)
}

/// A chain on a standard Gaussian latent: layers of (aspect, activation), latent first.
pub(crate) fn layered(layers: &[(f64, &str)]) -> Chain {
    layers
        .iter()
        .fold(Chain::new(gaussian()), |chain, (aspect, name)| {
            chain.layer(*aspect, activation(name))
        })
}

/// Components that are zero, or Gaussian, independently: the prior `sparse` of [`with_freedom`].
pub(crate) const SPARSE: &str = "sparse";

/// A signal with this many degrees of freedom for each component: `sparse`, of that many nonzero
/// components, or behind a layer, of so large a latent.
pub(crate) fn with_freedom(name: &str, freedom: f64) -> Result<Chain, ModelError> {
    Ok(match name {
        SPARSE => Chain::new(Arc::new(GaussBernoulli::new(freedom, 0.0, 1.0 / freedom)?)),
        _ => layered(&[(1.0 / freedom, name)]),
    })
}

/// A tree at a finite size: theory is evaluated on `tree`, whose ratios are the rounded ones.
pub(crate) struct Sized {
    pub(crate) tree: Tree,
    pub(crate) sizes: Vec<usize>,
}

impl Sized {
    /// The tree with `p` components of the signal.
    pub(crate) fn new(tree: &Tree, p: usize) -> Result<Self, FigureError> {
        let sizes = tree.sizes(tree.signal_index(), p);
        Ok(Self {
            tree: tree.realised(&sizes)?,
            sizes,
        })
    }

    /// The size of the signal.
    pub(crate) fn p(&self) -> usize {
        self.sizes[self.tree.signal_index()]
    }

    /// One realisation with a teacher of fixed norm and composition; `seed` decides it.
    pub(crate) fn draw(&self, seed: Seed) -> Result<Instance, FigureError> {
        let stream = |purpose: &str| seed.stream("instance", 0, 0, purpose);
        Ok(Instance::draw(
            &self.tree,
            &self.sizes,
            stream,
            Teacher::fixed(),
        )?)
    }

    /// Message passing on one realisation.
    pub(crate) fn infer(
        &self,
        instance: &Instance,
        settings: &Settings,
    ) -> Result<Outcome, FigureError> {
        Ok(infer(&Problem::new(&self.tree, instance)?, settings)?)
    }
}

/// Runs independent trials, one after another: threads work over points.
pub(crate) fn trials<T>(
    context: &Context,
    count: usize,
    mut trial: impl FnMut(Seed) -> Result<T, FigureError>,
) -> Result<Vec<T>, FigureError> {
    (0..count)
        .map(|t| {
            context.check()?;
            trial(Seed(context.seed(t as u64, "trial")))
        })
        .collect()
}

/// Fewest bits with which a search by lattice reduction found its signal; none if it found nothing.
pub(crate) fn fewest_bits(
    found: Result<Recovery, LatticeError>,
) -> Result<Option<usize>, FigureError> {
    match found {
        Ok(recovery) => Ok(Some(recovery.bits)),
        Err(LatticeError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The mean of `values` without the part that `controls` explain, numbers of the same trials whose
/// expectation is known to be zero.
///
/// Linear regression on the controls: its coefficients are estimated from the same trials, which
/// biases the mean by less than its standard error over their number.
pub(crate) fn controlled(values: &[f64], controls: &[Vec<f64>]) -> Sample {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let covariance = |a: &[f64], b: &[f64]| {
        let (ma, mb) = (mean(a), mean(b));
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - ma) * (b - mb))
            .sum::<f64>()
    };
    let remove = |from: &mut [f64], control: &[f64]| {
        let slope = covariance(from, control) / covariance(control, control);
        // A control that is constant, or explained by those before it, explains nothing.
        if slope.is_finite() {
            from.iter_mut()
                .zip(control)
                .for_each(|(v, c)| *v -= slope * c);
        }
    };
    let (mut values, mut used) = (values.to_vec(), Vec::<Vec<f64>>::new());
    for control in controls {
        let mut rest = control.clone();
        used.iter().for_each(|before| remove(&mut rest, before));
        // What is left by rounding of a control explained by those before it.
        if covariance(&rest, &rest) > 1e-18 * covariance(control, control) {
            remove(&mut values, &rest);
            used.push(rest);
        }
    }
    let sample = Sample::of(&values);
    let (count, spent) = (values.len() as f64, used.len() as f64);
    Sample {
        // Every coefficient costs one degree of freedom.
        standard_error: sample.standard_error * ((count - 1.0) / (count - 1.0 - spent)).sqrt(),
        ..sample
    }
}

/// Message passing, its linearisation, and the principal component or singular vector.
pub(crate) const METHODS: [&str; 3] = ["AMP", "LAMP", "PCA"];

/// Instances of a spiked matrix behind one centred layer, on which [`METHODS`] are compared.
///
/// Their signals have `|x|² = pρ`. The eigenvalue of LAMP moves with `(|x|²/p - ρ)/Δ`, and at small
/// noise a signal that is too short can be lost: a fluctuation of order `1/(Δ√p)`.
pub(crate) struct Spike {
    sized: Sized,
    matrix: SpikedMatrix,
    /// `E t²` of the covariance of the prior.
    square: f64,
}

/// What methods find of the signal of an instance.
pub(crate) struct Directions {
    /// Squared cosines, in the order of the methods.
    pub(crate) cosines: Vec<f64>,
    /// Accidents of the instance that move them, for [`controlled`]: squared lengths and products
    /// of the signal `x`, its image `Kx` under the covariance of the prior, and of what the noise
    /// makes of the spike, less their means. Terms of order `1/p` are left out of the means, and
    /// count as bias.
    accidents: Vec<f64>,
}

impl Spike {
    /// The tree with `p` components of the signal.
    pub(crate) fn new(tree: &Tree, p: usize) -> Result<Self, FigureError> {
        Ok(Self {
            sized: Sized::new(tree, p)?,
            matrix: SpikedMatrix::of(tree)?,
            square: Covariance::of(tree)?.law().moment(2),
        })
    }

    /// Runs some of [`METHODS`] on one instance.
    pub(crate) fn directions(
        &self,
        methods: &[&str],
        seed: Seed,
    ) -> Result<Directions, FigureError> {
        let instance = self.draw(seed)?;
        let problem = Problem::new(&self.sized.tree, &instance)?;
        let x = self.truth(&instance, 0);
        let cosine = |found: spectral::Spectral| found.squared_cosine(x.as_slice());
        let of = |method: &&str| -> Result<f64, FigureError> {
            Ok(match *method {
                "LAMP" => cosine(spectral::lamp(&problem)?),
                "PCA" => cosine(spectral::pca(&problem)?),
                _ => {
                    let settings = Settings {
                        tolerance: REST,
                        seed,
                        ..Settings::default()
                    };
                    let found = infer(&problem, &settings)?;
                    let v = &found.estimate;
                    match found.stop {
                        // An estimate that vanishes points nowhere.
                        Stop::Trivial => 0.0,
                        _ => x.dot(v).powi(2) / (x.norm_squared() * v.norm_squared()),
                    }
                }
            })
        };
        Ok(Directions {
            cosines: methods.iter().map(of).collect::<Result<_, _>>()?,
            accidents: self.accidents(&problem, &instance)?,
        })
    }

    /// An instance whose latent is rescaled so that `|x|² = pρ`, if any scale does that.
    fn draw(&self, seed: Seed) -> Result<Instance, FigureError> {
        let Sized { tree, sizes } = &self.sized;
        let first = self.sized.draw(seed)?;
        let truth = |v: usize| first.truth(v).unwrap_or_default();
        // z, its field h, and x = φ(h), in which the factors of the same places end.
        let [z, h, x] = [0, 1, 2];
        let (Some(FactorKind::Activation(phi)), Some(weights)) =
            (tree.factors().get(x).map(|f| &f.kind), first.operator(h))
        else {
            return Ok(first);
        };
        let through = |scale: f64| -> Vec<f64> {
            let of_field = truth(h).iter();
            of_field.map(|h| phi.apply(scale * h)).collect()
        };
        let wanted = sizes[x] as f64 * tree.signal().second_moment;
        let excess = |log: f64| {
            let square: f64 = through(log.exp()).iter().map(|x| x * x).sum();
            square - wanted
        };
        let scale = bracketed_root(excess, -1.0, 1.0, 1e-14).map_or(1.0, |root| root.x.exp());
        let scaled = |v: usize| truth(v).iter().map(|x| scale * x).collect();
        let signal = through(scale);
        let mut noise = seed.stream("instance", 0, 0, "noise of the rescaled signal");
        let y: Arc<dyn LinearOperator> = match self.matrix {
            SpikedMatrix::Wigner { noise: delta } => {
                let y: Symmetric = spiked_wigner(&signal, delta, &mut noise)?;
                Arc::new(y)
            }
            SpikedMatrix::Wishart { noise: delta, .. } => {
                Arc::new(spiked_wishart(truth(x + 1), &signal, delta, &mut noise)?)
            }
        };
        let mut given = Instance::given(tree, sizes)?
            .truth(z, scaled(z))?
            .operator(h, weights.clone())?
            .truth(h, scaled(h))?
            .truth(x, signal)?
            .operator(tree.factors().len() - 1, y)?;
        for left in x + 1..sizes.len() {
            given = given.truth(left, truth(left).to_vec())?;
        }
        Ok(given.build()?)
    }

    /// The signal, which is side 0 of the spike, or the last side.
    fn truth(&self, instance: &Instance, side: usize) -> DMatrix<f64> {
        let factors = self.sized.tree.factors();
        let sides = &factors[factors.len() - 1].variables;
        let x = instance.truth(sides[side.min(sides.len() - 1)]);
        DMatrix::from_column_slice(x.map_or(0, <[f64]>::len), 1, x.unwrap_or_default())
    }

    fn accidents(&self, problem: &Problem, instance: &Instance) -> Result<Vec<f64>, FigureError> {
        let (x, u) = (self.truth(instance, 0), self.truth(instance, 1));
        let k = spectral::covariance(problem)?;
        let (image, rho) = (k.apply(&x)?, self.sized.tree.signal().second_moment);
        let (p, n) = (x.len() as f64, u.len() as f64);
        let mut accidents = vec![x.dot(&image) / p - self.square];
        let Some(y) = instance.operator(self.sized.tree.factors().len() - 1) else {
            return Ok(accidents);
        };
        // √(Δ/p) ξᵀ v and √(Δ/p) ξ v.
        let root = p.sqrt();
        let back = |v: &DMatrix<f64>| -> Result<DMatrix<f64>, FigureError> {
            Ok(y.apply_adjoint(v)? / root - &x * (u.dot(v) / p))
        };
        let forth = |v: &DMatrix<f64>| -> Result<DMatrix<f64>, FigureError> {
            Ok(y.apply(v)? / root - &u * (x.dot(v) / p))
        };
        let (noise, is_square) = match self.matrix {
            SpikedMatrix::Wigner { noise } => (noise, true),
            SpikedMatrix::Wishart { noise, .. } => (noise, false),
        };
        let (on_right, on_left) = (back(&u)?, forth(&x)?);
        let filtered = k.apply(&on_right)?;
        let again = forth(&on_right)?;
        let (mean, twice) = (noise * u.norm_squared() / p, noise * (1.0 + n / p));
        accidents.extend([
            x.dot(&on_right) / p,
            image.dot(&on_right) / p,
            on_right.norm_squared() / p - mean,
            on_right.dot(&filtered) / p - mean * rho,
            filtered.norm_squared() / p - mean * self.square,
            again.dot(&on_left) / p,
            forth(&filtered)?.dot(&on_left) / p,
            again.norm_squared() / p - mean * twice,
        ]);
        if !is_square {
            let mean = noise * x.norm_squared() * n / (p * p);
            accidents.extend([
                on_left.norm_squared() / p - mean,
                back(&on_left)?.norm_squared() / p - mean * twice,
            ]);
        }
        Ok(accidents)
    }
}

impl Directions {
    /// The mean of a function of the squared cosines over runs.
    pub(crate) fn mean(runs: &[Self], f: impl Fn(&[f64]) -> f64) -> Sample {
        let values: Vec<f64> = runs.iter().map(|run| f(&run.cosines)).collect();
        let count = runs.first().map_or(0, |run| run.accidents.len());
        let control = |i: usize| runs.iter().map(|run| run.accidents[i]).collect();
        controlled(&values, &(0..count).map(control).collect::<Vec<_>>())
    }

    /// The number of runs of which something holds.
    pub(crate) fn count(runs: &[Self], holds: impl Fn(&[f64]) -> bool) -> u64 {
        runs.iter().filter(|run| holds(&run.cosines)).count() as u64
    }
}

/// The three sizes of an agreement.
pub(crate) fn ladder(n: usize) -> [usize; 3] {
    [n / 4, n / 2, n]
}

/// Where message passing is compared with theory at rest: the largest size of a [`ladder`], the
/// trials there, and the noises. Aspects divide every size, so that theory at the realised ratios
/// is one curve.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) p: usize,
    pub(crate) trials: usize,
    pub(crate) noises: Vec<f64>,
    /// Points that are drawn beside the judged ones: too few trials to judge by.
    pub(crate) shown: Option<Shown>,
}

/// Noises at which message passing is shown and not judged.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) p: usize,
    pub(crate) trials: usize,
    pub(crate) noises: Vec<f64>,
}

/// One curve of a figure that compares message passing at rest with the MMSE.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Panel and series of the tables.
    pub(crate) panel: &'static str,
    pub(crate) series: String,
    pub(crate) chain: Chain,
    /// Aspect and left factor of a spiked Wishart matrix; without, it is a spiked Wigner matrix.
    pub(crate) left: Option<(f64, Chain)>,
    /// Noise above which nothing can be recovered, in closed form.
    pub(crate) threshold: Option<f64>,
    pub(crate) plan: Option<Plan>,
}

/// The agreements to which every [`Case`] adds its points.
pub(crate) struct AtRest {
    means: Means,
    rested: Success,
    vanished: Success,
    ends: Identity,
    information: Means,
}

/// Squared relative change at which a run is at rest: a change of 1e-4 moves errors and evidence by
/// far less than trials differ.
pub(crate) const REST: f64 = 1e-8;

/// Relative shift of the noise in controls.
pub(crate) const SHIFT: f64 = 1.05;

/// Series of the error at the fixed point that message passing reaches.
pub(crate) const ALGORITHMIC: &str = "algorithmic";

pub(crate) const RANKS: [&str; 3] = ["n/4", "n/2", "n"];
const SHOWN: &str = "shown";
/// Series of the mutual information, in units of its limit at large noise.
pub(crate) const INFORMATION: &str = "information";

/// The limit of the mutual information at large noise, `β E u² E x²/(2Δ)` nats per component of the
/// signal of a product; nothing for other observations.
fn weak_information(tree: &Tree, noise: f64) -> Option<f64> {
    let last = tree.factors().last()?;
    let FactorKind::SpikedWishart { aspect, .. } = last.kind else {
        return None;
    };
    let square = |v: &usize| tree.variables()[*v].second_moment;
    let squares: f64 = last.variables.iter().map(square).product();
    Some(aspect * squares / (2.0 * noise))
}

impl Case {
    fn tree(&self, noise: f64) -> Result<Tree, ModelError> {
        let chain = self.chain.clone();
        match &self.left {
            Some((aspect, left)) => chain.spiked_wishart(noise, *aspect, left.clone()),
            None => chain.spiked_wigner(noise),
        }
    }

    /// Rows of `theory.csv`, errors in units of `ρ`: the optimal one, and that of message passing, on
    /// `grid` and at the threshold; where the curve of fixed points ends; what the plan needs.
    pub(crate) fn theory(&self, grid: &[f64]) -> Result<Vec<Row>, FigureError> {
        let chain = StateEvolution::new(&self.tree(1.0)?)?;
        let (low, high) = (grid[0], grid[grid.len() - 1]);
        let curve = chain.curve(Some((0.9 * low, 1.1 * high)))?;
        let both = |noise: f64| -> Result<[f64; 2], FigureError> {
            let found = chain.predict_on(&curve, noise)?;
            let relative = |point: FixedPoint| point.mmse / (point.mmse + point.overlap);
            Ok([relative(found.optimal), relative(found.algorithmic)])
        };
        let mmse = |noise: f64| Ok::<_, FigureError>(both(noise)?[0]);
        // At one noise, in units of another.
        let information = |noise: f64, unit: f64| -> Result<Option<f64>, FigureError> {
            let Some(unit) = weak_information(&self.tree(1.0)?, unit) else {
                return Ok(None);
            };
            let found = chain.predict_on(&curve, noise)?.optimal.mutual_information;
            Ok(found.map(|i| i / unit))
        };
        let row = |series: &str, x, y| Row::theory(self.panel, series, x, y);
        let mut rows = Vec::new();
        let mut noises = grid.to_vec();
        noises.extend(self.threshold);
        noises.sort_by(f64::total_cmp);
        for noise in noises {
            let [optimal, algorithmic] = both(noise)?;
            rows.push(row(&self.series, noise, optimal));
            rows.push(row(&self.named(ALGORITHMIC), noise, algorithmic));
            if let (Some(i), Some(_)) = (information(noise, noise)?, &self.plan) {
                rows.push(row(&self.named(INFORMATION), noise, i));
            }
        }
        if let Some(closed) = self.threshold {
            let end = curve
                .points
                .iter()
                .min_by(|a, b| a.overlap.total_cmp(&b.overlap));
            let end = end.map_or(f64::NAN, |point| point.noise);
            rows.push(row(&self.named("end"), closed, end));
        }
        if let Some(plan) = &self.plan {
            for (rank, p) in RANKS.iter().zip(ladder(plan.p)) {
                rows.push(row(&self.named("sizes"), rows.len() as f64, p as f64));
                for &noise in &plan.noises {
                    rows.push(row(&self.named(rank), noise, mmse(noise)?));
                    if let Some(i) = information(noise, noise)? {
                        rows.push(row(&self.informed(rank), noise, i));
                    }
                }
            }
            for &noise in &plan.noises {
                rows.push(row(&self.named("shifted"), noise, mmse(SHIFT * noise)?));
                if let Some(i) = information(SHIFT * noise, noise)? {
                    rows.push(row(&self.informed("shifted"), noise, i));
                }
            }
        }
        Ok(rows)
    }

    /// Message passing at every noise of the plan; above the threshold at the largest size only,
    /// where no mean is judged.
    pub(crate) fn simulation(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        let Some(plan) = &self.plan else { return jobs };
        if let Some(Shown { p, trials, noises }) = &plan.shown {
            jobs.extend(
                noises
                    .iter()
                    .map(|noise| self.job(SHOWN, *noise, *p, *trials)),
            );
        }
        for &noise in &plan.noises {
            // Half as many trials at n/2 add less than a tenth to the error of the extrapolation.
            // Above the threshold runs agree, and no mean is judged.
            let trials = match self.is_above(noise) {
                true => [0, 0, 32],
                false => [plan.trials, (plan.trials / 2).max(16), plan.trials],
            };
            let sizes = RANKS.iter().zip(ladder(plan.p)).zip(trials);
            for ((rank, p), trials) in sizes.filter(|(_, trials)| *trials > 0) {
                jobs.push(self.job(rank, noise, p, trials));
            }
        }
        jobs
    }

    /// Message passing at one noise and size.
    fn job(&self, rank: &str, noise: f64, p: usize, trials: usize) -> Job {
        let (panel, series, case) = (self.panel, self.named(rank), self.clone());
        let key = format!("{panel}, {series}, noise={noise} p={p} trials={trials}");
        let rank = rank.to_string();
        Job::new(key, move |context| {
            let tree = case.tree(noise)?;
            let runs = at_rest(context, &tree, p, trials)?;
            let mut rows = runs.rows(panel, &series, noise);
            let name = case.informed(&rank);
            rows.extend(
                runs.information
                    .map(|sample| Row::measured(panel, name, noise, sample)),
            );
            Ok(rows)
        })
    }

    /// Adds the points of this case, which are those of its theory.
    fn judge(&self, theory: &Table, simulation: &Table, to: AtRest) -> AtRest {
        let AtRest {
            means,
            mut rested,
            mut vanished,
            mut ends,
            mut information,
        } = to;
        let is_drawn = !theory.curve(self.panel, &self.series).is_empty();
        if let (Some(closed), true) = (self.threshold, is_drawn) {
            let end = theory.value(self.panel, &self.named("end"), closed);
            let label = format!("{} {}", self.panel, self.series);
            ends = ends
                .point(label, end, closed, 1e-8 * closed)
                .control(SHIFT * closed);
        }
        let names = RANKS.map(|rank| self.named(rank));
        let sizes = theory.values(self.panel, &self.named("sizes"));
        let &[quarter, half, full] = sizes.as_slice() else {
            return AtRest {
                means,
                rested,
                vanished,
                ends,
                information,
            };
        };
        let series = MeanSeries {
            panel: self.panel,
            sizes: [quarter, half, full],
            theory: names.each_ref().map(String::as_str),
            simulation: names.each_ref().map(String::as_str),
            shifted: &self.named("shifted"),
        };
        for row in theory.series(self.panel, &names[2]) {
            let label = format!("{} {} at {:.4}", self.panel, self.series, row.x);
            let measured =
                |suffix| simulation.at(self.panel, &format!("{}{suffix}", names[2]), row.x);
            rested = rested.row(&label, measured(RESTED), Claim::AtLeast(0.9));
            if self.threshold.is_some() {
                let claim = match self.is_above(row.x) {
                    true => Claim::AtLeast(0.9),
                    false => Claim::AtMost(0.1),
                };
                vanished = vanished.row(&label, measured(VANISHED), claim);
            }
        }
        let informed = RANKS.map(|rank| self.informed(rank));
        let shifted = self.informed("shifted");
        information = information.series(
            theory,
            simulation,
            MeanSeries {
                theory: informed.each_ref().map(String::as_str),
                simulation: informed.each_ref().map(String::as_str),
                shifted: &shifted,
                ..series
            },
            |noise| !self.is_above(noise),
        );
        AtRest {
            means: means.series(theory, simulation, series, |noise| !self.is_above(noise)),
            rested,
            vanished,
            ends,
            information,
        }
    }

    /// The curve, and message passing at the largest size in the same colour.
    fn draw(&self, plot: Plot, theory: &Table, simulation: &Table, colour: usize) -> Plot {
        let line = Line::new(&self.series, theory.curve(self.panel, &self.series));
        let points = [RANKS[2], SHOWN].map(|rank| simulation.points(self.panel, &self.named(rank)));
        let points = points.concat();
        let plot = plot.with(line.colour(colour));
        let plot = if points.is_empty() {
            plot
        } else {
            plot.with(Points::new(&self.series, points).colour(colour))
        };
        match self.threshold {
            Some(at) => plot.with(Rule::vertical(at, short(at)).colour(colour)),
            None => plot,
        }
    }

    /// A series that belongs to this case.
    pub(crate) fn named(&self, what: &str) -> String {
        format!("{}, {what}", self.series)
    }

    fn informed(&self, what: &str) -> String {
        self.named(&format!("{INFORMATION}, {what}"))
    }

    fn is_above(&self, noise: f64) -> bool {
        self.threshold.is_some_and(|threshold| noise > threshold)
    }
}

impl AtRest {
    /// What `cases` say; `end` claims where their curves of fixed points end.
    pub(crate) fn judge(cases: &[Case], end: &str, theory: &Table, simulation: &Table) -> Self {
        let empty = Self {
            means: Means::new("message passing attains the MMSE", 1.0),
            rested: Success::new("message passing comes to rest"),
            vanished: Success::new("the estimate vanishes above the threshold and not below"),
            ends: Identity::new(
                end,
                "fixed points are exact for a noise that differs by 1e-8, relatively",
            ),
            information: Means::new("information by Bethe evidence", 1.0),
        };
        let add = |to, case: &Case| case.judge(theory, simulation, to);
        cases.iter().fold(empty, add)
    }

    pub(crate) fn agreements(self) -> Vec<Agreement> {
        let mut all = vec![
            Agreement::Means(self.means),
            Agreement::Success(self.rested),
            Agreement::Success(self.vanished),
            Agreement::Identity(self.ends),
        ];
        if !self.information.points.is_empty() {
            all.push(Agreement::Means(self.information));
        }
        all
    }
}

/// The cases of one panel, a colour each.
pub(crate) fn draw(
    cases: &[Case],
    panel: &str,
    plot: Plot,
    theory: &Table,
    simulation: &Table,
) -> Plot {
    let here = cases.iter().filter(|case| case.panel == panel).enumerate();
    here.fold(plot, |plot, (colour, case)| {
        case.draw(plot, theory, simulation, colour)
    })
}

/// Three digits behind the point at most.
fn short(x: f64) -> String {
    format!("{}", (1e3 * x).round() / 1e3)
}

const RESTED: &str = ", at rest";
const VANISHED: &str = ", vanished";

/// What independent runs from an uninformed start did; every run counts, however it stopped.
struct Runs {
    /// `|v - x|²/(pρ)`, sign-aligned, see [`controlled`].
    error: Sample,
    /// Runs that converged, to whatever estimate.
    rested: u64,
    /// Runs that ended in the estimate zero.
    vanished: u64,
    /// Of a product, the information by Bethe evidence, in units of its limit at large noise.
    information: Option<Sample>,
}

impl Runs {
    fn rows(&self, panel: &str, series: &str, noise: f64) -> Vec<Row> {
        let fraction = |suffix, successes| {
            let series = format!("{series}{suffix}");
            Row::fraction(panel, series, noise, successes, self.error.trials)
        };
        vec![
            Row::measured(panel, series, noise, self.error),
            fraction(RESTED, self.rested),
            fraction(VANISHED, self.vanished),
        ]
    }
}

fn at_rest(context: &Context, tree: &Tree, p: usize, count: usize) -> Result<Runs, FigureError> {
    let sized = Sized::new(tree, p)?;
    let rho = tree.signal().second_moment;
    let noise = StateEvolution::new(tree)?.noise();
    let unit = weak_information(&sized.tree, noise);
    let runs = trials(context, count, |seed| {
        let instance = sized.draw(seed)?;
        let settings = Settings {
            tolerance: REST,
            seed,
            ..Settings::default()
        };
        let outcome = sized.infer(&instance, &settings)?;
        let error = outcome.mse.map_or(f64::NAN, |mse| mse / rho);
        // The evidence is ln P(Y)/P(noise alone) per component, and E ln P(Y|u, x)/P(noise alone) is
        // the information at large noise: the information is their difference.
        let evidence = outcome.evidence.unwrap_or(f64::NAN);
        let information = 1.0 - evidence / unit.unwrap_or(1.0);
        let values = [error, information];
        Ok((values, accidents(tree, &instance)?, outcome.stop))
    })?;
    let values = |i: usize| -> Vec<f64> { runs.iter().map(|(values, ..)| values[i]).collect() };
    let control = |i: usize| runs.iter().map(|(_, accidents, _)| accidents[i]).collect();
    let count = |wanted: &[Stop]| {
        let stopped = runs.iter().filter(|(.., stop)| wanted.contains(stop));
        stopped.count() as u64
    };
    Ok(Runs {
        error: controlled(&values(0), &[control(0), control(1)]),
        information: unit.map(|_| controlled(&values(1), &[control(0), control(1)])),
        rested: count(&[Stop::Converged, Stop::Trivial]),
        vanished: count(&[Stop::Trivial]),
    })
}

/// Two accidents of a spiked instance that move its error most, both of mean zero exactly:
/// `|x|²/p - ρ`, and `uᵀ(Y - uxᵀ/√p)x/p^(3/2)`, the noise along the signal (`u = x` for Wigner).
fn accidents(tree: &Tree, instance: &Instance) -> Result<[f64; 2], FigureError> {
    let truth = |v: usize| {
        let x = instance.truth(v).unwrap_or_default();
        DMatrix::from_column_slice(x.len(), 1, x)
    };
    let last = tree.factors().len() - 1;
    let sides = &tree.factors()[last].variables;
    let (x, u) = (truth(sides[0]), truth(sides[sides.len() - 1]));
    let p = x.len() as f64;
    let norm = x.norm_squared() / p;
    let along = match instance.operator(last) {
        Some(y) => u.dot(&y.apply(&x)?) / p.powf(1.5) - norm * u.norm_squared() / p,
        None => 0.0,
    };
    Ok([norm - tree.signal().second_moment, along])
}

/// Accidents of a generalised linear instance that move its error, of mean zero: of the norms of the signal, of its fields,
/// and of what the sensing matrix makes of these.
pub(crate) fn sensing_accidents(tree: &Tree, instance: &Instance) -> Result<[f64; 3], FigureError> {
    let sensing = tree.factors().len() - 2;
    let [x, h] = [0, 1].map(|side| {
        let truth = instance.truth(tree.factors()[sensing].variables[side]);
        DMatrix::from_column_slice(truth.map_or(0, <[f64]>::len), 1, truth.unwrap_or_default())
    });
    let Some(a) = instance.operator(sensing) else {
        return Ok([0.0; 3]);
    };
    let (p, n) = (x.len() as f64, h.len() as f64);
    let (norm, back) = (x.norm_squared() / p, a.apply_adjoint(&h)?.norm_squared());
    Ok([
        norm - tree.signal().second_moment,
        h.norm_squared() / n - norm,
        // E |Aᵀ A x|² = n (n + p + 1) |x|².
        back / (p * n) - norm * (n + p + 1.0) / p,
    ])
}

/// The places where a difference of eighth order around `x` looks, see [`slope`].
pub(crate) fn stencil(x: f64, step: f64) -> [f64; 8] {
    [1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 4.0, -4.0].map(|k| x + k * step)
}

/// The derivative from the values at a [`stencil`].
pub(crate) fn slope(values: &[f64], step: f64) -> f64 {
    const WEIGHTS: [f64; 4] = [4.0 / 5.0, -1.0 / 5.0, 4.0 / 105.0, -1.0 / 280.0];
    let pairs = values.chunks_exact(2).zip(WEIGHTS);
    let sum: f64 = pairs
        .map(|(pair, weight)| weight * (pair[0] - pair[1]))
        .sum();
    sum / step
}

/// The derivative of `f` by a difference of eighth order.
pub(crate) fn derivative(
    f: impl Fn(f64) -> Result<f64, FigureError>,
    x: f64,
    step: f64,
) -> Result<f64, FigureError> {
    let values: Vec<f64> = stencil(x, step)
        .into_iter()
        .map(f)
        .collect::<Result<_, _>>()?;
    Ok(slope(&values, step))
}

/// `count` values from `low` to `high` in equal ratios.
pub(crate) fn decades(low: f64, high: f64, count: usize) -> Vec<f64> {
    (0..count)
        .map(|i| low * (high / low).powf(i as f64 / (count - 1) as f64))
        .collect()
}

/// Outputs of generalised linear models by name, `linear`, `abs` or `relu`, without noise.
pub(crate) fn exact_output(name: &str) -> Arc<dyn Likelihood> {
    Arc::new(Noiseless::new(match name {
        "abs" => PiecewiseLinear::abs(),
        "relu" => PiecewiseLinear::relu(),
        _ => PiecewiseLinear::linear(),
    }))
}

/// Thresholds of a generalised linear model in its sampling ratio, as rows of a panel against `x`,
/// series by kind.
pub(crate) fn ratio_lines(thresholds: &[Threshold], panel: &str, x: f64) -> Vec<Row> {
    let row = |t: &Threshold| {
        let (name, _) = LINES.iter().find(|(_, kind)| *kind == t.kind)?;
        Some(Row {
            uncertainty: t.uncertainty,
            ..Row::theory(panel, *name, x, t.value)
        })
    };
    thresholds.iter().filter_map(row).collect()
}

/// Names of series of thresholds.
pub(crate) const LINES: [(&str, ThresholdKind); 4] = [
    (WEAK, ThresholdKind::WeakRecovery),
    (EASY, ThresholdKind::Algorithmic),
    (POSSIBLE, ThresholdKind::InformationTheoretic),
    (ENDS, ThresholdKind::Dynamical),
];
pub(crate) const WEAK: &str = "weak recovery";
pub(crate) const EASY: &str = "message passing";
pub(crate) const POSSIBLE: &str = "information";
pub(crate) const ENDS: &str = "end of the informed branch";

/// `∫ f(t) φ(t) dt` by the trapezoidal rule with `count` steps from -9 to 9: for analytic integrands, and
/// as a route of its own beside the graded rules of the library.
pub(crate) fn over_gaussian(count: usize, f: impl Fn(f64) -> f64) -> f64 {
    let step = 18.0 / count as f64;
    let node = |i: usize| {
        let t = i as f64 * step - 9.0;
        f(t) * (-0.5 * t * t).exp()
    };
    (0..=count).map(node).sum::<f64>() * step / std::f64::consts::TAU.sqrt()
}

/// Error of a Gauss-Bernoulli signal under a message of ratio `a`, by plain sums: the posterior of a
/// nonzero component has odds `ρ/(1-ρ) exp(b²/(2(1+a)))/√(1+a)`.
pub(crate) fn sparse_error(sparsity: f64, a: f64) -> f64 {
    let variance = |b: f64| {
        let mean = b / (1.0 + a);
        let log_odds = (sparsity / (1.0 - sparsity)).ln() + 0.5 * (b * mean - a.ln_1p());
        let w = 1.0 / (1.0 + (-log_odds).exp());
        w / (1.0 + a) + w * (1.0 - w) * mean * mean
    };
    // `b ~ N(0, a)` where the component vanishes, `N(0, a + a²)` where it does not.
    let part = |scale: f64| over_gaussian(4000, |t| variance(scale * t));
    (1.0 - sparsity) * part(a.sqrt()) + sparsity * part((a + a * a).sqrt())
}

/// `E g²` behind an exact output of fields `h ~ N(ω, V)`, `ω ~ N(0, q)`, by plain sums.
///
/// Linear: `1/V`. Rectified: with `u = ω/√V`, what is seen of positive fields is `z = (h - ω)/√V > -u`,
/// what is known of others is their mean. Of the modulus `y` of a field the mean is `y tanh(yω/V)`, and
/// `E (E[h|y] - ω)² = V - E y² sech²(yω/V)`.
pub(crate) fn plain_score(output: &str, q: f64, v: f64) -> f64 {
    let (root, sd) = (q.sqrt(), v.sqrt());
    match output {
        "relu" => {
            let at = |u: f64| {
                let (density, below) = (normal_density(u), ndtr(-u));
                ndtr(u) - u * density
                    + if below > 0.0 {
                        density * density / below
                    } else {
                        0.0
                    }
            };
            over_gaussian(400, |eta| at(root * eta / sd)) / v
        }
        "abs" => {
            // `I(w) = E y² sech²(yw)`, `y ~ N(w, 1)`, falls like `exp(-w²/2)`: with `w = s t`,
            // `s² = q/(q + V)`, what is left of the law of `w` grows like `exp(s² t²/2)`.
            let s = (q / (q + v)).sqrt();
            let left = over_gaussian(200, |t| {
                let w = s * t;
                let inner = over_gaussian(200, |z| {
                    let y = w + z;
                    (y / (y * w).cosh()).powi(2)
                });
                inner * (0.5 * w * w).exp()
            });
            // `N(w; 0, q/V) dw = s √(V/q) exp(w²/2) φ(t) dt`.
            (1.0 - left * s * (v / q).sqrt()) / v
        }
        _ => 1.0 / v,
    }
}

/// The largest value of `f` on `[low, high]`, one maximum: a scan and golden sections.
pub(crate) fn greatest(f: impl Fn(f64) -> f64, (low, high): (f64, f64)) -> f64 {
    const SCAN: usize = 40;
    let at = |i: usize| low + (high - low) * i as f64 / SCAN as f64;
    let best = (0..=SCAN).max_by(|i, j| f(at(*i)).total_cmp(&f(at(*j))));
    let best = best.unwrap_or(0);
    let (mut a, mut b) = (at(best.saturating_sub(1)), at((best + 1).min(SCAN)));
    let golden = 0.5 * (5f64.sqrt() - 1.0);
    // The value errs by the square of the place.
    while b - a > 1e-6 * (high - low) {
        let (x, y) = (b - golden * (b - a), a + golden * (b - a));
        if f(x) > f(y) { b = y } else { a = x }
    }
    f(0.5 * (a + b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controlled_means_lose_the_linear_effect_of_controls() {
        // Exact: value = 3 + 2a - b + r, with r orthogonal to 1, a and b; the controls average to
        // 1 and 0.5 in this sample, to 0 under their law.
        let (a, b) = ([0.0, 2.0, 0.0, 2.0], [0.0, 0.0, 1.0, 1.0]);
        let r = [0.1, -0.1, -0.1, 0.1];
        let values: Vec<f64> = (0..4).map(|i| 3.0 + 2.0 * a[i] - b[i] + r[i]).collect();
        let sample = controlled(&values, &[a.to_vec(), vec![7.0; 4], b.to_vec()]);
        assert!((sample.mean - 3.0).abs() < 1e-12, "{sample:?}");
        // Four values less three fitted numbers: variance 0.04 over 1, mean of four.
        assert!((sample.standard_error - 0.1).abs() < 1e-12, "{sample:?}");
        assert_eq!(sample.trials, 4);
    }
}
