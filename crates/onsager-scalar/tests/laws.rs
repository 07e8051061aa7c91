//! Every law against tables made with hundreds of digits, and its sampler against its moments.

use onsager_scalar::Prior;
use onsager_scalar::prior::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The law that a row of the table names.
fn law(name: &str) -> Box<dyn Prior> {
    let mut words = name.split(' ');
    let kind = words.next().unwrap();
    let p: Vec<f64> = words.map(|w| w.parse().unwrap()).collect();
    let part = |weight, mean, variance| (weight, Scale { mean, variance });
    match kind {
        "binary" => Box::new(Mixture::binary(p[0]).unwrap()),
        "bernoulli" => Box::new(Mixture::bernoulli(p[0]).unwrap()),
        "rademacher-bernoulli" => Box::new(Mixture::rademacher_bernoulli(p[0]).unwrap()),
        "mixture" => Box::new(
            Mixture::new([
                part(4.0, -1.0, 0.0),
                part(1.0, 3.0, 0.0),
                part(2.0, 2.0, 1.0 / 64.0),
                part(1.0, -0.5, 4.0),
            ])
            .unwrap(),
        ),
        "exponential" => Box::new(Truncated::exponential(p[0]).unwrap()),
        "laplace" => Box::new(Truncated::laplace(p[0]).unwrap()),
        "half-normal" => Box::new(Truncated::half_normal(p[0]).unwrap()),
        "uniform" => Box::new(Truncated::uniform(p[0], p[1]).unwrap()),
        _ => panic!("{name}: no such law"),
    }
}

struct Row {
    name: String,
    a: f64,
    b: f64,
    log_partition: f64,
    mean: f64,
    variance: f64,
}

fn table() -> Vec<Row> {
    let text = include_str!("../../../tests/reference/scalar_laws.csv");
    let rows = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    rows.map(|line| {
        let (name, numbers) = line.split_once(',').unwrap();
        let n: Vec<f64> = numbers.split(',').map(|w| w.parse().unwrap()).collect();
        Row {
            name: name.to_string(),
            a: n[0],
            b: n[1],
            log_partition: n[2],
            mean: n[3],
            variance: n[4],
        }
    })
    .collect()
}

/// Twelve roundings of each number, `b` being taken as exact.
#[test]
fn posteriors_agree_with_the_table() {
    let rows = table();
    assert!(rows.len() > 300);
    let mut worst = std::collections::BTreeMap::<&str, [f64; 4]>::new();
    for r in &rows {
        let law = law(&r.name);
        let (m, log) = (law.moments(r.a, r.b), law.log_partition(r.a, r.b));
        let y = r.b / r.a;
        // A(a, ay) - ay²/2; the table has 20 digits of A, the difference loses some of them.
        let likelihood = law.log_likelihood(r.a, y) - (r.log_partition - 0.5 * r.a * y * y);
        let scale = 12.0 * f64::EPSILON;
        // Odds of exp(-L) carry L roundings; below the range of numbers nothing is left.
        let size = r.variance.max(f64::MIN_POSITIVE);
        let errors = [
            (log - r.log_partition) / (scale * (1.0 + r.log_partition.abs())),
            (m.mean - r.mean) / (scale * r.mean.abs().max(size.sqrt())),
            (m.variance - r.variance) / (scale * size * (1.0 + size.ln().abs())),
            if r.a > 0.0 {
                likelihood / (scale * (1.0 + r.a * y * y))
            } else {
                0.0
            },
        ];
        let w = worst.entry(&r.name).or_default();
        for (w, e) in w.iter_mut().zip(errors) {
            assert!(
                e.abs() < 1.0,
                "{} a = {} b = {}: {errors:?}",
                r.name,
                r.a,
                r.b
            );
            *w = w.max(e.abs());
        }
    }
    println!("{worst:#?}");
}

/// First two moments of 20,000 draws within five standard errors; bounds from the fourth moment.
#[test]
fn samplers_have_the_moments_of_their_laws() {
    let mut names: Vec<String> = table().into_iter().map(|r| r.name).collect();
    names.dedup();
    for name in names {
        let law = law(&name);
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let draws: Vec<f64> = (0..20_000).map(|_| law.sample(&mut rng)).collect();
        for (power, exact) in [(1, law.mean()), (2, law.second_moment())] {
            let mean = |k: i32| draws.iter().map(|x| x.powi(k)).sum::<f64>() / 2e4;
            let found = mean(power);
            let error = ((mean(2 * power) - found * found).max(0.0) / 2e4).sqrt();
            assert!(
                (found - exact).abs() < 5.0 * error + 1e-12,
                "{name}: {found} {exact}"
            );
        }
        let m = law.moments(0.0, 0.0);
        assert!(
            (m.mean - law.mean()).abs() < 1e-15 * (1.0 + m.mean.abs()),
            "{name}"
        );
    }
}

#[test]
fn symmetries_entropies_and_dimensions() {
    assert!(!law("binary 0.75").is_even() && law("rademacher-bernoulli 0.25").is_even());
    assert!(Mixture::binary(0.5).unwrap().is_even());
    let h = |p: &[f64]| -p.iter().map(|p| p * p.ln()).sum::<f64>();
    let entropy = law("bernoulli 0.0625").discrete_entropy().unwrap();
    assert!((entropy - h(&[0.0625, 0.9375])).abs() < 1e-15);
    assert_eq!(law("mixture").discrete_entropy(), None);
    assert_eq!(law("mixture").dimension(), 0.375);
    // Equal parts are one.
    let point = |mean| Scale {
        mean,
        variance: 0.0,
    };
    let two = Mixture::new([(1.0, point(1.0)), (1.0, point(0.0)), (2.0, point(1.0))]).unwrap();
    assert_eq!(
        two.discrete_entropy(),
        Mixture::bernoulli(0.75).unwrap().discrete_entropy()
    );
}

#[test]
fn wrong_parameters_are_refused_by_name() {
    let part = |weight, mean, variance| Mixture::new([(weight, Scale { mean, variance })]);
    for (result, message) in [
        (Mixture::binary(0.0), "probability must be in (0, 1), got 0"),
        (Mixture::bernoulli(1.0), "sparsity must be in (0, 1), got 1"),
        (
            Mixture::rademacher_bernoulli(f64::NAN),
            "sparsity must lie in (0, 1], got NaN",
        ),
        (
            part(-1.0, 0.0, 1.0),
            "weight must be finite and positive, got -1",
        ),
        (
            part(1.0, f64::INFINITY, 1.0),
            "mean must be finite, got inf",
        ),
        (
            part(1.0, 0.0, -1.0),
            "variance must be finite and positive, got -1",
        ),
        (
            part(1.0, 2.0, 0.0),
            "variance of the mixture must be finite and positive, got 0",
        ),
        (
            Mixture::new([]),
            "variance of the mixture must be finite and positive, got 0",
        ),
    ] {
        assert_eq!(result.unwrap_err().to_string(), message);
    }
}
