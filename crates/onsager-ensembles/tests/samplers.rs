//! Streams are reproducible bit by bit; matrices have the law they claim.
#![cfg(feature = "sample")]

use onsager_ensembles::random::RowStreams;
use onsager_ensembles::sample::{gaussian, gaussian_f32, noisy, spiked_wigner};
use onsager_ensembles::{EnsembleError, Seed};
use onsager_operators::{LinearOperator, Shape, Symmetric, SymmetricF32};
use proptest::prelude::*;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

fn stream(purpose: &str) -> impl Rng + Clone + use<> {
    Seed(2024).stream("phase-diagram", 3, 5, purpose)
}

/// Expected words computed by SHA-256 of Python's hashlib and ChaCha written from its
/// definition, by none of the crates used here.
#[test]
fn streams_are_sha256_keyed_chacha8() {
    let mut words = stream("weights 1");
    let golden = [
        0x8c5f_da69_5676_ee2a,
        0xa885_ae20_812a_629e,
        0xdc65_968d_4c6d_c7f2,
        0xb216_eff3_dc05_e759_u64,
    ];
    assert_eq!(golden.map(|_| words.next_u64()), golden);

    let rows = RowStreams::new(&mut stream("weights 1"));
    for (row, golden) in [
        (0, [0x1b9c_ceff_c306_d25d_u64, 0xd5f1_11a6_1257_8236]),
        (1, [0xa7dd_6522_d331_aecd, 0xf2dd_abe7_da28_dfe4]),
        (1 << 40, [0x0b7b_cd17_232b_d543, 0x1c4d_a4b6_f4f9_f60b]),
    ] {
        let mut stream = rows.row(row);
        assert_eq!(golden.map(|_| stream.next_u64()), golden);
    }
}

/// The normal variates that these words become: an alarm for a change of the ziggurat, which
/// would move every table. The values are our own, the only ones in this file.
#[test]
fn ziggurat_is_the_one_of_the_tables() {
    let mut rng = stream("weights 1");
    let mut draw = || -> f64 { StandardNormal.sample(&mut rng) };
    assert_eq!(draw(), 0.21845088301388305);
    assert_eq!(draw(), 0.4223482536265596);
    // Far enough for every rare branch to have been taken many times.
    let distant = (2..100_000).map(|_| draw()).last();
    assert_eq!(distant, Some(-0.5195624831536269));
}

proptest! {
    /// A text cannot borrow a byte from its neighbour, nor a number from a text.
    #[test]
    fn no_two_purposes_share_a_stream(
        a in "[a-c]{0,3}", b in "[a-c]{0,3}", c in "[a-c]{0,3}", d in "[a-c]{0,3}",
        i in 0..3u64, j in 0..3u64, k in 0..3u64, l in 0..3u64,
    ) {
        let first = Seed(1).stream(&a, i, j, &b).next_u64();
        let second = Seed(1).stream(&c, k, l, &d).next_u64();
        prop_assert_eq!(first == second, (a, i, j, b) == (c, k, l, d));
    }
}

#[test]
fn rows_do_not_depend_on_the_order_in_which_they_are_filled() {
    let shape = Shape::new(7, 300);
    let w = gaussian(shape, 4.0, &mut stream("w")).unwrap();
    let streams = RowStreams::new(&mut stream("w"));
    for i in [3, 0, 6, 1, 5, 2, 4] {
        let mut row = streams.row(i);
        for &entry in w.row(i) {
            let z: f64 = StandardNormal.sample(&mut row);
            assert_eq!(entry, 2.0 * z);
        }
    }
    // One matrix more moves the parent, not the matrix: the first rows of a taller one agree.
    let taller = gaussian(Shape::new(9, 300), 4.0, &mut stream("w")).unwrap();
    assert_eq!(&taller.entries()[..2100], w.entries());
    let mut parent = stream("w");
    let first = gaussian(shape, 4.0, &mut parent).unwrap();
    let second = gaussian(shape, 4.0, &mut parent).unwrap();
    assert_eq!(first.entries(), w.entries());
    assert_ne!(first.entries(), second.entries());
}

