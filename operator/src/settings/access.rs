//! How a Prometheus, an Alertmanager or a Grafana is reached: the same settings for each.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Args, Command};
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

/// Where one of them answers, and how it is asked. No secret is kept: the files are read when they are needed.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Its address, without a `/` at the end.
    pub url: Option<String>,
    /// File that holds a bearer token.
    pub token_file: Option<PathBuf>,
    /// File that holds `USER:PASSWORD`.
    pub basic_auth_file: Option<PathBuf>,
    /// File that holds the certificates, in PEM, of who may have signed its own.
    pub ca_file: Option<PathBuf>,
    /// Sent with each request to its address.
    pub headers: Vec<Header>,
    /// What is shown to its address when that asks for a certificate.
    pub identity: Option<Identity>,
}

/// How each of them is reached.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    /// Prometheus.
    pub prometheus: Access,
    /// Alertmanager.
    pub alertmanager: Access,
    /// Grafana.
    pub grafana: Access,
}

/// A certificate of who asks, in PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// File of the certificate, and of those between it and its CA.
    pub cert_file: PathBuf,
    /// File of its key.
    pub key_file: PathBuf,
}

/// A header of each request. Its value is not shown by `Debug`.
#[derive(Clone, Debug)]
pub struct Header {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub value: HeaderValue,
}

macro_rules! access {
    ($type:ident, $flag:literal, $env:literal, $url:literal, $where:literal) => {
        #[doc = concat!("How the ", $where, " is reached.")]
        #[derive(Args, Clone, Debug)]
        pub struct $type {
            // A `doc` that is put together is no help to clap.
            #[arg(id = concat!($flag, "-url"), long = concat!($flag, "-url"), env = concat!("OBSERVED_", $env, "_URL"),
                value_name = "URL", value_parser = Url { flag: concat!($flag, "-url"), no_user: concat!(
                    "an address is written into statuses, so that it may hold no user and no password: put them into a file, as \
                     USER:PASSWORD, and name it with --", $flag, "-basic-auth-file") }, help = $url,
                long_help = concat!($url, "\n\nExample: https://", $flag, ".example.org/prefix"))]
            url: Option<String>,

            #[arg(id = concat!($flag, "-token-file"), long = concat!($flag, "-token-file"),
                env = concat!("OBSERVED_", $env, "_TOKEN_FILE"), value_name = "FILE", requires = concat!($flag, "-url"),
                help = concat!("File that holds a bearer token for the address of --", $flag, "-url. Read at each request"))]
            token_file: Option<PathBuf>,

            #[arg(id = concat!($flag, "-basic-auth-file"), long = concat!($flag, "-basic-auth-file"),
                env = concat!("OBSERVED_", $env, "_BASIC_AUTH_FILE"), value_name = "FILE", requires = concat!($flag, "-url"),
                conflicts_with = concat!($flag, "-token-file"),
                help = concat!("File that holds USER:PASSWORD for the address of --", $flag, "-url. Read at each request"))]
            basic_auth_file: Option<PathBuf>,

            #[arg(id = concat!($flag, "-ca-file"), long = concat!($flag, "-ca-file"),
                env = concat!("OBSERVED_", $env, "_CA_FILE"), value_name = "FILE",
                help = concat!("File that holds the certificates, in PEM, of the CA that signed the certificate of the ", $where,
                    ", instead of those of the system. Read at each request"))]
            ca_file: Option<PathBuf>,

            #[arg(id = concat!($flag, "-header"), long = concat!($flag, "-header"), env = concat!("OBSERVED_", $env, "_HEADER"),
                value_name = "NAME: VALUE", hide_env_values = true, value_delimiter = '\n', value_parser = HeaderLine { flag: $flag },
                requires = concat!($flag, "-url"),
                help = concat!("Header of each request to the address of --", $flag, "-url, such as the tenant: \
                    'X-Scope-OrgID: team-a'. May be given more than once; in the environment one a line"))]
            headers: Vec<Header>,

            #[arg(id = concat!($flag, "-cert-file"), long = concat!($flag, "-cert-file"),
                env = concat!("OBSERVED_", $env, "_CERT_FILE"), value_name = "FILE",
                requires_all = [concat!($flag, "-url"), concat!($flag, "-key-file")],
                help = concat!("File that holds the certificate, in PEM, to show to the address of --", $flag, "-url when that \
                    asks for one. Read at each request"))]
            cert_file: Option<PathBuf>,

            #[arg(id = concat!($flag, "-key-file"), long = concat!($flag, "-key-file"),
                env = concat!("OBSERVED_", $env, "_KEY_FILE"), value_name = "FILE", requires = concat!($flag, "-cert-file"),
                help = concat!("File that holds the key, in PEM, of the certificate in --", $flag, "-cert-file. Read at each \
                    request"))]
            key_file: Option<PathBuf>,
        }

        impl $type {
            /// Its address, without a `/` at the end.
            pub fn url(&self) -> Option<&str> {
                self.url.as_deref()
            }
        }

        impl From<&$type> for Access {
            fn from(set: &$type) -> Self {
                Self {
                    url: set.url.clone(),
                    token_file: set.token_file.clone(),
                    basic_auth_file: set.basic_auth_file.clone(),
                    ca_file: set.ca_file.clone(),
                    headers: set.headers.clone(),
                    identity: set.cert_file.clone().zip(set.key_file.clone())
                        .map(|(cert_file, key_file)| Identity { cert_file, key_file }),
                }
            }
        }
    };
}

