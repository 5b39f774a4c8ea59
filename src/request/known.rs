//! Lists of objects that were parsed before: kubelet has a volume mounted every minute with the same
//! text, and parsing it is a fifth of what a mount from memory costs.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::objects::{Context, Object};
use crate::digest::{Digest, Parts};

/// Of memory, over all lists: a path can take fifty times its text.
const MOST_BYTES: usize = 4 << 20;

/// A digest of the text and of all that its meaning depends on.
type Key = Digest;

#[derive(Default)]
pub struct Known(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    lists: HashMap<Key, List>,
    bytes: usize,
    uses: u64,
}

struct List {
    objects: Arc<[Object]>,
    bytes: usize,
    used: u64,
}

impl Known {
    pub fn or_parse<E>(
        &self,
        text: &str,
        context: &Context<'_>,
        parse: impl FnOnce() -> Result<Vec<Object>, E>,
    ) -> Result<Arc<[Object]>, E> {
        let key = key(text, context);
        {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.uses += 1;
            let uses = known.uses;
            if let Some(list) = known.lists.get_mut(&key) {
                list.used = uses;
                return Ok(list.objects.clone());
            }
        }
        let objects: Arc<[Object]> = parse()?.into();
        let bytes = objects.iter().map(Object::memory).sum();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.keep(key, objects.clone(), bytes);
        Ok(objects)
    }
}

impl Lists {
    /// Instead of those that were not used for the longest time.
    fn keep(&mut self, key: Key, objects: Arc<[Object]>, bytes: usize) {
        if bytes > MOST_BYTES {
            return;
        }
        while self.bytes + bytes > MOST_BYTES {
            let oldest = self.lists.iter().min_by_key(|(_, list)| list.used).map(|(key, _)| *key);
            let Some(oldest) = oldest.and_then(|key| self.lists.remove(&key)) else { break };
            self.bytes -= oldest.bytes;
        }
        self.bytes += bytes;
        let used = self.uses;
        if let Some(same) = self.lists.insert(key, List { objects, bytes, used }) {
            self.bytes -= same.bytes;
        }
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
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
        cloud::endpoint::Endpoints,
        names::Region,
        request::{
            file::{FileMode, PathTranslation},
            objects,
        },
    };

    #[test]
    fn a_text_is_parsed_once_for_each_meaning_it_can_have() {
        let endpoints = Endpoints::of_hangzhou();
        let known = Known::default();
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
            let objects = known.or_parse(text, &context, || {
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
        // Mistakes are told each time.
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
        let lists = known.0.lock().unwrap();
        assert!(lists.bytes <= MOST_BYTES && lists.bytes > MOST_BYTES / 2, "{}", lists.bytes);
        assert_eq!(lists.bytes, lists.lists.values().map(|list| list.bytes).sum::<usize>());
    }

    #[test]
    fn as_much_is_kept_as_there_is_room_for() {
        let mut lists = Lists::default();
        let mut keep = |key: u8, bytes: usize| {
            lists.uses += 1;
            lists.keep([key; 32], Vec::new().into(), bytes);
            let mut kept: Vec<_> =
                lists.lists.iter().map(|(key, list)| (key[0], list.bytes)).collect();
            kept.sort_unstable();
            assert_eq!(lists.bytes, kept.iter().map(|(_, bytes)| bytes).sum::<usize>());
            kept
        };
        assert_eq!(keep(1, MOST_BYTES), [(1, MOST_BYTES)]);
        // More than there can be room for takes nothing from anyone.
        for more in [1, 2] {
            assert_eq!(keep(2, MOST_BYTES + more), [(1, MOST_BYTES)]);
        }
        assert_eq!(keep(3, 8), [(3, 8)]);
        assert_eq!(keep(4, MOST_BYTES - 8), [(3, 8), (4, MOST_BYTES - 8)]);
        assert_eq!(keep(5, 1), [(4, MOST_BYTES - 8), (5, 1)]);
        // Two mounts that parsed the same text at the same time.
        assert_eq!(keep(5, 1), [(4, MOST_BYTES - 8), (5, 1)]);
    }
}
