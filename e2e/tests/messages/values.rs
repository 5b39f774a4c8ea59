//! Secrets whose content is not what the object asks for.

use tonic::Code;

use super::{Row, check, row};

#[test]
fn values_that_do_not_fit() {
    check("Values", rows);
}

fn rows() -> Vec<Row> {
    vec![
        row("jmesPath of a secret that is plain text")
            .objects("- {objectName: web/plain, jmesPath: [{path: a, objectAlias: a}]}")
            .code(Code::FailedPrecondition)
            .says("needs a JSON or YAML secret"),
        row("a secret that is not base64")
            .objects("- {objectName: web/plain, objectEncoding: base64}")
            .code(Code::FailedPrecondition)
            .says("is not base64"),
    ]
}
