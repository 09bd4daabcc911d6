use super::super::kind::{Kind, MONITORS, Need};
use super::super::scraping::monitors;
use super::super::{Found, Rule, Severity, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "scrape-not-http",
    title: "A database, cache or broker is scraped on its own port",
    effect: "It speaks no HTTP: the target is down for ever, and a metric such as `redis_up` never exists, so that an alert \
             on it never fires",
    fix: "Run an exporter for it, and scrape that",
    needs: &[Need::Any(&MONITORS), Need::Objects(Kind::Service)],
    find,
};

/// Ports of servers that speak protocols of their own, with the exporter that speaks for them and its port.
const PROTOCOLS: [(i64, &str, &str); 8] = [
    (6379, "Redis", "oliver006/redis_exporter, port 9121"),
    (5432, "PostgreSQL", "prometheus-community/postgres_exporter, port 9187"),
    (3306, "MySQL", "prometheus/mysqld_exporter, port 9104"),
    (27017, "MongoDB", "percona/mongodb_exporter, port 9216"),
    (11211, "memcached", "prometheus/memcached_exporter, port 9150"),
    (9092, "Kafka", "danielqsj/kafka_exporter, port 9308"),
    (5672, "AMQP", "RabbitMQ's own plugin rabbitmq_prometheus, port 15692"),
    (2181, "ZooKeeper", "its own PrometheusMetricsProvider, port 7000"),
];

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for monitor in monitors(snapshot) {
        for endpoint in &monitor.endpoints {
            let aims = monitor.aims(snapshot, endpoint);
            // Without a workload that is seen, the Service's own port says it.
            let of_service = monitor
                .services(snapshot)
                .into_iter()
                .flat_map(|service| service.list("/spec/ports"));
            let ports = aims.iter().map(|aim| aim.port).chain(
                of_service
                    .filter(|port| port["name"].as_str().is_some_and(|name| endpoint.port() == Some(name)))
                    .filter_map(|port| port["targetPort"].as_i64().or_else(|| port["port"].as_i64())),
            );
            let known = ports
                .into_iter()
                .find_map(|port| PROTOCOLS.iter().find(|(number, ..)| *number == port));
            if let Some((number, what, exporter)) = known {
                let evidence = format!(
                    "{} leads to port {number}, on which {what} speaks its own protocol",
                    endpoint.field(monitor.object.kind)
                );
                found.push(Found::new(
                    Severity::Error,
                    monitor.object,
                    evidence,
                    format!("Run {exporter}, and scrape that"),
                ));
            }
        }
    }
    found
}
