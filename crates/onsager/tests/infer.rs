//! `onsager infer` on decimal files: what comes back, and one line for every wrong input.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use onsager::lattice::{IBig, Reals};
use serde_json::Value;

fn onsager(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_onsager"))
        .args(arguments)
        .output()
        .expect("the command starts")
}

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("infer")
        .join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("a folder");
    path
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

/// Numbers of [-1, 1] with so many decimals, from a generator of this test's own.
struct Numbers(u64);

impl Numbers {
    fn row(&mut self, count: usize, decimals: usize) -> Vec<String> {
        (0..count)
            .map(|_| {
                let digits: String = (0..decimals).map(|_| self.digit()).collect();
                format!("{}0.{digits}", if self.digit() < '5' { "-" } else { "" })
            })
            .collect()
    }

    fn digit(&mut self) -> char {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + ((self.0 >> 33) % 10) as u8)
    }
}

/// Bits that hold any of the decimals used here.
const BITS: usize = 600;

fn reals(row: &[String]) -> Reals {
    Reals::parse(row.iter().map(String::as_str), BITS).expect("decimals")
}

/// `|M x|` in decimals, by exact products.
fn sizes(matrix: &[Reals], x: &[String], decimals: usize) -> Vec<String> {
    let column: Vec<Reals> = x.iter().map(|x| reals(std::slice::from_ref(x))).collect();
    let form = |row: &Reals| row.times(&column).to_decimals(decimals)[0].replace('-', "");
    matrix.iter().map(form).collect()
}

const MODEL: &str = "[signal]\nprior = \"gaussian\"\n[observation]\nkind = \"glm\"\n\
    sensing = { ensemble = \"gaussian\", aspect = 1.1 }\noutput = \"abs\"\n";

/// A model, a matrix and labels, as files; and the signal.
fn problem(folder: &Path, unknowns: usize, decimals: usize) -> ([String; 3], Vec<String>) {
    let mut numbers = Numbers(unknowns as u64);
    let matrix: Vec<_> = (0..=unknowns)
        .map(|_| numbers.row(unknowns, decimals))
        .collect();
    let signal = numbers.row(unknowns, 12);
    let rows: Vec<Reals> = matrix.iter().map(|row| reals(row)).collect();
    let labels = sizes(&rows, &signal, decimals);
    let text: Vec<String> = matrix.iter().map(|row| row.join(",")).collect();
    let files = [
        write(folder, "model.toml", MODEL),
        format!("sensing={}", write(folder, "a.csv", &text.join("\n"))),
        format!("y={}", write(folder, "y.csv", &labels.join("\n"))),
    ];
    (files, signal)
}

fn run(files: &[String; 3], out: &Path, more: &[&str]) -> Output {
    let [model, matrix, data] = files;
    let out = out.display().to_string();
    let given = [
        "infer",
        model,
        "--algorithm",
        "lll",
        "--matrix",
        matrix,
        "--data",
        data,
        "--out",
        &out,
    ];
    onsager(&[&given, more].concat())
}

fn succeeded(output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
}

/// The vector of a NumPy file, read by its own rules.
fn npy(path: &Path) -> Vec<f64> {
    let bytes = fs::read(path).expect("a file");
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!((10 + length) % 64, 0);
    let header = String::from_utf8_lossy(&bytes[10..10 + length]).into_owned();
    assert!(
        header.contains("'descr': '<f8'") && header.ends_with('\n'),
        "{header}"
    );
    (bytes[10 + length..].chunks_exact(8))
        .map(|b| f64::from_le_bytes(b.try_into().expect("eight bytes")))
        .collect()
}

