use super::*;
use crate::{
    endpoint::Endpoints,
    spc::{file::PathTranslation, source::Source},
};

pub(crate) fn parsed(text: &str) -> Result<Vec<Object>, Errors> {
    let endpoints = Endpoints::of_hangzhou();
    let context = Context {
        endpoints: &endpoints,
        region: &endpoints.region,
        translation: PathTranslation::Slash('_'),
        mode: FileMode::parse_octal("0644").unwrap(),
    };
    parse(text, &context)
}

fn object(text: &str) -> Object {
    parsed(text).unwrap().remove(0)
}

/// What is wrong, in the words of the first mistake.
fn wrong(text: &str) -> String {
    all_wrong(text).remove(0)
}

/// All that is wrong, each in its words.
fn all_wrong(text: &str) -> Vec<String> {
    parsed(text).unwrap_err().iter().map(ToString::to_string).collect()
}

fn list(objects: usize) -> String {
    (0..objects).map(|n| format!("- objectName: n{n}\n")).collect()
}

/// One object with so many extracts.
fn extracts(number: usize, extracts: usize) -> String {
    let extract = |n| format!("  - {{path: a, objectAlias: x{number}-{n}}}\n");
    let extracts: String = (0..extracts).map(extract).collect();
    format!("- objectName: n{number}\n  jmesPath:\n{extracts}")
}

#[test]
fn lists_are_bounded() {
    assert_eq!(parsed(&list(MAX_OBJECTS)).unwrap().len(), MAX_OBJECTS);
    for more in [1, 2] {
        assert!(wrong(&list(MAX_OBJECTS + more)).contains("500 are the most"));
    }
    let files = |more: usize| {
        let objects: String = (0..4).map(|n| extracts(n, 499)).collect();
        let rest: String = (0..more).map(|n| format!("- objectName: m{n}\n")).collect();
        objects + &rest
    };
    parsed(&files(0)).unwrap();
    for more in [1, 2] {
        assert!(wrong(&files(more)).contains("2000 are the most"));
    }
}

#[test]
fn the_paths_of_a_mount_are_bounded_before_any_is_compiled() {
    // It would be refused by itself too.
    let path = "[".repeat(1024);
    let objects = |paths: usize, path: &str, more: &str| -> String {
        let extract = |n| format!("  - {{path: '{path}', objectAlias: x{n}}}\n");
        let paths: String = (0..paths).map(extract).collect();
        format!("- objectName: a\n- objectName: b/c\n  jmesPath:\n{paths}{more}")
    };
    assert!(wrong(&objects(64, &path, "")).contains("jmesPath 1, field path: nests too deep"));
    let one = "- objectName: d/e\n  jmesPath: [{path: a, objectAlias: y}]\n";
    assert_eq!(
        wrong(&objects(64, &path, one)),
        "object 3 \"d/e\", field jmesPath: with its paths, those of the mount are longer than \
         65536 bytes together; make them shorter, or mount some objects in another volume"
    );
    let more = wrong(&objects(65, &path, ""));
    assert!(more.starts_with("object 2 \"b/c\", field jmesPath: with its"), "{more}");
    assert!(wrong(&objects(1_999, "[", "")).contains("2000 are the most"));
}

#[test]
fn what_an_object_takes_is_all_that_it_holds() {
    let least = object("- objectName: a");
    let texts = least.label.len() + "a".len() + least.read.endpoint.host().len() + "a".len();
    assert_eq!(least.memory(), size_of::<Object>() + size_of::<Read>() + texts);
    let more = |yaml: &str| object(yaml).memory() - least.memory();
    assert_eq!(more("- objectName: abcd"), 3 * 3, "in its label, its file and its name");
    assert_eq!(more("- {objectName: a, objectAlias: abcdef}"), 5);
    assert_eq!(more("- {objectName: a, objectVersion: v12}"), 3);
    assert_eq!(more("- {objectName: a, objectVersionLabel: stage}"), 5);
    let role = "acs:ram::1:role/partner";
    assert_eq!(more(&format!("- {{objectName: a, crossAccountRoleArn: {role}}}")), role.len());
    let extract = "- {objectName: a, jmesPath: [{path: b, objectAlias: cde}]}";
    let path = Expression::parse("b").unwrap().memory();
    assert_eq!(more(extract), size_of::<Extract>() + "cde".len() + path);
    let oos = object("- {objectName: a, objectType: oos}");
    let texts = oos.label.len() + "a".len() + oos.read.endpoint.host().len() + "a".len();
    let region = "cn-hangzhou".len();
    assert_eq!(oos.memory(), size_of::<Object>() + size_of::<Read>() + texts + region);
}

