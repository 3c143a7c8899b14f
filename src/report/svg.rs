//! A small SVG canvas. Colours come from classes (`style.css`), so that one picture serves light
//! and dark; `{class}` is `s0`–`s7` for strokes and `f0`–`f7` for fills of the losses.

use super::number::{cut, escape};
use super::scale::Scale;
use std::fmt::Write;

/// The style sheet of the pictures, shared with the page.
pub const STYLE: &str = include_str!("chart.css");

/// [`STYLE`] with the light colours in place of their variables, and without a size.
fn plain_style() -> String {
    let (colours, rest) = STYLE.split_once('}').expect("colours first");
    let rules = rest.split_once("}}").expect("the dark colours next").1;
    let declarations = colours.split_once('{').expect("a rule").1.split(';');
    let start = rules.replace("display:block;width:100%;height:auto;overflow:visible;", "");
    declarations
        .filter_map(|one| one.trim().split_once(':'))
        .fold(start, |rules, (name, value)| rules.replace(&format!("var({name})"), value))
}

/// A picture in the making. Coordinates that are not finite are drawn as 0.
pub struct Svg {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

/// The rectangle in which data are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Plot {
    /// Left edge.
    pub left: f64,
    /// Top edge.
    pub top: f64,
    /// Right edge.
    pub right: f64,
    /// Bottom edge.
    pub bottom: f64,
}

