//! Whether an installation of the operator can do its work, asked from where it runs and with its own rights: `observed doctor --in-cluster`.

use std::collections::BTreeSet;
use std::slice::from_ref;

use futures::future::join_all;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::PostParams;
use kube::{Api, Client};
use observed_core::outputs;
use observed_core::rbac::{self, MetricsReaders};

use crate::gather::{Look, Surroundings};
use crate::settings::Servers;
use crate::verify::{Prometheus, Server};
use crate::{api_error, skew};

/// What each of them is asked for.
const PROMETHEUS: (Server, &str) = (Server::Prometheus, "/api/v1/status/buildinfo");
const ALERTMANAGER: (Server, &str) = (Server::Alertmanager, "/api/v2/status");

/// The installation that is looked at.
pub struct Installation<'a> {
    /// Namespace that the operator runs in.
    pub home: &'a str,
    /// Namespace that it looks after. None: all of them.
    pub namespace: Option<&'a str>,
    /// Name of its Lease.
    pub lease: &'a str,
    /// Who may read its metrics.
    pub readers: MetricsReaders,
    /// How it reaches Prometheus and Alertmanager.
    pub servers: &'a Servers,
}

/// What is known of one thing that the operator needs.
pub enum Found {
    /// It is as it should be.
    Well(String),
    /// A part of the work cannot be done.
    Lacks(String),
    /// The work cannot be done.
    Dead(String),
}

/// Everything that the operator needs, by a name for it.
pub async fn look(client: &Client, of: &Installation<'_>) -> Vec<(&'static str, Found)> {
    let (definitions, rights, lease) = futures::join!(definitions(client), rights(client, of), lease(client, of));
    let (kinds, prometheus) = around(client, of).await;
    let mut found = vec![
        ("definitions", definitions),
        ("rights", rights),
        ("lease", lease),
        ("prometheus-operator", kinds),
        ("prometheus", prometheus),
    ];
    if let Some(url) = &of.servers.alertmanager.url {
        found.push(("alertmanager", answers(of, ALERTMANAGER, from_ref(url)).await));
    }
    found
}

async fn definitions(client: &Client) -> Found {
    match skew::older(client).await {
        Ok(None) => Found::Well("the CRDs are as new as this program".to_owned()),
        Ok(Some(words)) => Found::Dead(words),
        Err(error) if api_error::is_not_found(&error) => Found::Dead(format!("the CRDs are not there: {}", skew::FIX)),
        Err(error) => Found::Lacks(format!("the CRDs could not be seen: {}", api_error::words(&error))),
    }
}

/// One thing that may be asked for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Right {
    verb: String,
    group: String,
    resource: String,
    name: Option<String>,
    namespace: Option<String>,
}

impl Right {
    fn words(&self) -> String {
        let group = if self.group.is_empty() {
            String::new()
        } else {
            format!(".{}", self.group)
        };
        let place = self.namespace.as_ref().map(|namespace| format!(" in {namespace}"));
        format!("{} {}{group}{}", self.verb, self.resource, place.unwrap_or_default())
    }

    fn review(&self) -> SelfSubjectAccessReview {
        let (resource, subresource) = match self.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
            None => (self.resource.as_str(), None),
        };
        let attributes = ResourceAttributes {
            verb: Some(self.verb.clone()),
            group: Some(self.group.clone()),
            resource: Some(resource.to_owned()),
            subresource,
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            ..ResourceAttributes::default()
        };
        SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        }
    }
}

