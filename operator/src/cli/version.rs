//! `observed version`.

use kube::Resource;
use observed_core::packs::Packs;
use observed_crds::v1alpha1::ObservedService;
use serde_json::json;

use super::output::{self, Format};
use super::{Error, Outcome};

pub(super) const EXAMPLES: &str = "\
Examples:
  observed version
  observed version -o json | jq -r .version";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

pub(super) fn version(args: &Args) -> Result<Outcome, Error> {
    let version = env!("CARGO_PKG_VERSION");
    let api_version = ObservedService::api_version(&());
    let packs = Packs::builtin()?;
    let packs: Vec<&str> = packs.names().collect();
    let text = match args.output {
        Format::Text => format!(
            "observed {version}\napi      {api_version}\npacks    {}\n",
            packs.join(", ")
        ),
        Format::Json => output::json(&json!({"version": version, "apiVersion": api_version, "packs": packs}))?,
    };
    output::print(&text)?;
    Ok(Outcome::Fine)
}
