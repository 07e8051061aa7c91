/// Why there is no lattice, no reduced basis or no recovered signal.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LatticeError {
    /// Something that must hold at least one element holds none.
    #[error("{0} must not be empty")]
    Empty(&'static str),
    /// A row has another length than the first one.
    #[error("row {row} must have {expected} entries like the first one, got {found}")]
    Ragged {
        /// Index of the row.
        row: usize,
        /// Length of the first row.
        expected: usize,
        /// Length of this row.
        found: usize,
    },
    /// A row of zeros spans nothing.
    #[error("row {0} must not be zero")]
    ZeroRow(usize),
    /// A row is a rational combination of those before it.
    #[error("rows must be linearly independent, but row {0} depends on those before it")]
    DependentRow(usize),
    /// An entry is larger than any sensible input.
    #[error("entries must have at most {limit} bits, but one of row {row} has {found}")]
    HugeEntry {
        /// Index of the row.
        row: usize,
        /// Most bits of an entry.
        limit: usize,
        /// Bits of this entry.
        found: usize,
    },
    /// A setting or an argument is outside its range.
    #[error("{name} must be {allowed}, got {found}")]
    Setting {
        /// Which one.
        name: &'static str,
        /// The allowed range.
        allowed: &'static str,
        /// The value.
        found: f64,
    },
    /// A number cannot be read.
    #[error(
        "a number must be decimal, such as -1.25 or 3e-40, with at most 262144 digits and no larger \
         exponent, got \"{0}\""
    )]
    Decimal(String),
    /// A label lies outside the range of the output function.
    #[error("label {index} must be {allowed}, got {found}")]
    Label {
        /// Index of the label.
        index: usize,
        /// The range of the output.
        allowed: &'static str,
        /// The value.
        found: f64,
    },
    /// Samples and labels differ in number.
    #[error("there must be a label for every sample, got {samples} samples and {labels} labels")]
    Unpaired {
        /// Number of samples.
        samples: usize,
        /// Number of labels.
        labels: usize,
    },
    /// Fewer samples than one more than the dimension.
    #[error("recovery in dimension {dimension} needs at least {} samples, got {found}", .dimension + 1)]
    TooFewSamples {
        /// Dimension of the signal.
        dimension: usize,
        /// Number of samples.
        found: usize,
    },
    /// Samples 2 to d + 1 do not span the space, to the precision of a double.
    #[error("samples 2 to {} must be linearly independent to double precision", .0 + 1)]
    DependentSamples(usize),
    /// The only relation between samples 1 to d + 1 leaves out one of them.
    #[error(
        "any {dimension} of samples 1 to {} must be linearly independent, but sample {} depends on no \
         other, so that its sign or whole turns cannot be found",
        .dimension + 1,
        .sample + 1
    )]
    IdleSample {
        /// Dimension of the signal.
        dimension: usize,
        /// Index of the sample that takes no part.
        sample: usize,
    },
    /// No relation passed the certificate.
    #[error(
        "no signal fits the labels: none was found with {bits} bits, {}",
        if (*.bits as f64) < *.estimate {
            format!("and about {estimate:.0} are needed: give more digits")
        } else {
            format!("though about {estimate:.0} should do: the labels are less accurate than claimed, or of another model")
        }
    )]
    NotFound {
        /// Bits of the relation that were used.
        bits: usize,
        /// Bits that are needed, by counting.
        estimate: f64,
    },
    /// Too few bits to tell structure from noise.
    #[error("telling the two apart takes about {estimate:.0} bits, got {bits}")]
    TooFewBits {
        /// Bits that there are.
        bits: usize,
        /// Bits that are needed, by counting.
        estimate: f64,
    },
    /// The observer asked to stop.
    #[error("stopped after {insertions} insertions")]
    Stopped {
        /// Insertions that reductions had made.
        insertions: u64,
    },
}
