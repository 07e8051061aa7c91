//! The check of whole declarations, on laws of a user's own that are right and wrong.

use std::sync::Arc;

use onsager::conformance::check_model;
use onsager::model::{Law, Model, Output, Weights};
use onsager::scalar::prior::{GaussBernoulli, Scale};
use onsager::scalar::{Moments, Prior};
use rand::Rng;

/// A sparse law; `variance` multiplies the posterior variance, `square` the second moment.
#[derive(Debug)]
struct Own {
    variance: f64,
    square: f64,
}

impl Own {
    fn truth() -> GaussBernoulli {
        GaussBernoulli::new(0.3, 0.0, 2.0).expect("a law")
    }
    fn model(variance: f64, square: f64) -> Model {
        let law = Law::custom(Arc::new(Self { variance, square }));
        let model = Model::builder().prior(law).spiked_wigner(0.1);
        model.expect("a model")
    }
}

impl Prior for Own {
    fn log_partition(&self, a: f64, b: f64) -> f64 {
        Self::truth().log_partition(a, b)
    }
    fn log_likelihood(&self, a: f64, y: f64) -> f64 {
        Self::truth().log_likelihood(a, y)
    }
    fn moments(&self, a: f64, b: f64) -> Moments {
        let m = Self::truth().moments(a, b);
        Moments {
            variance: self.variance * m.variance,
            ..m
        }
    }
    fn mean(&self) -> f64 {
        0.0
    }
    fn second_moment(&self) -> f64 {
        self.square * Self::truth().second_moment()
    }
    fn scales(&self) -> Vec<Scale> {
        Self::truth().scales()
    }
    fn sample(&self, rng: &mut dyn Rng) -> f64 {
        Self::truth().sample(rng)
    }
    fn is_even(&self) -> bool {
        true
    }
}

#[test]
fn a_law_of_ones_own_runs_and_is_refused_by_files_by_name() {
    let report = check_model(&Own::model(1.0, 1.0)).unwrap_or_else(|e| panic!("{e}"));
    let named = "laws of your own are refused by name";
    assert!(report.rows().iter().any(|row| row.identity == named));
}

#[test]
fn wrong_laws_are_found_out() {
    // A variance 5 percent too large, a second moment 5 percent too small.
    for (variance, square) in [(1.05, 1.0), (1.0, 0.95)] {
        let failure = check_model(&Own::model(variance, square)).expect_err("a wrong law");
        println!("{failure}");
        assert!(
            failure.names("theory answers")
                || failure.names("averages of the law: E 1, E x²")
                || failure.names("overlap + mmse = E x²")
                || failure.names("information follows the overlap (I-MMSE)"),
            "{failure}"
        );
    }
}

#[test]
fn what_is_not_supported_must_say_so() {
    let sensing = Weights::gaussian(0.5);
    let model = Model::builder().glm(sensing, Output::Modulus, 0.0);
    let report = check_model(&model.expect("the grammar knows it")).expect("an honest refusal");
    let said = "refused as not supported yet";
    assert!(report.rows().iter().any(|row| row.identity == said));
}
