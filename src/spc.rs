//! SecretProviderClass: its parameters become a `Spec`, in which everything is typed and nothing is left
//! to check. Pure: no pod, no token, no call, so that a command can do it as a mount does.

pub mod class;
pub mod context;
mod fields;
pub mod file;
pub mod forms;
pub mod hints;
pub mod mistakes;
pub mod mode;
pub mod names;
pub mod object_cache;
pub mod objects;
pub mod parameters;
pub mod read;
pub mod source;

use std::{sync::Arc, time::Duration};

use crate::{
    endpoint::Endpoints,
    error::{Error, Errors, Location, Reason},
    names::{Region, RoleArn},
    text::{accident, quoted},
};
use context::Context;
use fields::parse_role;
use file::{FileMode, PathTranslation};
use mistakes::Mistakes;
use mode::Mode;
use names::Place;
use object_cache::ObjectCache;
use objects::Object;
use parameters::{Names, Parameters};

/// What a SecretProviderClass asks for.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Parameters `identity` and `usePodServiceAccountToken`.
    pub identity: RequestedIdentity,
    /// Parameter `roleArn`.
    pub role: Option<RoleArn>,
    /// Parameter `refreshInterval`.
    pub refresh: Option<Duration>,
    /// Parameter `objects`.
    pub objects: Arc<[Object]>,
}

/// `identity` and `usePodServiceAccountToken` taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedIdentity {
    Default,
    Mode(Mode),
    /// `usePodServiceAccountToken: "false"`.
    NotPod,
}

impl RequestedIdentity {
    /// As the audit record has it; empty where the class says nothing.
    pub fn name(self) -> &'static str {
        match self {
            RequestedIdentity::Default => "",
            RequestedIdentity::Mode(mode) => mode.name(),
            RequestedIdentity::NotPod => "not-pod",
        }
    }
}

impl Spec {
    /// `mode`: of files without `filePermission`. Mistakes are collected, as far as each can be seen on
    /// its own.
    pub fn parse(
        parameters: &Parameters,
        endpoints: &Endpoints,
        mode: FileMode,
        cache: &ObjectCache,
    ) -> Result<Self, Errors> {
        let mut mistakes = Mistakes::default();
        unknown(parameters.unknown(), &mut mistakes);
        let identity = mistakes.keep(requested_identity(parameters));
        let role = mistakes.keep(role(parameters));
        let translation = mistakes.keep(path_translation(parameters));
        let region = mistakes.keep(region(parameters, endpoints));
        let refresh = mistakes.keep(refresh(parameters));
        // Mistakes in the objects do not depend on these two, but what they become does.
        let context = Context {
            endpoints,
            region: region.as_ref().unwrap_or(&endpoints.region),
            translation: translation.unwrap_or_default(),
            mode,
        };
        let text = parameters.get("objects").unwrap_or_default();
        let objects = cache
            .get_or_parse(text, &context, || objects::parse(text, &context))
            .map_err(|found| mistakes.append(found))
            .ok();
        let spec = || {
            Some(Spec { identity: identity?, role: role?, refresh: refresh?, objects: objects? })
        };
        mistakes.none_and(spec)
    }
}

#[cfg(test)]
impl Spec {
    /// Of objects alone: all else as in a class that says nothing.
    pub(crate) fn of(objects: Arc<[Object]>) -> Self {
        Self { identity: RequestedIdentity::Default, role: None, refresh: None, objects }
    }
}

/// What a parameter holds is none of what is allowed.
fn refused(parameters: &Parameters, name: &str, rule: &str) -> Error {
    let text = parameters.get(name).unwrap_or_default();
    Error::new(Reason::InvalidValue, hints::refused(text, rule)).parameter(name)
}

fn unknown(unknown: &Names, mistakes: &mut Mistakes) {
    for name in &unknown.first {
        mistakes.push(|| {
            let (what, _) = hints::unknown(Place::Parameter, name);
            Error::new(Reason::UnknownName, what)
                .subject(format!("parameter {}", quoted(name)))
                .located(Location::Parameter(name.as_str().into()))
        });
    }
    mistakes.count(unknown.more);
}

