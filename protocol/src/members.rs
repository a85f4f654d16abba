//! The list of members of a state. Copies of a state share it until one of them changes it, and in a large one it is not
//! searched from the beginning: who is in it, who votes, and who watches whom are computed once for each list.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::circle::Circle;
use crate::identity::MemberId;
use crate::state::{Member, Role, Service};

/// Up to so many are looked at one after another.
const FEW: usize = 32;

/// The members, in the order of the failover hierarchy.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Members(Arc<Listed>);

#[derive(Debug, Default)]
struct Listed {
    list: Vec<Member>,
    index: OnceLock<Index>,
    circle: OnceLock<Arc<Circle>>,
}

/// Places in the list.
#[derive(Debug)]
struct Index {
    /// In the order of the keys.
    all: Vec<(MemberId, usize)>,
    voters: Vec<usize>,
    /// Who is out of service for a time.
    out: Vec<usize>,
}

impl Clone for Listed {
    /// For who changes it: what was computed of it holds no more.
    fn clone(&self) -> Self {
        Self { list: self.list.clone(), ..Self::default() }
    }
}

impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.list == other.list
    }
}

impl Eq for Listed {}

impl Members {
    fn index(&self) -> &Index {
        self.0.index.get_or_init(|| {
            let numbered = || self.0.list.iter().enumerate();
            let mut all: Vec<(MemberId, usize)> = numbered().map(|(at, member)| (member.id, at)).collect();
            all.sort_unstable();
            let voters = numbered().filter(|(_, member)| member.role == Role::Voter);
            let out = numbered().filter(|(_, member)| is_out_for_a_time(member));
            Index { all, voters: voters.map(|(at, _)| at).collect(), out: out.map(|(at, _)| at).collect() }
        })
    }

    fn are_few(&self) -> bool {
        self.0.list.len() <= FEW
    }

    /// A member, by its key.
    pub fn with(&self, id: &MemberId) -> Option<&Member> {
        if self.are_few() {
            return self.0.list.iter().find(|member| member.id == *id);
        }
        let all = &self.index().all;
        let (found, at) = all.get(all.partition_point(|(known, _)| known < id))?;
        self.0.list.get(*at).filter(|_| found == id)
    }

    /// Those that vote.
    pub fn voters(&self) -> impl Iterator<Item = &Member> {
        self.those(|index| &index.voters, |member| member.role == Role::Voter)
    }

    /// Those whose time out of service will be over.
    pub fn out_for_a_time(&self) -> impl Iterator<Item = &Member> {
        self.those(|index| &index.out, is_out_for_a_time)
    }

    /// Of few, those that are so; of many, those whose places are known.
    fn those(
        &self,
        places: fn(&Index) -> &Vec<usize>,
        are: fn(&Member) -> bool,
    ) -> impl Iterator<Item = &Member> {
        let (few, known) =
            if self.are_few() { (&self.0.list[..], &[][..]) } else { (&[][..], &places(self.index())[..]) };
        few.iter().filter(move |member| are(member)).chain(known.iter().map(|at| &self.0.list[*at]))
    }

    /// Who watches whom.
    pub fn circle(&self) -> Arc<Circle> {
        let circle = || Arc::new(Circle::new(self.0.list.iter().map(|member| member.id)));
        Arc::clone(self.0.circle.get_or_init(circle))
    }
}

fn is_out_for_a_time(member: &Member) -> bool {
    matches!(&member.service, Service::Out(out) if out.until.is_some())
}

impl Deref for Members {
    type Target = Vec<Member>;

    fn deref(&self) -> &Vec<Member> {
        &self.0.list
    }
}

impl DerefMut for Members {
    fn deref_mut(&mut self) -> &mut Vec<Member> {
        let listed = Arc::make_mut(&mut self.0);
        (listed.index, listed.circle) = (OnceLock::new(), OnceLock::new());
        &mut listed.list
    }
}

impl From<Vec<Member>> for Members {
    fn from(list: Vec<Member>) -> Self {
        Self(Arc::new(Listed { list, ..Listed::default() }))
    }
}

impl FromIterator<Member> for Members {
    fn from_iter<T: IntoIterator<Item = Member>>(members: T) -> Self {
        members.into_iter().collect::<Vec<_>>().into()
    }
}

impl<'a> IntoIterator for &'a Members {
    type Item = &'a Member;
    type IntoIter = std::slice::Iter<'a, Member>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.list.iter()
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.list.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Vec::deserialize(from)?.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use quickcheck::quickcheck;

    use super::*;
    use crate::codec;
    use crate::hash::Hash;
    use crate::state::Out;
    use crate::statement::Id16;
    use crate::time::WallTime;

    fn member(number: u16, role: Role) -> Member {
        let id = MemberId(Hash::of(&number.to_be_bytes()).0);
        let until = number.is_multiple_of(3).then_some(WallTime(9));
        let out = Out { reason: String::new(), until, by: String::new(), since: WallTime(1), ordered: false };
        let service = if number.is_multiple_of(2) { Service::In } else { Service::Out(out) };
        let (store, name, labels) = (Id16([0; 16]), format!("m{number}"), BTreeMap::new());
        Member { id, store, name, role, addresses: Vec::new(), since: 0, service, labels }
    }

    fn members(count: u8) -> Vec<Member> {
        let role = |number: u16| if number.is_multiple_of(5) { Role::Voter } else { Role::Follower };
        (0..u16::from(count % 80)).map(|number| member(number, role(number))).collect()
    }

    quickcheck! {
        fn what_is_found_in_many_is_what_a_search_finds(count: u8, wanted: u16) -> bool {
            let list = members(count);
            let shared: Members = list.clone().into();
            let wanted = member(wanted % 90, Role::Voter).id;
            shared.with(&wanted) == list.iter().find(|member| member.id == wanted)
                && shared.voters().eq(list.iter().filter(|member| member.role == Role::Voter))
                && shared.out_for_a_time().eq(list.iter().filter(|member| is_out_for_a_time(member)))
        }

        fn a_change_is_seen_and_no_copy_has_it(count: u8) -> bool {
            let shared: Members = members(count).into();
            let mut changed = shared.clone();
            let before = (changed.voters().count(), changed.circle().len());
            let new = member(200, Role::Voter);
            changed.push(new.clone());
            changed.voters().count() == before.0 + 1
                && changed.circle().len() == before.1 + 1
                && changed.with(&new.id) == Some(&new)
                && shared.with(&new.id).is_none()
                && shared.voters().count() == before.0
        }

        fn it_is_written_as_a_list(count: u8) -> bool {
            let shared: Members = members(count).into();
            let bytes = codec::encode(&shared);
            bytes == codec::encode(&members(count)) && codec::decode(&bytes, usize::MAX) == Ok(shared)
        }
    }

    #[test]
    fn copies_share_what_was_computed() {
        let shared: Members = members(79).into();
        let copy = shared.clone();
        assert!(Arc::ptr_eq(&shared.circle(), &copy.circle()));
        assert!(shared == copy && shared == members(79).into());
    }
}
