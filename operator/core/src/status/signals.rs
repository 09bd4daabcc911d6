//! What the service exposes of what its packs read. Advice: `Ready` does not depend on it.

use observed_crds::v1alpha1::conditions::{ConditionType, Reason};

use super::conditions::{Judged, shorten};
use crate::check::Truth;
use crate::facts::{Facts, PageOutcome};
use crate::plan::{Exposure, Plan};

const KIND: ConditionType = ConditionType::SignalsResolved;
/// Longest Content-Type that is repeated.
const LONGEST_TYPE: usize = 64;

pub(super) fn signals(plan: &Plan, facts: &Facts) -> Judged {
    let exposure = &plan.exposure;
    let (truth, reason, mut parts) = if let Some(problem) = facts.exposed.problem() {
        let kept = if exposure.unasked.is_empty() {
            "What was seen before stays in place"
        } else {
            "Until it can be read, everything is generated as if it was exposed"
        };
        let parts = vec![format!("GET {}: {}. {kept}", plan.scrape.path, unreadable(problem))];
        (Truth::False, Reason::MetricsUnreadable, parts)
    } else if !exposure.missing.is_empty() {
        (Truth::False, Reason::SeriesMissing, Vec::new())
    } else if !exposure.lacking.is_empty() {
        (Truth::False, Reason::LabelsMissing, Vec::new())
    } else if !exposure.unasked.is_empty() {
        let part = format!(
            "No pod has answered GET {} yet, so that everything is generated as if it was exposed, for: {}",
            plan.scrape.path,
            exposure.unasked.join(", ")
        );
        (Truth::Unknown, Reason::NotAsked, vec![part])
    } else if exposure.seen.is_empty() {
        (
            Truth::True,
            Reason::AllExposed,
            vec!["The packs read nothing of the service itself".to_owned()],
        )
    } else {
        let part = "The service exposes everything that its packs read of it";
        (Truth::True, Reason::AllExposed, vec![part.to_owned()])
    };
    for series in &exposure.missing {
        let when = series.when_missing.trim_end_matches('.');
        parts.push(format!("{}. {when}", series.message()));
    }
    for label in &exposure.lacking {
        parts.push(format!("{}. {}", label.message(), label.help()));
    }
    parts.extend(dialects(exposure));
    Judged::new(KIND, truth, reason, parts.join(". "))
}

/// The dialects, one phrase for all packs that have the same.
fn dialects(exposure: &Exposure) -> Option<String> {
    let words: Vec<String> = exposure
        .dialects
        .iter()
        .map(|(pack, dialect)| format!("{dialect} ({pack})"))
        .collect();
    (!words.is_empty()).then(|| format!("Dialect: {}", words.join(", ")))
}

/// What is wrong with a page, and what to do.
fn unreadable(problem: &PageOutcome) -> String {
    match problem {
        PageOutcome::JsonText => {
            "the pods answer with one JSON string, which is no metrics page. In FastAPI a handler that returns \
             generate_latest() does that: return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST), or mount \
             make_asgi_app()"
        }
        PageOutcome::Html => {
            "the pods answer with HTML, which is no metrics page. Set spec.scrape.path to the page that has the metrics"
        }
        PageOutcome::Status(status) => {
            return format!(
                "the pods answer HTTP {status}. Set spec.scrape.port and spec.scrape.path to the page that has the metrics"
            );
        }
        PageOutcome::ContentType(kind) if kind.is_empty() => {
            "the pods answer without a Content-Type, which Prometheus 3 refuses. Send text/plain; version=0.0.4"
        }
        PageOutcome::ContentType(kind) => {
            return format!(
                "the pods answer with the Content-Type {:?}, which Prometheus 3 refuses. Send text/plain; version=0.0.4",
                shorten(kind, LONGEST_TYPE)
            );
        }
        // Without its number, which is another one on every page: the status would be written at every look.
        PageOutcome::Malformed { .. } => {
            "a line of what the pods answer is not of Prometheus' text format, for which Prometheus refuses the whole \
             page. promtool check metrics names it"
        }
        PageOutcome::TooLarge => {
            "the pods answer with a page that is too large to be read. Expose less, above all fewer label values"
        }
        PageOutcome::Empty => "the pods answer with an empty page. Register the metrics with what serves the page",
        PageOutcome::Read | PageOutcome::Unanswered => "the pods did not answer",
    }
    .to_owned()
}
