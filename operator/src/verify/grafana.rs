//! Whether Grafana has the dashboard: by the settings of its sidecars, and by its own word where its address is known.

use observed_core::check::{Check, DashboardFile, Truth, Verdict};
use observed_core::grafana_api::{self, Judged, Known, Standing};
use observed_core::sidecar;
use observed_crds::v1alpha1::conditions::Reason;
use serde::Deserialize;

use super::access::Server;
use super::prometheus::not_json;
use super::{Backends, Prometheus, verdict};

#[derive(Deserialize)]
struct Found {
    dashboard: Dashboard,
    meta: Meta,
}

#[derive(Deserialize)]
struct Dashboard {
    #[serde(default)]
    title: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    folder_title: String,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl From<Found> for Known {
    fn from(found: Found) -> Self {
        Self {
            title: found.dashboard.title,
            folder: found.meta.folder_title,
        }
    }
}

pub(super) async fn dashboard(backends: &Backends<'_>, check: &Check, file: &DashboardFile) -> Verdict {
    let (truth, reason, words) = sidecar::judge(backends.sidecars, backends.namespace, file);
    let told = |truth, reason, message| verdict(check, truth, reason, message, None);
    let Some(url) = backends.grafana_url else {
        return told(truth, reason, words);
    };
    match known(backends.prometheus, url, &file.uid).await {
        Ok(known) => {
            let judged = grafana_api::judge(url, &file.uid, &file.title, known.as_ref());
            let Judged {
                words: answered,
                next_step,
                ..
            } = judged;
            match judged.standing {
                // What a sidecar does not load came in another way, and two with one uid cannot both be there.
                Standing::Loaded if reason == Reason::DashboardTaken => told(truth, reason, words),
                Standing::Loaded => told(Truth::True, Reason::Loaded, answered),
                Standing::Taken => told(Truth::False, Reason::DashboardTaken, format!("{answered}. {next_step}")),
                Standing::NotLoaded if truth == Truth::False => told(truth, reason, words),
                Standing::NotLoaded => told(
                    Truth::False,
                    Reason::NotLoaded,
                    format!("{answered}. {next_step}. {words}"),
                ),
            }
        }
        Err(error) if truth == Truth::Unknown => told(
            Truth::Unknown,
            Reason::Unreachable,
            format!("Grafana could not be asked: {error}"),
        ),
        Err(error) => told(
            truth,
            reason,
            format!("{words}. Grafana itself could not be asked: {error}"),
        ),
    }
}

/// What Grafana has under a uid. None: nothing.
///
/// # Errors
/// It could not be asked, or its answer is not that of Grafana, in words.
pub async fn known(http: &Prometheus, url: &str, uid: &str) -> Result<Option<Known>, String> {
    let path = format!("/api/dashboards/uid/{uid}");
    let answered = http.answer(Server::Grafana, url, &path).await;
    let (status, body) = answered.map_err(|error| error.to_string())?;
    let refusal = || {
        serde_json::from_slice::<Refusal>(&body)
            .ok()
            .map(|refusal| refusal.message)
    };
    match status {
        200 => serde_json::from_slice::<Found>(&body)
            .map(|found| Some(found.into()))
            .map_err(|error| format!("the answer of {url} is not that of Grafana: {}", not_json(&error))),
        // A proxy, or another path prefix, says 404 too, and not in these words.
        404 if refusal().is_some_and(|words| words.to_lowercase().contains("dashboard not found")) => Ok(None),
        401 | 403 => Err(format!(
            "{url} answers HTTP {status}: see whether --grafana-token-file holds a token of a service account that may read \
             dashboards (dashboards:read)"
        )),
        status => Err(format!(
            "{url} answers HTTP {status}: see whether the address is that of Grafana"
        )),
    }
}
