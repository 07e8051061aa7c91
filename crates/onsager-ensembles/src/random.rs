//! Random streams that depend on what they are for, never on when they are used.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The one number that decides every random number of a run.
///
/// ```
/// use onsager_ensembles::Seed;
/// use rand::Rng;
///
/// let mut noise = Seed(7).stream("phase-diagram", 3, 0, "noise");
/// let mut again = Seed(7).stream("phase-diagram", 3, 0, "noise");
/// let mut other = Seed(7).stream("phase-diagram", 3, 1, "noise");
/// assert_eq!(noise.next_u64(), again.next_u64());
/// assert_ne!(noise.next_u64(), other.next_u64());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seed(pub u64);

impl Seed {
    /// The stream of one purpose, in one trial, at one point of one figure.
    ///
    /// The key of the generator is the SHA-256 of this byte string, integers little-endian in 64
    /// bits, every text preceded by its length in bytes, so that different arguments never give
    /// the same string:
    ///
    /// ```text
    /// "onsager stream 1" seed |figure| figure point trial |purpose| purpose
    /// ```
    ///
    /// - **Value stability**: the bits are part of the interface; a test guards them, and those
    ///   of the normal variates drawn from them.
    #[must_use]
    pub fn stream(self, figure: &str, point: u64, trial: u64, purpose: &str) -> ChaCha8Rng {
        let mut hash = Sha256::new();
        hash.update(b"onsager stream 1");
        hash.update(self.0.to_le_bytes());
        hash.update((figure.len() as u64).to_le_bytes());
        hash.update(figure);
        hash.update(point.to_le_bytes());
        hash.update(trial.to_le_bytes());
        hash.update((purpose.len() as u64).to_le_bytes());
        hash.update(purpose);
        ChaCha8Rng::from_seed(hash.finalize().into())
    }
}

impl std::fmt::Display for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Independent streams, one per row of a matrix: rows may be filled in any order, by any thread.
///
/// They share a 256-bit key drawn from the parent stream and differ in the stream number of
/// ChaCha, so 2⁶⁴ rows never overlap.
///
/// ```
/// use onsager_ensembles::{Seed, random::RowStreams};
/// use rand::Rng;
///
/// let rows = RowStreams::new(&mut Seed(1).stream("example", 0, 0, "weights"));
/// assert_eq!(rows.row(5).next_u64(), rows.row(5).next_u64());
/// assert_ne!(rows.row(5).next_u64(), rows.row(6).next_u64());
/// ```
#[derive(Debug, Clone)]
pub struct RowStreams(ChaCha8Rng);

impl RowStreams {
    /// Draws the common key: the parent advances by 32 bytes, whatever the matrix.
    pub fn new<R: Rng + ?Sized>(parent: &mut R) -> Self {
        let mut key = [0; 32];
        parent.fill_bytes(&mut key);
        Self(ChaCha8Rng::from_seed(key))
    }

    /// The stream of row `i`, from its start.
    #[must_use]
    pub fn row(&self, i: usize) -> ChaCha8Rng {
        let mut stream = self.0.clone();
        stream.set_stream(i as u64);
        stream
    }
}