fn path_translation(parameters: &Parameters) -> Result<PathTranslation, Error> {
    const NAME: &str = "pathTranslation";
    PathTranslation::parse(parameters.get(NAME)).map_err(|rule| refused(parameters, NAME, rule))
}

fn requested_identity(parameters: &Parameters) -> Result<RequestedIdentity, Error> {
    let named = match parameters.get("identity") {
        None => None,
        Some(text) => Some(Mode::parse(text).ok_or_else(|| {
            let rule = format!("must be one of {}", Mode::list());
            let what = hints::none_of(text, &Mode::ALL.map(Mode::name), &rule);
            Error::new(Reason::InvalidValue, what).parameter("identity")
        })?),
    };
    let use_pod = match parameters.get("usePodServiceAccountToken") {
        None => None,
        Some(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Some(_) => {
            let rule = "must be \"true\" or \"false\"";
            return Err(refused(parameters, "usePodServiceAccountToken", rule));
        }
    };
    match (named, use_pod) {
        (None, None) => Ok(RequestedIdentity::Default),
        (None, Some(true)) => Ok(RequestedIdentity::Mode(Mode::Pod)),
        (None, Some(false)) => Ok(RequestedIdentity::NotPod),
        (Some(mode), None) => Ok(RequestedIdentity::Mode(mode)),
        (Some(mode), Some(use_pod)) if use_pod == (mode == Mode::Pod) => {
            Ok(RequestedIdentity::Mode(mode))
        }
        (Some(mode), Some(use_pod)) => Err(Error::new(
            Reason::Contradiction,
            format!("contradict each other: {mode} and \"{use_pod}\""),
        )
        .parameter("usePodServiceAccountToken")
        .subject("parameters identity and usePodServiceAccountToken")
        .hint("keep identity, remove the other")),
    }
}

fn role(parameters: &Parameters) -> Result<Option<RoleArn>, Error> {
    let role = parameters.get("roleArn").map(|text| {
        parse_role(text).map_err(|what| Error::new(Reason::InvalidRole, what).parameter("roleArn"))
    });
    role.transpose()
}

fn region(parameters: &Parameters, endpoints: &Endpoints) -> Result<Region, Error> {
    let Some(text) = parameters.get("region") else { return Ok(endpoints.region.clone()) };
    Region::parse(text).ok_or_else(|| {
        let name = quoted(text);
        let what = match (accident::in_word(text), Region::of_zone(text)) {
            (Some(accident), _) => format!("{name} {accident}"),
            _ if text.starts_with("__") => {
                format!("{name} is a placeholder that is to be replaced")
            }
            (None, Some(region)) => format!("{name} is a zone; its region is {region}"),
            (None, None) => format!("{name} is not a region id such as cn-hangzhou"),
        };
        let error = Error::new(Reason::InvalidRegion, what).parameter("region");
        match Region::meant(text) {
            Some(meant) if Region::of_zone(text).is_none() => error.hint(format!("write {meant}")),
            _ => error,
        }
    })
}

fn refresh(parameters: &Parameters) -> Result<Option<Duration>, Error> {
    parameters
        .get("refreshInterval")
        .map(|text| {
            parse_interval(text).ok_or_else(|| {
                let form =
                    "must be 0, or one number with s, m or h, such as 30s, 5m, 1h, up to 24h";
                refused(parameters, "refreshInterval", form)
            })
        })
        .transpose()
}

/// `0`, or a number of seconds, minutes or hours, up to a day.
pub fn parse_interval(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let number: u64 = number.parse().ok().filter(|number| *number <= 86_400)?;
    Some(Duration::from_secs(number * seconds)).filter(|all| all.as_secs() <= 86_400)
}

#[cfg(test)]
mod tests;
