//! Images of Fashion-MNIST as spikes: principal component against linearised message passing with
//! the covariance of the training images.

use std::sync::{Arc, LazyLock};

use onsager_amp::Problem;
use onsager_amp::spectral::{Spectral, lamp_with, normalised_error, optimal_error, pca};
use onsager_ensembles::Seed;
use onsager_ensembles::sample::spiked_wigner;
use onsager_model::{Chain, Instance};
use onsager_operators::factorisations::{Eigen, symmetric_eigen};
use onsager_operators::{LinearOperator, Shifted, Symmetric};
use onsager_replica::spectral::{GivenSpike, lamp_given};

use crate::agreement::{Agreement, Claim, MeanSeries, Means, Sample, Success};
use crate::data::{FashionMnist, PIXELS, SIDE, fashion_mnist};
use crate::drawing::{Axis, BLACK, Dash, Image, Images, Line, Marker, Picture, Plot, Points, Rule};
use crate::figures::common::{controlled, gaussian};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// The picture on the front page: real images recovered from one spiked matrix.
pub(crate) struct SpikedFashion;

/// A coat and a shoe, by their positions in the test set.
const ITEMS: [(&str, usize); 2] = [("coat", 2209), ("shoe", 6209)];
/// Noises of the recovered images.
const SHOWN: [f64; 5] = [0.01, 0.1, 1.0, 2.0, 10.0];
/// Noises of the error curve, those below the threshold of the principal component first.
const NOISES: [f64; 12] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.3, 1.6, 2.0, 2.5,
];
/// Means of the principal component are judged up to here: within `3 p^(-1/3)` of its threshold at
/// 1 (0.33 at `p = 784`, 0.52 at `p = 196`) finite size rules.
const LARGEST_JUDGED_PCA: f64 = 0.4;
/// From here on it is judged to have lost the image, outside the same window.
const SMALLEST_LOST: f64 = 1.6;
/// Squared overlap that counts as nothing. Above its threshold the principal component has
/// `E p cos²` of order `(1 - 1/√Δ)^-2`, 23 at the least noise judged: 0.03 of `p = 784`.
const NOTHING: f64 = 0.1;
/// Rows and columns of pixels that are averaged at sizes p/4, p/2, p.
const BLOCKS: [(usize, usize); 3] = [(2, 2), (1, 2), (1, 1)];

