//! What a check compared and what it found.

use std::fmt;

use super::TOLERANCE;
use crate::quadrature::Estimate;

/// What was compared, how often and how closely.
///
/// ```
/// use onsager_scalar::{conformance::check_law, prior::Rademacher};
/// let report = check_law(&Rademacher)?;
/// assert!(report.rows().iter().all(|row| row.points > 0));
/// println!("{report}");
/// # Ok::<(), onsager_scalar::conformance::Failure>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    subject: String,
    seed: u64,
    rows: Vec<Row>,
}

/// One identity.
///
/// ```
/// # use onsager_scalar::{conformance::check_law, prior::Rademacher};
/// let report = check_law(&Rademacher)?;
/// let row = &report.rows()[0];
/// assert!(row.worst.distance() <= row.worst.allowed, "{} at {}", row.identity, row.worst.at);
/// # Ok::<(), onsager_scalar::conformance::Failure>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its statement.
    pub identity: &'static str,
    /// Points at which both sides were compared.
    pub points: usize,
    /// Further points at which the second route is too inaccurate to tell anything.
    pub blind: usize,
    /// Where the two sides differ most, relative to what is allowed.
    pub worst: Case,
}

/// The two sides of an identity at one point.
///
/// ```
/// use onsager_scalar::conformance::Case;
/// let case = Case { at: "a = 1, b = 0".into(), found: 1.0, expected: 1.5, allowed: 0.1 };
/// assert_eq!(case.distance(), 0.5);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The point, in words.
    pub at: String,
    /// What is stated.
    pub found: f64,
    /// What follows by the second route.
    pub expected: f64,
    /// How far the two may differ.
    pub allowed: f64,
}

impl Case {
    /// `|found - expected|`.
    #[must_use]
    pub fn distance(&self) -> f64 {
        (self.found - self.expected).abs()
    }

    /// Distance over what is allowed; infinite for NaN, and for any distance if none is allowed.
    fn excess(&self) -> f64 {
        let distance = self.distance();
        if self.found == self.expected {
            0.0
        } else if distance <= self.allowed * f64::MAX {
            distance / self.allowed
        } else {
            f64::INFINITY
        }
    }
}

impl Row {
    fn is_broken(&self) -> bool {
        self.points > 0 && self.worst.excess() > 1.0
    }
}

impl Report {
    /// An empty report about `subject`.
    #[must_use]
    pub fn new(subject: impl fmt::Debug, seed: u64) -> Self {
        Self {
            subject: format!("{subject:?}"),
            seed,
            rows: Vec::new(),
        }
    }

    /// Compares the two sides of an identity at one point.
    pub fn compare(
        &mut self,
        identity: &'static str,
        at: impl FnOnce() -> String,
        [found, expected]: [f64; 2],
        allowed: f64,
    ) {
        let row = self.row(identity);
        row.points += 1;
        let mut case = Case {
            at: String::new(),
            found,
            expected,
            allowed,
        };
        if row.points == 1 || case.excess() > row.worst.excess() {
            case.at = at();
            row.worst = case;
        }
    }

    /// Compares what is stated with a derivative, to a relative 1e-8 of `size` and ten times the
    /// error of the derivative: its estimate is the least of many. Blind where that is too much.
    pub(super) fn slope(
        &mut self,
        identity: &'static str,
        at: impl FnOnce() -> String,
        [found, size]: [f64; 2],
        derivative: Estimate,
    ) {
        if derivative.error > 10.0 * TOLERANCE * size {
            self.row(identity).blind += 1;
        } else {
            let allowed = TOLERANCE * size + 10.0 * derivative.error;
            self.compare(identity, at, [found, derivative.value], allowed);
        }
    }

    /// Notes that `what` holds at one point, or does not.
    pub fn holds(&mut self, identity: &'static str, at: impl FnOnce() -> String, what: bool) {
        self.compare(identity, at, [f64::from(what), 1.0], 0.0);
    }

