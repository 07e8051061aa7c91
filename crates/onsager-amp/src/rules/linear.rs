//! A matrix of independent entries between two variables.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_operators::{Counted, Field, LinearOperator, Shape};
use onsager_scalar::Precisions;

use super::Variances;
use crate::message::{average, column, mean_square};
use crate::{
    AmpError, Componentwise, Diagonal, Fields, Memory, Message, Ports, Posterior, Precision, Rule,
    Variance,
};

/// `h = W x/√k`, `W` with `k` columns and independent entries of unit variance, with Onsager
/// corrections.
///
/// Forwards, with the estimate `x` of variance `c`: `V = mean(c)`, `ω = W x/√k - V g_old`, sent as
/// precision `1/V` and field `ω/V`. A floor on `V` holds for the precision, not for the term of `g_old`: that
/// cancels what of `g_old` is in `x`, which is `c`, and at the floor of data without noise a term of
/// the wrong size makes the iteration unstable. Backwards, with `g = (E h - ω)/V`: `Λ = |g|²/k`,
/// `γ = Wᴴ g/√k + Λ x`.
///
/// Behind outputs and spikes in next to no noise ([`Linear::by_curvature`]), `Λ` is the average of `1/V - Var h/V²`, at least 0. The two agree on
/// average, but an estimate that claims less than its error has a `|g|²` too large by the square of the
/// ratio, and squares its claim at every step; and one that is exact has `g = 0`, and would be forgotten.
///
/// With one variance per component, `V_i = Σ_j |W_ij|² c_j/k` and `Λ_j = Σ_i |W_ij|² |g_i|²/k`, or by curvature
/// `Λ_j = Σ_i |W_ij|² (1/V_i - Var h_i/V_i²)/k`, at least 0: columns may then have variances of their own.
pub struct Linear<F: Field = f64> {
    matrix: Counted<Arc<dyn LinearOperator<F>>>,
    variances: Variances,
    floor: f64,
    /// Whether messages are measured by their curvature.
    by_curvature: bool,
    /// `g` of the past backward messages, averaged as they are.
    score: Option<DMatrix<F>>,
    /// `x` of the past forward messages, averaged as they are.
    input: Option<DMatrix<F>>,
}

impl<F: Field> Linear<F> {
    /// The rule of `matrix = W`; `V` is never taken below `floor > 0`.
    #[must_use]
    pub fn new(matrix: Arc<dyn LinearOperator<F>>, variances: Variances, floor: f64) -> Self {
        Self {
            matrix: Counted::new(matrix),
            variances,
            floor,
            by_curvature: false,
            score: None,
            input: None,
        }
    }

    /// Takes `Λ` from the curvature instead of `|g|²`.
    #[must_use]
    pub fn by_curvature(mut self) -> Self {
        self.by_curvature = true;
        self
    }

    fn forward(&mut self, ports: &mut Ports<'_, F>) -> Result<(), AmpError> {
        let estimate = ports.posterior(0)?;
        let x = estimate.mean.clone();
        let k = x.nrows() as f64;
        let variance = match self.variances {
            Variances::Shared => {
                Diagonal::Shared((0..x.ncols()).map(|t| estimate.variance.mean(t)).collect())
            }
            Variances::PerComponent => {
                let c = DMatrix::from_fn(x.nrows(), x.ncols(), |j, t| estimate.variance.at(j, t));
                Diagonal::Each(self.squared(&c, false)? / k)
            }
        };
        let image = self.matrix.apply(&x)?;
        let scale = 1.0 / k.sqrt();
        let (rows, problems) = image.shape();
        let field = DMatrix::from_fn(rows, problems, |i, t| {
            let claimed = variance.at(i, t);
            let v = claimed.max(self.floor);
            let omega = image[(i, t)].scale(scale);
            match &self.score {
                Some(g) => omega.unscale(v) - g[(i, t)].scale(claimed / v),
                None => omega.unscale(v),
            }
        });
        let precision = inverse(&variance, self.floor);
        self.input = Some(average(self.input.take(), x, ports.step(1)));
        ports.send(1, Message { precision, field }, None);
        Ok(())
    }

    fn backward(&mut self, ports: &mut Ports<'_, F>) -> Result<(), AmpError> {
        let g = score(ports)?;
        let image = self.matrix.apply_adjoint(&g)?;
        let variance = ports.posterior(1)?.variance.clone();
        self.send_back(g, &variance, image, ports)
    }

