//! Where the demo is shown: a cluster with monitoring and the images, made for it or lent to it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::existing::{self, Answers};
use super::kubectl::Kubectl;
use super::look::{Backend, Eyes};
use super::manifest::{Install, Sample, checkout};
use super::{Error, Options, sample, say};
use crate::{Cluster, Image, Node, Progress, binaries, monitoring};

/// Where the dashboard is drawn, in the checkout.
const DASHBOARD: &str = "target/demo-dashboard.html";

/// A cluster on which everything is ready but Observed and the sample.
pub struct Stage {
    /// The cluster.
    pub cluster: Cluster,
    /// `kubectl` for it.
    pub kubectl: Kubectl,
    /// Looks at it.
    pub eyes: Eyes,
    /// What installs Observed.
    pub install: Install,
    /// The ObservedService.
    pub sample: Sample,
    /// The program `observed`, if it was built here.
    pub program: Option<PathBuf>,
    /// The image of Observed to be used.
    pub image: String,
    /// The image of the sample to be used.
    pub sample_image: String,
    /// The cluster was there before the demo, and stays.
    pub lent: bool,
    /// Observed was there before the demo, and stays.
    pub installed: bool,
}

/// Builds the two images of this checkout, and the program `observed`.
///
/// # Errors
/// A program cannot be built.
pub async fn build(install: &Install, progress: &Progress) -> Result<([Image; 2], PathBuf), Error> {
    let mut built = binaries::for_images(&["observed", "claude-api"], progress).await?;
    let program = built.get("observed").cloned().unwrap_or_default();
    let mut image = |name: &str, program: &str| {
        let path = built.remove(program).unwrap_or_default();
        let inside = format!("/bin/{program}");
        Image::new(name).file(path, &inside).entrypoint(&inside)
    };
    let images = [image(&install.image, "observed"), image(sample::IMAGE, "claude-api")];
    Ok((images, program))
}

