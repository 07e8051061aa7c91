//! Continuation: folds of known curves, ends, and starts that must be refused.

use onsager_scalar::continuation::*;
use std::f64::consts::TAU;
use std::ops::ControlFlow;

fn plan(bounds: &[(f64, f64)]) -> Continuation {
    Continuation {
        step: 0.05,
        min_step: 1e-7,
        max_step: 0.2,
        tolerance: 1e-12,
        max_points: 2_000,
        bounds: bounds.to_vec(),
    }
}

fn circle(u: &[f64], out: &mut [f64]) {
    out[0] = u[0] * u[0] + u[1] * u[1] - 1.0;
}

const WIDE: (f64, f64) = (-10.0, 10.0);

#[test]
fn a_circle_closes_after_four_folds() {
    let set = Equations {
        equations: 1,
        f: circle,
    };
    let curve = trace(
        &set,
        &[0.8, 0.6],
        &[-1.0, 1.0],
        &plan(&[WIDE; 2]),
        &[&|u| u[0], &|u| u[1]],
    )
    .unwrap();
    assert_eq!(curve.end, End::Closed);
    let found: Vec<(usize, f64, bool)> = curve
        .turning_points
        .iter()
        .map(|t| (t.function, t.value, t.maximum))
        .collect();
    let expected = [
        (1, 1.0, true),
        (0, -1.0, false),
        (1, -1.0, false),
        (0, 1.0, true),
    ];
    assert_eq!(found.len(), 4, "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((found.0, found.2), (expected.0, expected.2));
        assert!((found.1 - expected.1).abs() < 1e-14, "{found:?}");
    }
    for turning in &curve.turning_points {
        // The place, not only the value: the other coordinate vanishes.
        assert!(
            turning.point.u[1 - turning.function].abs() < 1e-10,
            "{turning:?}"
        );
    }
    for point in &curve.points {
        assert!((point.u[0].hypot(point.u[1]) - 1.0).abs() < 1e-12);
        let radial = point.u[0] * point.tangent[0] + point.u[1] * point.tangent[1];
        assert!(radial.abs() < 1e-10);
    }
    // Chords of length h ≤ 0.2 fall short by h²/24; the last runs past the start by at most h.
    let length = curve.points.last().unwrap().arclength;
    assert!(
        length > TAU * (1.0 - 0.04 / 24.0) && length < TAU + 0.2,
        "{length}"
    );
}

#[test]
fn the_cubic_turns_at_its_two_spinodals() {
    let set = Equations {
        equations: 1,
        f: |u: &[f64], out: &mut [f64]| {
            out[0] = u[0].powi(3) - u[0] + u[1];
        },
    };
    let curve = trace(
        &set,
        &[-1.3, 0.9],
        &[1.0, 0.0],
        &plan(&[(-3.0, 1.5), WIDE]),
        &[&|u| u[1]],
    )
    .unwrap();
    assert_eq!(curve.end, End::Bound(0));
    assert_eq!(curve.points.last().unwrap().u[0], 1.5);
    assert!((curve.points.last().unwrap().u[1] - (1.5 - 1.5f64.powi(3))).abs() < 1e-11);
    let place = 1.0 / 3f64.sqrt();
    let folds = &curve.turning_points;
    assert_eq!(folds.len(), 2);
    for (fold, sign) in folds.iter().zip([-1.0, 1.0]) {
        assert!((fold.point.u[0] - sign * place).abs() < 1e-10, "{fold:?}");
        assert!((fold.value - sign * 2.0 * place / 3.0).abs() < 1e-14);
        assert_eq!(fold.maximum, sign > 0.0);
    }
}

/// A helix on a cylinder, with the Jacobian in closed form.
struct Helix;

impl ZeroSet for Helix {
    fn equations(&self) -> usize {
        2
    }
    fn residual(&self, u: &[f64], out: &mut [f64]) {
        out[0] = u[0] - 2.0 * u[2].cos();
        out[1] = 1e5 * (u[1] - 2.0 * u[2].sin());
    }
    fn jacobian(&self, u: &[f64], out: &mut [f64]) {
        out.copy_from_slice(&[1.0, 0.0, 2.0 * u[2].sin(), 0.0, 1e5, -2e5 * u[2].cos()]);
    }
}

