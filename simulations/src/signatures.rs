//! Real signatures, each looked at once: what one member has found to hold, holds for all members of the world. What
//! does not hold is looked at every time.

use std::cell::RefCell;
use std::collections::BTreeSet;

use althing_protocol::hash::{Hash, Hasher};
use althing_protocol::identity::{MemberId, SignatureBytes, is_signed};

thread_local! {
    /// Names of those that hold. A world never leaves its thread.
    static HOLD: RefCell<BTreeSet<Hash>> = const { RefCell::new(BTreeSet::new()) };
}

/// A new world begins.
pub(crate) fn forget() {
    HOLD.with_borrow_mut(BTreeSet::clear);
}

/// What [`is_signed`] says.
pub(crate) fn look(id: MemberId, message: &[u8], signature: &SignatureBytes) -> bool {
    let mut name = Hasher::default();
    [&id.0[..], &signature.0, message].into_iter().for_each(|part| name.add(part));
    let name = name.hash();
    if HOLD.with_borrow(|hold| hold.contains(&name)) {
        return true;
    }
    let holds = is_signed(id, message, signature);
    if holds {
        HOLD.with_borrow_mut(|hold| hold.insert(name));
    }
    holds
}

#[cfg(test)]
mod tests {
    use althing_protocol::identity::{Identity, verify};

    use super::*;

    #[test]
    fn what_holds_says_nothing_of_another_key_message_or_signature() {
        forget();
        let identity = Identity::from_seed([1; 32]).looking(look);
        let signature = identity.sign("a", b"x");
        let holds =
            |id, domain, bytes: &[u8], signature| verify(identity.scheme(), id, domain, bytes, &signature);
        let mut other = signature;
        other.0[3] ^= 1;
        for _ in 0..2 {
            assert!(holds(identity.id(), "a", b"x", signature));
            assert!(!holds(identity.id(), "a", b"y", signature));
            assert!(!holds(identity.id(), "b", b"x", signature));
            assert!(!holds(identity.id(), "a", b"x", other));
            assert!(!holds(Identity::from_seed([2; 32]).id(), "a", b"x", signature));
        }
        assert_eq!(HOLD.with_borrow(BTreeSet::len), 1);
        forget();
        assert!(HOLD.with_borrow(BTreeSet::is_empty));
    }
}
