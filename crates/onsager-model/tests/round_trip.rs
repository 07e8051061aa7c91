//! What is built is written, and what is written reads back to the same model.

use onsager_model::Model;
use onsager_model::conformance::model;
use proptest::prelude::*;

proptest! {
    #[test]
    fn models_survive_toml_and_json(model in model(9.0)) {
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
