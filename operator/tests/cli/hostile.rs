//! Text that wants to be more than text.

use serde_json::Value;

use super::{GOOD, observed};

/// A double-quoted YAML text that means this.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\x{:02x}", u32::from(c)),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[test]
fn hostile_text_in_any_field_is_refused_or_only_text() {
    let fields = [
        "targetRef: {name: X}",
        "targetRef: {name: other, container: X}",
        "probes: {liveness: {httpGet: {path: X}}}",
        "probes: {liveness: {httpGet: {path: /, port: X}}}",
        "probes: {startup: {within: X}}",
        "probes: {mode: X}",
        "scrape: {port: X}",
        "scrape: {path: X}",
        "scrape: {interval: X}",
        "scrape: {limits: {bodySize: X}}",
        "signals: {packs: [X]}",
        "signals: {window: X}",
        "signals: {rename: {X: a}}",
        "signals: {rename: {http_requests_total: X}}",
        "signals: {alerts: {X: {above: \"1\"}}}",
        "signals: {alerts: {HighErrorRate: {because: X}}}",
        "signals: {alerts: {HighErrorRate: {above: X}}}",
        "signals: {alerts: {HighErrorRate: {for: X}}}",
        "dashboards: {folder: X}",
        "dashboards: {labels: {X: a}}",
        "dashboards: {labels: {a: X}}",
        "runbooks: {baseURL: X}",
    ];
    let hostile = [
        "\"",
        "a\nb: c",
        "{{ .Values.x }}",
        "}}",
        "`id`",
        "\u{1b}[31mred",
        "\u{7}\0",
        "🦀",
        "$(id)",
        "' or 1=1 --",
        "../../etc",
    ];
    for field in fields {
        let documents: Vec<String> = hostile
            .iter()
            .enumerate()
            .map(|(number, text)| document(number, field, text))
            .collect();
        let lint = observed(&["lint", "-o", "json", "-f", "-"], &documents.concat());
        assert!([0, 1].contains(&lint.status), "{field}: {lint:?}");
        let findings: Value = serde_json::from_str(&lint.out).unwrap();
        let lines: Vec<usize> = documents.iter().map(|document| document.lines().count()).collect();
        let refused = |number: usize| {
            let before: usize = lines[..number].iter().sum();
            let mut errors = findings["findings"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|finding| finding["severity"] == "error");
            errors.any(|finding| {
                (before + 1..=before + lines[number]).contains(&(finding["line"].as_u64().unwrap() as usize))
            })
        };
        let (refused, taken): (Vec<_>, Vec<_>) = (0..documents.len()).partition(|number| refused(*number));
        if !refused.is_empty() {
            let render = observed(&["render", "-f", "-"], &documents.concat());
            assert_eq!((render.status, render.out.as_str()), (1, ""), "{field}");
            assert!(
                !render.err.chars().any(|c| c.is_control() && c != '\n'),
                "{field}: {render:?}"
            );
        }
        let taken: String = taken.into_iter().map(|number| documents[number].as_str()).collect();
        if taken.is_empty() {
            continue;
        }
        let render = observed(&["render", "-f", "-"], &taken);
        assert_eq!(render.status, 0, "{field}: {render:?}");
        // What is printed is YAML, and none of it comes from the text but as a text.
        for document in serde_yaml::Deserializer::from_str(&render.out) {
            let object: Value = serde::Deserialize::deserialize(document).unwrap();
            assert!(
                object.get("b").is_none() && object["metadata"]["namespace"] == "prod",
                "{field}: {object}"
            );
        }
    }
}

/// A document with a hostile text in a field; each has a workload of its own.
fn document(number: usize, field: &str, text: &str) -> String {
    let base = GOOD.replace("claude-api", &format!("service-{number}"));
    let base = if field.starts_with("targetRef") {
        base.replace(&format!("  targetRef: {{name: service-{number}}}\n"), "")
    } else {
        base
    };
    format!("---\n{base}  {}\n", field.replace('X', &quoted(text)))
}

#[test]
fn metadata_that_is_hostile_is_refused() {
    for text in ["\"", "a\nb", "{{x}}", "🦀", "\u{1b}[31m"] {
        let name = GOOD.replace("name: claude-api, ", &format!("name: {}, ", quoted(text)));
        assert_eq!(observed(&["render", "-f", "-"], &name).status, 1, "{name}");
        let namespace = GOOD.replace("namespace: prod", &format!("namespace: {}", quoted(text)));
        assert_eq!(observed(&["render", "-f", "-"], &namespace).status, 1, "{namespace}");
    }
}
