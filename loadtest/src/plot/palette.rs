//! Colours. Hues are those of Okabe and Ito (Color Universal Design, 2008), or near them: told apart with any common
//! colour vision; shades within one differ in lightness, which everybody sees.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

/// A colour for each label. A gateway is known by its name, so that it has the same one in every plot; strangers take the
/// spare ones in the order in which they come.
pub fn assign<'a>(labels: impl Iterator<Item = &'a str>) -> Vec<Colour> {
    let mut spare = SPARE.iter().copied().cycle();
    labels
        .map(|label| known(label).or_else(|| spare.next()).unwrap_or(GREY))
        .collect()
}

fn known(label: &str) -> Option<Colour> {
    let label = label.to_lowercase();
    let colours = [
        ("ringway", if label.contains("epoll") { SKY } else { BLUE }),
        ("relay", GREY),
        ("nginx", GREEN),
        ("haproxy", ORANGE),
        ("envoy", PURPLE),
    ];
    let found = colours.iter().find(|(name, _)| label.contains(name));
    found.map(|(_, colour)| *colour)
}

/// Whether a label is Ringway's, whose name is bold and whose line is thicker.
pub fn is_ours(label: &str) -> bool {
    prominence(label) > 0
}

/// What is drawn over what: the higher the later.
pub fn prominence(label: &str) -> u8 {
    match known(label) {
        Some(BLUE) => 2,
        Some(SKY) => 1,
        _ => 0,
    }
}

impl Colour {
    /// This colour mixed with white; `part` of white, 0 to 1.
    pub fn lighter(self, part: f64) -> Self {
        let mix = |channel: u8| (f64::from(channel) + (255.0 - f64::from(channel)) * part).round() as u8;
        Self(mix(self.0), mix(self.1), mix(self.2))
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

pub const WHITE: Colour = Colour(255, 255, 255);
pub const INK: Colour = Colour(31, 35, 40);
/// Secondary text; 4.9:1 on white.
pub const FAINT: Colour = Colour(101, 109, 118);
pub const GRID: Colour = Colour(228, 231, 235);
pub const FRAME: Colour = Colour(208, 215, 222);

const BLUE: Colour = Colour(0, 84, 166);
const SKY: Colour = Colour(86, 180, 233);
const GREEN: Colour = Colour(0, 158, 115);
const ORANGE: Colour = Colour(230, 159, 0);
const PURPLE: Colour = Colour(170, 68, 153);
const GREY: Colour = Colour(140, 145, 150);
const SPARE: [Colour; 4] = [
    Colour(213, 94, 0),
    Colour(136, 34, 85),
    Colour(153, 153, 51),
    Colour(68, 170, 153),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_keeps_its_colour_whoever_else_is_there() {
        let one = assign(["Ringway, io_uring", "Ringway, epoll", "nginx 1.22"].into_iter());
        let other = assign(["caddy", "NGINX", "traefik", "Ringway, epoll", "Ringway"].into_iter());
        assert_eq!(one, [BLUE, SKY, GREEN]);
        assert_eq!(other, [SPARE[0], GREEN, SPARE[1], SKY, BLUE]);
    }

    #[test]
    fn lighter_ends_in_white() {
        assert_eq!(BLUE.lighter(0.0), BLUE);
        assert_eq!(BLUE.lighter(1.0), WHITE);
    }

    #[test]
    fn ours_is_drawn_last() {
        let mut labels = ["Ringway, io_uring", "nginx", "Ringway, epoll"];
        labels.sort_by_key(|label| prominence(label));
        assert_eq!(labels, ["nginx", "Ringway, epoll", "Ringway, io_uring"]);
        assert!(is_ours("ringway") && !is_ours("nginx"));
    }
}
