//! Asks Grafana for the dashboards that its sidecars are to load, as the operator asks it.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use observed_core::doctor::GrafanaAnswers;

use crate::verify::{Prometheus, grafana};

/// Dashboards that are asked for at once.
const MOST_REQUESTS: usize = 4;

/// What it has under each uid.
pub(super) async fn ask(http: &Prometheus, url: String, uids: BTreeSet<String>) -> GrafanaAnswers {
    let address = &url;
    let asked = uids.into_iter().map(|uid| async move {
        let known = grafana::known(http, address, &uid).await;
        (uid, known)
    });
    let dashboards = stream::iter(asked)
        .buffer_unordered(MOST_REQUESTS)
        .collect::<Vec<_>>()
        .await;
    GrafanaAnswers {
        dashboards: dashboards.into_iter().collect(),
        url,
    }
}
