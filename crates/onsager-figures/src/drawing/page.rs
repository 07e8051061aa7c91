//! Where panels stand on the page.

use super::canvas::Canvas;
use super::{Panel, Picture};

/// Between neighbouring panels, and around all.
const GAP: f64 = 14.0;

/// Width and height that a panel asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

pub(super) fn draw(picture: &Picture) -> Canvas {
    let count = picture.panels.len();
    let columns = picture.columns.min(count.max(1));
    let letter = |index: usize| (count > 1).then(|| letter(index));
    let mut widths = vec![0.0_f64; columns];
    let mut heights = vec![0.0_f64; count.div_ceil(columns)];
    for (index, panel) in picture.panels.iter().enumerate() {
        let size = match panel {
            Panel::Plot(plot) => plot.size(),
            Panel::Images(images) => images.size(),
        };
        let (row, column) = (index / columns, index % columns);
        widths[column] = widths[column].max(size.width.ceil());
        heights[row] = heights[row].max(size.height.ceil());
    }
    let extent = |sizes: &[f64]| sizes.iter().map(|size| size + GAP).sum::<f64>() + GAP;
    let mut canvas = Canvas::new(extent(&widths), extent(&heights));
    for (index, panel) in picture.panels.iter().enumerate() {
        let (row, column) = (index / columns, index % columns);
        let corner = (extent(&widths[..column]), extent(&heights[..row]));
        match panel {
            Panel::Plot(plot) => plot.draw(&mut canvas, corner, letter(index)),
            Panel::Images(images) => images.draw(&mut canvas, corner, letter(index)),
        }
    }
    canvas
}

/// "(a)", "(b)", ...: how a text refers to a panel.
fn letter(index: usize) -> String {
    let letter = char::from(b'a' + (index % 26) as u8);
    format!("({letter})")
}

/// The title of a panel behind its letter.
pub(super) fn heading(letter: Option<String>, title: &str) -> String {
    match letter {
        Some(letter) if title.is_empty() => letter,
        Some(letter) => format!("{letter} {title}"),
        None => title.to_owned(),
    }
}
