use super::*;
use crate::manifests::{Body, File};

fn ours_of_class(parameters: &str) -> Option<String> {
    let parameters = parameters.replace('\n', "\n    ");
    let text = format!("kind: SecretProviderClass\nspec:\n  parameters:\n    {parameters}\n");
    let file = File::read("a".to_owned(), text);
    assert!(file.unreadable.is_empty(), "{:?}", file.unreadable);
    let Body::Class(class) = &file.manifests[0].body else { panic!() };
    ours(class)
}

#[test]
fn azures_array_becomes_a_list() {
    let text = "objects: |\n  array:\n  - |\n    objectName: db\n    objectType: secret\n    \
                objectAlias: database\n  - |\n    objectName: other\n    objectType: secret";
    let told = ours_of_class(text).unwrap();
    assert_eq!(
        told,
        "this is the form of the Azure provider; here objects would be\n\
         - objectName: db\n  objectAlias: database\n- objectName: other"
    );
}

#[test]
fn aws_types_become_ours() {
    let text = "objects: |\n  - objectName: arn:aws:secretsmanager:us-east-1:1:secret:db\n    \
                objectType: secretsmanager\n  - {objectName: /a/b, objectType: ssmparameter}";
    let told = ours_of_class(text).unwrap();
    assert!(told.starts_with("this is the form of the AWS provider"), "{told}");
    assert!(
        told.ends_with("\n- objectName: db\n- objectName: \"/a/b\"\n  objectType: oos"),
        "{told}"
    );
}

#[test]
fn google_and_vault_objects_become_ours() {
    let text =
        "secrets: |\n  - resourceName: projects/p/secrets/db/versions/latest\n    path: db.txt";
    let told = ours_of_class(text).unwrap();
    assert!(told.ends_with("\n- objectName: db\n  objectAlias: db.txt"), "{told}");
    let text = "objects: |\n  - objectName: password\n    secretPath: secret/data/shop/db\n    \
                secretKey: pass-word";
    let told = ours_of_class(text).unwrap();
    assert!(
        told.ends_with(
            "\n- objectName: shop/db\n  jmesPath:\n  - path: '\"pass-word\"'\n    objectAlias: password"
        ),
        "{told}"
    );
}

#[test]
fn our_own_form_and_what_cannot_be_carried_over_are_left_alone() {
    for text in [
        "objects: |\n  - objectName: a",
        "objects: |\n  - {objectName: a, objectType: oos}",
        "objects: |\n  - {objectName: a, objectType: cert}",
        "objects: a",
        "region: cn-hangzhou",
    ] {
        assert_eq!(ours_of_class(text), None, "{text}");
    }
}
