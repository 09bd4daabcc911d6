//! What is being done and how long it takes: bars on a terminal, plain lines anywhere else. All of it goes to standard error.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

const BAR_WIDTH: usize = 24;

/// Where steps are shown.
#[derive(Clone, Debug)]
pub struct Progress(Output);

#[derive(Clone, Debug)]
enum Output {
    Silent,
    Lines,
    Bars(MultiProgress),
}

impl Progress {
    /// Bars if standard error is a terminal, else plain lines.
    #[must_use]
    pub fn detect() -> Self {
        if io::stderr().is_terminal() {
            Self(Output::Bars(MultiProgress::new()))
        } else {
            Self::lines()
        }
    }

    /// One line at the start and one at the end of each step.
    #[must_use]
    pub fn lines() -> Self {
        Self(Output::Lines)
    }

    /// Nothing at all.
    #[must_use]
    pub fn silent() -> Self {
        Self(Output::Silent)
    }

    /// Prints one line, above the bars if there are any.
    pub fn line(&self, text: &str) {
        match &self.0 {
            Output::Silent => {}
            Output::Lines => print(text),
            Output::Bars(bars) => bars.suspend(|| print(text)),
        }
    }

    /// Begins a step. It ends with [`Step::done`], or as failed when it is dropped.
    pub fn step(&self, what: impl Into<String>, estimate: Option<Duration>) -> Step {
        let what = what.into();
        let bar = match &self.0 {
            Output::Silent => None,
            Output::Lines => {
                let about = estimate
                    .map(|time| format!(" (about {})", spoken(time)))
                    .unwrap_or_default();
                print(&format!("{what} ...{about}"));
                None
            }
            Output::Bars(bars) => {
                let bar = bars.add(
                    ProgressBar::new_spinner()
                        .with_style(style(estimate))
                        .with_message(what.clone()),
                );
                bar.enable_steady_tick(Duration::from_millis(120));
                Some(bar)
            }
        };
        Step {
            progress: self.clone(),
            what,
            start: Instant::now(),
            bar,
            ended: false,
        }
    }
}

/// A step that has begun.
#[derive(Debug)]
pub struct Step {
    progress: Progress,
    what: String,
    start: Instant,
    bar: Option<ProgressBar>,
    ended: bool,
}

impl Step {
    /// Shows what the step is at. On a terminal beside the step, elsewhere as a line.
    pub fn detail(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {text}", self.what)),
            None => self.progress.line(&format!("  {text}")),
        }
    }

    /// Ends the step well, and returns how long it took.
    pub fn done(mut self) -> Duration {
        self.end("done");
        self.start.elapsed()
    }

    fn end(&mut self, how: &str) {
        self.ended = true;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.progress.line(&format!(
            "{}: {how} in {:.1} s",
            self.what,
            self.start.elapsed().as_secs_f64()
        ));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.ended {
            self.end("failed");
        }
    }
}

// Not `eprintln!`: it panics on a closed pipe, and a test runner would hold the lines back until the end of a build of minutes.
fn print(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn style(estimate: Option<Duration>) -> ProgressStyle {
    let plain = ProgressStyle::default_spinner();
    let Some(estimate) = estimate else {
        return plain.clone().template("{spinner} {msg} {elapsed}").unwrap_or(plain);
    };
    let style = plain.clone().template("{spinner} {guess} {msg}").unwrap_or(plain);
    style.with_key("guess", move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = out.write_str(&guess(state.elapsed(), estimate));
    })
}

/// The bar of a step whose end can only be estimated: it fills with the time that passes and never quite ends before the step does.
fn guess(elapsed: Duration, estimate: Duration) -> String {
    let ratio = (elapsed.as_secs_f64() / estimate.as_secs_f64().max(0.1)).min(0.97);
    let filled = (ratio * BAR_WIDTH as f64) as usize;
    let mut text = format!("[{}{}] ", "=".repeat(filled), " ".repeat(BAR_WIDTH - filled));
    let _ = match estimate.checked_sub(elapsed) {
        Some(left) => write!(text, "about {} left", spoken(left)),
        None => write!(text, "{} longer than usual", spoken(elapsed - estimate)),
    };
    text
}

fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 90 {
        format!("{seconds} s")
    } else {
        format!("{} min", (seconds + 30) / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_with_time_and_is_never_full_before_the_end() {
        let minute = Duration::from_secs(60);
        assert!(guess(Duration::ZERO, minute).starts_with("[  "));
        assert_eq!(
            guess(Duration::from_secs(30), minute).matches('=').count(),
            BAR_WIDTH / 2
        );
        let late = guess(Duration::from_secs(200), minute);
        assert!(late.contains(" ] 2 min longer than usual"), "{late}");
    }

    #[test]
    fn a_time_is_told_in_the_unit_a_person_would_use() {
        assert_eq!(spoken(Duration::from_secs(89)), "89 s");
        assert_eq!(spoken(Duration::from_secs(160)), "3 min");
    }
}
