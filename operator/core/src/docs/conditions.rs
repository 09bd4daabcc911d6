//! `docs/conditions.md`: every condition, and what to do about each reason.

use observed_crds::v1alpha1::conditions::{ConditionType, Reason};

use super::cell;

/// The page.
pub fn conditions() -> String {
    let mut text = String::from(
        "<!-- Generated from crds/src/v1alpha1/conditions.rs by `UPDATE_GOLDEN=1 cargo test -p observed --test generated`. -->\n\
         # Conditions, and what to do\n\n\
         `observed status NAME -n NAMESPACE` shows every condition of an ObservedService with its reason and message; \
         `kubectl describe observedservice NAME` and `kubectl wait --for=condition=Ready` know them too. The message names the \
         object, what was answered and the next step; this page says what is behind each reason. A condition is `Unknown` \
         where nobody could be asked, never where something was seen to be wrong. An Event of the same reason tells of a \
         change that is more than passing.\n\n\
         | condition | what is so when it is `True` | its reasons |\n|---|---|---|\n",
    );
    for condition in ConditionType::ALL {
        let reasons = Reason::ALL
            .iter()
            .filter(|reason| reason.conditions().contains(condition));
        let reasons: Vec<String> = reasons.map(|reason| link(*reason)).collect();
        let meaning = cell(condition.meaning());
        text += &format!("| `{}` | {meaning} | {} |\n", condition.as_str(), reasons.join(", "));
    }
    text += "\n`Reconciling` and `Stalled` are there only while they are true, as kstatus wants it. A SignalPack has `Ready` and \
             `Stalled`.\n\n# Reasons\n";
    for reason in Reason::ALL {
        let of: Vec<String> = reason
            .conditions()
            .iter()
            .map(|condition| format!("`{}`", condition.as_str()))
            .collect();
        text += &format!(
            "\n## {}\n\n{} Of {}.\n\n**Next step:** {}\n",
            reason.as_str(),
            reason.meaning(),
            of.join(", "),
            reason.next_step()
        );
    }
    text
}

fn link(reason: Reason) -> String {
    format!("[{0}](#{1})", reason.as_str(), reason.as_str().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docs::fields;

    #[test]
    fn every_reason_says_what_it_means_and_what_to_do_and_names_no_field_that_there_is_not() {
        let known = fields().unwrap();
        for reason in Reason::ALL {
            for words in [reason.meaning(), reason.next_step()] {
                assert!(words.len() >= 5 && words.ends_with('.'), "{reason:?}: {words:?}");
                assert!(
                    unknown(words, &known).is_empty(),
                    "{reason:?}: {:?}",
                    unknown(words, &known)
                );
            }
            assert!(!reason.conditions().is_empty(), "{reason:?}");
        }
        for condition in ConditionType::ALL {
            assert!(Reason::ALL.iter().any(|reason| reason.conditions().contains(condition)));
        }
        assert_eq!(unknown("Set `spec.scrape.mode`.", &known), ["spec.scrape.mode"]);
    }

    /// The fields of an ObservedService that a text names and that the schema does not have.
    fn unknown<'a>(text: &'a str, known: &str) -> Vec<&'a str> {
        // `spec.alerting` is one of a Prometheus.
        text.split('`')
            .filter(|quoted| quoted.starts_with("spec.") && *quoted != "spec.alerting")
            .filter(|field| !known.contains(&format!("| `{field}` |")))
            .collect()
    }
}
