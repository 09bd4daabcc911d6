//! The cluster of the user's kubeconfig, with the user's own rights.

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::Error;

/// Which cluster.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Access {
    /// Context of the kubeconfig. Default: the current one.
    #[arg(long, value_name = "CONTEXT")]
    context: Option<String>,
}

impl Access {
    /// A client, and the namespace that its user works in.
    pub(super) async fn client(&self) -> Result<(Client, String), Error> {
        let config = match &self.context {
            Some(context) => {
                let options = KubeConfigOptions {
                    context: Some(context.clone()),
                    ..KubeConfigOptions::default()
                };
                let read = Kubeconfig::read().map_err(Error::cluster)?;
                Config::from_custom_kubeconfig(read, &options)
                    .await
                    .map_err(Error::cluster)?
            }
            None => Config::infer().await.map_err(Error::cluster)?,
        };
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config).map_err(Error::cluster)?;
        Ok((client, namespace))
    }
}

/// Does what talks to a cluster.
pub(super) fn connected<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    // It fails only if something set a provider before, which then is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().map_err(Error::Start)?;
    Ok(runtime.block_on(work))
}
