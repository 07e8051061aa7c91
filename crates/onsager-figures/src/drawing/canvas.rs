//! Marks on a page, in units of the SVG (points of 1/96 inch), y downwards.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kuva::RasterBackend;
use kuva::backend::svg::SvgBackend;
use kuva::render::color::Color;
use kuva::render::render::{PathData, Primitive, Scene, TextAnchor};

use super::{Dash, Image, Marker, PALETTE};

/// Pixels of the PNG for each unit of the SVG.
const RESOLUTION: f32 = 2.0;

/// Text and frame.
pub(super) const INK: &str = "#222222";
/// What recedes behind the data.
pub(super) const FAINT: &str = "#e6e6e6";

pub(super) fn palette(colour: usize) -> &'static str {
    PALETTE[colour % PALETTE.len()]
}

/// A rectangle: left, top, width, height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Frame {
    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Whether a point lies inside, with a margin for rounding.
    pub(super) fn contains(&self, (x, y): (f64, f64)) -> bool {
        let margin = 0.01;
        x >= self.left - margin
            && x <= self.right() + margin
            && y >= self.top - margin
            && y <= self.bottom() + margin
    }

    /// The part of a segment that lies inside (Liang and Barsky).
    fn clip(&self, a: (f64, f64), b: (f64, f64)) -> Option<[(f64, f64); 2]> {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
        let sides = [
            (-dx, a.0 - self.left),
            (dx, self.right() - a.0),
            (-dy, a.1 - self.top),
            (dy, self.bottom() - a.1),
        ];
        for (direction, distance) in sides {
            if direction == 0.0 {
                if distance < 0.0 {
                    return None;
                }
            } else if direction < 0.0 {
                enter = enter.max(distance / direction);
            } else {
                leave = leave.min(distance / direction);
            }
        }
        let at = |t: f64| (a.0 + t * dx, a.1 + t * dy);
        (enter <= leave).then(|| [at(enter), at(leave)])
    }
}

/// Which point of a text its position names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

