//! `docs/doctor.md`: every rule, generated so that it is never behind them.

use super::mistakes::{MISTAKES, Seen};
use super::{Need, RULES};
use crate::scrape_error;

/// The page.
pub fn page() -> String {
    let mut text = String::from(
        "<!-- Generated from operator/core/src/doctor by `UPDATE_GOLDEN=1 cargo test -p observed --test generated`. -->\n\
         # What `observed doctor` looks for\n\n\
         `observed doctor` reads a cluster with your own kubeconfig, or manifests with `-f`, and says what is silently dead in the \
         monitoring that is there: made by Observed, by a chart or by hand. Each finding names the object, what was \
         seen, what follows, and the fix, as a command where one is known to be right.\n\n\
         ```console\n\
         $ observed doctor -n prod              # a namespace\n\
         $ observed doctor claude-api -n prod   # what belongs to one workload, Service or monitor\n\
         $ observed doctor -A -o sarif          # the whole cluster, for a code scanner\n\
         $ observed doctor --bundle seen.tar.gz # also write an archive of what was seen, without what is secret\n\
         $ observed doctor -n prod --fix        # show each change as a diff, and make it after a yes\n\
         $ observed doctor -f manifests/        # files, without a cluster\n\
         ```\n\n\
         Exit status: 0 nothing is dead, 1 an error was found (with `--strict` also a warning), 2 wrong usage, or nothing could be read.\n\n\
         Prometheus and Alertmanager are found through their resources and asked through the API server's service proxy, which needs \
         the right to get `services/proxy`; `--prometheus-url` and `--alertmanager-url` ask an address instead, with the \
         token, password, certificates and headers that `observed run` would take (`observed doctor --help`). Grafana is asked only \
         where `--grafana-url` names it, with the flags of `observed run` too, and for each dashboard by its uid, as the operator \
         asks it. Of each workload one \
         ready pod, the newest, is asked once what the kubelet asks it for its readiness over HTTP, through the API server, which \
         needs the right to get `pods/proxy`; of the answer nothing is kept but what kind of content it has. A probe with headers or a \
         host of its own is not asked. What you may not \
         read, and what nobody answered, is named with the rules that were not run because of it; all other rules run.\n\n\
         It only reads, but for `--fix`. That shows the change of each finding that has one, and makes it when you say yes at a \
         terminal; when standard input is none, nothing is changed. A change is made only if the object is still as it was looked at, \
         and if nobody else manages the fields with other values (the API server's managed fields say so): who does would bring the \
         mistake back, so change it where it comes from. Each change is a merge patch of the field manager `observed-doctor`, with your rights, and no \
         finding that was mended counts for the exit status.\n\n\
         `--bundle FILE` also writes a support archive (`.tar.gz`): the findings, the objects and the answers of Prometheus and \
         Alertmanager that they were found in, and versions. Secrets are not read at all. Values of environments, annotations, ConfigMaps, \
         headers and parameters, commands and their arguments, volumes, what a receiver holds but its name, users, passwords and query \
         values in addresses, and labels of series that are not those of a target are taken out, also where a finding quotes them. \
         Names of objects, labels, images and rules stay: look into it before you give it away.\n\n\
         An error is dead: not scraped, not loaded, not shown, not delivered. A warning will fail when it is needed. A note is worth \
         knowing, and never decides the exit status.\n\n\
         | rule | what is wrong | needs |\n|---|---|---|\n",
    );
    for rule in RULES {
        let needs: Vec<String> = rule.needs.iter().map(|need| need.words()).collect();
        text += &format!("| [`{0}`](#{0}) | {1} | {2} |\n", rule.id, rule.title, needs.join(", "));
    }
    for rule in RULES {
        text += &format!(
            "\n## {}\n\n{}.\n\n- **Effect:** {}.\n- **Fix:** {}.\n",
            rule.id, rule.title, rule.effect, rule.fix
        );
        if [Need::Prometheus, Need::Alertmanager, Need::Grafana, Need::Probes]
            .iter()
            .any(|need| rule.needs.contains(need))
        {
            text += "- Not run on files.\n";
        }
    }
    text += "\n## What the last error of a target means\n\n`target-down`, `metrics-content-type` and `sample-limit` say it with the target.\n\n\
             | the error has | it means | next step |\n|---|---|---|\n";
    for (cause, parts) in scrape_error::dictionary() {
        let parts: Vec<String> = parts.iter().map(|part| format!("`{part}`")).collect();
        text += &format!("| {} | {} | {} |\n", parts.join(", "), cause.words(), cause.next_step());
    }
    text += "\n## Mistakes that people make\n\n| mistake | found by | asked in |\n|---|---|---|\n";
    for mistake in MISTAKES {
        if let Seen::By(rules) = mistake.seen {
            let rules: Vec<String> = rules.iter().map(|id| format!("[`{id}`](#{id})")).collect();
            let asked: Vec<String> = mistake.asked.iter().map(|issue| link(issue)).collect();
            text += &format!("| {} | {} | {} |\n", mistake.what, rules.join(", "), asked.join(", "));
        }
    }
    text += "\n## What it cannot see\n\n| mistake | why |\n|---|---|\n";
    for mistake in MISTAKES {
        if let Seen::Not(why) = mistake.seen {
            text += &format!("| {} | {why} |\n", mistake.what);
        }
    }
    text
}

/// An issue such as `grafana/grafana#10786`.
fn link(issue: &str) -> String {
    format!("[{issue}](https://github.com/{})", issue.replace('#', "/issues/"))
}