#[test]
fn two_equations_with_either_jacobian() {
    let bounds = [WIDE, WIDE, (-1.0, 9.0)];
    let product: &dyn Fn(&[f64]) -> f64 = &|u| u[0] * u[1];
    let numeric = Equations {
        equations: 2,
        f: |u: &[f64], out: &mut [f64]| Helix.residual(u, out),
    };
    let start = [2.1, 0.1, 0.0];
    let exact = trace(&Helix, &start, &[0.0, 0.0, 1.0], &plan(&bounds), &[product]).unwrap();
    let differences = trace(
        &numeric,
        &start,
        &[0.0, 0.0, 1.0],
        &plan(&bounds),
        &[product],
    )
    .unwrap();
    for curve in [exact, differences] {
        assert_eq!(curve.end, End::Bound(2));
        // u₀u₁ = 2 sin 2θ is stationary at θ = π/8 + …: odd multiples of π/4.
        let angles: Vec<f64> = curve.turning_points.iter().map(|t| t.point.u[2]).collect();
        assert_eq!(angles.len(), 6, "{angles:?}");
        for (k, (angle, turning)) in angles.iter().zip(&curve.turning_points).enumerate() {
            assert!(
                (angle - TAU / 8.0 * (2 * k + 1) as f64).abs() < 1e-10,
                "{angle}"
            );
            assert_eq!(turning.maximum, k % 2 == 0);
        }
    }
}

#[test]
fn starts_that_are_singular_or_missing_are_refused() {
    let wide = plan(&[WIDE; 2]);
    let cross = Equations {
        equations: 1,
        f: |u: &[f64], out: &mut [f64]| out[0] = u[0] * u[1],
    };
    assert_eq!(
        trace(&cross, &[0.0, 0.0], &[1.0, 0.0], &wide, &[]),
        Err(ContinuationError::Singular)
    );
    let empty = Equations {
        equations: 1,
        f: |u: &[f64], out: &mut [f64]| {
            out[0] = u[0] * u[0] + u[1] * u[1] + 1.0;
        },
    };
    let error = trace(&empty, &[0.3, 0.4], &[1.0, 0.0], &wide, &[]).unwrap_err();
    assert!(
        matches!(
            error,
            ContinuationError::Start { .. } | ContinuationError::Singular
        ),
        "{error}"
    );
    let undefined = Equations {
        equations: 1,
        f: |_: &[f64], out: &mut [f64]| out[0] = f64::NAN,
    };
    assert!(matches!(
        trace(&undefined, &[0.3, 0.4], &[1.0, 0.0], &wide, &[]),
        Err(ContinuationError::Start { .. })
    ));
    let set = Equations {
        equations: 1,
        f: circle,
    };
    let tangent = trace(&set, &[1.0, 0.0], &[1.0, 0.0], &wide, &[]);
    assert_eq!(tangent, Err(ContinuationError::Direction));
    assert!(matches!(
        trace(&set, &[1.0], &[1.0, 0.0], &wide, &[]),
        Err(ContinuationError::Shape {
            equations: 1,
            found: 1
        })
    ));
    assert!(matches!(
        trace(&set, &[11.0, 0.0], &[1.0, 0.0], &wide, &[]),
        Err(ContinuationError::Outside { coordinate: 0, .. })
    ));
    let still = Continuation { step: 0.0, ..wide };
    assert_eq!(
        trace(&set, &[1.0, 0.0], &[0.0, 1.0], &still, &[]),
        Err(ContinuationError::Settings)
    );
}

