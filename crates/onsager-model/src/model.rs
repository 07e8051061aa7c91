//! The whole declaration.

use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::builder::Builder;
use crate::document::{Document, node_of};
use crate::factors::FactorDeclaration;
use crate::inference::{Estimator, Inference, Rule};
use crate::observation::{Observation, ObservationKind};
use crate::reader::{Context, Kinds, Node, Reader, Value};
use crate::signal::Signal;
use crate::{ModelError, Tree};

/// A declared inference problem: a signal, what is seen of it, and how it is to be inferred.
///
/// The same names serve in TOML files, in JSON and here. Everything that the grammar knows can be
/// declared, written and read; [`Model::tree`] refuses what no engine handles yet.
///
/// ```
/// use onsager_model::{Activation, Law, Model};
///
/// let built = Model::builder()
///     .prior(Law::gaussian())
///     .layer(2.0, Activation::Sign)
///     .spiked_wigner(0.5)?;
/// let read: Model = r#"
///     [signal]
///     prior = "gaussian"
///     [[signal.layers]]
///     weights = { ensemble = "gaussian", aspect = 2 }
///     activation = "sign"
///     [observation]
///     kind = "spiked-wigner"
///     noise = 0.5
/// "#.parse()?;
/// assert_eq!(built, read);
/// assert_eq!(read.tree()?.variables().len(), 3); // z, field(x), x
/// # Ok::<(), onsager_model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Model {
    /// A title.
    pub name: Option<String>,
    /// Real or complex variables.
    pub field: Field,
    /// The chain; absent only when `factors` declare everything.
    pub signal: Option<Signal>,
    /// What is seen.
    pub observations: Vec<Observation>,
    /// The factors of a tree that is no chain.
    pub factors: Vec<FactorDeclaration>,
    /// The model that the student believes in; absent, it is this one.
    pub student: Option<Box<Model>>,
    /// Defaults of the algorithms.
    pub inference: Inference,
}

/// The numbers that variables take.
///
/// ```
/// assert_eq!(onsager_model::Field::default(), onsager_model::Field::Real);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Field {
    /// Real numbers.
    #[default]
    Real,
    /// Complex numbers.
    Complex,
}

const FIELDS: &Kinds<Field> = &[
    ("real", |_| Ok(Field::Real)),
    ("complex", |_| Ok(Field::Complex)),
];

impl Model {
    /// Starts a declaration in Rust.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Reads a TOML text; `file` is its name in messages.
    ///
    /// # Errors
    /// A text that is not TOML, unknown or missing keys, values out of range, with file and line.
    pub fn parse(text: &str, file: &str) -> Result<Self, ModelError> {
        Document::parse(text, file).map(Document::into_model)
    }

