use super::*;
use crate::secret::Secret;

const ROLE: &str = "acs:ram::1234567890123456:role/web";

/// Of one object, with some parameters changed.
fn parameters(changes: &[(&str, &str)]) -> Parameters {
    let mut parameters = Parameters::default();
    for (name, value) in [("objects", "- objectName: web/plain")].iter().chain(changes) {
        parameters.insert(name, Secret::new((*value).to_owned()));
    }
    parameters
}

fn parsed(changes: &[(&str, &str)]) -> Result<Spec, Errors> {
    let (endpoints, cache) = (Endpoints::of_hangzhou(), ObjectCache::default());
    Spec::parse(&parameters(changes), &endpoints, FileMode::default(), &cache)
}

fn spec(changes: &[(&str, &str)]) -> Spec {
    parsed(changes).unwrap()
}

/// All that is said.
fn message(changes: &[(&str, &str)]) -> String {
    parsed(changes).unwrap_err().message()
}

#[test]
fn what_nobody_reads_is_a_mistake() {
    for foreign in ["providerName", "env_auth_mode", "other.io/x", "/"] {
        spec(&[(foreign, "x")]);
    }
    for (name, told) in [
        ("usePodServiceAccountTokn", "is not a parameter; did you mean usePodServiceAccountToken?"),
        ("Region", "is not a parameter; did you mean region?"),
        ("regionId", "is a parameter of Alibaba Cloud's APIs; here it is region"),
        (
            "kmsEndpoint",
            "is a field of an object, not a parameter; write kmsEndpoint in objects, beside objectName",
        ),
        (
            "jmespath",
            "is a field of an object, not a parameter; write jmesPath in objects, beside objectName",
        ),
        ("secretObjects", "is not a parameter; it belongs beside parameters, under spec"),
        (
            "keyvaultName",
            "is a parameter of the Azure provider; secrets are found by objectName and region alone; \
             remove it",
        ),
    ] {
        assert_eq!(message(&[(name, "x")]), format!("parameter \"{name}\": {told}"));
    }
}

#[test]
fn regions_and_roles_say_what_is_wrong_with_them() {
    for (region, told) in [
        ("cn-hangzhou-b", "\"cn-hangzhou-b\" is a zone; its region is cn-hangzhou"),
        (
            "cn_hangzhou",
            "\"cn_hangzhou\" is not a region id such as cn-hangzhou; write cn-hangzhou",
        ),
        ("Beijing", "\"Beijing\" is not a region id such as cn-hangzhou; write cn-beijing"),
        ("__ACK_REGION_ID__", "\"__ACK_REGION_ID__\" is a placeholder that is to be replaced"),
        ("${REGION}", "\"${REGION}\" holds a variable that nothing has replaced"),
        ("here", "\"here\" is not a region id such as cn-hangzhou"),
        ("cn-beijing ", "\"cn-beijing \" holds a blank at its start or end; write cn-beijing"),
    ] {
        assert_eq!(message(&[("region", region)]), format!("parameter region: {told}"));
    }
    for (role, told) in [
        ("web", "it is a role's name alone"),
        ("acs:ram::<account>:role/x", "it holds <...>: a placeholder that is to be replaced"),
        ("acs:ram::me:role/x", "its account is not a number"),
        (" acs:ram::1:role/x", "it holds a blank at its start or end"),
    ] {
        let form = "parameter roleArn: is not of the form acs:ram::ACCOUNT:role/NAME";
        assert_eq!(message(&[("roleArn", role)]), format!("{form}: {told}"));
    }
}

#[test]
fn parameters_that_are_none_of_those_allowed_show_the_accident() {
    for (name, text, told) in [
        (
            "identity",
            "pod ",
            "is \"pod \", which holds a blank at its start or end; it must be one of pod, ",
        ),
        ("identity", "ecs_role", "; did you mean ecs-role?"),
        (
            "pathTranslation",
            "False ",
            "is \"False \", which holds a blank at its start or end; it must be \"False\" or one",
        ),
        ("pathTranslation", "no", "is \"no\"; it must be \"False\" or one"),
        ("usePodServiceAccountToken", "true\n", "which holds a line break at its end"),
        (
            "refreshInterval",
            "${EVERY}",
            "which holds a variable that nothing has replaced; it must",
        ),
    ] {
        let message = message(&[(name, text)]);
        assert!(message.starts_with(&format!("parameter {name}: is ")), "{message}");
        assert!(message.contains(told), "{message}");
    }
}

