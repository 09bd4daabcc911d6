//! Whether Grafana has the dashboard: by the settings of its sidecars, and by its own word where its address is known.

use observed_core::check::{Check, DashboardFile, Truth, Verdict};
use observed_core::sidecar;
use observed_crds::v1alpha1::conditions::Reason;
use serde::Deserialize;

use super::access::Server;
use super::prometheus::not_json;
use super::{Backends, Prometheus, verdict};
use crate::api_error::shorten;

/// Longest foreign text in a message.
const LONGEST: usize = 200;

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

/// What Grafana says of a uid.
enum Answer {
    Has(Found),
    HasNot,
}

pub(super) async fn dashboard(backends: &Backends<'_>, check: &Check, file: &DashboardFile) -> Verdict {
    let (truth, reason, words) = sidecar::judge(backends.sidecars, backends.namespace, file);
    let told = |truth, reason, message| verdict(check, truth, reason, message, None);
    let Some(url) = backends.grafana_url else {
        return told(truth, reason, words);
    };
    match ask(backends.prometheus, url, &file.uid).await {
        Ok(Answer::Has(found)) if found.dashboard.title == file.title => {
            // What a sidecar does not load came in another way, and two with one uid cannot both be there.
            let folder = shorten(&found.meta.folder_title, LONGEST);
            let message = format!(
                "Grafana at {url} has the dashboard {:?} in the folder {folder:?}",
                file.title
            );
            match reason {
                Reason::DashboardTaken => told(truth, reason, words),
                _ => told(Truth::True, Reason::Loaded, message),
            }
        }
        Ok(Answer::Has(found)) => {
            let message = format!(
                "In Grafana at {url} the uid {:?} belongs to the dashboard {:?} in the folder {:?}, so that this one cannot be \
                 loaded. Delete that one, or give it another uid",
                file.uid,
                shorten(&found.dashboard.title, LONGEST),
                shorten(&found.meta.folder_title, LONGEST)
            );
            told(Truth::False, Reason::DashboardTaken, message)
        }
        Ok(Answer::HasNot) if truth == Truth::False => told(truth, reason, words),
        Ok(Answer::HasNot) => {
            let message = format!(
                "Grafana at {url} has no dashboard with the uid {:?} yet. It can take two minutes; if it stays so, the logs of \
                 Grafana and of its sidecar say why. {words}",
                file.uid
            );
            told(Truth::False, Reason::NotLoaded, message)
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

async fn ask(http: &Prometheus, url: &str, uid: &str) -> Result<Answer, String> {
    let path = format!("/api/dashboards/uid/{uid}");
    let answered = http.answer(Server::Grafana, url, &path).await;
    let (status, body) = answered.map_err(|error| error.to_string())?;
    let refusal = || {
        serde_json::from_slice::<Refusal>(&body)
            .ok()
            .map(|refusal| refusal.message)
    };
    match status {
        200 => serde_json::from_slice(&body)
            .map(Answer::Has)
            .map_err(|error| format!("the answer of {url} is not that of Grafana: {}", not_json(&error))),
        // A proxy, or another path prefix, says 404 too, and not in these words.
        404 if refusal().is_some_and(|words| words.to_lowercase().contains("dashboard not found")) => {
            Ok(Answer::HasNot)
        }
        401 | 403 => Err(format!(
            "{url} answers HTTP {status}: see whether --grafana-token-file holds a token of a service account that may read \
             dashboards (dashboards:read)"
        )),
        status => Err(format!(
            "{url} answers HTTP {status}: see whether the address is that of Grafana"
        )),
    }
}
