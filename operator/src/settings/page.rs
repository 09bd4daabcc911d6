//! `docs/settings.md`: every setting of the operator, from its flags.

use clap::{Arg, ArgAction, Command};

use super::file::{self, FLAG};

/// The page, for the command that runs the operator.
pub fn page(command: &Command) -> String {
    let mut text = String::from(
        "<!-- Generated from operator/src/settings by `UPDATE_GOLDEN=1 cargo test -p observed --test generated`. -->\n\
         # Settings of the operator\n\n\
         Each can be given to `observed run` as a flag, in the environment, or in a file of YAML that `--config FILE` (or \
         `OBSERVED_CONFIG`) names, under the name of the flag. A flag comes before the environment, the environment before the \
         file, and the file before the default:\n\n\
         ```yaml\n\
         # observed run --config settings.yaml\n\
         log: json\n\
         resync: 2m\n\
         prometheus-url: https://mimir.example.org/prometheus\n\
         prometheus-token-file: /var/run/secrets/prometheus/token\n\
         prometheus-header: ['X-Scope-OrgID: team-a']\n\
         ```\n\n\
         An unknown name and a value that makes no sense keep the operator from starting: all of them are told at once, with file, \
         line and what would be right, and the exit status is 2. Settings are read at the start; files with tokens, passwords and \
         certificates are read at each request. The Helm chart has a value for each ([its README](../charts/observed/README.md)).\n\n\
         | flag | environment | in the file | default | what it is |\n|---|---|---|---|---|\n",
    );
    let config = command.get_arguments().filter(|arg| arg.get_long() == Some(FLAG));
    for arg in config.chain(file::keys(command)) {
        text += &row(arg);
    }
    text + "\nThe level of the log is no setting but the variable `RUST_LOG` of the environment: `RUST_LOG=observed=debug`.\n"
}

fn row(arg: &Arg) -> String {
    let flag = arg.get_long().unwrap_or_default();
    let value = arg.get_value_names().unwrap_or_default().join(" ");
    let env = arg.get_env().unwrap_or_default().display();
    let key = match arg.get_action() {
        _ if flag == FLAG => String::new(),
        ArgAction::Append => format!("`{flag}`, a list"),
        _ => format!("`{flag}`"),
    };
    let defaults = arg.get_default_values().iter();
    let default: Vec<String> = defaults.map(|value| format!("`{}`", value.display())).collect();
    let help = arg.get_long_help().or(arg.get_help());
    let mut help = help.map(ToString::to_string).unwrap_or_default().replace("\n\n", ". ");
    if !help.ends_with('.') {
        help.push('.');
    }
    let valid = arg.get_possible_values();
    if !valid.is_empty() {
        let valid: Vec<String> = valid.iter().map(|value| format!("`{}`", value.get_name())).collect();
        help += &format!(" One of {}.", valid.join(", "));
    }
    let cells = [
        format!("`--{flag} {value}`"),
        format!("`{env}`"),
        key,
        default.join(", "),
        help,
    ];
    format!(
        "| {} |\n",
        cells
            .map(|cell| cell.replace('|', "\\|").replace('\n', " "))
            .join(" | ")
    )
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command};

    use super::*;
    use crate::settings::Settings;

    #[test]
    fn every_setting_says_what_it_is_and_one_that_does_not_would_be_noticed() {
        let command = Settings::augment_args(Command::new("run"));
        assert!(file::keys(&command).count() > 20);
        for arg in command.get_arguments() {
            assert!(
                !row(arg).contains("|  |\n") && !row(arg).contains("| . |"),
                "{}",
                row(arg)
            );
        }
        let silent = Arg::new("x").long("x").env("X");
        assert!(row(&silent).contains("| . |"), "{}", row(&silent));
    }
}
