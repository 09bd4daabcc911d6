//! The proof that an expression stays in its namespace.

use promql_parser::label::MatchOp;

use super::{Error, Expression, walk};

/// The label that tells namespaces apart.
const NAMESPACE: &str = "namespace";
/// The label that tells rule groups apart.
pub(crate) const RULE_GROUP: &str = "rule_group";

impl Expression {
    /// Proves that every selector demands the namespace, whatever else it says.
    ///
    /// # Errors
    /// The first selector that does not.
    pub fn prove_namespaced(&self, namespace: &str) -> Result<(), Error> {
        self.prove_in(&[namespace], None)
    }

    /// Proves that every selector demands one of the namespaces, or the rule groups of this pattern, whatever else it says.
    ///
    /// # Errors
    /// The first selector that does not.
    pub fn prove_in(&self, namespaces: &[&str], rule_groups: Option<&str>) -> Result<(), Error> {
        for found in walk::selectors(&self.0) {
            let matchers = &found.vector.matchers;
            let demands = matchers.or_matchers.is_empty()
                && matchers
                    .matchers
                    .iter()
                    .any(|matcher| match (matcher.name.as_str(), &matcher.op) {
                        (NAMESPACE, MatchOp::Equal) => namespaces.contains(&matcher.value.as_str()),
                        (RULE_GROUP, MatchOp::Re(_)) => rule_groups == Some(matcher.value.as_str()),
                        _ => false,
                    });
            if !demands {
                return Err(Error::Escape {
                    selector: found.vector.to_string(),
                    namespace: namespaces.join(" or "),
                });
            }
        }
        Ok(())
    }
}

/// Proves of a printed expression that every selector demands the namespace.
///
/// # Errors
/// It is not PromQL, or a selector does not.
#[cfg(test)]
pub fn prove_namespaced(text: &str, namespace: &str) -> Result<(), Error> {
    Expression::parse(text)?.prove_namespaced(namespace)
}

/// Proves of a printed expression that every selector demands the namespace of the service, or its rule groups.
///
/// # Errors
/// It is not PromQL, or a selector does not.
#[cfg(test)]
pub fn prove_of(text: &str, namespace: &str, service: &str) -> Result<(), Error> {
    let rule_groups = crate::names::rule_group_pattern(namespace, service);
    Expression::parse(text)?.prove_in(&[namespace], Some(&rule_groups))
}
