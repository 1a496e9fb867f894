//! Which coding the client takes (RFC 9110 §12.5.3).

use crate::choice;

choice! {
    /// A content coding.
    pub(in crate::policy) enum Coding {
        Brotli = "br",
        Gzip = "gzip",
        Zstd = "zstd",
    }
}

/// The one the client likes best; of those it likes as well as each other the first of `ours`. None: it goes as it is.
pub(super) fn choose<'v>(accept: impl Iterator<Item = &'v [u8]>, ours: &[Coding]) -> Option<Coding> {
    let mut weights = [None; 3];
    let mut others = None;
    for element in accept.flat_map(|line| line.split(|&byte| byte == b',')) {
        let mut parts = element.split(|&byte| byte == b';');
        let name = parts.next().unwrap_or_default().trim_ascii();
        // A weight that can't be read is no wish: the coding is left alone.
        let weight = parts
            .map(<[u8]>::trim_ascii)
            .find_map(|parameter| {
                parameter
                    .strip_prefix(b"q=")
                    .or_else(|| parameter.strip_prefix(b"Q="))
            })
            .map_or(1000, |text| thousandths(text).unwrap_or(0));
        if name == b"*" {
            others = Some(weight);
        } else if let Some(coding) = Coding::named(name) {
            weights[coding as usize] = Some(weight);
        }
    }
    let weight = |coding: Coding| weights[coding as usize].or(others).unwrap_or(0);
    let mut best = None;
    for &coding in ours {
        let weight = weight(coding);
        if weight > 0 && best.is_none_or(|(_, most)| weight > most) {
            best = Some((coding, weight));
        }
    }
    best.map(|(coding, _)| coding)
}

impl Coding {
    fn named(name: &[u8]) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match () {
            () if is("gzip") || is("x-gzip") => Some(Self::Gzip),
            () if is("br") => Some(Self::Brotli),
            () if is("zstd") => Some(Self::Zstd),
            () => None,
        }
    }
}

/// `0`, `1`, `0.5`, `0.123`, `1.000`
fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = match text.iter().position(|&byte| byte == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &b""[..]),
    };
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut sum = match whole {
        b"0" => 0,
        b"1" => 1,
        _ => return None,
    };
    for place in 0..3 {
        sum = sum * 10 + fraction.get(place).map_or(0, |digit| u16::from(digit - b'0'));
    }
    (sum <= 1000).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::{Coding::*, *};

    #[test]
    fn the_clients_wish_goes_before_our_order() {
        let all = [Zstd, Brotli, Gzip];
        let of = |lines: &[&str]| choose(lines.iter().map(|line| line.as_bytes()), &all);
        assert_eq!(of(&["gzip, deflate, br"]), Some(Brotli));
        assert_eq!(of(&["gzip", "zstd"]), Some(Zstd));
        assert_eq!(of(&["gzip;q=1.0, br;q=0.9, zstd; q=0"]), Some(Gzip));
        assert_eq!(of(&["*"]), Some(Zstd));
        assert_eq!(of(&["*;q=0.1, br"]), Some(Brotli));
        assert_eq!(of(&["zstd;q=0, *"]), Some(Brotli));
        assert_eq!(of(&["X-GZIP"]), Some(Gzip));
        for none in [
            &[][..],
            &[""],
            &["identity"],
            &["gzip;q=0"],
            &["*;q=0"],
            &["gzip;q=2"],
            &["gzip;q=x"],
            &["gzip;q="],
        ] {
            assert_eq!(of(none), None, "{none:?}");
        }
        assert_eq!(choose([&b"br, gzip"[..]].into_iter(), &[Gzip]), Some(Gzip));
    }
}
