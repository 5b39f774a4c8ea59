//! Plan: which calls read the objects of a mount. Pure, so that what would be called can be told without
//! a call.

use std::collections::{HashMap, HashSet};

use crate::{
    api::Api,
    endpoint::Endpoint,
    names::{Region, RoleArn},
    spc::{
        read::Read,
        source::{Batch, Facts},
    },
};

/// One call, and which of the reads it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub api: Api,
    pub reads: Vec<usize>,
}

/// Of one login and host, and of one region where the operation names it.
type Group<'a> = (Api, &'a Endpoint, Option<&'a Region>, Option<&'a RoleArn>);

/// Reads that can go out together do, unless `may` has something against it. Each name is in a call
/// once: an answer is told apart by names alone.
pub fn calls<'a>(reads: &[&'a Read], may: impl Fn(usize, &Batch<'a>) -> bool) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open: HashMap<Group<'a>, (usize, HashSet<&str>)> = HashMap::new();
    for (at, read) in reads.iter().enumerate() {
        let facts: &'a dyn Facts = read.source.facts();
        let alone = Call { api: facts.api(), reads: vec![at] };
        let Some(batch) = facts.batch().filter(|batch| may(at, batch)) else {
            calls.push(alone);
            continue;
        };
        let role = read.cross_account_role.as_ref();
        let group = (batch.api, &read.endpoint, batch.region, role);
        match open.get_mut(&group) {
            Some((_, names)) if names.contains(facts.name()) => calls.push(alone),
            Some((call, names)) if names.len() < batch.most => {
                names.insert(facts.name());
                if let Some(call) = calls.get_mut(*call) {
                    call.api = batch.api;
                    call.reads.push(at);
                }
            }
            // Of one read until there is a second.
            _ => {
                open.insert(group, (calls.len(), HashSet::from([facts.name()])));
                calls.push(alone);
            }
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::spc::objects;

    fn reads(text: &str) -> Vec<Arc<Read>> {
        objects::tests::parsed(text).unwrap().into_iter().map(|object| object.read).collect()
    }

    fn planned(text: &str, may: impl Fn(&Batch<'_>) -> bool) -> Vec<(Api, Vec<usize>)> {
        let reads = reads(text);
        let reads: Vec<&Read> = reads.iter().map(|read| &**read).collect();
        calls(&reads, |_, batch| may(batch))
            .into_iter()
            .map(|call| (call.api, call.reads))
            .collect()
    }

    fn list(objects: usize, kind: &str) -> String {
        (0..objects).map(|n| format!("- {{objectName: n{n}, objectType: {kind}}}\n")).collect()
    }

    #[test]
    fn secrets_go_out_in_twenties_and_parameters_in_tens() {
        use Api::*;
        let kms = planned(&list(41, "kms"), |_| true);
        let sizes: Vec<_> = kms.iter().map(|(api, reads)| (*api, reads.len())).collect();
        assert_eq!(
            sizes,
            [(BatchGetSecretValue, 20), (BatchGetSecretValue, 20), (GetSecretValue, 1)]
        );
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
            [
                (GetSecretValue, vec![0]),
                (GetSecretValue, vec![1]),
                (GetSecretParameters, vec![2, 3])
            ]
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
}
