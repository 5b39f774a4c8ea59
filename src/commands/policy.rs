//! `policy`: the RAM policies that manifests need, and what existing ones and an audit record say beside them.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{
    Subcommand, USAGE,
    audit::files::lines,
    preview::{Cannot, Input, arguments, read},
};
use crate::{
    preview::{Preview, preview},
    ram::{
        compare::{Existing, compare, unused},
        grants::{Given, Grant, grants},
        output::{Answer, Format, aliyun, json, judged, terraform, text},
        usage::{Usage, judge},
    },
    text::shown,
};

const ABOUT: &str = "\
Writes the least that RAM has to allow for manifests: for each RAM role its permission policy and its trust \
policy, without a cluster and without a network.

Reads what check reads. Which ServiceAccount uses which SecretProviderClass follows from the pods, workloads \
and SecretSyncs given; which role it has from its annotations and from roleArn. What nothing given says, such as \
the account's id, is a flag, or else a placeholder that the output names. No value is ever made up.";

const AFTER: &str = "\
Examples:
  policy deploy/                                    what is for whom
  policy --account-id=1234567890123456 --cluster-id=c0123456789abcdef \\
    --oidc-issuer=https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c0123456789abcdef \\
    --output=terraform deploy/ > ram.tf             the same as Terraform
  policy --service-account=shop/checkout spc.yaml   for a class without its workload
  policy --check=policy.json deploy/                what an existing policy lacks or grants too much
  aliyun ram GetPolicy --PolicyType Custom --PolicyName checkout-secrets | policy --check=- deploy/
  policy --check=AliyunKMSSecretUserAccess deploy/  the same of a system policy, by its name
  policy --audit=/var/log/provider/audit.log deploy/   which grants were never used

Exit status: 0 if all is well; 1 if a mount would refuse something, an existing policy is not exactly what is \
needed, or record and manifests differ; 64 if the command line is wrong; 65 if a file is no policy; 66 if one \
cannot be read.";

/// `EX_DATAERR` and `EX_NOINPUT` of sysexits.h.
const NO_POLICY: u8 = 65;
const NO_INPUT: u8 = 66;
/// Far more than RAM takes.
const MOST_BYTES: u64 = 1 << 20;

pub(super) const POLICY: Subcommand = Subcommand { command, run };

fn command() -> Command {
    Command::new("policy")
        .about("Writes the RAM policies that manifests need, and checks existing ones")
        .long_about(ABOUT)
        .after_help(AFTER)
        .max_term_width(100)
        .args(arguments())
        .arg(
            super::output(Format::ALL.map(Format::name), "text for people, json, aliyun for a shell, terraform"),
        )
        .arg(
            Arg::new("check")
                .long("check")
                .value_name("POLICY")
                .action(ArgAction::Append)
                .help(
                    "A permission policy that the role has: a file with its JSON, - for standard input, or a \
                     system policy's name; can be given more than once, and all are taken together",
                ),
        )
        .arg(
            Arg::new("role")
                .long("role")
                .value_name("NAME|ARN")
                .help(
                    "Which role's policies --check is about, where the manifests use several; of access keys \
                     and the instance's role, the identity",
                ),
        )
        .arg(
            Arg::new("audit")
                .long("audit")
                .value_name("FILE")
                .action(ArgAction::Append)
                .value_parser(clap::value_parser!(PathBuf))
                .help(
                    "An audit record of the provider, with the files rotated from it; - is standard input; \
                     can be given more than once, for several nodes",
                ),
        )
}

/// Why there is no answer, and the exit status.
pub(super) type Ended = (String, u8);

fn run(matches: &ArgMatches) -> ExitCode {
    match answer(matches) {
        Ok((text, is_well)) => {
            // A reader who goes away has heard enough; the status tells the rest.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::from(u8::from(!is_well))
        }
        Err((what, status)) => {
            let _ = writeln!(io::stderr(), "error: {what}");
            ExitCode::from(status)
        }
    }
}

fn answer(matches: &ArgMatches) -> Result<(String, bool), Ended> {
    let chosen = matches.get_one::<String>("output");
    let format = Format::ALL.into_iter().find(|one| Some(one.name()) == chosen.map(String::as_str));
    let format = format.unwrap_or(Format::Text);
    let judges = matches.contains_id("check") || matches.contains_id("audit");
    if judges && matches!(format, Format::Aliyun | Format::Terraform) {
        let what = format!("--check and --audit answer as text or json, not as {}", format.name());
        return Err((what, USAGE));
    }
    if matches.contains_id("role") && !matches.contains_id("check") {
        return Err(("--role is for --check".to_owned(), USAGE));
    }
    let Input { files, given } = read(matches).map_err(|cannot| match cannot {
        Cannot::Usage(what) => (what, USAGE),
        Cannot::Read(what) => (what, NO_INPUT),
    })?;
    let preview = preview(&files, &given.assumed);
    let grants = grants(&preview, &given);
    if judges {
        return judged(matches, format, &preview, &grants, &given);
    }
    let answer = Answer::of(&preview, &grants, &given);
    let written = match format {
        Format::Text => text::render(&answer, &given),
        Format::Json => json::render(&answer),
        Format::Aliyun => aliyun::render(&answer),
        Format::Terraform => terraform::render(&answer),
    };
    Ok((written, preview.refused.is_empty()))
}