access!(
    PrometheusAccess,
    "prometheus",
    "PROMETHEUS",
    "Address of the Prometheus to verify against, instead of those of the Prometheus resources in the cluster",
    "Prometheus"
);
access!(
    AlertmanagerAccess,
    "alertmanager",
    "ALERTMANAGER",
    "Address of the Alertmanager whose routes the alerts take, instead of those that Prometheus names",
    "Alertmanager"
);
access!(
    GrafanaAccess,
    "grafana",
    "GRAFANA",
    "Address of the Grafana that is asked whether it has the dashboards. Whoever asks needs the role Viewer there",
    "Grafana"
);

/// Reads an address. What is refused is not repeated, as it may hold a password.
#[derive(Clone)]
pub(super) struct Url {
    pub(super) flag: &'static str,
    /// Why it may hold no user and no password, and where they belong.
    pub(super) no_user: &'static str,
}

impl TypedValueParser for Url {
    type Value = String;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        let Self { flag, no_user } = self;
        let text = value.to_str().unwrap_or_default();
        let url = reqwest::Url::parse(text).ok();
        let Some(url) = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) else {
            let words = format!(
                "--{flag}: it must be an address that begins with http:// or https://, like http://localhost:9090"
            );
            return Err(refused(command, &words));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(command, &format!("--{flag}: {no_user}")));
        }
        if url.query().is_some() || url.fragment().is_some() {
            let words = format!("--{flag}: an address ends with its path: what follows ? or # is of no use");
            return Err(refused(command, &words));
        }
        Ok(text.trim_end_matches('/').to_owned())
    }
}

/// Reads an address, or nothing.
#[derive(Clone)]
pub(super) struct OptionalUrl(pub(super) Url);

impl TypedValueParser for OptionalUrl {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        if value.is_empty() {
            return Ok(String::new());
        }
        self.0.parse_ref(command, arg, value)
    }
}

/// Reads `NAME: VALUE`. What is refused is not repeated.
#[derive(Clone)]
struct HeaderLine {
    flag: &'static str,
}

