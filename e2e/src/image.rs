//! Container images made from files, without Docker: an archive as `docker save` writes it, which containerd imports.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};

/// An image could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {} for the image {image}", path.display())]
pub struct Error {
    /// The image's name.
    pub image: String,
    /// What was tried.
    pub action: &'static str,
    /// With what.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// What a file of an image holds.
#[derive(Clone, Debug)]
enum Content {
    Of(PathBuf),
    Text(String),
}

/// An image to be. It has one layer, with the files and a `/tmp` that anyone can write, and runs as a numeric user that is not root.
///
/// No registry has it, so pods that use it say `imagePullPolicy: Never`.
///
/// ```no_run
/// # fn example() -> Result<(), observed_e2e::image::Error> {
/// use observed_e2e::Image;
///
/// let image = Image::new("observed.local/observed:e2e").file("target/observed", "/bin/observed").entrypoint("/bin/observed");
/// image.write("observed.tar".as_ref())?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Image {
    name: String,
    files: Vec<(Content, String)>,
    entrypoint: Vec<String>,
    user: u32,
    stop_signal: Option<&'static str>,
}

impl Image {
    /// Begins an image of this name and tag.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            files: Vec::new(),
            entrypoint: Vec::new(),
            user: 65532,
            stop_signal: None,
        }
    }

    /// Puts a file into the image at an absolute path, for anyone to read and run.
    #[must_use]
    pub fn file(mut self, source: impl Into<PathBuf>, at: &str) -> Self {
        self.files
            .push((Content::Of(source.into()), at.trim_start_matches('/').to_owned()));
        self
    }

    /// Puts a text into the image as a file, for anyone to read and run.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>, at: &str) -> Self {
        self.files
            .push((Content::Text(text.into()), at.trim_start_matches('/').to_owned()));
        self
    }

    /// Puts the files of a directory into the image below an absolute path. Links to what is not there are left out.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn directory(mut self, source: &Path, at: &str) -> Result<Self, Error> {
        let failed = |image: &Self, error| image.error("read", source, error);
        let entries = fs::read_dir(source).map_err(|error| failed(&self, error))?;
        let paths: io::Result<BTreeSet<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
        for path in paths.map_err(|error| failed(&self, error))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let inside = format!("{at}/{name}");
            if path.is_dir() {
                self = self.directory(&path, &inside)?;
            } else if path.is_file() {
                self = self.file(path, &inside);
            }
        }
        Ok(self)
    }

    /// What runs if a pod gives no command.
    #[must_use]
    pub fn entrypoint(mut self, program: &str) -> Self {
        self.entrypoint = vec![program.to_owned()];
        self
    }

    /// Another numeric user than 65532.
    #[must_use]
    pub fn user(mut self, user: u32) -> Self {
        self.user = user;
        self
    }

    /// Another signal than SIGTERM that asks the program to end.
    #[must_use]
    pub fn stop_signal(mut self, signal: &'static str) -> Self {
        self.stop_signal = Some(signal);
        self
    }

    /// The image's name, for a pod's `image`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes the archive. The same files give the same bytes.
    ///
    /// # Errors
    /// A file cannot be read, or the archive cannot be written.
    pub fn write(&self, archive: &Path) -> Result<(), Error> {
        let layer = self.layer()?;
        let layer_hash = hash(&layer);
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let mut config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": {
                "Entrypoint": self.entrypoint,
                "User": self.user.to_string(),
                "WorkingDir": "/",
                "Env": ["PATH=/bin:/usr/bin"],
            },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer_hash}")] },
            "history": [{ "created_by": "observed-e2e" }],
        });
        if let Some(signal) = self.stop_signal {
            config["config"]["StopSignal"] = json!(signal);
        }
        let config = config.to_string();
        let config_name = format!("{}.json", hash(config.as_bytes()));
        let layer_name = format!("{layer_hash}/layer.tar");
        let manifest = json!([{ "Config": config_name, "RepoTags": [self.name], "Layers": [layer_name] }]).to_string();

        let file = File::create(archive).map_err(|source| self.error("write", archive, source))?;
        let mut tar = tar::Builder::new(BufWriter::new(file));
        let members: [(&str, &[u8]); 3] = [
            (&config_name, config.as_bytes()),
            (&layer_name, &layer),
            ("manifest.json", manifest.as_bytes()),
        ];
        let written = members
            .iter()
            .try_for_each(|(name, bytes)| append(&mut tar, tar::EntryType::Regular, name, 0o644, bytes))
            .and_then(|()| tar.into_inner()?.flush());
        written.map_err(|source| self.error("write", archive, source))
    }

    fn layer(&self) -> Result<Vec<u8>, Error> {
        let mut tar = tar::Builder::new(Vec::new());
        let failed = |source| self.error("pack", Path::new("the layer"), source);
        append(&mut tar, tar::EntryType::Directory, "tmp/", 0o1777, &[]).map_err(failed)?;
        let mut directories = BTreeSet::from([PathBuf::from("tmp")]);
        for (content, at) in &self.files {
            let mut parents: Vec<&Path> = Path::new(at)
                .ancestors()
                .skip(1)
                .filter(|path| *path != Path::new(""))
                .collect();
            parents.reverse();
            for parent in parents {
                if directories.insert(parent.to_owned()) {
                    let name = format!("{}/", parent.display());
                    append(&mut tar, tar::EntryType::Directory, &name, 0o755, &[]).map_err(failed)?;
                }
            }
            let bytes = match content {
                Content::Of(source) => fs::read(source).map_err(|error| self.error("read", source, error))?,
                Content::Text(text) => text.clone().into_bytes(),
            };
            append(&mut tar, tar::EntryType::Regular, at, 0o755, &bytes).map_err(failed)?;
        }
        tar.into_inner().map_err(failed)
    }

    fn error(&self, action: &'static str, path: &Path, source: io::Error) -> Error {
        Error {
            image: self.name.clone(),
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Appends a member with nothing in its header that differs from run to run: no time, no owner.
fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    kind: tar::EntryType,
    name: &str,
    mode: u32,
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    tar.append_data(&mut header, name, bytes)
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn members(archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut tar = tar::Archive::new(archive);
        let entries = tar.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (
                entry.path().unwrap().display().to_string(),
                entry.header().mode().unwrap(),
                bytes,
            )
        });
        entries.collect()
    }

    fn written(directory: &Path, content: &str) -> Vec<u8> {
        let source = directory.join("program");
        fs::write(&source, content).unwrap();
        let archive = directory.join("image.tar");
        let image = Image::new("observed.local/a:1")
            .file(&source, "/opt/deep/program")
            .entrypoint("/opt/deep/program")
            .stop_signal("SIGINT");
        image.write(&archive).unwrap();
        fs::read(&archive).unwrap()
    }

    #[test]
    fn the_same_files_give_the_same_bytes_and_other_files_give_others() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = written(here.path(), "one");
        assert_eq!(
            first,
            written(there.path(), "one"),
            "where and when it is built shows in the archive"
        );
        assert_ne!(first, written(there.path(), "two"));
    }

    #[test]
    fn the_layer_has_the_files_their_directories_and_a_tmp_for_anyone() {
        let directory = tempfile::tempdir().unwrap();
        let archive = written(directory.path(), "one");
        let outer = members(&archive);
        let manifest: serde_json::Value = serde_json::from_slice(&outer[2].2).unwrap();
        assert_eq!(manifest[0]["RepoTags"][0], "observed.local/a:1");
        assert_eq!(manifest[0]["Layers"][0], outer[1].0.as_str());
        let config: serde_json::Value = serde_json::from_slice(&outer[0].2).unwrap();
        assert_eq!(config["config"]["User"], "65532");
        assert_eq!(config["config"]["StopSignal"], "SIGINT");
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", hash(&outer[1].2)));

        let layer: Vec<_> = members(&outer[1].2)
            .into_iter()
            .map(|(name, mode, _)| (name, mode))
            .collect();
        let expected = [
            ("tmp/", 0o1777),
            ("opt/", 0o755),
            ("opt/deep/", 0o755),
            ("opt/deep/program", 0o755),
        ];
        assert_eq!(layer, expected.map(|(name, mode)| (name.to_owned(), mode)));
    }

    #[test]
    fn a_directory_comes_with_what_is_below_it_and_without_links_to_nowhere() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("deep")).unwrap();
        fs::write(directory.path().join("deep/b"), "b").unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", directory.path().join("a")).unwrap();
        let image = Image::new("observed.local/a:1")
            .directory(directory.path(), "/usr/share")
            .unwrap();
        let layer = image.text("root", "/etc/passwd").layer().unwrap();
        let names: Vec<String> = members(&layer).into_iter().map(|(name, ..)| name).collect();
        let expected = [
            "tmp/",
            "usr/",
            "usr/share/",
            "usr/share/deep/",
            "usr/share/deep/b",
            "etc/",
            "etc/passwd",
        ];
        assert_eq!(names, expected);
        let missing = Image::new("observed.local/a:1").directory(Path::new("/nowhere"), "/usr");
        assert!(missing.unwrap_err().to_string().contains("/nowhere"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let image = Image::new("observed.local/a:1").file("/nowhere/program", "/bin/program");
        let error = image
            .write(&directory.path().join("image.tar"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/nowhere/program") && error.contains("observed.local/a:1"),
            "{error}"
        );
    }
}
