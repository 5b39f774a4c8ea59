use super::*;

const KNOWN: [&str; 4] = ["objectName", "objectAlias", "optional", "path"];

#[test]
fn a_name_close_by_is_proposed() {
    for (name, proposed) in [
        ("objectname", "objectName"),
        ("objctName", "objectName"),
        ("objectNameXY", "objectName"),
        ("object_alias", "objectAlias"),
        ("optoinal", "optional"),
        ("OPTIONAL", "optional"),
        ("pth", "path"),
    ] {
        assert_eq!(near(name, &KNOWN), Some(proposed), "{name}");
    }
    for name in ["objectNameXYZ", "obj", "ptionla", "date", "", &"x".repeat(65)] {
        assert_eq!(near(name, &KNOWN), None, "{name}");
    }
    let (told, meant) = unknown(Place::Field, "object_alias");
    assert_eq!(told, "is not a field; did you mean objectAlias?");
    assert_eq!(meant, Some("objectAlias"));
    let (told, meant) = unknown(Place::Entry, "colour");
    assert_eq!(told, "is not a field; there are filePermission, objectAlias, objectEncoding, path");
    assert_eq!(meant, None);
}

#[test]
fn names_of_other_providers_are_recognised_in_any_letter_case() {
    let told = unknown;
    let (what, meant) = told(Place::Field, "secretPath");
    assert_eq!(
        what,
        "is a field of the Vault provider; here it is objectName, and the file's name is \
         objectAlias"
    );
    assert_eq!(meant, Some("objectName"));
    assert_eq!(
        told(Place::Parameter, "regionID").0,
        "is a parameter of Alibaba Cloud's APIs; here it is region"
    );
    assert!(told(Place::Parameter, "keyvaultName").0.contains("a parameter of the Azure provider"));
    assert_eq!(told(Place::Field, "mode").1, Some("filePermission"));
}

#[test]
fn names_in_the_wrong_place_say_where_they_belong() {
    assert_eq!(
        unknown(Place::Parameter, "jmespath").0,
        "is a field of an object, not a parameter; write jmesPath in objects, beside objectName"
    );
    for place in [Place::Field, Place::Entry] {
        assert_eq!(
            unknown(place, "region").0,
            "is a parameter, not a field of an object; write region beside objects"
        );
    }
    assert_eq!(
        unknown(Place::Field, "path"),
        (
            "belongs into jmesPath, a list in which each entry has path and objectAlias; the name \
             of the object's own file is objectAlias"
                .to_owned(),
            None
        )
    );
    assert_eq!(
        unknown(Place::Entry, "objectName").0,
        "is a field of the object and not of its jmesPath, whose entries have filePermission, \
         objectAlias, objectEncoding, path"
    );
}

#[test]
fn names_that_people_guess_say_what_to_write() {
    for (place, name, told, meant) in [
        (Place::Field, "alias", "is not a field; here it is objectAlias", Some("objectAlias")),
        (Place::Field, "jsonkey", "here it is jmesPath, a list of", Some("jmesPath")),
        (Place::Field, "permission", "here it is filePermission, such", Some("filePermission")),
        (Place::Field, "versionLabel", "here it is objectVersionLabel", Some("objectVersionLabel")),
        (Place::Field, "name", "here it is objectName, and", Some("objectName")),
        (Place::Field, "key", "the secret's name is objectName, the file's objectAlias", None),
        (Place::Entry, "key", "is not a field; here it is path", Some("path")),
        (Place::Entry, "jmesPath", "here it is path", Some("path")),
        (Place::Entry, "fileMode", "here it is filePermission", Some("filePermission")),
        (Place::Entry, "name", "the file's name is objectAlias", None),
        (
            Place::Parameter,
            "ramRoleArn",
            "of ack-secret-manager; here it is roleArn",
            Some("roleArn"),
        ),
        (Place::Parameter, "accessKeySecret", "nodePublishSecretRef names, as access_key", None),
        (Place::Parameter, "secretObjects", "is not a parameter; it belongs beside", None),
        (Place::Parameter, "provider", "beside parameters, under spec", None),
        (Place::Parameter, "nodePublishSecretRef", "belongs to the pod's volume", None),
        (Place::Parameter, "rotationPollInterval", "it is set for the driver; refresh", None),
    ] {
        let (what, ours) = unknown(place, name);
        assert!(what.contains(told), "{name}: {what}");
        assert_eq!(ours, meant, "{name}");
    }
}

