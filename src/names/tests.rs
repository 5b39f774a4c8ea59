use super::*;

#[test]
fn regions_can_only_be_host_name_parts() {
    for good in ["cn-hangzhou", "ap-southeast-1", "cn-heyuan-acdr-1"] {
        assert_eq!(Region::parse(good).unwrap().as_str(), good);
    }
    let long = "cn-".repeat(20);
    for bad in [
        "",
        "cn",
        "cn-",
        "-cn",
        "CN-hangzhou",
        "cn-a.evil.com",
        "cn-a/",
        // OSS answers there for anyone who has such a bucket.
        "oss-cn-hangzhou",
        "s3-oss-cn-hangzhou",
        "web-1",
        &long,
    ] {
        assert_eq!(Region::parse(bad), None, "{bad}");
    }
}

#[test]
fn zones_and_near_regions_name_the_region_that_was_meant() {
    for (text, meant) in [
        ("cn-hangzhou-b", Some("cn-hangzhou")),
        ("ap-southeast-1a", Some("ap-southeast-1")),
        ("CN-Hangzhou", Some("cn-hangzhou")),
        ("cn_hangzhou", Some("cn-hangzhou")),
        ("cn-beijing ", Some("cn-beijing")),
        ("Hangzhou", Some("cn-hangzhou")),
        ("__ACK_REGION_ID__", None),
        ("here", None),
        ("oss-cn-hangzhou", None),
        ("", None),
    ] {
        assert_eq!(Region::parse(text), None, "{text}");
        assert_eq!(Region::meant(text).as_ref().map(Region::as_str), meant, "{text}");
    }
    for region in ["cn-wuhan-lr", "cn-north-2-gov-1", "us-west-1", "cn-hangzhou-finance"] {
        assert!(Region::parse(region).is_some(), "{region}");
    }
}

#[test]
fn what_is_no_role_says_why() {
    for (text, why) in [
        ("web", "it is a role's name alone"),
        (" acs:ram::1:role/web", "it holds a blank at its start or end"),
        ("acs:ram::1:role/web\n", "it holds a blank at its start or end"),
        ("role/web", "it is a role's name alone"),
        ("arn:aws:iam::1:role/web", "it is an ARN of another cloud"),
        ("acs:kms::1:role/web", "it is no ARN of RAM"),
        ("acs:ram:1:role/web", "its account is not where it belongs"),
        ("acs:ram::<account>:role/web", "its account is not a number"),
        ("acs:ram::1:user/web", "it is no role's"),
        (
            "acs:ram::1:role/a b",
            "its role's name is empty, too long, or holds a character that no name has",
        ),
    ] {
        assert_eq!(RoleArn::parse(text), None, "{text}");
        assert_eq!(RoleArn::problem(text), why, "{text}");
    }
}

#[test]
fn arns_are_taken_apart_strictly() {
    assert_eq!(
        secret_arn_region("acs:kms:cn-beijing:123:secret/a/b").unwrap().as_str(),
        "cn-beijing"
    );
    for bad in [
        "acs:kms:cn-beijing:123:key/x",
        "acs:oos:cn-beijing:123:secret/x",
        "acs:kms::1:secret/x",
        "acs:kms:cn-beijing:x:secret/x",
        "acs:kms:cn-beijing:1:secret/",
        "acs:kms",
    ] {
        assert!(secret_arn_region(bad).is_err(), "{bad}");
    }
    assert!(RoleArn::parse("acs:ram::123:role/app").is_some());
    for bad in ["acs:ram::123:user/app", "acs:ram::x:role/app", "acs:ram::1:role/a b", "role"] {
        assert_eq!(RoleArn::parse(bad), None, "{bad}");
    }
    let provider = OidcProviderArn::of_cluster("123", "c1").unwrap();
    assert_eq!(provider.as_str(), "acs:ram::123:oidc-provider/ack-rrsa-c1");
    assert_eq!(provider.account(), "123");
}

#[test]
fn globs() {
    for (pattern, text, expected) in [
        ("acs:ram::1:role/*", "acs:ram::1:role/app", true),
        ("acs:ram::1:role/*", "acs:ram::12:role/app", false),
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "axxbyy", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*", "", true),
        ("", "x", false),
    ] {
        assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
    }
}
