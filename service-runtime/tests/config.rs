//! The configuration as a service sees it: layers, problems, secrets, the printed form.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use service_runtime::config::{ConfigError, ExposeSecret as _, Loaded, Reader, SecretString};
use tempfile::TempDir;

const NONE: [(&str, &str); 0] = [];

/// A folder with one configuration file.
struct File {
    folder: TempDir,
    path: PathBuf,
}

impl File {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service.toml");
        std::fs::write(&path, text).unwrap();
        Self { folder, path }
    }

    /// Writes a further file and returns its path.
    fn beside(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn reader(file: &File, environment: &[(&str, &str)]) -> Reader {
    Reader::new(Some(&file.path), environment.iter().copied())
}

fn problems(result: Result<Loaded, ConfigError>) -> Vec<String> {
    result.unwrap_err().problems().to_vec()
}

fn exposed(secret: Option<SecretString>) -> Option<String> {
    secret.map(|secret| secret.expose_secret().to_owned())
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let file = File::new("a = 2\nb = 2\nwait = '2s'\nnames = ['x', 'y']\n");
    let mut reader = reader(&file, &[("A", "3"), ("NAMES", "p, q,")]);
    assert_eq!(reader.get("A", 1, "a"), 3);
    assert_eq!(reader.get("B", 1, "b"), 2);
    assert_eq!(reader.get("C", 1, "c"), 1);
    assert_eq!(reader.optional::<u16>("D", "d"), None);
    let wait = reader.duration("WAIT", Duration::from_secs(1), "wait");
    assert_eq!(wait, Duration::from_secs(2));
    let names = reader.list("NAMES", vec!["z".to_owned()], "names");
    assert_eq!(names, ["p", "q"]);
    reader.finish().unwrap();
}

#[test]
fn lists_come_from_arrays_and_texts_of_the_file() {
    let file = File::new("array = [1, 2]\ntext = '3,4'\nempty = []\n");
    let mut reader = reader(&file, &[]);
    assert_eq!(reader.list("ARRAY", vec![9], "array"), [1, 2]);
    assert_eq!(reader.list("TEXT", vec![9], "text"), [3, 4]);
    assert!(reader.list("EMPTY", vec![9], "empty").is_empty());
    assert_eq!(reader.list("ABSENT", vec![9], "absent"), [9]);
    reader.finish().unwrap();
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let file = File::new("port = 2");
    let mut reader = reader(&file, &[("PORT", ""), ("PASSWORD", "")]);
    assert_eq!(reader.get("PORT", 1, "port"), 2);
    assert_eq!(exposed(reader.secret("PASSWORD", "password")), None);
    reader.finish().unwrap();
}

#[test]
fn all_problems_are_listed_at_once_with_their_origin() {
    let file = File::new("wait = 5\nmany = [1]\nsome = { x = 1 }\nlist = [1, 'b']\n");
    let mut reader = reader(&file, &[("PORT", "80a"), ("PERCENT", "101")]);
    assert_eq!(reader.get("PORT", 8080_u16, "port"), 8080);
    assert_eq!(reader.get_in("PERCENT", 50, 0..=100, "percent"), 50);
    let second = Duration::from_secs(1);
    assert_eq!(reader.duration("WAIT", second, "wait"), second);
    assert_eq!(reader.get("MANY", 1, "many"), 1);
    assert_eq!(reader.get("SOME", 1, "some"), 1);
    assert_eq!(reader.list("LIST", vec![7], "list"), [7]);
    reader.problem("PORT", "must differ from PERCENT");
    let path = file.path.display();
    assert_eq!(
        problems(reader.finish()),
        [
            "PORT: \"80a\" is not valid: invalid digit found in string (from the environment)"
                .to_owned(),
            "PERCENT: \"101\" is not valid: must be between 0 and 100 (from the environment)"
                .to_owned(),
            format!(
                "WAIT: \"5\" is not valid: expected a whole number and a unit of ms, s, m, h or d, \
                 such as 500ms or 5s (from {path})"
            ),
            format!("MANY: takes one value (from {path})"),
            format!("SOME: takes one value (from {path})"),
            format!("LIST: \"b\" is not valid: invalid digit found in string (from {path})"),
            "PORT: must differ from PERCENT (default)".to_owned(),
        ]
    );
}

#[test]
fn a_duration_out_of_its_range_is_a_problem() {
    let mut reader = Reader::new(None, [("WAIT", "2m")]);
    let range = Duration::from_millis(10)..=Duration::from_secs(60);
    let wait = reader.duration_in("WAIT", Duration::from_secs(5), range, "wait");
    assert_eq!(wait, Duration::from_secs(5));
    assert_eq!(
        problems(reader.finish()),
        ["WAIT: \"2m\" is not valid: must be between 10ms and 1m (from the environment)"]
    );
}

#[test]
fn an_unknown_key_of_the_file_is_a_problem_with_a_hint() {
    let file = File::new("htp_port = 1\nHTTP_PORT = 2\ncolour = 'red'\nsecret_file = '/x'\n");
    let mut reader = reader(&file, &[("HTPP_PORT", "3")]);
    reader.get("HTTP_PORT", 1, "port");
    reader.get("SECRET", 1, "not a secret");
    let origin = format!("(from {})", file.path.display());
    let mut found = problems(reader.finish());
    found.sort();
    assert_eq!(
        found,
        [
            format!("`HTTP_PORT` is not a known setting {origin}; did you mean `http_port`?"),
            format!("`colour` is not a known setting {origin}"),
            format!("`htp_port` is not a known setting {origin}; did you mean `http_port`?"),
            format!("`secret_file` is not a known setting {origin}"),
        ]
    );
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_a_problem_that_quotes_no_content() {
    let missing = Reader::new(Some(Path::new("/no/such/file")), NONE);
    let found = problems(missing.finish());
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("cannot read the file /no/such/file: "),
        "{found:?}"
    );

    let file = File::new("port = 1\npassword = hunter2\n");
    let mut reader = reader(&file, &[("PORT", "x")]);
    reader.get("PORT", 1, "port");
    let found = problems(reader.finish());
    assert_eq!(found.len(), 2, "{found:?}");
    let start = format!("{} line 2 is not valid TOML: ", file.path.display());
    assert!(found[0].starts_with(&start), "{found:?}");
    assert!(!found[0].contains("hunter2"), "{found:?}");
}

#[test]
fn a_variable_that_is_not_utf_8_is_a_problem() {
    let value = OsString::from_vec(vec![b'a', 0xff]);
    let mut reader = Reader::new(None, [(OsString::from("PORT"), value)]);
    reader.get("PORT", 1, "port");
    assert_eq!(
        problems(reader.finish()),
        ["PORT: is not UTF-8 (from the environment)"]
    );
}

#[test]
fn a_secret_comes_from_a_variable_or_from_a_named_file_without_its_newline() {
    let file = File::new("");
    let path = file.beside("password", "hun ter2 \r\n");
    let named = File::new(&format!("b_file = '{path}'\nc = 'direct'\nd = 'file'\n"));
    let mut reader = reader(&named, &[("A_FILE", &path), ("D_FILE", &path)]);
    assert_eq!(
        exposed(reader.secret("A", "a")).as_deref(),
        Some("hun ter2 ")
    );
    assert_eq!(
        exposed(reader.secret("B", "b")).as_deref(),
        Some("hun ter2 ")
    );
    assert_eq!(exposed(reader.secret("C", "c")).as_deref(), Some("direct"));
    assert_eq!(
        exposed(reader.secret("D", "d")).as_deref(),
        Some("hun ter2 ")
    );
    assert_eq!(exposed(reader.secret("E", "e")), None);
    reader.finish().unwrap();
}

#[test]
fn a_secret_given_twice_or_in_a_bad_file_is_a_problem() {
    let file = File::new("");
    let empty = file.beside("empty", "\n");
    let environment = [
        ("A", "hunter2"),
        ("A_FILE", empty.as_str()),
        ("B_FILE", "/no/such/secret"),
        ("C_FILE", empty.as_str()),
    ];
    let mut reader = Reader::new(None, environment);
    for name in ["A", "B", "C"] {
        assert_eq!(exposed(reader.secret(name, "a secret")), None);
    }
    let [both, missing, blank] = &problems(reader.finish())[..] else {
        panic!("three problems expected");
    };
    assert_eq!(
        both,
        "A: set together with A_FILE; choose one of them (from the environment)"
    );
    assert!(missing.starts_with("B: cannot be read: "), "{missing}");
    assert!(
        missing.ends_with("(from /no/such/secret, named by B_FILE)"),
        "{missing}"
    );
    assert_eq!(
        blank,
        &format!("C: is empty (from {empty}, named by C_FILE)")
    );
}

#[test]
fn secrets_appear_neither_in_debug_nor_in_problems_nor_in_the_printed_form() {
    let environment = [
        ("PASSWORD", "hunter2"),
        ("DATABASE_URL", "postgres://app:hunter2@db/orders"),
        ("BROKER", "kafka://app:hunter2@broker"),
        ("BROKERS", "kafka://app:hunter2@a,b"),
        ("PORT", "x://u:hunter2@h"),
        ("PORTS", "1,x://u:hunter2@h"),
        ("EXTRA", "sasl.password=hunter2,client.rack=r1"),
        ("BAD_EXTRA", "ssl.key.password:hunter2"),
    ];
    let mut reader = Reader::new(None, environment);
    let password = reader.secret("PASSWORD", "password");
    let url = reader.url("DATABASE_URL", "sqlite://orders.db", "database");
    assert_eq!(url.expose_secret(), "postgres://app:hunter2@db/orders");
    reader.get("BROKER", String::new(), "broker");
    reader.list::<String>("BROKERS", Vec::new(), "brokers");
    let extra = reader.pairs("EXTRA", "extra");
    assert_eq!(extra.get("sasl.password"), Some("hunter2"));
    let shown = format!("{reader:?} {password:?} {url:?} {extra:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let printed = reader.finish().unwrap().to_string();
    assert!(!printed.contains("hunter2"), "{printed}");
    for line in [
        r#"# password = "[redacted]""#,
        r#"# database_url = "postgres://app:[redacted]@db/orders""#,
        r#"# broker = "kafka://app:[redacted]@broker""#,
        r#"# "sasl.password" = "[redacted]""#,
        r#""client.rack" = "r1""#,
    ] {
        assert!(
            printed.lines().any(|found| found == line),
            "{line} in {printed}"
        );
    }

    let mut reader = Reader::new(None, environment);
    reader.get("PORT", 1, "port");
    reader.list("PORTS", vec![1], "ports");
    reader.pairs("BAD_EXTRA", "extra");
    let error = reader.finish().unwrap_err();
    assert_eq!(error.problems().len(), 3);
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn pairs_come_from_the_environment_or_from_a_table() {
    let file = File::new("[extra]\nsasl.username = 'app'\n\"client.rack\" = 3\n");
    let mut from_file = reader(&file, &[]);
    let pairs = from_file.pairs("EXTRA", "extra");
    let expected = [("client.rack", "3"), ("sasl.username", "app")];
    assert_eq!(pairs.iter().collect::<Vec<_>>(), expected);
    from_file.finish().unwrap();

    let mut from_environment = reader(&file, &[("EXTRA", "a = b=c , d=")]);
    let pairs = from_environment.pairs("EXTRA", "extra");
    assert_eq!(pairs.iter().collect::<Vec<_>>(), [("a", "b=c"), ("d", "")]);
    from_environment.finish().unwrap();
}

#[test]
fn pairs_with_secrets_come_from_a_named_file_one_a_line() {
    let file = File::new("");
    let path = file.beside("extra", "ssl.key.password = hun,ter2\nclient.rack=r1\n");
    let mut named = reader(&file, &[("EXTRA_FILE", &path)]);
    let pairs = named.pairs("EXTRA", "extra");
    let expected = [("client.rack", "r1"), ("ssl.key.password", "hun,ter2")];
    assert_eq!(pairs.iter().collect::<Vec<_>>(), expected);
    let printed = named.finish().unwrap().to_string();
    assert!(!printed.contains("hun,ter2"), "{printed}");

    let mut twice = reader(&file, &[("EXTRA_FILE", &path), ("EXTRA", "a=b")]);
    twice.pairs("EXTRA", "extra");
    assert_eq!(
        problems(twice.finish()),
        ["EXTRA: set together with EXTRA_FILE; choose one of them (from the environment)"]
    );
}

#[test]
fn the_printed_form_shows_help_origin_and_default_and_is_a_configuration_file() {
    let read = |reader: &mut Reader| {
        (
            reader.get("NAME", "a \"b\"\n\u{7f}".to_owned(), "What it is called."),
            reader.get("PORT", 8080, "Where it listens."),
            reader.get("ON", false, "Whether it works."),
            reader.optional::<String>("RACK", "Where it stands."),
            reader.duration("WAIT", Duration::from_millis(1500), "How long it waits."),
            reader.pairs("EXTRA", "Passed through."),
            reader.list("NAMES", vec!["x".to_owned()], "Others."),
        )
    };
    let environment = [("PORT", "81"), ("ON", "true"), ("EXTRA", "a.b=1")];
    let mut first = Reader::new(None, environment);
    let values = read(&mut first);
    let printed = first.finish().unwrap().to_string();
    assert!(
        printed.contains(
            "# Where it listens.\n# PORT, from the environment (default 8080)\nport = 81\n\n"
        ),
        "{printed}"
    );
    assert!(
        printed.contains("# Where it stands.\n# RACK, not set\n# rack =\n"),
        "{printed}"
    );
    assert!(
        printed.contains("# How long it waits.\n# WAIT, default\nwait = \"1500ms\"\n"),
        "{printed}"
    );

    let file = File::new(&printed);
    let mut second = reader(&file, &[]);
    assert_eq!(read(&mut second), values);
    second.finish().unwrap();
}
