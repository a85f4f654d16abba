//! An author that dies between two steps of its update.

use std::thread::sleep;
use std::time::Duration;

use althing_tests::{Json, Site, story};
use anyhow::ensure;

const LIMIT: Duration = Duration::from_secs(60);
/// Files of the site: small, so that much happens.
const FILES: usize = 100;

#[test]
fn author_killed_between_stage_and_commit_leaves_the_old_revision() {
    story(3, |cluster| {
        let first = Site::make(&cluster.path("site"), FILES, 7)?;
        let second = first.next(&cluster.path("site-2"), 7)?;
        let from = |site: &Site| site.root.to_string_lossy().into_owned();
        cluster.web(1).json(&["app", "new", "shop", "--from", &from(&first)])?;
        cluster.have(&[1, 2, 3], "shop", &first.tree, LIMIT)?;
        cluster.web(3).json(&["update", "open", "shop", "--for", "10m"])?;
        let staged = cluster.web(3).json(&["update", "stage", "shop", "--from", &from(&second)])?;
        ensure!(staged.text("/root")? != cluster.web(1).revision("shop")?.1, "{staged}");
        cluster.web(3).kill();
        // The others keep what is settled, and nobody else may change it while the window is open.
        sleep(Duration::from_secs(1));
        cluster.have(&[1, 2, 3], "shop", &first.tree, LIMIT)?;
        for number in [1, 2] {
            ensure!(cluster.web(number).revision("shop")?.0 == 1);
        }
        cluster.web(1).refused(75, "E412", &["deploy", "shop", "--from", &from(&second)])?;

        cluster.web(3).start()?;
        cluster.settled_roster(3)?;
        ensure!(cluster.web(3).revision("shop")?.0 == 1);
        let window = cluster.web(3).json(&["update", "status", "shop"])?;
        ensure!(window.text("/window/member")? == "web3", "{window}");
        cluster.web(3).json(&["update", "abort", "shop", "-y"])?;
        cluster.have(&[1, 2, 3], "shop", &first.tree, LIMIT)?;
        cluster.web(2).json(&["deploy", "shop", "--from", &from(&second)])?;
        cluster.have(&[1, 2, 3], "shop", &second.tree, LIMIT)?;
        cluster.agreed("shop", 2, LIMIT).map(|_| ())
    });
}
