//! Eigenvalues of linearised message passing on spiked matrices: bulk, outlier, overlap.

use onsager_amp::{Problem, spectral};
use onsager_model::{Chain, Instance, Tree};
use onsager_operators::Symmetric;
use onsager_operators::factorisations::symmetric_eigen;
use onsager_replica::spectral::{Covariance, Spectrum, SpikedMatrix, lamp_given, lamp_spectrum};

use crate::agreement::{Agreement, Claim, MeanPoint, Means, Sample, Success};
use crate::drawing::{Axis, Dash, Histogram, Line, Marker, Picture, Plot, Points, Rule};
use crate::figures::common::{SHIFT, Sized, gaussian, ladder, layered, trials};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// Density against histogram; first two eigenvalues and overlap against noise.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum LampSpectra {
    Wigner,
    /// With a left factor of independent Gaussian components.
    Wishart,
}

use LampSpectra::{Wigner, Wishart};

/// Rows over columns of the rectangular matrix.
const ASPECT: f64 = 2.0;

/// A name and layers (aspect, activation), latent first.
type Prior = (&'static str, &'static [(f64, &'static str)]);

const PRIORS: [Prior; 3] = [
    ("linear, α = 2", &[(2.0, "linear")]),
    ("sign, α = 6", &[(6.0, "sign")]),
    (
        "two sign layers, α = 3 and 2",
        &[(3.0, "sign"), (2.0, "sign")],
    ),
];
/// Noises of the simulation, in units of the threshold.
const SIMULATED: [f64; 3] = [0.2, 0.5, 1.5];
/// The noise of the histograms, in the same units.
const SHOWN: f64 = 0.2;
/// Where the density is judged, in units of the bulk: smoothed by a Cauchy law of a tenth of its
/// width, which theory can do exactly, at `z = x + iη`. Further down it hardly depends on the noise
/// when the width is taken out, so that no wrong theory would be noticed.
const PLACES: [f64; 2] = [0.9, 1.0];
const SMOOTHING: f64 = 0.1;
/// How far the squared overlap of one instance may lie from theory given its covariance and signal:
/// fluctuations of the noise along the signal are of order `1/√p`, with standard deviations up to
/// 0.06 at `p = 144`.
const CLOSE: f64 = 0.2;
/// Bars of a histogram.
const BINS: usize = 48;

impl Figure for LampSpectra {
    fn id(&self) -> &'static str {
        match self {
            Wigner => "lamp-spectra",
            Wishart => "lamp-wishart",
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Wigner => "Spectra of linearised message passing",
            Wishart => "Spectra of linearised message passing: rectangular matrices",
        }
    }

    fn source(&self) -> &'static str {
        "arXiv 1905.12385, spectra of LAMP; edges, densities and deeper priors: own derivation"
    }

    fn claim(&self) -> &'static str {
        "The eigenvalues of linearised message passing follow the free product of the noise with the \
         covariance of the prior, of one layer or two; below the threshold one more sits beyond them, around 1, \
         and its eigenvector has the overlap that theory says for the instance."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let (points, grid) = (profile.pick(60, 200, 400), profile.pick(32, 60, 120));
        let matrix = *self;
        let one = |prior: Prior| {
            let key = format!("{} points={points} grid={grid}", prior.0);
            Job::new(key, move |_| matrix.theory_of(prior, points, grid))
        };
        PRIORS.map(one).into()
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let mut jobs = Vec::new();
        let matrix = *self;
        let count = profile.pick(60, 96, 128);
        for prior in PRIORS {
            for relative in SIMULATED {
                for (level, p) in ladder(size(profile)).into_iter().enumerate() {
                    // Where nothing is judged, the largest size is shown, from half the trials.
                    let count = match relative {
                        r if r < 1.0 => count,
                        _ if level < 2 => continue,
                        _ => count / 2,
                    };
                    let key = format!("{} noise={relative} p={p} trials={count}", prior.0);
                    jobs.push(Job::new(key, move |context| {
                        matrix.simulate(context, prior, relative, level, p, count)
                    }));
                }
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        // Sizes are in the simulation: the figure is judged from its tables alone.
        let size = |i: f64| simulation.value(SIZES, "p", i);
        let sizes = [0.0, 1.0, 2.0].map(size);
        let point = |panel: &str, series: &str, x: f64| {
            let expected = theory.value(panel, series, x);
            MeanPoint {
                label: format!("{series} at {x}"),
                sizes,
                theory: [expected; 3],
                samples: RANKS
                    .map(|rank| Sample::at(simulation, panel, &format!("{series} {rank}"), x)),
                shifted: theory.value(panel, &format!("{series} shifted"), x),
                quantity: expected.abs(),
            }
        };
        let mut density = Means::new("smoothed density near the upper edge", 1.0);
        let mut outlier = Success::new("one eigenvalue beyond the bulk, by half the way to 1");
        let mut overlap = Success::new("squared overlap as theory says for the instance");
        for (name, _) in PRIORS {
            // Above the threshold the change of the density with the noise is too small.
            for relative in SIMULATED.into_iter().filter(|relative| *relative < 1.0) {
                for place in PLACES {
                    density = density.point(point(SMOOTHED, &at(name, relative), place));
                }
            }
            let row = |series: &str| simulation.at(SUCCESS, &format!("{name}: {series}"), SHOWN);
            outlier = outlier.row(name, row(FIRST), Claim::AtLeast(0.6));
            overlap = overlap.row(name, row(OVERLAP), Claim::AtLeast(0.9));
        }
        vec![density.into(), outlier.into(), overlap.into()]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut picture = Picture::new(3);
        for (i, (name, _)) in PRIORS.iter().enumerate() {
            let bars = simulation.curve(DENSITY, name);
            let edges: Vec<f64> = bars.iter().map(|bar| bar.0).collect();
            let width = edges.get(1).map_or(1.0, |next| next - edges[0]);
            let ends = edges.last().map(|last| last + width);
            let heights = bars.iter().map(|bar| bar.1).collect();
            let mut plot = Plot::new(
                *name,
                Axis::linear(format!("eigenvalue at Δ = {SHOWN} Δc")),
                Axis::linear("density"),
            )
            .with(
                Histogram::new(
                    "simulation",
                    edges.into_iter().chain(ends).collect(),
                    heights,
                )
                .colour(i),
            );
            for interval in theory.names(DENSITY) {
                if interval.starts_with(name) {
                    // One entry of the legend for all intervals.
                    plot =
                        plot.with(Line::new("theory", theory.curve(DENSITY, interval)).colour(i));
                }
            }
            picture = picture.panel(plot.with(Rule::vertical(1.0, "outlier")));
        }
        let noise = || Axis::linear("noise Δ/Δc").range(0.1, 1.7);
        let mut eigenvalues = Plot::new(
            "First two eigenvalues",
            noise(),
            Axis::linear("eigenvalue").range(-1.5, 1.15),
        );
        let mut overlap = Plot::new("Overlap", noise(), Axis::linear("cos²").range(0.0, 1.0));
        for (i, (name, _)) in PRIORS.iter().enumerate() {
            let marker = [Marker::Disc, Marker::Square, Marker::Diamond][i % 3];
            let points = |panel: &str| {
                let series = format!("{name} {}", RANKS[2]);
                Points::new(*name, simulation.points(panel, &series))
                    .colour(i)
                    .marker(marker)
            };
            eigenvalues = eigenvalues
                .with(Line::new(*name, theory.curve(EDGE, name)).colour(i))
                .with(
                    Line::new(*name, theory.curve(FIRST, name))
                        .colour(i)
                        .dash(Dash::Dashed),
                )
                .with(points(FIRST))
                .with(points(SECOND));
            overlap = overlap
                .with(Line::new(*name, theory.curve(OVERLAP, name)).colour(i))
                .with(points(OVERLAP));
        }
        picture.panel(eigenvalues).panel(overlap)
    }
}

const DENSITY: &str = "density";
const SMOOTHED: &str = "smoothed density";
const FIRST: &str = "first eigenvalue";
const SECOND: &str = "second eigenvalue";
const EDGE: &str = "edge";
const OVERLAP: &str = "overlap";
const SUCCESS: &str = "success";
const SIZES: &str = "sizes";
const RANKS: [&str; 3] = ["n/4", "n/2", "n"];

/// Name of a prior at one noise.
fn at(name: &str, relative: f64) -> String {
    format!("{name}, {relative} Δc")
}

/// A multiple of 24, so that all aspects are exact at all three sizes.
fn size(profile: Profile) -> usize {
    profile.pick(144, 192, 480)
}

/// Lowest and highest edge of the bulk.
fn bulk(spectrum: &Spectrum) -> (f64, f64) {
    let intervals = &spectrum.support().intervals;
    let low = intervals.first().map_or(f64::NAN, |i| i.0);
    (low, intervals.last().map_or(f64::NAN, |i| i.1))
}

/// Where the smoothed density is judged, with its smoothing: of the bulk at this noise.
fn place(spectrum: &Spectrum, place: f64) -> (f64, f64) {
    let (low, high) = bulk(spectrum);
    (low + place * (high - low), SMOOTHING * (high - low))
}

impl LampSpectra {
    fn tree(self, (_, layers): Prior, noise: f64) -> Result<Tree, FigureError> {
        let chain = layered(layers);
        Ok(match self {
            Wigner => chain.spiked_wigner(noise)?,
            Wishart => chain.spiked_wishart(noise, ASPECT, Chain::new(gaussian()))?,
        })
    }

    /// The covariance of the signal, and the threshold.
    fn covariance(self, prior: Prior) -> Result<(Covariance, f64), FigureError> {
        let covariance = Covariance::of(&self.tree(prior, 1.0)?)?;
        let threshold = self.spectrum(&covariance, 1.0)?.threshold;
        Ok((covariance, threshold.unwrap_or(f64::NAN)))
    }

    fn spectrum(self, covariance: &Covariance, noise: f64) -> Result<Spectrum, FigureError> {
        Ok(lamp_spectrum(covariance, self.matrix(noise))?)
    }

    fn matrix(self, noise: f64) -> SpikedMatrix {
        match self {
            Wigner => SpikedMatrix::Wigner { noise },
            Wishart => SpikedMatrix::Wishart {
                noise,
                aspect: ASPECT,
                left: 1.0,
            },
        }
    }

    fn theory_of(self, prior: Prior, points: usize, grid: usize) -> Result<Vec<Row>, FigureError> {
        let name = prior.0;
        let (covariance, threshold) = self.covariance(prior)?;
        let shown = self.spectrum(&covariance, SHOWN * threshold)?;
        let mut rows = Vec::new();
        for (i, pairs) in shown.density(points).chunks(points).enumerate() {
            let series = format!("{name}: interval {i}");
            rows.extend(
                pairs
                    .iter()
                    .map(|(x, y)| Row::theory(DENSITY, &series, *x, *y)),
            );
        }
        let mut noises: Vec<f64> = (0..=grid)
            .map(|i| 0.1 + 1.6 * i as f64 / grid as f64)
            .chain(SIMULATED)
            .chain([1.0])
            .collect();
        noises.sort_by(f64::total_cmp);
        noises.dedup();
        for relative in noises {
            let found = self.spectrum(&covariance, relative * threshold)?;
            rows.push(Row::theory(EDGE, name, relative, bulk(&found).1));
            rows.push(Row::theory(OVERLAP, name, relative, found.overlap));
            let outlier = found.outlier.filter(|_| relative < 1.0);
            rows.extend(outlier.map(|x| Row::theory(FIRST, name, relative, x)));
        }
        for relative in SIMULATED {
            let found = self.spectrum(&covariance, relative * threshold)?;
            let shifted = self.spectrum(&covariance, SHIFT * relative * threshold)?;
            for fraction in PLACES {
                let (x, width) = place(&found, fraction);
                let z = onsager_ensembles::Complex64::new(x, width);
                let smooth = |law: &Spectrum| law.law.stieltjes(z).im / std::f64::consts::PI;
                let series = at(name, relative);
                rows.push(Row::theory(SMOOTHED, &series, fraction, smooth(&found)));
                let series = format!("{series} shifted");
                rows.push(Row::theory(SMOOTHED, series, fraction, smooth(&shifted)));
            }
        }
        Ok(rows)
    }

    fn run(self, tree: &Tree, instance: &Instance, noise: f64) -> Result<Run, FigureError> {
        let problem = Problem::new(tree, instance)?;
        let k = spectral::covariance(&problem)?;
        let p = k.shape().rows;
        let identity = Symmetric::from_fn(p, |i, j| f64::from(u8::from(i == j)))?.to_matrix();
        let eigen = symmetric_eigen(&k.apply(&identity)?)?;
        let observation = tree.factors().len() - 1;
        let missing = || FigureError::Data {
            name: "instance",
            reason: "it has no matrix or no truth".into(),
        };
        let y = instance.operator(observation).ok_or_else(missing)?;
        let truth = instance.truth(tree.signal_index()).ok_or_else(missing)?;
        let along = |u: &[f64]| u.iter().zip(truth).map(|(u, x)| u * x).sum::<f64>();
        let vectors = eigen.vectors.as_slice().chunks_exact(p);
        let weights: Vec<f64> = vectors.map(|u| along(u).powi(2) / p as f64).collect();
        // Zero eigenvalues round to either sign.
        let spectrum: Vec<f64> = eigen.values.iter().map(|t| t.max(0.0)).collect();
        let given = lamp_given(&spectrum, &weights, self.matrix(noise))?.cos_squared;
        // K = S Sᵀ with as many columns as its rank: the spectrum is that of Sᵀ (...) S/Δ, whose
        // eigenvector u stands for S u, and zeros. Eigenvalues of K increase.
        let zeros = spectrum.partition_point(|t| *t < 1e-9 * spectrum[p - 1]);
        let mut s = eigen.vectors.columns(zeros, p - zeros).into_owned();
        for (mut column, value) in s.column_iter_mut().zip(&spectrum[zeros..]) {
            column *= value.sqrt();
        }
        let image = y.apply(&s)? / (p as f64).sqrt();
        let rho = tree.signal().second_moment;
        let centred = match self {
            Wigner => s.transpose() * (image - &s * rho),
            Wishart => image.tr_mul(&image) / (noise + rho) - s.tr_mul(&s) * ASPECT,
        };
        let found = symmetric_eigen(&(centred / noise))?;
        let first = &s * found.vectors.column(s.ncols() - 1);
        let norm = first.norm_squared() * truth.iter().map(|x| x * x).sum::<f64>();
        let overlap = along(first.as_slice()).powi(2) / norm;
        let mut values = found.values;
        values.reverse();
        Ok(Run {
            values,
            zeros,
            overlap,
            given,
        })
    }

    fn simulate(
        self,
        context: &Context,
        prior: Prior,
        relative: f64,
        level: usize,
        p: usize,
        count: usize,
    ) -> Result<Vec<Row>, FigureError> {
        let name = prior.0;
        let (covariance, threshold) = self.covariance(prior)?;
        let noise = relative * threshold;
        let law = self.spectrum(&covariance, noise)?;
        let sized = Sized::new(&self.tree(prior, noise)?, p)?;
        let runs = trials(context, count, |seed| {
            self.run(&sized.tree, &sized.draw(seed)?, noise)
        })?;
        let sample = |f: &dyn Fn(&Run) -> f64| Sample::of(&runs.iter().map(f).collect::<Vec<_>>());
        let rank = RANKS[level];
        let series = format!("{name} {rank}");
        let mut rows = vec![
            Row::theory(SIZES, "p", level as f64, p as f64),
            Row::measured(OVERLAP, &series, relative, sample(&|run| run.overlap)),
            Row::measured(FIRST, &series, relative, sample(&|run| run.values[0])),
            Row::measured(SECOND, &series, relative, sample(&|run| run.values[1])),
        ];
        for fraction in PLACES {
            let (x, width) = place(&law, fraction);
            let smoothed = |run: &Run| {
                let cauchy = |t: &f64| width / ((t - x).powi(2) + width * width);
                let all =
                    run.values.iter().map(cauchy).sum::<f64>() + run.zeros as f64 * cauchy(&0.0);
                all / (std::f64::consts::PI * p as f64)
            };
            let series = format!("{} {rank}", at(name, relative));
            rows.push(Row::measured(SMOOTHED, series, fraction, sample(&smoothed)));
        }
        if level == 2 && relative == SHOWN {
            let fraction = |what: &str, holds: &dyn Fn(&Run) -> bool| {
                let hits = runs.iter().filter(|run| holds(run)).count() as u64;
                Row::fraction(
                    SUCCESS,
                    format!("{name}: {what}"),
                    SHOWN,
                    hits,
                    count as u64,
                )
            };
            let between = 0.5 * (bulk(&law).1 + 1.0);
            let beyond = |run: &Run| run.values[1] < between && between < run.values[0];
            let close = |run: &Run| (run.overlap - run.given).abs() < CLOSE;
            rows.push(fraction(FIRST, &beyond));
            rows.push(fraction(OVERLAP, &close));
            let (low, high) = bulk(&law);
            let width = (1.2 - 1.05 * low).max(high - low) / BINS as f64;
            let start = 1.05 * low;
            for bin in 0..BINS {
                let from = start + width * bin as f64;
                let inside = |t: &&f64| from <= **t && **t < from + width;
                let hits: usize = (runs.iter())
                    .map(|run| run.values.iter().filter(inside).count())
                    .sum();
                let height = hits as f64 / (width * (p * count) as f64);
                rows.push(Row::theory(DENSITY, name, from, height));
            }
        }
        Ok(rows)
    }
}

/// One instance.
struct Run {
    /// Eigenvalues of the operator where its covariance is not zero, decreasing.
    values: Vec<f64>,
    /// The others, which are zero: an atom, which has no density.
    zeros: usize,
    /// Squared overlap of the first eigenvector.
    overlap: f64,
    /// The same by theory, for its covariance and its signal.
    given: f64,
}
