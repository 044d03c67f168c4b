//! The entry point in real processes: each test starts itself again as a service.

use std::{
    env,
    ffi::OsString,
    io::{BufReader, Read as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{
    ProcessConfig, ServiceConfig, Shutdown, Tool, ToolEnd,
    entry::{Program, start},
};
use crate::{
    config::{Reader, SecretString},
    service::CommonConfig,
};

const CHILD: &str = "SERVICE_RUNTIME_TEST_CHILD";

const DEADLINE: Duration = Duration::from_secs(20);

struct Config {
    common: CommonConfig,
    mode: String,
    _password: Option<SecretString>,
}

impl ServiceConfig for Config {
    fn read(reader: &mut Reader) -> Self {
        Self {
            common: CommonConfig::read(reader, "test-service", 0, "sqlite://unused.db"),
            mode: reader.get("MODE", "wait".to_owned(), "What the service does"),
            _password: reader.secret("PASSWORD", "Never shown"),
        }
    }

    fn process(&self) -> &ProcessConfig {
        &self.common.process
    }

    fn common(&self) -> Option<&CommonConfig> {
        Some(&self.common)
    }
}

async fn service(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    println!("started");
    match config.mode.as_str() {
        "fail" => anyhow::bail!("no luck"),
        "block" => {
            let _part = shutdown.part("stubborn part");
            loop {
                std::thread::sleep(Duration::from_secs(60));
            }
        }
        _ => shutdown.cancelled().await,
    }
    println!("drained");
    Ok(())
}

/// A command of this service alone.
async fn tidy(config: Config, _: clap::ArgMatches, shutdown: Shutdown) -> anyhow::Result<ToolEnd> {
    println!("tidying");
    match config.mode.as_str() {
        "fail" => anyhow::bail!("too much dust"),
        "done" => Ok(ToolEnd::Code(4)),
        _ => {
            shutdown.cancelled().await;
            println!("left as it was");
            Ok(ToolEnd::Interrupted)
        }
    }
}

/// In the child process: runs as a service with the arguments of the parent and exits; a process
/// that hangs ends with a code that no test expects.
fn be_the_service_if_child() {
    if let Ok(arguments) = env::var(CHILD) {
        std::thread::spawn(|| {
            std::thread::sleep(DEADLINE);
            std::process::exit(99);
        });
        let arguments = ["test"].into_iter().chain(arguments.split_whitespace());
        let arguments = arguments.map(OsString::from);
        let program = Program {
            name: "test-service",
            version: "1.2.3",
            tools: vec![Tool::new(clap::Command::new("tidy"), tidy)],
        };
        let code = start(program, arguments, env::vars_os(), service);
        std::process::exit(code.into());
    }
}

/// Starts the named test again as a service.
fn spawn(test: &str, arguments: &str, environment: &[(&str, &str)]) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([&format!("{}::{test}", module()), "--exact", "--nocapture"])
        .env(CHILD, arguments)
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn module() -> &'static str {
    module_path!().split_once("::").unwrap().1
}

/// Reads lines of stdout until one contains the text.
fn wait_for(output: &mut impl std::io::BufRead, text: &str) {
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(
            output.read_line(&mut line).unwrap(),
            0,
            "no {text:?} in {seen}"
        );
        if line.contains(text) {
            return;
        }
        seen.push_str(&line);
    }
}

fn send(signal: &str, child: &Child) {
    let status = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// Waits for the end; exit code, and the rest of stdout followed by stderr.
fn finish(mut child: Child, mut stdout: impl std::io::Read) -> (Option<i32>, String) {
    let mut output = String::new();
    stdout.read_to_string(&mut output).unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut output)
        .unwrap();
    (child.wait().unwrap().code(), output)
}

fn run(test: &str, arguments: &str, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut child = spawn(test, arguments, environment);
    let stdout = child.stdout.take().unwrap();
    finish(child, stdout)
}

