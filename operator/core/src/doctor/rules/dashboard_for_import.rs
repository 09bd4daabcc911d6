use super::super::dashboards::dashboards;
use super::super::kind::{Kind, Need};
use super::super::{Found, Rule, Severity, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "dashboard-for-import",
    title: "A dashboard was exported for import by hand: it has `__inputs` or `${DS_…}`",
    effect: "Nothing fills these in when a file is loaded: every panel says that its data source was not found",
    fix: "Use a variable of type `datasource` and `${datasource}` in every panel, and drop `__inputs`",
    needs: &[Need::Any(&[Kind::ConfigMap])],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for dashboard in dashboards(snapshot) {
        let Ok(json) = &dashboard.json else { continue };
        let evidence = match dashboard.text.find("${DS_") {
            Some(at) => {
                let name: String = dashboard.text[at..]
                    .chars()
                    .take_while(|c| *c != '}')
                    .take(40)
                    .collect();
                format!("{} reads the data source {name}}}", dashboard.key)
            }
            None if json.get("__inputs").is_some() => format!("{} has __inputs", dashboard.key),
            None => continue,
        };
        let fix = "Replace it by ${datasource}, add a variable `datasource` of type datasource, and delete __inputs";
        found.push(Found::new(Severity::Error, dashboard.object, evidence, fix));
    }
    found
}
