//! What the service depends on when it is configured: PostgreSQL and Redis. Without them it answers from the model alone.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use clap::Args;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::cache::Cache;
use crate::database::Database;
use crate::requests;

/// How long one check may take: less than a probe waits.
const CHECK: Duration = Duration::from_secs(1);
/// How long a check is good for, however many ask.
const GOOD_FOR: Duration = Duration::from_secs(2);

/// Where the dependencies are.
#[derive(Args, Clone, Debug)]
#[group(id = "dependencies")]
pub struct Options {
    /// PostgreSQL, such as postgres://user@host/name.
    #[arg(long, env = "DATABASE_URL", requires = "redis_url")]
    database_url: Option<tokio_postgres::Config>,
    /// Its password.
    #[arg(long, env = "DATABASE_PASSWORD", hide_env_values = true)]
    database_password: Option<String>,
    /// How many connections to it there may be.
    #[arg(long, env = "DATABASE_CONNECTIONS", default_value_t = 8)]
    database_connections: usize,
    /// Redis, such as redis://host.
    #[arg(long, env = "REDIS_URL", requires = "database_url")]
    redis_url: Option<redis::ConnectionInfo>,
    /// Its password.
    #[arg(long, env = "REDIS_PASSWORD", hide_env_values = true)]
    redis_password: Option<String>,
    /// An API key that is valid from the start. Others are rows of the table api_keys.
    #[arg(long, env = "API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// How many requests a key may send in a minute.
    #[arg(long, env = "REQUESTS_PER_MINUTE", default_value_t = 60_000)]
    requests_per_minute: u64,
}

/// The dependencies cannot be used as they are configured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pool of connections.
    #[error("cannot use PostgreSQL: {0}")]
    Database(#[from] deadpool_postgres::BuildError),
    /// The address.
    #[error("cannot use Redis: {0}")]
    Cache(#[from] redis::RedisError),
}

/// A dependency did not do what it was asked for. Why is in the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unavailable(pub &'static str);

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        let message = format!("{} does not answer", self.0);
        requests::error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &message)
    }
}

/// Both of them, and what is known of how they are.
#[derive(Debug)]
pub struct Dependencies {
    /// PostgreSQL.
    pub database: Database,
    /// Redis.
    pub cache: Cache,
    requests_per_minute: u64,
    checked: Mutex<Option<(Instant, Result<(), Unavailable>)>>,
}

/// Who asks, by the hash of the key: the key itself is never kept.
#[derive(Clone, Debug)]
pub struct Caller(pub [u8; 32]);

impl Dependencies {
    /// What the options name, if they name any. Nothing is opened yet: the service starts, and says that it is not ready.
    pub fn new(options: Options) -> Result<Option<Arc<Self>>, Error> {
        let (Some(mut database), Some(mut redis)) = (options.database_url, options.redis_url) else {
            return Ok(None);
        };
        if let Some(password) = options.database_password {
            database.password(password);
        }
        if let Some(password) = options.redis_password {
            let settings = redis.redis_settings().clone().set_password(password);
            redis = redis.set_redis_settings(settings);
        }
        let first_key = options.api_key.as_deref().map(hash);
        Ok(Some(Arc::new(Self {
            database: Database::new(database, options.database_connections, first_key)?,
            cache: Cache::new(&redis)?,
            requests_per_minute: options.requests_per_minute,
            checked: Mutex::default(),
        })))
    }

    /// Whether both answer. Asked at most every two seconds and by one at a time, so that probes of many replicas are no load.
    pub async fn ready(&self) -> Result<(), Unavailable> {
        let mut checked = self.checked.lock().await;
        if let Some((at, outcome)) = *checked
            && at.elapsed() < GOOD_FOR
        {
            return outcome;
        }
        let database = timeout(CHECK, self.database.check());
        let cache = timeout(CHECK, self.cache.check());
        let (database, cache) = tokio::join!(database, cache);
        let database = database.unwrap_or(Err(Unavailable("the database")));
        let outcome = database.and(cache.unwrap_or(Err(Unavailable("the cache"))));
        *checked = Some((Instant::now(), outcome));
        outcome
    }

    /// Lets a caller in whose key is known and not used too often.
    pub async fn admit(&self, headers: &HeaderMap) -> Result<Caller, Response> {
        let key = headers.get("x-api-key").map(|key| hash(key.as_bytes()));
        let known = match &key {
            Some(hash) => self.database.knows(hash).await.map_err(IntoResponse::into_response)?,
            None => false,
        };
        let Some(key) = key.filter(|_| known) else {
            let message = "the header x-api-key has no key that is known";
            return Err(requests::error(
                StatusCode::UNAUTHORIZED,
                "authentication_error",
                message,
            ));
        };
        let minute = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() / 60;
        // Without the cache nobody is limited: better than that nobody is answered.
        let count = self.cache.count(&hexadecimal(&key), minute).await.unwrap_or_default();
        if count > self.requests_per_minute {
            let message = "too many requests of this key in this minute";
            return Err(requests::error(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limit_error",
                message,
            ));
        }
        Ok(Caller(key))
    }
}

/// SHA-256.
pub fn hash(text: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(text.as_ref()).into()
}

/// Bytes as a word.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
