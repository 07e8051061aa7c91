//! Rows of integers: of the machine while they fit, big ones otherwise.

use dashu_int::IBig;
use dashu_int::ops::BitTest;

/// Bound of the entries of a machine row: products and sums that stay below it cannot overflow.
const MACHINE: f64 = (1_u64 << 62) as f64;

/// A row and a bound of the size of its entries.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    entries: Entries,
    bound: f64,
}

#[derive(Debug, Clone)]
enum Entries {
    Machine(Vec<i64>),
    Big(Vec<IBig>),
}

impl Row {
    pub(crate) fn new(entries: Vec<IBig>) -> Self {
        let mut row = Self {
            entries: Entries::Big(entries),
            bound: f64::INFINITY,
        };
        row.settle();
        row
    }

    pub(crate) fn into_big(self) -> Vec<IBig> {
        match self.entries {
            Entries::Machine(entries) => entries.into_iter().map(IBig::from).collect(),
            Entries::Big(entries) => entries,
        }
    }

    /// The entries, if all of them fit into the machine.
    pub(crate) fn machine(&self) -> Option<&[i64]> {
        match &self.entries {
            Entries::Machine(entries) => Some(entries),
            Entries::Big(_) => None,
        }
    }

    /// One entry as a big integer.
    pub(crate) fn entry(&self, column: usize) -> IBig {
        match &self.entries {
            Entries::Machine(entries) => entries[column].into(),
            Entries::Big(entries) => entries[column].clone(),
        }
    }

    /// Inner product of the first entries.
    pub(crate) fn dot(&self, other: &Self, columns: usize) -> IBig {
        (0..columns).map(|c| self.entry(c) * other.entry(c)).sum()
    }

    /// Bits of the largest entry.
    pub(crate) fn bits(&self) -> usize {
        match &self.entries {
            Entries::Machine(entries) => entries
                .iter()
                .map(|x| (64 - x.unsigned_abs().leading_zeros()) as usize)
                .max(),
            Entries::Big(entries) => entries.iter().map(BitTest::bit_len).max(),
        }
        .unwrap_or(0)
    }

    /// Replaces one entry.
    pub(crate) fn set(&mut self, column: usize, value: IBig) {
        match (&mut self.entries, i64::try_from(&value)) {
            (Entries::Machine(entries), Ok(value)) => entries[column] = value,
            _ => self.promote()[column] = value,
        }
        self.settle();
    }

    /// Subtracts `factor · 2^shift · other`; `factor` is an integer below `2^53` in size.
    pub(crate) fn subtract(&mut self, factor: f64, shift: usize, other: &Self) {
        let growth = factor.abs() * power(shift as i32) * other.bound;
        // A double rounds the sum of the bounds by far less than the machine has left.
        self.bound += growth;
        if self.bound < MACHINE
            && let (Entries::Machine(own), Entries::Machine(other)) =
                (&mut self.entries, &other.entries)
        {
            let factor = (factor as i64) << shift;
            for (x, y) in own.iter_mut().zip(other) {
                *x -= factor * y;
            }
            return;
        }
        let factor = IBig::from(factor as i64) << shift;
        let own = self.promote();
        match &other.entries {
            Entries::Machine(other) => {
                for (x, y) in own.iter_mut().zip(other).filter(|(_, y)| **y != 0) {
                    *x -= &factor * y;
                }
            }
            Entries::Big(other) => {
                for (x, y) in own.iter_mut().zip(other).filter(|(_, y)| !y.is_zero()) {
                    *x -= &factor * y;
                }
            }
        }
    }

    fn promote(&mut self) -> &mut Vec<IBig> {
        if let Entries::Machine(entries) = &self.entries {
            self.entries = Entries::Big(entries.iter().map(|&x| x.into()).collect());
        }
        match &mut self.entries {
            Entries::Big(entries) => entries,
            Entries::Machine(_) => unreachable!("the row was made big above"),
        }
    }

    /// Renews the bound, and returns to the machine if the entries fit.
    pub(crate) fn settle(&mut self) {
        let bits = self.bits() as i32;
        // A power of two that no entry exceeds.
        self.bound = power(bits);
        if self.bound < MACHINE
            && let Entries::Big(entries) = &self.entries
        {
            let fit = |x| i64::try_from(x).unwrap_or(0);
            self.entries = Entries::Machine(entries.iter().map(fit).collect());
        }
    }

    /// The first entries as doubles in units of `2^e`, rounded to `2^-53` of the largest; returns `e`.
    pub(crate) fn approximate(&self, out: &mut [f64]) -> i32 {
        match &self.entries {
            Entries::Machine(entries) => {
                for (y, x) in out.iter_mut().zip(entries) {
                    *y = *x as f64;
                }
                0
            }
            Entries::Big(entries) => {
                let entries = &entries[..out.len()];
                let bits = entries.iter().map(BitTest::bit_len).max().unwrap_or(0);
                let shift = bits.saturating_sub(62);
                for (y, x) in out.iter_mut().zip(entries) {
                    *y = i64::try_from(x >> shift).unwrap_or(0) as f64;
                }
                shift as i32
            }
        }
    }
}

/// `2^e`, with the limits 0 and infinity.
pub(crate) fn power(e: i32) -> f64 {
    2.0_f64.powi(e)
}
