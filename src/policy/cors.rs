//! `cors-flex`: which web pages may call the API (Fetch standard, "CORS protocol"). It runs before everything else and
//! answers every OPTIONS itself, as the vendor's does; it refuses nothing: a browser does, for want of a permission.

use super::{Answer, Request, Response, State, Step};
use crate::{
    http1::Method,
    located::{Bounded, Located, Problems},
    object,
};

object! {
    /// Configuration of `cors-flex`.
    pub(super) struct CorsSpec {
        /// Any page may call, without credentials; `originGroups` are not looked at then. Default true.
        optional "publicResource" public: bool,
        /// Pages may send cookies and the like. Default false; not with `*` or `publicResource`, which no browser takes.
        optional "supportCredentials" credentials: Located<bool>,
        /// Who may do what, when the resource is not public.
        optional "originGroups" groups: Vec<CorsGroupSpec>,
    }
}

object! {
    /// Origins that may do the same.
    pub(super) struct CorsGroupSpec {
        /// For whoever reads the file.
        optional "originGroupName" name: String,
        /// `scheme://host[:port]` as browsers send it, or `*` for all that no other group names.
        required "origins" origins: Vec<Located<String>>,
        /// Seconds a browser may remember the answer. Default 30.
        optional "accessControlMaxAge" max_age: Bounded<0, 86400>,
        /// Methods a page may use. Default none.
        optional "allowedMethods" methods: Vec<CorsMethodSpec>,
        /// Header names a page may send, or `*`. Default none but the simple ones.
        optional "headers" headers: Vec<Located<String>>,
        /// Header names a page may read, or `*`. Default none but the simple ones.
        optional "exposedHeaders" exposed: Vec<Located<String>>,
    }
}

object! {
    /// One method, allowed or not.
    pub(super) struct CorsMethodSpec {
        /// As in a request, such as `GET`.
        required "methodName" name: Located<String>,
        /// Default true.
        optional "isAllowed" allowed: bool,
    }
}

#[derive(Debug)]
pub struct Cors {
    /// None: public.
    groups: Option<Vec<Group>>,
    credentials: bool,
}

#[derive(Debug)]
struct Group {
    origins: Vec<String>,
    /// Values of the lines of the answer, empty for no line.
    max_age: String,
    methods: Vec<String>,
    headers: String,
    exposed: String,
}

/// Where in the configuration an origin was found, kept for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    group: usize,
    origin: usize,
}

impl Cors {
    /// As without a configuration: for every page, without credentials.
    pub(super) const PUBLIC: Self = Self {
        groups: None,
        credentials: false,
    };

    pub(super) fn compile(spec: &CorsSpec, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let public = spec.public.unwrap_or(true);
        let credentials = spec
            .credentials
            .as_ref()
            .is_some_and(|credentials| credentials.value);
        let groups: Vec<Group> = problems.within("originGroups", |problems| {
            let written = spec.groups.as_deref().unwrap_or_default();
            written
                .iter()
                .map(|group| Group::compile(group, problems))
                .collect()
        });
        if let Some(written) = spec.credentials.as_ref().filter(|_| credentials) {
            let all = groups
                .iter()
                .flat_map(|group| &group.origins)
                .any(|origin| origin == ANY);
            if public || all {
                let message = "no browser takes credentials together with all origins: name the origins in \
                               `originGroups`, with `publicResource: false`";
                problems.within("supportCredentials", |problems| {
                    problems.report(&written.origin, message.to_owned());
                });
            }
        }
        (problems.len() == before).then_some(Self {
            groups: (!public).then_some(groups),
            credentials,
        })
    }

    pub(super) fn on_request(&self, request: &mut Request<'_>, state: &mut State) -> Step {
        let mut origins = request.values("origin");
        let allowed = match (origins.next(), origins.next()) {
            (Some(origin), None) => self.find(origin),
            _ => None,
        };
        drop(origins);
        if request.head.method_kind != Method::Options {
            *state = State::Cors(allowed);
            return Step::Continue;
        }
        if let Some(allowed) = allowed {
            self.preflight(allowed, request);
        }
        // What is answered differs by what was asked, whatever was allowed.
        request.reply(
            "Vary",
            b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        );
        *state = State::Cors(allowed);
        Step::Answer(Answer::empty(NO_CONTENT))
    }

