//! Printing, in one pass over the tree. The parser's own `Display` makes a text of every node and copies it at each level above,
//! which was a fifth of all that is done for a service; what it prints is what this is held to.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::time::Duration;

use promql_parser::label::{Labels, MatchOp, Matcher, Matchers};
use promql_parser::parser::{
    AtModifier, BinModifier, Expr, LabelModifier, Offset, VectorMatchCardinality, VectorSelector,
};
use promql_parser::util::{display_duration, escape_string};

/// A range that is printed as something else.
pub(super) type Instead<'a> = (Duration, &'a str);

/// The text of an expression, with `instead` for each range of a selector that is the same.
pub(super) fn printed(expr: &Expr, instead: Option<Instead<'_>>) -> String {
    // With room from the beginning: as it grows, a text is copied again and again.
    let mut text = String::with_capacity(256);
    print(&mut text, expr, instead);
    text
}

fn print(out: &mut String, expr: &Expr, instead: Option<Instead<'_>>) {
    match expr {
        Expr::VectorSelector(vector) => selector(out, vector, None, instead),
        Expr::MatrixSelector(matrix) => selector(out, &matrix.vs, Some(matrix.range), instead),
        Expr::Call(call) => {
            out.extend([call.func.name, "("]);
            separated(out, &call.args.args, ", ", |out, arg| print(out, arg, instead));
            out.push(')');
        }
        Expr::Aggregate(aggregate) => {
            written(out, format_args!("{}", aggregate.op));
            match &aggregate.modifier {
                Some(LabelModifier::Exclude(by)) => labels(out, " without (", by, ") "),
                Some(LabelModifier::Include(by)) if !by.is_empty() => labels(out, " by (", by, ") "),
                Some(LabelModifier::Include(_)) | None => {}
            }
            out.push('(');
            if let Some(param) = &aggregate.param {
                print(out, param, instead);
                out.push_str(", ");
            }
            print(out, &aggregate.expr, instead);
            out.push(')');
        }
        Expr::Binary(binary) => {
            print(out, &binary.lhs, instead);
            written(out, format_args!(" {}", binary.op));
            if let Some(by) = &binary.modifier {
                modifier(out, by);
            }
            out.push(' ');
            print(out, &binary.rhs, instead);
        }
        Expr::Paren(paren) => {
            out.push('(');
            print(out, &paren.expr, instead);
            out.push(')');
        }
        Expr::Unary(unary) => {
            out.push('-');
            print(out, &unary.expr, instead);
        }
        Expr::Subquery(query) => {
            print(out, &query.expr, instead);
            let step = query.step.as_ref().map(display_duration).unwrap_or_default();
            out.extend(["[", &display_duration(&query.range), ":", &step, "]"]);
            time(out, query.at.as_ref(), query.offset.as_ref());
        }
        Expr::NumberLiteral(number) => written(out, format_args!("{number}")),
        Expr::StringLiteral(string) => quoted(out, &string.val),
        // The parser never makes one.
        Expr::Extension(_) => written(out, format_args!("{expr}")),
    }
}

/// Adds a selector, with its range if it has one.
pub(super) fn selector(
    out: &mut String,
    vector: &VectorSelector,
    range: Option<Duration>,
    instead: Option<Instead<'_>>,
) {
    out.push_str(vector.name.as_deref().unwrap_or_default());
    matchers(out, &vector.matchers);
    if let Some(range) = range {
        let text = instead.filter(|(of, _)| *of == range).map(|(_, text)| text);
        match text {
            Some(text) => out.extend(["[", text, "]"]),
            None => out.extend(["[", &display_duration(&range), "]"]),
        }
    }
    time(out, vector.at.as_ref(), vector.offset.as_ref());
}

/// In order, whatever order they were put in.
fn matchers(out: &mut String, written_as: &Matchers) {
    let Matchers { matchers, or_matchers } = written_as;
    if matchers.is_empty() && or_matchers.is_empty() {
        return;
    }
    out.push('{');
    if or_matchers.is_empty() {
        let mut sorted: Vec<Named<'_>> = matchers.iter().map(Named::of).collect();
        sorted.sort_by(order);
        separated(out, &sorted, ",", matcher);
    } else {
        separated(out, or_matchers, " or ", |out, all| {
            separated(out, all, ", ", |out, it| matcher(out, &Named::of(it)));
        });
    }
    out.push('}');
}

