//! The API of the guide as a process, with the Python and the packages that it needs, and the database that it asks.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use observed_e2e::tools::debian::Debian;
use observed_e2e::{Cache, Progress, wait};
use sha2::Digest as _;

use crate::operator::{SOON, free_port};
use crate::signals::own_address;

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
pub enum Answers {
    HangsUp,
    Nothing,
    Well,
}

/// A server that stands for the database and for Redis alike.
#[derive(Clone)]
pub struct Database {
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
    pub fn now(&self, answers: Answers) {
        *self.answers.lock().unwrap() = (answers, Vec::new());
    }
}

/// The API. It ends with the test.
pub struct Api(Child);

impl Api {
    fn start(python: &Python, program: &str, database: &Database, at: SocketAddr) -> Self {
        let (host, port) = (at.ip().to_string(), at.port().to_string());
        let mut command = python.command();
        command
            .args([
                "-m",
                "uvicorn",
                program,
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

/// The API to the letter of the guide, as uvicorn names it.
pub const GUIDE: &str = "main:app";

/// The API, listening, and the database that it asks.
pub async fn beside_a_database(program: &str) -> (Database, SocketAddr, Api) {
    let python = tokio::task::spawn_blocking(Python::ensure).await.unwrap();
    let database = Database::start();
    let at = SocketAddr::new(own_address(), free_port());
    let api = Api::start(&python, program, &database, at);
    let listens = || async { tokio::net::TcpStream::connect(at).await.map(drop) };
    wait::until(SOON, "the API to listen", listens).await.unwrap();
    (database, at, api)
}
