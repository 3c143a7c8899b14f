//! Numbers and text as a reader sees them.

/// Three to four significant digits; whole numbers stay whole, and what is left of a difference of
/// equal numbers after rounding is zero.
pub fn short(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        _ if !value.is_finite() => return "—".into(),
        _ if size < 1e-12 => return "0".into(),
        _ if !(1e-3..1e7).contains(&size) => return format!("{value:.2e}").replace('-', "−"),
        _ if size >= 100.0 && value.fract() == 0.0 => grouped(value),
        _ if size >= 1000.0 => format!("{value:.0}"),
        _ if size >= 100.0 => format!("{value:.1}"),
        _ if size >= 10.0 => format!("{value:.2}"),
        _ if size >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    };
    text.replace('-', "−")
}

/// As [`short`], with a plus sign where positive.
pub fn signed(value: f64) -> String {
    match value > 0.0 {
        true => format!("+{}", short(value)),
        false => short(value),
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// The text with everything that HTML or XML gives a meaning replaced, and with control characters
/// that XML forbids shown as `�`.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(character),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ if character.is_control() => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}

/// At most `limit` characters, the cut marked by `…`.
pub fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_string(),
        Some(_) => text.chars().take(limit.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// `1 seed`, `2 seeds`, `2 losses`.
pub fn count(n: usize, noun: &str) -> String {
    let ending = match (n, noun.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{n} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_digits_that_matter() {
        let cases: [(f64, &str); 9] = [
            (0.0, "0"),
            (2.345678, "2.346"),
            (-0.01234, "−0.0123"),
            (1e-5, "1.00e−5"),
            (12345.0, "12\u{202f}345"),
            (1234.5, "1234"),
            (f64::NAN, "—"),
            (f64::INFINITY, "—"),
            (0.5, "0.500"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
        assert_eq!((signed(0.5), signed(-0.5)), ("+0.500".into(), "−0.500".into()));
    }

    #[test]
    fn escaping_leaves_nothing_to_interpret() {
        assert_eq!(escape("<b a='1'>&\"\0"), "&lt;b a=&#39;1&#39;&gt;&amp;&quot;\u{fffd}");
        assert_eq!((cut("héllo", 4), cut("abc", 3)), ("hél…".into(), "abc".into()));
    }
}
