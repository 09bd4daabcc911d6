//! The databases of the sample and their exporters, as images: PostgreSQL, Redis and the exporter of Redis from Debian's packages, the exporter
//! of PostgreSQL from its Go module.
//!
//! An image has the programs, the libraries that they load, and nothing else; PostgreSQL's also a shell, which it needs to make a database.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::{self, Cache};
use crate::image::{self, Image};
use crate::progress::Progress;
use crate::tools::debian::{self, Debian};
use crate::tools::{self, Tool, Tools};

/// The image of PostgreSQL.
pub const POSTGRES: &str = "observed.local/postgres:debian";
/// The image of Redis.
pub const REDIS: &str = "observed.local/redis:debian";
/// The image of the exporter of PostgreSQL.
pub const POSTGRES_EXPORTER: &str = "observed.local/postgres-exporter:v0.19.1";
/// The image of the exporter of Redis.
pub const REDIS_EXPORTER: &str = "observed.local/redis-exporter:debian";

/// The user of the databases, as in the images of Docker's library.
const USER: u32 = 999;
const START_POSTGRES: &str = include_str!("dependencies/start-postgres.sh");

/// An image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// Debian's packages cannot be had.
    #[error(transparent)]
    Debian(#[from] debian::Error),
    /// The exporter of PostgreSQL cannot be built.
    #[error(transparent)]
    Tools(#[from] tools::Error),
    /// A file of an image cannot be read.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// The packages are not laid out as they were.
    #[error("{} has no {what}", root.display())]
    Lacks {
        /// The packages, unpacked.
        root: PathBuf,
        /// What was looked for.
        what: String,
    },
    /// The thread that made it ended.
    #[error("making the images was interrupted")]
    Interrupted,
}

/// The four images, from what the cache has or fetches.
///
/// # Errors
/// A package or a module cannot be fetched or built.
pub async fn images(progress: &Progress) -> Result<[Image; 4], Error> {
    let tools = Tools::ensure(&[Tool::PostgresExporter], progress).await?;
    let exporter = tools.path(Tool::PostgresExporter)?.to_owned();
    let progress = progress.clone();
    let made = tokio::task::spawn_blocking(move || {
        let cache = Cache::of_user()?;
        let databases = ["postgresql", "dash", "redis-server", "prometheus-redis-exporter"];
        let root = Root(Debian::whole(&cache, &databases, &progress)?);
        Ok([
            root.postgres()?,
            root.redis()?,
            postgres_exporter(&exporter),
            root.redis_exporter()?,
        ])
    });
    made.await.map_err(|_| Error::Interrupted)?
}

fn postgres_exporter(program: &Path) -> Image {
    let at = "/bin/postgres_exporter";
    Image::new(POSTGRES_EXPORTER).file(program, at).entrypoint(at)
}

/// Debian's packages, unpacked.
struct Root(PathBuf);

impl Root {
    fn postgres(&self) -> Result<Image, Error> {
        let version = self.postgres_version()?;
        let home = format!("usr/lib/postgresql/{version}");
        let below = |name: &str| format!("{home}/{name}");
        // The server finds its own files from where it lies; the clients are where a probe finds them.
        let mut programs: Vec<(String, String)> = ["postgres", "initdb", "pg_ctl"]
            .map(|name| below(&format!("bin/{name}")))
            .map(|path| (path.clone(), format!("/{path}")))
            .into();
        programs.extend(["psql", "pg_isready"].map(|name| (below(&format!("bin/{name}")), format!("/usr/bin/{name}"))));
        programs.push(("bin/dash".to_owned(), "/bin/sh".to_owned()));
        // llvmjit, which compiles long queries, would be ten times as large as all the rest.
        programs.extend(
            ["plpgsql.so", "dict_snowball.so", "pg_stat_statements.so"]
                .map(|name| below(&format!("lib/{name}")))
                .map(|path| (path.clone(), format!("/{path}"))),
        );
        let share = format!("usr/share/postgresql/{version}");
        let mut image = self
            .with_libraries(Image::new(POSTGRES), &programs)?
            .directory(&self.0.join(&share), &format!("/{share}"))?;
        for zone in ["UTC", "GMT", "Etc/UTC"] {
            let path = format!("usr/share/zoneinfo/{zone}");
            image = image.file(self.0.join(&path), &format!("/{path}"));
        }
        let start = "/usr/local/bin/docker-entrypoint.sh";
        Ok(image
            .text(passwd("postgres"), "/etc/passwd")
            // As in Docker's library: at SIGTERM it would wait until every client has gone, and pools never go.
            .stop_signal("SIGINT")
            .text(START_POSTGRES.replace("MAJOR", &version), start)
            .entrypoint(start)
            .user(USER))
    }

    fn redis(&self) -> Result<Image, Error> {
        let programs = ["usr/bin/redis-server", "usr/bin/redis-cli"];
        let programs = programs.map(|path| (path.to_owned(), format!("/{path}")));
        let image = self.with_libraries(Image::new(REDIS), &programs)?;
        Ok(image
            .text(passwd("redis"), "/etc/passwd")
            .entrypoint("/usr/bin/redis-server")
            .user(USER))
    }

    fn redis_exporter(&self) -> Result<Image, Error> {
        let at = "/bin/redis_exporter";
        let program = ("usr/bin/prometheus-redis-exporter".to_owned(), at.to_owned());
        let image = self.with_libraries(Image::new(REDIS_EXPORTER), &[program])?;
        Ok(image.entrypoint(at))
    }

    /// The newest that is there, as `15`.
    fn postgres_version(&self) -> Result<String, Error> {
        let entries = std::fs::read_dir(self.0.join("usr/lib/postgresql")).ok();
        let names = entries.into_iter().flatten().filter_map(Result::ok);
        let versions = names.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let newest = versions.max().ok_or_else(|| self.lacks("usr/lib/postgresql"))?;
        Ok(newest.to_string())
    }

    /// Adds programs, given by their path here and there, and every library that they load.
    fn with_libraries(&self, mut image: Image, programs: &[(String, String)]) -> Result<Image, Error> {
        let loaders = ["lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1"];
        let loader = loaders.into_iter().find(|path| self.0.join(path).exists());
        let loader = loader.ok_or_else(|| self.lacks("loader of programs"))?;
        let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
        let directories = ["usr/lib", "lib"].map(|lib| self.0.join(lib).join(&triplet));
        let path = directories
            .clone()
            .map(|directory| directory.display().to_string())
            .join(":");
        image = image.file(self.0.join(loader), &format!("/{loader}"));
        let mut libraries = std::collections::BTreeMap::new();
        for (program, at) in programs {
            let program = self.0.join(program);
            let mut list = Command::new(self.0.join(loader));
            list.args(["--library-path", &path, "--list"]).arg(&program);
            let output = list.output().map_err(|_| self.lacks(&program.display().to_string()))?;
            if !output.status.success() {
                return Err(self.lacks(String::from_utf8_lossy(&output.stderr).trim()));
            }
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            for line in text.lines() {
                let Some((name, found)) = line.trim().split_once(" => ") else {
                    continue;
                };
                let found = found.split(" (").next().unwrap_or_default();
                libraries.insert(name.to_owned(), PathBuf::from(found));
            }
            image = image.file(program, at);
        }
        for (name, found) in libraries {
            if !found.starts_with(&self.0) {
                return Err(self.lacks(&name));
            }
            image = image.file(found, &format!("/usr/lib/{triplet}/{name}"));
        }
        Ok(image)
    }

    fn lacks(&self, what: &str) -> Error {
        Error::Lacks {
            root: self.0.clone(),
            what: what.to_owned(),
        }
    }
}

/// A program that asks who it is gets an answer.
fn passwd(name: &str) -> String {
    format!("root:x:0:0:root:/:/bin/sh\n{name}:x:{USER}:{USER}::/tmp:/bin/sh\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_lack_a_program_or_its_loader_are_told_and_make_no_image() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root(directory.path().to_owned());
        let error = root.postgres().unwrap_err().to_string();
        assert!(error.ends_with("has no usr/lib/postgresql"), "{error}");
        let error = root.redis().unwrap_err().to_string();
        assert!(error.ends_with("has no loader of programs"), "{error}");
    }

    #[test]
    fn the_newest_postgresql_by_number_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        for version in ["9", "15", "common"] {
            std::fs::create_dir_all(directory.path().join("usr/lib/postgresql").join(version)).unwrap();
        }
        assert_eq!(Root(directory.path().to_owned()).postgres_version().unwrap(), "15");
    }

    #[test]
    fn the_start_of_postgresql_names_its_version_once_and_is_told_of_it() {
        assert_eq!(START_POSTGRES.matches("MAJOR").count(), 1);
    }
}
