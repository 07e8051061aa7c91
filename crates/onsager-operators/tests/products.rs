//! Every operator against the naive product with its full matrix.

use nalgebra::{Complex, ComplexField, DMatrix};
use onsager_operators::{
    Adjoint, Counted, Dense, DenseF32, Field, Gram, Identity, Level, LinearOperator, OperatorError,
    Product, Products, Scaled, Shape, Shifted, Symmetric, SymmetricF32,
};
use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const LEVELS: [Level; 3] = [Level::Portable, Level::Avx2, Level::Avx512];

/// Sizes around every boundary of the kernels: lanes (8), row blocks, parts and tiles (256).
const SIZES: [usize; 14] = [0, 1, 2, 7, 8, 9, 15, 17, 33, 64, 129, 257, 300, 531];

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn uniform(rows: usize, columns: usize, rng: &mut impl Rng) -> DMatrix<f64> {
    DMatrix::from_fn(rows, columns, |_, _| rng.random_range(-1.0..1.0))
}

fn complex(rows: usize, columns: usize, rng: &mut impl Rng) -> DMatrix<Complex<f64>> {
    DMatrix::from_fn(rows, columns, |_, _| {
        Complex::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0))
    })
}

fn symmetric(size: usize, rng: &mut impl Rng) -> DMatrix<f64> {
    let a = uniform(size, size, rng);
    DMatrix::from_fn(size, size, |i, j| a[(i.max(j), i.min(j))])
}

/// The same matrix, rounded.
fn single(a: &DMatrix<f64>) -> DenseF32 {
    let shape = Shape::new(a.nrows(), a.ncols());
    let fill = |i, row: &mut [f64]| row.iter_mut().enumerate().for_each(|(j, b)| *b = a[(i, j)]);
    DenseF32::from_rows(shape, fill).unwrap()
}

/// `γ_n = n u / (1 - n u)`, the relative error of a sum of `n` products in any order.
fn gamma(n: usize) -> f64 {
    let nu = n as f64 * f64::EPSILON / 2.0;
    nu / (1.0 - nu)
}

/// `|a - b| <= bound` in every entry, where a NaN agrees with nothing.
fn assert_within<F: Field>(a: &DMatrix<F>, b: &DMatrix<F>, bound: &DMatrix<f64>, what: &str) {
    assert_eq!(a.shape(), b.shape(), "{what}");
    for ((&a, &b), &bound) in a.iter().zip(b).zip(bound) {
        assert!(
            (a - b).modulus() <= bound,
            "{what}: {a} and {b} differ by more than {bound:e}"
        );
    }
}

/// Products with `op`, which is `matrix`, both ways and squared, against the naive ones.
///
/// Both sums are within `γ_n Σ |a| |x|` of the exact one; a complex product counts as two real
/// ones of larger modulus, hence `4 n`; composed operators have `depth` times the summands.
fn check<F: Field>(
    op: &impl LinearOperator<F>,
    matrix: &DMatrix<F>,
    depth: usize,
    squared: bool,
    draw: impl Fn(usize, usize) -> DMatrix<F>,
) {
    let what = format!("{:?}", matrix.shape());
    assert_eq!((op.shape().rows, op.shape().columns), matrix.shape());
    let absolute = |m: &DMatrix<F>| m.map(|a| a.modulus());
    let (x, y) = (draw(matrix.ncols(), 3), draw(matrix.nrows(), 3));
    let n = 4 * depth * (matrix.nrows().max(matrix.ncols()) + 2);
    let bound = absolute(matrix) * absolute(&x) * (2.0 * gamma(n));
    assert_within(&op.apply(&x).unwrap(), &(matrix * &x), &bound, &what);
    let bound = absolute(&matrix.adjoint()) * absolute(&y) * (2.0 * gamma(n));
    assert_within(
        &op.apply_adjoint(&y).unwrap(),
        &(matrix.adjoint() * &y),
        &bound,
        &what,
    );

    let wrong = DMatrix::<F>::zeros(matrix.ncols() + 1, 2);
    assert!(matches!(op.apply(&wrong), Err(OperatorError::Shape { .. })));
    let wrong = DMatrix::<F>::zeros(matrix.nrows() + 1, 2);
    assert!(matches!(
        op.apply_adjoint(&wrong),
        Err(OperatorError::Shape { .. })
    ));

    let squares = matrix.map(|a| a.modulus_squared());
    let (x, y) = (
        absolute(&x).column(0).into_owned(),
        absolute(&y).column(0).into_owned(),
    );
    let (mut ax, mut ay) = (
        vec![f64::NAN; matrix.nrows()],
        vec![f64::NAN; matrix.ncols()],
    );
    let done = op.apply_squared_column(x.as_slice(), &mut ax);
    let adjoint_done = op.apply_squared_adjoint_column(y.as_slice(), &mut ay);
    if !squared {
        assert!(matches!(done, Err(OperatorError::NotSupported { .. })));
        assert!(matches!(
            adjoint_done,
            Err(OperatorError::NotSupported { .. })
        ));
        return;
    }
    done.unwrap();
    adjoint_done.unwrap();
    let column = |v: Vec<f64>| DMatrix::from_vec(v.len(), 1, v);
    let expected = column((&squares * &x).as_slice().to_vec());
    assert_within(
        &column(ax),
        &expected,
        &(&expected * (2.0 * gamma(n))),
        &what,
    );
    let expected = column((squares.transpose() * &y).as_slice().to_vec());
    assert_within(
        &column(ay),
        &expected,
        &(&expected * (2.0 * gamma(n))),
        &what,
    );
    assert!(
        op.apply_squared_column(&vec![0.0; matrix.ncols() + 1], &mut [])
            .is_err()
    );
}

