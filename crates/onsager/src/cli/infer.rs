//! `onsager infer`: a signal from the user's own data.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use onsager::lattice::{LatticeError, PhaseRetrieval, Reals, Recover, Recovery, Search, Settings};
use onsager::model::{Activation, Field, Model, ObservationKind, Output};
use serde::Serialize;

use super::failure::Failure;
use super::input::{ModelArguments, split, wrong};
use super::{interrupt, output};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// What was observed, as y=FILE.
    #[arg(long, value_name = "NAME=FILE")]
    data: Vec<String>,
    /// A matrix, used as given: sensing=FILE, and the weights of a layer under the name of the variable
    /// that it puts out; may be repeated.
    #[arg(long, value_name = "NAME=FILE")]
    matrix: Vec<String>,
    /// Folder of the results.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What to run.
    #[arg(long, value_enum, default_value_t = Algorithm::Amp)]
    algorithm: Algorithm,
    /// The data are right to 2^-BITS (lattice reduction); absent, the number with the fewest decimals
    /// decides.
    #[arg(long, value_name = "BITS", allow_hyphen_values = true)]
    accuracy: Option<usize>,
    /// Places back that a row may be inserted (lattice reduction); beyond 1, fewer bits suffice, and it takes
    /// longer.
    #[arg(
        long,
        value_name = "PLACES",
        default_value_t = 1,
        allow_hyphen_values = true
    )]
    depth: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Algorithm {
    /// Approximate message passing.
    Amp,
    /// Lattice reduction: noiseless phase retrieval from one sample more than there are unknowns.
    Lll,
}

/// `result.json`.
#[derive(Serialize)]
struct Report {
    status: &'static str,
    algorithm: &'static str,
    /// Square of the bound of the error of a component.
    claimed_mse: f64,
    iterations: u64,
    samples: usize,
    unknowns: usize,
    /// Bits to which every component is right, behind the point.
    accuracy_bits: f64,
    /// A wrong signal would have passed with a probability of `2^-surplus_bits`.
    surplus_bits: f64,
    /// Bits of the labels that were used to find it, that would have been allowed, and that counting
    /// asks for.
    used_bits: usize,
    data_bits: usize,
    estimated_bits: f64,
}

