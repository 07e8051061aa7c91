//! Channels of piecewise-linear functions.

use super::{Kernel, values};
use crate::activation::{Piece, sharpness};
use crate::lanes::{Beyond, Within, exp, ln};
use crate::{Channel, Moments};

/// One affine piece, the whole line.
#[derive(Clone, Copy)]
pub(crate) struct Line(pub(crate) Piece);

/// Two half lines that meet.
#[derive(Clone, Copy)]
pub(crate) struct HalfLines {
    pub(crate) below: Piece,
    pub(crate) above: Piece,
}

/// Two pieces or more, in order.
#[derive(Clone, Copy)]
pub(crate) struct Pieces<'a>(pub(crate) &'a [Piece]);

/// Messages, in the order `a`, `b`, `ω`, `V`.
type Given<const N: usize> = [[f64; N]; 4];

// Loops call functions that are inlined without fail, never closures: a closure that the compiler
// keeps as a call is not vectorised.

impl Kernel<4, 7> for Line {
    #[inline(always)]
    fn block<const N: usize>(&self, [a, b, omega, v]: &Given<N>, out: &mut [[f64; N]; 7]) {
        for i in 0..N {
            let whole = self.0.whole(a[i], b[i], omega[i], v[i]);
            let log_partition = whole.exponent(false) - 0.5 * ln(whole.d);
            store(out, i, whole.channel(&self.0, log_partition));
        }
    }
}

impl Kernel<4, 7> for HalfLines {
    #[inline(always)]
    fn block<const N: usize>(&self, [a, b, omega, v]: &Given<N>, out: &mut [[f64; N]; 7]) {
        let steepest = sharpness(&[self.below, self.above]);
        for i in 0..N {
            let message = [a[i], b[i], omega[i], v[i]];
            let is_sharp = a[i] * v[i] * steepest > 1.0;
            let below = Part::on::<-1>(&self.below, message, is_sharp);
            let above = Part::on::<1>(&self.above, message, is_sharp);
            let difference = if self.below.slope == -self.above.slope && self.above.slope != 0.0 {
                self.odds(&below, &above, message)
            } else {
                below.exponent - above.exponent
            };
            let mut channel = below.or(&above, difference).channel();
            channel.log_partition += common(a[i], b[i], is_sharp);
            store(out, i, channel);
        }
    }
}

impl HalfLines {
    /// The difference of the exponents of two half lines of opposite slopes, to relative digits: a
    /// message that hardly tells the two apart leaves it far below either exponent.
    #[inline(always)]
    fn odds(&self, below: &Part, above: &Part, [a, b, omega, v]: [f64; 4]) -> f64 {
        let (p, r, end) = (&self.below, &self.above, self.above.lower);
        let d = 1.0 + a * r.slope * r.slope * v;
        // m (2b - a m)/(2d), where m is the value of the affine function at ω.
        let apart = (p.offset - r.offset) + (p.slope - r.slope) * omega;
        let together = (p.offset + r.offset) + (p.slope + r.slope) * omega;
        let whole = apart * (2.0 * b - a * together) / (2.0 * d);
        // The squares of the distances of two ends that are both far.
        let left = p.slope * (b - a * (p.offset + p.slope * end));
        let right = r.slope * (b - a * (r.offset + r.slope * end));
        let scale = 1.0 / (d * v).sqrt();
        let sum = (right - left) * v * scale;
        let difference = (2.0 * (omega - end) + v * (right + left)) * scale;
        let far = if below.nearest > 0.0 && above.nearest > 0.0 {
            0.5 * sum * difference
        } else {
            0.5 * (above.nearest * above.nearest - below.nearest * below.nearest)
        };
        whole + far
    }
}

impl Kernel<4, 7> for Pieces<'_> {
    /// Exponents and values are counted from the value at an end of a piece that suits the message
    /// best, as one by one.
    #[inline(always)]
    fn block<const N: usize>(&self, given: &Given<N>, out: &mut [[f64; N]; 7]) {
        let [a, b, omega, v] = given;
        let (mut origin, mut field) = ([0.0; N], [f64::INFINITY; N]);
        for ends in self.0.windows(2) {
            for value in [ends[0].at(ends[0].upper), ends[1].at(ends[1].lower)] {
                for i in 0..N {
                    let seen = b[i] - a[i] * value;
                    let nearer = seen.abs() < field[i].abs();
                    field[i] = if nearer { seen } else { field[i] };
                    origin[i] = if nearer { value } else { origin[i] };
                }
            }
        }
        let steepest = sharpness(self.0);
        let mut sum = Part::none::<N>();
        let messages = [*a, field, *omega, *v];
        for &piece in self.0 {
            // One loop for each kind of piece: a loop that chooses is not vectorised.
            if piece.lower == f64::NEG_INFINITY {
                add::<N, -1>(&mut sum, piece, &messages, &origin, steepest);
            } else if piece.upper == f64::INFINITY {
                add::<N, 1>(&mut sum, piece, &messages, &origin, steepest);
            } else {
                add::<N, 0>(&mut sum, piece, &messages, &origin, steepest);
            }
        }
        for i in 0..N {
            let mut channel = Part::load(&sum, i).channel();
            // exp(bx - ax²/2) at the origin itself.
            channel.log_partition += 0.5 * origin[i] * (b[i] + field[i])
                + common(a[i], field[i], a[i] * v[i] * steepest > 1.0);
            channel.output.mean += origin[i];
            store(out, i, channel);
        }
    }
}

