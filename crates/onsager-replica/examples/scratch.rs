use onsager_model::Chain;
use onsager_replica::StateEvolution;
use onsager_scalar::{activation::PiecewiseLinear, prior::*};
use std::sync::Arc;
use std::time::Instant;
fn phi(n: &str) -> Arc<PiecewiseLinear> {
    Arc::new(match n {
        "linear" => PiecewiseLinear::linear(),
        "sign" => PiecewiseLinear::sign(),
        _ => PiecewiseLinear::relu(),
    })
}
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let prior: Arc<dyn Prior> = match args[0].as_str() {
        "g" => Arc::new(Gaussian::standard()),
        "r" => Arc::new(Rademacher),
        s => Arc::new(GaussBernoulli::new(s.parse().unwrap(), 0.0, 1.0).unwrap()),
    };
    let mut c = Chain::new(prior);
    let noise: f64 = args[1].parse().unwrap();
    for l in &args[2..] {
        let (n, a) = l.split_once(':').unwrap();
        c = c.layer(a.parse().unwrap(), phi(n));
    }
    let tree = c.spiked_wigner(noise).unwrap();
    let se = StateEvolution::new(&tree).unwrap();
    let t = Instant::now();
    let curve = se.curve(None).unwrap();
    eprintln!(
        "curve {:?}: {} points {} branches {:?}",
        t.elapsed(),
        curve.points.len(),
        curve.branches.len(),
        curve.folds
    );
    if std::env::var("V").is_ok() {
        for p in &curve.points {
            println!("{p:?}");
        }
    }
    let t = Instant::now();
    let p = se.predict_on(&curve, noise).unwrap();
    eprintln!("predict {:?}", t.elapsed());
    for f in &p.fixed_points {
        println!(
            "q {:.10} mmse {:.14e} i {:?} stable {} bw {:.1e} fw {:.1e} {:?}",
            f.overlap,
            f.mmse,
            f.mutual_information,
            f.stable,
            f.backward_error,
            f.forward_error,
            f.variables
        );
    }
    let t = Instant::now();
    println!("{:#?}", se.thresholds_on(&curve).unwrap());
    eprintln!("thresholds {:?}", t.elapsed());
    println!("alg {} opt {}", p.algorithmic.mmse, p.optimal.mmse);
}
