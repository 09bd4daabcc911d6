//! What `kubectl rollout undo` makes of a gift: it has no file, so that it is no row of the table.

use kube::api::DynamicObject;

use super::super::shop::{NAME, Shop};
use super::tools::Place;
use super::{PROBES, container};

const PROBES_OF_SHOP: &str = "{mode: Patch, preflight: {window: 1s}}";

fn probes(workload: &DynamicObject) -> usize {
    PROBES
        .iter()
        .filter(|field| !container(workload)[**field].is_null())
        .count()
}

/// The operator has looked at the workload again and again, and left it as the user did: no probe, no field and no
/// rollout more.
async fn stays(shop: &Shop, after: &DynamicObject) {
    shop.settled().await;
    shop.operator.reconciles(3.0).await;
    let now = shop.workload().await;
    assert_eq!(now.data["spec"], after.data["spec"]);
    assert_eq!(now.metadata.generation, after.metadata.generation, "no second rollout");
    let mut managers = now.metadata.managed_fields.iter().flatten();
    assert!(!managers.any(|entry| entry.manager.iter().any(|name| name.starts_with("observed"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_means_what_its_user_meant_and_nothing_is_given_to_a_revision_that_had_been_without() {
    let shop = Shop::gifted(PROBES_OF_SHOP).await;
    let stage = &shop.stage;
    let place = Place::new(stage).await;
    shop.settled().await;
    let given = shop.workload().await;
    assert_eq!(probes(&given), 3);

    // A new image is taken back: the revision before it has the gift.
    place.set_image(NAME, NAME, "observed.local/none:2").unwrap();
    shop.settled().await;
    place.undo(NAME).unwrap();
    let back = shop.workload().await;
    assert_eq!(back.data["spec"], given.data["spec"], "the old image with the gift");
    stays(&shop, &back).await;
    stage.becomes(NAME, "ProbesInstalled", "True", "Installed").await;

    // The gift itself is taken back: with the image of then, to a revision that had none.
    place.undo_to(NAME, 1).unwrap();
    let without = shop.workload().await;
    assert_eq!(probes(&without), 0);
    assert_eq!(container(&without)["image"], container(&given)["image"]);
    let said = stage.becomes(NAME, "ProbesInstalled", "False", "Declined").await;
    assert!(said.contains("to this very revision before"), "{said}");
    assert!(said.contains("by \"kubectl\""), "{said}");
    stays(&shop, &without).await;

    // The twin: a revision that the operator does not know gets the gift, by a rollout that is seen here.
    place.set_image(NAME, NAME, "observed.local/none:3").unwrap();
    let unknown = shop.workload().await;
    stage.becomes(NAME, "ProbesInstalled", "True", "Installed").await;
    let again = shop.workload().await;
    assert_eq!(probes(&again), 3);
    assert!(again.metadata.generation > unknown.metadata.generation);
}