pub(super) struct Canvas {
    scene: Scene,
    images: Vec<(Frame, Image)>,
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64) -> Self {
        let mut scene = Scene::new(width, height);
        // The first is what the PNG uses; the others are its neighbours on machines without it.
        scene.font_family = Some("DejaVu Sans, Verdana, Helvetica, Arial, sans-serif".to_owned());
        scene.text_color = Some(INK.to_owned());
        Self {
            scene,
            images: Vec::new(),
        }
    }

    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, size: u32, text: &str) {
        self.coloured_text((x, y), anchor, size, text, INK);
    }

    pub(super) fn coloured_text(
        &mut self,
        (x, y): (f64, f64),
        anchor: Anchor,
        size: u32,
        text: &str,
        colour: &str,
    ) {
        self.place_text((x, y), anchor, size, text, colour, None);
    }

    /// Text that reads upwards.
    pub(super) fn upward_text(&mut self, (x, y): (f64, f64), size: u32, text: &str) {
        self.place_text((x, y), Anchor::Middle, size, text, INK, Some(-90.0));
    }

    fn place_text(
        &mut self,
        (x, y): (f64, f64),
        anchor: Anchor,
        size: u32,
        text: &str,
        colour: &str,
        rotate: Option<f64>,
    ) {
        let anchor = match anchor {
            Anchor::Start => TextAnchor::Start,
            Anchor::Middle => TextAnchor::Middle,
            Anchor::End => TextAnchor::End,
        };
        let (content, color) = (text.to_owned(), Some(Color::from(colour)));
        self.scene.add(Primitive::Text {
            x,
            y,
            content,
            size,
            anchor,
            rotate,
            bold: false,
            color,
        });
    }

    pub(super) fn segment(&mut self, a: (f64, f64), b: (f64, f64), colour: &str, width: f64) {
        self.scene.add(Primitive::Line {
            x1: a.0,
            y1: a.1,
            x2: b.0,
            y2: b.1,
            stroke: Color::from(colour),
            stroke_width: width,
            stroke_dasharray: None,
        });
    }

    /// A line through points, cut at the frame and at points that are not finite.
    pub(super) fn curve(
        &mut self,
        points: &[(f64, f64)],
        frame: &Frame,
        dash: Dash,
        colour: &str,
        width: f64,
    ) {
        let mut run: Vec<(f64, f64)> = Vec::new();
        for pair in points.windows(2) {
            let finite = [pair[0].0, pair[0].1, pair[1].0, pair[1].1]
                .iter()
                .all(|v| v.is_finite());
            let inside = if finite {
                frame.clip(pair[0], pair[1])
            } else {
                None
            };
            let Some([a, b]) = inside else {
                self.dashes(&std::mem::take(&mut run), dash, colour, width);
                continue;
            };
            if run.last() != Some(&a) {
                self.dashes(&std::mem::take(&mut run), dash, colour, width);
                run.push(a);
            }
            run.push(b);
        }
        self.dashes(&run, dash, colour, width);
    }

    /// Dashes are cut here, since backends start them anew at every point of a line.
    fn dashes(&mut self, points: &[(f64, f64)], dash: Dash, colour: &str, width: f64) {
        let pattern = match dash {
            Dash::Solid => return self.stroke(points.to_vec(), colour, width),
            Dash::Dashed => [5.0, 3.5],
            Dash::Dotted => [1.2, 2.8],
        };
        let (mut index, mut left) = (0, pattern[0]);
        let mut run: Vec<(f64, f64)> = points.first().copied().into_iter().collect();
        for pair in points.windows(2) {
            let (mut from, to) = (pair[0], pair[1]);
            let mut length = (to.0 - from.0).hypot(to.1 - from.1);
            while length > left {
                let t = left / length;
                from = (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1));
                length -= left;
                if index == 0 {
                    run.push(from);
                    self.stroke(std::mem::take(&mut run), colour, width);
                }
                index = 1 - index;
                left = pattern[index];
                run = vec![from];
            }
            left -= length;
            if index == 0 {
                run.push(to);
            }
        }
        if index == 0 {
            self.stroke(run, colour, width);
        }
    }

    fn stroke(&mut self, points: Vec<(f64, f64)>, colour: &str, width: f64) {
        if points.len() > 1 {
            self.scene.add(Primitive::PolyLine {
                points,
                stroke: Color::from(colour),
                stroke_width: width,
                stroke_dasharray: None,
            });
        }
    }

    pub(super) fn polygon(&mut self, points: &[(f64, f64)], fill: &str, opacity: f64) {
        let mut d = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            let _ = write!(d, "{}{x:.2},{y:.2} ", if index == 0 { 'M' } else { 'L' });
        }
        d.push('Z');
        self.scene.add(Primitive::Path(Box::new(PathData {
            d,
            fill: Some(Color::from(fill)),
            stroke: Color::None,
            stroke_width: 0.0,
            opacity: Some(opacity),
            stroke_dasharray: None,
        })));
    }

    pub(super) fn rectangle(&mut self, frame: Frame, fill: &str, stroke: Option<&str>) {
        self.scene.add(Primitive::Rect {
            x: frame.left,
            y: frame.top,
            width: frame.width,
            height: frame.height,
            fill: Color::from(fill),
            stroke: stroke.map(Color::from),
            stroke_width: stroke.map(|_| 0.8),
            opacity: None,
        });
    }

    /// Tiles with edges on whole pixels of the PNG, so that no light line shows between them.
    pub(super) fn mosaic(&mut self, tiles: &[(Frame, (u8, u8, u8))]) {
        let snap = |v: f64| (v * f64::from(RESOLUTION)).round() / f64::from(RESOLUTION);
        let sizes = |from: fn(&Frame) -> (f64, f64)| -> Vec<f64> {
            tiles
                .iter()
                .map(|(tile, _)| from(tile))
                .map(|(low, high)| snap(high) - snap(low))
                .collect()
        };
        self.scene.add(Primitive::RectBatch {
            x: tiles.iter().map(|(tile, _)| snap(tile.left)).collect(),
            y: tiles.iter().map(|(tile, _)| snap(tile.top)).collect(),
            w: sizes(|tile| (tile.left, tile.right())),
            h: sizes(|tile| (tile.top, tile.bottom())),
            fills: tiles
                .iter()
                .map(|(_, (r, g, b))| Color::Rgb(*r, *g, *b))
                .collect(),
        });
    }

    pub(super) fn marker(&mut self, (x, y): (f64, f64), marker: Marker, colour: &str) {
        const RADIUS: f64 = 3.2;
        let corners = |shape: &[(f64, f64)]| -> Vec<(f64, f64)> {
            shape
                .iter()
                .map(|(dx, dy)| (x + RADIUS * dx, y + RADIUS * dy))
                .collect()
        };
        match marker {
            Marker::Disc | Marker::Circle => {
                let open = marker == Marker::Circle;
                self.scene.add(Primitive::Circle {
                    cx: x,
                    cy: y,
                    r: RADIUS,
                    fill: Color::from(if open { "#ffffff" } else { colour }),
                    fill_opacity: None,
                    stroke: Some(Color::from(if open { colour } else { "#ffffff" })),
                    stroke_width: Some(if open { 1.4 } else { 0.6 }),
                });
            }
            Marker::Square => self.polygon(
                &corners(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
                colour,
                1.0,
            ),
            Marker::Diamond => self.polygon(
                &corners(&[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]),
                colour,
                1.0,
            ),
            Marker::Triangle => self.polygon(
                &corners(&[(0.0, -1.25), (1.15, 0.85), (-1.15, 0.85)]),
                colour,
                1.0,
            ),
            Marker::Cross => {
                let ends = corners(&[(-0.9, -0.9), (0.9, 0.9), (-0.9, 0.9), (0.9, -0.9)]);
                self.segment(ends[0], ends[1], colour, 1.5);
                self.segment(ends[2], ends[3], colour, 1.5);
            }
        }
    }

    pub(super) fn image(&mut self, frame: Frame, image: &Image) {
        self.images.push((frame, image.clone()));
    }

    /// SVG whose texts are texts and whose images are embedded PNGs.
    pub(super) fn svg(&self) -> String {
        let mut svg = SvgBackend::new().render_scene(&self.scene);
        let mut images = String::new();
        for (frame, image) in &self.images {
            let _ = write!(
                images,
                r#"<image x="{:.2}" y="{:.2}" width="{:.2}" height="{:.2}" preserveAspectRatio="none" style="image-rendering:pixelated" href="data:image/png;base64,{}"/>"#,
                frame.left,
                frame.top,
                frame.width,
                frame.height,
                BASE64.encode(grey_png(image)),
            );
        }
        let end = svg.rfind("</svg>").unwrap_or(svg.len());
        svg.insert_str(end, &images);
        svg
    }

    pub(super) fn png(&self) -> Result<Vec<u8>, String> {
        let upward = |mark: &Primitive| {
            matches!(
                mark,
                Primitive::Text {
                    rotate: Some(_),
                    ..
                }
            )
        };
        let mut scene = Scene::new(self.scene.width, self.scene.height);
        scene.text_color.clone_from(&self.scene.text_color);
        scene.elements = self
            .scene
            .elements
            .iter()
            .filter(|mark| !upward(mark))
            .cloned()
            .collect();
        let mut canvas = Self {
            scene,
            images: Vec::new(),
        };
        for (frame, image) in &self.images {
            canvas.mosaic(&tiles(*frame, image));
        }
        let mut page = Pixels::render(&canvas.scene)?;
        for mark in self.scene.elements.iter().filter(|mark| upward(mark)) {
            page.write_upwards(mark)?;
        }
        page.encode()
    }
}

