//! A whole cluster with a node: pods run, names resolve, limits hold, monitoring comes up, and nothing is left, however it ends.
//!
//! Needs root: `cargo test -p observed-e2e --features node`.

// Clippy knows only functions with `#[test]` as tests, and not what they share.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use observed_e2e::tools::debian::{self, Debian};
use observed_e2e::{Cache, Cluster, ControlPlane, Image, Node, Progress, Tool, Tools, monitoring, wait};
use tokio::sync::Mutex;

const SOON: Duration = Duration::from_secs(60);

/// One cluster at a time: two on two cores would only measure each other.
static ONE: Mutex<()> = Mutex::const_new(());
const EXECUTABLE: &str = env!("CARGO_BIN_EXE_cluster");
const IMAGE: &str = "observed.local/reply:1";

/// What the machine has of the kind that a cluster could leave behind. Its own namespaces only: other runs cannot change it.
fn machine() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/sys/class/net").unwrap() {
        found.insert(format!("link {}", entry.unwrap().file_name().display()));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    found.extend(points.map(|point| format!("mount {point}")));
    for setting in [
        "vm/overcommit_memory",
        "vm/panic_on_oom",
        "kernel/panic",
        "kernel/panic_on_oops",
    ] {
        let value = fs::read_to_string(Path::new("/proc/sys").join(setting)).unwrap();
        found.insert(format!("setting {setting} {value}"));
    }
    let debian = Debian::ensure(&Cache::of_user().unwrap(), &debian::NODE, &Progress::lines()).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let directories = debian
        .program_directories()
        .into_iter()
        .chain(std::env::split_paths(&path));
    let nft = Command::new("nft")
        .args(["list", "tables"])
        .env("PATH", std::env::join_paths(directories).unwrap())
        .env(
            "LD_LIBRARY_PATH",
            std::env::join_paths(debian.library_directories()).unwrap(),
        )
        .output()
        .unwrap();
    assert!(nft.status.success(), "{}", String::from_utf8_lossy(&nft.stderr));
    let tables = String::from_utf8_lossy(&nft.stdout).into_owned();
    found.extend(tables.lines().map(|table| format!("firewall {table}")));
    found
}

/// The namespaces of a process, which end with the last process in them.
fn namespaces(pid: u32) -> Vec<PathBuf> {
    let namespace = |name| fs::read_link(format!("/proc/{pid}/ns/{name}"));
    ["pid", "net", "mnt"]
        .into_iter()
        .filter_map(|name| namespace(name).ok())
        .collect()
}

/// All processes, ours included, that are in one of these namespaces.
fn processes_in(held: &[PathBuf]) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| namespaces(*pid).iter().any(|namespace| held.contains(namespace)))
        .collect()
}

/// The cgroup directories of a run.
fn cgroups(run_dir: &Path) -> Vec<PathBuf> {
    let name = format!("observed-{}", run_dir.file_name().unwrap().display());
    let controllers = fs::read_dir("/sys/fs/cgroup")
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let all = controllers.chain(["/sys/fs/cgroup".into()]);
    all.map(|path| path.join(&name)).filter(|path| path.exists()).collect()
}

fn get(address: SocketAddr, path: &str) -> Result<String, String> {
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: test\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    let answer = exchange().map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    let status = head.lines().next().unwrap_or_default().to_owned();
    if status.contains(" 200 ") {
        Ok(body.to_owned())
    } else {
        Err(format!("{status}: {body}"))
    }
}

async fn answer(address: SocketAddr, path: &str) -> String {
    let look = || async { get(address, path) };
    wait::until(SOON, path, look).await.unwrap()
}

fn kubectl(cluster: &Cluster, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(cluster.kubectl());
    let output = command
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .args(arguments)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// A pod with a Service of the same name.
fn reply(namespace: &str, name: &str, resources: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}
spec:
  containers:
  - name: reply
    image: {IMAGE}
    imagePullPolicy: Never
    ports: [{{containerPort: 8080, name: http}}]
    readinessProbe: {{httpGet: {{path: /, port: http}}, periodSeconds: 1}}
    resources: {resources}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: http}}]}}
---
"
    )
}

