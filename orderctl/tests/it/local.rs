//! What needs no server: completions, programs that are run, an output that is closed.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::json;

use crate::support::{Server, command, orderctl};

#[tokio::test]
async fn every_shell_gets_completions_that_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = orderctl(&["completions", shell], &[]).await;
        assert_eq!(run.code, 0, "{shell}: {}", run.stderr);
        for word in ["redrive", "idempotency-key", "payment"] {
            assert!(run.stdout.contains(word), "{shell}: {word}");
        }
    }
}

#[tokio::test]
async fn a_command_line_that_cannot_be_used_is_a_usage_error_and_help_is_none() {
    for (arguments, code) in [
        (&["bogus"][..], 2),
        (&[], 2),
        (&["dlt", "redrive", "stock"], 2),
        (&["dlt", "redrive", "stock", "17"], 2),
        (&["dlt", "redrive", "stock", "0/17", "--all"], 2),
        (&["dlt", "discard", "stock", "0/17", "--cause", "x"], 2),
        (&["jobs", "retry", "payment"], 2),
        (&["lag", "--timeout", "0s"], 2),
        (&["--help"], 0),
        (&["--version"], 0),
        (&["dlt", "--help"], 0),
    ] {
        let run = orderctl(arguments, &[]).await;
        assert_eq!(run.code, code, "{arguments:?}: {run:?}");
    }
    let kafka = [("KAFKA_SECURITY_PROTOCOL", "carrier pigeon")];
    let setting = orderctl(&["lag"], &kafka).await;
    assert_eq!(setting.code, 2, "{setting:?}");
}

#[tokio::test]
async fn rebuild_runs_the_program_and_ends_with_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("order-service");
    let script = "#!/bin/sh\necho \"$DATABASE_URL:\" \"$@\"\nexit ${CODE:-0}\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().to_str().unwrap();
    let program = program.to_str().unwrap();

    let named = [
        "rebuild",
        "--dry-run",
        "--force",
        "--program",
        program,
        "--",
        "--more",
        "x",
    ];
    let run = orderctl(&named, &[("DATABASE_URL", "sqlite://a")]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(
        run.stdout,
        "sqlite://a: rebuild --dry-run --force --more x\n"
    );

    let found = [
        ("ORDER_SERVICE_PROGRAM", program),
        ("CODE", "42"),
        ("PATH", path),
    ];
    let failed = orderctl(&["rebuild"], &found).await;
    assert_eq!(
        (failed.code, &*failed.stdout, &*failed.stderr),
        (42, ": rebuild\n", "")
    );

    let missing = orderctl(&["rebuild", "--program", "/nowhere/order-service"], &[]).await;
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(
        missing.stderr.contains("say where it is with --program"),
        "{missing:?}"
    );
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let server = Server::start().await;
    let orders: Vec<_> = (0..20_000)
        .map(|n| json!({"orderId": format!("order-{n:030}")}))
        .collect();
    server.then(200, json!({"orders": orders}));
    let mut command = command(&["list", "--order-url", &server.url], &[]);
    let code = tokio::task::spawn_blocking(move || {
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        // More than a pipe holds is still to come when its reader is gone.
        let mut some = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let output = child.wait_with_output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    });
    assert_eq!(code.await.unwrap(), (Some(0), String::new()));
}
