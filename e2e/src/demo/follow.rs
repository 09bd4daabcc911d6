//! Watches promises come true, and keeps the account of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::judge::Judged;
use super::promise::{Promise, Summary};
use super::{Error, say};
use crate::wait;

/// A look at a busy machine takes a while: there is time for one, whatever the limit.
const ONE_LOOK: Duration = Duration::from_secs(10);

/// Looks until every promise holds, and shows each at the moment when it does. Returns what was seen last.
///
/// # Errors
/// One did not hold in time. The summary has what was seen instead.
pub async fn follow<L, F>(
    summary: &RefCell<Summary>,
    promises: &[Promise],
    since: Instant,
    limit: Duration,
    look: impl Fn() -> F,
    judge: impl Fn(Promise, &L) -> Judged,
) -> Result<L, Error>
where
    F: Future<Output = L>,
{
    let unseen = |promise: &Promise| (*promise, "it was not looked at in time".to_owned());
    let open: RefCell<BTreeMap<Promise, String>> = RefCell::new(promises.iter().map(unseen).collect());
    let over = Instant::now() + limit;
    let once = || async {
        let seen = look().await;
        let mut open = open.borrow_mut();
        open.retain(|promise, last| match judge(*promise, &seen) {
            Ok(detail) => {
                held(summary, *promise, since, &detail);
                false
            }
            Err(instead) => {
                *last = instead;
                true
            }
        });
        if open.is_empty() {
            Ok(Some(seen))
        } else if Instant::now() >= over {
            Ok(None)
        } else {
            Err("not all hold")
        }
    };
    if let Ok(Some(seen)) = wait::until(limit + ONE_LOOK, "the promises", once).await {
        return Ok(seen);
    }
    for (promise, last) in open.into_inner() {
        say(&format!("  not held  {}: {last}", promise.words()));
        summary.borrow_mut().broken(promise, last);
    }
    Err(Error::Broken)
}

fn held(summary: &RefCell<Summary>, promise: Promise, since: Instant, detail: &str) {
    let after = since.elapsed();
    let words = promise.words();
    say(&format!("  {:>6.1} s  {words}: {detail}", after.as_secs_f64()));
    summary.borrow_mut().held(promise, after);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const TWO: &[Promise] = &[Promise::ProbesGiven, Promise::PodsReady];

    /// Counts looks. The probes are there at the first, the pods are Ready at the third.
    async fn watch(limit: Duration, ready_at: u32) -> (Result<u32, Error>, Summary) {
        let (looks, summary) = (Cell::new(0), RefCell::new(Summary::default()));
        let look = || {
            looks.set(looks.get() + 1);
            std::future::ready(looks.get())
        };
        let judge = |promise, seen: &u32| match promise {
            Promise::ProbesGiven => Ok("liveness".to_owned()),
            _ if *seen >= ready_at => Ok("2 of 2".to_owned()),
            _ => Err(format!("0 of 2 at look {seen}")),
        };
        let followed = follow(&summary, TWO, Instant::now(), limit, look, judge).await;
        (followed, summary.into_inner())
    }

    #[tokio::test]
    async fn promises_are_followed_until_the_last_holds() {
        let (followed, summary) = watch(Duration::from_secs(60), 3).await;
        assert_eq!(followed.unwrap(), 3);
        assert!(!summary.any_broken());
        assert!(summary.to_string().ends_with("2 of 22 promises held"), "{summary}");
    }

    #[tokio::test]
    async fn one_that_does_not_hold_in_time_is_broken_and_the_other_is_not() {
        let (followed, summary) = watch(Duration::ZERO, u32::MAX).await;
        assert!(matches!(followed, Err(Error::Broken)));
        let text = summary.to_string();
        assert!(text.contains("last seen: 0 of 2 at look 1"), "{text}");
        assert!(text.ends_with("1 of 22 promises held"), "{text}");
    }
}
