//! The runner on a small figure: bytes, interruptions, golden tables, failures.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use onsager_figures::agreement::{Agreement, MeanSeries, Means, Sample};
use onsager_figures::drawing::{Axis, Line, Picture, Plot, Points};
use onsager_figures::{
    Context, Figure, FigureError, Job, Mode, Options, Profile, Row, Summary, Table, reproduce,
};

/// Means of `x² + x/n` plus uniform noise; it counts its points and may stop the run or fail.
#[derive(Default)]
struct Parabola {
    computed: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    stop_after: Option<usize>,
    fail: bool,
    drift: f64,
    mute: bool,
    delay: Duration,
}

const SIZES: [f64; 3] = [250.0, 500.0, 1000.0];
const TRIALS: u64 = 16;

/// A uniform number in [0, 1) from a seed (one round of SplitMix64).
fn uniform(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

fn trials(context: &Context<'_>, x: f64, n: f64) -> Result<Sample, FigureError> {
    let mut values = Vec::new();
    for trial in 0..TRIALS {
        context.check()?;
        let noise = uniform(context.seed(trial, "noise")) - 0.5;
        values.push(x * x + x / n + 0.01 * noise);
    }
    Ok(Sample::of(&values))
}

impl Figure for Parabola {
    fn id(&self) -> &'static str {
        if self.mute { "mute" } else { "parabola" }
    }
    fn title(&self) -> &'static str {
        "Parabola & its means"
    }
    fn source(&self) -> &'static str {
        "Euclid"
    }
    fn claim(&self) -> &'static str {
        "Means of x² with a bias of order 1/n extrapolate to x²."
    }

    fn theory(&self, profile: Profile) -> Vec<Job> {
        let drift = self.drift;
        (1..=profile.pick(4, 8, 16))
            .map(|i| {
                let x = f64::from(i) / 4.0;
                Job::new(format!("theory x={x}"), move |_| {
                    let shifted = (1.05 * x).powi(2);
                    Ok(vec![
                        Row::theory("main", "theory", x, x * x + drift),
                        Row::theory("main", "shifted", x, shifted),
                    ])
                })
            })
            .collect()
    }

    fn simulation(&self, profile: Profile) -> Vec<Job> {
        let mut jobs = Vec::new();
        for i in 1..=profile.pick(4, 8, 16) {
            for n in SIZES {
                let x = f64::from(i) / 4.0;
                let (computed, stop) = (self.computed.clone(), self.stop.clone());
                let (stop_after, fail, delay) = (self.stop_after, self.fail, self.delay);
                jobs.push(Job::new(
                    format!("x={x} n={n} trials={TRIALS}"),
                    move |context| {
                        if fail {
                            return Err(FigureError::computation(std::fmt::Error));
                        }
                        std::thread::sleep(delay);
                        let sample = trials(context, x, n)?;
                        if Some(computed.fetch_add(1, Ordering::SeqCst) + 1) == stop_after {
                            stop.store(true, Ordering::SeqCst);
                        }
                        Ok(vec![Row::measured("main", format!("n = {n}"), x, sample)])
                    },
                ));
            }
        }
        jobs
    }

    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement> {
        if self.mute {
            return Vec::new();
        }
        let series = MeanSeries {
            panel: "main",
            sizes: SIZES,
            theory: ["theory"; 3],
            simulation: ["n = 250", "n = 500", "n = 1000"],
            shifted: "shifted",
        };
        vec![
            Means::new("means", 1.0)
                .series(theory, simulation, series, |_| true)
                .into(),
        ]
    }

    fn picture(&self, theory: &Table, simulation: &Table) -> Picture {
        Picture::new(1).panel(
            Plot::new("", Axis::linear("x"), Axis::linear("x²"))
                .with(Line::new("theory", theory.curve("main", "theory")))
                .with(Points::new(
                    "n = 1000",
                    simulation.points("main", "n = 1000"),
                )),
        )
    }
}

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("onsager-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn options(out: &Path, mode: Mode, jobs: usize) -> Options {
    Options {
        figures: Vec::new(),
        profile: Some(Profile::Quick),
        seed: 7,
        out: out.join("out"),
        jobs,
        mode,
        golden: out.join("golden"),
        commit: None,
    }
}

