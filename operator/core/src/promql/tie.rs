//! Ties the expressions of a pack to one service: matchers, names, labels and ranges, on the syntax tree.

mod parts;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use promql_parser::label::{Labels, MatchOp, Matcher};
use promql_parser::parser::{Expr, VectorSelector};
use regex::Regex;

use super::native::{self, HistogramPart};
use super::print;
use super::walk::{self, Change};
use super::{Error, Expression, is_label_name, is_metric_name};

/// The label by which a metric's name can be matched too.
const METRIC_NAME: &str = "__name__";

/// Grafana's range that fits both the width of the graph and the scrape interval.
const RATE_INTERVAL: &str = "$__rate_interval";
/// The label of a pod, and Grafana's variable for the pods that the viewer chose.
const POD: &str = "pod";
const CHOSEN_PODS: &str = "$pod";

/// What an expression is tied for.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Purpose {
    /// Somebody else takes the parts out of native histograms.
    Whole,
    /// A rule.
    Rule,
    /// A panel, of the pods that the viewer chose.
    Panel,
}

/// How a label is matched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Match<'a> {
    /// It is this.
    Is(&'a str),
    /// All of it is like this regular expression.
    Like(&'a str),
}

/// Everything that ties expressions to one service.
#[derive(Clone, Debug)]
pub struct Tie {
    /// The range that stands for the service's own.
    pack_window: Duration,
    /// The service's own.
    window: Duration,
    /// New names of labels.
    labels: BTreeMap<String, String>,
    series: BTreeMap<String, Series>,
    numbers: BTreeMap<String, f64>,
    priced: BTreeMap<String, Priced>,
}

#[derive(Clone, Debug)]
struct Priced {
    from: String,
    prices: Vec<Price>,
}

/// What one unit of a counter costs, where its labels are these.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// Labels that a series must have, by the names in the pack.
    pub labels: Vec<(String, String)>,
    /// The price of one.
    pub each: f64,
}

#[derive(Clone, Debug)]
struct Series {
    name: String,
    matchers: Vec<Matcher>,
    windowed: bool,
    native: Option<Native>,
}

/// The native histogram that holds what a series of the pack tells.
#[derive(Clone, Debug)]
struct Native {
    histogram: String,
    part: HistogramPart,
}

/// What a series of a pack is at the service.
#[derive(Clone, Copy, Debug)]
pub struct Declared<'a> {
    /// Its name there.
    pub name: &'a str,
    /// What every selector of it must match.
    pub matches: &'a [(&'a str, Match<'a>)],
    /// The service's window applies to it: it is scraped from the service.
    pub windowed: bool,
}

impl Tie {
    /// A tie that knows no series yet.
    ///
    /// # Errors
    /// A new label name that is none.
    pub fn new(pack_window: Duration, window: Duration, labels: BTreeMap<String, String>) -> Result<Self, Error> {
        match labels.values().find(|name| !is_label_name(name)) {
            Some(name) => Err(Error::Name(name.clone())),
            None => Ok(Self {
                pack_window,
                window,
                labels,
                series: BTreeMap::new(),
                numbers: BTreeMap::new(),
                priced: BTreeMap::new(),
            }),
        }
    }

    /// Declares what `metric` is at the service.
    ///
    /// # Errors
    /// A name that is none.
    pub fn declare(&mut self, metric: &str, declared: Declared<'_>) -> Result<(), Error> {
        let Declared {
            name,
            matches,
            windowed,
        } = declared;
        if !is_metric_name(name) {
            return Err(Error::Name(name.to_owned()));
        }
        let matchers = matchers(matches);
        self.series.insert(
            metric.to_owned(),
            Series {
                name: name.to_owned(),
                matchers,
                windowed,
                native: None,
            },
        );
        Ok(())
    }

    /// Says that a declared series is part of a native histogram at the service: what reads it reads that.
    pub fn native(&mut self, metric: &str, histogram: &str, part: HistogramPart) {
        if let Some(series) = self.series.get_mut(metric) {
            let histogram = histogram.to_owned();
            series.native = Some(Native { histogram, part });
        }
    }

    /// Whether a declared series is part of a native histogram at the service.
    pub fn is_native(&self, metric: &str) -> bool {
        self.series.get(metric).is_some_and(|series| series.native.is_some())
    }