impl Figure for SpikedFashion {
    fn id(&self) -> &'static str {
        "spiked-fashion"
    }

    fn title(&self) -> &'static str {
        "Spikes from Fashion-MNIST"
    }

    fn source(&self) -> &'static str {
        "arXiv 1905.12385, the figure of spikes from Fashion-MNIST; random-matrix lines: own"
    }

    fn claim(&self) -> &'static str {
        "The covariance of the training images alone lets a spectral method recover an image from a \
         spiked matrix at noises where the principal component has lost it, and random-matrix theory \
         given the image says how well."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let mut jobs: Vec<_> = (0..BLOCKS.len())
            .map(|level| {
                let key = format!("overlap p={} {profile}", size(level));
                Job::new(key, move |_| overlaps(level, profile))
            })
            .collect();
        jobs.push(Job::new("images", |_| {
            let data = data()?;
            let truth = |(name, position)| {
                let spike = full_spike(&data.images, position)?;
                Ok(pixels(name, &spike))
            };
            let rows: Result<Vec<_>, FigureError> = ITEMS.into_iter().map(truth).collect();
            Ok(rows?.concat())
        }));
        jobs
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (level, noise) in (0..BLOCKS.len()).flat_map(|l| NOISES.map(|noise| (l, noise))) {
            let count = draws(profile, level, noise);
            let key = format!("error p={} noise={noise} images={count}", size(level));
            jobs.push(Job::new(key, move |context| errors(context, level, noise, count)));
        }
        for (item, noise) in ITEMS.into_iter().flat_map(|i| SHOWN.map(|noise| (i, noise))) {
            jobs.push(Job::new(format!("{} noise={noise}", item.0), move |context| {
                recovered(context, item, noise)
            }));
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let sizes = [0, 1, 2].map(|level| size(level) as f64);
        let names = |method| [0, 1, 2].map(|level| series(method, level));
        let means = |title: &str, method, judged: &dyn Fn(f64) -> bool| {
            let names = names(method);
            let names = [0, 1, 2].map(|level| names[level].as_str());
            let series = MeanSeries {
                panel: OVERLAP,
                sizes,
                theory: names,
                simulation: names,
                shifted: &format!("{} shifted", names[2]),
            };
            // The mean over the noise of the overlap with a given spike.
            Means::new(title, 1.0).series(theory, simulation, series, judged)
        };
        let success = |title: &str, name, at: f64| {
            let mut success = Success::new(title);
            for noise in NOISES.into_iter().filter(|noise| *noise >= at) {
                let (fraction, trials) = simulation
                    .at(SUCCESS, name, noise)
                    .map_or((0.0, 0), |row| (row.y, row.trials));
                let count = (fraction * trials as f64).round() as u64;
                success = success.point(
                    format!("noise {noise}"),
                    count,
                    trials,
                    Claim::AtLeast(0.9),
                );
            }
            success
        };
        vec![
            means("PCA: squared overlap below its threshold", PCA, &|noise| {
                noise <= LARGEST_JUDGED_PCA
            })
            .into(),
            means("LAMP: squared overlap given the images", LAMP, &|_| true).into(),
            success("LAMP errs less than PCA on the same data", CLOSER, 0.0).into(),
            success("above noise 1 PCA has lost the image", LOST, SMALLEST_LOST).into(),
            success("where PCA has lost it, LAMP has not", FOUND, SMALLEST_LOST).into(),
        ]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        let mut grid = Images::new(
            "Recovered from one spiked matrix of noise Δ",
            std::iter::once("spike".to_owned()).chain(SHOWN.map(|noise| format!("Δ = {noise}"))),
        );
        for (name, _) in ITEMS {
            let truth: Vec<f64> = theory.curve(IMAGES, name).iter().map(|p| p.1).collect();
            let low = truth.iter().copied().fold(f64::INFINITY, f64::min);
            let high = truth.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            // Dark on light, as ink on paper.
            let image = |values: &[f64]| {
                let ink: Vec<f64> = values.iter().map(|value| -value).collect();
                Image::new(SIDE, &ink, -high, -low)
            };
            for method in [PCA, LAMP] {
                let estimates = SHOWN.map(|noise| {
                    let values = simulation.curve(IMAGES, &estimate(name, method, noise));
                    image(&values.iter().map(|p| p.1).collect::<Vec<_>>())
                });
                let row = std::iter::once(image(&truth)).chain(estimates).collect();
                grid = grid.row(method, row);
            }
        }
        let mut plot = Plot::new(
            "Error of the recovered image",
            Axis::linear("noise Δ").range(0.0, 2.55),
            Axis::linear("1 - cos² (squared error at the best scale)").range(0.0, 1.03),
        )
        .with(Rule::vertical(1.0, "PCA loses the image"));
        for (method, colour, marker) in [(PCA, 1, Marker::Square), (LAMP, 0, Marker::Disc)] {
            let mut line = theory.curve(ERROR, method);
            line.sort_by(|a, b| a.0.total_cmp(&b.0));
            plot = plot
                .with(Line::new(method, line).colour(colour))
                .with(
                    Points::new(method, simulation.points(ERROR, method))
                        .colour(colour)
                        .marker(marker),
                );
        }
        plot = plot.with(
            Line::new("LAMP, Gaussian spikes", theory.curve(ERROR, TYPICAL))
                .colour(BLACK)
                .dash(Dash::Dotted),
        );
        Picture::new(2).panel(grid).panel(plot)
    }
}

const PCA: &str = "PCA";
const LAMP: &str = "LAMP";
const TYPICAL: &str = "LAMP Gaussian";
const OVERLAP: &str = "overlap";
const ERROR: &str = "error";
const NORMALISED: &str = "error at the norm of the spike";
const SUCCESS: &str = "success";
const IMAGES: &str = "images";
const CLOSER: &str = "LAMP closer";
const LOST: &str = "PCA lost";
const FOUND: &str = "LAMP found";

