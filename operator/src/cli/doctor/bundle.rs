//! `observed doctor --bundle`: what was seen, as an archive to attach to a question.

use std::io;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use observed_core::doctor::{self, Diagnosis, Snapshot};
use serde_json::json;

use super::super::Error;
use super::super::cluster::{Access, connected};
use super::super::output;

pub(super) fn write(path: &Path, access: &Access, diagnosis: &Diagnosis, snapshot: &Snapshot) -> Result<(), Error> {
    let kubernetes = connected(async {
        let (client, _) = access.client().await?;
        let version = client.apiserver_version().await;
        Ok::<_, Error>(version.map_or_else(|error| error.to_string(), |version| version.git_version))
    })??;
    let versions = json!({"observed": env!("CARGO_PKG_VERSION"), "kubernetes": kubernetes});
    let files = doctor::bundle(snapshot, diagnosis, &versions);
    let files: Vec<(String, String)> = files
        .into_iter()
        .map(|(name, value)| Ok((name, output::json(&value)?)))
        .collect::<Result<_, Error>>()?;
    let packed = pack(&files).map_err(|source| Error::Write {
        name: path.display().to_string(),
        source,
    })?;
    output::whole(path, &packed)?;
    output::note(&format!(
        "{} has {} files. Look into it before you give it away: tar -xzf {0}",
        path.display(),
        files.len()
    ));
    Ok(())
}

fn pack(files: &[(String, String)]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        // Without a time the same cluster gives the same archive.
        header.set_mtime(0);
        archive.append_data(&mut header, format!("observed-doctor/{name}"), text.as_bytes())?;
    }
    archive.into_inner()?.finish()
}
