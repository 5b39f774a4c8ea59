//! What KMS, OOS and STS answer.

use emulator::{Fault, FaultEffect};
use tonic::Code;

use super::{Row, check, row};

fn kms(effect: FaultEffect) -> Fault {
    Fault { service: Some("kms".to_owned()), effect, ..Fault::default() }
}

#[test]
fn answers_of_the_cloud() {
    check("Cloud", rows);
}

fn rows() -> Vec<Row> {
    vec![
        row("the secret does not exist")
            .objects("- objectName: web/nothing")
            .code(Code::NotFound)
            .says("check its name, region and version"),
        row("the parameter does not exist")
            .objects("- {objectName: nothing, objectType: oos}")
            .code(Code::NotFound)
            .says("check its name, region and version"),
        row("the secret has no version with this label")
            .objects("- {objectName: web/versions, objectVersionLabel: ACSPreviuos}")
            .code(Code::NotFound)
            .says("label \"ACSPreviuos\" was asked for"),
        row("the same with `optional`")
            .objects("- {objectName: web/versions, objectVersion: no-such, optional: true}")
            .code(Code::NotFound)
            .says("version id \"no-such\" was asked for; optional is for one that does not exist"),
        row("the parameter has no such version")
            .objects("- {objectName: plain, objectType: oos, objectVersion: \"7\", optional: true}")
            .code(Code::NotFound)
            .says("version 7 was asked for"),
        row("the secret of another account is named by its ARN")
            .objects(
                "- {objectName: 'acs:kms:cn-hangzhou:6543210987654321:secret/partner/secret', \
                 objectAlias: partner}",
            )
            .code(Code::PermissionDenied)
            .says("set crossAccountRoleArn to a role of account 6543210987654321")
            .never_says("Effect"),
        row("two secrets are denied")
            .objects("- objectName: api/token\n- objectName: jobs/token")
            .code(Code::PermissionDenied)
            .says("object 1 \"api/token\", object 2 \"jobs/token\"")
            .says("secret/NAME"),
        row("the secret's encryption key is disabled")
            .input("409 `Rejected.Disabled` of KMS")
            .fault(kms(FaultEffect::Error {
                status: 409,
                code: "Rejected.Disabled".to_owned(),
                message: None,
                headers: Default::default(),
            }))
            .code(Code::FailedPrecondition)
            .says("encryption key must be enabled"),
        row("a proxy answers in place of KMS")
            .input("an HTML page with a 403")
            .volume(|world| {
                let volume = world.pod("web", "web-1").objects(super::OBJECTS);
                crate::driver::PodVolume { timeout: std::time::Duration::from_secs(3), ..volume }
            })
            .fault(kms(FaultEffect::Html { status: 403 }))
            .code(Code::Internal)
            .says("something on the way answered in place of KMS")
            .never_says("allow role"),
        row("the KMS instance's image is too old")
            .objects(
                "- {objectName: web/instance, \
                 kmsEndpoint: kst-hzz0001.cryptoservice.kms.aliyuncs.com}",
            )
            .fault(kms(FaultEffect::Protobuf { status: 400 }))
            .code(Code::FailedPrecondition)
            .says("version 3.0 or later"),
    ]
}
