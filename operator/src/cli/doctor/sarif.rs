//! Findings as SARIF 2.1.0, which code scanners read.

use observed_core::doctor::{Diagnosis, Finding, RULES, Severity};
use serde_sarif::sarif::{
    ArtifactLocation, Invocation, Location, LogicalLocation, Message, MultiformatMessageString, Notification,
    PhysicalLocation, Region, ReportingDescriptor, Result, ResultLevel, Run, SCHEMA_URL, Sarif, Tool, ToolComponent,
    Version,
};

/// Where the rules are documented.
const PAGE: &str = "docs/doctor.md";

/// The findings of one run, every rule, and what could not be looked at.
pub(super) fn log(diagnosis: &Diagnosis) -> Sarif {
    let rules: Vec<ReportingDescriptor> = RULES
        .iter()
        .map(|rule| {
            let text = |text: &str| MultiformatMessageString::builder().text(text).build();
            ReportingDescriptor::builder()
                .id(rule.id)
                .short_description(text(rule.title))
                .full_description(text(rule.effect))
                .help(text(&format!("{}. See {PAGE}#{}", rule.fix, rule.id)))
                .build()
        })
        .collect();
    let driver = ToolComponent::builder()
        .name("observed doctor")
        .version(env!("CARGO_PKG_VERSION"))
        .rules(rules)
        .build();
    let not_run: Vec<Notification> = diagnosis
        .not_run
        .iter()
        .map(|not| {
            let words = format!("{} was not run: {}", not.rule, not.because);
            Notification::builder().message(message(&words)).build()
        })
        .collect();
    let invocation = Invocation::builder()
        .execution_successful(true)
        .tool_execution_notifications(not_run)
        .build();
    let results: Vec<Result> = diagnosis.findings.iter().map(result).collect();
    let run = Run::builder()
        .tool(Tool::builder().driver(driver).build())
        .invocations(vec![invocation])
        .results(results)
        .build();
    Sarif::builder()
        .schema(SCHEMA_URL)
        .version(Version::V2_1_0.to_string())
        .runs(vec![run])
        .build()
}

fn message(text: &str) -> Message {
    Message::builder().text(text).build()
}

fn result(finding: &Finding) -> Result {
    let command = finding.fix.command.iter().map(|command| format!("\n{command}"));
    let words = format!(
        "{}: {}. {}. {}{}",
        finding.object,
        finding.evidence,
        finding.effect,
        finding.fix.words,
        command.collect::<String>()
    );
    let object = LogicalLocation::builder()
        .fully_qualified_name(finding.object.to_string())
        .kind("resource")
        .build();
    let location = Location::builder().logical_locations(vec![object]);
    let location = match &finding.place {
        Some(place) => {
            let line = i64::try_from(place.place.line).unwrap_or(1);
            let physical = PhysicalLocation::builder()
                .artifact_location(ArtifactLocation::builder().uri(place.file.as_str()).build())
                .region(Region::builder().start_line(line).build())
                .build();
            location.physical_location(physical).build()
        }
        None => location.build(),
    };
    let level = match finding.severity {
        Severity::Error => ResultLevel::Error,
        Severity::Warning => ResultLevel::Warning,
        Severity::Note => ResultLevel::Note,
    };
    let index = RULES.iter().position(|rule| rule.id == finding.rule);
    let result = Result::builder()
        .rule_id(finding.rule)
        .level(level)
        .message(message(&words))
        .locations(vec![location]);
    match index.and_then(|index| i64::try_from(index).ok()) {
        Some(index) => result.rule_index(index).build(),
        None => result.build(),
    }
}
