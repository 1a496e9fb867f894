//! A set of address ranges, and addresses as they stand in header values: for policies that ask who may, and for the
//! networks whose word on a client's address counts.

use crate::located::{Located, Problems};
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Ranges that neither overlap nor touch, in order: a look-up is a binary search, whatever was written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Addresses {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Addresses {
    /// Every one that is no range is reported, at its place.
    pub fn compile(written: &[Located<String>], problems: &mut Problems) -> Option<Self> {
        let mut nets = Vec::new();
        for (index, text) in written.iter().enumerate() {
            match net(text.trim()) {
                Ok(net) => nets.push(net),
                Err(message) => problems.within_element(index, |problems| {
                    problems.report(&text.origin, message);
                }),
            }
        }
        (nets.len() == written.len()).then(|| Self::new(nets))
    }

    /// Every address there is.
    pub fn everybody() -> Self {
        Self {
            v4: vec![(0, u32::MAX)],
            v6: vec![(0, u128::MAX)],
        }
    }

    fn new(nets: impl IntoIterator<Item = IpNet>) -> Self {
        let mut all = Self::default();
        for net in IpNet::aggregate(&nets.into_iter().collect()) {
            match net {
                IpNet::V4(net) => all.v4.push((net.network().into(), net.broadcast().into())),
                IpNet::V6(net) => all.v6.push((net.network().into(), net.broadcast().into())),
            }
        }
        all.v4.sort_unstable();
        all.v6.sort_unstable();
        all
    }

    /// IPv4 in IPv6's clothes (RFC 4291 §2.5.5.2) is IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => holds(&self.v4, u32::from(address)),
            IpAddr::V6(address) => holds(&self.v6, u128::from(address)),
        }
    }
}

fn holds<N: Ord + Copy>(ranges: &[(N, N)], address: N) -> bool {
    let behind = ranges.partition_point(|(first, _)| *first <= address);
    behind > 0 && address <= ranges[behind - 1].1
}

/// The address of a value: one, with white space around it or not, with a port or not. None for anything else, a list
/// too: which of several is meant is for the expression to say.
pub fn address(value: &[u8]) -> Option<IpAddr> {
    // As long as the longest there is: `[…]:65535`, 39 digits and colons, a dotted tail. A scope is not taken.
    let text = std::str::from_utf8(value.trim_ascii())
        .ok()
        .filter(|text| text.len() <= 64)?;
    let bracketed = || {
        text.strip_prefix('[')?
            .strip_suffix(']')?
            .parse::<Ipv6Addr>()
            .ok()
    };
    let with_port = || {
        let address = text.parse::<SocketAddr>().ok()?;
        // A scope is a name of somebody's own interface.
        (!text.contains('%')).then_some(address.ip())
    };
    text.parse::<IpAddr>()
        .ok()
        .or_else(|| bracketed().map(IpAddr::V6))
        .or_else(with_port)
}

/// An address, a range (bits behind its prefix mean nothing, as everywhere), or the leading octets of IPv4 addresses.
fn net(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(canonical(IpNet::from(address)));
    }
    if let Ok(net) = text.parse::<IpNet>() {
        return Ok(canonical(net.trunc()));
    }
    leading_octets(text).map(IpNet::V4).ok_or_else(|| {
        format!(
            "`{text}` is no address, no range such as `10.0.0.0/8` or `2001:db8::/32`, and no leading octets such as `192.168`"
        )
    })
}

/// `10`, `192.168`, `192.168.7`, with a dot behind or not.
fn leading_octets(text: &str) -> Option<Ipv4Net> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let (mut octets, mut count) = ([0; 4], 0);
    for part in text.split('.') {
        // As Rust's own parser of addresses: no zeros in front, which others read as octal.
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        if count == 3 || !digits || (part.len() > 1 && part.starts_with('0')) {
            return None;
        }
        octets[count] = part.parse().ok()?;
        count += 1;
    }
    Ipv4Net::new(Ipv4Addr::from(octets), count as u8 * 8).ok()
}

