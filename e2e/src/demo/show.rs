//! The demo itself: each step does one thing and shows what follows from it, as it happens.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::Value;

use super::chapter::Chapter;
use super::follow::follow;
use super::judge::{self, Before};
use super::look::{Alerts, Objects};
use super::manifest::{Install, Sample, checkout};
use super::promise::{Promise, Summary};
use super::stage::Stage;
use super::{Error, sample, say};
use crate::wait;

const INSTALL_WITHIN: Duration = Duration::from_secs(120);
const SAMPLE_WITHIN: Duration = Duration::from_secs(120);
const WORKS_WITHIN: Duration = Duration::from_secs(180);
const ALERT_WITHIN: Duration = Duration::from_secs(180);
const GONE_WITHIN: Duration = Duration::from_secs(60);
/// So long nothing may happen to the Deployment after the deletion.
const STILL: Duration = Duration::from_secs(5);

const INSTALLED: &[Promise] = &[Promise::Installed, Promise::OwnRole];
const WORKS: &[Promise] = &[
    Promise::ProbesGiven,
    Promise::OneRollout,
    Promise::PodsReady,
    Promise::MonitorThere,
    Promise::TargetsUp,
    Promise::RulesHealthy,
    Promise::RoutesKnown,
    Promise::DashboardThere,
    Promise::StatusReady,
];
const FIRES: &[Promise] = &[
    Promise::AlertPending,
    Promise::AlertFiring,
    Promise::AlertRouted,
    Promise::AlertReceived,
];
const ENDS: &[Promise] = &[Promise::AlertEnded, Promise::EndReceived];
const STAYS: &[Promise] = &[Promise::ProbesStay, Promise::NoRollout, Promise::NothingManaged];

/// Shows everything on a stage, and keeps the account of it.
pub struct Show<'a> {
    stage: &'a Stage,
    chapter: Chapter,
    summary: &'a RefCell<Summary>,
}

impl<'a> Show<'a> {
    /// Begins.
    #[must_use]
    pub fn new(stage: &'a Stage, chapter: Chapter, summary: &'a RefCell<Summary>) -> Self {
        Self {
            stage,
            chapter,
            summary,
        }
    }

    /// Shows all steps, until one does not show what it promised.
    ///
    /// # Errors
    /// Something could not be done, or a promise did not hold.
    pub async fn all(&self) -> Result<(), Error> {
        let before = self.deploy_sample().await?;
        self.install().await?;
        self.observe(before).await?;
        self.break_and_mend().await?;
        self.forget(before).await
    }

    /// Applies the ObservedService once more, so that there is something to look at.
    ///
    /// # Errors
    /// `kubectl` failed.
    pub async fn observe_again(&self) -> Result<(), Error> {
        self.apply_sample().await
    }

    async fn deploy_sample(&self) -> Result<Before, Error> {
        let (stage, namespace) = (self.stage, self.stage.eyes.namespace.as_str());
        heading(&format!(
            "The sample API claude-api in the namespace {namespace}: two pods, no probes, no scrape config, no alerts, no dashboard"
        ));
        let manifests = sample::manifests(namespace, &stage.sample_image);
        stage.kubectl.run_with(&["apply", "-f", "-"], Some(&manifests)).await?;
        let look = || async { Before::of(&stage.eyes.objects().await) };
        let before = wait::until(SAMPLE_WITHIN, "the sample's rollout", look).await?;
        let receiver = || async {
            let pod = stage
                .eyes
                .get(&format!("/api/v1/namespaces/{namespace}/pods/{}", sample::WEBHOOK))
                .await?;
            let phase = pod["status"]["phase"].as_str().unwrap_or("not there").to_owned();
            if phase == "Running" { Ok(()) } else { Err(phase) }
        };
        wait::until(SAMPLE_WITHIN, "the webhook receiver", receiver).await?;
        say("  Its pods run, a job sends 20 requests a second, and a webhook waits for alerts.");
        Ok(before)
    }

    async fn install(&self) -> Result<(), Error> {
        let (stage, install) = (self.stage, &self.stage.install);
        let since = Instant::now();
        if stage.installed {
            heading("Observed, as it is installed here");
        } else if stage.image == install.image {
            heading(&format!("Observed: kubectl apply --server-side -f {}", Install::FILE));
            let file = checkout().join(Install::FILE);
            let arguments = ["apply", "--server-side", "-f", &file.to_string_lossy()];
            stage.kubectl.run(&arguments).await?;
        } else {
            heading(&format!("Observed: {} with the image {}", Install::FILE, stage.image));
            let arguments = ["apply", "--server-side", "-f", "-"];
            stage
                .kubectl
                .run_with(&arguments, Some(&install.with_image(&stage.image)))
                .await?;
        }
        let path = format!(
            "/apis/apps/v1/namespaces/{}/deployments/{}",
            install.namespace, install.name
        );
        let look = || async {
            let deployment = stage.eyes.get(&path).await;
            (
                deployment,
                stage.eyes.is_admin(&install.namespace, &install.account).await,
            )
        };
        let judge = |promise, (deployment, review): &(_, _)| judge::install(promise, deployment, review);
        follow(self.summary, INSTALLED, since, INSTALL_WITHIN, look, judge)
            .await
            .map(drop)
    }

