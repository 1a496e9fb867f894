//! What would surprise but isn't wrong: a line each, for `check` and the log.

use crate::{
    config::{model::Model, resource::Rule},
    located::Located,
};

/// In the order of the APIs.
pub(in crate::config) fn notes(model: &Model) -> Vec<String> {
    let mut notes = Vec::new();
    if model.apis.is_empty() {
        notes.push("no ApiInstance is configured: nothing is served".to_owned());
    }
    for api in &model.apis {
        for rule in api.routes.iter().flat_map(|route| &route.written) {
            notes.extend(vain(rule).into_iter().map(|(field, expression, why)| {
                let (place, name, expression) = (&expression.origin, &api.id.name, &expression.value);
                format!("{place}: ApiInstance/{name}: {field} `{expression}` matches no request: {why}")
            }));
        }
        let catch_all = api.routes.iter().position(|route| route.written.is_empty());
        if let Some(position) = catch_all.filter(|position| position + 1 < api.routes.len()) {
            let shadowed = api.routes.len() - position - 1;
            notes.push(format!(
                "{}: ApiInstance/{}: the route {} takes every request; {shadowed} after it never get one",
                api.origin, api.id.name, api.routes[position].id.name
            ));
        }
    }
    notes
}

type Vain<'r> = (&'static str, &'r Located<String>, &'static str);

/// Expressions that no request can match, of which only those are found that are plain to see: a wrong note
/// would cost more trust than a missing one.
fn vain(rule: &Rule) -> Vec<Vain<'_>> {
    let spec = &rule.spec;
    let mut found: Vec<Vain<'_>> = Vec::new();
    if let Some(path) = &spec.path {
        if begins_with_a_letter(path) {
            found.push(("path", path, "a path begins with `/`"));
        } else if path.contains(r"\?") && !path.contains(['|', '[', '*']) {
            found.push(("path", path, "the query is no part of the path"));
        }
    }
    if let Some(methods) = spec.methods.as_ref().filter(|text| is_lower(text)) {
        found.push(("methods", methods, "methods are written in upper case"));
    }
    if let Some(host) = spec.host.as_ref().filter(|text| ends_with_a_port(text)) {
        found.push(("host", host, "it is compared without the port"));
    }
    found
}

/// Or is empty.
fn begins_with_a_letter(expression: &str) -> bool {
    let mut characters = expression.chars();
    let Some(first) = characters.next() else {
        return true;
    };
    let optional = characters
        .next()
        .is_some_and(|next| matches!(next, '?' | '*' | '{'));
    first.is_ascii_alphanumeric() && !optional && !expression.contains('|')
}

/// Names alone, in lower case.
fn is_lower(expression: &str) -> bool {
    !expression.is_empty()
        && expression
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'|')
}

fn ends_with_a_port(expression: &str) -> bool {
    let Some((host, port)) = expression.rsplit_once(':') else {
        return false;
    };
    !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && !host.contains(['|', '[', '('])
}
