//! Which Go is there, and whether it is new enough for the modules.

use std::process::{Command, Stdio};

use super::Tool;
use super::build::{Error, answer};

/// As `go1.26.8`.
pub(super) fn version() -> Result<String, Error> {
    let mut command = Command::new("go");
    command.args(["env", "GOVERSION"]).stdin(Stdio::null());
    answer(command)
}

/// Why the Go that is there cannot build the modules, in words. A Go from 1.21 on fetches a newer one by itself, unless
/// GOTOOLCHAIN is `local`. A Go that is not there is told elsewhere.
pub(crate) fn too_old_here() -> Option<String> {
    let has = version().ok()?;
    let mut command = Command::new("go");
    command.args(["env", "GOTOOLCHAIN"]).stdin(Stdio::null());
    let fetches = answer(command).is_ok_and(|toolchain| toolchain != "local");
    too_old(&has, fetches)
}

fn too_old(has: &str, fetches: bool) -> Option<String> {
    let needs = Tool::ALL.iter().flat_map(|tool| tool.family().sources());
    let needs = needs.filter(|(path, _)| *path == "go.mod");
    let needs = needs.filter_map(|(_, text)| text.lines().find_map(|line| number(line.strip_prefix("go ")?)));
    let needs = needs.max()?;
    let enough = number(has.strip_prefix("go")?)? >= if fetches { [1, 21, 0] } else { needs };
    let [major, minor, patch] = needs;
    (!enough).then(|| format!("Go {major}.{minor}.{patch} or newer is needed, this is {has}: install a newer Go"))
}

/// `1.26.7`, also without its last part or with a word behind it.
fn number(text: &str) -> Option<[u32; 3]> {
    let mut parts = text.trim().split(['.', ' ', '-']).map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_go_that_cannot_build_the_modules_is_told_and_one_that_can_is_not() {
        for (has, fetches) in [("go1.99.0", false), ("go1.26.0", true), ("go1.21.3", true)] {
            assert_eq!(too_old(has, fetches), None, "{has}");
        }
        for (has, fetches) in [("go1.19.8", true), ("go1.26", false), ("go1.21.3", false)] {
            let words = too_old(has, fetches).unwrap();
            assert!(words.contains(has) && words.contains("1.26."), "{words}");
        }
    }
}
