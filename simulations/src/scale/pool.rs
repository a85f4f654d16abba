//! What many members keep, once: each has heard the same of everybody, and all of them are one process.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use althing_protocol::identity::MemberId;
use althing_protocol::member::Commons;
use althing_protocol::statement::{Checked, Signed};

/// Statements of an author that are kept: what is older is on its way to nobody.
const NEWEST: usize = 8;

thread_local! {
    static SAID: RefCell<BTreeMap<MemberId, VecDeque<Checked>>> = const { RefCell::new(BTreeMap::new()) };
}

/// For all members.
pub(super) const COMMONS: Commons = Commons { known, learn };

fn known(signed: &Signed) -> Option<Checked> {
    SAID.with_borrow(|said| {
        said.get(&signed.author)?.iter().rev().find(|known| known.signed() == signed).cloned()
    })
}

fn learn(checked: &Checked) {
    SAID.with_borrow_mut(|said| {
        let said = said.entry(checked.author()).or_default();
        if !said.iter().any(|known| known == checked) {
            said.push_back(checked.clone());
            if said.len() > NEWEST {
                said.pop_front();
            }
        }
    });
}

/// Another entity begins.
pub(super) fn forget() {
    SAID.with_borrow_mut(BTreeMap::clear);
}
