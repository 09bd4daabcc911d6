//! The programs, and the same objective written for both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use observed_e2e::{Progress, Tool, Tools, binaries};
use serde_json::{Value, json};

/// What is run.
pub struct Programs {
    observed: PathBuf,
    sloth: PathBuf,
    promtool: PathBuf,
    pub prometheus: PathBuf,
}

impl Programs {
    pub async fn ensure() -> Self {
        let progress = Progress::detect();
        let wanted = [Tool::Sloth, Tool::Promtool, Tool::Prometheus];
        let tools = Tools::ensure(&wanted, &progress).await.unwrap();
        let path = |tool| tools.path(tool).unwrap().to_owned();
        Self {
            observed: binaries::released("observed", &progress).await.unwrap(),
            sloth: path(Tool::Sloth),
            promtool: path(Tool::Promtool),
            prometheus: path(Tool::Prometheus),
        }
    }

    /// The rules of Observed for every resource in the directory, as documents; with everything else that it makes of
    /// them, if `whole`.
    pub fn observed(&self, directory: &Path, whole: bool) -> Vec<u8> {
        let mut command = Command::new(&self.observed);
        command.arg("render").arg("-f").arg(directory);
        if !whole {
            command.args(["--only", "prometheus-rule"]);
        }
        succeeds(&mut command).stdout
    }

    /// The rules of Sloth for every specification in the directory, as files in another one.
    pub fn sloth(&self, directory: &Path, into: &Path) {
        let mut command = Command::new(&self.sloth);
        succeeds(command.arg("generate").arg("-i").arg(directory).arg("-o").arg(into));
    }

    /// The rule groups of Observed for one resource, as Prometheus reads them.
    pub fn observed_rules(&self, interval: &str, names: &[String]) -> Value {
        let directory = tempfile::tempdir().unwrap();
        write_all(directory.path(), names, |name| observed_objective(name, interval));
        let text = String::from_utf8(self.observed(directory.path(), false)).unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let groups = documents
            .iter()
            .flat_map(|rule| rule["spec"]["groups"].as_array().unwrap());
        let groups: Vec<&Value> = groups
            .filter(|group| {
                group["rules"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|rule| !rule["labels"]["objective"].is_null())
            })
            .collect();
        json!({"groups": groups})
    }

    /// Those of Sloth.
    pub fn sloth_rules(&self, names: &[String]) -> Value {
        let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_all(from.path(), names, sloth_objective);
        self.sloth(from.path(), into.path());
        let groups: Vec<Value> = names
            .iter()
            .flat_map(|name| {
                let text = fs::read_to_string(into.path().join(format!("{name}.yaml"))).unwrap();
                let file: Value = serde_saphyr::from_str(&text).unwrap();
                file["groups"].as_array().unwrap().clone()
            })
            .collect();
        json!({"groups": groups})
    }

    /// The value of an expression at a minute, as promtool computes it from the rules and the series. None when there
    /// is no value.
    pub fn ask(&self, rules: &Value, series: &[(&str, String)], minute: u32, expr: &str) -> Option<f64> {
        let directory = tempfile::tempdir().unwrap();
        let series: Vec<Value> = series
            .iter()
            .map(|(status, values)| {
                let name = format!("http_requests_total{{namespace=\"prod\",job=\"api\",status=\"{status}\"}}");
                json!({"series": name, "values": values})
            })
            .collect();
        // No series has this label: promtool refuses the test, and says what there is instead.
        let asked = json!({
            "expr": expr, "eval_time": format!("{minute}m"),
            "exp_samples": [{"labels": "{asked=\"true\"}", "value": 0}],
        });
        let test = json!({
            "rule_files": ["rules.yaml"], "evaluation_interval": "1m",
            "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [asked]}],
        });
        fs::write(directory.path().join("rules.yaml"), rules.to_string()).unwrap();
        fs::write(directory.path().join("test.yaml"), test.to_string()).unwrap();
        let output = Command::new(&self.promtool)
            .args(["test", "rules", "test.yaml"])
            .current_dir(directory.path())
            .output()
            .unwrap();
        answer(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()))
    }

    /// The value of an expression now, as a Prometheus says it.
    pub fn query(&self, url: &str, expr: &str) -> Option<f64> {
        let mut command = Command::new(&self.promtool);
        let output = command
            .args(["query", "instant", "--format=json", url, expr])
            .output()
            .unwrap();
        let samples: Value = serde_json::from_slice(&output.stdout).ok()?;
        samples[0]["value"][1].as_str()?.parse().ok()
    }
}

/// What promtool got, from its refusal: `got: {} 2.6E+05`, `got: nil`.
fn answer(refusal: &str) -> Option<f64> {
    let got = refusal
        .split_once("got:")
        .unwrap_or_else(|| panic!("promtool says: {refusal}"))
        .1;
    let got = got.lines().next().unwrap_or_default().trim().trim_matches('"');
    if got == "nil" {
        return None;
    }
    let value = got.rsplit(' ').next().and_then(|value| value.parse().ok());
    Some(value.unwrap_or_else(|| panic!("promtool says: {refusal}")))
}

pub fn succeeds(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    output
}

pub fn write_all(directory: &Path, names: &[String], text: impl Fn(&str) -> String) {
    for name in names {
        fs::write(directory.join(format!("{name}.yaml")), text(name)).unwrap();
    }
}

/// 99.9 % of the requests of a service do not fail.
pub fn observed_objective(name: &str, interval: &str) -> String {
    format!(
        "apiVersion: observed.rs/v1alpha1
kind: ObservedService
metadata: {{name: {name}, namespace: prod}}
spec:
  targetRef: {{name: {name}}}
  scrape: {{interval: {interval}}}
  signals: {{packs: [target]}}
  objectives:
  - name: availability
    target: \"99.9%\"
    sli: {{ratio: {{total: http_requests_total, bad: 'http_requests_total{{status=~\"5..\"}}'}}}}
"
    )
}

/// A service with the packs that every service has.
pub fn observed_default(name: &str) -> String {
    format!(
        "apiVersion: observed.rs/v1alpha1
kind: ObservedService
metadata: {{name: {name}, namespace: prod}}
spec: {{targetRef: {{name: {name}}}}}
"
    )
}

/// 99.9 % of the requests of a service do not fail.
pub fn sloth_objective(name: &str) -> String {
    let selector = format!("namespace=\"prod\",job=\"{name}\"");
    format!(
        "version: prometheus/v1
service: {name}
slos:
- name: availability
  objective: 99.9
  sli:
    events:
      error_query: sum(rate(http_requests_total{{{selector},status=~\"5..\"}}[{{{{.window}}}}]))
      total_query: sum(rate(http_requests_total{{{selector}}}[{{{{.window}}}}]))
  alerting:
    name: Availability
    page_alert: {{labels: {{severity: critical}}}}
    ticket_alert: {{labels: {{severity: warning}}}}
"
    )
}

pub fn print_table(title: &str, head: &[&str], rows: &[Vec<String>]) {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(head).add_rows(rows);
    println!("\n{title}\n\n{table}");
}
