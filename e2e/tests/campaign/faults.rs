//! The rows: all that can go wrong with a call.

use std::collections::BTreeMap;

use emulator::FaultEffect;

pub(super) struct CampaignFault {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Asking again is right: once and no more, it does not fail a mount.
    pub(super) passes: bool,
}

impl CampaignFault {
    /// The host is asked slower for a while after it.
    pub(super) fn lingers(&self) -> bool {
        matches!(&self.kind, Kind::Effect(FaultEffect::Error { code, .. }) if code.contains("Throttling"))
    }
}

pub(super) enum Kind {
    /// Nobody listens at the host.
    Refused,
    /// The cloud's is 20 minutes ahead of the node's.
    Clock,
    Effect(FaultEffect),
}

/// Those that slow a host's calls down for long come last.
pub(super) fn faults() -> Vec<CampaignFault> {
    let error = |status: u16, code: &str| FaultEffect::Error {
        status,
        code: code.to_owned(),
        message: None,
        headers: BTreeMap::new(),
    };
    let echo = |status: u16, code: &str| FaultEffect::Echo { status, code: code.to_owned() };
    let reset = |bytes: usize| FaultEffect::ResetAfter { bytes };
    let passing = [
        ("connection reset", FaultEffect::Reset),
        ("reset after 1 byte of the answer", reset(1)),
        ("reset after 20 bytes", reset(20)),
        ("reset after 200 bytes", reset(200)),
        ("truncated answer", FaultEffect::Truncate),
        ("no answer at all", FaultEffect::Hang),
        ("500", error(500, "InternalFailure")),
        ("503", error(503, "ServiceUnavailableTemporary")),
        ("503 with an empty body", FaultEffect::Empty { status: 503 }),
        ("HTML page with a 502", FaultEffect::Html { status: 502 }),
        ("500 that echoes the token", echo(500, "InternalError")),
        ("redirect", error(302, "")),
        ("HTML page with a 403", FaultEffect::Html { status: 403 }),
        ("protobuf with a 400", FaultEffect::Protobuf { status: 400 }),
        ("error code that is no code", error(418, "<script>planted</script>")),
        ("nonce used", error(400, "SignatureNonceUsed")),
        ("session expired", error(403, "InvalidSecurityToken.Expired")),
    ];
    let lasting = [
        ("slow by 300 ms", FaultEffect::Latency { ms: 300 }),
        ("empty 200", FaultEffect::Empty { status: 200 }),
        ("garbage", FaultEffect::Garbage),
        ("wrong schema", FaultEffect::WrongSchema),
        ("answer of 2 MiB", FaultEffect::Huge { mib: 2 }),
        ("400", error(400, "InvalidParameter")),
        ("401", error(401, "AuthenticationFail.OIDCToken.Invalid")),
        ("403", error(403, "Forbidden.NoPermission")),
        ("403 that echoes the token", echo(403, "Forbidden.NoPermission")),
        ("404", error(404, "Forbidden.ResourceNotFound")),
    ];
    let throttling = [
        ("429", FaultEffect::throttling()),
        ("throttled with a 400", error(400, "Throttling.User")),
    ];
    let of =
        |passes| move |(name, effect)| CampaignFault { name, kind: Kind::Effect(effect), passes };
    let refused = CampaignFault { name: "connection refused", kind: Kind::Refused, passes: true };
    let clock = CampaignFault { name: "clock 20 minutes off", kind: Kind::Clock, passes: false };
    [refused]
        .into_iter()
        .chain(passing.map(of(true)))
        .chain(lasting.map(of(false)))
        .chain([clock])
        .chain(throttling.map(of(true)))
        .collect()
}
