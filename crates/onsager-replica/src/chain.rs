//! The averages of a chain joined: the equations of its fixed points and how they respond.

use std::sync::Arc;

use onsager_model::{Factor, FactorKind, Tree, Variable};

use crate::ReplicaError;
use crate::factor::{
    Belief, Denoising, FactorAverage, Observation, Outputs, Passage, Product, Response, average_of,
};
use crate::path::ZeroSet;
use crate::threshold::Key;

/// The asymptotic reading of a chain.
///
/// Fixed points of state evolution are stationary points of the replica potential, and all of
/// them lie on curves in the noise of the observation: see [`StateEvolution::curve`].
///
/// ```
/// use std::sync::Arc;
/// use onsager_model::Chain;
/// use onsager_replica::StateEvolution;
/// use onsager_scalar::{activation::PiecewiseLinear, prior::Gaussian};
///
/// let tree = Chain::new(Arc::new(Gaussian::standard()))
///     .layer(2.0, Arc::new(PiecewiseLinear::linear()))
///     .spiked_wigner(1.0)?;
/// let prediction = StateEvolution::new(&tree)?.predict()?;
/// // A V² + (1 + αA - A) V = 1 and q = 1 - V/(1 + AV) with A = q/Δ, α = 2, Δ = 1.
/// let q = prediction.optimal.overlap;
/// let v = (1.0 - q) / (1.0 - q * (1.0 - q));
/// assert!((q * v * v + (1.0 + q) * v - 1.0).abs() < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StateEvolution {
    /// From the latent outwards; factor `i` ends in variable `i`.
    pub(crate) variables: Vec<Variable>,
    pub(crate) factors: Vec<Arc<dyn FactorAverage>>,
    pub(crate) observation: Arc<dyn Observation>,
    /// What is known of each variable when no message comes from above.
    pub(crate) untold: Vec<Belief>,
    /// First variables of stretches.
    cuts: Vec<usize>,
    /// The noise below which zero overlap is unstable, if zero overlap is a fixed point at all.
    pub(crate) origin: Option<f64>,
}

impl StateEvolution {
    /// Reads a tree.
    ///
    /// # Errors
    /// A tree that is not a chain from one prior to one observation, which may join it to the end
    /// of another such chain; outputs of fields that are too wide for averages over them.
    pub fn new(tree: &Tree) -> Result<Self, ReplicaError> {
        let refused = |why: &str| ReplicaError::NotAChain(why.to_string());
        if tree.factors().len() != tree.variables().len() + 1 {
            return Err(refused("needs one factor more than variables"));
        }
        let observation = match tree.factors() {
            [.., sensing, last] if sensing.variables == [tree.signal_index(), field(last)] => {
                match (&sensing.kind, &last.kind) {
                    (FactorKind::Linear { aspect, .. }, FactorKind::Likelihood(law)) => {
                        let rho = tree.signal().second_moment;
                        if rho > law.widest_field() {
                            let most = law.widest_field();
                            let what = format!(
                                "averages over these outputs of fields with E h² above {most}, got {rho}"
                            );
                            return Err(ReplicaError::NotSupported(what));
                        }
                        Some(Arc::new(Outputs::new(*aspect, law, rho)) as Arc<dyn Observation>)
                    }
                    _ => None,
                }
            }
            [.., last] if last.variables.first() == Some(&tree.signal_index()) => {
                let average = average_of(last, tree)?;
                average.observation().map(|o| o.at(o.noise()))
            }
            _ => None,
        };
        let observation = observation.ok_or_else(|| refused("it must end in an observation"))?;
        let line = Self::line(tree, 0, tree.signal_index())?;
        Self::joined(line, observation)
    }

