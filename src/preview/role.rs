//! Role: which RAM role a mount has, as far as manifests and the operator's flags name it.

use std::collections::BTreeMap;

use super::{Assumed, NAMESPACE};
use crate::{
    check::set::{Of, Set},
    error::{Error, Reason},
    manifests::{Body, service_account::ServiceAccount},
    names::{self, RoleArn},
    request::Pod,
    role::{Annotations, ROLE_ARN, ROLE_NAME},
};

/// What stands for an account's id that nobody gave.
pub(crate) const ACCOUNT: &str = "ACCOUNT_ID";
const OPERATORS: &str = "ROLE_OF_THE_PROVIDER";

/// A RAM role, perhaps one whose account or name is not known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Role {
    account: Option<String>,
    name: Option<String>,
    /// What stands for its name.
    placeholder: String,
    /// What names it, or why nothing does.
    pub(crate) why: String,
}

impl Role {
    pub(crate) fn of(arn: &RoleArn) -> Self {
        let (account, name) = arn.parts();
        Self {
            account: Some(account.to_owned()),
            name: Some(name.to_owned()),
            placeholder: String::new(),
            why: String::new(),
        }
    }

    fn unnamed(account: Option<&str>, placeholder: String, why: String) -> Self {
        Self { account: account.map(str::to_owned), name: None, placeholder, why }
    }

    pub(crate) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.placeholder)
    }

    pub(crate) fn arn(&self) -> String {
        format!("acs:ram::{}:role/{}", self.account().unwrap_or(ACCOUNT), self.name())
    }

    /// Whether its name is known.
    pub(crate) fn is_named(&self) -> bool {
        self.name.is_some()
    }

    /// What of it is a placeholder.
    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &str> {
        let account = self.account.is_none().then_some(ACCOUNT);
        let name = self.name.is_none().then_some(&*self.placeholder);
        account.into_iter().chain(name)
    }
}

/// ServiceAccounts by name, each with its namespace.
pub(super) type Accounts<'a> = BTreeMap<&'a str, Vec<Of<'a, ServiceAccount>>>;

pub(super) fn accounts<'a>(set: &Set<'a>) -> Accounts<'a> {
    let mut accounts = Accounts::new();
    for of in set.manifests() {
        if let (Body::ServiceAccount(account), Some(name)) = (of.body, &of.manifest.name) {
            accounts.entry(&name.text).or_default().push(of.with(account));
        }
    }
    accounts
}

/// By the annotations of its ServiceAccount and parameter `roleArn`, as a mount has it.
pub(super) fn of_pod(
    pod: &Pod,
    parameter: Option<&RoleArn>,
    accounts: &Accounts<'_>,
    assumed: &Assumed,
) -> Result<Role, Error> {
    let beside = |of: &&Of<'_, ServiceAccount>| {
        let namespace = of.manifest.namespace.as_ref();
        pod.namespace == NAMESPACE || namespace.is_none_or(|name| *name.text == *pod.namespace)
    };
    let given = accounts.get(&*pod.service_account).and_then(|all| all.iter().find(beside));
    let pairs = given.into_iter().flat_map(|of| &of.body.annotations);
    let pairs = pairs
        .filter_map(|pair| Some((pair.name.text.to_string(), pair.value.text()?.text.to_string())));
    let annotations = Annotations::of(pairs.collect());
    // A role's name alone is in the cluster's account; where that is not known, in that of the role's ARN
    // beside it, if there is one.
    let arn = annotations.role_arn.as_deref().map(str::trim).or(parameter.map(RoleArn::as_str));
    let known = assumed.account.as_deref().or_else(|| arn.and_then(names::account));
    let name = format!("{}/{}", pod.namespace, pod.service_account);
    let why = match (&annotations.role_arn, &annotations.role_name) {
        (Some(_), _) => format!("annotation {ROLE_ARN} of ServiceAccount {name}"),
        (None, Some(_)) => format!("annotation {ROLE_NAME} of ServiceAccount {name}"),
        (None, None) => "parameter roleArn".to_owned(),
    };
    match annotations.role(&name, parameter, known.unwrap_or("0"), true) {
        Ok(role) if known.is_none() && arn.is_none() => {
            Ok(Role { account: None, why, ..Role::of(&role) })
        }
        Ok(role) => Ok(Role { why, ..Role::of(&role) }),
        Err(error) if error.reason == Reason::NoRole => {
            let why = match given {
                Some(_) => error.to_string(),
                None => format!(
                    "ServiceAccount {name} is not among these manifests, and parameter roleArn names no role"
                ),
            };
            // A text for shells and Terraform, whatever the names hold.
            let plain = |text: &str| {
                text.to_ascii_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
            };
            let of = format!("{}_{}", plain(&pod.namespace), plain(&pod.service_account));
            let account = assumed.account.as_deref();
            Ok(Role::unnamed(account, format!("ROLE_OF_{of}"), why))
        }
        Err(error) => Err(error),
    }
}

/// That of the modes `provider` and `ram-role`.
pub(super) fn of_operator(role: Option<&RoleArn>) -> Role {
    match role {
        Some(role) => Role { why: "--role-arn".to_owned(), ..Role::of(role) },
        None => {
            let why = "the operator sets it with --role-arn".to_owned();
            Role::unnamed(None, OPERATORS.to_owned(), why)
        }
    }
}
