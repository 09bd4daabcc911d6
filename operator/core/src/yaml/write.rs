//! Writing, in blocks. A text stands plain only where no reader, of YAML 1.1 or 1.2, could take it for anything else;
//! with lines it stands literally, and otherwise in quotes, as JSON has it.
//!
//! No library for it: the objects of a service are some 45 kB of YAML, and to write them by the cheapest of seven took 40 % of
//! all that `observed render` did for a service.

use std::fmt::Write as _;

use memchr::memchr_iter;
use serde_json::{Map, Number, Value};

/// Columns of one step inwards.
const STEP: usize = 2;

/// Adds a value as a document.
pub(super) fn document(out: &mut String, value: &Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() => map(out, fields, 0),
        Value::Array(items) if !items.is_empty() => list(out, items, 0),
        leaf => write_leaf(out, leaf, STEP),
    }
    out.push('\n');
}

/// The entries of a map, the first of them where the text ends.
fn map(out: &mut String, fields: &Map<String, Value>, column: usize) {
    for (index, (key, value)) in fields.iter().enumerate() {
        if index > 0 {
            line(out, column);
        }
        write_key(out, key);
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                line(out, column + STEP);
                map(out, fields, column + STEP);
            }
            Value::Array(items) if !items.is_empty() => {
                line(out, column);
                list(out, items, column);
            }
            leaf => {
                out.push(' ');
                write_leaf(out, leaf, column + STEP);
            }
        }
    }
}

fn write_key(out: &mut String, key: &str) {
    if is_name(key) || is_plain(key, Marks::of(key)) {
        out.push_str(key);
    } else {
        quoted(out, key);
    }
    out.push(':');
}

/// Whether a text is plain that is made of letters, digits and a few marks, as most keys are: it is seen with less ado.
fn is_name(text: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.as_bytes().iter().all(inner) && !is_word(text)
}

/// The items of a list, the first of them where the text ends.
fn list(out: &mut String, items: &[Value], column: usize) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            line(out, column);
        }
        out.push_str("- ");
        match item {
            Value::Object(fields) if !fields.is_empty() => map(out, fields, column + STEP),
            Value::Array(items) if !items.is_empty() => list(out, items, column + STEP),
            leaf => write_leaf(out, leaf, column + STEP),
        }
    }
}

/// What has nothing in it. `column` is where its own lines begin, if it has any.
fn write_leaf(out: &mut String, value: &Value, column: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(written) => number(out, written),
        Value::String(written) => text(out, written, column),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

fn line(out: &mut String, column: usize) {
    const BLANKS: &str = "                                                                ";
    out.push('\n');
    let mut left = column;
    while left > 0 {
        let blanks = left.min(BLANKS.len());
        out.push_str(&BLANKS[..blanks]);
        left -= blanks;
    }
}

/// A number with an exponent is one in YAML 1.1 only with a point and a sign: `1.0e+21`.
fn number(out: &mut String, number: &Number) {
    let written = number.to_string();
    let Some((mantissa, exponent)) = written.split_once('e') else {
        return out.push_str(&written);
    };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['+', '-']) { "" } else { "+" };
    out.extend([mantissa, point, "e", sign, exponent]);
}

fn text(out: &mut String, text: &str, column: usize) {
    let marks = Marks::of(text);
    if is_plain(text, marks) {
        out.push_str(text);
    } else if is_literal(text, marks) {
        literal(out, text, column);
    } else {
        quoted(out, text);
    }
}

/// What stands somewhere in a text.
#[derive(Clone, Copy)]
struct Marks(u8);

impl Marks {
    const LINE: u8 = 1;
    const COLON: u8 = 2;
    const HASH: u8 = 4;
    /// Anything but printable ASCII.
    const OTHER: u8 = 8;

    /// It looks at each byte in the same way, which a processor does at many of them at once.
    fn of(text: &str) -> Self {
        let mark = |is: bool, mark: u8| if is { mark } else { 0 };
        Self(text.bytes().fold(0, |marks, byte| {
            marks
                | mark(byte == b'\n', Self::LINE)
                | mark(byte == b':', Self::COLON)
                | mark(byte == b'#', Self::HASH)
                | mark(!matches!(byte, b' '..=b'~' | b'\n'), Self::OTHER)
        }))
    }

    fn has(self, marks: u8) -> bool {
        self.0 & marks != 0
    }
}

/// Whether a text means itself when it stands there as it is.
fn is_plain(text: &str, marks: Marks) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    let begins = match first {
        b'a'..=b'z' | b'A'..=b'Z' => !is_word(text),
        // Days, `30d`: only after 0x a number ends in a letter that is a digit.
        b'0'..=b'9' => !is_number(bytes) || (*first != b'0' && *last == b'd'),
        b'.' => bytes.get(1).is_some_and(u8::is_ascii_alphabetic) && !is_number(bytes) && !is_word(&text[1..]),
        b'(' | b'/' | b'_' | b'$' | b'^' => true,
        _ => false,
    };
    let is_cut = matches!(last, b' ' | b':')
        || marks.has(Marks::LINE | Marks::OTHER)
        || marks.has(Marks::COLON) && text.contains(": ")
        || marks.has(Marks::HASH) && text.contains(" #");
    begins && !is_cut
}

/// Whether all of a text may stand in a number or a time, in any base.
fn is_number(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| {
        matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' | b'x' | b'X' | b'o' | b'O' | b't' | b'T' | b'z' | b'Z')
            || matches!(byte, b'_' | b'.' | b',' | b':' | b'+' | b'-' | b' ')
    })
}

/// Whether a text is a truth or nothing to some reader, or behind a point no finite number.
fn is_word(text: &str) -> bool {
    const WORDS: [&str; 11] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan",
    ];
    text.len() <= 5 && WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// As JSON has it. What YAML does not count among the characters that can be printed is escaped too.
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) => out.push(c),
            // Everything else is below U+10000.
            c => drop(write!(out, "\\u{:04x}", u32::from(c))),
        }
    }
    out.push('"');
}

/// Whether a character means itself to every reader. Some take U+0085, U+2028 and U+2029 for the end of a line.
fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        '\u{2028}' | '\u{2029}' | '\u{feff}' => false,
        c => matches!(c, '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..),
    }
}

/// Whether a text has lines that may stand as they are. A first line that is empty or begins with a blank would hide how
/// far in the others stand; blanks after the last one are read in different ways.
fn is_literal(text: &str, marks: Marks) -> bool {
    marks.has(Marks::LINE)
        && !text.starts_with([' ', '\t', '\n'])
        && !text.trim_end_matches('\n').ends_with([' ', '\t'])
        && (!marks.has(Marks::OTHER) || text.chars().all(|c| is_printable(c) || matches!(c, '\n' | '\t')))
}

fn literal(out: &mut String, text: &str, column: usize) {
    let (lines, chomping) = match text.strip_suffix('\n') {
        None => (text, "|-"),
        Some(lines) if lines.ends_with('\n') => (lines, "|+"),
        Some(lines) => (lines, "|"),
    };
    out.push_str(chomping);
    let mut begin = 0;
    for end in memchr_iter(b'\n', lines.as_bytes()).chain([lines.len()]) {
        if begin == end {
            out.push('\n');
        } else {
            line(out, column);
            out.push_str(&lines[begin..end]);
        }
        begin = end + 1;
    }
}

#[cfg(test)]
mod tests;
