//! `convert`: what becomes of the manifests of `e2e/convert`, that no field is lost, and that what is written
//! passes `check` and mounts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use provider::{
    check::{Settings, check, rule::Severity},
    convert::{Conversion, Input, Options, Secrets, convert, ledger::Fate, output},
    manifests::File,
    names::{Glob, Region},
    spc::mode::Mode,
    yaml::{Node, Value},
};
use tempfile::TempDir;

use crate::{
    architecture::root,
    check::{changed, run},
    table::Table,
    world::World,
};

/// Each case's name and text.
fn cases() -> BTreeMap<String, String> {
    let files = fs::read_dir(root().join("e2e/convert")).unwrap();
    let cases = files.filter_map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name()?.to_str()?.strip_suffix(".yaml")?.to_owned();
        (!name.ends_with(".out")).then(|| (name, fs::read_to_string(path).unwrap()))
    });
    cases.collect()
}

fn settings() -> Settings {
    let region = Region::parse("cn-hangzhou").unwrap();
    let mut settings = Settings::of(region, Mode::Pod, Mode::ALL.into_iter().collect());
    settings.policy.cross_account_roles = vec![Glob::new("*")];
    settings
}

fn converted(text: &str, secrets: Secrets) -> (Input, Conversion) {
    let input = Input::read("a.yaml".to_owned(), text.to_owned());
    let options = Options { secrets, region: None, service_account: None };
    let inputs = [input];
    let conversion = convert(&inputs, &options, &settings());
    let [input] = inputs;
    (input, conversion)
}

#[test]
fn manifests_become_what_their_files_say() {
    let cases = cases();
    assert!(cases.len() >= 17, "{}", cases.len());
    let mut different = Vec::new();
    for name in cases.keys() {
        let file = format!("e2e/convert/{name}.yaml");
        let (status, out, list) = run(&["convert", &file], "");
        let by_hand = list.contains("by hand: ");
        assert_eq!(status, i32::from(by_hand), "{name}: {list}");
        for (golden, said) in [(format!("{name}.out.yaml"), &out), (format!("{name}.txt"), &list)] {
            let path = root().join("e2e/convert").join(golden);
            if std::env::var_os("UPDATE_DOCS").is_some() {
                fs::write(&path, said).unwrap();
            }
            if fs::read_to_string(&path).unwrap_or_default() != *said {
                different.push(format!("{}:\n{said}", path.display()));
            }
        }
    }
    assert!(different.is_empty(), "UPDATE_DOCS=1 writes this:\n{}", different.join("\n"));
}

#[test]
fn figures_of_the_cases_are_in_the_document() {
    let mut table = Table::new(
        "# What became of the published examples\n\nManifests of the shapes and fields of published examples of \
         ack-secret-manager 0.6, of the External Secrets Operator's page about Alibaba Cloud and of the official \
         provider, its chart's values, and of other clouds' providers, as [convert](migrate.md) takes them. The \
         manifests, what is written and the whole list of each are in `e2e/convert`, a test makes this table.",
        &["case", "objects", "manifests", "carried", "changed", "not needed", "by hand", "notes"],
    );
    let mut sums = [0; 7];
    for (name, text) in cases() {
        let (_, conversion) = converted(&text, Secrets::Sync);
        let fields = conversion.objects.iter().flat_map(|object| &object.ledger.fields);
        let count = |fate: &str| fields.clone().filter(|field| field.fate.name() == fate).count();
        let notes =
            conversion.objects.iter().map(|object| object.ledger.notes.len()).sum::<usize>();
        let row = [
            conversion.objects.len(),
            conversion.manifests.len(),
            count("carried"),
            count("changed"),
            count("not-needed"),
            count("by-hand"),
            notes + conversion.left.len(),
        ];
        sums.iter_mut().zip(row).for_each(|(sum, number)| *sum += number);
        let cells = row.map(|number| number.to_string());
        table.row(&[
            &*name, &cells[0], &cells[1], &cells[2], &cells[3], &cells[4], &cells[5], &cells[6],
        ]);
    }
    let cells = sums.map(|number| number.to_string());
    table
        .row(&["all", &cells[0], &cells[1], &cells[2], &cells[3], &cells[4], &cells[5], &cells[6]]);
    table.holds("migrate-cases.md");
}