    /// A selector as it is, of the native histogram where it is part of one: whoever puts a function around it takes the
    /// part out.
    ///
    /// # Errors
    /// It cannot be tied.
    pub fn whole(&self, selector: &Expression) -> Result<Expression, Error> {
        self.changed(selector, &|_| self.window, Purpose::Whole)
    }

    /// Declares that a name stands for a number.
    pub fn number(&mut self, name: &str, value: f64) {
        self.numbers.insert(name.to_owned(), value);
    }

    /// Declares that the counter `metric` is computed: `rate` and `increase` of it become those of the counter `from`,
    /// each part times its price. Parts without a price are left out.
    pub fn price(&mut self, metric: &str, from: &str, prices: Vec<Price>) {
        let from = from.to_owned();
        self.priced.insert(metric.to_owned(), Priced { from, prices });
    }

    /// The expression for a rule: with the service's window.
    ///
    /// # Errors
    /// It cannot be tied.
    pub fn rule(&self, expr: &Expression) -> Result<Expression, Error> {
        let range = |series: &Series| if series.windowed { self.window } else { self.pack_window };
        self.changed(expr, &range, Purpose::Rule)
    }

    /// The expression for a panel: with Grafana's rate interval for the window of what is not counted.
    ///
    /// # Errors
    /// It cannot be tied.
    pub fn panel(&self, expr: &Expression) -> Result<Panel, Error> {
        // A range that no selector has stands for Grafana's variable.
        let ranges: Vec<Duration> = walk::selectors(&expr.0)
            .iter()
            .filter_map(|found| found.range)
            .collect();
        let mut marks = (1..).map(|millis| Duration::from_millis(millis) + Duration::from_secs(7 * 86_400));
        let mark = marks.find(|mark| !ranges.contains(mark)).unwrap_or_default();
        let tied = self.changed(expr, &|_| mark, Purpose::Panel)?;
        let expr = print::printed(&tied.0, Some((mark, RATE_INTERVAL)));
        Ok(Panel { expr, tied })
    }

    fn changed(
        &self,
        expr: &Expression,
        range: &dyn Fn(&Series) -> Duration,
        purpose: Purpose,
    ) -> Result<Expression, Error> {
        let mut expression = expr.clone();
        walk::change(
            &mut expression.0,
            &Application {
                tie: self,
                range,
                purpose,
            },
        )?;
        Ok(expression)
    }

    /// The name of a label at the service.
    pub fn label<'a>(&'a self, label: &'a str) -> &'a str {
        self.labels.get(label).map_or(label, String::as_str)
    }

    fn rename(&self, label: &mut String) {
        if let Some(name) = self.labels.get(label) {
            label.clone_from(name);
        }
    }

    /// The name of a metric at the service, if it is declared.
    pub fn metric(&self, metric: &str) -> Option<&str> {
        self.series.get(metric).map(|series| series.name.as_str())
    }

    /// The name under which Prometheus stores it: that of the native histogram where it is part of one.
    pub fn stored(&self, metric: &str) -> Option<&str> {
        let series = self.series.get(metric)?;
        let native = series.native.as_ref().map(|native| native.histogram.as_str());
        Some(native.unwrap_or(&series.name))
    }
}

/// An expression for a panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// For Grafana.
    pub expr: String,
    /// The same with a range in place of Grafana's variable.
    pub tied: Expression,
}

struct Application<'a> {
    tie: &'a Tie,
    range: &'a dyn Fn(&Series) -> Duration,
    purpose: Purpose,
}

impl Application<'_> {
    /// A call on a computed counter, as the sum of its parts. No two of them have the same labels, so that `or` keeps all.
    fn computed(&self, call: &Expr, priced: &Priced) -> Result<Option<Expr>, Error> {
        let parts = priced.prices.iter().map(|price| {
            let mut part = call.clone();
            walk::change(&mut part, &Part { of: priced, price })?;
            walk::change(&mut part, self)?;
            Ok(format!("{part} * {}", price.each))
        });
        let parts = parts.collect::<Result<Vec<_>, Error>>()?;
        Expression::parse(&format!("({})", parts.join(" or "))).map(|expr| Some(expr.0))
    }
}

/// Turns a selector of a computed counter into one of a part of the counter that it is computed from.
struct Part<'a> {
    of: &'a Priced,
    price: &'a Price,
}

