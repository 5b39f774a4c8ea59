//! Variables that are set and that nothing reads.

use std::path::Path;

use super::{flag, settings::Settings};
use crate::{spc::hints, text::quoted};

/// Of the official clients, the official provider and its predecessors.
const OFFICIAL: [&str; 3] = ["ALICLOUD_", "ALIBABA_CLOUD_", "ALIBABACLOUD_"];

/// STS, KMS and OOS are called over https.
const UNUSED_PROXIES: [&str; 2] = ["HTTP_PROXY", "http_proxy"];

impl Settings<'_> {
    /// To be called last: what was read is known then. `flags`: of the command.
    pub(super) fn unread(&mut self, flags: impl Iterator<Item = &'static str>) {
        let environment = self.environment;
        let set = environment.iter().filter(|(_, text)| !text.trim().is_empty());
        let names: Vec<&str> = set.map(|(name, _)| name.as_str()).collect();
        let own: Vec<String> = flags.map(flag::variable).collect();
        let mut unread = Vec::new();
        for &name in &names {
            if name.starts_with(flag::PREFIX) {
                if !own.iter().any(|known| known == name) {
                    let near = nearest(name, own.iter());
                    self.wrong(format!("{} is not a variable of this program{near}", quoted(name)));
                }
            } else if OFFICIAL.iter().any(|prefix| name.starts_with(prefix))
                && !self.known.contains(name)
            {
                unread.push(format!("{}{}", quoted(name), nearest(name, self.known.iter())));
            }
        }
        if !unread.is_empty() {
            self.warn(format!("set in the environment and not read: {}", unread.join(", ")));
        }
        let proxies: Vec<_> =
            UNUSED_PROXIES.into_iter().filter(|name| names.contains(name)).collect();
        if !proxies.is_empty() && !self.proxy_is_given() {
            self.warn(format!(
                "set in the environment and not used: {}; STS, KMS and OOS are called over https: their \
                 proxy is --https-proxy (HTTPS_PROXY)",
                proxies.join(", ")
            ));
        }
    }

    pub(super) fn system_certificates(&mut self) {
        if let Some(path) = self.env(&["SSL_CERT_FILE"])
            && !Path::new(&path).is_file()
        {
            self.warn(format!("SSL_CERT_FILE: there is no file {path}"));
        }
        let folders = self.env(&["SSL_CERT_DIR"]).unwrap_or_default();
        for folder in std::env::split_paths(&folders) {
            if !folder.as_os_str().is_empty() && !folder.is_dir() {
                self.warn(format!("SSL_CERT_DIR: there is no folder {}", folder.display()));
            }
        }
    }
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<&str> = known.map(String::as_str).collect();
    hints::near(name, &known).map_or(String::new(), |near| format!(" (did you mean {near}?)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::flags;

    #[test]
    fn help_names_every_variable_that_is_read_and_no_other() {
        let none = flags::Flags::default();
        let mut settings = Settings::new(&none, &[]);
        settings.config();
        let help = flags::command().render_long_help().to_string();
        let words = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named = words.filter(|word| OFFICIAL.iter().any(|prefix| word.starts_with(prefix)));
        for name in named.filter(|name| !name.starts_with(flag::PREFIX)) {
            assert!(settings.known.contains(name), "{name}");
        }
        for name in settings.known.iter().filter(|name| !name.starts_with(flag::PREFIX)) {
            assert!(help.contains(name), "{name}");
        }
        assert!(help.contains("HTTP_PROXY"));
    }
}
