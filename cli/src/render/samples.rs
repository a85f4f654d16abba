//! Documents for tests of screens: the entity of cli.md, in which web7 has drifted.

use std::collections::BTreeMap;

use althing_protocol::event::Severity;
use althing_protocol::governance::QuorumRule;
use althing_protocol::handling::Handling;
use althing_protocol::hash::Hash;
use althing_protocol::repair::Change;
use althing_protocol::view::*;

use super::apps::Apps;

pub(crate) const NOW: &str = "2026-11-23T14:05:07Z";
const TODAY: &str = "2026-11-23T13:41:07Z";

fn hash(byte: u8) -> Hash {
    Hash([byte; 32])
}

fn drifted() -> Hash {
    let mut bytes = [0xaa; 32];
    bytes[0] = 0x40;
    Hash(bytes)
}

fn names(numbers: &[u8]) -> Vec<String> {
    numbers.iter().map(|number| format!("web{number}")).collect()
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// An answer of web1.
pub(crate) fn document<T>(name: &str, body: T) -> Document<T> {
    Document { schema: format!("althing.{name}/1"), at: NOW.to_owned(), answered_by: "web1".to_owned(), body }
}

fn app_view(name: &str, revision: u64, (items, bytes): (u64, u64), updated: &str, by: &str) -> AppView {
    AppView {
        name: name.to_owned(),
        path: format!("/srv/{name}"),
        revision,
        root: Some(hash(0x7c)),
        agree: 9,
        of: 9,
        state: AppState::Agreed,
        differing: Vec::new(),
        items,
        bytes,
        policy: "majority".to_owned(),
        groups: Vec::new(),
        members: Vec::new(),
        keepers: Vec::new(),
        adopts: false,
        unmanaged: Vec::new(),
        handling: Handling::default(),
        contested: Vec::new(),
        batch: "100%".to_owned(),
        check_hooks: Vec::new(),
        after_hooks: Vec::new(),
        hook_limit_ms: None,
        rollout: None,
        paused_until: None,
        candidate: None,
        window: None,
        updated: Some(updated.to_owned()),
        by: Some(by.to_owned()),
        from: None,
    }
}

fn app_views() -> Vec<AppView> {
    let shop = AppView {
        agree: 8,
        state: AppState::Repairing,
        differing: names(&[7]),
        from: Some("web1".to_owned()),
        ..app_view("shop", 42, (4118, 212_000_000), TODAY, "ada")
    };
    let api = app_view("api", 17, (903, 48_000_000), "2026-11-20T13:41:07Z", "ci-deploy");
    let tls = app_view("tls-certs", 5, (4, 14_000), "2026-09-13T13:41:07Z", "bo");
    vec![shop, api, tls]
}

pub(crate) fn apps() -> Document<Apps> {
    document("apps", Apps { applications: app_views() })
}

pub(crate) fn app() -> Document<AppView> {
    document("app", app_views().remove(0))
}

pub(crate) fn window() -> Document<AppView> {
    let window = WindowView {
        member: "web1".to_owned(),
        by: "ada".to_owned(),
        reason: "release 2026.11.3".to_owned(),
        opened: "2026-11-23T14:05:00Z".to_owned(),
        expires: "2026-11-23T14:20:07Z".to_owned(),
        staged: Some(hash(0x18)),
        holders: 3,
        auto_quiet_ms: None,
        refused: Vec::new(),
    };
    let api = app_views().remove(1);
    document("update", AppView { window: Some(window), state: AppState::Window, ..api })
}

pub(crate) fn status() -> Document<Status> {
    let attention = Attention {
        condition: "content-differs".to_owned(),
        code: "A202".to_owned(),
        severity: Severity::Warning,
        subject: "member/web7".to_owned(),
        text: "shop differs from the majority in 4 items".to_owned(),
        automatic: true,
        command: words("althing why web7"),
        remedies: Vec::new(),
    };
    let last = LastUpdate {
        application: "shop".to_owned(),
        revision: 42,
        by: "ada".to_owned(),
        at: TODAY.to_owned(),
    };
    let status = Status {
        entity: EntityView { name: "shop-fe".to_owned(), id: hash(1), epoch: 77, roster_revision: 31 },
        health: health_state(Health::Warning, 180),
        majority: 5,
        quorum: QuorumRule::Majority,
        members: MemberCounts { total: 9, reachable: 9, voters: 9, unheard: Vec::new() },
        service: ServiceCounts { serving: 8, out: 1, spare: 0 },
        applications: app_views(),
        attention: vec![attention],
        joining: Vec::new(),
        updates: Updates { open: Vec::new(), last: Some(last) },
        view: Freshness { oldest_report_ms: 1900, majority_reachable: true, confirmed_ms: Some(1200) },
    };
    document("status", status)
}

pub(crate) fn all_well() -> Document<Status> {
    let mut document = status();
    document.body.health = health_state(Health::Ok, 532_800);
    document.body.attention.clear();
    document.body.service = ServiceCounts { serving: 9, out: 0, spare: 0 };
    for app in &mut document.body.applications {
        (app.agree, app.state, app.differing) = (9, AppState::Agreed, Vec::new());
    }
    document
}

fn health_state(state: Health, since_seconds: u64) -> HealthState {
    HealthState { state, since_seconds, ok: 8, warning: 1, critical: 0, unknown: 0 }
}

fn component(name: &str, state: Health, value: &str) -> Component {
    Component {
        name: name.to_owned(),
        state,
        value: value.to_owned(),
        warning_ratio: None,
        critical_ratio: None,
        sum: None,
        average_ratio: None,
        max_ratio: None,
        p95_ratio: None,
        worst: Some("web7".to_owned()),
    }
}

pub(crate) fn health() -> Document<HealthView> {
    let cpu = Component {
        warning_ratio: Some(0.8),
        critical_ratio: Some(0.9),
        max_ratio: Some(0.4),
        worst: Some("web8".to_owned()),
        ..component("cpu", Health::Ok, "p95 31 %")
    };
    let agreement = component("agreement", Health::Warning, "2 of 3 applications settled");
    let health = health_state(Health::Warning, 180);
    document("health", HealthView { health, components: vec![agreement, cpu] })
}

pub(crate) fn balance() -> Document<Balance> {
    let share = |member: &str, load_ratio, share_ratio, why: &str| Share {
        member: member.to_owned(),
        capacity_cpu: 4.0,
        load_ratio,
        share_ratio,
        why: why.to_owned(),
    };
    let members = vec![share("web1", Some(0.41), 0.5, "by capacity"), share("web9", None, 0.0, "not heard")];
    document("balance", Balance { members })
}

fn member_view(name: &str, health: Health, cpu: f64, share_ratio: f64, seen: f64) -> MemberView {
    MemberView {
        name: name.to_owned(),
        id: "12D3KooWQ7".to_owned(),
        state: "alive".to_owned(),
        role: "voter".to_owned(),
        service: "in".to_owned(),
        out: None,
        labels: BTreeMap::new(),
        groups: Vec::new(),
        keeps: Vec::new(),
        counts: true,
        votes: true,
        health,
        agrees: 3,
        applications: 3,
        cpu_ratio_p95: Some(cpu),
        memory_ratio: Some(0.4),
        disk_ratio: Some(0.71),
        share_ratio,
        version: Some("0.9.2".to_owned()),
        protocol: Some(1),
        last_seen_seconds: Some(seen),
        addresses: vec![format!("10.0.0.1{}:7800", &name[3..])],
        epoch: Some(77),
        content: Vec::new(),
    }
}

fn out_of_service(member: MemberView) -> MemberView {
    let out = OutView {
        reason: "new disk".to_owned(),
        by: "ada".to_owned(),
        since: "2026-11-23T14:02:11Z".to_owned(),
        until: Some("2026-11-23T15:00:00Z".to_owned()),
    };
    let labels = [("rack", "4"), ("zone", "b")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    MemberView { service: "out".to_owned(), out: Some(out), labels: labels.into(), ..member }
}

pub(crate) fn members() -> Document<Members> {
    let web9 = MemberView {
        state: "unreachable".to_owned(),
        role: "follower".to_owned(),
        service: "spare".to_owned(),
        counts: false,
        agrees: 0,
        cpu_ratio_p95: None,
        version: None,
        protocol: None,
        ..member_view("web9", Health::Unknown, 0.0, 0.0, 190.0)
    };
    let members = vec![
        member_view("web1", Health::Ok, 0.25, 0.132, 0.0),
        out_of_service(MemberView { agrees: 2, ..member_view("web7", Health::Warning, 0.31, 0.132, 0.3) }),
        MemberView { votes: false, ..member_view("web8", Health::Ok, 0.4, 0.073, 1.2) },
        web9,
    ];
    let (majority, quorum, protocol) = (5, QuorumRule::Majority, 1);
    let (settleable, mixed_seconds) = (None, None);
    document("members", Members { members, majority, quorum, protocol, settleable, mixed_seconds })
}

pub(crate) fn member() -> Document<MemberView> {
    let content = |application: &str, state: &str, observed| ContentView {
        application: application.to_owned(),
        state: state.to_owned(),
        observed: Some(observed),
        applied: Some(42),
    };
    let content = vec![content("shop", "drift", drifted()), content("api", "agrees", hash(0x7c))];
    let member = MemberView { content, ..member_view("web7", Health::Warning, 0.31, 0.132, 0.3) };
    document("member", out_of_service(member))
}

fn item(path: &str, mode: &str, bytes: u64, digest: u8) -> ItemView {
    ItemView {
        path: path.to_owned(),
        kind: "file".to_owned(),
        mode: Some(mode.to_owned()),
        bytes: Some(bytes),
        digest: Some(hash(digest)),
        ..ItemView::default()
    }
}

pub(crate) fn items() -> Document<Items> {
    let link = ItemView {
        kind: "symlink".to_owned(),
        mode: None,
        bytes: None,
        digest: None,
        target: Some("v2".to_owned()),
        ..item("htdocs/latest", "", 0, 0)
    };
    let items = vec![item("htdocs/img/banner.webp", "0644", 1_204_112, 0x11), link];
    document("items", Items { application: "shop".to_owned(), revision: 42, root: hash(0x7c), items })
}

fn change(path: &str, change: Change, have: Option<(u64, u8)>, want: Option<(u64, u8)>) -> ChangeView {
    let side = |side: Option<(u64, u8)>| side.map(|(bytes, digest)| item(path, "0644", bytes, digest));
    let action = "fetch".to_owned();
    ChangeView { path: path.to_owned(), path_b64: None, change, action, have: side(have), want: side(want) }
}

pub(crate) fn diff() -> Document<Diff> {
    let mode = |mode: &str| Some(item("conf/app.ini", mode, 80, 0x11));
    let changes = vec![
        change("htdocs/checkout.js", Change::Content, Some((18_301, 0x9f)), Some((18_244, 0x11))),
        change("htdocs/img/banner.webp", Change::Missing, None, Some((1_204_112, 0x22))),
        change("htdocs/tmp/debug.php", Change::Surplus, Some((2048, 0x33)), None),
        ChangeView {
            have: mode("0664"),
            want: mode("0640"),
            ..change("conf/app.ini", Change::Attributes, None, None)
        },
    ];
    let diff = Diff {
        application: "shop".to_owned(),
        have: Side { member: Some("web7".to_owned()), revision: None, root: drifted() },
        want: Side { member: None, revision: Some(42), root: hash(0x7c) },
        changes,
        totals: DiffTotals { fetch: 2, remove: 1, attributes: 1, bytes: 1_222_356 },
    };
    document("diff", diff)
}

pub(crate) fn update_diff() -> Document<Diff> {
    let changes = vec![
        change("conf/api.toml", Change::Content, Some((812, 0x11)), Some((840, 0x9f))),
        change("migrations/0041.sql", Change::Missing, None, Some((1200, 0x22))),
        change("migrations/tmp.sql", Change::Surplus, Some((10, 0x33)), None),
    ];
    let diff = Diff {
        application: "api".to_owned(),
        have: Side { member: None, revision: Some(17), root: hash(0x17) },
        want: Side { member: Some("web1".to_owned()), revision: None, root: hash(0x18) },
        changes,
        totals: DiffTotals { fetch: 2, remove: 1, attributes: 0, bytes: 2_400_000 },
    };
    document("diff", diff)
}

pub(crate) fn history() -> Document<History> {
    let revision = |revision, root, at: &str, by: &str, from: &str, reason: &str, items| RevisionView {
        revision,
        root,
        epoch: 70,
        at: at.to_owned(),
        by: by.to_owned(),
        from: from.to_owned(),
        reason: reason.to_owned(),
        batch: String::new(),
        probation_until: None,
        undoes: None,
        items,
        bytes: 212_000_000,
    };
    let revisions = vec![
        revision(42, hash(0x7c), TODAY, "ada", "web1", "hotfix 881", 4118),
        revision(41, hash(0x41), "2026-11-20T13:41:07Z", "bo", "web2", "", 4117),
    ];
    document("history", History { application: "shop".to_owned(), revisions })
}

fn votes_of(groups: Vec<VoteGroup>, settled: bool, certificate: Option<CertificateView>) -> Document<Votes> {
    let votes = AppVotes {
        application: "shop".to_owned(),
        revision: 42,
        root: Some(hash(0x7c)),
        settled,
        needed: 5,
        groups,
        certificate,
    };
    let (epoch, round, deciding) = (78, 0, false);
    document("votes", Votes { applications: vec![votes], epoch, round, deciding })
}

fn group(root: Option<Hash>, meaning: &str, members: &[u8]) -> VoteGroup {
    VoteGroup { root, meaning: meaning.to_owned(), members: names(members) }
}

pub(crate) fn votes() -> Document<Votes> {
    let groups = vec![
        group(Some(hash(0x7c)), "revision 42", &[1, 2, 3, 4, 5, 6, 8, 9]),
        group(Some(drifted()), "drift", &[7]),
    ];
    let signed_by = names(&[1, 2, 3, 4, 5]);
    votes_of(groups, true, Some(CertificateView { epoch: 77, round: 0, record: hash(0x77), signed_by }))
}

pub(crate) fn split_votes() -> Document<Votes> {
    let groups = vec![
        group(Some(hash(0x7c)), "revision 42", &[1, 2, 3, 4]),
        group(Some(drifted()), "drift", &[5, 6, 7, 8]),
        group(None, "unknown", &[9]),
    ];
    votes_of(groups, false, None)
}

pub(crate) fn why() -> Document<Why> {
    let cause = |at: Option<&str>, code: &str, text: &str| Cause {
        at: at.map(str::to_owned),
        code: code.to_owned(),
        text: text.to_owned(),
    };
    let causes = vec![
        cause(
            Some("2026-11-23T14:02:11Z"),
            "local-change",
            "web7 reported root b3:40aa…aa; no update window was open",
        ),
        cause(None, "majority", "votes: 8 of 9 report b3:7c7c…7c (revision 42), so revision 42 stands"),
    ];
    let remedy = Remedy {
        text: "to keep the change".to_owned(),
        command: words("althing update open shop --on web7 --adopt"),
    };
    let why = Why {
        subject: "member/web7".to_owned(),
        state: "warning".to_owned(),
        because: "content-differs".to_owned(),
        causes,
        next: "repair ends by itself. Nothing is needed from you.".to_owned(),
        automatic: true,
        remedies: vec![remedy],
    };
    document("why", why)
}

pub(crate) fn events() -> Document<Events> {
    let event = |id: &str, at: &str, severity, kind: &str, application: Option<&str>, text: &str| EventView {
        id: id.to_owned(),
        at: at.to_owned(),
        severity,
        kind: kind.to_owned(),
        member: "web7".to_owned(),
        application: application.map(str::to_owned),
        epoch: None,
        text: text.to_owned(),
    };
    let events = vec![
        event(
            "web7/18231",
            "2026-11-23T14:02:11Z",
            Severity::Warning,
            "content.differs",
            Some("shop"),
            "4 items differ from revision 42",
        ),
        event(
            "web7/18232",
            "2026-11-23T14:02:12Z",
            Severity::Info,
            "repair.started",
            None,
            "fetch 2 (1.2 MB), remove 1",
        ),
    ];
    document("events", Events { events, cursor: "web7/18232".to_owned() })
}

pub(crate) fn audit() -> Document<Audit> {
    let entry = |epoch, at: &str, by: &str, change: &str, text: &str| AuditEntry {
        epoch,
        at: at.to_owned(),
        by: by.to_owned(),
        from: "web1".to_owned(),
        change: change.to_owned(),
        application: None,
        member: None,
        text: text.to_owned(),
        signed_by: Vec::new(),
    };
    let opened = "update window until 2026-11-23T14:00:00.000Z: hotfix 881";
    let opened = entry(76, "2026-11-23T13:40:59Z", "ada", "open", opened);
    let taken = entry(77, TODAY, "ada@web2", "take-out", "out of service: new disk");
    let entries = vec![
        AuditEntry { application: Some("shop".to_owned()), ..opened },
        AuditEntry { member: Some("web7".to_owned()), ..taken },
    ];
    let verified =
        Verified { genesis: hash(1), records: 77, votes: 385, head: hash(0x77), is_in_force: true };
    document("audit", Audit { entries, verified: Some(verified) })
}

pub(crate) fn everywhere() -> Document<Everywhere> {
    let seen = |number: u8, hears: u64, agree: u64, offset: f64, differs: &str| Seen {
        member: format!("web{number}"),
        silent: None,
        hears,
        of: 4,
        health: Some(Health::Warning),
        epoch: Some(77),
        roster_revision: Some(31),
        applications: vec![SeenApp { name: "shop".to_owned(), revision: 42, agree, of: 4 }],
        clock_offset_seconds: Some(offset),
        round_trip_seconds: Some(0.002),
        differs: differs.split("; ").filter(|text| !text.is_empty()).map(str::to_owned).collect(),
    };
    let silent = Seen {
        silent: Some("web9 does not answer: the peer is not connected".to_owned()),
        health: None,
        roster_revision: None,
        clock_offset_seconds: None,
        ..seen(9, 0, 0, 0.0, "")
    };
    let web8 = seen(8, 2, 2, 0.412, "does not hear web2; sees 2 of 4 agree on shop 42");
    let members = vec![seen(1, 3, 3, 0.0, ""), seen(2, 3, 3, -0.003, ""), web8, silent];
    document("everywhere", Everywhere { reference: "web1".to_owned(), members })
}

pub(crate) fn trash() -> Document<Trash> {
    let item = TrashItem {
        id: "7c1e90".to_owned(),
        at: "2026-11-23T14:05:09Z".to_owned(),
        application: "shop".to_owned(),
        path: "htdocs/tmp/debug.php".to_owned(),
        path_b64: None,
        kind: "file".to_owned(),
        bytes: 2048,
        mode: Some("0644".to_owned()),
        reason: "not in revision 42".to_owned(),
    };
    let mut document = document("trash", Trash { items: vec![item], bytes: 2048 });
    document.answered_by = "web7".to_owned();
    document
}

/// Commands in a screen: from the name of the program to a gap, a quote or the end of the line.
fn commands(screen: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in screen.lines() {
        for (at, _) in line.match_indices("althing ") {
            let rest = &line[at..];
            let end = ["  ", "`", " #"].iter().filter_map(|gap| rest.find(gap)).min().unwrap_or(rest.len());
            found.push(rest[..end].to_owned());
        }
    }
    found
}

#[test]
fn every_command_that_a_screen_suggests_parses() {
    use super::{Look, apps as app_screens, diff as diffs, members as member_screens, votes as vote_screens};
    use clap::Parser as _;
    let look = Look::plain();
    let none = document("apps", Apps { applications: Vec::new() });
    let screens = [
        super::status::screen(&status(), &look),
        super::status::screen(&all_well(), &look),
        app_screens::screen(&none, &look),
        app_screens::history(&history(), &look),
        member_screens::one(&member(), &look),
        member_screens::invitations(&document("invitations", Invitations { invitations: Vec::new() }), &look),
        diffs::screen(&diff(), &look, false),
        vote_screens::screen(&split_votes(), &look),
        super::why::screen(&why(), &look),
        super::trash::screen(&trash(), &look),
        super::update::screen(&window(), &look),
        super::everywhere::screen(&everywhere(), &look),
    ];
    let screens = screens.into_iter().chain(super::outcome::tests::screens());
    let found: Vec<String> = screens.flat_map(|screen| commands(&screen)).collect();
    assert!(found.len() > 15, "{found:?}");
    for command in found {
        // What the reader is to fill in stands for something that fits.
        let line = command.replace(" REV", " 1");
        let parsed = crate::args::Cli::try_parse_from(line.split(' '));
        assert!(parsed.is_ok(), "{command}: {:?}", parsed.err());
    }
}
