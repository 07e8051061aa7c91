//! Reductions of random and of adversarial bases, checked in integers.

use std::ops::ControlFlow;

use onsager_lattice::{IBig, Lattice, LatticeError, MOST_BITS, Settings};
use proptest::prelude::*;

fn rows(entries: &[Vec<i64>]) -> Vec<Vec<IBig>> {
    (entries.iter())
        .map(|row| row.iter().map(|&x| x.into()).collect())
        .collect()
}

/// Reduces and checks; lattices that do not exist are no concern here.
fn check(basis: Vec<Vec<IBig>>, settings: &Settings) -> Result<(), TestCaseError> {
    let Ok(lattice) = Lattice::new(basis) else {
        return Ok(());
    };
    let reduction = lattice.reduce(settings).expect("allowed settings");
    let certificate = reduction.certify(&lattice);
    prop_assert!(
        certificate.holds(),
        "{certificate:?}, exact: {}",
        reduction.exact
    );
    // The first vector obeys the bound of every reduced basis, |b_1|^(2n) <= c^(n(n-1)/2) det², with
    // c = 1/(δ - η²).
    let n = lattice.dimension() as f64;
    let first: IBig = reduction.lattice.rows()[0].iter().map(|x| x * x).sum();
    let c = 1.0 / (settings.delta - 0.51_f64.powi(2));
    let bound = 0.5 * n * (n - 1.0) * c.log2() + log2(&lattice.gram_determinant());
    prop_assert!(n * log2(&first) <= bound + 1e-6);
    Ok(())
}

fn log2(x: &IBig) -> f64 {
    // Leading digits and length of the hexadecimal form: a route of its own.
    let text = x.in_radix(16).to_string();
    let head = &text[..text.len().min(12)];
    let leading = i64::from_str_radix(head, 16).expect("digits") as f64;
    leading.log2() + 4.0 * (text.len() - head.len()) as f64
}

fn deep() -> impl Strategy<Value = Settings> {
    (
        0.3..=0.999,
        prop_oneof![Just(1_usize), 2_usize..6, Just(usize::MAX)],
    )
        .prop_map(|(delta, depth)| Settings { delta, depth })
}

/// A big number of up to so many bits, of either sign.
fn big(bits: usize) -> impl Strategy<Value = IBig> {
    (
        prop::collection::vec(any::<u64>(), bits / 64 + 1),
        any::<bool>(),
        0..=bits,
    )
        .prop_map(|(words, negative, bits)| {
            let size = (words.iter()).fold(IBig::ZERO, |x, &word| (x << 64) + IBig::from(word));
            let size: IBig = size & ((IBig::ONE << bits) - 1);
            if negative { -size } else { size }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_bases(
        settings in deep(),
        entries in (1_usize..9, 0_usize..4).prop_flat_map(|(n, more)| {
            prop::collection::vec(prop::collection::vec(-1000_i64..1000, n + more), n)
        }),
    ) {
        check(rows(&entries), &settings)?;
    }

    /// Rows whose lengths differ by hundreds of orders of magnitude.
    #[test]
    fn bases_of_big_and_small_entries(
        settings in deep(),
        basis in (1_usize..7).prop_flat_map(|n| {
            prop::collection::vec(prop::collection::vec(big(900), n), n)
        }),
    ) {
        check(basis, &settings)?;
    }

    /// Knapsacks: one long column beside the identity.
    #[test]
    fn knapsacks(settings in deep(), column in prop::collection::vec(big(600), 1..12)) {
        let n = column.len();
        let basis = (column.into_iter().enumerate())
            .map(|(i, a)| (0..n).map(|j| u8::from(i == j).into()).chain([a]).collect())
            .collect();
        check(basis, &settings)?;
    }

    /// Rows that differ by tiny amounts from one another: nothing of them is orthogonal to a double.
    #[test]
    fn nearly_parallel_rows(
        settings in deep(),
        common in prop::collection::vec(big(400), 6),
        noise in prop::collection::vec(prop::collection::vec(-3_i64..=3, 6), 6),
    ) {
        let basis = (noise.iter())
            .map(|row| row.iter().zip(&common).map(|(&x, c)| c + x).collect())
            .collect();
        check(basis, &settings)?;
    }

    /// Lower triangular with coefficients of one half: the worst start for size reduction, and
    /// lengths that grow or shrink geometrically.
    #[test]
    fn triangles(settings in deep(), n in 2_usize..14, up in any::<bool>(), step in 1_usize..40) {
        let diagonal = |i: usize| IBig::ONE << (step * if up { i } else { n - i });
        let basis = (0..n)
            .map(|i| (0..n).map(|j| match j.cmp(&i) {
                std::cmp::Ordering::Less => diagonal(j) >> 1,
                std::cmp::Ordering::Equal => diagonal(i),
                std::cmp::Ordering::Greater => IBig::ZERO,
            }).collect())
            .collect();
        check(basis, &settings)?;
    }
}

/// The shortest vector of a reduced plane lattice, against all of its small combinations.
#[test]
fn the_plane_is_solved() {
    for (a, b) in [(12345, 6789), (1_000_003, 999_983), (65536, 65535)] {
        let lattice = Lattice::from_small(&[&[1, 0, a], &[0, 1, b]]).unwrap();
        let settings = Settings {
            delta: 0.999,
            depth: 1,
        };
        let reduced = lattice.reduce(&settings).unwrap();
        let first: IBig = reduced.lattice.rows()[0].iter().map(|x| x * x).sum();
        let norm = |x: i64, y: i64| x * x + y * y + (a * x + b * y).pow(2);
        let shortest = (-2000..=2000_i64)
            .flat_map(|x| {
                // For each x, the best y is next to the root of the last coordinate.
                let y = -(a * x) / b;
                (y - 1..=y + 1).map(move |y| (x, y))
            })
            .filter(|&pair| pair != (0, 0))
            .map(|(x, y)| norm(x, y))
            .min();
        assert_eq!(Some(i64::try_from(&first).unwrap()), shortest);
    }
}

/// Deep insertion pays: on the same bases its first vectors are no longer on average.
#[test]
fn deeper_is_shorter() {
    let mut gain = 0.0;
    for seed in 0..6_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1442695040888963407);
            IBig::from(state)
        };
        let n = 36;
        let basis: Vec<Vec<IBig>> = (0..n)
            .map(|i| {
                (0..n)
                    .map(|j| IBig::from(u8::from(i == j)))
                    .chain([(next() << 64) + next()])
                    .collect()
            })
            .collect();
        let lattice = Lattice::new(basis).unwrap();
        let first = |depth| {
            let reduced = lattice
                .reduce(&Settings {
                    depth,
                    ..Settings::default()
                })
                .unwrap();
            reduced.lattice.rows()[0]
                .iter()
                .map(|x| x * x)
                .sum::<IBig>()
        };
        gain += 0.5 * (log2(&first(1)) - log2(&first(usize::MAX)));
    }
    assert!(gain > 0.0, "{gain} bits over six lattices");
}

