//! Preview: the mounts that manifests ask for, each with what it would have, before anybody is asked. Class,
//! identity, role and calls come from the code of a mount.

pub(crate) mod calls;
pub(crate) mod role;

use std::collections::BTreeSet;

use role::Role;

use crate::{
    check::{
        Settings,
        mount::{CLASS_NAME, Verdict, is_text, verdict},
        set::{KnownClass, Named, Of, Set},
    },
    error::{Error, Errors},
    manifests::{
        File, Manifest,
        value::{Pair, Text},
    },
    names::RoleArn,
    policy::{Decision, Policy, Share},
    request::Pod,
    session_name::session_name,
    spc::{
        Spec,
        mode::{Mode, RoleOwner},
    },
    text::shown,
};

/// What the operator set up, and what manifests leave open.
#[derive(Debug)]
pub(crate) struct Assumed {
    pub(crate) settings: Settings,
    /// Id of the account that the cluster's roles and secrets are in.
    pub(crate) account: Option<String>,
    /// Of manifests that name none.
    pub(crate) namespace: Option<String>,
    /// Who is taken to use the classes that no workload uses: perhaps a namespace, and a name.
    pub(crate) service_accounts: Vec<(Option<String>, String)>,
    /// Whether several KMS secrets are read with one call.
    pub(crate) kms_batch: bool,
}

/// What stands for a namespace that neither a manifest nor the operator names.
pub(crate) const NAMESPACE: &str = "NAMESPACE";
/// The same for a pod whose name is made by Kubernetes.
pub(crate) const POD: &str = "POD";
const SYNC_POD: &str = "SYNC_CONTROLLER_POD";

pub(crate) struct Preview {
    pub(crate) mounts: Vec<Mount>,
    /// What a mount would refuse, and documents that cannot be read.
    pub(crate) refused: Vec<Refused>,
    /// Classes that no workload or SecretSync uses.
    pub(crate) unused: Vec<String>,
    /// Workloads that name a class that is not given.
    pub(crate) missing: Vec<String>,
}

pub(crate) struct Refused {
    /// `SecretProviderClass shop/checkout`, or a place in a file.
    pub(crate) subject: String,
    pub(crate) reasons: Vec<String>,
}

/// One volume of a workload, or one SecretSync.
pub(crate) struct Mount {
    /// `Deployment shop/checkout`; empty for a class that only an assumed ServiceAccount uses.
    pub(crate) user: String,
    pub(crate) volume: Option<String>,
    pub(crate) class: String,
    pub(crate) namespace: String,
    pub(crate) service_account: String,
    pub(crate) spec: Spec,
    pub(crate) decision: Decision,
    /// `None` where the identity is no role.
    pub(crate) role: Option<Role>,
    /// `None` where sessions are named by the cloud, or there are none.
    pub(crate) session: Option<String>,
    /// By secrets-store-sync-controller.
    pub(crate) sync: bool,
    /// What is mounted by `subPath` never changes.
    pub(crate) sub_path: bool,
}

impl Mount {
    /// What its token says that it is of.
    pub(crate) fn subject(&self) -> String {
        pod(&self.namespace, &self.service_account, POD).subject()
    }

    /// Who mounts it, for people.
    pub(crate) fn title(&self) -> String {
        match self.user.is_empty() {
            true => format!("ServiceAccount {}/{}", self.namespace, self.service_account),
            false => self.user.clone(),
        }
    }
}

/// A volume or a SecretSync, or nobody, as the user of a class.
struct User<'a> {
    title: String,
    manifest: &'a Manifest,
    volume: Option<String>,
    attributes: &'a [Pair],
    service_account: Option<(Option<String>, String)>,
    pod: &'a str,
    sync: bool,
    sub_path: bool,
}

pub(crate) fn preview(files: &[File], assumed: &Assumed) -> Preview {
    let set = Set::of(files, &assumed.settings);
    let mut found =
        Preview { mounts: vec![], refused: unreadable(files), unused: vec![], missing: vec![] };
    let mut used: BTreeSet<*const Manifest> = BTreeSet::new();
    let accounts = role::accounts(&set);
    let named = |name: Option<&str>| Some((None, shown(name.unwrap_or("default")).into_owned()));
    let volumes = set.volumes().filter_map(|(of, volume)| {
        let class = volume.class.as_ref()?;
        let name = of.manifest.name.as_ref().map(|name| &*name.text);
        let is_of_it =
            |text: &Text| volume.name.as_ref().is_some_and(|name| name.text == text.text);
        let user = User {
            title: shown(&of.title()).into_owned(),
            manifest: of.manifest,
            volume: volume.name.as_ref().map(|name| shown(&name.text).into_owned()),
            attributes: &volume.attributes,
            service_account: named(of.body.service_account.as_ref().map(|name| &*name.text)),
            pod: name.filter(|_| &*of.manifest.kind.text == "Pod").unwrap_or(POD),
            sync: false,
            sub_path: of.body.sub_paths.iter().any(is_of_it),
        };
        Some((user, &*class.text))
    });
    let syncs = set.syncs().filter_map(|of| {
        let user = User {
            title: shown(&of.title()).into_owned(),
            manifest: of.manifest,
            volume: None,
            attributes: &[],
            service_account: named(of.body.service_account.as_ref().map(|name| &*name.text)),
            pod: SYNC_POD,
            sync: true,
            sub_path: false,
        };
        Some((user, &*of.body.class.as_ref()?.text))
    });
    for (user, name) in volumes.chain(syncs) {
        match set.class(name, user.manifest) {
            Named::Class(class) if class.is_ours => {
                used.insert(std::ptr::from_ref(class.given.manifest));
                found.add(class, &user, &set, &accounts, assumed);
            }
            // Another provider's is not for us to tell.
            Named::Class(_) => {}
            Named::Elsewhere(_) | Named::NotGiven => {
                let what = format!("{} names SecretProviderClass {}", user.title, shown(name));
                found.missing.push(format!("{what}, which is not given in its namespace"));
            }
        }
    }
    for class in set.classes.iter().filter(|class| class.is_ours) {
        if used.contains(&std::ptr::from_ref(class.given.manifest)) {
            continue;
        }
        if assumed.service_accounts.is_empty() {
            found.unused.push(shown(&class.given.title()).into_owned());
            found
                .refused
                .extend(refused(shown(&class.given.title()).into_owned(), class.verdict.as_ref()));
        }
        for account in &assumed.service_accounts {
            let user = User {
                title: String::new(),
                manifest: class.given.manifest,
                volume: None,
                attributes: &[],
                service_account: Some(account.clone()),
                pod: POD,
                sync: false,
                sub_path: false,
            };
            found.add(class, &user, &set, &accounts, assumed);
        }
    }
    found.refused.sort_by(|a, b| a.subject.cmp(&b.subject));
    found.refused.dedup_by(|a, b| a.subject == b.subject && a.reasons == b.reasons);
    found
}

