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
        "targetRef: {name: claude-api, container: X}",
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
        let base = if field.starts_with("targetRef") {
            GOOD.replace("  targetRef: {name: claude-api}\n", "")
        } else {
            GOOD.to_owned()
        };
        for text in hostile {
            let text = format!("{base}  {}\n", field.replace('X', &quoted(text)));
            let done = observed(&["render", "-f", "-"], &text);
            assert!([0, 1].contains(&done.status), "{text}: {done:?}");
            assert!(
                !done.err.chars().any(|c| c.is_control() && c != '\n'),
                "{text}: {done:?}"
            );
            if done.status == 1 {
                assert_eq!(done.out, "", "{text}");
                continue;
            }
            // What is printed is YAML, and none of it comes from the text but as a text.
            for document in serde_yaml::Deserializer::from_str(&done.out) {
                let object: Value = serde::Deserialize::deserialize(document).unwrap();
                if object.is_null() {
                    continue;
                }
                assert!(
                    object.get("b").is_none() && object["metadata"]["namespace"] == "prod",
                    "{text}: {object}"
                );
            }
        }
    }
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