    /// Reads a TOML file.
    ///
    /// # Errors
    /// A file that cannot be read; as for [`Model::parse`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        Document::load(path).map(Document::into_model)
    }

    /// Writes TOML that [`Model::parse`] reads back to an equal model.
    ///
    /// # Errors
    /// [`ModelError::Write`] for a model with custom laws, which have no name in a file.
    pub fn to_toml(&self) -> Result<String, ModelError> {
        toml::to_string(self).map_err(|error| ModelError::Write(one_line(&error.to_string())))
    }

    /// Names of the chain's variables, latent first, signal last; empty without a chain.
    #[must_use]
    pub fn variables(&self) -> Vec<String> {
        self.signal
            .as_ref()
            .map(Signal::variables)
            .unwrap_or_default()
    }

    /// The factor tree that both readings walk.
    ///
    /// # Errors
    /// [`ModelError::NotSupported`] for what no engine handles yet; numbers out of range.
    pub fn tree(&self) -> Result<Tree, ModelError> {
        self.refuse_unsupported()?;
        let Some(signal) = &self.signal else {
            return Err(ModelError::not_supported("model without", "signal"));
        };
        let chain = signal.chain()?.names(signal.variables());
        match self.observations.as_slice() {
            [one] => match one.kind {
                ObservationKind::SpikedWigner { noise } => chain.spiked_wigner(noise),
                ObservationKind::SpikedWishart {
                    noise,
                    aspect,
                    ref left,
                } => {
                    let left = left.chain()?.names(left.names("u", "u."));
                    chain.spiked_wishart(noise, aspect, left)
                }
                ObservationKind::Denoising { noise } => chain.denoising(noise),
                ObservationKind::Glm {
                    ref sensing,
                    ref output,
                    noise,
                } => {
                    let (aspect, entries) = sensing.independent()?;
                    chain.entries(entries).glm(aspect, output.build(noise)?)
                }
            },
            _ => Err(ModelError::NotSupported {
                what: "more than one observation".to_string(),
            }),
        }
    }

    /// Parts of the declaration that would change the answer and that the tree cannot hold yet.
    fn refuse_unsupported(&self) -> Result<(), ModelError> {
        let inner = self.variables();
        let elsewhere = (self.observations.iter())
            .filter_map(|o| o.on.as_ref())
            .any(|on| Some(on) != inner.last());
        let lmmse = self.inference.rule != Rule::Onsager
            || (self.inference.layers.values()).any(|rule| *rule != Rule::Onsager);
        let refused = [
            ("field \"complex\"", self.field == Field::Complex),
            ("a tree of factors", !self.factors.is_empty()),
            ("a student", self.student.is_some()),
            ("an observation of a hidden variable", elsewhere),
            (
                "estimator \"map\"",
                self.inference.estimator == Estimator::Map,
            ),
            ("rule \"lmmse\"", lmmse),
        ];
        match refused.iter().find(|(_, present)| *present) {
            None => Ok(()),
            Some((what, _)) => Err(ModelError::NotSupported {
                what: (*what).to_string(),
            }),
        }
    }

    /// Checks every number as if it had been read from a file.
    pub(crate) fn check(&self) -> Result<(), ModelError> {
        // Custom laws check themselves; a stand-in takes their place here.
        let mut plain = self.clone();
        plain.signal.iter_mut().for_each(Signal::forget_custom_laws);
        for observation in &mut plain.observations {
            if let ObservationKind::SpikedWishart { left, .. } = &mut observation.kind {
                left.forget_custom_laws();
            }
        }
        let value = toml::Value::try_from(&plain)
            .map_err(|error| ModelError::Write(one_line(&error.to_string())))?;
        Self::of_value(value).map(drop)
    }

    fn of_value(value: toml::Value) -> Result<Self, ModelError> {
        let (node, context) = (node_of(value), Context::default());
        Self::read(&Reader {
            node: &node,
            key: String::new(),
            context: &context,
        })
    }

    pub(crate) fn read(reader: &Reader<'_>) -> Result<Self, ModelError> {
        let mut table = reader.table()?;
        let name = table.text_if_given("name")?;
        let field = match table.get("field") {
            None => Field::default(),
            Some(reader) => reader.one_of("field", FIELDS)?,
        };
        let signal = (table.get("signal"))
            .map(|r| Signal::read(&r))
            .transpose()?;
        let one = table.get("observation");
        let observations = match &one {
            Some(reader) if table.reader.has("observations") => {
                return Err(reader.fail(ModelError::Both(
                    "[observation]".to_string(),
                    "[[observations]]".to_string(),
                )));
            }
            Some(reader) => vec![Observation::read(reader)?],
            None => table.each("observations", Observation::read)?,
        };
        let factors = table.each("factors", FactorDeclaration::read)?;
        let inference = match table.get("inference") {
            None => Inference::default(),
            Some(reader) => Inference::read(&reader)?,
        };
        let student = match table.get("student") {
            None => None,
            Some(student) => {
                let merged = student_node(reader.node, student.node);
                let reader = Reader {
                    node: &merged,
                    ..student
                };
                Some(Box::new(Self::read(&reader)?))
            }
        };
        if signal.is_none() && factors.is_empty() {
            table.need("signal")?;
        }
        if observations.is_empty() && factors.is_empty() {
            table.need("observation")?;
        }
        // Known even where [observation] is given, so that messages list it.
        table.get("observations");
        table.finish()?;
        let model = Self {
            name,
            field,
            signal,
            observations,
            factors,
            student,
            inference,
        };
        model.check_names().map_err(|error| reader.fail(error))?;
        Ok(model)
    }

    /// Variables that are spoken of must exist.
    fn check_names(&self) -> Result<(), ModelError> {
        let names = self.variables();
        let declared = (self.factors.iter()).flat_map(|f| f.from.iter().chain(&f.to));
        let known: Vec<&String> = names.iter().chain(declared).collect();
        let spoken = (self.observations.iter())
            .filter_map(|o| o.on.as_ref())
            .chain(self.inference.layers.keys());
        for name in spoken {
            if !known.contains(&name) {
                let allowed: Vec<&str> = known.iter().map(|n| n.as_str()).collect();
                return Err(ModelError::UnknownVariable {
                    name: name.clone(),
                    allowed: allowed.join(", "),
                });
            }
        }
        Ok(())
    }
}

