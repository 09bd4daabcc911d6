//! A namespace in which a workload is played: pods that answer, an operator behind a proxy, and who starts it again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams};
use observed_e2e::wait;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::super::operator::{CONFIG_MAP, DEPLOYMENT, Operator, RULE, Stage};
use super::super::shop;
use super::oracle::{self, End};
use super::plan::{Case, Step, WatchFault, Workload};
use super::proxy::{Proxy, Write};
use super::watches::Ill;

/// What anything may take after a fault. The longest pause of the operator is the one after a 403, a minute and a tenth.
const SOON: Duration = Duration::from_secs(100);
/// What an operator that is wrong is given to show it.
const NOTICED: Duration = Duration::from_secs(20);

/// How often everything is looked at to see how it is: many scenes do it at once.
const EVERY: Duration = Duration::from_millis(400);

/// How long watches are ill after a step: longer than the operator needs to see what was done in it.
const ILL: Duration = Duration::from_secs(4);

const SERVICE: (&str, &str, &str) = ("v1", "Service", "services");

/// What the run without a fault did.
#[derive(Debug)]
pub struct Reference {
    pub writes: Vec<Write>,
    /// How everything was after each step.
    pub ends: Vec<Arc<End>>,
}

pub struct Scene {
    pub stage: Arc<Stage>,
    pub proxy: Proxy,
    pub port: u16,
    workload: &'static Workload,
    ready: Arc<AtomicBool>,
    operator: Arc<Mutex<Option<Operator>>>,
    /// How often anything was written.
    changes: Arc<AtomicU64>,
    /// The same, at the last look.
    looked: AtomicU64,
    /// How everything was when it was read last, and after how many changes.
    seen: Mutex<Option<(u64, Arc<End>)>>,
    /// The watches that fall ill before a step, by its number.
    ill: Option<(usize, Ill)>,
    tasks: [JoinHandle<()>; 3],
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Scene {
    pub async fn new(workload: &'static Workload) -> Self {
        Self::of(workload, None).await
    }

    /// With an operator that is wrong in this way, if in any.
    pub async fn of(workload: &'static Workload, wrong: Option<&'static str>) -> Self {
        let stage = Arc::new(Stage::shared("writes").await);
        let ready = Arc::new(AtomicBool::new(true));
        let address = shop::answers(Arc::clone(&ready)).await;

        let client = stage.operators_client().await;
        let proxy = Proxy::start(client, stage.cluster.run_dir(), &stage.namespace).await;
        let operator = match wrong {
            Some(wrong) => Operator::known_bad(&stage, proxy.kubeconfig(), wrong).await,
            None => Operator::start_by(&stage, proxy.kubeconfig()).await,
        };
        let operator = Arc::new(Mutex::new(Some(operator)));
        let supervised = supervise(Arc::clone(&stage), proxy.clone(), Arc::clone(&operator));
        let kubelet = shop::kubelet(Arc::clone(&stage), address.ip().to_string());
        let changes = Arc::default();
        let counted = oracle::count(Arc::clone(&stage), Arc::clone(&changes));
        Self {
            tasks: [tokio::spawn(supervised), tokio::spawn(kubelet), tokio::spawn(counted)],
            port: address.port(),
            stage,
            proxy,
            workload,
            ready,
            operator,
            changes,
            looked: AtomicU64::default(),
            seen: Mutex::default(),
            ill: None,
        }
    }

    /// What happens in the case.
    fn plan(&mut self, case: &Case) {
        match case {
            Case::Write { write, fault, .. } => self.proxy.plan(write.clone(), *fault),
            Case::Watch { step, watch, fault, .. } => {
                let (watch, fault) = (watch.clone(), *fault);
                self.ill = Some((*step, Ill { watch, fault }));
            }
        }
    }

    pub async fn step(&self, step: Step) {
        let stage = &self.stage;
        let observe = async |spec: &str| {
            stage
                .apply(&format!(
                    "{{apiVersion: observed.rs/v1alpha1, kind: ObservedService, metadata: {{name: shop, namespace: NAMESPACE}}, spec: {spec}}}"
                ))
                .await;
        };
        let forget = async || {
            stage.services().delete("shop", &DeleteParams::default()).await.unwrap();
        };
        match step {
            Step::Target(name) => {
                let yaml = shop::TARGET
                    .replace("NAME_", name)
                    .replace("PORT", &self.port.to_string());
                stage.apply(&yaml).await;
                shop::is_available(stage, name).await;
            }
            Step::NoTarget(name) => {
                stage
                    .objects(DEPLOYMENT)
                    .delete(name, &DeleteParams::default())
                    .await
                    .unwrap();
                stage.vanishes(DEPLOYMENT, name).await;
            }
            Step::NoService(name) => {
                stage
                    .objects(SERVICE)
                    .delete(name, &DeleteParams::default())
                    .await
                    .unwrap();
            }
            Step::Observe(spec) => observe(spec).await,
            Step::Forget => forget().await,
            Step::Anew(spec) => {
                forget().await;
                observe(spec).await;
            }
            Step::Ready(ready) => self.ready.store(ready, Ordering::Relaxed),
            Step::Drift => self.drift().await,
            Step::Upgrade => self.proxy.killed.notify_one(),
        }
        // The watches that count may not have heard of it yet.
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    async fn drift(&self) {
        let somebody = PatchParams {
            field_manager: Some("somebody".into()),
            ..PatchParams::default()
        };
        let rules = Patch::Merge(json!({"metadata": {"labels": {"theirs": "stays"}}, "spec": {"groups": []}}));
        self.stage.objects(RULE).patch("shop", &somebody, &rules).await.unwrap();
        let labels = Patch::Merge(json!({"metadata": {"labels": null}}));
        let maps = self.stage.objects(CONFIG_MAP);
        maps.patch("shop-dashboard", &somebody, &labels).await.unwrap();
    }

    /// How everything is. It is read again only once something was written: many scenes look at the same time.
    pub async fn end(&self) -> Arc<End> {
        let mut seen = self.seen.lock().await;
        let changes = self.changes.load(Ordering::Relaxed);
        match seen.as_ref() {
            Some((after, end)) if *after == changes => Arc::clone(end),
            _ => {
                let end = Arc::new(oracle::end(&self.stage, self.port).await);
                *seen = Some((changes, Arc::clone(&end)));
                end
            }
        }
    }

    /// Waits until the operator has looked twice and written nothing.
    pub async fn is_quiet(&self) -> Result<(), String> {
        self.is_quiet_within(SOON).await
    }

    async fn is_quiet_within(&self, limit: Duration) -> Result<(), String> {
        let look = async || {
            let before = self.proxy.writes().len();
            let operator = self.operator.lock().await;
            let Some(operator) = operator.as_ref() else {
                return Err("it is being started".to_owned());
            };
            if self
                .stage
                .services()
                .get_opt("shop")
                .await
                .is_ok_and(|found| found.is_some())
            {
                operator.reconciles(2.0).await;
            }
            let after = self.proxy.writes();
            if after.len() == before {
                Ok(())
            } else {
                Err(format!("{:?}", &after[before..]))
            }
        };
        let quiet = wait::until_every(EVERY, limit, "the writes to end", look).await;
        quiet.map_err(|error| error.to_string())
    }

    /// Plays the workload. After each step everything must come to be as it was in the reference run, and stay so.
    pub async fn follow(&mut self, reference: &Reference) -> Result<(), String> {
        self.follow_within(reference, NOTICED).await
    }

    /// The same, where the watches of one kind are silent from before the last step, and stay so.
    pub async fn follow_in_silence(&mut self, reference: &Reference, watch: &str) -> Result<(), String> {
        let (last, steps) = self.workload.steps.split_last().unwrap();
        for (step, wanted) in steps.iter().zip(&reference.ends) {
            self.step(*step).await;
            self.becomes(wanted, SOON).await?;
        }
        self.is_quiet().await?;
        let (watch, fault) = (watch.to_owned(), WatchFault::Silent);
        self.proxy.watches.fall_ill(Ill { watch, fault });
        self.step(*last).await;
        self.becomes(reference.ends.last().unwrap(), NOTICED).await
    }

    /// Waits until everything is as it was in the reference run.
    async fn becomes(&self, wanted: &End, limit: Duration) -> Result<(), String> {
        let look = async || {
            // What is written to at this moment would have to be read again.
            let changes = self.changes.load(Ordering::Relaxed);
            if self.looked.swap(changes, Ordering::Relaxed) != changes {
                return Err("it is written to".to_owned());
            }
            let seen = self.end().await;
            if *seen == *wanted {
                Ok(())
            } else {
                Err(oracle::difference(wanted, &seen))
            }
        };
        let same = wait::until_every(EVERY, limit, "the end of the run without a fault", look).await;
        same.map_err(|error| error.to_string())
    }

    async fn follow_within(&mut self, reference: &Reference, limit: Duration) -> Result<(), String> {
        for (number, (step, wanted)) in self.workload.steps.iter().zip(&reference.ends).enumerate() {
            let ill = self.ill.take_if(|(at, _)| *at == number);
            if let Some((_, ill)) = &ill {
                self.proxy.watches.fall_ill(ill.clone());
            }
            self.step(*step).await;
            if ill.is_some() {
                let watches = self.proxy.watches.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(ILL).await;
                    watches.get_well();
                });
            }
            let same = self.becomes(wanted, limit).await;
            same.map_err(|error| format!("after {step:?}: {error}"))?;
        }
        self.is_quiet_within(limit).await?;
        // What was written after the service was gone is collected as soon as it is seen.
        let stayed = self.becomes(reference.ends.last().unwrap(), limit).await;
        stayed.map_err(|error| format!("it did not stay so: {error}"))
    }
}

