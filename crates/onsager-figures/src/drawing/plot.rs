//! Axes with layers.

use super::Dash;
use super::axis::{Axis, Span};
use super::canvas::{Anchor, Canvas, FAINT, Frame, INK, palette, text_width};
use super::layer::{HeatMap, Layer, Rule};
use super::page::{Size, heading};

/// Axes with layers, drawn in the order in which they were added.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    title: String,
    x: Axis,
    y: Axis,
    layers: Vec<Layer>,
}

impl Plot {
    /// Empty axes under a title.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self {
            title: title.into(),
            x,
            y,
            layers: Vec::new(),
        }
    }

    /// Adds a layer.
    pub fn with(mut self, layer: impl Into<Layer>) -> Self {
        self.layers.push(layer.into());
        self
    }
}

/// The area of the data; everything else stands around it.
const WIDTH: f64 = 330.0;
const HEIGHT: f64 = 230.0;
/// Ticks, their numbers and the name of the ordinate.
const LEFT: f64 = 66.0;
/// Half of the last number of the abscissa.
const RIGHT: f64 = 16.0;
/// Ticks, their numbers and the name of the abscissa.
const BOTTOM: f64 = 44.0;
const TITLE: f64 = 24.0;
/// One line of the legend, or of labels of vertical rules.
const LINE: f64 = 17.0;
/// Colour bar, its numbers and its name.
const COLOUR_BAR: f64 = 78.0;

const TEXT: u32 = 12;
const NUMBERS: u32 = 11;
const HEADING: u32 = 13;

