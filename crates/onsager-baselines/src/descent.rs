//! Gradient descent on the latent of a spike.

use std::fmt;
use std::sync::Arc;

use onsager_operators::{LinearOperator, Shape};
use serde::Serialize;

use crate::error::{checked, fitting};
use crate::{BaselineError, Generator};

/// A matrix that contains `x xᵀ`, and what has to be done to read it off.
#[derive(Clone)]
pub enum Data {
    /// `Y = x xᵀ/√p + √Δ ξ`, symmetric `p x p`: `M = Y/√p`.
    Wigner(Arc<dyn LinearOperator>),
    /// `Y = u xᵀ/√p + √Δ ξ`, `n x p`: `M = (YᵀY/n - Δ)/E u²`, two products.
    Wishart {
        /// `Y`.
        matrix: Arc<dyn LinearOperator>,
        /// `Δ`, finite and not negative.
        noise: f64,
        /// `E u²`, finite and positive.
        left: f64,
    },
}

/// When to stop.
///
/// ```
/// let settings = onsager_baselines::Settings { iterations: 100, ..Default::default() };
/// assert_eq!(settings.tolerance, 1e-10);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Most steps.
    pub iterations: usize,
    /// Squared relative step at which the latent is at rest, see [`Record::residual`].
    pub tolerance: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            iterations: 10_000,
            tolerance: 1e-10,
        }
    }
}

/// How a descent stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// The latent is at rest within the tolerance.
    Converged,
    /// The steps were spent.
    NotConverged,
    /// A product was infinite or not a number; the last finite state is returned.
    Diverged,
}

/// One step in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Record {
    /// Steps so far; 0 is the start.
    pub iteration: usize,
    /// `f(z) - |M|²/4`.
    pub objective: f64,
    /// `|z - z_old|²/|z|²`; 1 at the start.
    pub residual: f64,
    /// Length of the step over that of the gradient; 0 at the start.
    pub step: f64,
    /// Products so far.
    pub products: u64,
}

/// The result of a descent.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The latent `z` of least `f` that was met.
    pub latent: Vec<f64>,
    /// `x = G(z)`.
    pub estimate: Vec<f64>,
    /// How it stopped.
    pub stop: Stop,
    /// As in [`Record::residual`], at the end.
    pub residual: f64,
    /// Products with `Y` and with weights, refused steps included.
    pub products: u64,
    /// The start and every step.
    pub trace: Vec<Record>,
}

