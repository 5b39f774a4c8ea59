//! SVG: the picture by itself, light and dark.

use super::{
    Explanation,
    picture::{Column, Picture, short},
};

const WIDTH: usize = 236;
const HEIGHT: usize = 46;
const GAP_X: usize = 56;
const GAP_Y: usize = 14;
const MARGIN: usize = 20;
const HEAD: usize = 34;
/// Characters that fit into a box, in the larger of the two sizes and in the smaller.
const FIRST: usize = 30;
const SECOND: usize = 34;

const STYLE: &str = "\
text { font-family: system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
.b { fill: #ffffff; stroke: #8c959f }
.r { fill: #eef6ff; stroke: #54a3ff }
.s { fill: #fff8e6; stroke: #d4a72c }
.f { fill: #eefbf1; stroke: #4ac26b }
.l { fill: none; stroke: #8c959f; stroke-width: 1.5 }
.h { font-size: 13px; font-weight: 600 }
.t { font-size: 13px }
.u { font-size: 11px; fill: #59636e }
.bg { fill: #ffffff }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .u { fill: #9198a1 } .bg { fill: #0d1117 } .l { stroke: #6e7681 }
.b { fill: #161b22; stroke: #6e7681 } .r { fill: #0c2d6b; stroke: #388bfd }
.s { fill: #3b2300; stroke: #bb8009 } .f { fill: #033a16; stroke: #2ea043 }
}
";

pub(crate) fn render(all: &[Explanation]) -> String {
    let picture = Picture::of(all);
    let mut rows = [0_usize; 5];
    // Where each box is: its column and row.
    let places: Vec<(usize, usize)> = picture
        .boxes
        .iter()
        .map(|one| {
            let column = Column::ALL.iter().position(|of| *of == one.column).unwrap_or_default();
            let row = rows.get(column).copied().unwrap_or_default();
            if let Some(next) = rows.get_mut(column) {
                *next += 1;
            }
            (column, row)
        })
        .collect();
    let most = rows.iter().copied().max().unwrap_or_default();
    let width = 2 * MARGIN + Column::ALL.len() * WIDTH + (Column::ALL.len() - 1) * GAP_X;
    let height = 2 * MARGIN + HEAD + most * (HEIGHT + GAP_Y);
    let at = |number: usize| {
        let (column, row) = places.get(number).copied().unwrap_or_default();
        // Short columns stand in the middle.
        let of = rows.get(column).copied().unwrap_or_default();
        let down = (most - of) * (HEIGHT + GAP_Y) / 2;
        (MARGIN + column * (WIDTH + GAP_X), MARGIN + HEAD + row * (HEIGHT + GAP_Y) + down)
    };
    let described: Vec<String> = all.iter().map(description).collect();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"title description\">\n\
         <title id=\"title\">Who reads which secrets</title>\n\
         <desc id=\"description\">{}</desc>\n<style>\n{STYLE}</style>\n\
         <rect class=\"bg\" width=\"{width}\" height=\"{height}\"/>\n",
        escaped(&described.join(" "))
    );
    for (number, column) in Column::ALL.into_iter().enumerate() {
        let x = MARGIN + number * (WIDTH + GAP_X);
        let y = MARGIN + 14;
        text.push_str(&format!(
            "<text class=\"h\" x=\"{x}\" y=\"{y}\">{}</text>\n",
            column.title()
        ));
    }
    for (from, to) in &picture.lines {
        let ((x1, y1), (x2, y2)) = (at(*from), at(*to));
        let (y1, y2) = (y1 + HEIGHT / 2, y2 + HEIGHT / 2);
        // From a role to one of another account, in the same column, round the right side.
        let path = if x1 == x2 {
            let x = x1 + WIDTH;
            let out = x + GAP_X / 2;
            format!("M{x} {y1} C{out} {y1} {out} {y2} {x} {y2}")
        } else {
            let (x1, middle) = (x1 + WIDTH, (x1 + WIDTH + x2) / 2);
            format!("M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}")
        };
        text.push_str(&format!("<path class=\"l\" d=\"{path}\"/>\n"));
    }
    for (number, one) in picture.boxes.iter().enumerate() {
        let (x, y) = at(number);
        let class = match one.column {
            Column::Workload | Column::ServiceAccount => "b",
            Column::Role => "r",
            Column::Secret => "s",
            Column::File => "f",
        };
        let (tx, t1, t2) = (x + 10, y + 20, y + 36);
        let whole = match one.second.is_empty() {
            true => one.first.clone(),
            false => format!("{} ({})", one.first, one.second),
        };
        text.push_str(&format!(
            "<g><title>{}</title><rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" \
             height=\"{HEIGHT}\" rx=\"6\"/><text class=\"t\" x=\"{tx}\" y=\"{t1}\">{}</text>\
             <text class=\"u\" x=\"{tx}\" y=\"{t2}\">{}</text></g>\n",
            escaped(&whole),
            escaped(&short(&one.first, FIRST)),
            escaped(&short(&one.second, SECOND)),
        ));
    }
    text.push_str("</svg>\n");
    text
}

/// The same for who hears it.
fn description(of: &Explanation) -> String {
    let role = of.identity.role.as_ref().unwrap_or(&of.identity.role_from);
    let files: Vec<&str> = of.files.iter().map(|file| &*file.path).collect();
    let user = if of.user.is_empty() { "Pods" } else { &of.user };
    format!(
        "{user} of ServiceAccount {}/{} gets {} as {role}.",
        of.namespace,
        of.service_account,
        files.join(", ")
    )
}

fn escaped(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // XML has no form for control characters; names that get here have none.
    escaped.replace('"', "&quot;").replace(char::is_control, " ")
}
