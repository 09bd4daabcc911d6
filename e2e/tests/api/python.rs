//! The API of the guide in Python, exactly as the guide writes it, as a real process: what Observed says about it, and what it does not give to it.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use observed_e2e::tools::debian::Debian;
use observed_e2e::{Cache, Progress, wait};
use sha2::Digest as _;

use super::doctor::{VIEWER, doctor, found};
use super::operator::{DEPLOYMENT, Operator, SOON, Stage, free_port};
use super::shop;
use super::signals::{own_address, running, runs};

const PACKAGES: [&str; 2] = ["python3", "python3-pip-whl"];

/// A Python with the packages that the guide's API needs.
struct Python {
    root: PathBuf,
    packages: PathBuf,
}

impl Python {
    /// From Debian's packages and the registry, once, into the cache.
    fn ensure() -> Self {
        let cache = Cache::of_user().unwrap();
        let root = Debian::whole(&cache, &PACKAGES, &Progress::detect()).unwrap();
        let requirements = sources().join("requirements.txt");
        let text = std::fs::read_to_string(&requirements).unwrap();
        let directory = cache.directory("python").unwrap();
        let _lock = cache.lock("python.lock", || ()).unwrap();
        let packages = directory.join(digest(&text));
        let python = Self { root, packages };
        if !python.packages.exists() {
            let unfinished = tempfile::tempdir_in(&directory).unwrap();
            let wheel = Path::new("usr/share/python-wheels");
            let pip = std::fs::read_dir(python.root.join(wheel)).unwrap();
            let pip = pip
                .map(|file| file.unwrap().path())
                .find(|path| name_of(path).starts_with("pip-"))
                .unwrap();
            let mut install = python.command();
            install
                .env("PYTHONPATH", pip)
                .args(["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]);
            install
                .arg("--target")
                .arg(unfinished.path())
                .arg("-r")
                .arg(&requirements);
            let done = install.output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            std::fs::rename(unfinished.keep(), &python.packages).unwrap();
        }
        python
    }

    fn command(&self) -> Command {
        let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
        let libraries = ["usr/lib", "lib"].map(|lib| self.root.join(lib).join(&triplet).display().to_string());
        let mut command = Command::new(self.root.join("usr/bin/python3"));
        command
            .env("PYTHONHOME", self.root.join("usr"))
            .env("LD_LIBRARY_PATH", libraries.join(":"));
        command
    }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guide-api")
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Changes with the text.
fn digest(text: &str) -> String {
    let bytes = sha2::Sha256::digest(text);
    bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// What the database of the API does with whoever connects.
#[derive(Clone, Copy)]
enum Answers {
    HangsUp,
    Nothing,
    Well,
}

/// A server that stands for the database and for Redis alike.
#[derive(Clone)]
struct Database {
    answers: Arc<Mutex<(Answers, Vec<TcpStream>)>>,
    address: SocketAddr,
}

impl Database {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let database = Self {
            address: listener.local_addr().unwrap(),
            answers: Arc::new(Mutex::new((Answers::HangsUp, Vec::new()))),
        };
        let answers = Arc::clone(&database.answers);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut answers = answers.lock().unwrap();
                match answers.0 {
                    Answers::HangsUp => {}
                    Answers::Nothing => answers.1.push(stream),
                    // Whoever hangs up early does not want it.
                    Answers::Well => drop(stream.write_all(b"1")),
                }
            }
        });
        database
    }

    /// Whoever waits is let go.
    fn now(&self, answers: Answers) {
        *self.answers.lock().unwrap() = (answers, Vec::new());
    }
}

/// The API. It ends with the test.
struct Api(Child);