/// A matcher, and whether the name of its label is plain, which is asked for again and again.
struct Named<'a> {
    is_plain: bool,
    matcher: &'a Matcher,
}

impl<'a> Named<'a> {
    fn of(matcher: &'a Matcher) -> Self {
        Self {
            is_plain: is_plain(&matcher.name),
            matcher,
        }
    }
}

/// By what is printed: names in quotes first.
fn order(one: &Named<'_>, other: &Named<'_>) -> Ordering {
    let by_plain = one.is_plain.cmp(&other.is_plain);
    let (one, other) = (one.matcher, other.matcher);
    let common = one.name.len().min(other.name.len());
    by_plain
        // Most differ here, and by bytes is dearer.
        .then_with(|| one.name.as_bytes()[..common].cmp(&other.name.as_bytes()[..common]))
        .then_with(|| head(one).cmp(head(other)))
        .then_with(|| super::quoted(&one.value).cmp(&super::quoted(&other.value)))
}

fn head(matcher: &Matcher) -> impl Iterator<Item = u8> {
    matcher.name.bytes().chain(sign(&matcher.op).bytes())
}

fn sign(op: &MatchOp) -> &'static str {
    match op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Re(_) => "=~",
        MatchOp::NotRe(_) => "!~",
    }
}

fn matcher(out: &mut String, named: &Named<'_>) {
    let Named { is_plain, matcher } = named;
    label(out, &matcher.name, *is_plain);
    out.push_str(sign(&matcher.op));
    quoted(out, &matcher.value);
}

fn modifier(out: &mut String, by: &BinModifier) {
    if by.return_bool {
        out.push_str(" bool");
    }
    match &by.matching {
        Some(LabelModifier::Include(on)) => labels(out, " on (", on, ")"),
        Some(LabelModifier::Exclude(ignoring)) if !ignoring.is_empty() => labels(out, " ignoring (", ignoring, ")"),
        Some(LabelModifier::Exclude(_)) | None => {}
    }
    match &by.card {
        VectorMatchCardinality::ManyToOne(with) => labels(out, " group_left (", with, ")"),
        VectorMatchCardinality::OneToMany(with) => labels(out, " group_right (", with, ")"),
        VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => {}
    }
    let fill = &by.fill_values;
    match (fill.lhs, fill.rhs) {
        (None, None) => {}
        (Some(left), Some(right)) if left == right => written(out, format_args!(" fill ({left})")),
        (left, right) => {
            if let Some(left) = left {
                written(out, format_args!(" fill_left ({left})"));
            }
            if let Some(right) = right {
                written(out, format_args!(" fill_right ({right})"));
            }
        }
    }
}

fn labels(out: &mut String, begin: &str, labels: &Labels, end: &str) {
    out.push_str(begin);
    separated(out, &labels.labels, ", ", |out, it| label(out, it, is_plain(it)));
    out.push_str(end);
}

/// Whether a name is of Prometheus' legacy character set. Others stand in quotes.
fn is_plain(name: &str) -> bool {
    super::is_name(name, |_| false)
}

fn label(out: &mut String, name: &str, is_plain: bool) {
    if is_plain {
        out.push_str(name);
    } else {
        quoted(out, name);
    }
}

fn time(out: &mut String, at: Option<&AtModifier>, offset: Option<&Offset>) {
    if let Some(at) = at {
        written(out, format_args!(" {at}"));
    }
    if let Some(offset) = offset {
        written(out, format_args!(" offset {offset}"));
    }
}

/// A text in double quotes. Few have anything to escape, and to look is cheaper than to copy.
pub(super) fn quoted(out: &mut String, text: &str) {
    let plain = |byte: u8| byte >= b' ' && !matches!(byte, b'"' | b'\\');
    out.push('"');
    if text.bytes().all(plain) {
        out.push_str(text);
    } else {
        out.push_str(&escape_string(text));
    }
    out.push('"');
}

fn separated<T>(out: &mut String, items: &[T], by: &str, each: impl Fn(&mut String, &T)) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(by);
        }
        each(out, item);
    }
}

