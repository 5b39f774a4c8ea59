//! `docs/messages.md`: what a person did, and the message that this leads to. Every row is a mount over
//! the socket. To add a row, append it to its area's list in `messages/` and write the document with
//! `UPDATE_DOCS=1 cargo test --test e2e -- messages::`.

mod cloud;
mod identity;
mod network;
mod objects;
mod parameters;
mod values;

use emulator::Fault;
use serde_json::Value;
use tonic::{Code, Status};

use crate::{
    driver::PodVolume,
    log,
    table::{CLASS, Document, Table, steady},
    world::{Setup, World},
};

const DOCUMENT: Document = Document {
    name: "messages.md",
    intro: "# Messages and what to do\n\n\
            Messages in the pod's event, with the fix. Each row is tested. In the event, message and \
            fix are joined by a semicolon.\n\n\
            kubelet and the driver put their own words in front (`MountVolume.SetUp failed ... failed \
            to mount secrets store objects for pod NAMESPACE/NAME, err: rpc error: code = CODE desc =`). \
            Then comes `SecretProviderClass NAMESPACE/NAME: `, which is left out below. Attempts, ports \
            and request ids differ from time to time.\n\n\
            A code leads to what else there is to say: [troubleshooting by error text](troubleshooting.md). \
            More messages: [fields of an object](objects.md), [identity modes](identity-modes.md), \
            [pods that cannot prove themselves](pod-identity-errors.md).\n",
    sections: &["Parameters", "Objects", "Values", "Identity", "Cloud", "Network"],
};

/// The pod that rows mount unless they say otherwise, and what it mounts.
const OBJECTS: &str = "- objectName: web/plain";

type Volume = Box<dyn FnOnce(&World) -> PodVolume>;

struct Row {
    situation: &'static str,
    input: Option<String>,
    setup: Option<Setup>,
    faults: Vec<Fault>,
    parameters: Vec<(String, String)>,
    volume: Volume,
    code: Code,
    says: Vec<&'static str>,
    never: Vec<&'static str>,
}

/// A mount that is right but for what the row changes. It must fail with INVALID_ARGUMENT unless the
/// row names another code.
fn row(situation: &'static str) -> Row {
    Row {
        situation,
        input: None,
        setup: None,
        faults: Vec::new(),
        parameters: Vec::new(),
        volume: Box::new(|world| world.pod("web", "web-1").objects(OBJECTS)),
        code: Code::InvalidArgument,
        says: Vec::new(),
        never: Vec::new(),
    }
}

impl Row {
    /// What the table shows as the input, in place of the parameters that the row sets.
    fn input(mut self, input: &str) -> Self {
        self.input = Some(input.to_owned());
        self
    }

    fn objects(self, yaml: &str) -> Self {
        self.parameter("objects", yaml)
    }

    /// A parameter of the SecretProviderClass.
    fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The volume itself, with its pod, token and Secret; parameters of the row are added to it.
    fn volume(mut self, volume: impl FnOnce(&World) -> PodVolume + 'static) -> Self {
        self.volume = Box::new(volume);
        self
    }

    /// A provider and cloud of this row's own.
    fn setup(mut self, setup: Setup) -> Self {
        self.setup = Some(setup);
        self
    }

    /// What the cloud does to this mount's calls.
    fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// The message must hold this text: the fact or fix that the row is about.
    fn says(mut self, text: &'static str) -> Self {
        self.says.push(text);
        self
    }

    fn never_says(mut self, text: &'static str) -> Self {
        self.never.push(text);
        self
    }
}

/// Mounts all rows and holds the document's section to them. The reason that a mount's log line has is where
/// its code leads to.
fn check(section: &str, rows: fn() -> Vec<Row>) {
    let work = move || async move {
        let (mut answers, log) = (Vec::new(), log::captured());
        let shared = World::start().await;
        for mut row in rows() {
            let own = match row.setup.take() {
                Some(setup) => Some(setup.start().await),
                None => None,
            };
            answers.push(answer(own.as_ref().unwrap_or(&shared), row).await);
            if let Some(own) = own {
                own.finish().await;
            }
        }
        shared.finish().await;
        (answers, log)
    };
    let (answers, log) = log::apart_in_json("trace", work).join().unwrap();
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let failed = log.lines().filter(|line| line.contains("mount failed"));
    let mut failed: Vec<Value> =
        failed.filter_map(|line| serde_json::from_str(line).ok()).collect();
    failed.retain(|line| line["error"].is_string());
    let mut table = Table::new("", &["situation", "input", "code", "message", "fix"]);
    for Answer { status, cells: [situation, input, message, fix] } in answers {
        let error = |line: &Value| line["error"].as_str().unwrap_or_default().to_owned();
        let whole = |line: &&Value| status.message().ends_with(&error(line));
        // A log line has room for more mistakes than an event.
        let begun = |line: &&Value| {
            error(line).get(..20).is_some_and(|begin| status.message().contains(begin))
        };
        let line = failed.iter().find(whole).or_else(|| failed.iter().find(begun));
        let line = line.unwrap_or_else(|| panic!("{situation}: not logged"));
        let reason = line["reason"].as_str().unwrap();
        let code = format!("[{:?}](troubleshooting.md#{reason})", status.code());
        let situation = format!("<a id=\"{}\"></a>{situation}", anchor(&situation));
        table.row(&[&situation, &input, &code, &message, &fix]);
    }
    table.holds_section(&DOCUMENT, section);
}

/// What links name the row by.
fn anchor(situation: &str) -> String {
    let words = situation.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-").to_lowercase()
}

struct Answer {
    status: Status,
    /// Situation, input, message and fix.
    cells: [String; 4],
}

async fn answer(world: &World, row: Row) -> Answer {
    let Row { situation, input, faults, parameters, volume, code, says, never, .. } = row;
    for fault in faults {
        world.emulator.add_fault(fault);
    }
    let volume = parameters
        .iter()
        .fold(volume(world), |volume, (name, value)| volume.parameter(name, value));
    let outcome = world.mount(&volume).await;
    world.emulator.clear_faults();
    let status = outcome.err().unwrap_or_else(|| panic!("{situation}: it was mounted"));
    let message = steady(status.message());
    let named = volume.sync_controller || status.message().starts_with(CLASS);
    assert!(named, "{situation}: no SecretProviderClass in: {status:?}");
    assert_eq!(status.code(), code, "{situation}: {message}");
    for text in says {
        assert!(message.contains(text), "{situation}: wanted {text:?} in: {message}");
    }
    for text in never {
        assert!(!message.contains(text), "{situation}: {text:?} misleads in: {message}");
    }
    let shown = input.unwrap_or_else(|| {
        let shown: Vec<_> = parameters.iter().map(|(name, value)| parameter(name, value)).collect();
        shown.join("\n")
    });
    // Several mistakes stay together: their fixes are between them.
    let (message, fix) = match message.split_once("; ") {
        Some((message, fix)) if !fix.contains(" | ") => (message, fix),
        _ => (&*message, ""),
    };
    let cells = [situation, &shown, message, fix].map(str::to_owned);
    Answer { status, cells }
}

fn parameter(name: &str, value: &str) -> String {
    let code = |text: &str| {
        let visible = text.replace('\t', "⇥");
        let lines = visible.lines().filter(|line| !line.is_empty());
        lines.map(|line| format!("`{line}`")).collect::<Vec<_>>().join("\n")
    };
    match (name, value) {
        ("objects", value) if !value.is_empty() => code(value),
        (name, "") => code(&format!("{name}: \"\"")),
        (name, value) => code(&format!("{name}: {value}")),
    }
}
