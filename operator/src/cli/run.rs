//! `observed run`: the operator, or what does something about alerts.

use super::cluster::connected;
use super::{Error, Outcome};
use crate::process;
use crate::settings::Settings;

pub(super) const EXAMPLES: &str = "\
Examples:
  observed run                                    with the cluster of the pod, or of the kubeconfig
  observed run --watch-namespace prod             in one namespace only
  observed run --prometheus-url http://localhost:9090/
  observed run --remediate                        do something about alerts, beside an operator
  observed run --config settings.yaml             with settings under the names of the flags: resync: 5m

Every option can be given as an environment variable too, and in the file. A flag comes before the environment, the
environment before the file. What there is, as a table: observed docs settings";

pub(super) fn run(settings: Settings) -> Result<Outcome, Error> {
    connected(process::run(settings))?.map_err(|error| Error::Run(Box::new(error)))?;
    Ok(Outcome::Fine)
}
