//! One name, asked where the system would ask: literal, `localhost`, `/etc/hosts`, DNS.

use hickory_resolver::{
    TokioResolver,
    config::{
        ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
    },
    net::runtime::TokioRuntimeProvider,
    proto::rr::Name,
    system_conf::read_system_conf,
};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::{Duration, Instant},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) struct Answer {
    /// At least one.
    pub addresses: Vec<IpAddr>,
    /// None: for ever.
    pub ttl: Option<Duration>,
}

pub(in crate::control) struct Lookup {
    /// Or why there is none; said for each name that needs it.
    dns: Result<TokioResolver, String>,
    /// Read anew for each name: it is small, changes under running containers, and this thread may read files.
    hosts_file: PathBuf,
}

impl Lookup {
    /// From `/etc/resolv.conf` and `/etc/hosts`; `RINGWAY_DNS_SERVER` (`ip` or `ip:port`) stands in for the
    /// servers of the former, its search list and options stay.
    pub(in crate::control) fn from_environment() -> Self {
        let server = std::env::var("RINGWAY_DNS_SERVER")
            .ok()
            .filter(|written| !written.is_empty());
        let dns = match server.as_deref().map(parse_server) {
            None => build(None),
            Some(Ok(server)) => build(Some(server)),
            Some(Err(error)) => Err(error),
        };
        Self {
            dns,
            hosts_file: "/etc/hosts".into(),
        }
    }

    #[cfg(test)]
    pub(in crate::control) fn with(server: SocketAddr, hosts_file: PathBuf) -> Self {
        let mut options = ResolverOpts::default();
        options.timeout = Duration::from_secs(2);
        let dns = build_with(
            ResolverConfig::from_parts(None, vec![], vec![name_server(server)]),
            options,
        );
        Self { dns, hosts_file }
    }

    /// # Errors
    /// With the reason, when there is no address.
    pub(in crate::control) async fn addresses(&self, host: &str) -> Result<Answer, String> {
        if let Ok(literal) = host.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(Answer {
                addresses: vec![literal],
                ttl: None,
            });
        }
        let plain = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        // RFC 6761 §6.3: never asked of DNS, whatever the search list would make of it.
        if plain == "localhost" || plain.ends_with(".localhost") {
            let addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return Ok(Answer { addresses, ttl: None });
        }
        // A file that cannot be read has no names.
        let hosts = fs::read(&self.hosts_file).unwrap_or_default();
        let addresses = in_hosts_file(&String::from_utf8_lossy(&hosts), &plain);
        if !addresses.is_empty() {
            return Ok(Answer {
                addresses,
                ttl: Some(HOSTS_FILE_TTL),
            });
        }
        self.ask_dns(host).await
    }

    async fn ask_dns(&self, host: &str) -> Result<Answer, String> {
        let dns = self.dns.as_ref().map_err(String::clone)?;
        // As bytes: the IDNA rules of a text form refuse the underscores that container networks use in names.
        let name = if host.is_ascii() {
            Name::from_ascii(host)
        } else {
            Name::from_utf8(host)
        };
        let name = name.map_err(|error| format!("not a name for DNS: {error}"))?;
        let found = dns.lookup_ip(name).await.map_err(|error| {
            if error.is_nx_domain() {
                "DNS says there is no such name".to_owned()
            } else if error.is_no_records_found() {
                NO_RECORDS.to_owned()
            } else {
                error.to_string()
            }
        })?;
        let addresses: Vec<IpAddr> = found.iter().collect();
        if addresses.is_empty() {
            return Err(NO_RECORDS.to_owned());
        }
        Ok(Answer {
            addresses,
            ttl: Some(found.valid_until().saturating_duration_since(Instant::now())),
        })
    }
}

/// Addresses `/etc/hosts` gives a name. A name that is there is not asked of DNS at all, not even for the family
/// that is missing, as in the C library's `files dns`.
fn in_hosts_file(text: &str, name: &str) -> Vec<IpAddr> {
    let line = |line: &str| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        words
            .any(|alias| alias.eq_ignore_ascii_case(name))
            .then_some(address)
    };
    text.lines().filter_map(line).collect()
}

fn parse_server(written: &str) -> Result<SocketAddr, String> {
    written
        .parse()
        .or_else(|_| written.parse().map(|ip: IpAddr| SocketAddr::new(ip, 53)))
        .map_err(|_| {
            format!("RINGWAY_DNS_SERVER: \"{written}\" is not an address such as 192.0.2.1 or 192.0.2.1:53")
        })
}

fn build(server: Option<SocketAddr>) -> Result<TokioResolver, String> {
    let (mut config, options) = read_system_conf().unwrap_or_else(|error| {
        // As the C library does: without a usable file, the server is on this machine.
        tracing::debug!(%error, "/etc/resolv.conf");
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
        (
            ResolverConfig::from_parts(None, vec![], vec![name_server(local)]),
            ResolverOpts::default(),
        )
    });
    if let Some(server) = server {
        let (domain, search, _) = config.into_parts();
        config = ResolverConfig::from_parts(domain, search, vec![name_server(server)]);
    }
    build_with(config, options)
}

fn build_with(config: ResolverConfig, mut options: ResolverOpts) -> Result<TokioResolver, String> {
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // The file is read here, see above; and what is remembered is remembered by `Names`.
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = 0;
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
        .map_err(|error| format!("no resolver: {error}"))
}

/// UDP first, TCP where an answer does not fit.
fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    NameServerConfig::new(address.ip(), true, connections)
}

const NO_RECORDS: &str = "the name has neither A nor AAAA records";

/// The file has no TTLs; half a minute follows an edit soon enough.
const HOSTS_FILE_TTL: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