fn run(figure: &Parabola, options: &Options) -> Result<Summary, FigureError> {
    reproduce(&[figure], options, &figure.stop)
}

/// All files of a run but timings and cached points.
fn bytes(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in [out.join("out"), out.join("out/parabola")] {
        for entry in fs::read_dir(folder).expect("a folder of results") {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            if path.is_file() && name != "timing.json" {
                files.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    files
}

#[test]
fn threads_and_interruptions_change_no_byte() {
    let (one, two, cut) = (Folder::new("one"), Folder::new("two"), Folder::new("cut"));
    let figure = Parabola::default();
    assert!(
        run(&figure, &options(&one.0, Mode::Run, 1))
            .expect("a run")
            .held
    );
    assert!(
        run(&figure, &options(&two.0, Mode::Run, 2))
            .expect("a run")
            .held
    );
    let expected = bytes(&one.0);
    let names: Vec<_> = expected.keys().map(String::as_str).collect();
    let all = [
        "figure.json",
        "figure.png",
        "figure.svg",
        "index.html",
        "simulation.csv",
        "theory.csv",
    ];
    assert_eq!(names, all);
    assert_eq!(expected, bytes(&two.0));

    // Stopped after the fifth of twelve points: no table appears, and five points are not repeated.
    let stopped = Parabola {
        stop_after: Some(5),
        ..Parabola::default()
    };
    let result = run(&stopped, &options(&cut.0, Mode::Run, 1));
    assert!(
        matches!(result, Err(FigureError::Interrupted)),
        "{result:?}"
    );
    assert!(!cut.0.join("out/parabola/simulation.csv").exists());
    let resumed = Parabola::default();
    assert!(
        run(&resumed, &options(&cut.0, Mode::Run, 2))
            .expect("a run")
            .held
    );
    assert_eq!(resumed.computed.load(Ordering::SeqCst), 7);
    assert_eq!(expected, bytes(&cut.0));

    // What a crash may leave behind, half a point and a temporary file, changes nothing either.
    let points = cut.0.join("out/parabola/points");
    let point = fs::read_dir(&points)
        .expect("points")
        .next()
        .expect("one")
        .expect("one")
        .path();
    fs::write(&point, "panel,ser").expect("a file");
    fs::write(points.join("x.csv.1.tmp"), "panel").expect("a file");
    assert!(
        run(&Parabola::default(), &options(&cut.0, Mode::Run, 2))
            .expect("a run")
            .held
    );
    assert_eq!(expected, bytes(&cut.0));
}

#[test]
fn a_point_is_repeated_only_if_its_key_changes() {
    let folder = Folder::new("key");
    let figure = Parabola::default();
    let first = options(&folder.0, Mode::Run, 2);
    run(&figure, &first).expect("a run");
    run(&figure, &first).expect("a run");
    assert_eq!(figure.computed.load(Ordering::SeqCst), 12);
    run(
        &figure,
        &Options {
            seed: 8,
            ..first.clone()
        },
    )
    .expect("a run");
    assert_eq!(figure.computed.load(Ordering::SeqCst), 24);
    // The profile is part of the key, so that no point depends on the order of runs.
    run(
        &figure,
        &Options {
            profile: Some(Profile::Standard),
            ..first
        },
    )
    .expect("a run");
    assert_eq!(figure.computed.load(Ordering::SeqCst), 48);
}

#[test]
fn seeds_are_distinct_and_fixed() {
    let folder = Folder::new("seed");
    let job = |purpose: &'static str| {
        Job::new(purpose, move |context: &Context<'_>| {
            let seed = context.seed_of("shared", 3, "teacher");
            Ok(vec![Row::theory(
                "main",
                purpose,
                context.seed(0, "noise") as f64,
                seed as f64,
            )])
        })
    };
    struct Seeds<F>(F);
    impl<F: Fn(&'static str) -> Job + Sync> Figure for Seeds<F> {
        fn id(&self) -> &'static str {
            "seeds"
        }
        fn title(&self) -> &'static str {
            ""
        }
        fn source(&self) -> &'static str {
            ""
        }
        fn claim(&self) -> &'static str {
            ""
        }
        fn theory(&self, _: Profile) -> Vec<Job> {
            vec![(self.0)("a"), (self.0)("b")]
        }
        fn simulation(&self, _: Profile) -> Vec<Job> {
            Vec::new()
        }
        fn agreements(&self, _: &Table, _: &Table) -> Vec<Agreement> {
            Vec::new()
        }
        fn picture(&self, _: &Table, _: &Table) -> Picture {
            Picture::new(1)
        }
    }
    let figure = Seeds(job);
    let options = options(&folder.0, Mode::TheoryOnly, 1);
    reproduce(&[&figure], &options, &AtomicBool::new(false)).expect("a run");
    let table = Table::read(&folder.0.join("out/seeds/theory.csv")).expect("a table");
    let [a, b] = table.rows() else {
        panic!("two rows, got {table:?}")
    };
    assert_ne!(a.x, b.x, "two points share a stream");
    assert_eq!(a.y, b.y, "a shared instance differs");
}