#[test]
fn all_mistakes_of_all_objects_are_counted_and_twenty_are_kept() {
    let errors = parsed("- objectName: a\n- objectName: ''\n- objectNam: b").unwrap_err();
    let subjects: Vec<_> = errors.iter().map(|error| &*error.subject).collect();
    assert_eq!(subjects, ["object 2, field objectName", "object 3, field \"objectNam\""]);
    assert_eq!(
        all_wrong(
            "- objectName: a b
  objectType: vault
  objectEncoding: rot13
  filePermission: rw
  optional: maybe
  crossAccountRoleArn: role/x
  colour: red
  jmesPath: [{path: 'a[', objectAlias: ..}, {}]"
        )
        .len(),
        11,
        "with path and file of the first entry, and both that the second lacks"
    );
    let errors = parsed(&"- {}\n".repeat(400)).unwrap_err();
    assert_eq!((errors.iter().count(), errors.more()), (20, 380));
    let message = errors.message();
    assert!(
        message.starts_with("400 mistakes; the first 20: object 1, field objectName"),
        "{message}"
    );
    assert!(message.ends_with("and 380 more"), "{message}");
    assert!(wrong("- objectName: a\n-").ends_with("is null: remove the lone \"-\""));
}

#[test]
fn items_that_are_no_mapping_say_what_to_write() {
    for (yaml, told) in [
        (
            "- secret-a",
            "object 1: is not a mapping of fields but the text \"secret-a\"; write - objectName: and \
             the name",
        ),
        (
            "- |\n  objectName: a\n  objectType: kms\n",
            "object 1: is not a mapping of fields but a block of text; remove the | behind \"-\", \
             which the Azure provider's array has, and begin with - objectName: NAME",
        ),
        (
            "- objectName:app/db",
            "object 1: is not a mapping of fields but the text \"objectName:app/db\": a blank is missing \
             behind objectName:; write - objectName: VALUE",
        ),
        (
            "- objectType:\u{a0}oos",
            "object 1: is not a mapping of fields but the text \"objectType:\\u{a0}oos\": what follows \
             objectType: is U+00A0, not a space; write - objectType: VALUE",
        ),
        (
            "- ObjectName：app/db",
            "object 1: is not a mapping of fields but the text \"ObjectName：app/db\": the colon behind \
             objectName is U+FF1A, not a plain one; write - objectName: VALUE",
        ),
        (
            "- objectVersionLabel app/db",
            "object 1: is not a mapping of fields but the text \"objectVersionLabel app/db\": a colon is \
             missing behind objectVersionLabel; write - objectVersionLabel: VALUE",
        ),
        (
            "- 'objectName: app/db'",
            "object 1: is not a mapping of fields but the text \"objectName: app/db\": remove the | \
             behind \"-\", or the quotes around the whole; write - objectName: VALUE",
        ),
        (
            "- objectNames",
            "object 1: is not a mapping of fields but the text \"objectNames\"; write - objectName: and \
             the name",
        ),
        (
            "[map[objectName:plain objectAlias:a]]",
            "parameter objects: is a map as Go prints it, not YAML; have the template write the value \
             with toYaml",
        ),
        (
            "- {objectName: a, jmesPath: [password]}",
            "object 1 \"a\", jmesPath 1: is not a mapping of fields but the text \"password\"; write \
             - path: PATH and below it objectAlias: FILE",
        ),
        (
            "- {objectName: a, jmesPath: [path:password]}",
            "object 1 \"a\", jmesPath 1: is not a mapping of fields but the text \"path:password\": a \
             blank is missing behind path:; write - path: VALUE",
        ),
        ("- [a]", "object 1: is not a mapping of fields but a list; remove one \"- \""),
        (
            "array:\n  - |\n    objectName: s1\n",
            "parameter objects: is the Azure provider's form (array: with a block of text for each \
             object); write a plain list: no array:, no \"- |\", and each object as - objectName: NAME \
             with its other fields below objectName",
        ),
        (
            "objects:\n- objectName: a",
            "parameter objects: has objects: once more inside; remove that line: the list comes at once",
        ),
        (
            "objectName: a",
            "parameter objects: is not a YAML list but the fields of one object; start each object \
             with \"- \", such as - objectName: NAME",
        ),
        (
            "secret-a",
            "parameter objects: is not a YAML list but a text; start each object with \"- \", such as \
             - objectName: NAME",
        ),
        ("# none", "parameter objects: is missing or empty: it lists what to mount"),
        ("[]", "parameter objects: is an empty list: it lists what to mount"),
    ] {
        assert_eq!(all_wrong(yaml), [told]);
    }
}

