use std::collections::{BTreeMap, BTreeSet};

use super::{
    catalogue::{ALL, Kind},
    volumes::Refreshed,
    *,
};

/// Metrics that have at least one series each.
fn touched() -> Metrics {
    let metrics = Metrics::new();
    metrics.mount("pod", "OK", Duration::from_millis(3));
    metrics.mount_failed("denied");
    metrics.cloud_call("GetSecretValue", "OK", Duration::from_millis(20));
    metrics.cloud_throttled("GetSecretValue");
    metrics.login(true, false);
    metrics.answered("memory");
    metrics.refresh_event("written");
    metrics.audit_written(1);
    metrics.volumes.ended([0; 32], ("shop", "web"), Refreshed::Failed);
    metrics
}

/// The labels of each family that the text has, but for those of a histogram's buckets.
fn labels_of(text: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut family = "";
    for line in text.lines() {
        if let Some(told) = line.strip_prefix("# TYPE ") {
            family = told.split(' ').next().unwrap();
            labels.insert(family, BTreeSet::new());
        } else if !line.starts_with('#') {
            let series =
                line.split_once('{').map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
            let names = series.split(',').filter_map(|pair| Some(pair.split_once('=')?.0));
            labels.get_mut(family).unwrap().extend(names.filter(|name| *name != "le"));
        }
    }
    labels
}

#[tokio::test]
async fn every_metric_is_in_the_catalogue_as_it_is_exposed_and_nothing_else() {
    let text = touched().text();
    let labels = labels_of(&text);
    let families: BTreeSet<String> = labels.keys().map(|family| (*family).to_owned()).collect();
    assert_eq!(families, ALL.iter().map(|metric| metric.family()).collect());
    for metric in ALL {
        let (family, kind) = (metric.family(), metric.kind.name());
        assert!(text.contains(&format!("# TYPE {family} {kind}\n")), "{family} {kind}: {text}");
        assert!(text.contains(&format!("# HELP {family} {}.\n", metric.meaning)), "{family}");
        let told: BTreeSet<&str> = metric.labels.iter().copied().collect();
        assert_eq!(labels.get(&*family).unwrap(), &told, "{family}");
        let series = match metric.kind {
            Kind::Histogram => format!("\n{}_count", metric.exposed()),
            _ => format!("\n{}", metric.exposed()),
        };
        assert!(text.contains(&series), "{series}");
    }
}

#[tokio::test]
async fn series_of_a_class_go_with_it() {
    tokio::time::pause();
    let metrics = touched();
    let series = "class_volumes_behind{namespace=\"shop\",secret_provider_class=\"web\"} 1\n";
    assert!(metrics.text().contains(series), "{}", metrics.text());
    tokio::time::advance(Duration::from_secs(601)).await;
    assert!(!metrics.text().contains("secret_provider_class"), "{}", metrics.text());
}
