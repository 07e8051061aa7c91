//! Everything that the drawing layer can draw, on one page.

use std::fs;

use onsager_figures::drawing::{
    Axis, BLACK, Band, Dash, HeatMap, Histogram, Image, Images, Line, Marker, Picture, Plot,
    Points, Rule,
};

const NAMES: [&str; 8] = [
    "inverse signal-to-noise ratio Δ",
    "mean squared error",
    "iterations",
    "overlap < 1 & rising",
    "aspect ratio α",
    "noise variance Δ",
    "eigenvalue",
    "density",
];

fn grid(count: usize, low: f64, high: f64) -> Vec<f64> {
    (0..count)
        .map(|i| low + (high - low) * i as f64 / (count - 1) as f64)
        .collect()
}

fn lines() -> Plot {
    let xs = grid(200, 0.02, 6.0);
    let mut plot = Plot::new(
        "lines, bands, error bars",
        Axis::linear(NAMES[0]).range(0.0, 6.0),
        Axis::linear(NAMES[1]).range(0.0, 1.08),
    );
    for (index, alpha) in [1.0, 2.0, 4.0].into_iter().enumerate() {
        let curve = |x: f64| (x / (1.0 + alpha)).tanh();
        let band = xs
            .iter()
            .map(|&x| (x, curve(x) - 0.04, curve(x) + 0.04))
            .collect();
        let points = grid(9, 0.4, 5.6)
            .iter()
            .enumerate()
            .map(|(i, &x)| {
                (
                    x,
                    curve(x) + 0.02 * (7.0 * x).sin(),
                    0.012 + 0.004 * i as f64,
                )
            })
            .collect();
        let marker = [Marker::Disc, Marker::Circle, Marker::Square][index];
        plot = plot
            .with(Band::new("", band).colour(index))
            .with(
                Line::new(
                    format!("α = {alpha}"),
                    xs.iter().map(|&x| (x, curve(x))).collect(),
                )
                .colour(index),
            )
            .with(
                Points::new(format!("α = {alpha}"), points)
                    .colour(index)
                    .marker(marker),
            )
            .with(Rule::vertical(1.0 + alpha, format!("Δc = {}", 1.0 + alpha)).colour(index));
    }
    plot.with(Rule::vertical(2.15, "a close label"))
}

fn logarithms() -> Plot {
    let xs = grid(60, 0.0, 5.0);
    let curve = |x: f64| (10f64.powf(x), 0.8 * 10f64.powf(-1.2 * x));
    let points = grid(6, 0.2, 4.8)
        .iter()
        .map(|&x| {
            (
                curve(x).0,
                1.1 * curve(x).1,
                if x > 4.0 { 2.0 } else { 0.3 } * curve(x).1,
            )
        })
        .collect();
    Plot::new(
        "logarithmic scales",
        Axis::log(NAMES[2]),
        Axis::log(NAMES[3]),
    )
    .with(Line::new(
        "prediction",
        xs.iter().map(|&x| curve(x)).collect(),
    ))
    .with(
        Line::new(
            "slope −1",
            xs.iter().map(|&x| (curve(x).0, 1.0 / curve(x).0)).collect(),
        )
        .colour(BLACK)
        .dash(Dash::Dotted),
    )
    .with(
        Points::new("trials", points)
            .colour(1)
            .marker(Marker::Diamond),
    )
    .with(Rule::horizontal(1e-3, "floor").colour(2))
}

fn field() -> Plot {
    let (xs, ys) = (grid(40, 0.05, 3.0), grid(30, 0.1, 5.0));
    let values = ys
        .iter()
        .flat_map(|y| {
            xs.iter().map(move |x| {
                if *x < 0.2 && *y < 0.6 {
                    f64::NAN
                } else {
                    y / (1.0 + x + y)
                }
            })
        })
        .collect();
    let boundary = grid(50, 0.05, 3.0).iter().map(|&x| (x, 1.0 + x)).collect();
    Plot::new(
        "heat map with a line on top",
        Axis::linear(NAMES[4]),
        Axis::linear(NAMES[5]),
    )
    .with(HeatMap::new("mean squared error", xs, ys, values))
    .with(
        Line::new("weak recovery", boundary)
            .colour(1)
            .dash(Dash::Dashed),
    )
}

