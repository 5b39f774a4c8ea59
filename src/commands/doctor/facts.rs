//! Facts tried: one question for each, to the endpoints that are configured. Nothing is changed, no value is asked
//! for, and each question is sent once.

use crate::{
    api::Api,
    cloud::{Call, Cause, sign},
    doctor::{
        checks::permission::{self, Answer as Permission},
        facts::{Answer, Fact, Tried, Verdict, judge},
    },
    endpoint::{Endpoint, Endpoints, Service},
    keys::Keys,
    secret::Secret,
};

use super::{
    hosts::{Learned, Reach, exists, unsigned},
    identity::{LoggedIn, is_oidc},
};

/// A name that nobody has.
const NOBODY: &str = "alibabacloud-provider-doctor-no-such-name";

pub(super) struct Trial<'a> {
    pub(super) reach: &'a Reach,
    pub(super) endpoints: &'a Endpoints,
    pub(super) sts: &'a Endpoint,
    pub(super) logged_in: Option<&'a LoggedIn>,
    pub(super) permissions: &'a [permission::Seen],
    pub(super) learned: &'a [Learned],
    /// Whether an answer said the time.
    pub(super) dated: bool,
}

impl Trial<'_> {
    /// One after the other: nobody's quota is used up by it.
    pub(super) async fn all(&self, done: &(dyn Fn(Tried) + Sync)) {
        for fact in Fact::ALL {
            done(self.one(fact).await);
        }
    }

    async fn one(&self, fact: Fact) -> Tried {
        match fact {
            _ if !fact.can_be_tried() => Tried::not(fact, "it was not tried"),
            Fact::OidcForm => self.oidc_form(),
            Fact::OidcInvalid => self.oidc_invalid().await,
            Fact::TokenMalformed | Fact::SignatureMismatch => self.foreign_keys(fact).await,
            Fact::NonceUsed => self.nonce_used().await,
            Fact::KmsDryRun => self.dry_run(),
            Fact::KmsNotFound
            | Fact::KmsBatch
            | Fact::KmsForm
            | Fact::OosNotFound
            | Fact::OosForm => self.of_nobody(fact).await,
            Fact::DateHeader if self.learned.is_empty() => Tried::not(fact, "no host answered"),
            Fact::DateHeader => {
                let (answer, verdict) = match self.dated {
                    true => ("yes", Verdict::Holds),
                    false => ("no", Verdict::Differs),
                };
                Tried { fact, answer: answer.to_owned(), verdict, request: None }
            }
            Fact::StsVpcHost => self.host(fact, "sts").await,
            Fact::KmsVpcHost => self.host(fact, "kms").await,
            Fact::OosVpcHost => self.host(fact, "oos").await,
            Fact::InstanceChain => self.instance_chain(),
            _ => Tried::not(fact, "it was not tried"),
        }
    }

    fn oidc_form(&self) -> Tried {
        let fact = Fact::OidcForm;
        match self.logged_in.filter(|logged_in| is_oidc(logged_in)) {
            Some(logged_in) => Tried {
                fact,
                answer: "yes: a session was given".to_owned(),
                verdict: Verdict::Holds,
                request: logged_in.request.clone(),
            },
            None => Tried::not(fact, "there was no login with a token that succeeded"),
        }
    }

    async fn oidc_invalid(&self) -> Tried {
        let fact = Fact::OidcInvalid;
        let api = Api::AssumeRoleWithOidc;
        let nobody = format!("acs:ram::1:oidc-provider/{NOBODY}");
        let provider = match self.logged_in.map(|logged_in| &*logged_in.identity.login) {
            Some(crate::login::Login::Oidc { provider, .. }) => provider.as_str(),
            _ => nobody.as_str(),
        };
        if provider == nobody {
            return Tried::not(
                fact,
                "no OIDC provider is known to be right: there was no login with a token",
            );
        }
        let role = format!("acs:ram::1:role/{NOBODY}");
        let form = sign::canonical_query([
            ("OIDCProviderArn", provider),
            ("OIDCToken", "no.such.token"),
            ("RoleArn", &role),
            ("RoleSessionName", "doctor"),
        ]);
        let query = vec![("Action", api.name()), ("Format", "JSON"), ("Version", api.version())];
        let call = Call { form: Some(Secret::new(form)), ..unsigned(api, self.sts, query) };
        self.ask(fact, &call, None).await
    }

    async fn foreign_keys(&self, fact: Fact) -> Tried {
        let Some(logged_in) = self.logged_in else { return Tried::not(fact, "there is no login") };
        let keys = logged_in.credentials.keys();
        let own = |secret: &Secret<String>| Secret::new(secret.expose().clone());
        let other = match fact {
            Fact::SignatureMismatch => Keys {
                id: keys.id.clone(),
                secret: Secret::new("not-the-secret-of-this-key".to_owned()),
                token: keys.token.as_ref().map(own),
            },
            _ if keys.token.is_none() => {
                return Tried::not(fact, "there is no session with a token");
            }
            _ => Keys {
                id: keys.id.clone(),
                secret: own(&keys.secret),
                token: Some(Secret::new("no-such-session-token".to_owned())),
            },
        };
        let kms = self.kms();
        let call = Call {
            keys: Some(&other),
            ..unsigned(Api::GetSecretValue, &kms, self.nobodys_secret())
        };
        self.ask(fact, &call, None).await
    }

    async fn nonce_used(&self) -> Tried {
        let fact = Fact::NonceUsed;
        let Some(logged_in) = self.logged_in else { return Tried::not(fact, "there is no login") };
        let kms = self.kms();
        let keys = Some(logged_in.credentials.keys());
        let call = Call { keys, ..unsigned(Api::GetSecretValue, &kms, self.nobodys_secret()) };
        let mut random = [0; 16];
        if aws_lc_rs::rand::fill(&mut random).is_err() {
            return Tried::not(fact, "there is no randomness");
        }
        let nonce = sign::hex(&random);
        if self.reach.cloud.probe_as(&call, Some(&nonce), self.reach.bounds.call).await.is_err() {
            return Tried::not(fact, "the first of the two questions was not answered");
        }
        self.ask(fact, &call, Some(&nonce)).await
    }

    fn dry_run(&self) -> Tried {
        let fact = Fact::KmsDryRun;
        let answered = self.permissions.iter().filter(|seen| seen.dry_run).find_map(|seen| {
            match &seen.answer {
                // What may not be read, or is not there, answers otherwise.
                Permission::Received { status, code, request, denied: false, .. }
                    if code.as_deref() == Some(permission::WOULD_SUCCEED) || *status == 200 =>
                {
                    Some((*status, code.clone(), request.clone()))
                }
                _ => None,
            }
        });
        match answered {
            Some((status, code, request)) => {
                let code = code.unwrap_or_default();
                judge(fact, &Answer { status, code, request, foreign: false })
            }
            None => Tried::not(
                fact,
                "no KMS secret that may be read was asked about: name one with --secret",
            ),
        }
    }

    async fn of_nobody(&self, fact: Fact) -> Tried {
        let Some(logged_in) = self.logged_in else { return Tried::not(fact, "there is no login") };
        let keys = Some(logged_in.credentials.keys());
        let (kms, oos) = (self.kms(), self.endpoints.of(Service::Oos, &self.endpoints.region));
        let region = self.endpoints.region.as_str();
        let parameter =
            || vec![("Name", NOBODY), ("RegionId", region), ("WithDecryption", "false")];
        let list = format!("[{{\"SecretName\":\"{NOBODY}\"}}]");
        let form = |fields: Vec<(&str, &str)>| Some(Secret::new(sign::canonical_query(fields)));
        let call = match fact {
            Fact::KmsBatch => {
                unsigned(Api::BatchGetSecretValue, &kms, vec![("SecretsList", &list)])
            }
            Fact::KmsForm => Call {
                form: form(self.nobodys_secret()),
                ..unsigned(Api::GetSecretValue, &kms, vec![])
            },
            Fact::OosNotFound => unsigned(Api::GetSecretParameter, &oos, parameter()),
            Fact::OosForm => {
                Call { form: form(parameter()), ..unsigned(Api::GetSecretParameter, &oos, vec![]) }
            }
            _ => unsigned(Api::GetSecretValue, &kms, self.nobodys_secret()),
        };
        self.ask(fact, &Call { keys, ..call }, None).await
    }

    async fn ask(&self, fact: Fact, call: &Call<'_>, nonce: Option<&str>) -> Tried {
        let cloud = &self.reach.cloud;
        let asked = match nonce {
            Some(_) => cloud.probe_as(call, nonce, self.reach.bounds.call).await,
            None => cloud.probe(call, self.reach.bounds.call).await,
        };
        match asked {
            Ok(probe) => {
                let foreign = probe.code.is_none()
                    && probe
                        .failure
                        .as_ref()
                        .is_some_and(|failure| failure.cause == Cause::OnTheWay);
                let code = probe.code.unwrap_or_default();
                judge(
                    fact,
                    &Answer { status: probe.status, code, request: probe.request_id, foreign },
                )
            }
            Err(failure) => Tried::not(fact, failure.error("", "").message),
        }
    }

    async fn host(&self, fact: Fact, service: &str) -> Tried {
        let host = format!("{service}-vpc.{}.aliyuncs.com", self.endpoints.region);
        match exists(&self.reach.trust, &host, self.reach.bounds).await {
            Ok(there) => {
                let (word, verdict) = match there {
                    true => ("exists", Verdict::Holds),
                    false => ("does not exist, by the name servers here", Verdict::Differs),
                };
                Tried { fact, answer: format!("{host} {word}"), verdict, request: None }
            }
            Err(why) => Tried::not(fact, format!("{host}: {why}")),
        }
    }

    fn instance_chain(&self) -> Tried {
        let fact = Fact::InstanceChain;
        match self.learned.iter().find_map(|one| one.instance.as_ref()) {
            None => {
                Tried::not(fact, "no KMS instance was reached: name one by kmsEndpoint in a class")
            }
            Some((sent, version)) => Tried {
                fact,
                answer: format!("it sends {sent} certificates, its own included, by {version}"),
                verdict: Verdict::Noted,
                request: None,
            },
        }
    }

    fn kms(&self) -> Endpoint {
        self.endpoints.of(Service::Kms, &self.endpoints.region)
    }

    fn nobodys_secret(&self) -> Vec<(&'static str, &'static str)> {
        vec![("SecretName", NOBODY)]
    }
}
