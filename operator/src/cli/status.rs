//! `observed status`: how ObservedServices stand.

mod draw;

use std::collections::BTreeMap;

use clap::ValueEnum;
use futures::{StreamExt, pin_mut};
use jiff::Timestamp;
use kube::api::{DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, ResourceExt};
use observed_crds::v1alpha1::{ObservedService, ObservedServiceStatus};
use serde_json::{Value, json};

use super::cluster::{Access, connected};
use super::output;
use super::{Error, Outcome};
use crate::api_error;

pub(super) const EXAMPLES: &str = "\
Examples:
  observed status                         every ObservedService of the namespace of the kubeconfig
  observed status -A                      of all namespaces
  observed status claude-api -n prod      one of them: each condition, since when, what to do
  observed status claude-api -n prod -w   and every change of it, until Ctrl-C
  observed status -A -o json | jq '.services[] | select(.ready | not) | .name'

Exit status: 0 every one that was asked about is ready, 1 one of them is not, 2 the cluster could not be read.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of an ObservedService. Default: all of the namespace.
    #[arg(value_name = "NAME", conflicts_with = "all_namespaces")]
    name: Option<String>,
    /// Namespace. Default: the one of the kubeconfig, or `default`.
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    namespace: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    #[command(flatten)]
    access: Access,
    /// Go on with every change, one line a condition (or with `-o json` one object a line).
    #[arg(short, long)]
    watch: bool,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Form,
}

/// For whom.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Form {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// What is told of one ObservedService.
struct Seen {
    namespace: String,
    name: String,
    target: String,
    generation: Option<i64>,
    status: ObservedServiceStatus,
}

impl Seen {
    fn of(object: &DynamicObject) -> Self {
        let target = &object.data["spec"]["targetRef"];
        let text = |field: &str| target[field].as_str();
        let status = object.data.get("status").cloned();
        Self {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            target: format!(
                "{} {}",
                text("kind").unwrap_or("Deployment"),
                text("name").unwrap_or_default()
            ),
            generation: object.metadata.generation,
            status: status
                .and_then(|status| serde_json::from_value(status).ok())
                .unwrap_or_default(),
        }
    }

    /// Whether the operator has seen the spec as it is now.
    fn is_current(&self) -> bool {
        self.status.observed_generation == self.generation
    }

    fn is_ready(&self) -> bool {
        self.is_current() && draw::ready(&self.status).is_some_and(|ready| ready.status == "True")
    }

    fn to_json(&self) -> Value {
        json!({
            "namespace": self.namespace, "name": self.name, "target": self.target, "ready": self.is_ready(),
            "status": self.status,
        })
    }
}

pub(super) fn status(args: &Args) -> Result<Outcome, Error> {
    connected(async {
        let (client, default) = args.access.client().await?;
        let namespace = args.namespace.clone().unwrap_or(default);
        let scope = (!args.all_namespaces).then_some(namespace);
        let api = api(client, scope.as_deref());
        let seen = list(&api, args.name.as_deref(), scope.as_deref()).await?;
        if args.watch {
            return watch(&api, args, &seen).await;
        }
        let text = match (args.output, &args.name) {
            (Form::Json, _) => {
                let services: Vec<Value> = seen.iter().map(Seen::to_json).collect();
                output::json(&json!({"services": services}))?
            }
            (Form::Table, Some(_)) => seen.iter().map(|seen| draw::one(seen, Timestamp::now())).collect(),
            (Form::Table, None) => draw::all(&seen, scope.as_deref(), Timestamp::now()),
        };
        match args.output {
            Form::Table => output::print(&text)?,
            Form::Json => output::print_exactly(&text)?,
        }
        Ok(if seen.iter().all(Seen::is_ready) {
            Outcome::Fine
        } else {
            Outcome::Findings
        })
    })?
}

fn api(client: Client, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<ObservedService>(&());
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}

async fn list(api: &Api<DynamicObject>, name: Option<&str>, namespace: Option<&str>) -> Result<Vec<Seen>, Error> {
    let params = match name {
        Some(name) => ListParams::default().fields(&format!("metadata.name={name}")),
        None => ListParams::default(),
    };
    let found = api.list(&params).await.map_err(|error| {
        if api_error::is_not_found(&error) {
            Error::Cluster(
                "it does not know the kind ObservedService. Install Observed: kubectl apply --server-side \
                 -f manifests/install.yaml"
                    .to_owned(),
            )
        } else {
            Error::Cluster(api_error::words(&error))
        }
    })?;
    let mut seen: Vec<Seen> = found.items.iter().map(Seen::of).collect();
    seen.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    match name.filter(|_| seen.is_empty()) {
        Some(name) => Err(Error::Usage(format!(
            "there is no ObservedService {name:?} in namespace {:?}",
            namespace.unwrap_or_default()
        ))),
        None => Ok(seen),
    }
}

/// What is there, and then every change, until the process is ended.
async fn watch(api: &Api<DynamicObject>, args: &Args, seen: &[Seen]) -> Result<Outcome, Error> {
    let mut told: BTreeMap<(String, String), ObservedServiceStatus> = BTreeMap::new();
    let tell = |seen: &Seen, told: &mut BTreeMap<_, ObservedServiceStatus>| {
        let key = (seen.namespace.clone(), seen.name.clone());
        let before = told.insert(key, seen.status.clone());
        if before.as_ref() == Some(&seen.status) {
            return Ok(());
        }
        match args.output {
            Form::Table => output::print(&draw::changes(seen, before.as_ref())),
            Form::Json => output::print_exactly(&format!("{}\n", seen.to_json())),
        }
    };
    for seen in seen {
        tell(seen, &mut told)?;
    }
    let config = match &args.name {
        Some(name) => watcher::Config::default().fields(&format!("metadata.name={name}")),
        None => watcher::Config::default(),
    };
    let events = watcher(api.clone(), config).default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                tell(&Seen::of(&object), &mut told)?;
            }
            Ok(watcher::Event::Delete(object)) => {
                let gone = Seen::of(&object);
                told.remove(&(gone.namespace.clone(), gone.name.clone()));
                match args.output {
                    Form::Table => output::print(&format!("{}/{} was deleted\n", gone.namespace, gone.name))?,
                    Form::Json => {
                        let gone = json!({"namespace": gone.namespace, "name": gone.name, "deleted": true});
                        output::print_exactly(&format!("{gone}\n"))?;
                    }
                }
            }
            Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
            Err(error) => output::note(&format!("the watch broke off and is started again: {error}")),
        }
    }
    Ok(Outcome::Fine)
}