    fn joined(
        (variables, factors): Line,
        observation: Arc<dyn Observation>,
    ) -> Result<Self, ReplicaError> {
        let mut chain = Self {
            variables,
            factors,
            observation,
            untold: Vec::new(),
            cuts: vec![0],
            origin: None,
        };
        if let Some(susceptibility) = chain.susceptibility_at_zero(chain.signal()) {
            chain.origin = chain.observation.weak_recovery(susceptibility)?;
        }
        let mut belief = Belief::default();
        for (v, factor) in chain.factors.iter().enumerate() {
            if v > 0 && chain.is_cut(v, belief) {
                chain.cuts.push(v);
            }
            belief = match chain.susceptibility_at_zero(v) {
                Some(_) => nothing(&chain.variables[v]),
                None => factor.pass(belief, 0.0)?.outer,
            };
            chain.untold.push(belief);
        }
        Ok(chain)
    }

    /// Whether nothing goes down from variable `v` to one of which `below` is known: through an even layer
    /// about a field whose sign is open, or through one that tells its field less than any curve is
    /// followed for, such as a door much wider than the field.
    fn is_cut(&self, v: usize, below: Belief) -> bool {
        let factor = &self.factors[v];
        let Some(layer) = factor.componentwise() else {
            return false;
        };
        let told = || {
            let strongest = factor.pass(below, self.highest(v).exp());
            strongest.map(|p| p.inner_snr.ln())
        };
        (layer.is_even && self.susceptibility_at_zero(v - 1).is_some())
            || told().is_ok_and(|snr| snr < self.lowest(v - 1))
    }

    /// Highest `ln snr` of variable `v` that is followed.
    pub(crate) fn highest(&self, v: usize) -> f64 {
        LN_SNR_MAX - self.variables[v].second_moment.ln()
    }

    /// Lowest `ln snr` of variable `v` that is followed. Where its overlap may vanish nothing changes below 1e-12 in
    /// units of `1/E x²`; elsewhere the noise keeps growing as the snr falls.
    pub(crate) fn lowest(&self, v: usize) -> f64 {
        let even = |v: usize| self.factors[v].componentwise().is_some_and(|c| c.is_even);
        let open = |v: usize| even(v) && self.susceptibility_at_zero(v - 1).is_some();
        let vanishes = self.origin.is_some() || (1..self.factors.len()).any(open);
        if vanishes && self.susceptibility_at_zero(v).is_some() {
            LN_SNR_FAINT - self.variables[v].second_moment.ln()
        } else {
            LN_SNR_LEAST - self.variables[v].second_moment.ln()
        }
    }

    /// The chain behind the second variable of the observation, observed directly.
    pub(crate) fn left_of(tree: &Tree) -> Result<Self, ReplicaError> {
        let last = tree.variables().len() - 1;
        let line = Self::line(tree, tree.signal_index() + 1, last)?;
        let chain = Self::joined(line, Arc::new(Denoising { noise: 1.0 }))?;
        Ok(chain.truncated(chain.signal(), 1.0))
    }

    /// The variables from `first` to `last`, and the factors between them.
    fn line(tree: &Tree, first: usize, last: usize) -> Result<Line, ReplicaError> {
        let variables = tree.variables()[first..=last].to_vec();
        let factors = &tree.factors()[first..=last];
        for (v, factor) in (first..=last).zip(factors) {
            let expected = if v == first { vec![v] } else { vec![v - 1, v] };
            if factor.variables != expected {
                let why = format!("{factor} is out of line");
                return Err(ReplicaError::NotAChain(why));
            }
        }
        let averages = factors.iter().map(|f| average_of(f, tree));
        Ok((variables, averages.collect::<Result<_, _>>()?))
    }

    /// The declared noise of the observation; of a generalised linear model the number of unknowns
    /// per measurement, `p/n`, which takes its place in every curve.
    #[must_use]
    pub fn noise(&self) -> f64 {
        self.observation.noise()
    }

    /// The parameter of which [`StateEvolution::noise`] is the value, or the inverse for
    /// [`Key::SamplingRatio`]: all values of it share one curve.
    #[must_use]
    pub fn key(&self) -> Key {
        self.observation.key()
    }

