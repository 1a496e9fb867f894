//! Listening sockets for all shards, bound before any shard starts: all of them or none.

use crate::net;
use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    path::Path,
};

/// Listeners of one address, one per shard.
///
/// # Errors
/// A sentence that names the address and, where it can be found, the process that has it.
pub fn bind(address: SocketAddr, shards: usize, share: bool) -> Result<Vec<OwnedFd>, String> {
    if !share && address.port() != 0 {
        // SO_REUSEPORT would let two gateways of one user share a port in silence, each getting part of the
        // traffic. A bind without it shows whether someone is there; it is closed again before ours are made.
        net::bind(address, false).map_err(|error| explain(address, share, &error))?;
    }
    (0..shards)
        .map(|_| net::bind(address, true).map_err(|error| explain(address, share, &error)))
        .collect()
}

fn explain(address: SocketAddr, sharing: bool, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let process = listener_of(address).unwrap_or_else(|| "another process".to_owned());
            let remedy = if sharing {
                "does not share it (SO_REUSEPORT). Stop it or choose another port"
            } else {
                "listens there. Stop it, choose another port, or let both share the port with --share-ports"
            };
            format!("cannot listen on {address}: {process} {remedy}")
        }
        io::ErrorKind::PermissionDenied => format!(
            "cannot listen on {address}: permission denied. Ports below 1024 need CAP_NET_BIND_SERVICE, or the \
             sysctl net.ipv4.ip_unprivileged_port_start"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("cannot listen on {address}: this machine has no such address")
        }
        _ => format!("cannot listen on {address}: {error}"),
    }
}

/// The process that listens on an address, as far as /proc lets us see it: `nginx (process 4711)`.
fn listener_of(address: SocketAddr) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, address))
        .collect();
    let processes = fs::read_dir("/proc").ok()?;
    for process in processes.flatten() {
        let name = process.file_name();
        let Some(pid) = name
            .to_str()
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        else {
            continue;
        };
        if holds(&process.path(), &inodes) {
            let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (process {pid})", command.trim()));
        }
    }
    None
}

fn holds(process: &Path, inodes: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    descriptors.flatten().any(|descriptor| {
        fs::read_link(descriptor.path()).is_ok_and(|target| {
            let target = target.to_string_lossy();
            inodes.iter().any(|inode| target == format!("socket:[{inode}]"))
        })
    })
}

/// Inodes of sockets in state LISTEN that would collide with `address`.
fn listening_inodes(table: &str, address: SocketAddr) -> Vec<String> {
    const LISTEN: &str = "0A";
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let local = fields.nth(1)?;
            let state = fields.nth(1)?;
            let inode = fields.nth(5)?;
            let (host, port) = local.split_once(':')?;
            let collides = u16::from_str_radix(port, 16).ok()? == address.port()
                && state == LISTEN
                && (is_unspecified(host) || address.ip().is_unspecified() || is(host, address.ip()));
            collides.then(|| inode.to_owned())
        })
        .collect()
}

fn is_unspecified(hex: &str) -> bool {
    hex.bytes().all(|byte| byte == b'0')
}

/// /proc writes an address as 32-bit words in the machine's byte order.
fn is(hex: &str, ip: IpAddr) -> bool {
    let octets: Vec<u8> = match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = octets.chunks_exact(4).map(|word| {
        let word = <[u8; 4]>::try_from(word).unwrap_or_default();
        format!("{:08X}", u32::from_ne_bytes(word))
    });
    words.collect::<String>() == hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_told_with_who_has_it() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("an address");
        let message = bind(address, 2, false).expect_err("it is taken");
        assert!(message.contains(&address.to_string()), "{message}");
        assert!(
            message.contains(&format!("process {}", std::process::id())),
            "{message}"
        );
        assert!(message.contains("--share-ports"), "{message}");
    }

    #[test]
    fn a_port_shared_by_another_is_told_too_unless_sharing_is_wanted() {
        let other = net::bind("127.0.0.1:0".parse().expect("an address"), true).expect("a port");
        let address = std::net::TcpListener::from(other.try_clone().expect("a copy"))
            .local_addr()
            .expect("it");
        assert!(bind(address, 1, false).is_err());
        assert_eq!(bind(address, 2, true).expect("shared").len(), 2);
    }

    #[test]
    fn a_free_port_gives_one_listener_a_shard() {
        let free = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .expect("a port");
        assert_eq!(bind(free, 3, false).expect("free").len(), 3);
    }
}
