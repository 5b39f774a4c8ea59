//! Given: the secrets and manifests that are asked about.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::ArgMatches;
use serde_json::json;

use crate::{
    doctor::checks::driver::{self, Object},
    manifests::{Body, File, MOST_BYTES},
    secret::Secret,
    spc::{class::Class, parameters::Parameters},
    text::shown,
};

/// Whose fault it is that the command cannot do its work.
pub(super) enum Cannot {
    Usage(String),
    Read(String),
}

#[derive(Debug)]
pub(super) struct Given {
    pub(super) class: Class,
    /// Whether there are objects that are to be read.
    pub(super) asks: bool,
    pub(super) driver: Option<Object>,
}

impl Given {
    pub(super) fn read(matches: &ArgMatches) -> Result<Self, Cannot> {
        let secrets: Vec<&String> = matches.get_many("secret").into_iter().flatten().collect();
        let (class, driver) = match matches.get_one::<PathBuf>("file") {
            Some(path) => of_file(path, matches.get_one::<String>("name"))?,
            None => (None, None),
        };
        let (class, asks) = match (class, &*secrets) {
            (Some(_), [_, ..]) => {
                let what = "--secret and the class of --file: give one of them";
                return Err(Cannot::Usage(what.to_owned()));
            }
            (Some(class), []) => (class, true),
            // A class has to have an object; this one is not read.
            (None, []) => (of_secrets(&["doctor"]), false),
            (None, secrets) => (of_secrets(secrets), true),
        };
        Ok(Self { class, asks, driver })
    }
}

fn of_secrets(names: &[impl AsRef<str>]) -> Class {
    let objects: Vec<_> = names.iter().map(|name| json!({ "objectName": name.as_ref() })).collect();
    let mut parameters = Parameters::default();
    parameters.insert("objects", Secret::new(json!(objects).to_string()));
    Class { name: "doctor".to_owned(), parameters, has_secret_objects: false }
}

fn of_file(path: &Path, name: Option<&String>) -> Result<(Option<Class>, Option<Object>), Cannot> {
    let shown_path = shown(&path.display().to_string()).into_owned();
    let text =
        text(path).map_err(|error| Cannot::Read(format!("{shown_path}: {}", error.kind())))?;
    let file = File::read(shown_path.clone(), text.clone());
    let mut classes = Vec::new();
    let mut csi_driver = None;
    for manifest in &file.manifests {
        let named = manifest.name.as_ref().map_or("", |name| &name.text);
        match &manifest.body {
            Body::Class(_) => classes.push(named),
            Body::CsiDriver(driver) if named == driver::NAME => {
                csi_driver = Some(Object::of_manifest(driver, &shown_path));
            }
            _ => {}
        }
    }
    let wanted = match (name.map(String::as_str), &*classes) {
        (Some(name), _) => name,
        (None, []) if csi_driver.is_some() => return Ok((None, csi_driver)),
        (None, [only]) => only,
        (None, []) => {
            let what = format!(
                "{shown_path}: holds neither a SecretProviderClass nor the driver's CSIDriver"
            );
            return Err(Cannot::Usage(what));
        }
        (None, _) => {
            let what =
                format!("{shown_path}: holds several SecretProviderClasses; choose with --name");
            return Err(Cannot::Usage(what));
        }
    };
    let class = Class::read(&text, Some(wanted));
    let class = class.map_err(|unusable| Cannot::Usage(format!("{shown_path}: {unusable}")))?;
    Ok((Some(class), csi_driver))
}

fn text(path: &Path) -> io::Result<String> {
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    let mut text = String::new();
    if path.as_os_str() == "-" {
        io::stdin().lock().take(most).read_to_string(&mut text)?;
    } else {
        fs::File::open(path)?.take(most).read_to_string(&mut text)?;
    }
    Ok(text)
}
