//! The manifests of `examples/guides` and of the quick start mount, with the policies that are written for them.

use std::fs;

use super::{KEY, example};
use crate::architecture::root;

#[tokio::test]
async fn manifests_of_the_guides_mount_with_the_policies_written_for_them() {
    let mut files = vec!["examples/quickstart/checkout.yaml".to_owned()];
    for entry in fs::read_dir(root().join("examples/guides")).unwrap() {
        files.push(format!("examples/guides/{}", entry.unwrap().file_name().to_str().unwrap()));
    }
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let key: &[&str] = if file.ends_with("/kms-instance.yaml") { &KEY } else { &[] };
        let example = example(&file, key);
        let policies = example.told("policy");
        assert_ne!(example.told("explain")["mounts"].as_array().unwrap().len(), 0, "{file}");
        assert!(example.works_with(&policies).await, "{file}: {policies:#}");
    }
}
