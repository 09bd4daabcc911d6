//! `observed render`, beside what the golden cases hold.

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{GOOD, observed};

#[test]
fn the_list_in_json_holds_the_documents_in_yaml() {
    let other = GOOD.replace("claude-api", "other");
    let silent = format!("{GOOD}  signals: {{packs: []}}\n");
    // More than is kept in one text until it is printed.
    let many = (0..20).map(|n| GOOD.replace("claude-api", &format!("api-{n}")));
    let many = many.collect::<Vec<_>>().join("---\n");
    for (text, more, count) in [
        (GOOD.to_owned(), &[][..], 4),
        (format!("{GOOD}---\n{other}"), &[], 8),
        (format!("{GOOD}---\n{other}"), &["--only", "service-monitor"], 2),
        (many, &[], 80),
        (silent, &["--only", "prometheus-rule"], 0),
    ] {
        let rendered = |form: &[&str]| {
            let done = observed(&[&["render", "-f", "-"], form, more].concat(), &text);
            assert_eq!(done.status, 0, "{done:?}");
            done.out
        };
        let documents = rendered(&[]);
        let documents = serde_yaml::Deserializer::from_str(&documents).map(|it| Value::deserialize(it).unwrap());
        let documents: Vec<Value> = documents.filter(|document| !document.is_null()).collect();
        assert_eq!(documents.len(), count, "{more:?}");
        let list = json!({"apiVersion": "v1", "items": documents, "kind": "List"});
        assert_eq!(
            rendered(&["-o", "json"]),
            serde_json::to_string_pretty(&list).unwrap() + "\n",
            "{more:?}"
        );
    }
}
