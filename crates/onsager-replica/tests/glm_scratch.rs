use std::sync::Arc;
use onsager_model::Chain;
use onsager_replica::*;
use onsager_scalar::{Likelihood, activation::PiecewiseLinear as P, likelihood::*, prior::*, Prior};
fn show(name: &str, law: Arc<dyn Prior>, layers: &[(f64, P)], out: Arc<dyn Likelihood>) {
    let t0 = std::time::Instant::now();
    let family = |a: f64| {
        let mut c = Chain::new(law.clone());
        for (x, p) in layers { c = c.layer(*x, Arc::new(p.clone())); }
        c.glm(a, out.clone())
    };
    match thresholds(&family, None, Key::SamplingRatio) {
        Ok(t) => { println!("{name}  {:?}", t0.elapsed()); for t in &t.thresholds { println!("   {:?} {:.10} +-{:.0e} {:?} {:?} from {:.4} to {:.4} {:?}", t.kind, t.value, t.uncertainty, t.easier, t.at, t.mmse_from, t.mmse_to, t.variable); } println!("   hard {:?}", t.hard_phases); }
        Err(e) => println!("{name} error {e} {:?}", t0.elapsed()),
    }
    for a in [0.3, 0.8, 1.05, 1.6] {
        let t0 = std::time::Instant::now();
        let p = StateEvolution::new(&family(a).unwrap()).unwrap().predict();
        match p { Ok(p) => println!("   a={a}: {:?} {:?}", p.fixed_points.iter().map(|f| (f.mmse, f.potential, f.mutual_information, f.stable, f.backward_error)).collect::<Vec<_>>(), t0.elapsed()), Err(e) => println!("   a={a} {e}") }
    }
}
#[test]
fn scratch() {
    let g = || Arc::new(Gaussian::standard()) as Arc<dyn Prior>;
    let exact = |p: P| Arc::new(Noiseless::new(p)) as Arc<dyn Likelihood>;
    let noisy = |p: P, d: f64| Arc::new(Additive::new(Arc::new(p), d).unwrap()) as Arc<dyn Likelihood>;
    show("cs noisy", g(), &[], noisy(P::linear(), 0.1));
    show("cs", g(), &[], exact(P::linear()));
    show("pr", g(), &[], exact(P::abs()));
    show("pr noisy", g(), &[], noisy(P::abs(), 1e-3));
    let gb = || Arc::new(GaussBernoulli::new(0.2, 0.0, 1.0).unwrap()) as Arc<dyn Prior>;
    show("cs gb .2", gb(), &[], exact(P::linear()));
    show("pr gb .2", gb(), &[], exact(P::abs()));
    show("perceptron binary", Arc::new(Rademacher), &[], exact(P::sign()));
    show("perceptron gauss", g(), &[], exact(P::sign()));
    show("cs binary", Arc::new(Rademacher), &[], exact(P::linear()));
    show("pr linear 2", g(), &[(2.0, P::linear())], exact(P::abs()));
    show("pr relu 4", g(), &[(4.0, P::relu())], exact(P::abs()));
    show("pr sign 2", g(), &[(2.0, P::sign())], exact(P::abs()));
    show("relu out", g(), &[], exact(P::relu()));
    show("door", Arc::new(Rademacher), &[], exact(P::door(0.6744897501960817).unwrap()));
    show("hard tanh", g(), &[], exact(P::hard_tanh()));
}
