//! What is done to PostgreSQL by its own means: connections and a table are held, and callers have to wait.

use std::process::{Child, Command, Stdio};

use observed_e2e::demo::kubectl;
use observed_e2e::wait;
use serde_json::Value;

use crate::stage::{NAMESPACE, SOON, Stage};

/// Files in the pod of PostgreSQL: connections are held until the first is there, a table until the second is.
const RELEASED: &str = "/dev/shm/released";
const TABLE_RELEASED: &str = "/dev/shm/table-released";

impl Stage {
    /// Opens so many connections and keeps them open, for two minutes at most. Ends when the last of them does.
    pub fn hold_connections(&self, count: usize) -> Child {
        // As the API, and not as one for whom the server keeps a few.
        let one = "psql --username=api --dbname=api --command='SELECT pg_sleep(120)'";
        // Who is refused, because the API has opened a connection in the meantime, comes again at once.
        let one = format!("until [ -e {RELEASED} ]; do {one}; done");
        let all = format!("i=0; while [ $i -lt {count} ]; do ({one}) & i=$((i+1)); done; wait");
        self.begin_in_postgres(&all)
    }

    /// Holds the table that each request asks, for so long again and again that callers wait and the pool of connections
    /// still serves the readiness. Ends soon after it is released.
    pub fn hold_a_table(&self) -> Child {
        let one = "LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1.2)";
        let one = format!("psql --username=api --dbname=api --command='BEGIN; {one}; COMMIT'");
        self.begin_in_postgres(&format!("until [ -e {TABLE_RELEASED} ]; do {one}; done"))
    }

    fn begin_in_postgres(&self, script: &str) -> Child {
        let mut command = Command::new(self.cluster.kubectl());
        command.arg("--kubeconfig").arg(self.cluster.kubeconfig());
        command.args(["exec", "-n", NAMESPACE, "postgres-0", "--", "/bin/sh", "-c", script]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    pub async fn release_the_table(&self) {
        self.make_in_postgres(TABLE_RELEASED).await;
    }

    async fn make_in_postgres(&self, file: &str) {
        let release = format!(": > {file}");
        self.in_postgres(&["/bin/sh", "-c", &release]).await.unwrap();
    }

    async fn in_postgres(&self, command: &[&str]) -> Result<String, kubectl::Error> {
        let arguments = [&["exec", "-n", NAMESPACE, "postgres-0", "--"], command].concat();
        self.kubectl.run(&arguments).await
    }

    /// Waits until the API says how long slow calls of its database took.
    pub async fn logs_slow_calls(&self) {
        let arguments = ["logs", "-n", NAMESPACE, "-l", "app=claude-api", "--tail=50"];
        let look = async || {
            let log = self.kubectl(&arguments).await;
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let slow = |line: &Value| line["message"] == "slow database call" && line["operation"] == "knows";
            let took = lines.filter(slow).map(|line| line["duration_seconds"].as_f64());
            if took.max_by(|one, other| one.partial_cmp(other).unwrap()) > Some(Some(0.5)) {
                Ok(())
            } else {
                Err(log)
            }
        };
        wait::until(SOON, "slow calls to be logged", look).await.unwrap();
    }

    pub async fn end_connections(&self) {
        self.make_in_postgres(RELEASED).await;
        self.end_those("query LIKE '%pg_sleep%'").await;
    }

    /// Ends every connection but the one that does so.
    pub async fn end_all_connections(&self) {
        self.end_those("backend_type = 'client backend'").await;
    }

    async fn end_those(&self, which: &str) {
        let all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
        let end = format!("{all} AND {which}");
        let end = ["psql", "--username=postgres", "--command", &end];
        // Even the places that are kept for a superuser are taken for a moment by all who come and are then refused.
        let look = || self.in_postgres(&end);
        wait::until(SOON, "an administrator to be let in", look).await.unwrap();
    }
}
