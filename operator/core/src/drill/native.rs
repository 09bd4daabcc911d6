//! The series of a drill as native histograms: what is given as the series of a classic one becomes one series.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{Course, Input};
use crate::promql::HistogramPart;

/// Resolution of the buckets: each ends at the eighth root of 2 times where it begins, about 9 % further. Client
/// libraries take it for a factor of 1.1.
const SCHEMA: i32 = 3;
/// Where an observation lies of which only the number or the sum is given.
const ANYWHERE: f64 = 1.0;

/// A series of a drill.
pub(super) struct Sampled {
    /// The series. The course of a histogram says how often it is there.
    pub(super) input: Input,
    /// What is there each time, if it is a histogram.
    pub(super) histogram: Option<Histogram>,
}

/// The observations of a native histogram.
pub(super) struct Histogram {
    /// How many there are at a value.
    observations: Vec<(f64, f64)>,
    /// Their sum, if a series gives it.
    sum: Option<f64>,
    /// Whether a series gives their number too.
    is_counted: bool,
}

impl Histogram {
    /// The histogram so many times, in promtool's notation.
    pub(super) fn times(&self, times: f64) -> String {
        let mut buckets: BTreeMap<i32, f64> = BTreeMap::new();
        for (value, amount) in &self.observations {
            *buckets.entry(bucket(*value)).or_default() += amount * times;
        }
        let first = buckets.keys().next().copied().unwrap_or_default();
        let last = buckets.keys().next_back().copied().unwrap_or_default();
        let counts: Vec<String> = (first..=last)
            .map(|bucket| buckets.get(&bucket).copied().unwrap_or_default().to_string())
            .collect();
        let count: f64 = buckets.values().fold(0.0, |all, count| all + count);
        let observed = || {
            self.observations
                .iter()
                .fold(0.0, |all, (value, amount)| all + value * amount)
        };
        let sum = self.sum.unwrap_or_else(observed) * times;
        format!(
            "{{{{schema:{SCHEMA} count:{count} sum:{sum} offset:{first} buckets:[{}]}}}}",
            counts.join(" ")
        )
    }
}

/// The bucket that holds a value: it ends at 2 to the power of its number by 2 to the power of the schema.
fn bucket(value: f64) -> i32 {
    let number = (value.log2() * f64::from(1 << SCHEMA)).ceil();
    // Bounds of buckets lie between a millisecond and some hours, or bytes and tokens: far from the ends of the type.
    number as i32
}

/// The series, with those of histograms that are native ones put together.
pub(super) fn sampled(inputs: &[Input], natives: &BTreeSet<String>) -> Vec<Sampled> {
    let is_native = |(histogram, _): &(&str, HistogramPart)| natives.contains(*histogram);
    let (mut found, mut buckets, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for input in inputs {
        match HistogramPart::of(&input.name).filter(is_native) {
            Some((histogram, HistogramPart::Bucket)) => buckets.push((histogram, input)),
            Some((histogram, part)) => others.push((part, histogram, input)),
            None => found.push(Sampled {
                input: input.clone(),
                histogram: None,
            }),
        }
    }
    found.extend(of_buckets(&buckets));
    // What counts comes before what adds up, whatever their order is.
    others.sort_by_key(|(part, ..)| *part == HistogramPart::Sum);
    for (part, histogram, input) in others {
        add(&mut found, part, histogram, input);
    }
    found
}

/// What a course goes by, and the same course of something that is there once.
fn unit(course: Course) -> (f64, Course) {
    match course {
        Course::Rate(rate) => (rate, Course::Rate(1.0)),
        Course::Step(count) => (count, Course::Step(1.0)),
        Course::Constant(value) | Course::Line(value, _) => (value, Course::Constant(1.0)),
    }
}

/// The buckets of each histogram, those with the same labels in one. What lies between two bounds is observed in the
/// middle between them, on the scale of the buckets.
fn of_buckets(buckets: &[(&str, &Input)]) -> Vec<Sampled> {
    let mut groups: Vec<(Input, Vec<(f64, f64)>)> = Vec::new();
    for (histogram, input) in buckets {
        let (counted, course) = unit(input.course);
        let mut input = Input {
            name: (*histogram).to_owned(),
            course,
            ..(*input).clone()
        };
        let bound = input.labels.remove("le").and_then(|bound| bound.parse().ok());
        let bound = bound.unwrap_or(f64::INFINITY);
        match groups.iter_mut().find(|(other, _)| *other == input) {
            Some((_, bounds)) => bounds.push((bound, counted)),
            None => groups.push((input, vec![(bound, counted)])),
        }
    }
    let observed = |(input, mut bounds): (Input, Vec<(f64, f64)>)| {
        bounds.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let (mut below, mut before) = (0.0, 0.0);
        let mut observations = Vec::new();
        for (bound, counted) in bounds {
            let value = match (below > 0.0, bound.is_finite()) {
                (true, true) => f64::sqrt(below * bound),
                (true, false) => 2.0 * below,
                (false, true) => bound / 2.0,
                (false, false) => ANYWHERE,
            };
            observations.push((value, counted - before));
            (below, before) = (bound, counted);
        }
        let histogram = Histogram {
            observations,
            sum: None,
            is_counted: false,
        };
        Sampled {
            input,
            histogram: Some(histogram),
        }
    };
    groups.into_iter().map(observed).collect()
}

/// Adds the number or the sum of observations: to the histogram whose buckets are given with the same labels, or some of
/// them; else as one of its own.
fn add(found: &mut Vec<Sampled>, part: HistogramPart, name: &str, input: &Input) {
    let (number, course) = unit(input.course);
    let is_sum = part == HistogramPart::Sum;
    let input = Input {
        name: name.to_owned(),
        course,
        ..input.clone()
    };
    let is_there = |other: &&mut Sampled| {
        let labels = &other.input.labels;
        let lacks = |histogram: &Histogram| {
            if is_sum {
                histogram.sum.is_none()
            } else {
                !histogram.is_counted
            }
        };
        let alike = Input {
            labels: labels.clone(),
            ..input.clone()
        };
        other.input == alike
            && labels
                .iter()
                .all(|(label, value)| input.labels.get(label) == Some(value))
            && other.histogram.as_ref().is_some_and(lacks)
    };
    let there = found.iter_mut().find(is_there);
    let there = there.and_then(|other| Some((&mut other.input.labels, other.histogram.as_mut()?)));
    if let Some((labels, histogram)) = there {
        labels.clone_from(&input.labels);
        if is_sum {
            histogram.sum = Some(number);
        } else {
            histogram.is_counted = true;
        }
        return;
    }
    let histogram = Histogram {
        observations: vec![(ANYWHERE, number)],
        sum: is_sum.then_some(number),
        is_counted: !is_sum,
    };
    found.push(Sampled {
        input,
        histogram: Some(histogram),
    });
}