/// A range of IPv4 addresses in IPv6's clothes is one of IPv4's.
fn canonical(net: IpNet) -> IpNet {
    match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.network().to_ipv4_mapped() {
            Some(address) => Ipv4Net::new(address, v6.prefix_len() - 96).map_or(net, IpNet::V4),
            None => net,
        },
        net => net,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(written: &[&str]) -> Addresses {
        Addresses::new(written.iter().map(|text| net(text).expect("a range")))
    }

    #[test]
    fn addresses_ranges_and_leading_octets() {
        let list = of(&[
            "10.0.0.0/8",
            "192.168",
            "172.16.3",
            "203.0.113.7",
            "2001:db8::/32",
            "::1",
            "11.",
            "2001:db9:7::1/48",
            "::ffff:198.51.100.0/120",
        ]);
        for inside in [
            "10.0.0.0",
            "10.255.255.255",
            "192.168.0.1",
            "172.16.3.255",
            "203.0.113.7",
            "2001:db8:1::9",
            "::1",
            "::ffff:10.1.2.3",
            "11.2.3.4",
            "198.51.100.77",
            "::ffff:198.51.100.1",
        ] {
            assert!(list.contains(inside.parse().expect("an address")), "{inside}");
        }
        for outside in [
            "9.255.255.255",
            "12.0.0.0",
            "192.169.0.0",
            "172.16.4.0",
            "203.0.113.6",
            "203.0.113.8",
            "2001:db9::",
            "::2",
            "::",
            "2001:db9:8::",
            "0.0.0.0",
            "255.255.255.255",
            "198.51.101.0",
            "::a00:1",
        ] {
            assert!(!list.contains(outside.parse().expect("an address")), "{outside}");
        }
        assert!(!of(&[]).contains(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let everybody = of(&["0.0.0.0/0", "::/0"]);
        assert_eq!(everybody, Addresses::everybody());
        assert!(everybody.contains("255.255.255.255".parse().expect("an address")));
        assert!(everybody.contains("ffff::ffff".parse().expect("an address")));
    }

    #[test]
    fn what_is_no_range() {
        for bad in [
            "",
            " ",
            "x",
            "10.0.0.0/33",
            "10.0.0.256",
            "010.0.0.1",
            "010",
            "1.2.3.4.5",
            "192.168.*",
            "::/129",
            "256",
            "1..2",
            ".",
            "-1",
            "10.0.0.0-10.0.0.9",
            "fe80::1%eth0",
            "1e1",
            "+1",
        ] {
            assert!(net(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn values_that_name_one_address() {
        for (value, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            (" 192.0.2.1\t", "192.0.2.1"),
            ("192.0.2.1:8080", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ] {
            assert_eq!(
                address(value.as_bytes()),
                Some(expected.parse().expect("an address")),
                "{value}"
            );
        }
        for bad in [
            "",
            "unknown",
            "192.0.2.1, 192.0.2.2",
            "192.0.2.1,",
            "192.0.2",
            "192.0.2.1:",
            "192.0.2.1:x",
            "192.0.2.1:99999",
            "0300.0.2.1",
            "[192.0.2.1]",
            "2001:db8::1:::",
            "fe80::1%1",
            "[fe80::1%1]:80",
            "_hidden",
            "192.0.2.1 x",
            "\u{661}.0.0.1",
            "0x7f.0.0.1",
        ] {
            assert_eq!(address(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(address(&[b'1'; 100_000]), None);
        assert_eq!(address(b"\xff"), None);
    }

    /// Against a walk along what was written, which nobody can get wrong.
    #[test]
    fn the_search_finds_what_a_walk_finds() {
        let mut state = 7u64;
        let mut random = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        for _ in 0..200 {
            let nets: Vec<IpNet> = (0..random() % 20)
                .map(|_| {
                    let address = Ipv4Addr::from((random() as u32) & 0x0F0F_0F0F);
                    IpNet::V4(
                        Ipv4Net::new(address, 8 + (random() % 25) as u8)
                            .expect("a prefix")
                            .trunc(),
                    )
                })
                .collect();
            let list = Addresses::new(nets.clone());
            for _ in 0..100 {
                let address = IpAddr::V4(Ipv4Addr::from((random() as u32) & 0x0F0F_0F0F));
                assert_eq!(
                    list.contains(address),
                    nets.iter().any(|net| net.contains(&address)),
                    "{address} in {nets:?}"
                );
            }
        }
    }
}
