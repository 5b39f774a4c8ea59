//! `docs/metrics.md`, and what a running provider tells of SecretProviderClasses.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use emulator::{Fault, FaultEffect};
use provider::telemetry::catalogue;

use crate::{architecture::root, table::Table, world::World};

#[test]
fn every_metric_is_documented_with_its_unit_labels_and_what_to_do() {
    let mut table = Table::new(
        "# Metrics\n\nWhat `/metrics` of the port of probes has, as OpenMetrics text; `--metrics=false` closes it. A \
         metric keeps its name and labels; a new one is in the changelog. No label holds a value, a token, or a name \
         of a secret; `namespace` and `secret_provider_class` are names of Kubernetes objects, which everyone reads \
         who reaches the port. Labels have few values: those of classes at most 100 and `other`, and they go with \
         the last volume of the class. A volume is gone when no mount asked for it in ten minutes, or in three times \
         the pause between its last two mounts.\n\nThe share of mounts by identity is `sum by (identity) \
         (rate(csi_provider_alibabacloud_mounts_total[1h]))` over the same without `by`. The chart has \
         [alerts](runbooks.md) and [a dashboard](dashboard.md).",
        &["metric", "type", "unit", "labels", "meaning", "when it grows"],
    );
    for metric in catalogue::ALL {
        let name = format!("`{}`", metric.exposed());
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, unit) = (metric.kind.name(), metric.unit());
        table.row(&[&name, kind, unit, &labels.join(", "), metric.meaning, metric.grows]);
    }
    table.holds("metrics.md");
}

fn line<'a>(metrics: &'a str, series: &str) -> Option<&'a str> {
    let name = format!("csi_provider_alibabacloud_{series} ");
    metrics.lines().find_map(|line| line.strip_prefix(&*name))
}

/// A pod that is served, one of another class that is refused and then served, and what the sync controller asks for.
#[tokio::test]
async fn refreshes_are_told_of_by_class_and_failures_by_reason() {
    let world = World::start().await;
    let pod = world.pod("web", "web-1").objects("- objectName: web/plain\n");
    world.mount(&pod).await.unwrap();
    let class = "{namespace=\"shop\",secret_provider_class=\"secrets\"}";
    let behind = format!("class_volumes_behind{class}");
    let metrics = world.metrics().await;
    assert_eq!(line(&metrics, &behind), Some("0"), "{metrics}");
    let age: f64 =
        line(&metrics, &format!("class_refresh_age_seconds{class}")).unwrap().parse().unwrap();
    assert!((0.0..60.0).contains(&age), "{age}");
    assert_eq!(line(&metrics, "logins_total{kind=\"new\",outcome=\"OK\"}"), Some("1"));

    let effect = FaultEffect::Error {
        status: 403,
        code: "Forbidden.NoPermission".to_owned(),
        message: None,
        headers: BTreeMap::new(),
    };
    let refused = Fault { service: Some("kms".to_owned()), effect, ..Fault::default() };
    let fault = world.emulator.add_fault(refused);
    let other = world.pod("web", "web-2").class("other").objects("- objectName: web/plain\n");
    let of_other = behind.replace("\"secrets\"", "\"other\"");
    world.mount(&other).await.unwrap_err();
    let metrics = world.metrics().await;
    assert_eq!(line(&metrics, &behind), Some("0"), "{metrics}");
    assert_eq!(line(&metrics, &of_other), Some("1"), "{metrics}");
    assert_eq!(line(&metrics, "mount_failures_total{reason=\"denied\"}"), Some("1"), "{metrics}");
    world.emulator.clear_fault(fault);
    world.mount(&other).await.unwrap();
    assert_eq!(line(&world.metrics().await, &of_other), Some("0"));

    world
        .mount(&world.pod("web", "web-3").objects("- objectName: web/plain\n").by_sync_controller())
        .await
        .unwrap();
    let metrics = world.metrics().await;
    let series = metrics.lines().filter(|line| line.contains("class_volumes_behind{")).count();
    assert_eq!(series, 2, "{metrics}");
    world.finish().await;
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// What queries of a file name, without what a histogram's series end in.
fn named(text: &str) -> BTreeSet<&str> {
    let exposed: BTreeSet<String> = catalogue::ALL.iter().map(|metric| metric.exposed()).collect();
    let prefix = catalogue::PREFIX;
    let names = text.match_indices(prefix).filter_map(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(rest.len());
        (end > prefix.len()).then_some(&rest[..end])
    });
    let ends = ["", "_bucket", "_sum", "_count"];
    let base = |name: &&str| {
        let mut bases = ends.iter().filter_map(|end| name.strip_suffix(end));
        bases.any(|base| exposed.contains(base))
    };
    let (known, unknown): (BTreeSet<_>, BTreeSet<_>) = names.partition(base);
    assert!(unknown.is_empty(), "there is no such metric: {unknown:?}");
    known.into_iter().map(|name| name.strip_suffix("_bucket").unwrap_or(name)).collect()
}

#[test]
fn dashboard_shows_every_metric_and_alerts_ask_for_none_that_there_is_not() {
    let shown = read("deploy/chart/dashboards/provider.json");
    let all: BTreeSet<String> = catalogue::ALL.iter().map(|metric| metric.exposed()).collect();
    assert_eq!(named(&shown).into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), all);
    assert!(named(&read("deploy/chart/rules/alerts.yaml")).len() > 5);
}

#[test]
fn every_alert_has_a_runbook_and_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let (rules, cases) = (read("deploy/chart/rules/alerts.yaml"), read("deploy/alerts/tests.yaml"));
    let after = |text: &str, start: &str| {
        text.lines()
            .filter_map(|line| line.trim().strip_prefix(start).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let alerts = after(&rules, "- alert: ");
    assert!(alerts.len() >= 10, "{alerts:?}");
    assert_eq!(
        after(&read("docs/runbooks.md"), "## "),
        alerts,
        "a section for each, in their order"
    );
    let led: Vec<_> =
        alerts.iter().map(|alert| format!("docs/runbooks.md#{}", alert.to_lowercase())).collect();
    assert_eq!(after(&rules, "runbook_url: "), led);
    for alert in &alerts {
        assert!(cases.contains(&format!("alertname: {alert}, exp_alerts: [] }}")), "{alert}");
        assert!(
            cases.contains(&format!("alertname: {alert}\n        exp_alerts:\n          - ")),
            "{alert}"
        );
    }
}
