//! Where a secret's bytes land in the volume: the driver's own rules for paths and modes, applied
//! before the driver does, because its errors come late and are hidden during rotation.

use std::{collections::BTreeMap, fmt};

use crate::{
    limits,
    text::{is_invisible, is_private_use, quoted},
};

/// A file's path inside the volume.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);

impl RelPath {
    pub fn parse(path: &str) -> Result<Self, &'static str> {
        if path.is_empty() {
            return Err("is empty");
        }
        if path.starts_with('/') {
            return Err("is an absolute path");
        }
        if path.len() > limits::FILE_PATH {
            return Err("is longer than 4096 bytes");
        }
        if path.chars().any(char::is_control) {
            return Err("holds a control character");
        }
        // The driver takes them; nobody could type such a name, or see it right in a list.
        if path.chars().any(is_invisible) {
            return Err("holds an invisible character");
        }
        if path.chars().any(is_private_use) {
            return Err("holds a character for private use, which has no form of its own");
        }
        if path.starts_with("..") {
            return Err("starts with \"..\"");
        }
        for element in path.split('/') {
            match element {
                "" => return Err("has an empty element (a double or trailing slash)"),
                "." => return Err("has an element \".\""),
                ".." => return Err("has an element \"..\""),
                long if long.len() > limits::FILE_NAME => {
                    return Err("has an element longer than 255 bytes");
                }
                _ => {}
            }
        }
        Ok(Self(path.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Permission bits of a file, 0 to 0o777.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(u16);

/// The driver's own (CSI spec parameter `permission`).
impl Default for FileMode {
    fn default() -> Self {
        Self(0o644)
    }
}

impl FileMode {
    /// The bits as the driver's `permission` gives them: a decimal number.
    pub fn from_bits(bits: u32) -> Option<Self> {
        u16::try_from(bits).ok().filter(|bits| (1..=0o777).contains(bits)).map(Self)
    }

    /// As people write it: "0400", "644".
    pub fn parse_octal(text: &str) -> Option<Self> {
        let octal = matches!(text.len(), 3..=4) && text.bytes().all(|b| b.is_ascii_digit());
        octal.then(|| u32::from_str_radix(text, 8).ok()).flatten().and_then(Self::from_bits)
    }

    pub fn bits(self) -> i32 {
        i32::from(self.0)
    }
}

/// As people write it.
impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// How a name becomes a path: `pathTranslation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathTranslation {
    /// Each `/` becomes this character, so that all files lie side by side; `/` itself changes nothing.
    Slash(char),
    /// Slashes make directories; leading ones are dropped.
    Off,
}

impl Default for PathTranslation {
    fn default() -> Self {
        Self::Slash('_')
    }
}

impl PathTranslation {
    pub fn parse(text: Option<&str>) -> Result<Self, &'static str> {
        match text.unwrap_or_default() {
            "" => Ok(Self::default()),
            off if off.eq_ignore_ascii_case("false") => Ok(Self::Off),
            one => match one.as_bytes() {
                [byte @ b' '..=b'~'] => Ok(Self::Slash(char::from(*byte))),
                _ => Err("must be \"False\" or one printable ASCII character"),
            },
        }
    }

    pub fn apply(self, name: &str) -> Result<RelPath, &'static str> {
        match self {
            Self::Slash(with) => RelPath::parse(&name.replace('/', &with.to_string())),
            Self::Off => RelPath::parse(name.trim_start_matches('/')),
        }
    }
}

/// The files of one volume so far, each with who asked for it.
#[derive(Debug, Default)]
pub struct Layout {
    taken: BTreeMap<RelPath, String>,
}

impl Layout {
    /// Reserves a path, or says what is in the way: the same file, or a file where a directory has
    /// to be.
    pub fn place(&mut self, path: &RelPath, owner: &str) -> Result<(), String> {
        if let Some(first) = self.taken.get(path) {
            return Err(format!("writes the same file {} as {first}", quoted(&path.0)));
        }
        let parents = path.as_str().match_indices('/').filter_map(|(at, _)| path.0.get(..at));
        for parent in parents {
            if let Some(first) = self.taken.get(&RelPath(parent.to_owned())) {
                let parent = quoted(parent);
                return Err(format!("needs {parent} as a directory; {first} writes it as a file"));
            }
        }
        let inside = RelPath(format!("{path}/"));
        if let Some((below, first)) = self.taken.range(inside.clone()..).next()
            && below.0.starts_with(&inside.0)
        {
            let path = quoted(&path.0);
            return Err(format!("writes the file {path}; {first} needs it as a directory"));
        }
        self.taken.insert(path.clone(), owner.to_owned());
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.taken.len()
    }

    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }
}

#[cfg(test)]
mod tests;
