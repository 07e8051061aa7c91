//! Images of Fashion-MNIST as spikes: principal component against linearised message passing with
//! the covariance of the training images.

use std::sync::{Arc, LazyLock};

use onsager_amp::Problem;
use onsager_amp::spectral::{
    Spectral, SpikedMatrix, lamp_with, normalised_error, optimal_error, pca,
};
use onsager_ensembles::Seed;
use onsager_ensembles::sample::spiked_wigner;
use onsager_model::{Chain, Instance};
use onsager_operators::factorisations::{Eigen, symmetric_eigen};
use onsager_operators::{LinearOperator, Shifted, Symmetric};
use onsager_replica::spectral::{self as theory, lamp_given};

use crate::agreement::{Agreement, Claim, MeanSeries, Means, Sample, Success};
use crate::data::{FashionMnist, PIXELS, SIDE, fashion_mnist};
use crate::drawing::{Axis, BLACK, Dash, Image, Images, Line, Marker, Picture, Plot, Points, Rule};
use crate::figures::common::{controlled, gaussian};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// The picture on the front page: real images recovered from one spiked matrix.
pub(crate) struct SpikedFashion;

/// A coat and a shoe, by their positions in the test set.
pub(crate) const ITEMS: [(&str, usize); 2] = [("coat", 2209), ("shoe", 6209)];
/// Noises of the recovered images.
const SHOWN: [f64; 5] = [0.01, 0.1, 1.0, 2.0, 10.0];
/// Noises at which means of the principal component are judged: within `3 p^(-1/3)` of its
/// threshold at 1 (0.33 at `p = 784`, 0.52 at `p = 196`) finite size rules.
const JUDGED: [f64; 4] = [0.05, 0.1, 0.2, 0.4];
/// The noises of the error curve beyond.
const BEYOND: [f64; 6] = [0.7, 1.0, 1.3, 1.6, 2.0, 2.5];
/// From here on the principal component is judged to have lost the image, outside the same window.
const SMALLEST_LOST: f64 = 1.6;
/// Squared overlap that counts as nothing. Above its threshold the principal component has
/// `E p cos²` of order `(1 - 1/√Δ)^-2`, 23 at the least noise judged: 0.03 of `p = 784`.
const NOTHING: f64 = 0.1;
/// How far the squared overlap of one image may lie from theory: fluctuations of order `1/√p` have
/// a standard deviation of 0.023 at the largest noise; at noise 1 the two methods differ by 0.8.
const CLOSE: f64 = 0.08;
/// Rows and columns of pixels that are averaged at sizes p/4, p/2, p.
pub(crate) const BLOCKS: [(usize, usize); 3] = [(2, 2), (1, 2), (1, 1)];

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
        vec![
            Job::new(format!("overlap {profile}"), move |_| overlaps(profile)),
            Job::new("images", |_| {
                let data = data()?;
                let truth =
                    |(name, position)| Ok(pixels(name, &full_spike(&data.images, position)?));
                let rows: Result<Vec<_>, FigureError> = ITEMS.into_iter().map(truth).collect();
                Ok(rows?.concat())
            }),
        ]
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let mut jobs = Vec::new();
        for noise in JUDGED.into_iter().chain(BEYOND) {
            let count = draws(profile, noise);
            let key = format!("both noise={noise} images={count}");
            jobs.push(Job::new(key, move |context| both(context, noise, count)));
        }
        for (level, noise) in (0..BLOCKS.len() - 1).flat_map(|l| JUDGED.map(|noise| (l, noise))) {
            let count = draws(profile, noise);
            let key = format!("PCA p={} noise={noise} images={count}", size(level));
            jobs.push(Job::new(key, move |context| {
                principal(context, level, noise, count)
            }));
        }
        for (item, noise) in ITEMS
            .into_iter()
            .flat_map(|i| SHOWN.map(|noise| (i, noise)))
        {
            jobs.push(Job::new(
                format!("{} noise={noise}", item.0),
                move |context| recovered(context, item, noise),
            ));
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let names = [0, 1, 2].map(series);
        let names = [0, 1, 2].map(|level| names[level].as_str());
        let pca = MeanSeries {
            panel: OVERLAP,
            sizes: [0, 1, 2].map(|level| size(level) as f64),
            theory: names,
            simulation: names,
            shifted: PCA_SHIFTED,
        };
        let success = |title: &str, name, from: f64| {
            let noises = JUDGED
                .into_iter()
                .chain(BEYOND)
                .filter(|noise| *noise >= from);
            noises.fold(Success::new(title), |success, noise| {
                let row = simulation.at(SUCCESS, name, noise);
                let (fraction, trials) = row.map_or((0.0, 0), |row| (row.y, row.trials));
                let count = (fraction * trials as f64).round() as u64;
                success.point(format!("noise {noise}"), count, trials, Claim::AtLeast(0.9))
            })
        };
        vec![
            // The mean over the noise at a spike of given norm.
            Means::new("PCA: squared overlap 1 - Δ", 1.0)
                .series(theory, simulation, pca, |noise| JUDGED.contains(&noise))
                .into(),
            success("LAMP errs less than PCA on the same data", CLOSER, 0.0).into(),
            success(
                "LAMP: squared overlap as theory says for the image",
                AS_SAID,
                0.0,
            )
            .into(),
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
            plot = plot
                .with(Line::new(method, theory.curve(ERROR, method)).colour(colour))
                .with(
                    Points::new(method, simulation.points(ERROR, method))
                        .colour(colour)
                        .marker(marker),
                );
        }
        plot = plot.with(
            Line::new(
                "Gaussian spikes, same covariance",
                theory.curve(ERROR, TYPICAL),
            )
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
const AS_SAID: &str = "LAMP as predicted";
const PCA_SHIFTED: &str = "PCA shifted";

/// Name of the principal component at one size.
fn series(level: usize) -> String {
    format!("{PCA} p={}", size(level))
}

/// Name of a recovered image.
fn estimate(item: &str, method: &str, noise: f64) -> String {
    format!("{item} {method} {noise}")
}

/// Pixels after averaging.
pub(crate) fn size(level: usize) -> usize {
    PIXELS / (BLOCKS[level].0 * BLOCKS[level].1)
}

/// Images whose errors are averaged, one noise draw each.
fn draws(profile: Profile, noise: f64) -> usize {
    if JUDGED.contains(&noise) {
        profile.pick(48, 96, 1000)
    } else {
        profile.pick(16, 32, 1000)
    }
}

/// What all points share: it depends on nothing but the packaged file.
pub(crate) struct Data {
    pub(crate) images: FashionMnist,
    pub(crate) covariance: Shifted<Symmetric>,
    pub(crate) eigen: Eigen,
}

/// The data, read and diagonalised once for all points of a run.
pub(crate) fn data() -> Result<&'static Data, FigureError> {
    static DATA: LazyLock<Result<Data, String>> =
        LazyLock::new(|| Data::new().map_err(|error| error.to_string()));
    DATA.as_ref().map_err(|reason| bad(reason.clone()))
}

pub(crate) fn bad(reason: String) -> FigureError {
    FigureError::Data {
        name: "fashion_mnist.safetensors",
        reason,
    }
}

impl Data {
    fn new() -> Result<Self, FigureError> {
        let images = fashion_mnist()?;
        let sigma = images.covariance();
        let covariance = Symmetric::from_fn(PIXELS, |i, j| sigma[i * PIXELS + j])?;
        let mut eigen = symmetric_eigen(&covariance.to_matrix())?;
        // The packaged numbers have 24 bits, so that zero eigenvalues came out slightly negative.
        let shift = 2.0 * eigen.values.iter().fold(0.0_f64, |m, t| m.max(-t));
        eigen.values.iter_mut().for_each(|t| *t += shift);
        Ok(Self {
            covariance: Shifted::new(covariance, shift)?,
            images,
            eigen,
        })
    }

    /// Squared components of a spike along the eigenvectors of the covariance, divided by `p`.
    pub(crate) fn weights(&self, spike: &[f64]) -> Vec<f64> {
        let vectors = self.eigen.vectors.as_slice().chunks_exact(spike.len());
        let weight = |u: &[f64]| {
            let dot: f64 = u.iter().zip(spike).map(|(u, x)| u * x).sum();
            dot * dot / spike.len() as f64
        };
        vectors.map(weight).collect()
    }

    /// Squared overlap of LAMP on a spike with these components, as `p` grows.
    fn predicted(&self, weights: &[f64], noise: f64) -> Result<f64, FigureError> {
        Ok(lamp_given(
            &self.eigen.values,
            weights,
            theory::SpikedMatrix::Wigner { noise },
        )?
        .cos_squared)
    }
}

/// Means over blocks of pixels, row by row.
pub(crate) fn averaged(image: &[f64], (rows, columns): (usize, usize)) -> Vec<f64> {
    let width = SIDE / columns;
    let mut sums = vec![0.0; (SIDE / rows) * width];
    for (pixel, value) in image.iter().enumerate() {
        let (i, j) = (pixel / SIDE / rows, pixel % SIDE / columns);
        sums[i * width + j] += value / (rows * columns) as f64;
    }
    sums
}

/// An image at one resolution as a spike: mean 0, squared norm `p`.
pub(crate) fn spike(
    images: &FashionMnist,
    number: usize,
    level: usize,
) -> Result<Vec<f64>, FigureError> {
    let full = images
        .spike(number)
        .ok_or_else(|| bad(format!("image {number} is missing or of one grey")))?;
    let coarse = averaged(&full, BLOCKS[level]);
    let square: f64 = coarse.iter().map(|x| x * x).sum();
    let scale = (coarse.len() as f64 / square).sqrt();
    Ok(coarse.iter().map(|x| x * scale).collect())
}

/// The image at a position of the test set.
pub(crate) fn full_spike(images: &FashionMnist, position: usize) -> Result<Vec<f64>, FigureError> {
    let number = images.number_of(position).unwrap_or(images.len());
    spike(images, number, BLOCKS.len() - 1)
}

/// An image as rows of a table.
fn pixels(name: &str, values: &[f64]) -> Vec<Row> {
    let row = |(pixel, value): (usize, &f64)| Row::theory(IMAGES, name, pixel as f64, *value);
    values.iter().enumerate().map(row).collect()
}

/// Squared overlap of the principal component.
fn principal_overlap(noise: f64) -> f64 {
    (1.0 - noise).max(0.0)
}

/// Theory: of the principal component, of LAMP averaged over the images of the simulation, and of
/// LAMP for typical Gaussian spikes with the covariance of the images.
fn overlaps(profile: Profile) -> Result<Vec<Row>, FigureError> {
    let data = data()?;
    let mut rows = Vec::new();
    for noise in JUDGED {
        let overlap = principal_overlap(noise);
        rows.extend((0..BLOCKS.len()).map(|l| Row::theory(OVERLAP, series(l), noise, overlap)));
        let shifted = principal_overlap(1.05 * noise);
        rows.push(Row::theory(OVERLAP, PCA_SHIFTED, noise, shifted));
    }
    let most = draws(profile, JUDGED[0]).min(256);
    let weights = (0..most)
        .map(|number| Ok(data.weights(&spike(&data.images, number, BLOCKS.len() - 1)?)))
        .collect::<Result<Vec<_>, FigureError>>()?;
    // A Gaussian spike has its variance along every eigenvector.
    let typical: Vec<f64> = data
        .eigen
        .values
        .iter()
        .map(|t| t / PIXELS as f64)
        .collect();
    let mut noises: Vec<f64> = (0..=GRID)
        .map(|i| LOWEST + (LARGEST - LOWEST) * (i as f64 / GRID as f64).powi(2))
        .chain([1.0])
        .collect();
    noises.sort_by(f64::total_cmp);
    for noise in noises {
        let overlaps = weights
            .iter()
            .map(|weights| data.predicted(weights, noise))
            .collect::<Result<Vec<_>, FigureError>>()?;
        let mean = |error: &dyn Fn(f64, f64) -> f64| {
            overlaps.iter().map(|c| error(1.0, *c)).sum::<f64>() / overlaps.len() as f64
        };
        let pca = principal_overlap(noise);
        let gaussian = data.predicted(&typical, noise)?;
        for (panel, error) in [
            (ERROR, &optimal_error as &dyn Fn(f64, f64) -> f64),
            (NORMALISED, &normalised_error),
        ] {
            rows.push(Row::theory(panel, PCA, noise, error(1.0, pca)));
            rows.push(Row::theory(panel, LAMP, noise, mean(error)));
            rows.push(Row::theory(panel, TYPICAL, noise, error(1.0, gaussian)));
        }
    }
    Ok(rows)
}

/// Ends and intervals of the curves, whose slope grows towards zero.
const LOWEST: f64 = 0.005;
const LARGEST: f64 = 2.5;
const GRID: usize = 40;

/// A spiked matrix of an image.
pub(crate) fn matrix(
    spike: &[f64],
    noise: f64,
    seed: Seed,
) -> Result<Arc<dyn LinearOperator>, FigureError> {
    let y: Symmetric = spiked_wigner(spike, noise, &mut seed.stream("noise", 0, 0, "noise"))?;
    Ok(Arc::new(y))
}

/// Its principal component.
pub(crate) fn component(y: &Arc<dyn LinearOperator>, noise: f64) -> Result<Spectral, FigureError> {
    let tree = Chain::new(gaussian()).spiked_wigner(noise)?;
    let instance = Instance::given(&tree, &[y.shape().rows])?
        .operator(1, y.clone())?
        .build()?;
    Ok(pca(&Problem::new(&tree, &instance)?)?)
}

/// Its leading eigenvector under linearised message passing with the covariance of the images.
pub(crate) fn linearised(y: &Arc<dyn LinearOperator>, noise: f64) -> Result<Spectral, FigureError> {
    let spiked = SpikedMatrix {
        matrix: y.clone(),
        noise,
        left: None,
    };
    Ok(lamp_with(&spiked, &data()?.covariance, 1.0)?)
}

/// Squared overlap of the principal component at a smaller size.
fn principal(
    context: &Context,
    level: usize,
    noise: f64,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    let (mut overlaps, mut fluctuations) = (Vec::new(), [vec![], vec![]]);
    for number in 0..count {
        context.check()?;
        let spike = spike(&data()?.images, number, level)?;
        let y = matrix(&spike, noise, Seed(context.seed(number as u64, "trial")))?;
        overlaps.push(component(&y, noise)?.squared_cosine(&spike));
        let (linear, square) = along_spike(y.as_ref(), &spike);
        fluctuations[0].push(linear);
        fluctuations[1].push(square - noise);
    }
    let overlap = controlled(&overlaps, &fluctuations);
    Ok(vec![Row::measured(OVERLAP, series(level), noise, overlap)])
}

/// Both methods on full images, one noise draw each.
fn both(context: &Context, noise: f64, count: usize) -> Result<Vec<Row>, FigureError> {
    let data = data()?;
    let level = BLOCKS.len() - 1;
    let (mut overlaps, mut fluctuations) = ([vec![], vec![]], [vec![], vec![]]);
    let mut deviations = Vec::new();
    for number in 0..count {
        context.check()?;
        let spike = spike(&data.images, number, level)?;
        let y = matrix(&spike, noise, Seed(context.seed(number as u64, "trial")))?;
        overlaps[0].push(component(&y, noise)?.squared_cosine(&spike));
        let overlap = linearised(&y, noise)?.squared_cosine(&spike);
        overlaps[1].push(overlap);
        deviations.push(overlap - data.predicted(&data.weights(&spike), noise)?);
        let (linear, square) = along_spike(y.as_ref(), &spike);
        fluctuations[0].push(linear);
        fluctuations[1].push(square - noise);
    }
    let overlap = controlled(&overlaps[0], &fluctuations);
    let mut rows = vec![Row::measured(OVERLAP, series(level), noise, overlap)];
    for (method, overlaps) in [PCA, LAMP].into_iter().zip(&overlaps) {
        for (panel, error) in [
            (ERROR, &optimal_error as &dyn Fn(f64, f64) -> f64),
            (NORMALISED, &normalised_error),
        ] {
            let errors: Vec<_> = overlaps.iter().map(|c| error(1.0, *c)).collect();
            rows.push(Row::measured(panel, method, noise, Sample::of(&errors)));
        }
    }
    let fraction = |name: &str, holds: &dyn Fn(usize) -> bool| {
        let hits: Vec<f64> = (0..count).map(|i| f64::from(u8::from(holds(i)))).collect();
        Row::measured(SUCCESS, name, noise, Sample::of(&hits))
    };
    rows.push(fraction(CLOSER, &|i| overlaps[1][i] > overlaps[0][i]));
    rows.push(fraction(AS_SAID, &|i| deviations[i].abs() < CLOSE));
    rows.push(fraction(LOST, &|i| overlaps[0][i] < NOTHING));
    rows.push(fraction(FOUND, &|i| overlaps[1][i] > NOTHING));
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
    let y = matrix(&spike, noise, Seed(context.seed(0, "trial")))?;
    let found = [component(&y, noise)?, linearised(&y, noise)?];
    let rows = [PCA, LAMP].into_iter().zip(found).map(|(method, found)| {
        let dot: f64 = found.vector.iter().zip(&spike).map(|(v, x)| v * x).sum();
        let scale = (spike.len() as f64).sqrt().copysign(dot);
        let scaled: Vec<f64> = found.vector.iter().map(|v| v * scale).collect();
        pixels(&estimate(name, method, noise), &scaled)
    });
    Ok(rows.collect::<Vec<_>>().concat())
}
