//! What happens, step by step, and what has to be true after each.

use std::path::Path;

use emulator::RequestRecord;
use serde_json::Value;
use tonic::Code;

use crate::{
    Fault,
    checks::Checks,
    driver::Volume,
    manifest::SecretProviderClass,
    page::Page,
    pod::Pod,
    stage::{Mounted, Stage},
    told,
};

const NEW_PASSWORD: &str = "velvet-compass-58";

pub(crate) fn introduce(page: &Page, directory: &Path) -> Result<(), Fault> {
    page.line("Secrets of Alibaba Cloud as files of pods")?;
    page.gap()?;
    page.line("   pod <--files-- driver --socket--> PROVIDER --https--> STS, KMS, OOS")?;
    page.gap()?;
    page.say(
        "The provider is the real program. Kubelet and the Secrets Store CSI Driver are played \
         by this one; the cloud is an emulator that checks signatures, tokens and policies as \
         Alibaba Cloud does, and that is found at Alibaba Cloud's host names. What it holds is in \
         e2e/demo/cloud.yaml. All secrets are made up: that is why this output shows them. The \
         provider itself never does.",
    )?;
    page.say(&format!("DIR is {}", directory.display()))
}

pub(crate) async fn tell(stage: &mut Stage, page: &Page, checks: &mut Checks) -> Result<(), Fault> {
    let classes = (SecretProviderClass::checkout()?, SecretProviderClass::reports()?);
    let (checkout, before) = kms_secrets(stage, page, checks, &classes.0).await?;
    let reports = parameters_and_json(stage, page, checks, &classes.1).await?;
    refusal(stage, page, checks, &classes.0).await?;
    rotation(stage, page, checks, &checkout, &before).await?;
    nothing_new(stage, page, checks, &reports).await?;
    end(stage, page, checks).await
}

async fn kms_secrets(
    stage: &mut Stage,
    page: &Page,
    checks: &mut Checks,
    class: &SecretProviderClass,
) -> Result<(Pod, Mounted), Fault> {
    page.heading("2. Pod checkout-0 starts: two KMS secrets")?;
    page.say(
        "An annotation of the pod's ServiceAccount names a RAM role. The pod's own token proves \
         the ServiceAccount to STS, which gives a session of that role; KMS goes by the role's \
         policies.",
    )?;
    page.gap()?;
    let pod = stage.admit(Pod::new(class, "checkout", "checkout-0")).await?;
    introduce_pod(page, &pod, class)?;
    let mounted = stage.mount(&pod).await?;
    show(page, &pod, &mounted)?;
    page.gap()?;
    pod.show_layout(page)?;
    told::calls(page, &mounted.calls)?;

    let value = |name| stage.cloud.value(name);
    checks.that(
        "checkout-0 got its two KMS secrets as files, one with a mode of its own",
        pod.holds("db-password", value("shop/db-password"), 0o644)
            && pod.holds("payment-key", value("shop/payment-key"), 0o400),
    );
    checks.that(
        "they were read under the pod's own role and session, after one login",
        mounted.count("AssumeRoleWithOIDC") == 1
            && mounted.all_read_by("shop-checkout", "shop@checkout@checkout-0", 2),
    );
    Ok((pod, mounted))
}

async fn parameters_and_json(
    stage: &mut Stage,
    page: &Page,
    checks: &mut Checks,
    class: &SecretProviderClass,
) -> Result<Pod, Fault> {
    page.heading("3. Pod reports-0 starts: OOS parameters, and a JSON secret split into files")?;
    page.say(
        "Up to ten parameters come with one call. The JSON secret becomes a file, and each \
         jmesPath one more with a part of it.",
    )?;
    page.gap()?;
    let pod = stage.admit(Pod::new(class, "reports", "reports-0")).await?;
    introduce_pod(page, &pod, class)?;
    let mounted = stage.mount(&pod).await?;
    show(page, &pod, &mounted)?;
    told::calls(page, &mounted.calls)?;

    let value = |name| stage.cloud.value(name);
    checks.that(
        "reports-0 got its two OOS parameters, in one call",
        pod.holds("bucket", value("/shop/bucket"), 0o644)
            && pod.holds("smtp-password", value("/shop/smtp-password"), 0o644)
            && mounted.count("GetSecretParameters") == 1
            && mounted.count("GetSecretParameter") == 0,
    );
    let json: Value = serde_json::from_str(value("shop/warehouse"))?;
    let member = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    checks.that(
        "its JSON secret is there whole and split, with the modes that were asked for",
        pod.holds("warehouse.json", value("shop/warehouse"), 0o440)
            && pod.holds("warehouse/host", member("host"), 0o440)
            && pod.holds("warehouse/password", member("password"), 0o400),
    );
    checks.that(
        "all of it was read under another role, that of reports-0",
        mounted.all_read_by("shop-reports", "shop@reports@reports-0", 2),
    );
    Ok(pod)
}

