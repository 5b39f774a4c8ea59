#!/usr/bin/env python3
"""Follows the walk-throughs of CONTRIBUTING.md, each in a throw-away commit of a copy.

Each adds something that does not exist, has the compiler and a test look at it, and counts the files of
src that it touched: a change that spreads over more than that fails here. What it adds goes with the copy.

Usage: walkthroughs.py [NAME...]      all of them, or those named
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

OBJECT_TYPE_SOURCE = '''//! Objects of type `echo`: KMS secrets of which nothing but the name can be chosen.

use super::{
    super::{context::Context, fields::Fields, mistakes::Mistakes},
    Batch, Facts, Source, Trial, kms,
};
use crate::{
    api::Api,
    digest::Parts,
    endpoint::{Endpoint, Service},
};

pub(super) const TYPE: &str = "echo";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EchoRef {
    pub name: String,
}

impl Facts for EchoRef {
    fn object_type(&self) -> &'static str {
        TYPE
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> Option<String> {
        None
    }

    fn version_in_words(&self) -> Option<String> {
        None
    }

    fn digest(&self, parts: &mut Parts) {
        parts.part(&self.name);
    }

    fn memory(&self) -> usize {
        self.name.len()
    }

    fn api(&self) -> Api {
        Api::Echo
    }

    fn batch(&self) -> Option<Batch<'_>> {
        None
    }

    fn actions(&self) -> &'static [&'static str] {
        &["kms:Echo"]
    }

    fn trial(&self) -> Trial {
        Trial { dry_run: false, query: vec![("Name", self.name.clone())] }
    }

    fn placeholder(&self) -> &'static str {
        "NAME"
    }

    fn resources(&self, name: &str, region: &str, account: &str) -> Vec<String> {
        vec![format!("acs:kms:{region}:{account}:echo/{name}")]
    }
}

pub(super) fn parse(
    fields: &Fields<'_>,
    name: Option<&str>,
    context: &Context<'_>,
    mistakes: &mut Mistakes,
) -> Option<(Endpoint, Source)> {
    kms::name(fields, name, mistakes)?;
    let endpoint = context.endpoints.of(Service::Kms, context.region);
    Some((endpoint, Source::Echo(EchoRef { name: name?.to_owned() })))
}

#[cfg(test)]
mod tests {
    use crate::spc::objects::tests::parsed;

    #[test]
    fn walkthrough_object_type_is_parsed() {
        let objects = parsed("- {objectName: a, objectType: echo}").unwrap();
        assert_eq!(objects[0].read.source.facts().object_type(), "echo");
    }
}
'''

OBJECT_TYPE_CALL = '''//! Echo.

use super::{Cloud, Failure, ReadOptions};
use crate::{api::Api, spc::source::echo::EchoRef, value::Value};

impl Cloud {
    pub async fn echo(
        &self,
        options: &ReadOptions<'_>,
        echo: &EchoRef,
    ) -> Result<Value, Failure> {
        let bytes = self.read(options, Api::Echo, vec![("Name", &echo.name)]).await?;
        let (version, request_id) = (String::new(), String::new());
        Ok(Value { bytes, version, rotates_at: None, request_id })
    }
}
'''

MODE = '''//! Mode `nobody`: a key that opens nothing.

use std::sync::Arc;

use super::Evidence;
use crate::{error::Error, keys::Keys, login::Login, secret::Secret};

pub(super) fn login(_: &Evidence<'_>) -> Result<Login, Error> {
    let (id, secret) = ("nobody".to_owned(), Secret::new(String::new()));
    Ok(Login::Keys(Arc::new(Keys { id, secret, token: None })))
}

#[cfg(test)]
mod tests {
    use crate::spc::mode::Mode;

    #[test]
    fn walkthrough_identity_mode_has_a_name() {
        assert_eq!(Mode::parse("nobody"), Some(Mode::Nobody));
    }
}
'''

COMMAND = '''//! `greet`: says a word.

use std::process::ExitCode;

use clap::{ArgMatches, Command};

use super::Subcommand;

pub(super) const GREET: Subcommand = Subcommand { command, run };

fn command() -> Command {
    Command::new("greet").about("Says a word")
}

fn run(_: &ArgMatches) -> ExitCode {
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use crate::cli::{Invocation, parse};

    #[test]
    fn walkthrough_command_is_found() {
        let parsed = parse(["provider".into(), "greet".into()]).unwrap();
        assert!(matches!(parsed, Invocation::Command(..)));
    }
}
'''

PARAMETER_TEST = '''
#[test]
fn walkthrough_parameter_is_parsed() {
    assert_eq!(spec(&[("colour", "red")]).colour.as_deref(), Some("red"));
}
'''

# An edit: file, a text that is in it once, and what comes in its place. A file without a text is new.
WALKTHROUGHS = {
    "object-type": {
        "most": 6,
        "edits": [
            ("src/api.rs", "    GetSecretParameter,\n", "    Echo,\n    GetSecretParameter,\n"),
            (
                "src/api.rs",
                '            Api::GetSecretParameter => "GetSecretParameter",\n',
                '            Api::Echo => "Echo",\n'
                '            Api::GetSecretParameter => "GetSecretParameter",\n',
            ),
            (
                "src/api.rs",
                "Api::BatchGetSecretValue | Api::GetSecretValue => Service::Kms",
                "Api::BatchGetSecretValue | Api::Echo | Api::GetSecretValue => Service::Kms",
            ),
            ("src/spc/source.rs", "pub mod kms;\n", "pub mod echo;\npub mod kms;\n"),
            ("src/spc/source.rs", "    Kms(SecretRef),\n", "    Echo(echo::EchoRef),\n    Kms(SecretRef),\n"),
            (
                "src/spc/source.rs",
                "    ObjectType { name: oos::TYPE,",
                '    ObjectType { name: echo::TYPE, noun: "an echo", parse: echo::parse },\n'
                "    ObjectType { name: oos::TYPE,",
            ),
            (
                "src/spc/source.rs",
                "            Source::Kms(secret) => secret,\n",
                "            Source::Echo(echo) => echo,\n            Source::Kms(secret) => secret,\n",
            ),
            ("src/spc/source/echo.rs", None, OBJECT_TYPE_SOURCE),
            ("src/cloud.rs", "pub mod codes;\n", "pub mod codes;\npub mod echo;\n"),
            ("src/cloud/echo.rs", None, OBJECT_TYPE_CALL),
            (
                "src/cloud/read.rs",
                "            Source::Kms(secret) => self.get_secret_value(options, secret).await,\n",
                "            Source::Echo(echo) => self.echo(options, echo).await,\n"
                "            Source::Kms(secret) => self.get_secret_value(options, secret).await,\n",
            ),
            (
                "src/cloud/read.rs",
                "                Source::Kms(secret) => secrets.push(secret),\n",
                "                Source::Echo(_) => {}\n"
                "                Source::Kms(secret) => secrets.push(secret),\n",
            ),
        ],
    },
    "identity-mode": {
        "most": 5,
        "edits": [
            ("src/spc/mode.rs", "    EcsRole,\n}\n", "    EcsRole,\n    Nobody,\n}\n"),
            ("src/spc/mode.rs", "[Mode; 6]", "[Mode; 7]"),
            ("src/spc/mode.rs", "        Mode::EcsRole,\n", "        Mode::EcsRole,\n        Mode::Nobody,\n"),
            (
                "src/spc/mode.rs",
                '            Mode::EcsRole => "ecs-role",\n',
                '            Mode::EcsRole => "ecs-role",\n            Mode::Nobody => "nobody",\n',
            ),
            (
                "src/spc/mode.rs",
                "            Mode::EcsRole => {\n",
                "            Mode::Nobody => facts(LoginCall::None, RoleOwner::Nobody, \"nobody\"),\n            Mode::EcsRole => {\n",
            ),
            (
                "src/policy.rs",
                "            Mode::NodePublishSecret => &[],\n",
                "            Mode::NodePublishSecret | Mode::Nobody => &[],\n",
            ),
            ("src/identity/modes.rs", "mod node_publish_secret;\n", "mod nobody;\nmod node_publish_secret;\n"),
            (
                "src/identity/modes.rs",
                "        Mode::EcsRole => Ok(ecs_role::login(evidence)?),\n",
                "        Mode::EcsRole => Ok(ecs_role::login(evidence)?),\n"
                "        Mode::Nobody => Ok(nobody::login(evidence)?),\n",
            ),
            ("src/identity/modes/nobody.rs", None, MODE),
            # The compiler asks for what its sessions are, in the test of all modes.
            (
                "src/identity/tests.rs",
                "            Mode::EcsRole => \"the machine's\".to_owned(),\n",
                "            Mode::EcsRole => \"the machine's\".to_owned(),\n"
                "            Mode::Nobody => \"nobody\".to_owned(),\n",
            ),
        ],
    },
    "parameter": {
        "most": 3,
        "edits": [
            ("src/spc/names.rs", '    "identity",\n', '    "colour",\n    "identity",\n'),
            (
                "src/spc.rs",
                "    /// Parameter `roleArn`.\n",
                "    /// Parameter `colour`.\n    pub colour: Option<String>,\n    /// Parameter `roleArn`.\n",
            ),
            (
                "src/spc.rs",
                "            Some(Spec { identity: identity?,",
                "            let colour = parameters.get(\"colour\").map(str::to_owned);\n"
                "            Some(Spec { colour, identity: identity?,",
            ),
            ("src/spc/tests.rs", "#[test]\nfn what_nobody_reads", PARAMETER_TEST.lstrip() + "\n#[test]\nfn what_nobody_reads"),
            # What tests begin with.
            (
                "src/spc.rs",
                "        Self { identity: RequestedIdentity::Default,",
                "        Self { colour: None, identity: RequestedIdentity::Default,",
            ),
        ],
    },
    "command": {
        "most": 2,
        "edits": [
            ("src/commands.rs", "pub mod audit;\n", "pub mod audit;\nmod greet;\n"),
            ("src/commands.rs", "    audit::AUDIT,\n", "    greet::GREET,\n    audit::AUDIT,\n"),
            ("src/commands/greet.rs", None, COMMAND),
        ],
    },
    "audit-field": {
        "most": 2,
        "edits": [
            ("src/audit/record.rs", "    pub mount: String,\n", "    pub mount: String,\n    /// Where the volume is.\n    pub target_path: String,\n"),
            ("src/audit/record.rs", "[&mut String; 9]", "[&mut String; 10]"),
            ("src/audit/record.rs", "            &mut self.mount,\n", "            &mut self.mount,\n            &mut self.target_path,\n"),
            ("src/mount/audit.rs", "        mount: trace.id.clone(),\n", "        mount: trace.id.clone(),\n        target_path: trace.target_path.clone(),\n"),
        ],
    },
}


def is_test(path):
    """The tests of a change are no part of it."""
    return path.endswith("/tests.rs")


def run(folder, *command, **options):
    subprocess.run(command, cwd=folder, check=True, **options)


def output(folder, *command):
    return subprocess.run(command, cwd=folder, check=True, text=True, capture_output=True).stdout


def apply(folder, name, edits):
    for path, before, after in edits:
        file = folder / path
        if before is None:
            file.write_text(after)
            continue
        text = file.read_text()
        if text.count(before) != 1:
            sys.exit(f"{name}: {path} has this {text.count(before)} times, not once:\n{before}")
        file.write_text(text.replace(before, after))


def commit(folder, message):
    author = ["-c", "user.name=walkthrough", "-c", "user.email=walkthrough@localhost"]
    run(folder, "git", "add", "--all")
    run(folder, "git", *author, "commit", "--quiet", "--message", message)


def copy_tree(folder):
    """The tree as it is, committed or not, as the first commit of a repository of its own."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for path in output(ROOT, *listed).split("\0"):
        if path and (ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, folder / path)
    run(folder, "git", "init", "--quiet")
    commit(folder, "start")
    run(folder, "git", "tag", "start")