/// A certificate is no formality: it fails for another lattice, and for a coarser one.
#[test]
fn certificates_are_of_one_lattice() {
    let lattice = Lattice::from_small(&[&[1, 0, 12345], &[0, 1, 6789]]).unwrap();
    let reduced = lattice.reduce(&Settings::default()).unwrap();
    assert!(reduced.certify(&lattice).holds());
    let other = Lattice::from_small(&[&[1, 0, 12345], &[0, 1, 6790]]).unwrap();
    assert!(!reduced.certify(&other).transformed);
    let mut coarse = reduced.clone();
    coarse.transform[0].iter_mut().for_each(|x| *x *= 2);
    let mut rows = reduced.lattice.rows().to_vec();
    rows[0].iter_mut().for_each(|x| *x *= 2);
    coarse.lattice = Lattice::new(rows).unwrap();
    let certificate = coarse.certify(&lattice);
    assert!(certificate.transformed && !certificate.determinant);
}

#[test]
fn reductions_and_certificates_can_be_stopped() {
    let entry =
        |i: i64, j: i64| IBig::from(i64::from(i == j)) + (IBig::from(7 * i + 3) << 200) / 11;
    let basis = (0..12)
        .map(|i| (0..12).map(|j| entry(i, j)).collect())
        .collect();
    let lattice = Lattice::new(basis).unwrap();
    let mut calls = 0;
    let mut stop = |_| {
        calls += 1;
        if calls < 5 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    };
    let stopped = lattice.reduce_with(&Settings::default(), &mut stop);
    assert!(matches!(stopped, Err(LatticeError::Stopped { .. })));
    let reduced = lattice.reduce(&Settings::default()).unwrap();
    let stopped = reduced.certify_with(&lattice, &mut |_| ControlFlow::Break(()));
    assert_eq!(stopped, Err(LatticeError::Stopped { insertions: 0 }));
}

#[test]
fn wrong_bases_are_refused_by_name() {
    let big = |bits: usize| vec![IBig::ONE << bits, IBig::ZERO];
    let cases = [
        (vec![], LatticeError::Empty("a basis")),
        (vec![vec![]], LatticeError::Empty("a row")),
        (
            rows(&[vec![1, 2], vec![1]]),
            LatticeError::Ragged {
                row: 1,
                expected: 2,
                found: 1,
            },
        ),
        (rows(&[vec![1, 2], vec![0, 0]]), LatticeError::ZeroRow(1)),
        (
            rows(&[vec![1, 2], vec![-3, -6]]),
            LatticeError::DependentRow(1),
        ),
        (
            rows(&[vec![1, 2], vec![3, 4], vec![5, 6]]),
            LatticeError::DependentRow(2),
        ),
        (
            vec![big(3), big(MOST_BITS)],
            LatticeError::HugeEntry {
                row: 1,
                limit: MOST_BITS,
                found: MOST_BITS + 1,
            },
        ),
    ];
    for (basis, expected) in cases {
        assert_eq!(Lattice::new(basis), Err(expected));
    }
    // Dependent modulo the prime of the quick test, but not over the rationals.
    let prime = (1_i64 << 31) - 1;
    assert!(Lattice::from_small(&[&[prime, 0], &[0, 1]]).is_ok());
    let lattice = Lattice::from_small(&[&[2, 1], &[1, 2]]).unwrap();
    for (delta, depth) in [(0.2, 1), (1.0, 1), (f64::NAN, 1), (0.99, 0)] {
        let refused = lattice.reduce(&Settings { delta, depth });
        assert!(matches!(refused, Err(LatticeError::Setting { .. })));
    }
}