#[test]
fn sigterm_drains_and_exits_with_0() {
    be_the_service_if_child();
    let mut child = spawn("sigterm_drains_and_exits_with_0", "", &[]);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    wait_for(&mut stdout, "started");
    send("-TERM", &child);
    let (code, output) = finish(child, stdout);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("drained"), "{output}");
    assert!(output.contains("signal=\"SIGTERM\""), "{output}");
}

#[test]
fn a_second_sigint_exits_with_130_although_the_service_blocks_its_thread() {
    be_the_service_if_child();
    let name = "a_second_sigint_exits_with_130_although_the_service_blocks_its_thread";
    let mut child = spawn(
        name,
        "",
        &[("MODE", "block"), ("TOKIO_WORKER_THREADS", "1")],
    );
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    wait_for(&mut stdout, "started");
    send("-INT", &child);
    wait_for(&mut stdout, "Shutdown was requested.");
    send("-INT", &child);
    let (code, output) = finish(child, stdout);
    assert_eq!(code, Some(130), "{output}");
}

#[test]
fn a_blocked_service_is_named_and_left_behind_after_the_timeout() {
    be_the_service_if_child();
    let name = "a_blocked_service_is_named_and_left_behind_after_the_timeout";
    let environment = [
        ("MODE", "block"),
        ("SHUTDOWN_TIMEOUT", "50ms"),
        ("TOKIO_WORKER_THREADS", "1"),
    ];
    let mut child = spawn(name, "", &environment);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    wait_for(&mut stdout, "started");
    send("-TERM", &child);
    let (code, output) = finish(child, stdout);
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.contains("still_running=[\"stubborn part\"]"),
        "{output}"
    );
}

#[test]
fn a_failing_service_exits_with_1_and_logs_why() {
    be_the_service_if_child();
    let name = "a_failing_service_exits_with_1_and_logs_why";
    let (code, output) = run(name, "", &[("MODE", "fail"), ("LOG_FORMAT", "json")]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains(r#""error":"no luck""#), "{output}");
}

#[test]
fn a_bad_configuration_exits_with_2_and_lists_every_problem() {
    be_the_service_if_child();
    let name = "a_bad_configuration_exits_with_2_and_lists_every_problem";
    let environment = [("SHUTDOWN_TIMEOUT", "soon"), ("LOG_FORMAT", "xml")];
    let (code, output) = run(name, "--config /no/such/file", &environment);
    assert_eq!(code, Some(2), "{output}");
    for part in [
        "test-service: the configuration has 3 problem(s)",
        "SHUTDOWN_TIMEOUT: \"soon\"",
        "LOG_FORMAT: \"xml\"",
        "/no/such/file",
    ] {
        assert!(output.contains(part), "{part:?} in {output}");
    }
    assert!(!output.contains("started"), "{output}");
}

#[test]
fn an_unknown_argument_exits_with_2() {
    be_the_service_if_child();
    let (code, output) = run("an_unknown_argument_exits_with_2", "--verbose", &[]);
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("--verbose"), "{output}");
}

#[test]
fn the_version_is_printed() {
    be_the_service_if_child();
    let (code, output) = run("the_version_is_printed", "--version", &[]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("test-service 1.2.3"), "{output}");
}

#[test]
fn the_printed_configuration_shows_effective_values_but_no_secret() {
    be_the_service_if_child();
    let name = "the_printed_configuration_shows_effective_values_but_no_secret";
    let environment = [("PASSWORD", "hunter2"), ("SHUTDOWN_TIMEOUT", "4s")];
    let (code, output) = run(name, "--print-config", &environment);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("shutdown_timeout = \"4s\""), "{output}");
    assert!(output.contains("# password = \"[redacted]\""), "{output}");
    assert!(!output.contains("hunter2"), "{output}");
}

#[test]
fn a_secret_in_a_file_that_cannot_be_read_is_named_by_its_variable() {
    be_the_service_if_child();
    let name = "a_secret_in_a_file_that_cannot_be_read_is_named_by_its_variable";
    let environment = [("PASSWORD_FILE", "/no/such/secret"), ("LOG_FORMAT", "xml")];
    let (code, output) = run(name, "", &environment);
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("has 2 problem(s)"), "{output}");
    assert!(output.contains("PASSWORD: cannot be read: "), "{output}");
    assert!(output.contains("named by PASSWORD_FILE"), "{output}");
}

