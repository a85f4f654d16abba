//! What every error code and every condition means, and what can be done: the pages of `althing explain`, and the
//! remedies of whatever names none of its own (cli.md "Errors").
//!
//! The lists are complete by construction: a code without a page does not compile. Commands are whole command lines; a
//! test of the command line parses every one. Words in capitals stand for what the reader fills in.

use crate::control::Code;
use crate::event::Severity;

/// What something means, and what can be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// A few sentences.
    pub text: &'static str,
    /// What to do: text and command.
    pub remedies: &'static [(&'static str, &'static str)],
}

const fn page(text: &'static str, remedies: &'static [(&'static str, &'static str)]) -> Page {
    Page { text, remedies }
}

impl Code {
    /// Its page.
    pub fn page(self) -> Page {
        match self {
            Self::Failed | Self::Unsafe | Self::Input | Self::Denied => self.plain_page(),
            Self::NotInEntity
            | Self::InEntity
            | Self::InUse
            | Self::NodeDown
            | Self::PeerDown
            | Self::Mute => self.node_page(),
            Self::InvitationExpired
            | Self::InvitationUsed
            | Self::InvitationRevoked
            | Self::InvitationBad
            | Self::NoAnswer
            | Self::NotAdmitted
            | Self::ClocksDiffer
            | Self::NameTaken => self.joining_page(),
            Self::Protocol | Self::NotSpoken => self.version_page(),
            Self::NoSuchMember | Self::NoSuchApplication | Self::NoSuchRevision | Self::NoSuchItem => {
                self.missing_page()
            }
            Self::WindowOpen
            | Self::NoWindow
            | Self::RevisionStale
            | Self::Changing
            | Self::Busy
            | Self::WouldReplace
            | Self::Differs
            | Self::Undecided
            | Self::NoHolders => self.update_page(),
            Self::CheckFailed | Self::NotStopped | Self::RolloutStopped | Self::RevisionUndone => {
                self.rollout_page()
            }
            Self::Unreadable | Self::NoSpace => self.disk_page(),
            Self::ManifestInvalid
            | Self::WouldMove
            | Self::OtherHandling
            | Self::ConfigInvalid
            | Self::BackupInvalid => self.file_page(),
            Self::Contradiction
            | Self::NoRequest
            | Self::NotPlaced
            | Self::NothingToResolve
            | Self::KeepNeeded
            | Self::OtherBranch
            | Self::Doubled => self.ugly_page(),
            Self::KeyInvalid
            | Self::NeedsOperators
            | Self::RequestWaits
            | Self::NotAnOperator
            | Self::SignatureBad
            | Self::NoSuchRequest
            | Self::RequestOver => self.order_page(),
            Self::NoMajority | Self::WouldEmptyService | Self::LastVoter | Self::ChainBroken => {
                self.roster_page()
            }
        }
    }

    fn disk_page(self) -> Page {
        match self {
            Self::Unreadable => page(
                "The application's tree on this member cannot be read as a whole, or the file system that it lies on is not \
                 mounted. Nothing was changed; it goes on by itself when the tree can be read.",
                &[
                    ("see why", "althing why APP"),
                    ("make the tree anew where its file system is gone for good", "althing app repair APP"),
                ],
            ),
            _ => page(
                "The disk of this member, or of the application's tree, has no room for what was asked. Nothing was changed, and \
                 everything goes on by itself when there is room.",
                &[
                    ("see what the trash holds", "althing trash list"),
                    ("see how full it is", "althing member show MEMBER"),
                ],
            ),
        }
    }

    fn version_page(self) -> Page {
        match self {
            Self::NotSpoken => page(
                "A newer protocol version is settled only when every member of the roster, spares included, has said in its \
                 signed report that its program speaks it: one that cannot read what is settled would stop. Nothing was \
                 changed.",
                &[
                    ("see who speaks what", "althing version --entity"),
                    ("for a member that is gone for good", "althing member remove MEMBER"),
                ],
            ),
            _ => page(
                "The entity uses a protocol version that this machine's program does not speak, or the program no longer speaks \
                 what the entity uses. Nothing was changed. Install the program that the other members run.",
                &[
                    ("see the version of this program", "althing version"),
                    ("see who speaks what, on a member", "althing version --entity"),
                ],
            ),
        }
    }