fn real_block(rows: usize, columns: usize) -> DMatrix<f64> {
    uniform(rows, columns, &mut rng(99))
}

#[test]
fn dense_at_every_level_is_its_matrix() {
    for &rows in &SIZES {
        for &columns in &[0, 1, 5, 8, 31, 300] {
            let matrix = uniform(rows, columns, &mut rng(1));
            let rounded = matrix.map(|a| f64::from(a as f32));
            for level in LEVELS.into_iter().filter(|l| l.is_available()) {
                let op = Dense::from_matrix(&matrix)
                    .unwrap()
                    .with_level(level)
                    .unwrap();
                assert_eq!(op.level(), level);
                assert_eq!(op.to_matrix(), matrix);
                check(&op, &matrix, 1, true, real_block);
                let op = single(&matrix).with_level(level).unwrap();
                assert_eq!(op.to_matrix(), rounded);
                check(&op, &rounded, 1, true, real_block);
            }
        }
    }
}

#[test]
fn symmetric_at_every_level_is_its_matrix() {
    for size in SIZES.into_iter().chain([1100]) {
        let matrix = symmetric(size, &mut rng(2));
        let rounded = matrix.map(|a| f64::from(a as f32));
        for level in LEVELS.into_iter().filter(|l| l.is_available()) {
            let op = Symmetric::from_matrix(&matrix)
                .unwrap()
                .with_level(level)
                .unwrap();
            assert_eq!(op.to_matrix(), matrix);
            check(&op, &matrix, 1, true, real_block);
            let op = SymmetricF32::from_matrix(&matrix)
                .unwrap()
                .with_level(level)
                .unwrap();
            assert_eq!(op.to_matrix(), rounded);
            check(&op, &rounded, 1, true, real_block);
        }
    }
}

#[test]
fn complex_dense_is_its_matrix() {
    for (rows, columns) in [(0, 3), (1, 1), (7, 9), (33, 12)] {
        let matrix = complex(rows, columns, &mut rng(3));
        let op = Dense::from_matrix(&matrix).unwrap();
        assert_eq!(op.level(), Level::Portable);
        check(&op, &matrix, 1, true, |r, c| complex(r, c, &mut rng(98)));
    }
}

