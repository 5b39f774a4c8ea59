//! Curves as SVG, in colours that are legible on white and on black.

use std::fmt::Write as _;

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 52.0;
const INK: &str = "#808080";

pub(crate) const BLUE: &str = "#3b82f6";
pub(crate) const ORANGE: &str = "#e8750a";
pub(crate) const GREEN: &str = "#1a9e4b";
pub(crate) const RED: &str = "#e0413a";

pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) colour: &'static str,
    pub(crate) dashed: bool,
    pub(crate) points: Vec<(f64, f64)>,
}

pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    pub(crate) across: &'a str,
    pub(crate) up: &'a str,
    pub(crate) curves: Vec<Curve>,
    /// From when to when something was wrong, and what.
    pub(crate) shade: Option<(f64, f64, &'a str)>,
}

impl Chart<'_> {
    pub(crate) fn svg(&self) -> String {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let (step_x, most_x) = scale(points().map(|(x, _)| *x).fold(0.0, f64::max));
        let (step_y, most_y) = scale(points().map(|(_, y)| *y).fold(0.0, f64::max));
        let x = |value: f64| LEFT + value / most_x * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - value / most_y * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"13\" fill=\"{INK}\">\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"17\" font-weight=\"bold\">{}</text>\n",
            self.title
        );
        if let Some((from, to, what)) = self.shade {
            let (left, right) = (x(from), x(to));
            let _ = writeln!(
                svg,
                "<rect x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\" \
                 fill=\"{INK}\" fill-opacity=\"0.18\"/>\n<text x=\"{:.1}\" y=\"{}\">{what}</text>",
                right - left,
                HEIGHT - TOP - BOTTOM,
                left + 5.0,
                TOP + 15.0
            );
        }
        for value in ticks(step_y, most_y) {
            let at = y(value);
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {at:.1}H{}\" stroke=\"{INK}\" stroke-opacity=\"0.35\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.0
            );
        }
        for value in ticks(step_x, most_x) {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{value}</text>",
                x(value),
                HEIGHT - BOTTOM + 18.0
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n<text x=\"18\" y=\"{}\" \
             text-anchor=\"middle\" transform=\"rotate(-90 18 {})\">{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 12.0,
            self.across,
            (TOP + HEIGHT - BOTTOM) / 2.0,
            (TOP + HEIGHT - BOTTOM) / 2.0,
            self.up
        );
        let mut key = LEFT;
        for Curve { name, colour, dashed, points } in &self.curves {
            let dash = if *dashed { " stroke-dasharray=\"7 5\"" } else { "" };
            let line = points.iter().fold(String::new(), |mut line, (px, py)| {
                let _ = write!(line, "{:.1},{:.1} ", x(*px), y(*py));
                line
            });
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" \
                 stroke-width=\"1.6\"{dash}/>\n<path d=\"M{key} 43h22\" stroke=\"{colour}\" \
                 stroke-width=\"3\"{dash}/><text x=\"{}\" y=\"47\">{name}</text>",
                line.trim_end(),
                key + 28.0
            );
            key += 48.0 + 7.2 * name.chars().map(|_| 1.0).sum::<f64>();
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// A round step, and the first multiple of it that holds all.
fn scale(most: f64) -> (f64, f64) {
    let rough = most.max(1.0) / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    (step, (most.max(1.0) / step).ceil() * step)
}

fn ticks(step: f64, most: f64) -> impl Iterator<Item = f64> {
    (0..=10u32).map(move |n| f64::from(n) * step).take_while(move |value| *value <= most * 1.0001)
}
