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

/// Words that a list of labels follows. What ends within the list is no beginning that could be completed.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Units that are looked at beyond one that seems to be wrong: some words are no end, and something follows them.
const BEYOND: usize = 4;
/// Characters of a word that are tried one by one: the beginning of an operator is none, and all of it is.
const SHORT_WORD: usize = 16;
/// How often the search goes on beyond what seemed to be wrong, so that no text takes long.
const MOST_SEARCHES: usize = 8;

/// The place of the first character that cannot be there, in words: `column 7`, or `line 2, column 7` of a text with
/// several lines. None if the grammar is not what is wrong.
pub(super) fn misplaced(text: &str, message: &str) -> Option<String> {
    if text.is_empty() || !is_of_grammar(message) {
        return None;
    }
    let good = longest(text, &begins);
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

/// Where the longest beginning of an expression ends, by bisection: to try each character would parse a long text
/// thousands of times.
fn longest(text: &str, begins: &dyn Fn(&str) -> bool) -> usize {
    let units = units(text);
    let end = |count: usize| count.checked_sub(1).map_or(0, |last| units[last].end);
    let is_good = |count: usize| begins(&text[..end(count)]);
    if is_good(units.len()) {
        return end(units.len());
    }
    let mut good = 0;
    for _ in 0..MOST_SEARCHES {
        good = greatest(good, units.len(), &is_good);
        let beyond = good + 2..units.len().min(good + BEYOND + 1);
        match beyond.rev().find(|count| is_good(*count)) {
            Some(further) => good = further,
            None => break,
        }
    }
    let start = end(good);
    let Some(wrong) = units.get(good) else { return start };
    // A word may be wrong at its end only, as `5mm`.
    let word = &text[start..wrong.word];
    let ends: Vec<usize> = word.char_indices().map(|(at, c)| start + at + c.len_utf8()).collect();
    let is_good = |count: usize| count.checked_sub(1).is_none_or(|last| begins(&text[..ends[last]]));
    let count = if ends.len() <= SHORT_WORD {
        (0..=ends.len()).rev().find(|count| is_good(*count)).unwrap_or_default()
    } else {
        greatest(0, ends.len() + 1, &is_good)
    };
    count.checked_sub(1).map_or(start, |last| ends[last])
}

/// The greatest number that is good, from `good` on and below `bad`, where every smaller one is too.
fn greatest(mut good: usize, mut bad: usize, is_good: &dyn Fn(usize) -> bool) -> usize {
    while bad - good > 1 {
        let middle = usize::midpoint(good, bad);
        if is_good(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    good
}

/// A part of a text after which an expression can be completed, if nothing before is wrong.
struct Unit {
    /// Where the word at its beginning ends, with the space before it. A sign is none.
    word: usize,
    /// Where it ends.
    end: usize,
}

/// The parts of a text: words, signs, texts in quotes, and lists of labels with the word before them.
fn units(text: &str) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let start = at + text[at..].len() - text[at..].trim_start().len();
        let rest = &text[start..];
        let is_word = |c: char| c.is_alphanumeric() || ['_', ':', '.'].contains(&c);
        let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, end) = match rest.chars().next() {
            None => (at, text.len()),
            Some(quote @ ('"' | '\'' | '`')) => (at, start + in_quotes(rest, quote)),
            Some(sign) if word == 0 => (at, start + sign.len_utf8()),
            Some(_) if LISTS.contains(&rest[..word].to_lowercase().as_str()) => {
                (start + word, start + word + list(&rest[word..]))
            }
            Some(_) => (start + word, start + word),
        };
        units.push(Unit { word, end });
        at = end;
    }
    units
}

/// The length of a text in quotes, at the beginning of another one.
fn in_quotes(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// The length of a list in parentheses, at the beginning of a text. 0 if there is none.
fn list(text: &str) -> usize {
    if text.trim_start().starts_with('(') {
        text.find(')').map_or(text.len(), |at| at + 1)
    } else {
        0
    }
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

    /// Where the longest beginning ends, by trying each.
    fn tried(text: &str) -> usize {
        let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
        let mut ends: Vec<usize> = std::iter::once(0).chain(ends).collect();
        ends.reverse();
        ends.into_iter().find(|end| begins(&text[..*end])).unwrap_or_default()
    }

    #[test]
    fn bisection_finds_what_trying_each_character_finds() {
        let expressions = [
            "sum by (a) (rate(a_total{b=~\"c|d\"}[5m])) / on (a) (max by (a, b) (up) > 0) or 0 * x",
            "topk(10, histogram_quantile(0.95, sum by (le) (rate(h[5m] offset 1w))) > 0)",
            "absent(a{b!=\"c\"}) and on (n, j) (max by (n, j) (up) == 1) unless x @ 5",
        ];
        let (mut broken, mut apart) = (0, Vec::new());
        for text in expressions {
            assert!(parser::parse(text).is_ok(), "{text}: {:?}", parser::parse(text).err());
            for at in (0..text.len()).step_by(7) {
                for wrong in ["", "?", ")", " x y", "\""] {
                    let wrong = format!(
                        "{}{wrong}{}",
                        &text[..at],
                        &text[(at + usize::from(wrong.is_empty()))..]
                    );
                    let Err(message) = parser::parse(&wrong) else { continue };
                    if is_of_grammar(&message) {
                        broken += 1;
                        let trimmed = |end: usize| wrong[..end].trim_end().len();
                        if trimmed(longest(&wrong, &begins)) != trimmed(tried(&wrong)) {
                            apart.push((longest(&wrong, &begins), tried(&wrong), wrong));
                        }
                    }
                }
            }
        }
        assert!(
            broken > 100 && apart.is_empty(),
            "{broken}, {}: {apart:#?}",
            apart.len()
        );
    }

    #[test]
    fn a_long_text_is_parsed_a_few_times() {
        let tries = std::cell::Cell::new(0);
        let counted = |text: &str| {
            tries.set(tries.get() + 1);
            begins(text)
        };
        let long = vec!["sum by (a) (rate(a_total{b=\"c\"}[5m]))"; 100].join(" + ");
        for wrong in [0, long.len() / 2, long.len() - 1] {
            let start = long[..wrong].rfind(" + ").map_or(0, |at| at + 3);
            let text = format!("{}? {}", &long[..start], &long[start..]);
            tries.set(0);
            let trimmed = |end: usize| text[..end].trim_end().len();
            assert_eq!(trimmed(longest(&text, &counted)), trimmed(start), "{text}");
            assert!(tries.get() <= 64, "{} of {} characters", tries.get(), text.len());
        }
        // The twin: to try each character takes thousands.
        tries.set(0);
        let text = format!("? {long}");
        let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
        let each = ends
            .take_while(|_| tries.get() <= 64)
            .filter(|end| counted(&text[..*end]));
        assert_eq!(each.count(), 0);
        assert!(tries.get() > 64);
    }
}
