//! Pods that no target covers, pages that are scraped twice, and pages that Prometheus does not take.

use super::*;

/// A target that is up, of a pod whose address ends so, as a job.
fn of_pod(pool: &str, job: &str, pod: &str, address: u8) -> Value {
    let mut target = target(pool, "up", "");
    target["labels"]["job"] = job.into();
    target["labels"]["pod"] = pod.into();
    target["scrapeUrl"] = format!("http://10.244.0.{address}:8000/metrics").into();
    target
}

/// The verdict on three pods of which these are ready.
async fn judged(list: &[Value], ready: Option<&'static [&'static str]>) -> Verdict {
    let (url, _) = fake(targets(list), no_rules()).await;
    let facts = Facts {
        namespace: "prod".into(),
        prometheuses: vec![prometheus("main", &url, Some(LabelSelector::default()))],
        ..Default::default()
    };
    let client = client();
    let names = || -> BoxFuture<'_, Option<BTreeSet<String>>> {
        Box::pin(async move { ready.map(|names| names.iter().map(|name| (*name).to_owned()).collect()) })
    };
    let backends = Backends {
        ready_pods: &names,
        ..backends(&facts, &client)
    };
    verify(&backends, &[targets_check(3)]).await.remove(0)
}

const THREE: &[&str] = &["api-a", "api-b", "api-c"];

fn three_up() -> Vec<Value> {
    (1..=3)
        .map(|pod| of_pod(POOL, "api", &format!("api-{pod}"), pod))
        .collect()
}

#[tokio::test]
async fn ready_pods_that_no_target_covers_are_named() {
    let one = [of_pod(POOL, "api", "api-a", 1)];
    let verdict = judged(&one, Some(THREE)).await;
    assert_eq!((verdict.reason, verdict.count), (Reason::TargetsDown, Some((1, 3))));
    let words = "it knows 1 of 3 pods so far. The pods api-b, api-c are ready, and no target covers them";
    assert!(verdict.message.contains(words), "{}", verdict.message);
    assert!(
        verdict.message.contains("kubectl get endpointslices"),
        "{}",
        verdict.message
    );

    let verdict = judged(&[], Some(&["api-a"])).await;
    assert_eq!(verdict.reason, Reason::NoTargets);
    let words = "The pod api-a is ready, and no target covers it";
    assert!(verdict.message.contains(words), "{}", verdict.message);

    let verdict = judged(&[], Some(&["p1", "p2", "p3", "p4", "p5", "p6", "p7"])).await;
    let words = "p1, p2, p3, p4, p5 and 2 more are ready";
    assert!(verdict.message.contains(words), "{}", verdict.message);
}

#[tokio::test]
async fn no_pod_is_named_that_is_not_ready_is_covered_or_that_nobody_could_list() {
    let one = [of_pod(POOL, "api", "api-a", 1)];
    let nameless = [of_pod(POOL, "api", "", 1)];
    for (list, ready) in [
        (&one[..], Some(&["api-a"][..])),
        (&one, None),
        (&nameless, Some(THREE)),
        (&three_up(), Some(THREE)),
    ] {
        let verdict = judged(list, ready).await;
        assert!(!verdict.message.contains("no target covers"), "{}", verdict.message);
    }
}

#[tokio::test]
async fn a_page_that_another_monitor_scrapes_under_the_same_job_is_scraped_twice() {
    let mut all = three_up();
    assert_eq!(judged(&all, None).await.reason, Reason::TargetsUp);

    all.push(of_pod("podMonitor/prod/old/0", "api", "api-2", 2));
    let verdict = judged(&all, None).await;
    assert_eq!(
        (verdict.truth, verdict.reason, verdict.count),
        (Truth::False, Reason::ScrapedTwice, Some((3, 3)))
    );
    for words in [
        "scrapes 3 of 3 pods, and the same pages once more for the PodMonitor prod/old, under the same job",
        "Delete the PodMonitor prod/old",
    ] {
        assert!(verdict.message.contains(words), "{}", verdict.message);
    }
}

