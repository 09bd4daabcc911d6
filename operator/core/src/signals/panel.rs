//! The panel of a signal.

use observed_crds::v1alpha1::signal_pack::{Scope, Signal, SignalPack};

use super::Binding;
use super::ties::Ties;
use crate::plan::{self, Threshold};
use crate::promql::{Error, Tie};

/// Seconds between two samples from the kubelet, kube-state-metrics and exporters, whose scrape is not ours: the default
/// of kube-prometheus-stack. A range that is shorter than four of them leaves a graph empty.
const OTHERS_STEP_SECONDS: u32 = 30;

/// The panel, if the signal has one and `stands` holds for any of its expressions.
pub(super) fn panel(
    pack: &SignalPack,
    signal: &Signal,
    mut thresholds: Vec<Threshold>,
    alerts: Vec<String>,
    stands: &dyn Fn(&str) -> bool,
    ties: &Ties<'_>,
    binding: &Binding<'_>,
) -> Result<Option<plan::Panel>, Error> {
    let Some(panel) = &signal.panel else {
        return Ok(None);
    };
    let tie = ties.of(pack)?;
    // Two databases have the same panels, which stand beside each other in the first row.
    let title = match binding.dependency {
        Some(dependency) => format!("{}: {}", dependency.name, panel.title),
        None => panel.title.clone(),
    };
    let queries = panel
        .queries
        .iter()
        .filter(|written| stands(&written.expr))
        .map(|written| query(tie, &written.expr, legend(tie, &written.legend), ties, binding))
        .collect::<Result<Vec<_>, _>>()?;
    if queries.is_empty() {
        return Ok(None);
    }
    // The number that the alerts compare, if there is one. From what is scraped, so that it shows before rules are loaded.
    let whole = signal.record.as_ref().map(|record| record.expr.as_str());
    let whole = whole.filter(|expr| stands(expr));
    let overview = match (panel.overview, whole) {
        (false, _) => Vec::new(),
        (true, Some(expr)) => vec![query(tie, expr, title.clone(), ties, binding)?],
        (true, None) => queries.clone(),
    };
    thresholds.dedup();
    Ok(Some(plan::Panel {
        title,
        description: signal.help.clone(),
        unit: signal.unit,
        queries,
        min: panel.min,
        max: panel.max,
        thresholds,
        overview,
        alerts,
    }))
}

fn query(
    tie: &Tie,
    expr: &str,
    legend: String,
    ties: &Ties<'_>,
    binding: &Binding<'_>,
) -> Result<plan::PanelQuery, Error> {
    let expr = ties.parsed(expr)?;
    let own = ties.scope(&expr) == Scope::Service;
    let panel = tie.panel(&expr)?;
    panel.tied.prove_in(&binding.namespaces(), Some(ties.rule_groups()))?;
    Ok(plan::PanelQuery {
        expr: panel.expr,
        legend,
        step_seconds: if own {
            binding.interval_seconds
        } else {
            binding.interval_seconds.max(OTHERS_STEP_SECONDS)
        },
    })
}

/// The legend with the labels' names at the service.
fn legend(tie: &Tie, written: &str) -> String {
    let mut legend = String::new();
    let mut rest = written;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((label, after)) = after.split_once("}}") else {
            break;
        };
        legend.push_str(&format!("{before}{{{{{}}}}}", tie.label(label.trim())));
        rest = after;
    }
    legend.push_str(rest);
    legend
}
