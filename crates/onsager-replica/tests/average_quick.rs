use onsager_replica::average::*;
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::*;

#[test]
fn quick() {
    for a in [1e-6, 1e-3, 0.1, 1.0, 10.0, 40.0, 1e3, 1e6] {
        let g = prior(&Gaussian::new(0.3, 2.0).unwrap(), a).unwrap();
        let r = prior(&Rademacher, a).unwrap();
        let s = prior(&GaussBernoulli::new(0.1, 0.0, 1.0).unwrap(), a).unwrap();
        println!(
            "{a:e} {:e} {:e} {:e} {:e}",
            g.mmse * (1.0 + 2.0 * a) / 2.0 - 1.0,
            g.error,
            r.error,
            s.error
        );
    }
    let mut phis = vec![];
    phis.push(PiecewiseLinear::linear());
    phis.push(PiecewiseLinear::sign());
    phis.push(PiecewiseLinear::relu());
    for phi in &phis {
        for q in [0.0, 0.001, 0.3, 0.9, 0.999, 0.999999] {
            for av in [1e-6, 1e-3, 1.0, 30.0, 1e4, 1e8] {
                let v = 1.0 - q;
                let a = av / v;
                let t = std::time::Instant::now();
                let l = layer(phi, a, q, v).unwrap();
                let t = t.elapsed().as_micros();
                let d = onsager_scalar::Activation::second_moment(phi, 1.0);
                println!(
                    "{q:8} {av:8.0e} E1 {:9.1e} sum {:9.1e} g {:9.1e} mmse {:e} {t} us",
                    l.error,
                    (l.overlap + l.mmse) / d - 1.0,
                    l.score / ((v - l.field_mmse) / v / v) - 1.0,
                    l.mmse
                );
            }
        }
    }
}
