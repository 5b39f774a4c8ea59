//! `audit who`: who had a secret.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use serde_json::json;

use super::question::{Answer, Ended, file, format, question, read, stretch};
use crate::audit::{
    analysis::{
        access::Accesses,
        who::{Wanted, who},
    },
    output::{
        Format,
        who::{render, table},
    },
};

const ABOUT: &str = "\
Tells which pods were handed a secret, as whom, when and in which versions, and who asked for it and was refused.

SECRET is the name that SecretProviderClasses have (shop/database, or a parameter's name), or the ARN; * and ? \
stand for any characters and for one. A mount that was refused as a whole names no secret in the record: audit \
report --by=refusal has those.";

const AFTER: &str = "\
Examples:
  audit who shop/database /var/log/provider/audit.log
  audit who 'acs:kms:*:1234567890123456:secret/shop/*' node-a.log node-b.log
  audit who '*' --output=csv audit.log > all.csv        every secret, a line for each pod";

pub(super) fn command() -> Command {
    question("who", "Tells which pods had a secret, as whom, when, in which versions", ABOUT, AFTER)
        .args(stretch())
        .arg(
            Arg::new("secret")
                .value_name("SECRET")
                .required(true)
                .help("Its name or ARN, or a pattern"),
        )
        .arg(file())
}

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Ended> {
    let secret = matches.get_one::<String>("secret").map_or("", String::as_str);
    let wanted = Wanted::new(secret);
    let mut accesses = Accesses::default();
    let coverage = read(matches, |record| {
        if wanted.is(record) {
            accesses.add(record);
        }
    })?;
    let readers = who(&accesses);
    let format = format(matches);
    let answer = Answer {
        more: json!({ "asked": secret }),
        tables: match format {
            Format::Text => Vec::new(),
            _ => vec![table(&readers)],
        },
        text: &|| render(secret, &readers),
        findings: Vec::new(),
    };
    Ok(answer.write(format, &coverage))
}
