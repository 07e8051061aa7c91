//! Problems with a known answer, for experiments.

use dashu_int::IBig;
use rand::Rng;
use rand::seq::SliceRandom;

use crate::equations::check_frequency;
use crate::reals::{Circle, scaled, uniform};
use crate::{Clwe, Correspondence, CosineNeuron, LatticeError, PhaseRetrieval, Reals};

/// A problem and its answer.
#[derive(Debug, Clone)]
pub struct Planted<P> {
    /// What an algorithm sees.
    pub problem: P,
    /// The signal behind it.
    pub signal: Reals,
}

/// Sizes of a planted problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Dimension of the signal.
    pub dimension: usize,
    /// Number of samples.
    pub samples: usize,
    /// Bits behind the point of samples and labels.
    pub bits: usize,
    /// With `b`, uniform noise in `±2^-b` on the labels, `b < bits`; absent, labels are only rounded.
    pub noise: Option<usize>,
}

impl Shape {
    /// One sample more than the dimension, without noise.
    pub fn least(dimension: usize, bits: usize) -> Self {
        Self {
            dimension,
            samples: dimension + 1,
            bits,
            noise: None,
        }
    }

    /// Bits to which the labels are right.
    pub fn accuracy(&self) -> usize {
        self.noise.unwrap_or(self.bits).min(self.bits)
    }

    fn gaussian<R: Rng + ?Sized>(&self, rng: &mut R) -> Vec<Reals> {
        (0..self.samples)
            .map(|_| Reals::gaussian(self.dimension, self.bits, rng))
            .collect()
    }

    /// A label from its exact value, with twice the bits.
    fn label<R: Rng + ?Sized>(&self, exact: &IBig, rng: &mut R) -> IBig {
        let rounded = scaled(exact, -(self.bits as i64));
        match self.noise {
            // Uniform between the ends, less than one unit inside them for the rounding.
            Some(noise) if noise < self.bits => {
                let width = self.bits - noise;
                rounded + uniform(width + 1, rng) - (IBig::ONE << width)
            }
            _ => rounded,
        }
    }
}

/// Independent Gaussian samples, `w` Gaussian with components of variance one, labels `|<w, x>|`.
///
/// # Errors
///
/// As [`PhaseRetrieval::new`]: among others, fewer samples than `d + 1`.
pub fn phase_retrieval<R: Rng + ?Sized>(
    shape: Shape,
    rng: &mut R,
) -> Result<Planted<PhaseRetrieval>, LatticeError> {
    let samples = shape.gaussian(rng);
    phase_retrieval_of(&samples, shape, rng)
}

/// The same for given samples.
fn phase_retrieval_of<R: Rng + ?Sized>(
    samples: &[Reals],
    shape: Shape,
    rng: &mut R,
) -> Result<Planted<PhaseRetrieval>, LatticeError> {
    let signal = Reals::gaussian(shape.dimension, shape.bits, rng);
    let size = |x: IBig| if x < IBig::ZERO { -x } else { x };
    let bits = samples.first().map_or(0, Reals::bits);
    let label = |x: &Reals| {
        let form = scaled(&x.dot(&signal), shape.bits as i64 - bits as i64);
        // Noise may carry a label across zero, where its size is as close to the truth.
        size(shape.label(&size(form), rng))
    };
    let labels = Reals::new(samples.iter().map(label).collect(), shape.bits);
    Ok(Planted {
        problem: PhaseRetrieval::new(samples, &labels, shape.accuracy())?,
        signal,
    })
}

/// Phase retrieval behind a linear generative prior, `z_i = |<a_i, W s>|` with `a_i` of dimension `width`
/// and the latent `s` of dimension `shape.dimension`: the samples are the rows of `A W`, exactly.
///
/// # Errors
///
/// As [`phase_retrieval`], and an empty layer.
pub fn linear_prior<R: Rng + ?Sized>(
    shape: Shape,
    width: usize,
    rng: &mut R,
) -> Result<Planted<PhaseRetrieval>, LatticeError> {
    if width == 0 {
        return Err(LatticeError::Empty("the layer"));
    }
    let scale = (0.5 * (width as f64).log2()).round() as usize;
    let columns: Vec<Reals> = (0..shape.dimension)
        .map(|_| Reals::gaussian(width, shape.bits, rng))
        .collect();
    let samples: Vec<Reals> = (0..shape.samples)
        .map(|_| {
            let a = Reals::gaussian(width, shape.bits, rng);
            Reals::new(
                columns.iter().map(|w| a.dot(w)).collect(),
                2 * shape.bits + scale,
            )
        })
        .collect();
    phase_retrieval_of(&samples, shape, rng)
}

