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
mod tests {
    use super::*;

    type Cache = FairCache<char, u32, u32>;

    fn fill(cache: &mut Cache, owner: char, keys: std::ops::Range<u32>) {
        keys.for_each(|key| cache.insert(owner, key, key, 1));
    }

    fn held(cache: &Cache, owner: char) -> Vec<u32> {
        (0..1000).filter(|key| cache.peek(&owner, key).is_some()).collect()
    }

    #[test]
    fn largest_owner_gives_way_and_smaller_ones_lose_nothing() {
        let mut cache = Cache::new(10);
        fill(&mut cache, 'a', 0..3);
        fill(&mut cache, 'b', 0..100);
        assert_eq!(held(&cache, 'a'), [0, 1, 2]);
        assert_eq!(held(&cache, 'b'), (93..100).collect::<Vec<_>>());
        // A third grows until all that want more have the same.
        fill(&mut cache, 'c', 0..100);
        assert_eq!((held(&cache, 'a').len(), cache.len(), cache.size()), (3, 10, 10));
        assert_eq!(held(&cache, 'b').len().abs_diff(held(&cache, 'c').len()), 1);
    }

    #[test]
    fn owner_that_an_entry_would_make_the_largest_gives_way_too() {
        let mut cache = Cache::new(10);
        fill(&mut cache, 'a', 0..6);
        fill(&mut cache, 'b', 0..4);
        cache.insert('b', 9, 9, 3);
        assert_eq!((held(&cache, 'a').len(), held(&cache, 'b')), (5, vec![2, 3, 9]));
    }

    #[test]
    fn entry_that_was_used_outlives_older_and_newer_ones() {
        let mut cache = Cache::new(3);
        fill(&mut cache, 'a', 0..3);
        assert!(cache.get(&'a', &0).is_some() && cache.peek(&'a', &1).is_some());
        fill(&mut cache, 'a', 3..5);
        assert_eq!(held(&cache, 'a'), [0, 3, 4]);
    }

    #[test]
    fn entry_larger_than_the_room_takes_nothing_from_anyone() {
        let mut cache = Cache::new(4);
        fill(&mut cache, 'a', 0..4);
        cache.insert('b', 0, 0, 5);
        assert_eq!((held(&cache, 'a').len(), held(&cache, 'b').len()), (4, 0));
        cache.insert('b', 0, 0, 4);
        assert_eq!((held(&cache, 'a').len(), held(&cache, 'b').len(), cache.size()), (0, 1, 4));
    }

    #[test]
    fn removed_owner_leaves_the_others_theirs() {
        let mut cache = Cache::new(10);
        fill(&mut cache, 'a', 0..3);
        fill(&mut cache, 'b', 0..2);
        cache.remove_owner(&'a');
        assert_eq!((held(&cache, 'a'), held(&cache, 'b')), (vec![], vec![0, 1]));
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn sizes_follow_what_is_replaced_and_removed() {
        let mut cache = Cache::new(10);
        cache.insert('a', 1, 1, 6);
        cache.insert('a', 1, 2, 3);
        cache.insert('b', 1, 3, 4);
        assert_eq!((cache.len(), cache.size(), cache.peek(&'a', &1)), (2, 7, Some(&2)));
        cache.remove_if(|value| *value == 2);
        assert_eq!((cache.len(), cache.size(), cache.remove(&'b', &1)), (1, 4, Some(3)));
        assert_eq!((cache.len(), cache.size(), cache.owners.len()), (0, 0, 0));
        assert!(cache.by_size.is_empty() && cache.remove(&'b', &1).is_none());
    }
}
