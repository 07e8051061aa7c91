//! Products and iterations beside the physical limit: `cargo xtask bench`.
//!
//! Every round times the probe, an honest read of the same matrices by the same threads, and then
//! the work; a ratio belongs to one round, so that a busy machine moves both. The table holds
//! medians over the rounds.

use std::error::Error;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nalgebra::DMatrix;
use onsager_amp::{Damping, Problem, Settings, Start, infer_observed};
use onsager_ensembles::Seed;
use onsager_ensembles::sample::{gaussian, gaussian_f32, spiked_wigner};
use onsager_model::{Chain, Instance, Tree};
use onsager_operators::lanczos::{LanczosSettings, top_eigenpair};
use onsager_operators::{Level, LinearOperator, Shape, Symmetric, SymmetricF32};
use onsager_scalar::activation::{Activation, PiecewiseLinear};
use onsager_scalar::likelihood::Additive;
use onsager_scalar::prior::Gaussian;

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let mut plan = Plan::default();
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        let numbers = || value.split(',').map(str::parse).collect::<Result<_, _>>();
        match name.as_str() {
            "--sizes" => plan.sizes = numbers()?,
            "--threads" => plan.threads = numbers()?,
            "--rounds" => plan.rounds = value.parse()?,
            "--only" => plan.only = value,
            _ => return Err(format!("unknown argument {name}").into()),
        }
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    println!(
        "Kernels at level {:?}; load of the machine before the start: {load}.\n",
        Level::best()
    );
    println!("| what | size | threads | time, ms | GB/s | probe, GB/s | time / probe |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for &size in &plan.sizes {
        for &threads in &plan.threads {
            doubles(&plan, size, threads)?;
            singles(&plan, size, threads)?;
            if size == plan.sizes[0] {
                generalised(&plan, size, threads)?;
            }
        }
    }
    Ok(())
}

/// A generalised linear model with twice as many observations as unknowns: both products from one
/// read without a channel, and whole iterations, whose probe reads the matrix twice.
fn generalised(plan: &Plan, size: usize, threads: usize) -> Done {
    let row = |what: &str, reads: usize| Row {
        plan,
        what: format!("{what}, 2p x p, f64"),
        size,
        threads,
        bytes: reads * 16 * size * size,
    };
    let a = gaussian(Shape::new(2 * size, size), 1.0, &mut stream("sensing"))?;
    let a = Arc::new(a.with_threads(threads)?);
    let (x, mut y) = (vec![0.5; size], vec![0.0; size]);
    let probe = || {
        black_box(a.total());
    };
    row("Aᵀ g(A x), one read", 1).measure(probe, || a.apply_through(&x, &copy, &mut [], &mut y));
    let outputs = [
        ("linear", PiecewiseLinear::linear()),
        ("abs", PiecewiseLinear::abs()),
        ("sign", PiecewiseLinear::sign()),
    ];
    for (name, phi) in outputs {
        let row = row(&format!("iteration, {name} output"), 2);
        if !row.is_wanted() {
            continue;
        }
        let output = Additive::new(Arc::new(phi.clone()), 0.1)?;
        let tree = Chain::new(Arc::new(Gaussian::standard())).glm(2.0, Arc::new(output))?;
        let signal: Vec<f64> = (0..size)
            .map(|i| 2f64.sqrt() * (1.0 + i as f64).sin())
            .collect();
        let mut seen = vec![0.0; 2 * size];
        a.apply_column(&signal, &mut seen);
        seen.iter_mut().for_each(|z| *z = phi.apply(*z));
        let instance = Instance::given(&tree, &tree.sizes(tree.signal_index(), size))?
            .operator(1, a.clone())?
            .data(2, seen)?
            .build()?;
        sweeps(&row, &Problem::new(&tree, &instance)?, &|| {
            a.total() + a.total()
        })?;
    }
    Ok(())
}

/// A channel that costs nothing.
fn copy(_: usize, z: &[f64], g: &mut [f64], _: &mut [f64]) {
    g.copy_from_slice(z)
}

/// What to measure.
struct Plan {
    sizes: Vec<usize>,
    threads: Vec<usize>,
    rounds: usize,
    /// Text that a row must contain.
    only: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            sizes: vec![4000, 10_000],
            threads: vec![1, 2],
            rounds: 15,
            only: String::new(),
        }
    }
}

/// One row of the table in the making.
struct Row<'a> {
    plan: &'a Plan,
    what: String,
    size: usize,
    threads: usize,
    bytes: usize,
}

