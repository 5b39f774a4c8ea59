//! `check`: what it says of the broken manifests of `e2e/check`, that it says of a class what a mount says, and
//! that it ends soon.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use provider::{
    check::{
        Report, Settings, check,
        finding::Finding,
        output,
        rule::{Rule, Severity},
    },
    endpoint::Endpoints,
    manifests::File,
    names::Region,
    pb::MountRequest,
    policy::{DefaultMode, Policy, Share},
    request,
    spc::mode::Mode,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{architecture::root, program::program, table::Table};

/// What the program says, and its exit status.
pub fn run(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = program()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who needs no input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// Each broken manifest's name and text.
fn cases() -> BTreeMap<String, String> {
    let files = fs::read_dir(root().join("e2e/check")).unwrap().map(|entry| entry.unwrap().path());
    let manifests = files.filter(|path| path.extension().is_some_and(|of| of == "yaml"));
    let named = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    manifests.map(named).collect()
}

/// Those of a case's first line.
fn arguments(text: &str) -> Vec<&str> {
    let first = text.lines().next().and_then(|line| line.strip_prefix("# arguments: "));
    first.unwrap_or_default().split_whitespace().collect()
}

#[test]
fn broken_manifests_are_told_as_their_files_say() {
    let cases = cases();
    assert!(cases.len() >= 30);
    let mut different = Vec::new();
    let mut codes = BTreeSet::new();
    for (name, text) in &cases {
        let file = format!("e2e/check/{name}.yaml");
        let given = [&["check", "--deny=notes"], &*arguments(text), &[&*file]].concat();
        let (status, said, failed) = run(&given, "");
        assert_eq!((status, &*failed), (1, ""), "{name}: {said}");
        let bracketed = said.split('[').skip(1).filter_map(|rest| Some(rest.split_once(']')?.0));
        codes.extend(bracketed.filter_map(Rule::of_code));
        let golden = root().join(format!("e2e/check/{name}.txt"));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&golden, &said).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != said {
            different.push(format!("{name}:\n{said}"));
        }
    }
    assert!(different.is_empty(), "UPDATE_DOCS=1 writes this:\n{}", different.join("\n"));
    let missing: Vec<_> =
        Rule::all().filter(|rule| rule.is_checked() && !codes.contains(rule)).collect();
    assert!(missing.is_empty(), "no case has {missing:?}");
}

/// Without what the operator has to configure, which `check` does not ask for.
fn settings(allowed: &[Mode]) -> Settings {
    let (sts, kms, oos) = (None, None, None);
    let region = Region::parse("cn-hangzhou").unwrap();
    Settings {
        endpoints: Endpoints { region, public: false, sts, kms, oos, allowed: vec![] },
        policy: Policy {
            share: Share::Pod,
            default: DefaultMode::Mode(Mode::Pod),
            allowed: allowed.iter().copied().collect(),
            cross_account_roles: vec![],
            namespaces: None,
            oidc_provider: None,
            role: None,
            token_file: None,
            keys: None,
            ecs_metadata: true,
            session_name: None,
            session_lifetime: Duration::from_secs(3600),
        },
    }
}

type Parameters = BTreeMap<String, String>;

/// All that a mount of these parameters says before it asks anybody, and how many mistakes more.
fn by_mount(parameters: &Parameters, settings: &Settings) -> (BTreeSet<String>, usize) {
    let mut attributes: Value = json!(parameters);
    for (name, value) in [
        ("secretProviderClass", "c"),
        ("csi.storage.k8s.io/pod.namespace", "shop"),
        ("csi.storage.k8s.io/pod.name", "web-1"),
        ("csi.storage.k8s.io/pod.uid", "u"),
        ("csi.storage.k8s.io/serviceAccount.name", "web"),
    ] {
        attributes[name] = json!(value);
    }
    let request = MountRequest {
        attributes: attributes.to_string(),
        secrets: "null".to_owned(),
        target_path: "/t".to_owned(),
        permission: "420".to_owned(),
        current_object_version: vec![],
    };
    let mut caller = Default::default();
    let mount = request::parse(request, &settings.endpoints, &Default::default(), &mut caller);
    let decided = mount.and_then(|mount| {
        let namespace = Some(&*mount.pod.namespace);
        settings.policy.decide(&mount.spec, &mount.node_publish_keys, namespace)
    });
    match decided {
        Ok(_) => Default::default(),
        Err(errors) => (errors.iter().map(ToString::to_string).collect(), errors.more()),
    }
}