#[tokio::test]
async fn a_node_runs_pods_as_production_does_and_leaves_nothing_when_it_is_stopped() {
    let _alone = ONE.lock().await;
    let before = machine();
    let progress = Progress::lines();
    let node = Node {
        executable: EXECUTABLE.into(),
        monitoring: true,
    };
    let cluster = Cluster::node(node, &progress).await.unwrap();
    let held = namespaces(cluster.process_id("namespaces").unwrap());
    let run_dir = cluster.run_dir().to_owned();
    assert!(!processes_in(&held).is_empty() && !cgroups(&run_dir).is_empty());

    let tools = Tools::ensure(&[Tool::Reply], &progress).await.unwrap();
    let image = Image::new(IMAGE)
        .file(tools.path(Tool::Reply).unwrap(), "/bin/reply")
        .entrypoint("/bin/reply");
    cluster.load_image(&image).await.unwrap();
    let namespace = cluster.namespace("pods").await.unwrap();
    let pods = reply(&namespace, "free", "{}") + &reply(&namespace, "limited", "{limits: {memory: 64Mi}}");
    cluster.apply(&pods).await.unwrap();

    names_resolve_to_services_and_unknown_ones_do_not(&cluster, &namespace).await;
    logs_and_exec_reach_the_container(&cluster, &namespace).await;
    a_container_over_its_memory_limit_is_killed_and_one_without_is_not(&cluster, &namespace).await;
    monitoring::install(&cluster, &progress).await.unwrap();
    prometheus_sees_the_containers(&cluster, &namespace).await;
    a_service_without_the_port_is_told(&cluster, &namespace).await;
    a_cluster_of_others_is_forwarded_to_through_its_api_server(&cluster, &namespace).await;

    progress.line(&format!("memory at rest: {} MiB", resident_mib(&held)));
    let start = Instant::now();
    cluster.stop().await.unwrap();
    progress.line(&format!("stopped in {:.1} s", start.elapsed().as_secs_f64()));
    assert!(processes_in(&held).is_empty(), "a process is left");
    assert!(cgroups(&run_dir).is_empty(), "a cgroup is left");
    assert!(!run_dir.exists(), "files are left");
    assert_eq!(machine(), before);
}

async fn names_resolve_to_services_and_unknown_ones_do_not(cluster: &Cluster, namespace: &str) {
    let free = cluster.forward(namespace, "free", 80).await.unwrap();
    let limited = format!("/fetch?url=http://limited.{namespace}.svc.cluster.local/");
    assert_eq!(answer(free, &limited).await, "reply from limited\n");
    let nobody = get(
        free,
        &format!("/fetch?url=http://nobody.{namespace}.svc.cluster.local/"),
    );
    assert!(nobody.unwrap_err().contains("no such host"));
    let self_by_api = format!("/fetch?url=http://free.{namespace}/"); // through the Service back to itself
    assert_eq!(answer(free, &self_by_api).await, "reply from free\n");
}

async fn logs_and_exec_reach_the_container(cluster: &Cluster, namespace: &str) {
    // A second server on the port of the first ends with a message, which is all that a program in this image can be made to say.
    let second = ["--namespace", namespace, "exec", "free", "--", "/bin/reply"];
    let (fine, text) = kubectl(cluster, &second);
    assert!(!fine && text.contains("address already in use"), "{text}");
    let (fine, text) = kubectl(
        cluster,
        &["--namespace", namespace, "exec", "free", "--", "/bin/nothing"],
    );
    assert!(!fine && text.contains("no such file"), "{text}");

    let talker = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: talker, namespace: {namespace}}}, spec: {{restartPolicy: Never, containers: [{{name: reply, image: {IMAGE}, imagePullPolicy: Never, args: [no-address]}}]}}}}"
    );
    cluster.apply(&talker).await.unwrap();
    let look = || async {
        let (fine, text) = kubectl(cluster, &["--namespace", namespace, "logs", "talker"]);
        if fine && text.contains("no-address") {
            Ok(())
        } else {
            Err(text)
        }
    };
    wait::until(SOON, "the log of a pod", look).await.unwrap();
}

