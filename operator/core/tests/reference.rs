//! `docs/reference.md` is what the packs say, and the tables of `docs/objectives.md` are the numbers of the rules. `UPDATE_GOLDEN=1`
//! writes them anew.

// Clippy knows only functions with `#[test]` as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::fs;
use std::path::Path;

use observed_core::docs::{objectives, reference};
use observed_core::packs::Packs;

#[test]
fn the_reference_in_the_repository_is_the_one_of_the_packs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference.md");
    let text = reference(&Packs::builtin().unwrap());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/reference.md is stale: run this test with UPDATE_GOLDEN=1"
    );
}

#[test]
fn the_tables_of_objectives_in_the_repository_are_those_of_the_rules() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/objectives.md");
    let written = fs::read_to_string(&path).unwrap();
    let now = objectives(&written).expect("the marks of its tables");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &now).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == now,
        "docs/objectives.md is stale: run this test with UPDATE_GOLDEN=1"
    );
}

#[test]
fn every_alert_and_every_recorded_series_is_in_it_and_a_change_would_show() {
    let mut packs = Packs::builtin().unwrap();
    let text = reference(&packs);
    for signal in packs.packs.iter().flat_map(|pack| &pack.spec.signals) {
        for alert in &signal.alerts {
            assert!(text.contains(&format!("\n### {}\n", alert.name)), "{}", alert.name);
        }
        if let Some(record) = &signal.record {
            assert!(text.contains(&format!("`{}` is\n", record.r#as)), "{}", record.r#as);
        }
    }
    packs.packs[0].spec.signals[0].help = "Something else.".into();
    assert_ne!(reference(&packs), text);
}