    fn plain_page(self) -> Page {
        match self {
            Self::Unsafe => page(
                "What was asked would overwrite or remove something that is not kept elsewhere, or give up what cannot be had \
                 back: a majority that is still there, say. Nothing was changed. The message says what is in the way; of files, \
                 ask for it under another name or path, or move aside what is there.",
                &[("put it somewhere else", "althing trash restore ID --to PATH")],
            ),
            Self::Input => page(
                "A name, path, number or text in the request is not allowed. Names have letters, digits, `-`, `_` and `.`, at \
                 most 63 of them; roots are absolute paths that do not lie in one another. Nothing was changed.",
                &[("see what there is", "althing status")],
            ),
            Self::Denied => page(
                "The node does not talk to this user, or was asked from another machine (--on) for what only whoever is on this \
                 one may have. Whoever may use a node's socket is an administrator of the entity: the superuser, the user of the \
                 node, and the group that owns the socket.",
                &[("see who may, and why not you", "althing doctor")],
            ),
            _ => page(
                "Something failed that has no code of its own; the message says what the system said. What was asked for was \
                 not done, unless the message says otherwise.",
                &[
                    ("see what happened", "althing events --since 1h"),
                    ("look for a cause on this machine", "althing doctor"),
                ],
            ),
        }
    }

    fn node_page(self) -> Page {
        match self {
            Self::NotInEntity => page(
                "The node runs, but this machine has neither founded an entity nor joined one.",
                &[
                    ("begin a new one", "althing init --name ENTITY"),
                    ("join one, with an invitation from any of its members", "althing join"),
                ],
            ),
            Self::InEntity => page(
                "A machine is in one entity at a time: it must leave before it can found or join another.",
                &[("take it out first", "althing leave")],
            ),
            Self::InUse => page(
                "One directory is one member, and one node at a time runs with it: two would contradict each other. The one \
                 that runs goes on; the one that was refused changed nothing. The fact `process` is the pid of the first.",
                &[
                    ("see the one that runs", "althing status --dir DIR"),
                    ("run another member on this machine", "althing run --dir OTHER"),
                ],
            ),
            Self::NodeDown => page(
                "Nobody listens at the node's socket: the node is not running, runs with another directory, or has just \
                 stopped. Content that is in place stays and goes on being served by what serves it.",
                &[
                    ("start it", "althing run"),
                    ("find out why it does not run", "althing config check"),
                    ("ask a node with another directory", "althing status --dir DIR"),
                ],
            ),
            Self::PeerDown => page(
                "The member that was to answer was not reached; nothing was asked of it. Another member can answer most \
                 questions: leave --on away.",
                &[("see who is heard", "althing member list"), ("see why it is away", "althing why MEMBER")],
            ),
            _ => page(
                "A voter says nothing for a moment after a start, until enough others have told it what it said before. A \
                 member whose disk was put back or copied stays mute for good, because it may have forgotten a promise. One that \
                 was away for longer than its trusting period waits for an administrator to vouch for what is settled.",
                &[("see how it is", "althing status"), ("see why", "althing why MEMBER")],
            ),
        }
    }

    fn joining_page(self) -> Page {
        match self {
            Self::InvitationExpired => page(
                "Invitations end by themselves, after an hour unless --for said otherwise. The message says when, and by which \
                 clock: that of the member that was asked, or, where no member answers, this machine's. A clock that is off \
                 makes invitations end early.",
                &[
                    ("make another, on a member", "althing invite"),
                    ("compare the clocks, on a member", "althing doctor"),
                ],
            ),
            Self::InvitationUsed => page(
                "Each invitation lets in as many machines as --uses said, one by default. The member that was asked says who used \
                 it and when, as far as it knows: it remembers the newest records. What it does not know may also have been \
                 revoked, or be one of another entity.",
                &[
                    ("make another, on a member", "althing invite"),
                    ("see which are open", "althing invite list"),
                ],
            ),
            Self::InvitationRevoked => page(
                "An administrator ended the invitation before it was used up; the message says who, where and when. Whoever \
                 gave it to you should know whether this machine is to join at all. In an entity that uses protocol version 1 \
                 the code is E312.",
                &[
                    ("make another, on a member", "althing invite"),
                    ("see which are open", "althing invite list"),
                ],
            ),
            Self::NotAdmitted => page(
                "A machine is let in by a vote. None of the members that the invitation names and that answer can reach enough \
                 others for one now, or it may not vote itself. Nothing was changed; the invitation stays good until it ends. \
                 In an entity that uses protocol version 1 the code is E301.",
                &[
                    ("see who is heard, on a member", "althing member list"),
                    ("try again when they are back", "althing join"),
                ],
            ),
            Self::ClocksDiffer => page(
                "The clock of this machine is more than 5 minutes ahead of that of the member that was asked, or behind it. \
                 Members drop changes whose time is more than 10 minutes off their clocks, so this machine could settle nothing, \
                 and would never count. Nothing was changed, and the invitation stays good. Set the clock that is wrong; a time \
                 service (chrony, systemd-timesyncd) keeps it right.",
                &[
                    ("compare the clocks of the members, on one of them", "althing status --everywhere"),
                    ("then join again", "althing join"),
                ],
            ),
            Self::InvitationBad => page(
                "The text does not begin as an invitation, or its checksum does not hold: a letter was lost or changed.",
                &[("paste it again", "althing join"), ("make another, on a member", "althing invite")],
            ),
            Self::NoAnswer => page(
                "No address in the invitation answers from here; the facts say of each what happened. Refused means that the \
                 machine is there and nothing listens on the port; no answer means that it is off, or that a firewall is in \
                 between. Members listen on a port for messages and on the next one for content; both must be open between all \
                 members.",
                &[
                    ("see where members listen", "althing member list"),
                    ("look for a cause here", "althing doctor"),
                ],
            ),
            _ => page(
                "Names of members and of applications are unique in the entity, and nothing was changed.",
                &[
                    ("see the members", "althing member list"),
                    ("see the applications", "althing app list"),
                    ("join under another name", "althing join --member-name NAME"),
                ],
            ),
        }
    }