async fn refusal(
    stage: &mut Stage,
    page: &Page,
    checks: &mut Checks,
    class: &SecretProviderClass,
) -> Result<(), Fault> {
    page.heading(
        "4. Pod intruder-0 starts: checkout's SecretProviderClass, another ServiceAccount",
    )?;
    page.say(
        "Anyone in the namespace can name this SecretProviderClass. It gives no access: the \
         role of the pod's ServiceAccount does, and this one's role was never allowed these \
         secrets.",
    )?;
    page.gap()?;
    let pod = stage.admit(Pod::new(class, "intruder", "intruder-0")).await?;
    introduce_pod(page, &pod, class)?;
    let mounted = stage.mount(&pod).await?;
    told::reader(page, &mounted)?;
    told::calls(page, &mounted.calls)?;
    let empty = pod.is_empty()?;
    let Err(status) = &mounted.outcome else {
        checks.that("intruder-0 was refused", false);
        return Ok(());
    };
    page.gap()?;
    page.say("The pod does not start. kubectl describe pod intruder-0 (one line there):")?;
    page.gap()?;
    told::event(page, &pod.volume, status)?;
    page.gap()?;
    page.field("the pod's files", if empty { "none: nothing was written" } else { "some!" })?;

    checks.that(
        "intruder-0 was refused by KMS with PermissionDenied, and nothing was written",
        status.code() == Code::PermissionDenied && empty,
    );
    let message = status.message();
    let named =
        ["shop/db-password", "shop/payment-key", "role/shop-intruder", "kms:GetSecretValue"];
    checks.that(
        "its Event names the secrets, the role and the permission it lacks, and no value",
        named.iter().all(|name| message.contains(name)) && !stage.cloud.leaks_into(message).await?,
    );
    Ok(())
}

async fn rotation(
    stage: &mut Stage,
    page: &Page,
    checks: &mut Checks,
    pod: &Pod,
    before: &Mounted,
) -> Result<(), Fault> {
    page.heading("5. A secret is rotated, and checkout-0 runs on")?;
    let (name, file) = ("shop/db-password", "db-password");
    let (old, old_layout) = (before.volume()?, pod.layout()?);
    let version = stage.cloud.rotate(name, NEW_PASSWORD).await?;
    page.say(&format!(
        "KMS has a new version, {version}, of {name}. A driver with rotation turned on has the \
         volumes of running pods mounted again every minute or so; it does so now. By default the \
         provider would answer from memory until its values are 5 minutes old; here, with \
         --refresh-interval=0, it asks KMS each time."
    ))?;
    page.gap()?;
    let mounted = stage.mount(pod).await?;
    show(page, pod, &mounted)?;
    let (new, new_layout) = (mounted.volume()?, pod.layout()?);
    let id = |volume: &Volume| volume.versions.get(file).cloned().unwrap_or_default();
    page.gap()?;
    page.field("object version", &format!("{file}: {} became {}", id(old), id(new)))?;
    let target = |data: &Path| data.display().to_string();
    page.field(
        "all at once",
        &format!("..data: {} became {}", target(&old_layout.data), target(&new_layout.data)),
    )?;
    told::calls(page, &mounted.calls)?;
    page.gap()?;
    page.say(
        "The links of the names stay, and ..data changes in one step: the pod never sees old and \
         new files together. The session of the first mount served again: no token was exchanged, \
         no ServiceAccount looked up.",
    )?;

    checks.that(
        "after the rotation db-password has the new value, and payment-key is as it was",
        pod.holds(file, NEW_PASSWORD, 0o644)
            && pod.holds("payment-key", stage.cloud.value("shop/payment-key"), 0o400),
    );
    checks.that(
        "its object version, for SecretProviderClassPodStatus, moved with it, alone",
        id(new) == version
            && id(old) != version
            && old.versions.get("payment-key") == new.versions.get("payment-key"),
    );
    checks.that(
        "the files changed at one instant: ..data switched, all else stayed",
        mounted.written
            && new_layout.data != old_layout.data
            && new_layout.links == old_layout.links
            && !pod.directory.join(old_layout.data).exists(),
    );
    checks.that(
        "the second mount made no new session: the same one read both secrets",
        mounted.calls.len() == 2
            && mounted.sessions().len() == 1
            && mounted.all_read_by("shop-checkout", "shop@checkout@checkout-0", 2)
            && mounted.sessions() == before.sessions(),
    );
    Ok(())
}

