//! The objects that follow from a plan, and what became of them.

use observed_crds::v1alpha1::InventoryItem;

use crate::gift::{Gift, TakeBack, Will};

/// A kind of object that Observed writes.
#[derive(Debug, Eq, PartialEq)]
pub struct ResourceKind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version.
    pub version: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Plural resource name.
    pub plural: &'static str,
    /// The kind comes with a CRD that may not be installed.
    pub optional: bool,
}

impl ResourceKind {
    /// `group/version`, or the version alone in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// One object that an output asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Id of the output.
    pub output: &'static str,
    /// Kind of the object.
    pub kind: &'static ResourceKind,
    /// Name of the object, in the namespace of the ObservedService.
    pub name: String,
    /// What is written.
    pub body: Body,
}

impl Child {
    /// The child as the inventory lists it.
    pub fn item(&self) -> InventoryItem {
        InventoryItem {
            api_version: self.kind.api_version(),
            kind: self.kind.kind.to_owned(),
            name: self.name.clone(),
        }
    }
}

/// What is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// An object that is ours whole, complete with metadata: server-side apply.
    Owned(serde_json::Value),
    /// A gift to somebody else's object: a patch, then let go.
    Gift(Gift),
    /// A gift that is taken out of somebody else's object: a patch, then let go.
    TakeBack(TakeBack),
    /// A note beside a gift in somebody else's object: a patch, then let go. It rolls nothing out.
    Will(Will),
}

/// Children in one state of their life. A status can only be computed from [`Applied`] ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Children<S> {
    /// The children.
    pub items: Vec<S>,
}

/// A child that was only computed.
pub type Rendered = Child;

/// A child and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The child.
    pub child: Child,
    /// What became of it.
    pub outcome: ApplyOutcome,
}

impl Applied {
    /// Whether it is about somebody else's object: a gift, one that is taken back, or a note beside it.
    pub fn is_gift(&self) -> bool {
        !matches!(self.child.body, Body::Owned(_))
    }

    /// Whether somebody else's object was written just now.
    pub fn wrote_gift(&self) -> bool {
        self.is_gift() && self.outcome == ApplyOutcome::Written
    }
}

/// What the API server answered for one child. None of these is an error of ours.
#[derive(Clone, Debug, PartialEq)]
pub enum ApplyOutcome {
    /// It was as it should be; nothing was written.
    Unchanged,
    /// The same, and a Prometheus does not accept it, as prometheus-operator says ([`crate::binding`]).
    NotAccepted(String),
    /// It was written.
    Written,
    /// Writing is paused.
    Paused,
    /// The API server does not know the kind.
    KindNotServed,
    /// An object of that name belongs to somebody else, named here.
    NameCollision(String),
    /// The object changed under the write; the next reconcile sees the new state.
    Conflict(String),
    /// The API server refused it, in its words.
    Rejected(String),
    /// The operator has no right to do it, in the API server's words.
    Forbidden(String),
    /// The API server decided nothing (5xx, no answer): it may or may not be done, and is tried again.
    Failed(String),
}
