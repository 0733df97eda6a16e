//! Order by key, by two processes that are killed in turn.

use std::{
    collections::HashMap,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tidegate_testkit::{Client, NatsServer, Received, Sink};

use crate::harness::{PATIENCE, Tidegate, binary};

const KEYS: usize = 8;
const EACH: usize = 150;

/// Short, so that what a killed process held comes again soon.
const CONFIGURATION: &str = "consume: { ack_wait: 2s, \
                             retry: { attempts_max: 10000, backoff_delay: 100ms, backoff_max: 1s } }\n";

fn document(sink: &str) -> String {
    format!(
        "apiVersion: eventing.tidegate.dev/v1alpha1\n\
         kind: Subscription\n\
         metadata: {{ name: ordered }}\n\
         spec:\n\
         \x20 sink: {{ uri: \"{sink}\" }}\n\
         \x20 delivery: {{ order: {{ key: subject }} }}\n"
    )
}

/// Publishes all of one key, one after the other, to whichever process answers.
async fn publish(addresses: [std::net::SocketAddr; 2], key: usize, published: Arc<AtomicUsize>) {
    let subject = format!("k{key}");
    for number in 0..EACH {
        let id = format!("{key}-{number}");
        let mut headers = binary(&id, "/s", "t.v1");
        headers.push(("ce-subject", &subject));
        let began = Instant::now();
        for address in addresses.iter().cycle() {
            assert!(began.elapsed() < PATIENCE, "nobody takes {id}");
            if let Ok(mut client) = Client::connect(*address).await
                && let Ok(answer) = client.send("POST", "/publish", &headers, b"{}").await
            {
                assert!(!(400..500).contains(&answer.status), "{}", answer.text());
                if answer.status < 300 {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        published.fetch_add(1, Ordering::Relaxed);
    }
}

/// Key and number of what came, in this order.
type Arriving = Arc<Mutex<Vec<(usize, usize)>>>;

/// Some fail at first, so that lanes wait.
async fn sink(arriving: Arriving) -> Sink {
    let failures: Mutex<HashMap<String, usize>> = Mutex::default();
    Sink::start(move |request| {
        let id = request.header("ce-id").unwrap().to_owned();
        let (key, number) = id.split_once('-').unwrap();
        let number: usize = number.parse().unwrap();
        arriving
            .lock()
            .unwrap()
            .push((key.parse().unwrap(), number));
        let mut failures = failures.lock().unwrap();
        let failed = failures.entry(id.clone()).or_default();
        *failed += 1;
        if number % 50 == 7 && *failed < 3 {
            500
        } else {
            200
        }
    })
    .await
}

/// Events reach the sink in the order of their key, whoever dies; none is lost, and none comes
/// again after a later one of its key.
#[tokio::test]
async fn order_is_kept_by_whoever_delivers() {
    let nats = NatsServer::start().await;
    let received: Arriving = Arc::default();
    let sink = sink(Arc::clone(&received)).await;
    let (document, url) = (document(&sink.url()), nats.url());
    let arguments = ["--nats", url.as_str()];
    let mut both = [
        Tidegate::up_with(&document, CONFIGURATION, &arguments).await,
        Tidegate::up_with(&document, CONFIGURATION, &arguments).await,
    ];
    let addresses = [both[0].receive, both[1].receive];
    let published = Arc::new(AtomicUsize::new(0));
    let load: Vec<_> = (0..KEYS)
        .map(|key| tokio::spawn(publish(addresses, key, Arc::clone(&published))))
        .collect();
    let delivered = || {
        let received = received.lock().unwrap();
        received
            .iter()
            .filter(|(_, number)| *number == EACH - 1)
            .count()
    };
    for round in 0..4 {
        let before = received.lock().unwrap().len();
        let began = Instant::now();
        while received.lock().unwrap().len() < before + 100 && delivered() < KEYS {
            assert!(
                began.elapsed() < PATIENCE,
                "nothing comes: {}",
                both[0].log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let one = &mut both[round % 2];
        one.kill();
        one.start().await;
    }
    for load in load {
        load.await.unwrap();
    }
    let began = Instant::now();
    while delivered() < KEYS {
        let missing = "the last events never come";
        assert!(
            began.elapsed() < PATIENCE,
            "{missing}: {} {}",
            both[0].log(),
            both[1].log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let received = received.lock().unwrap();
    for key in 0..KEYS {
        let numbers = received.iter().filter(|(of, _)| *of == key);
        let numbers: Vec<usize> = numbers.map(|(_, number)| *number).collect();
        let mut once = numbers.clone();
        once.dedup();
        assert_eq!(once, (0..EACH).collect::<Vec<_>>(), "of {numbers:?}");
    }
}

/// With `onDeadLetter: stop` a key waits for its letter, through a restart; when that is sent again,
/// what is behind it comes, in order. Other keys do not wait.
// The sink answers while the command runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_waits_for_its_dead_letter() {
    let takes = Arc::new(AtomicBool::new(false));
    let is_taken = Arc::clone(&takes);
    let sink = Sink::start(move |request| match request.header("ce-id") {
        Some("0-1") if !is_taken.load(Ordering::Relaxed) => 422_u16,
        _ => 200,
    })
    .await;
    let document = document(&sink.url()).replace("subject }", "subject, onDeadLetter: stop }");
    let mut tidegate = Tidegate::up(&document, CONFIGURATION).await;
    for number in 0..3 {
        for key in 0..2 {
            let (id, subject) = (format!("{key}-{number}"), format!("k{key}"));
            let mut headers = binary(&id, "/s", "t.v1");
            headers.push(("ce-subject", &subject));
            let answer = tidegate.send("POST", "/publish", &headers, b"{}").await;
            assert_eq!(answer.status, 204, "{}", answer.text());
        }
    }
    let ids = |received: Vec<Received>| -> Vec<String> {
        let ids = received.iter().map(|one| one.header("ce-id"));
        ids.map(|id| id.unwrap().to_owned()).collect()
    };
    let stopped = "tidegate_consume_keys_stopped";
    tidegate.metric_reaches(stopped, 1.0).await;
    sink.received(5).await;
    tidegate.terminate().await;
    tidegate.start().await;
    tidegate.metric_reaches(stopped, 1.0).await;
    let mut before = ids(sink.received(5).await);
    before.sort();
    assert_eq!(before, ["0-0", "0-1", "1-0", "1-1", "1-2"]);
    takes.store(true, Ordering::Relaxed);
    let admin = format!("http://{}", tidegate.admin);
    let redriven = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["dead-letters", "--admin", &admin, "redrive", "1"])
        .output()
        .unwrap();
    assert!(redriven.status.success(), "{redriven:?}");
    let all = ids(sink.received(7).await);
    assert_eq!(all[5..], ["0-1", "0-2"]);
}
