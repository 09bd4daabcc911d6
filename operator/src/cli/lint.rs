//! `observed lint`: findings with their places.

use std::fmt;
use std::io::IsTerminal;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use observed_core::finding::FindingSeverity;
use observed_core::lint::{Located, Source};
use observed_core::packs::Packs;
use serde_json::json;

use super::input::{Input, Planned};
use super::output::{self, Format, clean};
use super::{Error, Outcome};

pub(super) const EXAMPLES: &str = "\
Examples:
  observed lint -f service.yaml
  observed lint -f manifests/ --strict
  kustomize build . | observed lint -f -
  observed lint -f service.yaml -o json | jq -r '.findings[].message'

The schema and the rules are those that the API server has, so that what is fine here is accepted there. What depends
on the workload (its ports, its container) is assumed, or comes from --facts.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    input: Input,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    /// Count a warning as much as an error.
    #[arg(long)]
    strict: bool,
}

pub(super) fn lint(args: &Args) -> Result<Outcome, Error> {
    let planned = args.input.plan(&Packs::builtin()?.without_drills())?;
    let text = match args.output {
        Format::Json => output::json(&json!({"findings": planned.findings}))?,
        Format::Text if std::io::stdout().is_terminal() => reports(&planned)?,
        Format::Text => lines(&planned.findings),
    };
    output::print(&text)?;
    let stops = |finding: &Located| args.strict || finding.is_error();
    if planned.findings.iter().any(stops) {
        return Ok(Outcome::Findings);
    }
    Ok(Outcome::Fine)
}

/// One line a finding.
pub(super) fn lines(findings: &[Located]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

/// Each finding with the lines that it is about.
fn reports(planned: &Planned) -> Result<String, Error> {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode());
    let mut text = String::new();
    for located in &planned.findings {
        let source = planned.sources.iter().find(|source| source.name == located.file);
        let report = Report {
            located,
            source: source.map(shown),
        };
        handler
            .render_report(&mut text, &report)
            .map_err(|error| Error::Print(std::io::Error::other(error)))?;
    }
    let plural = |number: usize, word: &str| match number {
        1 => format!("1 {word}"),
        _ => format!("{number} {word}s"),
    };
    let sum = match planned.findings.len() {
        0 => format!("{}, no finding\n", plural(planned.services, "ObservedService")),
        findings => format!("{}\n", plural(findings, "finding")),
    };
    Ok(text + &sum)
}

/// The text without characters that would steer a terminal, each byte where it was.
fn shown(source: &Source) -> NamedSource<String> {
    let clean = source.text.chars().map(|c| match c {
        '\n' | '\t' => c.to_string(),
        c if c.is_control() => "?".repeat(c.len_utf8()),
        c => c.to_string(),
    });
    NamedSource::new(&source.name, clean.collect())
}

struct Report<'a> {
    located: &'a Located,
    source: Option<NamedSource<String>>,
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.located, f)
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let finding = &self.located.finding;
        match finding.path.as_str() {
            "" => f.write_str(&clean(&finding.message)),
            path => write!(f, "{}: {}", clean(path), clean(&finding.message)),
        }
    }
}

impl std::error::Error for Report<'_> {}

impl Diagnostic for Report<'_> {
    fn code(&self) -> Option<Box<dyn fmt::Display + '_>> {
        let code: &'static str = self.located.finding.code.into();
        Some(Box::new(code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.located.finding.severity {
            FindingSeverity::Error => miette::Severity::Error,
            FindingSeverity::Warning => miette::Severity::Warning,
        })
    }

    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        Some(Box::new(clean(&self.located.finding.help)))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.located.place;
        let label = LabeledSpan::new(Some("here".into()), place.start, place.end - place.start);
        Some(Box::new(std::iter::once(label)))
    }
}

#[cfg(test)]
mod tests {
    use observed_core::lint;

    use super::*;

    #[test]
    fn a_report_shows_the_line_and_lets_no_character_through_that_steers_a_terminal() {
        let text = "apiVersion: observed.rs/v1alpha1\nkind: ObservedService\nmetadata: {name: a}\nspec:\n  targetRef: {name: a}\n  probe\u{9b}31m: 1\n";
        let source = Source {
            name: "a.yaml".into(),
            text: text.into(),
            found: false,
        };
        let findings = lint::read(std::slice::from_ref(&source), None).findings;
        let planned = Planned {
            sources: vec![source],
            findings,
            plans: Vec::new(),
            services: 1,
        };
        let report = reports(&planned).unwrap();
        let bare = anstream::adapter::strip_str(&report).to_string();
        assert!(bare.contains("probe") && bare.contains("a.yaml:6:3"), "{bare}");
        assert!(!bare.chars().any(|c| c.is_control() && c != '\n'), "{bare:?}");
    }
}
