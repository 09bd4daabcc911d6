//! The command lines and settings of the components that only a node has.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use super::{ADDRESS, BRIDGE, HOST_NAME, PAUSE_IMAGE};
use crate::cluster::components::Components;
use crate::cluster::run::Run;
use crate::cluster::{Error, cgroups};
use crate::pki::Subject;
use crate::tools::{Tool, Tools};

/// The network of the pods, and of the bridge.
const PODS: &str = "10.88.0.0/16";
/// The address of the Service of the name server.
const NAME_SERVER: &str = "10.96.0.10";

pub(super) fn scheduler(components: &Components<'_>) -> Result<Command, Error> {
    let kubeconfig = components.component("kube-scheduler")?;
    let mut command = components.program(Tool::KubeScheduler)?;
    command.arg("--kubeconfig").arg(kubeconfig).arg("--leader-elect=false");
    Ok(command)
}

pub(super) fn proxy(components: &Components<'_>) -> Result<Command, Error> {
    let kubeconfig = components.component("kube-proxy")?;
    let mut command = components.program(Tool::KubeProxy)?;
    command.arg("--kubeconfig").arg(kubeconfig);
    command.args([
        "--hostname-override",
        HOST_NAME,
        "--cluster-cidr",
        PODS,
        "--proxy-mode",
        "nftables",
    ]);
    // These are settings of the whole machine, and not ours.
    command.args(["--conntrack-max-per-core", "0"]);
    command.args([
        "--conntrack-tcp-timeout-established",
        "0s",
        "--conntrack-tcp-timeout-close-wait",
        "0s",
    ]);
    Ok(command)
}

pub(super) fn kubelet(components: &Components<'_>, run: &Run, server: &str) -> Result<Command, Error> {
    let subject = Subject {
        name: "kubelet",
        common_name: &format!("system:node:{HOST_NAME}"),
        organization: Some("system:nodes"),
        names: &[HOST_NAME],
        addresses: &[ADDRESS.into(), Ipv4Addr::LOCALHOST.into()],
    };
    let kubeconfig = components.user(&subject, server)?;
    let config = serde_json::json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", cgroups::name(&run.directory.name())),
        "cgroupsPerQOS": true,
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        // Neither a pod nor an image may go because the machine's disk is full: no image can be fetched again.
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "clusterDNS": [NAME_SERVER],
        "clusterDomain": "cluster.local",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": components.key("ca.crt") },
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": components.key("kubelet.crt"),
        "tlsPrivateKeyFile": components.key("kubelet.key"),
        "resolvConf": "/dev/null",
        "volumePluginDir": run.directory.path().join("kubelet-plugins"),
        "syncFrequency": "5s",
    });
    let config = run.directory.write("kubelet.json", &config.to_string())?;
    let mut command = components.program(Tool::Kubelet)?;
    command.arg("--config").arg(config).arg("--kubeconfig").arg(kubeconfig);
    command.arg("--root-dir").arg(run.directory.path().join("kubelet"));
    command.args(["--hostname-override", HOST_NAME, "--node-ip", &ADDRESS.to_string()]);
    Ok(command)
}

pub(super) fn containerd(components: &Components<'_>, run: &Run, tools: &Tools) -> Result<Command, Error> {
    let plugins = tools.path(Tool::CniBridge)?.parent().unwrap_or(Path::new("/"));
    let directory = |name: &str| run.directory.path().join(name).display().to_string();
    let network = serde_json::json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "isGateway": true,
                "ipMasq": false,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": directory("cni/data"),
                    "ranges": [[{ "subnet": PODS }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    });
    run.directory.write("cni/conf/10-pods.conflist", &network.to_string())?;
    let quoted = |text: String| serde_json::Value::from(text).to_string();
    let config = format!(
        r#"version = 3
root = {root}
state = {state}
[grpc]
address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = {opt}
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE_IMAGE}"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = [{plugins}]
conf_dir = {conf}
"#,
        root = quoted(directory("containerd/root")),
        state = quoted(directory("containerd/state")),
        opt = quoted(directory("containerd/opt")),
        plugins = quoted(plugins.display().to_string()),
        conf = quoted(directory("cni/conf")),
    );
    let config = run.directory.write("containerd.toml", &config)?;
    let mut command = components.program(Tool::Containerd)?;
    command.arg("--config").arg(config);
    Ok(command)
}
