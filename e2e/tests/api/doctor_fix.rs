//! `observed doctor --fix` on a real API server: a change is made after a yes at a terminal, and never otherwise, nor
//! where somebody else manages what would change.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kube::api::DynamicObject;

use super::doctor::{HEALTHY, doctor, found};
use super::operator::{MONITOR, Monitoring, Stage, program};

const QUESTION: &str = "make this change? [y/N] ";
const LABELLED: &str = "name: shop, namespace: NAMESPACE, labels: {stage: NAMESPACE}}\nspec: {selector";

/// The program at a terminal, which `script` gives it, up to its first question.
struct Asking {
    child: Child,
    said: String,
}

impl Asking {
    async fn start(kubeconfig: &Path, namespace: &str) -> Self {
        let command = format!("{} doctor -n {namespace} --fix", program().await.display());
        let child = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env("KUBECONFIG", kubeconfig)
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut asking = Self {
            child,
            said: String::new(),
        };
        let out = asking.child.stdout.as_mut().unwrap();
        let mut byte = [0];
        let mut said = Vec::new();
        while !said.ends_with(QUESTION.as_bytes()) {
            if out.read(&mut byte).unwrap() == 0 {
                panic!("it ended without a question: {}", String::from_utf8_lossy(&said));
            }
            said.push(byte[0]);
        }
        asking.said = String::from_utf8(said).unwrap();
        asking
    }

    /// What it says all in all, and its exit status.
    fn answer(mut self, answer: &str) -> (Option<i32>, String) {
        let mut stdin = self.child.stdin.take().unwrap();
        writeln!(stdin, "{answer}").unwrap();
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut self.said)
            .unwrap();
        drop(stdin);
        (self.child.wait().unwrap().code(), self.said)
    }
}

#[tokio::test]
async fn a_change_is_shown_and_made_only_after_a_yes_and_never_to_what_others_manage() {
    let stage = Stage::own(Monitoring::Installed, "doctor-fix").await;
    let admin = stage.cluster.kubeconfig().to_owned();
    let namespace = stage.namespace.clone();
    let unlabelled = HEALTHY.replace(LABELLED, "name: shop, namespace: NAMESPACE}\nspec: {selector");
    assert_ne!(unlabelled, HEALTHY);
    stage.apply(&unlabelled).await;
    let before = monitor(&stage).await;
    let added = format!("+    stage: {namespace}");

    // Nobody is there to say yes, whatever stands on standard input.
    let mut child = Command::new(program().await)
        .args(["doctor", "-n", &namespace, "--fix"])
        .env("KUBECONFIG", &admin)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"y\ny\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&added), "{said}");
    assert!(
        said.contains("nothing was changed: standard input is no terminal"),
        "{said}"
    );
    assert!(!said.contains(QUESTION), "{said}");
    assert_eq!(monitor(&stage).await, before);

    for no in ["", "n", "yess"] {
        let (status, said) = Asking::start(&admin, &namespace).await.answer(no);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("left as it is"), "{said}");
        assert_eq!(monitor(&stage).await, before, "{no:?}");
    }

    // Somebody changes it while the question stands.
    let asking = Asking::start(&admin, &namespace).await;
    stage.apply(&unlabelled.replace("interval: 30s", "interval: 45s")).await;
    let changed = monitor(&stage).await;
    let (status, said) = asking.answer("y");
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("not changed: it has changed since it was looked at"),
        "{said}"
    );
    assert_eq!(monitor(&stage).await, changed);

    let (status, said) = Asking::start(&admin, &namespace).await.answer("y");
    assert!(said.contains(&added), "{said}");
    assert!(said.contains("1 of 1 changes were made"), "{said}");
    assert_eq!(status, Some(0), "{said}");
    let (_, told) = doctor(&admin, &["-n", &namespace]).await;
    assert_eq!(found(&told), Vec::<String>::new(), "{told:#}");

    // The label has another value, and that is of whoever applied it.
    let elsewhere = HEALTHY.replace(LABELLED, &LABELLED.replace("stage: NAMESPACE", "stage: kps"));
    stage.apply(&elsewhere).await;
    let before = monitor(&stage).await;
    let (status, said) = Asking::start(&admin, &namespace).await.answer("y");
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("not changed: somebody else manages what would change"),
        "{said}"
    );
    assert!(said.contains(".metadata.labels.stage"), "{said}");
    assert_eq!(monitor(&stage).await, before);
}

/// The monitor as it is.
async fn monitor(stage: &Stage) -> DynamicObject {
    stage.objects(MONITOR).get("shop").await.unwrap()
}
