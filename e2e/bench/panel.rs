//! Panels of the dashboard as SVG, all on one sheet: what happened over a run.

use std::fmt::Write as _;

use crate::chart::{COLOURS, INK, Series, line, text};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 178.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 26.0;
const GAP: f64 = 16.0;
const HEAD: f64 = 44.0;
const COLUMNS: usize = 2;
/// What has room beside the curves.
const LEGEND: usize = 25;
const MOST_LEGENDS: usize = 8;
const MARKS_EVERY: usize = 15;

/// A time of the run in which something is wrong, in seconds from its start.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

pub(crate) struct Panel {
    pub(crate) title: String,
    /// As Grafana names units.
    pub(crate) unit: String,
    /// Over seconds from the start.
    pub(crate) series: Vec<Series>,
}

/// All panels below one headline.
pub(crate) fn sheet(title: &str, seconds: f64, phases: &[Phase], panels: &[Panel]) -> String {
    let rows = panels.len().div_ceil(COLUMNS) as f64;
    let (width, height) = (2.0 * WIDTH + GAP, HEAD + rows * (HEIGHT + GAP));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\" fill=\"{INK}\">\n\
         <title>{title}</title>\n<text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{title}</text>\n"
    );
    for (number, panel) in panels.iter().enumerate() {
        let x = (number % COLUMNS) as f64 * (WIDTH + GAP);
        let y = HEAD + (number / COLUMNS) as f64 * (HEIGHT + GAP);
        // Writing to a String cannot fail.
        let _ = writeln!(svg, "<g transform=\"translate({x} {y})\">");
        panel.draw(&mut svg, seconds, phases);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

impl Panel {
    fn draw(&self, svg: &mut String, seconds: f64, phases: &[Phase]) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let values = self.series.iter().flat_map(|series| &series.points).map(|(_, y)| *y);
        let step = if self.unit == "bytes" { 1024.0 * 1024.0 } else { 1.0 };
        let top = round_up(values.fold(0.0, f64::max) / step) * step;
        let x = |at: f64| LEFT + at / seconds * (right - LEFT);
        let y = |value: f64| bottom - value / top * (bottom - TOP);
        let title = escaped(&self.title);
        let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"14\" font-size=\"13\">{title}</text>");
        for Phase { name, from, to } in phases {
            let (from, to) = (x(*from), x(*to));
            let _ = writeln!(
                svg,
                "<rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{INK}\" \
                 fill-opacity=\"0.13\"/>",
                to - from,
                bottom - TOP
            );
            text(svg, (f64::midpoint(from, to), TOP - 4.0), "middle", name);
        }
        for quarter in 0..=4 {
            let value = top * f64::from(quarter) / 4.0;
            line(svg, (LEFT, y(value)), (right, y(value)));
            text(svg, (LEFT - 6.0, y(value) + 4.0), "end", &shown(value, top, &self.unit));
        }
        for second in (0..=seconds as u32).step_by(MARKS_EVERY) {
            let at = x(f64::from(second));
            text(svg, (at, bottom + 16.0), "middle", &format!("{second} s"));
        }
        for (number, series) in self.series.iter().enumerate() {
            let colour = COLOURS.get(number % COLOURS.len()).unwrap_or(&INK);
            let points =
                series.points.iter().map(|(px, py)| format!("{:.1},{:.1}", x(*px), y(*py)));
            let points: Vec<String> = points.collect();
            let dashes = if number < COLOURS.len() { "none" } else { "5 3" };
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" \
                 stroke-dasharray=\"{dashes}\"/>",
                points.join(" ")
            );
            let row = TOP + 8.0 + 18.0 * number as f64;
            if number < MOST_LEGENDS {
                let _ = writeln!(
                    svg,
                    "<line x1=\"{0}\" y1=\"{row}\" x2=\"{1}\" y2=\"{row}\" stroke=\"{colour}\" \
                     stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>",
                    right + 10.0,
                    right + 26.0
                );
                text(svg, (right + 31.0, row + 4.0), "start", &escaped(&cut(&series.name)));
            }
        }
    }
}

/// One, two or five times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(value)
}

/// A mark of an axis that ends at `top`.
fn shown(value: f64, top: f64, unit: &str) -> String {
    let plain = |value: f64| {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match unit {
        "percentunit" => plain(value * 100.0) + " %",
        "bytes" if top >= 1024.0 * 1024.0 => plain(value / 1024.0 / 1024.0) + " MiB",
        "bytes" => plain(value / 1024.0) + " KiB",
        "s" if top < 1.0 => plain(value * 1000.0) + " ms",
        "s" => plain(value) + " s",
        "ops" => plain(value) + "/s",
        _ => plain(value),
    }
}

fn cut(name: &str) -> String {
    match name.chars().count() > LEGEND {
        true => name.chars().take(LEGEND - 1).chain(['…']).collect(),
        false => name.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