/// All scalars of an object, and its empty lists and mappings, each by its path with its text.
fn leaves(node: &Node, path: &str, found: &mut Vec<(String, Option<String>)>) {
    match &node.value {
        Value::Mapping(entries) if !entries.is_empty() => {
            for entry in entries {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
                let step = match !entry.key.is_empty()
                    && entry.key.bytes().all(plain)
                    && entry.key.len() <= 100
                {
                    true if path.is_empty() => entry.key.to_string(),
                    true => format!(".{}", entry.key),
                    false => String::from("[?]"),
                };
                leaves(&entry.value, &format!("{path}{step}"), found);
            }
        }
        Value::Sequence(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}[{index}]"), found);
            }
        }
        _ => found.push((path.to_owned(), node.text().map(str::to_owned))),
    }
}

/// Lists within the texts of a SecretProviderClass are looked into.
fn opened(node: &Node) -> Node {
    let list = |node: &Node| {
        let inner = Node::parse(node.text()?).ok()?;
        inner.scalar().is_none().then_some(inner)
    };
    let mut root = node.clone();
    if root.get("kind").and_then(Node::text) != Some("SecretProviderClass") {
        return root;
    }
    fn at<'a>(node: &'a mut Node, path: &[&str]) -> Option<&'a mut Node> {
        let Some((key, rest)) = path.split_first() else { return Some(node) };
        let Value::Mapping(entries) = &mut node.value else { return None };
        at(&mut entries.iter_mut().find(|entry| &*entry.key == *key)?.value, rest)
    }
    for key in ["objects", "secrets"] {
        let Some(given) = at(&mut root, &["spec", "parameters", key]) else { continue };
        let Some(mut inner) = list(given) else { continue };
        if let Some(Node { value: Value::Sequence(items), .. }) = at(&mut inner, &["array"]) {
            items.iter_mut().for_each(|item| *item = list(item).unwrap_or_else(|| item.clone()));
        }
        *given = inner;
    }
    root
}

/// Every field of every object that was read has one fate; what is carried is in the output.
fn account(input: &Input, conversion: &Conversion) -> usize {
    let mut out: String = conversion.manifests.iter().map(|manifest| &*manifest.text).collect();
    // Roles of a cluster's pods that are not known are in the list, and so are two roles of one account.
    out.push_str(&output::json::render(conversion));
    let objects = &input.tree.objects;
    assert_eq!(objects.len(), conversion.objects.len());
    let mut counted = 0;
    for (object, told) in objects.iter().zip(&conversion.objects) {
        let mut expected = Vec::new();
        leaves(&opened(&object.node), "", &mut expected);
        let fields = &told.ledger.fields;
        assert_eq!(fields.len(), expected.len(), "{}", told.title);
        for (field, (path, text)) in fields.iter().zip(&expected) {
            if !path.contains("[?]") {
                assert_eq!(&field.path, path);
            }
            match (&field.fate, text) {
                (Fate::Carried(to), Some(text)) => {
                    assert!(!to.is_empty());
                    let escaped = serde_json::to_string(text).unwrap();
                    let there = out.contains(&**text)
                        || out.contains(escaped.trim_matches('"'))
                        || !text.is_ascii()
                        || text.contains(char::is_control);
                    assert!(there, "{}: {path}: {text:?} is carried and not there", told.title);
                }
                // An empty list or mapping.
                (Fate::Carried(_), None) => {}
                (Fate::Changed(to, how), _) => assert!(!to.is_empty() && !how.is_empty(), "{path}"),
                (Fate::NotNeeded(why), _) => assert!(!why.is_empty(), "{path}"),
                (Fate::ByHand(why, todo), _) => {
                    assert!(!why.is_empty() && !todo.is_empty(), "{path}");
                }
                (Fate::Open, _) => panic!("{path} is in no list"),
            }
            counted += 1;
        }
    }
    counted
}

fn assert_passes_check(conversion: &Conversion) {
    let manifests = conversion.manifests.iter().filter(|manifest| manifest.kind != "values");
    let texts: Vec<&str> = manifests.map(|manifest| &*manifest.text).collect();
    let file = File::read("out".to_owned(), texts.join("---\n"));
    let report = check(&[file], &settings());
    let mut errors = report.findings.iter().filter(|finding| finding.severity() == Severity::Error);
    if let Some(error) = errors.next() {
        panic!("{}\n{}", error.sentence(), texts.join("---\n"));
    }
}

const CANARY: &str = "planted-value-of-a-secret";

fn hold(text: &str, secrets: Secrets) -> usize {
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{a: {CANARY}}}\n"
    );
    let text = format!("{secret}---\n{text}");
    let (input, conversion) = converted(&text, secrets);
    let counted = account(&input, &conversion);
    assert_passes_check(&conversion);
    let list = output::text::render(&conversion);
    let json = output::json::render(&conversion);
    serde_json::from_str::<serde_json::Value>(&json).unwrap();
    let out: String = conversion.manifests.iter().map(|manifest| &*manifest.text).collect();
    assert!(!format!("{list}{json}{out}").contains(CANARY));
    assert!(!list.contains(['\u{1b}', '\u{202e}']), "{list}");
    counted
}

