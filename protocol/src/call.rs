//! A call of the API as one member carries it to another (PROTOCOL.md §11).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Call {
    /// Below `/v1/`.
    pub path: String,
    /// Query parameters.
    pub query: BTreeMap<String, String>,
    /// JSON body of a changing call.
    pub body: Option<String>,
    /// Who asks, as the asking member says.
    pub by: String,
}
