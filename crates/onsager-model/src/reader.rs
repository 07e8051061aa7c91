//! Reads values out of a tree of nodes that remember where they were written.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::ModelError;

/// One value of a document and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(String),
    Number(f64),
    Other(&'static str),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
}

/// Where a node comes from.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A line of the file.
    Line(usize),
    /// An assignment made after the file was read.
    Assigned(Arc<str>),
    /// A value that has no text behind it.
    Nowhere,
}

impl Node {
    pub(crate) fn new(value: Value, place: &Place) -> Self {
        Self {
            value,
            place: place.clone(),
        }
    }

    /// The entry of a table.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    fn description(&self) -> String {
        match &self.value {
            Value::Text(text) => format!("the text \"{text}\""),
            Value::Number(x) => format!("the number {x}"),
            Value::Other(what) => (*what).to_string(),
            Value::List(_) => "a list".to_string(),
            Value::Table(_) => "a table".to_string(),
        }
    }
}

/// The values that a number of a model may take.
///
/// ```
/// use onsager_model::Range;
/// assert!(Range::Probability.contains(1.0) && !Range::Probability.contains(0.0));
/// assert_eq!(Range::Positive.to_string(), "finite and positive");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Range {
    /// Any finite number.
    Finite,
    /// `(0, ∞)`.
    Positive,
    /// `[0, ∞)`.
    NotNegative,
    /// `(0, 1]`.
    Probability,
    /// `(0, 1)`.
    OpenProbability,
    /// `[1, ∞)`.
    AtLeastOne,
}

impl Range {
    /// Whether a value is allowed.
    #[must_use]
    pub fn contains(self, x: f64) -> bool {
        x.is_finite()
            && match self {
                Self::Finite => true,
                Self::Positive => x > 0.0,
                Self::NotNegative => x >= 0.0,
                Self::Probability => x > 0.0 && x <= 1.0,
                Self::OpenProbability => x > 0.0 && x < 1.0,
                Self::AtLeastOne => x >= 1.0,
            }
    }

    /// Infimum and supremum, `±∞` where there is none.
    #[must_use]
    pub fn ends(self) -> (f64, f64) {
        match self {
            Self::Finite => (f64::NEG_INFINITY, f64::INFINITY),
            Self::Positive | Self::NotNegative => (0.0, f64::INFINITY),
            Self::Probability | Self::OpenProbability => (0.0, 1.0),
            Self::AtLeastOne => (1.0, f64::INFINITY),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finite => "finite",
            Self::Positive => "finite and positive",
            Self::NotNegative => "finite and not negative",
            Self::Probability => "in (0, 1]",
            Self::OpenProbability => "in (0, 1)",
            Self::AtLeastOne => "finite and at least 1",
        })
    }
}

/// A number of a model: its dotted key, its value, the values it may take.
///
/// ```
/// let document = onsager_model::Document::preset("spiked-rademacher")?;
/// let noise = document.quantity("observation.noise")?;
/// assert_eq!(noise.range, onsager_model::Range::Positive);
/// # Ok::<(), onsager_model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quantity {
    /// The dotted key.
    pub key: String,
    /// Its value, the default if the file is silent.
    pub value: f64,
    /// The values it may take.
    pub range: Range,
}

/// What a whole reading shares.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// Name of the file, for messages.
    pub(crate) file: String,
    /// Every number met, in order.
    pub(crate) quantities: RefCell<Vec<Quantity>>,
}

/// A node on its way to become a value.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    pub(crate) node: &'a Node,
    pub(crate) key: String,
    pub(crate) context: &'a Context,
}

/// The kinds of something: each name with how the rest of its table is read.
pub(crate) type Kinds<T> = [(&'static str, fn(&mut Table<'_>) -> Result<T, ModelError>)];

impl<'a> Reader<'a> {
    /// An error at this node.
    pub(crate) fn fail(&self, error: ModelError) -> ModelError {
        at(self.context, &self.node.place, error)
    }

    fn wrong_type(&self, expected: &str) -> ModelError {
        self.fail(ModelError::Type {
            key: self.key.clone(),
            expected: expected.to_string(),
            found: self.node.description(),
        })
    }

    fn child(&self, key: &str, node: &'a Node) -> Reader<'a> {
        let key = if self.key.is_empty() {
            key.to_string()
        } else {
            format!("{}.{key}", self.key)
        };
        Reader {
            node,
            key,
            context: self.context,
        }
    }

    pub(crate) fn text(&self) -> Result<String, ModelError> {
        match &self.node.value {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(self.wrong_type("a text")),
        }
    }

    pub(crate) fn number(&self, range: Range) -> Result<f64, ModelError> {
        let Value::Number(value) = self.node.value else {
            return Err(self.wrong_type("a number"));
        };
        if !range.contains(value) {
            return Err(self.out_of_range(&range.to_string(), value));
        }
        self.context.quantities.borrow_mut().push(Quantity {
            key: self.key.clone(),
            value,
            range,
        });
        Ok(value)
    }

    pub(crate) fn out_of_range(&self, allowed: &str, value: f64) -> ModelError {
        self.fail(ModelError::Range {
            quantity: self.key.clone(),
            allowed: allowed.to_string(),
            value,
        })
    }

    pub(crate) fn list(&self) -> Result<Vec<Reader<'a>>, ModelError> {
        match &self.node.value {
            Value::List(nodes) => Ok((nodes.iter().enumerate())
                .map(|(i, node)| self.child(&i.to_string(), node))
                .collect()),
            _ => Err(self.wrong_type("a list")),
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self.node.value, Value::Number(_))
    }

