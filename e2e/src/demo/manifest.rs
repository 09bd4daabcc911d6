//! The manifests that a user applies, read from the checkout that the demo was built in.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read {}: the demo runs from a checkout of Observed", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It is no YAML.
    #[error("{} is no YAML", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// Something that the demo needs is not in it.
    #[error("{} has no {what}", path.display())]
    Lacks {
        /// The file.
        path: PathBuf,
        /// What.
        what: &'static str,
    },
}

/// The root of the checkout.
#[must_use]
pub fn checkout() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// What installs Observed.
#[derive(Clone, Debug)]
pub struct Install {
    documents: Vec<Value>,
    deployment: usize,
    /// Where Observed runs.
    pub namespace: String,
    /// Its Deployment.
    pub name: String,
    /// Its ServiceAccount.
    pub account: String,
    /// The image that the manifest names.
    pub image: String,
}

impl Install {
    /// The file, as a user of the checkout names it.
    pub const FILE: &str = "manifests/install.yaml";

    /// Reads it.
    ///
    /// # Errors
    /// It cannot be read, or has no Deployment with a namespace, a ServiceAccount and an image.
    pub fn read() -> Result<Self, Error> {
        let path = checkout().join(Self::FILE);
        Self::parse(&read(&path)?, &path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let documents = documents(text, path)?;
        let lacks = |what| Error::Lacks {
            path: path.to_owned(),
            what,
        };
        let found = documents.iter().position(|document| document["kind"] == "Deployment");
        let deployment = found.ok_or_else(|| lacks("Deployment"))?;
        let object = &documents[deployment];
        let pod = &object["spec"]["template"]["spec"];
        let text = |value: &Value, what| value.as_str().map(str::to_owned).ok_or_else(|| lacks(what));
        Ok(Self {
            namespace: text(&object["metadata"]["namespace"], "namespace of the Deployment")?,
            name: text(&object["metadata"]["name"], "name of the Deployment")?,
            account: text(&pod["serviceAccountName"], "ServiceAccount in the Deployment")?,
            image: text(&pod["containers"][0]["image"], "image in the Deployment")?,
            deployment,
            documents,
        })
    }

    /// All of it with another image, for `kubectl apply -f -`.
    #[must_use]
    pub fn with_image(&self, image: &str) -> String {
        let mut items = self.documents.clone();
        items[self.deployment]["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
        json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
    }
}

/// The ObservedService of the sample.
#[derive(Clone, Debug)]
pub struct Sample {
    document: Value,
    /// The namespace that it names.
    pub namespace: String,
}

impl Sample {
    /// The file, as a user of the checkout names it.
    pub const FILE: &str = "manifests/samples/claude-api.yaml";

    /// Reads it.
    ///
    /// # Errors
    /// It cannot be read, or holds no ObservedService with a namespace.
    pub fn read() -> Result<Self, Error> {
        let path = checkout().join(Self::FILE);
        Self::parse(&read(&path)?, &path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let lacks = |what| Error::Lacks {
            path: path.to_owned(),
            what,
        };
        let mut documents = documents(text, path)?.into_iter();
        let document = documents.find(|document| document["kind"] == "ObservedService");
        let document = document.ok_or_else(|| lacks("ObservedService"))?;
        let namespace = document["metadata"]["namespace"].as_str().map(str::to_owned);
        Ok(Self {
            namespace: namespace.ok_or_else(|| lacks("namespace in the ObservedService"))?,
            document,
        })
    }

    /// The same in another namespace, for `kubectl apply -f -`.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> String {
        let mut document = self.document.clone();
        document["metadata"]["namespace"] = json!(namespace);
        document.to_string()
    }
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

fn documents(text: &str, path: &Path) -> Result<Vec<Value>, Error> {
    serde_saphyr::from_multiple(text).map_err(|source| Error::Yaml {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTALL: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: observed-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: observed, namespace: observed-system}
spec:
  template:
    spec:
      serviceAccountName: observed
      containers: [{name: observed, image: 'observed:0.1.0'}]
";

    #[test]
    fn what_the_demo_needs_is_read_from_the_manifest_and_the_image_can_be_another() {
        let install = Install::parse(INSTALL, Path::new("install.yaml")).unwrap();
        assert_eq!(
            [&install.namespace, &install.name, &install.account, &install.image],
            ["observed-system", "observed", "observed", "observed:0.1.0"]
        );
        let other = install.with_image("example.org/observed:1");
        assert!(other.contains("example.org/observed:1") && !other.contains("observed:0.1.0"));
        assert!(other.contains("Namespace"));
    }

    #[test]
    fn a_manifest_that_lacks_something_is_refused_with_what_it_lacks() {
        for (text, what) in [
            ("kind: Namespace", "no Deployment"),
            ("", "no Deployment"),
            (
                &INSTALL.replace("      serviceAccountName: observed\n", ""),
                "ServiceAccount",
            ),
            (&INSTALL.replace(", image: 'observed:0.1.0'", ""), "no image"),
        ] {
            let error = Install::parse(text, Path::new("install.yaml")).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains("install.yaml"), "{error}");
        }
        assert!(Install::parse("{", Path::new("install.yaml")).is_err());
    }

    #[test]
    fn the_sample_can_be_put_into_another_namespace() {
        let text = "kind: ObservedService\nmetadata: {name: claude-api, namespace: prod}\n";
        let sample = Sample::parse(text, Path::new("sample.yaml")).unwrap();
        assert_eq!(sample.namespace, "prod");
        assert!(sample.in_namespace("prod-7").contains(r#""namespace":"prod-7""#));
        let error = Sample::parse("kind: ConfigMap", Path::new("sample.yaml")).unwrap_err();
        assert!(error.to_string().contains("no ObservedService"));
    }
}
