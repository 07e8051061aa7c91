//! Planted signals: found from d + 1 samples where counting says so, and nowhere else.

use std::ops::ControlFlow;

use onsager_lattice::planted::{self, Planted, Shape};
use onsager_lattice::{
    Clwe, Correspondence, CosineNeuron, IBig, LatticeError, PhaseRetrieval, Reals, Recover,
    Recovery, Search, Settings, estimated_bits,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Bits beyond those of the search, from which the certificate lives.
const GUARD: usize = 40;

fn with(bits: f64) -> Search {
    Search {
        most_bits: Some(bits.ceil() as usize),
        ..Search::default()
    }
}

/// `-log2` of the largest error of a component, up to the global sign if there is one.
fn agreement(found: &Reals, truth: &Reals, signed: bool) -> f64 {
    let bits = found.bits().max(truth.bits());
    let (found, truth) = (found.with_bits(bits), truth.with_bits(bits));
    let distance = |sign: i64| {
        let pairs = found.mantissas().iter().zip(truth.mantissas());
        let gaps = pairs.map(|(a, b)| a - b * IBig::from(sign));
        let sizes = gaps.map(|g| if g < IBig::ZERO { -g } else { g });
        let largest = Reals::new(vec![sizes.max().expect("components")], bits);
        // Largest errors of zero count as far below any bit.
        (largest.to_f64()[0] + 1e-300).log2()
    };
    -if signed {
        distance(1)
    } else {
        distance(1).min(distance(-1))
    }
}

fn checked(found: &Recovery, truth: &Reals, signed: bool) {
    let reached = agreement(&found.signal, truth, signed);
    assert!(
        reached >= found.accuracy,
        "{reached} bits of {}",
        found.accuracy
    );
    assert!(found.surplus >= onsager_lattice::LEAST_SURPLUS);
}

#[test]
fn the_estimate_is_the_formula() {
    // By hand: 101 · (2.047095585 + 101 · 0.028569152) with relations of signs.
    assert!((PhaseRetrieval::bits_needed(100) - 498.1905).abs() < 1e-3);
    // A norm twice as long costs one bit for each number.
    let twice = estimated_bits(30, 2.0 * 30_f64.sqrt()) - estimated_bits(30, 30_f64.sqrt());
    assert!((twice - 30.0).abs() < 1e-9);
}

#[test]
fn phase_retrieval_succeeds_above_the_estimate_and_fails_far_below() {
    for dimension in [5, 12, 25, 40] {
        let needed = PhaseRetrieval::bits_needed(dimension);
        let trials = if dimension > 30 { 8 } else { 20 };
        let (mut found, mut found_with_few) = (0, 0);
        for trial in 0..trials {
            let shape = Shape::least(dimension, (1.15 * needed) as usize + GUARD);
            let Planted { problem, signal } =
                planted::phase_retrieval(shape, &mut rng(trial)).unwrap();
            match problem.recover(&with(1.15 * needed)) {
                Ok(recovery) => {
                    checked(&recovery, &signal, false);
                    assert!(recovery.hidden.iter().all(|s| s.abs() == 1));
                    found += 1;
                }
                Err(error) => assert!(matches!(error, LatticeError::NotFound { .. })),
            }
            // Half a bit for each sign leaves many choices that fit as well.
            found_with_few += u32::from(problem.recover(&with(0.2 * needed)).is_ok());
        }
        assert!(found >= trials - 1, "d = {dimension}: {found} of {trials}");
        // In few dimensions the right one of them comes first by luck now and then.
        assert!(
            found_with_few <= 1 || dimension < 10,
            "d = {dimension}: {found_with_few} with few bits"
        );
    }
}

/// Every choice of signs tried in turn, in doubles.
#[test]
fn signs_are_those_of_exhaustive_search() {
    let dimension = 7;
    for seed in 0..6 {
        let mut rng = rng(100 + seed);
        let samples: Vec<Reals> = (0..=dimension)
            .map(|_| Reals::gaussian(dimension, 80, &mut rng))
            .collect();
        let truth = Reals::gaussian(dimension, 80, &mut rng).to_f64();
        let rows: Vec<Vec<f64>> = samples.iter().map(Reals::to_f64).collect();
        let form = |x: &[f64]| x.iter().zip(&truth).map(|(a, b)| a * b).sum::<f64>();
        let labels: Vec<f64> = rows.iter().map(|x| form(x).abs()).collect();
        // λ by elimination, then the signs with the smallest sum.
        let lambda = kernel(&rows);
        let sum = |signs: u32| {
            let terms = lambda.iter().zip(&labels).enumerate();
            let signed = terms.map(|(i, (l, z))| if signs >> i & 1 == 1 { -l * z } else { l * z });
            signed.sum::<f64>().abs()
        };
        let best = (0..1_u32 << dimension)
            .min_by(|&a, &b| sum(a).total_cmp(&sum(b)))
            .unwrap();
        let labels = Reals::from_f64(&labels, 80).unwrap();
        let problem = PhaseRetrieval::new(&samples, &labels, 47).unwrap();
        let found = problem.recover(&Search::default()).unwrap();
        // The last sign counts as positive.
        let last = found.hidden[dimension];
        for (i, sign) in found.hidden.iter().enumerate() {
            assert_eq!(sign * last == -1, best >> i & 1 == 1, "seed {seed}");
        }
    }
}

/// A vector orthogonal to the columns of a (d + 1) x d matrix, by Gauss-Jordan elimination.
fn kernel(rows: &[Vec<f64>]) -> Vec<f64> {
    let d = rows.len() - 1;
    let mut m: Vec<Vec<f64>> = (0..d)
        .map(|c| rows.iter().map(|r| r[c]).collect())
        .collect();
    for k in 0..d {
        let best = (k..d)
            .max_by(|&i, &j| m[i][k].abs().total_cmp(&m[j][k].abs()))
            .unwrap();
        m.swap(k, best);
        let pivot = m[k].clone();
        for (i, row) in m.iter_mut().enumerate() {
            if i != k {
                let factor = row[k] / pivot[k];
                row.iter_mut()
                    .zip(&pivot)
                    .for_each(|(x, y)| *x -= factor * y);
            }
        }
    }
    (0..d).map(|k| -m[k][d] / m[k][k]).chain([1.0]).collect()
}

#[test]
fn noise_of_known_size_is_harmless_and_unknown_noise_is_noticed() {
    let dimension = 15;
    for seed in 0..8 {
        let shape = Shape {
            noise: Some(90),
            ..Shape::least(dimension, 140)
        };
        let Planted { problem, signal } = planted::phase_retrieval(shape, &mut rng(seed)).unwrap();
        let found = problem.recover(&Search::default()).unwrap();
        checked(&found, &signal, false);
        // The error is that of the labels, not that of their digits.
        assert!(agreement(&found.signal, &signal, false) < 100.0);
    }
    // Samples from one stream, labels noisier than is said.
    let claimed = |noise: f64| {
        let mut rng = rng(50);
        let samples: Vec<Reals> = (0..=dimension)
            .map(|_| Reals::gaussian(dimension, 140, &mut rng))
            .collect();
        let signal = Reals::gaussian(dimension, 140, &mut rng).to_f64();
        let label = |(i, x): (usize, &Reals)| {
            let form: f64 = x.to_f64().iter().zip(&signal).map(|(a, b)| a * b).sum();
            form.abs() + if i % 2 == 0 { noise } else { -noise }
        };
        let labels: Vec<f64> = samples.iter().enumerate().map(label).collect();
        let labels = Reals::from_f64(&labels, 140).unwrap();
        PhaseRetrieval::new(&samples, &labels, 47)
            .unwrap()
            .recover(&Search::default())
    };
    assert!(claimed(0.0).is_ok());
    assert!(matches!(claimed(1e-6), Err(LatticeError::NotFound { .. })));
}

#[test]
fn further_samples_are_further_judges() {
    let mut rng = rng(7);
    let dimension = 10;
    let samples: Vec<Reals> = (0..dimension + 4)
        .map(|_| Reals::gaussian(dimension, 120, &mut rng))
        .collect();
    let signal = Reals::gaussian(dimension, 120, &mut rng).to_f64();
    let form = |x: &Reals| {
        x.to_f64()
            .iter()
            .zip(&signal)
            .map(|(a, b)| a * b)
            .sum::<f64>()
            .abs()
    };
    let mut labels: Vec<f64> = samples.iter().map(form).collect();
    let recover = |labels: &[f64]| {
        let labels = Reals::from_f64(labels, 120).unwrap();
        PhaseRetrieval::new(&samples, &labels, 47)
            .unwrap()
            .recover(&Search::default())
    };
    assert!(recover(&labels).is_ok());
    // Wrong in one label, used for the relation or not.
    for i in [0, 5, dimension + 3] {
        labels[i] += 1e-7;
        assert!(
            matches!(recover(&labels), Err(LatticeError::NotFound { .. })),
            "label {i}"
        );
        labels[i] -= 1e-7;
    }
}

#[test]
fn double_precision_does_in_low_dimension_only() {
    let attempt = |dimension: usize, seed| {
        let mut rng = rng(seed);
        let samples: Vec<Reals> = (0..=dimension)
            .map(|_| {
                Reals::from_f64(&Reals::gaussian(dimension, 60, &mut rng).to_f64(), 60).unwrap()
            })
            .collect();
        let signal = Reals::gaussian(dimension, 60, &mut rng).to_f64();
        let form = |x: &Reals| {
            x.to_f64()
                .iter()
                .zip(&signal)
                .map(|(a, b)| a * b)
                .sum::<f64>()
                .abs()
        };
        let labels: Vec<f64> = samples.iter().map(form).collect();
        let labels = Reals::from_f64(&labels, 60).unwrap();
        PhaseRetrieval::new(&samples, &labels, 48)
            .unwrap()
            .recover(&Search::default())
            .is_ok()
    };
    let successes = |dimension| (0..10).filter(|&seed| attempt(dimension, seed)).count();
    assert!(successes(10) >= 9);
    // 48 bits less 30 for the signs are fewer than a certificate asks for.
    assert_eq!(successes(30), 0);
}

#[test]
fn vanishing_labels_leave_their_sign_open() {
    let samples = |rows: [[f64; 2]; 3]| rows.map(|row| Reals::from_f64(&row, 60).unwrap());
    let samples = samples([[1.0, 2.0], [1.0, -1.0], [0.5, 3.0]]);
    // w = (1, 1): the second form is zero.
    let labels = Reals::from_f64(&[3.0, 0.0, 3.5], 60).unwrap();
    let found = PhaseRetrieval::new(&samples, &labels, 60)
        .unwrap()
        .recover(&Search::default());
    let signal = found.unwrap().signal.to_f64();
    assert!(signal == [1.0, 1.0] || signal == [-1.0, -1.0]);
    let zeros = Reals::from_f64(&[0.0; 3], 60).unwrap();
    let found = PhaseRetrieval::new(&samples, &zeros, 60)
        .unwrap()
        .recover(&Search::default());
    assert_eq!(found.unwrap().signal.to_f64(), [0.0, 0.0]);
}

#[test]
fn cosines_and_residues_hide_their_signal_no_better() {
    for (dimension, gamma) in [(3, 1.5), (6, 3.0), (10, 0.7)] {
        for seed in 0..4 {
            let needed = 1.15 * CosineNeuron::bits_needed(dimension, gamma);
            let shape = Shape::least(dimension, needed as usize + GUARD);
            let Planted { problem, signal } =
                planted::cosine_neuron(shape, gamma, &mut rng(seed)).unwrap();
            let found = problem.recover(&Search::default()).expect("a cosine");
            checked(&found, &signal, false);

            let needed = 1.15 * Clwe::bits_needed(dimension, gamma);
            let shape = Shape::least(dimension, needed as usize + GUARD);
            let Planted { problem, signal } = planted::clwe(shape, gamma, &mut rng(seed)).unwrap();
            let found = problem.recover(&Search::default()).expect("residues");
            checked(&found, &signal, true);
        }
    }
}

#[test]
fn noisy_cosines_know_what_the_arccosine_does() {
    let shape = Shape {
        noise: Some(120),
        ..Shape::least(6, 200)
    };
    for seed in 0..6 {
        let Planted { problem, signal } =
            planted::cosine_neuron(shape, 2.0, &mut rng(seed)).unwrap();
        checked(
            &problem.recover(&Search::default()).unwrap(),
            &signal,
            false,
        );
    }
}

#[test]
fn detection_tells_residues_from_noise() {
    let (dimension, gamma) = (12, 2.0);
    let bits = (1.3 * Clwe::bits_needed(dimension, gamma)) as usize;
    for seed in 0..8 {
        let shape = Shape::least(dimension, bits + 4);
        let planted = planted::clwe(shape, gamma, &mut rng(seed)).unwrap().problem;
        let null = planted::clwe_null(shape, gamma, &mut rng(seed)).unwrap();
        let there = planted.detect(&Search::default()).unwrap();
        let nothing = null.detect(&Search::default()).unwrap();
        assert!(there.planted && !nothing.planted, "{there:?} {nothing:?}");
        // Within a factor of four of what counting says.
        assert!(
            (nothing.norm - nothing.null_norm).abs() < 2.0,
            "{nothing:?}"
        );
        assert!(matches!(
            null.recover(&Search::default()),
            Err(LatticeError::NotFound { .. })
        ));
        let few = Search {
            most_bits: Some(10),
            ..Search::default()
        };
        assert!(matches!(
            planted.detect(&few),
            Err(LatticeError::TooFewBits { .. })
        ));
    }
}

/// Every label is explained once, and every signal is found; ties, noise and samples beyond d + 1 do not matter.
#[test]
fn unordered_signals_are_told_apart() {
    for (signals, dimension, noise) in [(1, 5, None), (2, 9, None), (3, 6, None), (4, 4, Some(100))]
    {
        for seed in 0..4 {
            let bits = (1.15 * Correspondence::bits_needed(dimension, signals)) as usize + GUARD;
            let shape = Shape {
                dimension,
                samples: dimension + 1 + seed as usize,
                bits: bits + 30,
                noise: noise.map(|noise: usize| noise.min(bits)),
            };
            let Planted { problem, signal } =
                planted::correspondence(shape, signals, &mut rng(seed)).unwrap();
            let found = problem.recover(&Search::default()).unwrap();
            assert_eq!(found.len(), signals);
            let truth = |i: usize| {
                let mantissas = signal.mantissas()[i * dimension..(i + 1) * dimension].to_vec();
                Reals::new(mantissas, signal.bits())
            };
            for i in 0..signals {
                let reached = found
                    .iter()
                    .map(|f| (agreement(&f.signal, &truth(i), true), f));
                let (reached, found) = reached.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
                assert!(
                    reached >= found.accuracy && found.accuracy > 20.0,
                    "{signals} signals: {reached} bits of {}",
                    found.accuracy
                );
            }
            for i in 0..=dimension {
                let mut all: Vec<i64> = found.iter().map(|f| f.hidden[i]).collect();
                all.sort_unstable();
                assert!(all.into_iter().eq(0..signals as i64));
            }
        }
    }
}

#[test]
fn labels_of_no_set_of_signals_are_refused() {
    let mut rng = rng(5);
    let samples: Vec<Reals> = (0..5).map(|_| Reals::gaussian(4, 90, &mut rng)).collect();
    let labels: Vec<Reals> = (0..5).map(|_| Reals::gaussian(3, 90, &mut rng)).collect();
    let refused = |labels: &[Reals]| Correspondence::new(&samples, labels, 90).unwrap_err();
    let problem = Correspondence::new(&samples, &labels, 90).unwrap();
    assert!(matches!(
        problem.recover(&Search::default()),
        Err(LatticeError::NotFound { .. })
    ));
    assert_eq!(refused(&[]), LatticeError::Empty("labels"));
    let mut ragged = labels.clone();
    ragged[2] = Reals::gaussian(2, 90, &mut rng);
    let expected = LatticeError::Ragged {
        row: 2,
        expected: 3,
        found: 2,
    };
    assert_eq!(refused(&ragged), expected);
}

#[test]
fn an_observer_can_stop_every_search() {
    let stop = &mut |insertions| {
        if insertions < 30 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    };
    let stopped = Err(LatticeError::Stopped { insertions: 30 });
    let problem = planted::phase_retrieval(Shape::least(15, 120), &mut rng(1)).unwrap();
    let found = problem.problem.recover_with(&Search::default(), stop);
    assert_eq!(found.map(|_| ()), stopped);
    let problem = planted::correspondence(Shape::least(6, 120), 3, &mut rng(1)).unwrap();
    let found = problem.problem.recover_with(&Search::default(), stop);
    assert_eq!(found.map(|_| ()), stopped);
}

#[test]
fn a_linear_prior_needs_one_sample_more_than_its_latent_has_components() {
    let latent = 8;
    let shape = Shape::least(latent, 110);
    let Planted { problem, signal } = planted::linear_prior(shape, 40, &mut rng(3)).unwrap();
    checked(
        &problem.recover(&Search::default()).unwrap(),
        &signal,
        false,
    );
}

#[test]
fn deep_insertion_and_any_step_find_the_same_signal() {
    let shape = Shape::least(12, 90);
    let Planted { problem, signal } = planted::phase_retrieval(shape, &mut rng(11)).unwrap();
    for (step, depth) in [(1, 1), (8, 5), (200, usize::MAX)] {
        let reduction = Settings {
            depth,
            ..Settings::default()
        };
        let search = Search {
            reduction,
            step,
            most_bits: None,
        };
        checked(&problem.recover(&search).unwrap(), &signal, false);
    }
}

/// Labels do not change when a sample changes its sign, and scale with the signal.
#[test]
fn symmetries_of_the_problem_are_those_of_the_answer() {
    let dimension = 9;
    let mut rng = rng(21);
    let samples: Vec<Reals> = (0..=dimension)
        .map(|_| Reals::gaussian(dimension, 90, &mut rng))
        .collect();
    let signal = Reals::gaussian(dimension, 90, &mut rng);
    let column: Vec<Reals> = (signal.mantissas().iter())
        .map(|m| Reals::new(vec![m.clone()], 90))
        .collect();
    let size = |m: &IBig| if *m < IBig::ZERO { -m } else { m.clone() };
    let labels: Vec<IBig> = samples
        .iter()
        .map(|x| size(&x.times(&column).mantissas()[0]))
        .collect();
    let labels = Reals::new(labels, 180);
    let recover = |samples: &[Reals], labels: &Reals| {
        let problem = PhaseRetrieval::new(samples, labels, 90).unwrap();
        problem.recover(&Search::default()).unwrap().signal
    };
    let found = recover(&samples, &labels);
    assert!(agreement(&found, &signal, false) > 80.0);
    let mut turned = samples.clone();
    turned[4] = Reals::new(turned[4].mantissas().iter().map(|m| -m).collect(), 90);
    turned.reverse();
    let reversed = Reals::new(labels.mantissas().iter().rev().cloned().collect(), 180);
    assert!(agreement(&recover(&turned, &reversed), &found, false) > 80.0);
    let eightfold = Reals::new(labels.mantissas().to_vec(), 177);
    let scaled = Reals::new(found.mantissas().to_vec(), found.bits() - 3);
    assert!(agreement(&recover(&samples, &eightfold), &scaled, false) > 77.0);
}

#[test]
fn wrong_data_is_refused_by_name() {
    let reals = |values: &[f64]| Reals::from_f64(values, 60).unwrap();
    let rows = |rows: &[[f64; 2]]| rows.iter().map(|row| reals(row)).collect::<Vec<_>>();
    let good = rows(&[[1.0, 0.3], [0.2, -1.0], [0.7, 0.9]]);
    let labels = reals(&[1.0, 0.5, 0.2]);
    let refused = |samples: &[Reals], labels: &Reals, accuracy| {
        PhaseRetrieval::new(samples, labels, accuracy).unwrap_err()
    };
    assert_eq!(refused(&[], &labels, 50), LatticeError::Empty("samples"));
    assert_eq!(
        refused(&good[..2], &labels, 50),
        LatticeError::Unpaired {
            samples: 2,
            labels: 3
        }
    );
    assert_eq!(
        refused(&good[..2], &reals(&[1.0, 1.0]), 50),
        LatticeError::TooFewSamples {
            dimension: 2,
            found: 2
        }
    );
    let ragged = [good[0].clone(), reals(&[1.0]), good[2].clone()];
    assert_eq!(
        refused(&ragged, &labels, 50),
        LatticeError::Ragged {
            row: 1,
            expected: 2,
            found: 1
        }
    );
    let parallel = rows(&[[1.0, 0.3], [0.2, -1.0], [0.4, -2.0]]);
    assert_eq!(
        refused(&parallel, &labels, 50),
        LatticeError::DependentSamples(2)
    );
    // The second sample, or none of them, makes up the first one: the third takes no part.
    for first in [[0.4, -2.0], [0.0, 0.0]] {
        let idle = rows(&[first, [0.2, -1.0], [0.4, 2.0]]);
        let sample = if first == [0.0; 2] { 1 } else { 2 };
        assert_eq!(
            refused(&idle, &labels, 50),
            LatticeError::IdleSample {
                dimension: 2,
                sample
            }
        );
    }
    assert!(matches!(
        refused(&good, &labels, 61),
        LatticeError::Setting {
            name: "accuracy",
            ..
        }
    ));
    assert!(matches!(
        refused(&good, &reals(&[1.0, -0.5, 0.2]), 50),
        LatticeError::Label { index: 1, .. }
    ));
    let outside = CosineNeuron::new(&good, &reals(&[1.0, 0.5, -1.2]), 50, 1.0);
    assert!(matches!(outside, Err(LatticeError::Label { index: 2, .. })));
    for gamma in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let clwe = Clwe::new(&good, &labels, 50, gamma);
        assert!(matches!(
            clwe,
            Err(LatticeError::Setting { name: "gamma", .. })
        ));
    }
    let problem = PhaseRetrieval::new(&good, &labels, 60).unwrap();
    let search = Search {
        step: 0,
        ..Search::default()
    };
    assert!(matches!(
        problem.recover(&search),
        Err(LatticeError::Setting { name: "step", .. })
    ));
    // Labels of nothing in particular.
    let error = problem.recover(&Search::default()).unwrap_err();
    assert!(
        error.to_string().contains("no signal fits the labels"),
        "{error}"
    );
}
