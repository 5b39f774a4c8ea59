use super::*;

const RIGHT: [&str; 3] = ["--file=/class/spc.yaml", "--into=/secrets", "--region=cn-hangzhou"];

fn with(more: &[&str], environment: &[(&str, &str)]) -> Result<Sidecar, Vec<String>> {
    let command = arguments(Command::new("mount"));
    let given = ["mount"].iter().chain(&RIGHT).chain(more);
    let given = Arguments::of(&command.try_get_matches_from(given).unwrap());
    let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    Sidecar::parse(&given, &environment.iter().map(own).collect::<Vec<_>>())
}

fn mistake(more: &[&str]) -> String {
    let mut mistakes = with(more, &[]).unwrap_err();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    mistakes.remove(0)
}

fn hook(more: &[&str]) -> Option<Hook> {
    let more: Vec<_> = ["--watch"].iter().chain(more).copied().collect();
    with(&more, &[]).unwrap().watch.unwrap().on_change
}

#[test]
fn once_is_what_is_done_unless_a_flag_says_otherwise() {
    let sidecar = with(&[], &[]).unwrap();
    assert!(sidecar.watch.is_none() && !sidecar.allow_disk && sidecar.class.is_none());
    assert_eq!(sidecar.process.warnings, [""; 0]);
    let watch = with(&["--watch"], &[]).unwrap().watch.unwrap();
    assert!(watch.admin.is_none() && watch.on_change.is_none());
}

#[test]
fn file_and_folder_have_to_be_given() {
    let command = arguments(Command::new("mount"));
    let given = Arguments::of(&command.try_get_matches_from(["mount"]).unwrap());
    let mistakes = Sidecar::parse(&given, &[]).unwrap_err();
    assert_eq!(mistakes, ["--file is missing", "--into is missing"]);
}

#[test]
fn dry_run_needs_no_folder_and_is_done_once() {
    let dry =
        |more: &[&str]| with(&[&["--dry-run"], more].concat(), &[]).map(|sidecar| sidecar.goal);
    assert_eq!(dry(&[]), Ok(Goal::DryRun(Some("/secrets".into()))));
    let command = arguments(Command::new("mount"));
    let given = ["mount", RIGHT[0], RIGHT[2], "--dry-run"];
    let given = Arguments::of(&command.try_get_matches_from(given).unwrap());
    let sidecar = Sidecar::parse(&given, &[]).unwrap();
    assert_eq!((sidecar.goal, &*sidecar.process.reach.tree), (Goal::DryRun(None), &[][..]));
    assert_eq!(mistake(&["--dry-run", "--watch"]), "--dry-run and --watch: give one");
    assert_eq!(with(&["--dry-run=false"], &[]).unwrap().goal, Goal::Files("/secrets".into()));
}

#[test]
fn every_flag_but_the_program_is_a_variable_too() {
    let environment =
        [("ALIBABACLOUD_PROVIDER_WATCH", "true"), ("ALIBABACLOUD_PROVIDER_NAME", "web")];
    let sidecar = with(&[], &environment).unwrap();
    assert!(sidecar.watch.is_some());
    assert_eq!(sidecar.class.as_deref(), Some("web"));
}

#[test]
fn what_an_operator_allows_is_no_flag_and_no_bound() {
    let command = arguments(Command::new("mount"));
    let known: Vec<_> = command.get_arguments().filter_map(Arg::get_long).collect();
    for flag in NOT_HERE {
        let own = OWN.iter().any(|own| own.name == flag);
        assert_eq!(known.contains(&flag), own, "{flag}");
    }
    let policy = with(&[], &[]).unwrap().engine.policy;
    assert!(Mode::ALL.iter().all(|mode| policy.allowed.contains(mode)));
    assert!(policy.cross_account_roles.iter().any(|glob| glob.matches("acs:ram::1:role/a")));
    let mistakes = with(&[], &[("ALIBABACLOUD_PROVIDER_ALLOWED_IDENTITIES", "pod")]).unwrap_err();
    assert!(mistakes[0].contains("is not a variable of this program"), "{mistakes:?}");
}

#[test]
fn sandbox_leaves_the_class_the_token_and_the_folder() {
    let token = [("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/tokens/token")];
    let reach = with(&["--watch"], &token).unwrap().process.reach;
    let path = PathBuf::from;
    assert_eq!((reach.write, reach.tree), (vec![], vec![path("/secrets")]));
    assert_eq!((reach.read, reach.signals), (vec![path("/tokens"), path("/class")], false));
    let more = ["--watch", "--on-change-signal=HUP", "--on-change-pid-file=/run/app/pid"];
    let reach = with(&more, &token).unwrap().process.reach;
    assert_eq!(reach.read, [path("/tokens"), path("/class"), path("/run/app")]);
    assert!(reach.signals);
}

#[test]
fn change_is_told_by_a_signal_or_a_program() {
    let pid_file = Whom::PidFile("/pid".into());
    assert_eq!(
        hook(&["--on-change-signal=SIGUSR1", "--on-change-pid-file=/pid"]),
        Some(Hook::Signal(Signal::USR1, pid_file))
    );
    assert_eq!(
        hook(&["--on-change-signal=HUP", "--on-change-process=nginx"]),
        Some(Hook::Signal(Signal::HUP, Whom::Named("nginx".to_owned())))
    );
    let program = ["nginx", "-s", "reload"].map(str::to_owned).to_vec();
    assert_eq!(hook(&["--on-change-exec", "nginx", "-s", "reload"]), Some(Hook::Run(program)));
}

#[test]
fn half_of_what_a_signal_needs_is_refused() {
    for (more, told) in [
        (
            &["--watch", "--on-change-signal=HUP"][..],
            "--on-change-signal needs --on-change-pid-file",
        ),
        (&["--watch", "--on-change-process=nginx"], "need --on-change-signal"),
        (
            &[
                "--watch",
                "--on-change-signal=HUP",
                "--on-change-process=a",
                "--on-change-pid-file=/pid",
            ],
            "give one",
        ),
        (&["--watch", "--on-change-signal=HUP", "--on-change-exec", "a"], "give one"),
        (&["--watch", "--on-change-signal=KILL", "--on-change-process=a"], "must be one of HUP"),
        (&["--on-change-exec", "a"], "needs --watch"),
        (&["--healthz-port=1"], "--healthz-port needs --watch"),
    ] {
        let mistakes = with(more, &[]).unwrap_err();
        assert!(mistakes.iter().any(|mistake| mistake.contains(told)), "{more:?}: {mistakes:?}");
    }
    assert!(mistake(&["--on-change-exec", "a"]).contains("needs --watch"));
}

#[test]
fn termination_log_can_be_elsewhere_or_off() {
    let file = |flag: &str| with(&[flag], &[]).unwrap().termination_log;
    assert_eq!(file("--termination-log=/log"), Some("/log".into()));
    assert_eq!(file("--termination-log=off"), None);
}