#[tokio::test]
async fn another_job_that_scrapes_the_same_page_is_worth_knowing_and_another_page_is_not() {
    let with = |other: Value| {
        let mut all = three_up();
        all.push(other);
        all
    };
    for (pool, who) in [
        ("serviceMonitor/prod/all/1", "the ServiceMonitor prod/all"),
        ("kubernetes-pods", "the scrape configuration \"kubernetes-pods\""),
    ] {
        let verdict = judged(&with(of_pod(pool, "everything", "api-1", 1)), None).await;
        assert_eq!((verdict.truth, verdict.reason), (Truth::True, Reason::TargetsUp));
        let words = format!("Worth knowing: it scrapes the same pages once more for {who}, under another job");
        assert!(verdict.message.contains(&words), "{}", verdict.message);
    }
    let mut other_page = of_pod("serviceMonitor/prod/all/1", "api", "api-1", 1);
    other_page["scrapeUrl"] = "http://10.244.0.1:9000/metrics".into();
    let verdict = judged(&with(other_page), None).await;
    assert_eq!(verdict.message, "Prometheus monitoring/main scrapes 3 of 3 pods");
}

#[tokio::test]
async fn a_page_that_prometheus_does_not_take_is_told_by_what_its_error_means_and_where_that_is_mended() {
    for (error, meaning, next, field) in [
        (
            "sample limit exceeded",
            "the page has more samples than the limit, and then all of them are dropped",
            "Find the label that has so many values",
            ". In the ObservedService that is spec.scrape.limits.samples",
        ),
        (
            "body size limit exceeded",
            "the page is larger than the limit",
            "raise bodySizeLimit",
            ". In the ObservedService that is spec.scrape.limits.bodySize",
        ),
        (
            "received unsupported Content-Type \"application/json\" and no fallback_scrape_protocol specified for target",
            "Prometheus 3 does not take the page's Content-Type",
            "media_type=CONTENT_TYPE_LATEST",
            "fallbackScrapeProtocol: PrometheusText0.0.4",
        ),
        (
            "something new",
            "the scrape failed",
            "See the target's page in Prometheus",
            "(Status, Target health)",
        ),
    ] {
        let mut down = of_pod(POOL, "api", "api-a", 1);
        down["health"] = "down".into();
        down["lastError"] = error.into();
        let verdict = judged(&[down], None).await;
        assert_eq!(verdict.reason, Reason::TargetsDown);
        for words in [meaning, next] {
            assert!(verdict.message.contains(words), "{}", verdict.message);
        }
        assert!(verdict.message.ends_with(field), "{}", verdict.message);
    }
}

#[tokio::test]
async fn a_shard_that_scrapes_a_part_of_the_pods_does_not_tell_of_the_others() {
    let one = || of_pod(POOL, "api", "api-a", 1);
    let mut down = one();
    down["health"] = "down".into();
    let three = three_up();
    for (list, shards, setting, expected) in [
        (&[one()][..], Some(2), false, (Truth::Unknown, Reason::Unreachable)),
        (&[], Some(2), false, (Truth::Unknown, Reason::Unreachable)),
        (&[down], Some(2), false, (Truth::False, Reason::TargetsDown)),
        (&three, Some(2), false, (Truth::True, Reason::TargetsUp)),
        (&[one()], None, false, (Truth::False, Reason::TargetsDown)),
        (&[one()], Some(2), true, (Truth::False, Reason::TargetsDown)),
    ] {
        let (url, _) = fake(targets(list), no_rules()).await;
        let sharded = facts::Prometheus {
            shards,
            ..prometheus("main", &url, Some(LabelSelector::default()))
        };
        let verdict = ask(vec![sharded], setting.then_some(&*url), targets_check(3)).await;
        assert_eq!((verdict.truth, verdict.reason), expected, "{verdict:?}");
        let words = "runs in 2 shards, each of which scrapes a part of the targets";
        assert_eq!(
            verdict.message.contains(words),
            verdict.truth == Truth::Unknown,
            "{}",
            verdict.message
        );
    }
}