    /// Notes a point at which the second route is too inaccurate.
    pub fn blind(&mut self, identity: &'static str) {
        self.row(identity).blind += 1;
    }

    fn row(&mut self, identity: &'static str) -> &mut Row {
        let place = self.rows.iter().position(|row| row.identity == identity);
        let place = place.unwrap_or_else(|| {
            let worst = Case {
                at: "no point".to_string(),
                found: 0.0,
                expected: 0.0,
                allowed: 0.0,
            };
            self.rows.push(Row {
                identity,
                points: 0,
                blind: 0,
                worst,
            });
            self.rows.len() - 1
        });
        &mut self.rows[place]
    }

    /// Adds what another report on other points or another subject found.
    pub fn merge(&mut self, other: &Report) {
        for row in &other.rows {
            let own = self.row(row.identity);
            if row.points > 0 && (own.points == 0 || row.worst.excess() > own.worst.excess()) {
                own.worst = row.worst.clone();
                own.worst.at = format!("{}: {}", other.subject, row.worst.at);
            }
            own.points += row.points;
            own.blind += row.blind;
        }
    }

    /// The identities, in the order in which they were met.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What was tested.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The seed of every random number.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Breaks the identities that were met but could be compared nowhere: an implementor that is
    /// too inaccurate for every second route does not pass for that.
    pub(super) fn nothing_unseen(mut self) -> Self {
        let unseen = self.rows.iter().filter(|row| row.points == 0);
        for identity in unseen.map(|row| row.identity).collect::<Vec<_>>() {
            let at = || "every point: values too inaccurate to compare".to_string();
            self.compare(identity, at, [f64::NAN; 2], 0.0);
        }
        self
    }

    /// The report if every identity held.
    ///
    /// # Errors
    /// An identity that is broken.
    pub fn verdict(self) -> Result<Self, Failure> {
        if self.rows.iter().any(Row::is_broken) {
            Err(Failure(Box::new(self)))
        } else {
            Ok(self)
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, seed {}", self.subject, self.seed)?;
        let columns = ["identity", "points", "blind", "distance", "allowed"];
        let [a, b, c, d, e] = columns;
        writeln!(f, "{a:<44} {b:>7} {c:>7} {d:>9} {e:>9}  worst at")?;
        for row in &self.rows {
            let (name, points, blind, worst) = (row.identity, row.points, row.blind, &row.worst);
            let (distance, allowed, at) = (worst.distance(), worst.allowed, &worst.at);
            writeln!(
                f,
                "{name:<44} {points:>7} {blind:>7} {distance:>9.1e} {allowed:>9.1e}  {at}"
            )?;
        }
        Ok(())
    }
}

/// The identities that an implementor breaks.
///
/// Its text has one line for each, with the point at which it is broken most.
///
/// ```
/// use onsager_scalar::conformance::Report;
/// let mut report = Report::new("a guess", 7);
/// report.compare("2 + 2 = 4", || "nowhere in particular".into(), [5.0, 4.0], 0.0);
/// let failure = report.verdict().unwrap_err();
/// assert!(failure.names("2 + 2 = 4"));
/// assert!(failure.to_string().ends_with(
///     "2 + 2 = 4: 5 against 4, allowed 0e0, at nowhere in particular, seed 7"
/// ));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Failure(Box<Report>);

impl Failure {
    /// The whole report.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.0
    }

    /// Whether this identity is broken.
    #[must_use]
    pub fn names(&self, identity: &str) -> bool {
        self.broken().any(|row| row.identity == identity)
    }

    /// The identities that are broken.
    pub fn broken(&self) -> impl Iterator<Item = &Row> {
        self.0.rows.iter().filter(|row| row.is_broken())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not conform:", self.0.subject)?;
        for row in self.broken() {
            let Case {
                at,
                found,
                expected,
                allowed,
            } = &row.worst;
            let (identity, seed) = (row.identity, self.0.seed);
            write!(
                f,
                "\n{identity}: {found} against {expected}, allowed {allowed:e}, at {at}, seed {seed}"
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
