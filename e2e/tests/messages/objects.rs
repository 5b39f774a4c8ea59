//! The text of parameter `objects`: its YAML and its fields.

use super::{Row, check, row};

#[test]
fn mistakes_in_objects() {
    check("Objects", rows);
}

fn rows() -> Vec<Row> {
    let forty: String = (0..40).map(|n| format!("- objectNam: web/{n}\n")).collect();
    vec![
        row("`objects` is not there").parameter("objects", "").says("it lists what to mount"),
        row("`objects` is one object, not a list")
            .objects("objectName: web/plain")
            .says("start each object with \"- \""),
        row("the Azure provider's array of blocks")
            .objects("array:\n  - |\n    objectName: web/plain\n    objectType: secret")
            .says("the Azure provider's form (array:")
            .says("- objectName: NAME"),
        row("a list of blocks")
            .objects("- |\n  objectName: web/plain")
            .says("remove the | behind \"-\""),
        row("a list of names").objects("- web/plain").says("write - objectName: and the name"),
        row("a blank is missing behind a colon")
            .objects("- objectName:web/plain")
            .says("a blank is missing behind objectName:")
            .says("write - objectName:"),
        row("a list that Helm printed as Go does")
            .objects("[map[objectName:web/plain]]")
            .says("toYaml"),
        row("`jmesPath` is a list of texts")
            .objects("- {objectName: web/db, jmesPath: [password]}")
            .says("write - path: PATH and below it objectAlias: FILE"),
        row("`path` without `jmesPath`")
            .objects("- {objectName: web/db, path: password}")
            .says("belongs into jmesPath"),
        row("a field that people guess")
            .objects("- {objectName: web/plain, alias: a}")
            .says("here it is objectAlias"),
        row("a name in a block of text")
            .objects("- objectName: |\n    web/plain\n  objectAlias: a")
            .says("a line break at its end")
            .never_says("U+000A"),
        row("`objectEncoding` in capitals")
            .objects("- {objectName: web/plain, objectEncoding: Base64}")
            .says("write base64, in small letters"),
        row("`objects:` once more inside")
            .objects("objects:\n- objectName: web/plain")
            .says("remove that line"),
        row("a lone `-`").objects("- objectName: web/plain\n-").says("remove the lone \"-\""),
        row("a tab as indentation")
            .objects("- objectName: web/plain\n\tobjectAlias: a")
            .says("a tab")
            .says("(line 2, column"),
        row("a template that was not rendered")
            .objects("- objectName: {{ .Values.name }}")
            .says("an unrendered template"),
        row("wrong indentation")
            .objects("- objectName: web/plain\n objectAlias: a")
            .says("line 1 is the first line of objects"),
        row("a name without quotes that may mean true")
            .objects("- objectName: yes")
            .says("put it in quotes"),
        row("a variable that nothing replaced")
            .objects("- objectName: ${DB_SECRET}")
            .says("a variable that nothing has replaced"),
        row("a placeholder of an example").objects("- objectName: <your-secret>").says("placeholder"),
        row("typographic quotes")
            .objects("- objectName: “web/plain”")
            .says("a typographic quote"),
        row("a blank in a name").objects("- objectName: web plain").says("a blank, at character 4"),
        row("an invisible character in a name")
            .input("`- objectName: web/plain` with a zero-width space behind it")
            .objects("- objectName: \"web/plain\\u200b\"")
            .says("an invisible character (U+200B)"),
        row("an AWS ARN")
            .objects("- objectName: 'arn:aws:secretsmanager:us-east-1:1234567890:secret:db'")
            .says("acs:kms:REGION:ACCOUNT:secret/NAME"),
        row("an object type of the AWS provider")
            .objects("- {objectName: web/plain, objectType: secretsmanager}")
            .says("write kms"),
        row("an object type of the Azure provider")
            .objects("- {objectName: web/plain, objectType: cert}")
            .says("does not hand out"),
        row("a field of the Vault provider")
            .objects("- {objectName: web, secretPath: web/plain, secretKey: user}")
            .says("here it is objectName"),
        row("a field of the Google Cloud provider")
            .objects("- {objectName: web/plain, fileName: a}")
            .says("here it is objectAlias"),
        row("version and label together")
            .objects("- {objectName: web/versions, objectVersion: ver-old, objectVersionLabel: ACSCurrent}")
            .says("keep one"),
        row("`filePermission` without quotes and leading zero")
            .objects("- {objectName: web/plain, filePermission: 400}")
            .says("write \"0400\"")
            .says("or \"0620\""),
        row("a host with a scheme")
            .objects("- {objectName: web/plain, kmsEndpoint: 'https://kms.cn-hangzhou.aliyuncs.com'}")
            .says("write the host name alone"),
        row("a host with a port")
            .objects("- {objectName: web/plain, kmsEndpoint: 'kms.cn-hangzhou.aliyuncs.com:443'}")
            .says("holds \":443\" behind the host"),
        row("a role with a placeholder")
            .objects("- {objectName: web/plain, crossAccountRoleArn: 'acs:ram::${ACCOUNT}:role/x'}")
            .says("a variable that nothing has replaced"),
        row("two objects make the same file")
            .objects("- objectName: web/plain\n- objectName: web_plain")
            .says("give it another objectAlias"),
        row("several mistakes in one object")
            .objects("- {objectName: a b, objectType: vault, objectEncoding: rot13, optional: maybe}")
            .says("objectName: holds a blank")
            .says("objectType: is \"vault\"")
            .says("objectEncoding: is \"rot13\"; it must be")
            .says("optional: is \"maybe\"; it must be"),
        row("more mistakes than an event has room for")
            .input("forty objects with `objectNam`")
            .objects(&forty)
            .says("40 mistakes; the first"),
    ]
}
