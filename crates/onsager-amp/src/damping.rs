//! Adaptive damping.

/// Chooses the weight of new messages from what the last sweep did.
///
/// The weight is halved when the relative change of the estimates has grown by more than
/// [`GROWTH`] over its smallest value so far *and* the relative Nishimori gap is worse than then.
/// Both are needed: escaping from an unstable point is growth at a shrinking gap, and must not be
/// slowed down; and a stable gap with a noisy change is no harm. After [`CALM`] sweeps of
/// decreasing change the weight grows again.
#[derive(Debug, Clone)]
pub(crate) struct Adaptive {
    pub(crate) step: f64,
    best: f64,
    gap_at_best: f64,
    last: f64,
    calm: usize,
}

const GROWTH: f64 = 4.0;
const CALM: usize = 5;
const LEAST: f64 = 0.05;

impl Default for Adaptive {
    fn default() -> Self {
        Self {
            step: 1.0,
            best: f64::INFINITY,
            gap_at_best: f64::INFINITY,
            last: f64::INFINITY,
            calm: 0,
        }
    }
}

impl Adaptive {
    /// `change`: squared change relative to the estimate; `gap`: relative Nishimori gap;
    /// `noise`: the gap that finite size explains.
    pub(crate) fn observe(&mut self, change: f64, gap: f64, noise: f64) {
        // A damped change is smaller by the weight: compare what the full step would be.
        let change = change / (self.step * self.step);
        if change <= self.best {
            (self.best, self.gap_at_best) = (change, gap);
        }
        self.calm = if change < self.last { self.calm + 1 } else { 0 };
        self.last = change;
        if change > GROWTH * self.best && gap > self.gap_at_best + noise {
            self.step = (0.5 * self.step).max(LEAST);
            // Judge the next steps against the present state.
            (self.best, self.gap_at_best, self.calm) = (change, gap, 0);
        } else if self.calm >= CALM && self.step < 1.0 {
            self.step = (1.25 * self.step).min(1.0);
            self.calm = 0;
        }
    }
}