#[test]
fn identity_and_the_official_switch_are_one_wish() {
    const SWITCH: &str = "usePodServiceAccountToken";
    let requested = |identity: &str, switch: &str| {
        let changes = [("identity", identity), (SWITCH, switch)];
        parsed(&changes).map(|spec| spec.identity).map_err(|errors| {
            let Some(error) = errors.iter().next() else { panic!("no error") };
            error.subject.to_string()
        })
    };
    let both = || Err("parameters identity and usePodServiceAccountToken".to_owned());
    for (identity, switch, expected) in [
        ("", "", Ok(RequestedIdentity::Default)),
        ("", "true", Ok(RequestedIdentity::Mode(Mode::Pod))),
        ("", "TRUE", Ok(RequestedIdentity::Mode(Mode::Pod))),
        ("", "False", Ok(RequestedIdentity::NotPod)),
        ("pod", "", Ok(RequestedIdentity::Mode(Mode::Pod))),
        ("ecs-role", "", Ok(RequestedIdentity::Mode(Mode::EcsRole))),
        ("pod", "true", Ok(RequestedIdentity::Mode(Mode::Pod))),
        ("ecs-role", "false", Ok(RequestedIdentity::Mode(Mode::EcsRole))),
        ("pod", "false", both()),
        ("ecs-role", "true", both()),
        ("", "yes", Err("parameter usePodServiceAccountToken".to_owned())),
        ("Pod", "", Err("parameter identity".to_owned())),
    ] {
        assert_eq!(requested(identity, switch), expected, "{identity} {switch}");
    }
}

#[test]
fn role_and_region_are_the_parameters() {
    assert_eq!(spec(&[("roleArn", ROLE)]).role.unwrap().as_str(), ROLE);
    let spec = spec(&[("region", "cn-beijing")]);
    assert_eq!(spec.objects[0].read.endpoint.host(), "kms-vpc.cn-beijing.aliyuncs.com");
}

#[test]
fn intervals_end_with_a_unit_and_after_a_day() {
    for (text, seconds) in [
        ("0", 0),
        ("0s", 0),
        ("30s", 30),
        ("5m", 300),
        ("2h", 7_200),
        ("86400s", 86_400),
        ("1440m", 86_400),
        ("24h", 86_400),
    ] {
        assert_eq!(parse_interval(text), Some(Duration::from_secs(seconds)), "{text}");
    }
    let overflow = format!("{}h", u64::MAX / 3_600 + 1);
    for bad in ["", "5", "s", "-1s", "1d", "1 s", "1é", "86401s", "1441m", "25h", &overflow] {
        assert_eq!(parse_interval(bad), None, "{bad}");
    }
    let refresh = |text: &str| spec(&[("refreshInterval", text)]).refresh;
    assert_eq!(refresh("30s"), Some(Duration::from_secs(30)));
    assert_eq!(refresh(""), None);
}

#[test]
fn roles_and_hosts_of_a_volume_are_bounded() {
    let role = |n: usize| {
        format!("- {{objectName: s{n}, crossAccountRoleArn: 'acs:ram::{}:role/r'}}\n", 10_000 + n)
    };
    let host = |n: usize| {
        format!("- {{objectName: s{n}, kmsEndpoint: kst-{n}.cryptoservice.kms.aliyuncs.com}}\n")
    };
    let own = "- {objectName: own, kmsEndpoint: kms-vpc.cn-hangzhou.aliyuncs.com}\n";
    let list = |count: usize, line: &dyn Fn(usize) -> String| -> String {
        (0..count)
            .map(line)
            .chain(["- {objectName: s0, objectAlias: a}\n".to_owned(), own.to_owned()])
            .collect()
    };
    assert_eq!(spec(&[("objects", &list(10, &role))]).objects.len(), 12);
    assert_eq!(spec(&[("objects", &list(8, &host))]).objects.len(), 10);
    let roles = message(&[("objects", &list(500 - 2, &role))]);
    assert!(roles.contains("object 11 \"s10\", field crossAccountRoleArn: is role 11 of this volume; 10 are the most"), "{roles}");
    let hosts = message(&[("objects", &list(9, &host))]);
    assert!(
        hosts.contains("object 9 \"s8\": kst-8.cryptoservice.kms.aliyuncs.com is host 9"),
        "{hosts}"
    );
}
