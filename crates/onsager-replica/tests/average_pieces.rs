//! Layers of other shapes: even, three pieces, a jump beside a slope. Their channels are summed
//! over `h` by quadrature here, so that nothing but the pieces is shared with the library.

use onsager_replica::average::{Order, Overlap, layer, layer_general};
use onsager_scalar::Moments;
use onsager_scalar::activation::{Activation, Channel, Parity, Piece};
use onsager_scalar::quadrature::{Panels, Rule};
use onsager_scalar::special::normal_density;

#[derive(Debug)]
struct Broken {
    pieces: Vec<Piece>,
    parity: Parity,
}

impl Broken {
    /// Pieces given as (upper end, offset, slope), from left to right.
    fn new(list: &[(f64, f64, f64)], parity: Parity) -> Self {
        let mut lower = f64::NEG_INFINITY;
        let pieces = list
            .iter()
            .map(|&(upper, offset, slope)| {
                let piece = Piece {
                    lower,
                    upper,
                    offset,
                    slope,
                };
                lower = upper;
                piece
            })
            .collect();
        Self { pieces, parity }
    }

    /// `h`, `x` and `ln` weight at the nodes of all pieces, panels of two posterior deviations.
    fn nodes(&self, a: f64, b: f64, omega: f64, v: f64) -> Vec<(f64, f64, f64)> {
        let mut nodes = vec![];
        for p in &self.pieces {
            let (low, high) = (
                p.lower.max(omega - 10.0 * v.sqrt()),
                p.upper.min(omega + 10.0 * v.sqrt()),
            );
            if low >= high {
                continue;
            }
            let sd = (v / (1.0 + a * p.slope * p.slope * v)).sqrt();
            let count = ((high - low) / (2.0 * sd)).ceil();
            let ends = (0..=count as i32).map(|k| low + (high - low) * f64::from(k) / count);
            for (h, w) in Panels::new(ends).unwrap().nodes(Rule::new(12).unwrap()) {
                let x = p.at(h);
                let u = (h - omega) / v.sqrt();
                let log = b * x - 0.5 * a * x * x - 0.5 * u * u;
                nodes.push((h, x, log + (w * normal_density(0.0) / v.sqrt()).ln()));
            }
        }
        nodes
    }
}

impl Activation for Broken {
    fn apply(&self, h: f64) -> f64 {
        self.pieces
            .iter()
            .find(|p| h < p.upper)
            .map_or(h, |p| p.at(h))
    }
    fn channel(&self, a: f64, b: f64, omega: f64, v: f64) -> Channel {
        let mut nodes = self.nodes(a, b, omega, v);
        let top = nodes.iter().fold(f64::NEG_INFINITY, |m, n| m.max(n.2));
        nodes.iter_mut().for_each(|n| n.2 = (n.2 - top).exp());
        let z: f64 = nodes.iter().map(|n| n.2).sum();
        let mean =
            |f: &dyn Fn(f64, f64) -> f64| nodes.iter().map(|n| n.2 * f(n.0, n.1)).sum::<f64>() / z;
        let (h, x) = (mean(&|h, _| h - omega) + omega, mean(&|_, x| x));
        let (var_h, var_x) = (mean(&|t, _| (t - h).powi(2)), mean(&|_, t| (t - x).powi(2)));
        Channel {
            log_partition: top + z.ln(),
            output: Moments {
                mean: x,
                variance: var_x,
            },
            input: Moments {
                mean: h,
                variance: var_h,
            },
            score: (h - omega) / v,
            curvature: 1.0 / v - var_h / (v * v),
        }
    }
    fn mean(&self, r: f64) -> f64 {
        self.nodes(0.0, 0.0, 0.0, r)
            .iter()
            .map(|n| n.2.exp() * n.1)
            .sum()
    }
    fn second_moment(&self, r: f64) -> f64 {
        self.nodes(0.0, 0.0, 0.0, r)
            .iter()
            .map(|n| n.2.exp() * n.1 * n.1)
            .sum()
    }
    fn linear_gain(&self, r: f64) -> f64 {
        self.nodes(0.0, 0.0, 0.0, r)
            .iter()
            .map(|n| n.2.exp() * n.0 * n.1)
            .sum::<f64>()
            / r
    }
    fn parity(&self) -> Parity {
        self.parity
    }
    fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
    fn sloped_fraction(&self, _: f64) -> f64 {
        f64::NAN // Not used by averages.
    }
}

fn shapes() -> [Broken; 4] {
    let inf = f64::INFINITY;
    [
        Broken::new(&[(0.0, 0.0, -1.0), (inf, 0.0, 1.0)], Parity::Even),
        Broken::new(
            &[(-1.0, -1.0, 0.0), (1.0, 0.0, 1.0), (inf, 1.0, 0.0)],
            Parity::Odd,
        ),
        Broken::new(
            &[(-0.3, 0.0, 0.0), (0.8, 1.5, 0.0), (inf, -1.0, 0.0)],
            Parity::None,
        ),
        Broken::new(&[(0.5, 0.2, 0.4), (inf, 1.0, 1.5)], Parity::None),
    ]
}

