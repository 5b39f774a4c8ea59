//! Facts: what the program takes for true of the real services without ever having seen it. Each is a question,
//! with how it is tried, and what the program assumes.

/// In the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    OidcForm,
    OidcInvalid,
    TokenMalformed,
    SignatureMismatch,
    NonceUsed,
    KmsNotFound,
    KmsDryRun,
    KmsBatch,
    KmsForm,
    OosNotFound,
    OosForm,
    DateHeader,
    StsVpcHost,
    KmsVpcHost,
    OosVpcHost,
    InstanceChain,
    Throttling,
    NoVersion,
    ValueSize,
    PendingDeletion,
    IssuerBroken,
    ChainedDuration,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub(crate) id: &'static str,
    pub(crate) question: &'static str,
    pub(crate) how: &'static str,
}

impl Fact {
    pub(crate) const ALL: [Self; 22] = [
        Self::OidcForm,
        Self::OidcInvalid,
        Self::TokenMalformed,
        Self::SignatureMismatch,
        Self::NonceUsed,
        Self::KmsNotFound,
        Self::KmsDryRun,
        Self::KmsBatch,
        Self::KmsForm,
        Self::OosNotFound,
        Self::OosForm,
        Self::DateHeader,
        Self::StsVpcHost,
        Self::KmsVpcHost,
        Self::OosVpcHost,
        Self::InstanceChain,
        Self::Throttling,
        Self::NoVersion,
        Self::ValueSize,
        Self::PendingDeletion,
        Self::IssuerBroken,
        Self::ChainedDuration,
    ];

    pub(crate) fn about(self) -> About {
        let about = |id, question, how| About { id, question, how };
        match self {
            Self::OidcForm => about(
                "oidc-form-body",
                "Does AssumeRoleWithOIDC take its parameters in a form body?",
                "the login of this run, which sends them so",
            ),
            Self::OidcInvalid => about(
                "oidc-token-invalid",
                "Is a token that is none refused with 401 AuthenticationFail.OIDCToken.*?",
                "AssumeRoleWithOIDC with a text in place of the token",
            ),
            Self::TokenMalformed => about(
                "security-token-malformed",
                "Has a session token that is none the code InvalidSecurityToken.*, and which HTTP status?",
                "GetSecretValue with the session's key and another text for its token",
            ),
            Self::SignatureMismatch => about(
                "signature-mismatch",
                "Has a wrong signature the code SignatureDoesNotMatch, and which HTTP status?",
                "GetSecretValue signed with another secret than the key's",
            ),
            Self::NonceUsed => about(
                "nonce-used",
                "Has a nonce that was sent before the code SignatureNonceUsed, and which HTTP status?",
                "GetSecretValue of a secret that does not exist, twice with one nonce",
            ),
            Self::KmsNotFound => about(
                "kms-not-found",
                "Is a secret that does not exist 404 Forbidden.ResourceNotFound?",
                "GetSecretValue of a name that nobody has",
            ),
            Self::KmsDryRun => about(
                "kms-dry-run",
                "Does GetSecretValue with DryRun answer DryRunOperationError, and with which HTTP status?",
                "the permission check of this run",
            ),
            Self::KmsBatch => about(
                "kms-batch",
                "Does this endpoint offer BatchGetSecretValue?",
                "BatchGetSecretValue of a name that nobody has",
            ),
            Self::KmsForm => about(
                "kms-form-body",
                "Does KMS take parameters in a form body?",
                "GetSecretValue of a name that nobody has, sent as a form",
            ),
            Self::OosNotFound => about(
                "oos-not-found",
                "Is a parameter that does not exist 404 EntityNotExists.Parameter?",
                "GetSecretParameter of a name that nobody has",
            ),
            Self::OosForm => about(
                "oos-form-body",
                "Does OOS take parameters in a form body?",
                "GetSecretParameter of a name that nobody has, sent as a form",
            ),
            Self::DateHeader => about(
                "date-header",
                "Do the services say the time in header Date?",
                "the unsigned question of this run to each host",
            ),
            Self::StsVpcHost => about(
                "sts-vpc-host",
                "Has the region a host of STS inside the VPC?",
                "DNS, for sts-vpc.REGION.aliyuncs.com",
            ),
            Self::KmsVpcHost => about(
                "kms-vpc-host",
                "Has the region a host of KMS inside the VPC?",
                "DNS, for kms-vpc.REGION.aliyuncs.com",
            ),
            Self::OosVpcHost => about(
                "oos-vpc-host",
                "Has the region a host of OOS inside the VPC?",
                "DNS, for oos-vpc.REGION.aliyuncs.com",
            ),
            Self::InstanceChain => about(
                "instance-chain",
                "Does a KMS instance send its intermediate certificate, and by which version of TLS?",
                "the certificate check of this run, if the class names an instance",
            ),
            Self::Throttling => about(
                "throttling-status",
                "Which HTTP status has Throttling.User, and where are the limits of STS and OOS?",
                "not by this command, which makes nobody wait: /metrics counts it where it happens",
            ),
            Self::NoVersion => about(
                "kms-no-version",
                "Which code has a version that does not exist?",
                "not by this command: of a secret that rotates, KMS ignores the version and gives out the value",
            ),
            Self::ValueSize => about(
                "kms-value-size",
                "Do the 30,720 bytes of a value count before or after base64?",
                "not by this command, which writes nothing",
            ),
            Self::PendingDeletion => about(
                "kms-pending-deletion",
                "Which code has a secret that is scheduled for deletion?",
                "not by this command, which deletes nothing: GetSecretValue of one that is",
            ),
            Self::IssuerBroken => about(
                "issuer-broken",
                "Does AuthenticationFail.OIDCToken.IssuerConfigurationBroken pass by itself?",
                "not by this command: it needs an issuer that fails",
            ),
            Self::ChainedDuration => about(
                "chained-duration",
                "Are sessions of AssumeRole from another session shorter than the role allows?",
                "not by this command: it needs a role of another account that allows more than an hour",
            ),
        }
    }

