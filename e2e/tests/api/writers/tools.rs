//! The tools with which people write workloads.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use observed_e2e::{Progress, Tool as Program, Tools};

use serde_json::{Value, json};

use super::super::operator::Stage;

const VERSION: &str = "jsonpath={.metadata.resourceVersion}";

/// How often an object is compared at most until nobody has written to it meanwhile.
const MOST_LOOKS: usize = 50;

/// A tool, and what it asks of the API server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tool {
    KubectlApply,
    KubectlServerSide,
    KubectlReplace,
    /// The editor is a program that changes what it is shown: a field that nobody changes is not sent.
    KubectlEdit,
    /// Helm 4 with its client-side apply, which is the code of Helm 3: a three-way strategic merge of the last release, this
    /// one and what is live (helm/helm, pkg/kube/client.go: `createPatch`). Releases of Helm 3 stay with it.
    Helm3,
    Helm4,
    /// Argo CD syncs with `kubectl apply` in the name of its controller, and compares with the same three-way merge
    /// (argoproj/gitops-engine, pkg/utils/kube/resource_ops.go: `ApplyResource`; pkg/diff/diff.go: `ThreeWayDiff`).
    ArgoCd,
    /// With `ServerSideApply=true` it forces (the same file: `--server-side --force-conflicts`), and compares with a dry run
    /// (pkg/diff/diff.go: `serverSideDiff`).
    ArgoCdServerSide,
    /// The kustomize-controller of Flux applies server-side in its own name with force, and finds drift by a dry run
    /// (fluxcd/pkg, ssa/manager_apply.go and manager_diff.go).
    Flux,
}

impl Tool {
    pub const ALL: [Self; 9] = [
        Self::KubectlApply,
        Self::KubectlServerSide,
        Self::Helm3,
        Self::Helm4,
        Self::ArgoCd,
        Self::ArgoCdServerSide,
        Self::Flux,
        Self::KubectlEdit,
        Self::KubectlReplace,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::KubectlApply => "kubectl apply",
            Self::KubectlServerSide => "kubectl apply --server-side",
            Self::KubectlReplace => "kubectl replace",
            Self::KubectlEdit => "kubectl edit",
            Self::Helm3 => "helm upgrade --server-side=false",
            Self::Helm4 => "helm upgrade",
            Self::ArgoCd => "Argo CD",
            Self::ArgoCdServerSide => "Argo CD, ServerSideApply=true",
            Self::Flux => "Flux",
        }
    }

    /// How kubectl does what the tool does.
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::KubectlServerSide => &["--server-side"],
            Self::ArgoCd => &["--field-manager=argocd-controller"],
            Self::ArgoCdServerSide => &[
                "--server-side",
                "--force-conflicts",
                "--field-manager=argocd-controller",
            ],
            Self::Flux => &[
                "--server-side",
                "--force-conflicts",
                "--field-manager=kustomize-controller",
            ],
            _ => &[],
        }
    }
}

/// Where they write.
#[derive(Clone)]
pub struct Place<'a> {
    stage: &'a Stage,
    kubectl: PathBuf,
    helm: PathBuf,
}

impl<'a> Place<'a> {
    pub async fn new(stage: &'a Stage) -> Self {
        let tools = Tools::ensure(&[Program::Kubectl, Program::Helm], &Progress::detect())
            .await
            .unwrap();
        Self {
            stage,
            kubectl: tools.path(Program::Kubectl).unwrap().to_owned(),
            helm: tools.path(Program::Helm).unwrap().to_owned(),
        }
    }

    /// The workload is made.
    pub fn create(&self, tool: Tool, name: &str, file: &str) -> Result<(), String> {
        match tool {
            Tool::KubectlReplace | Tool::KubectlEdit => self.kubectl(&["create", "-f", "-"], file).map(drop),
            _ => self.write(tool, name, file),
        }
    }

    /// The workload is to be as the file says.
    pub fn write(&self, tool: Tool, name: &str, file: &str) -> Result<(), String> {
        match tool {
            Tool::KubectlReplace => self.kubectl(&["replace", "-f", "-"], file).map(drop),
            Tool::Helm3 => self.helm(name, file, "--server-side=false"),
            Tool::Helm4 => self.helm(name, file, "--server-side=true"),
            _ => self
                .kubectl(&[&["apply", "-f", "-"], tool.flags()].concat(), file)
                .map(drop),
        }
    }

