//! The pods of the measurements, and what the driver asks for them.

use std::time::Duration;

use provider::pb::MountRequest;

use crate::{
    Fault,
    cloud::{AUDIENCE, Cloud},
    content::{NAMESPACE, REFUSED, account, secret},
    driver::PodVolume,
};

/// Replicas of one workload on a node, under one ServiceAccount.
pub(crate) const PODS_PER_ACCOUNT: usize = 5;
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A pod with the first secrets of its ServiceAccount.
pub(crate) fn pod(number: usize, objects: usize) -> PodVolume {
    let account = account(number / PODS_PER_ACCOUNT);
    let names: Vec<String> = (0..objects).map(|which| secret(&account, which)).collect();
    named(&account, number, &names, "")
}

/// A pod whose role may not read what it asks for.
pub(crate) fn refused(number: usize) -> PodVolume {
    named(REFUSED, number, &[secret(&account(0), 0)], "")
}

/// A pod with one object more than there is.
pub(crate) fn optional_missing(number: usize) -> PodVolume {
    let account = account(number / PODS_PER_ACCOUNT);
    let extra = format!("- {{ objectName: {account}/absent, optional: true }}\n");
    named(&account, number, &[secret(&account, 0)], &extra)
}

fn named(account: &str, number: usize, names: &[String], extra: &str) -> PodVolume {
    let objects: String = names.iter().map(|name| format!("- objectName: {name}\n")).collect();
    let mut volume = PodVolume::new(NAMESPACE, account, &format!("{account}-{number}"))
        .objects(&(objects + extra));
    volume.timeout = PATIENCE;
    volume
}

/// As kubelet does: with a token of its own.
pub(crate) async fn admit(cloud: &Cloud, volume: PodVolume) -> Result<PodVolume, Fault> {
    let (token, expires) = cloud.pod_token(&volume).await?;
    Ok(volume.token(AUDIENCE, &token, &expires))
}

/// The requests for so many pods, made once.
pub(crate) async fn requests(
    cloud: &Cloud,
    pods: usize,
    objects: usize,
) -> Result<Vec<MountRequest>, Fault> {
    let mut requests = Vec::with_capacity(pods);
    for number in 0..pods {
        requests.push(admit(cloud, pod(number, objects)).await?.request());
    }
    Ok(requests)
}
