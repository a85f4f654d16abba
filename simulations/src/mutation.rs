//! Planted bugs: rules that hosts or members of a world break on purpose, to see that the checks notice.

use std::fmt;
use std::str::FromStr;

use althing_protocol::member::Sabotage;

/// A rule broken on purpose, to see that it is noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    /// Hosts answer [`althing_protocol::effect::Input::Persisted`] before the batch is synced: votes leave before they
    /// are durable.
    EarlyAcknowledgement,
    /// A start finds no promise, and nobody reminds the member of it.
    ForgottenPromise,
    /// Half of the voters settle.
    HalfQuorum,
    /// Content is thrown away although it was promised.
    LostContent,
    /// A collection takes what was put there since it began.
    HastyCollection,
    /// A fetch says that it got what the holder did not give.
    FalseFetch,
    /// Fetched content is not durable when its member is told: a crash loses it.
    LateContent,
    /// A capture stores nothing.
    EmptyCapture,
    /// An apply keeps nothing of what it replaces.
    NoTrash,
    /// An apply leaves its last step away and says that it is done.
    HalfApply,
    /// Scans show what the first one saw.
    StaleScan,
    /// Messages arrive under the name of another peer, now and then.
    WrongSender,
    /// Members are not woken at their deadlines, now and then for good.
    LostWakes,
    /// A batch is durable and its member is not told, now and then.
    LostAnswers,
    /// An apply ends and its member is not told, now and then.
    LostResults,
    /// Records of every third epoch are not kept for others.
    GappyChain,
    /// Batches become durable in the wrong order.
    NewestFirst,
    /// A crash leaves half of a batch.
    TornBatch,
    /// A request reaches its member twice.
    AskedTwice,
    /// A start finds no name of its store.
    ForgottenLife,
    /// A lock binds nobody.
    NoLocks,
    /// A start forgets what it is locked on.
    ForgottenLock,
    /// Precommits of all rounds are counted together.
    MixedRounds,
    /// A round never ends without a decision.
    EndlessRound,
    /// Votes that contradict each other are no evidence, and forks are not looked at.
    NoEvidence,
    /// Certificates are not checked.
    AnyChain,
    /// A start votes before it has heard what it said.
    NeverMute,
    /// A store that is found out votes all the same.
    NeverBurnt,
    /// No bug: members look at everything after every input, also where nothing can have changed. Whatever they leave
    /// out otherwise changes nothing if the same seed is the same world.
    Restless,
    /// Who has found a contradiction votes all the same.
    NeverStopped,
    /// A late quorum of prevotes is precommitted in the round that was left.
    LatePrecommit,
    /// A later round is entered because somebody says that it is there.
    BlindEntry,
    /// A prevote for the own lock does not say that it rests on it.
    UnsignedReliance,
    /// A start begins with the first round again.
    ForgottenRound,
    /// Whoever sees a quorum of prevotes precommits, and leaves its own prevote out.
    LonePrecommit,
    /// The votes on which a round was entered are not kept.
    ForgottenEntry,
}

impl Mutation {
    /// Every mutation, with its name.
    pub const ALL: [(Self, &'static str); 36] = [
        (Self::EarlyAcknowledgement, "early-acknowledgement"),
        (Self::ForgottenPromise, "forgotten-promise"),
        (Self::HalfQuorum, "half-quorum"),
        (Self::LostContent, "lost-content"),
        (Self::HastyCollection, "hasty-collection"),
        (Self::FalseFetch, "false-fetch"),
        (Self::LateContent, "late-content"),
        (Self::EmptyCapture, "empty-capture"),
        (Self::NoTrash, "no-trash"),
        (Self::HalfApply, "half-apply"),
        (Self::StaleScan, "stale-scan"),
        (Self::WrongSender, "wrong-sender"),
        (Self::LostWakes, "lost-wakes"),
        (Self::LostAnswers, "lost-answers"),
        (Self::LostResults, "lost-results"),
        (Self::GappyChain, "gappy-chain"),
        (Self::NewestFirst, "newest-first"),
        (Self::TornBatch, "torn-batch"),
        (Self::AskedTwice, "asked-twice"),
        (Self::ForgottenLife, "forgotten-life"),
        (Self::NoLocks, "no-locks"),
        (Self::ForgottenLock, "forgotten-lock"),
        (Self::MixedRounds, "mixed-rounds"),
        (Self::EndlessRound, "endless-round"),
        (Self::NoEvidence, "no-evidence"),
        (Self::AnyChain, "any-chain"),
        (Self::NeverMute, "never-mute"),
        (Self::NeverBurnt, "never-burnt"),
        (Self::Restless, "restless"),
        (Self::NeverStopped, "never-stopped"),
        (Self::LatePrecommit, "late-precommit"),
        (Self::BlindEntry, "blind-entry"),
        (Self::UnsignedReliance, "unsigned-reliance"),
        (Self::ForgottenRound, "forgotten-round"),
        (Self::LonePrecommit, "lone-precommit"),
        (Self::ForgottenEntry, "forgotten-entry"),
    ];

    /// Whether members themselves break the rule, and not their hosts.
    pub fn is_of_members(self) -> bool {
        self.sabotage().is_some()
    }

    /// The rule that members themselves break.
    pub(crate) fn sabotage(self) -> Option<Sabotage> {
        match self {
            Self::HalfQuorum => Some(Sabotage::HalfQuorum),
            Self::NoLocks => Some(Sabotage::NoLocks),
            Self::ForgottenLock => Some(Sabotage::ForgottenLock),
            Self::MixedRounds => Some(Sabotage::MixedRounds),
            Self::EndlessRound => Some(Sabotage::EndlessRound),
            Self::NoEvidence => Some(Sabotage::NoEvidence),
            Self::AnyChain => Some(Sabotage::AnyChain),
            Self::NeverMute => Some(Sabotage::NeverMute),
            Self::NeverBurnt => Some(Sabotage::NeverBurnt),
            Self::Restless => Some(Sabotage::Restless),
            Self::NeverStopped => Some(Sabotage::NeverStopped),
            Self::LatePrecommit => Some(Sabotage::LatePrecommit),
            Self::BlindEntry => Some(Sabotage::BlindEntry),
            Self::UnsignedReliance => Some(Sabotage::UnsignedReliance),
            Self::ForgottenRound => Some(Sabotage::ForgottenRound),
            Self::LonePrecommit => Some(Sabotage::LonePrecommit),
            Self::ForgottenEntry => Some(Sabotage::ForgottenEntry),
            _ => None,
        }
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(mutation, _)| mutation == self).map_or("", |(_, name)| *name);
        out.write_str(name)
    }
}

impl FromStr for Mutation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(mutation, _)| *mutation).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(_, name)| *name).collect();
            format!("no mutation {text:?}; there are {}", names.join(", "))
        })
    }
}