/// Name of a method at one size.
fn series(method: &str, level: usize) -> String {
    format!("{method} p={}", size(level))
}

/// Name of a recovered image.
fn estimate(item: &str, method: &str, noise: f64) -> String {
    format!("{item} {method} {noise}")
}

/// Pixels after averaging.
fn size(level: usize) -> usize {
    PIXELS / (BLOCKS[level].0 * BLOCKS[level].1)
}

/// Images whose errors are averaged, one noise draw each; smaller sizes cost less.
fn draws(profile: Profile, level: usize, noise: f64) -> usize {
    let counts = if noise <= LARGEST_JUDGED_PCA {
        profile.pick([96, 80, 64], [256, 192, 128], [1000; 3])
    } else {
        profile.pick([32, 24, 16], [64, 48, 32], [1000; 3])
    };
    counts[level]
}

/// What all points share: it depends on nothing but the packaged file.
struct Data {
    images: FashionMnist,
    levels: [Level; 3],
}

/// Images and their covariance at one resolution.
struct Level {
    covariance: Shifted<Symmetric>,
    eigen: Eigen,
}

/// The data, read and diagonalised once for all points of a run.
fn data() -> Result<&'static Data, FigureError> {
    static DATA: LazyLock<Result<Data, String>> =
        LazyLock::new(|| Data::new().map_err(|error| error.to_string()));
    DATA.as_ref().map_err(|reason| FigureError::Data {
        name: "fashion_mnist.safetensors",
        reason: reason.clone(),
    })
}

impl Data {
    fn new() -> Result<Self, FigureError> {
        let images = fashion_mnist()?;
        let [a, b, c] = BLOCKS.map(|block| Level::new(images.covariance(), block));
        Ok(Self {
            levels: [a?, b?, c?],
            images,
        })
    }
}

impl Level {
    /// The covariance of averages over blocks of pixels, scaled to mean eigenvalue 1.
    fn new(full: &[f64], block: (usize, usize)) -> Result<Self, FigureError> {
        let p = PIXELS / (block.0 * block.1);
        let half: Vec<f64> = full
            .chunks_exact(PIXELS)
            .flat_map(|row| averaged(row, block))
            .collect();
        // Column by column, since averages over rows of pixels are known for one column at once.
        let columns: Vec<Vec<f64>> = (0..p)
            .map(|j| {
                let column: Vec<f64> = half.iter().skip(j).step_by(p).copied().collect();
                averaged(&column, block)
            })
            .collect();
        let trace: f64 = (0..p).map(|i| columns[i][i]).sum();
        let covariance = Symmetric::from_fn(p, |i, j| columns[j][i] * p as f64 / trace)?;
        let mut eigen = symmetric_eigen(&covariance.to_matrix())?;
        // The packaged numbers have 24 bits, so that zero eigenvalues came out slightly negative.
        let shift = 2.0 * eigen.values.iter().fold(0.0_f64, |m, t| m.max(-t));
        eigen.values.iter_mut().for_each(|t| *t += shift);
        Ok(Self {
            covariance: Shifted::new(covariance, shift)?,
            eigen,
        })
    }

    /// Components of a spike along the eigenvectors, divided by `√p`.
    fn components(&self, spike: &[f64]) -> Vec<f64> {
        let vectors = self.eigen.vectors.as_slice().chunks_exact(spike.len());
        let component = |u: &[f64]| {
            let dot: f64 = u.iter().zip(spike).map(|(u, x)| u * x).sum();
            dot / (spike.len() as f64).sqrt()
        };
        vectors.map(component).collect()
    }

    /// Theory of both methods on a spike with these components, as `p` grows.
    fn predicted(&self, components: &[f64], noise: f64) -> Result<[GivenSpike; 2], FigureError> {
        let weights: Vec<f64> = components.iter().map(|x| x * x).collect();
        Ok([
            lamp_given(&[1.0], &[1.0], noise)?,
            lamp_given(&self.eigen.values, &weights, noise)?,
        ])
    }

