//! A number of bytes as people write it: `13`, `1KiB`, `100MiB`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Size(pub u64);

impl Size {
    pub fn bytes(self) -> u64 {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = UNITS
            .iter()
            .find(|(name, _)| *name == text[digits.len()..].trim())?;
        Some(Self(digits.parse::<u64>().ok()?.checked_mul(unit.1)?))
    }
}

impl fmt::Display for Size {
    /// In the largest unit that leaves a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, bytes): &&(&str, u64)| self.0 >= *bytes && self.0.is_multiple_of(*bytes);
        let (name, bytes) = UNITS.iter().rev().find(fits).unwrap_or(&UNITS[0]);
        let number = self.0 / bytes;
        if name.is_empty() {
            write!(f, "{number} bytes")
        } else {
            write!(f, "{number} {name}")
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, as 13, 1KiB or 100MiB")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Size, E> {
                Ok(Size(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                Size::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

const UNITS: [(&str, u64); 4] = [("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_written_and_as_said() {
        for (text, bytes, said) in [
            ("13", 13, "13 bytes"),
            ("1KiB", 1024, "1 KiB"),
            ("100 MiB", 104_857_600, "100 MiB"),
            ("1536", 1536, "1536 bytes"),
            ("2048", 2048, "2 KiB"),
        ] {
            assert_eq!(Size::parse(text), Some(Size(bytes)), "{text}");
            assert_eq!(Size(bytes).to_string(), said);
        }
        for text in [
            "",
            "KiB",
            "1 kB",
            "1.5MiB",
            "99999999999999999999",
            "99999999999GiB",
        ] {
            assert_eq!(Size::parse(text), None, "{text}");
        }
    }
}