#[test]
fn golden_tables_notice_drift() {
    let folder = Folder::new("golden");
    let (same, moved) = (
        Parabola::default(),
        Parabola {
            drift: 1e-6,
            ..Parabola::default()
        },
    );
    let golden = |mode| options(&folder.0, mode, 1);
    let held = |figure, mode| run(figure, &golden(mode)).expect("a comparison").held;
    assert!(
        !held(&same, Mode::Check),
        "a missing golden table must fail"
    );
    assert!(held(&same, Mode::Bless));
    assert!(held(&same, Mode::Check));
    assert!(
        !held(&moved, Mode::Check),
        "a drift of 1e-6 must be noticed"
    );
    assert!(
        !folder.0.join("out").exists(),
        "a check must not write results"
    );
    assert_eq!(
        same.computed.load(Ordering::SeqCst),
        0,
        "a check must not simulate"
    );
}

#[test]
fn redraw_needs_no_simulation_and_theory_alone_judges_nothing() {
    let folder = Folder::new("redraw");
    let figure = Parabola::default();
    let missing = run(&figure, &options(&folder.0, Mode::Redraw, 1)).expect("a summary");
    assert!(!missing.held && missing.failures.len() == 1);
    run(&figure, &options(&folder.0, Mode::Run, 1)).expect("a run");
    let before = bytes(&folder.0);
    fs::remove_file(folder.0.join("out/parabola/figure.svg")).expect("a file");
    assert!(
        run(&figure, &options(&folder.0, Mode::Redraw, 1))
            .expect("a redraw")
            .held
    );
    assert_eq!(figure.computed.load(Ordering::SeqCst), 12);
    assert_eq!(before, bytes(&folder.0));
    let theory = run(&figure, &options(&folder.0, Mode::TheoryOnly, 1)).expect("theory");
    assert!(theory.held && theory.records[0].verdicts.is_empty());
}

