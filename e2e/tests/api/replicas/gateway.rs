//! The way of one replica to the API server. All replicas write into one journal, in which two writers at once are seen.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::Response;
use kube::Client;
use serde_json::Value;
use tokio::net::TcpListener;

use super::super::operator::Stage;
use super::super::writes::proxy::{by_way_of, forward};

/// What a replica did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Deed {
    /// Took or renewed the Lease.
    Holds,
    Releases,
    /// Sent any other write, whatever became of it.
    Writes(String),
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub who: char,
    pub at: Instant,
    pub deed: Deed,
}

impl fmt::Display for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {:?}", self.who, self.deed)
    }
}

/// Everything that all replicas did, in its order.
#[derive(Clone, Default)]
pub struct Journal(Arc<Mutex<Vec<Entry>>>);

impl Journal {
    fn add(&self, who: char, deed: Deed) {
        let at = Instant::now();
        self.0.lock().unwrap().push(Entry { who, at, deed });
    }

    pub fn all(&self) -> Vec<Entry> {
        self.0.lock().unwrap().clone()
    }

    /// When a replica first did something of a kind, after a moment.
    pub fn first(&self, who: char, after: Instant, kind: fn(&Deed) -> bool) -> Option<Instant> {
        let all = self.all();
        let found = all
            .iter()
            .find(|entry| entry.who == who && entry.at > after && kind(&entry.deed));
        found.map(|entry| entry.at)
    }

    /// The first write of somebody after another one has begun to write in their place. Who takes the Lease may begin; who
    /// wrote before has ended by then, though it may not know yet to whom the Lease went.
    pub fn second_writer(&self) -> Option<String> {
        let (mut holder, mut writer) = (None, None);
        for entry in self.all() {
            let who = Some(entry.who);
            match entry.deed {
                Deed::Holds => holder = who,
                Deed::Releases => (holder, writer) = (None, None),
                Deed::Writes(_) if writer == who => {}
                Deed::Writes(_) if holder == who => writer = who,
                Deed::Writes(_) => {
                    return Some(format!(
                        "{entry}, while {writer:?} writes and {holder:?} holds the Lease"
                    ));
                }
            }
        }
        None
    }
}

pub fn writes(deed: &Deed) -> bool {
    matches!(deed, Deed::Writes(_))
}

pub fn releases(deed: &Deed) -> bool {
    *deed == Deed::Releases
}

pub fn holds(deed: &Deed) -> bool {
    *deed == Deed::Holds
}

#[derive(Clone)]
pub struct Gateway {
    who: char,
    client: Client,
    journal: Journal,
    cut: Arc<AtomicBool>,
    stalled: Arc<AtomicBool>,
    /// What the Lease says in place of how long this replica believes to hold it.
    lasts: Option<u64>,
    pub kubeconfig: PathBuf,
}

impl Gateway {
    pub async fn open(stage: &Stage, who: char, journal: &Journal, lasts: Option<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kubeconfig = stage
            .cluster
            .run_dir()
            .join(format!("{}-{who}.kubeconfig", stage.namespace));
        std::fs::write(&kubeconfig, by_way_of(address, &stage.namespace)).unwrap();
        let gateway = Self {
            who,
            client: stage.operators_client().await,
            journal: journal.clone(),
            cut: Arc::default(),
            stalled: Arc::default(),
            lasts,
            kubeconfig,
        };
        let router = Router::new().fallback(pass).with_state(gateway.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        gateway
    }

    /// From now on no request is passed on or answered.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    /// From now on no request is passed on or answered, but those for the Lease.
    pub fn stall(&self) {
        self.stalled.store(true, Ordering::SeqCst);
    }
}

async fn pass(State(gateway): State<Gateway>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let (is_write, path) = (parts.method != Method::GET, parts.uri.path());
    let is_lease = path.contains("/leases");
    let of_lease = is_write && is_lease;
    if is_write && !of_lease {
        gateway
            .journal
            .add(gateway.who, Deed::Writes(format!("{} {path}", parts.method)));
    }
    if gateway.cut.load(Ordering::SeqCst) || gateway.stalled.load(Ordering::SeqCst) && !is_lease {
        std::future::pending::<()>().await;
    }
    let mut lease: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(lasts) = gateway.lasts.filter(|_| of_lease) {
        lease["spec"]["leaseDurationSeconds"] = lasts.into();
        body = lease.to_string().into();
    }
    let response = forward(&gateway.client, &parts, parts.uri.to_string(), body).await;
    if of_lease && response.status().is_success() {
        let released = lease["spec"]["holderIdentity"] == "";
        gateway
            .journal
            .add(gateway.who, if released { Deed::Releases } else { Deed::Holds });
    }
    response
}
