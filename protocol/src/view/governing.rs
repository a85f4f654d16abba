//! Documents about who decides: the authority, and what waits for signatures of operators.

use serde::{Deserialize, Serialize};

use crate::governance::{Authority, Operator};

/// `althing.requests/1`
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Requests {
    /// What waits for the signatures of operators.
    pub requests: Vec<RequestView>,
}

/// An order that waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestView {
    /// Names it.
    pub id: String,
    /// What it does.
    pub text: String,
    /// Who asked for it.
    pub by: String,
    /// The member that originates it.
    pub member: String,
    /// When it is over (RFC 3339).
    pub until: String,
    /// It is over as well when so many records more are settled.
    pub epochs_left: u64,
    /// Valid signatures.
    pub have: u32,
    /// Signatures that it needs.
    pub need: u32,
    /// Whose.
    pub signed_by: Vec<String>,
    /// Hexadecimal digits of what is signed.
    pub order: String,
}

/// Whose word changes need.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuthorityView {
    /// `members` or `operators`
    pub kind: String,
    /// Signatures that an order needs.
    pub needed: u32,
    /// Whose they may be.
    pub operators: Vec<OperatorView>,
}

/// An operator.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OperatorView {
    /// Its name.
    pub name: String,
    /// The public half of its key.
    pub key: String,
}

impl From<&Authority> for AuthorityView {
    fn from(authority: &Authority) -> Self {
        let operators = authority.operators();
        let view = |one: &Operator| OperatorView { name: one.name.clone(), key: one.key.to_string() };
        Self {
            kind: authority.name().to_owned(),
            needed: operators.map_or(0, |operators| operators.needed),
            operators: operators.into_iter().flat_map(|operators| &operators.keys).map(view).collect(),
        }
    }
}
