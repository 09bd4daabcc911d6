use super::super::Rule;
use super::super::kind::{MONITORS, Need};
use super::target_down::down;
use crate::scrape_error::Cause;

pub(super) const RULE: Rule = Rule {
    id: "sample-limit",
    title: "A page has more samples than the sample limit",
    effect: "The whole scrape fails, not only what is too much",
    fix: "Find the label with so many values; if all of them are wanted, raise `sampleLimit` to three times of what the page has",
    needs: &[Need::Any(&MONITORS), Need::Prometheus],
    find: |snapshot| down(snapshot, |cause| cause == Cause::SampleLimit),
};