impl Change for Part<'_> {
    fn instead(&self, _: &Expr) -> Result<Option<Expr>, Error> {
        Ok(None)
    }

    fn selector(&self, vector: &mut VectorSelector, _: Option<&mut Duration>) -> Result<(), Error> {
        vector.name = Some(self.of.from.clone());
        let labels = self.price.labels.iter();
        let matchers = labels.map(|(label, value)| Matcher::new(MatchOp::Equal, label, value));
        vector.matchers.matchers.extend(matchers);
        Ok(())
    }

    fn labels(&self, _: &mut Labels) {}
}

impl Change for Application<'_> {
    fn instead(&self, expr: &Expr) -> Result<Option<Expr>, Error> {
        match expr {
            Expr::VectorSelector(vector) => match vector.name.as_ref().and_then(|name| self.tie.numbers.get(name)) {
                Some(number) => Ok(Some(Expr::from(*number))),
                None => self.part(expr),
            },
            Expr::Aggregate(aggregate) if self.is_of_native_buckets(&aggregate.expr) => {
                let without = native::without_bound(aggregate).map(Expr::Aggregate);
                let tied = without.map(|mut without| {
                    walk::change(&mut without, self)?;
                    Ok(without)
                });
                tied.transpose()
            }
            Expr::Call(call) if ["rate", "increase"].contains(&call.func.name) => {
                let counter = call.args.args.iter().find_map(|arg| match arg.as_ref() {
                    Expr::MatrixSelector(matrix) => matrix.vs.name.as_ref(),
                    _ => None,
                });
                match counter.and_then(|name| self.tie.priced.get(name)) {
                    Some(priced) => self.computed(expr, priced),
                    None => self
                        .part(expr)?
                        .map_or_else(|| self.counted(call), |part| Ok(Some(part))),
                }
            }
            Expr::Call(_) => self.part(expr),
            _ => Ok(None),
        }
    }

    fn selector(&self, vector: &mut VectorSelector, range: Option<&mut Duration>) -> Result<(), Error> {
        let name = vector
            .name
            .as_deref()
            .ok_or_else(|| Error::Nameless(vector.to_string()))?;
        if !vector.matchers.or_matchers.is_empty() {
            return Err(Error::Alternatives(vector.to_string()));
        }
        if vector
            .matchers
            .matchers
            .iter()
            .any(|matcher| matcher.name == METRIC_NAME)
        {
            return Err(Error::Nameless(vector.to_string()));
        }
        if self.tie.priced.contains_key(name) {
            return Err(Error::Computed(vector.to_string()));
        }
        let series = self
            .tie
            .series
            .get(name)
            .ok_or_else(|| Error::Undeclared(name.to_owned()))?;
        let tied = |label: &str| series.matchers.iter().any(|matcher| matcher.name == label);
        if let Some(own) = vector.matchers.matchers.iter().find(|own| tied(&own.name)) {
            return Err(Error::Contradiction {
                selector: vector.to_string(),
                label: own.name.clone(),
            });
        }
        let own = std::mem::take(&mut vector.matchers.matchers);
        let renamed = own.into_iter().map(|mut own| {
            self.tie.rename(&mut own.name);
            own
        });
        // What is scraped from the service has the label of its pod, and so has what is told of its pods.
        let of_pods = self.purpose == Purpose::Panel && (series.windowed || tied(POD));
        let chosen = of_pods.then(|| matcher(POD, Match::Like(CHOSEN_PODS)));
        vector.matchers.matchers = series.matchers.iter().cloned().chain(renamed).chain(chosen).collect();
        let native = series.native.as_ref();
        vector.name = Some(native.map_or(&series.name, |native| &native.histogram).clone());
        if let Some(range) = range
            && *range == self.tie.pack_window
        {
            *range = (self.range)(series);
        }
        Ok(())
    }

    fn labels(&self, labels: &mut Labels) {
        labels.labels.iter_mut().for_each(|label| self.tie.rename(label));
    }
}

fn matchers(matches: &[(&str, Match<'_>)]) -> Vec<Matcher> {
    matches.iter().map(|(label, by)| matcher(label, *by)).collect()
}

/// The parser's matchers hold their regular expression compiled. To compile one takes longer than to tie an expression, and of
/// those that are put in nobody asks what they match: all have this one, which matches nothing, and print their own text.
static UNUSED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[^\s\S]").expect("it is one"));

pub(super) fn matcher(label: &str, by: Match<'_>) -> Matcher {
    match by {
        Match::Is(value) => Matcher::new(MatchOp::Equal, label, value),
        Match::Like(pattern) => Matcher::new(MatchOp::Re(UNUSED.clone()), label, pattern),
    }
}
