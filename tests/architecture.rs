//! The house stays the house: which part of `src/` may name which, and what no part may do.
//!
//! The tables are the plan; changing one is a decision, made in a commit of its own with its reason. The scan is
//! textual: it reads `crate::…` paths (groups too) and chains of `super` that leave their module. Macros could hide
//! a name from it; nothing here does. Test code may name anything: it is where parts are put together.

use std::{
    collections::BTreeSet,
    fmt::Write,
    path::{Path, PathBuf},
};

/// Module → what it may name. Everything may name itself.
const MAY_NAME: &[(&str, &[&str])] = &[
    // Data plane, in the order of a request.
    (
        "listener",
        &[
            "addresses",
            "connection",
            "reply",
            "observe",
            "shard",
            "net",
            "runtime",
            "clock",
            "fault",
        ],
    ),
    (
        "connection",
        &[
            "listener",
            "http1",
            "route",
            "policy",
            "upstream",
            "relay",
            "reply",
            "observe",
            "shard",
            "net",
            "runtime",
            "tls",
            "outcall",
            "clock",
            "fault",
            "addresses",
        ],
    ),
    ("http1", &[]),
    ("route", &[]),
    // Sees heads as lines, never their framing; each policy decodes its own Spec.
    (
        "policy",
        &[
            "expr",
            "http1",
            "route",
            "observe",
            "clock",
            "fault",
            "outcall",
            "located",
            "choice",
            "object",
            "prefetch",
            "tls",
            "addresses",
            "storage",
        ],
    ),
    ("expr", &[]),
    (
        "upstream",
        &["observe", "net", "runtime", "tls", "clock", "fault"],
    ),
    ("relay", &["http1", "observe", "net", "runtime", "clock", "fault"]),
    ("reply", &["http1", "fault"]),
    ("observe", &["clock", "fault"]),
    // What a shard owns; the only part of the data plane that sees all of it.
    (
        "shard",
        &[
            "addresses",
            "listener",
            "connection",
            "http1",
            "route",
            "policy",
            "upstream",
            "relay",
            "reply",
            "observe",
            "net",
            "runtime",
            "storage",
            "tls",
            "clock",
            "fault",
        ],
    ),
    // Control plane. `config` compiles to what the data plane is made of; nobody below it names it.
    (
        "config",
        &[
            "http1",
            "route",
            "policy",
            "upstream",
            "observe",
            "shard",
            "tls",
            "located",
            "choice",
            "object",
            "addresses",
            "storage",
        ],
    ),
    (
        "control",
        &[
            "observe", "policy", "shard", "upstream", "net", "runtime", "storage", "tls", "http1", "clock",
            "fault", "config",
        ],
    ),
    (
        "admin",
        &["observe", "shard", "control", "config", "clock", "runtime"],
    ),
    (
        "server",
        &[
            "admin", "config", "control", "listener", "observe", "policy", "shard", "upstream", "net",
            "runtime", "tls", "clock", "fault", "located",
        ],
    ),
    (
        "cli",
        &["config", "control", "server", "shard", "located", "runtime"],
    ),
    // Leaves.
    ("net", &["runtime", "tls", "clock", "fault"]),
    ("runtime", &[]),
    // Where shared storage is, as values; how its connections are secured is a value of `tls`.
    ("storage", &["tls"]),
    ("tls", &[]),
    ("fault", &[]),
    ("outcall", &["fault"]),
    ("clock", &[]),
    ("located", &["choice", "object"]),
    ("addresses", &["located"]),
    ("prefetch", &[]),
];

/// A name → the only places that may say it, and why.
const FENCED: &[(&str, &[&str], &str)] = &[
    ("monoio", &["runtime"], "the runtime has one door"),
    ("io_uring::", &["runtime"], "the runtime has one door"),
    ("httparse", &["http1"], "parsing has one door"),
    ("wide::", &["http1"], "parsing has one door"),
    ("serde_yaml", &["config"], "YAML stays in configuration"),
    ("rustls", &["tls"], "TLS has one door"),
    (
        "hickory_resolver",
        &["control"],
        "names are resolved off the data path",
    ),
    ("axum", &["admin", "control"], "the data plane has its own HTTP"),
    (
        "redis::",
        &["control/shared_storage"],
        "shards never speak to shared storage",
    ),
    (
        "tokio",
        &["control", "admin", "server"],
        "the control plane's runtime never meets a shard",
    ),
    ("clap", &["cli"], "arguments are read in one place"),
];

/// Fed bytes and time by their callers, so that tests can replay them.
const PURE: &[&str] = &[
    "addresses",
    "listener/proxy_protocol",
    "http1",
    "route",
    "expr",
    "reply",
    "policy/external_authorization",
    "policy/introspection",
    "policy/ip_list",
    "policy/jwt",
    "policy/rate_limit",
    "upstream/balance",
];
const IMPURE: &[&str] = &[
    "std::net::Tcp",
    "std::net::Udp",
    "std::os::unix::net",
    "Instant::now",
    "SystemTime::now",
    "std::fs",
    "std::thread",
    "socket2",
    "libc::",
    "async fn",
    "crate::net",
    "crate::runtime",
    "crate::clock",
];

