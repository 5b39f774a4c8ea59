//! `docs/reasons.md`: every reason for which a mount fails.

use provider::error::Reason;

use crate::table::Table;

#[test]
fn every_reason_is_documented_with_its_code_and_meaning() {
    let mut table = Table::new(
        "# Reasons\n\nWhy a mount failed, as `reason` of its log line. A reason keeps its name when messages \
         change. The code is gRPC's, as in the Event. [Messages and what to do](messages.md) has the \
         words, and `explain-code REASON` says the same on the command line.",
        &["reason", "code", "meaning"],
    );
    for reason in Reason::ALL {
        let code = format!("{:?}", reason.kind().code());
        let name = reason.name();
        let link = format!("[`{name}`](troubleshooting.md#{name})");
        table.row(&[&link, &code, reason.meaning().trim()]);
    }
    table.holds("reasons.md");
}