#[test]
fn what_is_unknown_fails_or_asserts_nothing_does_not_hold() {
    let folder = Folder::new("fail");
    let unknown = Options {
        figures: vec!["circle".to_owned()],
        ..options(&folder.0, Mode::Run, 1)
    };
    let message = run(&Parabola::default(), &unknown)
        .expect_err("an error")
        .to_string();
    assert_eq!(message, "figure must be one of parabola, got \"circle\"");
    let message = "fast".parse::<Profile>().expect_err("an error").to_string();
    assert_eq!(
        message,
        "profile must be quick, standard or paper, got \"fast\""
    );

    let (failing, mute) = (
        Parabola {
            fail: true,
            ..Parabola::default()
        },
        Parabola {
            mute: true,
            ..Parabola::default()
        },
    );
    let options = options(&folder.0, Mode::Run, 2);
    let summary = reproduce(&[&failing, &mute], &options, &mute.stop).expect("a summary");
    assert_eq!(
        (summary.failures.len(), summary.records.len(), summary.held),
        (1, 1, false)
    );
    let message = summary.failures[0].to_string();
    assert!(
        message.starts_with("figure parabola, point \"x=0.25 n=250 trials=16\": "),
        "{message}"
    );
    let summary = reproduce(&[&mute], &options, &mute.stop).expect("a summary");
    assert!(!summary.held, "a figure without agreements must not hold");
}

#[test]
fn tables_return_bit_by_bit() {
    let values = [
        0.1,
        -0.0,
        1e-308,
        5e-324,
        f64::MAX,
        1.0 / 3.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    let rows = values.map(|value| Row {
        uncertainty: value / 7.0,
        trials: u64::MAX,
        ..Row::theory("a \"quoted\", panel", "Δ = 1\nα", value, -value)
    });
    let table = Table::new(rows.to_vec());
    let csv = table.to_csv().expect("bytes");
    let read = Table::from_csv(&csv).expect("a table");
    assert_eq!(read, table);
    for (a, b) in read.rows().iter().zip(table.rows()) {
        assert_eq!(
            (a.x.to_bits(), a.y.to_bits()),
            (b.x.to_bits(), b.y.to_bits())
        );
    }
    let nan = Table::new(vec![Row::theory("", "", f64::NAN, 1.0)]);
    assert!(
        Table::from_csv(&nan.to_csv().expect("bytes"))
            .expect("a table")
            .rows()[0]
            .x
            .is_nan()
    );
    assert_eq!(
        Table::new(Vec::new()).to_csv().expect("bytes"),
        b"panel,series,x,y,uncertainty,trials\n"
    );
    assert!(
        Table::from_csv(b"panel,series,x\na,b,1\n").is_err(),
        "a missing column must fail"
    );
}

/// Files of finished simulation points.
fn finished(out: &Path) -> usize {
    let points = fs::read_dir(out.join("out/parabola/points"))
        .into_iter()
        .flatten();
    let csv = points.filter_map(|entry| Some(entry.ok()?.path()));
    csv.filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .filter(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("n = ")))
        .count()
}

/// Names the folder in which the child of the next test works.
const CHILD: &str = "ONSAGER_FIGURES_TEST_CHILD";

#[test]
fn a_killed_run_loses_no_finished_point() {
    let slow = Parabola {
        delay: Duration::from_millis(100),
        ..Parabola::default()
    };
    if let Some(folder) = std::env::var_os(CHILD) {
        // The child: slow enough to be killed in the middle.
        run(&slow, &options(Path::new(&folder), Mode::Run, 1)).expect("a run");
        return;
    }
    let (killed, whole) = (Folder::new("killed"), Folder::new("whole"));
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "a_killed_run_loses_no_finished_point", "--quiet"])
        .env(CHILD, &killed.0)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("a child");
    while finished(&killed.0) < 3 && child.try_wait().expect("a state").is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("a killed child");
    child.wait().expect("an ended child");
    let kept = finished(&killed.0);
    assert!(
        (3..12).contains(&kept),
        "the child was to be killed in the middle, {kept} points"
    );

    let figure = Parabola::default();
    assert!(
        run(&figure, &options(&killed.0, Mode::Run, 2))
            .expect("a run")
            .held
    );
    assert_eq!(figure.computed.load(Ordering::SeqCst), 12 - kept);
    run(&Parabola::default(), &options(&whole.0, Mode::Run, 1)).expect("a run");
    assert_eq!(bytes(&killed.0), bytes(&whole.0));
}
