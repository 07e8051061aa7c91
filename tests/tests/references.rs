//! Fixed points against values that another program found by plain iteration, and sweeps against its runs.

use std::ops::ControlFlow;
use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_amp::{
    Damping, Diagonal, Iteration, Posterior, Problem, Settings, Start, infer_observed,
};
use onsager_ensembles::Seed;
use onsager_model::{Chain, Instance, Teacher};
use onsager_replica::{StateEvolution, ThresholdKind, Thresholds};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::{GaussBernoulli, Gaussian, Mixture};
use onsager_scalar::{Activation, Prior};

fn activation(name: &str) -> Arc<dyn Activation> {
    Arc::new(match name {
        "sign" => PiecewiseLinear::sign(),
        "relu" => PiecewiseLinear::relu(),
        other => panic!("the table has no activation {other}"),
    })
}

/// Columns of `reference/spiked_wigner.csv`: layers, aspects, noise, mmse, uncertainty.
#[test]
fn errors_of_layered_priors_match_plain_iteration() {
    let table = include_str!("../reference/spiked_wigner.csv");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| !line.starts_with('#') && !line.starts_with("layers"))
        .map(|line| line.split(',').collect())
        .collect();
    assert!(
        rows.len() >= 18,
        "the table is incomplete: {} rows",
        rows.len()
    );
    for row in rows {
        let number = |text: &str| text.parse::<f64>().expect("a number");
        let mut chain = Chain::new(Arc::new(Gaussian::standard()));
        for (name, aspect) in row[0].split('-').zip(row[1].split('-')) {
            chain = chain.layer(number(aspect), activation(name));
        }
        let tree = chain.spiked_wigner(number(row[2])).expect("a valid model");
        let prediction = StateEvolution::new(&tree)
            .and_then(|chain| chain.predict())
            .expect("a prediction");
        let (found, expected) = (prediction.algorithmic.mmse, number(row[3]));
        // A fixed point is accurate to 1e-8 in the noise; none of these sits near a transition.
        let bound = 1e-8 * expected + prediction.algorithmic.forward_error + number(row[4]);
        assert!(
            (found - expected).abs() <= bound,
            "{row:?}: found {found}, difference {:.1e}, bound {bound:.1e}",
            found - expected
        );
    }
}

/// Columns of `reference/sparse_thresholds.csv`: law, sparsity, kind, value over ρ²; rows with the
/// special sparsities themselves are judged where those are computed.
#[test]
fn thresholds_of_sparse_spikes_match_scalar_roots() {
    let table = include_str!("../reference/sparse_thresholds.csv");
    let mut judged = 0;
    let mut known: Option<(String, Thresholds)> = None;
    for line in table.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let row: Vec<&str> = line.split(',').collect();
        let kind = match row[2] {
            "alg" => ThresholdKind::Algorithmic,
            "dyn" => ThresholdKind::Dynamical,
            "it" => ThresholdKind::InformationTheoretic,
            _ => continue,
        };
        let sparsity: f64 = row[1].parse().expect("a sparsity");
        let value: f64 = row[3].parse().expect("a value");
        // Rows of one spike stand together.
        let spike = row[..2].join(",");
        if known.as_ref().is_none_or(|(name, _)| *name != spike) {
            known = Some((spike, thresholds_of(row[0], sparsity)));
        }
        let found = known.iter().flat_map(|(_, found)| &found.thresholds);
        let of_kind: Vec<_> = found.filter(|t| t.kind == kind).collect();
        assert_eq!(of_kind.len(), 1, "{line}");
        let relative = of_kind[0].value / (sparsity * sparsity * value) - 1.0;
        // Both sides are promised to 1e-8 or better; thresholds of the crate to 1e-6.
        assert!(relative.abs() < 1e-8, "{line}: off by {relative:e}");
        judged += 1;
    }
    assert_eq!(judged, 27);
}

