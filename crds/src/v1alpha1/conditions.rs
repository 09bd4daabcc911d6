//! The only place where a condition type or a reason is spelled.

use serde::{Deserialize, Serialize};

macro_rules! conditions {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// A condition of an ObservedService. All are positive but the two of kstatus, which exist only while they are true.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        pub enum ConditionType { $($(#[doc = $doc])+ $name,)+ }

        impl ConditionType {
            /// Every condition.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The `type` of the condition.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What it says when it is true.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

conditions! {
    /// Everything that was asked for is in place and was seen to work.
    Ready,
    /// The workload, its container and its ports were found.
    TargetResolved,
    /// The service exposes what its packs read, and how it spells it. Advice: `Ready` does not depend on it.
    SignalsResolved,
    /// The container has the probes.
    ProbesInstalled,
    /// Prometheus scrapes the pods, and what it said about them.
    ScrapeVerified,
    /// Prometheus has loaded the rules, and what it said about them.
    RulesHealthy,
    /// Alertmanager's routes bring every alert to a receiver that sends it somewhere. `Ready` does not wait for it where
    /// no Alertmanager can be asked.
    AlertsRouted,
    /// Grafana loads the dashboard: by the settings of its sidecar, and by its own word where it can be asked. `Ready` does
    /// not wait for it where no Grafana is found.
    DashboardLoaded,
    /// kstatus: work is under way.
    Reconciling,
    /// kstatus: nothing more happens until somebody changes something.
    Stalled,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident of [$($condition:ident),+]: $next:literal;)+) => {
        /// Why a condition is as it is. A closed list: scripts may match on it.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The `reason` of the condition.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// The conditions that can have it.
            pub fn conditions(self) -> &'static [ConditionType] {
                match self { $(Self::$name => &[$(ConditionType::$condition),+],)+ }
            }

            /// What it says.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// What to do about it, as Markdown in docs/.
            pub fn next_step(self) -> &'static str {
                match self { $(Self::$name => $next,)+ }
            }
        }
    };
}

