use dashu_int::IBig;
use dashu_int::ops::{BitTest, SquareRoot};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use crate::LatticeError;
use crate::lattice::MOST_BITS;

/// Real numbers in fixed point, `m_i / 2^bits`: all share the absolute accuracy `2^-(bits + 1)`.
///
/// ```
/// use onsager_lattice::Reals;
///
/// let x = Reals::parse(["0.1", "-2.5e-1"], 200)?;
/// assert_eq!(x.to_f64(), [0.1, -0.25]);
/// # Ok::<(), onsager_lattice::LatticeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reals {
    pub(crate) mantissas: Vec<IBig>,
    pub(crate) bits: usize,
}

impl Reals {
    /// The numbers `mantissas[i] / 2^bits`.
    pub fn new(mantissas: Vec<IBig>, bits: usize) -> Self {
        Self { mantissas, bits }
    }

    /// Reads decimal numbers, rounded to the nearest multiple of `2^-bits`.
    ///
    /// # Errors
    ///
    /// Text that is not a decimal number, or one of more than 262,144 digits or with an exponent beyond
    /// ±262,144.
    pub fn parse<'a>(
        decimals: impl IntoIterator<Item = &'a str>,
        bits: usize,
    ) -> Result<Self, LatticeError> {
        let one = |text| parse(text, bits).ok_or_else(|| LatticeError::Decimal(excerpt(text)));
        let mantissas = decimals.into_iter().map(one).collect::<Result<_, _>>()?;
        Ok(Self { mantissas, bits })
    }

    /// Doubles, rounded to the nearest multiple of `2^-bits`.
    ///
    /// # Errors
    ///
    /// Numbers that are not finite.
    pub fn from_f64(values: &[f64], bits: usize) -> Result<Self, LatticeError> {
        let one = |&value: &f64| {
            if value.is_finite() {
                let (mantissa, exponent) = split(value);
                Ok(scaled(&mantissa.into(), exponent + bits as i64))
            } else {
                Err(LatticeError::Setting {
                    name: "a number",
                    allowed: "finite",
                    found: value,
                })
            }
        };
        let mantissas = values.iter().map(one).collect::<Result<_, _>>()?;
        Ok(Self { mantissas, bits })
    }

    /// Independent standard Gaussian numbers; digits beyond those of a double are random too.
    pub fn gaussian<R: Rng + ?Sized>(count: usize, bits: usize, rng: &mut R) -> Self {
        let one = |_| {
            let value: f64 = StandardNormal.sample(rng);
            let (mantissa, exponent) = split(value);
            let exponent = exponent + bits as i64;
            let low = uniform(exponent.max(0) as usize, rng);
            scaled(&mantissa.into(), exponent) + low
        };
        let mantissas = (0..count).map(one).collect();
        Self { mantissas, bits }
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.mantissas.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.mantissas.is_empty()
    }

    /// Bits behind the point.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// The integers `m_i`.
    pub fn mantissas(&self) -> &[IBig] {
        &self.mantissas
    }

    /// The numbers as doubles.
    pub fn to_f64(&self) -> Vec<f64> {
        let one = |m: &IBig| {
            let (mantissa, exponent) = approximate(m);
            // In two factors, since the power alone may be below the doubles.
            let exponent = exponent - self.bits as i32;
            let half = exponent / 2;
            mantissa * 2.0_f64.powi(half) * 2.0_f64.powi(exponent - half)
        };
        self.mantissas.iter().map(one).collect()
    }

    /// The numbers in decimals, with `digits` behind the point.
    pub fn to_decimals(&self, digits: usize) -> Vec<String> {
        let ten = IBig::from(10).pow(digits);
        let one = |m: &IBig| {
            let rounded = scaled(&(m * &ten), -(self.bits as i64));
            let sign = if rounded < IBig::ZERO { "-" } else { "" };
            let size = if rounded < IBig::ZERO {
                -rounded
            } else {
                rounded
            };
            let text = format!("{:0>width$}", size.to_string(), width = digits + 1);
            let (whole, fraction) = text.split_at(text.len() - digits);
            if digits == 0 {
                format!("{sign}{whole}")
            } else {
                format!("{sign}{whole}.{fraction}")
            }
        };
        self.mantissas.iter().map(one).collect()
    }

    /// The same numbers with another number of bits, rounded to the nearest.
    pub fn with_bits(&self, bits: usize) -> Self {
        let change = bits as i64 - self.bits as i64;
        Self {
            mantissas: self.mantissas.iter().map(|m| scaled(m, change)).collect(),
            bits,
        }
    }

    /// The row `x M` without rounding, with the bits of both; `rows` holds the matrix by rows, as many as
    /// there are numbers here.
    ///
    /// # Panics
    ///
    /// Rows of different lengths or bits, or another number of rows.
    pub fn times(&self, rows: &[Self]) -> Self {
        assert_eq!(self.len(), rows.len(), "a matrix has a row for each number");
        let (columns, bits) = rows.first().map_or((0, 0), |row| (row.len(), row.bits));
        let alike = rows
            .iter()
            .all(|row| row.len() == columns && row.bits == bits);
        assert!(alike, "rows of a matrix have equal lengths and bits");
        let entry = |c: usize| {
            (self.mantissas.iter().zip(rows))
                .map(|(x, row)| x * &row.mantissas[c])
                .sum()
        };
        Self {
            mantissas: (0..columns).map(entry).collect(),
            bits: self.bits + bits,
        }
    }

    /// `Σ x_i y_i` without rounding: a mantissa with the bits of both.
    pub(crate) fn dot(&self, other: &Self) -> IBig {
        crate::exact::dot(&self.mantissas, &other.mantissas)
    }
}

