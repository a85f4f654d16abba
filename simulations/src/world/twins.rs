//! A machine that was copied, key and disk: two processes speak with one key, and others are connected to one of the
//! two at a time.

use althing_protocol::identity::MemberId;

use super::{MS, World};
use crate::host::Standing;

impl World {
    /// Copies a host; false if there is a copy of one already, or no machine for it.
    pub(crate) fn begin_twin(&mut self, at: usize) -> bool {
        let Some(copy) = self.hosts.iter().position(|host| host.absent).filter(|_| self.twin.is_none())
        else {
            return false;
        };
        self.note(Some(at), "is copied, key and disk, and the copy is started");
        let original = &self.hosts[at];
        let (identity, id, name) = (original.identity.clone(), original.id, format!("{}'", original.name));
        let (speaks, format) = (original.speaks, original.disk.format);
        let (keys, content) = (original.disk.snapshot(), original.content.image());
        let trees: Vec<_> =
            original.live.iter().map(|(name, live)| (name.clone(), live.tree.clone())).collect();
        let host = &mut self.hosts[copy];
        (host.identity, host.id, host.name, host.absent) = (identity, id, name, false);
        (host.speaks, host.disk.format) = (speaks, format);
        host.disk.restore(keys);
        host.content.put_back(content);
        for (name, tree) in trees {
            host.live(&name).set(tree);
        }
        self.hosts[at].spoil(Standing::Forgetful);
        self.hosts[copy].spoil(Standing::Forgetful);
        self.twin = Some((at, copy));
        self.start(copy);
        // Some are connected to the copy from now on.
        for other in 0..self.hosts.len() {
            if other != at && other != copy && self.rng.chance(500) {
                self.reset(at, other);
                self.schedule(MS, super::Event::Look { a: at, b: other });
                self.schedule(2 * MS, super::Event::Look { a: copy, b: other });
            }
        }
        true
    }

    /// The copy is stopped for good.
    pub(crate) fn end_twin(&mut self) {
        if let Some((_, copy)) = self.twin.take() {
            self.crash(copy, "for good");
            self.hosts[copy].absent = true;
        }
    }

    /// Whether a host is a copy of another one.
    pub(crate) fn is_twin(&self, at: usize) -> bool {
        self.hosts[at].absent || self.twin.is_some_and(|(_, copy)| copy == at)
    }

    /// Whether a host is one of two with the same key.
    pub(crate) fn has_twin(&self, at: usize) -> bool {
        self.twin.is_some_and(|(original, copy)| at == original || at == copy)
    }

    /// Whether two hosts may connect: to one of two twins only, and they never to each other.
    pub(super) fn is_free(&self, a: usize, b: usize) -> bool {
        let Some((original, copy)) = self.twin else { return true };
        let rival = |at: usize| if at == original { Some(copy) } else { (at == copy).then_some(original) };
        let taken = |at: usize, other: usize| {
            rival(at).is_some_and(|rival| rival == other || self.network.is_usable(rival, other).is_some())
        };
        !taken(a, b) && !taken(b, a)
    }

    /// Which host a message for a member goes to.
    pub(super) fn route(&self, from: usize, to: &MemberId) -> Option<usize> {
        let to = self.by_id.get(to).copied()?;
        match self.twin {
            Some((original, copy)) if original == to && self.network.is_usable(from, copy).is_some() => {
                Some(copy)
            }
            _ => Some(to),
        }
    }
}