const DATA_PLANE: &[&str] = &[
    "listener",
    "connection",
    "http1",
    "route",
    "policy",
    "expr",
    "upstream",
    "relay",
    "reply",
    "observe",
    "shard",
    "net",
];

/// What blocks a shard, and what to do instead.
const BLOCKING: &[(&str, &str)] = &[
    (
        "sync::Mutex",
        "a shard owns its state: Cell or RefCell in a leaf, or a message",
    ),
    (
        "sync::RwLock",
        "a shard owns its state: Cell or RefCell in a leaf, or a message",
    ),
    ("sync::Condvar", "a shard never waits for another thread"),
    ("thread::sleep", "runtime's timer"),
    ("to_socket_addrs", "control resolves names and pushes addresses"),
    ("ToSocketAddrs", "control resolves names and pushes addresses"),
    ("std::fs", "control reads and writes files"),
    ("fs::File", "control reads and writes files"),
];

/// Places of the data plane that run before the shard serves or off its thread, with the reason.
const BLOCKING_ALLOWED: &[(&str, &str, &str)] = &[];

const LEFT_OVERS: &[&str] = &["todo!", "unimplemented!", "dbg!(", "FIXME", "TODO", "XXX"];

/// Past this a file has more than one subject.
const LINES: usize = 800;

