//! Lines over two axes, each named at its end, where the eye arrives.

use super::Series;
use super::canvas::{Anchor, Canvas, MARGIN, SIZE, Style, WIDTH};
use super::palette::{self, Colour, FAINT, GRID};
use super::scale::Axis;
use super::text;

/// What of a series can be drawn.
pub struct Fitting<'a> {
    label: &'a str,
    points: Vec<(f64, f64)>,
}

impl Fitting<'_> {
    pub fn xs(&self) -> impl Iterator<Item = f64> {
        self.points.iter().map(|(x, _)| *x)
    }

    pub fn ys(&self) -> impl Iterator<Item = f64> {
        self.points.iter().map(|(_, y)| *y)
    }
}

/// The finite points that `fits` accepts.
pub fn fitting(series: &[Series], fits: impl Fn(f64, f64) -> bool) -> Vec<Fitting<'_>> {
    let point = |&(x, y): &(f64, f64)| x.is_finite() && y.is_finite() && fits(x, y);
    series
        .iter()
        .map(|series| Fitting {
            label: &series.label,
            points: series.points.iter().copied().filter(point).collect(),
        })
        .collect()
}

pub fn draw(
    title: &str,
    names: [&str; 2],
    [x, y]: [&Axis; 2],
    series: &[Fitting<'_>],
    marks: bool,
) -> String {
    let mut canvas = Canvas::titled(title);
    canvas.y += 18.0;
    let labels = series
        .iter()
        .map(|series| text::width(&label(series), SIZE) * OURS_WIDER)
        .fold(0.0, f64::max);
    let ticks = y
        .ticks
        .iter()
        .map(|(_, name)| text::width(name, 12.0))
        .fold(0.0, f64::max);
    let area = Area {
        left: MARGIN + 18.0 + ticks + 8.0,
        right: WIDTH - MARGIN - labels - LEADER - 4.0,
        top: canvas.y,
        bottom: canvas.y + HEIGHT,
    };
    frame(&mut canvas, &area, names, [x, y]);

    if series.iter().all(|series| series.points.is_empty()) {
        let style = Style {
            colour: FAINT,
            size: 16.0,
            ..Style::label().anchored(Anchor::Middle)
        };
        let (middle, height) = (
            f64::midpoint(area.left, area.right),
            f64::midpoint(area.top, area.bottom),
        );
        canvas.text(middle, height, "no data", style);
    }
    let colours = palette::assign(series.iter().map(|series| series.label));
    let places: Vec<Vec<[f64; 2]>> = series
        .iter()
        .map(|series| {
            let place = |&(a, b): &(f64, f64)| area.place([x.place(a), y.place(b)]);
            series.points.iter().map(place).collect()
        })
        .collect();
    // Ringway last, on top of the others, and its stronger colour last of all.
    let mut order: Vec<usize> = (0..series.len()).collect();
    order.sort_by_key(|&index| palette::prominence(series[index].label));
    for &index in &order {
        let (points, colour) = (&places[index], colours[index]);
        let again = colours[..index].contains(&colour);
        let width = if palette::is_ours(series[index].label) {
            3.0
        } else {
            2.0
        };
        if points.len() > 1 {
            canvas.path(points, colour, width, again);
        }
        if marks || points.len() == 1 {
            for point in points {
                canvas.circle(*point, width + 1.5, colour);
            }
        }
    }
    name_ends(&mut canvas, &area, series, &places, &colours);
    canvas.finish()
}

/// The part of the card between the axes.
struct Area {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Area {
    /// From parts of the axes to pixels.
    fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [
            self.left + x * (self.right - self.left),
            self.bottom - y * (self.bottom - self.top),
        ]
    }
}

fn frame(canvas: &mut Canvas, area: &Area, names: [&str; 2], [x, y]: [&Axis; 2]) {
    for (value, name) in &y.ticks {
        let [_, at] = area.place([0.0, y.place(*value)]);
        canvas.line([area.left, at], [area.right, at], GRID, 1.0);
        canvas.text(
            area.left - 8.0,
            at + 4.0,
            name,
            Style::faint().anchored(Anchor::End),
        );
    }
    for (value, name) in &x.ticks {
        let [at, _] = area.place([x.place(*value), 0.0]);
        canvas.line([at, area.top], [at, area.bottom], GRID, 1.0);
        canvas.text(
            at,
            area.bottom + 19.0,
            name,
            Style::faint().anchored(Anchor::Middle),
        );
    }
    canvas.line([area.left, area.bottom], [area.right, area.bottom], FAINT, 1.0);
    let style = Style {
        colour: FAINT,
        ..Style::label().anchored(Anchor::Middle)
    };
    let name = text::shorten(names[0], SIZE, area.right - area.left);
    canvas.text(
        f64::midpoint(area.left, area.right),
        area.bottom + 42.0,
        &name,
        style,
    );
    let name = text::shorten(names[1], SIZE, HEIGHT);
    canvas.text_upwards(MARGIN + 8.0, f64::midpoint(area.top, area.bottom), &name, style);
    canvas.y = area.bottom + 44.0;
}

/// Names beside the lines' ends, moved apart where those are close, with a leader from the end to the name.
fn name_ends(
    canvas: &mut Canvas,
    area: &Area,
    series: &[Fitting<'_>],
    places: &[Vec<[f64; 2]>],
    colours: &[Colour],
) {
    let mut ends: Vec<(usize, [f64; 2])> = Vec::new();
    for (index, points) in places.iter().enumerate() {
        // A series without a point is named at the bottom, by its name in grey alone.
        ends.push((index, points.last().copied().unwrap_or([area.right, area.bottom])));
    }
    ends.sort_by(|(_, a), (_, b)| a[1].total_cmp(&b[1]));
    let wanted: Vec<f64> = ends.iter().map(|(_, [_, y])| *y).collect();
    let given = apart(&wanted, GAP, [area.top, area.bottom]);
    for ((index, end), y) in ends.into_iter().zip(given) {
        let series = &series[index];
        let empty = series.points.is_empty();
        if !empty {
            let start = [end[0] + 6.0, end[1]];
            let knee = [area.right + LEADER * 0.35, end[1]];
            let leader = [start, knee, [area.right + LEADER - 5.0, y]];
            canvas.path(&leader, colours[index].lighter(0.35), 1.0, false);
        }
        let style = Style {
            bold: palette::is_ours(series.label),
            colour: if empty { FAINT } else { Style::label().colour },
            ..Style::label()
        };
        let name = label(series);
        canvas.text(area.right + LEADER, y + 4.5, &name, style);
    }
}

fn label(series: &Fitting<'_>) -> String {
    let suffix = if series.points.is_empty() { ": no data" } else { "" };
    let room = LABELS_MAX - text::width(suffix, SIZE * OURS_WIDER);
    text::shorten(series.label, SIZE * OURS_WIDER, room) + suffix
}

/// Places no closer than `gap`, in the same order and near the `wanted` ones, within `low` and `high` where they fit.
fn apart(wanted: &[f64], gap: f64, [low, high]: [f64; 2]) -> Vec<f64> {
    let mut given = wanted.to_vec();
    // Pushing only downwards would let a crowd drift: each group that touches is put around its own middle instead.
    let mut groups: Vec<(f64, usize)> = Vec::new();
    for &place in wanted {
        groups.push((place, 1));
        while let [.., (above, many), (below, more)] = groups[..] {
            let room = gap * (many + more) as f64 / 2.0;
            if below - above >= room {
                break;
            }
            let count = many + more;
            let middle = (above * many as f64 + below * more as f64) / count as f64;
            groups.truncate(groups.len() - 2);
            groups.push((middle, count));
        }
    }
    let mut index = 0;
    for (middle, count) in groups {
        for step in 0..count {
            given[index] = middle + (step as f64 - (count - 1) as f64 / 2.0) * gap;
            index += 1;
        }
    }
    // Back inside: from below upwards, then from above downwards.
    let mut limit = high;
    for place in given.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - gap;
    }
    let mut limit = low;
    for place in &mut given {
        *place = place.max(limit);
        limit = *place + gap;
    }
    given
}

const HEIGHT: f64 = 340.0;
const LABELS_MAX: f64 = 200.0;
/// Between a line's end and its name.
const LEADER: f64 = 28.0;
/// Between names, base line to base line.
const GAP: f64 = 18.0;
/// Ringway's names are bold.
const OURS_WIDER: f64 = 1.1;

#[cfg(test)]
mod apart_tests {
    use super::apart;

    #[test]
    fn those_with_room_stay() {
        assert_eq!(apart(&[10.0, 50.0], 18.0, [0.0, 100.0]), [10.0, 50.0]);
    }

    #[test]
    fn a_crowd_spreads_around_its_middle_and_keeps_inside() {
        assert_eq!(apart(&[50.0, 50.0, 50.0], 10.0, [0.0, 100.0]), [40.0, 50.0, 60.0]);
        assert_eq!(apart(&[99.0, 100.0], 10.0, [0.0, 100.0]), [90.0, 100.0]);
        assert_eq!(apart(&[0.0, 1.0], 10.0, [0.0, 100.0]), [0.0, 10.0]);
    }

    #[test]
    fn no_two_are_closer_than_the_gap() {
        let wanted = [3.0, 4.0, 20.0, 21.0, 22.0, 60.0, 61.0, 95.0, 99.0];
        let given = apart(&wanted, 10.0, [0.0, 100.0]);
        assert!(
            given.windows(2).all(|pair| pair[1] - pair[0] >= 10.0 - 1e-9),
            "{given:?}"
        );
    }
}
