//! Fixed points of a chain and what they predict.

use std::collections::BTreeMap;

use onsager_model::Tree;
use serde::Serialize;

use crate::ReplicaError;
use crate::chain::{Beside, StateEvolution, Stretch, nothing};
use crate::curve::{AROUND, Below, Curve, FLAT};
use crate::factor::{Belief, Componentwise, Passage};
use crate::path::{Point, solve};

/// All fixed points of a model, the one that message passing reaches, and the optimal one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// By increasing overlap.
    pub fixed_points: Vec<FixedPoint>,
    /// The least stable one: reached from no information (from an arbitrarily small overlap
    /// where zero overlap is an unstable fixed point).
    pub algorithmic: FixedPoint,
    /// The one of largest potential: the Bayes-optimal estimator.
    pub optimal: FixedPoint,
}

/// A fixed point of state evolution, per coordinate of the signal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FixedPoint {
    /// `q = E[⟨x⟩²]`, also the overlap with the truth, up to the model's symmetry.
    pub overlap: f64,
    /// `ρ - q`, computed directly.
    pub mmse: f64,
    /// Ratio of the message from the data to the signal; `None` if infinite.
    pub snr: Option<f64>,
    /// Replica free entropy, nats, up to a constant of the model.
    pub potential: f64,
    /// That constant minus the potential; at the optimal point the mutual information of signal
    /// and data given the weights, per coordinate of the signal, nats.
    pub mutual_information: Option<f64>,
    /// Whether iteration started nearby converges to it.
    pub stable: bool,
    /// Whether the signal is known exactly.
    pub perfect: bool,
    /// How often the likeliest label of a new output is wrong, where outputs are labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generalisation_error: Option<f64>,
    /// The same of a label drawn from what is believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gibbs_error: Option<f64>,
    /// Every declared variable, those of the other factor of a product too.
    pub variables: BTreeMap<String, VariableState>,
    /// `overlap` of the other factor of a product (spiked Wishart), per component of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap_left: Option<f64>,
    /// `mmse` of that factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mmse_left: Option<f64>,
    /// The overlap is exact for a model whose noise differs by this much, relatively, as far as
    /// residuals and the self-checks of the averages tell.
    pub backward_error: f64,
    /// Error of the overlap at the given noise, to first order.
    pub forward_error: f64,
}

/// What is known of one variable, per component.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct VariableState {
    /// `E[⟨x⟩²]`.
    pub overlap: f64,
    /// `E Var x`.
    pub mmse: f64,
    /// Ratio of the message from the side of the data; `None` if infinite.
    pub snr: Option<f64>,
}

/// Error of an average that its self-check may miss: the largest found against a rule 2.7 times as
/// fine along the curves of linear, sign and relu layers of aspects 1e-9 to 1e4 is 3.5e-11, and two
/// averages count at every variable.
const ACCURACY: f64 = 3e-11;

/// What is known of a variable and the ratio of the message to it; `None` if known exactly.
pub(crate) type State = Option<(Belief, f64)>;

/// A stable fixed point with the signal known exactly.
#[derive(Debug, Clone)]
pub(crate) struct Frozen {
    /// Per coordinate of the signal, nats.
    pub(crate) information: f64,
    states: Vec<State>,
    /// It exists, and attracts, at lower noise.
    pub(crate) below: f64,
}

/// Where a fixed point lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A path and its branch.
    Branch(usize, usize),
    /// Zero overlap.
    Trivial,
    /// One of the frozen branches, and the place of the other factor of a product beside it.
    Frozen(usize, Option<(usize, usize)>),
}

impl Place {
    /// A name among the places of one chain.
    fn name(self) -> Option<(usize, usize)> {
        match self {
            Self::Trivial => None,
            Self::Frozen(i, _) => Some((0, i)),
            Self::Branch(path, branch) => Some((path + 1, branch)),
        }
    }
}

