//! What GitOps tools and pipelines make of ObservedServices: the health of Argo CD by a Lua interpreter, that of Flux by CEL,
//! and the script of a pipeline in a real git checkout.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cel::{Context, Program, Value as CelValue};
use mlua::{Lua, LuaSerdeExt};
use observed_crds::v1alpha1::ObservedService;
use observed_crds::v1alpha1::conditions::Reason;
use observed_e2e::{Progress, Tool, Tools, binaries};
use serde_json::{Value, json};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn text(file: &str) -> String {
    let path = root().join("manifests/gitops").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&text(file)).unwrap()
}

/// The documents of a file.
fn documents(file: &str) -> Vec<Value> {
    text(file)
        .split("\n---\n")
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect()
}

/// Each case: what Argo CD is to say, and of which object.
fn cases() -> Vec<(String, Value, Value)> {
    let tests = yaml("argocd/health_test.yaml")["tests"].as_array().unwrap().clone();
    let case = |test: &Value| {
        let input = test["inputPath"].as_str().unwrap().to_owned();
        let object = yaml(&format!("argocd/{input}"));
        (input, test["healthStatus"].clone(), object)
    };
    tests.iter().map(case).collect()
}

/// What a health check in Lua says of an object, as Argo CD runs it.
fn health(script: &str, object: &Value) -> Value {
    let lua = Lua::new();
    // Absent is nil, as Argo CD hands objects over.
    lua.globals().set("obj", lua.to_value(object).unwrap()).unwrap();
    let said: mlua::Value = lua.load(script).eval().unwrap();
    lua.from_value(said).unwrap()
}

/// The inputs of the cases that a script gets wrong.
fn wrong(script: &str) -> Vec<String> {
    let wrong = cases()
        .into_iter()
        .filter(|(_, expected, object)| health(script, object) != *expected);
    wrong.map(|(input, ..)| input).collect()
}

#[test]
fn argo_cd_says_of_every_case_what_its_test_file_says_and_a_wrong_script_is_noticed() {
    let script = text("argocd/health.lua");
    assert!(cases().len() >= 8);
    assert_eq!(wrong(&script), Vec::<String>::new());
    let blind = script.replace("obj.status.observedGeneration ~= obj.metadata.generation", "false");
    assert_eq!(wrong(&blind), ["testdata/old.yaml"]);
    let rash = script.replace("\"Healthy\"", "\"Degraded\"");
    assert_eq!(wrong(&rash), ["testdata/ready.yaml"]);
}

#[test]
fn the_config_map_of_argo_cd_holds_the_script() {
    let data = &yaml("argocd/argocd-cm.yaml")["data"];
    let held = &data["resource.customizations.health.observed.rs_ObservedService"];
    assert_eq!(held.as_str().unwrap().trim(), text("argocd/health.lua").trim());
}

#[test]
fn the_cases_are_statuses_that_an_operator_can_write() {
    for (input, _, object) in cases() {
        let service: ObservedService = serde_json::from_value(object).unwrap();
        for condition in service.status.into_iter().flat_map(|status| status.conditions) {
            let known = Reason::ALL.iter().any(|reason| reason.as_str() == condition.reason);
            assert!(known, "{input}: {}", condition.reason);
        }
    }
}

/// Whether an expression of a health check of Flux holds for an object.
fn holds(expression: &str, object: &Value) -> bool {
    let mut context = Context::default();
    for field in ["metadata", "status"] {
        context.add_variable(field, &object[field]).unwrap();
    }
    match Program::compile(expression).unwrap().execute(&context) {
        Ok(CelValue::Bool(holds)) => holds,
        // As for an object without a status: neither.
        _ => false,
    }
}

#[test]
fn flux_waits_for_ready_and_gives_up_where_nothing_more_happens() {
    let checks = &documents("flux/services.yaml")[0]["spec"]["healthCheckExprs"][0];
    let (failed, current) = (checks["failed"].as_str().unwrap(), checks["current"].as_str().unwrap());
    for (input, _, object) in cases() {
        let expected = (input == "testdata/stalled.yaml", input == "testdata/ready.yaml");
        assert_eq!((holds(failed, &object), holds(current, &object)), expected, "{input}");
    }
}

