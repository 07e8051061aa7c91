//! The same loops on vector registers: several rows share each load of the vectors.
//!
//! Why not leave it to the compiler: fastest of many products on one Zen 4 core of a busy
//! machine, AVX-512 against portable, in GB/s of matrix. In cache (n = 1000) dense 70 to 55,
//! symmetric 73 to 42, dense `f32` 55 to 28, symmetric `f32` 44 to 20. From memory (n = 4000,
//! where a plain read got 26) dense 24 to 13, dense `f32` 22 to 8, symmetric `f32` 25 to 16;
//! symmetric `f64` gains nothing there, 27 to 28. Loads and stores take references to eight
//! entries, so bounds are checked by the types and only those few lines are `unsafe`.

/// The kernels for one instruction set and one stored type; `$rows` rows are taken at once.
macro_rules! kernels {
    ($name:ident, $lanes:ident, $features:literal, $stored:ty, $load:ident, $rows:literal) => {
        pub(super) mod $name {
            use super::$lanes::{add, fma, read, splat, square, sum, write, zero, $load as load};
            use super::{IN_ROW, expect};
            use crate::kernels::Block;
            use std::array::from_fn;

            /// Loads of eight entries from one line of the cache, of 64 bytes.
            const LINE: usize = 8 / size_of::<$stored>();
            /// How far ahead in its row an entry is asked for.
            const NEXT: usize = IN_ROW / size_of::<$stored>();

            #[target_feature(enable = $features)]
            pub(in crate::kernels) fn rows<const SQUARE: bool>(
                a: &[$stored],
                x: &[f64],
                y: &mut [f64],
            ) {
                let (y, y_rest) = y.as_chunks_mut::<$rows>();
                let (a, a_rest) = a.split_at($rows * y.len() * x.len());
                for (a, y) in a.chunks_exact($rows * x.len()).zip(y) {
                    dots::<$rows, SQUARE>(a, x, y);
                }
                let (y, _) = y_rest.as_chunks_mut::<1>();
                for (a, y) in a_rest.chunks_exact(x.len()).zip(y) {
                    dots::<1, SQUARE>(a, x, y);
                }
            }

            #[target_feature(enable = $features)]
            pub(in crate::kernels) fn columns<const SQUARE: bool>(
                a: &[$stored],
                g: &[f64],
                y: &mut [f64],
                ahead: usize,
            ) {
                let (g, g_rest) = g.as_chunks::<$rows>();
                let (a, a_rest) = a.split_at($rows * g.len() * y.len());
                for (a, g) in a.chunks_exact($rows * y.len()).zip(g) {
                    combine::<$rows, SQUARE>(a, g, y, ahead);
                }
                let (g, _) = g_rest.as_chunks::<1>();
                for (a, g) in a_rest.chunks_exact(y.len()).zip(g) {
                    combine::<1, SQUARE>(a, g, y, ahead);
                }
            }

            #[target_feature(enable = $features)]
            pub(in crate::kernels) fn tile<const SQUARE: bool>(
                a: &[Block<$stored>],
                x: &[[f64; 8]],
                y: &mut [[f64; 8]],
                g: &[[f64; 8]],
                z: &mut [[f64; 8]],
            ) {
                for ((a, y), g) in a.chunks_exact(x.len()).zip(y).zip(g) {
                    both::<SQUARE>(a, x, y, g, z);
                }
            }

            #[target_feature(enable = $features)]
            pub(in crate::kernels) fn total(a: &[$stored]) -> f64 {
                let (a8, a1) = a.as_chunks::<8>();
                let (a64, a8) = a8.as_chunks::<8>();
                let mut lanes = [zero(); 8];
                for a in a64 {
                    for r in 0..8 {
                        lanes[r] = add(load(&a[r]), lanes[r]);
                    }
                }
                for a in a8 {
                    lanes[0] = add(load(a), lanes[0]);
                }
                let all: f64 = lanes.into_iter().map(|l| sum(l)).sum();
                all + a1.iter().map(|&a| f64::from(a)).sum::<f64>()
            }

            #[target_feature(enable = $features)]
            #[inline]
            fn dots<const R: usize, const SQUARE: bool>(
                a: &[$stored],
                x: &[f64],
                y: &mut [f64; R],
            ) {
                let width = x.len();
                let (x8, x1) = x.as_chunks::<8>();
                let row: [&[$stored]; R] = from_fn(|r| &a[r * x.len()..(r + 1) * x.len()]);
                let row8: [&[[$stored; 8]]; R] =
                    from_fn(|r| &row[r].as_chunks::<8>().0[..x8.len()]);
                let mut dot = [zero(); R];
                for (c, x) in x8.iter().enumerate() {
                    // Behind the end of a row follows its successor among the next rows taken at once.
                    let is_beyond = 8 * c + NEXT >= width;
                    let next = NEXT + if is_beyond { (R - 1) * width } else { 0 };
                    let x = read(x);
                    for r in 0..R {
                        if c.is_multiple_of(LINE) {
                            expect(&row8[r][c], next);
                        }
                        let v = load(&row8[r][c]);
                        dot[r] = fma(if SQUARE { square(v) } else { v }, x, dot[r]);
                    }
                }
                for r in 0..R {
                    y[r] = sum(dot[r]);
                    for (&v, &x) in row[r][8 * x8.len()..].iter().zip(x1) {
                        y[r] = entry::<SQUARE>(v).mul_add(x, y[r]);
                    }
                }
            }

            #[target_feature(enable = $features)]
            #[inline]
            fn combine<const R: usize, const SQUARE: bool>(
                a: &[$stored],
                g: &[f64; R],
                y: &mut [f64],
                ahead: usize,
            ) {
                let width = y.len();
                let (y8, y1) = y.as_chunks_mut::<8>();
                let row: [&[$stored]; R] = from_fn(|r| &a[r * width..(r + 1) * width]);
                let row8: [&[[$stored; 8]]; R] =
                    from_fn(|r| &row[r].as_chunks::<8>().0[..y8.len()]);
                let mut factor = [zero(); R];
                for r in 0..R {
                    factor[r] = splat(g[r]);
                }
                let chunks = y8.len();
                for (c, y) in y8.iter_mut().enumerate() {
                    let mut t = read(y);
                    for r in 0..R {
                        // Half of the rows: the others are fetched while they are summed.
                        if r % 2 == 0 && c.is_multiple_of(LINE) {
                            expect(&row8[r][c], ahead);
                        }
                        let v = load(&row8[r][c]);
                        t = fma(if SQUARE { square(v) } else { v }, factor[r], t);
                    }
                    write(t, y);
                }
                for (c, y) in y1.iter_mut().enumerate() {
                    for r in 0..R {
                        *y = entry::<SQUARE>(row[r][8 * chunks + c]).mul_add(g[r], *y);
                    }
                }
            }

            /// Eight rows at every level: half of them at a time would read every other 256 bytes,
            /// which costs more than sums that spill from sixteen registers to the stack.
            #[target_feature(enable = $features)]
            #[inline]
            fn both<const SQUARE: bool>(
                a: &[Block<$stored>],
                x: &[[f64; 8]],
                y: &mut [f64; 8],
                g: &[f64; 8],
                z: &mut [[f64; 8]],
            ) {
                let mut factor = [zero(); 8];
                for r in 0..8 {
                    factor[r] = splat(g[r]);
                }
                let mut dot = [zero(); 8];
                for ((block, x), z) in a.iter().zip(x).zip(z) {
                    let x = read(x);
                    let mut t = read(z);
                    for r in 0..8 {
                        let v = load(&block[r]);
                        let v = if SQUARE { square(v) } else { v };
                        dot[r] = fma(v, x, dot[r]);
                        t = fma(v, factor[r], t);
                    }
                    write(t, z);
                }
                for r in 0..8 {
                    y[r] += sum(dot[r]);
                }
            }

            fn entry<const SQUARE: bool>(v: $stored) -> f64 {
                let v = f64::from(v);
                if SQUARE { v * v } else { v }
            }
        }
    };
}

