//! A SecretProviderClass' `objects` through the parser: the same each time, and files that all lie
//! within the volume, side by side; or mistakes that fit into an Event.
//!
//! The first octet of an input chooses the translation of paths, the second the default mode.

#![no_main]

use fuzz::{check_errors, check_objects, choices, endpoints};
use libfuzzer_sys::{Corpus, fuzz_target};
use provider::{
    error::ErrorKind,
    spc::{
        context::Context,
        file::{FileMode, PathTranslation},
        objects::parse,
    },
    yaml::Node,
};

const MOST_KEPT: usize = 20;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(([slash, mode], text)) = choices(input) else { return Corpus::Reject };
    let Ok(text) = std::str::from_utf8(text) else { return Corpus::Reject };
    let slash = char::from(slash).to_string();
    let slash = if slash == "0" { "False" } else { &slash };
    let Ok(translation) = PathTranslation::parse(Some(slash)) else { return Corpus::Reject };
    let Some(mode) = FileMode::from_bits(u32::from(mode)) else { return Corpus::Reject };
    let endpoints = endpoints();
    let context = Context { endpoints: &endpoints, region: &endpoints.region, translation, mode };
    let parsed = parse(text, &context);
    assert_eq!(format!("{parsed:?}"), format!("{:?}", parse(text, &context)));
    assert_eq!(Node::parse(text), Node::parse(text));
    match parsed {
        Ok(objects) => check_objects(&objects, &endpoints),
        Err(errors) => {
            let kept = errors.iter().count();
            assert!((1..=MOST_KEPT).contains(&kept) && (kept == MOST_KEPT || errors.more() == 0));
            check_errors(&errors, &[ErrorKind::Invalid]);
        }
    }
    Corpus::Keep
});