    /// Dimension of the signal per component, for a teacher without point masses the number of real
    /// numbers that noiseless data must determine; and the innermost variable that carries it.
    pub(crate) fn dimension(&self) -> (f64, usize) {
        let mut least = (f64::INFINITY, self.signal());
        for (v, factor) in self.factors.iter().enumerate().rev() {
            let scalar = factor.componentwise();
            let own = factor.dimension().or(scalar.map(|c| c.dimension));
            let found = own.map(|d| d * self.variables[v].ratio);
            if let Some(d) = found.filter(|d| *d <= least.0) {
                least = (d, v);
            }
            if scalar.is_some_and(|c| c.is_noisy) {
                break;
            }
        }
        least
    }

    /// Index of the signal, the last variable.
    pub(crate) fn signal(&self) -> usize {
        self.variables.len() - 1
    }

    /// `ρ` of the signal.
    pub(crate) fn second_moment(&self) -> f64 {
        self.variables[self.signal()].second_moment
    }

    /// `lim overlap/snr` of variable `v` at vanishing signal when nothing is known of it a
    /// priori; the closed recursion `M_l = ρ_l² + a_l κ_l⁴ M_{l-1}`. `None` if its law shows
    /// through at zero signal.
    pub(crate) fn susceptibility_at_zero(&self, v: usize) -> Option<f64> {
        self.factors[..=v]
            .iter()
            .try_fold(0.0, |m, factor| factor.susceptibility(m))
    }

    /// The chain up to variable `v`, which is observed directly.
    pub(crate) fn truncated(&self, v: usize, noise: f64) -> Self {
        let mut variables = self.variables[..=v].to_vec();
        let size = variables[v].ratio;
        for variable in &mut variables {
            variable.ratio /= size;
        }
        Self {
            variables,
            factors: self.factors[..=v].to_vec(),
            observation: Arc::new(Denoising { noise }),
            untold: self.untold[..=v].to_vec(),
            cuts: self.cuts.iter().copied().filter(|c| *c <= v).collect(),
            // Of a direct observation no overlap is zero.
            origin: None,
        }
    }

    /// Whether variable `v` takes finitely many values.
    pub(crate) fn is_discrete(&self, v: usize) -> bool {
        self.factors[v].discrete_entropy().is_some()
            || self.factors[v]
                .componentwise()
                .is_some_and(|c| c.is_discrete)
    }

    /// The stretches of the chain on which fixed points are sought: the whole chain, and the part
    /// above every layer through which nothing is told; each beside every state in which the
    /// other factor of a product can be.
    pub(crate) fn stretches(&self) -> Result<Vec<Stretch<'_>>, ReplicaError> {
        let mut beside = vec![Beside::Nothing];
        if let Some(product) = self.observation.product() {
            let left = &product.left;
            beside = (0..left.curve()?.frozen.len())
                .map(Beside::Frozen)
                .collect();
            beside.extend(left.chain.cuts.iter().copied().map(Beside::Moving));
        }
        let all = |first| {
            let stretch = move |beside: &Beside| Stretch {
                chain: self,
                first,
                beside: *beside,
            };
            beside.iter().map(stretch).collect::<Vec<_>>()
        };
        Ok(self.cuts.iter().copied().flat_map(all).collect())
    }
}

/// Nothing is known of a variable.
pub(crate) fn nothing(v: &Variable) -> Belief {
    let (overlap, mmse) = (0.0, v.second_moment);
    Belief { overlap, mmse }
}

/// The first variable of a factor.
fn field(factor: &Factor) -> usize {
    factor.variables[0]
}

type Line = (Vec<Variable>, Vec<Arc<dyn FactorAverage>>);

/// The variables from `first` to the signal, with no message to what is below `first`, and those of the
/// other factor of a product.
///
/// Coordinates are `u = ln snr` of these variables. A fixed point of the stretch solves
/// `ln (inner snr sent by factor i) = u_{i-1}` for every factor between two of its variables;
/// the observation is left out, so the solutions form a curve. Of a product the message to the other
/// factor takes the part of the observation, and its answer is an equation more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<'a> {
    pub(crate) chain: &'a StateEvolution,
    pub(crate) first: usize,
    pub(crate) beside: Beside,
}

