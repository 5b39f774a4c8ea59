use std::{fmt, io};

use rustls::CertificateError;
use tokio::net::TcpListener;
use tower::Service;

use super::*;
use crate::http::tls;

/// An error around another, as libraries have them.
#[derive(Debug)]
struct Around(Box<dyn StdError + Send + Sync>);

impl fmt::Display for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("around")
    }
}

impl StdError for Around {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

fn around(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Around {
    Around(error.into())
}

#[test]
fn kind_of_an_io_error_is_the_reason() {
    use ConnectionError as Why;
    use io::ErrorKind::*;
    for (kind, why) in [
        (ConnectionRefused, Why::Refused),
        (ConnectionReset, Why::Reset),
        (BrokenPipe, Why::Reset),
        (UnexpectedEof, Why::Reset),
        (TimedOut, Why::TimedOut),
        (NetworkUnreachable, Why::NoRoute),
        (HostUnreachable, Why::NoRoute),
        (PermissionDenied, Why::Other),
    ] {
        let found = reason(&around(around(io::Error::from(kind))));
        assert_eq!(found, Broken::Connection(why), "{kind:?}");
    }
}

#[test]
fn name_that_was_not_found_is_the_reason() {
    let found = reason(&around(NameError::NotFound));
    assert_eq!(found, Broken::Connection(ConnectionError::Name(NameError::NotFound)));
}

#[test]
fn certificate_is_the_reason_however_deep_in_io_errors_it_is() {
    let rustls = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    let once = io::Error::other(rustls());
    let twice = io::Error::other(io::Error::other(rustls()));
    for error in [around(rustls()), around(once), around(twice)] {
        assert_eq!(reason(&error), Broken::Certificate(Untrusted::UnknownIssuer));
    }
}

#[test]
fn other_error_of_tls_is_none_of_the_certificate() {
    let error = around(io::Error::other(rustls::Error::DecryptError));
    assert_eq!(reason(&error), Broken::Connection(ConnectionError::Other));
}

#[test]
fn reason_that_is_known_is_passed_on() {
    for broken in [Broken::TooLarge, Broken::Connection(ConnectionError::NoRoute)] {
        assert_eq!(reason(&around(NotConnected(broken))), broken);
    }
}

#[test]
fn error_of_another_kind_says_no_more_than_that_there_is_no_connection() {
    let error = around("planted text of a library");
    assert_eq!(reason(&error), Broken::Connection(ConnectionError::Other));
}

/// Its own clock stands still while anything but time is waited for.
#[tokio::test(start_paused = true)]
async fn host_that_says_nothing_on_a_connection_counts_as_not_connected() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let tls = tls::tls(rustls::RootCertStore::empty()).unwrap();
    let mut connector = Connector::new(tls, Arc::default(), None, false);
    let begun = Instant::now();
    let NotConnected(broken) = connector.call(url.parse().unwrap()).await.err().unwrap();
    assert_eq!(broken, Broken::Connection(ConnectionError::TimedOut));
    assert_eq!(begun.elapsed(), LONGEST_CONNECT);
}
