//! Prometheus' text format (and OpenMetrics'), as far as names go: which metrics a page has, their types, the names of
//! their labels and the bounds of their buckets. No value and no label's value is kept, but those bounds.
//!
//! It is as strict as Prometheus' own parser where that refuses a whole scrape.

use std::collections::BTreeMap;

use crate::facts::{Family, FamilyType};

/// Metrics on a page. A service has hundreds; more are somebody's mistake, and the pages of many services are held at
/// once.
const MOST_FAMILIES: usize = 2000;
/// Labels of a metric, and bounds of its buckets.
const MOST_LABELS: usize = 32;
const MOST_BOUNDS: usize = 128;
/// Longest name that is kept: no pack reads a longer one.
const LONGEST_NAME: usize = 128;

/// Why a line ends the reading.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// It is not of the format.
    #[error("the line is not of the text format")]
    Malformed,
    /// The page has too many metrics.
    #[error("the page has more than {MOST_FAMILIES} metrics")]
    TooMany,
}

/// A page, line by line.
#[derive(Debug, Default)]
pub struct Exposition {
    families: BTreeMap<String, Family>,
}

impl Exposition {
    /// Reads a line.
    ///
    /// # Errors
    /// It is not of the format, or the page has too many metrics.
    pub fn line(&mut self, line: &str) -> Result<(), Error> {
        let line = line.trim_matches([' ', '\t', '\r']);
        if let Some(comment) = line.strip_prefix('#') {
            return self.comment(comment);
        }
        if line.is_empty() {
            return Ok(());
        }
        let sample = Sample::parse(line).ok_or(Error::Malformed)?;
        let (family, part) = self.family_of(&sample.name);
        if family.len() > LONGEST_NAME {
            return Ok(());
        }
        let family = self.entry(family)?;
        let labels = family.labels.get_or_insert_default();
        for (label, value) in sample.labels {
            if label == "le" && part != Part::Whole || label == "quantile" && family.r#type == FamilyType::Summary {
                let bound = value.parse::<f64>().ok().filter(|bound| bound.is_finite());
                let bound = bound.filter(|bound| part == Part::Bucket && !family.bounds.contains(bound));
                if let Some(bound) = bound.filter(|_| family.bounds.len() < MOST_BOUNDS) {
                    family.bounds.push(bound);
                }
            } else if label.len() <= LONGEST_NAME && labels.len() < MOST_LABELS {
                labels.insert(label);
            }
        }
        Ok(())
    }

    /// What the page has.
    pub fn families(mut self) -> BTreeMap<String, Family> {
        for family in self.families.values_mut() {
            family.bounds.sort_by(f64::total_cmp);
        }
        self.families
    }

    fn comment(&mut self, comment: &str) -> Result<(), Error> {
        let mut words = comment.split([' ', '\t']).filter(|word| !word.is_empty());
        if words.next() != Some("TYPE") {
            return Ok(());
        }
        let (Some(name), Some(kind), None) = (words.next(), words.next(), words.next()) else {
            return Err(Error::Malformed);
        };
        let kind = match kind {
            "counter" => FamilyType::Counter,
            "gauge" => FamilyType::Gauge,
            "histogram" => FamilyType::Histogram,
            "summary" => FamilyType::Summary,
            "untyped" | "unknown" | "info" | "stateset" | "gaugehistogram" => FamilyType::Untyped,
            _ => return Err(Error::Malformed),
        };
        let name = name.trim_matches('"');
        if name.len() <= LONGEST_NAME {
            self.entry(name.to_owned())?.r#type = kind;
        }
        Ok(())
    }

    fn entry(&mut self, name: String) -> Result<&mut Family, Error> {
        if self.families.len() >= MOST_FAMILIES && !self.families.contains_key(&name) {
            return Err(Error::TooMany);
        }
        Ok(self.families.entry(name).or_default())
    }

    /// The metric that a sample belongs to, and which part of it.
    fn family_of(&self, sample: &str) -> (String, Part) {
        use FamilyType::{Counter, Histogram, Summary};
        let typed = |suffix: &str, kinds: &[FamilyType]| {
            let base = sample.strip_suffix(suffix)?;
            let family = self.families.get(base)?;
            kinds.contains(&family.r#type).then(|| base.to_owned())
        };
        if let Some(base) = typed("_bucket", &[Histogram]) {
            return (base, Part::Bucket);
        }
        let other = typed("_count", &[Histogram, Summary])
            .or_else(|| typed("_sum", &[Histogram, Summary]))
            .or_else(|| typed("_total", &[Counter]))
            .or_else(|| typed("_created", &[Counter, Histogram, Summary]));
        match other {
            Some(base) => (base, Part::Other),
            None if sample.ends_with("_bucket") => (sample.to_owned(), Part::Bucket),
            None => (sample.to_owned(), Part::Whole),
        }
    }
}