#[test]
fn modules_name_only_what_they_may() {
    let mut wrong = String::new();
    for file in sources() {
        let Some(module) = file.module() else { continue };
        let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == module) else {
            let _ = writeln!(wrong, "{}: `{module}` has no line in the table", file.name);
            continue;
        };
        for (line, named) in names(&file) {
            if named != module && !allowed.contains(&named.as_str()) {
                let _ = writeln!(wrong, "{}:{line}: `{module}` must not name `{named}`", file.name);
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "forbidden directions (table in tests/architecture.rs):\n{wrong}"
    );
}

#[test]
fn every_module_of_the_table_exists() {
    let modules: BTreeSet<String> = sources().iter().filter_map(Source::module).collect();
    for (name, _) in MAY_NAME {
        assert!(modules.contains(*name), "the table names `{name}`, which is gone");
    }
}

#[test]
fn libraries_stay_behind_their_doors() {
    report("behind its door", |file, code| {
        let named = |(name, _, _): &&(&str, &[&str], &str)| code.contains(*name);
        let outside = FENCED
            .iter()
            .filter(named)
            .find(|(_, places, _)| !places.iter().any(|place| file.is_in(place)))?;
        // A path or a macro of the crate, not a word that happens to hold its name.
        is_word(code, outside.0).then(|| format!("`{}` belongs in {:?}: {}", outside.0, outside.1, outside.2))
    });
}

#[test]
fn pure_parts_do_no_io_and_read_no_clock() {
    report("pure", |file, code| {
        let pure = PURE.iter().find(|part| file.is_in(part))?;
        let found = IMPURE.iter().find(|name| code.contains(*name))?;
        Some(format!("`{found}` in `{pure}`, which is fed bytes and time"))
    });
}

#[test]
fn nothing_on_the_data_plane_blocks() {
    report("never blocks", |file, code| {
        DATA_PLANE.iter().find(|part| file.is_in(part))?;
        let (found, instead) = BLOCKING.iter().find(|(name, _)| code.contains(name))?;
        let allowed = BLOCKING_ALLOWED
            .iter()
            .any(|(place, what, _)| file.is_in(place) && what == found);
        (!allowed).then(|| format!("`{found}`: {instead}"))
    });
}

#[test]
fn nothing_is_left_over() {
    report("finished", |_, code| {
        LEFT_OVERS
            .iter()
            .find(|word| code.contains(*word))
            .map(|word| format!("`{word}`"))
    });
}

#[test]
fn files_have_one_subject() {
    let long: Vec<_> = (sources().into_iter())
        .map(|file| (file.text.lines().count(), file.name))
        .filter(|(lines, _)| *lines > LINES)
        .collect();
    assert!(long.is_empty(), "past {LINES} lines: {long:?}");
}

#[test]
fn the_scan_sees_what_it_should() {
    let source = |name: &str, text: &str| Source {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let named = |file: Source| names(&file).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(
        named(source(
            "a/mod.rs",
            "use crate::{b::{self, C}, d, e::f};\nfn x() { crate::g::h() }"
        )),
        ["b", "d", "e", "g"]
    );
    assert_eq!(
        named(source("a/b.rs", "use super::{c, d};\nuse super::super::e;\n")),
        ["e"]
    );
    assert_eq!(named(source("a.rs", "use super::e::{f, g};\n")), ["e"]);
    assert_eq!(
        named(source(
            "a.rs",
            "// crate::b\nlet s = \"crate::c\";\n#[cfg(test)]\nmod tests { use crate::d; }"
        )),
        [""; 0]
    );
    assert_eq!(named(source("a/tests.rs", "use crate::b;")), [""; 0]);
    assert!(is_word("use tokio::net;", "tokio") && !is_word("monoio_compat", "monoio"));
}

/// A file of `src/`, by its path below it.
struct Source {
    name: String,
    text: String,
}

impl Source {
    /// The top module it belongs to; none for the roots.
    fn module(&self) -> Option<String> {
        let first = self.name.split('/').next()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!matches!(name, "lib" | "main")).then(|| name.to_owned())
    }

    fn is_in(&self, part: &str) -> bool {
        self.name == format!("{part}.rs") || self.name.starts_with(&format!("{part}/"))
    }

    fn is_test(&self) -> bool {
        self.name.ends_with("tests.rs") || self.name.contains("/tests/")
    }

    /// How many `super` lead from its top level to the crate's root.
    fn depth(&self) -> usize {
        let path = self.name.strip_suffix("/mod.rs").unwrap_or(&self.name);
        path.split('/').count()
    }

    /// Its lines as code: without comments, the insides of strings, and the tests at its end. Numbered from 1.
    fn code(&self) -> Vec<(usize, String)> {
        if self.is_test() {
            return Vec::new();
        }
        let lines: Vec<&str> = self.text.lines().collect();
        let opens_tests =
            |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].contains('{');
        let end = lines.windows(2).position(opens_tests).unwrap_or(lines.len());
        lines[..end]
            .iter()
            .enumerate()
            .map(|(n, line)| (n + 1, stripped(line)))
            .collect()
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of src/") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(&root)
                    .expect("below src/")
                    .to_string_lossy()
                    .into_owned();
                found.push(Source {
                    name,
                    text: std::fs::read_to_string(&path).expect("a source file"),
                });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(found.len() > 20, "the scan found only {} files", found.len());
    found
}

/// Fails with one readable line for each line of code that `judge` finds wrong.
#[track_caller]
fn report(rule: &str, judge: impl Fn(&Source, &str) -> Option<String>) {
    let mut wrong = String::new();
    for file in sources() {
        for (line, code) in file.code() {
            if let Some(what) = judge(&file, &code) {
                let _ = writeln!(wrong, "src/{}:{line}: {what}", file.name);
            }
        }
    }
    assert!(wrong.is_empty(), "not {rule}:\n{wrong}");
}

/// The crate's modules that a file names, with the line of each.
fn names(file: &Source) -> Vec<(usize, String)> {
    let (mut text, mut starts) = (String::new(), Vec::new());
    for (number, line) in file.code() {
        starts.push((text.len(), number));
        text.push_str(&line);
        text.push('\n');
    }
    let line_of = |at: usize| starts[starts.partition_point(|(start, _)| *start <= at) - 1].1;
    let root = "super::".repeat(file.depth());
    let mut found = Vec::new();
    for prefix in ["crate::", root.as_str()] {
        for (at, _) in text.match_indices(prefix) {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | ':')) {
                continue;
            }
            found.extend(
                heads(&text[at + prefix.len()..])
                    .into_iter()
                    .map(|name| (line_of(at), name)),
            );
        }
    }
    found.sort();
    found.into_iter().filter(|(_, name)| name != "self").collect()
}

/// The first segments of what follows `crate::`: one, or those of a `{…}` group.
fn heads(rest: &str) -> Vec<String> {
    let segment = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return Some(segment(rest))
            .filter(|name| !name.is_empty())
            .into_iter()
            .collect();
    };
    let (mut depth, mut start, mut members) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                members.push(segment(group[start..at].trim_start()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    members.retain(|name| !name.is_empty());
    members
}

/// A line without its comment and with its strings emptied.
fn stripped(line: &str) -> String {
    let (mut out, mut quoted, mut chars) = (String::new(), false, line.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => {
                chars.next();
            }
            '"' if out.ends_with('\'') => out.push(c),
            '"' => {
                quoted = !quoted;
                out.push(c);
            }
            '/' if !quoted && chars.peek() == Some(&'/') => break,
            c if !quoted => out.push(c),
            _ => {}
        }
    }
    out
}

/// Whether `name` stands in `code` as a path's first segment.
fn is_word(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let inside = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let before = code[..at].chars().next_back().is_some_and(inside);
        let after = code[at + name.len()..]
            .chars()
            .next()
            .is_some_and(|c| c.is_alphanumeric() || c == '_');
        !before && (name.ends_with("::") || !after)
    })
}
