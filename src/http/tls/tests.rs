use rustls::pki_types::{ServerName, UnixTime};

use super::*;

/// PEM in form alone.
const NO_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

async fn ca() -> String {
    let config = emulator::Config::from_yaml("region: cn-hangzhou\naccounts: [\"1\"]\n").unwrap();
    emulator::Emulator::start(config).await.unwrap().ca_pem()
}

#[tokio::test]
async fn every_certificate_of_a_file_is_read() {
    let ca = ca().await;
    assert_eq!(certificates(format!("a comment\n{ca}{ca}").as_bytes()).unwrap().len(), 2);
}

#[test]
fn file_without_a_certificate_is_refused() {
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for text in ["", "text", key] {
        assert_eq!(certificates(text.as_bytes()).unwrap_err(), "holds no PEM certificate");
    }
}

#[test]
fn file_with_a_broken_certificate_is_refused() {
    for text in ["-----BEGIN CERTIFICATE-----\nAAAA\n", &NO_CERTIFICATE.replace("AAAA", "*")] {
        assert_eq!(certificates(text.as_bytes()).unwrap_err(), "is not PEM", "{text}");
    }
}

#[tokio::test]
async fn certificates_of_a_file_are_trusted_together() {
    let mut roots = RootCertStore::empty();
    trust(&mut roots, ca().await.as_bytes()).unwrap();
    assert_eq!(roots.len(), 1);
}

#[test]
fn certificate_that_is_none_is_not_trusted() {
    let mut roots = RootCertStore::empty();
    let refused = trust(&mut roots, NO_CERTIFICATE.as_bytes()).unwrap_err();
    assert_eq!(refused, "holds a certificate that cannot be a CA");
    assert!(roots.is_empty());
}

#[test]
fn certificate_is_untrusted_for_the_reason_that_rustls_gives() {
    use CertificateError as Why;
    let time = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
    let expected = ServerName::try_from("a.example").unwrap();
    for (why, untrusted) in [
        (Why::Expired, Untrusted::Expired),
        (Why::ExpiredContext { time, not_after: time }, Untrusted::Expired),
        (Why::NotValidYet, Untrusted::NotYetValid),
        (Why::NotValidYetContext { time, not_before: time }, Untrusted::NotYetValid),
        (Why::UnknownIssuer, Untrusted::UnknownIssuer),
        (Why::NotValidForName, Untrusted::OtherName),
        (Why::NotValidForNameContext { expected, presented: Vec::new() }, Untrusted::OtherName),
        (Why::Revoked, Untrusted::Otherwise),
        (Why::BadEncoding, Untrusted::Otherwise),
    ] {
        assert_eq!(Untrusted::of(&why), untrusted, "{why:?}");
    }
}
