//! What counts, what is refused, and where it says so.

use super::*;

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(&path, text).expect("written");
    path
}

fn message(result: Result<()>) -> String {
    match result {
        Err(crate::error::Error::Failed(failure)) => {
            assert_eq!((failure.code.as_str(), failure.exit), ("E601", 78));
            failure.message
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn later_files_and_variables_have_their_way() {
    let dir = tempfile::tempdir().expect("a directory");
    let main =
        write(dir.path(), "althing.toml", "[node]\nlisten = \"10.0.0.11:7800\"\n[log]\nlevel = \"warn\"\n");
    write(dir.path(), "conf.d/20.toml", "[log]\nlevel = \"debug\"\n");
    write(dir.path(), "conf.d/10.toml", "[log]\nlevel = \"trace\"\n");
    write(dir.path(), "conf.d/readme", "this is not read");
    let mut config = Config::load(Some(&main)).expect("valid");
    assert_eq!(config.text("node.listen"), Some("10.0.0.11:7800"));
    assert_eq!(config.text("log.level"), Some("debug"));
    let origin = config.origin("log.level").map(ToString::to_string).unwrap_or_default();
    assert!(origin.ends_with("conf.d/20.toml:2:9"), "{origin}");
    let mut problems = Problems::default();
    config.add_variable("ALTHING_LOG__LEVEL", "error".to_owned(), &mut problems);
    config.add_variable("ALTHING_NODE", "/x".to_owned(), &mut problems);
    assert_eq!(config.origin("log.level"), Some(&Origin::Variable("ALTHING_LOG__LEVEL".to_owned())));
    config.set_by_flag("log.level", Some("info".to_owned()), "--log");
    assert_eq!((config.text("log.level"), problems.found.len()), (Some("info"), 0));
}

#[test]
fn a_mistyped_key_is_shown_with_what_was_meant() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = write(dir.path(), "a.toml", "[node]\nlisten = \"10.0.0.11:7800\"\n\n[log]\nlevle = \"x\"\n");
    let text = message(Config::check(std::slice::from_ref(&path)));
    let expected = format!(
        "the configuration of this machine is not valid: 1 problem\n{}:5:1\n4 | [log]\n5 | levle = \"x\"\n  | ^^^^^ unknown key `log.levle`, did you mean `log.level`?",
        path.display()
    );
    assert_eq!(text, expected);
}

#[test]
fn values_must_be_what_the_key_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "[node]\nlisten = \"7800\"\nprefix = \"srv\"\nbulk_listen = 7801\ntrusting_period = \"2h\"\n[api]\ngroup = \"\"\n";
    let text = message(Config::check(&[write(dir.path(), "a.toml", text)]));
    for part in [
        "5 problems",
        ":2:10",
        "with a port",
        "not an absolute path",
        "is a number",
        "less than a day",
        "is empty",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let missing = message(Config::load(Some(&dir.path().join("none.toml"))).map(|_| ()));
    assert!(missing.ends_with("none.toml cannot be read"), "{missing}");
}

#[test]
fn unknown_variables_are_refused() {
    let (mut config, mut problems) = (Config::default(), Problems::default());
    config.add_variable("ALTHING_NODE__LISEN", "10.0.0.1:1".to_owned(), &mut problems);
    let text = message(problems.verdict());
    assert!(
        text.contains("$ALTHING_NODE__LISEN: unknown key `node.lisen`, did you mean `node.listen`?"),
        "{text}"
    );
}

#[test]
fn the_default_file_is_valid_and_says_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = write(dir.path(), "althing.toml", &default_file());
    assert_eq!(Config::load(Some(&path)).expect("valid"), Config::default());
    assert_eq!(default_file().matches("\n#").count(), 2 * SETTINGS.len());
}
