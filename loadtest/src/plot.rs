//! Figures as pictures: SVG text, 800 pixels wide, for a README. Each stands on a white card, so that it reads the same
//! on a dark page; a gateway has the same colour in all of them (`palette`); the same figures give the same bytes.
//!
//! What is not a number, or has no place on its axis, is left out, and what then has nothing to show says "no data".

mod bars;
mod canvas;
mod curves;
mod palette;
mod scale;
mod text;

use scale::Axis;

/// A bar of parts laid end to end. The same parts in the same order in every bar of a plot.
#[derive(Debug, Clone)]
pub struct Bar {
    pub label: String,
    /// Name and value of each part; 0 or more.
    pub segments: Vec<(String, f64)>,
}

/// A line through points, in order of x.
#[derive(Debug, Clone)]
pub struct Series {
    pub label: String,
    pub points: Vec<(f64, f64)>,
}

/// Horizontal bars in the order given, their sum at the end. Hue tells the gateway, shade the part.
pub fn bars(title: &str, unit: &str, bars: &[Bar]) -> String {
    bars::draw(title, unit, bars)
}

/// Latency in µs by percentile (0 up to, not including, 100). The axis gives each further nine the same room, since the
/// rare cases are what such a plot is for; latency is logarithmic.
pub fn percentiles(title: &str, series: &[Series]) -> String {
    let fitting = curves::fitting(series, |percentile, latency| {
        (0.0..100.0).contains(&percentile) && latency > 0.0
    });
    let x = Axis::percentiles(fitting.iter().flat_map(|series| series.xs()));
    let y = Axis::latency(fitting.iter().flat_map(|series| series.ys()));
    curves::draw(
        title,
        ["requests answered within", "latency"],
        [&x, &y],
        &fitting,
        false,
    )
}

/// Lines over linear axes, y from 0, with a mark at each point.
pub fn lines(title: &str, x_label: &str, y_label: &str, series: &[Series]) -> String {
    let fitting = curves::fitting(series, |_, y| y >= 0.0);
    let x = Axis::linear(fitting.iter().flat_map(|series| series.xs()), false);
    let y = Axis::linear(fitting.iter().flat_map(|series| series.ys()), true);
    curves::draw(title, [x_label, y_label], [&x, &y], &fitting, true)
}

#[cfg(test)]
mod tests;