/// Fits `x xᵀ` by gradient descent on the latent of `x = G(z)`.
///
/// Descends `f(z) = |x xᵀ/p - M|²/4` (Frobenius), whose gradient is
/// `∇f(z) = (∂G/∂z)ᵀ (x |x|²/p - M x)/p`, from `start`. At every step `z` and `-z` are compared and
/// the better one is kept: along the negative of the true latent `f` falls towards a stationary point
/// that is no solution, zero for one layer of rectifiers and a negative multiple for more.
///
/// - **Arguments**: `start` of the length of the latent, not zero; in the source it is random and
///   tiny. `M` by [`Data`].
/// - **Step**: the source takes a constant that must be small enough for the network at hand. Here
///   a step `t` is taken if it leads `t|∇f|²/4` below the largest of the last 30 values of `f`, and is
///   halved otherwise; the next one begins with `5t/4`. (Grippo, Lampariello, Lucidi, 1986.) The
///   last value alone would not do: `f` has kinks, and steps that may never go up stall at the first of
///   them.
/// - **Cost**: a step that is tried takes `2L - 1` products with weights and two with `M`, one that is
///   taken `L` more for the gradient.
/// - **Accuracy**: at rest within the tolerance. With noise there are many minima, unless the signal is
///   far longer than the latent; which one was found is not told.
/// - **Source**: Hand, Leong, Voroninski (2018) for the comparison of `z` and `-z`; Cocola, Hand,
///   Voroninski (2020), arXiv:2006.07953, for spiked matrices.
///
/// See the front page for an example.
///
/// # Errors
/// Shapes that do not fit, a start that is zero or not finite, a noise, a second moment or a
/// tolerance out of range.
pub fn descend(
    generator: &Generator,
    data: &Data,
    start: &[f64],
    settings: &Settings,
) -> Result<Outcome, BaselineError> {
    /// Part of the decrease that the gradient promises which a step must reach.
    const ENOUGH: f64 = 0.25;
    /// Values of which a step must lead below the largest.
    const REMEMBERED: usize = 30;
    /// Factor by which a step that was taken grows.
    const BOLDER: f64 = 1.25;
    data.check(generator)?;
    let shape = Shape::new(generator.latent_size(), 1);
    fitting("start", shape, Shape::new(start.len(), 1))?;
    let (length, tolerance) = (norm(start), settings.tolerance);
    checked(
        "norm of the start",
        "finite and positive",
        length,
        length > 0.0,
    )?;
    checked(
        "tolerance",
        "finite and positive",
        tolerance,
        tolerance > 0.0,
    )?;

    let mut fit = Fit {
        generator,
        data,
        products: 0,
    };
    let mut here = fit.better(start.to_vec());
    let mut slope = fit.gradient(&here);
    let mut best = here.clone();
    let mut step = length / norm(&slope);
    let mut trace = vec![Record {
        iteration: 0,
        objective: here.objective,
        residual: 1.0,
        step: 0.0,
        products: fit.products,
    }];
    let mut stop = Stop::NotConverged;
    while trace.len() <= settings.iterations {
        let remembered = trace.iter().rev().take(REMEMBERED).map(|r| r.objective);
        let bound = remembered.fold(f64::NEG_INFINITY, f64::max);
        let decrease = ENOUGH * dot(&slope, &slope);
        if decrease == 0.0 {
            stop = Stop::Converged;
            break;
        }
        let residual = |step: f64, z: &[f64]| step * step * dot(&slope, &slope) / dot(z, z);
        let mut next = None;
        // A step that is lost in the rounding of `f` is at rest long before.
        while next.is_none() && residual(step, &here.latent) > f64::EPSILON * tolerance {
            let moved = here.latent.iter().zip(&slope);
            let tried = fit.better(moved.map(|(z, g)| z - step * g).collect());
            if tried.objective <= bound - decrease * step {
                next = Some(tried);
            } else {
                step *= 0.5;
            }
        }
        let moved = residual(step, &here.latent);
        if let Some(next) = next {
            here = next;
            slope = fit.gradient(&here);
        }
        if !norm(&slope).is_finite() || moved.is_nan() {
            stop = Stop::Diverged;
            break;
        }
        if here.objective < best.objective {
            best = here.clone();
        }
        trace.push(Record {
            iteration: trace.len(),
            objective: here.objective,
            residual: moved,
            step,
            products: fit.products,
        });
        if moved <= tolerance {
            stop = Stop::Converged;
            break;
        }
        step *= BOLDER;
    }
    let residual = trace.last().map_or(1.0, |record| record.residual);
    Ok(Outcome {
        latent: best.latent,
        estimate: best.signal,
        stop,
        residual,
        products: fit.products,
        trace,
    })
}

/// `f(z) - |M|²/4 = |x|⁴/(4p²) - xᵀMx/(2p)` at `x = G(z)`, see [`descend`].
///
/// ```
/// # use std::sync::Arc;
/// # use onsager_baselines::{Data, Generator, gradient, objective};
/// # use onsager_operators::{Dense, Shape, Symmetric};
/// // x = z, and M = 1 has the minimum |z| = 1 of z⁴/4 - z²/2.
/// let w = Dense::new(Shape::new(1, 1), vec![1.0])?;
/// let line = Generator::leaky(vec![Arc::new(w)], 1.0)?;
/// let data = Data::Wigner(Arc::new(Symmetric::from_rows(1, |_, row| row.fill(1.0))?));
/// assert_eq!(objective(&line, &data, &[2.0])?, 2.0);
/// assert_eq!(gradient(&line, &data, &[2.0])?, [6.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As for [`descend`]; at zero it is zero.
pub fn objective(generator: &Generator, data: &Data, latent: &[f64]) -> Result<f64, BaselineError> {
    Ok(Fit::at(generator, data, latent)?.1.objective)
}

/// `∇f(z)`, see [`descend`] and the example of [`objective`].
///
/// # Errors
/// As for [`objective`].
pub fn gradient(
    generator: &Generator,
    data: &Data,
    latent: &[f64],
) -> Result<Vec<f64>, BaselineError> {
    let (mut fit, at) = Fit::at(generator, data, latent)?;
    Ok(fit.gradient(&at))
}

