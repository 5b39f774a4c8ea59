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

/// What the cloud sees of a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeFacts {
    pub login: LoginCall,
    pub role: RoleOwner,
    /// Whose permissions it uses, where its role's ARN is not known.
    pub owner: &'static str,
}

/// How credentials are got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginCall {
    /// AssumeRoleWithOIDC.
    WithToken,
    /// AssumeRole.
    WithKeys,
    /// Instance metadata.
    Metadata,
    /// They are keys already.
    None,
}

/// Whose role it is, if it is one that is named by its ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleOwner {
    Pod,
    Operator,
    Nobody,
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

    pub fn facts(self) -> ModeFacts {
        let facts = |login, role, owner| ModeFacts { login, role, owner };
        match self {
            Mode::Pod => facts(LoginCall::WithToken, RoleOwner::Pod, "the pod's role"),
            Mode::Provider => {
                facts(LoginCall::WithToken, RoleOwner::Operator, "the provider's role")
            }
            Mode::RamRole => facts(LoginCall::WithKeys, RoleOwner::Operator, "the provider's role"),
            Mode::NodePublishSecret => {
                let owner = "the RAM user whose access key the pod's volume brings";
                facts(LoginCall::None, RoleOwner::Nobody, owner)
            }
            Mode::AccessKey => {
                let owner = "the RAM user whose access key the operator set";
                facts(LoginCall::None, RoleOwner::Nobody, owner)
            }
            Mode::EcsRole => {
                let owner = "the RAM role of the nodes' instances";
                facts(LoginCall::Metadata, RoleOwner::Nobody, owner)
            }
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
