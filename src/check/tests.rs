use std::time::Duration;

use super::*;
use crate::{
    names::Region,
    policy::{DefaultMode, Share},
    spc::mode::Mode,
};

/// Of an operator who says nothing.
pub(super) fn settings() -> Settings {
    Settings {
        endpoints: Endpoints {
            region: Region::parse("cn-hangzhou").unwrap(),
            public: false,
            sts: None,
            kms: None,
            oos: None,
            allowed: Vec::new(),
        },
        policy: Policy {
            share: Share::Pod,
            default: DefaultMode::Mode(Mode::Pod),
            allowed: [Mode::Pod].into(),
            cross_account_roles: Vec::new(),
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

fn checked(texts: &[&str]) -> (Report, Vec<File>) {
    let named = |(n, text): (usize, &&str)| File::read(format!("{n}.yaml"), (*text).to_owned());
    let files: Vec<File> = texts.iter().enumerate().map(named).collect();
    (check(&files, &settings()), files)
}

/// Each finding as `LINE:COLUMN code`.
fn found(text: &str) -> Vec<String> {
    let (report, _) = checked(&[text]);
    let told = |finding: &Finding| {
        format!("{}:{} {}", finding.place.at.line, finding.place.at.column, finding.rule.code())
    };
    report.findings.iter().map(told).collect()
}

/// A class with these lines below `spec`.
fn class(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\nmetadata: {{name: {name}}}\n\
         spec:\n{spec}"
    )
}

const RIGHT: &str =
    "  provider: alibabacloud\n  parameters:\n    objects: |\n      - objectName: a/b\n";

#[test]
fn class_in_order_has_no_findings() {
    assert!(found(&class("c", RIGHT)).is_empty());
}

#[test]
fn ignored_finding_counts_no_more_and_keeps_its_reason() {
    let label = "        objectVersionLabel: blue";
    let at_the_end = format!("{RIGHT}{label} # check-ignore mutable-pin: because\n");
    let above = format!("{RIGHT}        # check-ignore mutable-pin: because\n{label}\n");
    for text in [class("c", &at_the_end), class("c", &above)] {
        let (report, _) = checked(&[&text]);
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        let reasons: Vec<_> = report.ignored.iter().map(|(_, reason)| &**reason).collect();
        assert_eq!(reasons, ["because"]);
    }
    let whole = format!("# check-ignore mutable-pin: because\n{}{label}\n", class("c", RIGHT));
    assert!(found(&whole).is_empty());
    let above_the_mark = whole.replacen("because\n", "because\n---\n", 1);
    assert!(found(&above_the_mark).is_empty());
    let of_another = above_the_mark.replacen("---\n", "---\nkind: Secret\n---\n", 1);
    assert_eq!(found(&of_another), ["1:1 unused-ignore", "13:29 mutable-pin"]);
}

#[test]
fn mark_within_a_text_is_no_comment() {
    let json = r##"{"apiVersion":"secrets-store.csi.x-k8s.io/v1","kind":"SecretProviderClass","metadata":{"name":"c"},"##;
    let spec = r##""spec":{"provider":"alibabacloud","parameters":{"objects":"# check-ignore missing-field: x\n- {}"}}}"##;
    assert_eq!(found(&format!("{json}\n{spec}")), ["2:95 missing-field"]);
}

#[test]
fn comment_that_ignores_nothing_or_has_no_reason_is_found() {
    let with = |comment: &str| found(&class("c", &format!("{RIGHT}# {comment}\n")));
    assert_eq!(with("check-ignore mutable-pin: x"), ["9:1 unused-ignore"]);
    for invalid in ["check-ignore mutable-pin", "check-ignore mutable-pin:", "check-ignore x: y"] {
        assert_eq!(with(invalid), ["9:1 invalid-ignore"], "{invalid}");
    }
    assert_eq!(with("check-ignore unused-ignore: x"), ["9:1 invalid-ignore"]);
}

#[test]
fn value_of_an_unknown_parameter_is_in_no_output() {
    let planted = "planted-0123456789";
    let parameters = format!(
        "  provider: alibabacloud\n  accessKey: {planted}\n  parameters:\n    accessKeySecret: {planted}\n    \
         password: [{planted}]\n    pin: 4711471147\n    objects: |\n      - {{objectName: 'a b', key: {planted}}}\n      \
         - objectName: b\n        value: {planted}\n"
    );
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  containers:\n  - env: [{{name: a, value: {planted}}}]\n  \
         volumes:\n  - csi:\n      driver: secrets-store.csi.k8s.io\n      volumeAttributes: {{secretProviderClass: c, \
         secretKey: {planted}}}\n---\nkind: Secret\nstringData: {{a: {planted}}}\n---\nkind: Pod\n\tvalue: {planted}\n"
    );
    let (report, files) = checked(&[&class("c", &parameters), &pod]);
    assert!(report.findings.len() > 8, "{:?}", report.findings);
    for text in [
        output::text::render(&report, &files, false),
        output::json::render(&report, &files),
        output::sarif::render(&report, &files),
        output::github::render(&report, &files),
        format!("{report:?} {files:?}"),
    ] {
        assert!(!text.contains(planted) && !text.contains("4711471147"), "{text}");
    }
}

#[test]
fn attributes_of_a_volume_win_and_are_judged_with_the_class() {
    let pod = |attributes: &str| {
        let class = class("c", RIGHT);
        format!(
            "{class}---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  volumes:\n  - csi:\n      \
             driver: secrets-store.csi.k8s.io\n      readOnly: true\n      volumeAttributes:\n        \
             secretProviderClass: c\n        {attributes}\n"
        )
    };
    assert!(found(&pod("csi.storage.k8s.io/ephemeral: \"true\"")).is_empty());
    assert_eq!(found(&pod("region: cn-beijing")), ["20:9 parameter-override"]);
    assert_eq!(found(&pod("region: here")), ["20:9 parameter-override", "20:17 invalid-region"]);
    assert_eq!(found(&pod("objects: '- {}'")), ["20:9 parameter-override", "20:21 missing-field"]);
    assert_eq!(found(&pod("regoin: x")), ["20:9 unknown-name"]);
}

#[test]
fn classes_of_other_providers_are_left_alone() {
    let other = "  provider: azure\n  parameters:\n    keyvaultName: a\n";
    assert!(found(&class("c", other)).is_empty());
    assert_eq!(found(&class("c", "  provider: alibaba\n")), ["5:13 unknown-provider"]);
}

#[test]
fn unused_class_is_told_where_workloads_are_given_alone() {
    let text = class("c", RIGHT);
    assert!(found(&text).is_empty());
    let with_pod =
        format!("{text}---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{}}\n");
    assert_eq!(found(&with_pod), ["3:18 unused-class"]);
}

#[test]
fn role_of_a_service_account_is_needed_by_who_mounts_with_it() {
    let with = |annotations: &str| {
        let class = class("c", RIGHT);
        found(&format!(
            "{class}---\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: web\n  annotations:\n    {annotations}\n\
             ---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  serviceAccountName: web\n  volumes:\n  \
             - csi: {{driver: secrets-store.csi.k8s.io, readOnly: true, volumeAttributes: {{secretProviderClass: c}}}}\n"
        ))
    };
    let arn = "ack.alibabacloud.com/role-arn: acs:ram::1:role/web";
    assert!(with(arn).is_empty());
    assert_eq!(with("a: b"), ["13:9 no-role"]);
    assert_eq!(with("ack.alibabacloud.com/role-arn: web"), ["15:36 invalid-annotation"]);
    let name = "pod-identity.alibabacloud.com/role-name";
    assert!(with(&format!("{arn}\n    {name}: web")).is_empty());
    assert_eq!(with(&format!("{arn}\n    {name}: api")), ["15:36 invalid-annotation"]);
}

#[test]
fn sarif_has_what_its_schema_requires() {
    let text = format!(
        "{}---\n{}",
        class("c", "  provider: x\n"),
        class(
            "d",
            &format!("{RIGHT}        objectVersionLabel: b # check-ignore mutable-pin: r\n")
        )
    );
    let (report, files) = checked(&[&text]);
    let log: serde_json::Value =
        serde_json::from_str(&output::sarif::render(&report, &files)).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    assert!(driver["name"].is_string());
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(driver["rules"][index]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(result["message"]["text"].is_string());
        let location = &result["locations"][0]["physicalLocation"];
        assert_eq!(location["artifactLocation"]["uri"], "0.yaml");
        assert!(location["region"]["startLine"].as_u64() > Some(0));
    }
    assert_eq!(results[1]["suppressions"][0]["justification"], "r");
}
