//! Hosts that cannot be reached, or are not who they should be.

use std::time::Duration;

use emulator::{Fault, FaultEffect};
use tonic::Code;

use super::{OBJECTS, Row, check, row};

#[test]
fn hosts_that_do_not_answer() {
    check("Network", rows);
}

fn rows() -> Vec<Row> {
    vec![
        row("KMS does not answer in time")
            .input("a host that accepts the request and never answers")
            .volume(|world| {
                let volume = world.pod("web", "web-1").objects(OBJECTS);
                crate::driver::PodVolume { timeout: Duration::from_secs(8), ..volume }
            })
            .fault(Fault {
                service: Some("kms".to_owned()),
                effect: FaultEffect::Hang,
                ..Fault::default()
            })
            .code(Code::Internal)
            .says("no answer in time"),
        row("the CA of a KMS instance is not trusted")
            .setup(crate::world::Setup::default().built_in_instance_ca())
            .objects(
                "- {objectName: web/instance, \
                 kmsEndpoint: kst-hzz0001.cryptoservice.kms.aliyuncs.com}",
            )
            .code(Code::FailedPrecondition)
            .says("issuer that is not trusted")
            .says("--kms-ca-file"),
    ]
}
