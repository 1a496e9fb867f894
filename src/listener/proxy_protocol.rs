//! The PROXY protocol: what a load balancer says of the client in front of everything else on a connection
//! (haproxy.org/download/2.9/doc/proxy-protocol.txt, versions 1 and 2). Bytes in, an address out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header read. The text form has at most 107 bytes; the binary one, with what its sender attaches (TLVs),
/// could have 64 KiB, of which no sender known uses more than some hundred: a certificate's name, an endpoint's id.
pub const LONGEST: usize = 4096;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Of the header. What comes behind it is the client's.
    pub length: usize,
    /// None: the connection is the sender's own (a health check), or of no kind that has an address.
    pub client: Option<SocketAddr>,
}

/// What the first bytes of a connection say; None while more are needed, and all of these belong to the header.
///
/// # Errors
/// They are no header. Nothing else may be made of them: whoever writes one wrong may have written anything.
pub fn parse(bytes: &[u8]) -> Result<Option<Announced>, &'static str> {
    let shared = bytes.len().min(SIGNATURE.len());
    if bytes[..shared] == SIGNATURE[..shared] {
        // The text form differs from the signature in its first byte, so this is right for a part of it, too.
        return binary(bytes);
    }
    let shared = bytes.len().min(TEXT.len());
    if bytes[..shared] == TEXT[..shared] {
        return text(bytes);
    }
    Err("the connection does not begin with a PROXY protocol header")
}

/// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n`.
fn text(bytes: &[u8]) -> Result<Option<Announced>, &'static str> {
    let line = &bytes[..bytes.len().min(LONGEST_TEXT)];
    let Some(end) = line.windows(2).position(|two| two == b"\r\n") else {
        return if bytes.len() < LONGEST_TEXT {
            Ok(None)
        } else {
            Err("the PROXY line does not end within 107 bytes")
        };
    };
    let announced = |client| Announced {
        length: end + 2,
        client,
    };
    let line = std::str::from_utf8(&line[TEXT.len()..end]).map_err(|_| NO_LINE)?;
    let mut words = line.split(' ');
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        // Whatever follows is to be ignored.
        return Ok(Some(announced(None)));
    }
    let mut next = || words.next().ok_or(NO_LINE);
    let [source, destination, source_port, destination_port] = [next()?, next()?, next()?, next()?];
    let address = |text: &str| match family {
        "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| NO_LINE),
        "TCP6" => text.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| NO_LINE),
        _ => Err("the PROXY line names a protocol that is not TCP4, TCP6 or UNKNOWN"),
    };
    let client = SocketAddr::new(address(source)?, port(source_port)?);
    address(destination)?;
    port(destination_port)?;
    match words.next() {
        None => Ok(Some(announced(Some(client)))),
        Some(_) => Err(NO_LINE),
    }
}

/// Digits without a zero in front.
fn port(text: &str) -> Result<u16, &'static str> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    (text.parse().ok()).filter(|_| digits).ok_or(NO_LINE)
}

/// Version 2: the signature, version and command, family and protocol, a length; then as many bytes, of which the
/// addresses are the first.
fn binary(bytes: &[u8]) -> Result<Option<Announced>, &'static str> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(None);
    };
    let [.., command, family, high, low] = *fixed;
    if command >> 4 != 2 {
        return Err("the PROXY header is of a version that is not 2");
    }
    let size = usize::from(u16::from_be_bytes([high, low]));
    if FIXED + size > LONGEST {
        return Err("the PROXY header is longer than 4096 bytes");
    }
    let (local, client_size) = match (command & 0xf, family) {
        // The sender's own connection, whatever family it says.
        (0, _) => (true, 0),
        (1, UNSPECIFIED) => (true, 0),
        (1, TCP4) => (false, 12),
        (1, TCP6) => (false, 36),
        (1, UNIX_STREAM) => (true, 216),
        (1, _) => return Err("the PROXY header is not of a stream over IPv4, IPv6 or UNIX"),
        _ => return Err("the PROXY header has a command that is neither LOCAL nor PROXY"),
    };
    if size < client_size {
        return Err("the PROXY header is too short for its addresses");
    }
    let Some(content) = rest.get(..size) else {
        return Ok(None);
    };
    let client = match (local, family) {
        (true, _) => None,
        (false, TCP4) => content.first_chunk::<12>().map(|addresses| {
            let [a, b, c, d, _, _, _, _, high, low, ..] = *addresses;
            SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low]))
        }),
        (false, _) => content.first_chunk::<36>().and_then(|addresses| {
            let address = addresses.first_chunk::<16>()?;
            let port = u16::from_be_bytes([addresses[32], addresses[33]]);
            Some(SocketAddr::new(Ipv6Addr::from(*address).into(), port))
        }),
    };
    Ok(Some(Announced {
        length: FIXED + size,
        client,
    }))
}

