//! `observed docs`: the pages of the reference that the program knows by itself.

use clap::{CommandFactory, ValueEnum};

use super::{Error, Line, Outcome, output};
use crate::settings;

pub(super) const EXAMPLES: &str = "\
Examples:
  observed docs settings";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The page.
    page: Page,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    /// Every setting of the operator: flag, environment, file.
    Settings,
}

pub(super) fn docs(args: &Args) -> Result<Outcome, Error> {
    let text = match args.page {
        Page::Settings => settings::page(Line::command().find_subcommand("run").unwrap_or(&Line::command())),
    };
    output::print_exactly(&text)?;
    Ok(Outcome::Fine)
}
