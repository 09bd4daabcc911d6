//! What can be set when the operator is started.

pub mod access;
pub mod file;
mod page;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use observed_core::{duration, rbac};

pub use access::{Access, Servers};
pub use page::page;

use access::{AlertmanagerAccess, GrafanaAccess, Identity, OptionalUrl, PrometheusAccess, Url};

/// Settings of the operator.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// YAML file with settings, under the names of the flags: `resync: 5m`. A flag and the environment come before it.
    #[arg(long, env = "OBSERVED_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// How Prometheus is reached.
    #[command(flatten)]
    pub prometheus: PrometheusAccess,

    /// How Alertmanager is reached.
    #[command(flatten)]
    pub alertmanager: AlertmanagerAccess,

    /// How Grafana is reached.
    #[command(flatten)]
    pub grafana: GrafanaAccess,

    /// Look after this namespace only. Default: all of them.
    #[arg(long, env = "OBSERVED_WATCH_NAMESPACE", value_name = "NAMESPACE")]
    pub watch_namespace: Option<String>,

    /// Namespaces whose exporters a service of another namespace may name (spec.dependencies), separated by commas; * for
    /// all. Default: none, so that nobody sees what another namespace's series say.
    #[arg(
        long,
        env = "OBSERVED_DEPENDENCY_NAMESPACES",
        value_name = "NAMESPACES",
        value_delimiter = ','
    )]
    pub dependency_namespaces: Vec<String>,

    /// Address of /livez, /readyz and, without --metrics-listen, /metrics.
    #[arg(
        long,
        env = "OBSERVED_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080"
    )]
    pub listen: SocketAddr,

    /// Address where /metrics is served by HTTPS to whoever shows the bearer token of somebody who may `get` the
    /// nonResourceURL /metrics, by a TokenReview and a SubjectAccessReview; then it is not served at --listen. It needs the
    /// rights that `observed rbac --secure-metrics` prints. Default: /metrics is served at --listen to everybody.
    #[arg(long, env = "OBSERVED_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,

    /// File that holds the certificate, in PEM, of --metrics-listen, and those between it and its CA. Read again within 10 s
    /// of its renewal. Default: one is made at each start, which keeps tokens secret and cannot be verified.
    #[arg(
        long,
        env = "OBSERVED_METRICS_CERT_FILE",
        value_name = "FILE",
        requires_all = ["metrics_key_file", "metrics_listen"]
    )]
    pub metrics_cert_file: Option<PathBuf>,

    /// File that holds the private key, in PEM, of the certificate in --metrics-cert-file. Read again with it.
    #[arg(
        long,
        env = "OBSERVED_METRICS_KEY_FILE",
        value_name = "FILE",
        requires_all = ["metrics_cert_file", "metrics_listen"]
    )]
    pub metrics_key_file: Option<PathBuf>,

    /// Form of the log, on standard error. Its level is set by RUST_LOG, for instance RUST_LOG=observed=debug.
    #[arg(long, env = "OBSERVED_LOG", value_enum, default_value = "text")]
    pub log: LogFormat,

    /// Base URL of what receives traces by OTLP/HTTP, in protobuf: they are sent to /v1/traces below it, one for each
    /// reconcile. OTEL_EXPORTER_OTLP_HEADERS, OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME of the environment count.
    /// Default: no traces.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "URL",
        value_parser = OptionalUrl(Url {
            flag: "otlp-endpoint",
            no_user: "it may hold no user and no password: put a header into OTEL_EXPORTER_OTLP_HEADERS of the environment",
        })
    )]
    otlp_endpoint: Option<String>,

    /// Time between two looks at a service that is as it should be. Up to a tenth is added or taken away, so that many
    /// services do not come at once.
    #[arg(long, env = "OBSERVED_RESYNC", value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    pub resync: Duration,

    /// Lease by which operators agree on who works, in the operator's own namespace. Another name for each that works beside
    /// others, in a namespace of its own.
    #[arg(long, env = "OBSERVED_LEASE_NAME", value_name = "NAME", default_value = rbac::NAME)]
    pub lease_name: String,

    /// Time after which another one takes over from an operator that is gone without a word. It ends itself after two
    /// thirds of that if it cannot renew the Lease.
    #[arg(long, env = "OBSERVED_LEASE_DURATION", value_name = "DURATION", default_value = "15s", value_parser = parse_duration)]
    pub lease_duration: Duration,

    /// Do something about alerts that go on firing, as `spec.remediation` of each service says, and nothing else: a process
    /// of its own, beside the operator and with other rights, which `observed rbac --remediation` prints. Its Lease has
    /// the name of --lease-name and "-remediator".
    #[arg(
        long,
        env = "OBSERVED_REMEDIATE",
        value_name = "BOOL",
        default_value_t = false,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub remediate: bool,

    /// Services that are worked on at once.
    #[arg(long, env = "OBSERVED_CONCURRENCY", value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
}

impl Settings {
    /// How Prometheus, Alertmanager and Grafana are reached.
    pub fn servers(&self) -> Servers {
        Servers {
            prometheus: (&self.prometheus).into(),
            alertmanager: (&self.alertmanager).into(),
            grafana: (&self.grafana).into(),
        }
    }

    /// Name of the Lease of what this process does.
    pub fn lease(&self) -> String {
        if self.remediate {
            rbac::remediator(&self.lease_name)
        } else {
            self.lease_name.clone()
        }
    }

