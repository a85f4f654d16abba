//! Every error code, and what raises it. A code without a row fails a test of the repository's rules that says what to
//! do: write a row here.

/// A code of the registry.
pub(crate) struct Row {
    /// `E412`
    pub(crate) code: &'static str,
    pub(crate) raised: Raised,
}

/// How it is raised with real daemons, or what else shows it.
pub(crate) enum Raised {
    /// By these commands in the scene of `errors.rs`, which each must leave everything as it was.
    Here(&'static [Attempt]),
    /// In a situation of its own, by the test of this name, which names the code.
    By(&'static str),
}

/// A command that must be refused.
pub(crate) struct Attempt {
    pub(crate) when: When,
    pub(crate) on: On,
    /// Split at spaces. Words in braces are filled in by `Scene::filled`.
    pub(crate) words: &'static str,
    /// What is typed into it; filled in likewise.
    pub(crate) input: &'static str,
    /// A part of the message: the right reason, not just the code.
    pub(crate) says: &'static str,
}

/// The acts of the scene, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum When {
    /// Three members, `shop` and `api` settled, a window of `api` open on web2, only web1 in service.
    All,
    /// web3 is gone.
    OneAway,
    /// web1 is left.
    Alone,
    /// A link of the chain on web1's disk is gone.
    Damaged,
}

/// Where the command runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum On {
    Web(usize),
    /// A machine whose node runs, in no entity.
    Outsider,
    /// A directory without a node.
    Nobody,
}

const fn attempt(
    when: When,
    on: On,
    words: &'static str,
    input: &'static str,
    says: &'static str,
) -> Attempt {
    Attempt { when, on, words, input, says }
}

const fn asked(words: &'static str, says: &'static str) -> Attempt {
    attempt(When::All, On::Web(1), words, "", says)
}

const fn on(on: On, words: &'static str, says: &'static str) -> Attempt {
    attempt(When::All, on, words, "", says)
}

const fn joining(invitation: &'static str, says: &'static str) -> Attempt {
    attempt(When::All, On::Outsider, "join - -y --member-name web4 --timeout 50s", invitation, says)
}

const fn here(code: &'static str, attempts: &'static [Attempt]) -> Row {
    Row { code, raised: Raised::Here(attempts) }
}

const fn by(code: &'static str, test: &'static str) -> Row {
    Row { code, raised: Raised::By(test) }
}