/// Every right that the operator's roles are to give it.
fn needed(of: &Installation<'_>) -> BTreeSet<Right> {
    let mut needed = BTreeSet::new();
    let mut add = |rules: Vec<PolicyRule>, namespace: Option<&str>| {
        for rule in rules {
            // The Lease of this installation, whatever the role of the code calls it.
            let names = rule.resource_names.iter().flatten();
            let names = names.map(|name| Some(if name == rbac::NAME { of.lease } else { name }));
            let mut names: Vec<Option<&str>> = names.collect();
            if names.is_empty() {
                names.push(None);
            }
            for (resource, verb) in rule
                .resources
                .iter()
                .flatten()
                .flat_map(|resource| rule.verbs.iter().map(move |verb| (resource, verb)))
            {
                needed.extend(names.iter().map(|name| Right {
                    verb: verb.clone(),
                    group: rule.api_groups.iter().flatten().next().cloned().unwrap_or_default(),
                    resource: resource.clone(),
                    name: name.map(str::to_owned),
                    namespace: namespace.map(str::to_owned),
                }));
            }
        }
    };
    add(rbac::rules(), of.namespace);
    add(rbac::cluster_rules(), None);
    add(rbac::home_rules(rbac::NAME), Some(of.home));
    if of.readers == MetricsReaders::Allowed {
        add(rbac::review_rules(), None);
    }
    needed
}

async fn rights(client: &Client, of: &Installation<'_>) -> Found {
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let needed = needed(of);
    let asked = needed.iter().map(async |right| {
        let answer = api.create(&PostParams::default(), &right.review()).await;
        (right, answer)
    });
    let mut missing = Vec::new();
    for (right, answer) in join_all(asked).await {
        match answer {
            Ok(review) if review.status.as_ref().is_some_and(|status| status.allowed) => {}
            Ok(_) => missing.push(right.words()),
            Err(error) => {
                return Found::Lacks(format!(
                    "its rights could not be asked for: {}",
                    api_error::words(&error)
                ));
            }
        }
    }
    if missing.is_empty() {
        return Found::Well(format!("all {} of them are there", needed.len()));
    }
    Found::Dead(format!(
        "it may not {}. `observed rbac` prints what it needs",
        missing.join(", ")
    ))
}

async fn lease(client: &Client, of: &Installation<'_>) -> Found {
    let api: Api<Lease> = Api::namespaced(client.clone(), of.home);
    let found = match api.get_opt(of.lease).await {
        Ok(found) => found,
        Err(error) => {
            return Found::Dead(format!(
                "the Lease {} could not be read: {}",
                of.lease,
                api_error::words(&error)
            ));
        }
    };
    let holder = found.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default();
    if holder.is_empty() {
        return Found::Dead(format!("nobody holds the Lease {}: no operator works", of.lease));
    }
    Found::Well(format!("{holder} holds {}", of.lease))
}

/// The kinds of prometheus-operator, and the Prometheus that is asked.
async fn around(client: &Client, of: &Installation<'_>) -> (Found, Found) {
    let look = Surroundings::new(client.clone(), None).look().await;
    let Look {
        served, prometheuses, ..
    } = match look {
        Ok(look) => look,
        Err(error) => {
            return (
                Found::Lacks(error.to_string()),
                Found::Lacks("it was not looked for".to_owned()),
            );
        }
    };
    let kinds = outputs::owned_kinds().into_iter().filter(|kind| kind.optional);
    let missing: Vec<_> = kinds
        .filter(|kind| !served.contains(kind.kind))
        .map(|kind| kind.kind)
        .collect();
    let kinds = if missing.is_empty() {
        Found::Well("its kinds are served".to_owned())
    } else {
        Found::Lacks(format!(
            "the cluster does not serve {}: install prometheus-operator",
            missing.join(", ")
        ))
    };
    let urls = match &of.servers.prometheus.url {
        Some(url) => vec![url.to_owned()],
        None => prometheuses.into_iter().map(|prometheus| prometheus.url).collect(),
    };
    if urls.is_empty() {
        let words = "there is no Prometheus resource: nothing is verified until --prometheus-url names one";
        return (kinds, Found::Lacks(words.to_owned()));
    }
    (kinds, answers(of, PROMETHEUS, &urls).await)
}

