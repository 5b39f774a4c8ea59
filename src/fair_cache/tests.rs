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