/// The same of a manifest, as far as a mount would say it.
fn of_mount(report: &Report) -> (BTreeSet<String>, usize) {
    let all = || report.findings.iter().chain(report.ignored.iter().map(|(finding, _)| finding));
    let mounts = all().filter(|finding| matches!(finding.rule, Rule::Mount(_)));
    let more = all().flat_map(|finding| &finding.notes);
    let more = more.filter_map(|note| note.split_once(" more mistakes")?.0.parse::<usize>().ok());
    (mounts.map(|finding| finding.sentence()).collect(), more.sum())
}

/// The class in each form in which YAML can have it.
fn forms(parameters: &Parameters) -> Vec<String> {
    let class = json!({
        "apiVersion": "secrets-store.csi.x-k8s.io/v1",
        "kind": "SecretProviderClass",
        "metadata": { "name": "c", "namespace": "shop" },
        "spec": { "provider": "alibabacloud", "parameters": parameters },
    });
    // As docs/check.md says, `check` reads JSON as YAML, which has no such characters without an escape.
    let escaped = |c: char| match c {
        '\u{7f}'..='\u{9f}' => format!("\\u{:04x}", u32::from(c)),
        other => other.to_string(),
    };
    let json = |text: String| text.chars().map(escaped).collect::<String>();
    let yaml = serde_yaml_ng::to_string(&class).unwrap();
    let mut forms = vec![json(class.to_string()), json(format!("{class:#}")), yaml];
    forms.push(forms[2].replace('\n', "\r\n"));
    forms.push(format!("kind: List\nitems:\n- {}\n", forms[0]));
    // A carriage return ends a line of YAML, and is a line feed then.
    if parameters.values().any(|text| text.contains('\r')) || forms[2].contains("|2") {
        forms.remove(3);
    }
    forms
}

fn agree(parameters: &Parameters) -> usize {
    let mut compared = 0;
    for settings in [settings(&[Mode::Pod]), settings(&Mode::ALL)] {
        let mount = by_mount(parameters, &settings);
        for text in forms(parameters) {
            let file = File::read("c.yaml".to_owned(), text.clone());
            assert!(file.unreadable.is_empty(), "{:?}: {text}", file.unreadable);
            let report = check(&[file], &settings);
            assert_eq!(of_mount(&report), mount, "{text}");
            // A comment in `objects` may be one of `check`'s, and a mount reads none.
            let counts = |finding: &&Finding| {
                finding.severity() == Severity::Error && finding.rule != Rule::InvalidIgnore
            };
            let ignored = report.ignored.iter().map(|(finding, _)| finding);
            let errors = report.findings.iter().chain(ignored).any(|finding| counts(&finding));
            let refused = !mount.0.is_empty();
            // Kubernetes itself refuses no text, and nothing else is in the manifest.
            assert_eq!(errors, refused, "{:?}: {text}", report.findings);
            compared += 1;
        }
    }
    compared
}

/// Parameters of each class in the documents, the demo, the cluster's tests and the cases.
fn written() -> Vec<Parameters> {
    let mut texts: Vec<String> = cases().into_values().collect();
    let mut folders = vec![root().join("docs"), root().join("deploy"), root().join("e2e/demo")];
    let mut documents = vec![root().join("README.md")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|of| of.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("yaml") => texts.push(fs::read_to_string(path).unwrap()),
                Some("md") => documents.push(path),
                _ => {}
            }
        }
    }
    for document in documents {
        let text = fs::read_to_string(document).unwrap();
        texts.extend(
            text.split("```yaml\n")
                .skip(1)
                .map(|rest| rest.split("```").next().unwrap().to_owned()),
        );
    }
    let classes = texts.iter().flat_map(|text| text.split("\n---\n")).filter_map(|document| {
        let class: Value = serde_yaml_ng::from_str(document).ok()?;
        (class["kind"] == "SecretProviderClass").then(|| class["spec"]["parameters"].clone())
    });
    classes.filter_map(|parameters| serde_json::from_value(parameters).ok()).collect()
}

/// The seeds of the fuzz target of `objects`, behind their two choices.
fn seeds() -> Vec<Parameters> {
    let files = fs::read_dir(root().join("e2e/fuzz/corpus/objects")).unwrap();
    let texts = files.filter_map(|entry| {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8(bytes.get(2..)?.to_vec()).ok()?;
        let translation = char::from(bytes[0]).to_string();
        let translation = if translation == "0" { "False".to_owned() } else { translation };
        let of = |(name, text): (&str, String)| (name.to_owned(), text);
        Some([("objects", text), ("pathTranslation", translation)].map(of).into())
    });
    texts.collect()
}

