use super::{locate::locate, *};

fn read(text: &str) -> File {
    File::read("a.yaml".to_owned(), text.to_owned())
}

fn class(file: &File) -> &Class {
    match &file.manifests.first().unwrap().body {
        Body::Class(class) => class,
        other => panic!("{other:?}"),
    }
}

/// A class with this as `objects`, from behind the colon on.
fn with_objects(objects: &str) -> File {
    read(&format!(
        "# a comment\nkind: SecretProviderClass\nspec:\n  parameters:\n    objects:{objects}\n    region: a\n"
    ))
}

/// Line and column in the file of a position in the text of `objects`.
fn located(file: &File, line: u32, column: u32) -> Option<(u32, u32)> {
    let objects = class(file).objects().unwrap();
    let at = locate(&file.source, objects, Position { line, column })?;
    Some((at.line, at.column))
}

/// The character there.
fn seen(file: &File, line: u32, column: u32) -> char {
    let (line, column) = located(file, line, column).unwrap();
    file.source.line(line).chars().nth(usize::try_from(column).unwrap() - 1).unwrap()
}

#[test]
fn place_in_a_block_is_the_place_in_the_file() {
    let block = with_objects(" |\n      - objectName: a\n\n        # x\n        objectType: é9\n");
    assert_eq!(located(&block, 1, 3), Some((6, 9)));
    assert_eq!(located(&block, 4, 3), Some((9, 9)));
    assert_eq!(seen(&block, 4, 16), '9');
    // A blank has the place of its line.
    assert_eq!(located(&block, 4, 1), Some((9, 7)));
    let indented = with_objects(" |2-\n        - objectName: a\n");
    assert_eq!(located(&indented, 1, 5), Some((6, 11)));
    let anchored = with_objects(" &o |\n     - objectName: a\n");
    assert_eq!(located(&anchored, 1, 3), Some((6, 8)));
    let late = with_objects(" |\n\n\n      - objectName: a\n");
    assert_eq!(located(&late, 3, 3), Some((8, 9)));
}

#[test]
fn place_in_a_folded_or_plain_text_is_the_place_in_the_file() {
    let folded = with_objects(" >-\n      [{objectName: a,\n      objectType: 7}]\n");
    assert_eq!(class(&folded).objects().unwrap().text.find('7'), Some(29));
    assert_eq!(located(&folded, 1, 30), Some((7, 19)));
    let plain = with_objects(" abc\n      def\n");
    assert_eq!(located(&plain, 1, 5), Some((6, 7)));
}

