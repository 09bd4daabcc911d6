//! `observed run`: the operator.

use super::cluster::connected;
use super::{Error, Outcome};
use crate::controller;
use crate::settings::Settings;

pub(super) const EXAMPLES: &str = "\
Examples:
  observed run                                    with the cluster of the pod, or of the kubeconfig
  observed run --watch-namespace prod             in one namespace only
  observed run --prometheus-url http://localhost:9090/

Every option can be given as an environment variable too.";

pub(super) fn run(settings: Settings) -> Result<Outcome, Error> {
    connected(controller::run(settings))?.map_err(|error| Error::Run(Box::new(error)))?;
    Ok(Outcome::Fine)
}