/// The log-likelihoods of pieces, given `y = b/a` in the place of `b`: their exponents without `b²/(2a)`.
#[derive(Clone, Copy)]
pub(crate) struct Likelihoods<'a>(pub(crate) &'a [Piece]);

impl Kernel<4, 1> for Likelihoods<'_> {
    #[inline(always)]
    fn block<const N: usize>(&self, [a, y, omega, v]: &Given<N>, out: &mut [[f64; N]; 1]) {
        let given = [*a, *y, *omega, *v];
        let mut masses = [[f64::NEG_INFINITY; N], [0.0; N]];
        for &piece in self.0 {
            if piece.lower == f64::NEG_INFINITY && piece.upper == f64::INFINITY {
                for i in 0..N {
                    let whole = piece.whole(a[i], a[i] * y[i], omega[i], v[i]);
                    (masses[0][i], masses[1][i]) = (whole.exponent(true), 1.0 / whole.d.sqrt());
                }
            } else if piece.lower == f64::NEG_INFINITY {
                weigh::<N, -1>(&mut masses, piece, &given);
            } else if piece.upper == f64::INFINITY {
                weigh::<N, 1>(&mut masses, piece, &given);
            } else {
                weigh::<N, 0>(&mut masses, piece, &given);
            }
        }
        for i in 0..N {
            out[0][i] = masses[0][i] + ln(masses[1][i]);
        }
    }
}

/// Adds the likelihood of a piece, as [`add`] its channel.
#[inline(always)]
fn weigh<const N: usize, const SIDE: i8>(
    [exponent, factor]: &mut [[f64; N]; 2],
    piece: Piece,
    [a, y, omega, v]: &Given<N>,
) {
    for i in 0..N {
        let message = [a[i], a[i] * y[i], omega[i], v[i]];
        let part = Part::on::<SIDE>(&piece, message, true);
        part.weigh(&mut exponent[i], &mut factor[i]);
    }
}

/// Adds a piece, the half line below its end (`SIDE` -1), that above (1) or what is between, to the
/// sum of every component; its values are counted from `origin`.
#[inline(always)]
fn add<const N: usize, const SIDE: i8>(
    sum: &mut [[f64; N]; 8],
    piece: Piece,
    [a, b, omega, v]: &Given<N>,
    origin: &[f64; N],
    steepest: f64,
) {
    for i in 0..N {
        let message = [a[i], b[i], omega[i], v[i]];
        let is_sharp = a[i] * v[i] * steepest > 1.0;
        let moved = Piece {
            offset: piece.offset - origin[i],
            ..piece
        };
        let part = Part::on::<SIDE>(&moved, message, is_sharp);
        Part::load(sum, i).and(&part).store(sum, i);
    }
}

/// What the exponents of all pieces have in common where they are counted without it.
#[inline(always)]
fn common(a: f64, b: f64, is_sharp: bool) -> f64 {
    if is_sharp { 0.5 * b * b / a } else { 0.0 }
}

/// Writes the channel of one component.
#[inline(always)]
fn store<const N: usize>(out: &mut [[f64; N]; 7], i: usize, channel: Channel) {
    for (field, value) in out.iter_mut().zip(values(channel)) {
        field[i] = value;
    }
}

/// The channel restricted to a piece, with the mass `factor · exp(exponent)`.
struct Part {
    exponent: f64,
    factor: f64,
    /// How far the centre of the Gaussian lies outside, in standard deviations; its half square is a
    /// part of the exponent.
    nearest: f64,
    /// The rest of the channel; its log-partition is not used.
    channel: Channel,
}

impl Part {
    /// `piece` below its end (`SIDE` -1), above it (1) or between its ends.
    #[inline(always)]
    fn on<const SIDE: i8>(piece: &Piece, message: [f64; 4], is_sharp: bool) -> Self {
        match SIDE {
            -1 => Self::half(piece, -1.0, piece.upper, message, is_sharp),
            1 => Self::half(piece, 1.0, piece.lower, message, is_sharp),
            _ => Self::between(piece, message, is_sharp),
        }
    }

