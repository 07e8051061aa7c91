//! Adaptive damping.

/// Chooses the weight of new messages from what the last sweep did.
///
/// The weight is halved when the relative change of the estimates
///
/// - is [`LARGE`] and has grown by more than [`GROWTH`] over its smallest value so far while the
///   Nishimori gap got worse, or
/// - is more than [`DRIFT`] and has not fallen for [`PATIENCE`] sweeps in which the norm did not grow
///   either: a cycle;
/// - is large while the norm grows beyond what it can be: a run that turns its sign every sweep from
///   the first one on has always changed by as much.
///
/// Escaping from an unstable point is a large change at a shrinking gap and a growing norm, and is
/// left alone; so is an estimate below [`SMALL`], which grows or fades linearly. The weight never
/// grows back: a point that is unstable under full steps stays so.
#[derive(Debug, Clone)]
pub(crate) struct Adaptive {
    pub(crate) step: f64,
    /// Smallest change so far, the gap and the norm then, and the sweeps since.
    best: f64,
    gap: f64,
    norm: f64,
    age: usize,
}

/// What one sweep did.
pub(crate) struct Signs {
    /// Squared change of the estimates over their squared norm.
    pub(crate) change: f64,
    /// Distance from the Nishimori line, relative.
    pub(crate) gap: f64,
    /// How much of the gap may be chance.
    pub(crate) chance: f64,
    /// `|v|²/(p ρ)`.
    pub(crate) norm: f64,
}

/// Squared relative changes below this are drift, not instability.
const LARGE: f64 = 1e-2;
const GROWTH: f64 = 4.0;
/// Whatever moves in one direction by this squared relative change a sweep changes its squared norm
/// by a tenth within `PATIENCE` sweeps (`(0.05/20)²`, rounded up): what does not, turns in circles.
const DRIFT: f64 = 1e-5;
/// Relative squared norm below which an estimate is in the linear regime around zero.
const SMALL: f64 = 1e-2;
/// Relative squared norm that no posterior mean has: theirs is at most 1, up to chance.
const SWOLLEN: f64 = 2.0;
const PATIENCE: usize = 20;
/// Below this weight nothing moves within any sensible number of sweeps.
const LEAST: f64 = 0.05;

impl Default for Adaptive {
    fn default() -> Self {
        Self {
            step: 1.0,
            best: f64::INFINITY,
            gap: f64::INFINITY,
            norm: 0.0,
            age: 0,
        }
    }
}

impl Adaptive {
    pub(crate) fn observe(&mut self, now: &Signs) {
        // A damped change is smaller by the weight: compare what the full step would be.
        let change = now.change / (self.step * self.step);
        self.age += 1;
        let growing = change > GROWTH * self.best && now.gap > self.gap + now.chance;
        // A tenth more in `PATIENCE` sweeps is the slowest escape that is waited for.
        let cycling = self.age >= PATIENCE && now.norm <= 1.1 * self.norm;
        let swelling = now.norm > SWOLLEN && now.norm > self.norm;
        let unstable = (change > LARGE && (growing || swelling)) || (change > DRIFT && cycling);
        if unstable && now.norm > SMALL {
            self.step = (0.5 * self.step).max(LEAST);
            self.restart(change, now);
        } else if change <= 0.9 * self.best || self.age >= PATIENCE {
            self.restart(change.min(self.best), now);
        }
    }

    fn restart(&mut self, change: f64, now: &Signs) {
        (self.best, self.gap, self.norm, self.age) = (change, now.gap, now.norm, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(signs: impl Iterator<Item = (f64, f64, f64)>) -> f64 {
        let mut adaptive = Adaptive::default();
        for (change, gap, norm) in signs {
            let chance = 0.01;
            adaptive.observe(&Signs {
                change,
                gap,
                chance,
                norm,
            });
        }
        adaptive.step
    }

    #[test]
    fn convergence_and_escape_are_left_alone() {
        let geometric = (0..60).map(|t| 0.5f64.powi(t));
        assert_eq!(run(geometric.map(|c| (c, 0.1, 0.5))), 1.0);
        // Growth by 2 percent a sweep, for ever at the same relative change.
        let escape = (0..200).map(|t| (0.4, 0.9, 1e-8 * 1.02f64.powi(t)));
        assert_eq!(run(escape), 1.0);
    }

    #[test]
    fn cycles_and_instabilities_are_damped() {
        assert_eq!(run((0..25).map(|_| (0.5, 0.1, 0.5))), 0.5);
        // A cycle that changes the estimate by one percent only.
        assert_eq!(run((0..25).map(|_| (1e-4, 0.1, 0.5))), 0.5);
        let unstable = (0..10).map(|t| (1e-6 * 10f64.powi(t), 0.01 * f64::from(t), 0.5));
        assert!(run(unstable) < 1.0);
        // Turned round and longer after every sweep.
        let swelling = (0..20).map(|t| (3.6, 1.25f64.powi(t), 0.5 * 1.25f64.powi(t)));
        assert!(run(swelling) < 1.0);
    }
}
