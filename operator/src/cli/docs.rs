//! `observed docs`: the pages of the reference that the program knows by itself.

use clap::{CommandFactory, ValueEnum};

use observed_core::docs as reference;
use observed_core::packs::Packs;

use super::{Error, Line, Outcome, output};
use crate::{metrics, settings};

pub(super) const EXAMPLES: &str = "\
Examples:
  observed docs conditions    what each reason of a condition means, and the next step
  observed docs fields        every field of the resources, with its default
  observed docs settings      every setting of the operator";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The page.
    page: Page,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    /// Every setting of the operator: flag, environment, file.
    Settings,
    /// Every field of ObservedService and SignalPack.
    Fields,
    /// Every condition, and what to do about each reason.
    Conditions,
    /// The operator's own metrics.
    Metrics,
    /// What the packs know: series, rules, alerts.
    Packs,
}

pub(super) fn docs(args: &Args) -> Result<Outcome, Error> {
    let text = match args.page {
        Page::Settings => settings::page(Line::command().find_subcommand("run").unwrap_or(&Line::command())),
        Page::Fields => reference::fields()?,
        Page::Conditions => reference::conditions(),
        Page::Metrics => metrics::page(),
        Page::Packs => reference::reference(&Packs::builtin()?),
    };
    output::print_exactly(&text)?;
    Ok(Outcome::Fine)
}
