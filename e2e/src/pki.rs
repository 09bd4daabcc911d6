//! The keys and certificates of one cluster, and the kubeconfigs made of them.
//!
//! One authority signs everything. To the API server the subject says who a client is: the common name is the user, organizations are groups.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use k8s_openapi::ByteString;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};

/// Keys or certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key or certificate could not be generated.
    #[error("cannot make the certificate {name}")]
    Generate {
        /// Whose.
        name: String,
        /// Why not.
        #[source]
        source: rcgen::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Who a certificate is for.
#[derive(Clone, Debug, Default)]
pub struct Subject<'a> {
    /// The name of the files.
    pub name: &'a str,
    /// The user.
    pub common_name: &'a str,
    /// The group.
    pub organization: Option<&'a str>,
    /// Names that a server with this certificate answers for.
    pub names: &'a [&'a str],
    /// Addresses that a server with this certificate answers for.
    pub addresses: &'a [IpAddr],
}

/// The authority, with a directory that its certificates are written to.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// Makes an authority: `ca.crt`, and `sa.key` and `sa.pub` to sign ServiceAccount tokens with.
    ///
    /// # Errors
    /// A key cannot be made or a file cannot be written.
    pub fn create(directory: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Generate {
            name: "ca".to_owned(),
            source,
        };
        fs::create_dir_all(directory).map_err(|source| Error::Write {
            path: directory.to_owned(),
            source,
        })?;
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = params("observed-e2e", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let certificate = params.self_signed(&key).map_err(failed)?.pem();
        let authority = Self {
            directory: directory.to_owned(),
            issuer: Issuer::new(params, key),
            certificate,
        };
        authority.write("ca.crt", &authority.certificate)?;
        let accounts = KeyPair::generate().map_err(|source| Error::Generate {
            name: "sa".to_owned(),
            source,
        })?;
        authority.write("sa.key", &accounts.serialize_pem())?;
        authority.write("sa.pub", &accounts.public_key_pem())?;
        Ok(authority)
    }

    /// A file of the directory: `ca.crt`, `sa.key`, `<name>.crt`, `<name>.key`.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    /// Issues a certificate for servers and clients alike and writes `<name>.crt` and `<name>.key`.
    ///
    /// # Errors
    /// The key cannot be made or a file cannot be written.
    pub fn issue(&self, subject: &Subject<'_>) -> Result<Identity, Error> {
        let failed = |source| Error::Generate {
            name: subject.name.to_owned(),
            source,
        };
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = params(subject.common_name, subject.organization);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        for name in subject.names {
            params
                .subject_alt_names
                .push(rcgen::SanType::DnsName((*name).try_into().map_err(failed)?));
        }
        params.subject_alt_names.extend(
            subject
                .addresses
                .iter()
                .map(|address| rcgen::SanType::IpAddress(*address)),
        );
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?.pem();
        let identity = Identity {
            certificate,
            key: key.serialize_pem(),
        };
        self.write(&format!("{}.crt", subject.name), &identity.certificate)?;
        self.write(&format!("{}.key", subject.name), &identity.key)?;
        Ok(identity)
    }

    /// A kubeconfig that holds everything in itself, for a client with a certificate.
    #[must_use]
    pub fn kubeconfig(&self, server: &str, identity: &Identity) -> String {
        let data = |pem: &str| ByteString(pem.as_bytes().to_vec());
        let user = json!({
            "client-certificate-data": data(&identity.certificate),
            "client-key-data": data(&identity.key),
        });
        let authority = ByteString(self.certificate.as_bytes().to_vec());
        kubeconfig(
            &json!({ "server": server, "certificate-authority-data": authority }),
            &user,
            "default",
        )
    }

    fn write(&self, file: &str, text: &str) -> Result<(), Error> {
        write_private(&self.path(file), text)
    }
}

/// A certificate and its key.
#[derive(Debug)]
pub struct Identity {
    certificate: String,
    key: String,
}

/// A kubeconfig of one cluster and one user, who works in one namespace. JSON is YAML.
pub(crate) fn kubeconfig(cluster: &Value, user: &Value, namespace: &str) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "observed", "cluster": cluster }],
        "users": [{ "name": "observed", "user": user }],
        "contexts": [{ "name": "observed", "context": { "cluster": "observed", "user": "observed", "namespace": namespace } }],
        "current-context": "observed",
    });
    format!("{config:#}\n")
}

/// Writes a file that only this user can read: it may hold a key.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let opened = File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

fn params(common_name: &str, organization: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    // A run lives for minutes; a year around now forgives a clock that is off.
    let year = i32::from(jiff::Zoned::now().year());
    params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + 2, 1, 1);
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_for_this_user_only_and_a_kubeconfig_holds_everything() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::create(&directory.path().join("pki")).unwrap();
        let subject = Subject {
            name: "admin",
            common_name: "admin",
            organization: Some("system:masters"),
            ..Subject::default()
        };
        let admin = authority.issue(&subject).unwrap();
        for file in ["ca.crt", "sa.key", "sa.pub", "admin.crt", "admin.key"] {
            let mode = fs::metadata(authority.path(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{file} can be read by others");
        }
        let text = authority.kubeconfig("https://127.0.0.1:6443", &admin);
        let config = kube::config::Kubeconfig::from_yaml(&text).unwrap();
        assert_eq!(
            config.clusters[0].cluster.as_ref().unwrap().server.as_deref(),
            Some("https://127.0.0.1:6443")
        );
        assert!(
            !text.contains(directory.path().to_str().unwrap()),
            "it needs files beside it"
        );
    }
}
