//! Who the mount is, and what that identity may do.

use tonic::Code;

use super::{check, row};
use crate::world::Setup;

#[tokio::test]
async fn identities_that_are_refused() {
    let rows = vec![
        row("the pod's own role lacks the right")
            .objects("- objectName: api/token")
            .code(Code::PermissionDenied)
            .says("allow role acs:ram::1234567890123456:role/web kms:GetSecretValue"),
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
    ];
    check("Identity", rows).await;
}
