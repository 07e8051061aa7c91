//! Phase diagrams of sparse spikes: what is possible and what is easy, against sparsity.

use std::sync::Arc;

use onsager_model::{Chain, ModelError, Tree};
use onsager_replica::{StateEvolution, ThresholdKind, meetings};
use onsager_scalar::Prior;
use onsager_scalar::prior::{GaussBernoulli, Mixture};

use super::common::{SHIFT, decades};
use crate::agreement::{Agreement, Identity};
use crate::drawing::{Axis, BLACK, Band, Dash, Line, Picture, Plot, Rule};
use crate::{Figure, FigureError, Job, Profile, Row, Table};

/// Δ_alg, Δ_IT and Δ_dyn over ρ² against the fraction of nonzero components.
pub(crate) struct SparsePhases;

const LAWS: [Law; 3] = [
    Law {
        name: "Gauss-Bernoulli",
        make: |sparsity| Ok(Arc::new(GaussBernoulli::new(sparsity, 0.0, 1.0)?)),
        densest: 0.3,
        kurtosis: Some(3.0),
    },
    Law {
        name: "Rademacher-Bernoulli",
        make: |sparsity| Ok(Arc::new(Mixture::rademacher_bernoulli(sparsity)?)),
        densest: 0.1,
        kurtosis: Some(1.0),
    },
    Law {
        name: "Bernoulli",
        make: |sparsity| Ok(Arc::new(Mixture::bernoulli(sparsity)?)),
        densest: 0.05,
        kurtosis: None,
    },
];

/// A family of laws in its sparsity.
#[derive(Clone, Copy)]
struct Law {
    name: &'static str,
    make: fn(f64) -> Result<Arc<dyn Prior>, ModelError>,
    /// A sparsity beyond all special ones.
    densest: f64,
    /// `ρ E x⁴/ρ²`, for laws that are symmetric.
    kurtosis: Option<f64>,
}

/// The sparsest spike drawn, at which the series of Δ_alg is judged.
const SPARSEST: f64 = 1e-3;

const KINDS: [(&str, ThresholdKind); 3] = [
    ("Δ_alg", ThresholdKind::Algorithmic),
    ("Δ_IT", ThresholdKind::InformationTheoretic),
    ("Δ_dyn", ThresholdKind::Dynamical),
];
const AREAS: &str = "Δ_IT by equal areas";
const FOLD: &str = "fold";

impl Figure for SparsePhases {
    fn id(&self) -> &'static str {
        "sparse-phases"
    }

    fn title(&self) -> &'static str {
        "Phases of sparse spikes"
    }

    fn source(&self) -> &'static str {
        "Lesieur, Krzakala, Zdeborová, arXiv:1701.00858: phase diagrams of sparse low-rank estimation"
    }

    fn claim(&self) -> &'static str {
        "Below a special sparsity the transition of a spike of independent components is of first \
         order: recovery is possible up to Δ_IT and easy only below Δ_alg, which for symmetric laws \
         is ρ² less a fraction of order ρ², however sparse the spike."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        // Every `stride`-th sparsity is judged by both routes, from the second on.
        let (count, stride) = profile.pick((3, 3), (17, 5), (41, 5));
        let mut jobs = Vec::new();
        for law in LAWS {
            let last = 0.85 * law.densest;
            for (i, sparsity) in decades(SPARSEST, last, count).into_iter().enumerate() {
                let areas = i % stride == 1;
                let key = format!("{} sparsity={sparsity} areas={areas}", law.name);
                jobs.push(Job::new(key, move |_| lines(law, sparsity, areas)));
            }
            if profile != Profile::Quick {
                let key = format!("{} special sparsities", law.name);
                jobs.push(Job::new(key, move |_| special(law)));
            }
        }
        jobs
    }

    fn simulation(&self, _: Profile) -> Vec<Job> {
        Vec::new()
    }

    fn agreements(&self, theory: &Table, _: &Table) -> Vec<Agreement> {
        let mut areas = Identity::new(
            "Δ_IT by equal potentials and by Maxwell's equal areas",
            "thresholds are promised to 1e-6, relatively",
        );
        let mut series = Identity::new(
            "1 - Δ_alg/ρ² = 3/(2 (15 - 6k + k²)), k = E x⁴/ρ²",
            "the next order of the series is smaller by a few times the sparsity; Δ_alg to 1e-9",
        );
        let mut special = Identity::new(
            "the special sparsities: lines meet where they are said to",
            "uncertainties of the sparsities, times slopes of the lines below 10; folds are counted",
        );
        for law in LAWS {
            for row in theory.series(law.name, AREAS) {
                let potentials = theory.value(law.name, KINDS[1].0, row.x);
                areas = areas
                    .point(
                        format!("{} at {:.4}", law.name, row.x),
                        potentials,
                        row.y,
                        1e-6 * row.y,
                    )
                    .control(SHIFT * row.y);
            }
            if let Some(kurtosis) = law.kurtosis {
                let depth = |k: f64| 1.5 / (15.0 - 6.0 * k + k * k);
                let k = kurtosis / SPARSEST;
                let measured = 1.0 - theory.value(law.name, KINDS[0].0, SPARSEST);
                series = series
                    .point(
                        law.name,
                        measured,
                        depth(k),
                        10.0 * SPARSEST * depth(k) + 1e-9,
                    )
                    .control(depth(SHIFT * k));
            }
            for (series, wanted, wrong) in [(BELOW, 2.0, 0.0), (BEYOND, 0.0, 2.0)] {
                for row in theory.series(law.name, series) {
                    special = special
                        .point(format!("{}, {series}", law.name), row.y, wanted, 0.0)
                        .control(wrong);
                }
            }
            for (line, _) in [KINDS[1], KINDS[2]] {
                let there = format!("{line} at ρ²");
                for row in theory.series(law.name, &there) {
                    special = special
                        .point(format!("{}, {there}", law.name), row.y, 1.0, 1e-6)
                        .control(SHIFT);
                }
            }
        }
        let mut agreements = vec![areas.into(), series.into()];
        if !special.points.is_empty() {
            agreements.push(special.into());
        }
        agreements
    }

    fn picture(&self, theory: &Table, _: &Table) -> Picture {
        LAWS.into_iter().fold(Picture::new(3), |picture, law| {
            let mut plot = Plot::new(
                format!("{} spike", law.name),
                Axis::log("fraction of nonzero components ρ").range(SPARSEST, law.densest),
                Axis::log("noise Δ/ρ²").range(0.5, 2e2),
            );
            // The lines end where they merge; a law without a transition at ρ² has none there.
            let fold = theory.series(law.name, FOLD).next();
            let mut curves = KINDS.map(|(name, _)| theory.curve(law.name, name));
            for curve in &mut curves {
                curve.extend(fold.map(|fold| (fold.x, fold.y)));
            }
            let [alg, it, dynamical] = curves;
            let hard = alg
                .iter()
                .zip(&it)
                .map(|((x, low), (_, high))| (*x, *low, *high));
            plot = plot.with(Band::new("hard", hard.collect()).colour(1));
            for (i, (curve, (name, _))) in [dynamical, it, alg]
                .into_iter()
                .zip(KINDS.iter().rev())
                .enumerate()
            {
                let line = Line::new(*name, curve).colour([2, 0, 1][i]);
                plot = plot.with(if i == 0 {
                    line.dash(Dash::Dotted)
                } else {
                    line
                });
            }
            if law.kurtosis.is_some() {
                let weak = vec![(SPARSEST, 1.0), (law.densest, 1.0)];
                plot = plot.with(
                    Line::new("weak recovery, PCA", weak)
                        .colour(BLACK)
                        .dash(Dash::Dashed),
                );
            }
            if let Some(fold) = fold {
                plot = plot.with(Rule::vertical(fold.x, format!("{:.4}", fold.x)).colour(BLACK));
            }
            picture.panel(plot)
        })
    }
}

