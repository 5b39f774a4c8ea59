//! Fair cache: a bounded map that owners share. Where there is no room for a new entry, it takes the
//! place of the least recently used one of its owner, or of the owner that holds most: nobody who holds less
//! than others loses anything to them.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    hash::Hash,
};

use lru::LruCache;

/// Sizes are in what the user counts: bytes, or entries.
pub(crate) struct FairCache<O, K: Eq + Hash, V> {
    room: usize,
    size: usize,
    length: usize,
    owners: HashMap<O, Owner<K, V>>,
    /// The one that holds most is the last.
    by_size: BTreeSet<(usize, O)>,
}

struct Owner<K: Eq + Hash, V> {
    size: usize,
    entries: LruCache<K, Entry<V>>,
}

struct Entry<V> {
    size: usize,
    value: V,
}

impl<O: Clone + Eq + Hash + Ord, K: Clone + Eq + Hash, V> FairCache<O, K, V> {
    /// Holds at most `room`.
    pub(crate) fn new(room: usize) -> Self {
        Self { room, size: 0, length: 0, owners: HashMap::new(), by_size: BTreeSet::new() }
    }

    /// Does not count as a use.
    pub(crate) fn peek(&self, owner: &O, key: &K) -> Option<&V> {
        self.owners.get(owner)?.entries.peek(key).map(|entry| &entry.value)
    }

    pub(crate) fn get(&mut self, owner: &O, key: &K) -> Option<&mut V> {
        self.owners.get_mut(owner)?.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// In place of one with the same key. What is larger than all the room is not kept, and takes
    /// nothing from anyone.
    pub(crate) fn insert(&mut self, owner: O, key: K, value: V, size: usize) {
        self.remove(&owner, &key);
        if size > self.room {
            return;
        }
        while self.size + size > self.room {
            let own = self.owners.get(&owner).map_or(0, |own| own.size);
            let Some((most, largest)) = self.by_size.last() else { break };
            let from = if own > 0 && own + size > *most { &owner } else { largest };
            self.take(&from.clone(), |entries| entries.pop_lru().map(|(_, entry)| entry));
        }
        let new = || Owner { size: 0, entries: LruCache::unbounded() };
        let own = self.owners.entry(owner.clone()).or_insert_with(new);
        self.by_size.remove(&(own.size, owner.clone()));
        own.size += size;
        own.entries.put(key, Entry { size, value });
        self.by_size.insert((own.size, owner));
        self.size += size;
        self.length += 1;
    }

    pub(crate) fn remove(&mut self, owner: &O, key: &K) -> Option<V> {
        self.take(owner, |entries| entries.pop(key))
    }

    /// Removes all that one owner has.
    pub(crate) fn remove_owner(&mut self, owner: &O) {
        while self.take(owner, |entries| entries.pop_lru().map(|(_, entry)| entry)).is_some() {}
    }

    /// Removes all that are `over`.
    pub(crate) fn remove_if(&mut self, over: impl Fn(&V) -> bool) {
        let mut found = Vec::new();
        for (owner, own) in &self.owners {
            let over = own.entries.iter().filter(|(_, entry)| over(&entry.value));
            found.extend(over.map(|(key, _)| (owner.clone(), key.clone())));
        }
        for (owner, key) in found {
            self.remove(&owner, &key);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    fn take(
        &mut self,
        owner: &O,
        take: impl FnOnce(&mut LruCache<K, Entry<V>>) -> Option<Entry<V>>,
    ) -> Option<V> {
        let own = self.owners.get_mut(owner)?;
        let Entry { size, value } = take(&mut own.entries)?;
        self.by_size.remove(&(own.size, owner.clone()));
        own.size -= size;
        self.size -= size;
        self.length -= 1;
        if own.entries.is_empty() {
            self.owners.remove(owner);
        } else {
            self.by_size.insert((own.size, owner.clone()));
        }
        Some(value)
    }
}

/// Nothing of what it holds.
impl<O, K: Eq + Hash, V> fmt::Debug for FairCache<O, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FairCache").field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
