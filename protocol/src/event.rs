//! What is worth telling an administrator, as it happens. The host adds time, number and member.

use serde::{Deserialize, Serialize};

use crate::identity::MemberId;

/// How much it matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Went as it should.
    Info,
    /// Unusual, no harm.
    Notice,
    /// Something is wrong; it may mend itself.
    Warning,
    /// Somebody should look now.
    Critical,
}

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// How much it matters.
    pub severity: Severity,
    /// `noun.verb`: `content.differs`, `revision.settled`.
    pub kind: String,
    /// The application it is about, if one.
    pub application: Option<String>,
    /// The member it is about, if not the one that says it.
    pub subject: Option<MemberId>,
    /// The epoch that settled it, if it is a settled change: then every member logs the same.
    pub epoch: Option<u64>,
    /// One line for people.
    pub text: String,
}

impl Event {
    /// An event about this member.
    pub fn new(severity: Severity, kind: &str, text: impl Into<String>) -> Self {
        Self {
            severity,
            kind: kind.to_owned(),
            application: None,
            subject: None,
            epoch: None,
            text: text.into(),
        }
    }

    /// The same, about an application.
    #[must_use]
    pub fn about(mut self, application: &str) -> Self {
        self.application = Some(application.to_owned());
        self
    }

    /// The same, as part of a settled record.
    #[must_use]
    pub fn settled(mut self, epoch: u64) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// The same, about another member.
    #[must_use]
    pub fn of(mut self, subject: MemberId) -> Self {
        self.subject = Some(subject);
        self
    }
}
