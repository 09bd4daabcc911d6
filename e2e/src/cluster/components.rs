//! The keys and the command lines of the control plane's components, the same with and without a node.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Command;

use super::Error;
use super::run_dir::RunDir;
use crate::pki::{self, Authority, Subject};
use crate::tools::{Tool, Tools};

/// The range of the Services' addresses.
pub(super) const SERVICES: &str = "10.96.0.0/16";
/// The Service of the API server: the first of the range.
const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);

/// Where a control plane listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) bind: Ipv4Addr,
    /// The address that pods reach the API server at.
    pub(super) advertise: Ipv4Addr,
    pub(super) api_port: u16,
    pub(super) etcd_port: u16,
}

impl Site {
    /// The API server, for clients beside it.
    pub(super) fn server(self) -> String {
        format!("https://{}:{}", Ipv4Addr::LOCALHOST, self.api_port)
    }

    fn etcd(self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.etcd_port)
    }

    /// Nothing but the machine itself can reach it.
    fn is_local(self) -> bool {
        self.advertise.is_loopback()
    }
}

/// A control plane to be.
#[derive(Debug)]
pub(super) struct Components<'a> {
    site: Site,
    tools: &'a Tools,
    directory: PathBuf,
    authority: Authority,
}

impl<'a> Components<'a> {
    /// Makes the keys.
    pub(super) fn new(site: Site, tools: &'a Tools, run_dir: &RunDir) -> Result<Self, Error> {
        let authority = Authority::create(&run_dir.path().join("pki"))?;
        authority.issue(&Subject {
            name: "kube-apiserver",
            common_name: "kube-apiserver",
            names: &[
                "localhost",
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
            ],
            addresses: &[Ipv4Addr::LOCALHOST, site.advertise, API_SERVICE].map(IpAddr::V4),
            ..Subject::default()
        })?;
        authority.issue(&Subject {
            name: "kubelet-client",
            common_name: "kube-apiserver-kubelet-client",
            organization: Some("system:masters"),
            ..Subject::default()
        })?;
        Ok(Self {
            site,
            tools,
            directory: run_dir.path().to_owned(),
            authority,
        })
    }

    /// A file of the keys' directory.
    pub(super) fn key(&self, file: &str) -> PathBuf {
        self.authority.path(file)
    }

    /// Issues a certificate and writes the kubeconfig that uses it.
    pub(super) fn user(&self, subject: &Subject<'_>, server: &str) -> Result<PathBuf, Error> {
        let identity = self.authority.issue(subject)?;
        let path = self.directory.join(format!("{}.kubeconfig", subject.name));
        pki::write_private(&path, &self.authority.kubeconfig(server, &identity))?;
        Ok(path)
    }

    /// The kubeconfig with all rights.
    pub(super) fn admin(&self, name: &str, server: &str) -> Result<PathBuf, Error> {
        let subject = Subject {
            name,
            common_name: "admin",
            organization: Some("system:masters"),
            ..Subject::default()
        };
        self.user(&subject, server)
    }

    /// The kubeconfig of a component that is known by its name.
    pub(super) fn component(&self, name: &str) -> Result<PathBuf, Error> {
        let common_name = format!("system:{name}");
        let subject = Subject {
            name,
            common_name: &common_name,
            ..Subject::default()
        };
        self.user(&subject, &self.site.server())
    }

    pub(super) fn program(&self, tool: Tool) -> Result<Command, Error> {
        Ok(Command::new(self.tools.path(tool)?))
    }

    pub(super) fn etcd(&self) -> Result<Command, Error> {
        let mut command = self.program(Tool::Etcd)?;
        command.arg("--data-dir").arg(self.directory.join("etcd"));
        command.args(["--listen-client-urls", &self.site.etcd()]);
        command.args(["--advertise-client-urls", &self.site.etcd()]);
        // One member has no peers: any port will do.
        command.args(["--listen-peer-urls", "http://127.0.0.1:0"]);
        command.args(["--unsafe-no-fsync", "--logger", "zap", "--log-level", "warn"]);
        Ok(command)
    }

    pub(super) fn api_server(&self, controller_manager: bool) -> Result<Command, Error> {
        let mut command = self.program(Tool::KubeApiserver)?;
        let mut flag = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
            let mut text = std::ffi::OsString::from(format!("--{name}="));
            text.push(value);
            command.arg(text);
        };
        flag("etcd-servers", &self.site.etcd());
        flag("secure-port", &self.site.api_port.to_string());
        flag("bind-address", &self.site.bind.to_string());
        flag("advertise-address", &self.site.advertise.to_string());
        flag("tls-cert-file", &self.key("kube-apiserver.crt"));
        flag("tls-private-key-file", &self.key("kube-apiserver.key"));
        flag("client-ca-file", &self.key("ca.crt"));
        flag("service-account-key-file", &self.key("sa.pub"));
        flag("service-account-signing-key-file", &self.key("sa.key"));
        flag("service-account-issuer", &"https://kubernetes.default.svc");
        flag("service-cluster-ip-range", &SERVICES);
        flag("authorization-mode", &"Node,RBAC");
        flag("kubelet-client-certificate", &self.key("kubelet-client.crt"));
        flag("kubelet-client-key", &self.key("kubelet-client.key"));
        flag("kubelet-preferred-address-types", &"InternalIP");
        flag("allow-privileged", &"true");
        if self.site.is_local() {
            flag("endpoint-reconciler-type", &"none");
        }
        if !controller_manager {
            // Nobody makes the ServiceAccount `default` of a namespace, without which no pod is accepted.
            flag("disable-admission-plugins", &"ServiceAccount");
        }
        Ok(command)
    }

    pub(super) fn controller_manager(&self) -> Result<Command, Error> {
        let kubeconfig = self.component("kube-controller-manager")?;
        let mut command = self.program(Tool::KubeControllerManager)?;
        command.arg("--kubeconfig").arg(kubeconfig);
        command.arg("--root-ca-file").arg(self.key("ca.crt"));
        command
            .arg("--service-account-private-key-file")
            .arg(self.key("sa.key"));
        command.args(["--use-service-account-credentials", "--leader-elect=false"]);
        if self.site.is_local() {
            command.arg("--secure-port=0"); // two clusters would fight for the usual one
        }
        Ok(command)
    }
}
