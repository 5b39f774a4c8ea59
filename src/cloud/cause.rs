//! Cause: why a call failed, and what follows from it.

use crate::{
    error::{ErrorKind, Reason},
    http::Broken,
};

/// Which limit on calls at once was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The operator's, over all hosts of a service.
    Service(usize),
    /// That of one host, which was overloaded.
    Host(usize),
    /// That of the hosts that SecretProviderClasses name, or of one of them that never answered.
    Named(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No connection, one that broke, or an answer that is not taken.
    Broken(Broken),
    /// The clock here and there differ by too much.
    Clock,
    /// The identity may not do this.
    Denied,
    /// An answer that is not what the operation answers.
    Garbled,
    /// A parameter is wrong.
    Invalid,
    /// STS could not get what it needs to check a token.
    IssuerUnread,
    /// No place among the calls allowed at once came free in time.
    NoPlace(Full),
    /// The role to become does not exist.
    NoRole,
    NonceUsed,
    /// The secret or parameter does not exist.
    NotFound,
    /// It, or the version of it that was asked for, does not exist.
    NoVersion,
    /// A KMS instance whose image is too old for this operation.
    OldInstance,
    /// An answer that is not the service's: a page of a proxy, a firewall, a gateway.
    OnTheWay,
    /// A fault of the cloud's.
    Server,
    /// The session is expired or was taken back; a new one may do.
    SessionRefused,
    Throttled,
    TimedOut,
    /// The keys or the token do not prove anyone.
    Unauthenticated,
    /// The operation does not exist at this endpoint.
    UnknownApi,
    /// A value that cannot be put into a request.
    Unsendable,
    /// An encryption key, a KMS instance or the account is in a state in which nothing is given out.
    Unusable,
}

impl Cause {
    pub fn reason(self) -> Reason {
        match self {
            Cause::Broken(Broken::Certificate(_)) => Reason::Certificate,
            Cause::Broken(Broken::Connection(_)) => Reason::Unreachable,
            Cause::Broken(Broken::TooLarge) | Cause::Garbled => Reason::Garbled,
            Cause::Clock => Reason::Clock,
            Cause::Denied => Reason::Denied,
            Cause::Invalid | Cause::Unsendable => Reason::CallRefused,
            Cause::IssuerUnread => Reason::IssuerUnread,
            Cause::NoPlace(_) => Reason::NoPermit,
            Cause::NoRole => Reason::RoleNotFound,
            Cause::NotFound | Cause::NoVersion => Reason::NotFound,
            Cause::OldInstance => Reason::OldInstance,
            Cause::OnTheWay => Reason::NotTheService,
            Cause::NonceUsed | Cause::Server => Reason::ServerError,
            Cause::SessionRefused => Reason::SessionRefused,
            Cause::Throttled => Reason::Throttled,
            Cause::TimedOut => Reason::Timeout,
            Cause::Unauthenticated => Reason::Unauthenticated,
            Cause::UnknownApi => Reason::UnknownApi,
            Cause::Unusable => Reason::CloudState,
        }
    }

    pub fn kind(self) -> ErrorKind {
        self.reason().kind()
    }

    /// Whether it is the service's answer, and a no to this identity or about this object. After it
    /// nothing that was read before may be handed out. What could not be asked, or was not
    /// understood, is no such answer.
    pub fn is_refusal(self) -> bool {
        match self {
            Cause::Denied
            | Cause::Invalid
            | Cause::NoRole
            | Cause::NotFound
            | Cause::NoVersion
            | Cause::SessionRefused
            | Cause::Unauthenticated
            | Cause::Unusable => true,
            Cause::Broken(_)
            | Cause::Clock
            | Cause::Garbled
            | Cause::IssuerUnread
            | Cause::NoPlace(_)
            | Cause::NonceUsed
            | Cause::OldInstance
            | Cause::OnTheWay
            | Cause::Server
            | Cause::Throttled
            | Cause::TimedOut
            | Cause::UnknownApi
            | Cause::Unsendable => false,
        }
    }

    /// Whether an `optional` object may be left out for it.
    pub fn is_missing(self) -> bool {
        self == Cause::NotFound
    }

    /// Whether asking again later can help.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Cause::Broken(Broken::Connection(_))
                | Cause::Garbled
                | Cause::OnTheWay
                | Cause::Server
                | Cause::Throttled
                | Cause::TimedOut
        )
    }

    pub fn is_too_large(self) -> bool {
        self == Cause::Broken(Broken::TooLarge)
    }

    /// Whether what one call cannot have for several objects, calls for each may. The others are
    /// about the host or the identity.
    pub fn is_of_a_batch(self) -> bool {
        matches!(
            self,
            Cause::Broken(Broken::TooLarge)
                | Cause::Denied
                | Cause::Garbled
                | Cause::Invalid
                | Cause::NotFound
                | Cause::NoVersion
                | Cause::OldInstance
                | Cause::OnTheWay
                | Cause::UnknownApi
                | Cause::Unusable
        )
    }
}

#[cfg(test)]
mod tests;
