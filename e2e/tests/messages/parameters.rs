//! Parameters of the SecretProviderClass and attributes of the volume.

use tonic::Code;

use super::{Row, check, row};
use crate::world::{Setup, World};

#[test]
fn mistakes_in_parameters() {
    check("Parameters", rows);
}

fn rows() -> Vec<Row> {
    let published = || Setup::default().flag("default-identity", "node-publish-secret");
    let secret = |entries: &'static [(&'static str, &'static str)]| {
        move |world: &World| {
            let pod = world.pod("web", "web-1").objects("- objectName: web/plain");
            entries.iter().fold(pod, |pod, (name, value)| pod.secret(name, value))
        }
    };
    vec![
        row("a parameter's name has a typo")
            .parameter("usePodServiceAccountTokn", "true")
            .says("did you mean usePodServiceAccountToken?"),
        row("a parameter's name that resembles none")
            .parameter("colour", "red")
            .says("there are identity, objects,"),
        row("a field of an object as a parameter")
            .parameter("kmsEndpoint", "kms.cn-hangzhou.aliyuncs.com")
            .says("is a field of an object"),
        row("a parameter of Alibaba Cloud's APIs")
            .parameter("regionId", "cn-hangzhou")
            .says("here it is region"),
        row("a parameter of the Azure provider")
            .parameter("keyvaultName", "shop")
            .says("a parameter of the Azure provider"),
        row("a parameter of the Vault provider")
            .parameter("roleName", "web")
            .says("a parameter of the Vault provider")
            .says("roleArn"),
        row("a parameter of the Google Cloud provider")
            .parameter("secrets", "- resourceName: a")
            .says("a parameter of the Google Cloud provider")
            .says("objects"),
        row("a field of the SecretProviderClass as a parameter")
            .parameter("secretObjects", "[]")
            .says("beside parameters, under spec"),
        row("a parameter of ack-secret-manager")
            .parameter("ramRoleARN", "acs:ram::1:role/web")
            .says("here it is roleArn"),
        row("`identity` is not a mode").parameter("identity", "Pod").says("must be one of pod,"),
        row("`identity` ends with a blank")
            .parameter("identity", "pod ")
            .says("a blank at its start or end"),
        row("`identity` and the official provider's switch contradict each other")
            .parameter("identity", "provider")
            .parameter("usePodServiceAccountToken", "true")
            .says("keep identity, remove the other"),
        row("`region` is no region")
            .parameter("region", "Hangzhou")
            .says("is not a region id such as cn-hangzhou")
            .says("write cn-hangzhou"),
        row("`region` is a zone")
            .parameter("region", "cn-hangzhou-b")
            .says("its region is cn-hangzhou"),
        row("`region` is a placeholder")
            .parameter("region", "__ACK_REGION_ID__")
            .says("is a placeholder"),
        row("`roleArn` is a role's name")
            .parameter("roleArn", "web")
            .says("acs:ram::ACCOUNT:role/NAME: it is a role's name alone"),
        row("`roleArn` has a placeholder")
            .parameter("roleArn", "acs:ram::<account>:role/web")
            .says("a placeholder that is to be replaced"),
        row("`pathTranslation` is more than a character")
            .parameter("pathTranslation", "--")
            .says("one printable ASCII character"),
        row("`refreshInterval` has no unit")
            .parameter("refreshInterval", "300")
            .says("one number with s, m or h, such as 30s, 5m, 1h, up to 24h"),
        row("the Secret of nodePublishSecretRef has other entries")
            .input("`nodePublishSecretRef` to a Secret with `username` and `password`")
            .setup(published())
            .volume(secret(&[("username", "planted-user"), ("password", "planted-pass")]))
            .code(Code::FailedPrecondition)
            .says("has other entries: \"password\", \"username\"")
            .says("access_key and access_secret"),
        row("the Secret of nodePublishSecretRef lacks an entry")
            .input("`nodePublishSecretRef` to a Secret with `access_key` and `secret_key`")
            .setup(published())
            .volume(secret(&[("access_key", "LTAI5t0"), ("secret_key", "planted-key")]))
            .code(Code::FailedPrecondition)
            .says("has access_key, and no entry access_secret (but \"secret_key\")"),
        row("the entries of nodePublishSecretRef are swapped")
            .input("`nodePublishSecretRef` to a Secret with the two values swapped")
            .setup(published())
            .volume(secret(&[("access_secret", "LTAI5t0"), ("access_key", "planted-key")]))
            .code(Code::FailedPrecondition)
            .says("are they swapped?"),
        (1..=40)
            .fold(row("more mistakes than a message has room for"), |row, number| {
                row.parameter(&format!("wrong{number}"), "x")
            })
            .input("40 parameters that are none")
            .says("40 mistakes; the first ")
            .says(" more"),
    ]
}