impl TypedValueParser for HeaderLine {
    type Value = Header;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Header, clap::Error> {
        let flag = self.flag;
        let wrong = || {
            let words = format!("--{flag}-header: write it as NAME: VALUE, for instance 'X-Scope-OrgID: team-a'");
            refused(command, &words)
        };
        let (name, value) = value.to_str().and_then(|text| text.split_once(':')).ok_or_else(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        let mut value: HeaderValue = value.trim().parse().map_err(|_| wrong())?;
        if name == AUTHORIZATION {
            let words = format!(
                "--{flag}-header: what authorizes comes from a file: --{flag}-token-file or --{flag}-basic-auth-file"
            );
            return Err(refused(command, &words));
        }
        value.set_sensitive(true);
        Ok(Header { name, value })
    }
}

fn refused(command: &Command, words: &str) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, format!("{words}\n")).with_cmd(command)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        prometheus: PrometheusAccess,
        #[command(flatten)]
        grafana: GrafanaAccess,
    }

    fn read(arguments: &[&str]) -> Result<Line, clap::Error> {
        Line::try_parse_from(["observed"].iter().chain(arguments))
    }

    #[test]
    fn an_address_has_its_prefix_and_several_headers_and_each_server_its_own() {
        let line = read(&[
            "--prometheus-url=https://mimir/prometheus/",
            "--prometheus-token-file=/token",
            "--prometheus-header=X-Scope-OrgID: team-a",
            "--prometheus-header=X-Other:b:c",
            "--grafana-url=http://grafana",
        ])
        .unwrap();
        let (prometheus, grafana) = (Access::from(&line.prometheus), Access::from(&line.grafana));
        assert_eq!(prometheus.url.as_deref(), Some("https://mimir/prometheus"));
        assert_eq!(prometheus.token_file, Some("/token".into()));
        let headers: Vec<_> = prometheus
            .headers
            .iter()
            .map(|header| (header.name.as_str(), header.value.as_bytes()))
            .collect();
        assert_eq!(headers, [("x-scope-orgid", &b"team-a"[..]), ("x-other", b"b:c")]);
        assert_eq!(grafana.url.as_deref(), Some("http://grafana"));
        assert!(grafana.headers.is_empty() && grafana.token_file.is_none());
    }

    #[test]
    fn headers_of_the_environment_are_one_a_line() {
        let line = read(&["--prometheus-url=http://p", "--prometheus-header=A: 1\nB: 2"]).unwrap();
        assert_eq!(Access::from(&line.prometheus).headers.len(), 2);
    }

    #[test]
    fn what_is_secret_is_shown_by_no_refusal_and_no_debug() {
        for wrong in [
            "--prometheus-url=https://user:hunter2@prometheus",
            "--prometheus-url=hunter2",
            "--prometheus-url=ftp://prometheus/hunter2",
            "--prometheus-url=http://prometheus/?token=hunter2",
            "--prometheus-header=Authorization: hunter2",
            "--prometheus-header=hunter2",
            "--prometheus-header=no name: hunter2",
        ] {
            let refused = read(&["--grafana-url=http://g", "--prometheus-url=http://p", wrong])
                .or_else(|_| read(&[wrong]))
                .unwrap_err()
                .to_string();
            assert!(!refused.contains("hunter2"), "{wrong}: {refused}");
        }
        let line = read(&["--prometheus-url=http://p", "--prometheus-header=X-Key: hunter2"]).unwrap();
        assert!(!format!("{line:?}").contains("hunter2"), "{line:?}");
    }

    #[test]
    fn credentials_without_an_address_and_two_kinds_of_them_are_refused() {
        for wrong in [
            &["--prometheus-token-file=/t"][..],
            &["--prometheus-basic-auth-file=/b"],
            &["--prometheus-header=A: b"],
            &["--prometheus-cert-file=/c", "--prometheus-key-file=/k"],
            &["--prometheus-url=http://p", "--prometheus-cert-file=/c"],
            &["--prometheus-url=http://p", "--prometheus-key-file=/k"],
            &["--prometheus-token-file=/t", "--grafana-url=http://g"],
            &[
                "--prometheus-url=http://p",
                "--prometheus-token-file=/t",
                "--prometheus-basic-auth-file=/b",
            ],
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        // The CA is also that of the Prometheus resources.
        assert!(read(&["--prometheus-ca-file=/ca"]).is_ok());
    }
}
