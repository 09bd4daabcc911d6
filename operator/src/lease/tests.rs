use std::sync::{Arc, Mutex};

use futures::stream;
use http::Method;
use kube::Client;
use serde_json::{Value, json};

use super::*;
use crate::mock::{self, Log, refusal};

/// As in a cluster, but that it does not last long.
const LASTS: Duration = Duration::from_secs(1);

fn lease(client: Client) -> Lease {
    Lease::new(Api::default_namespaced(client), "observed", LASTS, Gate::new())
}

/// The Lease in version `version`, held by somebody for so many seconds.
fn held_by(holder: &str, seconds: u64, version: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "observed", "namespace": "prod", "resourceVersion": version},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": seconds, "leaseTransitions": 7},
    })
}

/// An API server that holds one Lease, or none, and looks at versions.
fn server(object: Option<Value>) -> (Client, Log, Arc<Mutex<Option<Value>>>) {
    let stored = Arc::new(Mutex::new(object));
    let of_server = Arc::clone(&stored);
    let (client, log) = mock::client(move |asked| {
        let mut stored = of_server.lock().unwrap();
        match (&asked.method, stored.as_ref()) {
            (&Method::GET, Some(object)) => (200, object.clone()),
            (&Method::GET | &Method::PUT, None) => mock::not_found(),
            (&Method::PUT, Some(now))
                if now["metadata"]["resourceVersion"] != asked.body["metadata"]["resourceVersion"] =>
            {
                refusal(409, "Conflict", "it has been changed")
            }
            _ => {
                let mut written = asked.body.clone();
                let before = asked.body["metadata"]["resourceVersion"].as_str().unwrap_or("0");
                written["metadata"]["resourceVersion"] = format!("{before}1").into();
                *stored = Some(written.clone());
                (200, written)
            }
        }
    });
    (client, log, stored)
}

/// Takes the Lease after a watch has shown these.
async fn take(lease: &Lease, looks: Vec<Option<Value>>) -> Object {
    let looks = looks
        .into_iter()
        .map(|look| Ok(look.map(|object| serde_json::from_value(object).unwrap())));
    let looks = stream::iter(looks).chain(stream::pending());
    lease.take(looks, &Readiness::default()).await
}

#[tokio::test]
async fn a_lease_that_was_released_is_taken_at_once_and_only_as_it_was_seen() {
    let free = held_by("", 1, "5");
    let (client, log, _) = server(Some(free.clone()));
    let lease = lease(client);
    let began = Instant::now();
    let taken = take(&lease, vec![Some(free)]).await;
    assert!(began.elapsed() < LASTS);
    assert_eq!(holder(&taken), lease.identity);
    let written = log.writes().remove(0).body;
    assert_eq!(written["metadata"]["resourceVersion"], "5");
    assert_eq!(written["spec"]["leaseTransitions"], 8);
}

#[tokio::test]
async fn a_lease_that_somebody_holds_is_taken_when_it_did_not_change_for_as_long_as_it_lasts() {
    let theirs = held_by("theirs", 1, "5");
    let (client, log, _) = server(Some(theirs.clone()));
    let lease = lease(client);
    let began = Instant::now();
    take(&lease, vec![Some(theirs)]).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    // It was looked at again before: a watch may be silent because it is broken.
    assert_eq!(log.all()[0].method, Method::GET);
}

#[tokio::test]
async fn a_renewal_that_the_watch_does_not_show_is_seen_before_the_lease_is_taken() {
    let (client, log, stored) = server(Some(held_by("theirs", 60, "6")));
    let lease = lease(client);
    let late = take(&lease, vec![Some(held_by("theirs", 1, "5"))]);
    assert!(timeout(Duration::from_millis(1_500), late).await.is_err());
    assert!(log.writes().is_empty(), "{:?}", log.lines());
    assert_eq!(
        stored.lock().unwrap().as_ref().unwrap()["spec"]["holderIdentity"],
        "theirs"
    );
}

#[tokio::test]
async fn one_that_was_deleted_is_waited_for_like_one_that_is_there() {
    let (client, _, _) = server(None);
    let lease = lease(client);
    let began = Instant::now();
    take(&lease, vec![Some(held_by("theirs", 1, "5")), None]).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_makes_the_lease_gives_an_unknown_holder_the_time_to_notice() {
    let (client, log, _) = server(None);
    let lease = lease(client);
    let began = Instant::now();
    take(&lease, vec![None]).await;
    assert!(began.elapsed() >= lease.terms.renewal() * 2, "{:?}", began.elapsed());
    let methods: Vec<_> = log.writes().into_iter().map(|asked| asked.method).collect();
    assert_eq!(methods, [Method::POST, Method::PUT]);
}

/// Keeps a Lease that this process holds, while the API server has something else.
async fn keeps(now: impl FnOnce(&Lease) -> Option<Value>) -> (Result<String, tokio::time::error::Elapsed>, Value) {
    let (client, _, stored) = server(None);
    let lease = lease(client);
    let object = serde_json::from_value(held_by(&lease.identity, 1, "5")).unwrap();
    let mut held = Held { lease: &lease, object };
    *stored.lock().unwrap() = now(&lease);
    let lost = timeout(LASTS, held.keep()).await.map(|lost| lost.0);
    let there = stored.lock().unwrap().clone().unwrap_or_default();
    (lost, there["spec"]["holderIdentity"].clone())
}

#[tokio::test]
async fn a_lease_that_went_to_somebody_else_is_lost() {
    let (lost, holder) = keeps(|_| Some(held_by("theirs", 1, "6"))).await;
    assert_eq!((lost.unwrap(), holder), ("theirs".to_owned(), json!("theirs")));
}

#[tokio::test]
async fn a_lease_on_which_somebody_wrote_something_else_and_one_that_was_deleted_are_kept() {
    let (lost, holder) = keeps(|lease| Some(held_by(&lease.identity, 1, "6"))).await;
    assert!(lost.is_err() && holder != "theirs");
    let (lost, holder) = keeps(|_| None).await;
    assert!(lost.is_err() && holder.is_string());
}

#[tokio::test]
async fn a_released_lease_names_nobody_even_if_a_renewal_came_in_between() {
    for version in ["5", "6"] {
        let (client, _, stored) = server(None);
        let lease = lease(client);
        *stored.lock().unwrap() = Some(held_by(&lease.identity, 1, version));
        let object = serde_json::from_value(held_by(&lease.identity, 1, "5")).unwrap();
        Held { lease: &lease, object }.release(true).await;
        assert_eq!(stored.lock().unwrap().as_ref().unwrap()["spec"]["holderIdentity"], "");
    }
}
