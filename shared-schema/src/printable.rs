//! Texts of runtimes and callers as terminals, logs and messages can show them.

/// A text on one line, without what a terminal obeys and what hides or reorders other text: escape sequences are left out,
/// line breaks and tabs become spaces, other control characters, bidirectional overrides and noncharacters become `�`.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            '\u{1b}' | '\u{9b}' | '\u{9d}' => skip_sequence(next, &mut rest),
            '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => shown.push(' '),
            hidden if is_unprintable(hidden) => shown.push('\u{fffd}'),
            other => shown.push(other),
        }
    }
    shown
}

/// Leaves out an escape sequence (ECMA-48): `ESC [ … letter`, `ESC ] … BEL` or `ESC ] … ESC \`, or `ESC` and one character.
fn skip_sequence(first: char, rest: &mut std::str::Chars<'_>) {
    let mut ahead = rest.clone();
    let kind = match first {
        '\u{9b}' => Some('['),
        '\u{9d}' => Some(']'),
        _ => ahead.next(),
    };
    let ended = match kind {
        Some('[') => {
            ahead.find(|c| !matches!(c, '\u{20}'..='\u{3f}')).is_some_and(|c| matches!(c, '@'..='~'))
        }
        // Without its end the text behind it is no part of the sequence. Any other control character stops the search, so
        // that no text is searched twice.
        Some(']' | 'P' | 'X' | '^' | '_') => match ahead.find(|c| c.is_control()) {
            Some('\u{1b}') => ahead.next() == Some('\\'),
            end => matches!(end, Some('\u{7}' | '\u{9c}')),
        },
        Some(c) => matches!(c, '\u{30}'..='\u{7e}'),
        None => false,
    };
    if ended {
        *rest = ahead;
    }
}

fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        || matches!(c, '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_of_sequences_without_an_end_are_searched_once() {
        assert_eq!(printable(&"\u{9d}".repeat(1_000_000)).len(), 0);
    }

    #[test]
    fn what_a_terminal_obeys_is_left_out_and_the_words_stay() {
        for (text, shown) in [
            ("\u{1b}[31mbroken\u{1b}[0m", "broken"),
            ("\u{1b}]0;title\u{7}a\u{1b}]8;;http://x\u{1b}\\b", "ab"),
            ("\u{1b}]0;never ended", "]0;never ended"),
            ("a\u{1b}cb\u{1b}", "ab"),
            ("\u{9b}2Jx", "x"),
            ("line\r\nnext\ttab\u{2028}end", "line  next tab end"),
            ("\0\u{7}\u{8}\u{7f}\u{80}", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            ("abc\u{202e}txt.exe\u{2066}", "abc\u{fffd}txt.exe\u{fffd}"),
            ("\u{ffff}\u{fffe}\u{fdd0}\u{1ffff}", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            ("größer 猫 👩‍👧 שלום …", "größer 猫 👩‍👧 שלום …"),
        ] {
            assert_eq!(printable(text), shown, "{text:?}");
            assert!(!printable(text).contains(is_unprintable));
        }
    }
}
