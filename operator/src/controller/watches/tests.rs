use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::super::orphans::Orphans;
use super::*;
use crate::mock;
use crate::services::store;

fn meta(name: &str, more: &Value) -> Value {
    let mut metadata = json!({"name": name, "namespace": "prod", "uid": name, "resourceVersion": "1"});
    for (key, value) in more.as_object().into_iter().flatten() {
        metadata[key] = value.clone();
    }
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata})
}

/// A client that lists these objects, whatever it is asked for, and sends no event after that.
fn listing(items: Vec<Value>) -> Client {
    mock::client(move |_| mock::list(&items)).0
}

/// One service, `api` in `prod`, which points at the Deployment `web`.
fn known() -> Known {
    let (known, mut writer) = store();
    let service = json!({
        "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService",
        "metadata": {"name": "api", "namespace": "prod"}, "spec": {"targetRef": {"name": "web"}},
    });
    let service: Guarded = serde_json::from_value(service).unwrap();
    writer.apply_watcher_event(&Event::Apply(service));
    known
}

fn watch(client: Client) -> Watch {
    Watch {
        client,
        namespace: None,
        known: known(),
        errors: WatchErrors::default(),
        changes: Changes::default(),
    }
}

/// The first so many services that a stream asks to look at.
async fn first(triggers: Triggers, count: usize) -> Vec<String> {
    let names = triggers.take(count).map(|service| service.name).collect();
    tokio::time::timeout(Duration::from_secs(10), names).await.unwrap()
}

#[tokio::test]
async fn a_child_leads_to_the_service_that_its_label_or_its_owner_names_and_others_lead_nowhere() {
    let owner =
        json!([{"apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService", "name": "by-owner", "uid": "1"}]);
    let stranger = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "stranger", "uid": "2"}]);
    let client = listing(vec![
        meta("a", &json!({"ownerReferences": stranger})),
        meta("b", &json!({"labels": {SERVICE_LABEL: "by-label"}})),
        meta("c", &json!({"ownerReferences": owner})),
    ]);
    let (_sender, served) = tokio::sync::watch::channel(BTreeSet::new());
    let kind = outputs::owned_kinds().into_iter().find(|kind| !kind.optional).unwrap();
    assert_eq!(
        first(watch(client).child(kind, served), 2).await,
        ["by-label", "by-owner"]
    );
}

#[tokio::test]
async fn every_kind_of_child_is_watched_and_one_that_is_not_served_once_it_is() {
    let client = listing(vec![meta("b", &json!({"labels": {SERVICE_LABEL: "api"}}))]);
    let (sender, served) = tokio::sync::watch::channel(BTreeSet::new());
    let streams = watch(client).children(&served);
    assert_eq!(streams.len(), outputs::owned_kinds().len());
    let mut waiting = 0;
    for (kind, mut triggers) in outputs::owned_kinds().into_iter().zip(streams) {
        if kind.optional {
            waiting += 1;
            assert!(
                futures::poll!(triggers.next()).is_pending(),
                "{} is not served",
                kind.kind
            );
            sender.send_modify(|served| served.extend([kind.kind.to_owned()]));
        }
        assert_eq!(first(triggers, 1).await, ["api"], "{}", kind.kind);
    }
    assert!(waiting > 0);
}

#[tokio::test]
async fn a_workload_leads_to_the_service_that_points_at_it_and_only_by_its_own_kind() {
    let client = listing(vec![meta("another", &Value::Null), meta("web", &Value::Null)]);
    let mut streams = watch(client).workloads(&Orphans::new().0);
    assert_eq!(streams.len(), TargetKind::ALL.len());
    let mut others = streams.split_off(1);
    assert_eq!(first(streams.remove(0), 1).await, ["api"]);
    for other in &mut others {
        let looked = tokio::time::timeout(Duration::from_millis(200), other.next()).await;
        assert!(
            looked.is_err(),
            "a StatefulSet or DaemonSet of that name is another workload"
        );
    }
}

#[tokio::test]
async fn a_kubernetes_service_leads_to_all_services_of_its_namespace() {
    let client = listing(vec![
        meta("front", &json!({"namespace": "elsewhere"})),
        meta("front", &Value::Null),
    ]);
    assert_eq!(first(watch(client).services(), 1).await, ["api"]);
}

#[tokio::test]
async fn a_watch_that_breaks_off_is_counted_and_one_that_works_is_not() {
    let errors = WatchErrors::default();
    let items: Vec<watcher::Result<u8>> = vec![Ok(1), Err(watcher::Error::NoResourceVersion), Ok(2)];
    let kept: Vec<u8> = logged(stream::iter(items), "pods", &errors).collect().await;
    assert_eq!((kept, errors.of("pods").get()), (vec![1, 2], 1));
    logged(stream::iter([Ok(1)]), "services", &errors)
        .collect::<Vec<_>>()
        .await;
    assert_eq!(errors.of("services").get(), 0);
}

/// Whether nothing but what is told counts as a change of `api`, after these events of one watch.
async fn is_relied_on(events: Vec<watcher::Result<watcher::Event<u8>>>) -> bool {
    let changes = Changes::default();
    let events: Vec<_> = relied_on(stream::iter(events), "services", &changes).collect().await;
    assert!(!events.is_empty(), "they pass");
    let key = ("prod".to_owned(), "api".to_owned());
    changes.ticket(&key, Instant::now()).is_some()
}

#[tokio::test]
async fn a_watch_is_relied_on_once_it_knows_what_there_is_and_not_when_it_broke_off() {
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
    let broke = || Err(watcher::Error::NoResourceVersion);
    assert!(
        is_relied_on(vec![
            Ok(Init),
            Ok(InitApply(1)),
            Ok(InitDone),
            Ok(Apply(2)),
            Ok(Delete(2))
        ])
        .await
    );
    for events in [
        vec![Ok(Init)],
        vec![Ok(Init), Ok(InitApply(1))],
        vec![Ok(Init), Ok(InitDone), Ok(Init)],
        vec![Ok(Init), Ok(InitDone), broke()],
        vec![Ok(Init), broke(), Ok(Init), Ok(InitDone)],
    ] {
        assert!(!is_relied_on(events).await);
    }
}

#[tokio::test]
async fn every_watch_says_whether_it_can_be_relied_on() {
    let failing = || mock::client(|_| mock::refusal(500, "InternalError", "oops")).0;
    let (_sender, served) =
        tokio::sync::watch::channel(outputs::owned_kinds().iter().map(|kind| kind.kind.to_owned()).collect());
    let watches = |watch: &Watch| {
        let mut all = watch.workloads(&Orphans::new().0);
        all.extend(watch.children(&served));
        all.push(watch.services());
        let packs = watch.packs().0.changes;
        all.push(packs.filter_map(async |_| None).boxed());
        all
    };
    let count = watches(&watch(failing())).len();
    for number in 0..count {
        let watch = watch(failing());
        let mut triggers = watches(&watch).remove(number);
        let broke = async {
            while watch
                .changes
                .ticket(&("prod".into(), "api".into()), Instant::now())
                .is_some()
            {
                assert!(futures::poll!(triggers.next()).is_pending());
                tokio::task::yield_now().await;
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(10), broke).await;
        assert!(told.is_ok(), "watch {number} of {count}");
    }
}