fn written(out: &mut String, what: std::fmt::Arguments<'_>) {
    // A text takes whatever is written.
    let _ = out.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use promql_parser::parser::parse;
    use proptest::prelude::*;

    use super::*;

    /// What the parser prints of it.
    fn held(text: &str) -> Option<(String, String)> {
        let expr = parse(text).ok()?;
        Some((printed(&expr, None), expr.to_string()))
    }

    #[test]
    fn everything_that_promql_has_is_printed_as_the_parser_prints_it() {
        for text in [
            "-a{b!=\"c\\\"\\n\\\\\",a=~\"d|e\",a1!~\"\",a=\"x\"} offset 5m",
            "{__name__=~\"a.+\"}[5m] @ 12.5 offset -1h",
            "{\"a.metric\",\"a.label\"=\"b\"} @ start()",
            "a{b=\"c\" or d=~\"e\",f!=\"g\"}",
            "sum by (b, \"a.label\") (rate(a[1w1ms])) / on (b) group_left (c) sum without () (a) > bool 0.05",
            "a + ignoring (b) group_right () c and ignoring () d unless on () e or f",
            "a * on (b) fill_left (1) c + d * fill_right (2) e - f * fill (3) g",
            "quantile(0.9, max_over_time((a % 2)[1d:]) atan2 b) ^ -Inf == NaN",
            "topk(3, count_values(\"v\", min_over_time(a[30m:1m] @ end() offset 1y))) + 1e300 * 1e-9",
            "label_replace(a, \"b\", \"$1\t\", \"c\", '\"(.*)\"') >= +3",
            "sum(a) by () + time()",
            "group by () (absent_over_time(a[5m] offset 1ms))",
        ] {
            let (ours, theirs) = held(text).unwrap_or_else(|| panic!("{text}: {:?}", parse(text)));
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn only_the_range_of_a_selector_is_printed_as_something_else() {
        let expr = parse("rate(a{b=\"[5m]\"}[5m] offset 5m) + max_over_time(a[5m:5m]) + rate(a[6m])").unwrap();
        let five = Duration::from_secs(300);
        assert_eq!(
            printed(&expr, Some((five, "$range"))),
            "rate(a{b=\"[5m]\"}[$range] offset 5m) + max_over_time(a[5m:5m]) + rate(a[6m])"
        );
    }

    fn expressions() -> impl Strategy<Value = String> {
        let label = || prop::sample::select(vec!["a", "b", "a1", "a_b", "\"a.b\""]);
        let sign = prop::sample::select(vec!["=", "!=", "=~", "!~"]);
        let matcher = (label(), sign, "[a-z\"\\\\ ü]{0,3}")
            .prop_map(|(label, sign, value)| format!("{label}{sign}{}", super::super::quoted(&value)));
        let selector = prop::collection::vec(matcher, 0..4).prop_map(|all| format!("metric{{{}}}", all.join(",")));
        let labels = || prop::collection::vec(label(), 0..3).prop_map(|labels| labels.join(", "));
        let leaf = prop_oneof![selector, "[0-9]{1,3}(\\.[0-9]{1,5})?", Just("-Inf".to_owned())];
        let operator = prop::sample::select(vec!["+", "/", "> bool", "==", "and", "or", "unless", "^", "atan2"]);
        let modifier = prop_oneof![
            Just(String::new()),
            labels().prop_map(|labels| format!("on ({labels})")),
            (labels(), label()).prop_map(|(labels, with)| format!("ignoring ({labels}) group_left ({with})")),
        ];
        let aggregation = (
            prop::sample::select(vec!["sum", "max", "count"]),
            any::<bool>(),
            labels(),
        );
        leaf.prop_recursive(4, 24, 2, move |inner| {
            prop_oneof![
                inner.clone().prop_map(|inner| format!("({inner})")),
                inner.clone().prop_map(|inner| format!("-{inner}")),
                (inner.clone(), "[1-9][0-9]{0,4}(ms|s|m|h|d)")
                    .prop_map(|(inner, range)| format!("rate({inner}[{range}])")),
                (inner.clone(), "[1-9]d").prop_map(|(inner, range)| format!("max_over_time(({inner})[{range}:5m])")),
                (inner.clone(), aggregation.clone()).prop_map(|(inner, (name, by, labels))| {
                    format!("{name} {} ({labels}) ({inner})", if by { "by" } else { "without" })
                }),
                (inner.clone(), operator.clone(), modifier.clone(), inner)
                    .prop_map(|(one, operator, modifier, other)| format!("{one} {operator} {modifier} {other}")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::with_cases(500) })]
        #[test]
        fn any_expression_is_printed_as_the_parser_prints_it(text in expressions()) {
            let held = held(&text);
            prop_assume!(held.is_some());
            let (ours, theirs) = held.unwrap_or_default();
            prop_assert_eq!(ours, theirs);
        }
    }
}