/// The text of one field of KMS, and what is wrong with it.
fn version(text: &str) -> Result<Option<String>, String> {
    let objects = parsed(&format!("- {{objectName: a, objectVersion: {text}}}"));
    let objects = objects.map_err(|errors| errors.message())?;
    match &objects[0].read.source {
        Source::Kms(secret) => Ok(secret.version_id.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn texts_are_as_their_author_wrote_them() {
    for text in [
        "v1",
        "7",
        "1.10",
        "0x10",
        "+49151",
        "1_000",
        "007",
        "1e3",
        "-1",
        "2026-11-26",
        ".inf",
        "y",
        "'true'",
        "\"null\"",
    ] {
        assert_eq!(version(text).unwrap().unwrap(), text.trim_matches(['\'', '"']), "{text}");
    }
    for none in ["null", "~", "''", "", "NULL"] {
        assert_eq!(version(none), Ok(None), "{none}");
    }
    for bad in ["true", "False", "yes", "NO", "on", "off"] {
        let told = version(bad).unwrap_err();
        assert!(
            told.ends_with("may mean true or false without quotes; put it in quotes"),
            "{told}"
        );
    }
    assert!(wrong("- objectName: [a]").ends_with("field objectName: is not a text"));
    assert!(wrong("- objectName: null").ends_with("is missing: null needs quotes to be a text"));
    for (name, file) in [("0x10", "0x10"), ("+49151", "+49151"), ("1.10", "1.10")] {
        let object = object(&format!("- objectName: {name}"));
        assert_eq!(object.file.as_str(), file);
        assert!(matches!(&object.read.source, Source::Kms(secret) if secret.name == name));
    }
}

#[test]
fn versions_have_an_end_and_no_blanks() {
    assert!(version(&"v".repeat(64)).is_ok());
    let told = version(&"v".repeat(65)).unwrap_err();
    assert!(told.ends_with("is too long: KMS accepts up to 64 characters"), "{told}");
    assert!(version("a b").unwrap_err().contains("holds a blank, at character 2"));
    assert!(version("'${V}'").unwrap_err().ends_with("holds a variable that nothing has replaced"));
}

#[test]
fn version_and_label_together_are_refused() {
    assert_eq!(
        all_wrong("- {objectName: a, objectVersion: v1, objectVersionLabel: ACSCurrent}"),
        [
            "object 1 \"a\", field objectVersionLabel: is given beside objectVersion, which names the \
             version already; keep one"
        ]
    );
    object("- {objectName: a, objectVersion: v1, objectVersionLabel: ''}");
}

#[test]
fn names_that_no_secret_has_are_refused_before_any_call() {
    for (name, told) in [
        ("'${DB}'", "holds a variable"),
        ("'{{ .Values.db }}'", "a template that was not rendered"),
        ("<your-secret>", "a placeholder"),
        ("“db”", "a typographic quote"),
        ("a b", "holds a blank, at character 2"),
        ("'db '", "a blank at its start or end, at character 3"),
        ("\"db\\u200b\"", "an invisible character (U+200B), at character 3"),
        ("\"d\\nb\"", "a control character (U+000A), at character 2"),
        ("\"db\\n\"", "a line break at its end: write it on the line of its field"),
        ("$DB_SECRET", "holds a variable that nothing has replaced"),
        ("'#{db}#'", "holds #{}: a placeholder"),
        ("'[[ .db ]]'", "holds [[ ]]: a template"),
        ("dé", "holds \"é\", which it cannot, at character 2; names of KMS secrets have letters"),
        ("'a#b'", "holds \"#\""),
        ("'arn:aws:secretsmanager:us-east-1:1:secret:db'", "is an ARN of another cloud"),
        ("'acs:kms:cn-beijing:1:secret/a b'", "holds a blank"),
        ("'acs:kms:<region>:1:secret/a'", "a placeholder"),
    ] {
        let all = all_wrong(&format!("- objectName: {name}"));
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].contains(told), "{}", all[0]);
        let all = all_wrong(&format!("- {{objectName: {name}, objectType: oos}}"));
        assert_eq!(all.len(), 1, "{all:?}");
    }
    object("- objectName: acs:kms:cn-beijing:1:secret/a/b_+=.-@Z9");
    object("- {objectName: /a/b_-9, objectType: oos}");
}

#[test]
fn names_of_files_may_hold_blanks_and_no_placeholders() {
    assert_eq!(object("- {objectName: a, objectAlias: 'my file é'}").file.as_str(), "my file é");
    for (alias, told) in [
        ("'{{ .Values.file }}'", "a template"),
        ("'${FILE}'", "a variable"),
        ("\"a\\u200b\"", "an invisible character"),
        ("\"a\\ue000\"", "as a file path holds a character for private use"),
        ("\"a\\n\"", "a line break at its end"),
    ] {
        let wrong = wrong(&format!("- {{objectName: a, objectAlias: {alias}}}"));
        assert!(wrong.contains("field objectAlias") && wrong.contains(told), "{wrong}");
    }
}

#[test]
fn fields_are_found_in_any_letter_case_and_once() {
    let item = object(
        "- objectname: js
  OBJECTALIAS: all
  JMESPath:
  - {Path: username, objectalias: u}",
    );
    assert_eq!((item.file.as_str(), item.extracts[0].file.as_str()), ("all", "u"));
    assert_eq!(
        all_wrong("- {objectName: a, objectname: b}"),
        ["object 1 \"a\", field objectName: is there twice, in different letter case; keep one"]
    );
    // Bounds hold for them too.
    let paths = "  - {PATH: 'a', objectAlias: x}\n".repeat(2_000);
    assert!(wrong(&format!("- objectName: a\n  JMESPATH:\n{paths}")).contains("2000 are the most"));
}

#[test]
fn shapes_that_templates_make_are_accepted() {
    assert!(object("- {objectName: a, jmesPath: []}").extracts.is_empty());
    assert_eq!(parsed("- objectName: a\n---\n").unwrap().len(), 1);
    let merged = "- &base {objectName: a, objectType: oos}\n- <<: *base\n  objectAlias: b\n";
    assert!(matches!(parsed(merged).unwrap()[1].read.source, Source::Oos(_)));
    let host = object("- {objectName: a, kmsEndpoint: KMS.CN-Beijing.aliyuncs.com}");
    assert_eq!(host.read.endpoint.host(), "kms.cn-beijing.aliyuncs.com");
}

#[test]
fn yaml_that_does_not_parse_says_why_and_counts_from_the_first_line_of_objects() {
    for (yaml, part) in [
        ("- objectName: a\n\t objectAlias: b", "a tab is used"),
        ("- objectName: {{ .Values.name }}", "an unrendered template"),
        ("- objectName: a\n objectAlias: b", "line 2"),
    ] {
        let wrong = wrong(yaml);
        assert!(wrong.starts_with("parameter objects: not valid"), "{wrong}");
        assert!(wrong.contains(part), "{wrong}");
        assert!(wrong.ends_with("; line 1 is the first line of objects"), "{wrong}");
    }
}

#[test]
fn fields_and_types_of_other_providers_are_named() {
    for (fields, told) in [
        ("secretPath: a", "here it is objectName, and the file's name is objectAlias"),
        (
            "objectName: a, fileName: b",
            "is a field of the Google Cloud provider; here it is objectAlias",
        ),
        (
            "objectName: a, objectType: secretsmanager",
            "is the AWS provider's type for secrets: write kms",
        ),
        (
            "objectName: a, objectEncoding: utf8",
            "field objectEncoding: is \"utf8\"; it must be utf-8, base64 or hex; did you mean utf-8?",
        ),
        (
            "objectName: a, jmesPath: [{jsonKey: b, objectAlias: c}]",
            "\"jsonKey\": is not a field; here it is path",
        ),
        (
            "objectName: a, kmsEndpoint: 'kms.cn-hangzhou.aliyuncs.com '",
            "field kmsEndpoint: holds a blank at its start or end",
        ),
        (
            "objectName: a, objectVersionLable: b",
            "is not a field; did you mean objectVersionLabel?",
        ),
    ] {
        let all = all_wrong(&format!("- {{{fields}}}"));
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].ends_with(told), "{all:?}");
    }
}