    /// Base URL of what receives traces, without a `/` at the end, if something does.
    pub fn otlp_endpoint(&self) -> Option<&str> {
        // OpenTelemetry says that an empty variable is as good as none.
        self.otlp_endpoint.as_deref().filter(|url| !url.is_empty())
    }

    /// The certificate of the secured metrics, if there is one.
    pub fn metrics_identity(&self) -> Option<Identity> {
        let files = self.metrics_cert_file.clone().zip(self.metrics_key_file.clone());
        files.map(|(cert_file, key_file)| Identity { cert_file, key_file })
    }

    /// The namespaces whose exporters a service of another one may name. None: all of them.
    pub fn dependency_namespaces(&self) -> Option<BTreeSet<String>> {
        let all = self.dependency_namespaces.iter().any(|namespace| namespace == "*");
        (!all).then(|| self.dependency_namespaces.iter().cloned().collect())
    }
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let seconds = duration::seconds(text).ok_or("not a duration: write it as 90s, 5m or 1h")?;
    Ok(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    #[test]
    fn without_arguments_the_documented_defaults_hold() {
        let settings = Line::try_parse_from(["observed"]).unwrap().settings;
        assert_eq!(settings.resync, Duration::from_secs(60));
        assert_eq!(settings.concurrency, 8);
        assert_eq!(settings.lease_name, "observed");
        assert_eq!((settings.remediate, settings.lease()), (false, "observed".to_owned()));
        assert_eq!(settings.lease_duration, Duration::from_secs(15));
        assert_eq!(settings.listen.port(), 8080);
        assert_eq!(settings.log, LogFormat::Text);
        assert_eq!(settings.otlp_endpoint(), None);
    }

    #[test]
    fn where_traces_go_has_no_slash_at_its_end_and_what_is_empty_is_nowhere() {
        for (given, expected) in [
            ("http://collector:4318/", Some("http://collector:4318")),
            ("https://example.org/otlp", Some("https://example.org/otlp")),
            ("", None),
        ] {
            let line = Line::try_parse_from(["observed", "--otlp-endpoint", given]).unwrap();
            assert_eq!(line.settings.otlp_endpoint(), expected);
        }
        let refused = Line::try_parse_from(["observed", "--otlp-endpoint", "http://user:hunter2@collector"]);
        let words = refused.err().unwrap().to_string();
        assert!(
            words.contains("OTEL_EXPORTER_OTLP_HEADERS") && !words.contains("hunter2"),
            "{words}"
        );
    }

    #[test]
    fn what_remediates_has_a_lease_of_its_own() {
        let read = |arguments: &[&str]| {
            Line::try_parse_from(["observed"].iter().chain(arguments))
                .unwrap()
                .settings
        };
        for on in ["--remediate", "--remediate=true"] {
            assert_eq!(read(&[on, "--lease-name=a"]).lease(), "a-remediator");
        }
        assert_eq!(read(&["--remediate=false", "--lease-name=a"]).lease(), "a");
    }

    #[test]
    fn exporters_of_other_namespaces_are_named_only_where_that_is_allowed() {
        let allowed = |arguments: &[&str]| {
            let line = Line::try_parse_from(["observed"].iter().chain(arguments)).unwrap();
            line.settings
                .dependency_namespaces()
                .map(|names| names.into_iter().collect::<Vec<_>>())
        };
        assert_eq!(allowed(&[]), Some(Vec::new()));
        let two = Some(vec!["data".to_owned(), "monitoring".to_owned()]);
        assert_eq!(allowed(&["--dependency-namespaces=monitoring,data"]), two);
        assert_eq!(allowed(&["--dependency-namespaces=*"]), None);
    }

    #[test]
    fn a_certificate_of_the_metrics_needs_its_key_and_an_address_and_all_that_lacks_is_told_at_once() {
        let read = |arguments: &[&str]| Line::try_parse_from(["observed"].iter().chain(arguments));
        let all = [
            "--metrics-listen=0.0.0.0:8443",
            "--metrics-cert-file=/c",
            "--metrics-key-file=/k",
        ];
        let settings = read(&all).unwrap().settings;
        assert_eq!(settings.metrics_listen.unwrap().port(), 8443);
        assert_eq!(settings.metrics_identity().unwrap().key_file, PathBuf::from("/k"));
        assert!(read(&all[..1]).unwrap().settings.metrics_identity().is_none());
        for (given, lacks) in [
            (&all[1..2], &["--metrics-listen", "--metrics-key-file"][..]),
            (&all[2..], &["--metrics-listen", "--metrics-cert-file"]),
            (&all[..2], &["--metrics-key-file"]),
            (&all[1..], &["--metrics-listen"]),
        ] {
            let words = read(given).err().unwrap().to_string();
            for lacks in lacks {
                assert!(words.contains(&format!("{lacks} <")), "{given:?}: {words}");
            }
        }
    }

    #[test]
    fn a_value_that_makes_no_sense_is_refused_at_the_start() {
        for wrong in [
            ["--prometheus-url", "prometheus:9090"],
            ["--prometheus-url", "file:///etc/passwd"],
            ["--grafana-url", "grafana"],
            ["--otlp-endpoint", "collector:4318"],
            ["--otlp-endpoint", "http://collector:4318/?x=y"],
            ["--grafana-token-file", "/token"],
            ["--resync", "0s"],
            ["--resync", "soon"],
            ["--concurrency", "0"],
            ["--listen", "everywhere"],
            ["--metrics-listen", "8443"],
        ] {
            assert!(
                Line::try_parse_from(std::iter::once("observed").chain(wrong)).is_err(),
                "{wrong:?}"
            );
        }
    }
}
