//! Calls about content: items, differences, the trash.

use althing_protocol::attributes::Attributes;
use althing_protocol::control::{Code, Refusal};
use althing_protocol::hash::Hash;
use althing_protocol::manifest::{Item, Manifest};
use althing_protocol::path::ItemPath;
use althing_protocol::repair::{Change, Difference, diff};
use althing_protocol::time::WallTime;
use althing_protocol::view::{
    ChangeView, Diff, DiffTotals, ItemView, Items, RevisionView, Side, Trash, TrashItem,
};
use serde_json::Value;

use super::reads::{flag, needed, number};
use super::{Answered, Api, Call, document, no_application};
use crate::files::{Job, ScanMode, TrashedKind};

impl Api {
    async fn revisions(&self, app: &str) -> Result<Vec<RevisionView>, Refusal> {
        let wanted = app.to_owned();
        let history = self.view(move |member, _| member.state().map(|_| member.history(&wanted))).await?;
        Ok(history.ok_or_else(|| no_application(app))?.revisions)
    }

    /// A revision by number; the one in force without a number.
    async fn revision(&self, app: &str, number: Option<u64>) -> Result<RevisionView, Refusal> {
        let revisions = self.revisions(app).await?;
        let kept: Vec<String> = revisions.iter().map(|revision| revision.revision.to_string()).collect();
        let found = match number.filter(|number| *number > 0) {
            None => revisions.into_iter().next(),
            Some(number) => revisions.into_iter().find(|revision| revision.revision == number),
        };
        found.ok_or_else(|| {
            let text = match number {
                Some(number) => format!("revision {number} of {app} is not kept"),
                None => format!("{app} has no content yet"),
            };
            Refusal::new(Code::NoSuchRevision, text)
                .fact("kept", kept.join(" "))
                .try_("see the revisions", &format!("althing app history {app}"))
        })
    }

    /// Of a revision; whoever an application does not go to says so, rather than that something is missing.
    async fn manifest_of(&self, app: &str, root: Hash) -> Result<Manifest, Refusal> {
        match self.manifest(root).await {
            Err(_) if self.is_elsewhere(app).await => Err(self.without(app).await),
            found => found,
        }
    }

    async fn is_elsewhere(&self, app: &str) -> bool {
        let wanted = app.to_owned();
        self.ask(move |member, _| member.not_placed(&wanted).is_some()).await.unwrap_or_default()
    }

    pub(super) async fn manifest(&self, root: Hash) -> Result<Manifest, Refusal> {
        let store = self.shared.store.clone();
        let read = tokio::task::spawn_blocking(move || store.manifest(&root)).await;
        let manifest = read.map_err(failed)?.map_err(failed)?;
        manifest.ok_or_else(|| Refusal::new(Code::Failed, "this member does not hold that content yet"))
    }

    async fn live(&self, app: &str) -> Result<Manifest, Refusal> {
        let files = self.place(app).await?;
        let scan = tokio::task::spawn_blocking(move || files.scan(ScanMode::Trust, Job::unattended())).await;
        match scan.map_err(failed)? {
            Ok(scan) => Ok(scan.manifest),
            Err(crate::files::ScanError::Absent) => Ok(Manifest::empty()),
            Err(crate::files::ScanError::Unreadable { path, source })
                if path.is_root() && source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(Manifest::empty())
            }
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) async fn items(&self, call: &Call) -> Answered {
        let application = needed(call, "app")?;
        let prefix = call.query.get("prefix").cloned().unwrap_or_default();
        let (revision, manifest) = if flag(call, "observed") {
            (0, self.live(&application).await?)
        } else {
            let revision = self.revision(&application, number(call, "revision")?).await?;
            (revision.revision, self.manifest_of(&application, revision.root).await?)
        };
        let items = manifest.items().map_err(failed)?;
        let below = |path: &ItemPath| path.lossy().starts_with(&prefix);
        let items =
            items.iter().filter(|(path, _)| below(path)).map(|(path, item)| item_view(path, item)).collect();
        document("althing.items/1", &Items { application, revision, root: manifest.root, items })
    }

    pub(super) async fn diff(&self, call: &Call) -> Answered {
        let application = needed(call, "app")?;
        let (from, to) = (number(call, "from")?, number(call, "to")?);
        let member = call.query.get("member").cloned();
        let own = self.own_name().await;
        if let Some(member) = member.clone().filter(|member| *member != own) {
            // Only the member itself has its live tree.
            let mut call = call.clone();
            call.query.insert("on".into(), member);
            return Box::pin(self.passed_on(call)).await;
        }
        let want = self.revision(&application, to).await?;
        if from.is_none() && self.is_elsewhere(&application).await {
            return Err(self.without(&application).await);
        }
        let wanted = self.manifest_of(&application, want.root).await?;
        let (have, side) = match from {
            Some(from) => {
                let revision = self.revision(&application, Some(from)).await?;
                let side = Side { member: None, revision: Some(revision.revision), root: revision.root };
                (self.manifest_of(&application, revision.root).await?, side)
            }
            None => {
                let live = self.live(&application).await?;
                let root = live.root;
                (live, Side { member: Some(own), revision: None, root })
            }
        };
        let want = Side { member: None, revision: Some(want.revision), root: want.root };
        compare(application, (side, &have), (want, &wanted))
    }

    async fn passed_on(&self, call: Call) -> Answered {
        match self.answer(call, None).await {
            Ok(value) => Ok(value),
            Err(value) => Err(refusal_of(&value)),
        }
    }