fn thresholds_of(law: &str, sparsity: f64) -> Thresholds {
    let law: Arc<dyn Prior> = match law {
        "gauss-bernoulli" => Arc::new(GaussBernoulli::new(sparsity, 0.0, 1.0).expect("a law")),
        "rademacher-bernoulli" => Arc::new(Mixture::rademacher_bernoulli(sparsity).expect("a law")),
        "bernoulli" => Arc::new(Mixture::bernoulli(sparsity).expect("a law")),
        other => panic!("the table has no law {other}"),
    };
    let tree = Chain::new(law).spiked_wigner(1.0).expect("a valid model");
    let chain = StateEvolution::new(&tree).expect("a chain");
    let curve = chain.curve(None).expect("a curve");
    chain.thresholds_on(&curve).expect("thresholds")
}

/// Columns of `wishart_steps.csv`: runs of another program at `p = 1000`, from a matched estimate of the
/// signal and from one whose norm is not its overlap; here sweeps of the engine at twice the size.
#[test]
fn sweeps_behind_layers_on_both_sides_match_runs_of_another_program() {
    const RUNS: u64 = 8;
    let table = include_str!("../../crates/onsager-replica/tests/reference/wishart_steps.csv");
    let rows: Vec<Vec<f64>> = (table.lines().skip(2))
        .map(|row| {
            row.split(',')
                .map(|c| c.parse().expect("a number"))
                .collect()
        })
        .collect();
    assert_eq!(rows.len(), 8);
    let sign = |alpha| Chain::new(Arc::new(Gaussian::standard())).layer(alpha, activation("sign"));
    let tree = (sign(2.0).spiked_wishart(0.6, 1.5, sign(3.0))).expect("a valid model");
    let sizes = tree.sizes(tree.signal_index(), 2000);
    for start in rows.chunks(4) {
        let (truth, norm) = (start[0][0], start[0][1]);
        // By iteration and column, one number a run.
        let mut found = vec![vec![vec![]; 6]; start.len() + 1];
        for run in 0..RUNS {
            let stream = |purpose: &str| Seed(run).stream("steps", 0, run, purpose);
            let instance = Instance::draw(&tree, &sizes, stream, Teacher::fixed()).expect("sizes");
            let problem = Problem::new(&tree, &instance).expect("a problem");
            let value = |name: &str| {
                instance
                    .truth(tree.variable(name).expect("a name"))
                    .expect("drawn")
            };
            let (mut noise, spread) = (stream("start"), (norm - truth * truth).sqrt());
            let guess = (value("x").iter())
                .map(|x| truth * x + spread * Gaussian::standard().sample(&mut noise));
            let guess = DMatrix::from_iterator(sizes[tree.signal_index()], 1, guess);
            let variance = Diagonal::Shared(vec![1.0 - norm]);
            let settings = Settings {
                start: Start::Given(vec![(
                    "x".into(),
                    Posterior {
                        mean: guess,
                        variance,
                    },
                )]),
                tolerance: 0.0,
                max_iterations: start.len(),
                damping: Damping::Fixed(1.0),
                ..Settings::default()
            };
            let mut observe = |now: &Iteration<'_>| {
                let of = |name: &str| {
                    let (at, x) = (now.posterior(name).expect("estimated"), value(name));
                    let dot: f64 = at.mean.iter().zip(x).map(|(v, x)| v * x).sum();
                    [dot.abs() / x.len() as f64, at.variance.mean(0)]
                };
                let ([x, c_x], [u, c_u]) = (of("x"), of("u"));
                let columns = [x, c_x, u, c_u, of("z")[0], of("u.z")[0]];
                for (all, value) in found[now.record.iteration].iter_mut().zip(columns) {
                    all.push(value);
                }
                ControlFlow::Continue(())
            };
            infer_observed(&problem, &settings, &mut observe).expect("a run");
        }
        for row in start {
            for (i, values) in found[row[2] as usize].iter().enumerate() {
                let mean = values.iter().sum::<f64>() / RUNS as f64;
                let square: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
                let variance = square / ((RUNS - 1) * RUNS) as f64;
                let (expected, error) = (row[3 + i], variance.sqrt().hypot(row[9 + i]));
                // Five standard errors of a difference and a bias of order 1/p, p = 1000 there.
                assert!(
                    (mean - expected).abs() <= 5.0 * error + 5e-3,
                    "from {truth} {norm}, column {i} at {}: {mean} for {expected} ± {error}",
                    row[2]
                );
            }
        }
    }
}