    /// `piece` where `side · (h - end) > 0`.
    #[inline(always)]
    fn half(
        piece: &Piece,
        side: f64,
        end: f64,
        [a, b, omega, v]: [f64; 4],
        is_sharp: bool,
    ) -> Self {
        let whole = piece.whole(a, b, omega, v);
        let (sd, root) = (whole.input.variance.sqrt(), whole.d.sqrt());
        let u = side * piece.beyond(end, a, b, omega, v) / (whole.d * sd);
        let cut = Beyond::new(u);
        let input = Moments {
            mean: end + side * sd * cut.excess,
            variance: whole.input.variance * cut.variance,
        };
        Self {
            exponent: whole.exponent(is_sharp) - 0.5 * cut.nearest * cut.nearest,
            factor: cut.mass / root,
            nearest: cut.nearest,
            channel: whole
                .restricted(input, [side * cut.mean, cut.mean * cut.excess])
                .channel(piece, 0.0),
        }
    }

    /// `piece` between its ends.
    #[inline(always)]
    fn between(piece: &Piece, [a, b, omega, v]: [f64; 4], is_sharp: bool) -> Self {
        let whole = piece.whole(a, b, omega, v);
        let (sd, root) = (whole.input.variance.sqrt(), whole.d.sqrt());
        let lower = -piece.beyond(piece.lower, a, b, omega, v) / (whole.d * sd);
        let upper = -piece.beyond(piece.upper, a, b, omega, v) / (whole.d * sd);
        let cut = Within::new(lower, upper, upper - lower);
        let mean = if cut.above < cut.below {
            piece.lower + sd * cut.above
        } else {
            piece.upper - sd * cut.below
        };
        let input = Moments {
            mean,
            variance: whole.input.variance * cut.variance,
        };
        Self {
            exponent: whole.exponent(is_sharp) - 0.5 * cut.nearest * cut.nearest,
            factor: cut.mass / root,
            nearest: cut.nearest,
            channel: whole
                .restricted(input, [cut.mean, cut.deficit])
                .channel(piece, 0.0),
        }
    }

    /// No case: adding it changes nothing.
    #[inline(always)]
    fn none<const N: usize>() -> [[f64; N]; 8] {
        let mut none = [[0.0; N]; 8];
        none[0] = [f64::NEG_INFINITY; N];
        none
    }

    #[inline(always)]
    fn load<const N: usize>(from: &[[f64; N]; 8], i: usize) -> Self {
        Self {
            exponent: from[0][i],
            factor: from[1][i],
            nearest: 0.0,
            channel: Channel {
                log_partition: 0.0,
                output: Moments {
                    mean: from[2][i],
                    variance: from[3][i],
                },
                input: Moments {
                    mean: from[4][i],
                    variance: from[5][i],
                },
                score: from[6][i],
                curvature: from[7][i],
            },
        }
    }

    #[inline(always)]
    fn store<const N: usize>(&self, to: &mut [[f64; N]; 8], i: usize) {
        let [_, rest @ ..] = values(self.channel);
        to[0][i] = self.exponent;
        to[1][i] = self.factor;
        for (field, value) in to[2..].iter_mut().zip(rest) {
            field[i] = value;
        }
    }

    /// Adds its mass to `factor · exp(exponent)`.
    #[inline(always)]
    fn weigh(&self, exponent: &mut f64, factor: &mut f64) {
        let difference = self.exponent - *exponent;
        let small = exp(-difference.abs());
        let first = difference >= 0.0;
        *factor = if first {
            self.factor + small * *factor
        } else {
            *factor + small * self.factor
        };
        *exponent = self.exponent.max(*exponent);
    }

    /// The mixture of two exclusive cases.
    #[inline(always)]
    fn and(&self, other: &Self) -> Self {
        self.or(other, self.exponent - other.exponent)
    }

    /// The same, given the difference of their exponents.
    #[inline(always)]
    fn or(&self, other: &Self, difference: f64) -> Self {
        let small = exp(-difference.abs());
        let first = difference >= 0.0;
        let w = self.factor * if first { 1.0 } else { small };
        let w1 = other.factor * if first { small } else { 1.0 };
        let total = w + w1;
        Self {
            exponent: self.exponent.max(other.exponent),
            factor: total,
            nearest: 0.0,
            channel: self.channel.mixed(w / total, &other.channel, w1 / total),
        }
    }

    #[inline(always)]
    fn channel(&self) -> Channel {
        Channel {
            log_partition: self.exponent + ln(self.factor),
            ..self.channel
        }
    }
}
