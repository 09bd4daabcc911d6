//! Whether Grafana has the dashboard: by the settings of its sidecars, and by its own word where its address is known.

use std::path::Path;

use observed_core::check::{Check, DashboardFile, Truth, Verdict};
use observed_core::sidecar;
use observed_crds::v1alpha1::conditions::Reason;
use serde::Deserialize;

use super::{Backends, Prometheus, verdict};
use crate::api_error::shorten;

/// Longest foreign text in a message.
const LONGEST: usize = 200;

/// A Grafana that can be asked.
#[derive(Clone, Copy, Debug)]
pub struct Grafana<'a> {
    /// Its address.
    pub url: &'a str,
    /// File that holds a token of a service account. None: anybody may look.
    pub token_file: Option<&'a Path>,
}

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
    let Some(grafana) = backends.grafana else {
        return told(truth, reason, words);
    };
    let url = grafana.url;
    match ask(backends.prometheus, grafana, &file.uid).await {
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

async fn ask(http: &Prometheus, grafana: Grafana<'_>, uid: &str) -> Result<Answer, String> {
    let url = grafana.url;
    let token = match grafana.token_file {
        Some(path) => {
            // Read each time, as it changes when the Secret behind it does.
            let token = tokio::fs::read_to_string(path).await;
            Some(token.map_err(|error| format!("its token in {} cannot be read: {error}", path.display()))?)
        }
        None => None,
    };
    let path = format!("/api/dashboards/uid/{uid}");
    let answered = http.answer(url, &path, token.as_deref().map(str::trim)).await;
    let (status, body) = answered.map_err(|error| error.to_string())?;
    let refusal = || {
        serde_json::from_slice::<Refusal>(&body)
            .ok()
            .map(|refusal| refusal.message)
    };
    match status {
        200 => serde_json::from_slice(&body).map(Answer::Has).map_err(|error| {
            format!(
                "the answer of {url} is not that of Grafana: {}",
                shorten(&error.to_string(), LONGEST)
            )
        }),
        // A proxy, or another path prefix, says 404 too, and not in these words.
        404 if refusal().is_some_and(|words| words.to_lowercase().contains("dashboard not found")) => {
            Ok(Answer::HasNot)
        }
        401 | 403 => Err(format!(
            "{url} answers HTTP {status}: see whether the token is one of a service account that may read dashboards \
             (dashboards:read)"
        )),
        status => Err(format!(
            "{url} answers HTTP {status}: see whether the address is that of Grafana"
        )),
    }
}