const BELOW: &str = "folds just below the special sparsity";
const BEYOND: &str = "folds just beyond";

/// The model at noise 1.
fn tree(law: Law, sparsity: f64) -> Result<Tree, ModelError> {
    Chain::new((law.make)(sparsity)?).spiked_wigner(1.0)
}

/// Thresholds over ρ² at one sparsity.
fn lines(law: Law, sparsity: f64, areas: bool) -> Result<Vec<Row>, FigureError> {
    let chain = StateEvolution::new(&tree(law, sparsity)?)?;
    let curve = chain.curve(None)?;
    let unit = sparsity * sparsity;
    let mut rows = Vec::new();
    for threshold in chain.thresholds_on(&curve)?.thresholds {
        if let Some((name, _)) = KINDS.iter().find(|(_, kind)| *kind == threshold.kind) {
            rows.push(Row {
                uncertainty: threshold.uncertainty / unit,
                ..Row::theory(law.name, *name, sparsity, threshold.value / unit)
            });
        }
    }
    if areas {
        for tie in chain.equal_areas(&curve)? {
            rows.push(Row {
                uncertainty: tie.uncertainty / unit,
                ..Row::theory(law.name, AREAS, sparsity, tie.noise / unit)
            });
        }
    }
    Ok(rows)
}

/// Where the fold appears, and where Δ_IT and Δ_dyn cross ρ².
fn special(law: Law) -> Result<Vec<Row>, FigureError> {
    /// Relative distance from which the two sides of a cusp are looked at.
    const ASIDE: f64 = 1e-3;
    let family = |sparsity: f64| tree(law, sparsity);
    let range = (0.6 * law.densest, law.densest);
    let mut rows = Vec::new();
    let find = |kinds| meetings(&family, range, 3, kinds);
    for cusp in find((ThresholdKind::Algorithmic, ThresholdKind::Dynamical))? {
        let unit = cusp.value * cusp.value;
        rows.push(Row {
            uncertainty: cusp.uncertainty,
            ..Row::theory(law.name, FOLD, cusp.value, cusp.noise / unit)
        });
        for (series, side) in [(BELOW, 1.0 - ASIDE), (BEYOND, 1.0 + ASIDE)] {
            let chain = StateEvolution::new(&tree(law, side * cusp.value)?)?;
            let folds = chain.curve(None)?.folds.len();
            rows.push(Row::theory(
                law.name,
                series,
                side * cusp.value,
                folds as f64,
            ));
        }
    }
    for (name, kind) in [KINDS[1], KINDS[2]] {
        for meeting in find((ThresholdKind::WeakRecovery, kind))? {
            let chain = StateEvolution::new(&tree(law, meeting.value)?)?;
            let found = chain.thresholds_on(&chain.curve(None)?)?.thresholds;
            let line = found.iter().find(|t| t.kind == kind);
            // Two lines that meet may be taken for one there.
            let noise = line.map_or(meeting.noise, |t| t.value);
            rows.push(Row {
                uncertainty: meeting.uncertainty,
                ..Row::theory(
                    law.name,
                    format!("{name} at ρ²"),
                    meeting.value,
                    noise / (meeting.value * meeting.value),
                )
            });
        }
    }
    Ok(rows)
}
