//! Spectral methods at their threshold: how finite matrices round the transition.

use onsager_amp::{Problem, spectral};
use onsager_model::Chain;

use crate::agreement::{Agreement, Collapse, Sample};
use crate::drawing::{Axis, Marker, Picture, Plot, Points};
use crate::figures::common::{Sized, layered, rademacher, trials};
use crate::{Context, Figure, FigureError, Job, Profile, Row, Table};

/// `p^(1/3) cos²` against `p^(1/3) (Δ/Δc - 1)`.
pub(crate) struct LampCritical;

/// Scaled distances from the threshold.
const DISTANCES: [f64; 3] = [-1.0, 0.0, 1.0];
const METHODS: [&str; 2] = ["PCA, signs", "LAMP, linear layer, α = 2"];

impl Figure for LampCritical {
    fn id(&self) -> &'static str {
        "lamp-critical"
    }

    fn title(&self) -> &'static str {
        "Spectral methods at threshold"
    }

    fn source(&self) -> &'static str {
        "Bloemendal and Virág, arXiv:1011.1877 (window of width p^(-1/3)); LAMP: own"
    }

    fn claim(&self) -> &'static str {
        "At the threshold of the principal component, and equally of linearised message passing, the \
         squared overlap is of order p^(-1/3) and a function of p^(1/3) (Δ/Δc - 1) alone."
    }

    fn theory(&self, _profile: Profile) -> Vec<Job> {
        // Exponents are the theory; the picture needs where they are looked for.
        vec![Job::new("distances", |_| {
            let row = |x| Row::theory("distances", "x", x, 1.0 / 3.0);
            Ok(DISTANCES.map(row).into())
        })]
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (method, name) in METHODS.into_iter().enumerate() {
            for p in sizes(profile) {
                for distance in DISTANCES {
                    let count = count(profile, p);
                    let key = format!("{name} p={p} distance={distance} trials={count}");
                    jobs.push(Job::new(key, move |context| {
                        simulate(context, method, p, distance, count)
                    }));
                }
            }
        }
        jobs
    }

    fn agreements(&self, _theory: &Table, simulation: &Table) -> Vec<Agreement> {
        let judged = |name: &str| {
            // Corrections to scaling are of relative order p^(-1/3), 0.25 at the smallest size.
            let collapse = Collapse::new(format!("{name}: collapse"), 1.0 / 3.0, 0.0, 0.25);
            DISTANCES.iter().fold(collapse, |collapse, &x| {
                let sizes = simulation.values(SIZES, name);
                let sized = |p: &f64| (*p, Sample::at(simulation, OVERLAP, &at(name, *p), x));
                let mut sizes: Vec<_> = sizes.iter().map(sized).collect();
                sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
                sizes.dedup_by_key(|size| size.0 as usize);
                collapse.point(format!("at {x}"), sizes)
            })
        };
        METHODS.map(|name| judged(name).into()).into()
    }

    fn picture(&self, _theory: &Table, simulation: &Table) -> Picture {
        let mut picture = Picture::new(2);
        for name in METHODS {
            let mut plot = Plot::new(
                name,
                Axis::linear("p^(1/3) (Δ/Δc - 1)").range(-1.3, 1.3),
                Axis::linear("p^(1/3) cos²"),
            );
            let mut sizes = simulation.values(SIZES, name);
            sizes.sort_by(f64::total_cmp);
            sizes.dedup();
            for (i, p) in sizes.iter().enumerate() {
                let scale = p.cbrt();
                let points = simulation.points(OVERLAP, &at(name, *p)).into_iter();
                let scaled = points.map(|(x, y, e)| (x, scale * y, scale * e)).collect();
                let marker = [Marker::Disc, Marker::Square, Marker::Diamond][i % 3];
                plot = plot.with(
                    Points::new(format!("p = {p}"), scaled)
                        .colour(i)
                        .marker(marker),
                );
            }
            picture = picture.panel(plot);
        }
        picture
    }
}

const OVERLAP: &str = "overlap";
const SIZES: &str = "sizes";

fn at(name: &str, p: f64) -> String {
    format!("{name}, p = {p}")
}

fn sizes(profile: Profile) -> Vec<usize> {
    profile.pick(
        vec![48, 384],
        vec![64, 256, 1024],
        vec![64, 256, 1024, 4096],
    )
}

/// Small matrices are cheap, and their means are multiplied by less.
fn count(profile: Profile, p: usize) -> usize {
    profile.pick(if p < 100 { 400 } else { 100 }, 200, 1000)
}

fn simulate(
    context: &Context,
    method: usize,
    p: usize,
    distance: f64,
    count: usize,
) -> Result<Vec<Row>, FigureError> {
    // Thresholds 1 and 1 + α.
    let (chain, critical) = match method {
        0 => (Chain::new(rademacher()), 1.0),
        _ => (layered(&[(2.0, "linear")]), 3.0),
    };
    let noise = critical * (1.0 + distance / (p as f64).cbrt());
    let sized = Sized::new(&chain.spiked_wigner(noise)?, p)?;
    let overlaps = trials(context, count, |seed| {
        let instance = sized.draw(seed)?;
        let problem = Problem::new(&sized.tree, &instance)?;
        let found = match method {
            0 => spectral::pca(&problem)?,
            _ => spectral::lamp(&problem)?,
        };
        let truth = instance.truth(sized.tree.signal_index());
        Ok(found.squared_cosine(truth.unwrap_or_default()))
    })?;
    let (name, size) = (METHODS[method], p as f64);
    Ok(vec![
        Row::theory(SIZES, name, size + distance, size),
        Row::measured(OVERLAP, at(name, size), distance, Sample::of(&overlaps)),
    ])
}
