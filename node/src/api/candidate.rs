//! What the members have of an application that was never settled: each is asked for what lies on its disk.

use std::collections::BTreeMap;

use althing_protocol::candidate::compose;
use althing_protocol::control::Refusal;
use althing_protocol::view::{AppView, Candidate, ItemView, Items, MemberView};
use futures::future::join_all;

use super::{Api, Call};

impl Api {
    /// The application, with what there is to decide about if nothing was decided yet.
    pub(super) async fn app_in_full(&self, call: &Call, name: &str) -> Result<AppView, Refusal> {
        let mut app = self.app(name).await?;
        if app.revision == 0 && app.window.is_none() {
            app.candidate = Some(self.candidate(call, name).await?);
        }
        Ok(app)
    }

    async fn candidate(&self, call: &Call, name: &str) -> Result<Candidate, Refusal> {
        let members = self.view(|member, _| member.members()).await?.members;
        let goes = |member: &&MemberView| member.content.iter().any(|content| content.application == name);
        let placed: Vec<&MemberView> = members.iter().filter(|member| member.counts).filter(goes).collect();
        let voters = placed.len();
        let heard = placed.into_iter().filter(|member| member.state == "alive");
        let asked = heard.map(|member| async {
            // Who does not answer is as good as one that lacks everything.
            let items = self.observed_on(call, name, &member.name).await?;
            Some((member.name.clone(), items))
        });
        let trees: Vec<(String, Vec<ItemView>)> = join_all(asked).await.into_iter().flatten().collect();
        Ok(compose(voters, &trees))
    }

    async fn observed_on(&self, call: &Call, app: &str, member: &str) -> Option<Vec<ItemView>> {
        let query = [("app", app), ("observed", "1"), ("on", member)];
        let query: BTreeMap<String, String> =
            query.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let call = Call { path: "items".to_owned(), query, body: None, by: call.by.clone() };
        let answer = Box::pin(self.answer(call, None)).await.ok()?;
        serde_json::from_value::<Items>(answer).ok().map(|items| items.items)
    }
}