const NO_LINE: &str = "the PROXY line is not `PROXY TCP4|TCP6 SOURCE DESTINATION PORT PORT`";
const TEXT: &[u8] = b"PROXY ";
const LONGEST_TEXT: usize = 107;
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const FIXED: usize = 16;
const UNSPECIFIED: u8 = 0;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v2(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let size = u16::try_from(content.len()).expect("a length").to_be_bytes();
        [&SIGNATURE[..], &[command, family], &size, content].concat()
    }

    fn four() -> Vec<u8> {
        [
            &[192, 0, 2, 1],
            &[198, 51, 100, 1],
            &56324u16.to_be_bytes()[..],
            &443u16.to_be_bytes(),
        ]
        .concat()
    }

    fn six() -> Vec<u8> {
        let address = |text: &str| text.parse::<Ipv6Addr>().expect("an address").octets();
        let ends = [address("2001:db8::1"), address("2001:db8::2")].concat();
        [&ends[..], &56324u16.to_be_bytes(), &443u16.to_be_bytes()].concat()
    }

    /// Good ones, and the client they tell.
    fn good() -> Vec<(Vec<u8>, Option<&'static str>)> {
        let text = |line: &str| format!("PROXY {line}\r\n").into_bytes();
        let with_tlv = [four(), vec![0x04, 0, 3, 1, 2, 3], vec![0xea, 0, 1, 1]].concat();
        vec![
            (
                text("TCP4 192.0.2.1 198.51.100.1 56324 443"),
                Some("192.0.2.1:56324"),
            ),
            (
                text("TCP6 2001:db8::1 2001:db8::2 0 65535"),
                Some("[2001:db8::1]:0"),
            ),
            (text("UNKNOWN"), None),
            (text("UNKNOWN whatever else 1 2 3"), None),
            (v2(0x21, TCP4, &four()), Some("192.0.2.1:56324")),
            (v2(0x21, TCP4, &with_tlv), Some("192.0.2.1:56324")),
            (v2(0x21, TCP6, &six()), Some("[2001:db8::1]:56324")),
            (v2(0x20, UNSPECIFIED, b""), None),
            (v2(0x20, TCP4, &four()), None),
            (v2(0x21, UNSPECIFIED, &[7; 30]), None),
            (v2(0x21, UNIX_STREAM, &[1; 216]), None),
        ]
    }

    #[test]
    fn good_ones_at_every_split() {
        for (header, client) in good() {
            let client = client.map(|text| text.parse().expect("an address"));
            for end in 0..header.len() {
                assert_eq!(parse(&header[..end]), Ok(None), "{end} of {header:?}");
            }
            let length = header.len();
            for behind in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n"] {
                let bytes = [&header[..], behind].concat();
                assert_eq!(
                    parse(&bytes),
                    Ok(Some(Announced { length, client })),
                    "{header:?}"
                );
            }
        }
    }

    #[test]
    fn bad_ones_are_refused() {
        let bad_text = [
            "GET / HTTP/1.1\r\n",
            "proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY\r\n",
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n",
            "PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n",
            "PROXY TCP4 192.0.2.01 198.51.100.1 1 2\r\n",
            "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
            "PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1\n198.51.100.1 1 2\r\n",
        ];
        for line in bad_text {
            assert!(parse(line.as_bytes()).is_err(), "{line:?}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        assert!(parse(long.as_bytes()).is_err());
        for header in [
            v2(0x11, TCP4, &four()),
            v2(0x31, TCP4, &four()),
            v2(0x22, TCP4, &four()),
            v2(0x21, 0x12, &four()),
            v2(0x21, 0x41, &six()),
            v2(0x21, TCP4, &four()[..11]),
            v2(0x21, TCP6, &four()),
            v2(0x20, UNSPECIFIED, &[0; LONGEST]),
        ] {
            assert!(parse(&header).is_err(), "{header:?}");
        }
    }

    proptest! {
        /// Whoever asks for more must be able to take what it has: no byte of the client's is in it.
        #[test]
        fn whatever_comes_is_a_header_the_beginning_of_one_or_none(bytes: Vec<u8>, which in 0..11_usize, at in 0..60_usize, byte: u8) {
            prop_assert!(!matches!(parse(&bytes), Ok(Some(announced)) if announced.length > bytes.len()));
            let (mut header, _) = good().swap_remove(which);
            let at = at % header.len();
            header[at] = byte;
            header.extend_from_slice(&bytes);
            match parse(&header) {
                Ok(Some(announced)) => prop_assert!(announced.length <= header.len()),
                Ok(None) => prop_assert!(header.len() < LONGEST),
                Err(_) => {}
            }
        }
    }
}