    fn missing_page(self) -> Page {
        match self {
            Self::NoSuchMember => page(
                "The roster has no member of this name, as the member that answers knows it. Names are those of `member \
                 list`, which may differ from host names.",
                &[("see who there is", "althing member list")],
            ),
            Self::NoSuchApplication => page(
                "The entity has no application of this name, as the member that answers knows it. Nothing was changed.",
                &[
                    ("see which there are", "althing app list"),
                    ("define it", "althing app new APP --from DIR"),
                ],
            ),
            Self::NoSuchRevision => page(
                "The revision in force and the five before it are kept; older ones are gone from all members.",
                &[("see the revisions", "althing app history APP")],
            ),
            _ => page(
                "Nothing of this name or id is there. Ids change when what they name is used up or removed.",
                &[
                    ("see the trash", "althing trash list"),
                    ("see the invitations", "althing invite list"),
                    ("see the rest", "althing status"),
                ],
            ),
        }
    }

    fn update_page(self) -> Page {
        match self {
            Self::WindowOpen => page(
                "One member at a time may change an application. The window closes when it is committed or aborted, or by \
                 itself when its time is over.",
                &[
                    ("see what is staged there", "althing update status APP"),
                    ("wait until it is closed", "althing wait --for update/APP=closed"),
                    ("close it now", "althing update abort APP --on MEMBER"),
                ],
            ),
            Self::NoWindow => page(
                "Staging and committing need an update window that is open on the member that is asked.",
                &[("open one", "althing update open APP"), ("see all windows", "althing update list")],
            ),
            Self::RevisionStale => page(
                "--expect named another revision than the one in force: somebody committed meanwhile. Your window and what \
                 you staged are as they were.",
                &[
                    ("see what changed", "althing app history APP"),
                    ("see yours on top of it", "althing update diff APP"),
                ],
            ),
            Self::Changing => page(
                "The tree changed while it was read, so that no single state of it could be had. Nothing was staged.",
                &[("stage from a directory that nobody writes to", "althing update stage APP --from DIR")],
            ),
            Self::Busy => page(
                "One request at a time works on an application on a member. It ends by itself; when the content of a \
                 deployment does not reach enough members, after 15 minutes at most.",
                &[
                    ("see how far it is", "althing update status APP"),
                    ("wait until its window is closed", "althing wait --for update/APP=closed"),
                ],
            ),
            Self::WouldReplace => page(
                "The first content of an application would replace files that members have at its root and that no \
                 revision holds. With --replace they go to the trash, where they are kept for 7 days.",
                &[("let them go to the trash", "althing deploy APP --from DIR --replace")],
            ),
            Self::Differs => page(
                "A window on this member would take what differs from the settled revision for an edit of the update. Nothing \
                 was opened: have it repaired first, or say that the difference is wanted.",
                &[
                    ("see what differs", "althing app diff APP"),
                    ("put the settled revision back first", "althing app repair APP"),
                    ("make the difference part of the update", "althing update open APP --adopt"),
                ],
            ),
            Self::Undecided => page(
                "The vote did not end in time, or the member that was asked did not say so in time. The change may still be \
                 settled: look before you ask for it again.",
                &[
                    ("see where it stands", "althing status"),
                    ("see what was settled", "althing audit --since 10m"),
                ],
            ),
            _ => page(
                "New content must be held by a quorum of the members that hold the application before it is settled, so that \
                 losing the others cannot lose it. Or what was staged, what is gone back to, or what the checks are made of is \
                 not all here, and no member that is heard gives it. Nothing was changed.",
                &[
                    ("see who is heard", "althing member list"),
                    ("see what is short on members", "althing health"),
                ],
            ),
        }
    }

