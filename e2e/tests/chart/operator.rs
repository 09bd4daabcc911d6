//! The operator of a release: the real program, as the ServiceAccount and with the settings that the chart gives it. No node runs its pod here.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use observed_e2e::{Cluster, wait};

use super::helm::program;

/// It ends with the test.
pub struct Operator {
    child: Child,
    log: PathBuf,
}

impl Operator {
    /// Starts what the Deployment of the release says.
    pub async fn start(cluster: &Cluster, namespace: &str, name: &str) -> Self {
        let deployments: Api<Deployment> = Api::namespaced(cluster.client().unwrap(), namespace);
        let pod = deployments.get(name).await.unwrap().spec.template.spec.unwrap();
        let account = pod.service_account_name.unwrap();
        let token = async || cluster.kubeconfig_for_service_account(namespace, &account).await;
        let kubeconfig = wait::until(Duration::from_secs(30), "the ServiceAccount", token)
            .await
            .unwrap();
        let container = &pod.containers[0];
        let log = tempfile::NamedTempFile::new_in(cluster.run_dir()).unwrap();
        let log = log.keep().unwrap().1;
        let mut command = Command::new(program().await);
        command
            .args(container.args.iter().flatten())
            .env("KUBECONFIG", kubeconfig);
        for variable in container.env.iter().flatten() {
            command.env(&variable.name, variable.value.as_deref().unwrap_or_default());
        }
        // Other operators run on this machine.
        command.env("OBSERVED_LISTEN", "127.0.0.1:0");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        let child = command.spawn().unwrap();
        Self { child, log }
    }

    /// Waits until its log has these words.
    pub async fn says(&self, words: &str) {
        let look = async || {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            if log.contains(words) { Ok(()) } else { Err(log) }
        };
        wait::until(Duration::from_secs(60), words, look).await.unwrap();
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // As the kubelet does it, so that the next one need not wait for the Lease.
        if let Ok(process) = self.child.id().try_into() {
            let _ = kill(Pid::from_raw(process), Signal::SIGTERM);
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "the operator's log:\n{}",
                std::fs::read_to_string(&self.log).unwrap_or_default()
            );
        }
    }
}
