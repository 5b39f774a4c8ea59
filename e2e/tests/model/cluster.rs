//! Pods that share namespaces, ServiceAccounts and roles in every way, and what each may be given.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use fastrand::Rng;
use provider::{
    endpoint::Endpoints,
    keys::Keys,
    names::{Glob, OidcProviderArn, Region, RoleArn},
    pb,
    policy::{DefaultMode, Policy, Share},
    secret::Secret,
    spc::mode::Mode,
};
use serde_json::{Value, json};

use super::{
    answers::{parameter, secret},
    cloud::Who,
};

const OPERATOR: &str = "operator";
const OPERATOR_ROLE: &str = "acs:ram::1234567890123456:role/operator";
/// All keys that are no session's.
pub const LONG_LIVED: [&str; 3] = [OPERATOR, "published-1", "published-2"];
const ROLES: [&str; 2] =
    ["acs:ram::1234567890123456:role/app", "acs:ram::1234567890123456:role/ops"];
const OTHER_ACCOUNTS: [&str; 2] = ["acs:ram::99:role/app", "acs:ram::98:role/app"];
const INSTANCE: &str = "kst-1.cryptoservice.kms.aliyuncs.com";

#[derive(Clone, Debug)]
pub struct Pod {
    namespace: &'static str,
    service_account: &'static str,
    name: String,
    tokens: u32,
    usual: u64,
}

impl Pod {
    /// Kubelet has a new one made when the old one is old.
    pub fn rotate_token(&mut self) {
        self.tokens += 1;
    }

    /// What is left of a token that a value tells of.
    fn token(&self) -> String {
        let Self { namespace, service_account, name, tokens, .. } = self;
        format!("{namespace}~{service_account}~{name}~{tokens}")
    }

    fn jwt(&self) -> String {
        let subject = format!("system:serviceaccount:{}:{}", self.namespace, self.service_account);
        let claims = URL_SAFE_NO_PAD.encode(json!({ "sub": subject }).to_string());
        format!("e30.{claims}.{}", self.token())
    }

    fn session_name(&self, shared: bool) -> String {
        let Self { namespace, service_account, name, .. } = self;
        match shared {
            true => format!("{namespace}@{service_account}"),
            false => format!("{namespace}@{service_account}@{name}"),
        }
    }
}

/// A mount as the driver asks for it, and what may come of it.
pub struct Plan {
    pub request: pb::MountRequest,
    pub files: Vec<File>,
    /// The token is another ServiceAccount's.
    pub stolen: bool,
}

pub struct File {
    pub path: String,
    pub who: Who,
    pub object: String,
    pub optional: bool,
}

#[derive(Clone)]
struct Item {
    name: String,
    parameter: bool,
    version: &'static str,
    stage: &'static str,
    instance: bool,
    role: Option<&'static str>,
    optional: bool,
}

pub struct Cluster {
    pub share: Share,
    pub pods: Vec<Pod>,
    lists: Vec<Vec<Item>>,
}

impl Cluster {
    pub fn new(rng: &mut Rng) -> Self {
        let share = if rng.bool() { Share::Pod } else { Share::ServiceAccount };
        let mut pods = Vec::new();
        for namespace in ["shop", "bank"] {
            for service_account in ["web", "api"] {
                for number in 0..rng.u32(1..3) {
                    let name = format!("{service_account}-{number}");
                    pods.push(Pod {
                        namespace,
                        service_account,
                        name,
                        tokens: 0,
                        usual: rng.u64(..),
                    });
                }
            }
        }
        let lists = [1, 2, 4, rng.usize(1..14)].map(|most| list(rng, most)).into();
        Self { share, pods, lists }
    }

    pub fn policy(&self) -> Policy {
        let id = OPERATOR.to_owned();
        let secret = Secret::new(format!("secret of {OPERATOR}"));
        Policy {
            share: self.share,
            default: DefaultMode::Mode(Mode::Pod),
            allowed: BTreeSet::from([Mode::Pod, Mode::RamRole, Mode::NodePublishSecret]),
            cross_account_roles: vec![Glob::new("acs:ram::99:*"), Glob::new("acs:ram::98:*")],
            namespaces: None,
            oidc_provider: OidcProviderArn::of_cluster("1234567890123456", "c1"),
            role: RoleArn::parse(OPERATOR_ROLE),
            token_file: None,
            keys: Some(Arc::new(Keys { id, secret, token: None })),
            ecs_metadata: false,
            session_name: None,
            session_lifetime: Duration::from_secs(3600),
        }
    }

