//! A program that runs, and requests to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

pub const QUESTION: &str = r#"{"model":"claude-opus","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}"#;
pub const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
pub const DEADLINE: Duration = Duration::from_secs(30);

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claude-api"));
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running `serve` or `receive`, which is killed at the end of its test.
pub struct Running {
    child: Child,
    log: BufReader<ChildStdout>,
    pub started: Value,
}

impl Running {
    pub fn start(arguments: &[&str]) -> Self {
        Self::of(program().args(arguments))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut running = Self {
            log: BufReader::new(child.stdout.take().unwrap()),
            child,
            started: Value::Null,
        };
        running.started = running.next_log();
        running
    }

    pub fn serve(more: &[&str]) -> Self {
        Self::serve_with(more, &[])
    }

    pub fn serve_with(more: &[&str], environment: &[(&str, &str)]) -> Self {
        let ports = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        Self::of(program().args(ports).args(more).envs(environment.iter().copied()))
    }

    /// The next line of its log; every line must be a JSON object with the fields that all lines have.
    pub fn next_log(&mut self) -> Value {
        let mut line = String::new();
        self.log.read_line(&mut line).unwrap();
        let value: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        for field in ["timestamp", "level", "logger", "message"] {
            assert!(value[field].is_string(), "{line}");
        }
        value
    }

    pub fn log_until(&mut self, message: &str) -> Value {
        loop {
            let line = self.next_log();
            if line["message"].as_str().unwrap().starts_with(message) {
                return line;
            }
        }
    }

    pub fn address(&self, field: &str) -> SocketAddr {
        self.started[field].as_str().unwrap().parse().unwrap()
    }

    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        answer(request(self.address("listen"), method, path, body))
    }

    pub fn admin(&self, method: &str, body: &str) -> (u16, String) {
        answer(request(self.address("admin_listen"), method, "/faults", body))
    }

    pub fn terminate(&self) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    }

    pub fn ended(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn request(address: SocketAddr, method: &str, path: &str, body: &str) -> TcpStream {
    let headers = format!("traceparent: {TRACEPARENT}\r\n");
    request_with(address, method, path, &headers, body)
}

/// Each of the headers ends its line.
pub fn request_with(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nx-request-id: id-1\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    stream
}

pub fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}
