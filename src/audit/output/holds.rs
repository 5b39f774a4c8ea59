//! `audit holds`.

use super::{
    Cell, Table,
    report::{identity, pod},
    short, text,
    text::{Side, columns, span},
};
use crate::{
    audit::analysis::{
        alerts::Alert,
        holds::{Answer, Held, Moment, State, Value},
    },
    text::shown,
};

/// An answer, and the alert that it is about.
pub(crate) type Joined<'a> = (Option<&'a Alert>, Moment, Answer<'a>);

pub(crate) fn table<'a>(joined: &'a [Joined<'a>]) -> Table<'a> {
    let mut rows = Vec::new();
    for (alert, moment, answer) in joined {
        let mut about = match alert {
            None => vec![text(""); 4],
            Some(alert) => {
                [&alert.id, &alert.what, &alert.user, &alert.container].map(|of| text(of)).to_vec()
            }
        };
        about.extend([Cell::Time(Some(moment.from)), Cell::Time(Some(moment.to))]);
        let whom = |names: [&'a str; 5]| names.map(text).to_vec();
        for held in &answer.held {
            let names = whom([held.namespace, held.pod, held.uid, held.service_account, held.node]);
            for value in &held.values {
                rows.push([about.clone(), names.clone(), row(value)].concat());
            }
            if held.values.is_empty() {
                rows.push([about.clone(), names.clone(), nothing("none")].concat());
            }
        }
        for earlier in &answer.earlier {
            let names = whom([earlier.namespace, earlier.pod, earlier.uid, "", ""]);
            rows.push([about.clone(), names, nothing("earlier-pod")].concat());
        }
        if let (Some(alert), true) = (alert, answer.held.is_empty()) {
            let state = if alert.is_refused() { "refused" } else { "no-record" };
            let names = whom([&alert.namespace, &alert.pod, &alert.uid, "", ""]);
            rows.push([about.clone(), names, nothing(state)].concat());
        }
    }
    Table {
        name: "holds",
        columns: &[
            "alert",
            "session",
            "user",
            "container",
            "from",
            "to",
            "namespace",
            "pod",
            "uid",
            "service_account",
            "node",
            "state",
            "secret",
            "version",
            "secret_provider_class",
            "via",
            "identity",
            "role",
            "access_key_id",
            "handed_out_first",
            "handed_out_last",
            "handed_out_again",
            "until",
        ],
        rows,
    }
}

fn row<'a>(value: &Value<'a>) -> Vec<Cell<'a>> {
    let texts = [
        value.state.name(),
        value.secret,
        value.version,
        value.class,
        value.via,
        value.identity,
        value.role,
        value.access_key_id,
    ];
    let mut row = texts.map(text).to_vec();
    row.extend([Some(value.first), Some(value.last), value.again, value.until].map(Cell::Time));
    row
}

/// No value, and why.
fn nothing<'a>(state: &'static str) -> Vec<Cell<'a>> {
    let mut row = vec![text(state)];
    row.extend(vec![text(""); 7]);
    row.extend([const { None }; 4].map(Cell::Time));
    row
}

pub(crate) fn render(joined: &[Joined<'_>]) -> String {
    let mut out = String::new();
    for (alert, moment, answer) in joined {
        match alert {
            Some(alert) => out.push_str(&format!("\n{}\n", session(alert))),
            None => out.push_str(&format!("\nat {} UTC\n", short(moment.to))),
        }
        if alert.is_some_and(Alert::is_refused) {
            continue;
        }
        if answer.held.is_empty() {
            out.push_str("  no record of this pod until then in these files\n");
            if answer.later > 0 {
                let pods = super::text::number(super::count(answer.later), "pod", "pods");
                out.push_str(&format!("  records of {pods} from later on\n"));
            }
        }
        for held in &answer.held {
            out.push_str(&of_pod(held, moment));
        }
        for earlier in &answer.earlier {
            out.push_str(&format!(
                "  before it {},\n    records {}: ask for that uid\n",
                pod(earlier.namespace, earlier.pod, earlier.uid),
                span(&earlier.records),
            ));
        }
    }
    out
}

fn session(alert: &Alert) -> String {
    let container = match &*alert.container {
        "" => String::new(),
        name => format!(", container {name}"),
    };
    let until = match (alert.is_refused(), alert.end) {
        (true, _) => String::new(),
        (false, Some(end)) => format!(" to {} UTC", short(end)),
        (false, None) => " UTC".to_owned(),
    };
    let code = match alert.code {
        Some(code) if alert.is_refused() => format!(" UTC: refused with {code}"),
        Some(code) => format!(", answered {code}"),
        None => String::new(),
    };
    let what = format!(
        "{} by {} from {} into {}/{}{container}",
        alert.what, alert.user, alert.source_ip, alert.namespace, alert.pod
    );
    let open = match (alert.is_refused(), alert.end) {
        (false, None) => "; its end is not in the log, and what came later left out",
        _ => "",
    };
    format!("{}\n  {}{until}{code}{open}", shown(&what), short(alert.start))
}

fn of_pod(held: &Held<'_>, moment: &Moment) -> String {
    let mut out = format!("  {}\n", pod(held.namespace, held.pod, held.uid));
    out.push_str(&format!(
        "    ServiceAccount {}, node {}, records {}\n",
        shown(held.service_account),
        shown(held.node),
        span(&held.records),
    ));
    if let Some(next) = held.next_of_name {
        out.push_str(&format!(
            "    another pod of this name has records from {} on\n",
            short(next)
        ));
    }
    let latest = match moment.from == moment.to {
        true => "handed out by the last mount before",
        false => "handed out by the last mount before, and by those during the session",
    };
    for (state, title) in [
        (State::Latest, latest),
        (State::Earlier, "handed out earlier"),
        (State::Sync, "handed out to the sync controller, for Secrets"),
    ] {
        let values: Vec<&Value<'_>> =
            held.values.iter().filter(|value| value.state == state).collect();
        if values.is_empty() {
            continue;
        }
        out.push_str(&format!("    {title}:\n"));
        let rows: Vec<Vec<String>> = values
            .iter()
            .map(|value| {
                let until = value.until.map_or_else(|| "end of the files".to_owned(), short);
                vec![
                    shown(value.secret).into_owned(),
                    short(value.first),
                    until,
                    shown(value.version).into_owned(),
                    shown(value.class).into_owned(),
                ]
            })
            .collect();
        let heads = ["SECRET", "FROM", "UNTIL", "VERSION", "CLASS"].map(|head| (head, Side::Left));
        out.push_str(&columns(6, &heads, &rows));
        let mut as_whom: Vec<String> = values
            .iter()
            .map(|value| identity(value.identity, value.role, value.access_key_id))
            .collect();
        as_whom.sort();
        as_whom.dedup();
        out.push_str(&format!("      as {}\n", as_whom.join(", ")));
    }
    if held.values.is_empty() {
        out.push_str("    nothing was handed out until then\n");
    }
    out
}
