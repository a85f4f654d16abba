//! `trash list`.

use std::fmt::Write as _;

use althing_protocol::view::{Document, Trash};

use super::Look;
use super::size::{bytes, of_things};
use super::table::{Cell, Table};

/// `althing trash`
pub(crate) fn screen(document: &Document<Trash>, look: &Look) -> String {
    let Trash { items, bytes: total } = &document.body;
    if items.is_empty() {
        return format!("the trash of {} is empty\n", document.answered_by);
    }
    let mut table = Table::new(&["ID", "SINCE", "APPLICATION", "KIND", ">SIZE", "PATH", "WHY"]).keep(6);
    for item in items {
        table.row([
            Cell::from(item.id.as_str()),
            Cell::from(look.clock(&item.at, &document.at)),
            Cell::from(item.application.as_str()),
            Cell::from(item.kind.as_str()),
            Cell::from(bytes(item.bytes)),
            Cell::from(item.path.as_str()),
            Cell::from(item.reason.as_str()),
        ]);
    }
    let mut text = table.text(look);
    let _ = writeln!(
        text,
        "{}, {}, on {}.   back  althing trash restore ID",
        of_things(items.len() as u64, "item"),
        bytes(*total),
        document.answered_by
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn the_trash_says_how_to_get_things_back() {
        let expected = "\
ID      SINCE     APPLICATION  KIND    SIZE  PATH                  WHY
7c1e90  14:05:09  shop         file  2.0 kB  htdocs/tmp/debug.php  not in revision 42
1 item, 2.0 kB, on web7.   back  althing trash restore ID
";
        assert_eq!(screen(&samples::trash(), &Look::plain()), expected);
    }
}
