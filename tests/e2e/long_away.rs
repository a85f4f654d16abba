//! A member that was away for longer than its trusting period (finding 36).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use althing_protocol::member::saved::put_confirmed;
use althing_protocol::time::WallTime;
use althing_store::Store;
use althing_tests::{Cluster, Json, Site, story, wait_until};
use anyhow::{Context, Result, ensure};

const LIMIT: Duration = Duration::from_secs(30);
const DAY: u64 = 24 * 3_600_000;

/// web3 is stopped, and its disk says that it was confirmed so many days ago for the last time. That it was kept at all is
/// what the member itself did.
fn away_for(cluster: &mut Cluster, days: u64) -> Result<()> {
    let web3 = cluster.web(3);
    web3.stop()?;
    let store = Store::open(&web3.dir)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let write = put_confirmed(&WallTime(now - days * DAY));
    let kept = store.read(write.family, &write.key)?.context("it was never kept")?;
    ensure!(kept.len() == write.value.as_ref().map_or(0, Vec::len), "{kept:?}");
    store.commit(&[write])?;
    Ok(())
}

#[test]
fn a_member_that_was_away_for_long_waits_for_somebody_to_vouch() {
    story(3, |cluster| {
        let site = Site::make(&cluster.path("site"), 10, 5)?;
        cluster.web(1).json(&["app", "new", "shop", "--from", &site.root.display().to_string()])?;
        cluster.agreed("shop", 1, LIMIT)?;
        let config = cluster.path("althing.toml");
        std::fs::write(&config, "[node]\ntrusting_period = \"30d\"\n")?;
        cluster.web(3).configure(&config);

        // Within its period it comes back by itself.
        away_for(cluster, 20)?;
        cluster.web(3).start()?;
        cluster.settled_roster(3)?;

        away_for(cluster, 45)?;
        let next = site.next(&cluster.path("next"), 2)?;
        cluster.web(1).json(&["deploy", "shop", "--from", &next.root.display().to_string()])?;
        cluster.web(3).start()?;
        let web3 = &cluster.members[2];
        wait_until(LIMIT, "web3 says that it waits", || {
            let status = web3.json(&["status"]).map_err(|error| error.to_string())?;
            let found = status.find("/attention", "condition", "unvouched");
            found.map(|_| ()).map_err(|_| status.to_string())
        })?;
        let refused = web3.refused(75, "E203", &["app", "pause", "shop"])?;
        ensure!(refused.text("/error/message")?.contains("its trusting period is 30 d"), "{refused}");
        let why = web3.json(&["why", "web3"])?;
        ensure!(why.text("/because")? == "unvouched", "{why}");
        ensure!(
            web3.json(&["status"])?.number("/applications/0/revision")? == 1,
            "it took something for settled"
        );
        cluster.have(&[3], "shop", &site.tree, LIMIT)?;

        let invitation = cluster.invite(&[])?;
        let joined = cluster.members[2].join(&invitation)?.document()?;
        ensure!(joined.text("/member")? == "web3", "{joined}");
        cluster.settled_roster(3)?;
        cluster.have(&[1, 2, 3], "shop", &next.tree, LIMIT)?;
        // The invitation was not used up.
        cluster.add()?.join(&invitation)?.document()?;
        cluster.settled_roster(4)
    });
}
