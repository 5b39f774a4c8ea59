use super::{
    super::{
        tests::{Line, accesses, resource, span},
        who::who,
    },
    *,
};

fn some() -> Vec<Line> {
    vec![
        Line::read(10, 1, "a", "v1"),
        Line::read(10, 1, "b", "v1"),
        Line::read(20, 2, "a", "v1").with("source", "stale"),
        Line::read(30, 3, "a", "v2").with("source", "grace"),
        // Another pod, whose mount failed because of b.
        Line::read(15, 4, "a", "v1").pod("web-2", "uid-2").with("mounted", false),
        Line::read(15, 4, "b", "v1").pod("web-2", "uid-2").denied().with("reason", "the first"),
        Line::read(25, 5, "b", "v1").pod("web-3", "uid-3").denied().with("reason", "the last"),
        Line::read(26, 6, "c", "").with("outcome", "MISSING"),
        Line::refusal(40, 7, "INVALID_ARGUMENT").pod("", ""),
    ]
}

#[test]
fn report_says_what_was_handed_out_and_refused() {
    let accesses = accesses(&some());
    let report = Report::of(&accesses);
    let a = &report.by_secret[&*resource("a")];
    assert_eq!((a.handed, a.stale, a.kept, a.refused.times), (span(3, 10, 30), 2, 1, 0));
    assert_eq!(a.pods.len(), 1, "nothing was handed to the pod whose mount failed");
    let b = &report.by_secret[&*resource("b")];
    assert_eq!((b.handed.times, b.refused, b.pods.len()), (1, span(2, 15, 25), 1));
    let c = &report.by_secret[&*resource("c")];
    assert_eq!((c.handed.first(), c.missing, c.pods.len()), (None, 1, 0));
    assert_eq!(report.by_secret.len(), 3, "a mount refused as a whole is of no secret");

    let pods: Vec<_> = report.by_pod.iter().map(|(pod, sum)| (pod[1], sum.handed.times)).collect();
    assert_eq!(pods, [("", 0), ("web-1", 4), ("web-2", 0), ("web-3", 0)]);
    let [identity] = report.by_identity.values().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((identity.handed, identity.refused.times), (span(4, 10, 30), 3));
    assert_eq!((identity.secrets.len(), identity.pods.len()), (2, 1));

    let [(first, most), (_, whole)] = &report.refusals[..] else { panic!() };
    assert_eq!((most.span, most.pods.len()), (span(2, 15, 25), 2));
    assert_eq!(accesses.reason(first), "the last");
    assert_eq!(whole.span, span(1, 40, 40));
}

#[test]
fn order_of_lines_does_not_matter() {
    let mut lines = some();
    let told = |lines: &[Line]| {
        let accesses = accesses(lines);
        let report = Report::of(&accesses);
        let secrets = report.by_secret.iter().map(|(name, sum)| (*name, sum.handed, sum.refused));
        let refusals = report.refusals.iter().map(|(kind, of)| (accesses.reason(kind), of.span));
        let (secrets, refusals) = (secrets.collect::<Vec<_>>(), refusals.collect::<Vec<_>>());
        format!("{secrets:?} {refusals:?} {:?}", who(&accesses))
    };
    let expected = told(&lines);
    for _ in 0..lines.len() {
        lines.rotate_left(1);
        assert_eq!(told(&lines), expected);
    }
    lines.reverse();
    assert_eq!(told(&lines), expected);
}

#[test]
fn nothing_is_reported_of_nothing() {
    let accesses = accesses(&[]);
    let report = Report::of(&accesses);
    assert!(report.by_secret.is_empty() && report.by_pod.is_empty() && report.refusals.is_empty());
    assert!(who(&accesses).is_empty());
}