    /// Fluctuations of the squared cosine to first and second order in the noise of the matrix,
    /// `y` at most `√p` times the spike plus noise: numbers of mean zero that the deviation from
    /// theory follows.
    ///
    /// With `R = (u K⁻¹ + ρ - N)⁻¹`, where `xᵀRx/p = 1` decides `u`, `cos² = p/(xᵀR²x)` is expanded
    /// around the mean resolvent `G`.
    fn fluctuations(
        &self,
        y: &dyn LinearOperator,
        spike: &[f64],
        components: &[f64],
        noise: f64,
        theory: &GivenSpike,
    ) -> [f64; 2] {
        let p = spike.len();
        let size = p as f64;
        let u = noise * theory.outlier;
        let g: Vec<f64> = self
            .eigen
            .values
            .iter()
            .map(|t| t / (u + theory.shift * t))
            .collect();
        let times = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<_>>();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let first = times(&g, components);
        let second = times(&g, &first);
        // N v in the basis of eigenvectors.
        let noisy = |v: &[f64]| {
            let mut x = vec![0.0; p];
            for (u, v) in self.eigen.vectors.as_slice().chunks_exact(p).zip(v) {
                x.iter_mut().zip(u).for_each(|(x, u)| *x += u * v);
            }
            let mut image = vec![0.0; p];
            y.apply_column(&x, &mut image);
            let along = dot(spike, &x) / size;
            image
                .iter_mut()
                .zip(spike)
                .for_each(|(n, x)| *n = *n / size.sqrt() - along * x);
            let vectors = self.eigen.vectors.as_slice().chunks_exact(p);
            vectors.map(|u| dot(u, &image)).collect::<Vec<_>>()
        };
        let (n_first, n_second) = (noisy(&first), noisy(&second));
        // E (N a)ᵀD(N b) = Δ/p (aᵀb tr D + aᵀD b).
        let centred = |na: &[f64], nb: &[f64], a: &[f64], b: &[f64], d: &[f64]| {
            let mean = dot(a, b) * d.iter().sum::<f64>() + dot(&times(a, d), b);
            dot(&times(na, d), nb) - noise * mean / size
        };
        // Derivatives of xᵀRx/p and half that of xᵀR²x/p in -u.
        let cubed = times(&second, &g);
        let per_t = |a: &[f64], b: &[f64]| {
            let pairs = a.iter().zip(b).zip(&self.eigen.values);
            pairs.map(|((a, b), t)| a * b / t).sum::<f64>()
        };
        let ratio = per_t(components, &cubed) / per_t(&first, &first);
        let linear = 2.0 * dot(&second, &n_first) - 2.0 * ratio * dot(&first, &n_first);
        let squares = times(&g, &g);
        let quadratic = 2.0 * centred(&n_second, &n_first, &second, &first, &g)
            + centred(&n_first, &n_first, &first, &first, &squares)
            - 2.0 * ratio * centred(&n_first, &n_first, &first, &first, &g);
        let scale = theory.cos_squared * theory.cos_squared;
        [-scale * linear, -scale * quadratic]
    }
}

/// Means over blocks of pixels, row by row.
fn averaged(image: &[f64], (rows, columns): (usize, usize)) -> Vec<f64> {
    let width = SIDE / columns;
    let mut sums = vec![0.0; (SIDE / rows) * width];
    for (pixel, value) in image.iter().enumerate() {
        let (i, j) = (pixel / SIDE / rows, pixel % SIDE / columns);
        sums[i * width + j] += value / (rows * columns) as f64;
    }
    sums
}

/// An image at one resolution as a spike: mean 0, squared norm `p`.
fn spike(images: &FashionMnist, number: usize, level: usize) -> Result<Vec<f64>, FigureError> {
    let full = images.spike(number).ok_or_else(|| FigureError::Data {
        name: "fashion_mnist.safetensors",
        reason: format!("image {number} is missing or of one grey"),
    })?;
    let coarse = averaged(&full, BLOCKS[level]);
    let square: f64 = coarse.iter().map(|x| x * x).sum();
    let scale = (coarse.len() as f64 / square).sqrt();
    Ok(coarse.iter().map(|x| x * scale).collect())
}

