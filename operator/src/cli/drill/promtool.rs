//! promtool, and what it says about each test.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use observed_core::drill::DrillFile;

/// Name of the rule file as the tests name it.
pub(in crate::cli) const RULES: &str = "rules.yaml";
const REPORT: &str = "report.xml";

/// promtool could not be run, or what it said could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PromtoolError {
    #[error(
        "cannot run {program}: promtool 3 comes with Prometheus, or by `go install \
         github.com/prometheus/prometheus/cmd/promtool@latest`; --promtool names another place, and \
         `observed drill --out DIR` only writes the tests"
    )]
    Run { program: String, source: std::io::Error },
    #[error("{0} is older than Prometheus 3: it cannot report each test by itself (--junit)")]
    TooOld(String),
    #[error("cannot keep the tests in a temporary directory")]
    Files(#[from] std::io::Error),
    #[error("promtool did not run the tests: {0}")]
    Refused(String),
    #[error("cannot read the report of promtool")]
    Report(#[from] roxmltree::Error),
    #[error("cannot read what promtool says about the drill; it is known to be said so by promtool 3.16")]
    NotRead,
    #[error("promtool did not run the test {0:?}")]
    NotPlayed(String),
}

/// What was wrong in each test that was run; nothing where it passed.
pub(in crate::cli) fn play(
    promtool: &Path,
    rules: &str,
    drills: &[DrillFile],
    alert: Option<&str>,
) -> Result<BTreeMap<String, Vec<String>>, PromtoolError> {
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join(RULES), rules)?;
    let names: Vec<String> = drills.iter().map(|file| format!("{}.yaml", file.name)).collect();
    for (name, file) in names.iter().zip(drills) {
        fs::write(directory.path().join(name), &file.text)?;
    }
    // A name is looked for on the PATH; a path is one from here, and not from where the tests are.
    let program = match promtool.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => std::path::absolute(promtool)?,
        _ => promtool.to_owned(),
    };
    let mut command = Command::new(program);
    command.current_dir(directory.path()).args(["test", "rules"]);
    command.arg(format!("--junit={REPORT}"));
    if let Some(alert) = alert {
        command.arg(format!("--run=^{alert} "));
    }
    let done = command.args(names).output().map_err(|source| PromtoolError::Run {
        program: promtool.display().to_string(),
        source,
    })?;
    let words = [done.stdout, done.stderr].concat();
    let words = String::from_utf8_lossy(&words);
    if words.contains("unknown long flag") {
        return Err(PromtoolError::TooOld(promtool.display().to_string()));
    }
    let Ok(report) = fs::read_to_string(directory.path().join(REPORT)) else {
        return Err(PromtoolError::Refused(words.trim().to_owned()));
    };
    read(&report)
}

/// The tests of a JUnit report, each with what failed in it.
fn read(report: &str) -> Result<BTreeMap<String, Vec<String>>, PromtoolError> {
    let report = roxmltree::Document::parse(report)?;
    let cases = report.descendants().filter(|node| node.has_tag_name("testcase"));
    let failures = |case: roxmltree::Node<'_, '_>| {
        let wrong = case.children().filter(|node| node.is_element());
        wrong
            .map(|node| node.text().unwrap_or("it failed without a word").trim().to_owned())
            .collect()
    };
    Ok(cases
        .filter_map(|case| Some((case.attribute("name")?.to_owned(), failures(case))))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_what_failed_in_which_test() {
        let report = "<testsuites><testsuite name=\"d\"><testcase name=\"A fires: it&#39;s down\"></testcase>\
                      <testcase name=\"B fires: x\"><failure> one&#xA;two </failure><error>three</error></testcase>\
                      </testsuite></testsuites>";
        let read = read(report).unwrap();
        assert_eq!(read["A fires: it's down"], Vec::<String>::new());
        assert_eq!(read["B fires: x"], ["one\ntwo", "three"]);
        assert!(super::read("no report").is_err());
    }
}