    /// One of two that the pod asks for again and again, or any.
    pub fn plan(&self, rng: &mut Rng, pod: &Pod) -> Plan {
        let steals = rng.u32(..16) == 0;
        let refresh = *rng.choice(&["", "0", "30s", "5m", "5m", "5m", "5m", "1h"]).unwrap();
        let mut usual = Rng::with_seed(pod.usual.wrapping_add(rng.u64(..2)));
        let rng = if rng.u32(..5) > 0 { &mut usual } else { rng };
        let role = ROLES[usize::from(rng.u32(..5) == 0)];
        let region =
            *rng.choice(&["cn-hangzhou", "cn-hangzhou", "cn-hangzhou", "cn-beijing"]).unwrap();
        let slash = *rng.choice(&["_", "_", "-"]).unwrap();
        let mode =
            *rng.choice(&["pod", "pod", "pod", "pod", "ram-role", "node-publish-secret"]).unwrap();
        let list = rng.choice(&self.lists).unwrap();
        let shared = mode == "pod" && self.share == Share::ServiceAccount;
        let name = pod.session_name(shared);
        let mut attributes = json!({
            "objects": Value::Array(list.iter().enumerate().map(Item::written).collect()).to_string(),
            "identity": mode,
            "region": region,
            "pathTranslation": slash,
            "refreshInterval": refresh,
            "csi.storage.k8s.io/pod.name": pod.name,
            "csi.storage.k8s.io/pod.namespace": pod.namespace,
            "csi.storage.k8s.io/pod.uid": "u",
            "csi.storage.k8s.io/serviceAccount.name": pod.service_account,
        });
        let mut secrets = json!({});
        let mut stolen = false;
        let who = match mode {
            "pod" => {
                let other = |other: &&Pod| other.service_account != pod.service_account;
                stolen = shared && steals;
                let token = if stolen { self.pods.iter().find(other) } else { Some(pod) };
                let tokens = json!({ "sts.aliyuncs.com": { "token": token.unwrap().jwt() } });
                attributes["csi.storage.k8s.io/serviceAccount.tokens"] = tokens.to_string().into();
                attributes["roleArn"] = role.into();
                Who { rights: format!("{role} as {name}"), token: pod.token() }
            }
            "ram-role" => Who::key(OPERATOR).assume_role(OPERATOR_ROLE, &name),
            _ => {
                let id = *rng.choice(&LONG_LIVED[1..]).unwrap();
                secrets = json!({ "access_key": id, "access_secret": format!("secret of {id}") });
                Who::key(id)
            }
        };
        let file = |(number, item): (usize, &Item)| File {
            path: format!("f{number}{slash}{}", item.name.replace('/', slash)),
            who: item.role.map_or_else(|| who.clone(), |role| who.assume_role(role, &name)),
            object: item.object(region),
            optional: item.optional,
        };
        let request = pb::MountRequest {
            attributes: attributes.to_string(),
            secrets: secrets.to_string(),
            permission: "420".to_owned(),
            ..Default::default()
        };
        let files = list.iter().enumerate().map(file).collect();
        Plan { request, files, stolen }
    }

    /// Whether a value that `got` read may be given to `entitled`. A `stale` one may have been read
    /// with an earlier token of the same pod.
    pub fn is_one(&self, entitled: &Who, got: &Who, stale: bool) -> bool {
        let account = |token: &str| token.splitn(3, '~').take(2).collect::<Vec<_>>().join("~");
        entitled.rights == got.rights
            && match self.share {
                Share::Pod if stale => pod_of(&entitled.token) == pod_of(&got.token),
                Share::Pod => entitled.token == got.token,
                Share::ServiceAccount => account(&entitled.token) == account(&got.token),
            }
    }
}

/// A token without its number.
pub fn pod_of(token: &str) -> &str {
    token.rsplit_once('~').map_or(token, |(pod, _)| pod)
}

pub fn endpoints() -> Endpoints {
    let region = Region::parse("cn-hangzhou").unwrap();
    let (sts, kms, oos) = (None, None, None);
    let allowed = vec![Glob::new("*.cryptoservice.kms.aliyuncs.com")];
    Endpoints { region, public: false, sts, kms, oos, allowed }
}

fn list(rng: &mut Rng, most: usize) -> Vec<Item> {
    let item = |rng: &mut Rng| {
        let name = *rng.choice(&["db", "api/key", "managed-db", "web"]).unwrap();
        let parameter = rng.u32(..3) == 0;
        let version = *rng.choice(&["", "", "7"]).unwrap();
        let stage = *rng.choice(&["", "", "ACSPrevious"]).unwrap();
        let stage = if parameter || !version.is_empty() { "" } else { stage };
        let role = if rng.u32(..4) == 0 { rng.choice(&OTHER_ACCOUNTS).copied() } else { None };
        let (instance, optional) = (!parameter && rng.u32(..4) == 0, rng.bool());
        // A list of many is one of many names, so that it goes out in batches.
        let name = if most > 10 {
            format!("{name}-{}", rng.u32(..u32::try_from(most).unwrap()))
        } else {
            name.to_owned()
        };
        Item { name, parameter, version, stage, instance, role, optional }
    };
    (0..rng.usize(1..=most)).map(|_| item(rng)).collect()
}

impl Item {
    fn written((number, item): (usize, &Self)) -> Value {
        let mut written = json!({
            "objectName": item.name,
            "objectAlias": format!("f{number}/{}", item.name),
            "objectType": if item.parameter { "oos" } else { "kms" },
            "optional": item.optional,
            "objectVersion": item.version,
        });
        if !item.parameter {
            written["objectVersionLabel"] = item.stage.into();
        }
        if item.instance {
            written["kmsEndpoint"] = INSTANCE.into();
        }
        if let Some(role) = item.role {
            written["crossAccountRoleArn"] = role.into();
        }
        written
    }

    fn object(&self, region: &str) -> String {
        let Self { name, version, stage, .. } = self;
        match (self.parameter, self.instance) {
            (true, _) => {
                parameter(&format!("oos-vpc.{region}.aliyuncs.com"), region, name, version)
            }
            (false, true) => secret(INSTANCE, name, version, stage),
            (false, false) => {
                secret(&format!("kms-vpc.{region}.aliyuncs.com"), name, version, stage)
            }
        }
    }
}
