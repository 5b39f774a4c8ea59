//! GitHub's workflow commands, which become annotations of a pull request's lines.

use super::{json::name, token};
use crate::{
    check::{Report, rule::Severity},
    manifests::File,
};

pub fn render(report: &Report, files: &[File]) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let command = match finding.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let (line, column, end) = token::columns(&finding.place, files);
        let file = property(name(&finding.place, files));
        let message = [finding.sentence()].into_iter().chain(finding.notes.clone());
        let message = message.collect::<Vec<_>>().join("\n");
        text.push_str(&format!(
            "::{command} file={file},line={line},endLine={line},col={column},endColumn={end},title={}::{}\n",
            finding.rule.code(),
            escaped(&message),
        ));
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_name_cannot_end_its_property() {
        assert_eq!(property("a,b:c%\nd"), "a%2Cb%3Ac%25%0Ad");
    }
}
