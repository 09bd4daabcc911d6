//! Who is trusted, who asks, and that what is secret goes to one address and into no message.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use axum::http::HeaderMap;

use super::*;
use crate::settings::access::Identity;

const SECRET: &str = "hunter2";

/// A Prometheus that speaks TLS with a certificate for this name, and that certificate in PEM.
fn tls(name: &str) -> (String, String) {
    crate::mock::provide_tls();
    let key = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let secret = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![key.cert.der().clone()], secret).unwrap());
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let body = json!({"data": targets(&[target(POOL, "up", "")])}).to_string();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let server = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = BufReader::new(rustls::StreamOwned::new(server, connection.unwrap()));
            if stream.read_line(&mut String::new()).is_ok_and(|read| read > 0) {
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
                let stream = stream.get_mut();
                let _ = stream.write_all(answer.as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    (format!("https://localhost:{port}"), key.cert.pem())
}

fn file(held: &str) -> (tempfile::NamedTempFile, PathBuf) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), held).unwrap();
    let path = file.path().to_owned();
    (file, path)
}

/// What a Prometheus resource at this address is told to be, when it is asked so.
async fn found(url: &str, client: &Prometheus) -> Verdict {
    let facts = Facts {
        namespace: "prod".into(),
        prometheuses: vec![prometheus("main", url, Some(LabelSelector::default()))],
        ..Default::default()
    };
    verify(&backends(&facts, client), &[targets_check(1)]).await.remove(0)
}

#[tokio::test]
async fn https_is_asked_where_the_ca_is_named_and_what_is_not_trusted_is_unknown_in_words() {
    let ((url, pem), (_, other)) = (tls("localhost"), tls("localhost"));
    let with = |ca_file| {
        let access = Access {
            ca_file,
            ..Access::default()
        };
        asking(Server::Prometheus, access)
    };
    let (_held, right) = file(&pem);
    let client = with(Some(right.clone()));
    let verdict = found(&url, &client).await;
    assert_eq!(verdict.truth, Truth::True, "{verdict:?}");

    let (_held, wrong) = file(&other);
    let (_held, empty) = file("not a certificate");
    let (elsewhere, its) = tls("elsewhere");
    let (_held, its) = file(&its);
    let (plain, _) = fake(targets(&[]), no_rules()).await;
    let plain = plain.replace("http:", "https:");
    for (url, ca, words) in [
        (&url, None, "name it with --prometheus-ca-file"),
        (
            &url,
            Some(wrong),
            "see whether --prometheus-ca-file holds the right one",
        ),
        (&url, Some(empty), "holds no certificate in PEM"),
        (&url, Some("/no/such/ca".into()), "/no/such/ca"),
        (&elsewhere, Some(its), "is one for another name"),
        (&plain, Some(right.clone()), "does not speak TLS"),
    ] {
        let verdict = found(url, &with(ca)).await;
        assert_eq!(
            (verdict.truth, verdict.reason),
            (Truth::Unknown, Reason::Unreachable),
            "{words}: {verdict:?}"
        );
        assert!(verdict.message.contains(words), "{words}: {}", verdict.message);
    }
}

#[tokio::test]
async fn a_ca_that_is_replaced_in_its_file_is_used_from_then_on() {
    let ((url, pem), (_, other)) = (tls("localhost"), tls("localhost"));
    let (_held, path) = file(&pem);
    let access = Access {
        ca_file: Some(path.clone()),
        ..Access::default()
    };
    let client = asking(Server::Prometheus, access);
    assert!(client.fetch(&url, "/api/v1/targets", &[]).await.is_ok());
    std::fs::write(&path, other).unwrap();
    assert!(client.fetch(&url, "/api/v1/targets", &[]).await.is_err());
    std::fs::write(&path, pem).unwrap();
    assert!(client.fetch(&url, "/api/v1/targets", &[]).await.is_ok());
}

#[tokio::test]
async fn a_certificate_is_shown_to_the_address_of_the_settings_alone_and_one_of_no_use_is_told_without_its_key() {
    let (url, pem) = tls("localhost");
    let (_held, ca) = file(&pem);
    let (_held, key_file) = file(SECRET);
    let showing = |url: &str| {
        let access = Access {
            url: Some(url.to_owned()),
            ca_file: Some(ca.clone()),
            identity: Some(Identity {
                cert_file: ca.clone(),
                key_file: key_file.clone(),
            }),
            ..Access::default()
        };
        asking(Server::Prometheus, access)
    };
    let told = showing(&url).fetch(&url, "/api/v1/targets", &[]).await;
    let told = told.unwrap_err().to_string();
    assert!(told.contains("to which the key in") && !told.contains(SECRET), "{told}");
    let elsewhere = showing("https://prometheus.example.org");
    assert!(elsewhere.fetch(&url, "/api/v1/targets", &[]).await.is_ok());
}

