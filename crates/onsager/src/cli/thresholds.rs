//! `onsager thresholds`: phase transitions along one parameter.

use clap::Args;
use onsager::model::{Document, ModelError, Quantity, Range, Tree};
use onsager::replica::{self, Key, ReplicaError, StateEvolution, ThresholdKind, Thresholds};
use serde::Serialize;

use super::failure::Failure;
use super::input::{self, ModelArguments, wrong};
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
    /// Where two lines of a phase diagram meet instead: values of the key at which thresholds of these
    /// kinds, in the noise or sampling ratio, coincide. By default where algorithmic and dynamical
    /// thresholds merge and where the optimal and the dynamical one pass weak recovery.
    #[arg(long, value_name = "KIND,KIND", num_args = 0..=1, default_missing_value = "")]
    meet: Option<String>,
    /// Values of the key between which meetings are sought.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 13,
        requires = "meet",
        allow_hyphen_values = true
    )]
    members: usize,
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
    if let Some(pairs) = &arguments.meet {
        return meet(arguments, &document, &family, (pairs, range, key));
    }
    let found = searched(|| replica::thresholds(&family, range, key))?;
    if arguments.model.json {
        return output::json(&Report {
            parameter: &arguments.parameter,
            found: &found,
        });
    }
    output::print(&describe(arguments, &document, &found)?)
}

/// The result of a search that the user has not stopped.
fn searched<T>(search: impl FnOnce() -> Result<T, ReplicaError>) -> Result<T, Failure> {
    let bar = output::progress(1, "thresholds");
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let found = search();
    bar.finish_and_clear();
    if interrupt::stopped() {
        // What is known of a part of the range would read as what is true of the whole.
        return Err(Failure::Interrupted(
            "stopped by the user before the search ended".into(),
        ));
    }
    Ok(found?)
}

#[derive(Serialize)]
struct Meetings<'a> {
    parameter: &'a str,
    /// The parameter in which the thresholds are.
    along: &'a str,
    meetings: &'a [Met],
}

#[derive(Serialize)]
struct Met {
    kinds: [ThresholdKind; 2],
    value: f64,
    uncertainty: f64,
    /// Where they meet in the other parameter.
    at: f64,
    /// Both end there; otherwise they cross.
    merge: bool,
}

const KINDS: [ThresholdKind; 4] = [
    ThresholdKind::WeakRecovery,
    ThresholdKind::Algorithmic,
    ThresholdKind::Dynamical,
    ThresholdKind::InformationTheoretic,
];

/// Where lines meet: `onsager thresholds --meet`.
fn meet(
    arguments: &Arguments,
    document: &Document,
    family: &dyn Fn(f64) -> Result<Tree, ModelError>,
    (pairs, range, key): (&str, Option<(f64, f64)>, Key),
) -> Result<(), Failure> {
    let [weak, algorithmic, dynamical, optimal] = KINDS;
    let pairs = match pairs {
        "" => vec![(algorithmic, dynamical), (weak, optimal), (weak, dynamical)],
        text => vec![pair(text)?],
    };
    if !(2..=MOST_MEMBERS).contains(&arguments.members) {
        let allowed = format!("from 2 to {MOST_MEMBERS}");
        return Err(wrong("--members", &arguments.members.to_string(), &allowed));
    }
    let curve = StateEvolution::new(&document.model().tree()?)?.key();
    if key == curve {
        return Err(Failure::Input(format!(
            "--parameter {} with --meet must be another key: that is the one in which thresholds meet",
            arguments.parameter
        )));
    }
    let (along, at): (_, fn(f64) -> f64) = match curve {
        Key::SamplingRatio => ("observation.sensing.aspect", |noise| 1.0 / noise),
        _ => ("observation.noise", |noise| noise),
    };
    let range = range.unwrap_or((1e-2, 1e2));
    let mut found = Vec::new();
    for kinds in pairs {
        let met = searched(|| replica::meetings(family, range, arguments.members, kinds))?;
        found.extend(met.into_iter().map(|m| Met {
            kinds: [kinds.0, kinds.1],
            value: m.value,
            uncertainty: m.uncertainty,
            at: at(m.noise),
            merge: m.merge,
        }));
    }
    if arguments.model.json {
        return output::json(&Meetings {
            parameter: &arguments.parameter,
            along,
            meetings: &found,
        });
    }
    let row = |m: &Met| {
        Ok(vec![
            word(&m.kinds[0])?,
            word(&m.kinds[1])?,
            if m.merge { "merge" } else { "cross" }.to_string(),
            output::number(m.value),
            format!("{:.0e}", m.uncertainty),
            output::number(m.at),
        ])
    };
    let rows = found.iter().map(row).collect::<Result<Vec<_>, Failure>>()?;
    let header = ["threshold", "threshold", "", "value", "uncertainty", along];
    let table = match rows.as_slice() {
        [] => "no meeting".to_string(),
        rows => output::table(&header, rows),
    };
    let title = arguments.model.title(document);
    output::print(&format!("{title}: {}\n{table}", arguments.parameter))
}

/// Most values of a key: beyond, a number was mistyped.
const MOST_MEMBERS: usize = 10_000;

/// Two kinds by their names.
fn pair(text: &str) -> Result<(ThresholdKind, ThresholdKind), Failure> {
    let kind = |name: &str| {
        let mut known = KINDS.into_iter();
        known.find(|kind| word(kind).is_ok_and(|word| word == name.trim()))
    };
    let parts = text.split_once(',');
    parts
        .and_then(|(a, b)| Some((kind(a)?, kind(b)?)))
        .filter(|(a, b)| a != b)
        .ok_or_else(|| {
            let names: Vec<String> = KINDS.iter().filter_map(|kind| word(kind).ok()).collect();
            wrong("--meet", text, &format!("two of {}", names.join(", ")))
        })
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
pub(crate) fn word<T: Serialize>(value: &T) -> Result<String, Failure> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(Failure::Run("a threshold has no name".into())),
    }
}