/// The other factor of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// There is none.
    Nothing,
    /// Its variables from this one on are unknowns too.
    Moving(usize),
    /// It is known exactly, on this frozen branch of its own.
    Frozen(usize),
}

/// Everything that follows from the coordinates of a point.
#[derive(Debug, Clone)]
pub(crate) struct Evaluation {
    /// Of the factors that end in the variables of the stretch.
    pub(crate) passages: Vec<Passage>,
    /// The same of the other factor of a product.
    pub(crate) left: Vec<Passage>,
    /// Of the equations between neighbours, those of the other factor behind those of the signal, and
    /// of its answer.
    pub(crate) residual: Vec<f64>,
    /// Ratio of the message to the signal.
    pub(crate) snr: f64,
    /// `ln noise` at which the observation closes the chain.
    pub(crate) log_noise: f64,
}

/// Linearisation at a point.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    /// `∂ residual/∂u`, one row an equation.
    pub(crate) rows: Vec<Vec<f64>>,
    /// `∂ ln noise/∂u`.
    pub(crate) log_noise: Vec<f64>,
    /// `∂ overlap of the signal/∂u`.
    pub(crate) overlap: Vec<f64>,
    /// Iteration contracts: the leading minors of `1 - J` are positive, `J ≥ 0` the linearised
    /// iteration.
    pub(crate) is_stable: bool,
}

impl Evaluation {
    /// What is known of the signal.
    pub(crate) fn signal(&self) -> Belief {
        self.passages.last().map_or(Belief::default(), |p| p.outer)
    }
}

impl ZeroSet for Stretch<'_> {
    fn evaluate(&self, u: &[f64]) -> Result<Evaluation, ReplicaError> {
        let (own, other) = u.split_at(self.len());
        let (passages, mut residual) = self.passed(own)?;
        let signal = passages.last().map_or(self.below(), |p| p.outer);
        let snr = own[own.len() - 1].exp();
        let observation = &self.chain.observation;
        let mut left = Vec::new();
        let log_noise = match self.left() {
            None => observation.noise_at(signal, snr)?.ln(),
            Some((product, None)) => {
                (product.aspect * product.left.chain.second_moment() / snr).ln()
            }
            Some((product, Some(stretch))) => {
                let (passages, inner) = stretch.passed(other)?;
                let known = passages.last().map_or(0.0, |p| p.outer.overlap);
                let log_noise = observation
                    .noise_at(signal, other[other.len() - 1].exp())?
                    .ln();
                residual.extend(inner);
                residual.push((product.aspect * known).ln() - log_noise - own[own.len() - 1]);
                left = passages;
                log_noise
            }
        };
        Ok(Evaluation {
            passages,
            left,
            residual,
            snr,
            log_noise,
        })
    }

    /// Derivatives by the chain rule along the chains; stability by elimination from the latents.
    fn linearise(&self, u: &[f64], at: &Evaluation) -> Result<Linear, ReplicaError> {
        let (own, other) = u.split_at(self.len());
        let (n, last) = (u.len(), own.len() - 1);
        let side = self.side(own, &at.passages)?;
        let noise = at.log_noise.exp();
        let slope = self.chain.observation.snr_slope(at.signal(), noise)?;
        let padded = |before: usize, row: Vec<f64>| {
            let mut padded = vec![0.0; before];
            padded.extend(row);
            padded.resize(n, 0.0);
            padded
        };
        let mut rows: Vec<_> = side.rows.into_iter().map(|row| padded(0, row)).collect();
        let gradient = padded(0, side.overlap);
        // `d ln noise` when the data make a message of ratio `exp(u_to)` of the overlap.
        let closed = |to: usize| {
            let mut log_noise: Vec<f64> =
                gradient.iter().map(|d| slope * d / u[to].exp()).collect();
            log_noise[to] -= 1.0;
            log_noise
        };
        let mut inner_stable = side.inner_stable;
        let (log_noise, gain) = match self.left() {
            None => (closed(last), slope),
            Some((_, None)) => {
                let mut log_noise = vec![0.0; n];
                log_noise[last] = -1.0;
                (log_noise, 0.0)
            }
            Some((product, Some(stretch))) => {
                let left = stretch.side(other, &at.left)?;
                let known = at.left.last().map_or(0.0, |p| p.outer.overlap);
                rows.extend(left.rows.into_iter().map(|row| padded(own.len(), row)));
                let log_noise = closed(n - 1);
                let mut answer = padded(own.len(), left.overlap);
                let parts = answer.iter_mut().zip(&log_noise);
                parts.for_each(|(d, l)| *d = *d / known - l);
                answer[last] -= 1.0;
                rows.push(answer);
                inner_stable &= left.inner_stable;
                let back = product.aspect * left.susceptibility / noise;
                (log_noise, slope * back)
            }
        };
        Ok(Linear {
            rows,
            log_noise,
            overlap: gradient,
            is_stable: inner_stable && side.susceptibility * gain < 1.0,
        })
    }
}

