//! JSON web tokens: parsing, verification, and the issuer that signs pod tokens.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair as _};
use aws_lc_rs::{digest, rsa};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::state::config::TokenAlgorithm;

/// A public key as a JWKS lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize)]
pub(crate) struct Jwk {
    pub(crate) kty: String,
    #[serde(default)]
    pub(crate) kid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alg: Option<String>,
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub(crate) purpose: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize)]
pub(crate) struct Jwks {
    pub(crate) keys: Vec<Jwk>,
}

impl Jwks {
    /// The keys with this `kid`; all where a token names none.
    pub(crate) fn matching(&self, kid: Option<&str>) -> Vec<Jwk> {
        let wanted = |key: &&Jwk| kid.is_none_or(|kid| key.kid == kid);
        self.keys.iter().filter(wanted).cloned().collect()
    }
}

/// A token taken apart, not yet believed.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    pub(crate) algorithm: String,
    pub(crate) kid: Option<String>,
    pub(crate) claims: Claims,
    signed: &'a str,
    signature: Vec<u8>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) sub: String,
    pub(crate) aud: Audience,
    pub(crate) exp: i64,
    #[serde(default)]
    pub(crate) iat: Option<i64>,
    #[serde(default)]
    pub(crate) nbf: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    pub(crate) fn list(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl<'a> Token<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Header {
            alg: String,
            #[serde(default)]
            kid: Option<String>,
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&BASE64URL.decode(header).ok()?).ok()?;
        Some(Self {
            algorithm: header.alg,
            kid: header.kid,
            claims: serde_json::from_slice(&BASE64URL.decode(claims).ok()?).ok()?,
            signed,
            signature: BASE64URL.decode(signature).ok()?,
        })
    }

    pub(crate) fn is_signed_by(&self, key: &Jwk) -> bool {
        if key.alg.as_ref().is_some_and(|alg| *alg != self.algorithm) {
            return false;
        }
        match (self.algorithm.as_str(), key.kty.as_str()) {
            ("RS256", "RSA") => self.verify_rsa(key).is_some(),
            ("ES256", "EC") => self.verify_ec(key).is_some(),
            _ => false,
        }
    }

    fn verify_rsa(&self, key: &Jwk) -> Option<()> {
        let components = PublicKeyComponents {
            n: BASE64URL.decode(key.n.as_ref()?).ok()?,
            e: BASE64URL.decode(key.e.as_ref()?).ok()?,
        };
        let parameters = &signature::RSA_PKCS1_2048_8192_SHA256;
        components.verify(parameters, self.signed.as_bytes(), &self.signature).ok()
    }

    fn verify_ec(&self, key: &Jwk) -> Option<()> {
        if key.crv.as_deref() != Some("P-256") {
            return None;
        }
        let mut point = vec![4];
        point.extend(BASE64URL.decode(key.x.as_ref()?).ok()?);
        point.extend(BASE64URL.decode(key.y.as_ref()?).ok()?);
        signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
            .verify(self.signed.as_bytes(), &self.signature)
            .ok()
    }
}

/// Signs pod tokens, as the API server's ServiceAccount issuer does.
#[derive(Debug)]
pub(crate) struct TokenIssuer {
    key: IssuerKey,
    kid: String,
}

#[derive(Debug)]
enum IssuerKey {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

#[derive(Debug, thiserror::Error)]
#[error("the issuer's key cannot be generated, read or used")]
pub struct KeyError;

impl TokenIssuer {
    pub(crate) fn generate(algorithm: TokenAlgorithm) -> Result<Self, KeyError> {
        let key = match algorithm {
            TokenAlgorithm::RS256 => IssuerKey::Rsa(Box::new(
                RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError)?,
            )),
            TokenAlgorithm::ES256 => IssuerKey::Ec(Box::new(
                EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)
                    .map_err(|_| KeyError)?,
            )),
        };
        Ok(Self::with_key(key))
    }

    pub(crate) fn from_pkcs8(algorithm: TokenAlgorithm, der: &[u8]) -> Result<Self, KeyError> {
        let key = match algorithm {
            TokenAlgorithm::RS256 => {
                IssuerKey::Rsa(Box::new(RsaKeyPair::from_pkcs8(der).map_err(|_| KeyError)?))
            }
            TokenAlgorithm::ES256 => IssuerKey::Ec(Box::new(
                EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, der)
                    .map_err(|_| KeyError)?,
            )),
        };
        Ok(Self::with_key(key))
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Vec<u8>, KeyError> {
        match &self.key {
            IssuerKey::Rsa(key) => {
                key.as_der().map(|der| der.as_ref().to_vec()).map_err(|_| KeyError)
            }
            IssuerKey::Ec(key) => {
                key.to_pkcs8v1().map(|der| der.as_ref().to_vec()).map_err(|_| KeyError)
            }
        }
    }

    fn with_key(key: IssuerKey) -> Self {
        let public = match &key {
            IssuerKey::Rsa(key) => key.public_key().as_ref().to_vec(),
            IssuerKey::Ec(key) => key.public_key().as_ref().to_vec(),
        };
        let kid = BASE64URL.encode(digest::digest(&digest::SHA256, &public));
        Self { key, kid }
    }

    pub(crate) fn sign(&self, claims: &Value) -> Result<String, KeyError> {
        let algorithm = match &self.key {
            IssuerKey::Rsa(_) => "RS256",
            IssuerKey::Ec(_) => "ES256",
        };
        let header = json!({ "alg": algorithm, "kid": self.kid });
        let signed = format!(
            "{}.{}",
            BASE64URL.encode(header.to_string()),
            BASE64URL.encode(claims.to_string())
        );
        let random = SystemRandom::new();
        let signature = match &self.key {
            IssuerKey::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&signature::RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature)
                    .map_err(|_| KeyError)?;
                signature
            }
            IssuerKey::Ec(key) => {
                key.sign(&random, signed.as_bytes()).map_err(|_| KeyError)?.as_ref().to_vec()
            }
        };
        Ok(format!("{signed}.{}", BASE64URL.encode(signature)))
    }

    pub(crate) fn jwks(&self) -> Jwks {
        let mut jwk = Jwk {
            kty: String::new(),
            kid: self.kid.clone(),
            alg: None,
            purpose: Some("sig".to_owned()),
            n: None,
            e: None,
            crv: None,
            x: None,
            y: None,
        };
        match &self.key {
            IssuerKey::Rsa(key) => {
                let public: &rsa::PublicKey = key.public_key();
                let parts = PublicKeyComponents::<Vec<u8>>::from(public);
                jwk.kty = "RSA".to_owned();
                jwk.alg = Some("RS256".to_owned());
                jwk.n = Some(BASE64URL.encode(parts.n));
                jwk.e = Some(BASE64URL.encode(parts.e));
            }
            IssuerKey::Ec(key) => {
                jwk.kty = "EC".to_owned();
                jwk.alg = Some("ES256".to_owned());
                jwk.crv = Some("P-256".to_owned());
                if let [_, point @ ..] = key.public_key().as_ref()
                    && let Some((x, y)) = point.split_at_checked(32)
                {
                    jwk.x = Some(BASE64URL.encode(x));
                    jwk.y = Some(BASE64URL.encode(y));
                }
            }
        }
        Jwks { keys: vec![jwk] }
    }
}
