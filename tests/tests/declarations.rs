//! Random declarations go through both readings: no panic, no NaN, no silent failure.

use onsager::conformance::survey;

#[test]
fn three_hundred_declarations_go_through_both_readings() {
    let found = survey(300, 1, 2, &[80, 17, 2, 1], &|_| {});
    println!("{found}");
    assert!(found.faults.is_empty(), "{found}");
}