/// One row a code, in the order of their numbers.
pub(crate) const ROWS: &[Row] = &[
    here("E100", &[asked("backup create {dir}/no/such/place", "cannot be written")]),
    here(
        "E101",
        &[
            on(On::Outsider, "status", "not in an entity"),
            on(On::Outsider, "invite", "not in an entity"),
            on(On::Outsider, "app new shop --from {site}", "not in an entity"),
        ],
    ),
    here("E102", &[asked("init --name other --member-name web9", "already")]),
    here(
        "E103",
        &[
            asked("app new no/name --from {site}", "not allowed"),
            asked("app new typo --from {dir}/nowhere", "nowhere"),
            asked("app new inner --root /srv/shop/inner --from {site}", "shop"),
            asked("member rename web2 no/name", "not allowed"),
            asked("invite --for 90d", "30 days"),
            asked("backup check {dir}/nowhere", "cannot be read"),
            on(On::Web(3), "backup create {dir}/b --on web1", "member of the socket"),
        ],
    ),
    by("E104", "each_refusal_has_its_exit_code"),
    here("E105", &[asked("run --listen 127.0.0.1:1", "another node runs")]),
    here(
        "E201",
        &[
            on(On::Nobody, "status", "no node answers"),
            on(On::Nobody, "deploy shop --from {site}", "no node"),
        ],
    ),
    here(
        "E202",
        &[
            attempt(When::OneAway, On::Web(1), "status --on web3", "", "web3 does not answer"),
            attempt(When::OneAway, On::Web(1), "app verify shop --on web3", "", "web3 does not answer"),
        ],
    ),
    by("E203", "a_restored_copy_and_lost_votes_come_back_by_readmission"),
    here(
        "E301",
        &[
            attempt(When::Alone, On::Web(1), "invite", "", "1 of 3 members can be reached"),
            attempt(When::Alone, On::Web(1), "deploy shop --from {next}", "", "2 must agree"),
            attempt(When::Alone, On::Web(1), "member remove web3 --confirm web3", "", "nothing was changed"),
        ],
    ),
    by("E302", "two_of_five_begin_anew_and_the_old_majority_goes_mute"),
    by("E311", "invitations_end_and_say_why"),
    by("E312", "invitations_end_and_say_why"),
    here("E313", &[joining("{revoked}", "was revoked by")]),
    here(
        "E314",
        &[
            joining("good morning", "invitation"),
            joining("{mistyped}", "invitation"),
            joining("", "invitation"),
        ],
    ),
    here("E315", &[joining("{nowhere}", "no address of the invitation answers")]),
    here(
        "E316",
        &[
            asked("app new shop --from {site}", "already"),
            asked("member rename web2 web3", "already"),
            attempt(When::All, On::Outsider, "join - -y --member-name web1", "{invitation}", "already"),
        ],
    ),
    by("E317", "nine_members_are_upgraded_under_deployments_and_the_older_program_is_refused_afterwards"),
    here(
        "E318",
        &[attempt(
            When::Alone,
            On::Outsider,
            "join - -y --member-name web4 --timeout 50s",
            "{invitation}",
            "web1 has no majority to let this machine in",
        )],
    ),
    by("E319", "a_machine_whose_clock_is_wrong_is_told_so"),
    by("E320", "nine_members_are_upgraded_under_deployments_and_the_older_program_is_refused_afterwards"),
    here("E401", &[asked("member show web9", "web9"), asked("member out web9", "web9")]),
    here("E402", &[asked("app show nothing", "nothing"), asked("deploy nothing --from {site}", "nothing")]),
    here("E403", &[asked("app rollback shop --to 77 -y", "revision 77 of shop is not kept")]),
    here("E404", &[asked("trash restore nothing", "nothing"), asked("invite revoke nothing", "nothing")]),
    here("E405", &[asked("member readmit web2", "web2")]),
    here("E406", &[asked("resolve --confirm demo", "nothing was found")]),
    by("E407", "applications_go_to_their_groups_and_a_member_moves_from_one_to_the_other"),
    here(
        "E412",
        &[
            asked("update open api", "open on web2"),
            asked("deploy api --from {next}", "open on web2"),
            asked("app remove api --confirm api", "open on web2"),
        ],
    ),
    here(
        "E413",
        &[
            asked("update commit shop -y", "no update window"),
            asked("update stage shop --from {next}", "no update window"),
            asked("update extend shop --for 5m", "no update window"),
            asked("update abort shop -y", "no update window"),
        ],
    ),
    here("E414", &[on(On::Web(2), "update commit api --expect 7 -y", "not 7")]),
    by("E415", "a_source_that_never_rests_is_refused"),
    by("E416", "a_source_that_never_rests_is_refused"),
    here("E417", &[asked("app new taken --from {site}", "hold other content")]),
    by("E419", "what_people_change_by_hand"),
    by("E420", "a_change_that_may_have_arrived_is_not_called_undone"),
    by("E421", "content_that_is_not_held_is_not_backed_up"),
    by("E422", "a_file_system_that_vanishes_is_said_and_not_filled"),
    by("E423", "a_check_that_fails_on_one_member_settles_nothing_and_says_where_and_why"),
    here("E424", &[asked("update commit shop --continue -y", "no roll-out of shop is stopped")]),
    by("E425", "a_rollout_that_a_hook_stops_goes_on_when_somebody_says_so"),
    by("E426", "a_canary_whose_after_hook_fails_brings_everybody_back"),
    by("E430", "a_full_disk_is_named_and_refuses_with_a_reason"),
    here(
        "E501",
        &[asked("app check {bad-manifest}", "not valid"), asked("app apply {bad-manifest}", "not valid")],
    ),
    here("E502", &[asked("app apply {moving-manifest}", "shop")]),
    here("E503", &[asked("app apply {other-manifest}", "shop has switching")]),
    here(
        "E601",
        &[asked("config check {bad-config}", "node.listen"), asked("run -c {bad-config}", "node.listen")],
    ),
    here("E611", &[asked("backup check {garbage}", "not a whole backup")]),
    here(
        "E621",
        &[attempt(When::Damaged, On::Web(1), "audit --verify", "", "the chain does not hold at epoch")],
    ),
    by("E631", "two_of_three_operators_govern_and_no_member_does"),
    here(
        "E701",
        &[asked("backup create {garbage}", ""), asked("roster recover --keep web1 --confirm demo", "")],
    ),
    here(
        "E702",
        &[asked("member out web1", "last member in service"), asked("member spare web1", "last member")],
    ),
    by("E703", "each_refusal_has_its_exit_code"),
    by("E704", "two_of_five_begin_anew_and_the_old_majority_goes_mute"),
    by("E705", "two_of_five_begin_anew_and_the_old_majority_goes_mute"),
    by("E706", "two_machines_with_one_key_are_both_mute_until_one_stops"),
    by("E711", "two_of_three_operators_govern_and_no_member_does"),
    by("E712", "two_of_three_operators_govern_and_no_member_does"),
    by("E713", "two_of_three_operators_govern_and_no_member_does"),
    by("E714", "whoever_waits_too_long_or_is_withdrawn_waits_no_more"),
    by("E715", "two_of_three_operators_govern_and_no_member_does"),
    by("E716", "whoever_waits_too_long_or_is_withdrawn_waits_no_more"),
];
