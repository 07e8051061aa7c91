//! Numerical derivatives that know their error.

use crate::quadrature::Estimate;

/// Rounding of a function relative to its value.
const ROUNDING: f64 = 8.0 * f64::EPSILON;
/// Steps tried, each half of the one before.
const STEPS: usize = 28;
/// The least of them, at which what is not linear in a function is its rounding.
const LEAST: usize = 6;

/// `f'(x)` from central differences, extrapolated to step zero, with an error estimate.
///
/// Steps run from `step` down by halves; Neville's table in the square of the step removes the
/// truncation error order by order. An entry is judged by how far it moves when an order or a
/// step is added, plus the rounding of the differences behind it, by its distance from the best
/// entry of half the step, and by the entries of all smaller steps: one that contradicts them has
/// stepped over a feature and is dropped. The best of the rest is returned, so the estimate is
/// honest for smooth functions and large near a kink.
///
/// - **Arguments**: `step`, the largest step: several times the scale on which `f` changes is
///   good, as all smaller scales down to 2^-27 of it are tried; `terms`, the size of the largest
///   terms that `f` adds up where they may cancel, as 1 in the logarithm of a normaliser, or zero.
/// - **Accuracy**: the reported error. The rounding of `f` is measured by its second differences
///   at the least steps, and is not believed to be below 8 units in the last place of its value
///   or one of `terms`: where `f` rounds to steps, differences may vanish together. Where `f` is
///   not finite, a step is left out; if nothing is left, the error is infinite.
///
/// ```
/// use onsager_scalar::conformance::derivative;
/// let slope = derivative(&f64::exp, 1.0, 4.0, 0.0);
/// assert!((slope.value - 1f64.exp()).abs() <= slope.error && slope.error < 1e-10);
/// // A rise near zero that the large steps do not see.
/// let slope = derivative(&|x: f64| x + 0.05 * (20.0 * x).tanh(), 0.0, 64.0, 0.0);
/// assert!((slope.value - 2.0).abs() <= slope.error && slope.error < 1e-7);
/// // A small logarithm has the rounding of the number next to 1 that it is taken of.
/// let slope = derivative(&|x: f64| (1.0 + 1e-12 * x).ln(), 1.0, 4.0, 1.0);
/// assert!((slope.value - 1e-12).abs() <= slope.error && slope.error < 1e-15);
/// ```
pub fn derivative(f: &dyn Fn(f64) -> f64, x: f64, step: f64, terms: f64) -> Estimate {
    let values: Vec<[f64; 4]> = (0..STEPS)
        .map(|k| {
            let h = step * (-(k as f64)).exp2();
            let (low, high) = (x - h, x + h);
            // With the step that rounding leaves.
            [f(low), f(high), high - low, high]
        })
        .collect();
    let centre = f(x);
    let bends = values[STEPS - LEAST - 1..].windows(2).map(|w| {
        let ([_, far, _, farther], [_, near, _, nearer]) = (w[0], w[1]);
        let t = (nearer - x) / (farther - x);
        (near - centre - t * (far - centre)).abs()
    });
    let rounding = 4.0 * bends.fold(0.0, f64::max) + 2.0 * f64::EPSILON * terms;
    // The best entry behind each step, from the largest step down.
    let mut candidates: Vec<Estimate> = Vec::new();
    let mut above: Vec<f64> = Vec::new();
    for [below, beyond, width, _] in values {
        let first = (beyond - below) / width;
        if !(first.is_finite() && width > 0.0) {
            above.clear();
            continue;
        }
        let noise = (rounding + ROUNDING * (below.abs() + beyond.abs())) / width
            + 2.0 * f64::EPSILON * x.abs() / width * first.abs();
        let mut best = Estimate {
            value: first,
            error: f64::INFINITY,
        };
        let mut row = vec![first];
        let mut factor = 1.0;
        for (j, coarse) in above.iter().enumerate() {
            factor *= 4.0;
            let last = row[j];
            let next = last + (last - coarse) / (factor - 1.0);
            let moved = (next - last).abs().max((next - coarse).abs());
            if moved + noise < best.error {
                best = Estimate {
                    value: next,
                    error: moved + noise,
                };
            }
            row.push(next);
        }
        candidates.push(best);
        above = row;
    }
    let mut found = Estimate {
        value: f64::NAN,
        error: f64::INFINITY,
    };
    // What all steps up to the present one leave possible.
    let (mut least, mut greatest) = (f64::NEG_INFINITY, f64::INFINITY);
    let mut smaller = f64::NAN;
    for Estimate { value, error } in candidates.into_iter().rev() {
        // Moves are estimates: four times as far is a contradiction.
        let (low, high) = (value - 4.0 * error, value + 4.0 * error);
        if high < least || low > greatest {
            break;
        }
        (least, greatest) = (least.max(low), greatest.min(high));
        // One entry may hardly move by luck; the best one of another step does not share it.
        let error = error.max((value - smaller).abs());
        smaller = value;
        if error < found.error {
            found = Estimate { value, error };
        }
    }
    found
}