/// The name of the observed labels, and of the matrix before them.
const DATA: &str = "y";
const SENSING: &str = "sensing";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let document = arguments.model.document()?;
    if arguments.algorithm == Algorithm::Amp {
        return Err(Failure::Input(
            "infer with algorithm \"amp\" is not supported yet".into(),
        ));
    }
    let layers = layers(document.model())?;
    let names: Vec<&str> = [SENSING]
        .into_iter()
        .chain(layers.iter().rev().map(String::as_str))
        .collect();
    let [labels] = files("--data", &arguments.data, &[DATA])?
        .try_into()
        .map_err(|_| Failure::Run("one file of data was expected".into()))?;
    let matrices = files("--matrix", &arguments.matrix, &names)?;
    let labels = Decimals::read(&labels)?;
    let accuracy = match arguments.accuracy {
        Some(bits) if (1..=MOST_BITS).contains(&bits) => bits,
        Some(bits) => {
            return Err(wrong("--accuracy", &bits.to_string(), "from 1 to 100000"));
        }
        None => labels.accuracy()?,
    };
    let bits = accuracy + GUARD;
    let values = Reals::new(
        labels
            .rows(bits)?
            .iter()
            .flat_map(|row| row.mantissas().to_vec())
            .collect(),
        bits,
    );
    // A W ... of all matrices, the sensing matrix first, exactly.
    let mut samples: Option<(Vec<Reals>, &Path)> = None;
    for path in &matrices {
        let next = Decimals::read(path)?.rows(bits)?;
        samples = Some(match samples {
            None => (next, path),
            Some((left, before)) => (product(&left, before, &next, path)?, path),
        });
    }
    let (samples, _) = samples.ok_or_else(|| Failure::Run("no matrix was read".into()))?;
    if samples.len() != values.len() {
        return Err(Failure::Input(format!(
            "{}: there must be a number for each of the {} rows of {SENSING}, got {}",
            labels.path.display(),
            samples.len(),
            values.len()
        )));
    }
    let problem = PhaseRetrieval::new(&samples, &values, accuracy)?;
    let reduction = Settings {
        depth: arguments.depth,
        ..Settings::default()
    };
    let search = Search {
        reduction,
        ..Search::default()
    };
    let recovery = problem.recover_with(&search, &mut |_| {
        if interrupt::stopped() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    let unknowns = recovery.signal.len();
    let report = Report {
        status: "recovered",
        algorithm: "lll",
        claimed_mse: (-2.0 * recovery.accuracy).exp2(),
        iterations: recovery.insertions,
        samples: samples.len(),
        unknowns,
        accuracy_bits: recovery.accuracy,
        surplus_bits: recovery.surplus,
        used_bits: recovery.bits,
        data_bits: accuracy,
        estimated_bits: PhaseRetrieval::bits_needed(unknowns),
    };
    let latent = document.model().variables().into_iter().next();
    write(
        arguments,
        &latent.unwrap_or_else(|| "x".into()),
        &recovery,
        &report,
    )?;
    if arguments.model.json {
        return output::json(&report);
    }
    output::print(&format!(
        "{}: {unknowns} unknowns recovered from {} samples, up to the sign, to {:.0} bits; used {} of \
         {accuracy} bits; by chance with probability 2^-{:.0}",
        arguments.model.title(&document),
        report.samples,
        report.accuracy_bits,
        report.used_bits,
        report.surplus_bits,
    ))
}

/// Bits carried beyond the accuracy of the data, so that reading decimals adds no error.
const GUARD: usize = 64;

/// Most bits of data: beyond, something was mistyped.
const MOST_BITS: usize = 100_000;

/// The variables that layers put out, if the model is `y = |A W ... z|`, real and without noise.
fn layers(model: &Model) -> Result<Vec<String>, Failure> {
    let refuse = |what: &str| {
        Err(Failure::Input(format!(
            "algorithm \"lll\" needs y = |A W ... z| without noise: {what}"
        )))
    };
    let Some(signal) = &model.signal else {
        return refuse("the model has no signal");
    };
    let [observation] = model.observations.as_slice() else {
        return refuse("the model must have one observation");
    };
    let ObservationKind::Glm { output, noise, .. } = &observation.kind else {
        return refuse("the observation must be of kind \"glm\"");
    };
    let variables = model.variables();
    if observation
        .on
        .as_ref()
        .is_some_and(|on| Some(on) != variables.last())
    {
        return refuse("the observation must be of the signal");
    }
    if *output != Output::from(Activation::Abs) {
        return refuse(&format!(
            "observation.output must be \"abs\", got \"{}\"",
            output.kind()
        ));
    }
    if *noise != 0.0 {
        return refuse(&format!("observation.noise must be 0, got {noise}"));
    }
    if model.field != Field::Real || !model.factors.is_empty() || model.student.is_some() {
        return refuse("field must be \"real\", and [[factors]] and [student] absent");
    }
    for layer in &signal.layers {
        if layer.activation != Activation::Linear {
            return refuse(&format!(
                "layers must be \"linear\", got \"{}\"",
                layer.activation.kind()
            ));
        }
        if !layer.bias.is_zero() || layer.noise_before != 0.0 || layer.noise != 0.0 {
            return refuse("layers must have neither bias nor noise");
        }
    }
    Ok(variables[1.min(variables.len())..][..signal.layers.len()].to_vec())
}

/// The files of these names, in their order; all must be given, once, and no other.
fn files(option: &str, given: &[String], names: &[&str]) -> Result<Vec<PathBuf>, Failure> {
    let allowed = names.join(", ");
    let mut found = vec![None; names.len()];
    for text in given {
        let form = format!("NAME=FILE with NAME one of {allowed}");
        let (name, file) = split(text)
            .filter(|(_, file)| !file.is_empty())
            .ok_or_else(|| wrong(option, text, &form))?;
        let index = names.iter().position(|n| *n == name.trim());
        let index = index.ok_or_else(|| wrong(option, text, &form))?;
        if found[index].replace(PathBuf::from(file)).is_some() {
            return Err(wrong(option, text, "given once for each name"));
        }
    }
    let missing = |(path, name): (Option<PathBuf>, &&str)| {
        path.ok_or_else(|| Failure::Input(format!("{option} {name}=FILE is missing")))
    };
    found.into_iter().zip(names).map(missing).collect()
}

/// A file of decimal numbers: rows in lines, columns separated by commas, semicolons or blanks.
struct Decimals {
    path: PathBuf,
    /// Line number and text.
    lines: Vec<(usize, String)>,
}

impl Decimals {
    fn read(path: &Path) -> Result<Self, Failure> {
        let fail = |what: String| Failure::Input(format!("{}: {what}", path.display()));
        let bytes = fs::read(path).map_err(|error| fail(error.to_string()))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| fail("must hold decimal numbers as text, got other bytes".into()))?;
        let lines: Vec<_> = (text.lines().enumerate())
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(i, line)| (i + 1, line.to_string()))
            .collect();
        if lines.is_empty() {
            return Err(Failure::Input(format!(
                "{}: must hold decimal numbers, got none",
                path.display()
            )));
        }
        let path = path.to_owned();
        Ok(Self { path, lines })
    }

    fn fields(line: &str) -> impl Iterator<Item = &str> {
        line.split([',', ';', ' ', '\t'])
            .filter(|field| !field.is_empty())
    }

    /// All rows, of equal length.
    fn rows(&self, bits: usize) -> Result<Vec<Reals>, Failure> {
        let mut rows: Vec<Reals> = Vec::with_capacity(self.lines.len());
        for (number, line) in &self.lines {
            let fail = |what: String| {
                Failure::Input(format!("{}, line {number}: {what}", self.path.display()))
            };
            let row = Reals::parse(Self::fields(line), bits).map_err(|e| fail(e.to_string()))?;
            let expected = rows.first().map_or(row.len(), Reals::len);
            if row.len() != expected || row.is_empty() {
                return Err(fail(format!(
                    "a row must have {expected} numbers like the first one, got {}",
                    row.len()
                )));
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// Bits to which all numbers are right, if they are rounded where their decimals end.
    fn accuracy(&self) -> Result<usize, Failure> {
        // What is no number has no decimals either, but that is not what is wrong with it.
        self.rows(1)?;
        let decimals = (self.lines.iter().flat_map(|(_, line)| Self::fields(line)))
            .map(|text| {
                let (body, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
                let fraction = body
                    .split_once('.')
                    .map_or(0, |(_, fraction)| fraction.len());
                fraction as i64 - exponent.parse::<i64>().unwrap_or(0)
            })
            .min()
            .unwrap_or(0);
        if decimals < 1 {
            return Err(Failure::Input(format!(
                "{}: numbers must have decimals, or --accuracy must say how many bits behind the \
                 point are right",
                self.path.display()
            )));
        }
        // Half a unit of the last decimal.
        let bits = (decimals as f64 * std::f64::consts::LOG2_10 + 1.0).floor();
        Ok((bits as usize).min(MOST_BITS))
    }
}

/// The product of two matrices, by rows.
fn product(
    left: &[Reals],
    before: &Path,
    right: &[Reals],
    path: &Path,
) -> Result<Vec<Reals>, Failure> {
    let inner = left.first().map_or(0, Reals::len);
    if inner != right.len() {
        return Err(Failure::Input(format!(
            "{}: there must be as many rows as {} has columns, {inner}, got {}",
            path.display(),
            before.display(),
            right.len()
        )));
    }
    Ok(left.iter().map(|row| row.times(right)).collect())
}

/// Means, variances and the report.
fn write(
    arguments: &Arguments,
    name: &str,
    recovery: &Recovery,
    report: &Report,
) -> Result<(), Failure> {
    let out = &arguments.out;
    fs::create_dir_all(out)
        .map_err(|error| Failure::Input(format!("--out {}: {error}", out.display())))?;
    let save = |file: String, bytes: &[u8]| {
        let path = out.join(file);
        fs::write(&path, bytes)
            .map_err(|error| Failure::Run(format!("{}: {error}", path.display())))
    };
    let mean = recovery.signal.to_f64();
    let variance = vec![report.claimed_mse; mean.len()];
    save(format!("{name}.mean.npy"), &npy(&mean))?;
    save(format!("{name}.variance.npy"), &npy(&variance))?;
    // All decimals that are right, for those who brought them.
    let digits = (recovery.accuracy.max(0.0) * std::f64::consts::LOG10_2).floor() as usize;
    let text = recovery.signal.to_decimals(digits).join("\n") + "\n";
    save(format!("{name}.mean.csv"), text.as_bytes())?;
    let text = serde_json::to_string_pretty(report)
        .map_err(|error| Failure::Run(format!("the result cannot be written: {error}")))?;
    save("result.json".into(), (text + "\n").as_bytes())
}

/// A vector of doubles in NumPy's format, version 1.0.
fn npy(values: &[f64]) -> Vec<u8> {
    let mut header = format!(
        "{{'descr': '<f8', 'fortran_order': False, 'shape': ({},), }}",
        values.len()
    );
    // Magic, version, length and header end on a multiple of 64 bytes.
    let used = 10 + header.len() + 1;
    header.push_str(&" ".repeat(used.next_multiple_of(64) - used));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

impl From<LatticeError> for Failure {
    fn from(error: LatticeError) -> Self {
        match error {
            LatticeError::NotFound { .. } | LatticeError::TooFewBits { .. } => {
                Self::Run(error.to_string())
            }
            LatticeError::Stopped { .. } => Self::Interrupted(error.to_string()),
            _ => Self::Input(error.to_string()),
        }
    }
}
