//! Where in a text PromQL ends: the parser itself does not say.

use promql_parser::parser;

/// What the parser says of a text that does not fit its grammar, and nothing more.
const NO_GRAMMAR: &str = "invalid promql query";

/// What may follow the beginning of an expression, so that all of it is one once the brackets are closed.
const CONTINUATIONS: [&str; 12] = [
    "",
    "x",
    " x",
    "(x)",
    "(x[5m])",
    " (x)",
    "1",
    "=\"x\"",
    "\"x\"",
    "x=\"x\"",
    "5m",
    " x by (x) (x)",
];

/// The place of the first character that cannot be there, in words: `column 7`, or `line 2, column 7` of a text with
/// several lines. None if the grammar is not what is wrong.
pub(super) fn misplaced(text: &str, message: &str) -> Option<String> {
    if text.is_empty() || !is_of_grammar(message) {
        return None;
    }
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let ends: Vec<usize> = std::iter::once(0).chain(ends).collect();
    let good = ends
        .into_iter()
        .rev()
        .find(|end| begins(&text[..*end]))
        .unwrap_or_default();
    let rest = &text[good..];
    let at = good + rest.len() - rest.trim_start().len();
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Some(if text.contains('\n') {
        format!("line {line}, column {column}")
    } else {
        format!("column {column}")
    })
}

/// Whether it is the lexer or the grammar that refuses a text, and not the types of what was understood.
fn is_of_grammar(message: &str) -> bool {
    message == NO_GRAMMAR || message.starts_with("un") || message.starts_with("bad ")
}

/// Whether a text is the beginning of an expression.
fn begins(text: &str) -> bool {
    let closing = closing(text);
    CONTINUATIONS
        .iter()
        .any(|next| match parser::parse(&format!("{text}{next}{closing}")) {
            Ok(_) => true,
            Err(message) => !is_of_grammar(&message),
        })
}

/// The brackets that are open at the end of a text.
fn closing(text: &str) -> String {
    let mut open = Vec::new();
    let mut quote = None;
    let mut escaped = false;
    for c in text.chars() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(of), '\\') if of != '`' => escaped = true,
            (Some(of), _) if of == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(') => open.push(')'),
            (None, '[') => open.push(']'),
            (None, '{') => open.push('}'),
            (None, ')' | ']' | '}') => drop(open.pop()),
            (None, _) => {}
        }
    }
    open.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Option<String> {
        parser::parse(text).err().and_then(|message| misplaced(text, &message))
    }

    #[test]
    fn the_first_character_that_cannot_be_there_is_told() {
        for (text, expected) in [
            ("sum(rate(a_total[5m]))", None),
            ("sum(rate(a_total[5m])", Some("column 22")),
            ("a_total[5m", Some("column 11")),
            ("a_total{b=\"c\"} + ", Some("column 18")),
            ("a + / b", Some("column 5")),
            ("sum by (a) (b)) > 1", Some("column 15")),
            ("a{b==\"c\"}", Some("column 5")),
            ("sum(\n  a\n  ? b\n)", Some("line 3, column 3")),
            ("a{b=\"c}", Some("column 5")),
        ] {
            assert_eq!(
                place(text).as_deref(),
                expected,
                "{text}: {:?}",
                parser::parse(text).err()
            );
        }
        // What has the wrong type is told by what the parser says of it.
        assert_eq!(place("rate(a_total)"), None);
    }
}
