//! `observed completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Error, Line, Outcome, output};

pub(super) const EXAMPLES: &str = "\
Examples:
  source <(observed completions bash)
  observed completions zsh > \"${fpath[1]}/_observed\"
  observed completions fish > ~/.config/fish/completions/observed.fish";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn completions(args: &Args) -> Result<Outcome, Error> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Line::command(), "observed", &mut text);
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(Outcome::Fine)
}
