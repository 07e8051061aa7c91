//! Phase diagrams: the two ways to compute one agree, and lines end where they must.

mod common;

use std::sync::Arc;

use onsager_model::{Chain, ModelError, Tree};
use onsager_replica::{Diagram, Key, Line, ReplicaError, ThresholdKind};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::likelihood::Noiseless;
use onsager_scalar::prior::GaussBernoulli;

use common::close;

fn filled(
    mut diagram: Diagram,
    family: impl Fn(f64, f64) -> Result<Tree, ModelError>,
    halvings: u32,
) -> Diagram {
    loop {
        let missing = diagram.missing(halvings);
        if missing.is_empty() {
            return diagram;
        }
        for value in missing {
            let column = diagram.column(&family, value);
            diagram.insert(column);
        }
    }
}

fn of(lines: &[Line], kind: ThresholdKind) -> Vec<&Line> {
    lines.iter().filter(|line| line.kind == kind).collect()
}

/// Exact measurements of a sparse signal: one curve a column against one curve a cell and secants.
#[test]
fn a_curve_for_a_column_is_as_good_as_one_for_every_cell() {
    let family = |sparsity: f64, ratio: f64| {
        let prior = GaussBernoulli::new(sparsity, 0.0, 1.0)?;
        let linear = Noiseless::new(PiecewiseLinear::linear());
        Chain::new(Arc::new(prior)).glm(ratio, Arc::new(linear))
    };
    let grid = |key| {
        let diagram = Diagram::new(vec![0.1, 0.3, 0.5], vec![0.05, 0.23, 0.41, 0.59, 0.77], key);
        filled(diagram.unwrap(), family, 0)
    };
    let (fast, slow) = (grid(Key::SamplingRatio), grid(Key::Other));
    for (a, b) in fast.columns().iter().zip(slow.columns()) {
        for (x, y) in a.cells.iter().zip(&b.cells) {
            let (x, y) = (x.as_ref().unwrap(), y.as_ref().unwrap());
            close(x.algorithmic, y.algorithmic, 1e-8 * a.value);
            close(x.optimal, y.optimal, 1e-8 * a.value);
        }
        assert!(
            a.cells
                .iter()
                .all(|x| x.as_ref().unwrap().algorithmic <= a.value)
        );
    }
    let (fast, slow) = (fast.lines(), slow.lines());
    for kind in [
        ThresholdKind::Algorithmic,
        ThresholdKind::InformationTheoretic,
    ] {
        let (a, b) = (of(&fast, kind), of(&slow, kind));
        assert_eq!((a.len(), b.len()), (1, 1), "{fast:?} {slow:?}");
        assert_eq!((a[0].points.len(), b[0].points.len()), (3, 3));
        for (p, q) in a[0].points.iter().zip(&b[0].points) {
            close(p.along, q.along, 1e-6 * p.along);
            if kind == ThresholdKind::InformationTheoretic {
                // As many measurements as nonzero components.
                close(p.along, p.across, 1e-12);
            }
        }
    }
}

/// The hard phase of sparse spikes ends at a cusp, which the columns in between approach.
#[test]
fn lines_are_followed_to_where_they_end() {
    let family = |sparsity: f64, noise: f64| {
        let prior = GaussBernoulli::new(sparsity, 0.0, 1.0)?;
        Chain::new(Arc::new(prior)).spiked_wigner(noise)
    };
    let halvings = 5;
    let diagram = Diagram::new(vec![0.1, 0.2, 0.3, 0.4], vec![1e-3, 0.05, 0.3], Key::Noise);
    let diagram = filled(diagram.unwrap(), family, halvings);
    let lines = diagram.lines();
    // From tests/reference/sparse_thresholds.csv.
    let cusp = 0.2722077363202546;
    let gap = 0.1 / 2f64.powi(halvings as i32);
    for kind in [ThresholdKind::Algorithmic, ThresholdKind::Dynamical] {
        let found = of(&lines, kind);
        assert_eq!(found.len(), 1, "{lines:?}");
        let end = found[0].points.last().unwrap().across;
        assert!(
            end < cusp && cusp < end + 1.001 * gap,
            "{kind:?} ends at {end}"
        );
    }
    let weak = of(&lines, ThresholdKind::WeakRecovery);
    let (first, last) = (
        weak[0].points.first().unwrap(),
        weak[0].points.last().unwrap(),
    );
    assert_eq!((weak.len(), first.across, last.across), (1, 0.1, 0.4));
}

#[test]
fn what_is_refused_says_so_in_its_place() {
    let refused = |across: Vec<f64>, along: Vec<f64>, message: &str| {
        let error = Diagram::new(across, along, Key::Noise).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    };
    refused(
        vec![1.0],
        vec![1.0, 2.0],
        "values across must lie in a set of two or more, got 1",
    );
    refused(
        vec![1.0, 2.0],
        vec![2.0, 1.0],
        "values along must lie in increasing order, got 1",
    );
    refused(vec![1.0, f64::NAN], vec![1.0, 2.0], "values across");
    refused(
        vec![1.0, 2.0],
        vec![0.0, 1.0],
        "the positive numbers, got 0",
    );
    // Sparsities beyond 1 have no model; the other column stands.
    let family = |sparsity: f64, noise: f64| {
        let prior = GaussBernoulli::new(sparsity, 0.0, 1.0)?;
        Chain::new(Arc::new(prior)).spiked_wigner(noise)
    };
    let diagram = Diagram::new(vec![0.5, 1.5], vec![0.1, 0.2], Key::Noise).unwrap();
    let diagram = filled(diagram, family, 3);
    assert_eq!(diagram.columns().len(), 2);
    let [kept, failed] = diagram.columns() else {
        panic!("two columns");
    };
    assert!(kept.thresholds.is_ok() && kept.cells.iter().all(Result::is_ok));
    assert!(matches!(failed.thresholds, Err(ReplicaError::Model(_))));
    assert!(failed.cells.iter().all(Result::is_err));
}