#[test]
fn a_curve_that_ends_stalls_there_and_budgets_hold() {
    // √(u₀) = u₁ exists for u₀ ≥ 0 only.
    let half = Equations {
        equations: 1,
        f: |u: &[f64], out: &mut [f64]| out[0] = u[0].sqrt().sqrt() - u[1],
    };
    let curve = trace(&half, &[1.0, 1.0], &[-1.0, 0.0], &plan(&[WIDE; 2]), &[]).unwrap();
    assert_eq!(curve.end, End::Stalled);
    assert!(
        curve.points.last().unwrap().u[0] < 1e-3,
        "{:?}",
        curve.points.last()
    );
    let set = Equations {
        equations: 1,
        f: circle,
    };
    let few = Continuation {
        max_points: 5,
        ..plan(&[WIDE; 2])
    };
    let curve = trace(&set, &[1.0, 0.0], &[0.0, 1.0], &few, &[]).unwrap();
    assert_eq!((curve.end, curve.points.len()), (End::MaxPoints, 5));
    let curve = trace_observed(&set, &[1.0, 0.0], &[0.0, 1.0], &few, &[], |p| {
        if p.u[1] > 0.1 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
    .unwrap();
    assert_eq!(curve.end, End::Stopped);
    assert!(curve.points.last().unwrap().u[1] > 0.1);
}

#[test]
fn the_two_directions_retrace_one_curve() {
    let set = Equations {
        equations: 1,
        f: |u: &[f64], out: &mut [f64]| {
            out[0] = (3.0 * u[1]).sin() - 2.0 * u[0];
        },
    };
    let t: &dyn Fn(&[f64]) -> f64 = &|u| u[0];
    let bounds = [(-1.0, 1.0), (-4.0, 4.0)];
    let up = trace(&set, &[0.0, 0.0], &[0.0, 1.0], &plan(&bounds), &[t]).unwrap();
    let down = trace(&set, &[0.0, 0.0], &[0.0, -1.0], &plan(&bounds), &[t]).unwrap();
    assert_eq!((up.end, down.end), (End::Bound(1), End::Bound(1)));
    assert_eq!(up.turning_points.len(), 4);
    for (a, b) in up.turning_points.iter().zip(&down.turning_points) {
        assert!((a.value.abs() - 0.5).abs() < 1e-14);
        assert!((a.point.u[1] + b.point.u[1]).abs() < 1e-10);
        assert!(a.maximum != b.maximum);
    }
}

#[test]
fn a_corner_of_the_box_is_left_on_the_first_side_met() {
    // The line u₀ = 2 u₁ meets u₀ = 1 at u₁ = 0.5, before u₁ = 0.51.
    let set = Equations {
        equations: 1,
        f: |u: &[f64], out: &mut [f64]| out[0] = u[0] - 2.0 * u[1],
    };
    for (bounds, end) in [([1.0, 0.51], 0), ([1.0, 0.49], 1)] {
        let bounds = [(-9.0, bounds[0]), (-9.0, bounds[1])];
        let curve = trace(&set, &[0.9, 0.45], &[1.0, 0.0], &plan(&bounds), &[]).unwrap();
        assert_eq!(curve.end, End::Bound(end));
        let last = &curve.points.last().unwrap().u;
        assert_eq!(last[end], bounds[end].1);
        assert!(last[1 - end] <= bounds[1 - end].1 && (last[0] - 2.0 * last[1]).abs() < 1e-12);
    }
}

#[test]
fn the_mean_field_magnet_turns_at_its_spinodals() {
    // m = tanh(b (m + h)) as a curve in (m, h): spinodals where b (1 - m²) = 1.
    let b = 2.5f64;
    let set = Equations {
        equations: 1,
        f: move |u: &[f64], out: &mut [f64]| out[0] = u[0] - (b * (u[0] + u[1])).tanh(),
    };
    let bounds = [(-0.999, 0.999), WIDE];
    let start = [-0.99, (-0.99f64).atanh() / b + 0.99];
    let curve = trace(&set, &start, &[1.0, 0.0], &plan(&bounds), &[&|u| u[1]]).unwrap();
    let m = (1.0 - 1.0 / b).sqrt();
    let h = m.atanh() / b - m;
    assert_eq!(curve.end, End::Bound(0));
    assert_eq!(curve.turning_points.len(), 2);
    for (fold, sign) in curve.turning_points.iter().zip([-1.0, 1.0]) {
        assert!((fold.point.u[0] - sign * m).abs() < 1e-9, "{fold:?}");
        assert!((fold.value - sign * h).abs() < 1e-12, "{fold:?}");
    }
}