impl Plot {
    pub(super) fn size(&self) -> Size {
        let spans = self.spans();
        Size {
            width: LEFT + WIDTH + self.right(),
            height: self.top(&spans) + HEIGHT + BOTTOM + LINE * self.legend().len() as f64,
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, corner: (f64, f64), letter: Option<String>) {
        let spans = self.spans();
        let frame = Frame {
            left: corner.0 + LEFT,
            top: corner.1 + self.top(&spans),
            width: WIDTH,
            height: HEIGHT,
        };
        let view = View {
            frame,
            x: spans.0,
            y: spans.1,
        };
        canvas.text(
            (frame.left, corner.1 + HEADING as f64),
            Anchor::Start,
            HEADING,
            &heading(letter, &self.title),
        );
        let filled = self
            .layers
            .iter()
            .any(|layer| matches!(layer, Layer::HeatMap(_)));
        if !filled {
            view.grid(canvas);
        }
        for layer in &self.layers {
            view.layer(canvas, layer);
        }
        if view.x.empty || view.y.empty {
            let centre = (frame.left + WIDTH / 2.0, frame.top + HEIGHT / 2.0);
            canvas.coloured_text(centre, Anchor::Middle, TEXT, "no data yet", "#888888");
        }
        view.axes(canvas, &self.x.name, &self.y.name);
        for (rule, level) in self.placed_rules(&spans) {
            view.rule_label(canvas, rule, level);
        }
        for rule in self.rules(false) {
            view.horizontal_rule_label(canvas, rule);
        }
        if let Some(map) = self.heat_map() {
            view.colour_bar(canvas, map);
        }
        self.draw_legend(canvas, corner.0, frame);
    }

    fn spans(&self) -> (Span, Span) {
        let (mut xs, mut ys) = (Vec::new(), Vec::new());
        for layer in &self.layers {
            layer.extent(&mut xs, &mut ys);
        }
        let filled = self.heat_map().is_some();
        // Cells and bars reach the frame; lines and points keep clear of it.
        let margin = if filled { 0.0 } else { 0.04 };
        (
            self.x.over(xs.into_iter(), margin),
            self.y.over(ys.into_iter(), margin),
        )
    }

    fn heat_map(&self) -> Option<&HeatMap> {
        self.layers.iter().find_map(|layer| match layer {
            Layer::HeatMap(map) => Some(map),
            _ => None,
        })
    }

    fn rules(&self, vertical: bool) -> impl Iterator<Item = &Rule> {
        self.layers.iter().filter_map(move |layer| match layer {
            Layer::Rule(rule) if rule.vertical == vertical && !rule.label.is_empty() => Some(rule),
            _ => None,
        })
    }

    /// Vertical rules with the line on which their label stands, 0 nearest to the frame.
    fn placed_rules(&self, spans: &(Span, Span)) -> Vec<(&Rule, usize)> {
        let mut rules: Vec<_> = self
            .rules(true)
            .map(|rule| (rule, spans.0.fraction(rule.at)))
            .filter(|(_, at)| (0.0..=1.0).contains(at))
            .collect();
        rules.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut ends: Vec<f64> = Vec::new();
        let mut placed = Vec::new();
        for (rule, at) in rules {
            let half = text_width(&rule.label, NUMBERS) / 2.0;
            let (start, end) = (at * WIDTH - half, at * WIDTH + half + 6.0);
            let level = ends
                .iter()
                .position(|&end| end <= start)
                .unwrap_or(ends.len());
            if level == ends.len() {
                ends.push(end);
            } else {
                ends[level] = end;
            }
            placed.push((rule, level));
        }
        placed
    }

    fn top(&self, spans: &(Span, Span)) -> f64 {
        let levels = self
            .placed_rules(spans)
            .iter()
            .map(|(_, level)| level + 1)
            .max();
        TITLE + LINE * levels.unwrap_or(0) as f64
    }

    fn right(&self) -> f64 {
        let labels = self
            .rules(false)
            .map(|rule| text_width(&rule.label, NUMBERS) + 10.0);
        let bar = if self.heat_map().is_some() {
            COLOUR_BAR
        } else {
            RIGHT
        };
        labels.fold(bar, f64::max)
    }

    /// Lines of the legend: layers of the same name and colour share an entry.
    fn legend(&self) -> Vec<Vec<Entry<'_>>> {
        let mut entries: Vec<Entry<'_>> = Vec::new();
        for layer in &self.layers {
            let Some((name, colour)) = layer.name() else {
                continue;
            };
            match entries
                .iter_mut()
                .find(|entry| entry.name == name && entry.colour == colour)
            {
                Some(entry) => entry.layers.push(layer),
                None => entries.push(Entry {
                    name,
                    colour,
                    layers: vec![layer],
                }),
            }
        }
        let available = LEFT + WIDTH + self.right() - LEFT / 2.0;
        let mut lines: Vec<Vec<Entry<'_>>> = Vec::new();
        let mut left = 0.0;
        for entry in entries {
            let width = entry.width();
            if width > left || lines.is_empty() {
                lines.push(Vec::new());
                left = available;
            }
            left -= width;
            if let Some(line) = lines.last_mut() {
                line.push(entry);
            }
        }
        lines
    }

    fn draw_legend(&self, canvas: &mut Canvas, left: f64, frame: Frame) {
        for (row, line) in self.legend().into_iter().enumerate() {
            let y = frame.bottom() + BOTTOM + LINE * row as f64 + LINE / 2.0;
            let width: f64 = line.iter().map(Entry::width).sum();
            let middle = frame.left + frame.width / 2.0;
            let mut x = (middle - width / 2.0).max(left);
            for entry in line {
                for layer in &entry.layers {
                    layer.sample(canvas, x, y);
                }
                canvas.text(
                    (x + SAMPLE + 6.0, y + f64::from(NUMBERS) * 0.36),
                    Anchor::Start,
                    NUMBERS,
                    entry.name,
                );
                x += entry.width();
            }
        }
    }
}

/// Length of the sample of a layer in the legend.
const SAMPLE: f64 = 22.0;

struct Entry<'a> {
    name: &'a str,
    colour: usize,
    layers: Vec<&'a Layer>,
}

impl Entry<'_> {
    fn width(&self) -> f64 {
        SAMPLE + 6.0 + text_width(self.name, NUMBERS) + 14.0
    }
}