/// A Prometheus under the path `/prefix` that answers whoever sends these headers, and says who sent what.
async fn guarded(wanted: &'static [(&'static str, &'static str)]) -> String {
    let up = json!({"data": targets(&[target(POOL, "up", "")])}).to_string();
    let answer = async move |headers: HeaderMap| {
        let has = |(name, value): &(&str, &str)| headers.get(*name).is_some_and(|sent| sent == *value);
        match wanted.iter().all(has) {
            true => (StatusCode::OK, up.clone()),
            false if wanted[0].0 == "x-scope-orgid" => (StatusCode::UNAUTHORIZED, "no org id\n".to_owned()),
            false => (StatusCode::UNAUTHORIZED, "Unauthorized\n".to_owned()),
        }
    };
    serve(Router::new().route("/prefix/api/v1/targets", get(answer))).await + "/prefix"
}

const BEARER: &[(&str, &str)] = &[("authorization", "Bearer hunter2")];
/// `team:hunter2`
const BASIC: &[(&str, &str)] = &[("authorization", "Basic dGVhbTpodW50ZXIy")];
const TENANT: &[(&str, &str)] = &[("x-scope-orgid", "team-a")];

#[tokio::test]
async fn a_token_a_password_and_a_tenant_are_sent_and_read_anew_at_each_request() {
    for (wanted, right, is_token) in [(BEARER, "hunter2\n", true), (BASIC, "team:hunter2\n", false)] {
        let url = guarded(wanted).await;
        let (_held, path) = file("team:wrong");
        let named = Some(path.clone());
        let access = Access {
            url: Some(url.clone()),
            token_file: named.clone().filter(|_| is_token),
            basic_auth_file: named.filter(|_| !is_token),
            ..Access::default()
        };
        let client = asking(Server::Prometheus, access);
        let error = client
            .fetch(&url, "/api/v1/targets", &[])
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("HTTP 401") && error.contains(path.to_str().unwrap()),
            "{error}"
        );
        assert!(!error.contains("wrong"), "{error}");
        std::fs::write(&path, right).unwrap();
        assert!(client.fetch(&url, "/api/v1/targets", &[]).await.is_ok());
        // An empty file, and one that is not written as it should be.
        for held in ["", if is_token { "hunter2\nhunter2" } else { SECRET }] {
            std::fs::write(&path, held).unwrap();
            let error = client
                .fetch(&url, "/api/v1/targets", &[])
                .await
                .unwrap_err()
                .to_string();
            assert!(error.contains("cannot be read") && !error.contains(SECRET), "{error}");
        }
    }
    let url = guarded(TENANT).await;
    let tenant = |value: &'static str| {
        let header = crate::settings::access::Header {
            name: "x-scope-orgid".parse().unwrap(),
            value: value.parse().unwrap(),
        };
        let access = Access {
            url: Some(url.clone()),
            headers: vec![header],
            ..Access::default()
        };
        asking(Server::Prometheus, access)
    };
    assert!(tenant("team-a").fetch(&url, "/api/v1/targets", &[]).await.is_ok());
    let error = tenant("")
        .fetch(&url, "/api/v1/targets", &[])
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("--prometheus-header 'X-Scope-OrgID: TENANT'"), "{error}");
}

#[tokio::test]
async fn what_is_secret_is_sent_to_no_other_address_and_to_no_other_kind_of_server() {
    let (_held, path) = file(SECRET);
    let url = guarded(BEARER).await;
    let elsewhere = |server| {
        let access = Access {
            url: Some("http://prometheus.example.org".into()),
            token_file: Some(path.clone()),
            ..Access::default()
        };
        asking(server, access)
    };
    let verdict = found(&url, &elsewhere(Server::Prometheus)).await;
    assert_eq!(verdict.truth, Truth::Unknown, "{verdict:?}");
    assert!(
        verdict.message.contains("sent to no address but that of the settings"),
        "{}",
        verdict.message
    );
    let named = Access {
        url: Some(url.clone()),
        token_file: Some(path.clone()),
        ..Access::default()
    };
    assert_eq!(
        found(&url, &asking(Server::Alertmanager, named.clone())).await.truth,
        Truth::Unknown
    );
    assert_eq!(found(&url, &asking(Server::Prometheus, named)).await.truth, Truth::True);
}