/// Linearisation of one chain.
struct Side {
    /// As in [`Linear`], in its own coordinates.
    rows: Vec<Vec<f64>>,
    overlap: Vec<f64>,
    /// Every fixed point on the way to the signal is attracting.
    inner_stable: bool,
    /// `d overlap/d snr` of the signal with everything below equilibrated.
    susceptibility: f64,
}

impl<'a> Stretch<'a> {
    /// Number of its variables, without those of another factor.
    pub(crate) fn len(&self) -> usize {
        self.chain.variables.len() - self.first
    }

    /// The other factor of a product, and its stretch unless it is frozen.
    pub(crate) fn left(&self) -> Option<(&'a Product, Option<Stretch<'a>>)> {
        let product = self.chain.observation.product()?;
        let stretch = match self.beside {
            Beside::Nothing => return None,
            Beside::Frozen(_) => None,
            Beside::Moving(first) => Some(Stretch {
                chain: &product.left.chain,
                first,
                beside: Beside::Nothing,
            }),
        };
        Some((product, stretch))
    }

    /// The name of the variable below the first even layer.
    pub(crate) fn below_even(&self) -> Option<&'a str> {
        let is_even = |f: &Arc<dyn FactorAverage>| f.componentwise().is_some_and(|c| c.is_even);
        let even = self.factors().iter().skip(1).position(is_even)? + self.first + 1;
        Some(&self.chain.variables[even - 2].name)
    }

    /// Passages from the first variable outwards, and residuals between neighbours.
    pub(crate) fn passed(&self, u: &[f64]) -> Result<(Vec<Passage>, Vec<f64>), ReplicaError> {
        let mut belief = self.below();
        let mut passages = Vec::with_capacity(u.len());
        let mut residual = Vec::with_capacity(u.len());
        for (i, (factor, u_i)) in self.factors().iter().zip(u).enumerate() {
            let passage = factor.pass(belief, u_i.exp())?;
            if i > 0 {
                residual.push(passage.inner_snr.ln() - u[i - 1]);
            }
            belief = passage.outer;
            passages.push(passage);
        }
        Ok((passages, residual))
    }

    fn side(&self, u: &[f64], passages: &[Passage]) -> Result<Side, ReplicaError> {
        let n = u.len();
        let mut belief = self.below();
        let mut overlap = vec![0.0; n]; // gradient of the overlap of the variable reached
        let mut rows = Vec::with_capacity(n);
        let mut susceptibility = match self.first {
            0 => 0.0,
            i => self.chain.susceptibility_at_zero(i - 1).unwrap_or(0.0),
        };
        let mut inner_stable = true;
        for (i, factor) in self.factors().iter().enumerate() {
            let (snr, passage) = (u[i].exp(), &passages[i]);
            let r = factor.response(belief, snr, passage)?;
            if i > 0 {
                let scale = passage.inner_snr.recip();
                let mut row: Vec<f64> = overlap
                    .iter()
                    .map(|d| scale * r.snr_by_overlap * d)
                    .collect();
                row[i - 1] -= 1.0;
                row[i] += scale * r.snr_by_snr * snr;
                rows.push(row);
            }
            for d in &mut overlap {
                *d *= r.overlap_by_overlap;
            }
            overlap[i] += r.overlap_by_snr * snr;
            susceptibility = eliminated(r, susceptibility, &mut inner_stable);
            belief = passage.outer;
        }
        Ok(Side {
            rows,
            overlap,
            inner_stable,
            susceptibility,
        })
    }

    /// What is known just below the first variable.
    fn below(&self) -> Belief {
        match self.first {
            0 => Belief::default(),
            i => self.chain.untold[i - 1],
        }
    }

    pub(crate) fn factors(&self) -> &'a [Arc<dyn FactorAverage>] {
        &self.chain.factors[self.first..]
    }

    /// Extends the coordinates of the first variables outwards; `None` where a factor cannot
    /// answer with the required ratio, whatever the signal above it.
    pub(crate) fn shoot(&self, mut u: Vec<f64>) -> Result<Option<Vec<f64>>, ReplicaError> {
        let mut belief = self.below();
        for (i, factor) in self.factors().iter().enumerate() {
            if i == u.len() {
                let highest = self.chain.highest(self.first + i);
                let found = invert(&**factor, belief, u[i - 1], highest)?;
                match found {
                    Some(x) => u.push(x),
                    None => return Ok(None),
                }
            }
            belief = factor.pass(belief, u[i].exp())?.outer;
        }
        Ok(Some(u))
    }

    /// Whether the noise may lie between `exp(low)` and `exp(high)` somewhere on the curve where the
    /// `ln snr` of the first variable is between `from` and `to`.
    ///
    /// No order falls when an incoming one grows, so that the ends of a bracket of every
    /// ratio bound the noise: a ratio from below by most knowledge for the least target, the noise by
    /// least knowledge under the strongest message. That costs few averages, and far from the
    /// range of noises it decides. Of a product it says nothing.
    pub(crate) fn may_meet(
        &self,
        (from, to): (f64, f64),
        (low, high): (f64, f64),
    ) -> Result<bool, ReplicaError> {
        if self.left().is_some() {
            return Ok(true);
        }
        let (mut least, mut most) = ((from, self.below()), (to, self.below()));
        for (i, factor) in self.factors().iter().enumerate() {
            let is_one = least == most;
            if i == 0 {
                // Given.
            } else if let Some(aspect) = factor.aspect() {
                least.0 -= aspect.ln();
                most.0 -= aspect.ln();
            } else {
                let highest = self.chain.highest(self.first + i);
                let Some(ends) = bracket(&**factor, most.1, least.0, highest)? else {
                    return Ok(false);
                };
                let [from, to] = if ends[0].x < ends[1].x {
                    ends
                } else {
                    [ends[1], ends[0]]
                };
                if is_one {
                    (least, most) = ((from.x, from.outer), (to.x, to.outer));
                    continue;
                }
                let Some(ends) = bracket(&**factor, least.1, most.0, highest)? else {
                    return Ok(true);
                };
                (least.0, most.0) = (from.x, ends[0].x.max(ends[1].x));
            }
            least.1 = factor.pass(least.1, least.0.exp())?.outer;
            most.1 = if is_one && least.0 == most.0 {
                least.1
            } else {
                factor.pass(most.1, most.0.exp())?.outer
            };
        }
        let noise = |belief: Belief, snr: f64| -> Result<f64, ReplicaError> {
            let observation = &self.chain.observation;
            Ok(observation.noise_at(belief, snr.exp())?.ln())
        };
        Ok(!(noise(most.1, least.0)? < low || noise(least.1, most.0)? > high))
    }

    /// Potential per component of the signal at `noise`: factors minus variables, by size.
    pub(crate) fn potential(
        &self,
        u: &[f64],
        at: &Evaluation,
        noise: f64,
    ) -> Result<f64, ReplicaError> {
        let (own, other) = u.split_at(self.len());
        let left = match (self.left(), self.beside) {
            (Some((product, Some(stretch))), _) => product.aspect * stretch.sum(other, &at.left),
            (Some((product, None)), Beside::Frozen(i)) => {
                -product.aspect * product.left.curve()?.frozen[i].information
            }
            _ => 0.0,
        };
        let observation = &self.chain.observation;
        let share = observation.share(at.signal(), self.known(at), noise)?;
        Ok(self.sum(own, &at.passages) + left + share)
    }

    /// Overlap of the other factor of a product.
    pub(crate) fn known(&self, at: &Evaluation) -> f64 {
        match self.left() {
            None => 0.0,
            Some((product, None)) => product.left.chain.second_moment(),
            Some(_) => at.left.last().map_or(0.0, |p| p.outer.overlap),
        }
    }

    /// The share of the potential of one chain without what observes it.
    fn sum(&self, u: &[f64], passages: &[Passage]) -> f64 {
        let parts = passages.iter().zip(u);
        let parts = parts.zip(&self.chain.variables[self.first..]);
        parts
            .map(|((p, u), v)| v.ratio * (p.potential - 0.5 * u.exp() * p.outer.overlap))
            .sum()
    }
}