#[test]
fn flags_are_true_or_false_with_or_without_quotes() {
    let optional = |text: &str| object(&format!("- {{objectName: a, optional: {text}}}"));
    for (text, expected) in [
        ("true", true),
        ("'true'", true),
        ("True", true),
        ("'TRUE'", true),
        ("false", false),
        ("'false'", false),
        ("null", false),
    ] {
        assert_eq!(optional(text).optional, expected, "{text}");
    }
    assert!(!object("- objectName: a").optional);
    for absent in ["''", "\"\"", "~"] {
        assert!(!optional(absent).optional, "{absent}");
    }
    let blank = wrong("- {objectName: a, optional: 'true '}");
    assert!(
        blank.ends_with(
            "is \"true \", which holds a blank at its start or end; it must be true or false"
        ),
        "{blank}"
    );
    for bad in ["'yes'", "[]", "1"] {
        let wrong = wrong(&format!("- {{objectName: a, optional: {bad}}}"));
        assert!(wrong.ends_with("must be true or false"), "{wrong}");
    }
}

#[test]
fn names_have_an_end() {
    let long = |bytes: usize, more: &str| {
        parsed(&format!("- {{objectName: {}, objectAlias: a{more}}}", "n".repeat(bytes)))
    };
    let arn = |bytes| "acs:kms:cn-hangzhou:1:secret/".to_owned() + &"n".repeat(bytes);
    let of_arn = |bytes| parsed(&format!("- {{objectName: '{}', objectAlias: a}}", arn(bytes)));
    long(192, "").unwrap();
    of_arn(192).unwrap();
    long(200, ", objectType: oos").unwrap();
    for bad in [long(193, ""), of_arn(193), long(201, ", objectType: oos")] {
        let message = bad.unwrap_err().message();
        assert!(message.contains("is too long"), "{message}");
    }
}