def follow(folder, name):
    """The files of src that the walk-through touches."""
    walk = WALKTHROUGHS[name]
    run(folder, "git", "reset", "--quiet", "--hard", "start")
    run(folder, "git", "clean", "--quiet", "-fd")
    apply(folder, name, walk["edits"])
    commit(folder, f"throw-away: {name}")
    target = {**os.environ, "CARGO_TARGET_DIR": str(ROOT / "target/walkthroughs")}
    run(folder, "cargo", "test", "--locked", "--quiet", "--lib", "walkthrough", env=target)
    changed = output(folder, "git", "diff", "--name-only", "start", "--", "src").split()
    print(output(folder, "git", "diff", "--stat", "start"))
    return [path for path in changed if not is_test(path)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", nargs="*", help="one of " + ", ".join(WALKTHROUGHS))
    names = parser.parse_args().name or list(WALKTHROUGHS)
    unknown = [name for name in names if name not in WALKTHROUGHS]
    if unknown:
        parser.error(f"there is no walk-through {unknown[0]}")
    too_many = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary) / "copy"
        folder.mkdir()
        copy_tree(folder)
        for name in names:
            files = follow(folder, name)
            most = WALKTHROUGHS[name]["most"]
            print(f"{name}: {len(files)} files of src; {most} are the most\n", flush=True)
            if len(files) > most:
                too_many.append(name)
    if too_many:
        sys.exit(f"more files than allowed: {', '.join(too_many)}")


if __name__ == "__main__":
    main()
