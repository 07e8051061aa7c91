//! A model file as text: read, changed key by key, read again.

use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::one_line;
use crate::presets::presets;
use crate::reader::{Context, Node, Place, Quantity, Reader, Value};
use crate::{Model, ModelError};

/// A model file whose keys can be set one by one; it always holds a valid model.
///
/// Keys are dotted, with list elements by index or by the name of the variable they belong to;
/// the name of a variable alone stands for its layer (for the latent, its prior). A key that the
/// file leaves out can be set, a key that the grammar does not know cannot.
///
/// ```
/// let mut document = onsager_model::Document::preset("spiked-sign")?;
/// document.set("signal.layers.x.weights.aspect", "4")?;
/// document.set("z.variance", "2")?;
/// assert_eq!(document.quantity("signal.layers.0.weights.aspect")?.value, 4.0);
/// let error = document.set("observation.nose", "1").unwrap_err();
/// assert!(error.to_string().contains("unknown key \"observation.nose\", allowed: kind, on, noise"));
/// # Ok::<(), onsager_model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Document {
    file: String,
    root: Node,
    model: Model,
    quantities: Vec<Quantity>,
}

impl Document {
    /// Reads a TOML text; `file` is its name in messages.
    ///
    /// # Errors
    /// As for [`Model::parse`].
    pub fn parse(text: &str, file: &str) -> Result<Self, ModelError> {
        Self::of_root(
            file,
            parse_table(text, |error, line| ModelError::At {
                place: format!("{file}:{line}"),
                error: Box::new(error),
            })?,
        )
    }