#[test]
fn composed_operators_are_their_matrices() {
    for (m, n, k) in [(1, 1, 1), (5, 8, 3), (17, 9, 30)] {
        let (a, b, s) = (
            uniform(m, n, &mut rng(4)),
            uniform(n, k, &mut rng(5)),
            symmetric(m, &mut rng(6)),
        );
        let (da, db) = (
            Dense::from_matrix(&a).unwrap(),
            Dense::from_matrix(&b).unwrap(),
        );
        let ds = Symmetric::from_matrix(&s).unwrap();
        check(
            &Identity { size: m },
            &DMatrix::identity(m, m),
            1,
            true,
            real_block,
        );
        check(
            &Scaled {
                operator: &da,
                factor: -0.75,
            },
            &(&a * -0.75),
            1,
            true,
            real_block,
        );
        let shifted = Shifted::new(&ds, 3.0).unwrap();
        check(
            &shifted,
            &(&s + DMatrix::identity(m, m) * 3.0),
            1,
            false,
            real_block,
        );
        // The naive product with A B rounds |A||B||x| instead of |AB||x|: allow the ratio.
        let product = Product::new(&da, &db).unwrap();
        let slack = ((a.abs() * b.abs()).sum() / (&a * &b).abs().min()).ceil() as usize;
        check(&product, &(&a * &b), slack + 1, false, real_block);
        check(&Adjoint(&da), &a.transpose(), 1, false, real_block);
        let gram = Gram {
            operator: &da,
            factor: 0.5,
        };
        let slack =
            ((a.abs() * a.abs().transpose()).sum() / (&a * a.transpose()).abs().min()).ceil();
        check(
            &gram,
            &(&a * a.transpose() * 0.5),
            slack as usize + 1,
            false,
            real_block,
        );
    }
    let a = complex(6, 4, &mut rng(7));
    let factor = Complex::new(0.5, -2.0);
    let scaled = Scaled {
        operator: Dense::from_matrix(&a).unwrap(),
        factor,
    };
    check(&scaled, &(&a * factor), 2, true, |r, c| {
        complex(r, c, &mut rng(97))
    });
    let s = complex(6, 6, &mut rng(8));
    let shifted = Shifted::new(Dense::from_matrix(&s).unwrap(), factor).unwrap();
    let matrix = &s + DMatrix::from_diagonal_element(6, 6, factor);
    check(&shifted, &matrix, 4, false, |r, c| {
        complex(r, c, &mut rng(96))
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn adjoint_moves_across_the_inner_product(
        rows in 0..70usize, columns in 0..70usize, seed in any::<u64>(),
    ) {
        let rng = &mut rng(seed);
        let a = complex(rows, columns, rng);
        let (x, y) = (complex(columns, 1, rng), complex(rows, 1, rng));
        let op = Dense::from_matrix(&a).unwrap();
        let left = y.dotc(&op.apply(&x).unwrap());
        let right = op.apply_adjoint(&y).unwrap().dotc(&x);
        let bound = 2.0 * gamma(8 * (rows + columns + 2)) * 2.0 * (rows * columns) as f64;
        prop_assert!((left - right).modulus() <= bound, "{left} and {right}");

        let a = uniform(rows, columns, rng);
        let (x, y) = (uniform(columns, 1, rng), uniform(rows, 1, rng));
        let op = Dense::from_matrix(&a).unwrap();
        let left = y.dot(&op.apply(&x).unwrap());
        let right = op.apply_adjoint(&y).unwrap().dot(&x);
        prop_assert!((left - right).abs() <= bound, "{left} and {right}");
    }

    #[test]
    fn levels_agree_within_their_bound(
        rows in 1..600usize, columns in 1..300usize, seed in any::<u64>(),
    ) {
        let rng = &mut rng(seed);
        let (a, s) = (uniform(rows, columns, rng), symmetric(rows, rng));
        let (x, y) = (uniform(columns, 1, rng), uniform(rows, 1, rng));
        let products = |level| {
            let op = Dense::from_matrix(&a).unwrap().with_level(level).unwrap();
            let tiles = Symmetric::from_matrix(&s).unwrap().with_level(level).unwrap();
            [op.apply(&x), op.apply_adjoint(&y), tiles.apply(&y)].map(Result::unwrap)
        };
        let sizes = [
            (a.abs() * x.abs()) * 2.0 * gamma(columns),
            (a.abs().transpose() * y.abs()) * 2.0 * gamma(rows),
            (s.abs() * y.abs()) * 2.0 * gamma(rows + 8), // zeros of the partial sums
        ];
        let reference = products(Level::Portable);
        for level in LEVELS.into_iter().filter(|l| l.is_available()) {
            for ((found, expected), bound) in products(level).iter().zip(&reference).zip(&sizes) {
                assert_within(found, expected, bound, "levels");
            }
        }
    }
}

#[test]
fn threads_do_not_move_a_bit() {
    let (a, s) = (
        uniform(301, 517, &mut rng(9)),
        symmetric(2900, &mut rng(10)),
    );
    let (x, y) = (uniform(517, 2, &mut rng(11)), uniform(301, 2, &mut rng(12)));
    let z = uniform(2900, 1, &mut rng(13));
    for level in LEVELS.into_iter().filter(|l| l.is_available()) {
        let dense = Dense::from_matrix(&a).unwrap().with_level(level).unwrap();
        let tiles = Symmetric::from_matrix(&s)
            .unwrap()
            .with_level(level)
            .unwrap();
        let expected = [dense.apply(&x), dense.apply_adjoint(&y), tiles.apply(&z)];
        for threads in [2, 3, 8] {
            let dense = dense.clone().with_threads(threads).unwrap();
            let tiles = tiles.clone().with_threads(threads).unwrap();
            assert_eq!(tiles.threads(), threads);
            assert_eq!(
                [dense.apply(&x), dense.apply_adjoint(&y), tiles.apply(&z)],
                expected
            );
        }
    }
}

#[test]
fn blocks_give_the_bits_of_their_columns() {
    // More rows than one part, more columns than a few rows of which stay in the cache.
    let (a, s) = (
        uniform(97, 5003, &mut rng(20)),
        symmetric(801, &mut rng(21)),
    );
    let (x, y, z) = (
        uniform(5003, 3, &mut rng(22)),
        uniform(97, 3, &mut rng(23)),
        uniform(801, 3, &mut rng(24)),
    );
    for level in LEVELS.into_iter().filter(|l| l.is_available()) {
        let dense = Dense::from_matrix(&a).unwrap().with_level(level).unwrap();
        let single = single(&a).with_level(level).unwrap();
        let tiles = Symmetric::from_matrix(&s).unwrap();
        let tiles = tiles.with_level(level).unwrap();
        let each: [(&dyn LinearOperator, _, _); 3] =
            [(&dense, &x, &y), (&single, &x, &y), (&tiles, &z, &z)];
        for (op, x, y) in each {
            let (ax, ay) = (op.apply(x).unwrap(), op.apply_adjoint(y).unwrap());
            for t in 0..3 {
                let x = x.column(t).into_owned();
                let mut one = vec![f64::NAN; op.shape().rows];
                op.apply_column(x.as_slice(), &mut one);
                assert_eq!(ax.column(t).as_slice(), one);
                let y = y.column(t).into_owned();
                let mut one = vec![f64::NAN; op.shape().columns];
                op.apply_adjoint_column(y.as_slice(), &mut one);
                assert_eq!(ay.column(t).as_slice(), one);
            }
        }
    }
}

#[test]
fn one_read_gives_the_bits_of_both_products() {
    for (rows, columns) in [(0, 3), (3, 0), (1, 1), (9, 40), (97, 5003), (700, 13)] {
        let a = uniform(rows, columns, &mut rng(25));
        let x: Vec<f64> = uniform(columns, 1, &mut rng(26)).data.into();
        // Depends on the row and on what is kept for it, and leaves a trace of both.
        let g = |first: usize, z: &[f64], out: &mut [f64], kept: &mut [f64]| {
            for (r, ((z, out), kept)) in z.iter().zip(out).zip(kept.chunks_mut(2)).enumerate() {
                *out = z.tanh() * kept[0];
                kept[1] = z + (first + r) as f64;
            }
        };
        let kept: Vec<f64> = (0..2 * rows).map(|i| (i as f64).cos()).collect();
        for level in LEVELS.into_iter().filter(|l| l.is_available()) {
            for threads in [1, 3] {
                let dense = Dense::from_matrix(&a).unwrap();
                let dense = dense.with_level(level).unwrap();
                let dense = dense.with_threads(threads).unwrap();
                let single = single(&a).with_level(level).unwrap();
                let single = single.with_threads(threads).unwrap();
                let both: [&dyn LinearOperator; 2] = [&dense, &single];
                for op in both {
                    let (mut z, mut out) = (vec![0.0; rows], vec![0.0; rows]);
                    let (mut expected, mut found) = (vec![f64::NAN; columns], vec![0.5; columns]);
                    let (mut kept_apart, mut kept) = (kept.clone(), kept.clone());
                    op.apply_column(&x, &mut z);
                    g(0, &z, &mut out, &mut kept_apart);
                    op.apply_adjoint_column(&out, &mut expected);
                    op.apply_through(&x, &g, &mut kept, &mut found);
                    assert_eq!(found, expected, "{rows} x {columns}");
                    assert_eq!(kept, kept_apart, "{rows} x {columns}");
                }
            }
        }
    }
    // Operators without entries of their own make two products.
    let shifted = Shifted::new(Identity { size: 3 }, 1.0).unwrap();
    let mut y = [0.0; 3];
    let g = |_: usize, z: &[f64], out: &mut [f64], _: &mut [f64]| out.copy_from_slice(z);
    shifted.apply_through(&[1.0, 2.0, 3.0], &g, &mut [], &mut y);
    assert_eq!(y, [4.0, 8.0, 12.0]);
}

#[test]
fn total_sums_every_stored_entry() {
    for size in SIZES {
        // Small integers: exact in any order.
        let a = DMatrix::from_fn(size, size, |i, j| ((i + 2 * j) % 7) as f64);
        let s = DMatrix::from_fn(size, size, |i, j| ((i * j) % 5) as f64);
        for level in LEVELS.into_iter().filter(|l| l.is_available()) {
            let dense = Dense::from_matrix(&a).unwrap().with_level(level).unwrap();
            let single = single(&a).with_level(level).unwrap();
            assert_eq!([dense.total(), single.total()], [a.sum(); 2]);
            // Blocks of eight up to the diagonal.
            let stored = DMatrix::from_fn(size, size, |i, j| match j / 8 <= i / 8 {
                true => s[(i, j)],
                false => 0.0,
            });
            let tiles = Symmetric::from_matrix(&s).unwrap();
            let tiles = tiles.with_level(level).unwrap().with_threads(2).unwrap();
            assert_eq!(tiles.total(), stored.sum());
        }
    }
}

#[test]
fn vector_levels_give_the_same_bits() {
    if !Level::Avx512.is_available() {
        return;
    }
    let (a, s) = (uniform(61, 203, &mut rng(14)), symmetric(523, &mut rng(15)));
    let (x, y, z) = (
        uniform(203, 1, &mut rng(16)),
        uniform(61, 1, &mut rng(17)),
        uniform(523, 1, &mut rng(18)),
    );
    let products = |level| {
        let dense = Dense::from_matrix(&a).unwrap().with_level(level).unwrap();
        let tiles = Symmetric::from_matrix(&s)
            .unwrap()
            .with_level(level)
            .unwrap();
        [dense.apply(&x), dense.apply_adjoint(&y), tiles.apply(&z)].map(Result::unwrap)
    };
    assert_eq!(products(Level::Avx2), products(Level::Avx512));
}

#[test]
fn counted_counts_columns_of_each_direction() {
    let a = uniform(4, 6, &mut rng(19));
    let op = Counted::new(Dense::from_matrix(&a).unwrap());
    op.apply(&DMatrix::zeros(6, 5)).unwrap();
    op.apply_adjoint(&DMatrix::zeros(4, 2)).unwrap();
    op.apply_column(&[1.0; 6], &mut [0.0; 4]);
    op.apply_squared_adjoint_column(&[1.0; 4], &mut [0.0; 6])
        .unwrap();
    assert!(op.apply(&DMatrix::zeros(7, 5)).is_err()); // refused, so not counted
    assert_eq!(
        op.products(),
        Products {
            forward: 6,
            adjoint: 3
        }
    );
    check(&op, &a, 1, true, real_block);
    let boxed: Box<dyn LinearOperator> = Box::new(op);
    check(&boxed, &a, 1, true, real_block);
    check(&std::sync::Arc::new(boxed), &a, 1, true, real_block);
}

#[test]
fn symmetric_reads_each_lower_entry_once_from_its_filler() {
    let mut calls = vec![];
    Symmetric::from_fn(300, |i, j| {
        calls.push((i, j));
        0.0
    })
    .unwrap();
    let expected: Vec<_> = (0..300)
        .flat_map(|i| (0..=i).map(move |j| (i, j)))
        .collect();
    assert_eq!(calls, expected);
    let bytes = |p: usize| Symmetric::from_fn(p, |_, _| 0.0).unwrap().bytes();
    for p in [0usize, 1, 8, 200, 256, 999, 1000, 1025] {
        let rounded = p.next_multiple_of(8);
        assert_eq!(bytes(p), rounded * (rounded + 8) / 2 * 8, "p = {p}");
    }
}

#[test]
fn large_matrix_on_huge_pages_holds_its_entries() {
    let columns = 9_000_000; // 72 MB, above the size from which huge pages are asked for
    let op = Dense::from_rows(Shape::new(1, columns), |_, row| {
        row.iter_mut()
            .enumerate()
            .for_each(|(j, a)| *a = (j % 3) as f64)
    })
    .unwrap();
    assert!(
        op.row(0)
            .iter()
            .enumerate()
            .all(|(j, &a)| a == (j % 3) as f64)
    );
    let mut y = [0.0];
    op.apply_column(&vec![1.0; columns], &mut y);
    assert_eq!(y[0], columns as f64); // integers: exact in any order
}

#[test]
fn bad_input_is_refused_by_name() {
    let shape = Shape::new(2, 3);
    let found = Dense::new(shape, vec![0.0; 5]).unwrap_err();
    assert_eq!(
        found,
        OperatorError::Entries {
            expected: 6,
            found: 5
        }
    );
    assert_eq!(found.to_string(), "number of entries must be 6, got 5");
    let mut entries = vec![0.0; 6];
    entries[5] = f64::INFINITY;
    let found = Dense::new(shape, entries).unwrap_err().to_string();
    assert_eq!(found, "entry (1, 2) of the matrix must be finite, got inf");
    let found = DenseF32::from_rows(shape, |_, row| row.fill(1e300));
    assert!(matches!(
        found,
        Err(OperatorError::NotFinite {
            row: 0,
            column: 0,
            ..
        })
    ));
    let found = SymmetricF32::from_fn(3, |i, j| if (i, j) == (2, 1) { -1e300 } else { 0.0 });
    assert!(matches!(
        found,
        Err(OperatorError::NotFinite {
            row: 2,
            column: 1,
            ..
        })
    ));
    let found = Symmetric::from_fn(3, |_, _| f64::NAN);
    assert!(matches!(
        found,
        Err(OperatorError::NotFinite {
            row: 0,
            column: 0,
            ..
        })
    ));
    let lopsided = DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 3.0, 4.0]);
    let found = Symmetric::from_matrix(&lopsided).unwrap_err();
    let expected = OperatorError::NotSymmetric {
        row: 1,
        column: 0,
        lower: 3.0,
        upper: 2.0,
    };
    assert_eq!(found, expected);
    let wide = Dense::new(shape, vec![1.0; 6]).unwrap();
    assert!(matches!(
        Symmetric::from_matrix(&wide.to_matrix()),
        Err(OperatorError::NotSquare { .. })
    ));
    assert!(matches!(
        Shifted::new(&wide, 1.0),
        Err(OperatorError::NotSquare { .. })
    ));
    assert!(matches!(
        Product::new(&wide, &wide),
        Err(OperatorError::Shape { .. })
    ));
    let found = wide.clone().with_threads(0).unwrap_err().to_string();
    assert_eq!(found, "number of threads must be at least 1, got 0");
    let huge = Shape::new(usize::MAX, 2);
    assert_eq!(
        Dense::<f64>::new(huge, vec![]).unwrap_err(),
        OperatorError::Memory(huge)
    );
    let huge = 1 << 40;
    let found = Symmetric::from_fn(huge, |_, _| 0.0).unwrap_err();
    assert_eq!(found, OperatorError::Memory(Shape::square(huge)));
}
