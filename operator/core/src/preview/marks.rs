//! What is marked on the time axis: when an alert fired.

use super::{Answer, Span, named};
use crate::grafana::Annotation;

/// A time that is marked.
#[derive(Debug, PartialEq)]
pub(super) struct Mark<'a> {
    /// What is marked.
    pub(super) annotation: &'a Annotation,
    /// Its text.
    pub(super) title: String,
    /// First second.
    pub(super) from: i64,
    /// Last second.
    pub(super) to: i64,
}

/// The times at which the answer has values.
pub(super) fn marks<'a>(annotation: &'a Annotation, answer: &Answer, span: &Span) -> Vec<Mark<'a>> {
    let mut marks: Vec<Mark<'a>> = Vec::new();
    for series in answer.iter().flatten() {
        let title = named(&annotation.title, &series.labels);
        let mut last: Option<Mark<'a>> = None;
        for (second, _) in &series.points {
            match &mut last {
                Some(mark) if second - mark.to <= i64::from(span.step) => mark.to = *second,
                _ => marks.extend(last.replace(Mark {
                    annotation,
                    title: title.clone(),
                    from: *second,
                    to: *second,
                })),
            }
        }
        marks.extend(last);
    }
    marks.sort_by(|a, b| (a.from, &a.title, a.to).cmp(&(b.from, &b.title, b.to)));
    // Of one alert many series can fire at once.
    marks.dedup_by(|a, b| a.title == b.title && (a.from, a.to) == (b.from, b.to));
    marks
}
