//! The columns: each call that a mount can make, and how a pod comes to make it.

use crate::{driver::PodVolume, world::World};

pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) service: &'static str,
    /// Unset where all requests to the service are one call.
    pub(super) action: Option<&'static str>,
    /// What is asked in its place where it cannot be had.
    pub(super) singly: Option<&'static str>,
    objects: &'static str,
    pub(super) flags: &'static [(&'static str, &'static str)],
}

const PARTNER: &str = "acs:ram::6543210987654321:role/partner";

pub(super) const CALLS: [Call; 7] = [
    Call {
        name: "AssumeRoleWithOIDC",
        service: "sts",
        action: Some("AssumeRoleWithOIDC"),
        singly: None,
        objects: "- objectName: web/plain",
        flags: &[],
    },
    Call {
        name: "AssumeRole",
        service: "sts",
        action: Some("AssumeRole"),
        singly: None,
        objects: "- {objectName: partner/secret, crossAccountRoleArn: 'acs:ram::6543210987654321:role/partner'}",
        flags: &[],
    },
    Call {
        name: "GetSecretValue",
        service: "kms",
        action: Some("GetSecretValue"),
        singly: None,
        objects: "- objectName: web/plain",
        flags: &[],
    },
    Call {
        name: "BatchGetSecretValue",
        service: "kms",
        action: Some("BatchGetSecretValue"),
        singly: Some("GetSecretValue"),
        objects: "- objectName: web/plain\n- objectName: web/db",
        flags: &[("kms-batch", "auto")],
    },
    Call {
        name: "GetSecretParameter",
        service: "oos",
        action: Some("GetSecretParameter"),
        singly: None,
        objects: "- {objectName: plain, objectType: oos}",
        flags: &[],
    },
    Call {
        name: "GetSecretParameters",
        service: "oos",
        action: Some("GetSecretParameters"),
        singly: Some("GetSecretParameter"),
        objects: "- {objectName: plain, objectType: oos}\n- {objectName: /app/password, objectType: oos}",
        flags: &[],
    },
    Call {
        name: "instance metadata",
        service: "metadata",
        action: None,
        singly: None,
        objects: "",
        flags: &[("allowed-identities", "ecs-role"), ("default-identity", "ecs-role")],
    },
];

impl Call {
    pub(super) fn is_metadata(&self) -> bool {
        self.service == "metadata"
    }

    /// Whether it is made to have a session.
    pub(super) fn logs_in(&self) -> bool {
        matches!(self.service, "sts" | "metadata")
    }

    /// The pod of one cell; it shares nothing with another's.
    pub(super) fn pod(&self, world: &World, cell: usize) -> PodVolume {
        let pod = world.pod("web", &format!("web-{cell}"));
        if self.is_metadata() {
            let name = format!("shared/cell-{cell}");
            world.emulator.set_secret_text(&name, "planted-value-of-a-cell").unwrap();
            return pod.objects(&format!("- objectName: {name}"));
        }
        let role = format!("acs:ram::1234567890123456:role/cell-{cell}");
        pod.parameter("roleArn", &role).objects(self.objects)
    }

    /// Has the cloud end the session that this call gets, so that it is made again.
    pub(super) fn end_session(&self, world: &World, cell: usize) {
        let role = match self.name {
            "AssumeRoleWithOIDC" => format!("cell-{cell}"),
            "AssumeRole" => PARTNER.to_owned(),
            _ if self.is_metadata() => "node".to_owned(),
            _ => return,
        };
        world.emulator.expire_sessions(&role).unwrap();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// The pod's first mount.
    Cold,
    /// A session is held, and no value.
    Warm,
    /// A pod that runs: its values are held, and are too old.
    Refreshing,
}

impl State {
    pub(super) const ALL: [Self; 3] = [Self::Cold, Self::Warm, Self::Refreshing];

    pub(super) fn name(self) -> &'static str {
        match self {
            State::Cold => "cold",
            State::Warm => "warm",
            State::Refreshing => "refreshing",
        }
    }
}