#[test]
fn tables_hold_no_name_twice_and_only_names_of_ours() {
    for place in [Place::Parameter, Place::Field, Place::Entry] {
        let foreign = place.foreign().iter().map(|theirs| (theirs.name, theirs.here));
        let mut all: Vec<_> = foreign.chain(place.guessed().iter().copied()).collect();
        for (name, here) in &all {
            assert!(here.ours.is_none_or(|ours| place.known().contains(&ours)), "{name}");
            assert!(!place.known().contains(name), "{name}");
        }
        let length = all.len();
        all.sort_by_key(|(name, _)| name.to_ascii_lowercase());
        all.dedup_by_key(|(name, _)| name.to_ascii_lowercase());
        assert_eq!(all.len(), length, "{place:?}");
    }
}

#[test]
fn word_that_is_none_of_a_few_shows_the_accident_or_the_word_close_by() {
    let told = |text| none_of(text, &["pod", "ecs-role"], "must be one of pod, ecs-role");
    let rule = "it must be one of pod, ecs-role";
    for (text, expected) in [
        ("sa", format!("is \"sa\"; {rule}")),
        ("Pod", format!("is \"Pod\"; {rule}; write pod, in small letters")),
        ("ecs_role", format!("is \"ecs_role\"; {rule}; did you mean ecs-role?")),
        ("pod ", format!("is \"pod \", which holds a blank at its start or end; {rule}")),
        (
            "$MODE",
            format!("is \"$MODE\", which holds a variable that nothing has replaced; {rule}"),
        ),
    ] {
        assert_eq!(told(text), expected);
    }
}

#[test]
fn encodings_show_what_was_written() {
    for (text, part) in [
        (
            "Base64",
            "is \"Base64\"; it must be utf-8, base64 or hex; write base64, in small letters",
        ),
        ("utf8", "is \"utf8\"; it must be utf-8, base64 or hex; did you mean utf-8?"),
        ("base64url", "write base64, which is read with either alphabet"),
        ("rot13", "is \"rot13\"; it must be utf-8, base64 or hex"),
    ] {
        assert!(object_encoding(text).ends_with(part), "{}", object_encoding(text));
    }
}

#[test]
fn object_types_of_other_providers_say_which_is_ours() {
    for (text, part) in [
        ("KMS", "in small letters"),
        ("secretsmanager", "write kms"),
        ("SSMParameter", "write oos"),
        ("secret", "write kms"),
        ("cert", "does not hand out"),
        ("ssm", "is \"ssm\"; it must be kms"),
        ("kms ", "is \"kms \", which holds a blank at its start or end; it must be kms"),
    ] {
        let told = object_type(text, &["kms", "oos"], "must be kms or oos");
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn distances_of_names() {
    for (a, b, distance) in [
        ("", "", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("abc", "abc", 0),
        ("abc", "abd", 1),
        ("abc", "ab", 1),
        ("abc", "xabc", 1),
        ("kitten", "sitting", 3),
        ("flaw", "lawn", 2),
        ("intention", "execution", 5),
    ] {
        assert_eq!(edits(a, b), distance, "{a} {b}");
    }
    assert_eq!(edits("a", &"a".repeat(64)), 63);
    assert_eq!(edits("a", &"a".repeat(65)), usize::MAX);
    assert_eq!(edits("a", &"a".repeat(66)), usize::MAX);
}
