//! Check: what is wrong with manifests, without a cluster. What a mount would refuse is found by the code
//! that a mount runs.

pub mod finding;
mod foreign;
mod ignore;
pub(crate) mod mount;
pub mod output;
pub mod rule;
mod rules;
pub(crate) mod set;

use std::{collections::BTreeSet, time::Duration};

use finding::{Finding, Show};
use rule::Severity;
use set::Set;

use crate::{
    endpoint::Endpoints,
    manifests::File,
    names::Region,
    policy::{DefaultMode, Policy, Share},
    spc::mode::Mode,
};

/// What the operator set up, as far as it decides what a mount may ask for.
#[derive(Debug)]
pub struct Settings {
    pub endpoints: Endpoints,
    pub policy: Policy,
}

impl Settings {
    /// Of an operator who set up nothing that only he can know.
    pub fn of(region: Region, default: Mode, allowed: BTreeSet<Mode>) -> Self {
        Self {
            endpoints: Endpoints {
                region,
                public: false,
                sts: None,
                kms: None,
                oos: None,
                allowed: vec![],
            },
            policy: Policy {
                share: Share::Pod,
                default: DefaultMode::Mode(default),
                allowed,
                cross_account_roles: vec![],
                namespaces: None,
                oidc_provider: None,
                role: None,
                token_file: None,
                keys: None,
                ecs_metadata: true,
                session_name: None,
                session_lifetime: Duration::from_secs(3600),
            },
        }
    }
}

#[derive(Debug)]
pub struct Report {
    /// In the order of the files and their lines.
    pub findings: Vec<Finding>,
    /// Those that comments ignore, each with the reason given.
    pub ignored: Vec<(Finding, String)>,
    pub counts: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub files: usize,
    /// SecretProviderClasses of this provider.
    pub classes: usize,
    /// Objects that were looked at, these classes among them.
    pub manifests: usize,
    /// Objects of other kinds.
    pub passed_over: usize,
}

impl Report {
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity() == severity).count()
    }
}

pub fn check(files: &[File], settings: &Settings) -> Report {
    let set = Set::of(files, settings);
    let mut findings = Vec::new();
    rules::all(&set, &mut findings);
    hide_values(&mut findings);
    let (mut findings, ignored) = ignore::apply(files, findings);
    findings.sort_by(|a, b| (&a.place, a.rule, &a.message).cmp(&(&b.place, b.rule, &b.message)));
    let counts = Counts {
        files: files.len(),
        classes: set.classes.iter().filter(|class| class.is_ours).count(),
        manifests: files.iter().map(|file| file.manifests.len()).sum(),
        passed_over: files.iter().map(|file| file.passed_over).sum(),
    };
    Report { findings, ignored, counts }
}

/// A line on which something unknown is may be shown up to that alone.
fn hide_values(findings: &mut [Finding]) {
    let of = |finding: &Finding| (finding.place.file, finding.place.at.line);
    let unknown = findings.iter().filter(|finding| finding.place.show == Show::Name);
    let lines: BTreeSet<(usize, u32)> = unknown.map(of).collect();
    for finding in findings {
        if finding.place.show != Show::Name && lines.contains(&of(finding)) {
            finding.place.show = Show::Nothing;
        }
    }
}

#[cfg(test)]
mod tests;
