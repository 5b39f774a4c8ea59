use super::{
    super::tests::{Line, accesses},
    *,
};

fn lag(lines: &[Line]) -> Lag {
    Lag::of(&accesses(lines))
}

fn pod(number: u32, second: u32, version: &str) -> Line {
    let mount = (u64::from(number) << 32) + u64::from(second);
    Line::read(second, mount, "a", version).pod(&format!("web-{number}"), &format!("uid-{number}"))
}

#[test]
fn lag_is_counted_from_the_first_pod_that_got_a_version() {
    // A new pod gets the version first, the others 10 s and 30 s later, one never.
    let lines = [
        pod(1, 10, "v1"),
        pod(2, 11, "v1"),
        pod(3, 12, "v1"),
        pod(4, 100, "v2"),
        pod(1, 110, "v2"),
        pod(3, 120, "v1"),
        pod(2, 130, "v2"),
        pod(2, 140, "v2"),
    ];
    let expected = Lag { rotations: 1, moves: vec![10_000_000, 30_000_000], behind: 1 };
    assert_eq!(lag(&lines), expected);
    let reversed: Vec<Line> = lines.iter().rev().cloned().collect();
    assert_eq!(lag(&reversed), expected);
    assert_eq!(expected.percentile(50), Some(10_000_000));
    assert_eq!(expected.percentile(95), Some(30_000_000));
    assert_eq!(expected.percentile(100), Some(30_000_000));
}

#[test]
fn pod_without_a_record_since_is_not_behind() {
    let lines = [pod(1, 10, "v1"), pod(2, 11, "v1"), pod(1, 20, "v2")];
    assert_eq!(lag(&lines), Lag { rotations: 1, moves: vec![0], behind: 0 });
}

#[test]
fn versions_that_a_class_asks_for_beside_each_other_are_no_rotation() {
    let both = |second, mount| {
        [Line::read(second, mount, "a", "old"), Line::read(second + 1, mount, "a", "new")]
    };
    assert_eq!(lag(&both(10, 1)), Lag::default());
    assert_eq!(lag(&[both(10, 1), both(20, 2)].concat()), Lag::default());
    // One that pins the old version is not behind: no pod moved from it.
    assert_eq!(lag(&[pod(1, 10, "old"), pod(2, 11, "new"), pod(1, 20, "old")]), Lag::default());
}

#[test]
fn version_that_comes_back_is_no_rotation_to_it() {
    let lines = [pod(1, 10, "v1"), pod(1, 20, "v2"), pod(1, 30, "v1")];
    assert_eq!(lag(&lines), Lag::default());
}

#[test]
fn values_that_were_not_handed_out_are_no_rotation() {
    let lines =
        [pod(1, 10, "v1"), pod(1, 20, "v2").with("mounted", false), pod(1, 30, "v2").denied()];
    assert_eq!(lag(&lines), Lag::default());
}