    /// Whether this is a table that holds `key`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    pub(crate) fn table(&self) -> Result<Table<'a>, ModelError> {
        match &self.node.value {
            Value::Table(entries) => Ok(Table {
                reader: self.clone(),
                entries,
                kind: None,
                known: Vec::new(),
            }),
            _ => Err(self.wrong_type("a table")),
        }
    }

    /// A table with a `tag` that says what kind it is, or the bare name of the kind.
    pub(crate) fn tagged(&self, tag: &'static str) -> Result<Table<'a>, ModelError> {
        if let Value::Text(name) = &self.node.value {
            return Ok(Table {
                reader: self.clone(),
                entries: &[],
                kind: Some((name.clone(), self.clone())),
                known: vec![tag],
            });
        }
        let Value::Table(_) = self.node.value else {
            return Err(self.wrong_type("a name or a table"));
        };
        let mut table = self.table()?;
        let kind = table.need(tag)?;
        table.kind = Some((kind.text()?, kind));
        Ok(table)
    }

    /// Reads one of several kinds, whose table holds nothing else.
    pub(crate) fn one_of<T>(&self, what: &str, kinds: &Kinds<T>) -> Result<T, ModelError> {
        let mut table = self.tagged("kind")?;
        let value = table.one_of(what, kinds)?;
        table.finish()?;
        Ok(value)
    }
}

/// A table being read; keys that nobody asks for are refused at the end.
pub(crate) struct Table<'a> {
    pub(crate) reader: Reader<'a>,
    entries: &'a [(String, Node)],
    kind: Option<(String, Reader<'a>)>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Reader<'a>> {
        self.known.push(key);
        let (_, node) = self.entries.iter().find(|(k, _)| k == key)?;
        Some(self.reader.child(key, node))
    }

    pub(crate) fn need(&mut self, key: &'static str) -> Result<Reader<'a>, ModelError> {
        self.get(key).ok_or_else(|| {
            let path = if self.reader.key.is_empty() {
                key.to_string()
            } else {
                format!("{}.{key}", self.reader.key)
            };
            self.reader.fail(ModelError::MissingKey(path))
        })
    }

    pub(crate) fn number(&mut self, key: &'static str, range: Range) -> Result<f64, ModelError> {
        self.need(key)?.number(range)
    }

    pub(crate) fn number_or(
        &mut self,
        key: &'static str,
        default: f64,
        range: Range,
    ) -> Result<f64, ModelError> {
        // The default is read like a written value, so that it is known as a quantity too.
        let node = Node::new(Value::Number(default), &Place::Nowhere);
        match self.get(key) {
            Some(reader) => reader.number(range),
            None => Reader {
                node: &node,
                ..self.reader.clone()
            }
            .child(key, &node)
            .number(range),
        }
    }

    pub(crate) fn text_if_given(
        &mut self,
        key: &'static str,
    ) -> Result<Option<String>, ModelError> {
        self.get(key).map(|r| r.text()).transpose()
    }

    /// A list of texts, empty if absent.
    pub(crate) fn texts(&mut self, key: &'static str) -> Result<Vec<String>, ModelError> {
        self.each(key, |r| r.text())
    }

    /// A list read element by element, empty if absent.
    pub(crate) fn each<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Reader<'a>) -> Result<T, ModelError>,
    ) -> Result<Vec<T>, ModelError> {
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(reader) => reader.list()?.iter().map(read).collect(),
        }
    }

    /// Reads the keys of the kind that the table's tag names.
    pub(crate) fn one_of<T>(&mut self, what: &str, kinds: &Kinds<T>) -> Result<T, ModelError> {
        let name = self.kind.as_ref().map(|(name, _)| name.as_str());
        match kinds.iter().find(|(kind, _)| Some(*kind) == name) {
            Some((_, read)) => read(self),
            None => Err(self.unknown_kind(what, names(kinds))),
        }
    }

    /// Whether the table's tag names one of these.
    pub(crate) fn is_one_of<T>(&self, kinds: &Kinds<T>) -> bool {
        let name = self.kind.as_ref().map(|(name, _)| name.as_str());
        kinds.iter().any(|(kind, _)| Some(*kind) == name)
    }

    /// The error for a tag that names nothing, at the tag.
    pub(crate) fn unknown_kind(&self, what: &str, allowed: String) -> ModelError {
        match &self.kind {
            None => (self.reader).fail(ModelError::MissingKey(format!("{}.kind", self.reader.key))),
            Some((name, reader)) => reader.fail(ModelError::UnknownKind {
                what: what.to_string(),
                kind: name.clone(),
                allowed,
            }),
        }
    }

    /// Every entry, for tables whose keys are names chosen by the user.
    pub(crate) fn entries(&self) -> Vec<(String, Reader<'a>)> {
        (self.entries.iter())
            .map(|(key, node)| (key.clone(), self.reader.child(key, node)))
            .collect()
    }

    /// Refuses what nobody asked for.
    pub(crate) fn finish(self) -> Result<(), ModelError> {
        match (self.entries.iter()).find(|(k, _)| !self.known.contains(&k.as_str())) {
            None => Ok(()),
            Some((key, node)) => {
                let child = self.reader.child(key, node);
                Err(child.fail(ModelError::UnknownKey {
                    key: child.key.clone(),
                    allowed: self.known.join(", "),
                }))
            }
        }
    }
}

/// The names of kinds, for messages.
pub(crate) fn names<T>(kinds: &Kinds<T>) -> String {
    let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// An error with its place.
pub(crate) fn at(context: &Context, place: &Place, error: ModelError) -> ModelError {
    let place = match place {
        Place::Line(line) => format!("{}:{line}", context.file),
        Place::Assigned(assignment) => assignment.to_string(),
        Place::Nowhere if context.file.is_empty() => return error,
        Place::Nowhere => context.file.clone(),
    };
    ModelError::At {
        place,
        error: Box::new(error),
    }
}