/// Mantissa of at most 53 bits and exponent of a finite double.
fn split(value: f64) -> (i64, i64) {
    let bits = value.to_bits();
    let fraction = (bits & ((1 << 52) - 1)) as i64;
    let exponent = ((bits >> 52) & 0x7ff) as i64;
    let (size, exponent) = if exponent == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, exponent - 1075)
    };
    (if value < 0.0 { -size } else { size }, exponent)
}

/// The nearest integer to `x 2^shift`, ties upwards.
pub(crate) fn scaled(x: &IBig, shift: i64) -> IBig {
    match shift {
        0 => x.clone(),
        1.. => x << shift as usize,
        _ => {
            let down = shift.unsigned_abs() as usize;
            (x + (IBig::ONE << (down - 1))) >> down
        }
    }
}

/// A double `f` and an exponent with `x = f 2^e` to a relative accuracy of `2^-53`.
pub(crate) fn approximate(x: &IBig) -> (f64, i32) {
    let shift = x.bit_len().saturating_sub(62);
    let leading = i64::try_from(x >> shift).unwrap_or(0);
    (leading as f64, shift as i32)
}

/// `log2 |x|`, minus infinity for zero.
pub(crate) fn log2(x: &IBig) -> f64 {
    let (mantissa, exponent) = approximate(x);
    mantissa.abs().log2() + f64::from(exponent)
}

/// An integer of `[0, 2^bits)`.
pub(crate) fn uniform<R: Rng + ?Sized>(bits: usize, rng: &mut R) -> IBig {
    let mut x = IBig::ZERO;
    let mut left = bits;
    while left > 0 {
        let step = left.min(64);
        x = (x << step) + IBig::from(rng.random::<u64>() >> (64 - step));
        left -= step;
    }
    x
}

fn parse(text: &str, bits: usize) -> Option<IBig> {
    let text = text.trim();
    let (body, exponent) = match text.split_once(['e', 'E']) {
        Some((body, exponent)) => (body, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (sign, body) = match body.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, body.strip_prefix('+').unwrap_or(body)),
    };
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    let digits = [whole, fraction].concat();
    // Longer numbers would make the power of ten itself longer than any entry may be.
    let most = MOST_DIGITS as i64;
    let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !valid || exponent.abs() > most || digits.len() as i64 > most {
        return None;
    }
    let mantissa = IBig::from_str_radix(&digits, 10).ok()? * IBig::from(sign);
    let exponent = exponent - fraction.len() as i64;
    let power = IBig::from(10).pow(exponent.unsigned_abs() as usize);
    if exponent >= 0 {
        return Some((mantissa * power) << bits);
    }
    // The nearest integer to a/b is the floor of (2a + b)/2b.
    let doubled = (mantissa << (bits + 1)) + &power;
    let divisor = power << 1;
    let (quotient, rest) = (&doubled / &divisor, doubled % divisor);
    Some(if rest < IBig::ZERO {
        quotient - IBig::ONE
    } else {
        quotient
    })
}

/// Most decimal digits of a number, and the largest exponent.
pub(crate) const MOST_DIGITS: usize = MOST_BITS / 4;

/// What an error message shows of a text.
fn excerpt(text: &str) -> String {
    const MOST: usize = 40;
    if text.chars().count() <= MOST {
        text.to_string()
    } else {
        text.chars().take(MOST).chain("...".chars()).collect()
    }
}

/// Cosines and their inverse, of angles counted in turns, with a fixed number of bits.
pub(crate) struct Circle {
    bits: usize,
    turn: IBig,
}

/// Bits beyond those of the result: the rounding of a few hundred products.
const GUARD: usize = 16;

impl Circle {
    pub(crate) fn new(bits: usize) -> Self {
        let work = bits + GUARD;
        // Machin: π = 16 arctan 1/5 - 4 arctan 1/239.
        let arctan = |q: i64| {
            let mut power = (IBig::ONE << work) / IBig::from(q);
            let mut sum = power.clone();
            let mut k = 1_i64;
            while !power.is_zero() {
                power = -power / IBig::from(q * q);
                k += 2;
                sum += &power / IBig::from(k);
            }
            sum
        };
        let turn = IBig::from(32) * arctan(5) - IBig::from(8) * arctan(239);
        Self { bits, turn }
    }

