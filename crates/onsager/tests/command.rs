//! The command as a user meets it: results, exit codes, one line for every wrong input.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

fn onsager(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_onsager"))
        .args(arguments)
        .output()
        .expect("the command starts")
}

fn json(arguments: &[&str]) -> Value {
    let output = onsager(&[arguments, &["--json"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).expect("standard output is JSON")
}

fn text(arguments: &[&str]) -> String {
    let output = onsager(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// A model file of this test's own.
fn file(name: &str, text: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("the file is written");
    path.display().to_string()
}

fn near(value: &Value, expected: f64, tolerance: f64) {
    let found = value.as_f64().unwrap_or(f64::NAN);
    assert!(
        (found - expected).abs() <= tolerance,
        "{found} instead of {expected}"
    );
}

#[test]
fn predict_solves_the_gaussian_spike() {
    // q = 1 - Δ below the threshold, and a trivial unstable fixed point.
    let found = json(&[
        "predict",
        "spiked-gaussian",
        "--set",
        "observation.noise=0.25",
    ]);
    near(&found["optimal"]["overlap"], 0.75, 1e-8);
    near(&found["optimal"]["mmse"], 0.25, 1e-8);
    near(&found["algorithmic"]["variables"]["x"]["snr"], 3.0, 1e-7);
    let points = found["fixed_points"].as_array().unwrap();
    assert_eq!(points.len(), 2);
    assert_eq!(points[0]["stable"], false);
    assert_eq!(points[1]["perfect"], false);
    for key in ["overlap", "mmse", "snr", "potential", "mutual_information"] {
        assert!(points[1][key].is_number(), "{key}");
    }
    assert_eq!(found["model"]["observation"]["noise"], 0.25);
    assert!(text(&["predict", "spiked-gaussian"]).contains("algorithmic, optimal"));
}

/// A model file of a spiked Wishart matrix with the given layers.
fn wishart(name: &str, layers: &[(&str, f64)]) -> String {
    let layer = |(activation, aspect): &(&str, f64)| {
        format!(
            "[[signal.layers]]\nweights = {{ ensemble = \"gaussian\", aspect = {aspect} }}\n\
             activation = \"{activation}\"\n"
        )
    };
    let layers: String = layers.iter().map(layer).collect();
    let text = format!(
        "[signal]\nprior = \"gaussian\"\n{layers}[observation]\nkind = \"spiked-wishart\"\n\
         noise = 0.5\naspect = 2.0\n"
    );
    file(name, &text)
}

#[test]
fn spectrum_knows_principal_components_in_closed_form() {
    let arguments = ["spectrum", "spiked-gaussian", "--operator", "pca"];
    let quarter = [&arguments[..], &["--set", "observation.noise=0.25"]].concat();
    let found = json(&quarter);
    near(&found["bulk"][0], -1.0, 1e-15);
    near(&found["support"][0][1], 1.0, 1e-15);
    near(&found["outlier"], 1.25, 1e-15);
    near(&found["overlap"], 0.75, 1e-15);
    assert_eq!(found["status"]["overlap"], "theorem");
    assert_eq!(found["atoms"].as_array().unwrap().len(), 0);
    assert!(found.get("density").is_none());
    // v: (β - Δ²)/(β + Δ); largest eigenvalue (1 + Δ)(β + Δ); bulk Δ(1 ± √β)².
    let wishart = wishart("wishart-pca.toml", &[("linear", 2.0)]);
    let found = json(&["spectrum", &wishart, "--operator", "pca"]);
    near(&found["overlap"], 1.75 / 2.5, 1e-14);
    near(&found["outlier"], 1.5 * 2.5, 1e-14);
    near(&found["bulk"][1], 0.5 * (1.0 + 2f64.sqrt()).powi(2), 1e-14);
}

#[test]
fn spectrum_of_lamp_has_density_status_and_sweeps() {
    let deep = wishart("wishart-lamp.toml", &[("sign", 4.0), ("sign", 1.0)]);
    let arguments = ["spectrum", &deep, "--operator", "lamp", "--density", "41"];
    let found = json(&arguments);
    near(&found["outlier"], 1.0, 0.0);
    assert_eq!(found["status"]["bulk"], "conjecture");
    assert!(found["overlap"].as_f64().unwrap() > 0.5 && found["overlap_left"].is_number());
    let density = found["density"].as_array().unwrap();
    let intervals = found["support"].as_array().unwrap().len();
    assert_eq!(density.len(), 41 * intervals);
    // Trapezoids over the density: all of the mass that is not in atoms, to the error of the rule.
    let point = |i: usize, j: usize| density[i][j].as_f64().unwrap();
    let mass: f64 = (1..density.len())
        .map(|i| 0.5 * (point(i, 0) - point(i - 1, 0)) * (point(i, 1) + point(i - 1, 1)))
        .sum();
    assert!((mass - 1.0).abs() < 0.01, "{mass}");
    assert!(text(&arguments).contains("conjecture"));

    let sweep = [
        "spectrum",
        "spiked-linear",
        "--operator",
        "lamp",
        "--sweep",
        "observation.noise=0.5:8:4",
    ];
    let found = json(&sweep);
    assert_eq!(found["points"].as_array().unwrap().len(), 4);
    assert_eq!(found["points"][3]["outlier"], Value::Null);
    near(&found["points"][3]["overlap"], 0.0, 0.0);
    let predicted = json(&["predict", "spiked-linear", "--set", "observation.noise=0.5"]);
    let overlap = predicted["optimal"]["overlap"].as_f64().unwrap();
    near(&found["points"][0]["overlap"], overlap, 1e-8);
    assert!(text(&sweep).contains("highest edge"));
}

#[test]
fn sweeps_reach_both_ends_linear_and_logarithmic() {
    let arguments = [
        "predict",
        "spiked-gaussian",
        "--sweep",
        "observation.noise=0.25:4:3:log",
    ];
    let found = json(&arguments);
    assert_eq!(found["parameter"], "observation.noise");
    for (i, (noise, mmse)) in [(0.25, 0.25), (1.0, 1.0), (4.0, 1.0)].iter().enumerate() {
        near(&found["points"][i]["value"], *noise, 1e-15);
        // At the threshold itself the overlap is the square root of the accuracy.
        near(&found["points"][i]["algorithmic"]["mmse"], *mmse, 1e-4);
    }
    // q = 1 - Δ/v² for a variance v, read from the table.
    let table = text(&["predict", "spiked-gaussian", "--sweep", "x.variance=1:2:2"]);
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.contains("1.75000"), "{table}");
}

#[test]
fn trajectories_follow_the_closed_map() {
    // q <- (q/Δ)/(1 + q/Δ) with Δ = 1/2, from the truth.
    let found = json(&[
        "predict",
        "spiked-gaussian",
        "--trajectory",
        "3",
        "--start",
        "informed",
    ]);
    let steps = found["trajectory"].as_array().unwrap();
    assert_eq!(steps.len(), 4);
    let mut q = 1.0;
    for step in steps {
        near(&step["mmse"], 1.0 - q, 1e-9);
        q = (q / 0.5) / (1.0 + q / 0.5);
    }
    let table = text(&[
        "predict",
        "spiked-linear",
        "--trajectory",
        "2",
        "--start",
        "spectral",
    ]);
    assert!(table.contains("iteration"), "{table}");
}

#[test]
fn thresholds_are_those_of_the_papers() {
    let one = |model: &str, key: &str, range: &str| {
        let found = json(&["thresholds", model, "--parameter", key, "--range", range]);
        assert_eq!(found["parameter"], key);
        let list = found["thresholds"].as_array().unwrap().clone();
        let weak = list
            .iter()
            .find(|t| t["kind"] == "weak-recovery")
            .unwrap()
            .clone();
        assert_eq!(weak["variable"], "x");
        weak
    };
    let weak = one("spiked-linear", "observation.noise", "0.1:10");
    near(&weak["value"], 3.0, 1e-8); // 1 + α
    assert_eq!(weak["easier"], "below");
    let weak = one("spiked-sign", "observation.noise", "0.1:10");
    near(
        &weak["value"],
        1.0 + 4.0 * 2.0 / std::f64::consts::PI.powi(2),
        1e-8,
    );
    // In α at Δ = 2: α = 1.
    let weak = one("spiked-linear", "signal.layers.x.weights.aspect", "0.5:3");
    near(&weak["value"], 1.0, 1e-5);
    assert_eq!(weak["easier"], "above");
    // Sparse enough for a hard phase.
    let found = json(&[
        "thresholds",
        "spiked-sparse",
        "--parameter",
        "observation.noise",
    ]);
    assert_eq!(found["hard_phases"].as_array().unwrap().len(), 1);
    let table = text(&[
        "thresholds",
        "spiked-sparse",
        "--parameter",
        "observation.noise",
    ]);
    assert!(table.contains("hard between"), "{table}");
}

#[test]
fn simulations_agree_with_their_prediction_and_repeat_bit_by_bit() {
    let arguments = [
        "simulate",
        "denoising-sparse",
        "--size",
        "2000",
        "--trials",
        "4",
        "--seed",
        "3",
    ];
    let found = json(&arguments);
    let mse = found["mse"]["mean"].as_f64().unwrap();
    let predicted = found["prediction"]["mmse"].as_f64().unwrap();
    // Errors per component are below 1 with few exceptions: five standard errors of 8000.
    assert!(
        (mse - predicted).abs() < 5.0 * predicted / 200f64.sqrt(),
        "{mse} {predicted}"
    );
    assert_eq!(found["status"]["converged"], 4);
    assert_eq!(found["mse"]["trials"].as_array().unwrap().len(), 4);
    for key in ["mean", "median", "standard_error"] {
        assert!(found["overlap"][key].is_number(), "{key}");
    }
    for key in [
        "claimed_mse",
        "nishimori_gap",
        "iterations",
        "products",
        "peak_memory",
    ] {
        assert!(!found[key].is_null(), "{key}");
    }
    assert_eq!(found, json(&[&arguments[..], &["--threads", "2"]].concat()));
    let other = json(&[
        "simulate",
        "denoising-sparse",
        "--size",
        "2000",
        "--seed",
        "4",
    ]);
    assert_ne!(found["mse"]["trials"][0], other["mse"]["trials"][0]);
    assert!(other["mse"]["standard_error"].is_null());
}

#[test]
fn simulations_take_their_options() {
    let base = ["simulate", "spiked-sign", "--size", "z=100", "--seed", "1"];
    assert!(text(&base).contains("z 100, x 200"));
    for options in [
        &["--algorithm", "pca"][..],
        &["--algorithm", "lamp"],
        &["--start", "spectral"],
        &["--restarts", "2"],
        &["--start", "informed", "--storage", "f32"],
        &[
            "--damping",
            "0.5",
            "--max-iterations",
            "20",
            "--tolerance",
            "1e-4",
        ],
    ] {
        let found = json(&[&base[..], options].concat());
        let mse = found["mse"]["mean"].as_f64().unwrap();
        assert!((0.0..2.0).contains(&mse), "{options:?}: {mse}");
    }
    let short = json(&[&base[..], &["--max-iterations", "2"]].concat());
    assert_eq!(short["status"]["not-converged"], 1);
    assert_eq!(short["iterations"]["mean"], 2.0);
}

#[test]
fn phase_retrieval_has_spectral_methods_and_their_start() {
    let glm = |name: &str, activation: &str, output: &str| {
        file(
            name,
            &LINEAR
                .replace(
                    "activation = \"linear\"",
                    &format!("activation = \"{activation}\""),
                )
                .replace("output = \"linear\"", &format!("output = \"{output}\"")),
        )
    };
    let model = glm("phase-linear.toml", "linear", "abs");
    let base = [
        "simulate", &model, "--size", "300", "--trials", "12", "--seed", "1",
    ];
    let mut overlaps = Vec::new();
    for algorithm in ["pca", "lamp"] {
        let found = json(&[&base[..], &["--algorithm", algorithm]].concat());
        let predicted = found["prediction"]["mse"].as_f64().unwrap();
        let error = found["mse"]["standard_error"].as_f64().unwrap();
        near(&found["mse"]["mean"], predicted, 5.0 * error + 5.0 / 300.0);
        overlaps.push(1.0 - predicted);
    }
    assert!(overlaps[1] > 2.0 * overlaps[0], "{overlaps:?}");
    let found = json(&[&base[..], &["--start", "spectral"]].concat());
    // A matrix of this size may leave a run on the way.
    assert!(
        found["status"]["converged"].as_u64().unwrap() >= 9,
        "{found}"
    );
    assert!(found["mse"]["median"].as_f64().unwrap() < 1e-6);
    let steps = json(&[
        "predict",
        &model,
        "--trajectory",
        "2",
        "--start",
        "spectral",
    ]);
    near(&steps["trajectory"][0]["mmse"], 1.0 - overlaps[1], 1e-9);
    for (model, options, message) in [
        (
            glm("phase-relu.toml", "relu", "abs"),
            &["--algorithm", "lamp"][..],
            "whose mean is not zero",
        ),
        (
            glm("phase-relu.toml", "relu", "abs"),
            &["--start", "spectral"],
            "whose mean is not zero",
        ),
        (
            glm("sensed.toml", "linear", "linear"),
            &["--algorithm", "pca"],
            "differ for h and -h",
        ),
        (
            glm("sensed.toml", "linear", "linear"),
            &["--start", "spectral"],
            "differ for h and -h",
        ),
    ] {
        let output = onsager(&[&["simulate", &model, "--size", "40"][..], options].concat());
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn simulations_of_rectangular_matrices_have_two_sides() {
    let model = wishart("wishart-simulate.toml", &[("linear", 2.0)]);
    let base = [
        "simulate", &model, "--size", "300", "--trials", "16", "--seed", "1",
    ];
    let mut means = Vec::new();
    for algorithm in ["pca", "lamp", "amp"] {
        let found = json(&[&base[..], &["--algorithm", algorithm]].concat());
        let prediction = &found["prediction"];
        let (right, left) = match algorithm {
            "amp" => ("mmse", "mmse_left"),
            _ => ("mse", "mse_left"),
        };
        for (side, predicted) in [("mse", right), ("mse_left", left)] {
            let error = found[side]["standard_error"].as_f64().unwrap();
            // Five standard errors, and a bias of order 1/p.
            let predicted = prediction[predicted].as_f64().unwrap();
            near(&found[side]["mean"], predicted, 5.0 * error + 5.0 / 300.0);
            means.push(predicted);
        }
        assert_eq!(
            found["overlap_left"]["trials"].as_array().unwrap().len(),
            16
        );
    }
    // (Δ² + Δ)/(β + Δ) and, on the left, Δ(β + Δ)/(β(1 + Δ)); then less, and for Gaussian factors
    // nothing is left to gain.
    assert!((means[0] - 0.75 / 2.5).abs() < 1e-14 && (means[1] - 1.25 / 3.0).abs() < 1e-14);
    assert!(means[2] < 0.8 * means[0] && means[3] < means[1]);
    assert!((means[4] - means[2]).abs() < 1e-8 && (means[5] - means[3]).abs() < 1e-8);
    assert!(text(&base).contains("predicted mmse (left)"));
    assert!(!text(&["simulate", "spiked-sign", "--size", "60"]).contains("(left)"));

    let arguments = [
        "predict",
        &model,
        "--trajectory",
        "2",
        "--start",
        "spectral",
    ];
    let steps = json(&arguments)["trajectory"].clone();
    for step in steps.as_array().unwrap() {
        near(&step["mmse"], means[2], 1e-8);
        near(&step["variables"]["u"]["mse"], means[3], 1e-8);
    }
    let both = format!(
        "{}[observation.left]\nprior = \"gaussian\"\n[[observation.left.layers]]\n\
         weights = {{ ensemble = \"gaussian\", aspect = 1.5 }}\nactivation = \"sign\"\n",
        std::fs::read_to_string(&model).unwrap()
    );
    let both = file("wishart-both.toml", &both);
    let found = json(&["spectrum", &both, "--operator", "lamp"]);
    let steps = json(&["predict", &both, "--trajectory", "1", "--start", "spectral"]);
    let first = &steps["trajectory"][0]["variables"];
    near(
        &first["x"]["truth"],
        found["overlap"].as_f64().unwrap(),
        1e-12,
    );
    near(
        &first["u"]["truth"],
        found["overlap_left"].as_f64().unwrap(),
        1e-12,
    );
    let run = ["simulate", &both, "--size", "100", "--start", "spectral"];
    assert_eq!(json(&run)["status"]["converged"], 1);
    let relu = wishart("wishart-relu.toml", &[("relu", 2.0)]);
    let output = onsager(&["simulate", &relu, "--size", "60", "--start", "spectral"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not supported yet"));
    let huge = onsager(&[
        "simulate",
        &model,
        "--size",
        "3000000",
        "--algorithm",
        "pca",
    ]);
    assert_eq!(huge.status.code(), Some(2));
}

/// Every output that is no piecewise linear function, predicted, simulated and searched for thresholds.
#[test]
fn outputs_of_every_kind_run() {
    let model = |prior: &str, output: &str, ratio: f64| {
        let text = format!(
            "[signal]\nprior = \"{prior}\"\n[observation]\nkind = \"glm\"\noutput = \"{output}\"\n\
             sensing = {{ ensemble = \"gaussian\", aspect = {ratio:?} }}\n"
        );
        file(&format!("{prior}-{output}.toml"), &text)
    };
    for (prior, output, ratio) in [
        ("gaussian", "logistic", 3.0),
        ("gaussian", "sign", 2.0),
        ("gaussian", "probit", 2.0),
        ("rademacher", "poisson", 1.5),
        ("gaussian", "poisson-log", 0.8),
        ("gaussian", "tanh", 0.6),
    ] {
        let model = model(prior, output, ratio);
        let labels = matches!(output, "logistic" | "sign" | "probit");
        let run = [
            "simulate", &model, "--size", "400", "--trials", "16", "--seed", "3",
        ];
        let found = json(&run);
        let mut compared = vec![("mse", "mmse")];
        if labels {
            compared.push(("generalisation_error", "generalisation_error"));
        } else {
            assert!(found["generalisation_error"].is_null());
        }
        for (name, predicted) in compared {
            let error = found[name]["standard_error"].as_f64().unwrap();
            let predicted = found["prediction"][predicted].as_f64().unwrap();
            // Five standard errors, and a bias of at most 6 in p.
            near(
                &found[name]["mean"],
                predicted,
                5.0 * error + 0.015 * predicted.max(0.1),
            );
            assert!(
                error < 0.1 * predicted,
                "{model}: {error} sees nothing of {predicted}"
            );
        }
    }
    // Fewer labels than these say less, and the best prediction beats one drawn from the posterior.
    let found = json(&["predict", &model("gaussian", "sign", 2.0)]);
    let optimal = &found["optimal"];
    let cosine = optimal["overlap"].as_f64().unwrap();
    let pi = std::f64::consts::PI;
    near(
        &optimal["generalisation_error"],
        cosine.sqrt().acos() / pi,
        1e-8,
    );
    near(&optimal["gibbs_error"], cosine.acos() / pi, 1e-8);
    assert!(text(&["predict", &model("gaussian", "sign", 2.0)]).contains("generalisation error"));
    // A smooth function without noise is a linear measurement: all is known from n = p on.
    let ratio = ["--parameter", "observation.sensing.aspect"];
    let tanh = model("gaussian", "tanh", 0.6);
    let found = json(&[&["thresholds", &tanh], &ratio[..]].concat());
    for threshold in found["thresholds"].as_array().unwrap() {
        near(&threshold["value"], 1.0, 1e-8);
    }
    // Noisy labels never tell a real signal.
    let logistic = model("gaussian", "logistic", 3.0);
    let found = json(&[&["thresholds", &logistic, "--range", "0.5:8"], &ratio[..]].concat());
    assert_eq!(found["thresholds"].as_array().unwrap().len(), 0);
}

#[test]
fn models_are_listed_and_printed() {
    let listed = json(&["models"]);
    assert!(
        listed
            .as_array()
            .unwrap()
            .iter()
            .any(|m| m["name"] == "spiked-deep-relu")
    );
    // What is printed is a model file.
    let path = file("printed.toml", &text(&["models", "denoising-sparse"]));
    assert_eq!(
        json(&["predict", &path]),
        json(&["predict", "denoising-sparse"])
    );
}

#[test]
fn help_and_version_are_no_errors() {
    assert!(text(&["--help"]).contains("predict"));
    assert!(text(&["--help"]).contains("phase-diagram"));
    assert!(!text(&["--help"]).contains("completions"));
    assert!(text(&["simulate", "--help"]).contains("--max-iterations"));
    assert!(text(&["--version"]).starts_with("onsager "));
}

#[test]
fn wrong_input_is_refused_in_one_line_with_exit_code_2() {
    let bad_number = file(
        "bad-number.toml",
        "[signal]\nprior = \"gaussian\"\n\n[observation]\nkind = \"denoising\"\nnoise = -1.0\n",
    );
    let bad_syntax = file("bad-syntax.toml", "[signal]\nprior = \"gaussian\n");
    let later = file(
        "later.toml",
        "[signal]\nprior = \"nonnegative\"\n[observation]\nkind = \"denoising\"\nnoise = 1\n",
    );
    let constant = file(
        "constant.toml",
        "[signal]\nprior = { kind = \"mixture\", components = [{ weight = 2, mean = 1, variance = 0 }] }\n[observation]\nkind = \"denoising\"\nnoise = 1\n",
    );
    let glm = file(
        "glm.toml",
        "[signal]\nprior = \"gaussian\"\n[observation]\nkind = \"glm\"\nsensing = { ensemble = \"gaussian\", aspect = 1 }\noutput = \"poisson-log\"\n",
    );
    let p = "predict";
    let s = ["simulate", "spiked-sign", "--size"];
    let t = ["thresholds", "spiked-sign", "--parameter"];
    let d = [
        "phase-diagram",
        "spiked-sign",
        "--x",
        "signal.layers.0.weights.aspect=1:2:2",
        "--y",
    ];
    let cases: &[(&[&str], &str)] = &[
        (&[], "a command is missing, allowed: predict"),
        (&["prdict"], "unknown command \"prdict\", allowed: predict"),
        (
            &["completions", "bash"],
            "command \"completions\" is not supported yet",
        ),
        (
            &["infer", "spiked-sign", "--data", "y=y.npy", "--out", "o"],
            "infer with algorithm \"amp\" is not supported yet",
        ),
        (
            &[
                &s[..],
                &["50", "--algorithm", "lamp", "--start", "spectral"],
            ]
            .concat(),
            "--start is an option of --algorithm amp, got \"lamp\"",
        ),
        (
            &[&s[..], &["50", "--algorithm", "pca", "--damping", "0.5"]].concat(),
            "--damping is an option of --algorithm amp, got \"pca\"",
        ),
        (&d[..1], "<MODEL>"),
        (&d[..2], "--x"),
        (
            &[&d[..], &["observation.noise=2:1:5"]].concat(),
            "FROM < TO",
        ),
        (
            &[&d[..], &["observation.noise=1:2:1"]].concat(),
            "--y must be a range of two points or more, got \"observation.noise=1:2:1\"",
        ),
        (
            &[&d[..], &["observation.noise=0:1:5"]].concat(),
            "observation.noise",
        ),
        (
            &[&d[..], &["signal.layers.0.weights.aspect=1:2:5"]].concat(),
            "--y must be another key than --x, got \"signal.layers.0.weights.aspect\"",
        ),
        (&[&d[..], &["nothing=1:2:5"]].concat(), "nothing"),
        (
            &[&d[..], &["observation.noise=1:2:500001"]].concat(),
            "--x and --y must be a grid of at most 1000000 points, got \"1000002\"",
        ),
        (
            &[&d[..], &["observation.noise=1:2:5", "--jobs", "0"]].concat(),
            "--jobs must be at least 1, got \"0\"",
        ),
        (
            &[&d[..], &["observation.noise=1:2:5", "--refine", "21"]].concat(),
            "21 is not in 0..=20",
        ),
        (
            &[&t[..], &["observation.noise", "--meet"]].concat(),
            "--parameter observation.noise with --meet must be another key",
        ),
        (
            &[
                &t[..],
                &["signal.layers.0.weights.aspect", "--meet", "weak,strong"],
            ]
            .concat(),
            "--meet must be two of weak-recovery, algorithmic, dynamical, information-theoretic, \
             got \"weak,strong\"",
        ),
        (
            &[
                &t[..],
                &["signal.layers.0.weights.aspect", "--meet", "--members", "1"],
            ]
            .concat(),
            "--members must be from 2 to 10000, got \"1\"",
        ),
        (&["spectrum"], "<MODEL>"),
        (&["spectrum", "spiked-sign"], "--operator"),
        (
            &["spectrum", "spiked-sign", "--operator", "svd"],
            "'svd' for '--operator",
        ),
        (
            &[
                "spectrum",
                "spiked-sign",
                "--operator",
                "pca",
                "--density",
                "-3",
            ],
            "--density must be a number of points from 2 to 100000, got \"-3\"",
        ),
        (
            &["spectrum", "denoising-sign", "--operator", "pca"],
            "needs an observation that is a spiked matrix, got \"denoising\"",
        ),
        (&["draw"], "\"draw\" is not supported yet"),
        (&["completions"], "\"completions\" is not supported yet"),
        (&["man"], "\"man\" is not supported yet"),
        (&[p], "<MODEL>"),
        (
            &[p, "no-such-model"],
            "unknown preset \"no-such-model\", allowed: spiked-gaussian",
        ),
        (&[p, "no/such.toml"], "no/such.toml: "),
        (&[p, "."], ".: "),
        (
            &[p, &bad_number],
            "bad-number.toml:6: observation.noise must be finite and positive, got -1",
        ),
        (&[p, &bad_syntax], "bad-syntax.toml:2: "),
        (&[p, &later], "prior \"nonnegative\" is not supported yet"),
        (
            &[p, &constant],
            "variance of the mixture must be finite and positive, got 0",
        ),
        (
            &[
                p,
                "spiked-sign",
                "--set",
                "signal.layers.0.activation={ kind = \"door\", width = -1 }",
            ],
            "signal.layers.0.activation.width must be finite and positive, got -1",
        ),
        (
            &[
                p,
                "spiked-sign",
                "--set",
                "signal.layers.0.activation={ kind = \"piecewise-linear\", pieces = [{ offset = 1 }] }",
            ],
            "number of values of the activation must be at least 2, got 1",
        ),
        (
            &[p, "spiked-sign", "--set", "signal.layers.0.noise_before=-1"],
            "signal.layers.0.noise_before must be finite and not negative, got -1",
        ),
        (
            &[p, &glm, "--set", "observation.output=modulus"],
            "output \"modulus\" is not supported yet",
        ),
        (
            &[p, &glm, "--set", "observation.output=possion"],
            "unknown output \"possion\", allowed: linear",
        ),
        (
            &[p, &glm, "--set", "observation.noise=0.1"],
            "observation.noise after an output of kind \"poisson-log\" is not supported yet",
        ),
        (&["simulate", &glm, "--size", "0"], "--size"),
        (
            &[p, "spiked-sign", "--set", "observation.nose=1"],
            "--set observation.nose=1: unknown key \"observation.nose\", allowed: kind, on, noise",
        ),
        (
            &[p, "spiked-sign", "--set", "observation.noise=big"],
            "observation.noise must be a number, got the text \"big\"",
        ),
        (
            &[p, "spiked-sign", "--set", "observation.noise=inf"],
            "must be finite and positive, got inf",
        ),
        (
            &[p, "spiked-sign", "--set", "observation.noise"],
            "--set must be KEY=VALUE, got \"observation.noise\"",
        ),
        (
            &[p, "spiked-sign", "--set", "=1"],
            "--set must be KEY=VALUE",
        ),
        (
            &[p, "spiked-sign", "--set", "signal.layers.0.bias=1"],
            "layer with \"bias\" is not supported yet",
        ),
        (
            &[p, "spiked-sign", "--set", "signal.layers.h9.noise=1"],
            "unknown variable \"h9\", allowed: x",
        ),
        (
            &[p, "spiked-sign", "--set", "inference.rule=lmmse"],
            "rule \"lmmse\" is not supported yet",
        ),
        (
            &[p, "spiked-sign", "--sweep", "observation.noise=2:1:5"],
            "--sweep must be FROM < TO, both finite, got \"observation.noise=2:1:5\"",
        ),
        (
            &[p, "spiked-sign", "--sweep", "observation.noise=1:2"],
            "KEY=FROM:TO:POINTS[:log]",
        ),
        (
            &[p, "spiked-sign", "--sweep", "observation.noise=1:2:0"],
            "a number of points from 1",
        ),
        (
            &[p, "spiked-sign", "--sweep", "observation.noise=1:2:2.5"],
            "a number of points from 1",
        ),
        (
            &[p, "spiked-sign", "--sweep", "observation.noise=1:inf:3"],
            "both finite",
        ),
        (
            &[p, "spiked-sign", "--sweep", "observation.noise=1:2:3:lin"],
            "KEY=FROM:TO:POINTS[:log]",
        ),
        (
            &[p, "spiked-sign", "--sweep", "observation.noise=-1:2:3:log"],
            "FROM > 0",
        ),
        (
            &[p, "spiked-sign", "--sweep", "observation.noise=-1:2:3"],
            "observation.noise must be finite and positive, got -1",
        ),
        (
            &[p, "spiked-sign", "--sweep", "observation.kind=1:2:3"],
            "unknown key \"observation.kind\"",
        ),
        (&[p, "spiked-sign", "--start", "informed"], "--trajectory"),
        (&[p, "spiked-sign", "--trajectory", "-3"], "--trajectory"),
        (
            &[p, "spiked-sign", "--fast"],
            "unexpected argument '--fast'",
        ),
        (
            &[p, "spiked-relu", "--trajectory", "3", "--start", "spectral"],
            "not supported yet",
        ),
        (&["thresholds", "spiked-sign"], "--parameter"),
        (
            &[&t[..], &["noise"]].concat(),
            "unknown key \"noise\", allowed: signal.prior.mean",
        ),
        (
            &[&t[..], &["observation.noise", "--range", "3:1"]].concat(),
            "--range must be FROM:TO with FROM < TO, both finite, got \"3:1\"",
        ),
        (
            &[&t[..], &["observation.noise", "--range", "-1:1"]].concat(),
            "got -1",
        ),
        (
            &[&t[..], &["observation.noise", "--range", "1"]].concat(),
            "FROM:TO",
        ),
        (
            &[&t[..], &["z.mean"]].concat(),
            "--range is needed for signal.prior.mean",
        ),
        (&["simulate", "spiked-sign"], "--size"),
        (
            &[&s[..], &["0"]].concat(),
            "--size must be P or NAME=N with a whole number of at least 1, got \"0\"",
        ),
        (&[&s[..], &["-5"]].concat(), "-5"),
        (&[&s[..], &["1.5"]].concat(), "got \"1.5\""),
        (
            &[&s[..], &["w=10"]].concat(),
            "unknown variable \"w\", allowed: z, x",
        ),
        (
            &[&s[..], &["10", "--trials", "0"]].concat(),
            "--trials must be at least 1, got \"0\"",
        ),
        (
            &[&s[..], &["10", "--threads", "0"]].concat(),
            "--threads must be at least 1",
        ),
        (&[&s[..], &["10", "--seed", "x"]].concat(), "--seed"),
        (
            &[&s[..], &["10", "--algorithm", "adam"]].concat(),
            "[possible values: amp, pca, lamp]",
        ),
        (
            &[&s[..], &["10", "--algorithm", "vamp"]].concat(),
            "algorithm \"vamp\" is not supported yet",
        ),
        (&[&s[..], &["10", "--start", "nowhere"]].concat(), "--start"),
        (&[&s[..], &["10", "--storage", "f16"]].concat(), "--storage"),
        (
            &[&s[..], &["10", "--damping", "1"]].concat(),
            "--damping must be in [0, 1), got \"1\"",
        ),
        (
            &[&s[..], &["10", "--tolerance", "-1"]].concat(),
            "--tolerance must be in [0, 1), got \"-1\"",
        ),
        (
            &[&s[..], &["10", "--tolerance", "nan"]].concat(),
            "--tolerance must be in [0, 1)",
        ),
        (
            &[&s[..], &["10", "--max-iterations", "0"]].concat(),
            "--max-iterations must be at least 1",
        ),
        (
            &[
                "simulate",
                "denoising-sparse",
                "--size",
                "10",
                "--algorithm",
                "pca",
            ],
            "not supported yet",
        ),
        (
            &["models", "nothing"],
            "unknown preset \"nothing\", allowed: spiked-gaussian",
        ),
    ];
    for (arguments, message) in cases {
        refused(arguments, 2, message);
    }
}

/// What a file may get wrong, one of each family: the place, the value and what is allowed.
#[test]
fn wrong_model_files_are_refused_by_family() {
    let data = "[observation]\nkind = \"denoising\"\nnoise = 1\n";
    let signal = "[signal]\nprior = \"gaussian\"\n";
    let prior = |prior: &str| format!("[signal]\nprior = {prior}\n{data}");
    let layer = |keys: &str| format!("{signal}[[signal.layers]]\n{keys}\n{data}");
    let square = "weights = { ensemble = \"gaussian\", aspect = 1 }";
    let more = |text: &str| format!("{signal}{data}{text}");
    let cases: &[(&str, String, &str)] = &[
        (
            "nothing at all",
            String::new(),
            ":1: missing key \"signal\"",
        ),
        ("a syntax", "signal = [".into(), "syntax.toml:1: "),
        ("a key twice", more(data), ":6: duplicate key"),
        (
            "an unknown key",
            format!("{signal}colour = 3\n{data}"),
            ":3: unknown key \"signal.colour\", allowed: name, latent, prior, layers",
        ),
        (
            "an unknown kind",
            prior("\"cauchy\""),
            ":2: unknown prior \"cauchy\", allowed: gaussian, rademacher",
        ),
        (
            "a missing number",
            format!("{signal}[observation]\nkind = \"denoising\"\n"),
            ":3: missing key \"observation.noise\"",
        ),
        (
            "a missing kind",
            format!("{signal}[observation]\nnoise = 1\n"),
            "missing key \"observation.kind\"",
        ),
        (
            "no observation",
            signal.into(),
            "missing key \"observation\"",
        ),
        (
            "a number for a table",
            prior("3"),
            "signal.prior must be a name or a table, got the number 3",
        ),
        (
            "a text for a number",
            prior("{ kind = \"gaussian\", mean = \"low\" }"),
            "signal.prior.mean must be a number, got the text \"low\"",
        ),
        (
            "a probability",
            prior("{ kind = \"gauss-bernoulli\", sparsity = 1.5 }"),
            ":2: signal.prior.sparsity must be in (0, 1], got 1.5",
        ),
        (
            "an interval",
            prior("{ kind = \"uniform\", low = 1, high = 1 }"),
            "signal.prior.high must be greater than low = 1, got 1",
        ),
        (
            "an empty list",
            prior("{ kind = \"mixture\", components = [] }"),
            "signal.prior.components must be a list of one table or more",
        ),
        (
            "an element of a list",
            prior("{ kind = \"mixture\", components = [{ weight = -1 }] }"),
            "signal.prior.components.0.weight must be finite and positive, got -1",
        ),
        (
            "an aspect",
            layer("weights = { ensemble = \"gaussian\", aspect = 0 }"),
            "signal.layers.0.weights.aspect must be finite and positive, got 0",
        ),
        (
            "an overflow",
            format!("{signal}[observation]\nkind = \"denoising\"\nnoise = 1e400\n"),
            ":5: observation.noise must be finite and positive, got inf",
        ),
        (
            "a negative variance",
            layer(&format!("{square}\nnoise = -1")),
            "signal.layers.0.noise must be finite and not negative, got -1",
        ),
        (
            "a name twice",
            format!(
                "[signal]\nlatent = \"x\"\nprior = \"gaussian\"\n[[signal.layers]]\n{square}\n{data}"
            ),
            "variable names must differ, \"x\" is given twice",
        ),
        (
            "two forms of one table",
            more("[[observations]]\nkind = \"denoising\"\nnoise = 1\n"),
            "[observation] and [[observations]] exclude each other",
        ),
        (
            "an unknown variable",
            format!("{signal}{data}on = \"h7\"\n"),
            "unknown variable \"h7\", allowed: x",
        ),
        (
            "a field of numbers",
            format!("field = \"quaternion\"\n{signal}{data}"),
            "unknown field \"quaternion\", allowed: real, complex",
        ),
        (
            "complex numbers",
            format!("field = \"complex\"\n{signal}{data}"),
            "field \"complex\" is not supported yet",
        ),
        (
            "a penalty",
            prior("\"l1\""),
            "prior \"l1\" is not supported yet",
        ),
        (
            "an ensemble",
            layer("weights = { ensemble = \"haar\", aspect = 1 }"),
            "ensemble \"haar\" is not supported yet",
        ),
        (
            "a given matrix",
            layer("weights = { file = \"w.npy\" }"),
            "weights file \"w.npy\" is not supported yet",
        ),
        (
            "a student",
            more("[student.observation]\nnoise = 2\n"),
            "a student is not supported yet",
        ),
        (
            "a tree",
            "[[factors]]\nkind = \"sum\"\nfrom = [\"a\"]\nto = [\"x\"]\n".into(),
            "a tree of factors is not supported yet",
        ),
        (
            "another estimator",
            more("[inference]\nestimator = \"map\"\n"),
            "estimator \"map\" is not supported yet",
        ),
    ];
    for (family, text, message) in cases {
        let path = file(
            &format!("{}.toml", family.split(' ').next_back().unwrap()),
            text,
        );
        refused(&["predict", &path], 2, message);
    }
    let path = file("latin.toml", "");
    std::fs::write(&path, [0xe9, b'=']).expect("the file is written");
    refused(&["predict", &path], 2, "valid UTF-8");
}

/// The run, not the input, is at fault: exit code 1, and the reason in one line.
#[test]
fn runs_that_fail_end_with_exit_code_1() {
    // A noise below the smallest normal number: the theory finds no fixed point, and says so.
    let tiny = [
        "predict",
        "spiked-sign",
        "--set",
        "observation.noise=1e-320",
    ];
    refused(&tiny, 1, "no fixed point found at noise");
    #[cfg(target_os = "linux")]
    {
        // A result that cannot be delivered is not a success.
        let full = std::fs::File::create("/dev/full").expect("the device of Linux");
        let output = Command::new(env!("CARGO_BIN_EXE_onsager"))
            .args(["predict", "spiked-gaussian"])
            .stdout(full)
            .output()
            .expect("the command starts");
        let errors = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.starts_with("error: standard output: "), "{errors}");
    }
}

/// Runs the command, which must fail with this code and one line that holds the message.
fn refused(arguments: &[&str], code: i32, message: &str) {
    let output = onsager(arguments);
    let errors = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
    assert!(errors.starts_with("error: "), "{arguments:?}: {errors}");
    assert!(errors.contains(message), "{arguments:?}: {errors}");
    assert_eq!(
        errors.trim_end().lines().count(),
        1,
        "{arguments:?}: {errors}"
    );
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

#[test]
fn sizes_beyond_memory_are_refused_before_anything_is_drawn() {
    for size in [
        "1000000000000",
        "18446744073709551615",
        "z=18446744073709551615",
    ] {
        let output = onsager(&["simulate", "spiked-sign", "--size", size]);
        let errors = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(
            errors.contains("GiB of memory, more than there is"),
            "{errors}"
        );
        assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
    }
}

/// Measurements `y = A x` of a Gaussian signal behind a linear layer of aspect `a`: the error behind a
/// dense one is `1 - n/p`, and the latent has `p/a` numbers to be determined.
const LINEAR: &str = "[signal]\nprior = \"gaussian\"\n[[signal.layers]]\nweights = { ensemble = \"gaussian\", aspect = 2 }\nactivation = \"linear\"\n[observation]\nkind = \"glm\"\nsensing = { ensemble = \"gaussian\", aspect = 1 }\noutput = \"linear\"\n";

/// The matrix of one kind of error.
fn map(found: &Value, kind: &str) -> Vec<Vec<f64>> {
    let rows = found["mmse"][kind].as_array().unwrap();
    let row = |row: &Value| {
        let cells = row.as_array().unwrap().iter();
        cells.map(|cell| cell.as_f64().unwrap()).collect()
    };
    rows.iter().map(row).collect()
}

#[test]
fn phase_diagrams_count_dimensions_whichever_axis_is_which() {
    let path = file("linear-layer.toml", LINEAR);
    let (aspect, ratio) = (
        "signal.layers.0.weights.aspect",
        "observation.sensing.aspect",
    );
    let wide = format!("{aspect}=2:4:3");
    let tall = format!("{ratio}=0.1:0.9:5");
    let upright = json(&["phase-diagram", &path, "--x", &wide, "--y", &tall]);
    assert_eq!(upright["along"], "y");
    assert_eq!(upright["x"]["parameter"], aspect);
    assert_eq!(upright["failures"].as_array().unwrap().len(), 0);
    let across = json(&[
        "phase-diagram",
        &path,
        "--x",
        &tall,
        "--y",
        &wide,
        "--jobs",
        "2",
    ]);
    assert_eq!(across["along"], "x");
    for kind in ["algorithmic", "optimal"] {
        let (a, b) = (map(&upright, kind), map(&across, kind));
        assert_eq!((a.len(), b.len()), (5, 3));
        for (i, row) in a.iter().enumerate() {
            for (j, cell) in row.iter().enumerate() {
                assert_eq!(*cell, b[j][i]);
                let aspect = 2.0 + j as f64;
                let ratio: f64 = 0.1 + 0.2 * i as f64;
                // At the threshold itself nothing is left.
                let is_perfect = ratio * aspect > 1.0 - 1e-12;
                assert_eq!(*cell == 0.0, is_perfect, "{ratio} {aspect}");
            }
        }
    }
    // Optimal and easy at once, at the number of unknowns.
    for (found, [x, y]) in [(&upright, ["x", "y"]), (&across, ["y", "x"])] {
        let lines = found["lines"].as_array().unwrap();
        for kind in ["algorithmic", "information-theoretic"] {
            let line = lines.iter().find(|line| line["kind"] == kind).unwrap();
            let points = line["points"].as_array().unwrap();
            assert!(points.len() >= 3);
            for point in points {
                let aspect = point[x].as_f64().unwrap();
                near(&point[y], 1.0 / aspect, 1e-9);
            }
        }
    }
    let table = text(&[
        "phase-diagram",
        &path,
        "--x",
        &wide,
        "--y",
        &tall,
        "--refine",
        "0",
    ]);
    assert!(
        table.contains("thresholds in observation.sensing.aspect"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 6, "{table}");
}

/// What fails has a place and a reason, and leaves the rest as it is.
#[test]
fn phase_diagrams_tell_what_failed() {
    let arguments = [
        "phase-diagram",
        "spiked-sign",
        "--x",
        "signal.layers.0.weights.aspect=1:2:2",
        "--y",
        "observation.noise=1e-320:1e-319:2",
    ];
    let output = onsager(&[&arguments[..], &["--json"]].concat());
    let errors = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("every point failed"), "{errors}");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["failures"].as_array().unwrap().len(), 4);
    assert!(found["mmse"]["optimal"][0][0].is_null());
}

#[test]
fn special_sparsities_are_on_the_command_line() {
    // Values of tests/reference/sparse_thresholds.csv.
    let sparsity = [
        "thresholds",
        "spiked-sparse",
        "--parameter",
        "signal.prior.sparsity",
    ];
    let found = json(
        &[
            &sparsity[..],
            &["--range", "0.2:0.3", "--members", "3", "--meet"],
        ]
        .concat(),
    );
    assert_eq!(found["along"], "observation.noise");
    let meetings = found["meetings"].as_array().unwrap();
    assert_eq!(meetings.len(), 3, "{found}");
    for (meeting, expected) in
        meetings
            .iter()
            .zip([0.2722077363202546, 0.23911023939289627, 0.24346281512719672])
    {
        near(&meeting["value"], expected, 1e-6 * expected);
    }
    assert_eq!(
        (&meetings[0]["merge"], &meetings[1]["merge"]),
        (&true.into(), &false.into())
    );
    // There Δ_IT = ρ².
    near(&meetings[1]["at"], 0.23911023939289627f64.powi(2), 1e-7);
    // Phase retrieval: as many measurements as nonzero components determine all of them, half as many
    // as components begin to.
    let path = file(
        "sparse-phase-retrieval.toml",
        "[signal]\nprior = { kind = \"gauss-bernoulli\", sparsity = 0.3 }\n[observation]\nkind = \"glm\"\nsensing = { ensemble = \"gaussian\", aspect = 1 }\noutput = \"abs\"\n",
    );
    let found = json(&[
        "thresholds",
        &path,
        "--parameter",
        "signal.prior.sparsity",
        "--range",
        "0.4:0.7",
        "--members",
        "2",
        "--meet",
        "weak-recovery,information-theoretic",
    ]);
    assert_eq!(found["along"], "observation.sensing.aspect");
    let meetings = found["meetings"].as_array().unwrap();
    assert_eq!(meetings.len(), 1, "{found}");
    near(&meetings[0]["value"], 0.5, 1e-6);
    near(&meetings[0]["at"], 0.5, 1e-6);
}

/// Ctrl-C ends a diagram at the next column: what was computed is printed.
#[cfg(unix)]
#[test]
fn an_interrupted_phase_diagram_prints_what_it_has() {
    let (found, errors) = interrupted(&[
        "phase-diagram",
        "spiked-sign",
        "--x",
        "signal.layers.0.weights.aspect=1:2:20000",
        "--y",
        "observation.noise=1:2:3",
    ]);
    assert!(errors.contains("stopped by the user after"), "{errors}");
    let row = found["mmse"]["optimal"][0].as_array().unwrap();
    let known = row.iter().filter(|cell| !cell.is_null()).count();
    assert!((1..20_000).contains(&known), "{known} columns");
    assert!(!found["lines"].as_array().unwrap().is_empty());
    assert_eq!(found["failures"].as_array().unwrap().len(), 0);
}

/// Ctrl-C ends a sweep at the next point: what was computed is printed.
#[cfg(unix)]
#[test]
fn an_interrupted_sweep_prints_what_it_has() {
    let (found, errors) =
        interrupted(&["predict", "spiked-sign", "--sweep", "z.variance=1:2:100000"]);
    assert!(errors.contains("stopped by the user after"), "{errors}");
    let points = found["points"].as_array().unwrap().len();
    assert!((1..100_000).contains(&points), "{points} points");
}

/// What a command prints that is stopped after four seconds: JSON, and its messages.
#[cfg(unix)]
fn interrupted(arguments: &[&str]) -> (Value, String) {
    use std::process::Stdio;
    use std::time::Duration;

    let child = Command::new(env!("CARGO_BIN_EXE_onsager"))
        .args(arguments)
        .arg("--json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    std::thread::sleep(Duration::from_secs(4));
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.expect("kill runs").success());
    let output = child.wait_with_output().expect("the command ends");
    let errors = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(130), "{errors}");
    let found = serde_json::from_slice(&output.stdout).expect("JSON");
    (found, errors)
}

/// Layers on the left enter bulk and overlap; two layers with a mean are drawn and measured.
#[test]
fn spectrum_of_lamp_knows_layered_left_factors_and_measures_deep_means() {
    let text_of = |left: &str| {
        format!(
            "[signal]\nprior = \"gaussian\"\n[[signal.layers]]\n\
             weights = {{ ensemble = \"gaussian\", aspect = 2.0 }}\nactivation = \"linear\"\n\
             [observation]\nkind = \"spiked-wishart\"\nnoise = 0.5\naspect = 2.0\n{left}"
        )
    };
    let layer = "[observation.left]\nprior = \"gaussian\"\n[[observation.left.layers]]\n\
                 weights = { ensemble = \"gaussian\", aspect = 1.5 }\nactivation = \"linear\"\n";
    let [plain, layered] =
        [("left-plain.toml", ""), ("left-layer.toml", layer)].map(|(name, left)| {
            let file = file(name, &text_of(left));
            json(&["spectrum", &file, "--operator", "lamp"])
        });
    let at = |found: &Value, key: &str| found[key].as_f64().unwrap();
    assert!(at(&layered, "overlap_left") > at(&plain, "overlap_left") + 0.01);
    near(
        &layered["threshold"],
        at(&plain, "threshold") * 2.5f64.sqrt(),
        1e-12,
    );
    assert_eq!(layered["status"]["bulk"], "theorem");
    let deep = wishart("wishart-relu.toml", &[("relu", 2.0), ("relu", 1.0)]);
    let found = json(&["spectrum", &deep, "--operator", "lamp"]);
    assert_eq!(found["status"]["overlap"], "measured");
    assert_eq!(found["threshold"], Value::Null);
    near(&found["outlier"], 1.0, 0.0);
    assert!(text(&["spectrum", &deep, "--operator", "lamp"]).contains("measured"));
}
