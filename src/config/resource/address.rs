//! Addresses: where an API listens and where a service is.

use crate::{
    located::{Decode, Node, Problems, schema::Definitions},
    route,
    upstream::cluster::EndpointAddress,
};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `http://host:port[/base]` or `https://…`: a socket and the base path below which an API lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenAddress {
    pub(crate) socket: SocketAddr,
    /// "" or "/x/y".
    pub(crate) base_path: String,
    /// `https`.
    pub(crate) secure: bool,
}

impl ListenAddress {
    fn parse(text: &str) -> Result<Self, String> {
        let (rest, secure) = match text.split_once("://") {
            Some(("http", rest)) => (rest, false),
            Some(("https", rest)) => (rest, true),
            _ => {
                return Err(
                    "must be http://host:port or https://host:port, with a base path after it where wanted"
                        .to_owned(),
                );
            }
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let (host, port) = split_authority(authority)?;
        let port = port.ok_or("must name the port to listen on: http://host:port")?;
        let address = match host {
            // The name means both loopbacks; a listener is one socket, and this is the one clients try.
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            host => ip_literal(host).ok_or_else(|| {
                format!(
                    "can't listen on the name `{host}`: write an IP address, 0.0.0.0 or [::] for all of them"
                )
            })?,
        };
        if let Some(why) = no_listener(address) {
            return Err(format!("can't listen on `{host}`: {why}"));
        }
        let base_path = route::normalise_base_path(path)?;
        Ok(Self {
            socket: SocketAddr::new(address, port),
            base_path,
            secure,
        })
    }
}

impl Decode for ListenAddress {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        parse_with(node, problems, Self::parse)
    }

    fn schema(_: &mut Definitions) -> serde_json::Value {
        json!({ "type": "string", "pattern": "^https?://[^/]+:[0-9]+(/.*)?$" })
    }
}

/// `http://host[:port]`, `https://host[:port]` or `unix:/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamAddress {
    pub(crate) endpoint: EndpointAddress,
    pub(crate) secure: bool,
}

impl UpstreamAddress {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            if !path.starts_with('/') || path.len() > MAX_UNIX_PATH || path.contains('\0') {
                return Err(format!(
                    "must be unix: and an absolute path of at most {MAX_UNIX_PATH} bytes"
                ));
            }
            return Ok(Self {
                endpoint: EndpointAddress::Unix { path: path.into() },
                secure: false,
            });
        }
        let (rest, secure) = match text.split_once("://") {
            Some(("http", rest)) => (rest, false),
            Some(("https", rest)) => (rest, true),
            Some(("h2", _)) => {
                return Err(
                    "Ringway knows `h2://` services but does not have them yet; use http:// or https://"
                        .to_owned(),
                );
            }
            _ => return Err("must be http://host:port, https://host:port or unix:/path".to_owned()),
        };
        // A lone slash is how many write the root.
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err("must not have a path: put it into a route's destinationPath".to_owned());
        }
        let (host, port) = split_authority(authority)?;
        let literal = ip_literal(host);
        if literal.is_none() && !is_host_name(host) {
            return Err(format!("`{host}` is neither an IP address nor a host name"));
        }
        if literal.is_some_and(|address| address.is_unspecified()) {
            return Err(format!(
                "`{host}` is an address to listen on, not one to connect to"
            ));
        }
        // Brackets are the address's spelling in a URI, not part of it.
        let host = literal.map_or_else(|| host.to_ascii_lowercase(), |address| address.to_string());
        let port = port.unwrap_or(if secure { 443 } else { 80 });
        Ok(Self {
            endpoint: EndpointAddress::Tcp { host, port },
            secure,
        })
    }

    /// The host that has to show a certificate.
    pub(crate) fn secure_host(&self) -> Option<&str> {
        match &self.endpoint {
            EndpointAddress::Tcp { host, .. } if self.secure => Some(host),
            _ => None,
        }
    }

    /// As it would be written.
    pub(crate) fn text(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        match &self.endpoint {
            EndpointAddress::Unix { path } => format!("unix:{}", path.display()),
            EndpointAddress::Tcp { host, port } if host.contains(':') => {
                format!("{scheme}://[{host}]:{port}")
            }
            EndpointAddress::Tcp { host, port } => format!("{scheme}://{host}:{port}"),
        }
    }
}

impl Decode for UpstreamAddress {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        parse_with(node, problems, Self::parse)
    }

    fn schema(_: &mut Definitions) -> serde_json::Value {
        json!({ "type": "string", "pattern": "^(https?://[^/?#]+/?|unix:/.+)$" })
    }
}

fn parse_with<T>(node: &Node, problems: &mut Problems, parse: fn(&str) -> Result<T, String>) -> Option<T> {
    let text = String::decode(node, problems)?;
    parse(&text)
        .map_err(|message| problems.report(&node.origin, message))
        .ok()
}

/// `host:port` of something to connect to, brackets around IPv6 taken off.
///
/// # Errors
/// What it must be instead.
pub(super) fn host_and_port(text: &str) -> Result<(String, u16), String> {
    const MUST: &str = "must be host:port, with brackets around an IPv6 address";
    let (host, port) = split_authority(text).map_err(|why| format!("{MUST}; it {why}"))?;
    let port = port.ok_or_else(|| format!("{MUST}; it has no port"))?;
    match ip_literal(host) {
        Some(address) if address.is_unspecified() => Err(format!(
            "`{host}` is an address to listen on, not one to connect to"
        )),
        Some(address) => Ok((address.to_string(), port)),
        None if is_host_name(host) => Ok((host.to_ascii_lowercase(), port)),
        None => Err(format!("`{host}` is neither an IP address nor a host name")),
    }
}

/// Host and port of `host:port`, `[v6]:port`, `host`.
fn split_authority(authority: &str) -> Result<(&str, Option<u16>), String> {
    if authority.contains('@') {
        return Err("must not have a user name or password".to_owned());
    }
    // The last colon, unless it stands inside of the brackets.
    let (host, port) = match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => {
            (&authority[..colon], Some(&authority[colon + 1..]))
        }
        _ => (authority, None),
    };
    if host.is_empty() {
        return Err("has no host".to_owned());
    }
    if host.contains(':') && !host.starts_with('[') {
        return Err("must have an IPv6 address in brackets: http://[::1]:8081".to_owned());
    }
    let Some(digits) = port else {
        return Ok((host, None));
    };
    let number = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse::<u16>());
    match number {
        Some(Ok(port)) if port > 0 => Ok((host, Some(port))),
        _ => Err(format!("must have a port between 1 and 65535, not `{digits}`")),
    }
}

/// Addresses that parse and that no listener of ours can serve: the kernel refuses them with a bare "Invalid
/// argument", or takes them and never has a connection.
fn no_listener(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some("write the IPv4 address itself"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            Some("a link-local address needs a zone, which can't be written here")
        }
        address if address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) => {
            Some("it stands for many machines")
        }
        _ => None,
    }
}

fn ip_literal(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// Letters, digits, `-` and `_` in labels of 1 to 63; the last label is not a number, which a resolver would
/// read as part of an IPv4 address (WHATWG URL §3.5 refuses those too).
fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.len() <= 63 && label.bytes().all(inner)
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let last_is_number = host
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    host.len() <= 253 && host.split('.').all(label) && !last_is_number
}

/// `sockaddr_un.sun_path` less its final NUL.
const MAX_UNIX_PATH: usize = 107;
