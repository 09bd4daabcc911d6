//! What runs or listens beside the API server: real programs, and ports that this process answers on.

use std::fs;
use std::io::BufRead;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use kube::api::DynamicObject;
use observed_e2e::{Progress, Tool, Tools};
use serde_json::json;

/// A program that ends with the test.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub async fn started(tool: Tool, arguments: &[String], directory: &Path) -> Running {
    let tools = Tools::ensure(&[tool], &Progress::detect()).await.unwrap();
    let log = fs::File::create(directory.join(format!("{tool:?}.log"))).unwrap();
    let child = Command::new(tools.path(tool).unwrap())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    Running(child)
}

/// A Prometheus on this port that keeps what it keeps in a directory of its own.
pub async fn prometheus(port: u16, config: &Path, directory: &Path, more: &[String]) -> Running {
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", directory.join("tsdb").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    started(Tool::Prometheus, &[&arguments, more].concat(), directory).await
}

/// The groups of a PrometheusRule as a file of rules, evaluated every second.
pub fn every_second(rule: &DynamicObject) -> String {
    let mut spec = rule.data["spec"].clone();
    for group in spec["groups"].as_array_mut().unwrap() {
        group["interval"] = json!("1s");
    }
    spec.to_string()
}

/// Lets whoever connects be answered so, each on a thread of its own: some wait for ever. Who hangs up early asks again.
pub fn serve(answer: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

/// The lines of a request without a body.
pub fn request(from: impl BufRead) -> std::io::Result<Vec<String>> {
    from.lines()
        .take_while(|line| line.as_ref().map_or(true, |line| !line.is_empty()))
        .collect()
}

/// The path that it asks for, without the first slash.
pub fn path(request: &[String]) -> &str {
    let line = request.first().map(String::as_str).unwrap_or_default();
    let path = line.split([' ', '?']).nth(1).unwrap_or_default();
    path.trim_start_matches('/')
}
