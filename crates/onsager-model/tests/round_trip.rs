//! What is built is written, and what is written reads back to the same model.

use onsager_model::{
    Activation, AffinePiece, Bias, Builder, Component, Ensemble, Law, Layer, Model, Output, Weights,
};
use proptest::prelude::*;

fn positive() -> impl Strategy<Value = f64> {
    (-30.0..30.0f64).prop_map(f64::exp)
}

fn probability() -> impl Strategy<Value = f64> {
    (-30.0..-1e-9f64).prop_map(f64::exp)
}

fn law() -> impl Strategy<Value = Law> {
    let component =
        (positive(), -9.0..9.0, positive()).prop_map(|(weight, mean, variance)| Component {
            weight,
            mean,
            variance,
        });
    prop_oneof![
        (-9.0..9.0, positive()).prop_map(|(mean, variance)| Law::Gaussian { mean, variance }),
        Just(Law::Rademacher),
        probability().prop_map(|probability| Law::Binary { probability }),
        probability().prop_map(|sparsity| Law::Bernoulli { sparsity }),
        (probability(), -9.0..9.0, positive()).prop_map(|(sparsity, mean, variance)| {
            Law::GaussBernoulli {
                sparsity,
                mean,
                variance,
            }
        }),
        probability().prop_map(|sparsity| Law::RademacherBernoulli { sparsity }),
        positive().prop_map(|mean| Law::Exponential { mean }),
        positive().prop_map(|scale| Law::Laplace { scale }),
        positive().prop_map(|scale| Law::HalfNormal { scale }),
        (-9.0..0.0, 0.1..9.0).prop_map(|(low, high)| Law::Uniform { low, high }),
        prop::collection::vec(component, 1..4).prop_map(|components| Law::Mixture { components }),
        positive().prop_map(|strength| Law::L1 { strength }),
        positive().prop_map(|strength| Law::L2 { strength }),
        (positive(), positive()).prop_map(|(l1, l2)| Law::ElasticNet { l1, l2 }),
        (positive(), 1..9).prop_map(|(strength, group)| Law::GroupL21 {
            strength,
            group: f64::from(group),
        }),
        Just(Law::Nonnegative),
    ]
}

fn activation() -> impl Strategy<Value = Activation> {
    let door = |edge: f64, offset: f64, slope: f64| Activation::PiecewiseLinear {
        pieces: vec![
            AffinePiece {
                lower: None,
                upper: Some(edge),
                offset,
                slope,
            },
            AffinePiece {
                lower: Some(edge),
                upper: None,
                offset: -offset,
                slope: 0.0,
            },
        ],
    };
    prop_oneof![
        Just(Activation::Linear),
        Just(Activation::Sign),
        Just(Activation::Relu),
        Just(Activation::Abs),
        Just(Activation::HardTanh),
        Just(Activation::Tanh),
        Just(Activation::Sigmoid),
        Just(Activation::Erf),
        (-2.0..2.0).prop_map(|slope| Activation::LeakyRelu { slope }),
        positive().prop_map(|width| Activation::Door { width }),
        (-9.0..9.0, -9.0..9.0, -9.0..9.0).prop_map(move |(a, b, c)| door(a, b, c)),
    ]
}

fn weights() -> impl Strategy<Value = Weights> {
    let ensemble = prop_oneof![
        Just(Ensemble::Gaussian),
        Just(Ensemble::Rademacher),
        Just(Ensemble::Haar),
        Just(Ensemble::OrthogonalColumns),
        Just(Ensemble::Fourier),
        Just(Ensemble::Hadamard),
        Just(Ensemble::Dct),
        probability().prop_map(|sparsity| Ensemble::Sparse { sparsity }),
        positive().prop_map(|inner| Ensemble::Product { inner }),
        (positive(), activation())
            .prop_map(|(inner, activation)| Ensemble::RandomFeature { inner, activation }),
        (1.0..1e9).prop_map(|condition| Ensemble::LogSpaced { condition }),
    ];
    (ensemble, positive()).prop_map(|(ensemble, aspect)| Weights::Drawn { ensemble, aspect })
}

fn layer() -> impl Strategy<Value = Layer> {
    let bias = prop_oneof![
        Just(Bias::default()),
        (-9.0..9.0).prop_map(Bias::Number),
        law().prop_map(Bias::Law)
    ];
    (weights(), activation(), bias, 0.0..2.0, 0.0..2.0).prop_map(
        |(weights, activation, bias, noise_before, noise)| Layer {
            name: None,
            weights,
            activation,
            bias,
            noise_before,
            noise,
        },
    )
}

fn output() -> impl Strategy<Value = Output> {
    prop_oneof![
        activation().prop_map(Output::from),
        (0.0..3.0).prop_map(|noise| Output::Probit { noise }),
        Just(Output::Logistic),
        Just(Output::Poisson),
        Just(Output::PoissonLog),
        Just(Output::Quantised {
            edges: vec![-1.5, 0.25]
        }),
        Just(Output::Modulus),
    ]
}

fn signal() -> impl Strategy<Value = Builder> {
    (law(), prop::collection::vec(layer(), 0..4)).prop_map(|(law, layers)| {
        (layers.into_iter()).fold(Model::builder().prior(law), Builder::add)
    })
}

fn model() -> impl Strategy<Value = Model> {
    let closed = "a model within its ranges";
    prop_oneof![
        (signal(), positive()).prop_map(move |(s, noise)| s.spiked_wigner(noise).expect(closed)),
        (signal(), positive()).prop_map(move |(s, noise)| s.denoising(noise).expect(closed)),
        (signal(), positive(), positive(), law()).prop_map(move |(s, noise, aspect, left)| {
            s.spiked_wishart(noise, aspect, left).expect(closed)
        }),
        (signal(), weights(), output(), 0.0..2.0).prop_map(move |(s, sensing, output, noise)| {
            s.glm(sensing, output, noise).expect(closed)
        }),
    ]
}

proptest! {
    #[test]
    fn models_survive_toml_and_json(model in model()) {
        let toml = model.to_toml().expect("no custom laws");
        prop_assert_eq!(&model, &Model::parse(&toml, "written").expect(&toml));
        let json = serde_json::to_string(&model).expect("finite");
        prop_assert_eq!(&model, &serde_json::from_str::<Model>(&json).expect(&json));
    }

    #[test]
    fn texts_never_panic(text in "[a-z=\\[\\]\\{\\}\"0-9.\n ]{0,80}", key in "[a-z0-9.]{0,30}") {
        // Not a panic, whatever the answer.
        let _ = Model::parse(&text, "noise");
        let mut document = onsager_model::Document::preset("spiked-deep-relu").expect("a preset");
        let _ = document.set(&key, &text);
        document.model().tree().map(drop).or_else(|e| match e {
            onsager_model::ModelError::NotSupported { .. } => Ok(()),
            other => Err(TestCaseError::fail(other.to_string())),
        })?;
    }
}
