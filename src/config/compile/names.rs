//! Names across documents: each once, and each reference to something that is there.

use super::super::resource::{Id, Object, Resources};
use crate::located::{Origin, Problems, nearest};
use std::collections::HashMap;

/// Objects of one kind by name.
pub(super) struct Index<'a> {
    kind: &'static str,
    ids: HashMap<&'a Id, usize>,
}

impl<'a> Index<'a> {
    pub(super) fn new(kind: &'static str, ids: impl Iterator<Item = &'a Id>) -> Self {
        let mut index = HashMap::new();
        for (position, id) in ids.enumerate() {
            // Of two with one name, a problem of its own, the first.
            index.entry(id).or_insert(position);
        }
        Self { kind, ids: index }
    }

    pub(super) fn find(&self, id: &Id) -> Option<usize> {
        self.ids.get(id).copied()
    }

    /// What to tell somebody who named `id`.
    pub(super) fn missing(&self, id: &Id) -> String {
        // The least of several, so that the message does not depend on a hash.
        let elsewhere = self.ids.keys().filter(|known| known.name == id.name).min();
        let near = || {
            let mut neighbours: Vec<_> = self
                .ids
                .keys()
                .filter(|known| known.namespace == id.namespace)
                .map(|known| &*known.name)
                .collect();
            neighbours.sort_unstable();
            nearest(&id.name, neighbours)
        };
        let advice = match elsewhere {
            Some(known) => format!("; there is one in namespace `{}`", known.namespace),
            None => near()
                .map(|name| format!("; did you mean `{name}`?"))
                .unwrap_or_default(),
        };
        format!(
            "there is no {} `{}` in namespace `{}`{advice}",
            self.kind, id.name, id.namespace
        )
    }
}

/// The same object twice names both places, whichever files they stand in.
pub(super) fn check_unique(resources: &Resources, problems: &mut Problems) {
    check_kind(&resources.apis, problems);
    check_kind(&resources.services, problems);
    check_kind(&resources.bindings, problems);
    check_kind(&resources.configurations, problems);
    check_kind(&resources.contracts, problems);
    check_kind(&resources.secrets, problems);
}

fn check_kind<S>(objects: &[Object<S>], problems: &mut Problems) {
    let mut first: HashMap<&Id, &Origin> = HashMap::new();
    for object in objects {
        if let Some(earlier) = first.get(&object.id) {
            let message = format!(
                "is defined twice in namespace `{}`; first at {earlier}",
                object.id.namespace
            );
            problems.report_at(&object.origin, &object.label(), "metadata.name", message);
        } else {
            first.insert(&object.id, &object.origin);
        }
    }
}