#[test]
fn a_health_check_exits_with_0_only_if_the_service_answers_that_it_is_well() {
    be_the_service_if_child();
    let name = "a_health_check_exits_with_0_only_if_the_service_answers_that_it_is_well";
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let answers = std::thread::spawn(move || {
        for (status, report) in [
            ("200 OK", r#"{"status":"ready","components":{}}"#),
            (
                "503 Service Unavailable",
                r#"{"status":"not ready","components":{"database":{"reason":"down"}}}"#,
            ),
        ] {
            use std::io::Write as _;
            let (mut stream, _) = server.accept().unwrap();
            let length = stream.read(&mut [0; 1024]).unwrap();
            assert!(length > 0, "no request");
            write!(stream, "HTTP/1.1 {status}\r\n\r\n{report}").unwrap();
        }
    });
    let environment = [("HTTP_PORT", port.as_str())];
    let (code, output) = run(name, "healthcheck", &environment);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("test-service: ready\n"), "{output}");
    let (code, output) = run(name, "healthcheck", &environment);
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.contains("test-service: not ready; database: down\n"),
        "{output}"
    );
    answers.join().unwrap();

    let (code, output) = run(name, "healthcheck", &environment);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("does not answer"), "{output}");
    // 2 would be reserved.
    let (code, output) = run(name, "healthcheck", &[("HTTP_PORT", "many")]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("HTTP_PORT: \"many\""), "{output}");
}

#[test]
fn topics_that_no_cluster_answers_for_are_a_failure_after_the_timeout() {
    be_the_service_if_child();
    let name = "topics_that_no_cluster_answers_for_are_a_failure_after_the_timeout";
    // Nobody listens on port 1.
    let environment = [("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")];
    let (code, output) = run(name, "topics --timeout 0s", &environment);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("Topics could not be created."), "{output}");
    assert!(output.contains("the cluster does not answer"), "{output}");
}

/// As the first process of a container, which no signal ends by itself.
#[test]
fn sigterm_ends_the_wait_for_a_cluster_with_143() {
    be_the_service_if_child();
    let name = "sigterm_ends_the_wait_for_a_cluster_with_143";
    // Nobody listens on port 1.
    let environment = [("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")];
    let mut child = spawn(name, "topics --timeout 1h", &environment);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    wait_for(&mut stdout, "Waiting for the cluster.");
    let asked = std::time::Instant::now();
    send("-TERM", &child);
    let (code, output) = finish(child, stdout);
    assert_eq!(code, Some(143), "{output}");
    assert!(
        output.contains("Ended by a signal before the topics were there."),
        "{output}"
    );
    assert!(asked.elapsed() < DEADLINE, "{output}");
}

#[test]
fn a_tool_decides_its_exit_code_and_a_failure_is_1_with_its_reason() {
    be_the_service_if_child();
    let name = "a_tool_decides_its_exit_code_and_a_failure_is_1_with_its_reason";
    let (code, output) = run(name, "tidy", &[("MODE", "done")]);
    assert_eq!(code, Some(4), "{output}");
    assert!(!output.contains("started"), "{output}");
    let (code, output) = run(name, "tidy", &[("MODE", "fail")]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("test-service: too much dust\n"), "{output}");
}

#[test]
fn a_signal_asks_a_tool_to_end_and_gives_it_its_code() {
    be_the_service_if_child();
    let name = "a_signal_asks_a_tool_to_end_and_gives_it_its_code";
    for (signal, expected) in [("-TERM", 143), ("-INT", 130)] {
        let mut child = spawn(name, "tidy", &[]);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        wait_for(&mut stdout, "tidying");
        send(signal, &child);
        let (code, output) = finish(child, stdout);
        assert_eq!(code, Some(expected), "{output}");
        assert!(output.contains("left as it was"), "{output}");
    }
}
