//! The pictures of `explain`.

use std::process::{Command, Stdio};

use super::{examples, run};
use crate::architecture::root;

/// A name that no picture can take as it is.
fn hostile() -> String {
    "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\n\
     metadata: {name: \"c\\\"]<script>&amp;`#\\e[2J\", namespace: shop}\nspec:\n  provider: alibabacloud\n  \
     parameters:\n    objects: |\n      - objectName: a\n        objectAlias: \"x\\\"]b>&'-- #1.txt\"\n\
     ---\napiVersion: v1\nkind: Pod\nmetadata: {name: \"p\\\"]<script>&`#\\e[2J\", namespace: shop}\nspec:\n  \
     volumes:\n    - name: v\n      csi:\n        driver: secrets-store.csi.k8s.io\n        readOnly: true\n        \
     volumeAttributes: {secretProviderClass: \"c\\\"]<script>&amp;`#\\e[2J\"}\n"
        .to_owned()
}

#[test]
fn svg_is_xml_that_names_every_file_and_has_a_title() {
    let of_examples = examples().into_iter().map(|example| example.manifests);
    for manifests in of_examples.chain([hostile()]) {
        let (status, said, failed) =
            run(&["explain", "--output=svg", "--service-account=shop/checkout", "-"], &manifests);
        assert_eq!((status, &*failed), (0, ""));
        let parse = "import sys, xml.etree.ElementTree as e\n\
                     r = e.fromstring(sys.stdin.read())\n\
                     n = '{http://www.w3.org/2000/svg}'\n\
                     assert r.get('role') == 'img' and r.find(n + 'title').text and r.find(n + 'desc').text\n\
                     assert not r.findall('.//' + n + 'script')\n\
                     print('\\n'.join(g.find(n + 'title').text for g in r.findall(n + 'g')))";
        let mut child = Command::new("python3")
            .args(["-c", parse])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), said.as_bytes()).unwrap();
        let parsed = child.wait_with_output().unwrap();
        assert!(parsed.status.success(), "{said}");
        let boxes = String::from_utf8(parsed.stdout).unwrap();
        let (_, json, _) =
            run(&["explain", "--output=json", "--service-account=shop/checkout", "-"], &manifests);
        let told: serde_json::Value = serde_json::from_str(&json).unwrap();
        for mount in told["mounts"].as_array().unwrap() {
            for file in mount["files"].as_array().unwrap() {
                let path = file["path"].as_str().unwrap();
                assert!(boxes.lines().any(|line| line.starts_with(path)), "{path}: {boxes}");
            }
        }
        assert!(!said.contains('\u{1b}'), "{said}");
    }
}

#[test]
fn mermaid_has_names_in_quotes_that_they_cannot_leave() {
    let (status, said, _) = run(&["explain", "--output=mermaid", "-"], &hostile());
    assert_eq!(status, 0);
    for line in
        said.lines().filter(|line| line.trim_start().starts_with('n') && !line.contains("-->"))
    {
        let inner = line.split_once('"').unwrap().1.rsplit_once('"').unwrap().0;
        let plain = inner.replace("<br>", "");
        assert!(!plain.contains(['"', '<', '>', '`', '&', '\u{1b}']), "{line}");
    }
    assert_eq!(said.matches("-->").count(), 4, "{said}");
}

#[test]
fn long_names_are_cut_in_the_middle() {
    let long = format!("shop/{}/end", "x".repeat(100));
    let class = format!(
        "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\n\
         metadata: {{name: c, namespace: shop}}\nspec:\n  provider: alibabacloud\n  \
         parameters: {{objects: '- objectName: {long}'}}\n"
    );
    for (output, before, after, most) in
        [("svg", "class=\"t\"", "</text>", 30), ("mermaid", "[(\"", "<br>", 60)]
    {
        let output = format!("--output={output}");
        let (_, said, _) = run(&["explain", &output, "--service-account=web", "-"], &class);
        let texts = said.split(before).skip(1).map(|rest| rest.split(after).next().unwrap());
        let texts: Vec<&str> = texts.map(|text| text.rsplit('>').next().unwrap()).collect();
        assert!(texts.iter().any(|text| text.contains('…') && text.ends_with("/end")), "{texts:?}");
        assert!(texts.iter().all(|text| text.chars().count() <= most), "{texts:?}");
    }
}

/// The one of the document, which is drawn there.
#[test]
fn pictures_of_the_document_are_those_of_its_example() {
    let example = "examples/policy/shop.yaml";
    let path = root().join("docs/explain.svg");
    let (_, svg, _) = run(&["explain", "--output=svg", example], "");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &svg).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap() == svg,
        "UPDATE_DOCS=1 draws docs/explain.svg anew"
    );
    let document = std::fs::read_to_string(root().join("docs/explain.md")).unwrap();
    let (_, mermaid, _) =
        run(&["explain", "--output=mermaid", "examples/policy/instance.yaml"], "");
    assert!(
        document.contains(&format!("```mermaid\n{mermaid}```")),
        "docs/explain.md needs:\n{mermaid}"
    );
}
