//! The last error of a target, as Prometheus words it, and what it means.

use std::collections::BTreeMap;

/// Why a scrape failed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, strum::EnumIter)]
pub enum Cause {
    /// Nothing listens on the port.
    Refused,
    /// No answer within the scrape timeout.
    TimedOut,
    /// The connection came about, and was cut off before an answer.
    CutOff,
    /// HTTP 404.
    NotFound,
    /// HTTP 401 or 403.
    Unauthorized,
    /// Another HTTP status.
    Status,
    /// A Content-Type that Prometheus 3 does not take.
    ContentType,
    /// The page is not of the text format.
    NotText,
    /// The certificate is not accepted.
    Certificate,
    /// HTTPS was spoken to a plain HTTP server.
    PlainHttp,
    /// What answers speaks no HTTP.
    NotHttp,
    /// The name of the host is unknown.
    UnknownHost,
    /// More samples than the sample limit.
    SampleLimit,
    /// More labels, or longer ones, than the monitor allows.
    LabelLimit,
    /// A larger page than the body size limit.
    BodyTooLarge,
    /// Something else.
    Other,
}

/// Parts of the error's text, in lower case, and what they mean. The first that is found counts.
const DICTIONARY: [(&str, Cause); 26] = [
    // What follows is the page's own text, which may have any words.
    ("while parsing", Cause::NotText),
    ("sample limit exceeded", Cause::SampleLimit),
    ("label_limit exceeded", Cause::LabelLimit),
    ("label_name_length_limit", Cause::LabelLimit),
    ("label_value_length_limit", Cause::LabelLimit),
    ("body size limit exceeded", Cause::BodyTooLarge),
    ("unsupported content-type", Cause::ContentType),
    ("non-compliant scrape target", Cause::ContentType),
    ("invalid metric type", Cause::NotText),
    ("server gave http response to https client", Cause::PlainHttp),
    ("first record does not look like a tls handshake", Cause::PlainHttp),
    ("tls: certificate required", Cause::Unauthorized),
    ("tls: bad certificate", Cause::Unauthorized),
    ("x509:", Cause::Certificate),
    ("tls: ", Cause::Certificate),
    ("malformed http", Cause::NotHttp),
    ("no such host", Cause::UnknownHost),
    ("connection refused", Cause::Refused),
    ("connection reset by peer", Cause::CutOff),
    ("broken pipe", Cause::CutOff),
    ("context deadline exceeded", Cause::TimedOut),
    ("i/o timeout", Cause::TimedOut),
    ("http status 404", Cause::NotFound),
    ("http status 401", Cause::Unauthorized),
    ("http status 403", Cause::Unauthorized),
    ("http status", Cause::Status),
];

/// How Go ends the text when the other side hung up without a word.
const HUNG_UP: &str = "eof";

/// By what in an error each cause is known, in lower case.
pub fn dictionary() -> BTreeMap<Cause, Vec<&'static str>> {
    let mut parts: BTreeMap<Cause, Vec<&'static str>> = BTreeMap::new();
    for (part, cause) in DICTIONARY.into_iter().chain([(HUNG_UP, Cause::NotHttp)]) {
        parts.entry(cause).or_default().push(part);
    }
    parts
}

/// What the last error of a target means.
pub fn cause(last_error: &str) -> Cause {
    let text = last_error.to_ascii_lowercase();
    let found = DICTIONARY.iter().find(|(part, _)| text.contains(part));
    match found {
        Some((_, cause)) => *cause,
        None if text.trim_end().ends_with(HUNG_UP) => Cause::NotHttp,
        None => Cause::Other,
    }
}

