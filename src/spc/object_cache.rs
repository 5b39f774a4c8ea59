//! Object cache: parsed lists of objects. Kubelet mounts a volume again every minute with the same text,
//! and parsing it is a fifth of the cost of a mount that is served from the cache.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use super::{context::Context, objects::Object};
use crate::{
    digest::{Digest, Parts},
    fair_cache::FairCache,
    sync::lock,
};

/// Of memory, over all lists: a path can take fifty times its text.
const MOST_BYTES: usize = 4 << 20;

/// A digest of the text and of all that its meaning depends on.
type Key = Digest;

/// They belong to nobody: one text serves all who write it.
pub struct ObjectCache(Mutex<FairCache<(), Key, Arc<[Object]>>>);

impl Default for ObjectCache {
    fn default() -> Self {
        Self(Mutex::new(FairCache::new(MOST_BYTES)))
    }
}

impl ObjectCache {
    pub fn get_or_parse<E>(
        &self,
        text: &str,
        context: &Context<'_>,
        parse: impl FnOnce() -> Result<Vec<Object>, E>,
    ) -> Result<Arc<[Object]>, E> {
        let key = key(text, context);
        if let Some(objects) = lock(&self.0).get(&(), &key) {
            return Ok(objects.clone());
        }
        let objects: Arc<[Object]> = parse()?.into();
        let bytes = objects.iter().map(Object::memory).sum();
        lock(&self.0).insert((), key, objects.clone(), bytes);
        Ok(objects)
    }
}

impl ObjectCache {
    /// How many lists there are, and their bytes.
    pub fn size(&self) -> (usize, usize) {
        let lists = lock(&self.0);
        (lists.len(), lists.size())
    }
}

impl fmt::Debug for ObjectCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectCache")
    }
}

fn key(text: &str, context: &Context<'_>) -> Key {
    let Context { endpoints: _, region, translation, mode } = context;
    let mut parts = Parts::new();
    for part in [region.as_str(), &format!("{translation:?} {mode:?}"), text] {
        parts.part(part);
    }
    parts.digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        endpoint::Endpoints,
        names::Region,
        spc::{
            file::{FileMode, PathTranslation},
            objects,
        },
    };

    #[test]
    fn a_text_is_parsed_once_for_each_meaning_it_can_have() {
        let endpoints = Endpoints::of_hangzhou();
        let cache = ObjectCache::default();
        let mut parsed = 0;
        let mut ask = |text: &str, region: &str, translation: &str, mode: &str| {
            let region = Region::parse(region).unwrap();
            let context = Context {
                endpoints: &endpoints,
                region: &region,
                translation: PathTranslation::parse(Some(translation)).unwrap(),
                mode: FileMode::parse_octal(mode).unwrap(),
            };
            let before = parsed;
            let objects = cache.get_or_parse(text, &context, || {
                parsed += 1;
                objects::parse(text, &context)
            });
            (objects.map(|objects| objects.len()), parsed > before)
        };
        let one = "- objectName: a/b";
        assert_eq!(ask(one, "cn-hangzhou", "_", "0644"), (Ok(1), true));
        assert_eq!(ask(one, "cn-hangzhou", "_", "0644"), (Ok(1), false));
        assert!(ask(one, "cn-beijing", "_", "0644").1);
        assert!(ask(one, "cn-hangzhou", "False", "0644").1);
        assert!(ask(one, "cn-hangzhou", "_", "0400").1);
        assert!(ask("- objectName: a/c", "cn-hangzhou", "_", "0644").1);
        // Mistakes are reported each time.
        assert!(ask("- nothing", "cn-hangzhou", "_", "0644").0.is_err());
        assert!(ask("- nothing", "cn-hangzhou", "_", "0644").1);
        // What was not used for long makes room.
        // 16 KiB of text each.
        let long = |n: usize| {
            let path = vec!["a"; 510].join(",");
            let extract = |at| format!("  - {{path: '[{path}]', objectAlias: x{at}}}\n");
            let extracts: String = (0..16).map(extract).collect();
            format!("- objectName: n{n}\n  jmesPath:\n{extracts}")
        };
        for n in 0..12 {
            ask(&long(n), "cn-hangzhou", "_", "0644").0.unwrap();
            assert!(!ask(one, "cn-hangzhou", "_", "0644").1);
        }
        assert!(!ask(&long(11), "cn-hangzhou", "_", "0644").1);
        assert!(ask(&long(0), "cn-hangzhou", "_", "0644").1);
        let lists = lock(&cache.0);
        assert!(lists.size() <= MOST_BYTES && lists.size() > MOST_BYTES / 2, "{}", lists.size());
    }
}
