//! Plain selectors, as a user writes them for a counter: a metric with matchers, and nothing around it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::iter::Peekable;
use std::ops::Range;
use std::str::CharIndices;
use std::sync::LazyLock;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{self, Expr, VectorSelector};
use quick_cache::sync::Cache;
use regex::Regex;

use super::print;
use super::tie::matcher;
use super::{Expression, Match, is_label_name, is_metric_name};

/// A plain selector.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector(VectorSelector);

/// The same few texts come again and again, and to compile their patterns costs more than all that is done with them.
static PARSED: LazyLock<Cache<String, Selector>> = LazyLock::new(|| Cache::new(512));

/// Why a text is no plain selector, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct Misplaced {
    /// Place of the first character that cannot be there, from 1.
    pub column: usize,
    /// What is expected there, or what is wrong with what is there.
    pub message: String,
}

impl Selector {
    /// Reads `metric` or `metric{label="value",other=~"a|b"}`.
    ///
    /// # Errors
    /// Anything else: functions, ranges, offsets, arithmetic, or what PromQL does not know.
    pub fn parse(text: &str) -> Result<Self, Misplaced> {
        PARSED.get_or_insert_with(text, || Self::read(text))
    }

    fn read(text: &str) -> Result<Self, Misplaced> {
        let mut reader = Reader {
            rest: text.char_indices().peekable(),
            text,
            values: Vec::new(),
        };
        reader.selector()?;
        match parser::parse(text.trim()) {
            Ok(Expr::VectorSelector(vector)) => Ok(Self(vector)),
            Ok(_) => Err(Misplaced {
                column: 1,
                message: "it is no selector".to_owned(),
            }),
            Err(message) => Err(reader.wrong_value().unwrap_or(Misplaced { column: 1, message })),
        }
    }

    /// The metric.
    pub fn metric(&self) -> &str {
        self.0.name.as_deref().unwrap_or_default()
    }

    /// The text of the same selector with one more matcher.
    #[must_use]
    pub fn matching(mut self, label: &str, by: Match<'_>) -> String {
        self.0.matchers.matchers.push(matcher(label, by));
        self.to_string()
    }

    /// It as an expression.
    #[must_use]
    pub fn expression(&self) -> Expression {
        Expression(Expr::VectorSelector(self.0.clone()))
    }

    /// Whether it selects a series.
    pub fn selects(&self, metric: &str, labels: &BTreeMap<String, String>) -> bool {
        let value = |label: &str| labels.get(label).map_or("", String::as_str);
        let mut matchers = self.matchers().iter();
        self.metric() == metric && matchers.all(|matcher| matcher.is_match(value(&matcher.name)))
    }

    fn matchers(&self) -> &[Matcher] {
        &self.0.matchers.matchers
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(128);
        print::selector(&mut text, &self.0, None, None);
        f.write_str(&text)
    }
}

/// Labels of a series that all of the selectors select, and that `except` does not. None if none comes to mind.
pub fn example(all: &[&Selector], except: Option<&Selector>) -> Option<BTreeMap<String, String>> {
    let labels: BTreeSet<&str> = all
        .iter()
        .chain(&except)
        .flat_map(|selector| selector.matchers())
        .map(|matcher| matcher.name.as_str())
        .collect();
    let wanted = |label: &str| -> Vec<&Matcher> {
        let matchers = all.iter().flat_map(|selector| selector.matchers());
        matchers.filter(|matcher| matcher.name == label).collect()
    };
    let unwanted = |label: &str| -> Vec<&Matcher> {
        let matchers = except.iter().flat_map(|selector| selector.matchers());
        matchers.filter(|matcher| matcher.name == label).collect()
    };
    let chosen = |differing: Option<&str>| -> Option<BTreeMap<String, String>> {
        labels
            .iter()
            .map(|label| {
                let (wanted, unwanted) = (wanted(label), unwanted(label));
                let known: Vec<&Matcher> = wanted.iter().chain(&unwanted).copied().collect();
                let value = candidates(&known).into_iter().find(|value| {
                    wanted.iter().all(|matcher| matcher.is_match(value))
                        && (differing != Some(label) || !unwanted.iter().all(|matcher| matcher.is_match(value)))
                })?;
                Some(((*label).to_owned(), value))
            })
            .collect::<Option<BTreeMap<_, _>>>()
            // A label without a value is none.
            .map(|labels| labels.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    };
    match except {
        None => chosen(None),
        Some(_) => labels.iter().find_map(|label| chosen(Some(label))),
    }
}

/// Values that a label could have, those that the matchers name first.
fn candidates(matchers: &[&Matcher]) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for matcher in matchers {
        match &matcher.op {
            MatchOp::Equal | MatchOp::NotEqual => values.push(matcher.value.clone()),
            MatchOp::Re(_) | MatchOp::NotRe(_) => values.extend(matcher.value.split('|').map(simplest)),
        }
    }
    values.extend(["other", "", "0", "a", "1"].map(str::to_owned));
    values
}