    /// The user opens the workload and changes lines of its first container: null takes one out.
    pub fn edit(&self, name: &str, lines: &Value) -> Result<(), String> {
        let lines = lines.as_object().into_iter().flatten();
        let lines: Vec<Value> = lines
            .map(|(field, value)| json!({"op": "add", "path": format!("/spec/template/spec/containers/0/{field}"), "value": value}))
            .collect();
        let home = tempfile::tempdir().unwrap();
        let [editor, change] = ["editor", "change.json"].map(|file| home.path().join(file));
        fs::write(&change, json!(lines).to_string()).unwrap();
        let script = format!(
            "{} patch --local --type=json --patch-file={} --output=json --filename=\"$1\" > \"$1.new\" && mv \"$1.new\" \"$1\"",
            self.kubectl.display(),
            change.display()
        );
        fs::write(&editor, script).unwrap();
        let mut command = self.command(&["edit", "deployment", name, "--output=json"]);
        command
            .env("KUBE_EDITOR", format!("sh {}", editor.display()))
            // What the API server refuses is kept there.
            .env("TMPDIR", home.path());
        self.run(&mut command, "").map(drop)
    }

    /// `kubectl rollout undo`: the workload's revision before this one.
    pub fn undo(&self, name: &str) -> Result<(), String> {
        self.kubectl(&["rollout", "undo", "deployment", name], "").map(drop)
    }

    /// The same, to a revision by its number.
    pub fn undo_to(&self, name: &str, revision: u32) -> Result<(), String> {
        let revision = format!("--to-revision={revision}");
        self.kubectl(&["rollout", "undo", "deployment", name, &revision], "")
            .map(drop)
    }

    /// `kubectl set image`.
    pub fn set_image(&self, name: &str, container: &str, image: &str) -> Result<(), String> {
        let image = format!("{container}={image}");
        self.kubectl(&["set", "image", "deployment", name, &image], "")
            .map(drop)
    }

    /// What the tool calls drift, if it looks for any.
    pub fn drift(&self, tool: Tool, file: &str) -> String {
        match tool {
            // Helm compares nothing with the cluster but what it is about to write.
            Tool::KubectlReplace | Tool::KubectlEdit | Tool::Helm3 | Tool::Helm4 => String::new(),
            _ => {
                let version = || self.kubectl(&["get", "-f", "-", "-o", VERSION], file).unwrap();
                let mut before = version();
                for _ in 0..MOST_LOOKS {
                    let (Ok(told) | Err(told)) = self.kubectl(&[&["diff", "-f", "-"], tool.flags()].concat(), file);
                    let after = version();
                    if after == before {
                        return told;
                    }
                    // It reads the object twice, and its status was written in between: no tool calls that drift.
                    before = after;
                }
                panic!("the object was written to {MOST_LOOKS} times");
            }
        }
    }

    fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        self.run(&mut self.command(arguments), input)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--namespace").arg(&self.stage.namespace).args(arguments);
        command
    }

    fn helm(&self, name: &str, file: &str, how: &str) -> Result<(), String> {
        let home = tempfile::tempdir().unwrap();
        let chart = home.path().join("chart");
        fs::create_dir_all(chart.join("templates")).unwrap();
        fs::write(chart.join("Chart.yaml"), "{apiVersion: v2, name: shop, version: 0.1.0}").unwrap();
        fs::write(chart.join("templates/workload.yaml"), file).unwrap();
        let mut command = Command::new(&self.helm);
        for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("HELM_")) {
            command.env_remove(variable);
        }
        for directory in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(directory, home.path());
        }
        command
            .args(["upgrade", "--install", name, how, "--namespace", &self.stage.namespace])
            .arg(&chart);
        self.run(&mut command, "").map(drop)
    }

    fn run(&self, command: &mut Command, input: &str) -> Result<String, String> {
        let mut child = command
            .env("KUBECONFIG", self.stage.cluster.kubeconfig())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stdout) + &text(&output.stderr))
        }
    }
}
