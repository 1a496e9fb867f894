//! All known prefixes of a path, without trying each: sorted prefixes, each linked to the longest one that it begins with.
//!
//! Every prefix of `path` in the set is also a prefix of the greatest entry ≤ `path` (whatever sorts between a string and a
//! prefix of it begins with that prefix), so one binary search and a walk up the links find them all. Compared with a hash
//! of each segment border the cost does not grow with the number of slashes a client sends, and prefixes may end anywhere.
//!
//! The search itself compares numbers, made of the eight bytes after what all entries begin with; whole prefixes are compared
//! only among those of the same number.

#[derive(Debug)]
pub(super) struct PrefixIndex {
    /// What every entry but the empty one begins with.
    common: Box<[u8]>,
    /// One for each node; sorted, as these are.
    keys: Vec<u64>,
    nodes: Vec<Node>,
    /// All prefixes one after another, in order, so that the search stays in few cache lines.
    bytes: Vec<u8>,
    values: Vec<u32>,
}

#[derive(Debug)]
struct Node {
    prefix: std::ops::Range<u32>,
    values: std::ops::Range<u32>,
    parent: Option<u32>,
}

impl PrefixIndex {
    /// Values of one prefix are kept sorted and unique.
    pub(super) fn new(mut entries: Vec<(Box<[u8]>, u32)>) -> Self {
        entries.sort_unstable();
        entries.dedup();
        let mut index = Self {
            common: common(&entries).into(),
            keys: Vec::new(),
            nodes: Vec::new(),
            bytes: Vec::new(),
            values: Vec::with_capacity(entries.len()),
        };
        for (prefix, value) in entries {
            if index
                .nodes
                .last()
                .is_none_or(|node| index.prefix(node) != &*prefix)
            {
                index.add(&prefix);
            }
            index.values.push(value);
            index.nodes.last_mut().expect("just added").values.end += 1;
        }
        index
    }

    /// The values of every entry that `path` begins with, longest prefix first.
    pub(super) fn prefixes_of<'i>(&'i self, path: &'i [u8]) -> impl Iterator<Item = &'i [u32]> {
        let mut next = self.not_greater(path).checked_sub(1);
        let mut known = false;
        std::iter::from_fn(move || {
            while let Some(at) = next {
                let node = &self.nodes[at];
                next = node.parent.map(|parent| parent as usize);
                // Once one entry fits, so do the shorter ones above it.
                known = known || node.prefix.is_empty() || path.starts_with(self.prefix(node));
                if known {
                    return Some(&self.values[node.values.start as usize..node.values.end as usize]);
                }
            }
            None
        })
    }

    /// How many entries are ≤ `path`; where none of them is a prefix of it, it may be another number.
    fn not_greater(&self, path: &[u8]) -> usize {
        if self.nodes.len() == 1 {
            return 1;
        }
        let Some(rest) = path.strip_prefix(&*self.common) else {
            // The empty prefix is the first entry.
            return self.nodes.len().min(1);
        };
        let key = key(rest);
        let less = self.keys.partition_point(|&other| other < key);
        let same = self.keys[less..].partition_point(|&other| other == key);
        less + self.nodes[less..less + same].partition_point(|node| self.prefix(node) <= path)
    }

    fn add(&mut self, prefix: &[u8]) {
        let mut parent = self.nodes.len().checked_sub(1);
        while let Some(at) = parent {
            if prefix.starts_with(self.prefix(&self.nodes[at])) {
                break;
            }
            parent = self.nodes[at].parent.map(|up| up as usize);
        }
        let start = small(self.bytes.len());
        self.bytes.extend_from_slice(prefix);
        self.keys.push(prefix.strip_prefix(&*self.common).map_or(0, key));
        let values = small(self.values.len());
        self.nodes.push(Node {
            prefix: start..small(self.bytes.len()),
            values: values..values,
            parent: parent.map(small),
        });
    }

    fn prefix(&self, node: &Node) -> &[u8] {
        &self.bytes[node.prefix.start as usize..node.prefix.end as usize]
    }
}

/// `entries` are sorted, so that what the first and the last begin with, all do.
fn common(entries: &[(Box<[u8]>, u32)]) -> &[u8] {
    let mut prefixes = entries.iter().map(|(prefix, _)| &**prefix);
    let Some(first) = prefixes.find(|prefix| !prefix.is_empty()) else {
        return &[];
    };
    let last = prefixes.next_back().unwrap_or(first);
    let length = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    &first[..length]
}

/// Numbers that differ are in the order of their bytes: the zeros that stand for missing ones sort like the end.
fn key(bytes: &[u8]) -> u64 {
    if let Some(first) = bytes.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut padded = [0; 8];
    for (to, from) in padded.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_be_bytes(padded)
}

fn small(length: usize) -> u32 {
    u32::try_from(length).expect("a table's literals stay below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::PrefixIndex;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_scan_finds(
            prefixes in prop::collection::vec("(/common)?[ab/\0]{0,5}|/common-([ab/]{8}){0,2}[ab\0]{0,9}", 0..20),
            path in "[ab/]{0,7}|/com|(/common)?[ab/\0]{0,7}|/common-([ab/]{8}){0,2}[ab\0]{0,9}",
        ) {
            let entries = prefixes.iter().zip(0..).map(|(p, i)| (p.as_bytes().into(), i)).collect();
            let index = PrefixIndex::new(entries);
            let mut found: Vec<u32> = index.prefixes_of(path.as_bytes()).flatten().copied().collect();
            found.sort_unstable();
            let scanned: Vec<u32> =
                prefixes.iter().zip(0..).filter(|(p, _)| path.starts_with(p.as_str())).map(|(_, i)| i).collect();
            prop_assert_eq!(found, scanned);
        }
    }
}
