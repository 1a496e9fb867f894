//! A card to draw on. Text comes from names of gateways and files, so what XML does not allow in it is replaced here;
//! markup characters are escaped by the library.

use svg::Node;
use svg::node::element::Element;

use super::palette::{self, Colour, FAINT, FRAME, INK, WHITE};
use super::text;

pub struct Canvas {
    root: Element,
    /// Below what is already drawn, in pixels.
    pub y: f64,
}

#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub size: f64,
    pub colour: Colour,
    pub bold: bool,
    pub anchor: Anchor,
}

pub const WIDTH: f64 = 800.0;
pub const MARGIN: f64 = 24.0;
/// Of labels and figures, in pixels.
pub const SIZE: f64 = 13.0;

impl Style {
    pub fn label() -> Self {
        Self {
            size: SIZE,
            colour: INK,
            bold: false,
            anchor: Anchor::Start,
        }
    }

    /// For axes.
    pub fn faint() -> Self {
        Self {
            size: 12.0,
            colour: FAINT,
            ..Self::label()
        }
    }

    pub fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }
}

impl Canvas {
    /// With the title, over two lines if need be; `y` is then below it.
    pub fn titled(title: &str) -> Self {
        let mut root = Element::new("svg");
        root.assign("xmlns", "http://www.w3.org/2000/svg");
        root.assign("role", "img");
        root.assign("font-family", FONTS);
        let mut canvas = Self { root, y: MARGIN };
        let mut name = Element::new("title");
        name.append(svg::node::Text::new(clean(title)));
        canvas.root.append(name);
        let style = Style {
            size: 18.0,
            bold: true,
            ..Style::label()
        };
        for line in text::wrap(title, style.size * BOLD_WIDER, WIDTH - 2.0 * MARGIN, 2) {
            canvas.y += 18.0;
            canvas.text(MARGIN, canvas.y - 4.0, &line, style);
            canvas.y += 6.0;
        }
        canvas
    }

    /// `y` is the base line.
    pub fn text(&mut self, x: f64, y: f64, content: &str, style: Style) {
        self.text_node(x, y, content, style, None);
    }

    /// The same, turned to read upwards around its anchor.
    pub fn text_upwards(&mut self, x: f64, y: f64, content: &str, style: Style) {
        self.text_node(
            x,
            y,
            content,
            style,
            Some(format!("rotate(-90 {} {})", short(x), short(y))),
        );
    }

    fn text_node(&mut self, x: f64, y: f64, content: &str, style: Style, turn: Option<String>) {
        let mut node = Element::new("text");
        node.assign("x", short(x));
        node.assign("y", short(y));
        node.assign("font-size", short(style.size));
        node.assign("fill", style.colour.to_string());
        if style.bold {
            node.assign("font-weight", 600);
        }
        match style.anchor {
            Anchor::Start => {}
            Anchor::Middle => node.assign("text-anchor", "middle"),
            Anchor::End => node.assign("text-anchor", "end"),
        }
        if let Some(turn) = turn {
            node.assign("transform", turn);
        }
        node.append(svg::node::Text::new(clean(content)));
        self.root.append(node);
    }

    pub fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], colour: Colour, width: f64) {
        let mut node = Element::new("line");
        for (name, value) in [
            ("x1", x1),
            ("y1", y1),
            ("x2", x2),
            ("y2", y2),
            ("stroke-width", width),
        ] {
            node.assign(name, short(value));
        }
        node.assign("stroke", colour.to_string());
        self.root.append(node);
    }

    pub fn rectangle(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], fill: Colour) {
        let mut node = Element::new("rect");
        for (name, value) in [("x", x), ("y", y), ("width", width), ("height", height)] {
            node.assign(name, short(value));
        }
        node.assign("fill", fill.to_string());
        self.root.append(node);
    }

    pub fn circle(&mut self, [x, y]: [f64; 2], radius: f64, fill: Colour) {
        let mut node = Element::new("circle");
        for (name, value) in [("cx", x), ("cy", y), ("r", radius), ("stroke-width", 1.5)] {
            node.assign(name, short(value));
        }
        node.assign("fill", fill.to_string());
        node.assign("stroke", palette::WHITE.to_string());
        self.root.append(node);
    }

    /// A line through `points`; `dashed` tells apart what has the same colour.
    pub fn path(&mut self, points: &[[f64; 2]], colour: Colour, width: f64, dashed: bool) {
        let places: Vec<String> = points
            .iter()
            .map(|[x, y]| format!("{},{}", short(*x), short(*y)))
            .collect();
        let mut node = Element::new("polyline");
        node.assign("points", places.join(" "));
        node.assign("fill", "none");
        node.assign("stroke", colour.to_string());
        node.assign("stroke-width", short(width));
        node.assign("stroke-linejoin", "round");
        node.assign("stroke-linecap", "round");
        if dashed {
            node.assign("stroke-dasharray", "7 5");
        }
        self.root.append(node);
    }

    /// The whole, as high as `y` and a margin.
    pub fn finish(mut self) -> String {
        let height = (self.y + MARGIN).round();
        self.root.assign("width", short(WIDTH));
        self.root.assign("height", short(height));
        self.root
            .assign("viewBox", format!("0 0 {} {}", short(WIDTH), short(height)));
        let mut card = Element::new("rect");
        for (name, value) in [
            ("x", 0.5),
            ("y", 0.5),
            ("width", WIDTH - 1.0),
            ("height", height - 1.0),
            ("rx", 8.0),
        ] {
            card.assign(name, short(value));
        }
        card.assign("fill", WHITE.to_string());
        card.assign("stroke", FRAME.to_string());
        // Behind all else, after the title.
        self.root.get_children_mut().insert(1, card.into());
        format!("{}\n", self.root)
    }
}

/// To a hundredth of a pixel: less is not seen, and the bytes do not hang on the last bits of a logarithm.
fn short(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    // Not "-0".
    (rounded + 0.0).to_string()
}

/// XML 1.0 has no control characters and no U+FFFE and U+FFFF, not even escaped.
fn clean(content: &str) -> String {
    let forbidden = |character: char| character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}');
    content
        .chars()
        .map(|character| if forbidden(character) { ' ' } else { character })
        .collect()
}

const FONTS: &str = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif";
/// A bold title, in parts of the same text in regular weight.
const BOLD_WIDER: f64 = 1.15;