fn histogram() -> Plot {
    // Quantiles of the semicircle law, so that the bars must follow the curve.
    let quantile = |u: f64| {
        let (mut low, mut high) = (-2.0_f64, 2.0_f64);
        for _ in 0..60 {
            let x = (low + high) / 2.0;
            let below =
                0.5 + (x * (4.0 - x * x).sqrt() / 4.0 + (x / 2.0).asin()) / std::f64::consts::PI;
            if below < u { low = x } else { high = x }
        }
        low
    };
    let sample: Vec<f64> = (0..2000)
        .map(|i| quantile((i as f64 + 0.5) / 2000.0))
        .collect();
    let density = |x: f64| (4.0 - x * x).max(0.0).sqrt() / (2.0 * std::f64::consts::PI);
    Plot::new(
        "histogram with a density",
        Axis::linear(NAMES[6]),
        Axis::linear(NAMES[7]),
    )
    .with(Histogram::of("spectrum, n = 2000", &sample, -2.4, 2.4, 40))
    .with(
        Line::new(
            "semicircle",
            grid(300, -2.4, 2.4)
                .iter()
                .map(|&x| (x, density(x)))
                .collect(),
        )
        .colour(1),
    )
    .with(Rule::vertical(2.0, "edge"))
}

fn images() -> Images {
    let disc = |blur: f64| {
        let pixels: Vec<f64> = (0..784)
            .map(|p| {
                let (row, column) = ((p / 28) as f64 - 13.5, (p % 28) as f64 - 13.5);
                let ring = (row.hypot(column) - 8.0) / blur;
                (-ring * ring).exp() + 0.2 * (3.0 * row * column).sin() / blur
            })
            .collect();
        Image::stretched(28, &pixels)
    };
    let row = |shift: f64| (1..=7).map(|i| disc(shift + i as f64 / 2.0)).collect();
    Images::new(
        "image grid",
        (1..=7).map(|i| format!("Δ = {}", i as f64 / 2.0)),
    )
    .row("spike", row(1.0))
    .row("PCA", row(0.2))
    .row("LAMP", row(3.0))
}

fn picture() -> Picture {
    Picture::new(2)
        .panel(lines())
        .panel(logarithms())
        .panel(field())
        .panel(histogram())
        .panel(images())
        .panel(Plot::new(
            "nothing measured",
            Axis::linear("x"),
            Axis::log("y"),
        ))
}

#[test]
fn gallery_is_well_formed_complete_and_deterministic() {
    let (svg, png) = (picture().svg(), picture().png().expect("a raster image"));
    let folder = std::env::temp_dir().join("onsager-gallery");
    fs::create_dir_all(&folder).expect("a temporary folder");
    fs::write(folder.join("gallery.svg"), &svg).expect("a file");
    fs::write(folder.join("gallery.png"), &png).expect("a file");

    assert_eq!(svg, picture().svg());
    assert_eq!(png, picture().png().expect("a raster image"));
    for name in NAMES {
        let escaped = name.replace('&', "&amp;").replace('<', "&lt;");
        assert!(
            svg.contains(&format!(">{escaped}<")),
            "{name:?} is not a text of the SVG"
        );
    }
    assert_eq!(svg.matches("<image ").count(), 21);
    assert!(
        !svg.contains("NaN") && !svg.contains("inf"),
        "a coordinate has no value"
    );
    assert_balanced(&svg);
    assert_eq!(png.get(..8), Some(&b"\x89PNG\r\n\x1a\n"[..]));
    let colours = distinct_colours(&png);
    // White, ink, grid, seven palette colours with their shades, and the colour map.
    assert!(colours > 100, "only {colours} colours on the page");
}

/// Every element that opens closes, in order.
fn assert_balanced(svg: &str) {
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').expect("every tag ends");
        assert!(
            !text.contains('&') || text.contains(';'),
            "unescaped text {text:?}"
        );
        let name = tag.split_whitespace().next().unwrap_or(tag);
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') && !tag.starts_with(['?', '!']) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

fn distinct_colours(png: &[u8]) -> usize {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png))
        .read_info()
        .expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("a frame");
    let samples = info.color_type.samples();
    let rows = pixels[..info.buffer_size()].chunks(samples);
    rows.collect::<std::collections::HashSet<_>>().len()
}
