//! Sources: what an object is read from. Each object type has a file here with all that is known of it
//! without asking the cloud; `cloud` has a file with its calls.

pub mod kms;
pub mod oos;

use super::{
    context::Context,
    fields::{Fields, Reported},
    hints,
    mistakes::Mistakes,
};
use crate::{api::Api, digest::Parts, endpoint::Endpoint, error::Reason, names::Region};
use kms::SecretRef;
use oos::ParameterRef;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    Kms(SecretRef),
    Oos(ParameterRef),
}

/// A value of `objectType`.
struct ObjectType {
    name: &'static str,
    /// What it stands for, in a message.
    noun: &'static str,
    parse: Parse,
}

/// From an object's fields, its name among them.
type Parse =
    fn(&Fields<'_>, Option<&str>, &Context<'_>, &mut Mistakes) -> Option<(Endpoint, Source)>;

/// The first is that of objects without an `objectType`.
const TYPES: &[ObjectType] = &[
    ObjectType { name: kms::TYPE, noun: "a KMS secret", parse: kms::parse },
    ObjectType { name: oos::TYPE, noun: "an OOS encrypted parameter", parse: oos::parse },
];

/// What is known of a source without asking the cloud.
pub trait Facts {
    /// Its `objectType`, and that of the audit record.
    fn object_type(&self) -> &'static str;
    /// As the SecretProviderClass has it, which may be an ARN.
    fn name(&self) -> &str;
    /// The version that was asked for, as the audit record has it.
    fn version(&self) -> Option<String>;
    /// The version that was asked for, in words, if it is not the one that every secret has.
    fn version_in_words(&self) -> Option<String>;
    /// Everything that tells it from other sources of its type.
    fn digest(&self, parts: &mut Parts);
    /// Bytes of what it holds on the heap.
    fn memory(&self) -> usize;
    /// The operation that reads it alone.
    fn api(&self) -> Api;
    /// How it can be read together with others of its type.
    fn batch(&self) -> Option<Batch<'_>>;
    /// The permissions that reading it needs, as policies of RAM name them.
    fn actions(&self) -> &'static [&'static str];
    /// How its operation is asked whether it may be read, without a value in the answer.
    fn trial(&self) -> Trial;
    /// What a message puts in place of its name.
    fn placeholder(&self) -> &'static str;
    /// The same source under another name, as policies of RAM name it for `actions`: the first is the
    /// source itself. `region` is that of its host; `*` stands for what is not known.
    fn resources(&self, name: &str, region: &str, account: &str) -> Vec<String>;
}

/// A call that reads several sources, of one login and host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    pub api: Api,
    /// Of all sources in the call, where the operation names one.
    pub region: Option<&'a Region>,
    /// How many sources it reads.
    pub most: usize,
    /// The permission that it needs beside `actions`, on the source itself.
    pub action: Option<&'static str>,
}

/// The parameters of a call that gives no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Whether the service knows it as one.
    pub dry_run: bool,
    pub query: Vec<(&'static str, String)>,
}

impl Source {
    pub fn facts(&self) -> &dyn Facts {
        match self {
            Source::Kms(secret) => secret,
            Source::Oos(parameter) => parameter,
        }
    }
}

/// Every value of `objectType`.
pub fn object_types() -> Vec<&'static str> {
    TYPES.iter().map(|known| known.name).collect()
}

/// What a value of `objectType` stands for, without its article.
pub fn noun(object_type: &str) -> &'static str {
    let known = TYPES.iter().find(|known| known.name == object_type);
    let noun = known.map_or("", |known| known.noun);
    noun.split_once(' ').map_or(noun, |(_, noun)| noun)
}

/// What an object's fields name, and the host that has it.
pub(super) fn parse(
    fields: &Fields<'_>,
    name: Option<&str>,
    context: &Context<'_>,
    mistakes: &mut Mistakes,
) -> Option<(Endpoint, Source)> {
    let written = match fields.text("objectType", mistakes) {
        Ok(written) => written,
        Err(Reported) => return None,
    };
    let known = match written {
        None => TYPES.first(),
        Some(text) => TYPES.iter().find(|known| known.name == text),
    };
    if let Some(known) = known {
        return (known.parse)(fields, name, context, mistakes);
    }
    // Names of the other types have fewer characters.
    kms::name(fields, name, mistakes);
    let nouns = TYPES.iter().map(|known| format!("{} ({})", known.name, known.noun));
    let rule = format!("must be {}", nouns.collect::<Vec<_>>().join(" or "));
    let text = written.unwrap_or_default();
    fields.wrong("objectType", Reason::InvalidValue, mistakes, || {
        hints::object_type(text, &object_types(), &rule)
    });
    None
}
