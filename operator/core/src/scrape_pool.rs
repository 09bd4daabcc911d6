//! The names that prometheus-operator, and the operator of VictoriaMetrics, give to scrape pools:
//! `serviceMonitor/NAMESPACE/NAME/INDEX`.

/// How the name of a pool begins, by the kind of its monitor.
const FIRST: [(&str, &str); 4] = [
    ("ServiceMonitor", "serviceMonitor"),
    ("PodMonitor", "podMonitor"),
    ("VMServiceScrape", "serviceScrape"),
    ("VMPodScrape", "podScrape"),
];

/// What VictoriaMetrics' operator makes of a monitor of that kind, under the same name.
pub fn converted(kind: &str) -> Option<&'static str> {
    match kind {
        "ServiceMonitor" => Some("VMServiceScrape"),
        "PodMonitor" => Some("VMPodScrape"),
        _ => None,
    }
}

/// What the names of all pools of a monitor begin with. None of a kind that is no monitor.
pub fn of_monitor(kind: &str, namespace: &str, name: &str) -> Option<String> {
    let (_, first) = FIRST.iter().find(|(of, _)| *of == kind)?;
    Some(format!("{first}/{namespace}/{name}/"))
}

/// Kind, namespace and name of the monitor that a pool belongs to. None: the pool comes from no monitor.
pub fn monitor(pool: &str) -> Option<(&'static str, &str, &str)> {
    let mut parts = pool.split('/');
    let first = parts.next()?;
    let (kind, _) = FIRST.iter().find(|(_, of)| *of == first)?;
    Some((kind, parts.next()?, parts.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_pool_leads_back_to_its_monitor() {
        for kind in ["ServiceMonitor", "PodMonitor", "VMServiceScrape", "VMPodScrape"] {
            let pool = format!("{}0", of_monitor(kind, "prod", "api").unwrap());
            assert_eq!(monitor(&pool), Some((kind, "prod", "api")), "{pool}");
        }
        assert_eq!(
            of_monitor("ServiceMonitor", "prod", "api").as_deref(),
            Some("serviceMonitor/prod/api/")
        );
    }

    #[test]
    fn what_a_monitor_is_converted_to_has_pools_of_its_own() {
        for kind in ["ServiceMonitor", "PodMonitor"] {
            let converted = converted(kind).unwrap();
            assert!(of_monitor(converted, "prod", "api").is_some(), "{converted}");
            assert_ne!(of_monitor(converted, "prod", "api"), of_monitor(kind, "prod", "api"));
        }
        assert_eq!(converted("Service"), None);
    }

    #[test]
    fn a_pool_of_something_else_leads_to_no_monitor() {
        for pool in ["kubernetes-pods", "scrapeConfig/prod/api", "serviceMonitor/prod", ""] {
            assert_eq!(monitor(pool), None, "{pool}");
        }
        assert_eq!(of_monitor("Service", "prod", "api"), None);
    }
}