/// Response of the outer overlap to the outer snr once the inner variable, which responds with
/// `inner`, has equilibrated. The loop of inner variable and factor contracts iff the pivot
/// `1 - inner · ∂snr/∂overlap` is positive.
fn eliminated(r: Response, inner: f64, stable: &mut bool) -> f64 {
    let pivot = 1.0 - inner * r.snr_by_overlap;
    *stable &= pivot > 0.0;
    r.overlap_by_snr + r.overlap_by_overlap * inner * r.snr_by_snr / pivot
}

/// Lowest `ln (snr E x²)` that is followed.
const LN_SNR_LEAST: f64 = -80.0;

/// The same where zero overlap is a fixed point, near which nothing changes below 1e-12.
const LN_SNR_FAINT: f64 = -27.0;

/// Highest `ln (snr E x²)` that is followed: beyond 1e11 averages lose their digits to rounding.
const LN_SNR_MAX: f64 = 25.0;

/// A factor under one message.
#[derive(Clone, Copy)]
struct Tried {
    /// `ln outer snr`.
    x: f64,
    /// `ln inner snr` beyond the target.
    excess: f64,
    outer: Belief,
}

/// Least distance between the ends of a bracket, in `ln snr`.
const WIDTH: f64 = 2.0;

/// Lowest `ln (snr E x²)` that is asked of a factor.
const LN_SNR_MIN: f64 = -120.0;

