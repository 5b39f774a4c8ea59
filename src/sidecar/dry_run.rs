//! Dry run: what a mount would write and as whom it was read, without a value.

use std::fmt::Write;

use crate::{mount::Mounted, project::OutFile, text::shown};

/// `into`: where files are written all the same.
pub(super) fn report(class: &str, mounted: &Mounted, into: Option<&str>) -> String {
    let Mounted { files, left_out, stale, interval, identity } = mounted;
    let mut told =
        format!("SecretProviderClass {}: {}", shown(class), counted(files.len(), "file"));
    if *left_out > 0 {
        let missing = counted(*left_out, "optional object");
        told.push_str(&format!(", {missing} not there"));
    }
    told.push('\n');
    if let Some(identity) = identity {
        told.push_str(&format!("read with identity {}", identity.mode));
        // Others have none, or one that the cloud names.
        if let Some(role) = identity.login.role() {
            let session = shown(&identity.session_name);
            told.push_str(&format!(", session {session}, role {role}"));
        }
        told.push('\n');
    }
    let age = if *stale { "some values are stale, and " } else { "" };
    told.push_str(&match interval.as_secs() {
        0 => format!("{age}a mount reads them each time\n"),
        seconds => format!("{age}a mount believes them for {seconds} s\n"),
    });
    table(&mut told, files);
    told.push_str(&match into {
        Some(into) => format!("written to {}, each with mode 0600\n", shown(into)),
        None => "nothing is written, and no value shown\n".to_owned(),
    });
    told
}

fn counted(count: usize, what: &str) -> String {
    let many = if count == 1 { "" } else { "s" };
    format!("{count} {what}{many}")
}

fn table(told: &mut String, files: &[OutFile]) {
    let rows: Vec<_> = files
        .iter()
        .map(|file| (file, file.bytes.expose().len().to_string(), shown(&file.version)))
        .collect();
    let size = rows.iter().map(|(_, size, _)| size.len()).max().unwrap_or_default().max(5);
    let version = rows.iter().map(|(.., version)| version.chars().count()).max();
    let version = version.unwrap_or_default().max(7);
    // Writing to a string cannot fail.
    let _ = writeln!(told, "mode  {:>size$}  {:version$}  path", "bytes", "version");
    for (file, bytes, of) in rows {
        let (mode, path) = (file.mode.bits(), file.path.as_str());
        let _ = writeln!(told, "{mode:04o}  {bytes:>size$}  {of:version$}  {}", shown(path));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        secret::Secret,
        spc::file::{FileMode, RelPath},
    };

    fn mounted(files: Vec<OutFile>) -> Mounted {
        let interval = Duration::from_secs(300);
        Mounted { files, left_out: 0, stale: false, interval, identity: None }
    }

    fn file(path: &str, mode: u32, bytes: &str, version: &str) -> OutFile {
        OutFile {
            path: RelPath::parse(path).unwrap(),
            mode: FileMode::from_bits(mode).unwrap(),
            bytes: Secret::new(bytes.as_bytes().to_vec()),
            version: version.to_owned(),
        }
    }

    #[test]
    fn report_has_each_file_and_no_value() {
        let files = vec![
            file("tls/key", 0o400, "planted-value-of-a-key", "0123456789abcdef"),
            file("a", 0o644, "planted", "v1"),
        ];
        assert_eq!(
            report("checkout", &mounted(files), None),
            "SecretProviderClass checkout: 2 files\n\
             a mount believes them for 300 s\n\
             mode  bytes  version           path\n\
             0400     22  0123456789abcdef  tls/key\n\
             0644      7  v1                a\n\
             nothing is written, and no value shown\n"
        );
    }

    #[test]
    fn report_says_what_is_missing_stale_and_written() {
        let one = vec![file("a", 0o644, "planted", "v\u{202e}1")];
        let (left_out, interval) = (1, Duration::ZERO);
        let told =
            report("c", &Mounted { left_out, interval, stale: true, ..mounted(one) }, Some("/t"));
        assert!(
            told.starts_with("SecretProviderClass c: 1 file, 1 optional object not there\n"),
            "{told}"
        );
        assert!(
            told.contains("\nsome values are stale, and a mount reads them each time\n"),
            "{told}"
        );
        assert!(told.contains("v\\u{202e}1"), "{told}");
        assert!(told.ends_with("written to /t, each with mode 0600\n"), "{told}");
    }
}
