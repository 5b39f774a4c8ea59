use std::time::Duration;

use super::*;

const MAX_BUILT_BYTES: usize = search::BUDGET;

fn search(path: &str, document: &str) -> Result<String, String> {
    let document = Document::parse(document.as_bytes()).map_err(|unread| unread.message)?;
    let end = Instant::now() + Duration::from_secs(60);
    let found = Expression::parse(path)?.search(&document, end)?;
    Ok(String::from_utf8(found.into_bytes()).unwrap())
}

#[test]
fn results_of_every_type() {
    let json = r#"{"s":"x y","n":5432,"f":1.5,"big":18446744073709551615,"t":true,
                   "o":{"b":2,"a":[1]},"l":["a",1],"z":null,"e":"","odd.key":"k"}"#;
    for (path, expected) in [
        ("s", "x y"),
        ("n", "5432"),
        ("f", "1.5"),
        ("big", "18446744073709551615"),
        ("t", "true"),
        ("o", r#"{"b":2,"a":[1]}"#),
        ("l", r#"["a",1]"#),
        ("e", ""),
        ("o.a[0]", "1"),
        ("\"odd.key\"", "k"),
        ("length(l)", "2"),
    ] {
        assert_eq!(search(path, json).as_deref(), Ok(expected), "{path}");
    }
    for path in ["z", "missing", "o.c.d"] {
        assert!(search(path, json).unwrap_err().contains("finds nothing"), "{path}");
    }
    assert!(search("abs(s)", json).unwrap_err().contains("cannot be applied"));
    assert!(search("&s", json).is_err());
}

#[test]
fn yaml_documents_and_what_is_no_document() {
    assert_eq!(search("db.port", "db:\n  port: 3306\n").as_deref(), Ok("3306"));
    for text in ["hunter2", "", "3", "\"hunter2\"", "~"] {
        let error = search("a", text).unwrap_err();
        assert!(error.contains("not a JSON or YAML"), "{error}");
    }
}

/// Each of these could build far more than the bound from a document of thirty kilobytes.
#[test]
fn no_expression_can_fill_the_memory() {
    let document = format!(
        r#"{{"a":"{0}","l":["{0}"],"k":[{1}]}}"#,
        "x".repeat(15_000),
        vec![r#""""#; 1_000].join(",")
    );
    let doubled = |start: &str, step: &str, times: usize| format!("{start}{}", step.repeat(times));
    for path in [
        doubled("a", "|join('',[@,@])", 15),
        doubled("l", "|[@,@][]", 14),
        doubled("@", ".[@,@]", 14),
        doubled("@", "|{a:@,b:@}", 14),
        "join(a, k)".to_owned(),
    ] {
        let error = search(&path, &document).unwrap_err();
        assert!(error.contains("could make far more"), "{path}: {error}");
    }
    let quotes = format!(r#"{{"a":"{}"}}"#, "\\\"".repeat(7_500));
    let error = search(&doubled("to_string([a])", "|to_string([@])", 10), &quotes).unwrap_err();
    assert!(error.contains("could make far more"), "{error}");
    // What surrounds a few bytes counts more than they do, and YAML may be shorter than what is made.
    for (path, document) in [
        (doubled("@", ".[@,@]", 21), "{}"),
        (doubled("@", ".[@,@]", 20), "[a]"),
        (doubled("@", ".[a,@]", 20) + &".[@,@]".repeat(20), "{}"),
        (doubled("l", "|[*].[@,@,@,@,@,@,@,@]", 6), "l: [1]"),
        (doubled("l", "|[*].{\"\\u0001\":@,b:@,c:@,d:@}", 6), "l: [1,1,1]"),
    ] {
        if let Ok(found) = search(&path, document) {
            assert!(found.len() <= MAX_BUILT_BYTES, "{path}: {}", found.len());
        }
    }
    // What is honest may be asked of the largest secret.
    let large = format!(r#"{{"users":[{}]}}"#, vec![r#"{"name":"n","key":"k"}"#; 1300].join(","));
    for path in [
        "users[*].name",
        "users[?name=='n'].key | [0]",
        "users[*].{user: name, password: key}",
        "join(',', users[*].key)",
        "{first: users[0].name, count: length(users), all: to_string(users)}",
    ] {
        search(path, &large).unwrap();
    }
    let useful = search("join(', ', l)|[@, @]|{both: @}", r#"{"l":["a","b"]}"#);
    assert_eq!(useful.as_deref(), Ok(r#"{"both":["a, b","a, b"]}"#));
}

#[test]
fn what_an_expression_takes_is_counted_by_its_nodes() {
    let memory = |path: &str| Expression::parse(path).unwrap().memory();
    for (path, nodes) in [
        (format!("[{}]", vec!["a"; 500].join(",")), 500),
        (format!("{{{}}}", vec!["a:@"; 250].join(",")), 250),
        (format!("not_null({})", vec!["@"; 500].join(",")), 500),
        (format!("@||`[{}]`", vec!["1"; 500].join(",")), 502),
        (vec!["a"; 40].join("."), 79),
        (vec!["a"; 20].join("||"), 39),
    ] {
        let least = size_of::<Ast>().min(size_of::<Variable>());
        let memory = memory(&path);
        assert!(memory > nodes * least, "{path}: {memory}");
        assert!(memory < nodes * 256, "{path}: {memory}");
    }
    assert!(memory("password") < 64);
}

#[test]
fn no_expression_can_end_the_process() {
    let shapes = ["!", "[", "(", "a[][]", "a.", "{a:", "a||", "a==", "&", "sort_by(a,&", "*."];
    for shape in shapes {
        assert!(Expression::parse(&shape.repeat(400)).is_err(), "{shape}");
    }
    assert!(Expression::parse(&"a".repeat(MAX_BYTES + 1)).is_err());
    // The deepest that pass the guard are compiled and run on a stack of tokio's size.
    let deepest = move || {
        for shape in shapes {
            let count = MAX_NESTING / shape.matches(NESTING).count();
            let _ = search(&format!("{}a", shape.repeat(count)), r#"{"a":[1]}"#);
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(deepest).unwrap().join().unwrap();
}

fn refused(path: &str) -> String {
    Expression::parse(path).unwrap_err()
}

#[test]
fn paths_that_read_nothing_of_the_secret_are_refused() {
    for path in [
        "'api-key'",
        "`\"api-key\"`",
        "`5`",
        "['a', 'b']",
        "{a: 'b'}",
        "join('', ['a'])",
        "user | 'x'",
        "users[*].['x']",
        "'a' || 'b'",
        "!`true`",
        "length('abc')",
        "`{\"a\": 1}`.a",
        "`[1, 2]`[?@ == `1`]",
        "map(&@, `[1]`)",
    ] {
        let error = refused(path);
        assert!(error.contains("reads nothing of the secret"), "{path}: {error}");
    }
    let odd = refused("'a\nb'");
    assert!(!odd.contains('\n'), "{odd}");
    let error = refused("'api-key'");
    assert!(error.ends_with("path: '\"api-key\"'"), "{error}");
    for path in ["join(':', [user, 'x'])", "user || 'none'", "{a: user, b: 'c'}", "type(@)", "@"] {
        Expression::parse(path).unwrap();
    }
}

#[test]
fn paths_in_other_notations_are_rewritten() {
    for (path, advice) in [
        ("$.password", "; write path: password"),
        ("/password", "; write path: password"),
        ("/db/password", "; write path: db.password"),
        (".password", "; write path: password"),
        ("$.users[0].name", "; write path: users[0].name"),
        ("api-key", "path: '\"api-key\"'"),
        ("db.api-key", "path: 'db.\"api-key\"'"),
        ("$.api-key", "path: '\"api-key\"'"),
        ("2fa", "path: '\"2fa\"'"),
        ("db.my key", "path: 'db.\"my key\"'"),
        ("ключ", "path: '\"ключ\"'"),
    ] {
        let error = refused(path);
        assert!(error.starts_with("is not a JMESPath expression (column "), "{error}");
        assert!(error.ends_with(advice), "{path}: {error}");
        assert_eq!(error.contains("quotes"), advice.contains('"'), "{error}");
    }
    for path in ["user[", "a..b", "a b(", "$", "a-'b'", &format!("{}-", "a".repeat(100))] {
        let error = refused(path);
        assert!(error.ends_with(')'), "{path}: {error}");
    }
}

#[test]
fn paths_that_are_not_jmespath_say_what_they_are() {
    for (path, advice) in [
        (
            "list.0.v",
            "; write path: 'list[0].v' for an item of a list, path: 'list.\"0\".v' for a key",
        ),
        ("0", "; write path: '[0]' for an item of a list, path: '\"0\"' for a key"),
        ("a:b", "path: '\"a:b\"'"),
        ("db['host']", "that is JSONPath"),
        ("$['password']", "that is JSONPath"),
        ("$..password", "that is JSONPath"),
        ("list[?name=x]", "a filter compares with =="),
        ("user + password", "JMESPath has no +"),
        ("password;", "remove its last character"),
        ("\u{201c}password\u{201d}", "a typographic quote (U+201C)"),
        ("pass\u{200b}word", "an invisible character (U+200B)"),
        ("{{ .password }}", "a template that was not rendered"),
        ("${password}", "a variable"),
        ("<key>", "a placeholder"),
        ("Length(user)", "; write length"),
    ] {
        let error = refused(path);
        assert!(error.contains(advice), "{path}: {error}");
        assert!(error.contains("write path") == advice.contains("write path"), "{path}: {error}");
    }
    for path in ["a[?b<c && d>e", "join('', ['a', b]"] {
        assert!(refused(path).ends_with(')'), "{}", refused(path));
    }
}

#[test]
fn paths_that_find_no_element_are_errors_and_stored_lists_are_not() {
    let json =
        r#"{"l":[{"name":"a","v":1,"t":[]}],"e":[],"o":{},"n":[null],"z":null,"nested":[[]]}"#;
    for (path, part) in [
        ("l[?name=='nope'].v", "finds no element in this secret"),
        ("l[*].nope", "finds no element"),
        ("l[5:]", "finds no element"),
        ("e[*]", "finds no element"),
        ("nested[]", "finds no element"),
        ("*.nope", "finds no element"),
        ("l[?v==`2`] | sort_by(@, &v)", "finds no element"),
        ("e[*] || l[5:]", "finds no element"),
        ("[nope]", "finds nothing, or null, in this secret for item 1"),
        ("l[0].{a: v, b: nope}", "finds nothing, or null, in this secret for \"b\""),
        ("{a: {b: z}}", "in this secret for \"b\" for \"a\""),
        ("{a: l[5:]}", "finds no element in this secret for \"a\""),
        ("l[?name==\"a\"].v", "finds no element in this secret; a text needs single quotes"),
        ("join(\":\", l[*].name)", "a list of strings; a text needs single quotes"),
    ] {
        let error = search(path, json).unwrap_err();
        assert!(error.contains(part), "{path}: {error}");
    }
    for (path, expected) in [
        ("e", "[]"),
        ("o", "{}"),
        ("n", "[null]"),
        ("l[0].t", "[]"),
        ("l[*].t", "[[]]"),
        ("l[*].t | [0]", "[]"),
        ("l[?name=='a'] | [0].t", "[]"),
        ("{a: e, b: o}", r#"{"a":[],"b":{}}"#),
        ("l[*].{a: v, b: nope}", r#"[{"a":1,"b":null}]"#),
        ("{a: nope || ''}", r#"{"a":""}"#),
        ("length(l[5:])", "0"),
    ] {
        assert_eq!(search(path, json).as_deref(), Ok(expected), "{path}");
    }
}

#[test]
fn keys_with_dots_are_named_where_the_path_means_them() {
    let json = r#"{"tls.crt": "c", "a": {"b.c": {"d": 1}}, "x.y": null, "x": {}, "it's\n.b": 1}"#;
    for (path, advice) in [
        ("tls.crt", "path: '\"tls.crt\"'"),
        ("a.b.c.d", "path: 'a.\"b.c\".d'"),
        ("\"it's\\n\".b", "path: '\"it''s\\n.b\"'"),
        ("x.y", "in this secret"),
        ("tls.key", "in this secret"),
    ] {
        let error = search(path, json).unwrap_err();
        assert!(error.starts_with("finds nothing, or null, in this secret"), "{error}");
        assert!(error.ends_with(advice), "{path}: {error}");
    }
}

#[test]
fn functions_and_arguments_are_checked_before_any_secret_is_read() {
    for (path, part) in [
        ("nope(@)", "calls \"nope\", a function that JMESPath does not have"),
        ("abs(a, b)", "calls abs() with 2 arguments; it takes 1"),
        ("merge()", "it takes at least 1"),
        ("sort_by(a, b)", "wrong argument 2: it takes an &expression"),
        ("length(&a)", "wrong argument 1: it takes no &expression"),
        ("a[?b == `{\"a\": 1, \"a\": 2}`]", "has a literal (column 9)"),
    ] {
        assert!(refused(path).contains(part), "{path}: {}", refused(path));
    }
}

#[test]
fn numbers_are_kept_compared_and_computed_exactly() {
    let json = r#"{"ids":[{"id":89860012345678901234,"k":"a"},{"id":89860012345678901235,"k":"b"}],
        "n":[1.10,3,-2.0],"s":"0.10","big":[1e30,1e-30],"money":[0.1,0.2],"f":-1.50}"#;
    for (path, expected) in [
        ("ids[?id == `89860012345678901235`].k | [0]", "b"),
        ("ids[?id < `89860012345678901235`].k", r#"["a"]"#),
        ("max_by(ids, &id).id", "89860012345678901235"),
        ("sort_by(ids, &id)[0].id", "89860012345678901234"),
        ("max(n)", "3"),
        ("min(n)", "-2.0"),
        ("sort(n)", "[-2.0,1.10,3]"),
        ("to_number(s)", "0.10"),
        ("to_string(n[0])", "1.10"),
        ("abs(f)", "1.50"),
        ("floor(f)", "-2"),
        ("ceil(n[0])", "2"),
        ("sum(money)", "0.3"),
        ("avg(n)", "0.7"),
        ("sum(n)", "2.1"),
        ("contains(n, `1.1`)", "true"),
        ("not_null(missing, n[0])", "1.10"),
    ] {
        assert_eq!(search(path, json).as_deref(), Ok(expected), "{path}");
    }
    let error = search("sum(big)", json).unwrap_err();
    assert_eq!(error, "yields a number that sum() cannot compute exactly");
    let error = search("sum(ids)", json).unwrap_err();
    assert_eq!(error, "cannot be applied to this secret: sum() takes a list of numbers");
}

/// Each of these went through the largest secret again and again.
#[test]
fn no_search_takes_longer_than_its_budget() {
    let list = format!("[{}]", vec!["1"; 15_000].join(","));
    let nested = format!("[{}]", ["@"; 240].join(","));
    let started = Instant::now();
    for (path, document) in [
        (format!("{nested}|map(&sort_by(@,&@),@)"), list.as_str()),
        ("[*].[@,@]|[*].[@,@]|[*].[@,@]|sort_by(@,&to_string(@))".to_owned(), &list),
        ("@[?contains(`[1,2,3]`, @)]|[*].to_string(@)|join('x',@)|[@,@]|[@,@]".to_owned(), &list),
        ("[::-1]|[::-1]|[@,@]|[@,@]|@==@".to_owned(), &list),
    ] {
        let _ = search(&path, document);
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let late = Instant::now();
    let document = Document::parse(list.as_bytes()).unwrap();
    let error = Expression::parse("[*].[@,@]").unwrap().search(&document, late).unwrap_err();
    assert_eq!(error, "takes too long");
}
