use std::sync::Arc;

use super::*;
use crate::spc::objects;

fn reads(text: &str) -> Vec<Arc<Read>> {
    objects::tests::parsed(text).unwrap().into_iter().map(|object| object.read).collect()
}

fn planned(text: &str, may: impl Fn(&Batch<'_>) -> bool) -> Vec<(Api, Vec<usize>)> {
    let reads = reads(text);
    let reads: Vec<&Read> = reads.iter().map(|read| &**read).collect();
    calls(&reads, |_, batch| may(batch)).into_iter().map(|call| (call.api, call.reads)).collect()
}

fn list(objects: usize, kind: &str) -> String {
    (0..objects).map(|n| format!("- {{objectName: n{n}, objectType: {kind}}}\n")).collect()
}

#[test]
fn secrets_go_out_in_twenties_and_parameters_in_tens() {
    use Api::*;
    let kms = planned(&list(41, "kms"), |_| true);
    let sizes: Vec<_> = kms.iter().map(|(api, reads)| (*api, reads.len())).collect();
    assert_eq!(sizes, [(BatchGetSecretValue, 20), (BatchGetSecretValue, 20), (GetSecretValue, 1)]);
    let oos = planned(&list(11, "oos"), |_| true);
    let sizes: Vec<_> = oos.iter().map(|(api, reads)| (*api, reads.len())).collect();
    assert_eq!(sizes, [(GetSecretParameters, 10), (GetSecretParameter, 1)]);
    assert_eq!(oos[0].1, (0..10).collect::<Vec<_>>());
}

#[test]
fn reads_that_may_not_go_out_together_go_alone() {
    use Api::*;
    let both = "- {objectName: a}\n- {objectName: b}\n- {objectName: c, objectType: oos}\n\
                - {objectName: d, objectType: oos}\n";
    let oos_only = planned(both, |batch| batch.api != BatchGetSecretValue);
    assert_eq!(
        oos_only,
        [(GetSecretValue, vec![0]), (GetSecretValue, vec![1]), (GetSecretParameters, vec![2, 3])]
    );
    assert_eq!(planned(both, |_| false).len(), 4);
}

#[test]
fn arns_versions_and_second_reads_of_a_name_go_alone() {
    use Api::*;
    let arn = "acs:kms:cn-hangzhou:1:secret/a";
    let text = format!(
        "- {{objectName: a}}\n- {{objectName: a, objectVersion: v1, objectAlias: x}}\n\
         - {{objectName: '{arn}', objectAlias: y}}\n- {{objectName: b}}\n\
         - {{objectName: p, objectType: oos}}\n\
         - {{objectName: p, objectType: oos, objectVersion: '3', objectAlias: z}}\n"
    );
    assert_eq!(
        planned(&text, |_| true),
        [
            (BatchGetSecretValue, vec![0, 3]),
            (GetSecretValue, vec![1]),
            (GetSecretValue, vec![2]),
            (GetSecretParameter, vec![4]),
            (GetSecretParameter, vec![5])
        ]
    );
}

#[test]
fn hosts_and_roles_are_not_mixed() {
    let role = "acs:ram::1234567890123456:role/r";
    let text = format!(
        "- {{objectName: a}}\n- {{objectName: b, crossAccountRoleArn: '{role}'}}\n\
         - {{objectName: c, kmsEndpoint: kms-vpc.cn-beijing.aliyuncs.com}}\n"
    );
    assert_eq!(planned(&text, |_| true).len(), 3);
}
