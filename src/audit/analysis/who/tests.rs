use super::{
    super::tests::{Line, accesses, all, resource, span},
    *,
};

#[test]
fn secret_is_found_by_name_arn_and_pattern() {
    let plain = Line::read(1, 1, "shop/db", "v1");
    let arn = plain.clone().with("object", resource("shop/db"));
    // Read with a key: the account is not known.
    let unknown = plain.clone().with("resource", "acs:kms:cn-hangzhou:*:secret/shop/db");
    let oos = plain
        .clone()
        .with("object", "/app/pw")
        .with("resource", "acs:oos:r:1:secretparameter//app/pw");
    let is = |wanted: &str, line: &Line| {
        let mut found = false;
        all(std::slice::from_ref(line), |record| found = Wanted::new(wanted).is(record));
        found
    };
    for wanted in ["shop/db", "shop/*", "*", &resource("shop/db"), "acs:kms:*:secret/shop/d?"] {
        for line in [&plain, &arn, &unknown] {
            assert!(is(wanted, line), "{wanted}: {}", line.0);
        }
    }
    assert!(is("/app/pw", &oos));
    for wanted in [
        "db",
        "shop",
        "shop/dbx",
        "SHOP/DB",
        "",
        "acs:kms:cn-beijing:1234567890123456:secret/shop/db",
    ] {
        for line in [&plain, &arn, &unknown] {
            assert!(!is(wanted, line), "{wanted}: {}", line.0);
        }
    }
    assert!(!is("*", &Line::refusal(1, 1, "UNAUTHENTICATED")));
}

#[test]
fn who_tells_pods_of_one_name_apart_and_versions_in_their_order() {
    let lines = [
        Line::read(10, 1, "a", "v9"),
        Line::read(20, 2, "a", "v10"),
        Line::read(30, 3, "a", "v9"),
        Line::read(40, 4, "a", "v10").pod("web-1", "uid-2"),
        Line::read(50, 5, "a", "v10").with("via", "sync").pod("web-1", "uid-2"),
        Line::read(60, 6, "a", "v10").pod("web-1", "uid-2").denied(),
    ];
    let accesses = accesses(&lines);
    let readers = who(&accesses);
    let [(one, first), (two, second)] = readers.iter().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(
        (one.uid, &first.versions[..], first.handed),
        ("uid-1", &["v9", "v10"][..], span(3, 10, 30))
    );
    assert_eq!(
        (two.uid, &second.versions[..], second.handed),
        ("uid-2", &["v10"][..], span(2, 40, 50))
    );
    assert_eq!(second.via.iter().copied().collect::<Vec<_>>(), ["driver", "sync"]);
    assert_eq!(second.refused, span(1, 60, 60));
    let refusals: Vec<_> = second.refusals.iter().copied().collect();
    assert_eq!(refusals, [("PERMISSION_DENIED", "Forbidden.NoPermission")]);
}