impl Svg {
    /// An empty picture; `title` is what a screen reader says.
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        Self { width, height, title: title.into(), body: String::new() }
    }

    /// Sets the height, for pictures whose content decides it.
    pub fn fit(&mut self, height: f64) {
        self.height = height;
    }

    /// The finished element, to stand inside a page that holds [`STYLE`].
    pub fn inline(&self) -> String {
        // A wide picture has a row of its own, and on a phone a size at which it can be read.
        let wide = if self.width > 600.0 { " data-wide=\"\"" } else { "" };
        self.element(wide, 0.0, "")
    }

    /// The finished file, with its style, background, margin and a description for readers of the
    /// file. Its colours are plain, those of the light page: what draws outside a browser knows
    /// neither variables nor sizes of style sheets.
    pub fn file(&self, description: &str) -> String {
        let head = format!(
            "<desc>{}</desc><style>{}</style>\
             <rect class=\"page\" x=\"-16\" y=\"-16\" width=\"{}\" height=\"{}\"/>",
            escape(description),
            plain_style(),
            xy(self.width + 32.0),
            xy(self.height + 32.0)
        );
        self.element(" xmlns=\"http://www.w3.org/2000/svg\"", 16.0, &head)
    }

    /// Several pictures below each other in one file.
    pub fn stack(pictures: &[&Self], description: &str) -> String {
        const GAP: f64 = 36.0;
        let width = pictures.iter().map(|picture| picture.width).fold(0.0, f64::max);
        let (mut body, mut y) = (String::new(), 0.0);
        for picture in pictures {
            let (w, h) = (xy(picture.width), xy(picture.height));
            body += &picture.element(
                &format!(" x=\"0\" y=\"{}\" width=\"{w}\" height=\"{h}\"", xy(y)),
                0.0,
                "",
            );
            y += picture.height + GAP;
        }
        let title = pictures.iter().map(|p| p.title.as_str()).collect::<Vec<_>>().join("; ");
        Self { width, height: (y - GAP).max(0.0), title, body }.file(description)
    }

    fn element(&self, attributes: &str, margin: f64, head: &str) -> String {
        let (width, height) = (xy(self.width + 2.0 * margin), xy(self.height + 2.0 * margin));
        let (title, corner) = (escape(&self.title), xy(-margin));
        format!(
            "<svg{attributes} class=\"chart\" viewBox=\"{corner} {corner} {width} {height}\" \
             role=\"img\" aria-label=\"{title}\">{head}{}</svg>\n",
            self.body
        )
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let (x1, y1, x2, y2) = (xy(from.0), xy(from.1), xy(to.0), xy(to.1));
        self.put(format_args!(
            "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>"
        ));
    }

    /// A line through points.
    pub fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        if points.len() > 1 {
            self.put(format_args!("<polyline class=\"{class}\" points=\"{}\"/>", list(points)));
        }
    }

    /// A filled shape.
    pub fn area(&mut self, class: &str, points: &[(f64, f64)]) {
        if points.len() > 2 {
            self.put(format_args!("<polygon class=\"{class}\" points=\"{}\"/>", list(points)));
        }
    }

    /// A rectangle with a hover title.
    pub fn bar(&mut self, class: &str, (x, y): (f64, f64), (w, h): (f64, f64), hover: &str) {
        let (x, y, w, h) = (xy(x), xy(y), xy(w.max(0.0)), xy(h.max(0.0)));
        let title = hover_title(hover);
        self.put(format_args!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\">{title}</rect>"
        ));
    }

    /// Text; `class` chooses size and colour, `anchor` is `start`, `middle` or `end`.
    pub fn text(&mut self, class: &str, anchor: &str, (x, y): (f64, f64), text: &str) {
        let (x, y, text) = (xy(x), xy(y), escape(text));
        self.put(format_args!(
            "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x}\" y=\"{y}\">{text}</text>"
        ));
    }

    /// The mark of a colour (each has its own shape, so that nothing hangs on colour alone), with a
    /// hover title on a generous area.
    pub fn mark(&mut self, colour: usize, (x, y): (f64, f64), hover: &str) {
        const R: f64 = 3.6;
        let place = |dx: f64, dy: f64| (x + R * dx, y + R * dy);
        let fill = format!("mark f{colour}");
        match colour {
            0 => self.put(format_args!(
                "<circle class=\"{fill}\" cx=\"{}\" cy=\"{}\" r=\"{R}\"/>",
                xy(x),
                xy(y)
            )),
            1 => self.bar(&fill, place(-0.9, -0.9), (1.8 * R, 1.8 * R), ""),
            2 => self.area(&fill, &[place(0.0, -1.25), place(1.15, 0.85), place(-1.15, 0.85)]),
            3 => self.area(
                &fill,
                &[place(0.0, -1.3), place(1.3, 0.0), place(0.0, 1.3), place(-1.3, 0.0)],
            ),
            4 => self.area(&fill, &[place(0.0, 1.25), place(1.15, -0.85), place(-1.15, -0.85)]),
            5 => self.bar(&fill, place(-0.55, -1.2), (1.1 * R, 2.4 * R), ""),
            6 => self.bar(&fill, place(-1.2, -0.55), (2.4 * R, 1.1 * R), ""),
            _ => self.area(
                &fill,
                &[
                    place(-0.6, -1.1),
                    place(0.6, -1.1),
                    place(1.2, 0.0),
                    place(0.6, 1.1),
                    place(-0.6, 1.1),
                    place(-1.2, 0.0),
                ],
            ),
        }
        if !hover.is_empty() {
            let (x, y, title) = (xy(x), xy(y), hover_title(hover));
            self.put(format_args!(
                "<circle class=\"hit\" cx=\"{x}\" cy=\"{y}\" r=\"9\">{title}</circle>"
            ));
        }
    }

    /// A cross: here a chain ends.
    pub fn cross(&mut self, colour: usize, (x, y): (f64, f64), hover: &str) {
        let class = format!("cross s{colour}");
        self.line(&class, (x - 4.0, y - 4.0), (x + 4.0, y + 4.0));
        self.line(&class, (x - 4.0, y + 4.0), (x + 4.0, y - 4.0));
        let (x, y, title) = (xy(x), xy(y), hover_title(hover));
        self.put(format_args!(
            "<circle class=\"hit\" cx=\"{x}\" cy=\"{y}\" r=\"9\">{title}</circle>"
        ));
    }

    /// A title in large and, below it, a wrapped line of explanation; returns the next free `y`.
    pub fn heading(&mut self, title: &str, subtitle: &str) -> f64 {
        let mut y = 0.0;
        for line in wrap(title, 54) {
            y += 18.0;
            self.text("title", "start", (0.0, y), &line);
        }
        y += 4.0;
        for line in wrap(subtitle, (self.width / 6.1) as usize) {
            y += 15.0;
            self.text("sub", "start", (0.0, y), &line);
        }
        y
    }

    /// Horizontal grid lines with their labels.
    pub fn y_axis(&mut self, plot: Plot, scale: &Scale, wanted: usize) {
        for (value, label) in scale.ticks(wanted) {
            let y = scale.at(value);
            self.line("grid", (plot.left, y), (plot.right, y));
            self.text("tick", "end", (plot.left - 6.0, y + 4.0), &label);
        }
    }

    /// The base line, tick labels and the axis' name.
    pub fn x_axis(&mut self, plot: Plot, scale: &Scale, ticks: &[(f64, String)], name: &str) {
        self.line("axis", (plot.left, plot.bottom), (plot.right, plot.bottom));
        for (value, label) in ticks {
            let x = scale.at(*value);
            self.line("axis", (x, plot.bottom), (x, plot.bottom + 4.0));
            self.text("tick", "middle", (x, plot.bottom + 17.0), label);
        }
        self.text("tick", "middle", ((plot.left + plot.right) / 2.0, plot.bottom + 34.0), name);
    }

    /// Labels `(colour, y, text)` to the right of the plot, moved apart where they would overlap
    /// and tied to their lines where they moved.
    pub fn end_labels(&mut self, plot: Plot, labels: &[(usize, f64, String)]) {
        const GAP: f64 = 14.0;
        let mut order: Vec<&(usize, f64, String)> = labels.iter().collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut places: Vec<f64> = Vec::new();
        for (i, label) in order.iter().enumerate() {
            places.push(if i == 0 { label.1 } else { label.1.max(places[i - 1] + GAP) });
        }
        // What was pushed below the plot comes back up as a block.
        let mut limit = plot.bottom + 4.0;
        for place in places.iter_mut().rev() {
            *place = place.min(limit);
            limit = *place - GAP;
        }
        for ((colour, y, text), place) in order.into_iter().zip(places) {
            let x = plot.right + 18.0;
            if (place - y).abs() > 2.0 {
                self.line(&format!("tie s{colour}"), (plot.right + 6.0, *y), (x - 3.0, place));
            }
            self.text(&format!("label f{colour}"), "start", (x, place + 4.0), text);
        }
    }

    fn put(&mut self, element: std::fmt::Arguments) {
        self.body.write_fmt(element).expect("a String takes every write");
    }
}