/// Identities that no rule is built to respect: the mass, `E v² + E c = ρ`, two forms of `E g²`.
/// The channels above carry about twelve digits of `h - ω`, which `E g²` divides by `V`.
#[test]
fn averages_check_themselves() {
    for phi in &shapes() {
        for (av, q) in [(0.1, 0.3), (1.0, 0.9), (10.0, 0.05)] {
            let (q, v) = (1.3 * q, 1.3 * (1.0 - q));
            let x = layer(phi, av / v, q, v).unwrap();
            assert!(x.error < 1e-9, "{phi:?} aV = {av} q = {q}: {x:?}");
        }
    }
}

/// `∂Ψ/∂ ln a = a overlap/2`, by an eighth-order difference.
#[test]
fn potential_has_half_the_overlap_as_slope() {
    for phi in &shapes()[..2] {
        let (a, q, v) = (6.0, 0.9, 0.4);
        let psi = |t: f64| layer(phi, a * f64::exp(t), q, v).unwrap().potential;
        let d: f64 = [4.0 / 5.0, -1.0 / 5.0, 4.0 / 105.0, -1.0 / 280.0]
            .iter()
            .zip([0.05, 0.1, 0.15, 0.2])
            .map(|(c, t)| c * (psi(t) - psi(-t)) / 0.05)
            .sum();
        let x = layer(phi, a, q, v).unwrap();
        // 1e-10 aρ on Ψ over the step.
        assert!(
            (d - 0.5 * a * x.overlap).abs() < 2e-8 * a,
            "{phi:?}: {d} {x:?}"
        );
    }
}

#[test]
fn general_averages_meet_the_matched_ones() {
    for phi in &shapes() {
        let (a, q, v) = (6.0, 0.9, 0.4);
        let x = layer(phi, a, q, v).unwrap();
        let field = Overlap {
            truth: q,
            norm: q,
            variance: v,
        };
        let (y, g) = layer_general(phi, phi, field, q + v, Order::matched(a)).unwrap();
        for (y, x) in [
            (y.truth, x.overlap),
            (y.norm, x.overlap),
            (y.variance, x.mmse),
            (g.response, x.score),
            (g.norm, x.score),
            (g.curvature, x.score),
        ] {
            assert!((y - x).abs() < 1e-8 * x, "{phi:?}: {y} {x}");
        }
    }
}

/// Smooth functions, and noise around them: the two rules share no node, and a noisy layer is
/// computed through its channel in one and through closed forms in the other.
#[test]
fn smooth_and_noisy_layers_meet_the_matched_ones() {
    use onsager_scalar::activation::{Noisy, PiecewiseLinear, Smooth, Tanh};
    use std::sync::Arc;
    let noisy = |phi: Arc<dyn Activation>, before, after| Noisy::new(phi, before, after).unwrap();
    let layers: [Arc<dyn Activation>; 5] = [
        Arc::new(Smooth::new(Tanh)),
        Arc::new(noisy(Arc::new(Smooth::new(Tanh)), 0.2, 0.1)),
        Arc::new(noisy(Arc::new(PiecewiseLinear::relu()), 0.3, 0.0)),
        Arc::new(noisy(Arc::new(PiecewiseLinear::sign()), 0.05, 0.4)),
        Arc::new(noisy(Arc::new(PiecewiseLinear::hard_tanh()), 0.0, 0.02)),
    ];
    for phi in &layers {
        let (a, q, v) = (6.0, 0.9, 0.4);
        let x = layer(&**phi, a, q, v).unwrap();
        let rho = phi.second_moment(q + v);
        assert!(
            (x.overlap + x.mmse - rho).abs() < 1e-9 * rho,
            "{phi:?} {x:?}"
        );
        assert!(
            (v * x.score - 1.0 + x.field_mmse / v).abs() < 1e-9,
            "{phi:?} {x:?}"
        );
        let field = Overlap {
            truth: q,
            norm: q,
            variance: v,
        };
        let (y, g) = layer_general(&**phi, &**phi, field, q + v, Order::matched(a)).unwrap();
        for (y, x) in [
            (y.truth, x.overlap),
            (y.norm, x.overlap),
            (y.variance, x.mmse),
            (g.response, x.score),
            (g.norm, x.score),
            (g.curvature, x.score),
        ] {
            assert!((y - x).abs() < 1e-8 * x, "{phi:?}: {y} {x}");
        }
        // ∂Ψ/∂ ln a = a overlap/2, by an eighth-order difference.
        let psi = |t: f64| layer(&**phi, a * f64::exp(t), q, v).unwrap().potential;
        let d: f64 = [4.0 / 5.0, -1.0 / 5.0, 4.0 / 105.0, -1.0 / 280.0]
            .iter()
            .zip([0.05, 0.1, 0.15, 0.2])
            .map(|(c, t)| c * (psi(t) - psi(-t)) / 0.05)
            .sum();
        assert!(
            (d - 0.5 * a * x.overlap).abs() < 2e-8 * a,
            "{phi:?}: {d} {x:?}"
        );
    }
}