impl StateEvolution {
    /// All fixed points at the declared noise.
    ///
    /// - **Accuracy**: one layer of aspect 1e-9 to 1e4 at noises 1e-6 to 1e6: backward error below
    ///   1e-8 (measured: linear 7e-12, sign 2e-12, relu 4e-11; claimed up to 1e-9). What remains is
    ///   the averages' own 3.5e-11, amplified where the overlap hardly depends on the noise: for a
    ///   relu, known up to its mean from noise alone, the backward error claimed is 3e-8 at noise
    ///   100 and grows in proportion to it, while the overlap is good to 1e-10.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use onsager_model::Chain;
    /// use onsager_replica::StateEvolution;
    /// use onsager_scalar::prior::Gaussian;
    ///
    /// // A Gaussian spike: q = 1 - Δ below the threshold Δ = 1.
    /// let tree = Chain::new(Arc::new(Gaussian::standard())).spiked_wigner(0.25)?;
    /// let prediction = StateEvolution::new(&tree)?.predict()?;
    /// assert!((prediction.optimal.overlap - 0.75).abs() < 1e-9);
    /// assert!(!prediction.fixed_points[0].stable); // zero overlap
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`StateEvolution::curve`].
    pub fn predict(&self) -> Result<Prediction, ReplicaError> {
        let noise = self.noise();
        self.predict_on(&self.around(noise, noise)?, noise)
    }

    /// A curve for noises from `low` to `high`, complete there.
    pub(crate) fn around(&self, low: f64, high: f64) -> Result<Curve, ReplicaError> {
        match self.traced((low / AROUND, high * AROUND))? {
            (curve, Some(lost)) if curve.range.0 > low || curve.range.1 < high => Err(lost),
            (curve, _) => Ok(curve),
        }
    }

    /// All fixed points at `noise`, read off a curve of the same model.
    ///
    /// # Errors
    /// A noise outside the range of the curve.
    pub fn predict_on(&self, curve: &Curve, noise: f64) -> Result<Prediction, ReplicaError> {
        let mut found = self.found_within(curve, noise)?;
        for (_, point) in &mut found {
            let (overlap, mmse) = (point.overlap, point.mmse);
            if let Some(errors) = self.observation.label_errors(Belief { overlap, mmse })? {
                point.generalisation_error = Some(errors.generalisation);
                point.gibbs_error = Some(errors.gibbs);
            }
        }
        self.prediction(found, noise)
    }

    /// The same without the errors on new labels, which are averages of their own.
    pub(crate) fn predict_without_labels(
        &self,
        curve: &Curve,
        noise: f64,
    ) -> Result<Prediction, ReplicaError> {
        self.prediction(self.found_within(curve, noise)?, noise)
    }

    fn found_within(
        &self,
        curve: &Curve,
        noise: f64,
    ) -> Result<Vec<(Place, FixedPoint)>, ReplicaError> {
        if (curve.range.0..=curve.range.1).contains(&noise) {
            return self.found_on(curve, noise);
        }
        Err(ReplicaError::Range {
            quantity: "noise",
            allowed: "the range of the curve",
            value: noise,
        })
    }

    fn prediction(
        &self,
        found: Vec<(Place, FixedPoint)>,
        noise: f64,
    ) -> Result<Prediction, ReplicaError> {
        // Where zero overlap is unstable another fixed point exists; at the threshold itself, up to
        // the accuracy of the averages, it may be zero.
        let alone = found.iter().all(|(place, _)| *place == Place::Trivial);
        if alone && self.growth_at_zero(noise)?.is_some_and(|g| g > 1.0 + 1e-6) {
            return Err(ReplicaError::NoFixedPoint(noise));
        }
        let (Some((_, algorithmic)), Some((_, optimal))) = (least(&found), optimal(&found)) else {
            return Err(ReplicaError::NoFixedPoint(noise));
        };
        Ok(Prediction {
            algorithmic: algorithmic.clone(),
            optimal: optimal.clone(),
            fixed_points: found.into_iter().map(|(_, f)| f).collect(),
        })
    }

    /// The fixed points at `noise` with the branch each lies on, by increasing overlap.
    pub(crate) fn found_on(
        &self,
        curve: &Curve,
        noise: f64,
    ) -> Result<Vec<(Place, FixedPoint)>, ReplicaError> {
        let mut found = Vec::new();
        for (i, path) in curve.paths.iter().enumerate() {
            for (segment, point) in path.at(self, noise.ln())? {
                let branch = path.folds.iter().filter(|f| **f <= segment).count();
                let described = self.described_point(path.stretch(self), &point, noise)?;
                found.push((Place::Branch(i, branch), described));
            }
        }
        let silent = match self.trivial(noise)? {
            None => self.untold_by_data(noise)?,
            zero => zero,
        };
        found.extend(silent.map(|f| (Place::Trivial, f)));
        let rho = self.second_moment();
        let constant = self.observation.constant(rho, noise);
        let frozen = curve.frozen.iter().enumerate();
        for (i, frozen) in frozen.filter(|(_, f)| noise <= f.below * (1.0 + ROUNDING)) {
            let mut push = |name, potential, left: Option<FixedPoint>| {
                let stable = left.as_ref().is_none_or(|left| left.stable);
                let potential = potential - frozen.information;
                let point = self.fixed_point(&frozen.states, potential, noise, stable);
                found.push((Place::Frozen(i, name), point.beside(left)));
            };
            let Some(product) = self.observation.product() else {
                push(None, constant, None);
                continue;
            };
            // The other factor of a known signal is observed directly.
            let (left, direct) = (&product.left, product.left.noise_of(rho / noise));
            for (place, point) in left.chain.found_on(left.curve()?, direct)? {
                push(place.name(), product.aspect * point.potential, Some(point));
            }
        }
        // By overlap of the signal; where that has saturated, by what is left unknown below.
        let unknown = |f: &FixedPoint| f.variables.values().map(|v| v.mmse).sum::<f64>();
        found.sort_by(|(_, a), (_, b)| {
            let signal = b.mmse.total_cmp(&a.mmse);
            signal.then(unknown(b).total_cmp(&unknown(a)))
        });
        Ok(found)
    }

    fn described_point(
        &self,
        stretch: Stretch<'_>,
        point: &Point,
        noise: f64,
    ) -> Result<FixedPoint, ReplicaError> {
        let (at, stable) = (&point.at, point.linear.is_stable);
        let potential = stretch.potential(&point.u, at, noise)?;
        let (backward_error, forward_error) = self.errors(point, noise);
        let (own, other) = point.u.split_at(stretch.len());
        let left = stretch.left().map(|(product, left)| {
            let states = match (left, stretch.beside, product.left.curve()) {
                (None, Beside::Frozen(i), Ok(curve)) => curve.frozen[i].states.clone(),
                (left, ..) => left.map_or(Vec::new(), |left| left.states(other, &at.left)),
            };
            product.left.chain.fixed_point(&states, 0.0, noise, stable)
        });
        let states = stretch.states(own, &at.passages);
        Ok(FixedPoint {
            backward_error,
            forward_error,
            ..self.fixed_point(&states, potential, noise, stable)
        }
        .beside(left))
    }

    /// Backward and forward error of a point of the curve.
    ///
    /// An average is off by its residual and by the error estimates of the factor itself and of
    /// the one below it, whose output it reads (no ratio depends on an error it is given more than
    /// proportionally). Each moves the point along the linearised equations, once with the overlap
    /// held, which takes another noise, and once with the noise held.
    fn errors(&self, point: &Point, noise: f64) -> (f64, f64) {
        let (at, linear) = (&point.at, &point.linear);
        let error = |p: &Passage| p.error + ACCURACY;
        let own: Vec<f64> = at.passages.iter().map(error).collect();
        let left: Vec<f64> = at.left.iter().map(error).collect();
        let between = own.windows(2).chain(left.windows(2));
        let mut errors: Vec<f64> = between.map(|e| e[0] + e[1]).collect();
        // The answer of another factor reads both overlaps.
        errors.extend(left.last().map(|e| e + own[own.len() - 1]));
        let misses = at.residual.iter().zip(errors).map(|(r, e)| r.abs() + e);
        let moved = |held: &[f64], wanted: &[f64], last: f64| -> Option<f64> {
            let mut rows = linear.rows.clone();
            rows.push(held.to_vec());
            let n = rows.len();
            let transposed = (0..n).map(|j| rows.iter().map(|r| r[j]).collect());
            let weights = solve(transposed.collect(), wanted.to_vec())?;
            let all = misses.clone().chain([last]);
            Some(weights.iter().zip(all).map(|(w, e)| w.abs() * e).sum())
        };
        let signal = at.signal();
        let overlap = own[own.len() - 1] * signal.overlap.min(signal.mmse);
        let log_noise = (at.log_noise - noise.ln()).abs();
        // A signal known to the last digit does not show the noise: nothing is to be held.
        let backward = moved(&linear.overlap, &linear.log_noise, overlap).unwrap_or(0.0);
        let forward = moved(&linear.log_noise, &linear.overlap, log_noise);
        (
            backward + log_noise,
            (forward.unwrap_or(f64::INFINITY) + overlap).min(self.second_moment()),
        )
    }

    /// Assembles a fixed point from what is known of every variable and the ratio of the message
    /// to it; `None` for a variable that is known exactly.
    fn fixed_point(
        &self,
        states: &[State],
        potential: f64,
        noise: f64,
        stable: bool,
    ) -> FixedPoint {
        let all: Vec<VariableState> = self
            .variables
            .iter()
            .zip(states)
            .map(|(v, state)| match state {
                Some((belief, snr)) => VariableState {
                    overlap: belief.overlap,
                    mmse: belief.mmse,
                    snr: Some(*snr),
                },
                None => VariableState {
                    overlap: v.second_moment,
                    mmse: 0.0,
                    snr: None,
                },
            })
            .collect();
        let signal = all[all.len() - 1];
        let named = self.variables.iter().zip(all).filter(|(v, _)| !v.is_field);
        FixedPoint {
            overlap: signal.overlap,
            mmse: signal.mmse,
            snr: signal.snr,
            potential,
            // Infinite where data without noise determine real numbers.
            mutual_information: Some(
                self.observation.constant(self.second_moment(), noise) - potential,
            )
            .filter(|i| i.is_finite()),
            stable,
            perfect: signal.snr.is_none(),
            generalisation_error: None,
            gibbs_error: None,
            variables: named.map(|(v, s)| (v.name.clone(), s)).collect(),
            overlap_left: None,
            mmse_left: None,
            backward_error: 0.0,
            forward_error: 0.0,
        }
    }

    /// What is known of a centred signal without data.
    pub(crate) fn nothing(&self) -> Belief {
        nothing(&self.variables[self.signal()])
    }

    /// By what an infinitesimal overlap grows in one iteration, where zero overlap is a fixed
    /// point.
    fn growth_at_zero(&self, noise: f64) -> Result<Option<f64>, ReplicaError> {
        let own = self.susceptibility_at_zero(self.signal());
        let left = match self.observation.product() {
            Some(product) => (product.left.susceptibility()).map(|x| product.aspect * x / noise),
            None => Some(1.0),
        };
        let (Some(own), Some(left), true) = (own, left, self.observation.is_even()) else {
            return Ok(None);
        };
        let slope = self.observation.snr_slope(self.nothing(), noise)?;
        Ok(Some(own * slope * left))
    }

    /// Zero overlap everywhere, for data that are even in a signal of which nothing is known.
    fn trivial(&self, noise: f64) -> Result<Option<FixedPoint>, ReplicaError> {
        let Some(growth) = self.growth_at_zero(noise)? else {
            return Ok(None);
        };
        // At the threshold itself, to the accuracy of curves, no other point need exist.
        let stable = growth < 1.0 + FLAT;
        // Without a message every average is of ln 1.
        let share = self.observation.share(self.nothing(), 0.0, noise)?;
        let zero = |chain: &Self, potential| {
            let untold = chain.variables.iter().map(nothing);
            let states: Vec<_> = untold.map(|belief| Some((belief, 0.0))).collect();
            chain.fixed_point(&states, potential, noise, stable)
        };
        let left = self.observation.product().map(|p| zero(&p.left.chain, 0.0));
        Ok(Some(zero(self, share).beside(left)))
    }

    /// The prior, for data that tell less of the signal than any curve is followed for: outputs that never
    /// change, say.
    fn untold_by_data(&self, noise: f64) -> Result<Option<FixedPoint>, ReplicaError> {
        let signal = match self.untold.last() {
            Some(signal) if self.observation.product().is_none() => *signal,
            _ => return Ok(None),
        };
        if self.observation.snr_at(signal, noise)?.ln() >= self.lowest(self.signal()) {
            return Ok(None);
        }
        let states: Vec<_> = self.untold.iter().map(|b| Some((*b, 0.0))).collect();
        let share = self.observation.share(signal, 0.0, noise)?;
        Ok(Some(self.fixed_point(&states, share, noise, true)))
    }

    /// The discrete variables that can freeze: those somewhere below a function that jumps, or below
    /// outputs without noise.
    ///
    /// # Errors
    /// One below both a jump and a noisy layer, which has no branch of its own in closed form.
    pub(crate) fn can_freeze(&self) -> Result<Vec<usize>, ReplicaError> {
        let above = |v: usize, has: fn(&Componentwise) -> bool| {
            let mut above = self.factors[v + 1..].iter();
            above.any(|f| f.componentwise().is_some_and(|c| has(&c)))
        };
        let sharp = self.observation.sharpness().is_some();
        let mut found = Vec::new();
        for v in 0..self.signal() + usize::from(sharp) {
            let [jumps, noisy] = [above(v, |c| c.is_discontinuous), above(v, |c| c.is_noisy)];
            let resolved = jumps || (sharp && !noisy);
            if self.variables[v].is_field || !self.is_discrete(v) || !resolved {
                continue;
            }
            if noisy {
                let what = "a discrete variable below both a jump and a noisy layer";
                return Err(ReplicaError::NotSupported(what.into()));
            }
            found.push(v);
        }
        Ok(found)
    }

    /// The frozen branches, on which the signal is known exactly.
    ///
    /// A variable that [can freeze](Self::can_freeze), once known, stays known at every noise,
    /// because the message it receives grows like `(mmse)^(-1/2)` or faster while its error falls
    /// exponentially in it. The information is the entropy of the frozen variable given the weights.
    ///
    /// A signal of dimension `D > 0` behind outputs without noise of which a share `d` has a slope:
    /// the ratio of the message tends to `(n/p) d/mmse` and the error answers with `D/ratio`, so
    /// that perfect recovery is attracting, and optimal, for `n/p > D/d`.
    pub(crate) fn frozen(
        &self,
        variables: Vec<usize>,
        hidden: &[Below],
    ) -> Result<Vec<Frozen>, ReplicaError> {
        let sharp = self.observation.sharpness();
        let mut found = Vec::new();
        for v in variables {
            let below = hidden.iter().find(|b| b.v == v);
            let (entropy, mut states) = match (self.factors[v].discrete_entropy(), below) {
                (Some(h), _) => (h, Vec::new()),
                (None, Some(below)) => below.resolved()?,
                _ => continue,
            };
            states.resize(self.variables.len(), None);
            found.push(Frozen {
                information: self.variables[v].ratio * entropy,
                states,
                below: f64::INFINITY,
            });
        }
        let (dimension, v) = self.dimension();
        if let Some(share) = sharp.filter(|share| *share > 0.0 && dimension > 0.0) {
            found.push(Frozen {
                information: 0.0,
                states: self.known_from(v)?,
                below: share / dimension,
            });
        }
        Ok(found)
    }

    /// What is known once variable `v` and all above it are.
    fn known_from(&self, v: usize) -> Result<Vec<State>, ReplicaError> {
        let mut states = vec![None; self.variables.len()];
        if v > 0 {
            let rho = self.variables[v].second_moment;
            let mut noise = KNOWN_EXACTLY * rho;
            let chain = self.truncated(v, noise);
            // From where the latent answers at all: in the end it hardly moves, and where averages have lost
            // their digits before, what they said last will do.
            let (curve, lost) = chain.traced((noise, 10.0 * rho))?;
            if let Some(lost) = lost {
                noise = 2.0 * curve.range.0;
                if noise > 1e3 * KNOWN_EXACTLY * rho {
                    return Err(lost);
                }
            }
            let direct = chain.predict_on(&curve, noise)?.optimal;
            for (state, variable) in states[..v].iter_mut().zip(&self.variables) {
                *state = direct.variables.get(&variable.name).and_then(|x| {
                    let (overlap, mmse) = (x.overlap, x.mmse);
                    Some((Belief { overlap, mmse }, x.snr?))
                });
            }
        }
        Ok(states)
    }
}

