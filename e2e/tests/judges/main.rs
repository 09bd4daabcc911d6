//! What is generated, before those who will read it: prometheus-operator's admission, kubeconform, Grafana's model and
//! promtool. Every golden case, and hundreds of services that nobody wrote.

#![allow(clippy::unwrap_used, clippy::panic)]

mod admission;
mod generated;
mod schemas;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use observed_e2e::selectors::{escapes, queries};
use observed_e2e::{Progress, Tool, Tools, binaries};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use admission::Admission;

/// The programs, and what they judge.
struct Court {
    tools: Tools,
    /// Every object, with where it comes from.
    objects: Vec<(String, Value)>,
}

async fn court() -> &'static Court {
    static COURT: OnceCell<Court> = OnceCell::const_new();
    let open = async || {
        let progress = Progress::detect();
        let wanted = [
            Tool::AdmissionWebhook,
            Tool::DashboardModel,
            Tool::Kubeconform,
            Tool::MonitoringCrds,
            Tool::Promtool,
        ];
        let tools = Tools::ensure(&wanted, &progress).await.unwrap();
        let observed = binaries::debug("observed", &progress).await.unwrap();
        let objects = goldens().into_iter().chain(rendered(&observed)).collect();
        Court { tools, objects }
    };
    COURT.get_or_init(open).await
}

/// The objects of the golden cases.
fn goldens() -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut objects = Vec::new();
    for case in fs::read_dir(root.join("operator/core/tests/golden")).unwrap() {
        let case = case.unwrap().path();
        for output in ["dashboard", "prometheus-rule", "runbooks", "service-monitor"] {
            let file = case.join("expected").join(format!("{output}.yaml"));
            let Ok(text) = fs::read_to_string(&file) else {
                continue;
            };
            let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
            objects.extend(documents.into_iter().map(|object| (file.display().to_string(), object)));
        }
    }
    assert!(objects.len() > 50, "{} objects in the golden cases", objects.len());
    objects
}

/// The objects of the generated services, as the program renders them.
fn rendered(observed: &Path) -> Vec<(String, Value)> {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..generated::MANY {
        let file = directory.path().join(format!("{number}.json"));
        fs::write(file, generated::service(number).to_string()).unwrap();
    }
    let mut command = Command::new(observed);
    command.args(["render", "-o", "json", "-f"]).arg(directory.path());
    let output = command.output().unwrap();
    let findings = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{findings}");
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let objects: Vec<Value> = list["items"].as_array().unwrap().clone();
    let of_kind = |kind: &str| objects.iter().filter(|object| object["kind"] == kind).count();
    assert!(of_kind("PrometheusRule") > generated::MANY * 9 / 10, "{findings}");
    let name = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
    objects.into_iter().map(|object| (name(&object), object)).collect()
}

impl Court {
    fn tool(&self, tool: Tool) -> &Path {
        self.tools.path(tool).unwrap()
    }

    fn of_kind(&self, kind: &str) -> Vec<(&str, &Value)> {
        let objects = self.objects.iter().filter(|(_, object)| object["kind"] == kind);
        objects.map(|(from, object)| (from.as_str(), object)).collect()
    }

