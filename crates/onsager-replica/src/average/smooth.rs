//! Rules for layers whose function bends everywhere.

use onsager_scalar::Activation;
use onsager_scalar::quadrature::Rule;

use super::grid::Node;

/// Largest step in `ω`, in units of the length `√(V + bend²)` over which posteriors change.
pub(super) const FIELD: f64 = 0.4;

/// Gauss-Legendre nodes to a panel of `PANEL` local widths.
const ORDER: usize = 12;
const PANEL: f64 = 2.5;

/// Nodes in `β` for all `h` in `±reach`, and `margin` beyond its values.
///
/// Where `h ~ N(ω, V)` stays on a stretch on which `φ` hardly bends, the deviation of `β` is
/// `√(1 + a φ'² V)`, and no feature of the posterior is narrower than that; stretches longer than
/// half of `bend` count as one. Panels have ends here because the local width is not the slope of any change
/// of variable in closed form; `finer` divides their widths.
pub(super) fn nodes(
    phi: &dyn Activation,
    bend: f64,
    (a, v): (f64, f64),
    (reach, margin): (f64, f64),
    finer: f64,
) -> Vec<Node> {
    let panel = PANEL / finer;
    let root = a.sqrt();
    let stretch = v.sqrt().min(0.5 * bend);
    let beta = |h: f64| root * phi.apply(h);
    let mut edges = vec![beta(-reach)];
    let mut h = -reach;
    let mut passed = 0.0;
    let step = 0.5 * bend;
    while h < reach {
        let (from, to) = (beta(h), beta(h + step));
        // Deviation over this step, and the widths that it spans; a new edge after `panel` of them.
        let width = 1f64.hypot((to - from) / step * stretch);
        let spanned = (to - from) / width;
        let parts = ((passed + spanned) / panel).floor();
        for k in 1..=parts as usize {
            let share = (k as f64 * panel - passed) / spanned;
            edges.push(from + share * (to - from));
        }
        passed += spanned - parts * panel;
        h += step;
    }
    edges.push(beta(h));
    let (first, last) = (edges[0], edges[edges.len() - 1]);
    let wings = (margin / panel).ceil() as usize;
    let mut all: Vec<f64> = (1..=wings)
        .rev()
        .map(|k| first - panel * k as f64)
        .collect();
    all.extend(edges);
    all.extend((1..=wings).map(|k| last + panel * k as f64));
    let rule = Rule::new(ORDER).expect("a rule of this order exists");
    all.windows(2).flat_map(|e| rule.on(e[0], e[1])).collect()
}