    /// Whether this command can try it at all.
    pub(crate) fn can_be_tried(self) -> bool {
        !self.about().how.starts_with("not by this command")
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    pub(crate) fact: Fact,
    pub(crate) answer: String,
    pub(crate) verdict: Verdict,
    pub(crate) request: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is as the program assumes.
    Holds,
    /// It is otherwise.
    Differs,
    /// The answer says neither, or nothing was assumed.
    Noted,
    NotTried,
}

impl Tried {
    pub(crate) fn not(fact: Fact, why: impl Into<String>) -> Self {
        Self { fact, answer: why.into(), verdict: Verdict::NotTried, request: None }
    }

    pub(crate) fn verdict(&self) -> &'static str {
        match self.verdict {
            Verdict::Holds => "holds",
            Verdict::Differs => "differs",
            Verdict::Noted => "noted",
            Verdict::NotTried => "not tried",
        }
    }
}

/// An answer of a service, as far as it matters here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) request: Option<String>,
    /// It is of something on the way.
    pub(crate) foreign: bool,
}

/// A fact that an answer's code decides. Others are decided where they are seen.
pub(crate) fn judge(fact: Fact, answer: &Answer) -> Tried {
    let Answer { status, code, request, foreign } = answer;
    let named = if code.is_empty() { "no code" } else { code };
    let is_missing = code.starts_with("Missing") || code.contains("ParameterMissing");
    let unknown_api = code.starts_with("InvalidAction")
        || code.starts_with("Unsupported")
        || code == "InvalidApiName";
    // The role may not ask: that says nothing of what it asked for.
    let denied = *status == 403;
    let (verdict, says) = match fact {
        _ if *foreign => (Verdict::Noted, "that is no answer of the service"),
        Fact::OidcInvalid => of(*status == 401 && code.starts_with("AuthenticationFail.OIDCToken")),
        Fact::TokenMalformed => of(code.starts_with("InvalidSecurityToken.")),
        Fact::SignatureMismatch => of(code == "SignatureDoesNotMatch"),
        Fact::NonceUsed => of(code == "SignatureNonceUsed"),
        Fact::KmsDryRun => of(code == "DryRunOperationError"),
        Fact::KmsNotFound | Fact::OosNotFound | Fact::KmsBatch | Fact::KmsForm | Fact::OosForm
            if denied =>
        {
            (Verdict::Noted, "the role may not ask for that name, so that this says nothing of it")
        }
        Fact::KmsNotFound => of(*status == 404 && code == "Forbidden.ResourceNotFound"),
        Fact::OosNotFound => of(*status == 404 && code == "EntityNotExists.Parameter"),
        Fact::KmsBatch if unknown_api => (Verdict::Differs, "it is not offered"),
        Fact::KmsBatch => (Verdict::Holds, "it is offered"),
        Fact::KmsForm | Fact::OosForm if is_missing => {
            (Verdict::Noted, "no: the parameter is missing there")
        }
        Fact::KmsForm | Fact::OosForm => (Verdict::Noted, "yes: it was looked for"),
        _ => (Verdict::Noted, ""),
    };
    let says = if says.is_empty() { String::new() } else { format!("; {says}") };
    Tried {
        fact,
        answer: format!("HTTP {status} {named}{says}"),
        verdict,
        request: request.clone(),
    }
}

fn of(holds: bool) -> (Verdict, &'static str) {
    if holds { (Verdict::Holds, "") } else { (Verdict::Differs, "another was assumed") }
}
