//! Times of one matched average, as a table for docs/performance.md: median and worst over the range that
//! the curve of a chain visits. Time on a processor where the system tells it, so that other work on the
//! machine counts little.

use std::fs::read_to_string;
use std::time::{Duration, Instant};

use onsager_replica::average::{layer, prior};
use onsager_scalar::activation::{Activation, Erf, Piece, PiecewiseLinear, Sigmoid, Smooth, Tanh};
use onsager_scalar::prior::{
    GaussBernoulli, Gaussian, Mixture, Prior, Rademacher, Scale, Truncated,
};

fn on_processor() -> Option<Duration> {
    let text = read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// Milliseconds that a call takes, the mean over 30 ms.
fn milliseconds(work: impl Fn()) -> f64 {
    let start = Instant::now();
    let now = || on_processor().unwrap_or_else(|| start.elapsed());
    work();
    let (from, mut calls) = (now(), 0);
    loop {
        work();
        calls += 1;
        let spent = (now() - from).as_secs_f64();
        if spent > 0.03 {
            return 1e3 * spent / f64::from(calls);
        }
    }
}

fn row(name: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!("| {name} | {median:.3} | {worst:.3} |");
}

fn main() {
    let inf = f64::INFINITY;
    let piece = |(lower, upper), offset, slope| Piece {
        lower,
        upper,
        offset,
        slope,
    };
    let own = [
        piece((-inf, -0.4), -1.3, 0.0),
        piece((-0.4, 0.6), 0.0, 1.2),
        piece((0.6, inf), 1.3, 0.6),
    ];
    let leaky = |slope| PiecewiseLinear::leaky_relu(slope).unwrap();
    let layers: [(&str, Box<dyn Activation>); 11] = [
        ("linear", Box::new(PiecewiseLinear::linear())),
        ("sign", Box::new(PiecewiseLinear::sign())),
        ("relu", Box::new(PiecewiseLinear::relu())),
        ("leaky relu, slope 0.1", Box::new(leaky(0.1))),
        ("abs", Box::new(PiecewiseLinear::abs())),
        ("hard tanh", Box::new(PiecewiseLinear::hard_tanh())),
        (
            "door, width 0.7",
            Box::new(PiecewiseLinear::door(0.7).unwrap()),
        ),
        (
            "three pieces with jumps",
            Box::new(PiecewiseLinear::new(own).unwrap()),
        ),
        ("tanh", Box::new(Smooth::new(Tanh))),
        ("sigmoid", Box::new(Smooth::new(Sigmoid))),
        ("erf", Box::new(Smooth::new(Erf))),
    ];
    println!("| layer | median, ms | worst, ms |\n| --- | --- | --- |");
    for (name, phi) in &layers {
        let mut times = vec![];
        for av in [1e-3, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4] {
            for q in [1e-3, 0.1, 0.5, 0.9, 0.99, 0.999] {
                let v = 1.0 - q;
                times.push(milliseconds(|| {
                    layer(&**phi, av / v, q, v).expect("an average");
                }));
            }
        }
        row(name, times);
    }
    let part = |weight, mean, variance| (weight, Scale { mean, variance });
    let parts = [
        part(4.0, -1.0, 0.0),
        part(2.0, 2.0, 1e-4),
        part(1.0, -0.5, 4.0),
    ];
    let laws: [(&str, Box<dyn Prior>); 9] = [
        ("gaussian", Box::new(Gaussian::standard())),
        ("rademacher", Box::new(Rademacher)),
        (
            "gauss-bernoulli, 0.1",
            Box::new(GaussBernoulli::new(0.1, 0.0, 1.0).unwrap()),
        ),
        ("bernoulli, 0.1", Box::new(Mixture::bernoulli(0.1).unwrap())),
        (
            "mixture of three scales",
            Box::new(Mixture::new(parts).unwrap()),
        ),
        (
            "exponential",
            Box::new(Truncated::exponential(0.5).unwrap()),
        ),
        ("laplace", Box::new(Truncated::laplace(2.0).unwrap())),
        (
            "half-normal",
            Box::new(Truncated::half_normal(2.0).unwrap()),
        ),
        ("uniform", Box::new(Truncated::uniform(-0.5, 2.0).unwrap())),
    ];
    println!("\n| law | median, ms | worst, ms |\n| --- | --- | --- |");
    for (name, law) in &laws {
        let precisions = [1e-3, 0.1, 1.0, 10.0, 100.0, 1e4, 1e6, 1e8];
        let time = |a: f64| {
            milliseconds(|| {
                prior(&**law, a).expect("an average");
            })
        };
        row(name, precisions.map(time).to_vec());
    }
}
