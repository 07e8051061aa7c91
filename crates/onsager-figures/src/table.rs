use std::fs;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::FigureError;

/// One number of a figure, with where it belongs and how sure it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Panel of the figure.
    pub panel: String,
    /// Curve of the panel.
    pub series: String,
    /// Abscissa.
    pub x: f64,
    /// Value.
    pub y: f64,
    /// Standard error of a measured mean, or error bound of a computed value.
    pub uncertainty: f64,
    /// Trials behind the value; 0 for theory.
    pub trials: u64,
}

impl Row {
    /// A computed value that needs no error bar: uncertainty 0, no trials.
    pub fn theory(panel: impl Into<String>, series: impl Into<String>, x: f64, y: f64) -> Self {
        Self {
            panel: panel.into(),
            series: series.into(),
            x,
            y,
            uncertainty: 0.0,
            trials: 0,
        }
    }

    /// The mean of independent trials with its standard error.
    pub fn measured(
        panel: impl Into<String>,
        series: impl Into<String>,
        x: f64,
        sample: crate::agreement::Sample,
    ) -> Self {
        Self {
            panel: panel.into(),
            series: series.into(),
            x,
            y: sample.mean,
            uncertainty: sample.standard_error,
            trials: sample.trials,
        }
    }

    /// The fraction of trials that succeeded, with its binomial standard error.
    pub fn fraction(
        panel: impl Into<String>,
        series: impl Into<String>,
        x: f64,
        successes: u64,
        trials: u64,
    ) -> Self {
        let p = successes as f64 / trials as f64;
        let uncertainty = (p * (1.0 - p) / trials as f64).sqrt();
        Self {
            uncertainty,
            trials,
            ..Self::theory(panel, series, x, p)
        }
    }
}

/// A long table: columns panel, series, x, y, uncertainty, trials.
///
/// Floats are written with the fewest digits that read back to the same bits, so equal tables have
/// equal bytes and nothing is lost.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// The table of these rows, in this order.
    pub fn new(rows: Vec<Row>) -> Self {
        Self { rows }
    }

    /// All rows, in order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows of one series of one panel, in order.
    pub fn series<'a>(&'a self, panel: &'a str, series: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows
            .iter()
            .filter(move |row| row.panel == panel && row.series == series)
    }

    /// The names of the series of one panel, in order of first appearance.
    pub fn names(&self, panel: &str) -> Vec<&str> {
        let mut names = Vec::new();
        for row in self.rows.iter().filter(|row| row.panel == panel) {
            if !names.contains(&row.series.as_str()) {
                names.push(row.series.as_str());
            }
        }
        names
    }

    /// The row of a series at exactly this abscissa.
    pub fn at(&self, panel: &str, series: &str, x: f64) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| row.panel == panel && row.series == series && row.x == x)
    }

    /// The value of a series at exactly this abscissa; NaN, which no agreement accepts, if missing.
    pub fn value(&self, panel: &str, series: &str, x: f64) -> f64 {
        self.at(panel, series, x).map_or(f64::NAN, |row| row.y)
    }

    /// The values of a series, for an image (one row for each pixel) or a histogram.
    pub fn values(&self, panel: &str, series: &str) -> Vec<f64> {
        self.series(panel, series).map(|row| row.y).collect()
    }

    /// The points (x, y) of a series, for a line.
    pub fn curve(&self, panel: &str, series: &str) -> Vec<(f64, f64)> {
        self.series(panel, series)
            .map(|row| (row.x, row.y))
            .collect()
    }

    /// The points (x, y, uncertainty) of a series, for error bars.
    pub fn points(&self, panel: &str, series: &str) -> Vec<(f64, f64, f64)> {
        self.series(panel, series)
            .map(|row| (row.x, row.y, row.uncertainty))
            .collect()
    }

    /// The table as CSV with a header line.
    pub fn to_csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(Vec::new());
        writer.write_record(COLUMNS)?;
        for row in &self.rows {
            writer.serialize(row)?;
        }
        writer
            .into_inner()
            .map_err(|error| error.into_error().into())
    }

    /// Reads what [`Table::to_csv`] wrote; the header must name the six columns, in this order.
    pub fn from_csv(bytes: &[u8]) -> Result<Self, csv::Error> {
        let mut reader = csv::Reader::from_reader(bytes);
        let found: Vec<_> = reader.headers()?.iter().map(str::to_owned).collect();
        if found != COLUMNS {
            let reason = format!("columns must be {COLUMNS:?}, got {found:?}");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason).into());
        }
        let rows = reader.deserialize().collect::<Result<_, _>>()?;
        Ok(Self { rows })
    }

    /// Reads a table from a file.
    pub fn read(path: &Path) -> Result<Self, FigureError> {
        let bytes = fs::read(path).map_err(FigureError::file(path))?;
        Self::from_csv(&bytes).map_err(|error| FigureError::format(path, error))
    }

    /// Writes the table; the file appears whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), FigureError> {
        let bytes = self
            .to_csv()
            .map_err(|error| FigureError::format(path, error))?;
        write_whole(path, &bytes)
    }
}

const COLUMNS: [&str; 6] = ["panel", "series", "x", "y", "uncertainty", "trials"];

/// Writes a file under a temporary name in the same folder, then renames it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FigureError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(FigureError::file(folder))?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    // The process id keeps two runs in one folder from writing into one temporary file.
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let mut file = fs::File::create(&temporary).map_err(FigureError::file(&temporary))?;
    file.write_all(bytes)
        .map_err(FigureError::file(&temporary))?;
    drop(file);
    fs::rename(&temporary, path).map_err(FigureError::file(path))
}
