//! What the services' programs do besides running.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use integration_tests::system::PROCESSES;
use integration_tests::{System, broker, process};
use service_runtime::kafka::{KafkaConfig, KafkaProducer, partition_count};
use test_support::{Test, test};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(the_topics_of_all_groups_are_created_before_any_service_runs_and_left_alone_then, no database),
        test!(a_running_service_passes_its_health_check, no database),
    ]
}

fn command(service: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(process::program())
        .env_clear()
        .env("SERVICE", service)
        .envs(environment.iter().copied())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

async fn the_topics_of_all_groups_are_created_before_any_service_runs_and_left_alone_then() {
    let topic = format!("orders-{}", uuid::Uuid::new_v4().simple());
    let servers = broker::bootstrap_servers();
    let environment = [
        ("KAFKA_BOOTSTRAP_SERVERS", servers.as_str()),
        ("KAFKA_TOPIC", &topic),
        ("KAFKA_TOPIC_PARTITIONS", "5"),
    ];
    for round in ["created", "there already"] {
        let output = command("order", &["topics", "stock", "email"], &environment);
        let log = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{round}: {log}");
        assert!(log.contains("All topics are there."), "{round}: {log}");
    }
    let config = KafkaConfig::for_bootstrap(&servers, "tests");
    let producer = KafkaProducer::new(&config).unwrap();
    for group in [
        "",
        ".orders.dlt",
        ".orders-view.dlt",
        ".stock.dlt",
        ".email.dlt",
    ] {
        let name = format!("{topic}{group}");
        let partitions = partition_count(&producer, &name, Duration::from_secs(30)).await;
        assert_eq!(partitions.unwrap(), 5, "{name}");
    }
}

async fn a_running_service_passes_its_health_check() {
    let mut system = System::start().await;
    for name in PROCESSES {
        let service = name.split('-').next().unwrap();
        let port = system.process(name).port().await.to_string();
        let environment = [("HTTP_PORT", port.as_str()), ("HTTP_ADDRESS", "127.0.0.1")];
        for (arguments, status) in [
            (&["healthcheck"][..], "ready"),
            (&["healthcheck", "--live"], "live"),
        ] {
            let output = command(service, arguments, &environment);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let line = String::from_utf8_lossy(&output.stdout);
            assert_eq!(line, format!("{service}-service: {status}\n"));
        }
    }
}
