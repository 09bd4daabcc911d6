//! `observed doctor --fix`: each change as a diff, made after a yes.

use observed_core::doctor::{Change, Diagnosis, Snapshot};

use super::super::Error;
use super::super::cluster::{Access, connected};
use super::super::output::{ask, clean, may_ask, print};
use crate::mend::Mending;

/// Shows the change of every finding that has one, and makes those that are wanted. Which of them were made.
pub(super) fn fix(access: &Access, diagnosis: &Diagnosis, snapshot: &Snapshot) -> Result<Vec<Change>, Error> {
    // Two findings may have the same change.
    let mut changes: Vec<&Change> = Vec::new();
    for change in diagnosis.findings.iter().filter_map(|found| found.fix.change.as_ref()) {
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    let may_ask = may_ask();
    let mut made = Vec::new();
    for change in &changes {
        let reference = &change.object;
        let Some(object) = snapshot.find(reference.kind, &reference.namespace, &reference.name) else {
            print(&format!("\n{reference} is not seen: nothing is changed\n"))?;
            continue;
        };
        let mending = Mending::new(object, change).map_err(|error| Error::Cluster(error.to_string()))?;
        let diff = mending.diff();
        let lines: Vec<String> = diff.lines().map(clean).collect();
        print(&format!("\n{}\n", lines.join("\n")))?;
        if !may_ask {
            continue;
        }
        if !ask("make this change? [y/N] ")? {
            print("left as it is\n")?;
            continue;
        }
        let done = connected(async {
            let (client, _) = access.client().await?;
            Ok::<_, Error>(mending.apply(&client).await)
        })??;
        match done {
            Ok(()) => {
                print("changed\n")?;
                made.push((*change).clone());
            }
            Err(error) => print(&format!("not changed: {error}\n"))?,
        }
    }
    let (all, number) = (changes.len(), made.len());
    print(&match (all, may_ask) {
        (0, _) => "\nno finding has a change that is known to be right\n".to_owned(),
        (_, true) => format!("\n{number} of {all} changes were made\n"),
        (_, false) => "\nnothing was changed: standard input is no terminal, so that nobody could say yes\n".to_owned(),
    })?;
    Ok(made)
}
