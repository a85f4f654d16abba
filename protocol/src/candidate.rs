//! What servers that were never settled have in common, item by item (finding 24). Shown, and never settled by itself:
//! nobody may ever have run the sum of it. An administrator decides for what one member has, or brings a tree.

use std::collections::BTreeMap;

use crate::view::{Candidate, ItemView, Undecided, Variant};

/// Items without a majority that are named; the others are counted.
const NAMED: usize = 50;

/// Counts the items of members' trees: those that more than half of `voters` have in the same form, and the others.
pub fn compose(voters: usize, trees: &[(String, Vec<ItemView>)]) -> Candidate {
    let mut paths: BTreeMap<&str, Vec<Variant>> = BTreeMap::new();
    for (member, items) in trees {
        for item in items {
            let variants = paths.entry(item.path_b64.as_deref().unwrap_or(&item.path)).or_default();
            match variants.iter_mut().find(|variant| variant.item == *item) {
                Some(variant) => variant.members.push(member.clone()),
                None => variants.push(Variant { members: vec![member.clone()], item: item.clone() }),
            }
        }
    }
    let mut candidate = Candidate {
        of: voters as u64,
        seen: trees.iter().map(|(member, _)| member.clone()).collect(),
        ..Candidate::default()
    };
    for variants in paths.into_values() {
        if let Some(agreed) = variants.iter().find(|variant| variant.members.len() * 2 > voters) {
            candidate.agreed += 1;
            candidate.bytes += agreed.item.bytes.unwrap_or_default();
        } else {
            candidate.disputed += 1;
            if let Some(first) = variants.first().filter(|_| candidate.undecided.len() < NAMED) {
                let path = first.item.path.clone();
                candidate.undecided.push(Undecided { path, variants });
            }
        }
    }
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(path: &str, content: u64) -> ItemView {
        let (kind, mode, bytes) = ("file".to_owned(), Some("0644".to_owned()), Some(content));
        let path = path.to_owned();
        ItemView { path, kind, mode, bytes, ..ItemView::default() }
    }

    fn compose_of(voters: usize, trees: &[&[(&str, u64)]]) -> Candidate {
        let named = trees.iter().enumerate().map(|(at, items)| {
            (format!("web{}", at + 1), items.iter().map(|(path, content)| item(path, *content)).collect())
        });
        compose(voters, &named.collect::<Vec<_>>())
    }

    #[test]
    fn each_item_has_its_own_majority_or_none() {
        let candidate = compose_of(
            3,
            &[&[("a", 1), ("b", 1), ("c", 1)], &[("a", 1), ("b", 2)], &[("a", 2), ("b", 3), ("d", 1)]],
        );
        assert_eq!((candidate.agreed, candidate.bytes, candidate.disputed), (1, 1, 3));
        let paths: Vec<&str> = candidate.undecided.iter().map(|item| item.path.as_str()).collect();
        assert_eq!(paths, ["b", "c", "d"], "what a minority has is not lost to those that lack it");
        assert_eq!(candidate.undecided[0].variants.len(), 3);
        assert_eq!(candidate.undecided[2].variants[0].members, ["web3"]);
    }

    #[test]
    fn members_that_were_not_seen_count_against_every_item() {
        assert_eq!(compose_of(5, &[&[("a", 1)], &[("a", 1)]]).agreed, 0);
        assert_eq!(compose_of(3, &[&[("a", 1)], &[("a", 1)]]).agreed, 1);
        let many: Vec<(String, u64)> = (0..60).map(|at| (format!("f{at:02}"), 1)).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|(path, content)| (path.as_str(), *content)).collect();
        let candidate = compose_of(2, &[&many]);
        assert_eq!((candidate.disputed, candidate.undecided.len()), (60, NAMED));
    }
}
