use super::super::Rule;
use super::super::kind::{MONITORS, Need};
use super::target_down::down;
use crate::scrape_error::Cause;

pub(super) const RULE: Rule = Rule {
    id: "metrics-content-type",
    title: "The metrics page has a Content-Type or a body that Prometheus refuses",
    effect: "Prometheus 3 fails the scrape; version 2 took the page, so that it broke with an upgrade",
    fix: "Serve `text/plain; version=0.0.4`. A FastAPI handler that returns `generate_latest()` sends one JSON string: return \
          `Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)`",
    needs: &[Need::Any(&MONITORS), Need::Prometheus],
    find: |snapshot| down(snapshot, |cause| [Cause::ContentType, Cause::NotText].contains(&cause)),
};
