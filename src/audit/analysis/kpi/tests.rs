use super::{
    super::tests::{Line, all},
    *,
};

fn kpi(lines: &[Line]) -> Kpi {
    let mut counts = Counts::default();
    all(lines, |record| counts.add(record));
    counts.kpi()
}

#[test]
fn mounts_are_counted_once_for_all_their_lines() {
    let kpi = kpi(&[
        Line::read(10, 1, "a", "v1"),
        Line::read(10, 1, "b", "v1").with("source", "memory"),
        Line::read(20, 2, "a", "v1")
            .with("identity", "provider")
            .with("identity_chosen_by", "auto"),
        Line::read(30, 3, "a", "v1").with("source", "grace"),
        // One that was denied by the cloud, beside one that was read.
        Line::read(40, 4, "a", "v1").with("mounted", false),
        Line::read(40, 4, "b", "v1").denied(),
        Line::refusal(50, 5, "PERMISSION_DENIED")
            .with("identity", "")
            .with("identity_chosen_by", ""),
        Line::refusal(60, 6, "INVALID_ARGUMENT")
            .with("identity", "")
            .with("identity_chosen_by", ""),
        Line::refusal(70, 7, "UNAUTHENTICATED").with("endpoint", "sts"),
    ]);
    assert_eq!((kpi.mounts, kpi.succeeded, kpi.shared), (7, 3, 1));
    let named = |of: &[(&str, u64)]| of.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
    assert_eq!(kpi.by_identity, named(&[("", 2), ("pod", 4), ("provider", 1)]));
    assert_eq!(kpi.by_choice, named(&[("", 2), ("auto", 1), ("operator-default", 4)]));
    let outcomes = [("PERMISSION_DENIED", 2), ("INVALID_ARGUMENT", 1), ("UNAUTHENTICATED", 1)];
    assert_eq!(kpi.by_outcome, named(&outcomes));
    assert_eq!((kpi.denied, kpi.denied_by_cloud, kpi.denied_here), (3, 2, 1));
    assert_eq!((kpi.handed, kpi.stale, kpi.stale_mounts, kpi.refused_reads), (4, 1, 1, 1));
    assert_eq!(kpi.sources, named(&[("cloud", 2), ("grace", 1), ("memory", 1)]));
    assert_eq!((kpi.secrets, kpi.pods), (2, 1));
    assert!(kpi.unused.is_none());
}

#[test]
fn nothing_has_no_mounts() {
    let kpi = kpi(&[]);
    assert_eq!((kpi.mounts, kpi.handed, kpi.lag.percentile(50)), (0, 0, None));
}