    /// What Grafana's model has against dashboards, each with the place of the dashboard among them.
    fn against(&self, dashboards: &[String]) -> Vec<String> {
        let mut model = Command::new(self.tool(Tool::DashboardModel));
        let output = piped(&mut model, &(dashboards.join("\n") + "\n"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let refusals = String::from_utf8(output.stdout).unwrap();
        refusals.lines().map(str::to_owned).collect()
    }
}

/// Runs a program with a text as its standard input.
fn piped(command: &mut Command, text: &str) -> Output {
    let pipes = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_owned();
    // It may write before it has read everything.
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output
}

#[tokio::test]
async fn every_rule_is_admitted_by_prometheus_operator() {
    let court = court().await;
    let admission = Admission::start(court.tool(Tool::AdmissionWebhook)).await;
    let rules = court.of_kind("PrometheusRule");
    for (from, rule) in &rules {
        assert_eq!(admission.asked(rule).await, Ok(()), "{from}");
    }
    // The twin: an expression that is none, and a template that cannot be filled in.
    for (field, wrong) in [("expr", "sum(rate(a[5m])"), ("template", "{{ $labels.a")] {
        let mut rule = rules[0].1.clone();
        let group = rule["spec"]["groups"][0]["rules"].as_array_mut().unwrap();
        let alert = group.iter_mut().find(|rule| rule.get("alert").is_some()).unwrap();
        match field {
            "expr" => alert["expr"] = json!(wrong),
            _ => alert["annotations"]["summary"] = json!(wrong),
        }
        assert!(admission.asked(&rule).await.is_err(), "{wrong}");
    }
}

/// The exporters of others that services of the golden cases and generated ones depend on.
const EXPORTERS: [(&str, &str); 2] = [("databases", "postgres-exporter"), ("monitoring", "blackbox")];

#[tokio::test]
async fn every_selector_of_every_rule_and_dashboard_keeps_to_the_namespace_or_to_an_exporter() {
    let court = court().await;
    let mut asked = BTreeSet::new();
    for (from, object) in court
        .of_kind("PrometheusRule")
        .into_iter()
        .chain(court.of_kind("ConfigMap"))
    {
        let mut exprs = BTreeSet::new();
        queries(&object["spec"], &mut exprs);
        for (file, text) in object["data"].as_object().into_iter().flatten() {
            if Path::new(file).extension().is_some_and(|extension| extension == "json") {
                queries(&serde_json::from_str(text.as_str().unwrap()).unwrap(), &mut exprs);
            }
        }
        let namespace = object["metadata"]["namespace"].as_str().unwrap();
        for expr in &exprs {
            assert_eq!(escapes(expr, namespace, &EXPORTERS), [] as [&str; 0], "{from}: {expr}");
        }
        asked.extend(exprs);
    }
    assert!(asked.len() > 5_000, "{} expressions", asked.len());
    // The twin: the same ones with another namespace in one of their selectors.
    let expr = asked.iter().find(|expr| expr.contains("namespace=\"prod\"")).unwrap();
    let elsewhere = expr.replacen("namespace=\"prod\"", "namespace=\"dev\"", 1);
    assert_eq!(escapes(&elsewhere, "prod", &EXPORTERS).len(), 1, "{elsewhere}");
}

#[tokio::test]
async fn every_object_is_of_the_schema_of_its_kind() {
    let court = court().await;
    let schemas = schemas::write(court.tool(Tool::MonitoringCrds));
    let kinds = ["ServiceMonitor", "PodMonitor", "PrometheusRule"];
    let objects: Vec<&Value> = kinds
        .iter()
        .flat_map(|kind| court.of_kind(kind))
        .map(|(_, object)| object)
        .collect();
    let judged = schemas::judged(court.tool(Tool::Kubeconform), schemas.path(), &objects);
    assert_eq!(judged, (objects.len(), Vec::new()));
    // The twin: a field that nobody knows.
    let mut wrong = objects[0].clone();
    wrong["spec"]["unheardOf"] = json!(true);
    let (valid, refusals) = schemas::judged(court.tool(Tool::Kubeconform), schemas.path(), &[&wrong]);
    assert_eq!((valid, refusals.len()), (0, 1), "{refusals:?}");
}

#[tokio::test]
async fn every_dashboard_is_of_grafanas_model() {
    let court = court().await;
    let config_maps = court.of_kind("ConfigMap").into_iter();
    let files = config_maps.flat_map(|(from, object)| {
        let data = object["data"].as_object().unwrap();
        data.iter()
            .map(move |(name, text)| (from, name, text.as_str().unwrap()))
    });
    let (from, dashboards): (Vec<&str>, Vec<String>) = files
        .filter(|(_, name, _)| Path::new(name).extension().is_some_and(|extension| extension == "json"))
        .map(|(from, _, text)| (from, serde_json::from_str::<Value>(text).unwrap().to_string()))
        .unzip();
    assert!(dashboards.len() > generated::MANY, "{} dashboards", dashboards.len());
    let refusals = court.against(&dashboards);
    assert!(
        refusals.is_empty(),
        "of {from:?}: {:?}",
        &refusals[..refusals.len().min(5)]
    );
    // The twin: a field that nobody knows, and one of another type.
    let mut unknown: Value = serde_json::from_str(&dashboards[0]).unwrap();
    unknown["unheardOf"] = json!(true);
    let mut typed: Value = serde_json::from_str(&dashboards[0]).unwrap();
    typed["panels"][0]["gridPos"]["x"] = json!("left");
    let refusals = court.against(&[unknown.to_string(), dashboards[0].clone(), typed.to_string()]);
    assert!(
        refusals.len() == 2 && refusals[0].starts_with("1:") && refusals[1].starts_with("3:"),
        "{refusals:?}"
    );
}

#[tokio::test]
async fn promtool_has_nothing_against_the_rules_of_generated_services() {
    let court = court().await;
    let directory = tempfile::tempdir().unwrap();
    let mut files: Vec<PathBuf> = Vec::new();
    for (number, (_, rule)) in court.of_kind("PrometheusRule").into_iter().enumerate() {
        let file = directory.path().join(format!("{number}.yaml"));
        fs::write(&file, rule["spec"].to_string()).unwrap();
        files.push(file);
    }
    let check = |files: &[&Path]| {
        let mut promtool = Command::new(court.tool(Tool::Promtool));
        let output = promtool
            .args(["check", "rules", "--lint=all", "--lint-fatal"])
            .args(files)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let (fine, text) = check(&paths);
    assert!(fine, "{text}");
    // The twin: a rule that stands there twice.
    let twice = directory.path().join("twice.yaml");
    let rule = json!({"record": "a:b", "expr": "1"});
    fs::write(
        &twice,
        json!({"groups": [{"name": "a", "rules": [rule, rule]}]}).to_string(),
    )
    .unwrap();
    assert!(!check(&[&twice]).0);
}