/// What kstatus says of objects, by which Flux waits for a Kustomization and for a HelmRelease.
async fn kstatus(objects: &[Value]) -> Vec<String> {
    let tools = Tools::ensure(&[Tool::Kstatus], &Progress::detect()).await.unwrap();
    let lines: String = objects.iter().map(|object| format!("{object}\n")).collect();
    let input = tempfile::NamedTempFile::new().unwrap();
    fs::write(input.path(), lines).unwrap();
    let mut judge = Command::new(tools.path(Tool::Kstatus).unwrap());
    let output = judge.stdin(input.reopen().unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let words = |line: &str| serde_json::from_str::<Vec<String>>(line).unwrap().remove(0);
    said.lines().map(words).collect()
}

#[tokio::test]
async fn kstatus_waits_for_ready_and_gives_up_where_nothing_more_happens() {
    let (inputs, mut objects): (Vec<_>, Vec<_>) = cases().into_iter().map(|(input, _, object)| (input, object)).unzip();
    for object in &mut objects {
        if object["status"].is_null() {
            // What the API server makes of an object without a status: the default of the CRD.
            object["status"] = json!({"observedGeneration": -1});
        }
    }
    for (input, said) in inputs.iter().zip(kstatus(&objects).await) {
        let expected = match input.as_str() {
            "testdata/ready.yaml" => "Current",
            "testdata/stalled.yaml" => "Failed",
            _ => "InProgress",
        };
        assert_eq!(said, expected, "{input}");
    }
    // The twin: without the default a service that nobody has looked at yet would count as done.
    let new = inputs.iter().position(|input| input == "testdata/new.yaml").unwrap();
    objects[new].as_object_mut().unwrap().remove("status");
    assert_eq!(kstatus(&objects[new..=new]).await, ["Current"]);
}

#[test]
fn the_operator_comes_from_a_chart_that_exists_with_values_that_it_has() {
    let application = yaml("argocd/application.yaml");
    let release = &documents("flux/operator.yaml")[1];
    let chart: Value =
        serde_saphyr::from_str(&fs::read_to_string(root().join("charts/observed/values.yaml")).unwrap()).unwrap();
    let source = &application["spec"]["source"];
    for (path, values) in [
        (&source["path"], &source["helm"]["valuesObject"]),
        (&release["spec"]["chart"]["spec"]["chart"], &release["spec"]["values"]),
    ] {
        assert!(root().join(path.as_str().unwrap()).join("Chart.yaml").exists());
        assert!(values["image"]["repository"].is_string() && chart["image"]["repository"].is_string());
    }
}

/// A git checkout with one service in `services/`, committed as `base`.
struct Checkout {
    directory: tempfile::TempDir,
    path: std::ffi::OsString,
}

impl Checkout {
    async fn new() -> Self {
        let progress = Progress::detect();
        let tools = Tools::ensure(&[Tool::Promtool], &progress).await.unwrap();
        let observed = binaries::debug("observed", &progress).await.unwrap();
        let directories =
            [&observed, tools.path(Tool::Promtool).unwrap()].map(|file| file.parent().unwrap().to_owned());
        let inherited = std::env::var_os("PATH").unwrap();
        let all: Vec<PathBuf> = directories
            .into_iter()
            .chain(std::env::split_paths(&inherited))
            .collect();
        let checkout = Self {
            directory: tempfile::tempdir().unwrap(),
            path: std::env::join_paths(all).unwrap(),
        };
        checkout.write("0.05");
        for arguments in [
            vec!["init", "-q", "-b", "base"],
            vec!["add", "."],
            vec![
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b",
                "commit",
                "-q",
                "-m",
                "services",
            ],
        ] {
            let done = checkout.run(Command::new("git").args(arguments));
            assert!(done.status.success(), "{done:?}");
        }
        checkout
    }

    /// The service, with an alert above so much.
    fn write(&self, above: &str) {
        let services = self.directory.path().join("services");
        fs::create_dir_all(&services).unwrap();
        let service = format!(
            "apiVersion: observed.rs/v1alpha1\nkind: ObservedService\nmetadata: {{name: shop, namespace: prod}}\n\
             spec: {{targetRef: {{name: shop}}, signals: {{packs: [http], alerts: {{HighErrorRate: {{above: \"{above}\"}}}}}}}}\n"
        );
        fs::write(services.join("shop.yaml"), service).unwrap();
    }

    fn run(&self, command: &mut Command) -> Output {
        command
            .current_dir(self.directory.path())
            .env("PATH", &self.path)
            .output()
            .unwrap()
    }

    /// Exit status and output of the script of the pipeline.
    fn review(&self) -> (Option<i32>, String) {
        let script = root().join("manifests/gitops/review.sh");
        let done = self.run(Command::new(script).args(["base", "services"]));
        let said = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8(said).unwrap())
    }
}

#[tokio::test]
async fn a_pipeline_shows_what_a_change_does_and_fails_on_what_is_wrong() {
    let checkout = Checkout::new().await;
    checkout.write("0.2");
    let (status, said) = checkout.review();
    assert_eq!(status, Some(0), "{said}");
    let changed = said
        .lines()
        .filter(|line| line.starts_with('+') && line.contains("> 0.2"))
        .count();
    assert!(changed > 0 && said.contains("--- base"), "{said}");
    assert!(said.contains("HighErrorRate") && said.contains("proven"), "{said}");

    checkout.write("often");
    let (status, said) = checkout.review();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("often") && !said.contains("== observed drill"), "{said}");
}