// Each with what it says, the conditions that can have it, and what to do about it: docs/conditions.md.
reasons! {
    /// Every output is in place and verified.
    Converged of [Ready]:
        "None. A message that says \"Worth knowing\" names a condition that could be better.";
    /// Something is still on its way; the message says what.
    Progressing of [Ready, Reconciling, ProbesInstalled, ScrapeVerified, RulesHealthy, DashboardLoaded]:
        "Wait: Observed looks again by itself, and after three minutes says what does not work. `observed status NAME \
         -w` shows each change.";
    /// An output is not in place or does not work; the message names it.
    OutputNotReady of [Ready]:
        "Look at the condition that the message names first, and at its reason on this page.";
    /// Something could not be verified; the message says what.
    NotVerified of [Ready, ScrapeVerified, RulesHealthy, DashboardLoaded]:
        "Look at the condition that the message names: mostly Prometheus could not be asked. What is generated is in \
         place all the same.";
    /// The workload and its container were found.
    Found of [TargetResolved]:
        "None. A message that says \"Worth knowing\" names what could be better in the spec.";
    /// The workload does not exist (yet).
    TargetNotFound of [Ready, TargetResolved, SignalsResolved, ProbesInstalled, ScrapeVerified, RulesHealthy,
        AlertsRouted, DashboardLoaded]:
        "Compare `spec.targetRef` with `kubectl get deployments,statefulsets,daemonsets -n NAMESPACE`: the target is \
         in the namespace of the ObservedService. Work begins when it appears.";
    /// The spec asks for something that cannot be; the message lists every finding.
    InvalidSpec of [Ready, TargetResolved, SignalsResolved, ProbesInstalled, ScrapeVerified, RulesHealthy,
        AlertsRouted, DashboardLoaded, Stalled]:
        "Correct each finding of the message. `observed lint -f FILE` finds the same before it is applied. What \
         exists stays as it is meanwhile.";
    /// Services can have the SignalPack: every expression can be tied to one, and every drill computed.
    Usable of [Ready]:
        "None. A service gets it by naming it in `spec.signals.packs`.";
    /// An older ObservedService points at the same workload.
    TargetTaken of [Ready, TargetResolved, SignalsResolved, ProbesInstalled, ScrapeVerified, RulesHealthy,
        AlertsRouted, DashboardLoaded, Stalled]:
        "Delete one of the two ObservedServices, or point one of them at another workload.";
    /// Writing is paused by `spec.paused`.
    Paused of [Ready, ProbesInstalled, ScrapeVerified, RulesHealthy, DashboardLoaded]:
        "Set `spec.paused` to false to go on.";
    /// The service exposes every series that its packs read.
    AllExposed of [SignalsResolved]:
        "None.";
    /// The service does not expose a series; the message names it, what is left out, and what would expose it.
    SeriesMissing of [SignalsResolved]:
        "Nothing is broken. Expose what the message names to get the rest, or name your spelling in \
         `spec.signals.rename` or `spec.signals.dialect` ([signals.md](signals.md)).";
    /// A series lacks a label that expressions use; the message names it and the rename that would fit.
    LabelsMissing of [SignalsResolved]:
        "Add the label, or set the rename that the message proposes in `spec.signals.rename`.";
    /// The pods answer with something that Prometheus cannot read as metrics; the message says what.
    MetricsUnreadable of [SignalsResolved]:
        "Mend the page as the message says, or set `spec.scrape.port` and `spec.scrape.path` to the one that has the \
         metrics.";
    /// No pod has answered with its metrics page yet.
    NotAsked of [SignalsResolved]:
        "See that a pod runs, listens on the port of `spec.scrape.port`, and that no NetworkPolicy keeps the operator \
         from it. Until then everything is generated.";
    /// The container has the probes, given by Observed or by its owner.
    Installed of [ProbesInstalled]:
        "None.";
    /// Probes are off, or nothing was asked for.
    Disabled of [ProbesInstalled, ScrapeVerified, RulesHealthy, AlertsRouted, DashboardLoaded]:
        "None, if it is meant so; otherwise set `spec.probes.mode` to `Patch`.";
    /// `mode: Observe`: what would be given stands in the message.
    Observed of [ProbesInstalled]:
        "Set `spec.probes.mode` to `Patch` to have the probes given. `observed diff NAME` shows what would change.";
    /// `mode: Admission`: the policy `observed-admit` adds the probes to the next rollout of the workload's owner.
    Offered of [ProbesInstalled]:
        "None: deploy as ever. To have them now, `kubectl rollout restart` the workload. `observed diff NAME` shows what \
         comes.";
    /// `mode: Admission`, and the cluster has no policy that adds the probes: no rollout will bring them.
    PolicyMissing of [ProbesInstalled, Stalled]:
        "Install the policy `observed-admit` (`admitPolicy=always` in the chart, or `manifests/components/admit`; \
         Kubernetes 1.36), or set `spec.probes.mode` to `Patch`.";
    /// The running pods did not answer as a probe needs it; nothing was given.
    PreflightFailed of [ProbesInstalled]:
        "Make the endpoint answer as the message says (2xx, in time, from every running pod), or set its path and \
         port in `spec.probes`. It is asked again by itself.";
    /// The running pods cannot be asked yet.
    PreflightPending of [ProbesInstalled]:
        "See that pods of the workload run. A pod that does not start is no matter of Observed: `kubectl describe \
         pod`.";
    /// A rollout is under way; probes are given when it has ended.
    RolloutInProgress of [ProbesInstalled]:
        "Wait. Where it does not end: `kubectl rollout status` and `kubectl describe pod` say why.";
    /// A gift was taken away again and again; Observed has stopped giving.
    Contested of [ProbesInstalled, Stalled]:
        "Stop what takes the probes away (the message names it), or commit them there: `observed diff NAME` prints \
         what. A change of the spec starts anew.";
    /// A gift was taken out, or the workload went back to a revision without it; it is not given again.
    Declined of [ProbesInstalled, Stalled]:
        "None, if it is meant so. To have them again, change the workload's template or the settings of the probes.";
    /// The probes kept new pods from becoming ready, or restarted them: they were taken back once.
    Withdrawn of [ProbesInstalled, Stalled]:
        "Read in the message which probe hurt, then mend the endpoint and roll out another image, or set other times \
         or paths in `spec.probes`.";
    /// Every pod that should be scraped is up in Prometheus.
    TargetsUp of [ScrapeVerified]:
        "None.";
    /// Prometheus knows the pods, but some are down; the message has its error.
    TargetsDown of [ScrapeVerified]:
        "Do what the message says of the error of the scrape. If it is the network: a NetworkPolicy must let \
         Prometheus reach the port.";
    /// The pods are up, and the same pages are scraped again under the same job; the message names the other monitor.
    ScrapedTwice of [ScrapeVerified]:
        "Remove the other monitor that the message names, or let it select other Services. Under two jobs it does no \
         harm.";
    /// Prometheus has no target for it.
    NoTargets of [ScrapeVerified]:
        "See that pods run and are selected by the Service, and that Prometheus may read the namespace. `observed \
         doctor -n NAMESPACE` names the link that is broken.";
    /// No Prometheus, or no sidecar of Grafana, selects the object; the message says what is missing.
    NotSelected of [ScrapeVerified, RulesHealthy, AlertsRouted, DashboardLoaded]:
        "Do what the message says: mostly the selector of a Prometheus, or the sidecar's setting, leaves out the \
         namespace. The labels of a dashboard are `spec.dashboards.labels`.";
    /// Prometheus has loaded the rules and evaluates them without error.
    RulesLoaded of [RulesHealthy]:
        "None. A message that says \"Worth knowing\" names what keeps an alert from firing.";
    /// Prometheus has not loaded the rules (yet).
    RulesNotLoaded of [RulesHealthy]:
        "Wait two minutes. If it stays so, the log of prometheus-operator says why: it refuses a whole file for one \
         rule.";
    /// Prometheus reports an error for a rule.
    RuleFailing of [RulesHealthy]:
        "The message has Prometheus' own error. Of a rule of your own, correct the SignalPack; of a built-in one, \
         report it with `observed doctor --bundle`.";
    /// Every alert comes to a receiver that sends it somewhere.
    Routed of [AlertsRouted]:
        "None.";
    /// Some alerts can only come to a receiver that sends nothing anywhere; the message names them.
    NotRouted of [AlertsRouted]:
        "Add a route and a receiver for the labels that the message names. [One to copy](../manifests/samples/\
         alertmanager-config.yaml).";
    /// An inhibit rule keeps an alert from everybody whenever it fires; the message names both.
    Inhibited of [AlertsRouted]:
        "Narrow the inhibit rule that the message names, by `equal` or by its matchers.";
    /// Prometheus sends its alerts to no Alertmanager.
    NoAlertmanager of [AlertsRouted]:
        "Set `spec.alerting` of the Prometheus resource to your Alertmanager.";
    /// Grafana's sidecar selects the dashboard; where Grafana was asked, it has it.
    Loaded of [DashboardLoaded]:
        "None.";
    /// Grafana does not have the dashboard (yet).
    NotLoaded of [DashboardLoaded]:
        "Wait a minute. If it stays so, the log of the sidecar and of Grafana's provisioning says why.";
    /// Another dashboard has its uid, its title or its file name; the message names it.
    DashboardTaken of [DashboardLoaded]:
        "Rename or remove the other dashboard that the message names, or rename the ObservedService.";
    /// No Grafana was found.
    NoGrafana of [DashboardLoaded]:
        "None is needed. Where a Grafana is outside of what the operator sees, name it: `--grafana-url`.";
    /// Nobody could be asked: unreachable, or no Prometheus was found.
    Unreachable of [ScrapeVerified, RulesHealthy, AlertsRouted, DashboardLoaded]:
        "Do what the message says: name the server (`--prometheus-url` and its like), let a NetworkPolicy pass, or \
         give credentials and a CA ([settings.md](settings.md)).";
    /// What Prometheus says is about what was: it has not scraped or evaluated for several intervals.
    Stale of [ScrapeVerified, RulesHealthy, AlertsRouted]:
        "See whether that Prometheus is overloaded, restarts, or writes elsewhere: its own `/targets` and `/rules` \
         have the time of the last look.";
    /// The API server does not know this kind: its CRD is not installed.
    KindNotServed of [Ready, ProbesInstalled, ScrapeVerified, RulesHealthy, DashboardLoaded]:
        "Install the CRDs of the project that the message names, for instance prometheus-operator. They are picked up \
         when they appear.";
    /// An object of that name belongs to somebody else.
    NameCollision of [ProbesInstalled, ScrapeVerified, RulesHealthy, DashboardLoaded, Stalled]:
        "Give the ObservedService another name, or remove the other object. Observed takes over nothing.";
    /// The API server refused the object, or prometheus-operator does not let Prometheus have it; the message has its words.
    Rejected of [ProbesInstalled, ScrapeVerified, RulesHealthy, DashboardLoaded, Stalled]:
        "Correct what the message quotes: an admission policy, a quota, or what a Prometheus demands of its objects.";
    /// The operator may not do this; the message names the missing right.
    Forbidden of [Ready, ProbesInstalled, ScrapeVerified, RulesHealthy, DashboardLoaded, Stalled]:
        "Apply the role that `observed rbac` prints, or upgrade the chart, which has it.";
    /// The API server did not answer as expected; it is tried again.
    ApiError of [Ready, ProbesInstalled, ScrapeVerified, RulesHealthy, DashboardLoaded]:
        "None at first: it is tried again. If it stays so, look at the API server and at the operator's log.";
}