#[test]
fn what_check_says_of_a_class_is_what_a_mount_says() {
    let (written, seeds) = (written(), seeds());
    assert!(written.len() > 40 && seeds.len() > 40, "{} {}", written.len(), seeds.len());
    let compared: usize = written.iter().chain(&seeds).map(agree).sum();
    assert!(compared > 800, "{compared}");
}

/// A text with a few characters or lines of it changed, as accidents do it.
pub fn changed(text: &str, random: &mut fastrand::Rng) -> String {
    const PIECES: [&str; 24] = [
        "\t",
        "\r\n",
        "\r",
        "\u{feff}",
        "---\n",
        "{{ .x }}",
        "&a ",
        "*a",
        "<<: ",
        "|",
        ">-\n",
        "\"",
        "'",
        "[",
        "}",
        "#",
        ": ",
        "- ",
        "\u{202e}",
        "\u{1b}[2J",
        "\\",
        "é",
        "kind: Secret\n",
        "# check-ignore unknown-name: x\n",
    ];
    let mut text = text.to_owned();
    for _ in 0..random.usize(1..4) {
        let at = |random: &mut fastrand::Rng, text: &str| {
            let at = random.usize(0..=text.len());
            (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap()
        };
        let (start, other) = (at(random, &text), at(random, &text));
        let (from, to) = (start.min(other), start.max(other).min(start.min(other) + 40));
        let to = (from..=to).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        match random.u8(0..4) {
            0 => text.replace_range(from..to, ""),
            1 => text.truncate(start),
            2 => {
                let again = text[from..to].to_owned();
                text.insert_str(to, &again);
            }
            _ => text.insert_str(start, random.choice(PIECES).unwrap()),
        }
    }
    text
}

#[test]
fn changed_objects_are_told_alike_by_check_and_mount() {
    let classes: Vec<_> = seeds().into_iter().chain(written()).collect();
    for (number, class) in classes.iter().enumerate() {
        let Some(objects) = class.get("objects") else { continue };
        let mut random = fastrand::Rng::with_seed(u64::try_from(number).unwrap());
        for _ in 0..4 {
            let mut class = class.clone();
            class.insert("objects".to_owned(), changed(objects, &mut random));
            agree(&class);
        }
    }
}

#[test]
fn broken_texts_end_in_places_within_them_and_in_every_output() {
    let settings = settings(&[Mode::Pod]);
    for (number, text) in cases().values().enumerate() {
        let mut random = fastrand::Rng::with_seed(u64::try_from(number).unwrap());
        for _ in 0..150 {
            let text = changed(text, &mut random);
            let files = [File::read("a.yaml".to_owned(), text.clone())];
            let report = check(&files, &settings);
            for finding in &report.findings {
                let at = finding.place.at;
                let line = files[0].source.line(at.line);
                let columns = u32::try_from(line.chars().count()).unwrap() + 1;
                let lines = u32::try_from(text.split(['\n', '\r']).count()).unwrap();
                assert!((1..=lines).contains(&at.line), "{finding:?}: {text}");
                assert!((1..=columns).contains(&at.column), "{finding:?}: {text}");
            }
            let plain = output::text::render(&report, &files, false);
            assert!(!plain.contains(['\u{1b}', '\u{202e}']), "{plain}");
            output::github::render(&report, &files);
            for text in
                [output::json::render(&report, &files), output::sarif::render(&report, &files)]
            {
                serde_json::from_str::<Value>(&text).unwrap();
            }
        }
    }
}

#[test]
fn status_tells_whether_something_counts() {
    let right = "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\nmetadata: {name: c}\n\
                 spec:\n  provider: alibabacloud\n  parameters: {objects: '- objectName: a'}\n";
    let noted = right.replace("objectName: a", "{objectName: a, objectVersionLabel: b}");
    let warned = right.replace("x-k8s.io/v1", "x-k8s.io/v1alpha1");
    let wrong = right.replace("objectName", "objectNam");
    for (arguments, input, status) in [
        (&["check", "-"][..], right, 0),
        (&["check", "--deny=notes", "-"], right, 0),
        (&["check", "-"], &noted, 0),
        (&["check", "--deny=warnings", "-"], &noted, 0),
        (&["check", "--deny=notes", "-"], &noted, 1),
        (&["check", "-"], &warned, 0),
        (&["check", "--deny=warnings", "-"], &warned, 1),
        (&["check", "-"], &wrong, 1),
        (&["check", "-o", "json", "-"], &wrong, 1),
        (&["check", "--allowed-identities", "pod,ecs-role", "-"], right, 0),
        (&["check"], "", 64),
        (&["check", "--output=xml", "-"], "", 64),
        (&["check", "--region=here", "-"], "", 64),
        (&["check", "--default-identity=auto", "-"], "", 64),
        (&["check", "/does/not/exist.yaml"], "", 66),
        (&["explain-code", "unused-class"], "", 0),
        (&["explain-code"], "", 0),
        (&["explain-code", "no-such-code"], "", 64),
    ] {
        let (ended, said, failed) = run(arguments, input);
        assert_eq!(ended, status, "{arguments:?} {said}{failed}");
        assert_eq!(failed.is_empty(), ended < 2, "{failed}");
    }
}

#[test]
fn folders_are_read_to_their_end_and_hidden_and_other_files_are_not() {
    let folder = TempDir::new().unwrap();
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let wrong = "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\nmetadata: {name: NAME}\n\
                 spec: {provider: alibabacloud}\n";
    put("a/b/c.yaml", &wrong.replace("NAME", "one"));
    put("a/d.yml", &wrong.replace("NAME", "two"));
    put("e.json", r#"{"kind": "Secret"}"#);
    put(".git/f.yaml", wrong);
    put("g.txt", wrong);
    std::os::unix::fs::symlink(folder.path(), folder.path().join("a/circle")).unwrap();
    let path = folder.path().to_str().unwrap();
    let (status, said, _) = run(&["check", "--output=json", path], "");
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(status, 1);
    assert_eq!(report["summary"]["files"], 3);
    assert_eq!(report["summary"]["passed_over"], 1);
    let files: Vec<_> = report["findings"].as_array().unwrap().iter().map(|f| &f["file"]).collect();
    assert_eq!(files, [&json!(format!("{path}/a/b/c.yaml")), &json!(format!("{path}/a/d.yml"))]);
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert_eq!(run(&["check", &format!("{path}/empty")], "").0, 66);
}

/// Bytes that are no text, and more of them than are read.
#[test]
fn what_is_no_manifest_at_all_is_named() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let wide = file("wide.yaml", &[0xff, 0xfe, b'a', 0]);
    let bytes = file("bytes.yaml", &[0x80, 0x81]);
    let large = folder.path().join("large.yaml");
    fs::File::create(&large).unwrap().set_len(100 << 20).unwrap();
    let paths = [&*wide, &bytes, large.to_str().unwrap()];
    for (path, told) in paths.iter().zip(["UTF-16", "not a text in UTF-8", "larger than 64 MiB"]) {
        let (status, said, _) = run(&["check", path], "");
        assert!(status == 1 && said.contains(told), "{said}");
    }
}

#[test]
fn colours_are_for_terminals() {
    let wrong = "kind: SecretProviderClass\n";
    let said = |arguments: &[&str]| run(&[&["check"], arguments, &["-"]].concat(), wrong).1;
    assert!(!said(&[]).contains('\u{1b}'));
    assert!(said(&["--color=always"]).contains('\u{1b}'));
    assert!(!said(&["--color=never"]).contains('\u{1b}'));
}

#[test]
fn every_rule_is_in_the_document_with_its_severity_and_fix() {
    let rows = |rules: &mut dyn Iterator<Item = Rule>, intro: &str| {
        let mut table = Table::new(intro, &["code", "severity", "meaning", "what to do"]);
        for rule in rules {
            let code = format!("`{}`", rule.code());
            table.row(&[&code, rule.severity().name(), rule.meaning().trim(), rule.fix()]);
        }
        table
    };
    let mut table = rows(
        &mut Rule::OWN.iter().copied(),
        "# Rules of check\n\nWhat [check](check.md) finds. A code keeps its name when messages change; \
         `explain-code CODE` says the same as a row.",
    );
    let mut mounts = Rule::all().filter(|rule| matches!(rule, Rule::Mount(_)) && rule.is_checked());
    table.append(&rows(
        &mut mounts,
        "## What a mount would refuse\n\nThe code is the [reason](reasons.md) that the mount's log line would have, \
         and the message is the mount's.",
    ));
    table.holds("check-rules.md");
}

#[test]
fn example_of_the_document_is_what_the_program_says() {
    let document = fs::read_to_string(root().join("docs/check.md")).unwrap();
    for name in ["unknown-field", "form-of-azure", "pod-wins-over-its-class"] {
        let said =
            fs::read_to_string(Path::new(root()).join(format!("e2e/check/{name}.txt"))).unwrap();
        assert!(document.contains(&said), "docs/check.md has not what is said of {name}");
    }
}