impl Layer {
    fn name(&self) -> Option<(&str, usize)> {
        let (name, colour, is_empty) = match self {
            Self::Line(line) => (&line.name, line.colour, line.points.is_empty()),
            Self::Band(band) => (&band.name, band.colour, band.points.is_empty()),
            Self::Points(points) => (&points.name, points.colour, points.points.is_empty()),
            Self::Histogram(bars) => (&bars.name, bars.colour, bars.densities.is_empty()),
            Self::Rule(_) | Self::HeatMap(_) => return None,
        };
        (!name.is_empty() && !is_empty).then_some((name, colour))
    }

    /// All coordinates that the axes must reach.
    fn extent(&self, xs: &mut Vec<f64>, ys: &mut Vec<f64>) {
        match self {
            Self::Line(line) => {
                let finite = line
                    .points
                    .iter()
                    .filter(|(x, y)| x.is_finite() && y.is_finite());
                for (x, y) in finite {
                    xs.push(*x);
                    ys.push(*y);
                }
            }
            Self::Band(band) => {
                for &(x, low, high) in &band.points {
                    xs.push(x);
                    ys.extend([low, high]);
                }
            }
            Self::Points(points) => {
                for &(x, y, error) in &points.points {
                    xs.push(x);
                    ys.extend([y, y - error, y + error]);
                }
            }
            Self::Rule(rule) if rule.vertical => xs.push(rule.at),
            Self::Rule(rule) => ys.push(rule.at),
            Self::HeatMap(map) => {
                xs.extend(edges(&map.x));
                ys.extend(edges(&map.y));
            }
            Self::Histogram(histogram) => {
                xs.extend(&histogram.edges);
                ys.extend(&histogram.densities);
                ys.push(0.0);
            }
        }
    }

    /// What stands before the name in the legend.
    fn sample(&self, canvas: &mut Canvas, x: f64, y: f64) {
        let box_ = Frame {
            left: x,
            top: y - 4.5,
            width: SAMPLE,
            height: 9.0,
        };
        match self {
            Self::Line(line) => {
                let ends = [(x, y), (x + SAMPLE, y)];
                canvas.curve(&ends, &box_, line.dash, palette(line.colour), STROKE);
            }
            Self::Band(band) => {
                let corners = [
                    (x, box_.top),
                    (box_.right(), box_.top),
                    (box_.right(), box_.bottom()),
                    (x, box_.bottom()),
                ];
                canvas.polygon(&corners, palette(band.colour), BAND);
            }
            Self::Points(points) => {
                let centre = (x + SAMPLE / 2.0, y);
                canvas.marker(centre, points.marker, palette(points.colour));
            }
            Self::Histogram(histogram) => {
                canvas.rectangle(
                    box_,
                    &pale(histogram.colour),
                    Some(palette(histogram.colour)),
                );
            }
            Self::Rule(_) | Self::HeatMap(_) => {}
        }
    }
}

/// Width of curves.
const STROKE: f64 = 1.7;
/// Opacity of bands.
const BAND: f64 = 0.22;

/// A palette colour mixed with white, for areas that carry an outline.
fn pale(colour: usize) -> String {
    let channel = |from: usize| {
        let text = palette(colour).get(from..from + 2).unwrap_or("00");
        let value = u32::from_str_radix(text, 16).unwrap_or(0);
        (value + 2 * 255) / 3
    };
    format!("#{:02x}{:02x}{:02x}", channel(1), channel(3), channel(5))
}

/// Data coordinates on a frame.
struct View {
    frame: Frame,
    x: Span,
    y: Span,
}

impl View {
    fn place(&self, x: f64, y: f64) -> (f64, f64) {
        (
            self.frame.left + self.x.fraction(x) * self.frame.width,
            self.frame.bottom() - self.y.fraction(y) * self.frame.height,
        )
    }

    fn grid(&self, canvas: &mut Canvas) {
        let frame = &self.frame;
        for tick in self
            .x
            .ticks(X_TICKS)
            .iter()
            .filter(|tick| tick.text.is_some())
        {
            let x = frame.left + tick.at * frame.width;
            canvas.segment((x, frame.top), (x, frame.bottom()), FAINT, 0.8);
        }
        for tick in self
            .y
            .ticks(Y_TICKS)
            .iter()
            .filter(|tick| tick.text.is_some())
        {
            let y = frame.bottom() - tick.at * frame.height;
            canvas.segment((frame.left, y), (frame.right(), y), FAINT, 0.8);
        }
    }

