//! Redis: answers that were given before, how much a key may ask, and the queue of tasks.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ConnectionInfo, RedisError, cmd};

use crate::dependencies::Unavailable;
use crate::trace;

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

    /// Waits for an answer. A failure is logged under the name of the operation.
    async fn call<T>(
        operation: &'static str,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Unavailable> {
        let span = trace::call("redis", operation);
        answer.await.map_err(|error| {
            trace::failed(&span, &error.to_string());
            tracing::error!(operation, %error, "cache call failed");
            Unavailable("the cache")
        })
    }

    /// Whether it answers.
    pub async fn check(&self) -> Result<(), Unavailable> {
        let ping = async || Self::call("check", cmd("PING").exec_async(&mut self.shared.clone())).await;
        match ping().await {
            // After an outage the first call only tells that the last attempt to connect failed, and begins the next one.
            Err(_) => ping().await,
            fine => fine,
        }
    }

    /// What was answered to this question within the last minute.
    pub async fn answer(&self, question: &str) -> Result<Option<String>, Unavailable> {
        let get = cmd("GET").arg(format!("answer:{question}")).to_owned();
        Self::call("answer", get.query_async(&mut self.shared.clone())).await
    }

    /// Keeps an answer for a minute.
    pub async fn keep_answer(&self, question: &str, answer: &str) -> Result<(), Unavailable> {
        let set = cmd("SET")
            .arg(format!("answer:{question}"))
            .arg(answer)
            .arg("EX")
            .arg(KEEP_ANSWERS_SECONDS)
            .to_owned();
        Self::call("keep_answer", set.exec_async(&mut self.shared.clone())).await
    }

    /// How many requests of a key there were in this minute, with this one.
    pub async fn count(&self, key: &str, minute: u64) -> Result<u64, Unavailable> {
        let name = format!("rate:{key}:{minute}");
        // In one transaction, or a counter could be left that never goes.
        let mut both = redis::pipe();
        both.atomic().incr(&name, 1).expire(&name, 120).ignore();
        let counts: [u64; 1] = Self::call("count", both.query_async(&mut self.shared.clone())).await?;
        Ok(counts[0])
    }

    /// Offers tasks to the workers.
    pub async fn offer(&self, tasks: &[String]) -> Result<(), Unavailable> {
        let push = cmd("RPUSH").arg(QUEUE).arg(tasks).to_owned();
        Self::call("offer", push.exec_async(&mut self.shared.clone())).await
    }

    /// The next task, if one comes soon.
    pub async fn next(&self) -> Result<Option<String>, Unavailable> {
        let pop = cmd("BLPOP").arg(QUEUE).arg(WAIT_SECONDS).to_owned();
        let popped: Option<(String, String)> = Self::call("next", pop.query_async(&mut self.waiting.clone())).await?;
        Ok(popped.map(|(_, task)| task))
    }
}
