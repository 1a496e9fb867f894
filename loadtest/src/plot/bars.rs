//! Horizontal bars: names left; at the ends the sums and what they are made of. Inside a bar a short part would have no
//! room for its figure, and often that is the part which matters.

use super::Bar;
use super::canvas::{Anchor, Canvas, MARGIN, SIZE, Style, WIDTH};
use super::palette::{self, Colour, FAINT, GRID, INK, WHITE};
use super::scale::{Axis, significant};
use super::text;

pub fn draw(title: &str, unit: &str, bars: &[Bar]) -> String {
    let mut canvas = Canvas::titled(title);
    canvas.y += 14.0;
    canvas.text(
        MARGIN,
        canvas.y,
        &text::shorten(unit, SIZE, WIDTH / 2.0),
        Style {
            colour: FAINT,
            ..Style::label()
        },
    );
    let parts = part_names(bars);
    legend(&mut canvas, &parts);
    canvas.y += 16.0;

    let names = bars
        .iter()
        .map(|bar| text::width(&bar.label, SIZE) * OURS_WIDER)
        .fold(0.0, f64::max)
        .clamp(40.0, NAMES_MAX);
    let left = MARGIN + names + 12.0;
    let sums = bars.iter().filter_map(sum);
    let axis = Axis::linear(sums.clone(), true);
    let figures = sums
        .map(|sum| text::width(&significant(sum), SIZE) * OURS_WIDER)
        .fold(0.0, f64::max);
    let made_of = bars
        .iter()
        .map(|bar| text::width(&parts_of(bar), PARTS_SIZE))
        .fold(0.0, f64::max);
    // The longest bar need not reach the axis's end, but it may.
    let right = (WIDTH - MARGIN - figures - made_of - 16.0).max(left + BARS_MIN);
    let place = |value: f64| left + axis.place(value) * (right - left);

    let top = canvas.y;
    let bottom = top + bars.len().max(1) as f64 * STEP + 4.0;
    for (value, name) in &axis.ticks {
        let x = place(*value);
        canvas.line([x, top], [x, bottom], GRID, 1.0);
        canvas.text(x, bottom + 18.0, name, Style::faint().anchored(Anchor::Middle));
    }
    if bars.is_empty() {
        no_data(&mut canvas, [place(0.0) + 8.0, top + STEP / 2.0 + 5.0]);
    }
    let colours = palette::assign(bars.iter().map(|bar| bar.label.as_str()));
    for (index, (bar, colour)) in bars.iter().zip(colours).enumerate() {
        let y = top + index as f64 * STEP + (STEP - THICK) / 2.0 + 2.0;
        let base = y + THICK / 2.0 + SIZE * 0.36;
        let bold = palette::is_ours(&bar.label);
        let style = Style {
            bold,
            ..Style::label()
        };
        let name = text::shorten(&bar.label, SIZE * OURS_WIDER, NAMES_MAX);
        canvas.text(left - 10.0, base, &name, style.anchored(Anchor::End));
        let Some(sum) = sum(bar) else {
            no_data(&mut canvas, [left + 8.0, base]);
            continue;
        };
        let mut from = 0.0;
        for (part, (_, value)) in bar.segments.iter().enumerate() {
            let (x, end) = (place(from), place(from + value));
            let fill = shade(colour, part, parts.len());
            canvas.rectangle([x, y], [end - x, THICK], fill);
            from += value;
        }
        let x = place(sum) + 7.0;
        let made_of = text::shorten(&parts_of(bar), PARTS_SIZE, WIDTH - MARGIN - x - figures);
        // White below the figures, or a grid line would strike them through.
        let covered = figures + 8.0 + text::width(&made_of, PARTS_SIZE);
        canvas.rectangle([x - 4.0, y + 2.0], [covered, THICK - 4.0], WHITE);
        canvas.text(x, base, &significant(sum), style);
        let faint = Style {
            size: PARTS_SIZE,
            ..Style::faint()
        };
        if !made_of.is_empty() {
            canvas.text(x + figures + 8.0, base, &made_of, faint);
        }
    }
    canvas.line([left, top], [left, bottom], FAINT, 1.0);
    canvas.y = bottom + 18.0;
    canvas.finish()
}

/// None when there is nothing in it, or something that is no length.
fn sum(bar: &Bar) -> Option<f64> {
    let lengths = bar
        .segments
        .iter()
        .all(|(_, value)| value.is_finite() && *value >= 0.0);
    (lengths && !bar.segments.is_empty()).then(|| bar.segments.iter().map(|(_, value)| value).sum())
}

/// `1.40 + 7.90`; nothing when there is but one part.
fn parts_of(bar: &Bar) -> String {
    if bar.segments.len() < 2 || sum(bar).is_none() {
        return String::new();
    }
    let figures: Vec<String> = bar
        .segments
        .iter()
        .map(|(_, value)| significant(*value))
        .collect();
    figures.join(" + ")
}

/// Of the bar that has most, since one may be without figures.
fn part_names(bars: &[Bar]) -> Vec<&str> {
    let longest = bars.iter().rev().max_by_key(|bar| bar.segments.len());
    longest.map_or_else(Vec::new, |bar| {
        bar.segments.iter().map(|(name, _)| name.as_str()).collect()
    })
}

/// Full strength first, then ever lighter.
fn shade(colour: Colour, part: usize, parts: usize) -> Colour {
    if parts < 2 {
        return colour;
    }
    colour.lighter(LIGHTEST * part as f64 / (parts - 1) as f64)
}

/// At the right, in neutral shades: hue belongs to the gateways.
fn legend(canvas: &mut Canvas, parts: &[&str]) {
    if parts.len() < 2 {
        return;
    }
    let room = WIDTH / 2.0 / parts.len() as f64 - 36.0;
    let mut x = WIDTH - MARGIN;
    for (part, name) in parts.iter().enumerate().rev() {
        let name = text::shorten(name, SIZE, room);
        x -= text::width(&name, SIZE);
        canvas.text(x, canvas.y, &name, Style::label());
        x -= 18.0;
        canvas.rectangle(
            [x, canvas.y - 10.5],
            [12.0, 12.0],
            shade(INK.lighter(0.25), part, parts.len()),
        );
        x -= 18.0;
    }
}

fn no_data(canvas: &mut Canvas, [x, y]: [f64; 2]) {
    let style = Style {
        colour: FAINT,
        ..Style::label()
    };
    canvas.text(x, y, "no data", style);
}

/// From one bar to the next, and of a bar.
const STEP: f64 = 34.0;
const THICK: f64 = 22.0;
const NAMES_MAX: f64 = 260.0;
const PARTS_SIZE: f64 = 12.0;
/// However long the figures are.
const BARS_MIN: f64 = 120.0;
/// Ringway's names and figures are bold.
const OURS_WIDER: f64 = 1.1;
const LIGHTEST: f64 = 0.62;