    fn axes(&self, canvas: &mut Canvas, x_name: &str, y_name: &str) {
        let frame = &self.frame;
        let corners = [
            (frame.left, frame.top),
            (frame.right(), frame.top),
            (frame.right(), frame.bottom()),
            (frame.left, frame.bottom()),
        ];
        for side in 0..4 {
            canvas.segment(corners[side], corners[(side + 1) % 4], INK, 0.9);
        }
        for tick in self.x.ticks(X_TICKS) {
            let x = frame.left + tick.at * frame.width;
            let length = if tick.text.is_some() { 4.5 } else { 2.5 };
            canvas.segment((x, frame.bottom()), (x, frame.bottom() + length), INK, 0.9);
            if let Some(text) = tick.text {
                canvas.text((x, frame.bottom() + 17.0), Anchor::Middle, NUMBERS, &text);
            }
        }
        for tick in self.y.ticks(Y_TICKS) {
            let y = frame.bottom() - tick.at * frame.height;
            let length = if tick.text.is_some() { 4.5 } else { 2.5 };
            canvas.segment((frame.left - length, y), (frame.left, y), INK, 0.9);
            if let Some(text) = tick.text {
                let baseline = y + f64::from(NUMBERS) * 0.36;
                canvas.text((frame.left - 7.0, baseline), Anchor::End, NUMBERS, &text);
            }
        }
        let middle = frame.left + frame.width / 2.0;
        canvas.text(
            (middle, frame.bottom() + 36.0),
            Anchor::Middle,
            TEXT,
            x_name,
        );
        let middle = frame.top + frame.height / 2.0;
        canvas.upward_text((frame.left - LEFT + 14.0, middle), TEXT, y_name);
    }

    fn layer(&self, canvas: &mut Canvas, layer: &Layer) {
        let frame = &self.frame;
        match layer {
            Layer::Line(line) => {
                let points: Vec<_> = line.points.iter().map(|&(x, y)| self.place(x, y)).collect();
                canvas.curve(&points, frame, line.dash, palette(line.colour), STROKE);
            }
            Layer::Band(band) => self.band(canvas, &band.points, palette(band.colour)),
            Layer::Points(points) => {
                let colour = palette(points.colour);
                for &(x, y, error) in &points.points {
                    let centre = self.place(x, y);
                    let bar = [self.place(x, y - error), self.place(x, y + error)];
                    if !frame.contains(centre) {
                        continue;
                    }
                    if error > 0.0 {
                        self.error_bar(canvas, centre, bar, colour);
                    }
                    canvas.marker(centre, points.marker, colour);
                }
            }
            Layer::Rule(rule) => {
                let (x, y) = self.place(rule.at, rule.at);
                let ends = if rule.vertical {
                    [(x, frame.bottom()), (x, frame.top)]
                } else {
                    [(frame.left, y), (frame.right(), y)]
                };
                canvas.curve(&ends, frame, Dash::Dashed, palette(rule.colour), 1.1);
            }
            Layer::HeatMap(map) => self.heat_map(canvas, map),
            Layer::Histogram(histogram) => {
                for (edges, density) in histogram.edges.windows(2).zip(&histogram.densities) {
                    let (left, top) = self.place(edges[0], *density);
                    let (right, bottom) = self.place(edges[1], 0.0);
                    let bar = Frame {
                        left,
                        top,
                        width: right - left,
                        height: bottom - top,
                    };
                    if frame.contains((left, top))
                        && frame.contains((right, bottom))
                        && bar.height > 0.0
                    {
                        let colour = histogram.colour;
                        canvas.rectangle(bar, &pale(colour), Some(palette(colour)));
                    }
                }
            }
        }
    }

