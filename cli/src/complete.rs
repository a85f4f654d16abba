//! Completion that knows members and applications: the generated scripts ask this program at each press of the key.
//!
//! What may stand at a place is told by the tree of commands itself: verbs, flags, their values, and names where an
//! argument's value is called `M` or `MEMBER`, `A` or `APP`.

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use crate::args::Cli;

/// What fits at a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// One of these.
    Words(Vec<String>),
    /// Name of a member.
    Member,
    /// Name of an application.
    Application,
    /// Something that only the shell (a path) or the person knows.
    Free,
}

/// What may stand at the last of these words, which begin with the name of the program.
pub(crate) fn wanted(words: &[String]) -> Wanted {
    let mut root = Cli::command();
    root.build();
    let (typed, before) = match words.split_last() {
        Some((typed, before)) => (typed.as_str(), before),
        None => return Wanted::Free,
    };
    let mut at = &root;
    let mut place = 0;
    let mut flag: Option<&Arg> = None;
    for word in before.iter().skip(1) {
        if flag.take().is_some() {
            continue;
        }
        if word.starts_with('-') {
            flag = flag_of(at, word).filter(|flag| takes_value(flag) && !word.contains('='));
        } else if let Some(next) = at.find_subcommand(word) {
            (at, place) = (next, 0);
        } else {
            place += 1;
        }
    }
    match flag {
        Some(flag) => of_value(flag),
        None if typed.starts_with('-') => Wanted::Words(flags(at)),
        None => of_place(at, place),
    }
}

fn flag_of<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let name = word.trim_start_matches('-').split('=').next().unwrap_or_default();
    command.get_arguments().find(|arg| {
        arg.get_long() == Some(name)
            || (!word.starts_with("--") && name.ends_with(|c| arg.get_short() == Some(c)))
    })
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

fn flags(command: &Command) -> Vec<String> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    shown.filter_map(|arg| arg.get_long()).map(|long| format!("--{long}")).collect()
}

/// A verb, or the argument that stands there.
fn of_place(command: &Command, place: usize) -> Wanted {
    let verbs: Vec<String> = command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set() && place == 0)
        .flat_map(|verb| std::iter::once(verb.get_name()).chain(verb.get_visible_aliases()))
        .map(str::to_owned)
        .collect();
    if !verbs.is_empty() {
        return Wanted::Words(verbs);
    }
    let positionals: Vec<&Arg> = command.get_positionals().collect();
    let here = positionals.get(place).or(positionals.last().filter(|last| is_many(last)));
    here.map_or(Wanted::Free, |arg| of_value(arg))
}

fn is_many(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|range| range.max_values() > 1)
}

fn of_value(arg: &Arg) -> Wanted {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        return Wanted::Words(possible.iter().map(|value| value.get_name().to_owned()).collect());
    }
    let names = arg.get_value_names().unwrap_or_default();
    match names.first().map(|name| name.as_str()) {
        Some("M" | "MEMBER") => Wanted::Member,
        Some("A" | "APP") => Wanted::Application,
        _ => Wanted::Free,
    }
}

/// What a shell reads to complete this program, for the shells that are known here.
pub(crate) fn script(shell: clap_complete::Shell) -> Option<&'static str> {
    match shell {
        clap_complete::Shell::Bash => Some(BASH),
        clap_complete::Shell::Zsh => Some(ZSH),
        clap_complete::Shell::Fish => Some(FISH),
        _ => None,
    }
}

const BASH: &str = "\
_althing() {
    local IFS=$'\\n'
    COMPREPLY=($(althing __complete -- \"${COMP_WORDS[@]:0:COMP_CWORD+1}\" 2>/dev/null))
}
complete -o default -F _althing althing
";

const ZSH: &str = "\
#compdef althing
_althing() {
    local -a found
    found=(${(f)\"$(althing __complete -- \"${(@)words[1,CURRENT]}\" 2>/dev/null)\"})
    if (( ${#found} )); then compadd -a found; else _files; fi
}
compdef _althing althing
";

const FISH: &str = "\
function __althing_complete
    set -l words (commandline -opc)
    althing __complete -- $words (commandline -ct) 2>/dev/null
end
complete -c althing -a '(__althing_complete)'
";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Wanted {
        wanted(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn names_fit_where_the_tree_says_so() {
        for line in [
            "althing member show ",
            "althing status --on ",
            "althing app diff shop --member we",
            "althing --json member out ",
        ] {
            assert_eq!(of(line), Wanted::Member, "{line}");
        }
        for line in
            ["althing app show ", "althing update open sh", "althing events --app ", "althing deploy "]
        {
            assert_eq!(of(line), Wanted::Application, "{line}");
        }
        for line in
            ["althing app diff shop ", "althing member out web1 --reason ", "althing deploy shop --from "]
        {
            assert_eq!(of(line), Wanted::Free, "{line}");
        }
    }

    #[test]
    fn verbs_and_flags_fit_everywhere_else() {
        let Wanted::Words(verbs) = of("althing member ") else { panic!("verbs") };
        assert!(
            verbs.contains(&"rename".to_owned()) && !verbs.contains(&"__complete".to_owned()),
            "{verbs:?}"
        );
        let Wanted::Words(verbs) = of("althing ") else { panic!("verbs") };
        assert!(verbs.contains(&"apps".to_owned()) && !verbs.contains(&"__complete".to_owned()), "{verbs:?}");
        let Wanted::Words(flags) = of("althing update open shop --") else { panic!("flags") };
        assert!(flags.contains(&"--reason".to_owned()) && flags.contains(&"--json".to_owned()), "{flags:?}");
        assert_eq!(
            of("althing events --severity "),
            Wanted::Words(["info", "notice", "warning", "critical"].map(str::to_owned).to_vec())
        );
        assert_eq!(of("althing -o "), Wanted::Words(["table", "json"].map(str::to_owned).to_vec()));
    }
}
