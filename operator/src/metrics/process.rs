//! What the process itself uses, under the names that every client library of Prometheus gives it. Read when asked for.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// The process that runs this.
#[derive(Debug)]
pub(super) struct Process;

struct Used {
    cpu: Duration,
    resident: u64,
    descriptors: usize,
    limit: Option<u64>,
    started: Option<i64>,
}

fn used() -> procfs::ProcResult<Used> {
    let process = procfs::process::Process::myself()?;
    let stat = process.stat()?;
    let ticks = procfs::ticks_per_second().max(1);
    let limit = match process.limits()?.max_open_files.soft_limit {
        procfs::process::LimitValue::Value(limit) => Some(limit),
        procfs::process::LimitValue::Unlimited => None,
    };
    let booted = procfs::boot_time_secs().ok();
    Ok(Used {
        cpu: Duration::from_secs_f64((stat.utime + stat.stime) as f64 / ticks as f64),
        resident: stat.rss.saturating_mul(procfs::page_size()),
        descriptors: process.fd_count()?,
        limit,
        started: booted.and_then(|booted| (booted + stat.starttime / ticks).try_into().ok()),
    })
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        // Where there is no /proc, there is nothing to tell.
        let Ok(used) = used() else { return Ok(()) };
        let mut put = |name, help, unit: Option<&Unit>, metric: &dyn Encodable| {
            metric.encode_into(&mut encoder, name, help, unit)
        };
        let gauge = |value: u64| ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        let cpu = ConstCounter::new(used.cpu.as_secs_f64());
        put("process_cpu", "CPU time that was used", Some(&Unit::Seconds), &cpu)?;
        put(
            "process_resident_memory",
            "Memory that is resident",
            Some(&Unit::Bytes),
            &gauge(used.resident),
        )?;
        put(
            "process_open_fds",
            "Open file descriptors",
            None,
            &gauge(used.descriptors as u64),
        )?;
        if let Some(limit) = used.limit {
            put(
                "process_max_fds",
                "File descriptors that may be open",
                None,
                &gauge(limit),
            )?;
        }
        if let Some(started) = used.started {
            let started = ConstGauge::new(started);
            put(
                "process_start_time",
                "When the process began, since the epoch",
                Some(&Unit::Seconds),
                &started,
            )?;
        }
        Ok(())
    }
}

/// A metric without labels.
trait Encodable {
    fn encode_into(
        &self,
        encoder: &mut DescriptorEncoder,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
    ) -> Result<(), fmt::Error>;
}

impl<M: EncodeMetric> Encodable for M {
    fn encode_into(
        &self,
        encoder: &mut DescriptorEncoder,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
    ) -> Result<(), fmt::Error> {
        self.encode(encoder.encode_descriptor(name, help, unit, self.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn the_process_tells_what_it_uses() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
        let value = |name: &str| -> f64 {
            let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.unwrap_or_else(|| panic!("{name}: {page}")).parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1_000_000.0);
        assert!(value("process_cpu_seconds_total") < 3600.0);
        assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") < value("process_max_fds"));
        let now = jiff::Timestamp::now().as_second() as f64;
        assert!((now - value("process_start_time_seconds")).abs() < 3600.0, "{page}");
    }
}
