use super::*;

const READ: &str = r#"{"schema":1,"event":"read","time":"2026-11-23T09:12:44.003120Z","node":"n","run":"r","seq":7,"mount":"0b61ff5e93a2c7d8","object":"a \"b\"","resource":"acs:kms:r:1:secret/a","outcome":"OK","source":"cloud","mounted":true,"prev":"x","hash":"y","new":{"field":1}}"#;

fn broken(line: &str) -> Broken {
    parse(line.as_bytes()).unwrap().unwrap_err()
}

#[test]
fn line_is_read_with_fields_that_are_not_known_here() {
    let record = parse(READ.as_bytes()).unwrap().unwrap();
    assert_eq!((record.event, record.seq, record.at), (Event::Read, 7, 1_795_425_164_003_120));
    assert_eq!((&*record.object, record.mount()), ("a \"b\"", 0x0b61_ff5e_93a2_c7d8));
    assert!(record.is_handed_out() && record.is_granted() && !record.is_stale());
    assert_eq!(record.namespace, "");
}

#[test]
fn what_counts_as_handed_out_was_read_and_mounted() {
    let of = |from: &str, to: &str| READ.replace(from, to);
    for (line, granted, handed) in [
        (of("true", "false"), true, false),
        (of("\"OK\"", "\"MISSING\""), true, false),
        (of("\"OK\"", "\"PERMISSION_DENIED\""), false, false),
        (of("\"read\"", "\"refusal\""), false, false),
    ] {
        let record = parse(line.as_bytes()).unwrap().unwrap();
        assert_eq!((record.is_granted(), record.is_handed_out()), (granted, handed), "{line}");
    }
}

#[test]
fn empty_lines_are_none() {
    for line in ["", "\n", "  \r\n"] {
        assert!(parse(line.as_bytes()).is_none());
    }
}

#[test]
fn line_that_is_not_understood_is_told_why() {
    let of = |from: &str, to: &str| READ.replace(from, to);
    for (line, why) in [
        ("INFO a line of a log".to_owned(), Broken::NoJson),
        (READ.strip_suffix("1}}").unwrap().to_owned(), Broken::NoJson),
        (format!("{READ}{READ}"), Broken::NoJson),
        ("{}".to_owned(), Broken::Fields),
        ("[1]".to_owned(), Broken::NoJson),
        (of("\"seq\":7", "\"seq\":-7"), Broken::Fields),
        (of("\"seq\":7", "\"seq\":7,\"seq\":8"), Broken::Fields),
        (of("\"mount\":\"0b61ff5e93a2c7d8\"", "\"mount\":\"\""), Broken::Fields),
        (of("\"outcome\":\"OK\",", ""), Broken::Fields),
        (of("\"schema\":1", "\"schema\":2"), Broken::Schema(2)),
        (of("\"schema\":1", "\"schema\":2").replace("\"seq\":7", "\"seq\":[]"), Broken::Schema(2)),
        (of("\"read\"", "\"write\""), Broken::Event),
        (of("2026-11-23T09", "2026-11-23T29"), Broken::Time),
    ] {
        assert_eq!(broken(&line), why, "{line}");
        assert!(!why.to_string().contains("secret/a"));
    }
    assert_eq!(parse(b"{\"schema\":\xff}").unwrap().unwrap_err(), Broken::NoJson);
}

#[test]
fn mounts_of_other_texts_are_told_apart() {
    let of = |id: &str| {
        let line = READ.replace("0b61ff5e93a2c7d8", id);
        parse(line.as_bytes()).unwrap().unwrap().mount()
    };
    assert_eq!(of("one of another writer"), of("one of another writer"));
    assert_ne!(of("one of another writer"), of("two of another writer"));
}