/// Lines of at most `limit` characters, broken at spaces.
pub fn wrap(text: &str, limit: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= limit => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(cut(word, limit)),
        }
    }
    lines
}

fn hover_title(hover: &str) -> String {
    if hover.is_empty() { String::new() } else { format!("<title>{}</title>", escape(hover)) }
}

fn list(points: &[(f64, f64)]) -> String {
    let points: Vec<String> = points.iter().map(|p| format!("{},{}", xy(p.0), xy(p.1))).collect();
    points.join(" ")
}

fn xy(value: f64) -> String {
    let value = if value.is_finite() { value } else { 0.0 };
    let text = format!("{:.1}", value + 0.0);
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::super::demo::assert_balanced;
    use super::*;

    #[test]
    fn a_file_needs_no_browser() {
        let file = Svg::new(100.0, 50.0, "title").file("description");
        assert!(!file.contains("var(") && !file.contains("@media"), "{file}");
        assert!(file.contains(".chart .page{fill:#fff}"), "{file}");
    }

    #[test]
    fn pictures_are_well_formed_whatever_is_drawn() {
        let mut svg = Svg::new(100.0, 50.0, "a \"quoted\" <title>");
        for colour in 0..9 {
            svg.mark(colour, (f64::NAN, f64::INFINITY), "<&>");
        }
        svg.text("tick", "end", (1.25, -0.01), "a<b");
        svg.cross(1, (1.0, 1.0), "end");
        svg.path("x", &[(f64::NEG_INFINITY, 0.0), (1.0, 2.0)]);
        for text in [svg.inline(), svg.file("")] {
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            assert_balanced(&text);
        }
    }

    #[test]
    fn labels_keep_their_distance_inside_the_plot() {
        let plot = Plot { left: 0.0, top: 0.0, right: 10.0, bottom: 100.0 };
        let mut svg = Svg::new(100.0, 100.0, "labels");
        let labels: Vec<_> = (0..8).map(|i| (i, 99.0, format!("loss {i}"))).collect();
        svg.end_labels(plot, &labels);
        let mut places: Vec<f64> = svg
            .body
            .split("<text")
            .skip(1)
            .map(|text| {
                text.split(" y=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
            })
            .collect();
        places.sort_by(f64::total_cmp);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= 13.9), "{places:?}");
        assert!(*places.last().unwrap() <= 108.1);
    }

    #[test]
    fn words_wrap_and_long_words_are_cut() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("incomprehensible", 5), ["inco…"]);
    }
}