impl Data {
    fn check(&self, generator: &Generator) -> Result<(), BaselineError> {
        let p = generator.signal_size();
        match self {
            Self::Wigner(y) => fitting("matrix", Shape::square(p), y.shape()),
            Self::Wishart {
                matrix,
                noise,
                left,
            } => {
                let found = matrix.shape();
                fitting("matrix", Shape::new(found.rows, p), found)?;
                checked("noise", "finite and not negative", *noise, *noise >= 0.0)?;
                checked("second moment", "finite and positive", *left, *left > 0.0)
            }
        }
    }

    /// `M x` and the number of products that it took.
    fn times(&self, x: &[f64]) -> (Vec<f64>, u64) {
        let mut image = vec![0.0; x.len()];
        match self {
            Self::Wigner(y) => {
                y.apply_column(x, &mut image);
                let scale = (x.len() as f64).sqrt().recip();
                image.iter_mut().for_each(|m| *m *= scale);
                (image, 1)
            }
            Self::Wishart {
                matrix,
                noise,
                left,
            } => {
                let mut rows = vec![0.0; matrix.shape().rows];
                matrix.apply_column(x, &mut rows);
                matrix.apply_adjoint_column(&rows, &mut image);
                let scale = (rows.len() as f64).recip();
                let parts = image.iter_mut().zip(x);
                parts.for_each(|(m, x)| *m = (scale * *m - noise * x) / left);
                (image, 2)
            }
        }
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wigner(y) => f.debug_tuple("Wigner").field(&y.shape()).finish(),
            Self::Wishart {
                matrix,
                noise,
                left,
            } => f
                .debug_struct("Wishart")
                .field("matrix", &matrix.shape())
                .field("noise", noise)
                .field("left", left)
                .finish(),
        }
    }
}

/// What is fitted, and the products so far.
struct Fit<'a> {
    generator: &'a Generator,
    data: &'a Data,
    products: u64,
}

/// Everything that was computed at a latent.
#[derive(Clone)]
struct State {
    latent: Vec<f64>,
    fields: Vec<Vec<f64>>,
    signal: Vec<f64>,
    /// `M x`.
    image: Vec<f64>,
    /// `|x|²/p`.
    power: f64,
    objective: f64,
}

impl<'a> Fit<'a> {
    fn at(
        generator: &'a Generator,
        data: &'a Data,
        latent: &[f64],
    ) -> Result<(Self, State), BaselineError> {
        data.check(generator)?;
        let shape = Shape::new(generator.latent_size(), 1);
        fitting("latent", shape, Shape::new(latent.len(), 1))?;
        let mut fit = Self {
            generator,
            data,
            products: 0,
        };
        let field = generator.field(0, latent);
        let state = fit.state(latent.to_vec(), field);
        Ok((fit, state))
    }

    /// The better one of a latent and its negative.
    fn better(&mut self, latent: Vec<f64>) -> State {
        let field = self.generator.field(0, &latent);
        self.products += 1;
        let negative = |v: &[f64]| v.iter().map(|v| -v).collect();
        let other = self.state(negative(&latent), negative(&field));
        let this = self.state(latent, field);
        if other.objective < this.objective {
            other
        } else {
            this
        }
    }

    /// The state at a latent whose first field is known.
    fn state(&mut self, latent: Vec<f64>, field: Vec<f64>) -> State {
        let fields = self.generator.fields(field);
        let signal = self.generator.output(&fields);
        let (image, products) = self.data.times(&signal);
        self.products += self.generator.depth() as u64 - 1 + products;
        let p = signal.len() as f64;
        let power = dot(&signal, &signal) / p;
        let objective = 0.25 * power * power - 0.5 * dot(&signal, &image) / p;
        State {
            latent,
            fields,
            signal,
            image,
            power,
            objective,
        }
    }

    fn gradient(&mut self, at: &State) -> Vec<f64> {
        let p = at.signal.len() as f64;
        let parts = at.signal.iter().zip(&at.image);
        let outer = parts.map(|(x, m)| (at.power * x - m) / p).collect();
        self.products += self.generator.depth() as u64;
        self.generator.pulled_back(&at.fields, outer)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}
