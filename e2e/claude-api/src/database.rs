//! PostgreSQL: who may ask, what was answered, and the tasks.

use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_postgres::NoTls;

use crate::dependencies::Unavailable;
use crate::telemetry::in_words;
use crate::trace::{call, failed};

/// How long one call may take, with the wait for a connection.
const CALL: Duration = Duration::from_secs(3);
/// How long to wait for a connection: of the pool, or a new one.
const CONNECT: Duration = Duration::from_secs(1);
/// From here on a call is logged.
const SLOW: Duration = Duration::from_millis(100);

/// The lock is for replicas that start together: two `CREATE TABLE IF NOT EXISTS` at a time can fail.
const SCHEMA: &str = "
BEGIN;
SELECT pg_advisory_xact_lock(7020);
CREATE TABLE IF NOT EXISTS api_keys (
    hash bytea PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT '-infinity'
);
CREATE TABLE IF NOT EXISTS messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id text NOT NULL,
    key_hash bytea NOT NULL,
    model text NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS tasks (
    id text PRIMARY KEY,
    state text NOT NULL DEFAULT 'queued',
    question text NOT NULL,
    answer text,
    created_at timestamptz NOT NULL DEFAULT now(),
    offered_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS tasks_open ON tasks (created_at) WHERE state IN ('queued', 'running');
COMMIT;";

/// A pool of connections that are opened when they are needed, and again after the server went away.
#[derive(Debug)]
pub struct Database {
    pool: Pool,
    prepared: OnceCell<()>,
    /// The hash of a key that is valid from the start.
    first_key: Option<[u8; 32]>,
}

/// What the service says about itself and only the database knows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Keys seen in five minutes, an hour, a day.
    pub keys: [i64; 3],
    /// Tasks that wait.
    pub queued: i64,
    /// Seconds that the oldest of them has waited.
    pub oldest_seconds: f64,
}

