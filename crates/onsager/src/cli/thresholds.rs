//! `onsager thresholds`: phase transitions along one parameter.

use clap::Args;
use onsager::model::{Document, ModelError, Quantity, Range};
use onsager::replica::{self, Thresholds};
use serde::Serialize;

use super::failure::Failure;
use super::input::{self, ModelArguments};
use super::{interrupt, output};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The key that varies.
    #[arg(long, value_name = "KEY")]
    parameter: String,
    /// Where to search; the whole domain of the key by default.
    #[arg(long, value_name = "FROM:TO", allow_hyphen_values = true)]
    range: Option<String>,
}

#[derive(Serialize)]
struct Report<'a> {
    parameter: &'a str,
    #[serde(flatten)]
    found: &'a Thresholds,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let document = arguments.model.document()?;
    // A model that cannot be run is refused as such, whatever the key.
    document.model().tree()?;
    let quantity = document.quantity(&arguments.parameter)?;
    let key = input::key(quantity);
    let range = range(arguments, &document, quantity)?;
    let family = |value: f64| {
        if interrupt::stopped() {
            // Members that are refused are left out: the search ends soon.
            return Err(ModelError::NotSupported {
                what: "a search stopped by the user".into(),
            });
        }
        let mut member = document.clone();
        member.set_all("--parameter", &[(&quantity.key, &format!("{value:e}"))])?;
        member.model().tree()
    };
    let bar = output::progress(1, "thresholds");
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let found = replica::thresholds(&family, range, key);
    bar.finish_and_clear();
    if interrupt::stopped() {
        // What is known of a part of the range would read as what is true of the whole.
        return Err(Failure::Interrupted(
            "stopped by the user before the search ended".into(),
        ));
    }
    let found = found?;
    if arguments.model.json {
        return output::json(&Report {
            parameter: &arguments.parameter,
            found: &found,
        });
    }
    output::print(&describe(arguments, &document, &found)?)
}

/// Where to search, which must lie within what the key allows.
fn range(
    arguments: &Arguments,
    document: &Document,
    quantity: &Quantity,
) -> Result<Option<(f64, f64)>, Failure> {
    let Some(text) = &arguments.range else {
        return match quantity.range {
            // Decades around 1, chosen by the search itself.
            Range::Positive | Range::NotNegative => Ok(None),
            // Probabilities from one in ten thousand; below, laws are zero for all sizes of today.
            Range::Probability => Ok(Some((1e-4, 1.0))),
            Range::OpenProbability => Ok(Some((1e-4, 1.0 - 1e-4))),
            Range::AtLeastOne => Ok(Some((1.0, 1e2))),
            _ => Err(Failure::Input(format!(
                "--range is needed for {}, whose domain is the whole line",
                quantity.key
            ))),
        };
    };
    let (from, to) = input::range("--range", text)?;
    for end in [from, to] {
        let mut member = document.clone();
        member.set_all("--range", &[(&quantity.key, &format!("{end}"))])?;
    }
    Ok(Some((from, to)))
}

fn describe(
    arguments: &Arguments,
    document: &Document,
    found: &Thresholds,
) -> Result<String, Failure> {
    let rows = (found.thresholds.iter())
        .map(|t| {
            Ok(vec![
                word(&t.kind)?,
                output::number(t.value),
                format!("{:.0e}", t.uncertainty),
                format!("{} {}", word(&t.easier)?, output::number(t.value)),
                output::number(t.mmse_from),
                output::number(t.mmse_to),
                word(&t.at)?,
                t.variable.clone().unwrap_or_default(),
            ])
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let header = [
        "threshold",
        "value",
        "uncertainty",
        "easier",
        "mmse from",
        "to",
        "at",
        "variable",
    ];
    let mut text = format!(
        "{}: {}\n",
        arguments.model.title(document),
        arguments.parameter
    );
    if rows.is_empty() {
        text.push_str("no threshold");
    } else {
        text.push_str(&output::table(&header, &rows));
    }
    for (low, high) in &found.hard_phases {
        text.push_str(&format!(
            "\nhard between {} and {}",
            output::number(*low),
            output::number(*high)
        ));
    }
    Ok(text)
}

/// The name of a variant as it stands in JSON.
fn word<T: Serialize>(value: &T) -> Result<String, Failure> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(Failure::Run("a threshold has no name".into())),
    }
}
