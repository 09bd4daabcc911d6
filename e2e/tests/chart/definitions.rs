//! `observed crds apply` on a real API server: it installs and upgrades, takes over nothing without being told to, and what is older is told.

use std::process::Command;

use observed_e2e::Cluster;

use super::helm::{chart_with, program};
use super::life::{CRD, control_plane};

/// Exit status and both outputs of the program on a cluster.
async fn observed(cluster: &Cluster, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(program().await)
        .args(arguments)
        .env("KUBECONFIG", cluster.kubeconfig())
        .output()
        .unwrap();
    let words = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(words).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_upgrades_its_definitions_and_takes_over_none_without_being_told_to() {
    let cluster = control_plane().await;
    let looked = async || observed(&cluster, &["doctor", "--in-cluster"]).await;
    let (code, words) = looked().await;
    assert_eq!(code, 1, "{words}");
    assert!(
        words.contains("error    definitions: the CRDs are not there: observed crds apply"),
        "{words}"
    );

    for words in ["created", "unchanged"] {
        let (code, printed) = observed(&cluster, &["crds", "apply"]).await;
        let lines = format!("observedservices.observed.rs: {words}\nsignalpacks.observed.rs: {words}\n");
        assert_eq!((code, printed), (0, lines));
    }
    // The API server serves the schema of a new definition a moment after it has taken it.
    let served = async || {
        let (_, words) = looked().await;
        if words.contains("ok       definitions") {
            Ok(words)
        } else {
            Err(words)
        }
    };
    let words = observed_e2e::wait::until(super::life::SOON, "the schema to be served", served)
        .await
        .unwrap();
    assert!(words.contains("ok       rights"), "{words}");
    assert!(
        words.contains("error    lease: nobody holds the Lease observed"),
        "{words}"
    );

    // Somebody else applies older ones.
    let older = chart_with(CRD, "              paused:\n", "              halted:\n");
    cluster
        .apply(&std::fs::read_to_string(older.path().join(CRD)).unwrap())
        .await
        .unwrap();
    let look = async || {
        let (_, words) = looked().await;
        let lacks = words.contains("error    definitions: the CRDs in the cluster are older than this observed");
        if lacks && words.contains("they lack ObservedService spec.paused.") {
            Ok(())
        } else {
            Err(words)
        }
    };
    observed_e2e::wait::until(super::life::SOON, "the older schema to be served", look)
        .await
        .unwrap();

    let (code, words) = observed(&cluster, &["crds", "apply"]).await;
    assert_eq!(code, 1, "{words}");
    assert!(
        words.contains("To take them over: observed crds apply --force-conflicts"),
        "{words}"
    );
    let (code, words) = observed(&cluster, &["crds", "apply", "--force-conflicts"]).await;
    assert_eq!(code, 0, "{words}");
    assert!(words.starts_with("observedservices.observed.rs: upgraded\n"), "{words}");
    observed_e2e::wait::until(super::life::SOON, "the upgraded schema to be served", served)
        .await
        .unwrap();
    cluster.stop().await.unwrap();
}