/// A page of eight-bit red, green, blue.
struct Pixels {
    width: usize,
    height: usize,
    samples: Vec<[u8; 3]>,
}

impl Pixels {
    fn render(scene: &Scene) -> Result<Self, String> {
        let bytes = RasterBackend::new()
            .with_scale(RESOLUTION)
            .render_scene(scene)?;
        let message = |error: png::DecodingError| error.to_string();
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(message)?;
        let mut buffer = vec![0; reader.output_buffer_size().ok_or("the page is too large")?];
        let info = reader.next_frame(&mut buffer).map_err(message)?;
        let channels = info.color_type.samples();
        if channels < 3 {
            return Err(format!(
                "pages must have colours, got {:?}",
                info.color_type
            ));
        }
        let samples = buffer[..info.buffer_size()]
            .chunks(channels)
            .map(|p| [p[0], p[1], p[2]])
            .collect();
        Ok(Self {
            width: info.width as usize,
            height: info.height as usize,
            samples,
        })
    }

    /// Writes a text along an upward line. It is set level on a page of its own and turned by exchanging
    /// pixels, because the rasteriser's own rotation makes every grey edge black.
    fn write_upwards(&mut self, mark: &Primitive) -> Result<(), String> {
        let Primitive::Text {
            x,
            y,
            content,
            size,
            color,
            ..
        } = mark
        else {
            return Ok(());
        };
        let (width, height) = (
            1.5 * text_width(content, *size) + 20.0,
            2.0 * f64::from(*size),
        );
        let (middle, baseline) = ((width / 2.0).round(), 1.5 * f64::from(*size));
        let mut line = Scene::new(width, height);
        line.add(Primitive::Text {
            x: middle,
            y: baseline,
            content: content.clone(),
            size: *size,
            anchor: TextAnchor::Middle,
            rotate: None,
            bold: false,
            color: color.clone(),
        });
        let line = Self::render(&line)?;
        let pixel = |v: f64| (v * f64::from(RESOLUTION)).round() as i64;
        for (index, ink) in line.samples.iter().enumerate() {
            let (row, column) = ((index / line.width) as i64, (index % line.width) as i64);
            let (to_x, to_y) = (
                pixel(*x) + row - pixel(baseline),
                pixel(*y) - column + pixel(middle),
            );
            let inside =
                to_x >= 0 && to_y >= 0 && to_x < self.width as i64 && to_y < self.height as i64;
            if inside {
                let below = &mut self.samples[to_y as usize * self.width + to_x as usize];
                for (below, ink) in below.iter_mut().zip(ink) {
                    *below = (*below).min(*ink);
                }
            }
        }
        Ok(())
    }