#[test]
fn decimals_in_decimals_out() {
    let folder = folder("decimals");
    let (unknowns, decimals) = (20, 60);
    let (files, signal) = problem(&folder, unknowns, decimals);
    let out = folder.join("out");
    let output = run(&files, &out, &["--json"]);
    succeeded(&output);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let saved: Value = serde_json::from_slice(&fs::read(out.join("result.json")).unwrap()).unwrap();
    assert_eq!(report, saved);
    assert_eq!(report["status"], "recovered");
    assert_eq!(report["samples"], 21);
    // Half a unit of the sixtieth decimal: 200 bits.
    assert_eq!(report["data_bits"], 200);
    let accuracy = report["accuracy_bits"].as_f64().unwrap();
    assert!(accuracy > 185.0, "{accuracy}");
    let mean = npy(&out.join("x.mean.npy"));
    let truth = reals(&signal).to_f64();
    let sign = (mean[0] * truth[0]).signum();
    for (mean, truth) in mean.iter().zip(&truth) {
        assert!((sign * mean - truth).abs() <= 1e-15);
    }
    let variance = npy(&out.join("x.variance.npy"));
    assert!(
        variance
            .iter()
            .all(|v| *v == report["claimed_mse"].as_f64().unwrap())
    );
    // The decimals agree with the truth to all that are written, but for the last.
    let text = fs::read_to_string(out.join("x.mean.csv")).unwrap();
    let found: Vec<String> = text.lines().map(str::to_owned).collect();
    let gap = |(found, truth): (&String, &String)| {
        let pair = [found, truth].map(|x| reals(std::slice::from_ref(x)).mantissas()[0].clone());
        let gap = &pair[0] * IBig::from(sign as i64) - &pair[1];
        let bound = IBig::ONE << (BITS - accuracy as usize + 1);
        assert!(gap < bound && -gap < bound, "{found} against {truth}");
    };
    found.iter().zip(&signal).for_each(gap);
    // People read a sentence.
    let output = run(&files, &out, &[]);
    succeeded(&output);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("20 unknowns recovered from 21 samples"),
        "{text}"
    );
}

#[test]
fn doubles_do_when_there_are_few_unknowns_and_not_when_there_are_many() {
    let folder = folder("doubles");
    // Sixteen decimals hold a double.
    let (files, signal) = problem(&folder, 8, 16);
    let out = folder.join("out");
    succeeded(&run(&files, &out, &[]));
    let (mean, truth) = (npy(&out.join("x.mean.npy")), reals(&signal).to_f64());
    let sign = (mean[3] * truth[3]).signum();
    assert!(
        mean.iter()
            .zip(&truth)
            .all(|(m, t)| (sign * m - t).abs() < 1e-12)
    );
    let (files, _) = problem(&folder, 40, 16);
    let output = run(&files, &out, &[]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        errors.contains("about 132 are needed: give more digits"),
        "{errors}"
    );
}

