//! The inner loops, chosen at run time; the only module with `unsafe`.
//!
//! All levels sum a row over the same eight lanes and the same tree, so AVX2 and AVX-512 give
//! the same bits; the portable level rounds each product before adding it. Two levels differ by
//! at most `2 γ_n Σ_j |a_ij| |x_j|` with `γ_n = n u / (1 - n u)`, `u = 2⁻⁵³`, `n` the number
//! of summands (one more for squared entries, which are rounded first): `γ_n` bounds the error
//! of a sum of `n` products in any order.
#![allow(unsafe_code)]

mod portable;
#[cfg(target_arch = "x86_64")]
mod vector;

use std::any::TypeId;

use crate::{OperatorError, Shape};

/// Instructions that the kernels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Plain Rust for any processor: the reference.
    Portable,
    /// Four lanes of `f64` with fused multiply-add (x86-64).
    Avx2,
    /// Eight lanes of `f64` (x86-64).
    Avx512,
}

impl Level {
    /// The fastest level of this processor.
    pub fn best() -> Self {
        let fastest_first = [Self::Avx512, Self::Avx2];
        fastest_first
            .into_iter()
            .find(|l| l.is_available())
            .unwrap_or(Self::Portable)
    }

    /// Whether this processor has the instructions.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f") && Self::Avx2.is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

/// The kernels of one level, which this processor has.
#[derive(Clone, Copy, Debug)]
pub struct Kernels(Level);

impl Kernels {
    pub(crate) fn best() -> Self {
        Self(Level::best())
    }

    pub(crate) fn at(level: Level) -> Result<Self, OperatorError> {
        if level.is_available() {
            Ok(Self(level))
        } else {
            Err(OperatorError::LevelUnavailable(level))
        }
    }

    pub(crate) fn level(self) -> Level {
        self.0
    }

    /// The sum of all entries: as little as can be done with each of them.
    pub(crate) fn total<S: Stored>(self, a: &[S]) -> f64 {
        S::total(self, a)
    }

    /// `y_i <- Σ_j a_ij x_j`, rows of `a` contiguous; squared entries if `SQUARE`.
    pub(crate) fn rows<S: Stored, const SQUARE: bool>(self, a: &[S], x: &[f64], y: &mut [f64]) {
        assert_eq!(a.len(), x.len() * y.len());
        if x.is_empty() {
            return y.fill(0.0);
        }
        S::rows::<SQUARE>(self, a, x, y)
    }

    /// `y_j += Σ_i a_ij g_i`, rows of `a` contiguous; squared entries if `SQUARE`. What lies
    /// `ahead` entries on is read next: some of it is fetched meanwhile.
    pub(crate) fn columns<S: Stored, const SQUARE: bool>(
        self,
        a: &[S],
        g: &[f64],
        y: &mut [f64],
        ahead: usize,
    ) {
        assert_eq!(a.len(), g.len() * y.len());
        if y.is_empty() {
            return;
        }
        S::columns::<SQUARE>(self, a, g, y, ahead)
    }

    /// `y_i += Σ_j a_ij x_j` and `z_j += Σ_i a_ij g_i`, each entry read once. The blocks of
    /// eight rows and eight columns lie row after row, so that memory is read in one stream.
    pub(crate) fn tile<S: Stored, const SQUARE: bool>(
        self,
        a: &[Block<S>],
        x: &[[f64; 8]],
        y: &mut [[f64; 8]],
        g: &[[f64; 8]],
        z: &mut [[f64; 8]],
    ) {
        assert_eq!(a.len(), x.len() * y.len());
        assert!(x.len() == z.len() && y.len() == g.len());
        if x.is_empty() {
            return;
        }
        S::tile::<SQUARE>(self, a, x, y, g, z)
    }
}

/// Eight rows of eight columns.
pub(crate) type Block<S> = [[S; 8]; 8];

/// Precision in which entries are stored: `f64` or `f32`. Arithmetic is always in `f64`.
pub trait Stored: Loops + Copy + Default + Send + Sync + 'static {
    /// The stored entry, exactly.
    fn to_f64(self) -> f64;
    /// The nearest stored entry.
    fn nearest(x: f64) -> Self;
}

impl Stored for f64 {
    fn to_f64(self) -> f64 {
        self
    }
    fn nearest(x: f64) -> Self {
        x
    }
}

impl Stored for f32 {
    fn to_f64(self) -> f64 {
        self.into()
    }
    fn nearest(x: f64) -> Self {
        x as f32
    }
}

/// Where the first entry stands that is not finite in the stored precision. Looks at all of them
/// without a branch, which the compiler vectorises.
pub(crate) fn not_finite<S: Stored>(entries: &[f64]) -> Option<usize> {
    let is_finite = |x: &f64| S::nearest(*x).to_f64().is_finite();
    let all = entries.iter().fold(true, |all, x| all & is_finite(x));
    if all {
        return None;
    }
    entries.iter().position(|x| !is_finite(x))
}