/// Which part of a metric a sample is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Bucket,
    Other,
    Whole,
}

struct Sample {
    name: String,
    labels: Vec<(String, String)>,
}

impl Sample {
    /// `name{label="value"} 1 1700000000 # {trace_id="x"} 1`, where all but name and value may be missing.
    fn parse(line: &str) -> Option<Self> {
        let (name, rest) = bare_name(line, |c| c == ':');
        let (mut name, mut labels) = (name.to_owned(), Vec::new());
        let mut rest = rest.trim_start_matches([' ', '\t']);
        if let Some(inside) = rest.strip_prefix('{') {
            let quoted;
            (quoted, labels, rest) = braces(inside)?;
            if let Some(quoted) = quoted {
                // The name of the metric stands either before the braces or, in quotes, in them.
                if !name.is_empty() {
                    return None;
                }
                name = quoted;
            }
        } else if rest.len() == line.len() - name.len() {
            return None;
        }
        let (numbers, exemplar) = match rest.split_once('#') {
            Some((numbers, exemplar)) => (numbers, Some(exemplar)),
            None => (rest, None),
        };
        let mut numbers = numbers.split([' ', '\t']).filter(|word| !word.is_empty());
        let is_number = |word: &str| word.parse::<f64>().is_ok();
        let well = numbers.next().is_some_and(is_number)
            && numbers.next().is_none_or(is_number)
            && numbers.next().is_none()
            && exemplar.is_none_or(|text| text.trim_start().starts_with('{'))
            && !name.is_empty();
        well.then_some(Self { name, labels })
    }
}

/// A quoted metric name, the labels, and what follows the brace that closes.
type Braces<'a> = (Option<String>, Vec<(String, String)>, &'a str);

fn braces(mut text: &str) -> Option<Braces<'_>> {
    let (mut name, mut labels) = (None, Vec::new());
    loop {
        text = text.trim_start_matches([' ', '\t']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((name, labels, rest));
        }
        let label;
        if let Some(inside) = text.strip_prefix('"') {
            (label, text) = quoted(inside)?;
        } else {
            let (bare, rest) = bare_name(text, |_| false);
            if bare.is_empty() {
                return None;
            }
            (label, text) = (bare.to_owned(), rest);
        }
        text = text.trim_start_matches([' ', '\t']);
        if let Some(rest) = text.strip_prefix('=') {
            let inside = rest.trim_start_matches([' ', '\t']).strip_prefix('"')?;
            let value;
            (value, text) = quoted(inside)?;
            labels.push((label, value));
        } else if name.replace(label).is_some() {
            return None;
        }
        text = text.trim_start_matches([' ', '\t']);
        text = match text.strip_prefix(',') {
            Some(rest) => rest,
            None if text.starts_with('}') => text,
            None => return None,
        };
    }
}

/// The text up to the quote that closes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

/// The name at the beginning, which may be empty, and what follows it.
fn bare_name(text: &str, also: impl Fn(char) -> bool) -> (&str, &str) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || also(c);
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return ("", text);
    }
    text.split_at(end)
}

#[cfg(test)]
mod tests;
