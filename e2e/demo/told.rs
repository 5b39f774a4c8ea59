//! Calls and errors, as a reader sees them.

use emulator::RequestRecord;
use tonic::Status;

use crate::{Fault, driver::PodVolume, page::Page, stage::Mounted};

const WHO: usize = 40;
const WHAT: usize = 20;
const ON: usize = 20;

/// One line per call: who, what, on what, how it ended.
pub(crate) fn calls(page: &Page, calls: &[RequestRecord]) -> Result<(), Fault> {
    let row = |who: &str, what: &str, on: &str, answer: &str| {
        page.line(format!("   {who:WHO$} {what:WHAT$}{on:ON$}{answer}").trim_end())
    };
    page.gap()?;
    row("who asked: role and session", "what", "of", "answer")?;
    for call in calls {
        let mut objects = call.objects.iter().map(|object| short(object));
        let first = objects.next().unwrap_or_default();
        row(&who(call), &call.action, first, &call.status.to_string())?;
        objects.try_for_each(|object| row("", "", object, ""))?;
        if !call.code.is_empty() {
            row("", "", &format!("-> {}", call.code), "")?;
        }
    }
    Ok(())
}

/// Who signed a call, or whose token it carried.
fn who(call: &RequestRecord) -> String {
    match (&call.principal, &call.oidc_subject) {
        (Some(principal), _) => {
            let session = principal.session_name.as_deref().unwrap_or("no session");
            format!("{} {session}", short(&principal.arn))
        }
        (None, Some(subject)) => {
            let account = subject.trim_start_matches("system:serviceaccount:");
            format!("token of ServiceAccount {}", account.replace(':', "/"))
        }
        (None, None) if call.action == "CreateToken" => "kubelet".to_owned(),
        (None, None) => "provider".to_owned(),
    }
}

/// A role's name instead of its ARN.
fn short(object: &str) -> &str {
    object.split_once(":role/").map_or(object, |(_, name)| name)
}

/// As whom the secrets were asked for.
pub(crate) fn reader(page: &Page, mounted: &Mounted) -> Result<(), Fault> {
    let (role, session) = mounted.reader().ok_or("a mount read nothing")?;
    page.field("RAM role", role)?;
    page.field("session", session)
}

/// The Event in the columns of `kubectl describe pod`, with the driver's and kubelet's words around
/// the provider's message.
pub(crate) fn event(page: &Page, pod: &PodVolume, status: &Status) -> Result<(), Fault> {
    // grpc-go and tonic spell the codes alike.
    let (code, message) = (format!("{:?}", status.code()), status.message());
    let text = format!(
        "MountVolume.SetUp failed for volume \"secrets\" : rpc error: code = {code} desc = failed \
         to mount secrets store objects for pod {}/{}, err: rpc error: code = {code} desc = \
         {message}",
        pod.namespace, pod.pod
    );
    page.line("     Type     Reason       Age   From     Message")?;
    page.line("     Warning  FailedMount  1s    kubelet")?;
    page.block(10, &text)
}
