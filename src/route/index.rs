//! All known prefixes of a path, without trying each: sorted prefixes, each linked to the longest one that it begins with.
//!
//! Every prefix of `path` in the set is also a prefix of the greatest entry ≤ `path` (whatever sorts between a string and a
//! prefix of it begins with that prefix), so one binary search and a walk up the links find them all. Compared with a hash
//! of each segment border the cost does not grow with the number of slashes a client sends, and prefixes may end anywhere.

#[derive(Debug)]
pub(super) struct PrefixIndex {
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
        let after = self.nodes.partition_point(|node| self.prefix(node) <= path);
        let mut next = after.checked_sub(1);
        let mut known = false;
        std::iter::from_fn(move || {
            while let Some(at) = next {
                let node = &self.nodes[at];
                next = node.parent.map(|parent| parent as usize);
                // Once one entry fits, so do the shorter ones above it.
                known = known || path.starts_with(self.prefix(node));
                if known {
                    return Some(&self.values[node.values.start as usize..node.values.end as usize]);
                }
            }
            None
        })
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
            prefixes in prop::collection::vec("[ab/]{0,5}", 0..20),
            path in "[ab/]{0,7}",
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