    pub(super) fn on_response(&self, response: &mut Response<'_>, state: &State) {
        let State::Cors(allowed) = state else { return };
        let headers = &mut *response.headers;
        // An origin's own answer would be a second one; browsers take neither then.
        headers.remove(response.bytes, |name, _| {
            name.len() > PREFIX.len()
                && name[..PREFIX.len()].eq_ignore_ascii_case(PREFIX)
                && !is_preflight(name)
        });
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() {
                // Checked when it was compiled.
                let _ = headers.append(name.as_bytes(), value.as_bytes());
            }
        };
        if let Some(allowed) = allowed {
            add("Access-Control-Allow-Origin", self.origin(*allowed));
            if self.credentials {
                add("Access-Control-Allow-Credentials", "true");
            }
            if let Some(group) = self.group(*allowed) {
                add("Access-Control-Expose-Headers", &group.exposed);
            }
        }
        if self.groups.is_some() && !varies_by_origin(headers, response.bytes) {
            let _ = headers.append(b"Vary", b"Origin");
        }
    }

    /// A group that names the origin goes before one that takes all.
    fn find(&self, origin: &[u8]) -> Option<Allowed> {
        let Some(groups) = &self.groups else {
            return Some(Allowed { group: 0, origin: 0 });
        };
        let find = |wanted: &dyn Fn(&str) -> bool| {
            groups.iter().enumerate().find_map(|(group, list)| {
                let origin = list.origins.iter().position(|known| wanted(known))?;
                Some(Allowed { group, origin })
            })
        };
        // Scheme and host are sent in lower case (RFC 6454 §6.2), but not by everybody.
        find(&|known| known.as_bytes().eq_ignore_ascii_case(origin)).or_else(|| find(&|known| known == ANY))
    }

    fn group(&self, allowed: Allowed) -> Option<&Group> {
        self.groups.as_ref()?.get(allowed.group)
    }

    fn origin(&self, allowed: Allowed) -> &str {
        self.group(allowed)
            .map_or(ANY, |group| &group.origins[allowed.origin])
    }

    /// The lines that only an answer to a preflight has; the others come with every answer.
    fn preflight(&self, allowed: Allowed, request: &mut Request<'_>) {
        let Some(group) = self.group(allowed) else {
            // Anything is allowed: what is asked for is. `*` would leave out Authorization.
            for (asked, answered) in [
                ("access-control-request-method", "Access-Control-Allow-Methods"),
                ("access-control-request-headers", "Access-Control-Allow-Headers"),
            ] {
                let asked: Vec<u8> = request.values(asked).next().unwrap_or_default().to_vec();
                if !asked.is_empty() {
                    request.reply(answered, &asked);
                }
            }
            request.reply("Access-Control-Max-Age", b"30");
            return;
        };
        let method = request
            .values("access-control-request-method")
            .next()
            .unwrap_or_default();
        let known = group.methods.iter().any(|known| known.as_bytes() == method);
        if !known {
            return;
        }
        request.reply(
            "Access-Control-Allow-Methods",
            group.methods.join(", ").as_bytes(),
        );
        if !group.headers.is_empty() {
            request.reply("Access-Control-Allow-Headers", group.headers.as_bytes());
        }
        request.reply("Access-Control-Max-Age", group.max_age.as_bytes());
    }
}

impl Group {
    fn compile(spec: &CorsGroupSpec, problems: &mut Problems) -> Self {
        for origin in &spec.origins {
            if !is_origin(origin) {
                let message = format!(
                    "`{}` is no origin: write `scheme://host[:port]` without a path, or `*`",
                    origin.value
                );
                problems.within("origins", |problems| problems.report(&origin.origin, message));
            }
        }
        let mut names = |key: &str, written: &Option<Vec<Located<String>>>| {
            let written = written.as_deref().unwrap_or_default();
            for name in written.iter().filter(|name| !is_name(name)) {
                let message = format!("`{}` is no header name", name.value);
                problems.within(key, |problems| problems.report(&name.origin, message));
            }
            written
                .iter()
                .map(|name| name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let (headers, exposed) = (
            names("headers", &spec.headers),
            names("exposedHeaders", &spec.exposed),
        );
        let methods = spec.methods.as_deref().unwrap_or_default();
        for method in methods.iter().filter(|method| !is_name(&method.name)) {
            let message = format!("`{}` is no method", method.name.value);
            problems.within("allowedMethods", |problems| {
                problems.report(&method.name.origin, message)
            });
        }
        Self {
            origins: spec.origins.iter().map(|origin| origin.value.clone()).collect(),
            max_age: spec
                .max_age
                .map_or(DEFAULT_MAX_AGE, |seconds| seconds.unsigned())
                .to_string(),
            methods: (methods.iter())
                .filter(|method| method.allowed.unwrap_or(true))
                .map(|method| method.name.value.clone())
                .collect(),
            headers,
            exposed,
        }
    }
}

fn is_origin(text: &str) -> bool {
    text == ANY
        || text.split_once("://").is_some_and(|(scheme, host)| {
            let host_fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
            !scheme.is_empty()
                && scheme
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
                && !host.is_empty()
                && host.bytes().all(host_fits)
        })
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

fn is_preflight(name: &[u8]) -> bool {
    [&b"methods"[..], b"headers", b"max-age"]
        .iter()
        .any(|end| name.len() > end.len() && name[name.len() - end.len()..].eq_ignore_ascii_case(end))
        && !name.eq_ignore_ascii_case(b"access-control-expose-headers")
}

fn varies_by_origin(headers: &crate::http1::Headers, bytes: &[u8]) -> bool {
    headers.values(bytes, b"vary").any(|value| {
        let mut names = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin"))
    })
}

const ANY: &str = "*";
const PREFIX: &[u8] = b"access-control-";
const NO_CONTENT: u16 = 204;
const DEFAULT_MAX_AGE: u64 = 30;