/// Plays a workload without a fault.
pub async fn record(workload: &'static Workload) -> Reference {
    let scene = Scene::new(workload).await;
    let mut ends = Vec::new();
    for step in workload.steps {
        scene.step(*step).await;
        ends.push(scene.settled(step).await);
    }
    Reference {
        writes: scene.proxy.writes(),
        ends,
    }
}

impl Scene {
    /// How everything is once a step has had its whole effect.
    async fn settled(&self, step: &Step) -> Arc<End> {
        let last: Mutex<Option<Arc<End>>> = Mutex::default();
        let look = async || {
            self.is_quiet().await?;
            self.changes.fetch_add(1, Ordering::Relaxed);
            let seen = self.end().await;
            let service = seen.get("ObservedService shop");
            let children = seen.keys().filter(|name| !name.starts_with("Deployment ")).count();
            let pending = service
                .map(|service| service["status"]["conditions"].to_string())
                .unwrap_or_default();
            // The gift comes after the window of preflight, in which nothing is written.
            let on_its_way = ["PreflightPending", "RolloutInProgress"]
                .iter()
                .find(|reason| pending.contains(**reason));
            let removed_later = seen
                .values()
                .any(|object| object["metadata"]["annotations"]["observed.rs/probes-deletion-policy"].is_string());
            match (service, on_its_way) {
                (None, _) if removed_later => Err("the gift is not taken out yet".to_owned()),
                (None, _) if children > 0 => Err("the children are not collected yet".to_owned()),
                (Some(service), _) if service["status"]["observedGeneration"] != service["metadata"]["generation"] => {
                    Err("the spec is not seen yet".to_owned())
                }
                (Some(_), Some(reason)) => Err((*reason).to_owned()),
                // An operator that has much to do may not have begun.
                _ if last.lock().await.replace(Arc::clone(&seen)).as_ref() != Some(&seen) => {
                    Err("it was otherwise at the last look".to_owned())
                }
                _ => Ok(seen),
            }
        };
        let seen = wait::until(SOON, "the run without a fault to settle", look).await;
        seen.unwrap_or_else(|error| panic!("{}, {step:?}: {error}", self.workload.name))
    }
}

/// Plays a workload with one fault. Whether the fault was met, or what is otherwise than without it.
pub async fn replay(workload: &'static Workload, reference: &Reference, case: Option<&Case>) -> Result<bool, String> {
    let mut scene = Scene::new(workload).await;
    if let Some(case) = case {
        scene.plan(case);
    }
    let end = scene.follow_within(reference, SOON).await;
    let told = async |difference: String| match scene.operator.lock().await.as_ref() {
        Some(operator) => format!("{difference}\n{}", last_lines(&operator.log())),
        None => difference,
    };
    match end {
        Ok(()) => Ok(scene.proxy.met()),
        Err(difference) => Err(told(difference).await),
    }
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// Kills the operator when the proxy says so, and starts it again.
async fn supervise(stage: Arc<Stage>, proxy: Proxy, operator: Arc<Mutex<Option<Operator>>>) {
    loop {
        proxy.killed.notified().await;
        let mut operator = operator.lock().await;
        if let Some(operator) = operator.take() {
            operator.kill();
        }
        *operator = Some(Operator::start_by(&stage, proxy.kubeconfig()).await);
    }
}
