//! Signatures: checks ACS3-HMAC-SHA256 and the legacy RPC HMAC-SHA1 from what arrived on the wire.

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::services::error::ApiError;
use crate::state::encoding::{Pair, canonical_query, hex, percent_encode};

/// The parts of a request that a signature covers.
#[derive(Debug)]
pub struct Signed<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub raw_query: &'a str,
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
}

const MANDATORY: [&str; 6] = [
    "host",
    "x-acs-action",
    "x-acs-content-sha256",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-version",
];

/// What an `Authorization: ACS3-HMAC-SHA256 ...` header claims.
#[derive(Debug, PartialEq, Eq)]
pub struct Acs3Claim {
    pub access_key_id: String,
    pub signed_headers: Vec<String>,
    signature: String,
}

impl Acs3Claim {
    pub fn parse(authorization: &str) -> Result<Self, ApiError> {
        let (algorithm, fields) =
            authorization.trim().split_once(' ').unwrap_or((authorization, ""));
        if algorithm != "ACS3-HMAC-SHA256" {
            return Err(ApiError::new(
                400,
                "UnsupportedSignatureMethod",
                format!("This endpoint verifies ACS3-HMAC-SHA256, not {algorithm}."),
            ));
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let slot = match field.trim().split_once('=') {
                Some(("Credential", value)) => (&mut credential, value),
                Some(("SignedHeaders", value)) => (&mut signed_headers, value),
                Some(("Signature", value)) => (&mut signature, value),
                _ => return Err(incomplete("the Authorization header is malformed")),
            };
            if slot.0.replace(slot.1.to_owned()).is_some() {
                return Err(incomplete("the Authorization header repeats a field"));
            }
        }
        match (credential, signed_headers, signature) {
            (Some(access_key_id), Some(names), Some(signature)) => Ok(Self {
                access_key_id,
                signed_headers: names.split(';').map(str::to_owned).collect(),
                signature,
            }),
            _ => Err(incomplete("the Authorization header lacks a field")),
        }
    }

    pub fn verify(&self, request: &Signed<'_>, access_key_secret: &str) -> Result<(), ApiError> {
        self.check_signed_headers(request)?;
        let payload = hex(digest::digest(&digest::SHA256, request.body).as_ref());
        if header(request.headers, "x-acs-content-sha256").is_some_and(|sent| sent != payload) {
            return Err(mismatch("the body does not hash to x-acs-content-sha256"));
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, access_key_secret.as_bytes());
        let query = crate::state::encoding::decode_form(request.raw_query.as_bytes());
        // The documentation encodes parameter names, the official signers do not; no real name
        // needs it, so either is taken.
        for encode_names in [true, false] {
            let string_to_sign = self.string_to_sign(request, &query, encode_names, &payload);
            let wanted = hex(hmac::sign(&key, string_to_sign.as_bytes()).as_ref());
            if equal(&wanted, &self.signature) {
                return Ok(());
            }
        }
        let string_to_sign = self.string_to_sign(request, &query, true, &payload);
        Err(mismatch(&format!("server StringToSign is [{string_to_sign}]")))
    }

    fn check_signed_headers(&self, request: &Signed<'_>) -> Result<(), ApiError> {
        let names = &self.signed_headers;
        if !names.is_sorted() || names.iter().any(|name| *name != name.to_lowercase()) {
            return Err(incomplete("SignedHeaders must be lower case and sorted"));
        }
        let signed = |name: &str| names.iter().any(|signed| signed == name);
        for name in MANDATORY {
            if header(request.headers, name).is_none_or(str::is_empty) || !signed(name) {
                return Err(incomplete(&format!("header {name} must be sent and signed")));
            }
        }
        for (name, _) in request.headers {
            let name = name.to_lowercase();
            let covered = name.starts_with("x-acs-") || name == "content-type";
            if covered && !signed(&name) {
                return Err(incomplete(&format!("header {name} is sent but not signed")));
            }
        }
        Ok(())
    }

    fn string_to_sign(
        &self,
        request: &Signed<'_>,
        query: &[Pair],
        encode_names: bool,
        payload: &str,
    ) -> String {
        let headers: String = self
            .signed_headers
            .iter()
            .map(|name| {
                let mut values: Vec<&str> = request
                    .headers
                    .iter()
                    .filter(|(sent, _)| sent.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.trim())
                    .collect();
                values.sort_unstable();
                format!("{name}:{}\n", values.join(","))
            })
            .collect();
        let canonical = [
            request.method,
            if request.path.is_empty() { "/" } else { request.path },
            &canonical_query(query, encode_names),
            &headers,
            &self.signed_headers.join(";"),
            payload,
        ]
        .join("\n");
        let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        format!("ACS3-HMAC-SHA256\n{hash}")
    }
}

/// Checks the signature of the credential libraries' AssumeRole: `SignatureVersion=1.0`.
pub fn verify_rpc(
    method: &str,
    parameters: &[Pair],
    access_key_secret: &str,
) -> Result<(), ApiError> {
    let find = |wanted: &str| {
        parameters
            .iter()
            .find(|(name, _)| name == wanted.as_bytes())
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    if find("SignatureMethod").as_deref() != Some("HMAC-SHA1")
        || find("SignatureVersion").as_deref() != Some("1.0")
    {
        return Err(ApiError::new(
            400,
            "UnsupportedSignatureMethod",
            "The legacy signature is SignatureMethod=HMAC-SHA1 with SignatureVersion=1.0.",
        ));
    }
    let signature = find("Signature").ok_or_else(|| incomplete("Signature is missing"))?;
    let signed: Vec<Pair> =
        parameters.iter().filter(|(name, _)| name != b"Signature").cloned().collect();
    let query = canonical_query(&signed, true);
    let string_to_sign = format!("{method}&%2F&{}", percent_encode(query.as_bytes()));
    let key = hmac::Key::new(
        hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        format!("{access_key_secret}&").as_bytes(),
    );
    let wanted = STANDARD.encode(hmac::sign(&key, string_to_sign.as_bytes()));
    if equal(&wanted, &signature) {
        return Ok(());
    }
    Err(mismatch("the HMAC-SHA1 of the parameters differs"))
}

pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn equal(wanted: &str, given: &str) -> bool {
    constant_time::verify_slices_are_equal(wanted.as_bytes(), given.as_bytes()).is_ok()
}

fn incomplete(detail: &str) -> ApiError {
    ApiError::new(
        400,
        "IncompleteSignature",
        format!("The request signature does not conform to Alibaba Cloud standards: {detail}."),
    )
}

fn mismatch(detail: &str) -> ApiError {
    ApiError::new(
        400,
        "SignatureDoesNotMatch",
        format!("Specified signature does not match our calculation: {detail}"),
    )
}
