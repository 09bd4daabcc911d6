//! `spec.signals.prices`: what tokens cost, for a service that counts them and not their cost.

use std::collections::BTreeSet;

use observed_crds::v1alpha1::Price;
use observed_crds::v1alpha1::signal_pack::Priced;

use super::Choice;
use crate::finding::{Code, Finding};
use crate::promql;

/// Prices of single tokens, all of which fit.
#[derive(Debug, Default)]
pub(super) struct Prices {
    each: Vec<Each>,
    /// Every model that has a price, 0 too.
    models: BTreeSet<String>,
}

/// The price of one token.
#[derive(Debug)]
struct Each {
    model: String,
    direction: &'static str,
    usd: f64,
}

impl Prices {
    /// The models that have a price.
    pub(super) fn models(&self) -> &BTreeSet<String> {
        &self.models
    }

    /// What each unit of a counter costs. None without prices: then the service counts its cost itself.
    pub(super) fn of(&self, priced: &Priced) -> Option<Vec<promql::Price>> {
        let price = |each: &Each| promql::Price {
            labels: vec![
                (priced.model.clone(), each.model.clone()),
                (priced.direction.clone(), each.direction.to_owned()),
            ],
            each: each.usd,
        };
        (!self.each.is_empty()).then(|| self.each.iter().map(price).collect())
    }
}

/// The prices that fit; findings for the others.
pub(super) fn prices(choice: &Choice<'_>, written: &[Price], findings: &mut Vec<Finding>) -> Prices {
    let mut prices = Prices::default();
    let Some(first) = written.first() else {
        return prices;
    };
    let mut wrong = |path: String, message: String, help: &str| {
        findings.push(Finding::error(Code::InvalidValue, path, message, help));
    };
    if !choice
        .all()
        .flat_map(|pack| &pack.spec.series)
        .any(|series| series.priced.is_some())
    {
        wrong(
            "spec.signals.prices".to_owned(),
            format!("the price of {:?} is used by no pack of the service", first.model),
            "Add \"llm\" to spec.signals.packs, or leave the prices out",
        );
    }
    for (index, price) in written.iter().enumerate() {
        if !prices.models.insert(price.model.clone()) {
            wrong(
                format!("spec.signals.prices[{index}].model"),
                format!("the model {:?} has a price already", price.model),
                "Give each model one price",
            );
        }
        for (direction, text) in price.by_direction() {
            match one_of_a_million(text) {
                Some(0.0) => {}
                Some(usd) => prices.each.push(Each {
                    model: price.model.clone(),
                    direction,
                    usd,
                }),
                None => wrong(
                    format!("spec.signals.prices[{index}]"),
                    format!(
                        "the price {text:?} of {:?} ({direction}) is not a decimal number",
                        price.model
                    ),
                    "Write US dollars for a million tokens, for instance \"3\" or \"0.25\"",
                ),
            }
        }
    }
    if prices.each.is_empty() {
        wrong(
            "spec.signals.prices".to_owned(),
            "no model has a price above 0".to_owned(),
            "Leave the prices out: without them cost is what the service counts itself",
        );
    }
    prices
}

/// The price of one, exactly: a division would leave digits of binary fractions.
fn one_of_a_million(text: &str) -> Option<f64> {
    let plain = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let value: f64 = format!("{text}e-6").parse().ok()?;
    (plain && value.is_finite()).then_some(value)
}

#[cfg(test)]
mod tests {
    use observed_crds::v1alpha1::{Histograms, Signals};

    use super::*;
    use crate::plan;
    use crate::signals::{bind, sample};

    fn signals(prices: &[(&str, &str, &str)]) -> Signals {
        let price = |(model, input, output): &(&str, &str, &str)| Price {
            model: (*model).to_owned(),
            input_per_million: (*input).to_owned(),
            output_per_million: (*output).to_owned(),
            ..Price::default()
        };
        Signals {
            prices: prices.iter().map(price).collect(),
            ..Signals::default()
        }
    }

