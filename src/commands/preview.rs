//! What `policy` and `explain` have in common: their files, and what the operator and the author say beside
//! these.

use clap::{Arg, ArgAction, ArgMatches};

use super::{check::settings, input};
use crate::{
    manifests::File,
    names::{OidcProviderArn, RoleArn},
    preview::Assumed,
    ram::grants::Given,
};

const BESIDE: &str = "Beside the manifests";

pub(super) fn arguments() -> Vec<Arg> {
    let beside = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).help_heading(BESIDE)
    };
    let mut all = vec![
        input::argument(),
        beside("namespace", "NAME", "Namespace of manifests that name none").value_parser(name),
        beside(
            "service-account",
            "NAME",
            "Who uses the classes that no workload given uses: NAME or NAMESPACE/NAME; can be given more \
             than once",
        )
        .action(ArgAction::Append)
        .value_parser(account_name),
        beside("account-id", "ID", "Id of the Alibaba Cloud account of the cluster and its secrets")
            .value_parser(|text: &str| {
                OidcProviderArn::of_cluster(text, "c").map(|_| text.to_owned()).ok_or("is no account's id")
            }),
        beside("cluster-id", "ID", "The ACK cluster's id, which its OIDC provider is named after")
            .value_parser(|text: &str| {
                OidcProviderArn::of_cluster("1", text).map(|_| text.to_owned()).ok_or("is no cluster's id")
            }),
        beside(
            "oidc-provider-arn",
            "ARN",
            "The cluster's OIDC provider, in place of --account-id and --cluster-id",
        )
        .value_parser(|text: &str| {
            OidcProviderArn::parse(text)
                .ok_or_else(|| format!("is not of the form {}", OidcProviderArn::FORM))
        }),
        beside(
            "role-arn",
            "ARN",
            "The provider's own role, which identities provider and ram-role use",
        )
        .value_parser(|text: &str| {
            RoleArn::parse(text).ok_or_else(|| format!("is not of the form {}", RoleArn::FORM))
        }),
        beside(
            "oidc-issuer",
            "URL",
            "Issuer of the cluster's tokens, as its page in the ACK console shows it",
        )
        .value_parser(issuer),
        beside(
            "kms-key",
            "ARN,...",
            "Keys of your own that values are encrypted with: acs:kms:REGION:ACCOUNT:key/ID",
        )
        .action(ArgAction::Append)
        .value_delimiter(',')
        .value_parser(key),
    ];
    all.extend(settings::arguments());
    all
}

/// A name of Kubernetes.
fn name(text: &str) -> Result<String, &'static str> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let valid = (1..=crate::limits::DNS_NAME).contains(&text.len()) && text.bytes().all(plain);
    valid.then(|| text.to_owned()).ok_or("is no name of Kubernetes")
}

fn account_name(text: &str) -> Result<(Option<String>, String), &'static str> {
    match text.split_once('/') {
        None => Ok((None, name(text)?)),
        Some((namespace, account)) => Ok((Some(name(namespace)?), name(account)?)),
    }
}

fn issuer(text: &str) -> Result<String, &'static str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/%".contains(&b);
    let valid = text.starts_with("https://") && text.len() > 8 && text.bytes().all(plain);
    valid.then(|| text.to_owned()).ok_or("is no URL that starts with https://")
}

fn key(text: &str) -> Result<String, &'static str> {
    let parts: Vec<&str> = text.splitn(5, ':').collect();
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_*".contains(&b))
    };
    match parts.as_slice() {
        ["acs", "kms", region, account, id]
            if plain(region) && plain(account) && id.strip_prefix("key/").is_some_and(plain) =>
        {
            Ok(text.to_owned())
        }
        _ => Err("is not of the form acs:kms:REGION:ACCOUNT:key/ID"),
    }
}

/// Whose fault it is that a command cannot do its work.
pub(super) enum Cannot {
    Usage(String),
    Read(String),
}

pub(super) struct Input {
    pub(super) files: Vec<File>,
    pub(super) given: Given,
}

pub(super) fn read(matches: &ArgMatches) -> Result<Input, Cannot> {
    let own = |name: &str| matches.get_one::<String>(name).cloned();
    let mut settings = settings::of(matches).map_err(Cannot::Usage)?;
    let provider = matches.get_one::<OidcProviderArn>("oidc-provider-arn");
    let account = match (own("account-id"), provider) {
        (Some(id), Some(provider)) if id != provider.account() => {
            let what = "--oidc-provider-arn is of another account than --account-id: keep one";
            return Err(Cannot::Usage(what.to_owned()));
        }
        (id, provider) => id.or_else(|| provider.map(|provider| provider.account().to_owned())),
    };
    settings.policy.role = matches.get_one::<RoleArn>("role-arn").cloned();
    let assumed = Assumed {
        settings,
        account,
        namespace: own("namespace"),
        service_accounts: matches
            .get_many::<(Option<String>, String)>("service-account")
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
        kms_batch: false,
    };
    let given = Given {
        assumed,
        keys: matches.get_many::<String>("kms-key").into_iter().flatten().cloned().collect(),
        provider: provider.map(|provider| provider.as_str().to_owned()),
        cluster: own("cluster-id"),
        issuer: own("oidc-issuer"),
    };
    let paths = input::paths(matches);
    let files = input::manifests(&paths).map_err(Cannot::Read)?;
    Ok(Input { files, given })
}
