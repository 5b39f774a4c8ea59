//! Identity modes: the ways in which a mount can have an identity.

use std::fmt;

/// How a mount can prove itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    Pod,
    Provider,
    RamRole,
    NodePublishSecret,
    AccessKey,
    EcsRole,
}

impl Mode {
    /// In the order in which the official provider tries them.
    pub const ALL: [Mode; 6] = [
        Mode::Pod,
        Mode::Provider,
        Mode::RamRole,
        Mode::NodePublishSecret,
        Mode::AccessKey,
        Mode::EcsRole,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Mode::Pod => "pod",
            Mode::Provider => "provider",
            Mode::RamRole => "ram-role",
            Mode::NodePublishSecret => "node-publish-secret",
            Mode::AccessKey => "access-key",
            Mode::EcsRole => "ecs-role",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == text)
    }

    pub fn list() -> String {
        Self::ALL.map(Mode::name).join(", ")
    }

    /// Whether pods that use it are one and the same to the cloud.
    pub fn is_shared(self) -> bool {
        !matches!(self, Mode::Pod | Mode::NodePublishSecret)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
