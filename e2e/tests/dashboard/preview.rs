//! `observed preview`.

use std::fs;
use std::net::TcpListener;
use std::time::SystemTime;

use super::{programs, prometheus, words};

const NO_RULES: &str = "groups: []\n";

/// The panel of that title.
fn panel<'a>(page: &'a str, title: &str) -> &'a str {
    let start = page
        .find(&format!("<h3>{title}</h3>"))
        .unwrap_or_else(|| panic!("no {title:?} in {page}"));
    page[start..].split("</section>").next().unwrap()
}

/// The panel with lines, which comes after the number of the same title in the overview.
fn chart<'a>(page: &'a str, title: &str) -> &'a str {
    let start = page
        .rfind(&format!("<h3>{title}</h3>"))
        .unwrap_or_else(|| panic!("no {title:?} in {page}"));
    page[start..].split("</section>").next().unwrap()
}

#[tokio::test]
async fn a_drill_is_drawn_as_promtool_plays_it_and_the_alert_is_marked() {
    let (programs, directory) = (programs().await, tempfile::tempdir().unwrap());
    let file = directory.path().join("drill.html");
    programs.page(&["--drill", "HighErrorRate"], &file);
    let shown = programs.shown(&file);
    assert!(shown.contains("<h1>prod / claude-api</h1>"), "{shown}");
    assert!(shown.contains("Drill: HighErrorRate fires: "), "{shown}");
    assert!(shown.contains("Alerts firing: HighErrorRate, "), "{shown}");
    let errors = chart(&shown, "Error ratio");
    for part in ["<path class=\"line\" d=\"M", "class=\"mark\"", "alert above 5%"] {
        assert!(errors.contains(part), "{part} in {errors}");
    }
    // What the fault says nothing of is not drawn as nought.
    assert!(panel(&shown, "Memory of its limit").contains("no data"), "{shown}");
    assert!(!shown.contains("The query failed"), "{shown}");
    // The twin: while another alert is drilled, this one does not fire.
    programs.page(&["--drill", "HighMemoryUsage"], &file);
    let shown = programs.shown(&file);
    assert!(
        shown.contains("Alerts firing: HighMemoryUsage, ") && !shown.contains("Alerts firing: HighErrorRate"),
        "{shown}"
    );
    assert!(panel(&shown, "Error ratio").contains("no data"));
}

#[tokio::test]
async fn the_page_runs_nothing_even_if_something_to_run_came_into_it() {
    let (programs, directory) = (programs().await, tempfile::tempdir().unwrap());
    let file = directory.path().join("page.html");
    let page = programs.page(&["--drill", "TargetDown"], &file);
    let ran = "<p>it ran</p>";
    let hostile = page.replace(
        "</body>",
        "<script>document.body.innerHTML = '<p>it ' + 'ran</p>'</script></body>",
    );
    fs::write(&file, &hostile).unwrap();
    assert!(!programs.shown(&file).contains(ran));
    // The twin: without the policy it runs.
    let open = hostile.replace("default-src 'none'; style-src 'unsafe-inline'", "");
    assert_ne!(open, hostile);
    fs::write(&file, open).unwrap();
    assert!(programs.shown(&file).contains(ran));
}

/// The last half hour of the sample's requests, a tenth of which fails.
fn requests(job: &str) -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let mut text = String::from("# TYPE http_requests counter\n");
    for (status, every) in [("200", 45), ("500", 5)] {
        for n in 0..360 {
            let labels = format!("namespace=\"prod\",job=\"{job}\",pod=\"{job}-1\",instance=\"10.0.0.1:8000\"");
            let second = now - (360 - n) * 5;
            let line = format!(
                "http_requests_total{{{labels},method=\"GET\",endpoint=\"/v1\",status=\"{status}\"}} {} {second}\n",
                n * every
            );
            text.push_str(&line);
        }
    }
    text + "# EOF\n"
}

#[tokio::test]
async fn the_values_of_a_real_prometheus_are_drawn_and_those_of_a_namesake_are_not() {
    let (programs, directory) = (programs().await, tempfile::tempdir().unwrap());
    let file = directory.path().join("live.html");
    let (url, _prometheus) = prometheus(programs, directory.path(), &requests("claude-api"), NO_RULES).await;
    programs.page(&["--prometheus-url", &url, "--last", "30m"], &file);
    let shown = programs.shown(&file);
    let errors = chart(&shown, "Error ratio");
    assert!(
        errors.contains("<path class=\"line\" d=\"M") && errors.contains(">10%<"),
        "{errors}"
    );
    assert!(
        !shown.contains("The query failed") && shown.contains("Alerts firing: none in this time."),
        "{shown}"
    );
    assert!(shown.contains(&format!("Prometheus: {url}, ")), "{shown}");

    let directory = tempfile::tempdir().unwrap();
    let (url, _other) = prometheus(programs, directory.path(), &requests("claude-api-worker"), NO_RULES).await;
    programs.page(&["--prometheus-url", &url, "--last", "30m"], &file);
    assert!(!programs.shown(&file).contains("<path class=\"line\""));
}

#[tokio::test]
async fn bad_input_is_one_error_that_says_what_would_be_right() {
    let programs = programs().await;
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{nobody}");
    let cases: [(&[&str], &[&str]); 8] = [
        (
            &["--drill", "HighErrorRat"],
            &["--drill \"HighErrorRat\"", "did you mean \"HighErrorRate\"?"],
        ),
        (&["--drill", "x", "--last", "3h"], &["cannot be used with"]),
        (&[], &["--prometheus-url <URL>", "--drill <ALERT>"]),
        (
            &["--prometheus-url", "localhost:9090"],
            &["--prometheus-url", "like http://localhost:9090"],
        ),
        (&["--prometheus-url", &nobody], &[&nobody, "nobody answers"]),
        (&["--prometheus-url", &nobody, "--last", "3"], &["--last \"3\"", "3h"]),
        (
            &["--drill", "TargetDown", "--promtool", "/no/promtool"],
            &["cannot run /no/promtool", "go install"],
        ),
        (
            &["--drill", "TargetDown", "-o", "/no/where/page.html"],
            &["cannot write /no/where/page.html"],
        ),
    ];
    for (arguments, expected) in cases {
        let output = programs.preview(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", words(&output));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.stdout.is_empty());
        for part in expected {
            assert!(said.contains(part), "{arguments:?}: {part} in {said}");
        }
        assert_eq!(said.matches("error:").count(), 1, "{said}");
    }
}