    /// Sends `γ`, made of `g`, the variances of the field behind it, and its image `Wᴴ g`.
    fn send_back(
        &mut self,
        g: DMatrix<F>,
        variance: &Variance,
        image: DMatrix<F>,
        ports: &mut Ports<'_, F>,
    ) -> Result<(), AmpError> {
        let input = match &self.input {
            Some(x) => x,
            None => &ports.posterior(0)?.mean,
        };
        let k = input.nrows() as f64;
        let precision = match self.variances {
            Variances::Shared => {
                let one = |t: usize| {
                    let certain = ports.sent(1).precision.mean(t);
                    if self.by_curvature {
                        let told = (1.0 - variance.mean(t) * certain).max(0.0);
                        told * certain * g.nrows() as f64 / k
                    } else {
                        mean_square(column(&g, t)) * g.nrows() as f64 / k
                    }
                };
                Diagonal::Shared((0..g.ncols()).map(one).collect())
            }
            Variances::PerComponent => {
                let told = |i, t| {
                    let certain = ports.sent(1).precision.at(i, t);
                    certain * (1.0 - variance.at(i, t) * certain)
                };
                let (rows, problems) = g.shape();
                let told = match self.by_curvature {
                    true => DMatrix::from_fn(rows, problems, told),
                    false => g.map(|g| g.modulus_squared()),
                };
                // One row may count against what is known, as that of a modulus; all rows do not.
                let all = self.squared(&told, true)? / k;
                Diagonal::Each(all.map(|precision| precision.max(0.0)))
            }
        };
        let mut field = image;
        let scale = 1.0 / k.sqrt();
        for (t, field) in field.as_mut_slice().chunks_mut(input.nrows()).enumerate() {
            let precision = precision.column(t);
            let pairs = field.iter_mut().zip(column(input, t));
            for (j, (b, x)) in pairs.enumerate() {
                *b = b.scale(scale) + x.scale(precision.at(j));
            }
        }
        self.score = Some(average(self.score.take(), g, ports.step(0)));
        ports.send(0, Message { precision, field }, None);
        Ok(())
    }

    /// Products with the squared moduli of the entries.
    fn squared(&self, x: &DMatrix<f64>, adjoint: bool) -> Result<DMatrix<f64>, AmpError> {
        let shape = self.matrix.shape();
        let rows = if adjoint { shape.columns } else { shape.rows };
        let mut y = DMatrix::zeros(rows, x.ncols());
        let columns = x.as_slice().chunks(x.nrows());
        for (x, y) in columns.zip(y.as_mut_slice().chunks_mut(rows)) {
            if adjoint {
                self.matrix.apply_squared_adjoint_column(x, y)?;
            } else {
                self.matrix.apply_squared_column(x, y)?;
            }
        }
        Ok(y)
    }
}

impl<F: Field> Rule<F> for Linear<F> {
    fn update(&mut self, targets: &[usize], ports: &mut Ports<'_, F>) -> Result<(), AmpError> {
        for target in targets {
            match target {
                0 => self.backward(ports)?,
                _ => self.forward(ports)?,
            }
        }
        Ok(())
    }

