//! `request list` and `request show`.

use althing_protocol::view::{Document, RequestView, Requests};

use super::Look;
use super::table::{Cell, Table};

/// `althing request`
pub(crate) fn list(document: &Document<Requests>, look: &Look) -> String {
    let requests = &document.body.requests;
    if requests.is_empty() {
        return "nothing waits for signatures\n".to_owned();
    }
    let mut table = Table::new(&["ID", "WHAT", "ASKED BY", "ON", "SIGNED", "UNTIL"]).keep(2);
    for request in requests {
        table.row([
            Cell::from(request.id.get(..8).unwrap_or(&request.id)),
            Cell::from(request.text.as_str()),
            Cell::from(request.by.as_str()),
            Cell::from(request.member.as_str()),
            Cell::from(format!("{} of {}", request.have, request.need)),
            Cell::from(look.until(&request.until, &document.at)),
        ]);
    }
    table.text(look)
}

/// `althing request show`
pub(crate) fn show(request: &RequestView) -> String {
    let signed =
        if request.signed_by.is_empty() { "nobody".to_owned() } else { request.signed_by.join(", ") };
    let short = request.id.get(..8).unwrap_or(&request.id);
    format!(
        "{}\n  request    {}\n  asked by   {} on {}\n  signed by  {signed}, {} of {}\n  over       {}, or when {} records more are settled\n\n  althing request sign {short} --sign FILE\n  althing request withdraw {short}\n",
        request.text,
        request.id,
        request.by,
        request.member,
        request.have,
        request.need,
        request.until,
        request.epochs_left,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_says_what_it_does_and_who_has_signed() {
        let request = RequestView {
            id: "7c1e2a40".repeat(4),
            text: "remove web3".to_owned(),
            by: "ada".to_owned(),
            member: "web1".to_owned(),
            until: "2026-11-24T14:05:07Z".to_owned(),
            epochs_left: 60,
            have: 1,
            need: 2,
            signed_by: vec!["ada".to_owned()],
            order: String::new(),
        };
        let shown = show(&request);
        assert!(shown.starts_with("remove web3\n") && shown.contains("signed by  ada, 1 of 2"), "{shown}");
        let at = "2026-11-23T14:05:07Z".to_owned();
        let document = |requests| Document {
            schema: String::new(),
            at: at.clone(),
            answered_by: "web1".to_owned(),
            body: Requests { requests },
        };
        let listed = list(&document(vec![request]), &Look::plain());
        assert!(listed.contains("7c1e2a40  remove web3") && listed.contains("1 of 2"), "{listed}");
        assert_eq!(list(&document(Vec::new()), &Look::plain()), "nothing waits for signatures\n");
    }
}
