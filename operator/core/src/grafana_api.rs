//! What Grafana itself says of a dashboard, asked for its uid: the judgement that the operator and `observed doctor` share.

use serde::Serialize;

/// Characters of a foreign text that are shown.
const LONGEST: usize = 200;

/// A dashboard as Grafana has it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// Its title.
    pub title: String,
    /// Title of its folder.
    pub folder: String,
}

/// How a dashboard stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Grafana has it.
    Loaded,
    /// Grafana has another one under its uid.
    Taken,
    /// Grafana has none under its uid.
    NotLoaded,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// How it stands.
    pub standing: Standing,
    /// What was answered, in words.
    pub words: String,
    /// What mends it. Empty: nothing is to be mended.
    pub next_step: &'static str,
}

/// What it means that Grafana, at this address, has this under the uid of a dashboard of this title. None: it has nothing.
pub fn judge(url: &str, uid: &str, title: &str, known: Option<&Known>) -> Judged {
    match known {
        Some(known) if known.title == title => Judged {
            standing: Standing::Loaded,
            words: format!(
                "Grafana at {url} has the dashboard {title:?} in the folder {:?}",
                beginning(&known.folder)
            ),
            next_step: "",
        },
        Some(known) => Judged {
            standing: Standing::Taken,
            words: format!(
                "In Grafana at {url} the uid {uid:?} belongs to the dashboard {:?} in the folder {:?}, so that this one cannot be \
                 loaded",
                beginning(&known.title),
                beginning(&known.folder)
            ),
            next_step: "Delete that one, or give it another uid",
        },
        None => Judged {
            standing: Standing::NotLoaded,
            words: format!("Grafana at {url} has no dashboard with the uid {uid:?} yet"),
            next_step: "It can take two minutes; if it stays so, the logs of Grafana and of its sidecar say why",
        },
    }
}

fn beginning(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dashboard_stands_as_what_grafana_has_under_its_uid() {
        let known = |title: &str| Known {
            title: title.into(),
            folder: "Services".into(),
        };
        for (has, standing, words) in [
            (Some(known("API")), Standing::Loaded, "in the folder \"Services\""),
            (
                Some(known("Copy")),
                Standing::Taken,
                "belongs to the dashboard \"Copy\"",
            ),
            (None, Standing::NotLoaded, "no dashboard with the uid \"api\""),
        ] {
            let judged = judge("http://g", "api", "API", has.as_ref());
            assert_eq!(judged.standing, standing);
            assert!(judged.words.contains(words), "{judged:?}");
            assert_eq!(judged.next_step.is_empty(), standing == Standing::Loaded);
        }
        // A long title is compared whole and shown as far as it helps.
        let long = "a".repeat(1000);
        let standing = |title: &str| judge("http://g", "api", title, Some(&known(&long)));
        assert_eq!(standing(&long).standing, Standing::Loaded);
        let other = standing("API");
        assert!(
            other.standing == Standing::Taken && other.words.len() < 500,
            "{other:?}"
        );
    }
}