    async fn observe(&self, before: Before) -> Result<(), Error> {
        heading(&format!("One ObservedService: kubectl apply -f {}", Sample::FILE));
        let since = Instant::now();
        self.apply_sample().await?;
        let look = || self.stage.eyes.objects();
        let judge = |promise, seen: &Objects| judge::objects(promise, seen, before);
        follow(self.summary, WORKS, since, WORKS_WITHIN, look, judge).await?;
        let namespace = self.stage.eyes.namespace.as_str();
        let table = self
            .stage
            .kubectl
            .run(&["get", "observedservices", "-n", namespace])
            .await?;
        say(&format!(
            "\n$ kubectl get observedservices -n {namespace}\n{}",
            table.trim_end()
        ));
        Ok(())
    }

    async fn break_and_mend(&self) -> Result<(), Error> {
        let (eyes, chapter) = (&self.stage.eyes, self.chapter);
        let [broken, mended] = chapter.words();
        let judge = |promise, seen: &Alerts| judge::alerts(promise, seen, chapter.alert());
        heading(broken);
        let since = Instant::now();
        self.switch_faults(Method::PUT, &chapter.fault()).await?;
        let fired = follow(self.summary, FIRES, since, ALERT_WITHIN, || eyes.alerts(), judge).await;
        if let Ok(seen) = &fired
            && let Ok(alert) = judge::last(seen, chapter.alert())
        {
            say(&pager(alert));
        }
        let since = Instant::now();
        // Also if it did not fire: on a cluster that was lent, the API should not go on failing.
        self.switch_faults(Method::DELETE, &Value::Null).await?;
        fired?;
        heading(mended);
        follow(self.summary, ENDS, since, ALERT_WITHIN, || eyes.alerts(), judge).await?;
        self.stage.draw_dashboard().await
    }

    async fn forget(&self, before: Before) -> Result<(), Error> {
        let (stage, namespace) = (self.stage, self.stage.eyes.namespace.as_str());
        heading(&format!("kubectl delete observedservice {}", sample::NAME));
        let since = Instant::now();
        let arguments = [
            "delete",
            "observedservice",
            sample::NAME,
            "-n",
            namespace,
            "--timeout=60s",
        ];
        stage.kubectl.run(&arguments).await?;
        let look = || stage.eyes.objects();
        let judge = |promise, seen: &Objects| judge::objects(promise, seen, before);
        follow(self.summary, &[Promise::ChildrenGone], since, GONE_WITHIN, look, judge).await?;
        // What must not happen is watched for a while; that it has not happened yet says little.
        let gone = Instant::now();
        let steady = || async {
            let seen = stage.eyes.objects().await;
            if let Some(error) = seen.deployment.as_ref().err().or(seen.replica_sets.as_ref().err()) {
                return Err(error.clone());
            }
            let changed = STAYS.iter().any(|promise| judge(*promise, &seen).is_err());
            if changed || gone.elapsed() >= STILL {
                Ok(seen)
            } else {
                Err("nothing has changed".to_owned())
            }
        };
        let seen = wait::until(GONE_WITHIN, "a while without a change", steady).await?;
        let last = || std::future::ready(seen.clone());
        follow(self.summary, STAYS, since, Duration::ZERO, last, judge)
            .await
            .map(drop)
    }

    async fn apply_sample(&self) -> Result<(), Error> {
        let (stage, namespace) = (self.stage, self.stage.eyes.namespace.as_str());
        if namespace == stage.sample.namespace {
            let file = checkout().join(Sample::FILE);
            stage.kubectl.run(&["apply", "-f", &file.to_string_lossy()]).await?;
        } else {
            let document = stage.sample.in_namespace(namespace);
            stage.kubectl.run_with(&["apply", "-f", "-"], Some(&document)).await?;
        }
        Ok(())
    }

    /// Each pod has switches of its own: it is told by its name, and must say that it is so.
    async fn switch_faults(&self, method: Method, body: &Value) -> Result<(), Error> {
        for pod in self.stage.pods().await? {
            let told = self
                .stage
                .eyes
                .tell_pod(method.clone(), &pod, sample::ADMIN_PORT, "/faults", body);
            let answer = told.await.map_err(|error| Error::Faults(format!("{pod}: {error}")))?;
            if !self.chapter.is_told(&answer, method == Method::PUT) {
                return Err(Error::Faults(format!("{pod} answered {answer}")));
            }
        }
        Ok(())
    }
}

/// What the person on call reads.
fn pager(alert: &Value) -> String {
    let annotation = |name: &str| alert["annotations"][name].as_str().unwrap_or_default().to_owned();
    let text = [
        annotation("summary"),
        annotation("description"),
        annotation("runbook_url"),
    ]
    .join("\n");
    let lines = text.lines().filter(|line| !line.is_empty());
    let lines: String = lines.map(|line| format!("\n    {line}")).collect();
    format!("\n  What the pager shows:{lines}")
}

fn heading(text: &str) {
    say(&format!("\n== {text}"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_pager_shows_what_the_alert_says_its_summary_first() {
        let annotations = json!({"description": "It is 9 s.\nLook at the panel.", "summary": "Too slow."});
        let shown = pager(&json!({"annotations": annotations}));
        let wanted = "\n  What the pager shows:\n    Too slow.\n    It is 9 s.\n    Look at the panel.";
        assert_eq!(shown, wanted);
    }
}