#[test]
fn a_linear_prior_needs_its_weights() {
    let folder = folder("prior");
    let (latent, width, decimals) = (6, 15, 40);
    let mut numbers = Numbers(9);
    let weights: Vec<_> = (0..width).map(|_| numbers.row(latent, decimals)).collect();
    let sensing: Vec<_> = (0..=latent).map(|_| numbers.row(width, decimals)).collect();
    let signal = numbers.row(latent, 12);
    let rows: Vec<Reals> = weights.iter().map(|row| reals(row)).collect();
    let whole: Vec<Reals> = sensing.iter().map(|row| reals(row).times(&rows)).collect();
    let labels = sizes(&whole, &signal, decimals);
    let table = |rows: &[Vec<String>]| {
        rows.iter()
            .map(|row| row.join(" "))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let model = MODEL.replace(
        "[observation]",
        "[[signal.layers]]\nweights = { ensemble = \"gaussian\", aspect = 2.5 }\nactivation = \"linear\"\n[observation]",
    );
    let files = [
        write(&folder, "model.toml", &model),
        format!("sensing={}", write(&folder, "a.csv", &table(&sensing))),
        format!("y={}", write(&folder, "y.csv", &labels.join("\n"))),
    ];
    let out = folder.join("out");
    let weights = format!("x={}", write(&folder, "w.csv", &table(&weights)));
    succeeded(&run(&files, &out, &["--matrix", &weights]));
    let (mean, truth) = (npy(&out.join("z.mean.npy")), reals(&signal).to_f64());
    let sign = (mean[0] * truth[0]).signum();
    assert!(
        mean.iter()
            .zip(&truth)
            .all(|(m, t)| (sign * m - t).abs() < 1e-15)
    );
    let missing = run(&files, &out, &[]);
    assert_eq!(missing.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(errors.contains("--matrix x=FILE is missing"), "{errors}");
}

#[test]
fn every_wrong_input_is_one_line_with_exit_code_two() {
    let folder = folder("wrong");
    let ([model, matrix, data], _) = problem(&folder, 3, 30);
    let out = folder.join("out").display().to_string();
    let file = |name: &str, text: &str| write(&folder, name, text);
    let words = format!("sensing={}", file("words.csv", "1.5,2.5,x\n1,2,3\n"));
    let ragged = format!("sensing={}", file("ragged.csv", "1.5,2.5,3.5\n\n1,2\n"));
    let empty = format!("y={}", file("empty.csv", "\n\n"));
    let short = format!("y={}", file("short.csv", "0.25\n0.75\n"));
    let negative = format!(
        "y={}",
        file("negative.csv", "0.2500\n-0.7500\n0.1250\n0.5000\n")
    );
    let whole = format!("y={}", file("whole.csv", "1\n2\n3\n4\n"));
    let few = format!("sensing={}", file("few.csv", "0.1,0.2,0.3\n0.5,0.1,0.7\n"));
    let parallel = format!(
        "sensing={}",
        file(
            "parallel.csv",
            "0.1,0.2,0.3\n0.5,0.1,0.7\n0.5,0.1,0.7\n0.3,0.2,0.9\n"
        )
    );
    // The first row is the second one, so that the others are not tied by it.
    let idle = format!(
        "sensing={}",
        file(
            "idle.csv",
            "0.1,0.2,0.3\n0.1,0.2,0.3\n0.5,0.1,0.7\n0.3,0.2,0.9\n"
        )
    );
    let word = format!("y={}", file("word.csv", "0.25\nnan\n0.125\n0.5\n"));
    fs::write(folder.join("bytes.npy"), b"\x93NUMPY\x01\x00").expect("a file");
    let bytes = format!("sensing={}", folder.join("bytes.npy").display());
    let taken = file("taken", "");
    let m = |matrix: &str| {
        vec![
            "--matrix".to_string(),
            matrix.to_string(),
            "--data".into(),
            data.clone(),
        ]
    };
    let d = |data: &str| {
        vec![
            "--matrix".to_string(),
            matrix.clone(),
            "--data".into(),
            data.to_string(),
        ]
    };
    let with = |more: &[&str]| {
        let more = more.iter().map(|text| (*text).to_string());
        d(&data).into_iter().chain(more).collect::<Vec<_>>()
    };
    let cases = [
        (
            m("a.csv"),
            "--matrix must be NAME=FILE with NAME one of sensing, got \"a.csv\"",
        ),
        (m("b=a.csv"), "NAME one of sensing, got \"b=a.csv\""),
        (m("sensing=no/such.csv"), "no/such.csv: "),
        (
            m(&words),
            "words.csv, line 1: a number must be decimal, such as -1.25 or 3e-40, with at most 262144 digits",
        ),
        (
            m(&ragged),
            "ragged.csv, line 3: a row must have 3 numbers like the first one, got 2",
        ),
        (m(&parallel), "samples 2 to 4 must be linearly independent"),
        (
            m(&idle),
            "any 3 of samples 1 to 4 must be linearly independent, but sample 3 depends on no other",
        ),
        (m(&bytes), "bytes.npy: must hold decimal numbers as text"),
        (d(&word), "word.csv, line 2: a number must be decimal"),
        (with(&["--depth", "0"]), "depth must be at least 1, got 0"),
        (
            d("z=y.csv"),
            "--data must be NAME=FILE with NAME one of y, got \"z=y.csv\"",
        ),
        (d(&empty), "empty.csv: must hold decimal numbers, got none"),
        (
            d(&short),
            "short.csv: there must be a number for each of the 4 rows of sensing, got 2",
        ),
        (d(&negative), "label 1 must be at least 0, got -0.75"),
        (
            d(&whole),
            "whole.csv: numbers must have decimals, or --accuracy must say",
        ),
        (
            vec!["--matrix".into(), few, "--data".into(), short.clone()],
            "recovery in dimension 3 needs at least 4 samples, got 2",
        ),
        (
            vec!["--matrix".into(), matrix.clone()],
            "--data y=FILE is missing",
        ),
        (
            vec!["--data".into(), data.clone()],
            "--matrix sensing=FILE is missing",
        ),
        (
            with(&["--data", &short]),
            "--data must be given once for each name",
        ),
        (
            with(&["--accuracy", "0"]),
            "--accuracy must be from 1 to 100000, got \"0\"",
        ),
        (with(&["--accuracy", "-3"]), "--accuracy"),
        (
            with(&["--set", "observation.noise=0.1"]),
            "observation.noise must be 0, got 0.1",
        ),
        (
            with(&["--set", "observation.output=relu"]),
            "observation.output must be \"abs\", got \"relu\"",
        ),
        (with(&["--set", "field=complex"]), "field must be \"real\""),
    ];
    for (more, expected) in &cases {
        let given = ["infer", &model, "--algorithm", "lll", "--out", &out];
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let output = onsager(&[&given[..], &more].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{more:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.contains(expected), "{errors} instead of {expected}");
        assert!(output.stdout.is_empty());
    }
    // A model of another kind, and a folder that is a file.
    let output = onsager(&["infer", "spiked-sign", "--algorithm", "lll", "--out", &out]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && errors.contains("must be of kind \"glm\""),
        "{errors}"
    );
    let output = run(&[model, matrix, data], Path::new(&taken), &[]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && errors.contains("--out"),
        "{errors}"
    );
}
