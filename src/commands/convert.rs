//! `convert`: manifests of other tools become this provider's.

mod files;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{
    NO_INPUT, Subcommand, USAGE, fail,
    input::{self, Reader},
};
use crate::{
    check::Settings,
    convert::{self, Conversion, Input, Options, Secrets, output},
    names::{Glob, Region},
    spc::mode::Mode,
};

const ABOUT: &str = "\
Converts manifests of other tools to this provider's, without a cluster and without a network.

Reads files, folders (*.yaml, *.yml and *.json, at any depth), or - for standard input: many documents, Lists, \
a dump of a cluster. It knows
  ack-secret-manager 0.5 and 0.6: ExternalSecret, SecretStore and those of the cluster
  External Secrets Operator, provider.alibaba: the same kinds of external-secrets.io
  the official provider: SecretProviderClasses, and the values of its chart
  the Azure, AWS, Vault and Google Cloud providers: SecretProviderClasses

Writes SecretProviderClasses, what makes the Secrets that the source made, and ServiceAccounts with the \
annotation for their RAM role. What it writes passes check. What it cannot carry over is in a list: every field \
of the input is in the output or there, with the reason and what to do. Other kinds are passed over unread; of a \
Secret, nothing but its kind is looked at.";

const AFTER: &str = "\
Examples:
  convert old/ > new.yaml
  convert old/ --into new/
  kubectl get externalsecrets,secretstores,clustersecretstores,serviceaccounts -A -o yaml | convert -
  convert --secrets secret-objects --report json list.json old/ > new.yaml
  convert values-of-the-official-chart.yaml > values.yaml

--secrets sync needs secrets-store-sync-controller, and changes no pod. secret-objects needs syncSecret.enabled \
in the driver's chart and a pod that mounts the class: the Secret goes with the last of them.

Exit status: 0 if nothing is left to do by hand, 1 if something is, 64 if the command line is wrong, 66 if a \
file cannot be read, 73 if one cannot be written.";

/// `EX_CANTCREAT` of sysexits.h.
const NO_OUTPUT: u8 = 73;

pub(super) const CONVERT: Subcommand = Subcommand { command, run };

fn command() -> Command {
    Command::new("convert")
        .about("Converts manifests of other tools to this provider's")
        .long_about(ABOUT)
        .after_help(AFTER)
        .max_term_width(100)
        .arg(input::argument())
        .arg(
            Arg::new("secrets")
                .long("secrets")
                .value_name("HOW")
                .value_parser(Secrets::ALL.map(Secrets::name))
                .default_value("sync")
                .help("What makes the Secrets that the source made: sync (SecretSync), secret-objects (the driver), or none"),
        )
        .arg(
            Arg::new("region")
                .long("region")
                .value_name("REGION")
                .value_parser(|text: &str| {
                    Region::parse(text).ok_or("is not a region id such as cn-hangzhou")
                })
                .help("Region of classes whose source has none [default: the provider's]"),
        )
        .arg(
            Arg::new("service-account")
                .long("service-account")
                .value_name("NAME")
                .help("ServiceAccount of SecretSyncs [default: the store's serviceAccountRef, or its name]"),
        )
        .arg(
            Arg::new("into")
                .long("into")
                .value_name("DIR")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Write one file for each manifest there, in place of standard output"),
        )
        .arg(
            Arg::new("report")
                .long("report")
                .num_args(2)
                .value_names(["FORMAT", "FILE"])
                .help("Write the list as text or json to a file, - is standard error [default: text -]"),
        )
        .arg(
            Arg::new("force")
                .long("force")
                .action(ArgAction::SetTrue)
                .help("Overwrite files that are there"),
        )
}

fn run(matches: &ArgMatches) -> ExitCode {
    let mut report = matches.get_many::<String>("report").into_iter().flatten();
    let format = report.next().map_or("text", String::as_str);
    let list = report.next().map(String::as_str).filter(|file| *file != "-").map(PathBuf::from);
    let render: fn(&Conversion) -> String = match format {
        "text" => output::text::render,
        "json" => output::json::render,
        _ => return fail("--report FORMAT must be text or json", USAGE),
    };
    let Some(default) = Region::parse("cn-hangzhou") else { return fail("no region", USAGE) };
    let region = matches.get_one::<Region>("region");
    let mut settings = Settings::of(
        region.cloned().unwrap_or(default),
        Mode::Pod,
        Mode::ALL.into_iter().collect(),
    );
    settings.policy.cross_account_roles = vec![Glob::new("*")];
    let secrets = matches.get_one::<String>("secrets").map(String::as_str);
    let secrets = Secrets::ALL.into_iter().find(|one| Some(one.name()) == secrets);
    let options = Options {
        secrets: secrets.unwrap_or(Secrets::Sync),
        region: region.map(ToString::to_string),
        service_account: matches.get_one::<String>("service-account").cloned(),
    };
    let paths = input::paths(matches);
    let reader = Reader { read: Input::read, unread: Input::unread };
    let inputs = match input::read(&paths, &reader) {
        Ok(inputs) => inputs,
        Err(what) => return fail(&what, NO_INPUT),
    };
    let conversion = convert::convert(&inputs, &options, &settings);
    let into = matches.get_one::<PathBuf>("into").map(PathBuf::as_path);
    match write(&conversion, into, list.as_deref(), &render(&conversion), matches.get_flag("force"))
    {
        Ok(()) => ExitCode::from(u8::from(conversion.by_hand() > 0)),
        Err(what) => fail(&what, NO_OUTPUT),
    }
}

fn write(
    conversion: &Conversion,
    into: Option<&Path>,
    list: Option<&Path>,
    report: &str,
    force: bool,
) -> Result<(), String> {
    let mut out = Vec::new();
    if let Some(folder) = into {
        out.extend(files::of(&conversion.manifests, folder));
    }
    out.extend(list.map(|list| (list.to_owned(), report.to_owned())));
    files::write(&out, into, force)?;
    // A reader who goes away has heard enough; the status tells the rest.
    if into.is_none() {
        let texts: Vec<&str> =
            conversion.manifests.iter().map(|manifest| &*manifest.text).collect();
        let _ = std::io::stdout().write_all(texts.join("---\n").as_bytes());
    }
    if list.is_none() {
        let _ = std::io::stderr().write_all(report.as_bytes());
    }
    Ok(())
}
