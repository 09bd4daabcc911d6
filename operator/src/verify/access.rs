//! Who is asked with which certificates, credentials and headers.
//!
//! What is secret goes to the one address that the settings name, and to no other: whoever may make a Prometheus resource
//! decides where it leads.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use reqwest::{Certificate, redirect};

use super::prometheus::{Error, TIMEOUT, locked};
use crate::settings::access::Identity;
use crate::settings::{Access, Servers};

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
    /// Trusts and shows what the files held last.
    made: Mutex<Option<(Held, reqwest::Client)>>,
}

/// What the files of a client held.
#[derive(Default, Eq, PartialEq)]
struct Held {
    ca: Option<Vec<u8>>,
    /// Certificate and key.
    shown: Option<Vec<u8>>,
}

/// The doors to all kinds of servers.
pub(super) struct Doors([Door; 3]);

impl Doors {
    /// # Errors
    /// The HTTP client cannot be set up.
    pub(super) fn new(servers: Servers) -> Result<Self, Error> {
        // Where the system has no CA certificates, as in a small image, plain HTTP still works.
        let plain = builder().build().or_else(|_| builder().tls_certs_only([]).build());
        let plain = plain.map_err(|error| Error::Client(error.to_string()))?;
        let door = |server, access| Door {
            server,
            access,
            plain: plain.clone(),
            made: Mutex::default(),
        };
        Ok(Self([
            door(Server::Prometheus, servers.prometheus),
            door(Server::Alertmanager, servers.alertmanager),
            door(Server::Grafana, servers.grafana),
        ]))
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
        let mut request = self.client(self.is_named(url)).await?.get(format!("{url}{path}"));
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
    pub(super) fn about_tls(&self, url: &str, error: &rustls::Error) -> Option<String> {
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
            Tls::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateExpired
                | AlertDescription::AccessDenied,
            ) => match &self.access.identity {
                Some(Identity { cert_file, .. }) if self.is_named(url) => format!(
                    "it does not accept the certificate in {}: see whether its CA (client_ca) signed that, and until when it is valid",
                    cert_file.display()
                ),
                _ => format!(
                    "it wants a certificate of who asks (clientAuthType), which is shown to no address but that of the settings: \
                     --{flag}-url, --{flag}-cert-file and --{flag}-key-file"
                ),
            },
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

    /// The client that trusts what the file of the CA holds now, and shows to the address of the settings what those of the
    /// certificate hold.
    async fn client(&self, is_named: bool) -> Result<reqwest::Client, Error> {
        let ca = self.access.ca_file.as_deref();
        let identity = self.access.identity.as_ref().filter(|_| is_named);
        let mut held = Held::default();
        if let Some(file) = ca {
            held.ca = Some(bytes("CA", file).await?);
        }
        if let Some(Identity { cert_file, key_file }) = identity {
            let mut both = bytes(CERTIFICATE, cert_file).await?;
            both.push(b'\n');
            both.extend(bytes("key", key_file).await?);
            held.shown = Some(both);
        }
        if held == Held::default() {
            return Ok(self.plain.clone());
        }
        let mut made = locked(&self.made);
        if let Some((before, client)) = made.as_ref()
            && *before == held
        {
            return Ok(client.clone());
        }
        let mut builder = builder();
        if let (Some(file), Some(held)) = (ca, &held.ca) {
            let certificates = Certificate::from_pem_bundle(held).unwrap_or_default();
            if certificates.is_empty() {
                return Err(unreadable("CA", file, "it holds no certificate in PEM"));
            }
            builder = builder.tls_certs_only(certificates);
        }
        if let (Some(identity), Some(held)) = (identity, &held.shown) {
            let shown = reqwest::Identity::from_pem(held);
            builder = builder.identity(shown.map_err(|_| unfit(identity))?);
        }
        let client = builder.build().map_err(|error| match (identity, ca) {
            (Some(identity), _) => unfit(identity),
            (None, Some(file)) => unreadable("CA", file, &error.to_string()),
            (None, None) => Error::Client(error.to_string()),
        })?;
        *made = Some((held, client.clone()));
        Ok(client)
    }
}

const CERTIFICATE: &str = "certificate to show";

/// What they hold is not repeated: one of them is a key.
fn unfit(identity: &Identity) -> Error {
    let words = format!(
        "it is no certificate in PEM to which the key in {} belongs",
        identity.key_file.display()
    );
    unreadable(CERTIFICATE, &identity.cert_file, &words)
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