    fn rollout_page(self) -> Page {
        match self {
            Self::CheckFailed => page(
                "A program that the application has as a check hook looked at the staged content on a member and failed: it \
                 ended with another status than 0, or took too long. Nothing was settled. A window that was open before is \
                 open still.",
                &[
                    ("see which hooks there are", "althing app show APP"),
                    ("see what was to be settled", "althing update diff APP"),
                    ("see what members said", "althing events --kind hook.check-failed --app APP"),
                ],
            ),
            Self::RolloutStopped => page(
                "The revision is settled and lies on the members that have applied it. An after hook fails on one of them, so \
                 the others keep the revision before until the hook ends well, somebody goes back, or somebody says that it \
                 is to go on.",
                &[
                    ("see who waits", "althing update status APP"),
                    ("go on all the same", "althing update commit APP --continue"),
                    ("go back", "althing app history APP"),
                ],
            ),
            Self::RevisionUndone => page(
                "The commit gave its revision a probation, within which after hooks failed on the first members, or on more than \
                 a tenth of all. Members then settled the content of the revision before as a new revision, once and by \
                 themselves.",
                &[
                    ("see the revisions and why", "althing app history APP"),
                    ("see what hooks said", "althing events --kind hook.after-failed --app APP"),
                ],
            ),
            _ => page(
                "A roll-out stops when an after hook fails on a member that has applied the revision. There is none of which \
                 that is so now.",
                &[("see how it stands", "althing update status APP")],
            ),
        }
    }

    fn file_page(self) -> Page {
        match self {
            Self::ManifestInvalid => page(
                "A manifest is a TOML file that says what an application is: name, root, policy. The error names line and \
                 column; nothing was changed.",
                &[("see all problems of the file", "althing app check MANIFEST")],
            ),
            Self::WouldMove => page(
                "The root directory of an application is the same for its whole life: moving it would leave the old tree \
                 behind on every member. Define a new application for the new place.",
                &[
                    ("see where it lies", "althing app show APP"),
                    ("define another", "althing app new NAME --root PATH"),
                ],
            ),
            Self::OtherHandling => page(
                "How an application's tree is handled, in place or by releases, with or without owners and extended attributes, \
                 is the same for its whole life. To change it, \
                 take the application out of the entity with its files left where they are, and define it anew.",
                &[
                    ("see how it is", "althing app show APP"),
                    ("take it out, files stay", "althing app remove APP --keep-files"),
                ],
            ),
            Self::ConfigInvalid => page(
                "Facts of this machine come from althing.toml, conf.d, variables ALTHING_SECTION__KEY and flags, in this \
                 order. A key that is not known is an error, because what was meant would silently not hold.",
                &[
                    ("see all problems", "althing config check"),
                    ("see which keys there are", "althing config default"),
                ],
            ),
            _ => page(
                "A backup ends with a hash of all of it, and each link of its chain is checked from the genesis on. This one \
                 does not hold.",
                &[
                    ("make another", "althing backup create F"),
                    ("check another file", "althing backup check F"),
                ],
            ),
        }
    }