#[test]
fn modes_and_encodings() {
    let item = object("- {objectName: a, filePermission: '0400', objectEncoding: base64}");
    assert_eq!((item.mode.bits(), item.encoding), (0o400, Encoding::Base64));
    assert_eq!(object("- {objectName: a, objectEncoding: hex}").encoding, Encoding::Hex);
    for text in ["0400", "'400'", "'0400'"] {
        let item = object(&format!("- {{objectName: a, filePermission: {text}}}"));
        assert_eq!(item.mode.bits(), 0o400, "{text}");
    }
    assert_eq!(object("- {objectName: a, filePermission: ''}").mode.bits(), 0o644);
    for (text, told) in [
        (
            "400",
            "is 400 without quotes: write \"0400\" if these are octal digits, or \"0620\" if it is a \
             decimal number",
        ),
        (
            "420",
            "is 420 without quotes: write \"0420\" if these are octal digits, or \"0644\" if it is a \
             decimal number",
        ),
        ("384", "is 384 without quotes, a decimal number: write \"0600\""),
        ("644", "is 644 without quotes; write \"0644\""),
        ("0o400", "must be an octal mode in quotes, such as \"0400\": write \"0400\""),
    ] {
        let wrong = wrong(&format!("- {{objectName: a, filePermission: {text}}}"));
        assert!(wrong.ends_with(&format!("field filePermission: {told}")), "{wrong}");
    }
    for bad in ["0o400", "'0999'", "'384'", "999", "36", "rw", "[]", "' '"] {
        let wrong = wrong(&format!("- {{objectName: a, filePermission: {bad}}}"));
        assert!(wrong.contains("must be an octal mode in quotes"), "{wrong}");
    }
}

