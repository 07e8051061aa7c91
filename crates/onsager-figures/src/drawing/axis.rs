//! Axes: a name, a unit, a scale, ticks.

/// How values are laid out along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// In proportion.
    #[default]
    Linear,
    /// In proportion to the logarithm; values that are not positive are left out.
    Log,
}

/// An axis with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub(super) name: String,
    pub(super) scale: Scale,
    pub(super) range: Option<(f64, f64)>,
}

impl Axis {
    /// A linear axis; `name` includes the unit: `"mutual information (nats per component)"`.
    pub fn linear(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            scale: Scale::Linear,
            range: None,
        }
    }

    /// A logarithmic axis.
    pub fn log(name: impl Into<String>) -> Self {
        Self {
            scale: Scale::Log,
            ..Self::linear(name)
        }
    }

    /// Fixed ends, instead of those of the data.
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// The axis with its ends: fixed ones, else those of the data with `margin` of their distance.
    pub(super) fn over(&self, values: impl Iterator<Item = f64>, margin: f64) -> Span {
        let scale = self.scale;
        if let Some((low, high)) = self.range
            && let (low, high) = (scale.forward(low), scale.forward(high))
            && low < high
            && (high - low).is_finite()
        {
            return Span {
                scale,
                low,
                high,
                empty: false,
            };
        }
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values
            .map(|value| scale.forward(value))
            .filter(|value| value.is_finite())
        {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            return Span {
                scale,
                low: 0.0,
                high: 1.0,
                empty: true,
            };
        }
        // A single value gets a tenth of itself, or one unit, on either side.
        let spread = if high > low {
            margin * (high - low)
        } else if scale == Scale::Linear && low != 0.0 {
            0.1 * low.abs()
        } else {
            1.0
        };
        Span {
            scale,
            low: low - spread,
            high: high + spread,
            empty: false,
        }
    }
}

impl Scale {
    fn forward(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log if value > 0.0 => value.log10(),
            Self::Log => f64::NAN,
        }
    }
}

/// An axis with its ends, in the coordinate in which it is laid out evenly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    pub(super) scale: Scale,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Whether there was nothing to show.
    pub(super) empty: bool,
}

/// A mark on an axis; without a text it is a small one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) text: Option<String>,
}

impl Span {
    /// Where a value lies: 0 at the low end, 1 at the high one, NaN if nowhere.
    pub(super) fn fraction(&self, value: f64) -> f64 {
        (self.scale.forward(value) - self.low) / (self.high - self.low)
    }

    /// About `count` ticks, as fractions.
    pub(super) fn ticks(&self, count: usize) -> Vec<Tick> {
        let place = |coordinate: f64| (coordinate - self.low) / (self.high - self.low);
        // Rounding must not drop a tick at an end.
        let inside = |at: f64| (-1e-9..=1.0 + 1e-9).contains(&at);
        let mut ticks = match self.scale {
            Scale::Linear => self.linear_ticks(count),
            Scale::Log => self.log_ticks(count),
        };
        for tick in &mut ticks {
            tick.at = place(tick.at);
        }
        ticks.retain(|tick| inside(tick.at));
        ticks
    }

    fn linear_ticks(&self, count: usize) -> Vec<Tick> {
        let raw = (self.high - self.low) / count.max(1) as f64;
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = step
            .into_iter()
            .find(|step| *step >= 0.7 * raw)
            .unwrap_or(10.0 * power);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let largest = self.low.abs().max(self.high.abs());
        // Beyond four digits before, or five after the point, powers of ten are easier to read.
        let plain = largest < 1e5 && decimals <= 5;
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        let text = |index: i64| {
            let value = index as f64 * step;
            if index == 0 {
                "0".to_owned()
            } else if plain {
                minus(&format!("{value:.decimals$}"))
            } else {
                scientific(value)
            }
        };
        (first..=last)
            .map(|index| Tick {
                at: index as f64 * step,
                text: Some(text(index)),
            })
            .collect()
    }

    fn log_ticks(&self, count: usize) -> Vec<Tick> {
        let (first, last) = (self.low.floor() as i32, self.high.ceil() as i32);
        let decades = self.high - self.low;
        let every = (decades / count.max(1) as f64).ceil().max(1.0) as i32;
        // Below two decades the powers of ten alone would leave the axis without numbers.
        let labelled: &[i32] = match decades {
            d if d < 0.8 => &[1, 2, 3, 4, 5, 6, 8],
            d if d < 2.2 => &[1, 2, 5],
            _ => &[1],
        };
        let decimal = self.low >= -3.0 && self.high <= 4.0;
        let mut ticks = Vec::new();
        for exponent in first..=last {
            for digit in 1..=9 {
                let at = f64::from(exponent) + f64::from(digit).log10();
                let named = labelled.contains(&digit) && exponent.rem_euclid(every) == 0;
                if digit == 1 || every == 1 {
                    let text = named.then(|| power_of_ten(digit, exponent, decimal));
                    ticks.push(Tick { at, text });
                }
            }
        }
        ticks
    }
}

/// `digit · 10^exponent`, in decimals on an axis whose numbers are all short.
fn power_of_ten(digit: i32, exponent: i32, decimal: bool) -> String {
    let decimals = (-exponent).max(0) as usize;
    match (exponent, digit) {
        _ if decimal => format!("{:.decimals$}", f64::from(digit) * 10f64.powi(exponent)),
        (0, _) => digit.to_string(),
        (_, 1) => format!("10{}", superscript(exponent)),
        _ => format!("{digit}·10{}", superscript(exponent)),
    }
}

fn scientific(value: f64) -> String {
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent = superscript(exponent.parse().unwrap_or(0));
    // Rounding noise of a multiple of the step: two decimals are enough for steps of 1, 2 and 5.
    let mantissa = mantissa
        .parse::<f64>()
        .map_or(0.0, |value| (100.0 * value).round() / 100.0);
    format!("{}·10{exponent}", minus(&mantissa.to_string()))
}

/// Typographic minus sign.
fn minus(number: &str) -> String {
    number.replace('-', "−")
}

fn superscript(exponent: i32) -> String {
    let raise = |digit: char| match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32('⁰' as u32 + digit.to_digit(10).unwrap_or(0)).unwrap_or(digit),
    };
    exponent.to_string().chars().map(raise).collect()
}