/// The image at a position of the test set.
fn full_spike(images: &FashionMnist, position: usize) -> Result<Vec<f64>, FigureError> {
    let number = images.number_of(position).unwrap_or(images.len());
    spike(images, number, BLOCKS.len() - 1)
}

/// An image as rows of a table.
fn pixels(name: &str, values: &[f64]) -> Vec<Row> {
    let row = |(pixel, value): (usize, &f64)| Row::theory(IMAGES, name, pixel as f64, *value);
    values.iter().enumerate().map(row).collect()
}

/// Theory of both methods, averaged over the images of the simulation.
fn overlaps(level: usize, profile: Profile) -> Result<Vec<Row>, FigureError> {
    let (images, level_data) = (&data()?.images, &data()?.levels[level]);
    let mut rows = Vec::new();
    let most = NOISES.map(|noise| draws(profile, level, noise));
    let components = (0..most.into_iter().max().unwrap_or(0))
        .map(|number| Ok(level_data.components(&spike(images, number, level)?)))
        .collect::<Result<Vec<_>, FigureError>>()?;
    let average = |method: usize, count: usize, noise: f64| {
        let mut sums = [0.0; 3];
        for components in &components[..count] {
            let overlap = level_data.predicted(components, noise)?[method].cos_squared;
            sums[0] += overlap;
            sums[1] += optimal_error(1.0, overlap);
            sums[2] += normalised_error(1.0, overlap);
        }
        Ok::<_, FigureError>(sums.map(|sum| sum / count as f64))
    };
    let largest = level + 1 == BLOCKS.len();
    for (index, method) in [PCA, LAMP].into_iter().enumerate() {
        let name = series(method, level);
        for noise in NOISES {
            let count = draws(profile, level, noise);
            let [overlap, error, normalised] = average(index, count, noise)?;
            rows.push(Row::theory(OVERLAP, &name, noise, overlap));
            if largest {
                let shifted = average(index, count, 1.05 * noise)?[0];
                rows.push(Row::theory(OVERLAP, format!("{name} shifted"), noise, shifted));
                rows.push(Row::theory(ERROR, method, noise, error));
                rows.push(Row::theory(NORMALISED, method, noise, normalised));
            }
        }
    }
    if largest {
        for noise in NOISES {
            // A Gaussian spike has its variance along every eigenvector.
            let variances = level_data.eigen.values.iter();
            let typical: Vec<f64> = variances.map(|t| (t / PIXELS as f64).sqrt()).collect();
            let overlap = level_data.predicted(&typical, noise)?[1].cos_squared;
            rows.push(Row::theory(ERROR, TYPICAL, noise, optimal_error(1.0, overlap)));
        }
    }
    Ok(rows)
}

/// A spiked matrix and what both methods make of it.
fn estimates(
    level: usize,
    spike: &[f64],
    noise: f64,
    seed: Seed,
) -> Result<(Arc<dyn LinearOperator>, [Spectral; 2]), FigureError> {
    let data = data()?;
    let y: Symmetric = spiked_wigner(spike, noise, &mut seed.stream("noise", 0, 0, "noise"))?;
    let y: Arc<dyn LinearOperator> = Arc::new(y);
    let tree = Chain::new(gaussian()).spiked_wigner(noise)?;
    let instance = Instance::given(&tree, &[spike.len()])?
        .operator(1, y.clone())?
        .build()?;
    let found = [
        pca(&Problem::new(&tree, &instance)?)?,
        lamp_with(y.clone(), noise, &data.levels[level].covariance, 1.0)?,
    ];
    Ok((y, found))
}

