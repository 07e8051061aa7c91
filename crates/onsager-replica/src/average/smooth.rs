//! Rules for layers whose function bends everywhere.
//!
//! At given `ω` both integrals are sums over one grid each, `h = ω + √V z` and `β`, and all posteriors
//! of `h` share the table `exp(-(β - √a φ(h))²/2)`.

use std::f64::consts::PI;

use onsager_scalar::Activation;
use onsager_scalar::quadrature::Rule;
use onsager_scalar::special::normal_density;

use super::grid::Node;

/// Largest step in `ω`, in units of the length `√(V + bend²)` over which posteriors change.
pub(super) const FIELD: f64 = 0.4;

/// Gauss-Legendre nodes to a panel of `PANEL` local widths.
const ORDER: usize = 12;
const PANEL: f64 = 2.5;

/// Step in `t`, in which the standard deviation of every posterior of `h` is 1 or more.
const STEP: f64 = 0.8;

/// Largest `√a |φ|` at which the message is weighed against none: `ln Z` then keeps its digits,
/// however small it is.
const GENTLE: f64 = 1.0;

/// The integrals over `β` and `h`, and what they need at the present `ω`.
pub(super) struct Bent<'a> {
    phi: &'a dyn Activation,
    bend: f64,
    a: f64,
    v: f64,
    /// Step in `t`.
    step: f64,
    /// `√a |φ|` is at most [`GENTLE`].
    is_gentle: bool,
    /// Nodes in `β` at the present `ω`.
    betas: Vec<Node>,
    /// The rule on every panel of them.
    rule: &'static Rule,
    /// Local widths to a panel.
    panel: f64,
    /// Places `z`, by increasing value; `√a φ` and its slope in `z` there; weights; `√a φ` counted
    /// from its value at `ω`.
    fields: [Vec<f64>; 5],
    /// Weights of the posterior at one `β`.
    posterior: Vec<f64>,
}

impl<'a> Bent<'a> {
    /// For `h` within `±reach`; `finer` divides every step.
    pub(super) fn new(
        phi: &'a dyn Activation,
        bend: f64,
        (a, v): (f64, f64),
        reach: f64,
        finer: f64,
    ) -> Self {
        let largest = phi.apply(reach).abs().max(phi.apply(-reach).abs());
        Self {
            phi,
            bend,
            a,
            v,
            step: STEP / finer,
            is_gentle: a.sqrt() * largest < GENTLE,
            betas: vec![],
            rule: Rule::new(ORDER).expect("a rule of this order exists"),
            panel: PANEL / finer,
            fields: Default::default(),
            posterior: vec![],
        }
    }

    /// Nodes in `β` for all `h` within `reach` deviations of `ω`, and as far beyond its values.
    ///
    /// Where `h ~ N(ω, V)` stays on a stretch on which `φ` hardly bends, the deviation of `β` is
    /// `√(1 + a φ'² V)`, and no feature of the posterior is narrower than that; stretches longer than
    /// a quarter of `bend` count as one. Panels have ends here because the local width is not the slope of any change
    /// of variable in closed form. Every `ω` has its own: nodes for all of them would be as many as
    /// `√V` or the message tells fields apart, millions at strong messages.
    fn place_betas(&mut self, omega: f64, reach: f64) {
        let (root, sd, panel) = (self.a.sqrt(), self.v.sqrt(), self.panel);
        let stretch = sd.min(0.25 * self.bend);
        let beta = |h: f64| root * self.phi.apply(h);
        let (start, span) = (omega - reach * sd, 2.0 * reach * sd);
        let steps = (span / (0.5 * self.bend)).ceil();
        let step = span / steps;
        let wings = (reach / panel).ceil() * panel;
        let rule = self.rule;
        let betas = &mut self.betas;
        betas.clear();
        let mut last = beta(start) - wings;
        let mut up_to = |edge: f64| {
            betas.extend(rule.on(last, edge));
            last = edge;
        };
        let wing = |from: f64| (1..=(wings / panel) as usize).map(move |k| from + k as f64 * panel);
        wing(beta(start) - wings).for_each(&mut up_to);
        let mut passed = 0.0;
        let mut from = beta(start);
        for k in 1..=steps as usize {
            let to = beta(start + k as f64 * step);
            // Deviation over this step, and the widths that it spans; a new edge after `panel` of them.
            let width = 1f64.hypot((to - from) / step * stretch);
            let spanned = (to - from) / width;
            let parts = ((passed + spanned) / panel).floor();
            for k in 1..=parts as usize {
                let share = (k as f64 * panel - passed) / spanned;
                up_to(from + share * (to - from));
            }
            passed += spanned - parts * panel;
            from = to;
        }
        up_to(from);
        wing(from).for_each(up_to);
    }