/// The loops of one stored type at each level. Unreachable from outside, which closes [`Stored`].
pub trait Loops: Sized {
    fn total(at: Kernels, a: &[Self]) -> f64;
    fn rows<const SQUARE: bool>(at: Kernels, a: &[Self], x: &[f64], y: &mut [f64]);
    fn columns<const SQUARE: bool>(at: Kernels, a: &[Self], g: &[f64], y: &mut [f64], ahead: usize);
    fn tile<const SQUARE: bool>(
        at: Kernels,
        a: &[Block<Self>],
        x: &[[f64; 8]],
        y: &mut [[f64; 8]],
        g: &[[f64; 8]],
        z: &mut [[f64; 8]],
    );
}

/// Runs one loop at one level.
macro_rules! at_level {
    ($at:expr, $avx512:ident, $avx2:ident, $loop:ident $(::<$square:ident>)?($($argument:expr),+)) => {
        match $at.0 {
            Level::Portable => portable::$loop::<Self $(, $square)?>($($argument),+),
            // SAFETY: `Kernels` is only made for a level that this processor has.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { vector::$avx2::$loop $(::<$square>)?($($argument),+) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { vector::$avx512::$loop $(::<$square>)?($($argument),+) },
            #[cfg(not(target_arch = "x86_64"))]
            _ => unreachable!("levels of another processor are refused"),
        }
    };
}

macro_rules! loops {
    ($stored:ty, $avx512:ident, $avx2:ident) => {
        impl Loops for $stored {
            fn total(at: Kernels, a: &[Self]) -> f64 {
                at_level!(at, $avx512, $avx2, total(a))
            }
            fn rows<const SQUARE: bool>(at: Kernels, a: &[Self], x: &[f64], y: &mut [f64]) {
                at_level!(at, $avx512, $avx2, rows::<SQUARE>(a, x, y))
            }
            fn columns<const SQUARE: bool>(
                at: Kernels,
                a: &[Self],
                g: &[f64],
                y: &mut [f64],
                ahead: usize,
            ) {
                at_level!(at, $avx512, $avx2, columns::<SQUARE>(a, g, y, ahead))
            }
            fn tile<const SQUARE: bool>(
                at: Kernels,
                a: &[Block<Self>],
                x: &[[f64; 8]],
                y: &mut [[f64; 8]],
                g: &[[f64; 8]],
                z: &mut [[f64; 8]],
            ) {
                at_level!(at, $avx512, $avx2, tile::<SQUARE>(a, x, y, g, z))
            }
        }
    };
}

loops!(f64, avx512_f64, avx2_f64);
loops!(f32, avx512_f32, avx2_f32);

/// `x` itself when `A` is `B`.
pub(crate) fn same<A: 'static, B: 'static>(x: &[A]) -> Option<&[B]> {
    // SAFETY: A is B, so this is the identity. Needed because the field is a type parameter and
    // only real operators have kernels; the generic loop adds in sequence, so the compiler may
    // not vectorise it.
    (TypeId::of::<A>() == TypeId::of::<B>())
        .then(|| unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) })
}

/// `x` itself when `A` is `B`.
pub(crate) fn same_mut<A: 'static, B: 'static>(x: &mut [A]) -> Option<&mut [B]> {
    // SAFETY: as in `same`; the exclusive borrow is passed on.
    (TypeId::of::<A>() == TypeId::of::<B>())
        .then(|| unsafe { std::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len()) })
}

/// An empty vector with room for a matrix of this shape, on huge pages where that pays.
///
/// - **Errors**: [`OperatorError::Memory`].
pub(crate) fn reserve<T>(shape: Shape) -> Result<Vec<T>, OperatorError> {
    let mut entries = Vec::new();
    entries
        .try_reserve_exact(shape.entries()?)
        .map_err(|_| OperatorError::Memory(shape))?;
    advise_huge_pages(&mut entries);
    Ok(entries)
}

/// Two huge pages: below, rounding to whole pages would take a part that counts.
#[cfg(target_os = "linux")]
const HUGE_PAGES_FROM: usize = 4 << 20;

/// Asks for huge pages behind a large allocation: 5 to 25 % more bandwidth on large matrices.
#[cfg(target_os = "linux")]
fn advise_huge_pages<T>(entries: &mut Vec<T>) {
    const PAGE: usize = 4096;
    let bytes = entries.capacity() * size_of::<T>();
    if bytes < HUGE_PAGES_FROM {
        return;
    }
    let start = entries.as_mut_ptr().cast::<u8>();
    let skip = start.align_offset(PAGE);
    // SAFETY: the range lies inside the allocation that `entries` owns, and this advice never
    // changes the contents of memory. A refusal only costs speed, so the result is ignored.
    unsafe {
        libc::madvise(
            start.add(skip).cast(),
            (bytes - skip) & !(PAGE - 1),
            libc::MADV_HUGEPAGE,
        );
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages<T>(_: &mut Vec<T>) {}