/// Writes the images as archives, for a cluster that exists.
///
/// # Errors
/// A program cannot be built, or an archive cannot be written.
pub async fn save_images(directory: &Path, progress: &Progress) -> Result<(), Error> {
    let (images, _) = build(&Install::read()?, progress).await?;
    let failed = |source| Error::Directory {
        path: directory.to_owned(),
        source,
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    for (image, file) in images.iter().zip(["observed.tar", "claude-api.tar"]) {
        let path = directory.join(file);
        image.write(&path)?;
        say(&format!("{} is {}", path.display(), image.name()));
    }
    Ok(())
}

impl Stage {
    /// Brings up a cluster of the demo's own.
    ///
    /// # Errors
    /// The machine lacks something, or something cannot be built or started.
    pub async fn own(progress: &Progress) -> Result<Self, Error> {
        crate::cluster::requirements(true).map_err(crate::cluster::Error::from)?;
        let (install, sample) = (Install::read()?, Sample::read()?);
        let executable = std::env::current_exe().map_err(Error::Executable)?;
        let (images, program) = build(&install, progress).await?;
        let node = Node {
            executable,
            monitoring: true,
        };
        let cluster = Cluster::node(node, progress).await?;
        say(&format!("  logs and data of this run: {}", cluster.run_dir().display()));
        for image in &images {
            cluster.load_image(image).await?;
        }
        monitoring::install(&cluster, progress).await?;
        let backend = |service: &str, port| Backend {
            namespace: monitoring::NAMESPACE.to_owned(),
            service: service.to_owned(),
            port,
        };
        let eyes = Eyes {
            client: cluster.client()?,
            namespace: sample.namespace.clone(),
            prometheus: backend(monitoring::PROMETHEUS_SERVICE, 9090),
            alertmanager: backend(monitoring::ALERTMANAGER_SERVICE, 9093),
        };
        let kubectl = Kubectl::new(cluster.kubectl(), cluster.kubeconfig());
        kubectl.run(&["create", "namespace", &eyes.namespace]).await?;
        Ok(Self {
            kubectl,
            eyes,
            program: Some(program),
            image: install.image.clone(),
            sample_image: sample::IMAGE.to_owned(),
            install,
            sample,
            cluster,
            lent: false,
            installed: false,
        })
    }

    /// Uses a cluster that exists.
    ///
    /// # Errors
    /// It cannot be reached, or lacks something that the demo needs: all of it is told.
    pub async fn lent(kubeconfig: &Path, options: &Options) -> Result<Self, Error> {
        let (install, sample) = (Install::read()?, Sample::read()?);
        let cluster = Cluster::external(kubeconfig).await?;
        let nowhere = Backend {
            namespace: String::new(),
            service: String::new(),
            port: 0,
        };
        let mut eyes = Eyes {
            client: cluster.client()?,
            namespace: String::new(),
            prometheus: nowhere.clone(),
            alertmanager: nowhere,
        };
        let group = "/apis/monitoring.coreos.com/v1";
        let answers = Answers {
            v1: eyes.get(group).await,
            v1alpha1: eyes.get("/apis/monitoring.coreos.com/v1alpha1").await,
            prometheuses: eyes.get(&format!("{group}/prometheuses")).await,
            alertmanagers: eyes.get(&format!("{group}/alertmanagers")).await,
        };
        (eyes.prometheus, eyes.alertmanager) = existing::find(&answers).map_err(Error::Missing)?;
        let kubectl = Kubectl::new(cluster.kubectl(), cluster.kubeconfig());
        let file = checkout().join(Install::FILE);
        let there = ["get", "--ignore-not-found", "-o", "name", "-f", &file.to_string_lossy()];
        let there = kubectl.run(&there).await?;
        eyes.namespace = cluster.namespace(&sample.namespace).await?;
        let installed = !there.trim().is_empty();
        if installed {
            say("  Observed is installed here already: it is used as it is, and stays.");
        }
        Ok(Self {
            kubectl,
            eyes,
            program: None,
            image: options.image.clone().unwrap_or_else(|| install.image.clone()),
            sample_image: options.sample_image.clone().unwrap_or_else(|| sample::IMAGE.to_owned()),
            install,
            sample,
            cluster,
            lent: true,
            installed,
        })
    }

    /// Ends the demo's own cluster; of one that was lent, removes what the demo made. Says what is left.
    pub async fn end(self) -> Vec<String> {
        let mut left = Vec::new();
        let run_dir = self.cluster.run_dir().to_owned();
        if self.lent {
            left.extend(self.remove_ours().await.err().map(|error| super::chain(&error)));
        }
        left.extend(self.cluster.stop().await.err().map(|error| super::chain(&error)));
        left.extend(super::leftovers::of(&run_dir));
        left
    }

    async fn remove_ours(&self) -> Result<(), Error> {
        let namespace = self.eyes.namespace.as_str();
        self.kubectl
            .run(&["delete", "namespace", namespace, "--timeout=180s"])
            .await?;
        if !self.installed {
            let all = self.install.with_image(&self.image);
            let arguments = ["delete", "--ignore-not-found", "--timeout=180s", "-f", "-"];
            self.kubectl.run_with(&arguments, Some(&all)).await?;
        }
        Ok(())
    }

    /// Puts everything that could explain a failure into a directory that stays, and returns it.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub async fn keep_evidence(&self) -> Result<PathBuf, Error> {
        let run_dir = self.cluster.run_dir();
        let cache = crate::Cache::of_user()?;
        let to = cache.directory("demo-failed")?;
        let failed = |source| Error::Directory {
            path: to.clone(),
            source,
        };
        // One is enough: what happened before has been told.
        std::fs::remove_dir_all(&to).map_err(failed)?;
        std::fs::create_dir_all(&to).map_err(failed)?;
        let log = run_dir.join("log");
        for entry in std::fs::read_dir(&log).into_iter().flatten().filter_map(Result::ok) {
            if entry.path().is_file() {
                std::fs::copy(entry.path(), to.join(entry.file_name())).map_err(failed)?;
            }
        }
        let observed = format!("deployment/{}", self.install.name);
        let (theirs, ours) = (self.eyes.namespace.as_str(), self.install.namespace.as_str());
        let questions: [(&str, &[&str]); 5] = [
            ("objects.txt", &["get", "all", "-A", "-o", "wide"]),
            ("events.txt", &["get", "events", "-A", "--sort-by=.lastTimestamp"]),
            ("observed.txt", &["logs", "-n", ours, &observed, "--tail=-1"]),
            (
                "observedservices.yaml",
                &["get", "observedservices", "-n", theirs, "-o", "yaml"],
            ),
            ("pods.txt", &["describe", "pods", "-n", theirs]),
        ];
        for (file, arguments) in questions {
            let answer = self.kubectl.run(arguments).await;
            let answer = answer.unwrap_or_else(|error| super::chain(&error));
            std::fs::write(to.join(file), answer).map_err(failed)?;
        }
        Ok(to)
    }

    /// Draws the dashboard from what Prometheus has seen, where the program was built here.
    ///
    /// # Errors
    /// Prometheus cannot be reached, or the program failed.
    pub async fn draw_dashboard(&self) -> Result<(), Error> {
        let Some(program) = &self.program else { return Ok(()) };
        let Backend {
            namespace,
            service,
            port,
        } = &self.eyes.prometheus;
        let address = self.cluster.forward(namespace, service, *port).await?;
        let page = checkout().join(DASHBOARD);
        let drawn = tokio::process::Command::new(program)
            .args(["preview", "--last", "5m", "-f"])
            .arg(checkout().join(Sample::FILE))
            .args(["--prometheus-url", &format!("http://{address}"), "-o"])
            .arg(&page)
            .output()
            .await;
        match drawn {
            Ok(output) if output.status.success() => {
                say(&format!(
                    "\nThe dashboard, as Prometheus has seen it: {}",
                    page.display()
                ));
                Ok(())
            }
            Ok(output) => Err(Error::Preview(String::from_utf8_lossy(&output.stderr).into_owned())),
            Err(error) => Err(Error::Preview(error.to_string())),
        }
    }

    /// The pods of the sample that are not being deleted.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn pods(&self) -> Result<Vec<String>, Error> {
        let pods = self.eyes.objects().await.pods.map_err(Error::Faults)?;
        let pods = pods["items"].as_array().cloned().unwrap_or_default().into_iter();
        let name = |pod: Value| pod["metadata"]["name"].as_str().map(str::to_owned);
        Ok(pods
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .filter_map(name)
            .collect())
    }
}