    /// Adds the averages of `[1, v², c, g², Var h, (∂g/∂ω)², ln Z, ln Z - b²/(2a)]` at one `ω`, with
    /// all Gaussians within `reach` standard deviations.
    pub(super) fn add(&mut self, omega: f64, weight: f64, reach: f64, sum: &mut [f64; 8]) {
        let (root, sd) = (self.a.sqrt(), self.v.sqrt());
        let map = Map {
            phi: self.phi,
            omega,
            root,
            sd,
            even: 1.0 + sd / self.bend,
            step: self.step,
            bend: self.bend,
        };
        let centre = map.at(0.0).image;
        self.place_betas(omega, reach);
        self.fields.iter_mut().for_each(Vec::clear);
        let (mut first, mut last) = (0, 0);
        let mut place = map.at(-reach);
        for &(beta, step) in &self.betas {
            let images = &self.fields[1];
            while first < images.len() && images[first] < beta - reach {
                first += 1;
            }
            // Far behind its message the grid begins anew, so that it costs no more than what the
            // messages see.
            if place.z <= reach && beta - reach - place.image > JUMP * self.step {
                place = map.towards(beta - reach, place, reach);
                first = images.len();
                last = first;
            }
            while place.z <= reach && place.image < beta + reach {
                let weight = self.step / (map.even + place.slope) * normal_density(place.z);
                let rise = map.rise(place, centre);
                let node = [place.z, place.image, place.slope, weight, rise];
                for (field, x) in self.fields.iter_mut().zip(node) {
                    field.push(x);
                }
                place = map.next(place);
            }
            let [z, images, slopes, weights, rises] = &self.fields;
            while last < z.len() && images[last] < beta + reach {
                last += 1;
            }
            if first >= last {
                continue;
            }
            let range = first..last;
            let (z, images) = (&z[range.clone()], &images[range.clone()]);
            let (slopes, weights) = (&slopes[range.clone()], &weights[range.clone()]);
            let rises = &rises[range];
            let gentle = self.is_gentle;
            self.posterior.clear();
            self.posterior
                .extend(images.iter().zip(weights).map(|(x, w)| {
                    let energy = if gentle {
                        x * (0.5 * x - beta)
                    } else {
                        0.5 * (beta - x) * (beta - x)
                    };
                    w * (-energy).exp()
                }));
            let p = &self.posterior;
            let [mut mass, mut rise, mut field, mut force] = [0.0; 4];
            for i in 0..p.len() {
                mass += p[i];
                rise += p[i] * rises[i];
                field += p[i] * z[i];
                force += p[i] * (beta - images[i]) * slopes[i];
            }
            let [rise, field, force] = [rise, field, force].map(|sum| sum / mass);
            let image = centre + rise;
            let [mut var_image, mut var_field, mut steepness] = [0.0; 3];
            for i in 0..p.len() {
                steepness += p[i] * slopes[i] * slopes[i];
                var_image += p[i] * (rises[i] - rise).powi(2);
                var_field += p[i] * (z[i] - field).powi(2);
            }
            let [var_image, var_field] = [var_image, var_field].map(|sum| sum / mass);
            // The slope of the exponent where the prior holds h, the distance to the prior where
            // the message does: neither cancels there. The variance does not tell which: where reach
            // ends it is small for want of places.
            let score = if steepness < mass { force } else { field };
            let square = 0.5 * beta * beta;
            let (free, rest, noise) = if gentle {
                (mass.ln(), mass.ln() - square, (-square).exp())
            } else {
                (mass.ln() + square, mass.ln(), 1.0)
            };
            let weight = weight * step * mass * noise / (2.0 * PI).sqrt();
            let values = [
                1.0,
                (image / root).powi(2),
                var_image / self.a,
                (score / sd).powi(2),
                self.v * var_field,
                ((1.0 - var_field) / self.v).powi(2),
                free,
                rest,
            ];
            for (sum, value) in sum.iter_mut().zip(values) {
                *sum += weight * value;
            }
        }
    }
}

/// The change of variable `t = (1 + √V/bend) z + √a φ` at one `ω`, in which no posterior is narrower
/// than 1, and which is analytic in a strip of the width of the function's own.
struct Map<'a> {
    phi: &'a dyn Activation,
    omega: f64,
    root: f64,
    sd: f64,
    /// `1 + √V/bend`.
    even: f64,
    step: f64,
    bend: f64,
}

/// A place `z`, with `√a φ` and its slope in `z`.
#[derive(Clone, Copy)]
struct Place {
    z: f64,
    image: f64,
    slope: f64,
}

impl Map<'_> {
    fn at(&self, z: f64) -> Place {
        let [x, slope] = self.phi.jet(self.omega + self.sd * z);
        Place {
            z,
            image: self.root * x,
            slope: self.root * self.sd * slope,
        }
    }

    /// `√a φ` at a place counted from its value at `z = 0`, to relative digits.
    fn rise(&self, place: Place, centre: f64) -> f64 {
        let step = self.sd * place.z;
        if step.abs() > NARROW * self.bend {
            return place.image - centre;
        }
        self.root * step * self.phi.jet(self.omega + 0.5 * step)[1]
    }

    /// One step of `t` further.
    fn next(&self, place: Place) -> Place {
        let goal = self.even * place.z + place.image + self.step;
        let mut next = self.at(place.z + self.step / (self.even + place.slope));
        for _ in 0..NEWTON {
            let miss = goal - self.even * next.z - next.image;
            if miss.abs() < CLOSE + 4.0 * f64::EPSILON * goal.abs() {
                break;
            }
            next = self.at(next.z + miss / (self.even + next.slope));
        }
        next
    }

    /// The last place found, by bisection, before `√a φ` reaches `image`.
    fn towards(&self, image: f64, from: Place, end: f64) -> Place {
        let (mut below, mut above) = (from, end);
        while image - below.image > JUMP * self.step && above - below.z > f64::EPSILON * end {
            let middle = self.at(0.5 * (below.z + above));
            if middle.image < image {
                below = middle;
            } else {
                above = middle.z;
            }
        }
        below
    }
}

/// Steps of the field, in units of `bend`, that the slope half-way describes better than the difference of
/// two values: their errors, the square of the step and its inverse times rounding, cross at 1e-10.
const NARROW: f64 = 3e-5;

/// Steps that are worth looking for the next place that is needed.
const JUMP: f64 = 20.0;

/// Newton's method doubles its digits: from the first guess eight steps are more than enough.
const NEWTON: usize = 8;
/// Error of a place in `t`, beside its rounding.
const CLOSE: f64 = 1e-13;
