use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Where people find the runbooks of this service's alerts.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Runbooks {
    /// baseURL is the page above the runbooks; each alert's `runbook_url` is `<baseURL>/<alert name>`, to which the
    /// panels of its signal link too. Starts with `https://` or `http://`.
    ///
    /// Example: `https://runbooks.example.org/claude-api`
    #[serde(rename = "baseURL")]
    #[schemars(length(min = 8, max = 512), regex(pattern = r"^https?://[!#-;=?-Z_a-z~%]+$"))]
    pub base_url: String,
}
