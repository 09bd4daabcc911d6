//! `observed doctor --in-cluster`: one line for each thing that the operator needs.

use observed_core::rbac::MetricsReaders;

use super::super::cluster::connected;
use super::super::{Error, Outcome, output};
use super::Args;
use crate::installed::{Found, Installation, look as look_at};

pub(super) fn look(args: &Args) -> Result<Outcome, Error> {
    let found = connected(async {
        let (client, home) = args.access.client().await?;
        let installation = Installation {
            home: &home,
            namespace: args.namespace.as_deref(),
            lease: &args.lease_name,
            readers: match args.metrics_listen {
                Some(_) => MetricsReaders::Allowed,
                None => MetricsReaders::All,
            },
            servers: &args.servers(),
        };
        Ok::<_, Error>(look_at(&client, &installation).await)
    })??;
    let lines = found.iter().map(|(what, found)| match found {
        Found::Well(words) => format!("ok       {what}: {words}\n"),
        Found::Lacks(words) => format!("warning  {what}: {words}\n"),
        Found::Dead(words) => format!("error    {what}: {words}\n"),
    });
    output::print(&lines.collect::<String>())?;
    let stops = |found: &Found| match found {
        Found::Well(_) => false,
        Found::Lacks(_) => args.strict,
        Found::Dead(_) => true,
    };
    let stopped = found.iter().any(|(_, found)| stops(found));
    Ok(if stopped { Outcome::Findings } else { Outcome::Fine })
}
