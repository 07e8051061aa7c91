//! `onsager models`: the models that ship with the program.

use clap::Args;
use onsager::model::{Document, Model, ModelError, presets};
use serde::Serialize;

use super::failure::Failure;
use super::output;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Prints this one as a model file, to start from.
    name: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    description: &'static str,
    model: Model,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(name) = &arguments.name {
        // Refuses unknown names with the list of those that exist.
        Document::preset(name)?;
    }
    let wanted = |name: &str| arguments.name.as_ref().is_none_or(|n| n == name);
    let chosen: Vec<_> = presets().iter().filter(|p| wanted(p.name)).collect();
    if arguments.json {
        let entries = (chosen.iter())
            .map(|preset| {
                Ok(Entry {
                    name: preset.name,
                    description: preset.description,
                    model: Model::parse(preset.text, preset.name)?,
                })
            })
            .collect::<Result<Vec<_>, ModelError>>()?;
        return output::json(&entries);
    }
    if arguments.name.is_some() {
        return chosen
            .iter()
            .try_for_each(|preset| output::print(preset.text));
    }
    let rows: Vec<Vec<String>> = (chosen.iter())
        .map(|preset| vec![preset.name.to_string(), preset.description.to_string()])
        .collect();
    output::print(&output::table(&["name", "model"], &rows))
}