    fn ugly_page(self) -> Page {
        match self {
            Self::Contradiction => page(
                "A member signed two statements of which only one can be true, an epoch has two certificates, or the entity \
                 was begun anew. Nothing is settled on this member until an administrator has looked and says so; content \
                 and traffic go on.",
                &[
                    ("see what was found", "althing roster show"),
                    ("acknowledge it", "althing resolve --confirm ENTITY"),
                ],
            ),
            Self::NoRequest => page(
                "A member asks for its re-admission itself, when it finds that its store was lost, restored or copied. It \
                 must run and be heard.",
                &[("see who asks", "althing roster show"), ("see who is heard", "althing member list")],
            ),
            Self::NotPlaced => page(
                "An application goes to all members or to those of some groups. What was asked needs its files, and this \
                 member is in none of its groups: ask a member that it goes to, or put this one into a group.",
                &[
                    ("see where it goes", "althing app show APP"),
                    ("ask a member that has it", "althing app verify APP --on MEMBER"),
                    ("put this one into a group", "althing member label MEMBER group=GROUP"),
                ],
            ),
            Self::NothingToResolve => page(
                "Evidence is kept by each member that saw it. This one has none, or it was acknowledged already.",
                &[
                    ("see what was found", "althing roster show"),
                    ("ask another member", "althing roster show --on MEMBER"),
                ],
            ),
            Self::KeepNeeded => page(
                "The chain has two branches, and going on means giving up one. The record to keep must be named, so that \
                 nobody chooses by accident.",
                &[
                    ("see both", "althing roster show"),
                    ("go on with one", "althing resolve --keep HASH --confirm ENTITY"),
                ],
            ),
            Self::OtherBranch => page(
                "This member has the other branch: what it settled there cannot be undone on it. It comes back as a \
                 newcomer; its files stay as they are.",
                &[("leave, and forget the branch", "althing leave --purge"), ("come back", "althing join")],
            ),
            _ => page(
                "Two machines use one key, each with a store of its own. Neither may vote while both are heard.",
                &[
                    ("see which member it is", "althing member list"),
                    ("when one is stopped", "althing member readmit MEMBER"),
                ],
            ),
        }
    }

    fn order_page(self) -> Page {
        match self {
            Self::KeyInvalid => page(
                "An operator's key is a file that `althing operator keygen` wrote. It is not encrypted: only its owner may read \
                 it (mode 0600), and it belongs on no member of the entity. Nothing was signed.",
                &[("make a key", "althing operator keygen --out FILE")],
            ),
            Self::NeedsOperators => page(
                "This entity is governed by operators: what administrators ask for needs the signatures of as many of them as \
                 were settled. Nothing was changed. Give the command the file of an operator's key; it is read by the command \
                 alone, which shows what is signed and sends the signature. A key of a member is not enough, by design.",
                &[
                    ("see who the operators are", "althing roster show"),
                    ("for example", "althing deploy APP --from DIR --sign FILE"),
                ],
            ),
            Self::RequestWaits => page(
                "One signature is there and more are needed. Nothing was changed yet; the request waits for 24 hours, or until \
                 64 records more were settled. Any member shows it and takes a signature.",
                &[
                    ("see what waits", "althing request list"),
                    ("sign it with another key", "althing request sign ID --sign FILE"),
                    ("give it up", "althing request withdraw ID"),
                ],
            ),
            Self::NotAnOperator => page(
                "The state of the entity names the public keys of its operators, and this is none of them. Nothing was changed.",
                &[("see who they are", "althing roster show")],
            ),
            Self::SignatureBad => page(
                "A signature counts for one request of one member of one entity, and this one was made for something else. Nothing \
                 was changed.",
                &[("see what waits", "althing request list")],
            ),
            Self::NoSuchRequest => page(
                "Requests end when they are carried out, withdrawn or over. One for an invitation ends with the process of its \
                 member as well.",
                &[
                    ("see what waits, and where", "althing request list"),
                    ("see what was settled", "althing audit --since 1d"),
                ],
            ),
            _ => page(
                "A request waits for 24 hours, and while not more than 64 records are settled, so that an old signature is worth \
                 nothing. Nothing was changed: ask for it anew.",
                &[("see what waits", "althing request list")],
            ),
        }
    }

    fn roster_page(self) -> Page {
        match self {
            Self::NoMajority => page(
                "More than half of the voters of the roster must agree to any change, whether they can be reached or not: \
                 otherwise two halves of a split network could settle different things. Serving goes on, and repair from \
                 what was settled; updates, votes and changes of the roster wait.",
                &[
                    ("see who is heard", "althing member list"),
                    ("see what others see", "althing status --everywhere"),
                ],
            ),
            Self::ChainBroken => page(
                "A record of the chain on this member's disk is missing, does not follow from the one before, or lacks the \
                 signatures of a majority. Ask another member whether its chain holds; if it does, this disk is damaged.",
                &[
                    ("ask another member", "althing audit --verify --on MEMBER"),
                    ("see what happened", "althing events"),
                ],
            ),
            Self::WouldEmptyService => page(
                "Taking out the last member in service would leave nobody to serve. Bring another in first, or say with -y \
                 that nobody shall serve.",
                &[
                    ("bring another in", "althing member in NAME"),
                    ("do it anyway", "althing member out NAME -y"),
                ],
            ),
            _ => page(
                "The roster must have a voter, for without one nothing could ever be settled again. Let another machine join \
                 first.",
                &[("let another in", "althing invite"), ("see who counts", "althing member list")],
            ),
        }
    }
}

