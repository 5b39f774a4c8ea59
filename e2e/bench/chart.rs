//! Curves as SVG: greys and colours that can be read on white and on black.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 176.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 56.0;
pub(crate) const INK: &str = "#808589";
pub(crate) const COLOURS: [&str; 5] = ["#3584e4", "#e66100", "#2fa35f", "#b263c9", "#c0762b"];

pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    /// Both axes are logarithmic; y has its marks at each power of ten.
    pub(crate) x_marks: &'a [f64],
    pub(crate) series: Vec<Series>,
}

impl Series {
    pub(crate) fn new(name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { name: name.to_owned(), points: points.into_iter().collect() }
    }
}

/// Where values are on a logarithmic axis.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        let part = (value / self.low).ln() / (self.high / self.low).ln();
        self.from + part * (self.to - self.from)
    }
}

impl Chart<'_> {
    pub(crate) fn svg(&self) -> String {
        let ends = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), v| (low.min(v), high.max(v)))
        };
        let all = self.series.iter().flat_map(|series| &series.points);
        let (left, right) = ends(&mut self.x_marks.iter().copied());
        let (bottom, top) = ends(&mut all.map(|(_, y)| *y));
        let (low, high) = (bottom.log10().floor(), top.log10().ceil());
        let x = Axis { low: left, high: right, from: LEFT, to: WIDTH - RIGHT };
        let y = Axis {
            low: 10f64.powf(low),
            high: 10f64.powf(high.max(low + 1.0)),
            from: HEIGHT - BOTTOM,
            to: TOP,
        };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"{INK}\">\n\
             <title>{title}</title>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{title}</text>\n",
            title = self.title
        );
        self.grid(&mut svg, &x, &y);
        for (number, (series, colour)) in self.series.iter().zip(COLOURS.iter().cycle()).enumerate()
        {
            curve(&mut svg, series, colour, number, &x, &y);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn grid(&self, svg: &mut String, x: &Axis, y: &Axis) {
        let mut mark = y.low;
        while mark <= y.high * 1.01 {
            let at = y.at(mark);
            line(svg, (x.from, at), (x.to, at));
            text(svg, (x.from - 8.0, at + 4.0), "end", &number(mark));
            mark *= 10.0;
        }
        for mark in self.x_marks {
            let at = x.at(*mark);
            line(svg, (at, y.from), (at, y.to));
            text(svg, (at, y.from + 18.0), "middle", &number(*mark));
        }
        text(svg, (f64::midpoint(x.from, x.to), HEIGHT - 12.0), "middle", self.x);
        let middle = f64::midpoint(y.from, y.to);
        let _ = writeln!(
            svg,
            "<text transform=\"translate(16 {middle:.0}) rotate(-90)\" \
             text-anchor=\"middle\">{}</text>",
            self.y
        );
    }
}

fn curve(svg: &mut String, series: &Series, colour: &str, number: usize, x: &Axis, y: &Axis) {
    let places: Vec<_> = series.points.iter().map(|(px, py)| (x.at(*px), y.at(*py))).collect();
    let path: Vec<String> = places.iter().map(|(px, py)| format!("{px:.1},{py:.1}")).collect();
    let dashes = ["none", "7 4", "2 3", "10 3 2 3"].get(number % 4).unwrap_or(&"none");
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.2\" \
         stroke-dasharray=\"{dashes}\"/>",
        path.join(" ")
    );
    for (px, py) in &places {
        let _ = writeln!(svg, "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3\" fill=\"{colour}\"/>");
    }
    let (left, top) = (WIDTH - RIGHT + 14.0, TOP + 10.0 + 22.0 * f64::from(number as u32));
    let _ = writeln!(
        svg,
        "<line x1=\"{left}\" y1=\"{top}\" x2=\"{}\" y2=\"{top}\" stroke=\"{colour}\" \
         stroke-width=\"2.2\" stroke-dasharray=\"{dashes}\"/>",
        left + 24.0
    );
    text(svg, (left + 30.0, top + 4.0), "start", &series.name);
}

pub(crate) fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{INK}\" \
         stroke-opacity=\"0.3\"/>"
    );
}

pub(crate) fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, what: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{what}</text>");
}

/// 0.1, 10, 10,000.
fn number(value: f64) -> String {
    if value < 1.0 {
        return format!("{value}");
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
