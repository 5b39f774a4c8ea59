use proptest::strategy::Strategy;

use super::*;

const HEAD: &str = "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\n";

fn named(name: &str) -> String {
    format!(
        "{HEAD}metadata: {{name: {name}}}\nspec:\n  provider: alibabacloud\n  parameters:\n    \
         objects: |\n      - objectName: {name}\n"
    )
}

fn wrong(manifest: &str) -> String {
    Class::read(manifest, None).unwrap_err().to_string()
}

/// One line of a right class replaced.
fn replaced(old: &str, new: &str) -> String {
    let right = named("web");
    assert!(right.contains(old), "{old}");
    wrong(&right.replacen(old, new, 1))
}

#[test]
fn class_has_its_name_and_parameters() {
    let class = Class::read(&named("web"), None).unwrap();
    assert_eq!(class.name, "web");
    assert_eq!(class.parameters.get("objects"), Some("- objectName: web\n"));
    assert!(!class.has_secret_objects);
}

#[test]
fn json_is_read_too() {
    let json = r#"{"apiVersion":"secrets-store.csi.x-k8s.io/v1","kind":"SecretProviderClass",
        "metadata":{"name":"web"},"spec":{"provider":"alibabacloud","secretObjects":[{}],
        "parameters":{"region":"cn-beijing"}}}"#;
    let class = Class::read(json, None).unwrap();
    assert_eq!(class.parameters.get("region"), Some("cn-beijing"));
    assert!(class.has_secret_objects);
}

#[test]
fn documents_that_hold_nothing_do_not_count() {
    let manifest = format!("# a comment\n---\n{}---\n\n--- # the end\n", named("web"));
    assert_eq!(Class::read(&manifest, None).unwrap().name, "web");
}

#[test]
fn one_of_several_classes_is_chosen_by_its_name_alone() {
    let other = "kind: ConfigMap\nmetadata: {name: b}\n";
    let manifest = [&named("a"), other, &named("b")].join("---\n");
    assert_eq!(Class::read(&manifest, Some("b")).unwrap().name, "b");
    assert_eq!(
        wrong(&manifest),
        "line 10, column 1: a second document, after that of line 1, column 1; keep one, or choose \
         with --name"
    );
    let none = Class::read(&manifest, Some("c")).unwrap_err().to_string();
    assert_eq!(none, "there is no SecretProviderClass with the name \"c\"");
    let twice = [named("a"), named("a")].join("---\n");
    let twice = Class::read(&twice, Some("a")).unwrap_err().to_string();
    assert!(twice.ends_with("; remove one"), "{twice}");
}

#[test]
fn what_is_no_class_is_named() {
    assert_eq!(wrong("# nothing\n"), "is empty");
    assert_eq!(wrong("- a\n"), "line 1, column 1: is not a SecretProviderClass");
    assert_eq!(wrong("a: 1\n"), "line 1, column 1: kind is missing");
    let told = replaced("kind: SecretProviderClass", "kind: ConfigMap");
    assert_eq!(told, "line 1, column 1: is a \"ConfigMap\", and no SecretProviderClass");
    let told = replaced("x-k8s.io/v1", "x-k8s.io/v2");
    assert!(told.contains("apiVersion is \"secrets-store.csi.x-k8s.io/v2\"; it must be"), "{told}");
    let told = replaced("provider: alibabacloud", "provider: azure");
    assert_eq!(told, "line 5, column 3: spec.provider is \"azure\"; only alibabacloud is served");
}

#[test]
fn unknown_field_is_refused_with_the_one_that_was_meant() {
    assert_eq!(
        replaced("  parameters:", "  parameter:"),
        "line 6, column 3: \"spec.parameter\" is not a field of a SecretProviderClass; did you mean \
         spec.parameters?"
    );
    let told = replaced("spec:", "data: {}\nspec:");
    assert!(told.starts_with("line 4, column 1: \"data\" is not a field"), "{told}");
}

#[test]
fn parameters_are_texts_as_the_api_server_has_them() {
    for no_text in ["true", "Yes", "12", "-1.5e3", "0x1F", "1_000", "null", "[a]", "{a: b}", ".inf"]
    {
        let told = replaced("    objects: |", &format!("    region: {no_text}\n    objects: |"));
        assert!(told.contains("\"spec.parameters.region\" is not a text"), "{no_text}: {told}");
    }
    for text in ["cn-hangzhou", "\"true\"", "'12'", "1.2.3", "5m", "2026-11-30"] {
        let manifest = named("web").replacen(
            "    objects: |",
            &format!("    region: {text}\n    objects: |"),
            1,
        );
        Class::read(&manifest, None).unwrap();
    }
}

#[test]
fn mistake_is_where_it_is_in_the_whole_file_and_shows_no_text() {
    let manifest = format!("---\n{}---\nplanted: [\n", named("web"));
    let told = wrong(&manifest);
    assert!(told.starts_with("line 1") && !told.contains("planted"), "{told}");
    assert!(told.starts_with("line 11") || told.starts_with("line 12"), "{told}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::default()
    })]

    /// Lines of manifests, right and wrong, in any order.
    #[test]
    fn any_text_is_a_class_or_a_short_mistake(lines in proptest::collection::vec(
        proptest::prop_oneof![
            proptest::sample::select(vec![
                "---", "--- |", "...", "kind: SecretProviderClass", "kind: List", "metadata:",
                "  name: web", "spec:", "  provider: alibabacloud", "  parameters:", "    objects: |",
                "      - objectName: a", "    region: [", "apiVersion: secrets-store.csi.x-k8s.io/v1",
                "\u{feff}", "? a", "- b", "&a *a", "!!binary x", "\t",
            ]).prop_map(str::to_owned),
            ".{0,40}",
        ],
        0..12,
    )) {
        if let Err(mistake) = Class::read(&lines.join("\n"), None) {
            let told = mistake.to_string();
            proptest::prop_assert!((1..400).contains(&told.len()), "{}", told);
        }
    }
}