kernels!(avx512_f64, avx512, "avx512f", f64, read, 8);
kernels!(avx512_f32, avx512, "avx512f", f32, read_f32, 8);
// Sixteen registers hold the sums of four rows in two halves, their factors and the vectors.
kernels!(avx2_f64, avx2, "avx2,fma", f64, read, 4);
kernels!(avx2_f32, avx2, "avx2,fma", f32, read_f32, 4);

/// Eight lanes in one register.
mod avx512 {
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn zero() -> __m512d {
        _mm512_setzero_pd()
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn splat(x: f64) -> __m512d {
        _mm512_set1_pd(x)
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn read(x: &[f64; 8]) -> __m512d {
        // SAFETY: the reference covers the 64 bytes read; unaligned loads ask for nothing more.
        unsafe { _mm512_loadu_pd(x.as_ptr()) }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn read_f32(x: &[f32; 8]) -> __m512d {
        // SAFETY: the reference covers the 32 bytes read; unaligned loads ask for nothing more.
        _mm512_cvtps_pd(unsafe { _mm256_loadu_ps(x.as_ptr()) })
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn write(v: __m512d, x: &mut [f64; 8]) {
        // SAFETY: the exclusive reference covers the 64 bytes written.
        unsafe { _mm512_storeu_pd(x.as_mut_ptr(), v) }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn square(v: __m512d) -> __m512d {
        _mm512_mul_pd(v, v)
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn add(a: __m512d, b: __m512d) -> __m512d {
        _mm512_add_pd(a, b)
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn fma(a: __m512d, b: __m512d, c: __m512d) -> __m512d {
        _mm512_fmadd_pd(a, b, c)
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn sum(v: __m512d) -> f64 {
        super::sum_halves(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd::<1>(v))
    }
}

/// Eight lanes in two registers.
mod avx2 {
    use std::arch::x86_64::*;

    type Pair = (__m256d, __m256d);

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub(super) fn zero() -> Pair {
        splat(0.0)
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub(super) fn splat(x: f64) -> Pair {
        (_mm256_set1_pd(x), _mm256_set1_pd(x))
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub(super) fn read(x: &[f64; 8]) -> Pair {
        // SAFETY: the reference covers the 64 bytes of the two unaligned loads.
        unsafe {
            (
                _mm256_loadu_pd(x.as_ptr()),
                _mm256_loadu_pd(x.as_ptr().add(4)),
            )
        }
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub(super) fn read_f32(x: &[f32; 8]) -> Pair {
        // SAFETY: the reference covers the 32 bytes of the two unaligned loads.
        let (low, high) = unsafe { (_mm_loadu_ps(x.as_ptr()), _mm_loadu_ps(x.as_ptr().add(4))) };
        (_mm256_cvtps_pd(low), _mm256_cvtps_pd(high))
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub(super) fn write(v: Pair, x: &mut [f64; 8]) {
        // SAFETY: the exclusive reference covers the 64 bytes of the two unaligned stores.
        unsafe {
            _mm256_storeu_pd(x.as_mut_ptr(), v.0);
            _mm256_storeu_pd(x.as_mut_ptr().add(4), v.1);
        }
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub(super) fn square(v: Pair) -> Pair {
        (_mm256_mul_pd(v.0, v.0), _mm256_mul_pd(v.1, v.1))
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub(super) fn add(a: Pair, b: Pair) -> Pair {
        (_mm256_add_pd(a.0, b.0), _mm256_add_pd(a.1, b.1))
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub(super) fn fma(a: Pair, b: Pair, c: Pair) -> Pair {
        (
            _mm256_fmadd_pd(a.0, b.0, c.0),
            _mm256_fmadd_pd(a.1, b.1, c.1),
        )
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub(super) fn sum(v: Pair) -> f64 {
        super::sum_halves(v.0, v.1)
    }
}

/// Bytes by which rows are asked for ahead of their sums: far enough for memory to answer, and rows are longer than
/// that where it matters. In `f32` half of that, and nothing beyond the end of a row, cost a fifth to a third of a
/// product of 4000 rows of 2000 on one thread.
const IN_ROW: usize = 2048;

/// Asks for the line of the cache that many entries on. Hardware follows a stream to the end of
/// its page of 4 KiB only, and eight rows are eight streams: with this one read for both products
/// takes 1.0 to 1.1 instead of 1.3 times the probe (n = 10,000, one thread).
#[target_feature(enable = "avx2")]
#[inline]
fn expect<S>(at: &[S; 8], entries: usize) {
    use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    // The address need not exist: it is never read.
    _mm_prefetch::<_MM_HINT_T1>(at.as_ptr().wrapping_add(entries).cast());
}

/// The tree of the portable level: lanes at distance 4, then 2, then 1.
#[target_feature(enable = "avx2")]
#[inline]
fn sum_halves(low: std::arch::x86_64::__m256d, high: std::arch::x86_64::__m256d) -> f64 {
    use std::arch::x86_64::*;
    let four = _mm256_add_pd(low, high);
    let two = _mm_add_pd(
        _mm256_castpd256_pd128(four),
        _mm256_extractf128_pd::<1>(four),
    );
    _mm_cvtsd_f64(two) + _mm_cvtsd_f64(_mm_unpackhi_pd(two, two))
}
