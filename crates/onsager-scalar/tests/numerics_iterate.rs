//! Fixed points: stopping, damping and acceleration.

use onsager_scalar::iterate::*;
use std::ops::ControlFlow;

struct Map<F>(F);

impl<F: Fn(&[f64]) -> Vec<f64>> FixedPoint for Map<F> {
    type State = Vec<f64>;
    fn update(&self, x: &Vec<f64>) -> Vec<f64> {
        (self.0)(x)
    }
    fn mix(&self, old: &Vec<f64>, new: &Vec<f64>, t: f64) -> Vec<f64> {
        let mix = |(a, b): (&f64, &f64)| (1.0 - t) * a + t * b;
        old.iter().zip(new).map(mix).collect()
    }
    fn distance(&self, x: &Vec<f64>, y: &Vec<f64>) -> f64 {
        x.iter()
            .zip(y)
            .map(|(a, b)| (a - b).powi(2))
            .sum::<f64>()
            .sqrt()
    }
}

impl<F: Fn(&[f64]) -> Vec<f64>> Coordinates for Map<F> {
    fn coordinates(&self, x: &Vec<f64>) -> Vec<f64> {
        x.clone()
    }
    fn state_at(&self, x: &[f64]) -> Option<Vec<f64>> {
        x.iter().all(|v| v.abs() < 1e3).then(|| x.to_vec())
    }
}

fn plan(step: f64, max_updates: usize) -> Schedule {
    Schedule {
        step,
        tolerance: 1e-12,
        max_updates,
    }
}

#[test]
fn damping_turns_a_two_cycle_into_a_fixed_point() {
    let flip = Map(|x: &[f64]| vec![2.0 - x[0]]);
    let undamped = solve(&flip, vec![0.5], plan(1.0, 50)).unwrap();
    assert_eq!((undamped.stop, undamped.updates), (Stop::NotConverged, 50));
    assert_eq!(undamped.residual, 1.0);
    let damped = solve(&flip, vec![0.5], plan(0.5, 50)).unwrap();
    assert_eq!((damped.stop, damped.updates), (Stop::Converged, 2));
    assert_eq!(damped.state, vec![1.0]);
}

#[test]
fn divergence_keeps_the_last_finite_state_and_nan_is_an_error() {
    let square = Map(|x: &[f64]| vec![x[0] * x[0]]);
    let found = solve(&square, vec![3.0], plan(1.0, 100)).unwrap();
    assert_eq!(found.stop, Stop::Diverged);
    assert!(found.state[0].is_finite() && found.residual.is_finite());
    let root = Map(|x: &[f64]| vec![(x[0] - 0.1).sqrt()]);
    let error = solve(&root, vec![0.11], plan(1.0, 100)).unwrap_err();
    assert!(matches!(error, IterateError::NotFinite { updates } if updates > 1));
}

#[test]
fn observers_see_every_state_and_can_stop() {
    let halve = Map(|x: &[f64]| vec![0.5 * x[0]]);
    let mut seen = Vec::new();
    let found = solve_observed(&halve, vec![1.0], plan(1.0, 100), |now| {
        seen.push(now.state[0]);
        if now.updates == 4 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
    .unwrap();
    assert_eq!(seen, [1.0, 0.5, 0.25, 0.125]);
    assert_eq!(
        (found.stop, found.updates, found.residual),
        (Stop::Interrupted, 4, 0.0625)
    );
}

#[test]
fn invalid_schedules_are_refused() {
    let halve = Map(|x: &[f64]| vec![0.5 * x[0]]);
    for step in [0.0, -1.0, 1.5, f64::NAN] {
        assert!(matches!(
            solve(&halve, vec![1.0], plan(step, 9)),
            Err(IterateError::Step(_))
        ));
    }
    let nan = Schedule {
        step: 1.0,
        tolerance: f64::NAN,
        max_updates: 9,
    };
    assert!(solve(&halve, vec![1.0], nan).is_err());
    let none = solve(&halve, vec![1.0], plan(1.0, 0)).unwrap();
    assert_eq!((none.stop, none.updates), (Stop::NotConverged, 0));
}

#[test]
fn anderson_solves_linear_maps_in_dimension_plus_two_updates() {
    // With a memory of at least the dimension the method is a Krylov solver.
    let map = Map(|x: &[f64]| {
        vec![
            0.9 * x[0] + 0.05 * x[1] + 0.1,
            -0.2 * x[0] + 0.95 * x[1] + 0.02 * x[2],
            0.1 * x[1] + 0.97 * x[2] - 0.3,
        ]
    });
    let fast = accelerate(&map, vec![0.0; 3], plan(1.0, 60), 3).unwrap();
    assert_eq!(fast.stop, Stop::Converged);
    // Rounding costs a few more than the 5 of exact arithmetic.
    assert!(fast.updates <= 12, "{fast:?}");
    let slow = solve(&map, vec![0.0; 3], plan(1.0, 20_000)).unwrap();
    assert_eq!(slow.stop, Stop::Converged);
    assert!(slow.updates > 20 * fast.updates);
    // Residual 1e-12 through the inverse of I - M, of norm below 200.
    assert!(map.distance(&fast.state, &slow.state) < 4e-10);
}

#[test]
fn anderson_accelerates_near_a_spinodal() {
    // Fixed points 0.99, stable with slope 0.98, and 1.01, which merge as 1e-4 → 0.
    let map = Map(|x: &[f64]| vec![x[0] + (x[0] - 1.0).powi(2) - 1e-4]);
    let slow = solve(&map, vec![0.5], plan(1.0, 5_000)).unwrap();
    let fast = accelerate(&map, vec![0.5], plan(1.0, 5_000), 3).unwrap();
    assert_eq!((slow.stop, fast.stop), (Stop::Converged, Stop::Converged));
    assert!((slow.state[0] - 0.99).abs() < 1e-9 && (fast.state[0] - 0.99).abs() < 1e-9);
    assert!(
        10 * fast.updates < slow.updates,
        "{} {}",
        fast.updates,
        slow.updates
    );
}

#[test]
fn the_safeguard_survives_inadmissible_combinations() {
    // A nearly constant residual sends the extrapolation far outside |x| < 1e3.
    let map = Map(|x: &[f64]| vec![x[0] + 1.0 - (x[0] / 900.0).powi(3)]);
    let found = accelerate(&map, vec![0.0], plan(1.0, 5_000), 3).unwrap();
    assert_eq!(found.stop, Stop::Converged);
    assert!((found.state[0] - 900.0).abs() < 1e-6);
}

#[test]
fn memory_zero_is_plain_iteration() {
    let map = Map(|x: &[f64]| vec![0.5 * x[0] + 1.0]);
    let plain = solve(&map, vec![0.0], plan(0.7, 300)).unwrap();
    assert_eq!(
        plain,
        accelerate(&map, vec![0.0], plan(0.7, 300), 0).unwrap()
    );
}
