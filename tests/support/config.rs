//! Configuration documents for tests. `@listen@` is filled in when the gateway starts.

/// One API at the root of `@listen@`, everything forwarded to `origin`.
pub fn api(origin: &str) -> String {
    document(
        "ApiInstance",
        "test",
        &format!("address: http://@listen@\nservices:\n  origin:\n    address: {origin}"),
    )
}

/// As [`api`], secured: `tls` is the policy's configuration, whole lines.
pub fn secured(origin: &str, tls: &str) -> String {
    let spec = format!(
        "address: https://@listen@\nservices:\n  origin:\n    address: {origin}\npolicies:\n- policyRef: {{ name: tls }}\n  \
         config:\n{}",
        indented(tls, 4)
    );
    document("ApiInstance", "test", &spec)
}

/// `certificate` of a policy, from files.
pub fn certificate(pair: &super::tls::Pair) -> String {
    format!("certificate: {}\n", pair_of(pair))
}

/// A pair as a policy has it.
pub fn pair_of(pair: &super::tls::Pair) -> String {
    format!(
        "{{ key: \"$file:{}\", crt: \"$file:{}\" }}",
        pair.key.display(),
        pair.crt.display()
    )
}

/// A PEM text as a field's value: a block.
pub fn block(field: &str, text: &str) -> String {
    format!("{field}: |\n{}", indented(text, 2))
}

/// As [`api`], with further fields of the Service (whole lines) and the client's `Host` kept or not as they say.
pub fn api_with_service(service: &str) -> String {
    [
        document("ApiInstance", "test", "address: http://@listen@"),
        document("Service", "origin", service),
        route("everything", "origin", 50, "", ""),
    ]
    .concat()
}

/// Keeps `Host` as the client sent it.
pub fn api_preserving_host(origin: &str) -> String {
    api_with_service(&format!("address: {origin}\npreserveHost: true"))
}

/// A `route` binding on the API `test`. `rules` are YAML list items, one a line; empty for a catch-all.
pub fn route(name: &str, service: &str, order: u32, rules: &str, destination_path: &str) -> String {
    let mut spec = format!(
        "order: {order}\ntargetRef: {{ kind: ApiInstance, name: test }}\npolicyRef: {{ name: route }}\n\
         config:\n  destinationRef: {{ kind: Service, name: {service} }}\n"
    );
    if !destination_path.is_empty() {
        spec.push_str(&format!("  destinationPath: {destination_path}\n"));
    }
    if !rules.is_empty() {
        spec.push_str(&format!("rules:\n{rules}\n"));
    }
    document("PolicyBinding", name, &spec)
}

/// A `Configuration` with one sub-key; `fields` are whole lines.
pub fn configuration(sub_key: &str, fields: &str) -> String {
    document(
        "Configuration",
        sub_key,
        &format!("{sub_key}:\n{}", indented(fields, 2)),
    )
}

pub fn document(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: ringway/v1\nkind: {kind}\nmetadata:\n  name: {}\nspec:\n{}",
        name.to_lowercase(),
        indented(spec, 2)
    )
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}
