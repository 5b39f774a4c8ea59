//! A Pod, or what makes pods, as it is written: its volumes of the Secrets Store CSI Driver.

use super::value::{At, Pair, Text};
use crate::yaml::Position;

pub const DRIVER: &str = "secrets-store.csi.k8s.io";

#[derive(Debug)]
pub struct Workload {
    pub service_account: Option<Text>,
    pub volumes: Vec<Volume>,
    /// Mounts of these volumes by `subPath`, each with the volume's name.
    pub sub_paths: Vec<Text>,
    /// The arguments of secrets-store-sync-controller, if it runs here.
    pub controller: Option<Controller>,
}

/// A volume of the driver.
#[derive(Debug)]
pub struct Volume {
    pub at: Position,
    pub name: Option<Text>,
    pub class: Option<Text>,
    pub read_only: bool,
    /// All of `volumeAttributes`.
    pub attributes: Vec<Pair>,
    /// Whether it has a `nodePublishSecretRef`.
    pub has_secret: bool,
}

#[derive(Debug)]
pub struct Controller {
    pub at: Position,
    pub arguments: Vec<Text>,
}

/// Where a kind has the spec of its pods.
pub(super) fn pod_spec(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "Pod" => Some(&["spec"]),
        "Deployment"
        | "StatefulSet"
        | "DaemonSet"
        | "ReplicaSet"
        | "ReplicationController"
        | "Job" => Some(&["spec", "template", "spec"]),
        "CronJob" => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
        _ => None,
    }
}

impl Workload {
    pub(super) fn of(at: At<'_>, path: &[&str]) -> Self {
        let spec = at.path(path);
        let volumes = spec.into_iter().flat_map(|spec| spec.list("volumes"));
        let volumes: Vec<Volume> = volumes.filter_map(Volume::of).collect();
        let containers = || {
            let lists = ["initContainers", "containers"];
            spec.into_iter()
                .flat_map(move |spec| lists.into_iter().flat_map(move |key| spec.list(key)))
        };
        let is_ours = |name: &Text| {
            volumes
                .iter()
                .filter_map(|volume| volume.name.as_ref())
                .any(|ours| ours.text == name.text)
        };
        let mounts = containers().flat_map(|container| container.list("volumeMounts"));
        let by_sub_path = mounts.filter(|mount| mount.text("subPath").is_some());
        let sub_paths =
            by_sub_path.filter_map(|mount| mount.text("name")).filter(is_ours).collect();
        Self {
            service_account: spec.and_then(|spec| spec.text("serviceAccountName")),
            sub_paths,
            controller: containers().find_map(Controller::of),
            volumes,
        }
    }
}

impl Volume {
    fn of(at: At<'_>) -> Option<Self> {
        let csi = at.get("csi")?;
        if &*csi.text("driver")?.text != DRIVER {
            return None;
        }
        let attributes = csi.get("volumeAttributes");
        Some(Self {
            at: csi.position(),
            name: at.text("name"),
            class: attributes.and_then(|attributes| attributes.text("secretProviderClass")),
            read_only: csi.flag("readOnly").unwrap_or(false),
            attributes: attributes.map_or(vec![], At::pairs),
            has_secret: csi.path(&["nodePublishSecretRef", "name"]).is_some(),
        })
    }
}

impl Controller {
    fn of(container: At<'_>) -> Option<Self> {
        let image = container.text("image")?;
        image.text.contains("secrets-store-sync").then(|| Self {
            at: image.at,
            arguments: container
                .list("args")
                .filter_map(|argument| argument.given().text().cloned())
                .collect(),
        })
    }
}
