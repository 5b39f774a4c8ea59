use super::{
    super::tests::{Line, at, read, text},
    *,
};

fn of(text: &str) -> Coverage {
    read(text, Filter::default(), |_| {})
}

fn lines(seqs: &[u64]) -> String {
    let of = |seq: &u64| Line::read(1, 1, "a", "v1").with("seq", *seq).0.to_string();
    seqs.iter().map(|seq| format!("{}\n", of(seq))).collect()
}

#[test]
fn nothing_is_whole() {
    let coverage = of("\n\n");
    assert!(coverage.is_whole());
    assert_eq!((coverage.lines, coverage.runs(), coverage.all.first()), (0, 0, None));
}

#[test]
fn broken_line_is_told_with_its_place_and_the_others_count() {
    let text = format!("{}half a li\n\n{}", lines(&[1]), lines(&[2]));
    let coverage = of(&text);
    assert_eq!(coverage.broken, [("audit.log".to_owned(), 2, Broken::NoJson)]);
    assert_eq!((coverage.lines, coverage.broken_lines, coverage.taken.times), (3, 1, 2));
    assert!(!coverage.is_whole());
}

#[test]
fn of_many_broken_lines_all_are_counted() {
    let coverage = of(&"x\n".repeat(1000));
    assert_eq!((coverage.broken.len(), coverage.broken_lines), (100, 1000));
}

#[test]
fn lines_missing_within_a_run_are_told_in_whatever_order_the_rest_comes() {
    for seqs in [[3, 4, 9, 10, 6], [10, 9, 6, 4, 3], [6, 3, 10, 4, 9]] {
        let coverage = of(&lines(&seqs));
        let gap = |from, to| Gap { run: "one", from, to };
        assert_eq!(coverage.gaps().collect::<Vec<_>>(), [gap(5, 5), gap(7, 8)], "{seqs:?}");
        assert_eq!((coverage.missing(), coverage.headless(), coverage.repeated), (3, 1, 0));
        assert!(!coverage.is_whole());
    }
}

#[test]
fn lines_that_rotation_gave_up_are_told_and_are_no_gap() {
    let coverage = of(&lines(&[5, 6, 7]));
    assert_eq!((coverage.missing(), coverage.headless()), (0, 1));
    assert!(coverage.is_whole());
}

#[test]
fn largest_numbers_cost_neither_memory_nor_a_fault() {
    let coverage = of(&lines(&[u64::MAX, 0, u64::MAX - 1, 1]));
    assert_eq!((coverage.gaps().count(), coverage.missing()), (1, u64::MAX - 3));
}

#[test]
fn line_that_comes_twice_counts_once() {
    let other =
        Line::read(1, 1, "a", "v1").with("run", "two").with("node", "node-b").with("seq", 1);
    let text = format!("{}{}{}\n", lines(&[1, 2]), lines(&[2, 1, 3]), other.0);
    let coverage = of(&text);
    assert_eq!((coverage.repeated, coverage.taken.times), (2, 4));
    assert_eq!((coverage.runs(), coverage.nodes.len()), (2, 2));
    assert!(coverage.is_whole());
}

#[test]
fn lost_records_are_counted_and_lines_about_the_record_are_no_reads() {
    let lost = Line::read(1, 1, "", "").with("event", "lost").with("lost", 3);
    let stop = Line::read(2, 1, "", "").with("event", "stop");
    let coverage = of(&text(&[lost, stop]));
    assert_eq!((coverage.lost, coverage.taken.times, coverage.all.times), (3, 0, 2));
    assert!(!coverage.is_whole());
}

#[test]
fn filter_takes_from_since_until_before_until_and_namespaces() {
    let lines = [10, 20, 30].map(|second| Line::read(second, 1, "a", "v1"));
    let other = Line::read(20, 2, "a", "v1").with("namespace", "other");
    let text = text(&[lines.to_vec(), vec![other]].concat());
    let taken = |since: Option<u32>, until: Option<u32>, namespaces: &[&str]| {
        let namespaces = namespaces.iter().map(|name| (*name).to_owned()).collect();
        let filter = Filter { since: since.map(at), until: until.map(at), namespaces };
        read(&text, filter, |_| {}).taken.times
    };
    assert_eq!(taken(None, None, &[]), 4);
    assert_eq!(taken(Some(20), None, &[]), 3);
    assert_eq!(taken(None, Some(20), &[]), 1);
    assert_eq!(taken(Some(20), Some(21), &["shop"]), 1);
    assert_eq!(taken(None, None, &["other", "shop"]), 4);
    assert_eq!(taken(None, None, &["none"]), 0);
}