impl Api {
    fn start(python: &Python, database: &Database, at: SocketAddr) -> Self {
        let (host, port) = (at.ip().to_string(), at.port().to_string());
        let mut command = python.command();
        command
            .args([
                "-m",
                "uvicorn",
                "main:app",
                "--host",
                &host,
                "--port",
                &port,
                "--log-level",
                "warning",
            ])
            .current_dir(sources())
            .env("PYTHONPATH", &python.packages)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("DEPENDENCY", database.address.to_string())
            .stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const SERVICE: &str = "
apiVersion: observed.rs/v1alpha1
kind: ObservedService
metadata: {name: shop, namespace: NAMESPACE}
spec:
  targetRef: {name: shop}
  probes: {preflight: {window: 5s}, liveness: {httpGet: {path: /health}}, readiness: {httpGet: {path: /ready}}}
  signals: {packs: [http, llm]}
";

/// The API, listening, and the database that it asks.
async fn beside_a_database() -> (Database, SocketAddr, Api) {
    let python = tokio::task::spawn_blocking(Python::ensure).await.unwrap();
    let database = Database::start();
    let at = SocketAddr::new(own_address(), free_port());
    let api = Api::start(&python, &database, at);
    let listens = || async { tokio::net::TcpStream::connect(at).await.map(drop) };
    wait::until(SOON, "the API to listen", listens).await.unwrap();
    (database, at, api)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_of_the_guide_gets_no_probe_that_never_fails_or_that_kills_it_and_is_told_what_is_wrong_with_it() {
    let stage = Stage::shared("python").await;
    let (database, at, _api) = beside_a_database().await;
    running(&stage, at).await;
    let operator = Operator::start(&stage).await;
    stage.apply(SERVICE).await;

    // The database is gone. `return {...}, 503` is an answer 200, so that this probe would never fail.
    let says = async |words: &[&str]| {
        let look = async || {
            let condition = stage.condition("shop", "ProbesInstalled").await?;
            let seen = format!(
                "{}={} {}: {}",
                condition.type_, condition.status, condition.reason, condition.message
            );
            if condition.status == "False" && words.iter().all(|word| condition.message.contains(word)) {
                Ok(())
            } else {
                Err(seen)
            }
        };
        wait::until(SOON, &words.join(", "), look).await.unwrap();
        assert!(!has(&stage, "readinessProbe").await, "it was given all the same");
    };
    says(&["/ready", "JSONResponse(content, status_code=503)"]).await;

    // Its page is text inside JSON, which no Prometheus reads.
    let message = stage
        .becomes("shop", "SignalsResolved", "False", "MetricsUnreadable")
        .await;
    assert!(message.contains("media_type=CONTENT_TYPE_LATEST"), "{message}");

    // The database does not answer. The check waits for it in the event loop, and nothing else is answered meanwhile.
    database.now(Answers::Nothing);
    says(&["/ready", "/health", "not answer within"]).await;
    operator.reconciles(2.0).await;

    // The twin: the same process with a database that answers. Its liveness was well, failed with the database and came back
    // without a restart, so that a probe would restart what a restart does not help.
    database.now(Answers::Well);
    let given = || async { has(&stage, "readinessProbe").await };
    wait::until(SOON, "the probe to be given", given).await.unwrap();
    assert!(!has(&stage, "livenessProbe").await, "it depends on the database");
    let condition = stage.condition("shop", "ProbesInstalled").await.unwrap();
    assert!(
        condition
            .message
            .contains("it failed and was well again while its process lived on"),
        "{}",
        condition.message
    );
}

/// What `observed doctor` finds of a pod that answers `return {...}, 503`.
pub const EXPECTED: &str = "readiness-never-fails Deployment shop";

#[tokio::test(flavor = "multi_thread")]
async fn doctor_tells_of_a_readiness_probe_that_never_fails_by_asking_the_pod_through_the_api_server() {
    let stage = Stage::shared("readiness").await;
    let (database, at, _api) = beside_a_database().await;
    let container = "image: 'observed.local/none:1'";
    let probed = shop::TARGET.replace(
        container,
        &format!("{container}, readinessProbe: {{httpGet: {{path: /ready, port: http}}, timeoutSeconds: 3}}"),
    );
    assert_ne!(probed, shop::TARGET);
    let workload = probed
        .replace("NAME_", shop::NAME)
        .replace("PORT", &at.port().to_string());
    runs(&stage, &workload, at).await;

    let admin = stage.cluster.kubeconfig().to_owned();
    let look = ["-n", &stage.namespace];
    let (_, told) = doctor(&admin, &look).await;
    assert_eq!(found(&told), [EXPECTED], "{told:#}");
    let evidence = told["findings"][0]["evidence"].as_str().unwrap();
    assert!(
        evidence.contains("a JSON array that holds the status 503") && !evidence.contains("not_ready"),
        "{evidence}"
    );

    // Who may not ask pods is told so, and all the rest is looked at.
    stage.apply(VIEWER).await;
    let viewer = stage
        .cluster
        .kubeconfig_for_service_account(&stage.namespace, "viewer")
        .await
        .unwrap();
    let (_, told) = doctor(&viewer, &look).await;
    assert_eq!(found(&told), Vec::<String>::new(), "{told:#}");
    let not_run = told["notRun"].as_array().unwrap();
    let not_run = not_run
        .iter()
        .find(|not| not["rule"] == "readiness-never-fails")
        .unwrap();
    assert!(
        not_run["because"].as_str().unwrap().contains("get pods/proxy"),
        "{not_run}"
    );

    // The twin: the same process with a database that answers.
    database.now(Answers::Well);
    let (_, told) = doctor(&admin, &look).await;
    assert_eq!(found(&told), Vec::<String>::new(), "{told:#}");
    assert!(
        !told["notRun"].to_string().contains("readiness-never-fails"),
        "{told:#}"
    );
}

async fn has(stage: &Stage, probe: &str) -> bool {
    let deployment = stage.objects(DEPLOYMENT).get("shop").await.unwrap();
    !deployment.data["spec"]["template"]["spec"]["containers"][0][probe].is_null()
}
