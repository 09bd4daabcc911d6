//! The certificate of `/metrics`: from files, read again when they are renewed, or one that is made at the start.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::settings::access::Identity;

/// How often it is looked whether the files hold another certificate. The kubelet itself takes up to a minute to bring it.
const LOOK: Duration = Duration::from_secs(10);

/// There is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}, which holds the {what} of /metrics", path.display())]
    Read {
        /// What it holds.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error("{} holds no {what} in PEM", path.display())]
    Wrong {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The two do not belong together, or cannot be used.
    #[error("the certificate of /metrics cannot be used with its key")]
    Unusable(#[source] rustls::Error),
    /// None could be made.
    #[error("could not make a certificate for /metrics")]
    Make(#[source] rcgen::Error),
}

/// What the files hold.
#[derive(Eq, PartialEq)]
struct Pem {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Pem {
    async fn read(of: &Identity) -> Result<Self, Error> {
        let (cert, key) = futures::join!(read("certificate", &of.cert_file), read("private key", &of.key_file));
        Ok(Self { cert: cert?, key: key? })
    }

    fn config(&self, of: &Identity) -> Result<Arc<ServerConfig>, Error> {
        let certs: Vec<_> = CertificateDer::pem_slice_iter(&self.cert)
            .filter_map(Result::ok)
            .collect();
        if certs.is_empty() {
            let (what, path) = ("certificate", of.cert_file.clone());
            return Err(Error::Wrong { what, path });
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| Error::Wrong {
            what: "private key",
            path: of.key_file.clone(),
        })?;
        config(certs, key)
    }
}

async fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    tokio::fs::read(path).await.map_err(|source| Error::Read {
        what,
        path: path.to_owned(),
        source,
    })
}

fn config(certs: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Arc<ServerConfig>, Error> {
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .map_err(Error::Unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Made anew at each start, so that nobody can verify it: it keeps tokens from who listens, and not from who answers
/// instead of the operator.
fn self_signed() -> Result<Arc<ServerConfig>, Error> {
    let host = std::env::var("HOSTNAME").ok();
    let names: Vec<String> = host.into_iter().chain(["localhost".to_owned()]).collect();
    let made = rcgen::generate_simple_self_signed(names).map_err(Error::Make)?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(|words| {
        let error = rustls::Error::General(words.to_owned());
        Error::Unusable(error)
    })?;
    config(vec![made.cert.der().clone()], key)
}

/// A certificate that is served.
pub(super) struct Certificate {
    /// What connections are answered with.
    pub(super) served: RustlsConfig,
    files: Option<(Identity, Pem)>,
    /// Why the files cannot be used now, as the log says it.
    told: Option<String>,
}

impl Certificate {
    /// # Errors
    /// The files hold no certificate that could be used.
    pub(super) async fn load(files: Option<Identity>) -> Result<Self, Error> {
        let (files, config) = match files {
            None => (None, self_signed()?),
            Some(identity) => {
                let pem = Pem::read(&identity).await?;
                let config = pem.config(&identity)?;
                (Some((identity, pem)), config)
            }
        };
        let served = RustlsConfig::from_config(config);
        let told = None;
        Ok(Self { served, files, told })
    }

    /// Looks again and again whether the files hold another one.
    pub(super) async fn keep(mut self) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look().await;
        }
    }

    /// Serves with what the files hold now. What cannot be used is told once, and the last good one stays.
    async fn look(&mut self) {
        let Some((identity, held)) = &mut self.files else {
            return;
        };
        let looked = async {
            let now = Pem::read(identity).await?;
            if now == *held {
                return Ok(());
            }
            self.served.reload_from_config(now.config(identity)?);
            *held = now;
            tracing::info!("/metrics is served with the certificate that its files hold now");
            Ok::<_, Error>(())
        };
        let words = looked.await.err().map(|error| error.to_string());
        if let Some(words) = words.as_ref().filter(|_| words != self.told) {
            tracing::warn!("{words}: /metrics is served with the certificate that it had");
        }
        self.told = words;
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::mock::provide_tls;

    /// Files of a certificate.
    struct Files(TempDir);

    impl Files {
        fn new() -> Self {
            provide_tls();
            let files = Self(tempfile::tempdir().unwrap());
            files.renew();
            files
        }

        fn identity(&self) -> Identity {
            Identity {
                cert_file: self.0.path().join("tls.crt"),
                key_file: self.0.path().join("tls.key"),
            }
        }

        fn write(&self, cert: &str, key: &str) {
            std::fs::write(self.identity().cert_file, cert).unwrap();
            std::fs::write(self.identity().key_file, key).unwrap();
        }

        fn renew(&self) -> String {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let cert = made.cert.pem();
            self.write(&cert, &made.signing_key.serialize_pem());
            cert
        }
    }

    fn same(a: &Arc<ServerConfig>, b: &Arc<ServerConfig>) -> bool {
        Arc::ptr_eq(a, b)
    }

    #[tokio::test]
    async fn a_certificate_that_is_renewed_is_served_and_one_that_is_not_stays() {
        let files = Files::new();
        let mut certificate = Certificate::load(Some(files.identity())).await.unwrap();
        let first = certificate.served.get_inner();
        certificate.look().await;
        assert!(same(&certificate.served.get_inner(), &first));

        files.renew();
        certificate.look().await;
        let second = certificate.served.get_inner();
        assert!(!same(&second, &first));
        assert!(certificate.told.is_none());
    }

    #[tokio::test]
    async fn files_that_cannot_be_used_are_told_and_the_last_good_certificate_stays() {
        let files = Files::new();
        let mut certificate = Certificate::load(Some(files.identity())).await.unwrap();
        let good = certificate.served.get_inner();
        let of_another_key = files.renew();
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        for (cert, key, words) in [
            ("", other.as_str(), "holds no certificate in PEM"),
            (of_another_key.as_str(), "hunter2", "holds no private key in PEM"),
            (of_another_key.as_str(), other.as_str(), "cannot be used with its key"),
        ] {
            files.write(cert, key);
            certificate.look().await;
            let told = certificate.told.clone().unwrap();
            assert!(told.contains(words) && !told.contains("hunter2"), "{told}");
            assert!(same(&certificate.served.get_inner(), &good));
            // At the start the same is an error.
            let refused = Certificate::load(Some(files.identity())).await.err().unwrap();
            assert_eq!(refused.to_string(), told);
        }
        std::fs::remove_file(files.identity().key_file).unwrap();
        certificate.look().await;
        assert!(certificate.told.unwrap().contains("cannot read"));
    }

    #[tokio::test]
    async fn without_files_one_is_made_and_another_one_at_the_next_start() {
        provide_tls();
        let first = Certificate::load(None).await.unwrap().served.get_inner();
        let second = Certificate::load(None).await.unwrap().served.get_inner();
        assert!(!same(&first, &second));
        assert_eq!(first.alpn_protocols, [b"http/1.1".to_vec()]);
    }
}