/// A Gaussian direction of norm one, to the accuracy of a double.
fn direction<R: Rng + ?Sized>(shape: Shape, rng: &mut R) -> Reals {
    let raw = Reals::gaussian(shape.dimension, shape.bits, rng);
    let norm = raw.to_f64().iter().map(|x| x * x).sum::<f64>().sqrt();
    // Any double will do: the signal is what comes out.
    let scale = IBig::from((2.0_f64.powi(62) / norm) as i64);
    let mantissas = raw
        .mantissas()
        .iter()
        .map(|m| scaled(&(m * &scale), -62))
        .collect();
    Reals::new(mantissas, shape.bits)
}

/// Gaussian samples, a signal of norm one, and the labels that `label` makes of `γ <w, x>`, which
/// has twice the bits.
fn directed<R: Rng + ?Sized>(
    shape: Shape,
    gamma: f64,
    rng: &mut R,
    label: impl Fn(&IBig, &mut R) -> IBig,
) -> Result<(Vec<Reals>, Reals, Reals), LatticeError> {
    check_frequency(gamma)?;
    // A frequency of this range is a whole number of 2^-128.
    let factor = Reals::from_f64(&[gamma], 128)?.mantissas()[0].clone();
    let samples = shape.gaussian(rng);
    let signal = direction(shape, rng);
    let phase = |x: &Reals| scaled(&(x.dot(&signal) * &factor), -128);
    let labels = samples.iter().map(|x| label(&phase(x), rng)).collect();
    let labels = Reals::new(labels, shape.bits);
    Ok((samples, labels, signal))
}

/// Independent Gaussian samples, `w` of norm one, labels `cos(2π γ <w, x>)`.
///
/// # Errors
///
/// As [`CosineNeuron::new`].
pub fn cosine_neuron<R: Rng + ?Sized>(
    shape: Shape,
    gamma: f64,
    rng: &mut R,
) -> Result<Planted<CosineNeuron>, LatticeError> {
    let circle = Circle::new(2 * shape.bits);
    let one = IBig::ONE << shape.bits;
    let (samples, labels, signal) = directed(shape, gamma, rng, |phase, rng| {
        let label = shape.label(&circle.cos(phase), rng);
        label.clamp(-one.clone(), one.clone())
    })?;
    Ok(Planted {
        problem: CosineNeuron::new(&samples, &labels, shape.accuracy(), gamma)?,
        signal,
    })
}

/// Independent Gaussian samples, `w` of norm one, labels `γ <w, x> mod 1`.
///
/// # Errors
///
/// As [`Clwe::new`].
pub fn clwe<R: Rng + ?Sized>(
    shape: Shape,
    gamma: f64,
    rng: &mut R,
) -> Result<Planted<Clwe>, LatticeError> {
    let (samples, labels, signal) = directed(shape, gamma, rng, |phase, rng| {
        let label = shape.label(phase, rng);
        &label - ((&label >> shape.bits) << shape.bits)
    })?;
    Ok(Planted {
        problem: Clwe::new(&samples, &labels, shape.accuracy(), gamma)?,
        signal,
    })
}

/// The same with uniform labels, behind which there is nothing.
///
/// # Errors
///
/// As [`Clwe::new`].
pub fn clwe_null<R: Rng + ?Sized>(
    shape: Shape,
    gamma: f64,
    rng: &mut R,
) -> Result<Clwe, LatticeError> {
    let samples = shape.gaussian(rng);
    let labels = (0..shape.samples)
        .map(|_| uniform(shape.bits, rng))
        .collect();
    Clwe::new(
        &samples,
        &Reals::new(labels, shape.bits),
        shape.accuracy(),
        gamma,
    )
}

/// Independent Gaussian samples with the labels of so many Gaussian signals in random order; the answer holds
/// one signal behind the other.
///
/// # Errors
///
/// As [`Correspondence::new`].
pub fn correspondence<R: Rng + ?Sized>(
    shape: Shape,
    signals: usize,
    rng: &mut R,
) -> Result<Planted<Correspondence>, LatticeError> {
    let samples = shape.gaussian(rng);
    let signals: Vec<Reals> = (0..signals)
        .map(|_| Reals::gaussian(shape.dimension, shape.bits, rng))
        .collect();
    let labels = |x: &Reals| {
        let mut all: Vec<IBig> = (signals.iter())
            .map(|w| shape.label(&x.dot(w), rng))
            .collect();
        all.shuffle(rng);
        Reals::new(all, shape.bits)
    };
    let labels: Vec<Reals> = samples.iter().map(labels).collect();
    let signal = signals.iter().flat_map(|w| w.mantissas().to_vec());
    Ok(Planted {
        problem: Correspondence::new(&samples, &labels, shape.accuracy())?,
        signal: Reals::new(signal.collect(), shape.bits),
    })
}