impl Row<'_> {
    fn is_wanted(&self) -> bool {
        self.what.contains(&self.plan.only)
    }

    /// Times `probe` and `work` in turn.
    fn measure(&self, mut probe: impl FnMut(), mut work: impl FnMut()) {
        if !self.is_wanted() {
            return;
        }
        let time = |f: &mut dyn FnMut()| {
            let start = Instant::now();
            f();
            start.elapsed()
        };
        time(&mut work); // page faults and clocks
        let rounds = (0..self.plan.rounds).map(|_| (time(&mut probe), time(&mut work)));
        self.print(rounds.collect());
    }

    fn print(&self, rounds: Vec<(Duration, Duration)>) {
        let seconds = |d: Duration| d.as_secs_f64();
        let work = median(rounds.iter().map(|r| seconds(r.1)));
        let probe = median(rounds.iter().map(|r| seconds(r.0)));
        let ratio = median(rounds.iter().map(|r| seconds(r.1) / seconds(r.0)));
        let giga = self.bytes as f64 / 1e9;
        println!(
            "| {} | {} | {} | {:.3} | {:.1} | {:.1} | {ratio:.2} |",
            self.what,
            self.size,
            self.threads,
            1e3 * work,
            giga / work,
            giga / probe,
        );
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The bench's stream for a purpose.
fn stream(purpose: &str) -> impl rand::Rng {
    Seed(17).stream("bench", 0, 0, purpose)
}

const NOISE: f64 = 0.5;

/// A latent of half the size of the signal, one layer, spiked Wigner data.
fn tree(phi: PiecewiseLinear) -> Result<Tree, Box<dyn Error>> {
    let chain = Chain::new(Arc::new(Gaussian::standard())).layer(2.0, Arc::new(phi));
    Ok(chain.spiked_wigner(NOISE)?)
}

/// Matrices in `f64`: products, iterations, Lanczos.
fn doubles(plan: &Plan, size: usize, threads: usize) -> Done {
    let shape = Shape::new(size, size / 2);
    let w = Arc::new(gaussian(shape, 1.0, &mut stream("weights"))?.with_threads(threads)?);
    let y: Symmetric = spiked_wigner(&vec![1.0; size], NOISE, &mut stream("noise"))?;
    let y = Arc::new(y.with_threads(threads)?);
    let row = |what: &str, bytes| Row {
        plan,
        what: format!("{what}, f64"),
        size,
        threads,
        bytes,
    };
    products(&row, w.as_ref(), &|| w.total(), y.as_ref(), &|| y.total())?;
    iterations(&row, w.clone(), &|| w.total(), y.clone(), &|| y.total())?;
    let lanczos = row("Lanczos step, symmetric", y.bytes());
    if lanczos.is_wanted() {
        let start: Vec<f64> = (0..size).map(|i| (1.0 + i as f64).sin()).collect();
        let mut rounds = Vec::new();
        for _ in 0..plan.rounds.div_ceil(5) {
            let clock = Instant::now();
            for _ in 0..10 {
                black_box(y.total());
            }
            let probe = clock.elapsed() / 10;
            let clock = Instant::now();
            let found = top_eigenpair(&y, &start, LanczosSettings::default())?;
            rounds.push((probe, clock.elapsed().div_f64(found.products as f64)));
        }
        lanczos.print(rounds);
    }
    if threads == 1 && size == plan.sizes[0] {
        fills(&row, shape)?;
    }
    Ok(())
}

/// The same in `f32`.
fn singles(plan: &Plan, size: usize, threads: usize) -> Done {
    let shape = Shape::new(size, size / 2);
    let w = Arc::new(gaussian_f32(shape, 1.0, &mut stream("weights"))?.with_threads(threads)?);
    let y: SymmetricF32 = spiked_wigner(&vec![1.0; size], NOISE, &mut stream("noise"))?;
    let y = Arc::new(y.with_threads(threads)?);
    let row = |what: &str, bytes| Row {
        plan,
        what: format!("{what}, f32"),
        size,
        threads,
        bytes,
    };
    products(&row, w.as_ref(), &|| w.total(), y.as_ref(), &|| y.total())?;
    iterations(&row, w.clone(), &|| w.total(), y.clone(), &|| y.total())
}

fn products<'a>(
    row: &dyn Fn(&str, usize) -> Row<'a>,
    w: &dyn LinearOperator,
    read_w: &dyn Fn() -> f64,
    y: &dyn LinearOperator,
    read_y: &dyn Fn() -> f64,
) -> Done {
    let Shape { rows, columns } = w.shape();
    let mut long: Vec<f64> = (0..rows).map(|i| (1.0 + i as f64).sin()).collect();
    let mut short = vec![0.0; columns];
    let mut image = vec![0.0; rows];
    let probe_w = || {
        black_box(read_w());
    };
    let probe_y = || {
        black_box(read_y());
    };
    row("Y v, symmetric", y.bytes()).measure(probe_y, || y.apply_column(&long, &mut image));
    row("Wᵀ g", w.bytes()).measure(probe_w, || w.apply_adjoint_column(&long, &mut short));
    row("W x", w.bytes()).measure(probe_w, || w.apply_column(&short, &mut long));
    let argument = short.clone();
    row("Wᵀ g(W x), one read", w.bytes()).measure(probe_w, || {
        w.apply_through(&argument, &copy, &mut [], &mut short)
    });
    const COLUMNS: usize = 8;
    let (long, short) = (
        DMatrix::from_fn(rows, COLUMNS, |i, t| ((i + t) as f64).sin()),
        DMatrix::from_fn(columns, COLUMNS, |i, t| ((i + t) as f64).sin()),
    );
    row("Y V, 8 columns, symmetric", y.bytes())
        .measure(probe_y, || drop(black_box(y.apply(&long))));
    row("Wᵀ G, 8 columns", w.bytes()).measure(probe_w, || drop(black_box(w.apply_adjoint(&long))));
    row("W X, 8 columns", w.bytes()).measure(probe_w, || drop(black_box(w.apply(&short))));
    Ok(())
}