/// Two messages between which a factor sends `exp(target)` inwards, up to a `highest` ratio; `None`
/// where it sends less whatever the message.
fn bracket(
    factor: &dyn FactorAverage,
    inner: Belief,
    target: f64,
    highest: f64,
) -> Result<Option<[Tried; 2]>, ReplicaError> {
    let tried = |x: f64| -> Result<Tried, ReplicaError> {
        let passage = factor.pass(inner, x.exp())?;
        Ok(Tried {
            x,
            excess: passage.inner_snr.ln() - target,
            outer: passage.outer,
        })
    };
    let lowest = highest - LN_SNR_MAX + LN_SNR_MIN;
    let mut last = tried(target.clamp(lowest, highest))?;
    // Widen until the sign changes; the map increases, in logarithms mostly with slope 1.
    let up = last.excess < 0.0;
    loop {
        let far = last.excess.abs().max(WIDTH);
        let x = (last.x + if up { far } else { -far }).clamp(lowest, highest);
        if x == last.x {
            return Ok(None);
        }
        let next = tried(x)?;
        if next.excess == 0.0 || (next.excess > 0.0) == up {
            return Ok(Some([last, next]));
        }
        last = next;
    }
}

/// The `ln outer snr` at which a factor sends `exp(target)` inwards, to about 1e-4: a seed.
fn invert(
    factor: &dyn FactorAverage,
    inner: Belief,
    target: f64,
    highest: f64,
) -> Result<Option<f64>, ReplicaError> {
    let miss = |x: f64| -> Result<f64, ReplicaError> {
        Ok(factor.pass(inner, x.exp())?.inner_snr.ln() - target)
    };
    let Some([first, last]) = bracket(factor, inner, target, highest)? else {
        return Ok(None);
    };
    let (mut x0, mut f0, mut x1, mut f1) = (first.x, first.excess, last.x, last.excess);
    for _ in 0..60 {
        if f1.abs() < 1e-4 {
            return Ok(Some(x1));
        }
        // Secant kept inside the bracket, with a bisection whenever it would barely move.
        let secant = x1 - f1 * (x1 - x0) / (f1 - f0);
        let (lo, hi) = (x0.min(x1), x0.max(x1));
        let margin = 0.05 * (hi - lo);
        let x = if secant.is_finite() && secant > lo + margin && secant < hi - margin {
            secant
        } else {
            0.5 * (lo + hi)
        };
        let f = miss(x)?;
        if (f < 0.0) == (f1 < 0.0) {
            (x1, f1) = (x, f);
            // Keep the other end, as the bracket demands.
        } else {
            (x0, f0, x1, f1) = (x1, f1, x, f);
        }
    }
    Ok(Some(x1))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use onsager_model::Chain;
    use onsager_scalar::{activation::PiecewiseLinear, prior::Gaussian};

    use super::*;

    /// Overlaps and ratios are conjugate: at a fixed point no ratio changes the potential, in any
    /// layer, though every overlap above it moves.
    #[test]
    fn the_potential_is_stationary_in_every_ratio() {
        let tree = Chain::new(Arc::new(Gaussian::standard()))
            .layer(1.5, Arc::new(PiecewiseLinear::sign()))
            .layer(2.0, Arc::new(PiecewiseLinear::relu()))
            .spiked_wigner(0.2)
            .unwrap();
        let chain = StateEvolution::new(&tree).unwrap();
        let curve = chain.curve(None).unwrap();
        let (path, log_noise) = (&curve.paths[0], 0.2f64.ln());
        let found = path.at(&chain, log_noise).unwrap();
        assert!(!found.is_empty());
        for (_, point) in found {
            let stretch = path.stretch(&chain);
            let at = |i: usize, d: f64| {
                let mut u = point.u.clone();
                u[i] += d;
                stretch
                    .potential(&u, &stretch.evaluate(&u).unwrap(), 0.2)
                    .unwrap()
            };
            for i in 0..point.u.len() {
                // Truncation d²/6 and rounding 1e-15/d.
                let slope = (at(i, 1e-4) - at(i, -1e-4)) / 2e-4;
                assert!(slope.abs() < 2e-9, "variable {i}: {slope:e}");
            }
        }
    }

    /// The noise itself, from the inverted ratios, against the bounds that spare its computation.
    #[test]
    fn only_what_is_out_of_range_is_left_out() {
        let prior = || Chain::new(Arc::new(Gaussian::standard()));
        let relu = || Arc::new(PiecewiseLinear::relu());
        let chains = [
            prior().layer(2.0, relu()).spiked_wigner(1.0),
            prior().layer(0.3, relu()).layer(2.0, relu()).denoising(1.0),
        ];
        for chain in chains {
            let chain = StateEvolution::new(&chain.unwrap()).unwrap();
            let stretch = chain.stretches().expect("stretches")[0];
            let noise = |t: f64| {
                let u = stretch.shoot(vec![t]).unwrap()?;
                Some(stretch.evaluate(&u).unwrap().log_noise)
            };
            let range = (-3.0, 2.0);
            let (mut left_out, mut kept) = (0, 0);
            for from in (-10..12).map(|i| 2.0 * f64::from(i)) {
                for width in [0.0, 3.0] {
                    if stretch.may_meet((from, from + width), range).unwrap() {
                        kept += 1;
                        continue;
                    }
                    left_out += 1;
                    for t in [from, from + 0.4 * width, from + width] {
                        let found = noise(t);
                        let inside = found.is_some_and(|x| range.0 < x && x < range.1);
                        assert!(!inside, "snr exp({t}), noise exp({found:?})");
                    }
                }
            }
            assert!(
                left_out > 10 && kept > 4,
                "{left_out} left out, {kept} kept"
            );
        }
    }
}
