//! The corpus of hostile bodies and headers (`base-domains/tests/corpus`) over a real socket, each with the answer
//! that its name says, and any other bytes: always an answer, a problem document where it is no order.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use test_support::{Kind, Test, TestDatabase, test};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Answer, DEADLINE, Service};

const ORDER: &[u8] = br#"{"name":"book order","qty":5,"price":10000}"#;
/// Requests of each kind that nobody wrote.
const CASES: usize = 200;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(every_body_of_the_corpus_is_answered_as_its_name_says),
        test!(every_header_of_the_corpus_is_answered_as_its_name_says),
        test!(bodies_too_large_for_a_file_are_answered_with_a_problem),
        test!(any_body_is_answered_with_an_order_or_a_problem),
        test!(any_header_is_answered_with_an_order_or_a_problem),
    ]
}

/// The files of a folder of the corpus, with the status in their names.
fn corpus(folder: &str) -> BTreeMap<String, (u16, Vec<u8>)> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../base-domains/tests/corpus");
    let files = fs::read_dir(corpus.join(folder)).unwrap();
    files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let (status, _) = name.split_once('-').unwrap();
            let status = status.parse().unwrap();
            (name, (status, fs::read(path).unwrap()))
        })
        .collect()
}

/// Posts an order with these further lines of the head.
async fn post(service: &Service, lines: &[u8], body: &[u8]) -> Answer {
    let length = body.len();
    let head = format!(
        "POST /api/v1/orders HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n"
    );
    let request = [head.as_bytes(), lines, b"Connection: close\r\n\r\n", body].concat();
    let exchange = async {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        // The server may have answered and closed before the end of a very long one.
        let written = stream.write_all(&request).await;
        assert!(written.is_ok() || length > 64 * 1024, "{written:?}");
        Answer::read(stream).await
    };
    timeout(DEADLINE, exchange).await.unwrap()
}

/// Checks the answer, and that exactly what is answered with 201 is in the log.
#[track_caller]
fn check(service: &Service, answer: &Answer, placed: &mut usize) {
    match answer.status {
        201 => {
            answer.placed();
            *placed += 1;
        }
        status @ (400 | 413 | 422 | 431) => {
            answer.problem(status);
        }
        _ => panic!("{answer:?}"),
    }
    assert_eq!(service.producer.taken().len(), *placed);
}

async fn every_body_of_the_corpus_is_answered_as_its_name_says(database: TestDatabase) {
    let service = Service::start(database).await;
    let (bodies, mut placed, mut wrong) = (corpus("bodies"), 0, Vec::new());
    assert!(bodies.len() > 90, "{}", bodies.len());
    for (name, (status, body)) in bodies {
        let answer = post(&service, b"", &body).await;
        check(&service, &answer, &mut placed);
        if answer.status != status {
            wrong.push(format!("{name}: {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn every_header_of_the_corpus_is_answered_as_its_name_says(database: TestDatabase) {
    let service = Service::start(database).await;
    let (headers, mut placed, mut wrong) = (corpus("headers"), 0, Vec::new());
    assert!(headers.len() > 30, "{}", headers.len());
    for (name, (status, lines)) in headers {
        let answer = post(&service, &lines, ORDER).await;
        check(&service, &answer, &mut placed);
        if answer.status != status {
            wrong.push(format!("{name}: {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn bodies_too_large_for_a_file_are_answered_with_a_problem(database: TestDatabase) {
    let service = Service::start(database).await;
    let line = r#"{"name":"p","qty":1,"price":1}"#;
    let bodies = [
        (
            413,
            format!(r#"{{"items":[{}]}}"#, vec![line; 1_000_000].join(",")),
        ),
        (413, "[".repeat(1_000_000)),
        (413, format!("{}7", " ".repeat(64 * 1024))),
        (422, "[".repeat(60_000)),
        (422, r#"{"items":"#.repeat(6_000)),
        (
            400,
            format!(r#"{{"name":"b","qty":1,"price":{}}}"#, "9".repeat(60_000)),
        ),
        (
            422,
            format!(r#"{{"items":[{}]}}"#, vec![line; 2_000].join(",")),
        ),
    ];
    for (status, body) in bodies {
        post(&service, b"", body.as_bytes()).await.problem(status);
    }
    assert_eq!(service.producer.taken(), []);
}

/// Values of `strategy`: the same in every run, and others on the other database.
fn values<S: Strategy>(strategy: &S, kind: Kind) -> Vec<S::Value> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[kind.name().as_bytes()[0]; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..CASES)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

async fn any_body_is_answered_with_an_order_or_a_problem(database: TestDatabase) {
    let kind = database.kind();
    let service = Service::start(database).await;
    let place = any::<prop::sample::Index>();
    let damaged = vec((place, any::<u8>()), 0..4).prop_map(|damage| {
        let mut body = ORDER.to_vec();
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        body
    });
    let bodies = prop_oneof![damaged, vec(any::<u8>(), 0..100)];
    let mut placed = 0;
    for body in values(&bodies, kind) {
        let answer = post(&service, b"", &body).await;
        check(&service, &answer, &mut placed);
    }
}

async fn any_header_is_answered_with_an_order_or_a_problem(database: TestDatabase) {
    let kind = database.kind();
    let service = Service::start(database).await;
    let name = prop_oneof![
        prop::sample::select(vec!["Idempotency-Key", "traceparent", "Accept", "X"])
            .prop_map(|name| name.as_bytes().to_vec()),
        vec(any::<u8>(), 1..20),
    ];
    // A line end in it would end the head somewhere else, and the rest would be another request.
    let text = |bytes: Vec<u8>| -> Vec<u8> {
        let ends = |byte: &u8| matches!(byte, b'\r' | b'\n');
        bytes.into_iter().filter(|byte| !ends(byte)).collect()
    };
    let line = (name, vec(any::<u8>(), 0..300)).prop_map(move |(name, value)| {
        [text(name), b": ".to_vec(), text(value), b"\r\n".to_vec()].concat()
    });
    let mut placed = 0;
    for line in values(&line, kind) {
        let answer = post(&service, &line, ORDER).await;
        check(&service, &answer, &mut placed);
    }
}
