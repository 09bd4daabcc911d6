//! Probes as an offer has them: as a container would.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Probe;
use observed_crds::v1alpha1::{Offer, OfferedProbes};

use super::{ProbeKind, ProbeShape};

/// The probes as a container would have them.
pub(crate) fn probes(shapes: &BTreeMap<ProbeKind, ProbeShape>) -> OfferedProbes {
    let probe = |kind| shapes.get(&kind).map(ProbeShape::to_json);
    OfferedProbes {
        liveness_probe: probe(ProbeKind::Liveness),
        readiness_probe: probe(ProbeKind::Readiness),
        startup_probe: probe(ProbeKind::Startup),
    }
}

/// What is offered. A probe that Observed did not write is left out.
pub(crate) fn shapes(offer: &Offer) -> BTreeMap<ProbeKind, ProbeShape> {
    let probe = |kind| match kind {
        ProbeKind::Liveness => &offer.probes.liveness_probe,
        ProbeKind::Readiness => &offer.probes.readiness_probe,
        ProbeKind::Startup => &offer.probes.startup_probe,
    };
    let shape = |kind| {
        let probe: Probe = serde_json::from_value(probe(kind).clone()?).ok()?;
        Some((kind, ProbeShape::of(&probe)))
    };
    ProbeKind::ALL.into_iter().filter_map(shape).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

    use super::*;
    use crate::gift::Handler;

    #[test]
    fn what_is_offered_is_read_back_as_it_was_written() {
        let shape = |handler| ProbeShape {
            handler,
            period_seconds: 5,
            timeout_seconds: 3,
            failure_threshold: 60,
            initial_delay_seconds: 0,
        };
        let tcp = Handler::TcpSocket {
            port: IntOrString::Int(8080),
        };
        let grpc = Handler::Grpc {
            port: 9000,
            service: String::new(),
        };
        let written = [(ProbeKind::Liveness, shape(tcp)), (ProbeKind::Startup, shape(grpc))].into();
        let mut offer = Offer {
            probes: probes(&written),
            ..Offer::default()
        };
        assert_eq!(shapes(&offer), written);
        offer.probes.startup_probe = Some(serde_json::json!("yes"));
        assert_eq!(shapes(&offer).len(), 1);
    }
}