/// Errors of both methods, averaged over images with one noise draw each.
fn errors(
    context: &Context,
    level: usize,
    noise: f64,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let data = data()?;
    let here = &data.levels[level];
    let (mut overlaps, mut predictions) = ([vec![], vec![]], [vec![], vec![]]);
    let mut fluctuations: [[Vec<f64>; 2]; 2] = Default::default();
    for number in 0..count {
        context.check()?;
        let spike = spike(&data.images, number, level)?;
        let components = here.components(&spike);
        let seed = Seed(context.seed(number as u64, "trial"));
        let (y, found) = estimates(level, &spike, noise, seed)?;
        let predicted = here.predicted(&components, noise)?;
        let (linear, square) = along_spike(y.as_ref(), &spike);
        let [first, second] = here.fluctuations(y.as_ref(), &spike, &components, noise, &predicted[1]);
        for (m, drawn) in [[linear, square - noise], [first, second]].into_iter().enumerate() {
            overlaps[m].push(found[m].squared_cosine(&spike));
            predictions[m].push(predicted[m].cos_squared);
            fluctuations[m].iter_mut().zip(drawn).for_each(|(all, one)| all.push(one));
        }
    }
    let mut rows = Vec::new();
    for (m, method) in [PCA, LAMP].into_iter().enumerate() {
        // The images are given: only the noise makes the mean uncertain, and most of that follows
        // from what is known of the noise.
        let mean = Sample::of(&predictions[m]).mean;
        let pairs = overlaps[m].iter().zip(&predictions[m]);
        let deviations: Vec<f64> = pairs.map(|(a, b)| a - b).collect();
        let deviation = controlled(&deviations, &fluctuations[m]);
        let sample = |mean| Sample { mean, ..deviation };
        let overlap = mean + deviation.mean;
        rows.push(Row::measured(OVERLAP, series(method, level), noise, sample(overlap)));
        if level + 1 == BLOCKS.len() {
            let error = optimal_error(1.0, overlap);
            rows.push(Row::measured(ERROR, method, noise, sample(error)));
            let errors: Vec<_> = overlaps[m].iter().map(|c| normalised_error(1.0, *c)).collect();
            rows.push(Row::measured(NORMALISED, method, noise, Sample::of(&errors)));
        }
    }
    if level + 1 == BLOCKS.len() {
        let fraction = |name: &str, holds: &dyn Fn(f64, f64) -> bool| {
            let both = overlaps[0].iter().zip(&overlaps[1]);
            let hits: Vec<f64> = both.map(|(a, b)| f64::from(u8::from(holds(*a, *b)))).collect();
            Row::measured(SUCCESS, name, noise, Sample::of(&hits))
        };
        rows.push(fraction(CLOSER, &|pca, lamp| lamp > pca));
        rows.push(fraction(LOST, &|pca, _| pca < NOTHING));
        rows.push(fraction(FOUND, &|_, lamp| lamp > NOTHING));
    }
    Ok(rows)
}

/// `xᵀN x/p` and `|N x|²/p` of the noise `N` in `Y/√p`, of means 0 and `Δ`.
fn along_spike(y: &dyn LinearOperator, spike: &[f64]) -> (f64, f64) {
    let p = spike.len() as f64;
    let mut image = vec![0.0; spike.len()];
    y.apply_column(spike, &mut image);
    let noise = || image.iter().zip(spike).map(|(y, x)| (y / p.sqrt() - x, x));
    (
        noise().map(|(n, x)| n * x).sum::<f64>() / p,
        noise().map(|(n, _)| n * n).sum::<f64>() / p,
    )
}

/// The images that both methods recover, at the norm and with the sign of the spike.
fn recovered(
    context: &Context,
    (name, position): (&str, usize),
    noise: f64,
) -> Result<Vec<Row>, FigureError> {
    let spike = full_spike(&data()?.images, position)?;
    let seed = Seed(context.seed(0, "trial"));
    let (_, found) = estimates(BLOCKS.len() - 1, &spike, noise, seed)?;
    let rows = [PCA, LAMP].into_iter().zip(found).map(|(method, found)| {
        let dot: f64 = found.vector.iter().zip(&spike).map(|(v, x)| v * x).sum();
        let scale = (spike.len() as f64).sqrt().copysign(dot);
        let scaled: Vec<f64> = found.vector.iter().map(|v| v * scale).collect();
        pixels(&estimate(name, method, noise), &scaled)
    });
    Ok(rows.collect::<Vec<_>>().concat())
}