/// A ratio declared at the dimension of the signal may miss it by this: there nothing else is left.
const ROUNDING: f64 = 1e-12;
/// Noise, in units of `E x²`, of a direct observation in place of none.
const KNOWN_EXACTLY: f64 = 1e-9;

impl FixedPoint {
    /// Adds what is known of the other factor of a product.
    fn beside(mut self, left: Option<Self>) -> Self {
        if let Some(left) = left {
            self.variables.extend(left.variables);
            self.overlap_left = Some(left.overlap);
            self.mmse_left = Some(left.mmse);
        }
        self
    }
}

impl Stretch<'_> {
    /// What is known of every variable of its chain.
    fn states(&self, u: &[f64], passages: &[Passage]) -> Vec<State> {
        let below = self.chain.untold[..self.first].iter();
        let below = below.map(|belief| Some((*belief, 0.0)));
        let known = passages.iter().zip(u);
        below
            .chain(known.map(|(p, u)| Some((p.outer, u.exp()))))
            .collect()
    }
}

impl Below {
    /// Entropy per component of the discrete variable given the weights below it, and the state
    /// of the variables there once it is known.
    fn resolved(&self) -> Result<(f64, Vec<State>), ReplicaError> {
        let optimal = self
            .chain
            .predict_on(&self.curve, self.chain.noise())?
            .optimal;
        let states = self.chain.variables[..self.v].iter().map(|variable| {
            let state = optimal.variables.get(&variable.name)?;
            let (overlap, mmse) = (state.overlap, state.mmse);
            Some((Belief { overlap, mmse }, state.snr?))
        });
        let entropy = optimal.mutual_information.unwrap_or(0.0);
        Ok((entropy, states.collect()))
    }
}

