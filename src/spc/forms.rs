//! Forms: what the value of each name of a SecretProviderClass looks like and means, for schemas and people.

use super::{mode::Mode, names::Place, source::object_types};

/// What a value looks like. What exactly is allowed is for the parser, which refuses more.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    Text,
    /// A text that matches, in what RE2 and ECMA-262 have in common; and the same in words.
    Matching(&'static str, &'static str),
    OneOf(fn() -> Vec<&'static str>),
    /// true or false, quoted or not.
    Flag,
    /// A list of mappings with these names.
    List(Place),
}

const ROLE: Form =
    Form::Matching(r"^acs:ram::[0-9]{1,32}:role/.+$", "must be acs:ram::ACCOUNT:role/NAME");
const FILE_MODE: Form =
    Form::Matching("^0?[0-7]{3}$", "must be an octal mode in quotes, such as \"0400\"");
const ENCODING: Form = Form::OneOf(|| vec!["utf-8", "base64", "hex"]);

const PARAMETERS: &[(&str, Form, &str)] = &[
    (
        "identity",
        Form::OneOf(|| Mode::ALL.map(Mode::name).to_vec()),
        "Who the pod is to the cloud. By default what the operator set, mostly pod.",
    ),
    ("objects", Form::List(Place::Field), "What to mount: YAML, a list."),
    (
        "pathTranslation",
        Form::Matching(
            "^([Ff][Aa][Ll][Ss][Ee]|[ -~])$",
            "must be False or one printable ASCII character",
        ),
        "What a / in a file's name becomes: one character, by default _; False keeps directories.",
    ),
    (
        "refreshInterval",
        Form::Matching(
            "^(0|[+]?[0-9]+[smh])$",
            "must be 0, or a number with s, m or h, such as 5m",
        ),
        "How old a value may be before it is read again, such as 30s, 5m, 1h; 0 reads at each mount.",
    ),
    (
        "region",
        Form::Matching("^[a-z0-9]+(-[a-z0-9]+)+$", "must be a region id such as cn-hangzhou"),
        "Where the secrets are. By default the provider's region.",
    ),
    ("roleArn", ROLE, "The pod's RAM role, in place of its ServiceAccount's annotation."),
    (
        "usePodServiceAccountToken",
        Form::Matching(
            "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$",
            "must be \"true\" or \"false\"",
        ),
        "The official provider's name: \"true\" is identity pod.",
    ),
];

const FIELDS: &[(&str, Form, &str)] = &[
    ("crossAccountRoleArn", ROLE, "A role of another account to assume before reading."),
    ("filePermission", FILE_MODE, "The file's mode; by default \"0644\"."),
    (
        "jmesPath",
        Form::List(Place::Entry),
        "Parts of a JSON or YAML secret, each in a file of its own.",
    ),
    ("kmsEndpoint", Form::Text, "A KMS instance's host, or another of Alibaba Cloud's KMS hosts."),
    ("objectAlias", Form::Text, "The file's name; by default objectName."),
    ("objectEncoding", ENCODING, "How the stored text stands for the bytes."),
    ("objectName", Form::Text, "Name of the secret or parameter, or a KMS secret's ARN."),
    ("objectType", Form::OneOf(object_types), "kms, the default, or oos."),
    ("objectVersion", Form::Text, "A KMS version id, or an OOS parameter's version number."),
    (
        "objectVersionLabel",
        Form::Text,
        "A KMS stage such as ACSPrevious; not together with objectVersion.",
    ),
    ("optional", Form::Flag, "true: leave the file out if the secret does not exist."),
];

const ENTRY_FIELDS: &[(&str, Form, &str)] = &[
    ("filePermission", FILE_MODE, "The file's mode; by default the object's."),
    ("objectAlias", Form::Text, "The file's name."),
    ("objectEncoding", ENCODING, "How the text that is found stands for the bytes."),
    ("path", Form::Text, "A JMESPath expression."),
];

impl Place {
    /// Each name with the form of its value and what it means.
    pub fn forms(self) -> &'static [(&'static str, Form, &'static str)] {
        match self {
            Place::Parameter => PARAMETERS,
            Place::Field => FIELDS,
            Place::Entry => ENTRY_FIELDS,
        }
    }

    /// Those without which nothing can be read.
    pub fn required(self) -> &'static [&'static str] {
        match self {
            Place::Parameter => &["objects"],
            Place::Field => &["objectName"],
            Place::Entry => &["objectAlias", "path"],
        }
    }
}