async fn answers(of: &Installation<'_>, (server, path): (Server, &str), urls: &[String]) -> Found {
    let client = match Prometheus::new(of.servers.clone()) {
        Ok(client) => client,
        Err(error) => return Found::Lacks(error.to_string()),
    };
    let asked = urls.iter().map(async |url| client.good(server, url, path, &[]).await);
    let silent: Vec<String> = join_all(asked)
        .await
        .into_iter()
        .filter_map(|answer| Some(answer.err()?.to_string()))
        .collect();
    if silent.is_empty() {
        return Found::Well(format!("{} answers", urls.join(", ")));
    }
    Found::Lacks(silent.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mock;

    fn here(servers: &Servers) -> Installation<'_> {
        Installation {
            home: "home",
            namespace: None,
            lease: "release",
            readers: MetricsReaders::All,
            servers,
        }
    }

    #[test]
    fn every_verb_of_every_rule_is_a_right_and_only_those_of_the_lease_and_of_the_policies_have_a_name() {
        let all = needed(&here(&Servers::default()));
        let verbs = |rules: Vec<PolicyRule>| -> usize {
            let names = |rule: &PolicyRule| rule.resource_names.as_ref().map_or(1, Vec::len);
            let of = |rule: &PolicyRule| rule.resources.iter().flatten().count() * rule.verbs.len() * names(rule);
            rules.iter().map(of).sum()
        };
        let sum = verbs(rbac::rules()) + verbs(rbac::cluster_rules()) + verbs(rbac::home_rules(rbac::NAME));
        assert_eq!(all.len(), sum);
        for right in &all {
            let is_lease = right.resource == "leases";
            assert_eq!(right.namespace.as_deref(), is_lease.then_some("home"), "{right:?}");
            let names = match right.resource.as_str() {
                "leases" if right.verb != "create" => vec![Some("release")],
                "mutatingadmissionpolicies" => vec![Some(rbac::ADMIT_POLICY), Some(rbac::YIELD_POLICY)],
                _ => vec![None],
            };
            assert!(names.contains(&right.name.as_deref()), "{right:?}");
        }
        let in_one = needed(&Installation {
            namespace: Some("prod"),
            ..here(&Servers::default())
        });
        let guarded = needed(&Installation {
            readers: MetricsReaders::Allowed,
            ..here(&Servers::default())
        });
        let more: Vec<_> = guarded.difference(&all).map(Right::words).collect();
        let reviews = [
            "create subjectaccessreviews.authorization.k8s.io",
            "create tokenreviews.authentication.k8s.io",
        ];
        assert_eq!(BTreeSet::from_iter(more.iter().map(String::as_str)), reviews.into());
        let elsewhere: Vec<_> = in_one
            .iter()
            .filter(|right| right.namespace.is_none())
            .map(|right| right.resource.as_str())
            .collect();
        assert_eq!(
            elsewhere,
            [
                "mutatingadmissionpolicies",
                "mutatingadmissionpolicies",
                "prometheusagents",
                "prometheuses"
            ]
        );
    }

    #[tokio::test]
    async fn a_right_that_is_missing_is_named_and_only_that() {
        let (client, _) = mock::client(|asked| {
            let attributes = &asked.body["spec"]["resourceAttributes"];
            let allowed =
                (&attributes["resource"], &attributes["subresource"]) != (&json!("observedservices"), &json!("status"));
            (
                201,
                json!({"spec": {"resourceAttributes": attributes}, "status": {"allowed": allowed}}),
            )
        });
        let Found::Dead(words) = rights(&client, &here(&Servers::default())).await else {
            panic!("nothing is missing")
        };
        assert!(
            words.starts_with("it may not patch observedservices/status.observed.rs. `observed rbac`"),
            "{words}"
        );

        let (client, _) = mock::client(|_| (201, json!({"spec": {}, "status": {"allowed": true}})));
        assert!(matches!(
            rights(&client, &here(&Servers::default())).await,
            Found::Well(_)
        ));
    }

    #[tokio::test]
    async fn a_lease_that_nobody_holds_is_no_operator_that_works() {
        for (holder, works) in [(json!("pod_1"), true), (json!(""), false), (json!(null), false)] {
            let (client, _) = mock::client(move |_| {
                (
                    200,
                    json!({"metadata": {"name": "release"}, "spec": {"holderIdentity": holder}}),
                )
            });
            assert_eq!(
                matches!(lease(&client, &here(&Servers::default())).await, Found::Well(_)),
                works
            );
        }
    }
}
