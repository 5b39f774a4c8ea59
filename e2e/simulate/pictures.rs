//! Which curves are drawn.

use std::{fs, path::Path};

use crate::{
    Fault,
    account::Second,
    drawing::{BLUE, Chart, Curve, GREEN, ORANGE, RED},
    figures::Sample,
    matrix::{Cell, NEIGHBOURS, SIZES},
    options::Options,
    scenario::Outcome,
};

/// Seconds that make one point.
const STEP: u32 = 10;

pub(crate) fn draw(directory: &Path, outcomes: &[Outcome], options: &Options) -> Result<(), Fault> {
    fs::create_dir_all(directory)?;
    for outcome in outcomes {
        let file = directory.join(format!("{}.svg", outcome.scenario.name));
        fs::write(file, traffic(outcome, options))?;
    }
    fs::write(directory.join("staleness.svg"), staleness(outcomes))?;
    Ok(())
}

/// What a pod waits over the size of its cluster.
pub(crate) fn draw_matrix(directory: &Path, cells: &[Cell]) -> Result<(), Fault> {
    fs::create_dir_all(directory)?;
    type Of = fn(&Cell) -> &Sample;
    let pictures: [(&str, &str, Of); 3] = [
        ("one-429", "A new pod right after one 429 on its node", |cell| &cell.at_once),
        ("after-one-429", "A new pod five seconds after one 429", |cell| &cell.soon),
        ("throttled-tenant", "A new pod beside one that is always throttled", |cell| &cell.beside),
    ];
    for (name, title, of) in pictures {
        let mut curves = Vec::new();
        for ((_, neighbours), colour) in NEIGHBOURS.into_iter().zip([GREEN, BLUE, RED]) {
            for (share, what, dashed) in [(0.5, "median", true), (0.99, "p99", false)] {
                let own = cells.iter().filter(|cell| cell.neighbours == neighbours);
                let points = own.filter_map(|cell| {
                    let place = SIZES.iter().position(|nodes| *nodes == cell.nodes)?;
                    Some((f64::from(u32::try_from(place).ok()?), of(cell).at(share)?))
                });
                let name = format!("neighbours {neighbours}, {what}");
                curves.push(Curve { name, colour, dashed, points: points.collect() });
            }
        }
        let across = "nodes: 1, 3, 10, 100, 1,000 (0 to 4 on this axis)";
        let up = "seconds until its 10 secrets are there";
        let svg = Chart { title, across, up, curves, shade: None }.svg();
        fs::write(directory.join(format!("{name}.svg")), svg)?;
    }
    Ok(())
}

fn traffic(outcome: &Outcome, options: &Options) -> String {
    let minutes = outcome.scenario.length.as_secs_f64() / 60.0;
    let curve = |name: &str, colour, part: fn(&Second) -> u32| {
        let mean = |seconds: &[Second]| {
            seconds.iter().map(|second| f64::from(part(second))).sum::<f64>() / f64::from(STEP)
        };
        let points = outcome
            .seconds
            .chunks_exact(STEP as usize)
            .zip(0u32..)
            .map(|(chunk, n)| ((f64::from(n) + 0.5) * f64::from(STEP) / 60.0, mean(chunk)));
        Curve { name: name.to_owned(), colour, dashed: false, points: points.collect() }
    };
    let quota = |name: &str, colour, rate: f64| Curve {
        name: format!("{name} quota"),
        colour,
        dashed: true,
        points: vec![(0.0, rate), (minutes, rate)],
    };
    let (at, mended) = (outcome.scenario.at, outcome.scenario.mended());
    let down = (mended > at)
        .then(|| (at.as_secs_f64() / 60.0, mended.as_secs_f64() / 60.0, "nothing answers"));
    Chart {
        title: outcome.scenario.title,
        across: "minutes",
        up: "calls a second, mean of 10 s",
        curves: vec![
            curve("KMS answered", BLUE, |second| second.kms.answered),
            curve("KMS not answered", RED, |second| second.kms.throttled + second.kms.lost),
            quota("KMS", BLUE, options.kms_quota),
            curve("STS answered", GREEN, |second| second.sts.answered),
            curve("STS not answered", ORANGE, |second| second.sts.throttled + second.sts.lost),
            quota("STS", GREEN, options.sts_quota),
        ],
        shade: down,
    }
    .svg()
}

fn staleness(outcomes: &[Outcome]) -> String {
    let colours = [RED, BLUE, ORANGE, GREEN].into_iter().cycle();
    let curves = outcomes.iter().zip(colours).map(|(outcome, colour)| {
        let points = (0..=100u32).filter_map(|percent| {
            let age = outcome.ages.at(f64::from(percent) / 100.0)?;
            Some((age / 60.0, f64::from(percent)))
        });
        let name = outcome.scenario.title.to_owned();
        Curve { name, colour, dashed: false, points: points.collect() }
    });
    Chart {
        title: "How old the values are that pods have mounted",
        across: "minutes since KMS told the value",
        up: "% of pods with values this old or younger",
        curves: curves.collect(),
        shade: None,
    }
    .svg()
}