    /// From the revision in force to what is staged, or to the live tree, of the window that is open here.
    pub(super) async fn update_diff(&self, application: &str) -> Answered {
        let view = self.app(application).await?;
        let own = self.own_name().await;
        let window = view.window.filter(|window| window.member == own).ok_or_else(|| {
            Refusal::new(Code::NoWindow, format!("no update window for {application} is open on this member"))
                .try_("open one", &format!("althing update open {application}"))
        })?;
        let have = match view.root {
            Some(root) => self.manifest_of(application, root).await?,
            None => Manifest::empty(),
        };
        let want = match window.staged {
            Some(root) => self.manifest(root).await?,
            None => self.live(application).await?,
        };
        let have_side = Side { member: None, revision: Some(view.revision), root: have.root };
        let want_side = Side { member: Some(own), revision: None, root: want.root };
        compare(application.to_owned(), (have_side, &have), (want_side, &want))
    }

    pub(super) async fn trash(&self, app: Option<String>) -> Answered {
        let wanted = app.clone();
        let places = self.ask(move |_, live| {
            let present = live.places.iter().map(|(name, place)| (name, &place.files));
            let all = present.chain(live.retired.iter());
            let wanted = all.filter(|(name, _)| wanted.as_ref().is_none_or(|wanted| wanted == *name));
            wanted.map(|(_, files)| files.clone()).collect::<Vec<_>>()
        });
        let places = places.await?;
        if let Some(app) = app.filter(|_| places.is_empty()) {
            return Err(self.without(&app).await);
        }
        let listed = tokio::task::spawn_blocking(move || {
            places.iter().map(|files| files.trash()).collect::<Result<Vec<_>, _>>()
        });
        let mut items: Vec<TrashItem> = listed
            .await
            .map_err(failed)?
            .map_err(failed)?
            .into_iter()
            .flatten()
            .map(|item| trash_item(&item))
            .collect();
        items.sort_by(|a, b| (&b.at, &b.id).cmp(&(&a.at, &a.id)));
        let bytes = items.iter().map(|item| item.bytes).sum();
        document("althing.trash/1", &Trash { items, bytes })
    }
}

fn trash_item(item: &crate::files::Trashed) -> TrashItem {
    let kind = match item.kind {
        TrashedKind::File => "file",
        TrashedKind::Directory => "directory",
        TrashedKind::Symlink => "symlink",
        TrashedKind::Special => "special",
    };
    TrashItem {
        id: item.id.to_string(),
        at: WallTime(item.time).rfc3339(),
        application: item.application.clone(),
        path: item.path.lossy(),
        path_b64: raw(item.path.as_bytes()),
        kind: kind.to_owned(),
        bytes: item.size,
        mode: Some(format!("{:04o}", item.mode)),
        reason: item.reason.clone(),
    }
}

fn compare(application: String, (have, old): (Side, &Manifest), (want, new): (Side, &Manifest)) -> Answered {
    let differences = diff(old, new).map_err(failed)?;
    let mut totals = DiffTotals::default();
    for difference in &differences {
        match difference.change() {
            Change::Surplus => totals.remove += 1,
            Change::Attributes => totals.attributes += 1,
            Change::Missing | Change::Content | Change::Kind => {
                totals.fetch += 1;
                totals.bytes += difference.want.as_ref().map_or(0, Item::size);
            }
        }
    }
    let changes = differences.iter().map(change_view).collect();
    document("althing.diff/1", &Diff { application, have, want, changes, totals })
}

fn change_view(difference: &Difference) -> ChangeView {
    let path = &difference.path;
    let change = difference.change();
    let action = match change {
        Change::Surplus => "remove",
        Change::Attributes => "attributes",
        Change::Missing | Change::Content | Change::Kind => "fetch",
    };
    let view = |item: &Option<Item>| item.as_ref().map(|item| item_view(path, item));
    ChangeView {
        path: path.lossy(),
        path_b64: raw(path.as_bytes()),
        change,
        action: action.to_owned(),
        have: view(&difference.have),
        want: view(&difference.want),
    }
}

fn item_view(path: &ItemPath, item: &Item) -> ItemView {
    let mut view = ItemView { path: path.lossy(), path_b64: raw(path.as_bytes()), ..ItemView::default() };
    let Attributes { owner, group, extended } = item.attributes();
    view.owner = owner.as_deref().map(str::to_owned);
    view.group = group.as_deref().map(str::to_owned);
    view.xattrs = extended.iter().map(|(name, value)| (name.to_string(), base64(value))).collect();
    view.mode = item.mode().map(|mode| format!("{mode:04o}"));
    match item {
        Item::File { size, content, .. } => {
            view.kind = "file".into();
            (view.bytes, view.digest) = (Some(*size), Some(*content));
        }
        Item::Directory { .. } => view.kind = "directory".into(),
        Item::Symlink { target, .. } => {
            view.kind = "symlink".into();
            view.target = Some(String::from_utf8_lossy(target).into_owned());
            view.target_b64 = raw(target);
        }
    }
    view
}

/// The raw bytes in base 64, of a path or target that is not UTF-8.
fn raw(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).is_err().then(|| base64(bytes))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, byte| (bits << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = char::from(LETTERS[(bits >> (18 - 6 * place)) as usize & 63]);
            text.push(if place <= chunk.len() { letter } else { '=' });
        }
    }
    text
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Failed, error.to_string())
}

/// An error document as a refusal again.
fn refusal_of(value: &Value) -> Refusal {
    let number = value["error"]["code"].as_str().unwrap_or_default();
    let code = Code::ALL.iter().copied().find(|code| code.number() == number).unwrap_or(Code::Failed);
    Refusal::new(code, value["error"]["message"].as_str().unwrap_or("the other member refused"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_usual_one() {
        let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        pairs.iter().for_each(|(plain, coded)| assert_eq!(base64(plain.as_bytes()), *coded));
    }
}