/// Whole iterations of [`infer_observed`], everything that it does in between included. The probe
/// reads half of `Y` once and `W` twice.
fn iterations<'a>(
    row: &dyn Fn(&str, usize) -> Row<'a>,
    w: Arc<dyn LinearOperator>,
    read_w: &dyn Fn() -> f64,
    y: Arc<dyn LinearOperator>,
    read_y: &dyn Fn() -> f64,
) -> Done {
    let layers = [
        ("linear", PiecewiseLinear::linear()),
        ("sign", PiecewiseLinear::sign()),
        ("relu", PiecewiseLinear::relu()),
    ];
    for (name, phi) in layers {
        let row = row(&format!("iteration, {name}"), y.bytes() + 2 * w.bytes());
        if !row.is_wanted() {
            continue;
        }
        let tree = tree(phi)?;
        let instance = Instance::given(&tree, &tree.sizes(tree.signal_index(), row.size))?
            .operator(1, w.clone())?
            .operator(3, y.clone())?
            .build()?;
        let problem = Problem::new(&tree, &instance)?;
        sweeps(&row, &problem, &|| read_y() + read_w() + read_w())?;
    }
    Ok(())
}

/// The sweeps of one run, by stretches, each beside a probe: between two sweeps nothing else is read, as in any
/// run.
fn sweeps(row: &Row<'_>, problem: &Problem, read: &dyn Fn() -> f64) -> Done {
    const STRETCH: usize = 5;
    let settings = Settings {
        start: Start::Uninformed,
        damping: Damping::Fixed(1.0),
        tolerance: 0.0,
        max_iterations: STRETCH * (row.plan.rounds + 1),
        ..Settings::default()
    };
    let mut rounds = Vec::new();
    let mut clock = Instant::now();
    let mut probe = Duration::ZERO;
    infer_observed(problem, &settings, &mut |sweep| {
        if sweep.record.iteration.is_multiple_of(STRETCH) {
            rounds.push((probe, clock.elapsed() / STRETCH as u32));
            let start = Instant::now();
            black_box(read());
            probe = start.elapsed();
            clock = Instant::now();
        }
        ControlFlow::Continue(())
    })?;
    // The start and the first stretch, which still allocates.
    rounds.drain(..2);
    row.print(rounds);
    Ok(())
}

/// Matrices drawn row by row, beside the same number of normal variates from one stream.
fn fills<'a>(row: &dyn Fn(&str, usize) -> Row<'a>, shape: Shape) -> Done {
    use rand_distr::{Distribution, StandardNormal};
    let bytes = 8 * shape.rows * shape.columns;
    let draw = |n: usize| {
        let mut rng = stream("probe");
        let mut one = || -> f64 { StandardNormal.sample(&mut rng) };
        black_box((0..n).map(|_| one()).sum::<f64>());
    };
    let n = shape.rows * shape.columns;
    row("fill W (probe: the generator)", bytes).measure(
        || draw(n),
        || drop(black_box(gaussian(shape, 1.0, &mut stream("fill")))),
    );
    let half = shape.rows * (shape.rows + 1) / 2;
    let signal = vec![1.0; shape.rows];
    row("fill Y (probe: the generator)", 8 * half).measure(
        || draw(half),
        || {
            let y = spiked_wigner::<f64>(&signal, NOISE, &mut stream("fill"));
            drop(black_box(y));
        },
    );
    Ok(())
}