macro_rules! conditions {
    ($($variant:ident = $number:literal, $name:literal, $severity:ident, $mends:ident, $title:literal, $text:literal,
       [$($what:literal => $command:literal),* $(,)?];)*) => {
        /// What `status` lists as needing attention.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Condition { $(#[doc = $title] $variant,)* }

        impl Condition {
            /// Every condition there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// `A101`
            pub fn number(self) -> &'static str {
                match self { $(Self::$variant => $number,)* }
            }

            /// `content-differs`
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How much it matters, at most.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// Whether it ends when its cause does, without anybody.
            pub fn is_automatic(self) -> bool {
                match self { $(Self::$variant => matches!(Mends::$mends, Mends::ByItself),)* }
            }

            /// One sentence.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// Its page.
            pub fn page(self) -> Page {
                match self { $(Self::$variant => page($text, &[$(($what, $command)),*]),)* }
            }
        }
    };
}

enum Mends {
    ByItself,
    ByHand,
}

conditions! {
    StoreBurnt = "A101", "store-burnt", Critical, ByHand, "A member's store was lost, restored or copied.",
        "The member may have forgotten promises that it signed, so it does not vote until it is re-admitted with a new \
         store. It keeps its place in the roster; its content is served and repaired as before.",
        ["re-admit it" => "althing member readmit MEMBER",
         "see what the others hold" => "althing events --kind store.burnt"];
    NoMajority = "A102", "no-majority", Critical, ByItself, "Fewer voters are heard than must agree.",
        "Nothing is settled while fewer than a majority of the roster's voters can be reached. Serving goes on, and repair \
         from what was settled before.",
        ["see who is heard" => "althing member list", "see what others see" => "althing status --everywhere"];
    Contradiction = "A103", "contradiction", Critical, ByHand, "Signatures contradict each other.",
        "A member signed two statements of which only one can be true, or an epoch has two certificates. All members that \
         saw it have stopped settling, because a majority cannot be trusted to be one. Content and traffic go on.",
        ["see what was found" => "althing roster show", "acknowledge it" => "althing resolve --confirm ENTITY"];
    ChainFork = "A105", "chain-fork", Critical, ByHand, "An epoch has two certificates.",
        "Members settled two different records of one epoch. Nothing is settled on those that saw both until an \
         administrator names the branch that goes on.",
        ["see both" => "althing roster show", "go on with one" => "althing resolve --keep HASH --confirm ENTITY"];
    Superseded = "A106", "superseded", Critical, ByHand, "The entity was begun anew elsewhere.",
        "A member of the roster began the entity anew because its majority was lost for good. This member settles nothing \
         more in the old one; it keeps serving its content.",
        ["see what was found" => "althing roster show",
         "come over, with an invitation of the new entity" => "althing join"];
    NotAMember = "A104", "not-a-member", Critical, ByHand, "This machine was removed from the roster.",
        "The others settled that this machine does not count any more. It goes on with what it has, and repairs it from its own \
         store; nobody owes it content.",
        ["leave the entity here, too" => "althing leave", "come back with an invitation from a member" => "althing join"];
    Unvouched = "A108", "unvouched", Critical, ByHand, "A member was away for longer than its trusting period.",
        "Keys of a majority that was decommissioned meanwhile could show it another chain than the real one. So it takes nothing \
         newer for settled and votes for nothing, until an administrator vouches with an invitation that a member made that \
         was there all the time. It serves and repairs what was settled before.",
        ["on a member that was there" => "althing invite", "give it to this one" => "althing join -"];
    Unreachable = "A201", "unreachable", Warning, ByItself, "A member is not heard.",
        "The member that answers has had no sign of life of it. It counts in the majority as before; content that it missed \
         is brought to it when it is back.",
        ["see why" => "althing why MEMBER", "see who hears it" => "althing status --everywhere",
         "for good: take it out of the roster" => "althing member remove MEMBER"];
    ContentDiffers = "A202", "content-differs", Warning, ByItself, "A member has other content than was settled.",
        "Outside of an update window what a majority settled stands. The member repairs itself from its own store, or from \
         others; what is replaced goes to the trash.",
        ["see what differs" => "althing app diff APP --member MEMBER",
         "get something back" => "althing trash list APP --on MEMBER",
         "to keep the change" => "althing update open APP --on MEMBER --adopt",
         "stop repair for a while" => "althing app pause APP"];
    Contested = "A205", "contested", Warning, ByHand, "A path is changed again and again.",
        "Something on the member changes these paths whenever they are repaired. After three repairs in an hour they are left \
         alone until an hour has passed; everything else is repaired as before.",
        ["have it repaired" => "althing app repair APP --on MEMBER",
         "to keep the change" => "althing update open APP --on MEMBER --adopt",
         "to stop repair" => "althing app pause APP"];
    LocalError = "A203", "local-error", Critical, ByItself, "A member cannot read or write an application.",
        "The system refused something: a permission, a full disk, a damaged file. It is tried again with growing pauses, up to \
         a minute.",
        ["see what failed" => "althing why APP", "look for a cause on that machine" => "althing doctor"];
    DiskFull = "A206", "disk-full", Critical, ByItself, "A member's disk is full.",
        "The file system of the member's own directory takes no more content, or nothing at all. A reserve is kept for votes. What \
         waits goes on by itself when there is room; nothing was lost.",
        ["see what the trash holds" => "althing trash list", "look at that machine" => "althing doctor"];
    TrashFull = "A207", "trash-full", Critical, ByItself, "The trash of an application is full.",
        "A repair moves what it replaces to the trash, and the trash takes no more. Nothing is deleted for it: repair waits until \
         what is older than 7 days has left the trash, or something is taken out of it.",
        ["see what it holds" => "althing trash list APP", "stop repair meanwhile" => "althing app pause APP"];
    RootVanished = "A208", "root-vanished", Critical, ByItself, "The file system of an application is not mounted.",
        "The tree lay on a file system that is not there now. No list is published, and nothing is written below the mount point, \
         until it is mounted again.",
        ["if it is gone for good, make the tree anew" => "althing app repair APP"];
    TreeUnreadable = "A209", "tree-unreadable", Critical, ByItself, "An application's tree cannot be read.",
        "A file or directory of the tree cannot be read, so there is no list rather than a wrong one. The message names the path. \
         Nothing is changed in the tree until it can be read.",
        ["look again at once" => "althing app verify APP", "see why" => "althing why APP"];
    OutOfReach = "A214", "out-of-reach", Critical, ByItself, "A member cannot give files the owners that were settled.",
        "The application settles owners or extended attributes, and the member has no user or group of that name, or may not give \
         files away, or its file system takes no such attribute. Content is complete and repaired as before; such a file has the \
         owner of its directory, and no set-user-id or set-group-id bit. Make the user or group on that machine, with any \
         number, and it is put right by itself within a minute; or run its daemon as root.",
        ["see which files and why" => "althing why MEMBER --on MEMBER", "see what differs" => "althing app diff APP --member MEMBER",
         "try again at once" => "althing app repair APP --on MEMBER"];
    ContentMissing = "A215", "content-missing", Critical, ByItself, "Nobody that is heard has what is settled.",
        "The member that answers lacks the revision in force of an application, and no member that it hears gives it. Those \
         that hold it are away; where an entity was begun anew, they may be members of the one before, which are asked as well \
         as soon as they are connected. If none of them comes back, settle another revision: an earlier one, or new content; where the application has check \
         hooks, take them out of its definition first, as they are in what is missing.",
        ["see who is heard" => "althing member list", "see the revisions there are" => "althing app history APP",
         "go back to one that is here" => "althing app rollback --help"];
    Load = "A204", "load", Critical, ByItself, "A member is short of processor, memory or disk.",
        "The processor's 95th percentile of the last minute is above 80 %, or memory or the fullest file system above 85 %: a \
         warning; above 90 % and 95 %: critical. A critical member takes no share of the traffic while others can.",
        ["see how full" => "althing member show MEMBER", "compare all" => "althing health",
         "take it out of service" => "althing member out MEMBER"];
    HookFails = "A212", "hook-fails", Critical, ByItself, "An after hook fails on a member.",
        "The revision is on the member and stays there; what the application wants done after an apply fails, so the member \
         takes no share of the traffic while others can, and the roll-out waits. The hook is run again with growing pauses, up to \
         30 s. Within the commit's probation the members undo the revision by themselves.",
        ["see what it said" => "althing why MEMBER", "see who waits" => "althing update status APP",
         "go back" => "althing app history APP",
         "go on all the same" => "althing update commit APP --continue"];
    Misbehaves = "A210", "misbehaves", Warning, ByItself, "A member sends what no honest member sends.",
        "What it sends is dropped, and it is left alone for a while when it goes on. Look at that machine: its program or its \
         key may be somebody else's. The condition ends when nothing wrong has come from it for an hour.",
        ["see what it did" => "althing events --kind peer.misbehaves", "see how it is" => "althing why MEMBER",
         "for good: take it out of the roster" => "althing member remove MEMBER"];
    Outdated = "A107", "outdated", Critical, ByHand, "A member's program is too old for what was settled.",
        "The entity settled a record that this member's program does not understand, so it stopped there: it votes and \
         changes nothing, and serves and repairs what was settled before. Install the program that the other members run; it \
         goes on from where it stopped.",
        ["see who speaks what, on another member" => "althing version --entity --on MEMBER",
         "see the version of this program" => "althing version"];
    MixedVersions = "A211", "mixed-versions", Warning, ByHand, "Members have run different programs for a day.",
        "During an upgrade members run different programs, which is fine. After a day, as the member that answers saw it \
         since its own start, somebody may have forgotten one.",
        ["see who runs what" => "althing version --entity"];
    NewVersion = "A309", "new-version", Notice, ByHand, "All members speak a newer protocol version than the entity uses.",
        "Programs of the older version can still be put back. When the entity uses the newer one, its features can be used, \
         and older programs are refused for good.",
        ["have the entity use it" => "althing version --settle 2",
         "see who speaks what" => "althing version --entity"];
    OutOfService = "A301", "out-of-service", Notice, ByHand, "A member was taken out of service.",
        "It takes no traffic; it still counts in the majority, holds content and is repaired. If a time was given, it comes \
         back by itself.",
        ["bring it back" => "althing member in MEMBER"];
    NobodyServes = "A302", "nobody-serves", Critical, ByHand, "Nobody is in service.",
        "All members were taken out of service. Content is settled and repaired as before, but nobody takes a share of the \
         traffic.",
        ["bring one in" => "althing member in NAME"];
    RequestWaits = "A303", "request-waits", Notice, ByHand, "A request waits for signatures of operators.",
        "It was asked for on a member, and has not yet the signatures of as many operators as it needs. Any member shows it and \
         takes a signature. It is over after 24 hours, or when 64 records more are settled.",
        ["see what waits" => "althing request list", "sign it" => "althing request sign ID --sign FILE"];
}

