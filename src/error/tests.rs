use super::*;

#[test]
fn no_error_kind_becomes_one_of_the_five_codes_that_start_a_pod_empty() {
    use ErrorKind::*;
    for kind in [Invalid, Denied, Unauthenticated, NotFound, Unusable, Internal] {
        assert!(
            !matches!(
                kind.code(),
                Code::Unavailable
                    | Code::DeadlineExceeded
                    | Code::ResourceExhausted
                    | Code::Aborted
                    | Code::Cancelled
            ),
            "{kind:?}"
        );
    }
}

#[test]
fn failures_with_one_cause_share_a_sentence() {
    let of = |name: &str| Error::new(Reason::NotFound, "no such secret").subject(name);
    let other = Error::new(Reason::Denied, "forbidden").subject("c").hint("grant it");
    let errors = Errors::of(vec![of("a"), other, of("b")]).unwrap();
    assert_eq!(errors.message(), "a, b: no such secret | c: forbidden; grant it");
    assert_eq!(errors.kind(), ErrorKind::Denied);
    let unnamed = || Error::new(Reason::Timeout, "no answer");
    assert_eq!(Errors::of(vec![unnamed(), unnamed()]).unwrap().message(), "no answer");
    let of = |name: &str| Error { request: Some(format!("id-of-{name}").into()), ..of(name) };
    let errors = Errors::of(vec![of("a"), of("b")]).unwrap();
    assert_eq!(errors.message(), "a, b: no such secret (request id-of-a)");
}

#[test]
fn message_of_more_than_fits_is_cut_between_failures_and_counts_all() {
    let one = |n: usize| {
        Error::new(Reason::NotFound, format!("{n} {}", "x".repeat(200))).subject(format!("o{n}"))
    };
    let message = Errors::of((0..9).map(one).collect()).unwrap().message();
    assert!(message.len() <= limits::EVENT_MESSAGE, "{}", message.len());
    assert!(message.starts_with("9 failures; the first 4: o0: 0 xx"), "{message}");
    assert!(message.ends_with(" | and 5 more"), "{message}");
    let long = Errors::from(Error::new(Reason::Timeout, "é".repeat(900)));
    assert!(long.message().len() <= limits::EVENT_MESSAGE);
}

#[test]
fn message_counts_mistakes_that_were_not_kept() {
    let one = |n: usize| {
        Error::new(Reason::InvalidValue, "is not a parameter").subject(format!("parameter {n}"))
    };
    let errors = Errors::of((0..20).map(one).collect()).unwrap().and_more(99_980);
    assert_eq!((errors.iter().count(), errors.more()), (20, 99_980));
    let message = errors.message();
    assert!(message.starts_with("100000 mistakes; the first 20: parameter 0 and 19 more: is"));
    assert!(message.ends_with(" | and 99980 more"), "{message}");
}

#[test]
fn message_begins_with_the_failures_that_decide_the_code_where_not_all_fit() {
    let passing = |n: usize| Error::new(Reason::Timeout, format!("{n} {}", "x".repeat(300)));
    let mut all: Vec<Error> = (0..5).map(passing).collect();
    all.push(Error::new(Reason::Denied, "forbidden").subject("o6"));
    let message = Errors::of(all).unwrap().message();
    assert!(message.starts_with("6 failures; the first 3: o6: forbidden | 0 x"), "{message}");
}

#[test]
fn message_after_a_prefix_stays_within_the_limit() {
    let errors = Errors::from(Error::new(Reason::Timeout, "x".repeat(2000)));
    let prefix = format!("SecretProviderClass shop/{}: ", "c".repeat(253));
    let message = errors.message_after(&prefix);
    assert_eq!(message.len(), limits::EVENT_MESSAGE);
    assert!(message.starts_with(&prefix));
}

#[test]
fn cause_is_the_same_for_other_request_ids_and_attempts_only() {
    let cause = |error: &Error| {
        let mut parts = Parts::new();
        Errors::from(error.clone()).cause(&mut parts);
        parts.digest()
    };
    let error = Error {
        code: Some("Rejected.Throttling".into()),
        detail: "HTTP 429".into(),
        ..Error::new(Reason::Timeout, "throttled").subject("o1").hint("wait")
    };
    let again = Error { request: Some("another".into()), attempts: 7, ..error.clone() };
    assert_eq!(cause(&error), cause(&again));
    let text = "o1: throttled (HTTP 429, 7 attempts, request another); wait";
    assert_eq!(again.to_string(), text);
    for other in [
        Error { reason: Reason::Denied, ..error.clone() },
        Error { code: None, ..error.clone() },
        Error { detail: "HTTP 503".into(), ..error.clone() },
        Error { message: "broken".into(), ..error.clone() },
        error.clone().subject("o2"),
        error.clone().hint("act"),
    ] {
        assert_ne!(cause(&error), cause(&other), "{other}");
    }
}

#[test]
fn display_escapes_foreign_text_in_every_part() {
    let hostile = "a\u{202e}\u{200b}b\nc";
    let error = Error {
        detail: hostile.into(),
        request: Some(hostile.into()),
        ..Error::new(Reason::InvalidValue, hostile).subject(hostile).hint(hostile)
    };
    let text = error.to_string();
    assert!(text.is_ascii() && !text.contains('\n'), "{text}");
    assert_eq!(text.matches("a\\u{202e}\\u{200b}b\\nc").count(), 5, "{text}");
}
