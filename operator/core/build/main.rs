//! The built-in packs as JSON: a program that starts reads it many times faster than YAML. A pack with an alert that no
//! drill proves is not built in.

#![expect(
    clippy::disallowed_methods,
    reason = "what the pure house embeds is read when it is built"
)]

mod unproven;

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=packs");
    let into = PathBuf::from(env::var("OUT_DIR")?);
    for entry in fs::read_dir("packs")? {
        let path = entry?.path();
        let wrong = |error: serde_saphyr::Error| format!("{}: {error}", path.display());
        let pack: serde_json::Value = serde_saphyr::from_str(&fs::read_to_string(&path)?).map_err(wrong)?;
        let unproven = unproven::unproven(&pack);
        if !unproven.is_empty() {
            return Err(format!("{}: {}", path.display(), unproven.join("; ")).into());
        }
        let name = path.file_stem().ok_or("a pack without a name")?;
        fs::write(into.join(name).with_extension("json"), pack.to_string())?;
    }
    Ok(())
}
