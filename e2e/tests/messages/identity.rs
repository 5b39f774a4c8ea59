//! Who the mount is, and what that identity may do.

use tonic::Code;

use super::{OBJECTS, Row, check, row};
use crate::{
    driver::PodVolume,
    world::{AUDIENCE, Setup},
};

fn operator(mode: &str, key: &str, secret: &str) -> Setup {
    let setup = Setup::default().flag("default-identity", mode);
    setup.env("ACCESS_KEY_ID", key).env("SECRET_ACCESS_KEY", secret)
}

const CI: (&str, &str) = ("LTAI5tEXAMPLEKEYID000001", "planted-access-key-secret-0001");
const TENANT: (&str, &str) = ("LTAI5tEXAMPLEKEYID000002", "planted-access-key-secret-0002");

#[test]
fn identities_that_are_refused() {
    check("Identity", rows);
}

fn rows() -> Vec<Row> {
    vec![
        row("the pod's own role lacks the right")
            .objects("- objectName: api/token")
            .code(Code::PermissionDenied)
            .says("allow role acs:ram::1234567890123456:role/web kms:GetSecretValue"),
        row("the operator's default identity, which pods share, lacks the right")
            .input("`--default-identity=access-key`")
            .setup(operator("access-key", CI.0, CI.1))
            .code(Code::PermissionDenied)
            .says("identity access-key, the operator's default")
            .says("set identity: pod in the SecretProviderClass"),
        row("the same where pods may not have identities of their own")
            .input("`--default-identity=access-key --allowed-identities=access-key`")
            .setup(operator("access-key", CI.0, CI.1).flag("allowed-identities", "access-key"))
            .code(Code::PermissionDenied)
            .says("have the operator allow identity pod"),
        row("a shared identity that the SecretProviderClass asks for lacks the right")
            .parameter("identity", "access-key")
            .setup(operator("pod", CI.0, CI.1).flag("allowed-identities", "pod,access-key"))
            .code(Code::PermissionDenied)
            .says("identity access-key, set in the SecretProviderClass"),
        row("the operator's key may not become the operator's role")
            .input("`--default-identity=ram-role`")
            .setup(
                operator("ram-role", TENANT.0, TENANT.1)
                    .env("ALICLOUD_ROLE_ARN", "acs:ram::1234567890123456:role/provider"),
            )
            .code(Code::PermissionDenied)
            .says("identity ram-role, the operator's default"),
        row("the operator's key id and secret are swapped")
            .parameter("identity", "access-key")
            .setup(
                operator("pod", "planted-access-key-secret-0001", CI.0)
                    .flag("allowed-identities", "pod,access-key"),
            )
            .code(Code::FailedPrecondition)
            .says("look whether they are swapped"),
        row("secrets-store-sync-controller sends no token")
            .input("a SecretSync")
            .volume(|_| {
                PodVolume::new("shop", "web", "controller-1").objects(OBJECTS).by_sync_controller()
            })
            .code(Code::Unauthenticated)
            .says("tokenRequestAudience")
            .never_says("CSIDriver"),
        row("secrets-store-sync-controller sends a token for another audience")
            .input("a SecretSync")
            .volume(|_| {
                let volume = PodVolume::new("shop", "web", "controller-1").objects(OBJECTS);
                volume.token("vault", "planted.a.b", "2126-01-01T00:00:00Z").by_sync_controller()
            })
            .code(Code::Unauthenticated)
            .says("sent tokens for \"vault\" only")
            .says(AUDIENCE),
        row("a mode that the operator did not allow")
            .parameter("identity", "access-key")
            .code(Code::PermissionDenied)
            .says("--allowed-identities=pod,access-key"),
        row("the instance's role is asked for where there is none")
            .input("`--default-identity=ecs-role`")
            .setup(
                Setup::default()
                    .flag("default-identity", "ecs-role")
                    .cloud("role: node", "role: null"),
            )
            .code(Code::FailedPrecondition)
            .says("no RAM role is attached to the instance")
            .never_says("allow role"),
    ]
}