#[test]
fn place_in_quotes_is_the_place_in_the_file_escapes_and_all() {
    let double = with_objects(r#" "- objectName: \"a\u00e9\"\n- x: \x39""#);
    assert_eq!(located(&double, 2, 6), Some((5, 47)));
    assert_eq!(located(&double, 1, 17), Some((5, 32)));
    let single = with_objects(" '- a: it''s 9'");
    assert_eq!(seen(&single, 1, 11), '9');
    let json = r#"{"kind": "SecretProviderClass", "spec": {"parameters": {"objects": "- a: \ud83d\ude00 9"}}}"#;
    assert_eq!(seen(&read(json), 1, 8), '9');
    let continued = with_objects(" \"- a: b\\\n      c\\n- d: 9\"");
    assert_eq!(seen(&continued, 2, 6), '9');
}

#[test]
fn place_is_found_behind_carriage_returns_and_a_byte_order_mark() {
    let text = "\u{feff}kind: SecretProviderClass\r\nspec:\r\n  parameters:\r\n    objects: |\r\n      - a: 1\r\n        b: 2\r\n";
    let file = read(text);
    assert_eq!(located(&file, 2, 3), Some((6, 9)));
    assert_eq!(file.source.line(6), "        b: 2");
}

#[test]
fn place_that_is_not_in_the_text_is_none() {
    let file = with_objects(" abc");
    for (line, column) in [(2, 1), (0, 1), (1, 0)] {
        assert_eq!(located(&file, line, column), None);
    }
}

#[test]
fn documents_lists_and_folders_of_lists_are_read_and_other_kinds_counted() {
    let file = read(
        "kind: List\nitems:\n- {kind: Secret}\n- kind: SecretProviderClassList\n  items:\n  - kind: \
         SecretProviderClass\n    metadata: {name: a, namespace: b}\n---\n---\nkind: Pod\n--- # x\n{a: b}\n",
    );
    let names: Vec<_> = file.manifests.iter().map(Manifest::full_name).collect();
    assert_eq!(names, ["b/a", ""]);
    assert_eq!(file.manifests[0].at, Position { line: 6, column: 5 });
    assert_eq!(file.passed_over, 2);
}

#[test]
fn kinds_of_other_projects_with_the_same_names_are_passed_over() {
    let of = |api: &str, kind: &str| {
        let file = read(&format!("apiVersion: {api}\nkind: {kind}\n"));
        (file.manifests.len(), file.passed_over)
    };
    assert_eq!(of("batch.volcano.sh/v1alpha1", "Job"), (0, 1));
    assert_eq!(of("sync.example.com/v1", "SecretSync"), (0, 1));
    assert_eq!(of("extensions/v1beta1", "Deployment"), (1, 0));
    assert_eq!(of("secrets-store.csi.k8s.io/v1", "SecretProviderClass"), (1, 0));
}

#[test]
fn broken_document_hides_no_other_and_another_kind_is_not_looked_at() {
    let file = read(
        "kind: Secret\nstringData: {a: [\n---\nkind: Pod\n\tx\n---\nkind: SecretSync\nspec: {{ .x }}\n---\nkind: ServiceAccount\n",
    );
    assert_eq!((file.manifests.len(), file.passed_over), (1, 1));
    let told: Vec<_> = file.unreadable.iter().map(|u| (u.at.line, u.concerns_us)).collect();
    assert_eq!(told, [(5, false), (8, true)]);
}

#[test]
fn source_is_withheld_where_a_broken_document_may_hold_values() {
    let hidden = |text: &str| read(text).unreadable.first().unwrap().may_hold_values;
    assert!(!hidden("kind: SecretProviderClass\nspec: {{ .x }}\n"));
    assert!(hidden("kind: SecretProviderClass\nspec: {{ .x }}\nkind: Secret\n"));
    assert!(hidden("kind: SecretProviderClass\n{\"kind\":\"Secret\"}\n"));
    assert!(hidden("kind: SecretProviderClass\nspec: {{ .x }}\nstringData: 1\n"));
    assert!(hidden("kind: Pod\nspec: {{ .x }}\n"));
}

#[test]
fn volumes_are_those_of_the_driver_in_pods_and_what_makes_them() {
    let pod = "volumes:\n    - {name: a, csi: {driver: secrets-store.csi.k8s.io, readOnly: true, \
               volumeAttributes: {secretProviderClass: c}, nodePublishSecretRef: {name: s}}}\n    \
               - {name: b, csi: {driver: other}}\n    - {name: c, emptyDir: {}}\n";
    let file = read(&format!("kind: Pod\nspec:\n    {pod}"));
    let Body::Workload(workload) = &file.manifests[0].body else { panic!() };
    let [volume] = &*workload.volumes else { panic!() };
    assert!(volume.read_only && volume.has_secret);
    assert_eq!(&*volume.class.as_ref().unwrap().text, "c");
    let nested = pod.replace("\n    ", "\n            ");
    let text = format!(
        "kind: CronJob\nspec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n            {nested}"
    );
    let file = read(&text);
    let Body::Workload(workload) = &file.manifests[0].body else { panic!() };
    assert_eq!(workload.volumes.len(), 1);
}

#[test]
fn bombs_are_named_and_end_soon() {
    let laughs = (1..12).fold("a0: &a0 [x,x]\n".to_owned(), |text, n| {
        let aliases = vec![format!("*a{}", n - 1); 9].join(",");
        format!("{text}a{n}: &a{n} [{aliases}]\n")
    });
    let deep = format!("kind: Pod\na: {}", "[".repeat(5_000));
    for bomb in [laughs, deep] {
        let file = read(&bomb);
        assert!(file.unreadable[0].reason.starts_with("too large"), "{:?}", file.unreadable);
    }
}