#[test]
fn gaussian_entries_have_gaussian_moments() {
    let (rows, columns, variance) = (300, 500, 2.5);
    let w = gaussian(Shape::new(rows, columns), variance, &mut stream("w")).unwrap();
    let n = (rows * columns) as f64;
    let moment = |k: i32| w.entries().iter().map(|x| x.powi(k)).sum::<f64>() / n;
    // Standard errors √(E x^{2k} - (E x^k)²)/√n with E x⁴ = 3v², E x⁶ = 15v³, E x⁸ = 105v⁴.
    let v: f64 = variance;
    for (k, mean, spread) in [
        (1, 0.0, v),
        (2, v, 2.0 * v * v),
        (3, 0.0, 15.0 * v.powi(3)),
        (4, 3.0 * v * v, 96.0 * v.powi(4)),
    ] {
        let tolerance = 5.0 * (spread / n).sqrt();
        assert!(
            (moment(k) - mean).abs() < tolerance,
            "moment {k}: {}",
            moment(k)
        );
    }
    // Neighbours in a row and in a column are uncorrelated: variance of a product is v².
    let lag = |d: usize| {
        let pairs = w.entries().iter().zip(&w.entries()[d..]);
        pairs.map(|(a, b)| a * b).sum::<f64>() / n
    };
    assert!(lag(1).abs() < 5.0 * v / n.sqrt());
    assert!(lag(columns).abs() < 5.0 * v / n.sqrt());
}

#[test]
fn single_precision_is_the_rounding_of_the_same_matrix() {
    let shape = Shape::new(5, 40);
    let w = gaussian(shape, 1.0, &mut stream("w")).unwrap();
    let rounded = gaussian_f32(shape, 1.0, &mut stream("w")).unwrap();
    let pairs = w.entries().iter().zip(rounded.entries());
    assert!(pairs.into_iter().all(|(a, b)| *a as f32 == *b));

    let x = [0.5, -2.0, 1.0];
    let y: Symmetric = spiked_wigner(&x, 0.3, &mut stream("y")).unwrap();
    let rounded: SymmetricF32 = spiked_wigner(&x, 0.3, &mut stream("y")).unwrap();
    assert_eq!(rounded.entry(2, 0), f64::from(y.entry(2, 0) as f32));
}

#[test]
fn wigner_noise_has_the_variances_of_the_orthogonal_ensemble() {
    // Larger than one tile, and not a multiple of it.
    let p = 600;
    let x: Vec<f64> = (0..p).map(|i| (i as f64 * 0.7).sin() + 0.5).collect();
    let noise = 0.7;
    let y: Symmetric = spiked_wigner(&x, noise, &mut stream("noise")).unwrap();
    let xi = |i: usize, j: usize| {
        let spike = x[i] * x[j] / (p as f64).sqrt();
        (y.entry(i, j) - spike) / noise.sqrt()
    };
    let (mut off, mut diagonal) = (0.0, 0.0);
    for i in 0..p {
        diagonal += xi(i, i).powi(2) / p as f64;
        for j in 0..i {
            assert_eq!(y.entry(i, j), y.entry(j, i));
            off += xi(i, j).powi(2) / (p * (p - 1) / 2) as f64;
        }
    }
    // A mean of n squares of N(0, v) has standard error v √(2/n).
    let n = (p * (p - 1) / 2) as f64;
    assert!((off - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{off}");
    let n = p as f64;
    assert!(
        (diagonal - 2.0).abs() < 5.0 * 2.0 * (2.0 / n).sqrt(),
        "{diagonal}"
    );
}

#[test]
fn vector_noise_has_its_variance() {
    let n = 20_000;
    let y = noisy(&vec![3.0; n], 0.25, &mut stream("n")).unwrap();
    let variance = y.iter().map(|y| (y - 3.0).powi(2)).sum::<f64>() / n as f64;
    assert!((variance / 0.25 - 1.0).abs() < 5.0 * (2.0 / n as f64).sqrt());
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let shape = Shape::new(2, 2);
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(gaussian(shape, bad, &mut stream("")).is_err());
        assert!(noisy(&[1.0], bad, &mut stream("")).is_err());
        assert!(spiked_wigner::<f64>(&[1.0], bad, &mut stream("")).is_err());
        if !bad.is_finite() {
            let error = spiked_wigner::<f64>(&[1.0, bad], 1.0, &mut stream("")).unwrap_err();
            assert!(matches!(error, EnsembleError::NotFinite { .. }));
        }
    }
    let error = gaussian(Shape::new(usize::MAX, 2), 1.0, &mut stream("")).unwrap_err();
    assert!(matches!(error, EnsembleError::Operator(_)));
    let empty = gaussian(Shape::new(0, 3), 1.0, &mut stream("")).unwrap();
    assert_eq!(empty.shape(), Shape::new(0, 3));
}
