//! Settings: what the operator's flags say, under their names, as far as it decides what a class may ask for.

use std::{collections::BTreeSet, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, value_parser};

use crate::{
    check::Settings,
    config::namespace_rules,
    names::{Glob, Region},
    spc::mode::Mode,
};

pub(in crate::commands) fn arguments() -> Vec<Arg> {
    let operator = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).help_heading("As the operator set")
    };
    let modes = |name: &'static str, value, help| {
        operator(name, value, help).value_delimiter(',').action(ArgAction::Append)
    };
    vec![
        operator("region", "REGION", "The provider's region")
            .default_value("cn-hangzhou")
            .value_parser(|text: &str| {
                Region::parse(text).ok_or("is not a region id such as cn-hangzhou")
            }),
        modes(
            "allowed-identities",
            "MODE,...",
            "Identities that classes may ask for [default: pod and --default-identity]",
        )
        .value_parser(mode),
        operator(
            "default-identity",
            "MODE|auto",
            "Identity of a class that names none; auto: the first of --allowed-identities but pod \
             [default: pod]",
        ),
        modes(
            "allowed-cross-account-roles",
            "ARN,...",
            "Roles (with * and ?) that objects may name under an identity that pods share [default: none]",
        ),
        operator(
            "namespace-rules",
            "FILE",
            "What each namespace may ask for; looked at where a manifest has a namespace [default: no rules]",
        )
        .value_parser(value_parser!(PathBuf)),
        modes(
            "allowed-endpoints",
            "HOST,...",
            "Hosts (with * and ?) that objects may name in kmsEndpoint beside Alibaba Cloud's \
             [default: none]",
        ),
    ]
}

fn mode(text: &str) -> Result<Mode, String> {
    Mode::parse(text).ok_or_else(|| format!("must be one of {}", Mode::list()))
}

pub(in crate::commands) fn of(matches: &ArgMatches) -> Result<Settings, String> {
    let globs = |name: &str| {
        let texts = matches.get_many::<String>(name).into_iter().flatten();
        texts.map(|text| Glob::new(text)).collect::<Vec<_>>()
    };
    let mut allowed: BTreeSet<Mode> =
        matches.get_many::<Mode>("allowed-identities").into_iter().flatten().copied().collect();
    let default = match matches.get_one::<String>("default-identity").map(String::as_str) {
        None => Mode::Pod,
        // Which it will be depends on what is configured; none of them is the pod's.
        Some("auto") => {
            let shared = Mode::ALL.into_iter().filter(|mode| *mode != Mode::Pod);
            shared.into_iter().find(|mode| allowed.contains(mode)).ok_or(
                "--default-identity is auto, which never chooses pod: --allowed-identities must list \
                 what it may choose",
            )?
        }
        Some(text) => mode(text).map_err(|what| format!("--default-identity {what}"))?,
    };
    if allowed.is_empty() {
        allowed.extend([Mode::Pod, default]);
    }
    let region = matches.get_one::<Region>("region").cloned();
    let mut settings = Settings::of(region.ok_or("--region is missing")?, default, allowed);
    settings.endpoints.allowed = globs("allowed-endpoints");
    settings.policy.cross_account_roles = globs("allowed-cross-account-roles");
    if let Some(file) = matches.get_one::<PathBuf>("namespace-rules") {
        let rules = namespace_rules(file).map_err(|mistakes| {
            format!("--namespace-rules: {}: {}", file.display(), mistakes.join("; "))
        })?;
        settings.policy.namespaces = Some(rules);
    }
    Ok(settings)
}
