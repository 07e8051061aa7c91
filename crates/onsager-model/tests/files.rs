//! Every documented file is read; what no engine handles is refused by name.

use onsager_model::{Document, Model, presets};

/// The TOML blocks of a document, with the line that each begins on.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (i, line) in text.lines().enumerate() {
        match line {
            "```toml" => {
                inside = true;
                blocks.push((i + 2, String::new()));
            }
            "```" => inside = false,
            _ if inside => {
                let block = &mut blocks.last_mut().expect("a block was opened").1;
                block.push_str(line);
                block.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

const DOCUMENTATION: &str = include_str!("../../../docs/model-files.md");

/// Words that only files of families without an engine hold.
const LATER: [&str; 5] = [
    "bias = ",
    "[[factors]]",
    "field = \"complex\"",
    "[student",
    "[[observations]]",
];

#[test]
fn documented_files_are_read_and_run_or_are_refused_by_name() {
    let blocks = blocks(DOCUMENTATION);
    assert!(blocks.len() >= 10, "only {} blocks found", blocks.len());
    for (line, text) in blocks {
        let place = format!("docs/model-files.md:{line}");
        let model = Model::parse(&text, &place).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let later = LATER.iter().any(|word| text.contains(word));
        match model.tree() {
            Ok(_) => assert!(!later, "{place} runs although it is said not to"),
            Err(e) => {
                assert!(later, "{place}: {e}");
                assert!(
                    e.to_string().ends_with("is not supported yet"),
                    "{place}: {e}"
                );
            }
        }
        // What is written reads back to the same model.
        let written = model.to_toml().expect("no custom laws");
        let again = Model::parse(&written, "again").unwrap_or_else(|e| panic!("{e}\n{written}"));
        assert_eq!(model, again, "{written}");
        let json = serde_json::to_string(&model).expect("finite numbers only");
        assert_eq!(
            model,
            serde_json::from_str(&json).expect("the same names"),
            "{json}"
        );
    }
}

#[test]
fn presets_run_and_are_named_after_themselves() {
    for preset in presets() {
        let model = Model::parse(preset.text, preset.name).unwrap();
        assert_eq!(model.name.as_deref(), Some(preset.name));
        assert_eq!(
            model,
            Model::parse(&model.to_toml().unwrap(), "again").unwrap()
        );
        model.tree().unwrap();
    }
}

/// A denoising file with these lines in front of the observation; the prior is on line 2.
fn refused(prior: &str) -> String {
    let text =
        format!("[signal]\nprior = {prior}\n[observation]\nkind = \"denoising\"\nnoise = 1\n");
    Model::parse(&text, "m.toml").unwrap_err().to_string()
}

#[test]
fn messages_name_the_line_the_key_the_range_and_the_value() {
    for (prior, message) in [
        (
            "\"gausian\"",
            "m.toml:2: unknown prior \"gausian\", allowed: gaussian, rademacher",
        ),
        (
            "{ kind = \"gaussian\", meen = 1 }",
            "m.toml:2: unknown key \"signal.prior.meen\", allowed: kind, mean, variance",
        ),
        (
            "{ kind = \"gaussian\", variance = -1 }",
            "m.toml:2: signal.prior.variance must be finite and positive, got -1",
        ),
        (
            "{ kind = \"gaussian\", mean = inf }",
            "m.toml:2: signal.prior.mean must be finite, got inf",
        ),
        (
            "{ kind = \"gauss-bernoulli\", sparsity = nan }",
            "m.toml:2: signal.prior.sparsity must be in (0, 1], got NaN",
        ),
        (
            "{ kind = \"gauss-bernoulli\" }",
            "m.toml:2: missing key \"signal.prior.sparsity\"",
        ),
        (
            "{ kind = \"gaussian\", mean = \"a\" }",
            "m.toml:2: signal.prior.mean must be a number, got the text \"a\"",
        ),
        (
            "{ kind = \"uniform\", low = 1, high = 0 }",
            "m.toml:2: signal.prior.high must be greater than low = 1, got 0",
        ),
        (
            "{ kind = \"mixture\", components = [] }",
            "m.toml:2: signal.prior.components must be a list of one table or more, got an empty list",
        ),
        (
            "{ kind = \"group-l21\", group = 1.5 }",
            "m.toml:2: signal.prior.group must be a whole number, got 1.5",
        ),
        (
            "3",
            "m.toml:2: signal.prior must be a name or a table, got the number 3",
        ),
        (
            "{ mean = 1 }",
            "m.toml:2: missing key \"signal.prior.kind\"",
        ),
        ("= 3", "m.toml:2: "),
        ("\"gaussian\"\nprior = \"rademacher\"", "m.toml:3: "),
    ] {
        let found = refused(prior);
        assert!(found.starts_with(message), "{prior}: {found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
}

#[test]
fn lines_are_those_of_the_values_in_sections() {
    let text =
        "[signal]\nprior = \"gaussian\"\n\n[observation]\nkind = \"denoising\"\n\nnoise = 0\n";
    let error = Model::parse(text, "m.toml").unwrap_err().to_string();
    assert_eq!(
        error,
        "m.toml:7: observation.noise must be finite and positive, got 0"
    );
    let text = "[signal]\nprior = \"gaussian\"\n\n[observation]\nkind = \"denoising\"\n";
    let error = Model::parse(text, "m.toml").unwrap_err().to_string();
    assert_eq!(error, "m.toml:4: missing key \"observation.noise\"");
    let text = "[signal]\nprior = \"gaussian\"\n";
    let error = Model::parse(text, "m.toml").unwrap_err().to_string();
    assert_eq!(error, "m.toml:1: missing key \"observation\"");
}

#[test]
fn wrong_models_are_refused() {
    let good = "kind = \"denoising\"\nnoise = 1\n";
    for (text, message) in [
        (format!("[signal]\nprior = \"gaussian\"\n[observation]\n{good}on = \"h7\"\n"),
         "unknown variable \"h7\", allowed: x"),
        (format!("[signal]\nprior = \"gaussian\"\n[observation]\n{good}[inference.layers]\ny = \"lmmse\"\n"),
         "unknown variable \"y\", allowed: x"),
        (format!("[signal]\nprior = \"gaussian\"\n[observation]\n{good}[[observations]]\n{good}"),
         "[observation] and [[observations]] exclude each other"),
        (format!("[signal]\nlatent = \"x\"\nprior = \"gaussian\"\n[[signal.layers]]\nweights = {{ ensemble = \"gaussian\", aspect = 1 }}\n[observation]\n{good}"),
         "variable names must differ, \"x\" is given twice"),
        (format!("[signal]\nprior = \"gaussian\"\n[observation]\n{good}[student.observation]\nnoise = -1\n"),
         "student.observation.noise must be finite and positive, got -1"),
        (format!("[signal]\nprior = \"gaussian\"\n[observation]\n{good}[student.observation]\nnose = 1\n"),
         "unknown key \"student.observation.nose\""),
        (format!("colour = 1\n[signal]\nprior = \"gaussian\"\n[observation]\n{good}"),
         "m.toml:1: unknown key \"colour\", allowed: name, field, signal, observation"),
        ("[signal]\nprior = \"gaussian\"\n[observation]\nkind = \"glm\"\nsensing = { ensemble = \"gaussian\", aspect = 1 }\noutput = \"tahn\"\n".to_string(),
         "unknown output \"tahn\", allowed: linear"),
    ] {
        let error = Model::parse(&text, "m.toml").unwrap_err().to_string();
        assert!(error.contains(message), "{error}\n{text}");
    }
}

#[test]
fn not_supported_parts_are_named() {
    let base = Document::preset("spiked-deep-relu").unwrap();
    for (key, value, what) in [
        ("signal.layers.1.bias", "1", "layer with \"bias\""),
        (
            "signal.layers.1.weights.ensemble",
            "haar",
            "ensemble \"haar\"",
        ),
        ("signal.prior", "nonnegative", "prior \"nonnegative\""),
        (
            "signal.prior",
            "{ kind = \"l1\", strength = 2 }",
            "prior \"l1\"",
        ),
        ("inference.rule", "lmmse", "rule \"lmmse\""),
        ("inference.layers.h1", "lmmse", "rule \"lmmse\""),
        ("inference.estimator", "map", "estimator \"map\""),
        ("student.observation.noise", "0.7", "a student"),
        ("student.signal.layers.1.activation", "abs", "a student"),
        (
            "observation.on",
            "h2",
            "an observation of a hidden variable",
        ),
        ("field", "complex", "field \"complex\""),
    ] {
        let mut document = base.clone();
        document
            .set(key, value)
            .unwrap_or_else(|e| panic!("{key}: {e}"));
        let error = document.model().tree().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{what} is not supported yet"),
            "{key}={value}"
        );
    }
}

#[test]
fn keys_are_set_by_index_and_by_name() {
    let mut document = Document::preset("spiked-deep-relu").unwrap();
    for (key, canonical) in [
        (
            "signal.layers.1.weights.aspect",
            "signal.layers.1.weights.aspect",
        ),
        (
            "signal.layers.h2.weights.aspect",
            "signal.layers.1.weights.aspect",
        ),
        ("h2.weights.aspect", "signal.layers.1.weights.aspect"),
        ("x.weights.aspect", "signal.layers.2.weights.aspect"),
        ("z.variance", "signal.prior.variance"),
        ("signal.prior.mean", "signal.prior.mean"),
        ("observations.0.noise", "observation.noise"),
        ("observations.x.noise", "observation.noise"),
        ("student.observation.noise", "student.observation.noise"),
    ] {
        document
            .set(key, "0.75")
            .unwrap_or_else(|e| panic!("{key}: {e}"));
        let quantity = document.quantity(canonical).unwrap();
        assert_eq!(quantity.value, 0.75, "{key}");
        document.set(key, "0.5").unwrap();
    }
    // Only together are these two valid.
    let pair = [
        ("observation.kind", "glm"),
        ("observation.sensing", "{ ensemble = \"haar\", aspect = 2 }"),
    ];
    assert!(document.set(pair[0].0, pair[0].1).is_err());
    document.set_all("", &pair).unwrap();
    document.set("observation.output", "abs").unwrap();
    document.set("observation.sensing.aspect", "3").unwrap();
    assert_eq!(
        document
            .quantity("observation.sensing.aspect")
            .unwrap()
            .value,
        3.0
    );
}

#[test]
fn assignments_that_make_no_sense_are_refused_and_change_nothing() {
    let mut document = Document::preset("spiked-deep-relu").unwrap();
    let before = document.model().clone();
    for (key, value, message) in [
        (
            "observation.nose",
            "1",
            "--set observation.nose=1: unknown key \"observation.nose\", allowed: kind, on, noise",
        ),
        (
            "observation.noise",
            "-1",
            "--set observation.noise=-1: observation.noise must be finite and positive, got -1",
        ),
        (
            "observation.noise",
            "NaN",
            "must be finite and positive, got NaN",
        ),
        (
            "observation.noise",
            "much",
            "must be a number, got the text \"much\"",
        ),
        ("observation.noise", "", "a value is missing"),
        (
            "observation.noise.foo",
            "1",
            "observation.noise must be a number, got a table",
        ),
        ("observation..noise", "1", "must be names joined by dots"),
        ("", "1", "must be names joined by dots"),
        (
            "signal.layers.7.noise",
            "1",
            "index of layers must be a whole number below 3, got \"7\"",
        ),
        (
            "signal.layers.y.noise",
            "1",
            "unknown variable \"y\", allowed: h1, h2, x",
        ),
        (
            "signal.prior",
            "{ kind = ",
            "--set signal.prior={ kind = : ",
        ),
        (
            "signal.prior.sparsity",
            "0.5",
            "unknown key \"signal.prior.sparsity\", allowed: kind, mean, variance",
        ),
        ("y.noise", "1", "unknown key \"y\", allowed: name"),
        ("student.signal.layers.9.noise", "1", "must be a list"),
    ] {
        let error = document
            .set_all("--set", &[(key, value)])
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{key}={value}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert_eq!(document.model(), &before);
    }
    let error = document
        .quantity("observation.kind")
        .unwrap_err()
        .to_string();
    assert!(error.contains("observation.noise"), "{error}");
}