#[test]
fn an_arn_and_a_host_must_agree_on_the_region() {
    const ARN: &str = "acs:kms:cn-beijing:1:secret/x";
    let host = |fields: &str| {
        let list = parsed(&format!("- {{{fields}, objectAlias: a}}"));
        list.map(|list| list[0].read.endpoint.host().to_owned()).map_err(|e| e.message())
    };
    let of = |name: &str, endpoint: &str| {
        host(&format!("objectName: '{name}', kmsEndpoint: '{endpoint}'"))
    };
    assert_eq!(of(ARN, "").unwrap(), "kms-vpc.cn-beijing.aliyuncs.com");
    let beijing = "kms.cn-beijing.aliyuncs.com";
    assert_eq!(of(ARN, beijing).unwrap(), beijing);
    assert_eq!(of("x", beijing).unwrap(), beijing);
    let torn = of(ARN, "kms.cn-hangzhou.aliyuncs.com").unwrap_err();
    assert!(torn.ends_with("is in cn-hangzhou, the ARN in objectName in cn-beijing"), "{torn}");
    let instance = "kst-1.cryptoservice.kms.aliyuncs.com";
    assert_eq!(of(ARN, instance).unwrap(), instance);
}

#[test]
fn versions_of_oos_are_numbers_from_one() {
    let version = |text: &str| {
        parsed(&format!("- {{objectName: a, objectType: oos, objectVersion: {text}}}"))
            .map(|list| match &list[0].read.source {
                Source::Oos(parameter) => parameter.version,
                other => panic!("{other:?}"),
            })
            .ok()
    };
    assert_eq!(version("''"), Some(None));
    assert_eq!(version("1").flatten().map(|version| version.to_string()).as_deref(), Some("1"));
    assert_eq!(version("2").flatten().map(|version| version.to_string()).as_deref(), Some("2"));
    for bad in ["0", "latest", "-1", "0x1", "99999999999999999999999"] {
        assert_eq!(version(bad), None, "{bad}");
    }
    let host = object("- {objectName: a, objectType: oos}").read.endpoint.host().to_owned();
    assert_eq!(host, "oos-vpc.cn-hangzhou.aliyuncs.com");
}

#[test]
fn extracts_have_a_path_and_a_file_each() {
    let item = object(
        "- objectName: a\n  filePermission: '0400'\n  jmesPath:\n  - {path: x, objectAlias: b/c}\n  \
         - {path: y, objectAlias: d, filePermission: '0440'}",
    );
    let files: Vec<_> =
        item.extracts.iter().map(|one| (one.file.as_str(), one.mode.bits())).collect();
    assert_eq!(files, [("b_c", 0o400), ("d", 0o440)]);
    for none in ["null", "''", "[]"] {
        let item = object(&format!("- {{objectName: a, jmesPath: {none}}}"));
        assert!(item.extracts.is_empty(), "{none}");
    }
    let item =
        object("- {objectName: a, jmesPath: [{path: x, objectAlias: b, filePermission: ''}]}");
    assert_eq!(item.extracts[0].mode.bits(), 0o644);
    for (list, told) in [
        ("x", "object 1 \"a\", field jmesPath: is not a list of path and objectAlias"),
        ("[{path: x}]", "object 1 \"a\", jmesPath 1, field objectAlias: is missing"),
        (
            "[{path: x, objectAlias: b}, {objectAlias: c}]",
            "object 1 \"a\", jmesPath 2, field path: is missing",
        ),
    ] {
        let wrong = wrong(&format!("- {{objectName: a, jmesPath: {list}}}"));
        assert!(wrong.starts_with(told), "{wrong}");
    }
}

/// Memory and calls under way go by it.
#[test]
fn reads_that_differ_in_anything_differ_in_their_digest() {
    let role = "crossAccountRoleArn: 'acs:ram::1:role/r'";
    let reads = [
        "objectName: a".to_owned(),
        "objectName: b".to_owned(),
        "objectName: a, objectVersion: v".to_owned(),
        "objectName: a, objectVersionLabel: v".to_owned(),
        "objectName: a, kmsEndpoint: kms.cn-hangzhou.aliyuncs.com".to_owned(),
        format!("objectName: a, {role}"),
        "objectName: a, objectType: oos".to_owned(),
        "objectName: b, objectType: oos".to_owned(),
        "objectName: a, objectType: oos, objectVersion: 1".to_owned(),
        format!("objectName: a, objectType: oos, {role}"),
    ];
    let digest = |fields: &String| *object(&format!("- {{{fields}}}")).read.digest();
    let all: std::collections::BTreeSet<_> = reads.iter().map(digest).collect();
    assert_eq!(all.len(), reads.len());
    assert_eq!(digest(&reads[2]), digest(&reads[2]));
}