impl Preview {
    fn add(
        &mut self,
        class: &KnownClass<'_>,
        user: &User<'_>,
        set: &Set<'_>,
        accounts: &role::Accounts<'_>,
        assumed: &Assumed,
    ) {
        let Of { manifest, body, .. } = class.given;
        let overrides =
            |pair: &Pair| &*pair.name.text != CLASS_NAME && !pair.name.text.contains('/');
        let namespaces = [user.manifest, manifest].map(|of| of.namespace.as_ref());
        let namespace = namespaces.into_iter().flatten().next();
        let own;
        if !user.attributes.iter().all(|pair| is_text(&pair.value)) {
            let reasons =
                vec!["volumeAttributes has a list or a mapping in place of a text".into()];
            self.refused.push(Refused { subject: user.title.clone(), reasons });
            return;
        }
        let verdict = match user.attributes.iter().any(overrides) {
            true => {
                let namespace = namespace.map(|text| &*text.text);
                own = verdict(body, user.attributes, namespace, set.settings, &set.cache);
                Some(&own)
            }
            false => class.verdict.as_ref(),
        };
        let Some(Verdict { spec: Some(spec), decision: Some(decision), errors: None }) = verdict
        else {
            self.refused.extend(refused(shown(&class.given.title()).into_owned(), verdict));
            return;
        };
        let (given, account) = user.service_account.clone().unwrap_or_default();
        let namespace = namespace.map(|text| shown(&text.text).into_owned());
        let namespace = namespace.or(given).or_else(|| assumed.namespace.clone());
        let namespace = namespace.unwrap_or_else(|| NAMESPACE.to_owned());
        let policy = &assumed.settings.policy;
        let pod = pod(&namespace, &account, user.pod);
        let role = match decision.mode.facts().role {
            RoleOwner::Pod => role::of_pod(&pod, spec.role.as_ref(), accounts, assumed)
                .and_then(|role| allowed(role, &namespace, policy).map(Some)),
            RoleOwner::Operator => Ok(Some(role::of_operator(policy.role.as_ref()))),
            RoleOwner::Nobody => Ok(None),
        };
        let role = match role {
            Ok(role) => role,
            Err(error) => {
                let subject = format!("ServiceAccount {namespace}/{account}");
                self.refused.push(Refused { subject, reasons: vec![error.to_string()] });
                return;
            }
        };
        let shared = decision.mode == Mode::Pod && policy.share == Share::ServiceAccount;
        let session = role.is_some().then(|| session_name(&pod, shared));
        self.mounts.push(Mount {
            user: user.title.clone(),
            volume: user.volume.clone(),
            class: name_of(manifest),
            namespace,
            service_account: account,
            spec: spec.clone(),
            decision: *decision,
            role,
            session,
            sync: user.sync,
            sub_path: user.sub_path,
        });
    }
}

/// As far as role and namespace are known.
fn allowed(role: Role, namespace: &str, policy: &Policy) -> Result<Role, Error> {
    let known = role.is_named() && namespace != NAMESPACE;
    if let Some(arn) = RoleArn::parse(&role.arn()).filter(|_| known) {
        policy.check_role(namespace, &arn)?;
    }
    Ok(role)
}

fn pod(namespace: &str, service_account: &str, name: &str) -> Pod {
    Pod {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: String::new(),
        service_account: service_account.to_owned(),
    }
}

fn name_of(manifest: &Manifest) -> String {
    manifest.name.as_ref().map_or_else(String::new, |name| shown(&name.text).into_owned())
}

fn refused(subject: String, verdict: Option<&Verdict>) -> Option<Refused> {
    let reasons = |errors: &Errors| {
        let more = match errors.more() {
            0 => None,
            more => Some(format!("and {more} more mistakes")),
        };
        errors.iter().map(ToString::to_string).chain(more).collect()
    };
    let reasons = match verdict {
        Some(verdict) => reasons(verdict.errors.as_ref()?),
        None => vec![
            "parameter objects is a list or a mapping, not a text: write \"objects: |\"".into(),
        ],
    };
    Some(Refused { subject, reasons })
}

fn unreadable(files: &[File]) -> Vec<Refused> {
    let all = files.iter().flat_map(|file| file.unreadable.iter().map(move |what| (file, what)));
    let ours = all.filter(|(_, what)| what.concerns_us);
    let refused = ours.map(|(file, what)| Refused {
        subject: format!("{}:{}", shown(&file.source.name), what.at.line),
        reasons: vec![format!("cannot be read: {}", what.reason)],
    });
    refused.collect()
}
