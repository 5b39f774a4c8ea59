//! Metadata: whether the instance says its region, and who needs it.

use crate::doctor::{check::Check, line::Line};

const CHECK: Check = Check::Metadata;

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) host: String,
    /// `None`: nobody may ask.
    pub(crate) region: Option<Result<String, String>>,
    /// As `--region` has it.
    pub(crate) given: Option<String>,
    /// Whether the identity is the instance's role.
    pub(crate) identity: bool,
}

pub(crate) fn judge(seen: &Seen) -> Line {
    let Seen { host, region, given, identity } = seen;
    let fix = "run on an ECS instance from which this pod reaches instance metadata, or set --region and another \
               identity than ecs-role";
    match region {
        None => Line::skipped(CHECK, host, "ALIBABA_CLOUD_ECS_METADATA_DISABLED turns it off"),
        Some(Ok(region)) => match given {
            Some(given) if given != region => Line::warn(
                CHECK,
                host,
                format!("the instance is in {region}, and --region is {given}"),
                "leave it if secrets are in the other region; hosts inside a VPC are reached from their own region \
                 alone",
            ),
            _ => Line::ok(CHECK, host, format!("answers: the instance is in {region}")),
        },
        Some(Err(why)) if given.is_none() => {
            Line::broken(CHECK, host, format!("no --region is given, and {why}"), fix)
        }
        Some(Err(why)) if *identity => Line::broken(CHECK, host, why, fix),
        Some(Err(why)) => {
            Line::skipped(CHECK, host, format!("{why}; nothing that is configured here needs it"))
        }
    }
}
