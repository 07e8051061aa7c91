//! `onsager thresholds`: phase transitions along one parameter.

use clap::Args;

use super::failure::Failure;
use super::input::{self, ModelArguments};

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

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let document = arguments.model.document()?;
    let _key = document.quantity(&arguments.parameter)?;
    if let Some(text) = &arguments.range {
        input::range("--range", text)?;
    }
    Err(Failure::Input(
        "command \"thresholds\" is not supported yet".into(),
    ))
}