    fn encode(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(self.samples.as_flattened()))
            .map_err(|error| error.to_string())?;
        Ok(bytes)
    }
}

fn grey(value: f64) -> u8 {
    (255.0 * value).round() as u8
}

fn tiles(frame: Frame, image: &Image) -> Vec<(Frame, (u8, u8, u8))> {
    let (width, height) = (
        frame.width / image.width as f64,
        frame.height / image.height() as f64,
    );
    let tile = |(index, value): (usize, &f64)| {
        let (row, column) = (index / image.width, index % image.width);
        let (left, top) = (
            frame.left + column as f64 * width,
            frame.top + row as f64 * height,
        );
        let shade = grey(*value);
        (
            Frame {
                left,
                top,
                width,
                height,
            },
            (shade, shade, shade),
        )
    };
    image.pixels.iter().enumerate().map(tile).collect()
}

/// An eight-bit grey PNG. Writing to memory does not fail for an image whose size is consistent.
fn grey_png(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.width as u32, image.height() as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut pixels: Vec<u8> = image.pixels.iter().copied().map(grey).collect();
    pixels.resize(image.width * image.height(), 0);
    let written = encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&pixels));
    debug_assert!(written.is_ok(), "{written:?}");
    bytes
}

/// Width of a text, from the mean advances of DejaVu Sans by class of character.
pub(super) fn text_width(text: &str, size: u32) -> f64 {
    let advance = |character: char| match character {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '\'' | '!' | ' ' => 0.31,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' => 0.40,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.95,
        'A'..='Z' | '=' | '+' | '<' | '>' | '−' | '±' | '≈' | '≤' | '≥' | '→' => 0.75,
        '⁰'..='₟' | '¹' | '²' | '³' => 0.41,
        _ => 0.62,
    };
    text.chars().map(advance).sum::<f64>() * f64::from(size)
}