#[test]
fn every_field_of_the_cases_is_in_the_output_or_in_the_list() {
    let mut counted = 0;
    for text in cases().values() {
        for secrets in Secrets::ALL {
            counted += hold(text, secrets);
        }
    }
    assert!(counted > 2_000, "{counted}");
}

#[test]
fn every_field_of_changed_cases_is_in_the_output_or_in_the_list() {
    for (number, text) in cases().values().enumerate() {
        let mut random = fastrand::Rng::with_seed(u64::try_from(number).unwrap());
        for _ in 0..60 {
            let secrets = random.choice(Secrets::ALL).unwrap();
            hold(&changed(text, &mut random), secrets);
        }
    }
}

/// Objects of all kinds, whose fields are any of the formats', in any nesting.
fn generated(random: &mut fastrand::Rng) -> String {
    const KINDS: [(&str, &str); 8] = [
        ("alibabacloud.com/v1alpha1", "ExternalSecret"),
        ("alibabacloud.com/v1alpha1", "SecretStore"),
        ("alibabacloud.com/v1alpha1", "ClusterExternalSecret"),
        ("external-secrets.io/v1", "ExternalSecret"),
        ("external-secrets.io/v1beta1", "ClusterSecretStore"),
        ("secrets-store.csi.x-k8s.io/v1", "SecretProviderClass"),
        ("v1", "ServiceAccount"),
        ("", ""),
    ];
    const KEYS: [&str; 40] = [
        "spec",
        "data",
        "key",
        "name",
        "versionId",
        "versionStage",
        "jmesPath",
        "path",
        "objectAlias",
        "secretStoreRef",
        "kind",
        "namespace",
        "remoteRef",
        "property",
        "secretKey",
        "target",
        "template",
        "metadata",
        "labels",
        "provider",
        "alibaba",
        "regionID",
        "auth",
        "rrsa",
        "roleArn",
        "KMS",
        "KMSAuth",
        "serviceAccountRef",
        "parameters",
        "objects",
        "secretObjects",
        "externalSecretSpec",
        "conditions",
        "namespaces",
        "dataFrom",
        "extract",
        "linux",
        "rrsa",
        "regionId",
        "a b",
    ];
    fn value(random: &mut fastrand::Rng, depth: usize) -> serde_json::Value {
        const TEXTS: [&str; 12] = [
            "web/plain",
            "",
            "alibabacloud",
            "aws",
            "{{ .a }}",
            "cn-hangzhou",
            "1h",
            "oos",
            "true",
            "- objectName: a",
            "acs:ram::1:role/a",
            "array: ['{objectName: a}']",
        ];
        match random.u8(0..10) {
            0..5 if depth < 6 => {
                let entry = |random: &mut fastrand::Rng| {
                    let key = (*random.choice(&KEYS).unwrap()).to_owned();
                    let value = value(random, depth + 1);
                    (key, value)
                };
                (0..random.usize(0..6)).map(|_| entry(random)).collect()
            }
            5 | 6 if depth < 6 => {
                (0..random.usize(0..4)).map(|_| value(random, depth + 1)).collect()
            }
            7 => serde_json::json!(random.u32(0..1000)),
            8 => serde_json::Value::Null,
            _ => serde_json::json!(random.choice(&TEXTS).unwrap()),
        }
    }
    let documents = (0..random.usize(1..5)).map(|_| {
        let (version, kind) = random.choice(KINDS).unwrap();
        let mut object = serde_json::json!({
            "metadata": {"name": random.choice(["a", "b"]).unwrap(), "namespace": "shop"},
            "spec": value(random, 0),
            "linux": value(random, 3),
        });
        if !kind.is_empty() {
            object["apiVersion"] = version.into();
            object["kind"] = kind.into();
        }
        serde_yaml_ng::to_string(&object).unwrap()
    });
    documents.collect::<Vec<_>>().join("---\n")
}

#[test]
fn every_field_of_generated_objects_is_in_the_output_or_in_the_list() {
    let mut random = fastrand::Rng::with_seed(20);
    let counted: usize = (0..1_500)
        .map(|_| {
            let secrets = random.choice(Secrets::ALL).unwrap();
            hold(&generated(&mut random), secrets)
        })
        .sum();
    assert!(counted > 20_000, "{counted}");
}

