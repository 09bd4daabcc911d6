//! Who is asked with which certificates, credentials and headers.
//!
//! What is secret goes to the one address that the settings name, and to no other: whoever may make a Prometheus resource
//! decides where it leads.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use reqwest::{Certificate, redirect};

use super::prometheus::{Error, TIMEOUT, locked};
use crate::settings::{Access, Settings};

/// Largest file of certificates or credentials that is read: bundles of all public CAs are a quarter of it.
const MOST_BYTES: u64 = 1 << 20;

/// Who is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Server {
    /// Prometheus, or what answers as one.
    Prometheus,
    /// Alertmanager.
    Alertmanager,
    /// Grafana.
    Grafana,
}

impl Server {
    /// How its settings begin.
    pub(super) fn flag(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Alertmanager => "alertmanager",
            Self::Grafana => "grafana",
        }
    }
}

/// How one kind of server is asked.
pub(super) struct Door {
    server: Server,
    access: Access,
    plain: reqwest::Client,
    /// Trusts what the file of the CA held last.
    trusting: Mutex<Option<(Vec<u8>, reqwest::Client)>>,
}

/// The doors to all kinds of servers.
pub(super) struct Doors([Door; 3]);

impl Doors {
    /// # Errors
    /// The HTTP client cannot be set up.
    pub(super) fn new(settings: Option<&Settings>) -> Result<Self, Error> {
        // Where the system has no CA certificates, as in a small image, plain HTTP still works.
        let plain = builder().build().or_else(|_| builder().tls_certs_only([]).build());
        let plain = plain.map_err(|error| Error::Client(error.to_string()))?;
        let door = |server, access: Option<Access>| Door {
            server,
            access: access.unwrap_or_default(),
            plain: plain.clone(),
            trusting: Mutex::default(),
        };
        Ok(Self([
            door(Server::Prometheus, settings.map(|all| (&all.prometheus).into())),
            door(Server::Alertmanager, settings.map(|all| (&all.alertmanager).into())),
            door(Server::Grafana, settings.map(|all| (&all.grafana).into())),
        ]))
    }

    #[cfg(test)]
    pub(super) fn with(server: Server, access: Access) -> Result<Self, Error> {
        let mut doors = Self::new(None)?;
        let [prometheus, alertmanager, grafana] = &mut doors.0;
        let door = match server {
            Server::Prometheus => prometheus,
            Server::Alertmanager => alertmanager,
            Server::Grafana => grafana,
        };
        door.access = access;
        Ok(doors)
    }

    pub(super) fn of(&self, server: Server) -> &Door {
        let [prometheus, alertmanager, grafana] = &self.0;
        match server {
            Server::Prometheus => prometheus,
            Server::Alertmanager => alertmanager,
            Server::Grafana => grafana,
        }
    }
}

impl Door {
    /// A request for this path of this address.
    pub(super) async fn request(&self, url: &str, path: &str) -> Result<reqwest::RequestBuilder, Error> {
        let mut request = self.client().await?.get(format!("{url}{path}"));
        if !self.is_named(url) {
            return Ok(request);
        }
        for header in &self.access.headers {
            request = request.header(header.name.clone(), header.value.clone());
        }
        if let Some(file) = &self.access.token_file {
            let token = text("token", file).await?;
            // What is refused here must not be in the error.
            if reqwest::header::HeaderValue::from_str(&token).is_err() {
                return Err(unreadable("token", file, "it is not one line of plain characters"));
            }
            request = request.bearer_auth(token);
        }
        if let Some(file) = &self.access.basic_auth_file {
            let both = text("user and password", file).await?;
            let (user, password) = both
                .split_once(':')
                .ok_or_else(|| unreadable("user and password", file, "it is not written as USER:PASSWORD"))?;
            request = request.basic_auth(user, Some(password));
        }
        Ok(request)
    }