impl Condition {
    /// The condition of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|condition| condition.name() == name)
    }
}

/// A command of a page with its words in capitals filled in, as far as they are known.
pub fn filled(command: &str, member: Option<&str>, application: Option<&str>) -> String {
    let word = |word: &str| match word {
        "MEMBER" => member.map(str::to_owned),
        "APP" => application.map(str::to_owned),
        _ => None,
    };
    let words = command.split(' ').map(|text| word(text).unwrap_or_else(|| text.to_owned()));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_and_condition_has_a_page_and_something_to_do() {
        let codes = Code::ALL.iter().map(|code| (code.number(), code.meaning(), code.page()));
        let conditions = Condition::ALL.iter().map(|it| (it.number(), it.title(), it.page()));
        for (number, meaning, page) in codes.chain(conditions) {
            assert!(meaning.ends_with('.'), "{number}: {meaning}");
            assert!(page.text.len() > 60 && page.text.ends_with('.'), "{number}: {}", page.text);
            assert!(!page.remedies.is_empty(), "{number} has no remedy");
            for (what, command) in page.remedies {
                assert!(!what.is_empty() && command.starts_with("althing "), "{number}: {what}: {command}");
            }
        }
    }

    #[test]
    fn numbers_and_names_are_used_once() {
        let numbers: BTreeSet<_> = Condition::ALL.iter().map(|condition| condition.number()).collect();
        let names: BTreeSet<_> = Condition::ALL.iter().map(|condition| condition.name()).collect();
        assert_eq!((numbers.len(), names.len()), (Condition::ALL.len(), Condition::ALL.len()));
    }

    #[test]
    fn known_words_are_filled_in() {
        let command = "althing app diff APP --member MEMBER";
        assert_eq!(filled(command, Some("web7"), Some("shop")), "althing app diff shop --member web7");
        assert_eq!(filled(command, None, Some("shop")), "althing app diff shop --member MEMBER");
    }
}