/// The student's model: the teacher's, with what the student's table says differently.
fn student_node(teacher: &Node, student: &Node) -> Node {
    let mut base = teacher.clone();
    if let Value::Table(entries) = &mut base.value {
        entries.retain(|(key, _)| key != "student" && key != "inference");
    }
    merge(&base, student)
}

fn merge(base: &Node, over: &Node) -> Node {
    let tag = |node: &Node| ["kind", "ensemble"].iter().find_map(|t| text(node.get(t)?));
    match (&base.value, &over.value) {
        (Value::Table(old), Value::Table(new)) if tag(over).is_none() || tag(over) == tag(base) => {
            let mut entries: Vec<(String, Node)> = (old.iter())
                .map(|(key, node)| {
                    let node = over.get(key).map_or(node.clone(), |o| merge(node, o));
                    (key.clone(), node)
                })
                .collect();
            let added = new.iter().filter(|(key, _)| base.get(key).is_none());
            entries.extend(added.cloned());
            Node::new(Value::Table(entries), &over.place)
        }
        (Value::List(old), Value::List(new)) if old.len() == new.len() => {
            let nodes = old.iter().zip(new).map(|(o, n)| merge(o, n)).collect();
            Node::new(Value::List(nodes), &over.place)
        }
        // Single elements of a list, by index: how an assignment to one key of the student looks.
        (Value::List(old), Value::Table(new))
            if (new.iter()).all(|(k, _)| k.parse().is_ok_and(|i: usize| i < old.len())) =>
        {
            let nodes = (old.iter().enumerate())
                .map(|(i, node)| match over.get(&i.to_string()) {
                    Some(o) => merge(node, o),
                    None => node.clone(),
                })
                .collect();
            Node::new(Value::List(nodes), &over.place)
        }
        _ => over.clone(),
    }
}

fn text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

pub(crate) fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl FromStr for Model {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        Self::parse(text, "model")
    }
}

/// The model as it is written.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: &'a Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    field: &'a Field,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: &'a Option<Signal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observation: Option<&'a Observation>,
    #[serde(skip_serializing_if = "<[Observation]>::is_empty")]
    observations: &'a [Observation],
    #[serde(skip_serializing_if = "<[FactorDeclaration]>::is_empty")]
    factors: &'a [FactorDeclaration],
    #[serde(skip_serializing_if = "Option::is_none")]
    student: &'a Option<Box<Model>>,
    #[serde(skip_serializing_if = "is_default")]
    inference: &'a Inference,
}

fn is_default<T: Default + PartialEq>(value: &&T) -> bool {
    **value == T::default()
}

impl Serialize for Model {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (observation, observations) = match self.observations.as_slice() {
            [one] => (Some(one), &[][..]),
            several => (None, several),
        };
        Written {
            name: &self.name,
            field: &self.field,
            signal: &self.signal,
            observation,
            observations,
            factors: &self.factors,
            student: &self.student,
            inference: &self.inference,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Model {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        Self::of_value(value).map_err(serde::de::Error::custom)
    }
}