impl Database {
    /// Opens nothing yet.
    pub fn new(
        mut config: tokio_postgres::Config,
        connections: usize,
        first_key: Option<[u8; 32]>,
    ) -> Result<Self, deadpool_postgres::BuildError> {
        config
            .application_name("claude-api")
            .connect_timeout(CONNECT)
            // The server gives up a little before we do, so that nothing goes on for nobody.
            .options("-c statement_timeout=2500");
        let manager = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let pool = Pool::builder(Manager::from_config(config, NoTls, manager))
            .max_size(connections)
            .wait_timeout(Some(CONNECT))
            .create_timeout(Some(CONNECT))
            .recycle_timeout(Some(CONNECT))
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self {
            pool,
            prepared: OnceCell::new(),
            first_key,
        })
    }

    /// Connections in use, and the most that there may be.
    pub fn connections(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size.saturating_sub(status.available), status.max_size)
    }

    /// Does something with a connection, in bounded time. What is slow or fails is logged under the name of the operation.
    async fn call<T>(
        &self,
        operation: &'static str,
        work: impl AsyncFnOnce(&Object) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Unavailable> {
        let start = Instant::now();
        let span = call("postgresql", operation);
        let whole = async {
            let client = self.pool.get().await.map_err(|error| in_words(&error))?;
            work(&client).await.map_err(|error| in_words(&error))
        };
        let outcome = timeout(CALL, whole).await;
        let outcome = outcome.unwrap_or_else(|_| Err(format!("no answer in {} s", CALL.as_secs())));
        let took = start.elapsed();
        if let Err(error) = &outcome {
            failed(&span, error);
            tracing::error!(
                operation,
                error,
                duration_seconds = took.as_secs_f64(),
                "database call failed"
            );
        } else if took > SLOW {
            tracing::warn!(operation, duration_seconds = took.as_secs_f64(), "slow database call");
        }
        outcome.map_err(|_| Unavailable("the database"))
    }

    /// Whether it answers and has its tables. The first time makes them.
    pub async fn check(&self) -> Result<(), Unavailable> {
        let prepare = || {
            self.call("prepare", async |client| {
                client.batch_execute(SCHEMA).await?;
                if let Some(hash) = &self.first_key {
                    let insert = "INSERT INTO api_keys (hash) VALUES ($1) ON CONFLICT DO NOTHING";
                    client.execute(insert, &[&hash.as_slice()]).await?;
                }
                Ok(())
            })
        };
        self.prepared.get_or_try_init(prepare).await?;
        self.call("check", async |client| client.simple_query("SELECT 1").await.map(drop))
            .await
    }

    /// Whether a key is one of ours. That it was seen is written every ten seconds and not with each request.
    pub async fn knows(&self, key_hash: &[u8]) -> Result<bool, Unavailable> {
        let text = "WITH seen AS (UPDATE api_keys SET last_seen = now() WHERE hash = $1 AND last_seen < now() - interval '10 s')
            SELECT FROM api_keys WHERE hash = $1";
        self.call("knows", async |client| {
            let statement = client.prepare_cached(text).await?;
            Ok(client.query_opt(&statement, &[&key_hash]).await?.is_some())
        })
        .await
    }

    /// Keeps what an answer used.
    pub async fn answered(
        &self,
        request_id: &str,
        key_hash: &[u8],
        model: &str,
        [input, output]: [u64; 2],
    ) -> Result<(), Unavailable> {
        let text = "INSERT INTO messages (request_id, key_hash, model, input_tokens, output_tokens) VALUES ($1, $2, $3, $4, $5)";
        let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let (input, output) = (tokens(input), tokens(output));
        self.call("answered", async |client| {
            let statement = client.prepare_cached(text).await?;
            client
                .execute(&statement, &[&request_id, &key_hash, &model, &input, &output])
                .await
                .map(drop)
        })
        .await
    }

    /// Keeps a new task.
    pub async fn add_task(&self, id: &str, question: &str) -> Result<(), Unavailable> {
        self.call("add_task", async |client| {
            let statement = client
                .prepare_cached("INSERT INTO tasks (id, question) VALUES ($1, $2)")
                .await?;
            client.execute(&statement, &[&id, &question]).await.map(drop)
        })
        .await
    }

    /// The state of a task, and its answer if it has one.
    pub async fn task(&self, id: &str) -> Result<Option<(String, Option<String>)>, Unavailable> {
        self.call("task", async |client| {
            let statement = client
                .prepare_cached("SELECT state, answer FROM tasks WHERE id = $1")
                .await?;
            let row = client.query_opt(&statement, &[&id]).await?;
            row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
        })
        .await
    }

    /// The question of a task that nobody else has begun.
    pub async fn begin_task(&self, id: &str) -> Result<Option<String>, Unavailable> {
        let text = "UPDATE tasks SET state = 'running', offered_at = now() WHERE id = $1 AND state = 'queued' RETURNING question";
        self.call("begin_task", async |client| {
            let statement = client.prepare_cached(text).await?;
            let row = client.query_opt(&statement, &[&id]).await?;
            row.map(|row| row.try_get(0)).transpose()
        })
        .await
    }

    /// Keeps how a task ended.
    pub async fn end_task(&self, id: &str, outcome: &str, answer: Option<&str>) -> Result<(), Unavailable> {
        self.call("end_task", async |client| {
            let statement = client
                .prepare_cached("UPDATE tasks SET state = $2, answer = $3 WHERE id = $1 AND state = 'running'")
                .await?;
            client.execute(&statement, &[&id, &outcome, &answer]).await.map(drop)
        })
        .await
    }

    /// Tasks to be offered once more: their worker died, or the queue lost them. One that two workers get is begun by one.
    pub async fn stray_tasks(&self) -> Result<Vec<String>, Unavailable> {
        let text = "UPDATE tasks SET state = 'queued', offered_at = now()
            WHERE state IN ('queued', 'running') AND offered_at < now() - interval '1 min' RETURNING id";
        self.call("stray_tasks", async |client| {
            let rows = client.query(text, &[]).await?;
            rows.iter().map(|row| row.try_get(0)).collect()
        })
        .await
    }

    /// Counts what only the database knows.
    pub async fn usage(&self) -> Result<Usage, Unavailable> {
        let text = "SELECT
            (SELECT count(*) FROM api_keys WHERE last_seen > now() - interval '5 min'),
            (SELECT count(*) FROM api_keys WHERE last_seen > now() - interval '1 h'),
            (SELECT count(*) FROM api_keys WHERE last_seen > now() - interval '1 d'),
            (SELECT count(*) FROM tasks WHERE state = 'queued'),
            (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM tasks WHERE state = 'queued')";
        self.call("usage", async |client| {
            let row = client.query_one(text, &[]).await?;
            Ok(Usage {
                keys: [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?],
                queued: row.try_get(3)?,
                oldest_seconds: row.try_get(4)?,
            })
        })
        .await
    }
}
