//! Parameters of the SecretProviderClass and attributes of the volume.

use super::{check, row};

#[tokio::test]
async fn mistakes_in_parameters() {
    let rows = vec![
        row("a parameter's name has a typo")
            .parameter("usePodServiceAccountTokn", "true")
            .says("did you mean usePodServiceAccountToken?"),
        row("`identity` is not a mode").parameter("identity", "Pod").says("must be one of pod,"),
        row("`identity` and the official provider's switch contradict each other")
            .parameter("identity", "provider")
            .parameter("usePodServiceAccountToken", "true")
            .says("keep identity, remove the other"),
        row("`region` is no region")
            .parameter("region", "Hangzhou")
            .says("is not a region id such as cn-hangzhou"),
        (1..=40)
            .fold(row("more mistakes than a message has room for"), |row, number| {
                row.parameter(&format!("wrong{number}"), "x")
            })
            .input("40 parameters that are none")
            .says("40 mistakes; the first ")
            .says(" more"),
    ];
    check("Parameters", rows).await;
}
