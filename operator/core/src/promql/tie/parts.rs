//! What reads a part of a classic histogram, where the service has a native one.

use promql_parser::parser::{Call, Expr, VectorSelector};

use super::{Application, Purpose};
use crate::promql::Error;
use crate::promql::native::{self, HistogramPart};
use crate::promql::walk::{self, Change};

impl Application<'_> {
    /// What a selector is part of, if that is a native histogram and the part has to be taken out.
    fn native(&self, vector: &VectorSelector) -> Option<HistogramPart> {
        let series = self.tie.series.get(vector.name.as_ref()?)?;
        let native = series.native.as_ref().filter(|_| self.purpose != Purpose::Whole);
        native.map(|native| native.part)
    }

    /// A part of a native histogram, now or by its rate.
    pub(super) fn part(&self, expr: &Expr) -> Result<Option<Expr>, Error> {
        let (mut inner, part) = match expr {
            Expr::VectorSelector(vector) => match self.native(vector) {
                Some(part) => (expr.clone(), part),
                None => return Ok(None),
            },
            Expr::Call(call) => match native::range(call).and_then(|vector| self.native(vector)) {
                Some(part) if native::is_rate(call)? => (expr.clone(), part),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let bound = match &mut inner {
            Expr::VectorSelector(vector) => {
                let bound = native::take_bound(vector)?;
                self.selector(vector, None)?;
                bound
            }
            Expr::Call(call) => {
                let mut bound = None;
                for arg in &mut call.args.args {
                    if let Expr::MatrixSelector(matrix) = arg.as_mut() {
                        bound = native::take_bound(&mut matrix.vs)?;
                    }
                    walk::change(arg, self)?;
                }
                bound
            }
            _ => None,
        };
        native::part_of(part, bound.as_deref(), &inner).map(Some)
    }

    /// What a panel counts is counted over the pack's window, of which its title speaks, however wide the graph is.
    pub(super) fn counted(&self, call: &Call) -> Result<Option<Expr>, Error> {
        if self.purpose != Purpose::Panel || call.func.name != "increase" {
            return Ok(None);
        }
        let over_window = Application {
            tie: self.tie,
            range: &|_| self.tie.pack_window,
            purpose: self.purpose,
        };
        let mut call = call.clone();
        for arg in &mut call.args.args {
            walk::change(arg, &over_window)?;
        }
        Ok(Some(Expr::Call(call)))
    }

    /// Whether all of an expression is buckets of native histograms.
    pub(super) fn is_of_native_buckets(&self, expr: &Expr) -> bool {
        let selectors = walk::selectors(expr);
        let is_bucket = |vector: &VectorSelector| self.native(vector) == Some(HistogramPart::Bucket);
        !selectors.is_empty() && selectors.iter().all(|selector| is_bucket(selector.vector))
    }
}
