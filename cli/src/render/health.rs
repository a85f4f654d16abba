//! `health` and `balance`.

use althing_protocol::view::{Balance, Component, Document, Health, HealthState, HealthView, Share};

use super::Look;
use super::colour::Paint;
use super::size::{of_things, percent, share};
use super::table::{Cell, Table};
use super::time::span;

/// The word for a state.
pub(crate) fn word(health: Health) -> &'static str {
    match health {
        Health::Ok => "ok",
        Health::Unknown => "unknown",
        Health::Warning => "warning",
        Health::Critical => "critical",
    }
}

/// `WARNING for 3 min`, in its colour.
pub(crate) fn headline(state: &HealthState, look: &Look) -> String {
    let text = word(state.state).to_uppercase();
    format!("{} for {}", look.paint(state.state.into(), &text), span(state.since_seconds as f64))
}

/// `althing health`
pub(crate) fn screen(document: &Document<HealthView>, look: &Look) -> String {
    let HealthView { health, components } = &document.body;
    let counts = format!(
        "{} ok, {} warning, {} critical, {} unknown",
        health.ok, health.warning, health.critical, health.unknown
    );
    let mut table = Table::new(&["COMPONENT", "STATE", "VALUE", "LIMITS", "WORST"]).keep(3);
    for component in components {
        table.row([
            Cell::from(component.name.as_str()),
            Cell::painted(word(component.state), component.state),
            Cell::from(component.value.as_str()),
            Cell::from(limits(component)),
            Cell::from(worst(component)),
        ]);
    }
    let head = look.paint(Paint::Bold, &of_things(counted(health), "member"));
    format!(
        "{head}   {}          {counts}\n\n{}percentiles are over all members' merged digests of the last minute\n",
        headline(health, look),
        table.text(look)
    )
}

fn counted(health: &HealthState) -> u64 {
    health.ok + health.warning + health.critical + health.unknown
}

fn limits(component: &Component) -> String {
    match (component.warning_ratio, component.critical_ratio) {
        (None, None) => "all".to_owned(),
        (warning, critical) => format!("{} · {}", percent(warning), percent(critical)),
    }
}

fn worst(component: &Component) -> String {
    match (&component.worst, component.max_ratio) {
        (Some(member), Some(ratio)) => format!("{member} {}", percent(Some(ratio))),
        (Some(member), None) => member.clone(),
        (None, _) => "-".to_owned(),
    }
}

/// `althing balance`
pub(crate) fn balance(document: &Document<Balance>, look: &Look) -> String {
    let mut table = Table::new(&["MEMBER", ">CAPACITY", ">LOAD", ">SHARE", "WHY"]).keep(4);
    for Share { member, capacity_cpu, load_ratio, share_ratio, why } in &document.body.members {
        table.row([
            Cell::from(member.as_str()),
            Cell::from(format!("{capacity_cpu:.1} cpu")),
            Cell::from(percent(*load_ratio)),
            Cell::from(share(*share_ratio)),
            Cell::from(why.as_str()),
        ]);
    }
    table.text(look)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn health_says_what_it_is_made_of() {
        let expected = "\
9 members   WARNING for 3 min          8 ok, 1 warning, 0 critical, 0 unknown

COMPONENT  STATE    VALUE                        LIMITS       WORST
agreement  warning  2 of 3 applications settled  all          web7
cpu        ok       p95 31 %                     80 % · 90 %  web8 40 %
percentiles are over all members' merged digests of the last minute
";
        assert_eq!(screen(&samples::health(), &Look::plain()), expected);
    }

    #[test]
    fn balance_says_why() {
        let expected = "\
MEMBER  CAPACITY  LOAD   SHARE  WHY
web1     4.0 cpu  41 %  50.0 %  by capacity
web9     4.0 cpu     -   0.0 %  not heard
";
        assert_eq!(balance(&samples::balance(), &Look::plain()), expected);
    }
}
