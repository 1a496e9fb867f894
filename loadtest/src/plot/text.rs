//! How wide text will be. The reader's font is not known, so this is an estimate for the sans-serif fonts of today's
//! systems, on the wide side: text may take less room than it is given, not more.

/// Width in pixels of `text` at `size` pixels.
pub fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

/// `text` cut to `room` pixels with an ellipsis, or as it is when it fits.
pub fn shorten(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut left = room - width("…", size);
    let mut kept = String::new();
    for character in text.chars() {
        left -= advance(character) * size;
        if left < 0.0 {
            break;
        }
        kept.push(character);
    }
    kept.truncate(kept.trim_end().len());
    kept + "…"
}

/// `text` in at most `lines` lines of `room` pixels, broken at spaces; what does not fit then is cut.
pub fn wrap(text: &str, size: f64, room: f64, lines: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let full = wrapped.len() >= lines;
        match wrapped.last_mut() {
            Some(line) if full || width(&format!("{line} {word}"), size) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => wrapped.push(word.to_owned()),
        }
    }
    wrapped
        .into_iter()
        .map(|line| shorten(&line, size, room))
        .collect()
}

/// In parts of the font's size; between Helvetica's and the wider Verdana's.
fn advance(character: char) -> f64 {
    match character {
        'i' | 'j' | 'l' | '\'' | '|' => 0.28,
        '.' | ',' | ':' | ';' | '!' | ' ' | 'f' | 't' | 'r' | 'I' | '(' | ')' | '/' | '-' => 0.38,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' | '—' => 0.95,
        'A'..='Z' => 0.72,
        'a'..='z' | '0'..='9' => 0.6,
        // Neither is a wide script's em too little, nor what a Latin letter with an accent takes far from it.
        _ if character.is_ascii() => 0.66,
        _ if (character as u32) < 0x1100 => 0.7,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_text_stays() {
        assert_eq!(shorten("nginx", 12.0, 100.0), "nginx");
        assert_eq!(wrap("Two words", 12.0, 200.0, 2), ["Two words"]);
        assert!(wrap("", 12.0, 200.0, 2).is_empty());
    }

    #[test]
    fn long_text_keeps_within_its_room() {
        let long = "a gateway with a name that nobody would give to anything at all";
        let cut = shorten(long, 12.0, 120.0);
        assert!(cut.ends_with('…') && width(&cut, 12.0) <= 120.0, "{cut}");
        for lines in 1..4 {
            let wrapped = wrap(long, 12.0, 110.0, lines);
            assert_eq!(wrapped.len(), lines);
            assert!(
                wrapped.iter().all(|line| width(line, 12.0) <= 110.0),
                "{wrapped:?}"
            );
            assert!(wrapped[lines - 1].ends_with('…'), "{wrapped:?}");
        }
    }

    #[test]
    fn other_scripts_are_cut_between_characters() {
        let cut = shorten("網関網関網関網関", 10.0, 45.0);
        assert_eq!(cut, "網関網…");
    }
}
