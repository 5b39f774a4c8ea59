//! The CSIDriver and the sync controller: whether they send what a mount needs.

use crate::{
    check::{
        finding::Finding,
        rule::Rule,
        set::{Of, Set},
    },
    manifests::{Body, csi_driver::CsiDriver, workload::DRIVER},
    request::STS_AUDIENCE,
    spc::mode::Mode,
    text::quoted,
};

pub(super) fn check(set: &Set<'_>, findings: &mut Vec<Finding>) {
    let decisions = || {
        let verdicts = set.classes.iter().filter_map(|class| class.verdict.as_ref());
        verdicts.filter_map(|verdict| verdict.decision)
    };
    // Without a class that says otherwise, pods prove themselves with their tokens.
    let uses_tokens = decisions().any(|decision| decision.mode == Mode::Pod);
    if decisions().next().is_some() && !uses_tokens {
        return;
    }
    for of in set.manifests() {
        if let Body::CsiDriver(driver) = of.body
            && of.manifest.name.as_ref().is_some_and(|name| &*name.text == DRIVER)
        {
            csi_driver(of.with(driver), findings);
        }
    }
    for of in set.workloads() {
        let Some(controller) = &of.body.controller else { continue };
        let audience = controller.arguments.iter().any(|text| text.text.contains(STS_AUDIENCE));
        if !audience {
            let message = format!(
                "secrets-store-sync-controller sends no token for {STS_AUDIENCE}, with which a pod's \
                 identity is proven"
            );
            let finding = Finding::new(Rule::MissingTokenRequest, of.place(controller.at), message)
                .hint(format!(
                    "set tokenRequestAudience: [{{audience: {STS_AUDIENCE}}}] in its chart"
                ));
            of.found(findings, finding);
        }
    }
}

fn csi_driver(of: Of<'_, CsiDriver>, findings: &mut Vec<Finding>) {
    let driver = of.body;
    let write = format!("write tokenRequests: [{{audience: {STS_AUDIENCE}}}] under spec");
    let finding = match &driver.token_requests {
        None => Some(Finding::new(
            Rule::MissingTokenRequest,
            of.at_name(),
            format!(
                "CSIDriver {DRIVER} has no tokenRequests: kubelet sends no token for {STS_AUDIENCE}"
            ),
        )),
        Some((at, audiences)) => {
            let named: Vec<String> = audiences.iter().map(|text| quoted(&text.text)).collect();
            let there = audiences.iter().any(|text| &*text.text == STS_AUDIENCE);
            let message = format!(
                "tokenRequests of CSIDriver {DRIVER} has {}, and not {STS_AUDIENCE}",
                named.join(", ")
            );
            (!there).then(|| Finding::new(Rule::MissingTokenRequest, of.place(*at), message))
        }
    };
    if let Some(finding) = finding {
        of.found(findings, finding.hint(write));
    }
    if !driver.pod_info_on_mount {
        let what = "the CSIDriver's podInfoOnMount is not true: kubelet does not say which pod it mounts for";
        let finding = Finding::new(Rule::MissingPodInfo, of.at_name(), what);
        of.found(findings, finding.hint("write podInfoOnMount: true under spec"));
    }
    if !driver.requires_republish {
        let what = "the CSIDriver's requiresRepublish is not true: running pods do not get changed secrets";
        let finding = Finding::new(Rule::NoRepublish, of.at_name(), what);
        of.found(findings, finding.hint("write requiresRepublish: true under spec"));
    }
}