    #[test]
    fn cost_is_computed_from_tokens_and_prices_in_rules_and_drills() {
        let signals = signals(&[("m-1", "3", "0.3")]);
        let plan = sample::plan(&sample::binding(&signals)).unwrap();
        let llm = plan.packs.iter().find(|pack| pack.name == "llm").unwrap();
        let record = llm
            .records
            .iter()
            .find(|record| record.name == "observed:llm_cost:usd_per_hour")
            .unwrap();
        for part in [
            "tokens_used_total{direction=\"input\",job=\"claude-api\",model=\"m-1\",namespace=\"prod\"}",
            "* 0.000003 or",
            "* 0.0000003)",
        ] {
            assert!(record.expr.contains(part), "{part}: {}", record.expr);
        }
        for alert in &llm.alerts {
            assert!(!alert.expr.contains("llm_cost_usd_total"), "{}", alert.expr);
            let inputs = alert.fires.iter().chain(&alert.silent).flat_map(|case| &case.inputs);
            assert!(
                inputs.clone().all(|input| input.name != "llm_cost_usd_total"),
                "{}",
                alert.name
            );
        }
        assert!(llm.series.iter().all(|series| series.name != "llm_cost_usd_total"));
    }

    #[test]
    fn what_is_priced_is_named_as_prometheus_stores_it() {
        let signals = signals(&[("m-1", "3", "15"), ("m-2", "0", "0")]);
        let native = Signals {
            dialect: Some("gen-ai".to_owned()),
            histograms: Some(Histograms::Native),
            ..signals.clone()
        };
        let stored = |signals: &Signals| {
            let plan = sample::plan(&sample::binding(signals)).unwrap();
            plan.packs
                .into_iter()
                .flat_map(|pack| pack.priced)
                .collect::<BTreeSet<_>>()
        };
        let priced = |metric: &str, label: &str| plan::Priced {
            metric: metric.to_owned(),
            label: label.to_owned(),
            values: ["m-1", "m-2"].map(str::to_owned).into(),
        };
        assert_eq!(stored(&signals), [priced("tokens_used_total", "model")].into());
        assert_eq!(
            stored(&native),
            [priced("gen_ai_client_token_usage", "gen_ai_request_model")].into()
        );
        assert_eq!(stored(&Signals::default()), [].into());
    }

    #[test]
    fn every_price_has_its_part_in_the_drills() {
        let signals = signals(&[("m-1", "3", "15"), ("m-2", "0", "5")]);
        let plan = sample::plan(&sample::binding(&signals)).unwrap();
        let mut alerts = plan.packs.iter().flat_map(|pack| &pack.alerts);
        let alert = alerts.find(|alert| alert.name == "CostAnomaly").unwrap();
        for case in alert.fires.iter().chain(&alert.silent) {
            let spent = |model: &str, direction: &str| {
                let mut inputs = case.inputs.iter();
                let input = inputs.find(|it| it.labels["model"] == model && it.labels["direction"] == direction)?;
                match input.course {
                    crate::plan::Course::Rate(rate) => Some(rate),
                    _ => None,
                }
            };
            let dollars = [
                ("m-1", "input", 3e-6),
                ("m-1", "output", 15e-6),
                ("m-2", "output", 5e-6),
            ]
            .map(|(model, direction, price)| spent(model, direction).unwrap() * price);
            let total: f64 = dollars.iter().sum();
            assert!(
                dollars.iter().all(|part| (part * 3.0 - total).abs() < total * 1e-9),
                "{}: {dollars:?}",
                case.title
            );
            assert_eq!(spent("m-2", "input"), None, "what costs nothing proves nothing");
        }
    }

    #[test]
    fn without_prices_cost_is_what_the_service_counts() {
        let signals = Signals::default();
        let plan = sample::plan(&sample::binding(&signals)).unwrap();
        let llm = plan.packs.iter().find(|pack| pack.name == "llm").unwrap();
        assert!(
            llm.records
                .iter()
                .any(|record| record.expr.contains("llm_cost_usd_total"))
        );
    }

    #[test]
    fn prices_that_do_not_fit_are_findings() {
        for (prices, path, wrong) in [
            (
                vec![("m", "3", "1"), ("m", "4", "1")],
                "spec.signals.prices[1].model",
                "already",
            ),
            (vec![("m", "-3", "1")], "spec.signals.prices[0]", "not a decimal"),
            (vec![("m", "1.2.3", "1")], "spec.signals.prices[0]", "not a decimal"),
            (vec![("m", "0", "0")], "spec.signals.prices", "above 0"),
        ] {
            let signals = signals(&prices);
            let found = sample::plan(&sample::binding(&signals)).unwrap_err();
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].path, path);
            assert!(found[0].message.contains(wrong), "{found:?}");
        }
    }

    #[test]
    fn prices_that_no_pack_reads_name_the_pack_that_does() {
        let signals = signals(&[("m", "3", "1")]);
        let packs = crate::packs::Packs::builtin().unwrap();
        let found = bind(&packs, &["http".to_owned()], &sample::binding(&signals)).unwrap_err();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].help.contains("\"llm\""), "{found:?}");
    }
}
