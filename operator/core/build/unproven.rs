//! Which alerts of a pack have no proof.

use serde_json::Value;

/// Cases in which an alert is silent at least: nothing is wrong, and almost.
const SILENT: usize = 2;

/// What is missing in the drills of a pack's alerts, a sentence each.
pub fn unproven(pack: &Value) -> Vec<String> {
    let list = |of: &Value, field: &str| of[field].as_array().cloned().unwrap_or_default();
    let alerts = list(&pack["spec"], "signals")
        .into_iter()
        .flat_map(|signal| list(&signal, "alerts"));
    let mut found = Vec::new();
    for alert in alerts {
        for (cases, least) in [("fires", 1), ("silent", SILENT)] {
            let there = list(&alert["drill"], cases).len();
            if there < least {
                found.push(format!(
                    "alert {}: drill.{cases} has {there} cases, at least {least} are needed",
                    alert["name"]
                ));
            }
        }
    }
    found
}
