//! A Prometheus that answers and does nothing any more.

use super::*;

/// Prometheus 3's answers, with the time of the last scrape and the last evaluation so long ago.
async fn of_age(seconds: i64) -> String {
    let then = Timestamp::from_second(Timestamp::now().as_second() - seconds)
        .unwrap()
        .to_string();
    let mut up = target(POOL, "up", "");
    up["lastScrape"] = then.clone().into();
    let mut evaluated = group("prod.api.http", &[("a", "ok", "")]);
    evaluated["lastEvaluation"] = then.into();
    fake(targets(&[target(POOL, "up", ""), up]), json!({"groups": [evaluated]}))
        .await
        .0
}

#[tokio::test]
async fn what_was_left_out_for_several_intervals_is_stale_and_not_good() {
    let url = of_age(300).await;
    for (check, count, words) in [
        (targets_check(2), (1, 2), "has not scraped it since"),
        (
            rules_check(1),
            (1, 1),
            "has not evaluated the group \"prod.api.http\" since",
        ),
    ] {
        let verdict = ask_one(&url, check).await;
        assert_eq!(
            (verdict.truth, verdict.reason, verdict.count),
            (Truth::Unknown, Reason::Stale, Some(count)),
            "{verdict:?}"
        );
        assert!(verdict.message.contains(words), "{}", verdict.message);
    }
}

#[tokio::test]
async fn what_was_left_out_once_or_twice_is_good() {
    let url = of_age(75).await;
    for check in [targets_check(2), rules_check(1)] {
        assert_eq!(ask_one(&url, check).await.truth, Truth::True);
    }
}

#[tokio::test]
async fn what_is_known_to_be_wrong_is_told_first() {
    let mut old = target(POOL, "up", "");
    old["lastScrape"] = "2020-01-01T00:00:00Z".into();
    let (url, _) = fake(targets(&[old, target(POOL, "down", "EOF")]), no_rules()).await;
    assert_eq!(ask_one(&url, targets_check(2)).await.reason, Reason::TargetsDown);
}
