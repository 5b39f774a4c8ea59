//! What KMS, OOS and STS answer.

use tonic::Code;

use super::{check, row};

#[tokio::test]
async fn answers_of_the_cloud() {
    let rows = vec![
        row("the secret does not exist")
            .objects("- objectName: web/nothing")
            .code(Code::NotFound)
            .says("check its name, region and version"),
        row("the parameter does not exist")
            .objects("- {objectName: nothing, objectType: oos}")
            .code(Code::NotFound)
            .says("check its name, region and version"),
    ];
    check("Cloud", rows).await;
}