async fn nothing_new(
    stage: &mut Stage,
    page: &Page,
    checks: &mut Checks,
    pod: &Pod,
) -> Result<(), Fault> {
    page.heading("6. reports-0 is mounted again, and nothing has changed")?;
    let before = pod.layout()?;
    let mounted = stage.mount(pod).await?;
    let same = pod.layout()? == before;
    let files = if same && !mounted.written { "not touched: same content" } else { "rewritten!" };
    page.field("the pod's files", files)?;
    told::calls(page, &mounted.calls)?;
    checks.that(
        "reports-0, mounted again without a change, had nothing rewritten",
        mounted.outcome.is_ok() && !mounted.written && same,
    );
    Ok(())
}

fn is_at_vpc_host(call: &RequestRecord) -> bool {
    let host = format!("{}-vpc.cn-hangzhou.aliyuncs.com", call.service);
    call.service == "kubernetes" || (call.host == host && call.tls_connection.is_some())
}

async fn end(stage: &mut Stage, page: &Page, checks: &mut Checks) -> Result<(), Fault> {
    page.heading("7. The provider is told to stop")?;
    let status = stage.provider.terminate().await?;
    let log = stage.provider.log()?;
    let mounts = log.lines().filter(|line| line.contains(" mounted ")).count();
    let failed = log.lines().filter(|line| line.contains(" mount failed ")).count();
    let calls = stage.cloud.calls().await?;
    page.field("after SIGTERM", &status.to_string())?;
    page.field("its log says", &format!("{mounts} mounts succeeded, {failed} failed"))?;
    let of = |service: &str| calls.iter().filter(|call| call.service == service).count();
    page.field(
        "the cloud counted",
        &format!("{} calls to STS, {} to KMS, {} to OOS", of("sts"), of("kms"), of("oos")),
    )?;
    checks.that(
        "every call to the cloud went over TLS to a VPC host of the region",
        (of("sts"), of("kms"), of("oos")) == (3, 8, 2) && calls.iter().all(is_at_vpc_host),
    );
    checks.that(
        "the provider logged four mounts and one refusal, and no value, token or key",
        (mounts, failed) == (4, 1) && !stage.cloud.leaks_into(&log).await?,
    );
    checks.that(
        "the provider ended in order: exit status 0, its socket removed",
        status.success() && !stage.socket.exists(),
    );
    Ok(())
}

fn introduce_pod(page: &Page, pod: &Pod, class: &SecretProviderClass) -> Result<(), Fault> {
    let own = &pod.volume;
    page.field("ServiceAccount", &format!("{}/{}", own.namespace, own.service_account))?;
    page.field(
        "SecretProviderClass",
        &format!("{}/{}, {}", class.namespace, class.name, class.file),
    )?;
    let objects = class.parameters.get("objects").map(String::as_str).unwrap_or_default();
    if class.name == own.service_account {
        objects.lines().try_for_each(|line| page.field("", &format!("  {line}")))?;
    }
    Ok(())
}

/// As whom it was read, and the files with mode, version and content.
fn show(page: &Page, pod: &Pod, mounted: &Mounted) -> Result<(), Fault> {
    told::reader(page, mounted)?;
    page.gap()?;
    pod.show_files(page, mounted.volume()?)
}