/// Of each source that has classes of namespace shop in the cases: files that a mount makes of them.
const MOUNTED: [(&str, &str, &str, &str); 9] = [
    ("ack-service-account", "checkout", "greeting", "planted-value-of-web-plain"),
    ("ack-parts", "parts", "user", "planted-user-web"),
    ("ack-parts", "parameters", "password", "planted-parameter-second"),
    ("ack-cross-account", "partner", "partner", "planted-value-of-the-partner"),
    ("eso-all-fields", "database", "user", "planted-user-web"),
    ("official-published", "of-the-pod", "myPassword", "planted-password-web"),
    ("azure", "azure", "greeting", "planted-value-of-web-plain"),
    ("aws", "aws", "user", "planted-user-web"),
    ("gcp", "gcp", "db/user", "planted-user"),
];

#[tokio::test]
async fn what_is_written_mounts() {
    let world = World::start().await;
    let put = |name: &str, value: &str| {
        let versions = serde_json::json!([{"id": "v1", "value": value, "stages": ["ACSCurrent", "ACSPrevious"]}]);
        let secret = serde_json::json!({"name": name, "versions": versions});
        world.emulator.put_secret(serde_json::from_value(secret).unwrap()).unwrap();
    };
    put("password_plain", "planted-plain");
    put("password_db", r#"{"user": "planted-user", "pass-word": "planted-password"}"#);
    put("password-hex", "706c616e746564");
    put(
        "web/db",
        r#"{"user":"planted-user-web","password":"planted-password-web","pass-word":"planted-x","hosts":["planted-host-1"]}"#,
    );
    put("web/plain", "planted-value-of-web-plain");
    let cases = cases();
    let mut kinds = BTreeSet::new();
    let vault = ("vault", "vault", "credentials/user", "planted-user-web");
    for (case, class, file, expected) in MOUNTED.into_iter().chain([vault]) {
        let (_, conversion) = converted(&cases[case], Secrets::Sync);
        let is_class = |kind: &str| kind == "SecretProviderClass";
        let manifest = conversion
            .manifests
            .iter()
            .find(|manifest| is_class(manifest.kind) && manifest.name == class)
            .unwrap_or_else(|| panic!("{case} makes no class {class}"));
        let manifest: serde_json::Value = serde_yaml_ng::from_str(&manifest.text).unwrap();
        let parameters: BTreeMap<String, String> =
            serde_json::from_value(manifest["spec"]["parameters"].clone()).unwrap();
        // What the emulator does not have, a class may still name.
        let mut pod = world.pod("web", "web-1");
        for (name, value) in &parameters {
            let value = match name.as_str() {
                "objects" => value.replace("/app/other", "plain"),
                _ => value.clone(),
            };
            pod = pod.parameter(name, &value);
        }
        let mounted =
            world.mount(&pod).await.unwrap_or_else(|status| panic!("{case} {class}: {status:?}"));
        assert_eq!(mounted.text(file), expected, "{case} {class}");
        kinds.insert(case.split('-').next().unwrap().to_owned());
    }
    assert_eq!(kinds.len(), 7, "{kinds:?}");
    world.finish().await;
}

#[test]
fn files_are_written_each_by_itself_and_none_is_overwritten() {
    let folder = TempDir::new().unwrap();
    let into = folder.path().join("new");
    let report = folder.path().join("list.json");
    let (into_path, list) = (into.to_str().unwrap(), report.to_str().unwrap());
    let case = "e2e/convert/ack-service-account.yaml";
    let arguments = ["convert", case, "--into", into_path, "--report", "json", list];
    let (status, out, said) = run(&arguments, "");
    assert_eq!((status, &*out, &*said), (0, "", ""));
    let names = |folder: &Path| {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect::<BTreeSet<_>>()
    };
    let expected = [
        "secretproviderclass-shop-checkout.yaml",
        "secretsync-shop-checkout.yaml",
        "serviceaccount-shop-web.yaml",
    ];
    assert_eq!(names(&into), expected.map(str::to_owned).into());
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(list).unwrap()).unwrap();
    assert_eq!(report["summary"]["by_hand"], 0);
    let class = into.join(expected[0]);
    fs::write(&class, "mine").unwrap();
    let (status, _, said) = run(&arguments, "");
    assert_eq!(status, 73);
    assert!(said.contains("is there already; --force overwrites it"), "{said}");
    assert_eq!(fs::read_to_string(&class).unwrap(), "mine");
    let target = folder.path().join("target");
    fs::write(&target, "mine").unwrap();
    fs::remove_file(&class).unwrap();
    std::os::unix::fs::symlink(&target, &class).unwrap();
    assert_eq!(run(&[&arguments[..], &["--force"]].concat(), "").0, 0);
    assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    assert!(fs::read_to_string(&class).unwrap().contains("SecretProviderClass"));
}

