//! What would surprise but isn't wrong: a line each, for `check` and the log.

use crate::{
    config::{
        catalogue::{self, Policy as Known},
        dump::HIDDEN,
        model::{Api, Model, Policy, Route, Shaping, SharedStorage},
        resource::Rule,
    },
    located::{Located, Node, Origin, Value},
    policy::Kind,
    storage::Settings,
};

/// In the order of the APIs.
pub(in crate::config) fn notes(model: &Model) -> Vec<String> {
    let mut notes = Vec::new();
    if model.apis.is_empty() {
        notes.push("no ApiInstance is configured: nothing is served".to_owned());
    }
    for api in &model.apis {
        for rule in rules(api) {
            notes.extend(vain(rule).into_iter().map(|(field, expression, why)| {
                let (place, name, expression) = (&expression.origin, &api.id.name, &expression.value);
                format!("{place}: ApiInstance/{name}: {field} `{expression}` matches no request: {why}")
            }));
            if let Some(path) = rule
                .spec
                .path
                .as_ref()
                .filter(|path| repeats(&api.base_path, path))
            {
                notes.push(format!(
                    "{}: ApiInstance/{}: path `{}` begins with the base path, which is taken off before it is matched",
                    path.origin, api.id.name, path.value
                ));
            }
        }
        notes.extend(closed(api, model));
        let catch_all = api.routes.iter().position(|route| route.written.is_empty());
        if let Some(position) = catch_all.filter(|position| position + 1 < api.routes.len()) {
            let shadowed = api.routes.len() - position - 1;
            notes.push(format!(
                "{}: ApiInstance/{}: the route {} takes every request; {shadowed} after it never get one",
                api.origin, api.id.name, api.routes[position].id.name
            ));
        }
    }
    notes.extend(model.surprises.iter().cloned());
    let nobody = model.idle.iter().map(|(place, binding)| {
        format!(
            "{place}: {binding}: no ApiInstance carries the labels of its selector: it applies to nothing"
        )
    });
    notes.extend(nobody);
    if let Some(SharedStorage::Redis(settings)) = &model.settings.shared_storage {
        notes.extend(storage(settings));
    }
    let services = model.services.iter().flat_map(|service| &service.policies);
    let mut dumped: Vec<(&Origin, &Policy)> =
        (model.apis.iter().flat_map(|api| &api.policies).chain(services))
            .filter_map(|policy| Some((starred(policy.config.as_ref()?)?, policy)))
            .collect();
    // A selection of several APIs is one place.
    dumped.dedup_by(|one, other| one.0 == other.0);
    notes.extend(dumped.into_iter().map(|(place, policy)| {
        let name = &policy.name;
        format!("{place}: `{HIDDEN}` is what `dump` writes in the place of a secret, and `{name}` takes it for one")
    }));
    let mut unsigned: Vec<&Origin> = (model.apis.iter().flat_map(|api| &api.policies))
        .filter_map(|policy| admits_unsigned(policy.config.as_ref()?))
        .collect();
    unsigned.dedup();
    notes.extend(unsigned.into_iter().map(|place| {
        format!("{place}: `signingMethod: none` takes whatever a token says for true, whoever wrote it")
    }));
    notes
}

/// What makes shared storage weaker than it need be.
fn storage(settings: &Settings) -> Vec<String> {
    let mut notes = Vec::new();
    if settings.tls.as_ref().is_some_and(|client| !client.spec().verify) {
        notes.push(
            "sharedStorage.redis: `tls.skipValidation` believes whoever answers, and shows them the password"
                .to_owned(),
        );
    }
    if settings.secret.is_none() && settings.credentials.password.is_none() {
        notes.push(format!(
            "sharedStorage.redis: neither `secret` nor `password`: whoever may write there and knows the prefix `{}` can \
             put answers into caches",
            settings.prefix
        ));
    }
    notes
}

/// Where it says that tokens need no signature.
fn admits_unsigned(config: &Node) -> Option<&Origin> {
    let method = config.as_map()?.get("signingMethod")?;
    let is_none = matches!(&method.value, Value::Scalar(scalar) if scalar.text == "none");
    is_none.then_some(&method.origin)
}

/// Of routes and policies, each once though it stands in several.
fn rules(api: &Api) -> impl Iterator<Item = &Rule> {
    let routes = api.routes.iter().map(|route: &Route| &route.written);
    let policies = api.policies.iter().map(|policy: &Policy| &policy.written);
    let shaping = api.shaping.iter().map(|shaping: &Shaping| &shaping.written);
    routes.chain(policies).chain(shaping).flatten()
}

/// It could be meant: `/shop/shop/x` is a path. It hardly ever is, and a policy that guards nothing goes unseen.
fn repeats(base_path: &str, expression: &str) -> bool {
    let behind = expression.strip_prefix(base_path);
    base_path != "/"
        && !base_path.is_empty()
        && behind.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '(']))
}

/// A policy that asks for contracts where the API has none.
fn closed(api: &Api, model: &Model) -> Option<String> {
    if model.contracts.iter().any(|contract| contract.api == api.id) {
        return None;
    }
    let asks = |policy: &&Policy| {
        matches!(
            catalogue::find(&policy.name),
            Ok(Known::Chained(Kind::ClientIdEnforcement | Kind::RateLimitingSla))
        )
    };
    let policy = api.policies.iter().find(asks)?;
    Some(format!(
        "{}: ApiInstance/{}: `{}` lets nobody in: the API has no Contract",
        api.origin, api.id.name, policy.name
    ))
}

/// The first text that `dump` has put there.
fn starred(node: &Node) -> Option<&Origin> {
    match &node.value {
        Value::Map(map) => map.entries.iter().find_map(|(_, node)| starred(node)),
        Value::List(items) => items.iter().find_map(starred),
        Value::Scalar(scalar) => (scalar.text == HIDDEN).then_some(&node.origin),
    }
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
