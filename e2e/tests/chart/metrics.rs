//! How the metrics of the operator are served and scraped when not everybody may read them.

use serde_json::Value;

use super::helm::{chart, only, render};

#[tokio::test]
async fn metrics_for_who_may_read_them_are_scraped_by_tls_with_a_token() {
    let endpoint = async |options: &str| {
        let all = format!("serviceMonitor.enabled=true,networkPolicy.enabled=true,{options}");
        let rendered = render(&chart(), &["--set", &all]).await.unwrap();
        let ports = |value: &Value, field: &str| -> Vec<String> {
            let ports = value.as_array().unwrap().iter();
            ports.map(|port| port[field].as_str().unwrap().to_owned()).collect()
        };
        let container = &only(&rendered, "Deployment")["spec"]["template"]["spec"]["containers"][0];
        let of_pod = ports(&container["ports"], "name");
        // The kubelet has no token.
        for probe in ["livenessProbe", "readinessProbe"] {
            assert_eq!(container[probe]["httpGet"]["port"], "http");
        }
        assert_eq!(
            ports(&only(&rendered, "Service")["spec"]["ports"], "targetPort"),
            of_pod
        );
        let policy = &only(&rendered, "NetworkPolicy")["spec"]["ingress"][0]["ports"];
        assert_eq!(ports(policy, "port"), of_pod);
        let endpoint = only(&rendered, "ServiceMonitor")["spec"]["endpoints"][0].clone();
        assert!(of_pod.contains(&endpoint["port"].as_str().unwrap().to_owned()));
        endpoint
    };
    let open = endpoint("metrics.secure=false").await;
    assert_eq!(open["port"], "http");
    for field in ["scheme", "tlsConfig", "authorization", "bearerTokenFile"] {
        assert!(open[field].is_null(), "{open}");
    }
    let own = endpoint("metrics.secure=true").await;
    let token = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    assert_eq!((&own["port"], &own["scheme"]), (&"metrics".into(), &"https".into()));
    assert_eq!(own["bearerTokenFile"], token);
    assert_eq!(own["tlsConfig"], serde_json::json!({"insecureSkipVerify": true}));

    let all = "metrics.secure=true,metrics.certSecret.name=cert,serviceMonitor.tokenSecret.name=token";
    let given = endpoint(all).await;
    let credentials = serde_json::json!({"credentials": {"name": "token", "key": "token"}});
    assert_eq!(given["authorization"], credentials);
    assert!(given["bearerTokenFile"].is_null(), "{given}");
    let tls = serde_json::json!({
        "ca": {"secret": {"name": "cert", "key": "ca.crt"}}, "serverName": "observed.observed-system.svc",
    });
    assert_eq!(given["tlsConfig"], tls);
    for (lonely, words) in [
        ("metrics.certSecret.name=a", "metrics.certSecret needs metrics.secure"),
        (
            "serviceMonitor.tokenSecret.name=a",
            "serviceMonitor.tokenSecret needs metrics.secure",
        ),
    ] {
        let refused = render(&chart(), &["--set", lonely]).await.unwrap_err();
        assert!(refused.contains(words), "{refused}");
    }
}