#[test]
fn status_tells_whether_something_is_left() {
    let whole = &cases()["ack-service-account"];
    let partly = &cases()["gcp"];
    for (arguments, input, status) in [
        (&["convert", "-"][..], &**whole, 0),
        (&["convert", "-"], partly, 1),
        (&["convert", "-"], "a: [", 1),
        (&["convert", "-"], "", 0),
        (&["convert", "--secrets", "none", "-"], whole, 0),
        (&["convert"], "", 64),
        (&["convert", "--secrets", "some", "-"], "", 64),
        (&["convert", "--report", "xml", "-", "-"], "", 64),
        (&["convert", "--region", "here", "-"], "", 64),
        (&["convert", "/does/not/exist.yaml"], "", 66),
        (&["convert", "--report", "text", "/does/not/exist", "-"], whole, 73),
    ] {
        let (ended, _, said) = run(arguments, input);
        assert_eq!(ended, status, "{arguments:?} {said}");
    }
}

#[test]
fn secrets_are_made_as_asked_for() {
    let text = &cases()["ack-service-account"];
    for (secrets, sync, objects) in
        [(Secrets::Sync, 1, false), (Secrets::SecretObjects, 0, true), (Secrets::None, 0, false)]
    {
        let (_, conversion) = converted(text, secrets);
        let syncs = conversion.manifests.iter().filter(|manifest| manifest.kind == "SecretSync");
        assert_eq!(syncs.count(), sync, "{secrets:?}");
        let class =
            conversion.manifests.iter().find(|manifest| manifest.kind == "SecretProviderClass");
        assert_eq!(class.unwrap().text.contains("secretObjects"), objects, "{secrets:?}");
    }
}

/// Values that are carried over are values of this project's chart.
#[test]
fn values_are_those_of_the_chart() {
    let (_, conversion) = converted(&cases()["official-values"], Secrets::Sync);
    let values: serde_json::Value = serde_yaml_ng::from_str(&conversion.manifests[0].text).unwrap();
    let chart = fs::read_to_string(root().join("deploy/chart/values.yaml")).unwrap();
    let chart: serde_json::Value = serde_yaml_ng::from_str(&chart).unwrap();
    for (key, value) in values.as_object().unwrap() {
        let known = chart.get(key).unwrap_or_else(|| panic!("{key} is no value of the chart"));
        let Some(inner) = value.as_object().filter(|_| key != "envVarsFromSecret") else {
            continue;
        };
        inner.keys().for_each(|inner| assert!(known.get(inner).is_some(), "{key}.{inner}"));
    }
    assert_eq!(values["rrsa"]["accountId"], "1234567890123456");
    assert_eq!(values["linux"]["updateStrategy"]["rollingUpdate"]["maxSurge"], 0);
}

/// A dump of a cluster: thousands of objects end soon.
#[test]
fn a_dump_of_a_cluster_ends_soon() {
    let item = |number: usize| {
        format!(
            "- apiVersion: alibabacloud.com/v1alpha1\n  kind: ExternalSecret\n  metadata: {{name: e{number}, namespace: shop}}\n  \
             spec: {{data: [{{key: web/plain, name: a, secretStoreRef: {{name: kms}}}}]}}\n"
        )
    };
    let items: String = (0..2_000).map(item).collect();
    let text = format!("apiVersion: v1\nkind: List\nitems:\n{items}");
    let (input, conversion) = converted(&text, Secrets::Sync);
    assert_eq!(conversion.objects.len(), 2_000);
    assert_eq!(account(&input, &conversion), 2_000 * 8 - 2_000);
}

/// As many as one class may have are written, and each of the others is told.
#[test]
fn of_too_many_values_the_first_are_written_and_the_others_told() {
    let entry = |number: usize| format!("  - {{key: web/plain-{number}, name: a{number}}}\n");
    let entries: String = (0..600).map(entry).collect();
    let head = "apiVersion: alibabacloud.com/v1alpha1\nkind: ExternalSecret\nmetadata: {name: e, namespace: shop}\n";
    let (input, conversion) = converted(&format!("{head}spec:\n  data:\n{entries}"), Secrets::Sync);
    account(&input, &conversion);
    assert_passes_check(&conversion);
    assert_eq!(conversion.manifests[0].text.matches("objectName").count(), 500);
    assert_eq!(conversion.by_hand(), 100 * 2);
}
