use observed_crds::v1alpha1::DeletionPolicy;
use serde_json::{Value, json};

use super::*;

fn gift() -> Gift {
    resolved(&spec(json!({})), &facts(|_| {})).gift.unwrap()
}

fn gifted(change: impl FnOnce(&mut Value)) -> Facts {
    let gift = gift();
    facts(|facts| {
        with_gift(facts, &gift, &[]);
        change(facts);
    })
}

fn left(facts: &Facts) -> Option<Vec<ProbeKind>> {
    remains(facts.target.as_ref().unwrap(), "").map(|taken| taken.probes.into_iter().collect())
}

#[test]
fn what_is_taken_out_is_what_nobody_has_changed_or_taken_over() {
    assert_eq!(left(&gifted(|_| {})), Some(ALL.to_vec()));
    let changed = gifted(|facts| {
        facts["target"]["containers"][0]["probes"]["liveness"]["shape"]["periodSeconds"] = json!(11);
        facts["target"]["containers"][0]["probes"]["startup"]["ownedBy"] = json!(["helm"]);
    });
    assert_eq!(left(&changed), Some(vec![ProbeKind::Readiness]));
    let renamed = gifted(|facts| facts["target"]["containers"][0]["name"] = json!("renamed"));
    assert_eq!(left(&renamed), Some(vec![]), "the annotation still goes");
    assert_eq!(left(&facts(|_| {})), None);
}

/// What is noted on a workload that says `says`, for a spec of these probes.
fn noted(says: &str, probes: Value) -> Option<DeletionPolicy> {
    let facts = gifted(|facts| facts["target"]["deletionPolicy"] = json!(says));
    resolved(&spec(probes), &facts).will.map(|will| will.policy)
}

#[test]
fn what_becomes_of_a_gift_is_noted_where_the_workload_says_otherwise() {
    let (remove, release) = (Some(DeletionPolicy::Remove), Some(DeletionPolicy::Release));
    assert_eq!(noted("Release", json!({"deletionPolicy": "Remove"})), remove);
    assert_eq!(noted("Remove", json!({"deletionPolicy": "Remove"})), None);
    assert_eq!(noted("Release", json!({})), None);
    assert_eq!(noted("Remove", json!({})), release);
    // Who only looks promises nothing, and keeps no promise that the spec no longer makes.
    let observe = |policy: &str| json!({"mode": "Observe", "deletionPolicy": policy});
    assert_eq!(noted("Release", observe("Remove")), None);
    assert_eq!(noted("Remove", observe("Release")), release);
}

#[test]
fn a_gift_carries_the_note_and_a_workload_without_a_gift_of_this_service_gets_none() {
    let remove = spec(json!({"deletionPolicy": "Remove"}));
    let given = resolved(&remove, &facts(|_| {}));
    assert_eq!(given.gift.unwrap().deletion_policy, DeletionPolicy::Remove);
    assert_eq!(given.will, None, "one patch says it all");
    let anothers = gifted(|facts| facts["uid"] = json!("another"));
    assert_eq!(resolved(&remove, &anothers).will, None);
}

#[test]
fn who_keeps_the_source_is_told_where_to_find_what_to_commit_while_the_gift_is_in_place() {
    let message = |change: fn(&mut Value)| {
        let facts = gifted(|facts| {
            facts["target"]["source"] = json!({"argoCd": "shop"});
            change(facts);
        });
        resolved(&spec(json!({})), &facts).message
    };
    let told = "The workload comes from Argo CD (Application shop); what to commit there to keep them says: observed diff api -n prod";
    assert!(message(|_| {}).contains(told), "{}", message(|_| {}));
    let theirs = message(|facts| {
        for kind in ["liveness", "readiness", "startup"] {
            facts["target"]["containers"][0]["probes"][kind]["ownedBy"] = json!(["argocd-controller"]);
        }
    });
    assert!(!theirs.contains("comes from"), "{theirs}");
}

#[test]
fn where_gifts_do_not_yield_their_owner_is_told_what_to_do_first() {
    let message = |yields: Value, owners: Value| {
        let facts = gifted(|facts| {
            facts["yields"] = yields;
            for kind in ["liveness", "readiness", "startup"] {
                facts["target"]["containers"][0]["probes"][kind]["ownedBy"] = owners.clone();
            }
        });
        resolved(&spec(json!({})), &facts).message
    };
    let told = "no policy observed-yield";
    let missing = message(json!(false), json!([]));
    assert!(
        missing.contains(told) && missing.contains("observed probes remove api -n prod"),
        "{missing}"
    );
    for (yields, owners) in [
        (json!(true), json!([])),
        (json!(null), json!([])),
        (json!(false), json!(["helm"])),
    ] {
        let message = message(yields, owners);
        assert!(!message.contains(told), "{message}");
    }
}