    /// Pieces of a band between points that are not finite; what leaves the frame is cut off.
    fn band(&self, canvas: &mut Canvas, points: &[(f64, f64, f64)], colour: &str) {
        let frame = &self.frame;
        let inside = |y: f64| {
            if y.is_nan() {
                frame.bottom()
            } else {
                y.clamp(frame.top, frame.bottom())
            }
        };
        let usable = |&(x, low, high): &(f64, f64, f64)| {
            let at = self.x.fraction(x);
            (0.0..=1.0).contains(&at) && !low.is_nan() && !high.is_nan()
        };
        for piece in points
            .split(|point| !usable(point))
            .filter(|piece| piece.len() > 1)
        {
            let lower = piece.iter().map(|&(x, low, _)| self.place(x, low));
            let upper = piece.iter().rev().map(|&(x, _, high)| self.place(x, high));
            let outline: Vec<_> = lower.chain(upper).map(|(x, y)| (x, inside(y))).collect();
            canvas.polygon(&outline, colour, BAND);
        }
    }

    fn error_bar(
        &self,
        canvas: &mut Canvas,
        (x, _): (f64, f64),
        bar: [(f64, f64); 2],
        colour: &str,
    ) {
        const CAP: f64 = 2.6;
        let frame = &self.frame;
        // A bar that reaches below zero on a logarithmic axis has no end there.
        let low = if bar[0].1.is_nan() {
            frame.bottom()
        } else {
            bar[0].1.min(frame.bottom())
        };
        let high = bar[1].1.max(frame.top);
        canvas.segment((x, low), (x, high), colour, 1.1);
        for y in [low, high] {
            canvas.segment((x - CAP, y), (x + CAP, y), colour, 1.1);
        }
    }

    fn heat_map(&self, canvas: &mut Canvas, map: &HeatMap) {
        let (low, high) = map.ends();
        let (xs, ys) = (edges(&map.x), edges(&map.y));
        let frame = &self.frame;
        let mut tiles = Vec::new();
        for (j, y) in ys.windows(2).enumerate() {
            for (i, x) in xs.windows(2).enumerate() {
                let (left, top) = self.place(x[0], y[1]);
                let (right, bottom) = self.place(x[1], y[0]);
                let (left, right) = (left.max(frame.left), right.min(frame.right()));
                let (top, bottom) = (top.max(frame.top), bottom.min(frame.bottom()));
                if !(right > left && bottom > top) {
                    continue;
                }
                let value = map
                    .values
                    .get(j * map.x.len() + i)
                    .copied()
                    .unwrap_or(f64::NAN);
                if value.is_nan() {
                    continue;
                }
                // Neighbours overlap by a hair, so that no light line shows between them.
                let width = (right - left + 0.5).min(frame.right() - left);
                let height = (bottom - top + 0.5).min(frame.bottom() - top);
                let tile = Frame {
                    left,
                    top,
                    width,
                    height,
                };
                tiles.push((tile, viridis((value - low) / (high - low))));
            }
        }
        canvas.mosaic(&tiles);
    }

    fn colour_bar(&self, canvas: &mut Canvas, map: &HeatMap) {
        const STEPS: usize = 128;
        let (low, high) = map.ends();
        let bar = Frame {
            left: self.frame.right() + 12.0,
            width: 12.0,
            ..self.frame
        };
        let step = bar.height / STEPS as f64;
        let tiles: Vec<_> = (0..STEPS)
            .map(|index| {
                let top = bar.bottom() - step * (index + 1) as f64;
                let tile = Frame {
                    top,
                    height: step,
                    ..bar
                };
                (tile, viridis((index as f64 + 0.5) / STEPS as f64))
            })
            .collect();
        canvas.mosaic(&tiles);
        canvas.rectangle(bar, "none", Some(INK));
        let axis = Axis::linear("")
            .range(low, high)
            .over(std::iter::empty(), 0.0);
        let mut widest = 0.0_f64;
        for tick in axis.ticks(Y_TICKS) {
            let y = bar.bottom() - tick.at * bar.height;
            canvas.segment((bar.right(), y), (bar.right() + 3.5, y), INK, 0.9);
            if let Some(text) = tick.text {
                let baseline = y + f64::from(NUMBERS) * 0.36;
                canvas.text((bar.right() + 6.0, baseline), Anchor::Start, NUMBERS, &text);
                widest = widest.max(text_width(&text, NUMBERS));
            }
        }
        let middle = bar.top + bar.height / 2.0;
        canvas.upward_text((bar.right() + widest + 22.0, middle), TEXT, &map.name);
    }