/// What `--check` and `--audit` ask for.
fn judged(
    matches: &ArgMatches,
    format: Format,
    preview: &Preview,
    grants: &BTreeMap<String, Grant>,
    given: &Given,
) -> Result<(String, bool), Ended> {
    let mut policies = Vec::new();
    for name in matches.get_many::<String>("check").into_iter().flatten() {
        policies.push(existing(name)?);
    }
    let compared = match policies.is_empty() {
        true => None,
        false => {
            let (title, grant) = one(grants, matches.get_one::<String>("role"))?;
            Some((title, compare(&policies, grant)))
        }
    };
    let mut usage = Usage::default();
    let records: Vec<PathBuf> = matches.get_many("audit").into_iter().flatten().cloned().collect();
    if !records.is_empty() {
        lines(&records, |_, _, line| usage.add(&line)).map_err(|what| (what, NO_INPUT))?;
    }
    let audited = (!records.is_empty()).then(|| {
        let title = compared.as_ref().map_or("", |(title, _)| title);
        let used = usage.permissions(|role| role == title);
        (judge(&usage, preview, given), unused(&policies, &used))
    });
    let is_well = preview.refused.is_empty()
        && compared.as_ref().is_none_or(|(_, found)| found.is_exact())
        && audited.as_ref().is_none_or(|(judged, unused)| {
            judged.unread.is_empty() && judged.unexplained.is_empty() && unused.is_empty()
        });
    let refused =
        preview.refused.iter().flat_map(|of| of.reasons.iter().map(move |reason| (of, reason)));
    let refused: Vec<String> =
        refused.map(|(of, reason)| format!("{}: {reason}", of.subject)).collect();
    if format == Format::Json {
        let root = serde_json::json!({
            "schema": 1,
            "check": compared.map(|(title, found)| judged::comparison_json(title, &found)),
            "audit": audited.map(|(judged, unused)| judged::usage_json(&usage, &judged, &unused)),
            "refused": refused,
        });
        return Ok((format!("{root:#}\n"), is_well));
    }
    let mut text = String::new();
    if let Some((title, found)) = &compared {
        text.push_str(&judged::comparison_text(title, found));
    }
    if let Some((judged, unused)) = &audited {
        text.push_str(&judged::usage_text(&usage, judged, unused));
    }
    for what in refused {
        text.push_str(&format!("error: {what} (check says where)\n"));
    }
    Ok((text, is_well))
}

/// The role that a policy is held against.
fn one<'a>(
    grants: &'a BTreeMap<String, Grant>,
    wanted: Option<&String>,
) -> Result<(&'a str, &'a Grant), Ended> {
    let list = || grants.keys().map(|title| format!("\n  {title}")).collect::<String>();
    let mut found = grants.iter().filter(|(title, grant)| {
        wanted.is_none_or(|wanted| {
            let by_mode = || grant.modes.iter().any(|mode| mode.name() == wanted);
            let named = grant.role.as_ref().map_or_else(by_mode, |role| role.name() == wanted);
            named || *title == wanted
        })
    });
    match (found.next(), found.next(), wanted) {
        (Some((title, grant)), None, _) => Ok((title, grant)),
        (Some(_), Some(_), _) => Err((
            format!("these manifests need policies for several; choose one with --role:{}", list()),
            USAGE,
        )),
        (None, _, Some(_)) => {
            Err((format!("these manifests use no such role; they use:{}", list()), USAGE))
        }
        (None, _, None) => Err(("these manifests need no permissions".to_owned(), USAGE)),
    }
}

pub(super) fn existing(name: &str) -> Result<Existing, Ended> {
    let path = Path::new(name);
    if !path.exists()
        && let Some(known) = Existing::by_name(name)
    {
        return Ok(known);
    }
    let title = if name == "-" { "stdin" } else { name };
    let title = shown(title).into_owned();
    let text = match name {
        "-" => text_of(io::stdin().lock()),
        _ => File::open(path).and_then(text_of),
    };
    let text = text.map_err(|error| (format!("{title}: {}", error.kind()), NO_INPUT))?;
    Existing::parse(&title, &text).map_err(|what| (format!("{title}: {what}"), NO_POLICY))
}

fn text_of(input: impl Read) -> io::Result<String> {
    let mut text = String::new();
    input.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}