/// The least stable fixed point.
pub(crate) fn least(found: &[(Place, FixedPoint)]) -> Option<&(Place, FixedPoint)> {
    found.iter().find(|(_, f)| f.stable).or(found.first())
}

/// The one of largest potential. A maximum over the overlaps is stable; an unstable point next to
/// it, as zero overlap just below its threshold, may only tie with it within rounding.
pub(crate) fn optimal(found: &[(Place, FixedPoint)]) -> Option<&(Place, FixedPoint)> {
    let larger = |a: &&(Place, FixedPoint), b: &&(Place, FixedPoint)| {
        a.1.potential.total_cmp(&b.1.potential)
    };
    let stable = found.iter().filter(|(_, f)| f.stable).max_by(larger);
    stable.or_else(|| found.iter().max_by(larger))
}

/// Information per coordinate of the signal as a function of its overlap, off the fixed points.
///
/// `i(Δ, q) = (ρ - q)²/(4Δ) + I_den(q/Δ)` for a spiked Wigner model, with `I_den(A)` the
/// information of the signal in a direct observation of ratio `A`; in general the constant of
/// the model minus the potential at given `q`. Stationary at the fixed points, least at the
/// optimal one.
///
/// - **Arguments**: overlaps in `[0, ρ]`.
/// - **Normalisation**: nats per coordinate of the signal.
///
/// ```
/// use std::sync::Arc;
/// use onsager_model::Chain;
/// use onsager_replica::information_at;
/// use onsager_scalar::prior::Gaussian;
///
/// let tree = Chain::new(Arc::new(Gaussian::standard())).spiked_wigner(0.25)?;
/// let i = information_at(&tree, &[0.0, 0.5])?;
/// assert_eq!(i[0], 1.0); // ρ²/(4Δ)
/// assert!((i[1] - (0.25 + 0.5 * 3f64.ln())).abs() < 1e-10); // I_den(A) = ln(1 + A)/2
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// An overlap outside `[0, ρ]`; as for [`StateEvolution::curve`].
pub fn information_at(tree: &Tree, overlaps: &[f64]) -> Result<Vec<f64>, ReplicaError> {
    let chain = StateEvolution::new(tree)?;
    let (noise, rho) = (chain.noise(), chain.second_moment());
    let observation = &chain.observation;
    let known = |overlap: f64| Belief {
        overlap,
        mmse: rho - overlap,
    };
    let snr = |q: f64| observation.snr_at(known(q), noise);
    let (mut lowest, mut highest) = (f64::INFINITY, 0.0f64);
    for q in overlaps {
        if !(0.0..=rho).contains(q) {
            return Err(ReplicaError::Range {
                quantity: "overlap",
                allowed: "0 to the second moment of the signal",
                value: *q,
            });
        }
        let a = snr(*q)?;
        if a > 0.0 {
            (lowest, highest) = (lowest.min(a), highest.max(a));
        }
    }
    let denoiser = chain.truncated(chain.signal(), 1.0);
    let curve = if highest > 0.0 {
        Some(denoiser.curve(Some((0.5 / highest, 2.0 / lowest)))?)
    } else {
        None
    };
    let at = |q: &f64| {
        let a = snr(*q)?;
        let constant = observation.constant(rho, noise);
        // potential = Φ(A) - A q/2 + the observation's share, Φ(A) = ρA/2 - I_den(A).
        let rest = observation.potential(known(*q), noise)? - 0.5 * a * q;
        let denoised = match &curve {
            Some(curve) if a > 0.0 => {
                let best = denoiser.predict_on(curve, 1.0 / a)?.optimal;
                0.5 * a * rho - best.mutual_information.unwrap_or(0.0)
            }
            _ => 0.0,
        };
        Ok(constant - denoised - rest)
    };
    overlaps.iter().map(at).collect()
}
