//! Which versions may be raised, and who is admitted under which (finding 19).

use super::*;
use crate::record::Abilities;
use crate::state::PROTOCOL;

const OLDER: u32 = PROTOCOL - 1;

fn raise(protocol: u32) -> Change {
    Change::Raise { protocol }
}

/// An entity that uses the version before the newest, and an invitation.
fn older() -> State {
    let mut state = entity(3);
    state.protocol = OLDER;
    let (key, expires, note) = (identity(50).id(), WallTime(5000), String::new());
    does(&mut state, 0, Change::Invite { key, uses: 9, expires, note, spare: false });
    state
}

fn admit(state: &State, number: usize, speaks: u32) -> Change {
    let (abilities, key) = (Abilities::of(speaks), identity(50));
    let request = JoinRequest::sign_as(abilities, state.entity, newcomer(number), &key, &identity(number));
    Change::Admit(request)
}

fn together(state: &State, changes: Vec<Change>) -> Result<State, Invalid> {
    let signed: Vec<Signed> = changes.into_iter().map(|change| intent(state, 0, change)).collect();
    state.with_changes(&signed, SCHEME)
}

#[test]
fn a_version_is_raised_by_one_and_nobody_is_admitted_beside_it() {
    let state = older();
    let raised = tries(&state, 0, raise(PROTOCOL)).expect("the next one");
    assert_eq!((raised.protocol, raised.epoch), (PROTOCOL, state.epoch + 1));
    for wrong in [0, OLDER, PROTOCOL + 1, u32::MAX] {
        assert!(matches!(tries(&state, 0, raise(wrong)), Err(Invalid::NotSo(_))), "{wrong}");
    }
    // This program does not speak what comes after.
    let (needs, has) = (PROTOCOL + 1, PROTOCOL);
    assert_eq!(tries(&raised, 0, raise(PROTOCOL + 1)), Err(Invalid::Version { needs, has }));
    // What a newcomer speaks nobody was asked.
    let both = together(&state, vec![admit(&state, 7, OLDER), raise(PROTOCOL)]);
    assert!(matches!(both, Err(Invalid::NotSo(_))), "{both:?}");
    let both = together(&state, vec![raise(PROTOCOL), admit(&state, 7, OLDER)]);
    assert_eq!(both, Err(Invalid::Speaks { needs: PROTOCOL, has: OLDER }));
    // Nor may it be used before everybody has installed it.
    let (application, terms, definition) = ("shop".into(), Terms::default(), Definition::default());
    let arrange = Change::Arrange { application, terms, definition, keep_files: false };
    let both = together(&state, vec![raise(PROTOCOL), arrange]);
    assert_eq!(both, Err(Invalid::Version { needs: PROTOCOL, has: OLDER }));
}

#[test]
fn newcomers_speak_what_the_entity_uses() {
    let mut state = older();
    let (needs, has) = (PROTOCOL, OLDER);
    assert_eq!(tries(&state, 0, admit(&state, 7, PROTOCOL)), Err(Invalid::Version { needs, has }));
    let older = admit(&state, 7, OLDER);
    does(&mut state, 0, older);
    does(&mut state, 0, raise(PROTOCOL));
    assert_eq!(tries(&state, 0, admit(&state, 8, OLDER)), Err(Invalid::Speaks { needs, has }));
    let newer = admit(&state, 8, PROTOCOL);
    does(&mut state, 0, newer);
    // What it speaks is signed with the rest.
    let Change::Admit(good) = admit(&state, 9, OLDER) else { panic!("a request") };
    let forged = JoinRequest { abilities: Abilities::of(PROTOCOL), ..good };
    assert!(matches!(tries(&state, 0, Change::Admit(forged)), Err(Invalid::Statement(_))));
}