    /// Reads a TOML file.
    ///
    /// # Errors
    /// A file that cannot be read; as for [`Model::parse`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| ModelError::File {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// The preset of this name.
    ///
    /// # Errors
    /// A name that no preset has.
    pub fn preset(name: &str) -> Result<Self, ModelError> {
        match presets().iter().find(|preset| preset.name == name) {
            Some(preset) => Self::parse(preset.text, name),
            None => Err(ModelError::UnknownKind {
                what: "preset".to_string(),
                kind: name.to_string(),
                allowed: presets()
                    .iter()
                    .map(|p| p.name)
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// The preset of this name, or else the file at this path.
    ///
    /// # Errors
    /// As for [`Document::load`]; a name that is neither lists the presets.
    pub fn open(name_or_path: &str) -> Result<Self, ModelError> {
        match Self::preset(name_or_path) {
            Err(error @ ModelError::UnknownKind { .. }) => {
                let file = Path::new(name_or_path);
                // A bare word was meant as a preset, anything else as a path.
                if file.exists() || name_or_path.contains(['/', '\\', '.']) {
                    Self::load(file)
                } else {
                    Err(error)
                }
            }
            other => other,
        }
    }

    /// The model as it stands.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The model as it stands.
    #[must_use]
    pub fn into_model(self) -> Model {
        self.model
    }

    /// Sets one key; on an error the document is unchanged.
    ///
    /// # Errors
    /// A key that the grammar does not know, a value that it does not allow there.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ModelError> {
        self.set_all("", &[(key, value)])
    }

    /// Sets several keys at once, for changes that are valid only together; `origin` is put in
    /// front of the assignment in messages.
    ///
    /// # Errors
    /// As for [`Document::set`].
    pub fn set_all(
        &mut self,
        origin: &str,
        assignments: &[(&str, &str)],
    ) -> Result<(), ModelError> {
        let mut root = self.root.clone();
        for (key, value) in assignments {
            let assignment = format!("{origin} {key}={value}");
            let place = Place::Assigned(Arc::from(assignment.trim_start()));
            let fail = |error| ModelError::At {
                place: assignment.trim_start().to_string(),
                error: Box::new(error),
            };
            let leaf = parse_value(value, &place).map_err(fail)?;
            let path = self.resolve(&root, key).map_err(fail)?;
            insert(&mut root, "", &path, leaf, &place).map_err(fail)?;
        }
        *self = Self::of_root(&self.file, root)?;
        Ok(())
    }

    /// Every number of the model, written or left to its default.
    #[must_use]
    pub fn quantities(&self) -> &[Quantity] {
        &self.quantities
    }

    /// The number behind a key.
    ///
    /// # Errors
    /// A key that is not that of a number.
    pub fn quantity(&self, key: &str) -> Result<&Quantity, ModelError> {
        let path = self.resolve(&self.root, key)?.join(".");
        (self.quantities.iter().find(|q| q.key == path)).ok_or_else(|| ModelError::UnknownKey {
            key: key.to_string(),
            allowed: (self.quantities.iter().map(|q| q.key.as_str()))
                .collect::<Vec<_>>()
                .join(", "),
        })
    }

    fn of_root(file: &str, root: Node) -> Result<Self, ModelError> {
        let context = Context {
            file: file.to_string(),
            ..Context::default()
        };
        let reader = Reader {
            node: &root,
            key: String::new(),
            context: &context,
        };
        let model = Model::read(&reader)?;
        Ok(Self {
            file: file.to_string(),
            model,
            quantities: context.quantities.into_inner(),
            root,
        })
    }

    /// The path that a key means: variables by name become indices.
    fn resolve(&self, root: &Node, key: &str) -> Result<Vec<String>, ModelError> {
        let mut path: Vec<String> = key.split('.').map(|s| s.trim().to_string()).collect();
        if path.iter().any(String::is_empty) {
            return Err(ModelError::Type {
                key: format!("key \"{key}\""),
                expected: "names joined by dots".to_string(),
                found: "an empty name".to_string(),
            });
        }
        let names = self.model.variables();
        if root.get(&path[0]).is_none()
            && let Some(l) = names.iter().position(|name| *name == path[0])
        {
            let layer = l
                .checked_sub(1)
                .map(|l| vec!["layers".to_string(), l.to_string()]);
            let inner = layer.unwrap_or_else(|| vec!["prior".to_string()]);
            path.splice(0..1, std::iter::once("signal".to_string()).chain(inner));
        }
        // One observation may be written either way.
        let single = self.model.observations.len() == 1;
        if path[0] == "observation" && root.get("observations").is_some() && single {
            path.splice(0..1, ["observations".to_string(), "0".to_string()]);
        } else if path[0] == "observations" && root.get("observation").is_some() && path.len() > 1 {
            path.splice(0..2, ["observation".to_string()]);
        }
        for i in 1..path.len() {
            if path[i].parse::<usize>().is_ok() {
                continue;
            }
            let allowed = match path[i - 1].as_str() {
                "layers" if i >= 2 && path[i - 2] == "signal" => names[1..].to_vec(),
                "observations" => (self.model.observations.iter())
                    .map(|o| o.on.clone().or(names.last().cloned()).unwrap_or_default())
                    .collect(),
                _ => continue,
            };
            match allowed.iter().position(|name| *name == path[i]) {
                Some(index) => path[i] = index.to_string(),
                None => {
                    return Err(ModelError::UnknownVariable {
                        name: path[i].clone(),
                        allowed: allowed.join(", "),
                    });
                }
            }
        }
        Ok(path)
    }
}

/// Puts a value at a path, making tables on the way; a bare name becomes a table of that kind.
fn insert(
    node: &mut Node,
    key: &str,
    path: &[String],
    leaf: Node,
    place: &Place,
) -> Result<(), ModelError> {
    let Some((first, rest)) = path.split_first() else {
        *node = leaf;
        return Ok(());
    };
    if let Value::List(nodes) = &mut node.value {
        let count = nodes.len();
        return match first.parse::<usize>().ok().and_then(|i| nodes.get_mut(i)) {
            Some(node) => insert(node, first, rest, leaf, place),
            None => Err(ModelError::Type {
                key: format!("index of {key}"),
                expected: format!("a whole number below {count}"),
                found: format!("\"{first}\""),
            }),
        };
    }
    if !matches!(node.value, Value::Table(_)) {
        let tag = match key {
            "weights" | "sensing" => "ensemble",
            _ => "kind",
        };
        let entries = match node.value {
            Value::Text(_) => vec![(tag.to_string(), node.clone())],
            _ => Vec::new(),
        };
        *node = Node::new(Value::Table(entries), place);
    }
    if let Value::Table(entries) = &mut node.value {
        let index = entries.iter().position(|(k, _)| k == first);
        let index = index.unwrap_or_else(|| {
            entries.push((first.clone(), Node::new(Value::Table(Vec::new()), place)));
            entries.len() - 1
        });
        return insert(&mut entries[index].1, first, rest, leaf, place);
    }
    Ok(())
}

/// A value as typed in an assignment: a number, any TOML value, or else a bare word.
fn parse_value(text: &str, place: &Place) -> Result<Node, ModelError> {
    let text = text.trim();
    if let Ok(x) = text.parse::<f64>() {
        return Ok(Node::new(Value::Number(x), place));
    }
    // TOML that is begun must be finished, and one line cannot hold a second key.
    if text.starts_with(['"', '\'', '[', '{']) || matches!(text, "true" | "false") {
        let table = parse_table(&format!("value = {text}"), |error, _| error)?;
        if let Value::Table(entries) = table.value
            && let [(_, node)] = entries.as_slice()
        {
            return Ok(placed(node, place));
        }
    }
    if text.is_empty() {
        return Err(ModelError::Syntax("a value is missing".to_string()));
    }
    Ok(Node::new(Value::Text(text.to_string()), place))
}

fn placed(node: &Node, place: &Place) -> Node {
    let value = match &node.value {
        Value::List(nodes) => Value::List(nodes.iter().map(|n| placed(n, place)).collect()),
        Value::Table(entries) => Value::Table(
            (entries.iter())
                .map(|(key, node)| (key.clone(), placed(node, place)))
                .collect(),
        ),
        other => other.clone(),
    };
    Node::new(value, place)
}

/// Nodes of a TOML text, each with its line.
fn parse_table(
    text: &str,
    fail: impl Fn(ModelError, usize) -> ModelError,
) -> Result<Node, ModelError> {
    let line = |at: usize| {
        1 + text.as_bytes()[..at.min(text.len())]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
    };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        fail(ModelError::Syntax(one_line(error.message())), line(at))
    })?;
    Ok(Node {
        value: entries(table.get_ref(), &line),
        place: Place::Line(1),
    })
}

fn entries(table: &DeTable<'_>, line: &impl Fn(usize) -> usize) -> Value {
    let mut entries: Vec<(usize, (String, Node))> = (table.iter())
        .map(|(key, value)| {
            let mut node = node(value, line);
            // Sections are told by their key: their own text begins elsewhere.
            node.place = Place::Line(line(key.span().start));
            (key.span().start, (key.get_ref().to_string(), node))
        })
        .collect();
    entries.sort_by_key(|(at, _)| *at);
    Value::Table(entries.into_iter().map(|(_, entry)| entry).collect())
}

fn node(value: &Spanned<DeValue<'_>>, line: &impl Fn(usize) -> usize) -> Node {
    let place = Place::Line(line(value.span().start));
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(i) => match i64::from_str_radix(i.as_str(), i.radix()) {
            Ok(i) => Value::Number(i as f64),
            Err(_) => Value::Other("a number too large"),
        },
        DeValue::Float(x) => match x.as_str().parse() {
            Ok(x) => Value::Number(x),
            Err(_) => Value::Other("a number that cannot be read"),
        },
        DeValue::Boolean(_) => Value::Other("true or false"),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(list) => Value::List(list.iter().map(|v| node(v, line)).collect()),
        DeValue::Table(table) => entries(table, line),
    };
    Node { value, place }
}

/// Nodes of a value that has no text behind it.
pub(crate) fn node_of(value: toml::Value) -> Node {
    let value = match value {
        toml::Value::String(text) => Value::Text(text),
        toml::Value::Integer(i) => Value::Number(i as f64),
        toml::Value::Float(x) => Value::Number(x),
        toml::Value::Boolean(_) => Value::Other("true or false"),
        toml::Value::Datetime(_) => Value::Other("a date"),
        toml::Value::Array(list) => Value::List(list.into_iter().map(node_of).collect()),
        toml::Value::Table(table) => {
            Value::Table(table.into_iter().map(|(k, v)| (k, node_of(v))).collect())
        }
    };
    Node::new(value, &Place::Nowhere)
}
