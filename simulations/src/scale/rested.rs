//! Members that begin at rest: what they would do first, done once for all of them.

use althing_protocol::effect::Input;
use althing_protocol::statement::Signed;
use althing_protocol::wire::{Have, Message, Place};

use super::entity::VOTERS;
use super::{DIAL, Entity, Scale};
use crate::world::{MS, SECOND};

/// Voters by themselves.
const SILENCE: u64 = 8 * SECOND;
/// Somewhat later.
const ASIDE: u64 = 20 * MS;
/// Reports in one message, where they are handed over.
const HANDED: usize = 2_000;

impl Entity {
    /// All members start at once, have their connections, and are handed everybody's first report: what they would hear
    /// of each other by themselves, several times and a few at a time, takes an hour for ten thousand.
    pub fn at_rest(scale: Scale) -> Self {
        let mut entity = Self::empty(scale);
        // Voters first: each is silent until the others have told it what it has said.
        let voters = VOTERS.min(scale.members);
        (0..voters).for_each(|at| entity.start(at));
        entity.run(SILENCE);
        entity.hushed = Some(Vec::new());
        (voters..scale.members).for_each(|at| entity.start(at));
        entity.run(DIAL + ASIDE);
        let reports: Vec<Signed> = (0..scale.members).flat_map(|at| entity.own_reports(at)).collect();
        let pushes = reports.chunks(HANDED).map(|some| Message::Push(some.to_vec()).encode());
        let pushes: Vec<Vec<u8>> = pushes.collect();
        let begin = entity.now;
        for at in 0..scale.members {
            entity.now = begin;
            pushes.iter().for_each(|push| drop(entity.asked(at, push.clone())));
            // By then it has passed on what is new, to nobody.
            entity.now = begin + SECOND / 2;
            entity.give(at, Input::Tick);
        }
        entity.hushed = None;
        // Before the others started, voters missed them.
        entity.told.clear();
        entity
    }

    /// What a member says of itself.
    fn own_reports(&mut self, at: usize) -> Vec<Signed> {
        let have =
            self.asked(at, Message::Summary(Vec::new()).encode()).into_iter().find_map(|said| match said {
                Message::Have(have) => Some(have),
                _ => None,
            });
        let of = |have: Have| {
            let author = have.author;
            have.positions.into_iter().map(move |position| Place { author, position })
        };
        let places: Vec<Place> = have.into_iter().flatten().flat_map(of).collect();
        let said = self.asked(at, Message::Want(places).encode());
        said.into_iter()
            .flat_map(|said| if let Message::Push(said) = said { said } else { Vec::new() })
            .filter(|said| said.author == self.roster.ids[at])
            .collect()
    }

    /// What a member says when it is told something by one whom it is connected to, and nobody hears it.
    fn asked(&mut self, at: usize, bytes: Vec<u8>) -> Vec<Message> {
        let from = self.hosts[at].connected.first().map(|from| self.roster.ids[*from]);
        self.hushed = Some(Vec::new());
        if let Some(from) = from {
            self.give(at, Input::Received { from, bytes });
        }
        let said = self.hushed.replace(Vec::new()).unwrap_or_default();
        said.iter().filter_map(|said| Message::decode(said).ok()).collect()
    }
}