async fn a_container_over_its_memory_limit_is_killed_and_one_without_is_not(cluster: &Cluster, namespace: &str) {
    let free = cluster.forward(namespace, "free", 80).await.unwrap();
    assert_eq!(answer(free, "/allocate?mebibytes=200").await, "200 MiB held\n");
    let limited = cluster.forward(namespace, "limited", 80).await.unwrap();
    answer(limited, "/").await;
    assert!(
        get(limited, "/allocate?mebibytes=200").is_err(),
        "it holds more than its limit"
    );
    let pods: Api<Pod> = Api::namespaced(cluster.client().unwrap(), namespace);
    let reason = async |name: &str| {
        let status = pods.get(name).await.unwrap().status.unwrap();
        let container = status.container_statuses.unwrap_or_default().into_iter().next();
        let state = |state: k8s_openapi::api::core::v1::ContainerState| state.terminated?.reason;
        container.and_then(|container| {
            [container.state, container.last_state]
                .into_iter()
                .flatten()
                .find_map(state)
        })
    };
    let look = async || match reason("limited").await {
        Some(reason) if reason == "OOMKilled" => Ok(()),
        other => Err(format!("{other:?}")),
    };
    wait::until(SOON, "the container to be OOMKilled", look).await.unwrap();
    assert_eq!(reason("free").await, None);
}

async fn prometheus_sees_the_containers(cluster: &Cluster, namespace: &str) {
    let prometheus = cluster
        .forward(monitoring::NAMESPACE, monitoring::PROMETHEUS_SERVICE, 9090)
        .await
        .unwrap();
    let query = |container: &str| {
        format!(
            "/api/v1/query?query=container_memory_working_set_bytes%7Bnamespace%3D%22{namespace}%22%2Ccontainer%3D%22{container}%22%7D"
        )
    };
    let path = query("reply");
    let look = || async {
        let text = get(prometheus, &path)?;
        if text.contains("\"pod\":\"free\"") {
            Ok(())
        } else {
            Err(text)
        }
    };
    wait::until(SOON, "the memory of a container", look).await.unwrap();
    assert!(get(prometheus, &query("nobody")).unwrap().contains("\"result\":[]"));
    let alertmanager = cluster
        .forward(monitoring::NAMESPACE, monitoring::ALERTMANAGER_SERVICE, 9093)
        .await
        .unwrap();
    assert!(answer(alertmanager, "/api/v2/status").await.contains("0.28.1"));
}

async fn a_service_without_the_port_is_told(cluster: &Cluster, namespace: &str) {
    let error = cluster.forward(namespace, "free", 81).await.unwrap_err().to_string();
    assert!(error.contains("no port 81") && error.contains("80"), "{error}");
}

async fn a_cluster_of_others_is_forwarded_to_through_its_api_server(cluster: &Cluster, namespace: &str) {
    let external = Cluster::external(cluster.kubeconfig()).await.unwrap();
    let free = external.forward(namespace, "free", 80).await.unwrap();
    assert_eq!(answer(free, "/").await, "reply from free\n");
    external.stop().await.unwrap();
    assert!(get(free, "/").is_err(), "the port outlives what opened it");
    assert!(get(cluster.forward(namespace, "free", 80).await.unwrap(), "/").is_ok());
}

fn resident_mib(held: &[PathBuf]) -> u64 {
    let resident = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))?
            .to_owned();
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    processes_in(held).into_iter().filter_map(resident).sum::<u64>() >> 10
}

#[tokio::test]
async fn a_cluster_whose_holder_is_killed_ends_and_the_next_start_removes_the_rest() {
    let _alone = ONE.lock().await;
    let before = machine();
    let mut holder = Command::new(EXECUTABLE)
        .arg("--node")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let first = lines.next().expect("it ended before it was ready").unwrap();
    let run_dir = PathBuf::from(first.strip_prefix("run ").unwrap());
    let first_process = first_process_of(&run_dir);
    let held = namespaces(first_process);
    assert!(!processes_in(&held).is_empty() && !cgroups(&run_dir).is_empty());

    holder.kill().unwrap(); // SIGKILL: nobody is left to clean up
    holder.wait().unwrap();
    let look = || async { processes_in(&held).is_empty() };
    wait::until(SOON, "all processes to end", look).await.unwrap();
    assert_eq!(machine(), before);

    let next = Cluster::control_plane(ControlPlane::default(), &Progress::lines())
        .await
        .unwrap();
    assert!(cgroups(&run_dir).is_empty(), "cgroups are left");
    let left: Vec<_> = fs::read_dir(&run_dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["log"], "only its logs stay, to tell why it died");
    next.stop().await.unwrap();
}

/// The process that is the first of the run's namespaces: the only one of this command line in another process namespace than ours.
fn first_process_of(run_dir: &Path) -> u32 {
    let ours = namespaces(std::process::id());
    let command_line = format!("{EXECUTABLE}\0__node\0{}\0", run_dir.display());
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_first = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|text| text == command_line)
            && namespaces(*pid).first() != ours.first()
    };
    pids.find(is_first).expect("no first process")
}
