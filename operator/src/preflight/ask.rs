//! One question to one port: what a probe would ask there, and what comes back.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use observed_core::facts::{AnswerOutcome, Ask};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::Preflight;
use super::content::{self, MOST_BYTES};

/// How long a pod has to accept a connection: within a cluster that takes milliseconds, unless packets are dropped.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(2);

impl Preflight {
    pub(super) async fn outcome(&self, address: SocketAddr, ask: &Ask, allowed: Duration) -> AnswerOutcome {
        let began = Instant::now();
        // A connection that does not come about says that the network drops it, not that the process is slow: the
        // kernel accepts for a process that hangs.
        match tokio::time::timeout(allowed.min(CONNECT_WITHIN), TcpStream::connect(address)).await {
            Err(_) => return AnswerOutcome::Unreachable,
            Ok(Err(error)) => return classify(&error),
            Ok(Ok(_)) => {}
        }
        let left = allowed.saturating_sub(began.elapsed());
        match ask {
            Ask::Connect => AnswerOutcome::Connected,
            Ask::Get { path, https } => {
                let scheme = if *https { "https" } else { "http" };
                self.get(format!("{scheme}://{address}{path}"), left).await
            }
            Ask::Grpc { service } => tokio::time::timeout(left, health(address, service))
                .await
                .unwrap_or(AnswerOutcome::TimedOut),
        }
    }

    async fn get(&self, url: String, left: Duration) -> AnswerOutcome {
        match self.http.get(url).timeout(left).send().await {
            Ok(mut response) => {
                let status = response.status().as_u16();
                let mut body = Vec::new();
                while body.len() < MOST_BYTES {
                    match response.chunk().await {
                        Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(MOST_BYTES - body.len())]),
                        Ok(None) => break,
                        Err(error) if error.is_timeout() => return AnswerOutcome::TimedOut,
                        Err(_) => break,
                    }
                }
                content::outcome(status, &body)
            }
            Err(error) if error.is_timeout() => AnswerOutcome::TimedOut,
            Err(_) => AnswerOutcome::Refused,
        }
    }
}

/// What the gRPC health protocol says, in plain text as the kubelet asks it.
async fn health(address: SocketAddr, service: &str) -> AnswerOutcome {
    let Ok(endpoint) = Endpoint::from_shared(format!("http://{address}")) else {
        return AnswerOutcome::Unreachable;
    };
    let Ok(channel) = endpoint.connect().await else {
        return AnswerOutcome::Refused;
    };
    let mut client = HealthClient::new(channel).max_decoding_message_size(MOST_BYTES);
    let question = HealthCheckRequest {
        service: service.to_owned(),
    };
    match client.check(question).await {
        Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => AnswerOutcome::Serving,
        Ok(_) => AnswerOutcome::NotServing,
        // No answer of the other side, but of what lies between: it speaks no gRPC.
        Err(status) if std::error::Error::source(&status).is_some() => AnswerOutcome::Refused,
        Err(status) => AnswerOutcome::GrpcStatus(status.code().into()),
    }
}

fn classify(error: &io::Error) -> AnswerOutcome {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => AnswerOutcome::Refused,
        _ => AnswerOutcome::Unreachable,
    }
}
