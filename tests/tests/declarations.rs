//! Random declarations go through both readings: no panic, no NaN, no silent failure.
//!
//! All of them are simulated and followed for two iterations; the fixed points, which take seconds
//! for a deep chain, are found for some. For all of ten thousand they are the business of
//! `cargo xtask deep`.

use onsager::conformance::{Plan, survey};

/// Fixed points are found for `curves` of them, and checked by second routes where one is cheap.
fn three_hundred(measurements: bool, curves: u64) {
    let plan = Plan {
        measurements,
        first: 0,
        declarations: 300,
        seed: 1,
        threads: 2,
        depths: [70, 20, 6, 4],
        curves,
        thorough: 100,
    };
    let found = survey(&plan, &|_| {});
    assert!(found.faults.is_empty(), "{found}");
    // Every kind that is drawn at all is drawn: at depth 0 none of the laws is missed.
    let laws = found
        .coverage
        .keys()
        .filter(|part| part.starts_with("prior"))
        .count();
    assert!(laws >= 11, "{found}");
    for depth in 0..4 {
        assert!(
            found.coverage.values().any(|counts| counts[depth] > 0),
            "{found}"
        );
    }
}

#[test]
fn three_hundred_declarations_go_through_both_readings() {
    three_hundred(false, 60);
}

#[test]
fn three_hundred_generalised_linear_models_go_through_both_readings() {
    three_hundred(true, 60);
}
