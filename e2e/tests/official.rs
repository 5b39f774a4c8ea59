//! `docs/official-provider.md`: what the official provider's program accepts, accepted and refused here.

use tonic::Code;

use crate::{
    table::{Table, steady},
    world::World,
};

type Parameters = &'static [(&'static str, &'static str)];

const PLAIN: &str = "planted-value-of-web-plain";

/// Shapes that its published manifests do not have and its program takes: each mounts what it mounts
/// there.
const ACCEPTED: [(&str, Parameters, &str, (&str, &str)); 12] = [
    (
        "field names in another letter case",
        &[],
        "- objectname: web/db\n  jmespath:\n  - {Path: user, objectalias: u}",
        ("u", "planted-user-web"),
    ),
    (
        "an empty list of `jmesPath`",
        &[],
        "- objectName: web/plain\n  jmesPath: []",
        ("web_plain", PLAIN),
    ),
    (
        "anchors and merge keys",
        &[],
        "- &base {objectName: web/plain}\n- <<: *base\n  objectAlias: again",
        ("again", PLAIN),
    ),
    ("a `---` at the end", &[], "- objectName: web/plain\n---\n", ("web_plain", PLAIN)),
    (
        "fields that are null or empty",
        &[],
        "- {objectName: web/plain, objectAlias: '', objectVersion: null, filePermission: '', jmesPath: ''}",
        ("web_plain", PLAIN),
    ),
    (
        "a number without quotes: the text as written (there `1.10` is `1.1` and `0x10` is `16`)",
        &[],
        "- {objectName: web/numbers, objectVersion: 1.10, objectAlias: 0x10}",
        ("0x10", "planted-value-of-version-1.10"),
    ),
    (
        "a host name in capitals",
        &[],
        "- {objectName: web/plain, kmsEndpoint: KMS-VPC.cn-hangzhou.aliyuncs.com}",
        ("web_plain", PLAIN),
    ),
    ("JSON", &[], r#"[{"objectName": "web/plain"}]"#, ("web_plain", PLAIN)),
    (
        "any ASCII character as `pathTranslation`",
        &[("pathTranslation", " ")],
        "- objectName: web/plain",
        ("web plain", PLAIN),
    ),
    (
        "`/` as `pathTranslation`",
        &[("pathTranslation", "/")],
        "- objectName: web/plain",
        ("web/plain", PLAIN),
    ),
    (
        "`usePodServiceAccountToken` in another letter case (there any but `true` is false)",
        &[("usePodServiceAccountToken", "True")],
        "- objectName: web/plain",
        ("web_plain", PLAIN),
    ),
    (
        "parameter `env_auth_mode`, which nothing reads",
        &[("env_auth_mode", "x")],
        "- objectName: web/plain",
        ("web_plain", PLAIN),
    ),
];

/// What it takes and what a mistake hides in, with what it makes of it.
const REFUSED: [(&str, &str, Parameters, &str, &str); 14] = [
    (
        "an unknown field",
        "ignored",
        &[],
        "- {objectName: web/plain, objectAlais: a}",
        "did you mean objectAlias?",
    ),
    (
        "an unknown parameter",
        "ignored",
        &[("regionId", "cn-beijing")],
        "- objectName: web/plain",
        "here it is region",
    ),
    (
        "`yes`, `no`, `on`, `off`, `true` or `false` without quotes as a text",
        "read as `true` or `false`",
        &[],
        "- {objectName: web/plain, objectAlias: yes}",
        "put it in quotes",
    ),
    (
        "one field in two letter cases",
        "one of the two",
        &[],
        "- {objectName: web/plain, objectname: web/db}",
        "keep one",
    ),
    (
        "the same key twice",
        "the last one",
        &[],
        "- objectName: web/plain\n  objectName: web/db",
        "the same key twice",
    ),
    (
        "a second YAML document",
        "ignored",
        &[],
        "- objectName: web/plain\n---\n- objectName: web/db",
        "more than one YAML document",
    ),
    (
        "two objects that make one file",
        "the last one",
        &[],
        "- objectName: web/plain\n- objectName: web_plain",
        "writes the same file",
    ),
    (
        "version and label together",
        "mounted until the label moves on to another version, and then KMS answers with a 400",
        &[],
        "- {objectName: web/versions, objectVersion: ver-new, objectVersionLabel: ACSCurrent}",
        "keep one",
    ),
    (
        "a label or a KMS host of an OOS parameter",
        "ignored",
        &[],
        "- {objectName: plain, objectType: oos, objectVersionLabel: ACSCurrent}",
        "has no meaning for objectType oos",
    ),
    (
        "`objectVersion` of an OOS parameter that is no number",
        "ignored, as any is; here it is the version that is read",
        &[],
        "- {objectName: plain, objectType: oos, objectVersion: latest}",
        "a number from 1",
    ),
    (
        "a name that no secret has",
        "KMS answers with a 400",
        &[],
        "- objectName: <your-secret>",
        "a placeholder",
    ),
    (
        "a placeholder or an invisible character in a file's name",
        "a file of that name",
        &[],
        "- {objectName: web/plain, objectAlias: '${FILE}'}",
        "a variable that nothing has replaced",
    ),
    (
        "a path out of the volume in `jmesPath`",
        "refused by the driver",
        &[("pathTranslation", "False")],
        "- objectName: web/db\n  jmesPath: [{path: user, objectAlias: ../u}]",
        "starts with \"..\"",
    ),
    ("a null object", "the program crashes", &[], "- objectName: web/plain\n-", "is null"),
];

#[tokio::test]
async fn manifests_of_the_official_provider_are_accepted_or_listed() {
    let world = World::start().await;
    let numbers = serde_json::json!({
        "name": "web/numbers",
        "versions": [{"id": "1.10", "value": "planted-value-of-version-1.10", "stages": ["ACSCurrent"]}],
    });
    world.emulator.put_secret(serde_json::from_value(numbers).unwrap()).unwrap();
    let volume = |parameters: &[(&str, &str)], objects: &str| {
        let pod = world.pod("web", "web-1").objects(objects);
        parameters.iter().fold(pod, |pod, (name, value)| pod.parameter(name, value))
    };
    let mut table = Table::new(
        "# Coming from the official provider\n\nIts published manifests work as they are, for pods' own \
         roles and for other identities once the operator allows them. Its program also takes \
         what no published manifest has. The SecretProviderClass's name, with which a message begins, is \
         left out. A test mounts each line of this page.\n\n\
         ## Accepted",
        &["shape", "manifest", "file"],
    );
    for (shape, parameters, objects, (file, text)) in ACCEPTED {
        let mounted = world.mount(&volume(parameters, objects)).await;
        let mounted = mounted.unwrap_or_else(|status| panic!("{shape}: {status:?}"));
        assert_eq!(mounted.text(file), text, "{shape}");
        table.row(&[shape, &manifest(parameters, objects), &format!("`{file}`")]);
    }
    table.another(
        "## Refused, since it mostly is a mistake",
        &["shape", "there", "manifest", "message here"],
    );
    for (shape, there, parameters, objects, says) in REFUSED {
        let status = world.mount(&volume(parameters, objects)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{shape}: {status:?}");
        assert!(status.message().contains(says), "{shape}: {}", status.message());
        let message = steady(status.message());
        table.row(&[shape, there, &manifest(parameters, objects), &message]);
    }
    table.words(
        "Bounds that are not there: 500 objects, 2,000 files, 10 `crossAccountRoleArn` and 8 hosts (`kmsEndpoint` or regions other than the operator's) a volume, 1 MiB of `objects`, 64 KiB of \
         `jmesPath` expressions, and of one expression 1,024 bytes and 48 levels of nesting.\n",
    );
    table.holds("official-provider.md");
    world.finish().await;
}

fn manifest(parameters: &[(&str, &str)], objects: &str) -> String {
    let parameters = parameters.iter().map(|(name, value)| format!("`{name}: \"{value}\"`"));
    let objects = format!("`{}`", objects.trim_end().replace('\n', "`\n`"));
    parameters.chain([objects]).collect::<Vec<_>>().join("\n")
}