    /// One read of `W`: row `i` of the backward message needs `ω_i` and what is known before, as
    /// long as `V` is one number for all rows.
    fn pass(
        &mut self,
        outer: &dyn Componentwise<F>,
        above: &Message<F>,
        ports: &mut Ports<'_, F>,
    ) -> Result<Option<[Posterior<F>; 2]>, AmpError> {
        let estimate = ports.posterior(0)?;
        let x = estimate.mean.clone();
        let Shape { rows, columns } = self.matrix.shape();
        let fits = x.shape() == (columns, 1) && above.field.shape() == (rows, 1);
        let undamped = ports.step(0) == 1.0 && ports.step(1) == 1.0;
        if self.variances != Variances::Shared || !fits || !undamped {
            return Ok(None);
        }
        let claimed = estimate.variance.mean(0);
        let v = claimed.max(self.floor);
        let (scale, precision, back) = (1.0 / (columns as f64).sqrt(), 1.0 / v, claimed / v);
        let above = above.fields(0);
        // Of every row: g, the field sent, and the moments of h and of φ(h).
        const KEPT: usize = 6;
        let mut kept = vec![F::zero(); KEPT * rows];
        if let Some(old) = &self.score {
            let g = kept.iter_mut().step_by(KEPT);
            g.zip(old.iter()).for_each(|(g, old)| *g = *old);
        }
        let channel = |first: usize, z: &[F], out: &mut [F], kept: &mut [F]| {
            let kept = kept.as_chunks_mut::<KEPT>().0;
            let omega = z.iter().map(|z| z.scale(scale));
            let old = kept.iter().map(|k| k[0]);
            let field: Vec<F> = omega
                .zip(old)
                .map(|(z, g)| z.unscale(v) - g.scale(back))
                .collect();
            let mut moments = vec![[(F::zero(), 0.0); 2]; z.len()];
            let below = Fields {
                precision: Precisions::Shared(precision),
                field: &field,
            };
            let above = above.run(first..first + z.len());
            outer.moments(first, below, above, &mut moments);
            for ((([h, x], b), g), kept) in moments.iter().zip(&field).zip(out).zip(kept) {
                *g = h.0.scale(precision) - *b;
                *kept = [*g, *b, h.0, F::from_real(h.1), x.0, F::from_real(x.1)];
            }
        };
        let mut image = DMatrix::zeros(columns, 1);
        self.matrix
            .apply_through(x.as_slice(), &channel, &mut kept, image.as_mut_slice());
        let [mut g, mut b, mut h, mut x_out] = [(); 4].map(|()| Vec::with_capacity(rows));
        let [mut h_variance, mut x_variance] = [(); 2].map(|()| Vec::with_capacity(rows));
        for kept in kept.as_chunks::<KEPT>().0 {
            g.push(kept[0]);
            b.push(kept[1]);
            h.push(kept[2]);
            h_variance.push(kept[3].real());
            x_out.push(kept[4]);
            x_variance.push(kept[5].real());
        }
        let block = |column| DMatrix::from_vec(rows, 1, column);
        let moments = [(h, h_variance), (x_out, x_variance)].map(|(mean, variance)| Posterior {
            mean: block(mean),
            variance: Diagonal::Each(DMatrix::from_vec(rows, 1, variance)),
        });
        self.input = Some(x);
        let message = Message {
            precision: Diagonal::Shared(vec![precision]),
            field: block(b),
        };
        ports.send(1, message, None);
        self.send_back(block(g), &moments[0].variance, image, ports)?;
        Ok(Some(moments))
    }

    /// `Σ |ω - W x/√k|²/(2V) - Re γᴴx + Σ Λ(|x|² + c)/2`: the expansion of the exchange through
    /// the matrix, and the message to `x` taken back.
    fn log_partition(&self, ports: &Ports<'_, F>) -> Result<Vec<f64>, AmpError> {
        let estimate = ports.posterior(0)?;
        let (below, above) = (ports.sent(0), ports.sent(1));
        let image = self.matrix.apply(&estimate.mean)?;
        let scale = 1.0 / (estimate.mean.nrows() as f64).sqrt();
        let share = |t: usize| {
            let rows: f64 = (0..image.nrows())
                .map(|i| {
                    let v = 1.0 / above.precision.at(i, t);
                    let difference = above.field[(i, t)].scale(v) - image[(i, t)].scale(scale);
                    difference.modulus_squared() / (2.0 * v)
                })
                .sum();
            let columns: f64 = (0..estimate.mean.nrows())
                .map(|j| {
                    let x = estimate.mean[(j, t)];
                    let second = x.modulus_squared() + estimate.variance.at(j, t);
                    0.5 * below.precision.at(j, t) * second
                        - (below.field[(j, t)].conjugate() * x).real()
                })
                .sum();
            rows + columns
        };
        Ok((0..ports.problems()).map(share).collect())
    }

    fn remember(&mut self, memory: Memory) {
        if memory == Memory::Independent {
            self.score = None;
            self.input = None;
        }
    }

    fn recall(&mut self, scores: DMatrix<F>) {
        self.score = Some(scores);
    }

    fn products(&self) -> u64 {
        let products = self.matrix.products();
        products.forward + products.adjoint
    }

    fn bytes(&self) -> usize {
        self.matrix.bytes()
    }
}

/// `g = (E h - ω)/V`, with the `ω` and `V` that the other side has seen.
fn score<F: Field>(ports: &Ports<'_, F>) -> Result<DMatrix<F>, AmpError> {
    let h = &ports.posterior(1)?.mean;
    let sent = ports.sent(1);
    Ok(DMatrix::from_fn(h.nrows(), h.ncols(), |i, t| {
        h[(i, t)].scale(sent.precision.at(i, t)) - sent.field[(i, t)]
    }))
}

/// Precisions of variances that are never taken below a floor.
fn inverse(variance: &Diagonal, floor: f64) -> Precision {
    let one = |v: f64| 1.0 / v.max(floor);
    match variance {
        Diagonal::Shared(v) => Diagonal::Shared(v.iter().map(|v| one(*v)).collect()),
        Diagonal::Each(v) => Diagonal::Each(v.map(one)),
    }
}