/// A class of characters, with the first of them.
static CLASS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\[\^?(.)[^\]]*\]").ok());

/// Something that a simple pattern is like. Whoever uses it asks the pattern itself.
fn simplest(pattern: &str) -> String {
    let Some(class) = &*CLASS else {
        return pattern.to_owned();
    };
    let text = class.replace_all(pattern, "$1").into_owned();
    let text = [
        (".*", ""),
        (".+", "a"),
        (r"\d", "0"),
        (r"\w", "a"),
        (r"\.", "\u{0}"),
        (".", "0"),
        ("\u{0}", "."),
    ]
    .into_iter()
    .fold(text, |text, (from, to)| text.replace(from, to));
    text.replace(['(', ')', '^', '$', '+', '*', '?', '\\'], "")
}

/// Reads a selector character by character, so that a mistake has its place.
struct Reader<'a> {
    rest: Peekable<CharIndices<'a>>,
    text: &'a str,
    /// Where each value stands, and whether it is a pattern. They are read by the parser alone: a pattern is compiled.
    values: Vec<(Range<usize>, bool)>,
}

impl Reader<'_> {
    fn selector(&mut self) -> Result<(), Misplaced> {
        self.space();
        let (at, name) = self.word();
        if !is_metric_name(&name) {
            return Err(self.misplaced(at, "the name of a metric is expected".to_owned()));
        }
        self.space();
        if self.next_is('{') {
            self.matchers()?;
        }
        self.space();
        match self.rest.peek().copied() {
            None => Ok(()),
            Some((at, c)) => {
                let message = format!(
                    "{c:?} is too much: a selector is a metric's name with matchers in braces, without a function, a range or arithmetic"
                );
                Err(self.misplaced(at, message))
            }
        }
    }

    fn matchers(&mut self) -> Result<(), Misplaced> {
        loop {
            self.space();
            if self.next_is('}') {
                return Ok(());
            }
            let (at, label) = self.word();
            if !is_label_name(&label) {
                return Err(self.misplaced(at, "the name of a label is expected".to_owned()));
            }
            self.space();
            let pattern = self.operator()?;
            self.space();
            self.value(pattern)?;
            self.space();
            if !self.next_is(',') {
                let at = self.place();
                return if self.next_is('}') {
                    Ok(())
                } else {
                    Err(self.misplaced(at, "a comma or } is expected".to_owned()))
                };
            }
        }
    }

    /// Whether the value is a pattern.
    fn operator(&mut self) -> Result<bool, Misplaced> {
        let at = self.place();
        let first = self.rest.next().map(|(_, c)| c);
        let pattern = match first {
            Some('=') => self.next_is('~'),
            Some('!') if self.next_is('=') => false,
            Some('!') if self.next_is('~') => true,
            _ => return Err(self.misplaced(at, "one of = != =~ !~ is expected".to_owned())),
        };
        Ok(pattern)
    }

    fn value(&mut self, pattern: bool) -> Result<(), Misplaced> {
        let start = self.place();
        let quote = self.rest.next().map(|(_, c)| c);
        let Some(quote @ ('"' | '\'' | '`')) = quote else {
            return Err(self.misplaced(start, "a value in quotes is expected".to_owned()));
        };
        loop {
            match self.rest.next() {
                None => return Err(self.misplaced(start, "the quotes of the value are not closed".to_owned())),
                Some((_, '\\')) if quote != '`' => drop(self.rest.next()),
                Some((_, c)) if c == quote => break,
                Some(_) => {}
            }
        }
        let end = self.place();
        self.values.push((start..end, pattern));
        Ok(())
    }

    /// The first value that the parser refuses.
    fn wrong_value(&self) -> Option<Misplaced> {
        self.values.iter().find_map(|(range, pattern)| {
            let literal = self.text.get(range.clone()).unwrap_or_default();
            let sign = if *pattern { "=~" } else { "=" };
            let refused = parser::parse(&format!("metric{{label{sign}{literal}}}")).err()?;
            Some(self.misplaced(range.start, refused))
        })
    }

    fn word(&mut self) -> (usize, String) {
        let at = self.place();
        let mut word = String::new();
        while let Some((_, c)) = self
            .rest
            .next_if(|(_, c)| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
        {
            word.push(c);
        }
        (at, word)
    }

    fn space(&mut self) {
        while self.rest.next_if(|(_, c)| c.is_whitespace()).is_some() {}
    }

    fn next_is(&mut self, wanted: char) -> bool {
        self.rest.next_if(|(_, c)| *c == wanted).is_some()
    }

    /// Where the next character begins.
    fn place(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn misplaced(&self, at: usize, message: String) -> Misplaced {
        let before = self.text.get(..at).unwrap_or_default();
        Misplaced {
            column: before.chars().count() + 1,
            message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misplaced(text: &str) -> (usize, String) {
        let error = Selector::parse(text).unwrap_err();
        (error.column, error.message)
    }

    #[test]
    fn a_metric_with_or_without_matchers_is_read() {
        for text in [
            "a_total",
            "a_total{}",
            "a_total{b=\"c\"}",
            " a:b { c != 'd' , e=~\"5..|x\\\"\" , } ",
        ] {
            Selector::parse(text).unwrap();
        }
        assert_eq!(
            Selector::parse("a_total{b='c'}").unwrap().to_string(),
            "a_total{b=\"c\"}"
        );
    }

    #[test]
    fn a_mistake_is_told_with_its_column() {
        for (text, column, part) in [
            ("", 1, "name of a metric"),
            ("{a=\"b\"}", 1, "name of a metric"),
            ("rate(a_total[5m])", 5, "without a function"),
            ("a_total[5m]", 8, "without a function"),
            ("a_total offset 5m", 9, "without a function"),
            ("a_total + b_total", 9, "without a function"),
            ("a_total{b}", 10, "one of = != =~ !~"),
            ("a_total{b==\"c\"}", 11, "value in quotes"),
            ("a_total{b=\"c\"", 14, "comma or }"),
            ("a_total{b=\"c}", 11, "not closed"),
            ("a_total{b=\"c\" or d=\"e\"}", 15, "comma or }"),
            ("a_total{__name__=\"c\"}", 9, "name of a label"),
            ("a_total{ü=\"c\"}", 9, "name of a label"),
            ("a_total{b=~\"(\"}", 12, "("),
        ] {
            let (at, message) = misplaced(text);
            assert_eq!(at, column, "{text}: {message}");
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn one_more_matcher_is_put_in() {
        let selector = Selector::parse("a_bucket{b=\"c\"}").unwrap();
        let narrowed = selector.matching("le", Match::Like(r"5(\.0)?"));
        assert_eq!(narrowed, "a_bucket{b=\"c\",le=~\"5(\\\\.0)?\"}");
    }

    #[test]
    fn an_example_is_selected_by_all_and_not_by_the_exception() {
        let selector = |text| Selector::parse(text).unwrap();
        for (total, good) in [
            ("a_total", "a_total{b=\"c\"}"),
            ("a_total{b!=\"x\"}", "a_total{b=~\"good|fine\"}"),
            ("a_total{b=~\"good|bad\"}", "a_total{b=\"good\"}"),
            ("a_total", "a_total{b!~\"5..\"}"),
            ("a_total{d=~\".+\"}", "a_total{b=~\"[23]..\",c=\"\"}"),
        ] {
            let (total, good) = (selector(total), selector(good));
            let is = |labels: &BTreeMap<String, String>, by: &Selector| by.selects("a_total", labels);
            let (yes, no) = (example(&[&total, &good], None), example(&[&total], Some(&good)));
            let (yes, no) = (yes.unwrap(), no.unwrap());
            assert!(is(&yes, &total) && is(&yes, &good), "{yes:?}");
            assert!(is(&no, &total) && !is(&no, &good), "{no:?}");
        }
        let all = selector("a_total{b=\"c\"}");
        assert_eq!(example(&[&all], Some(&all)), None);
    }
}