impl Cause {
    /// What it means.
    pub fn words(self) -> &'static str {
        match self {
            Self::Refused => "nothing listens on that port of the pod, or only on 127.0.0.1",
            Self::TimedOut => "the page took longer than the scrape timeout, or a NetworkPolicy drops the request",
            Self::CutOff => {
                "the connection was cut off before an answer: by a mesh that takes nothing but mTLS, by a server that wants a client \
                 certificate, by a firewall, or because the process ended"
            }
            Self::NotFound => "there is no page at that path",
            Self::Unauthorized => "the page wants credentials or a client certificate",
            Self::Status => "the page answers with an error",
            Self::ContentType => "Prometheus 3 does not take the page's Content-Type",
            Self::NotText => "the page is not of the metrics text format, but HTML or JSON",
            Self::Certificate => "the certificate is not accepted",
            Self::PlainHttp => "the port speaks plain HTTP, and HTTPS was asked for",
            Self::NotHttp => "what listens there speaks no HTTP, or HTTPS where HTTP was asked for",
            Self::UnknownHost => "the host name of the target does not resolve",
            Self::SampleLimit => "the page has more samples than the limit, and then all of them are dropped",
            Self::LabelLimit => "a series has more or longer labels than the limit, and then the whole page is dropped",
            Self::BodyTooLarge => "the page is larger than the limit, and then all of it is dropped",
            Self::Other => "the scrape failed",
        }
    }

    /// What would mend it.
    pub fn next_step(self) -> &'static str {
        match self {
            Self::Refused => "Name the port that serves metrics, and let the server listen on 0.0.0.0",
            Self::TimedOut => {
                "Measure the page from inside the cluster; then raise scrapeTimeout, or allow Prometheus in the NetworkPolicy"
            }
            Self::CutOff => {
                "In a mesh with strict mTLS exempt the port of the metrics or scrape through the mesh; else look for restarts and into \
                 the log of the pod at the time of the scrape"
            }
            Self::NotFound => "Set path to where the metrics are",
            Self::Unauthorized => "Give the monitor authorization, basicAuth or tlsConfig",
            Self::Status => "Look into the log of the pod at the time of the scrape",
            Self::ContentType => {
                "Serve it as text/plain; version=0.0.4. In FastAPI: return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST). \
                 Only if the body is right as it stands: fallbackScrapeProtocol: PrometheusText0.0.4"
            }
            Self::NotText => "Set path and port to the page of the metrics",
            Self::Certificate => "Set tlsConfig.ca and tlsConfig.serverName, or scheme: http if the port speaks no TLS",
            Self::PlainHttp => "Set scheme: http",
            Self::NotHttp => "Scrape an exporter, not the database or cache itself; or set scheme: https",
            Self::UnknownHost => "Correct the target's address",
            Self::SampleLimit => {
                "Find the label that has so many values; if all of them are wanted, set sampleLimit to three times of what the page has"
            }
            Self::LabelLimit => "Find the series with those labels, or raise the limit",
            Self::BodyTooLarge => "Find what makes the page so large, or raise bodySizeLimit",
            Self::Other => "See the target's page in Prometheus (Status, Target health)",
        }
    }

    /// The field of an ObservedService that stands for what the next step names of a monitor, if there is one: a monitor
    /// that Observed makes is not to be edited.
    pub fn field(self) -> Option<&'static str> {
        match self {
            Self::Refused => Some("spec.scrape.port"),
            Self::TimedOut => Some("spec.scrape.timeout"),
            Self::NotFound => Some("spec.scrape.path"),
            Self::NotText => Some("spec.scrape.path and spec.scrape.port"),
            Self::SampleLimit => Some("spec.scrape.limits.samples"),
            Self::LabelLimit => Some("spec.scrape.limits.labels"),
            Self::BodyTooLarge => Some("spec.scrape.limits.bodySize"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn an_error_of_prometheus_is_told_by_what_it_means() {
        // As Prometheus 3.16 words them.
        for (error, expected) in [
            (
                "Get \"http://10.0.0.1:8000/metrics\": dial tcp 10.0.0.1:8000: connect: connection refused",
                Cause::Refused,
            ),
            (
                "Get \"http://10.0.0.1:8000/metrics\": context deadline exceeded",
                Cause::TimedOut,
            ),
            (
                "Get \"http://10.0.0.1:8000/metrics\": read tcp 10.0.0.9:40312->10.0.0.1:8000: read: connection reset by peer",
                Cause::CutOff,
            ),
            (
                "Get \"https://10.0.0.1:8443/metrics\": write tcp 10.0.0.9:40312->10.0.0.1:8443: write: broken pipe",
                Cause::CutOff,
            ),
            ("server returned HTTP status 404 Not Found", Cause::NotFound),
            ("server returned HTTP status 401 Unauthorized", Cause::Unauthorized),
            ("server returned HTTP status 403 Forbidden", Cause::Unauthorized),
            ("server returned HTTP status 500 Internal Server Error", Cause::Status),
            (
                "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target",
                Cause::ContentType,
            ),
            (
                "received unsupported Content-Type \"application/json\" and no fallback_scrape_protocol specified for target",
                Cause::ContentType,
            ),
            (
                "expected a valid start token, got \"<\" (\"INVALID\") while parsing: \"<\"",
                Cause::NotText,
            ),
            (
                "strconv.ParseFloat: parsing \"refused\": invalid syntax while parsing: \"connection refused\"",
                Cause::NotText,
            ),
            // The page's own words are no word of the network.
            (
                "expected equal, got \"broken pipe\" while parsing: \"broken pipe\"",
                Cause::NotText,
            ),
            (
                "Get \"https://10.0.0.1:8000/metrics\": http: server gave HTTP response to HTTPS client",
                Cause::PlainHttp,
            ),
            (
                "Get \"https://10.0.0.1:8000/metrics\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
                Cause::Certificate,
            ),
            (
                "Get \"https://10.0.0.1:8443/metrics\": remote error: tls: certificate required",
                Cause::Unauthorized,
            ),
            (
                "Get \"http://10.0.0.1:6379/metrics\": net/http: HTTP/1.x transport connection broken: malformed HTTP response \"-ERR wrong\"",
                Cause::NotHttp,
            ),
            ("Get \"http://10.0.0.1:5432/metrics\": EOF", Cause::NotHttp),
            (
                "Get \"http://x/metrics\": dial tcp: lookup x on 10.0.0.10:53: no such host",
                Cause::UnknownHost,
            ),
            // What follows is the page's own text, which may have any words.
            ("while parsing", Cause::NotText),
            ("sample limit exceeded", Cause::SampleLimit),
            (
                "label_limit exceeded (metric: \"a\", number of labels: 40, limit: 30)",
                Cause::LabelLimit,
            ),
            ("body size limit exceeded", Cause::BodyTooLarge),
            ("something new", Cause::Other),
        ] {
            assert_eq!(cause(error), expected, "{error}");
        }
    }

    #[test]
    fn every_cause_has_words_and_a_next_step_of_its_own() {
        let mut told = std::collections::BTreeSet::new();
        for cause in Cause::iter() {
            assert!(told.insert(cause.words()), "{cause:?}");
            assert!(
                !cause.next_step().is_empty() && !cause.next_step().ends_with('.'),
                "{cause:?}"
            );
        }
    }
}
