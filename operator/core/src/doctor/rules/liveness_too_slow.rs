use super::super::kind::{Kind, Need};
use super::super::{Found, Rule, Severity, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "liveness-too-slow",
    title: "Liveness probes time out",
    effect: "Pods are restarted although they are alive: often because one blocking call, such as a database ping in an `async def`, \
             holds up every other request",
    fix: "Let `/health` touch nothing; run blocking checks in a thread with a timeout (`asyncio.wait_for`) and keep their result for \
          some seconds; then give the probe 3 s or more",
    needs: &[Need::Objects(Kind::Event)],
    find,
};

/// How the kubelet says that a probe got no answer in time.
const TIMED_OUT: [&str; 3] = ["context deadline exceeded", "Client.Timeout exceeded", "i/o timeout"];

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for event in snapshot.of(Kind::Event) {
        let message = event.text("/message").unwrap_or_default();
        let liveness = event.text("/reason") == Some("Unhealthy") && message.starts_with("Liveness probe failed");
        if !liveness || !TIMED_OUT.iter().any(|words| message.contains(words)) {
            continue;
        }
        let pod = (
            event.text("/involvedObject/namespace"),
            event.text("/involvedObject/name"),
        );
        let (Some(namespace), Some(name)) = pod else { continue };
        let Some(pod) = snapshot.find(Kind::Pod, namespace, name) else {
            continue;
        };
        let times = [event.at("/count"), event.at("/series/count")]
            .iter()
            .find_map(|count| count.as_i64())
            .unwrap_or(1);
        let evidence = format!("{times} times: {message}");
        let fix = "Let the liveness path touch no dependency and block nothing, then raise timeoutSeconds";
        found.push(Found::new(Severity::Warning, pod, evidence, fix));
    }
    found
}