    /// `cos 2πt` and `sin 2πt` with guard bits, of a mantissa with guard bits.
    fn cos_sin(&self, t: &IBig) -> (IBig, IBig) {
        let work = self.bits + GUARD;
        // Only the fraction of a turn counts; the shift rounds down, so it lies in [0, 1).
        let fraction = t - ((t >> work) << work);
        // Halvings balance the terms of the series against the doublings of the angle.
        let halvings = (work as f64).sqrt() as usize;
        let wide = work + 2 * halvings + 8;
        let angle = ((fraction * &self.turn) << (wide - work)) >> (work + halvings);
        let square = (&angle * &angle) >> wide;
        let (mut cos, mut sin) = (IBig::ONE << wide, angle.clone());
        let (mut even, mut odd) = (cos.clone(), angle);
        let mut k = 1_i64;
        while !odd.is_zero() || !even.is_zero() {
            even = -((even * &square) >> wide) / IBig::from(k * (k + 1));
            odd = -((odd * &square) >> wide) / IBig::from((k + 1) * (k + 2));
            cos += &even;
            sin += &odd;
            k += 2;
        }
        for _ in 0..halvings {
            let doubled = (&cos * &sin) >> (wide - 1);
            cos = ((&cos * &cos) >> (wide - 1)) - (IBig::ONE << wide);
            sin = doubled;
        }
        let down = work as i64 - wide as i64;
        (scaled(&cos, down), scaled(&sin, down))
    }

    /// `cos 2πt`.
    pub(crate) fn cos(&self, t: &IBig) -> IBig {
        let (cos, _) = self.cos_sin(&(t << GUARD));
        scaled(&cos, -(GUARD as i64))
    }

    /// `arccos(z)/2π` in [0, 1/2]; values beyond ±1 count as ±1.
    pub(crate) fn arccos(&self, z: &IBig) -> IBig {
        let work = self.bits + GUARD;
        let one = IBig::ONE << work;
        let z = (z << GUARD).clamp(-one.clone(), one.clone());
        let sin = (&one * &one - &z * &z).sqrt();
        let sin = IBig::from(sin);
        let to_f64 = |x: &IBig| Reals::new(vec![x.clone()], work).to_f64()[0];
        let start = to_f64(&sin).atan2(to_f64(&z)) / std::f64::consts::TAU;
        let (mantissa, exponent) = split(start);
        let mut t = scaled(&mantissa.into(), exponent + work as i64);
        // sin(δ) with δ the angle that is missing: each step triples the digits that are right.
        for _ in 0..64 {
            let (cos, other) = self.cos_sin(&t);
            let missing = (&sin * &cos - &z * &other) >> work;
            // 1/2π turns the sine into turns.
            let step = (&missing << work) / &self.turn;
            if step.bit_len() <= GUARD / 2 {
                break;
            }
            t += step;
        }
        scaled(&t, -(GUARD as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_survive_the_way_there_and_back() {
        let texts = [
            "0.1",
            "-0.333",
            "12345678901234567890.5",
            "1e-3",
            "-2.5E2",
            "+.5",
            "7.",
        ];
        let values = Reals::parse(texts, 300).unwrap();
        assert_eq!(
            values.to_decimals(4),
            [
                "0.1000",
                "-0.3330",
                "12345678901234567890.5000",
                "0.0010",
                "-250.0000",
                "0.5000",
                "7.0000"
            ]
        );
        assert_eq!(values.with_bits(1).to_decimals(0)[3], "0");
        for wrong in [
            "",
            "x",
            "1e",
            "nan",
            "1e999999999",
            "--1",
            "1.2.3",
            "0x10",
            ".",
        ] {
            assert!(Reals::parse([wrong], 10).is_err(), "{wrong}");
        }
        let doubles = [1.5, -0.1, 1e-300, 3e200, 0.0, f64::MIN_POSITIVE / 8.0];
        let exact = Reals::from_f64(&doubles, 1100).unwrap();
        assert_eq!(exact.to_f64(), doubles);
        assert!(Reals::from_f64(&[f64::NAN], 10).is_err());
    }

    #[test]
    fn the_circle_knows_pi_and_closes() {
        let circle = Circle::new(400);
        // Digits of 2π from the literature.
        let known = "6.28318530717958647692528676655900576839433879875021164194988918461563";
        let turn = Reals::new(vec![circle.turn.clone()], 400 + GUARD);
        assert_eq!(turn.to_decimals(68)[0], known);
        // cos(2π/6) = 1/2, cos(2π/8) = 1/√2, and the inverse at both and at the ends.
        let one = IBig::ONE << 400;
        // One unit of an angle moves its cosine by up to 2π units.
        let near = |a: &IBig, b: &IBig| (a - b).bit_len() <= 3;
        assert!(near(&circle.cos(&(&one / IBig::from(6))), &(&one >> 1)));
        let eighth = circle.cos(&(&one >> 3));
        assert!(near(&((&eighth * &eighth) >> 399), &one));
        assert!(near(&circle.arccos(&(&one >> 1)), &(&one / IBig::from(6))));
        assert!(near(&circle.arccos(&one), &IBig::ZERO));
        assert!(near(&circle.arccos(&-&one), &(&one >> 1)));
        // An angle so small that its cosine is 1 to half of all bits.
        let small = IBig::ONE << 250;
        assert!((circle.arccos(&circle.cos(&small)) - small).bit_len() <= 152);
    }
}