    fn rule_label(&self, canvas: &mut Canvas, rule: &Rule, level: usize) {
        let x = self.frame.left + self.x.fraction(rule.at) * self.frame.width;
        let y = self.frame.top - 5.0 - LINE * level as f64;
        canvas.coloured_text(
            (x, y),
            Anchor::Middle,
            NUMBERS,
            &rule.label,
            palette(rule.colour),
        );
    }
}

impl View {
    fn horizontal_rule_label(&self, canvas: &mut Canvas, rule: &Rule) {
        let at = self.y.fraction(rule.at);
        if (0.0..=1.0).contains(&at) {
            let y = self.frame.bottom() - at * self.frame.height + f64::from(NUMBERS) * 0.36;
            let place = (self.frame.right() + 6.0, y);
            canvas.coloured_text(
                place,
                Anchor::Start,
                NUMBERS,
                &rule.label,
                palette(rule.colour),
            );
        }
    }
}

/// Ticks wanted on the abscissa and on the ordinate.
const X_TICKS: usize = 6;
const Y_TICKS: usize = 5;

impl HeatMap {
    fn ends(&self) -> (f64, f64) {
        let finite = || {
            self.values
                .iter()
                .copied()
                .filter(|value| value.is_finite())
        };
        let (low, high) = self.range.unwrap_or_else(|| {
            (
                finite().fold(f64::INFINITY, f64::min),
                finite().fold(f64::NEG_INFINITY, f64::max),
            )
        });
        // One value, or none, still needs a bar.
        if low < high {
            (low, high)
        } else if low == high {
            (low - 0.5, low + 0.5)
        } else {
            (0.0, 1.0)
        }
    }
}

/// Edges of cells around increasing centres: half-way between neighbours, in proportion if all are
/// positive and spaced so.
fn edges(centres: &[f64]) -> Vec<f64> {
    let n = centres.len();
    if n < 2 {
        return centres.iter().flat_map(|x| [x - 0.5, x + 0.5]).collect();
    }
    let (first, last) = (centres[1] - centres[0], centres[n - 1] - centres[n - 2]);
    // On a logarithmic grid the last step is longer than the first by the ratio of the ends.
    let geometric = centres[0] > 0.0
        && (last / first - centres[n - 2] / centres[0]).abs() < 0.01 * last / first
        && last / first > 1.1;
    let between = |a: f64, b: f64| {
        if geometric {
            (a * b).sqrt()
        } else {
            (a + b) / 2.0
        }
    };
    let outside = |end: f64, inner: f64| {
        if geometric {
            end * (end / inner).sqrt()
        } else {
            end + (end - inner) / 2.0
        }
    };
    let mut edges = vec![outside(centres[0], centres[1])];
    edges.extend(centres.windows(2).map(|pair| between(pair[0], pair[1])));
    edges.push(outside(centres[n - 1], centres[n - 2]));
    edges
}

/// The colour map viridis between nine of its colours; what has no value is grey.
fn viridis(value: f64) -> (u8, u8, u8) {
    const KNOTS: [(f64, f64, f64); 9] = [
        (68.0, 1.0, 84.0),
        (71.0, 44.0, 122.0),
        (59.0, 81.0, 139.0),
        (44.0, 113.0, 142.0),
        (33.0, 144.0, 141.0),
        (39.0, 173.0, 129.0),
        (92.0, 200.0, 99.0),
        (170.0, 220.0, 50.0),
        (253.0, 231.0, 37.0),
    ];
    if value.is_nan() {
        return (200, 200, 200);
    }
    let position = value.clamp(0.0, 1.0) * (KNOTS.len() - 1) as f64;
    let index = (position.floor() as usize).min(KNOTS.len() - 2);
    let (a, b, t) = (KNOTS[index], KNOTS[index + 1], position - index as f64);
    let mix = |a: f64, b: f64| (a + t * (b - a)).round() as u8;
    (mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}