    /// What to do about an answer that refuses who asks. `words` are those of the answer.
    pub(super) fn next_step(&self, url: &str, status: u16, words: &str) -> Option<String> {
        let flag = self.server.flag();
        let says = |what: &str| words.to_ascii_lowercase().contains(what);
        let file = self.access.token_file.as_ref().or(self.access.basic_auth_file.as_ref());
        match status {
            400 if says("client sent an http request to an https server") => Some(format!(
                "it speaks HTTPS only: begin its address with https:// (--{flag}-url)"
            )),
            // Mimir, Cortex and Loki.
            400 | 401 | 422 if says("no org id") || says("missing org id") => Some(format!(
                "it wants to know which tenant is asked about: --{flag}-header 'X-Scope-OrgID: TENANT'"
            )),
            401 | 403 => Some(match file {
                Some(file) if self.is_named(url) => {
                    format!("see whether what {} holds is right and may read", file.display())
                }
                _ if self.is_named(url) => {
                    format!("it wants to know who asks: --{flag}-token-file or --{flag}-basic-auth-file")
                }
                _ => format!(
                    "it wants to know who asks. Credentials are sent to no address but that of the settings: name it with \
                     --{flag}-url, and --{flag}-token-file or --{flag}-basic-auth-file"
                ),
            }),
            _ => None,
        }
    }

    /// What went wrong with TLS, and what to do about it. None: it was something else.
    pub(super) fn about_tls(&self, error: &rustls::Error) -> Option<String> {
        use rustls::{AlertDescription, CertificateError, Error as Tls};
        let flag = self.server.flag();
        let step = match error {
            Tls::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => format!(
                "its certificate is one for another name: add this name to it, or give the name that it has: --{flag}-url"
            ),
            Tls::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                "its certificate has expired: renew it".to_owned()
            }
            Tls::InvalidCertificate(_) => match &self.access.ca_file {
                Some(file) => format!(
                    "its certificate is not signed by a CA in {}: see whether --{flag}-ca-file holds the right one",
                    file.display()
                ),
                None => format!("its certificate is signed by no CA that is known here: name it with --{flag}-ca-file"),
            },
            Tls::AlertReceived(AlertDescription::CertificateRequired) => {
                "it asks for a certificate of who asks, and Observed has none: let it be asked without one \
                 (spec.web.tlsConfig.clientAuthType), or through a proxy"
                    .to_owned()
            }
            Tls::InvalidMessage(_) => {
                format!("it does not speak TLS: begin its address with http:// (--{flag}-url)")
            }
            _ => return None,
        };
        Some(step)
    }

    fn is_named(&self, url: &str) -> bool {
        self.access.url.as_deref() == Some(url)
    }

    /// The client that trusts what the file of the CA holds now.
    async fn client(&self) -> Result<reqwest::Client, Error> {
        let Some(file) = &self.access.ca_file else {
            return Ok(self.plain.clone());
        };
        let held = bytes("CA", file).await?;
        let mut trusting = locked(&self.trusting);
        if let Some((before, client)) = trusting.as_ref()
            && *before == held
        {
            return Ok(client.clone());
        }
        let certificates = Certificate::from_pem_bundle(&held).unwrap_or_default();
        if certificates.is_empty() {
            return Err(unreadable("CA", file, "it holds no certificate in PEM"));
        }
        let client = builder().tls_certs_only(certificates).build();
        let client = client.map_err(|error| unreadable("CA", file, &error.to_string()))?;
        *trusting = Some((held, client.clone()));
        Ok(client)
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(TIMEOUT)
        .user_agent("observed")
}

fn unreadable(what: &'static str, file: &Path, words: &str) -> Error {
    Error::File {
        what,
        file: PathBuf::from(file),
        words: words.to_owned(),
    }
}

/// What the file holds now: it changes when the Secret behind it does.
async fn bytes(what: &'static str, file: &Path) -> Result<Vec<u8>, Error> {
    use tokio::io::AsyncReadExt as _;
    let read = async {
        let mut held = Vec::new();
        let opened = tokio::fs::File::open(file).await?;
        opened.take(MOST_BYTES).read_to_end(&mut held).await?;
        Ok::<_, std::io::Error>(held)
    };
    read.await.map_err(|error| unreadable(what, file, &error.to_string()))
}

async fn text(what: &'static str, file: &Path) -> Result<String, Error> {
    let held = String::from_utf8(bytes(what, file).await?);
    let held = held.map_err(|_| unreadable(what, file, "it is no text"))?;
    let held = held.trim();
    if held.is_empty() {
        return Err(unreadable(what, file, "it is empty"));
    }
    Ok(held.to_owned())
}
