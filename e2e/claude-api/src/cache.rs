//! Redis: answers that were given before, how much a key may ask, and the queue of tasks.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ConnectionInfo, RedisError, cmd};

use crate::dependencies::Unavailable;

/// How long a connection or an answer may take.
const CALL: Duration = Duration::from_secs(1);
/// How long a worker waits for a task before it looks whether it shall end.
const WAIT_SECONDS: u64 = 1;
const KEEP_ANSWERS_SECONDS: u64 = 60;
const QUEUE: &str = "tasks";

/// A connection that is opened when it is needed, and again after the server went away.
#[derive(Clone)]
pub struct Cache {
    shared: ConnectionManager,
    /// One who waits for a task on a shared connection would let all others wait.
    waiting: ConnectionManager,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl Cache {
    /// Opens nothing yet.
    pub fn new(info: &ConnectionInfo) -> Result<Self, RedisError> {
        let manager = |answer| {
            let config = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(CALL))
                .set_response_timeout(Some(answer))
                // Whoever asks next tries again: the one who asks now shall not wait.
                .set_number_of_retries(0);
            ConnectionManager::new_lazy_with_config(Client::open(info.clone())?, config)
        };
        Ok(Self {
            shared: manager(CALL)?,
            waiting: manager(CALL + Duration::from_secs(WAIT_SECONDS))?,
        })
    }

    async fn call<T: redis::FromRedisValue>(
        mut connection: ConnectionManager,
        command: &redis::Cmd,
        operation: &'static str,
    ) -> Result<T, Unavailable> {
        let answer = command.query_async(&mut connection).await;
        answer.map_err(|error: RedisError| {
            tracing::error!(operation, %error, "cache call failed");
            Unavailable("the cache")
        })
    }

    /// Whether it answers.
    pub async fn check(&self) -> Result<(), Unavailable> {
        let ping = async || Self::call(self.shared.clone(), &cmd("PING"), "check").await;
        match ping().await {
            // After an outage the first call only tells that the last attempt to connect failed, and begins the next one.
            Err(_) => ping().await,
            fine => fine,
        }
    }

    /// What was answered to this question within the last minute.
    pub async fn answer(&self, question: &str) -> Result<Option<String>, Unavailable> {
        let get = cmd("GET").arg(format!("answer:{question}")).to_owned();
        Self::call(self.shared.clone(), &get, "answer").await
    }

    /// Keeps an answer for a minute.
    pub async fn keep_answer(&self, question: &str, answer: &str) -> Result<(), Unavailable> {
        let set = cmd("SET")
            .arg(format!("answer:{question}"))
            .arg(answer)
            .arg("EX")
            .arg(KEEP_ANSWERS_SECONDS)
            .to_owned();
        Self::call(self.shared.clone(), &set, "keep_answer").await
    }

    /// How many requests of a key there were in this minute, with this one.
    pub async fn count(&self, key: &str, minute: u64) -> Result<u64, Unavailable> {
        let name = format!("rate:{key}:{minute}");
        // In one transaction, or a counter could be left that never goes.
        let mut both = redis::pipe();
        both.atomic().incr(&name, 1).expire(&name, 120).ignore();
        let answer = both.query_async(&mut self.shared.clone()).await;
        let counts: [u64; 1] = answer.map_err(|error: RedisError| {
            tracing::error!(operation = "count", %error, "cache call failed");
            Unavailable("the cache")
        })?;
        Ok(counts[0])
    }

    /// Offers tasks to the workers.
    pub async fn offer(&self, tasks: &[String]) -> Result<(), Unavailable> {
        let push = cmd("RPUSH").arg(QUEUE).arg(tasks).to_owned();
        Self::call(self.shared.clone(), &push, "offer").await
    }

    /// The next task, if one comes soon.
    pub async fn next(&self) -> Result<Option<String>, Unavailable> {
        let pop = cmd("BLPOP").arg(QUEUE).arg(WAIT_SECONDS).to_owned();
        let popped: Option<(String, String)> = Self::call(self.waiting.clone(), &pop, "next").await?;
        Ok(popped.map(|(_, task)| task))
    }
}
