//! A runbook for every alert, in a ConfigMap: for people, and for whatever serves them under `spec.runbooks.baseURL`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use observed_crds::v1alpha1::conditions::ConditionType;

use super::{CONFIG_MAP, CONFIG_MAPS, Extra, Output, Ownership, data, owned};
use crate::check::Check;
use crate::child::{Child, ResourceKind};
use crate::names;
use crate::plan::{Alert, Plan};
use crate::signals::text::step;

/// What most pages take.
const ROOM_BYTES: usize = 2048;

/// A runbook for every alert.
#[derive(Debug)]
pub struct Runbooks;

impl Output for Runbooks {
    fn id(&self) -> &'static str {
        "runbooks"
    }

    fn kinds(&self) -> &'static [&'static ResourceKind] {
        &CONFIG_MAPS
    }

    fn ownership(&self) -> Ownership {
        Ownership::Owned
    }

    fn condition(&self) -> ConditionType {
        // A runbook is a part of its alert.
        ConditionType::RulesHealthy
    }

    fn render(&self, plan: &Plan) -> Vec<Child> {
        let of_packs = plan.packs.iter().flat_map(|pack| &pack.alerts);
        let of_objectives = plan.objectives.iter().flat_map(|objective| &objective.alerts);
        let mut named: BTreeMap<&str, Vec<&Alert>> = BTreeMap::new();
        for alert in of_packs.chain(of_objectives) {
            named.entry(&alert.name).or_default().push(alert);
        }
        if named.is_empty() {
            return Vec::new();
        }
        let pages = named.into_iter();
        let body = data(pages.map(|(name, alerts)| (format!("{name}.md"), page(plan, name, &alerts))));
        let name = names::child(&plan.owner.name, "runbooks");
        vec![owned(plan, self.id(), &CONFIG_MAP, name, Extra::default(), body)]
    }

    fn checks(&self, _plan: &Plan) -> Vec<Check> {
        Vec::new()
    }
}

/// The page of all alerts of one name: of each dependency, and of each objective and its windows.
fn page(plan: &Plan, name: &str, alerts: &[&Alert]) -> String {
    let owner = &plan.owner;
    let all = |text: &dyn Fn(&Alert) -> String, between: &str| {
        let mut all: Vec<String> = Vec::new();
        for text in alerts.iter().map(|alert| text(alert)) {
            if !all.contains(&text) {
                all.push(text);
            }
        }
        all.join(between)
    };
    let mut steps: Vec<&String> = Vec::new();
    for step in alerts.iter().flat_map(|alert| &alert.runbook.first) {
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    let steps = steps.into_iter().zip(1..);
    let steps = steps.map(|(text, number)| step(number, text));
    let mut page = String::with_capacity(ROOM_BYTES);
    // Nothing in it could fail to be written.
    let _ = write!(
        page,
        "# {name}\n\n\
         {what}\n\n\
         | | |\n|---|---|\n\
         | service | {namespace}/{service}, {kind} {target} |\n\
         | severity | {severity} |\n\
         | fires | {condition} |\n\
         | signal | {signal} |\n\n\
         ## Look at first\n\n{steps}\n\n\
         ## Expression\n\nIt fires for what this gives:\n\n{exprs}\n\n\
         ## While it is worked on\n\n\
         ```\namtool silence add alertname={name} namespace={namespace} service={service} --duration=1h --comment='...'\n```\n",
        what = all(
            &|alert| format!("{} {}", alert.runbook.summary, alert.runbook.impact),
            "\n\n"
        ),
        namespace = owner.namespace,
        service = owner.name,
        kind = plan.target.kind.as_str(),
        target = plan.target.name,
        severity = all(&|alert| alert.severity.as_str().to_owned(), ", "),
        condition = all(&|alert| alert.runbook.condition.clone(), "; or "),
        signal = all(&|alert| alert.runbook.signal.replace('|', "\\|"), " "),
        steps = steps.collect::<Vec<_>>().join("\n"),
        exprs = all(&|alert| format!("```promql\n{}\n```", alert.expr), "\n\n"),
    );
    page
}

#[cfg(test)]
mod tests {
    use observed_crds::v1alpha1::Signals;

    use super::*;
    use crate::child::Body;
    use crate::signals::sample;

    fn pages(signals: &str) -> BTreeMap<String, String> {
        let signals: Signals = serde_json::from_str(signals).unwrap();
        let children = Runbooks.render(&sample::plan(&sample::binding(&signals)).unwrap());
        let [child] = children.as_slice() else {
            return BTreeMap::new();
        };
        assert_eq!(child.name, "claude-runbooks");
        let Body::Owned(object) = &child.body else {
            unreachable!()
        };
        serde_json::from_value(object["data"].clone()).unwrap()
    }

    #[test]
    fn every_alert_has_a_page_with_the_services_own_names() {
        let pages = pages("{}");
        let page = &pages["HighErrorRate.md"];
        for part in [
            "# HighErrorRate\n",
            "| service | prod/claude, Deployment claude-api |",
            "| fires | above 5% for 5m |",
            "kubectl rollout history deployment/claude-api -n prod",
            "amtool silence add alertname=HighErrorRate namespace=prod service=claude ",
            "> 0.05",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        assert!(
            pages
                .values()
                .all(|page| !page.contains("{{") && !page.contains("{target}"))
        );
    }

    #[test]
    fn a_page_follows_what_the_service_changed() {
        let changed = pages(r#"{"alerts": {"HighErrorRate": {"above": "0.2", "for": "1m"}}}"#);
        assert!(changed["HighErrorRate.md"].contains("| fires | above 20% for 1m |"));
        let without = pages(r#"{"alerts": {"HighErrorRate": {"state": "Disabled", "because": "no"}}}"#);
        assert!(!without.contains_key("HighErrorRate.md") && !without.is_empty());
        assert!(!pages(r#"{"packs": []}"#).contains_key("HighErrorRate.md"));
    }
}
