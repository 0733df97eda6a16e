//! Each process is replaced at load, as a rolling update does it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tidegate_testkit::{Client, Sink};

use crate::cluster::{Cluster, KYMA, Part, is_ready, kyma, service, sink_of};

/// So many senders.
const SENDERS: usize = 8;

/// Between two events of a sender.
const PAUSE: Duration = Duration::from_millis(2);

/// How long an event may not be taken by any gateway: the time in which a new one is ready is not
/// among it, as the other one is there.
const REFUSED_MAX: Duration = Duration::from_secs(2);

/// Nothing is missing, and nobody waits for long.
#[tokio::test]
async fn every_process_is_replaced_and_nothing_is_missing() {
    let mut cluster = Cluster::with(2, 2, 2).await;
    let sink = Sink::start(|_| 200).await;
    cluster.apply(&service("billing")).await;
    cluster
        .apply(&kyma(
            "orders",
            &sink_of("billing", &sink.url()),
            "order.created.v1",
        ))
        .await;
    cluster.until((KYMA, "orders"), "ready", is_ready).await;

    let stop = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicUsize::new(0));
    let doors = Arc::new(std::sync::Mutex::new(doors(&mut cluster)));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (stop, sent, doors) = (Arc::clone(&stop), Arc::clone(&sent), Arc::clone(&doors));
            tokio::spawn(send_on(stop, sent, doors))
        })
        .collect();
    for part in [Part::Gateway, Part::Dispatcher, Part::Controller] {
        for _ in 0..2 {
            // The new one first, as with maxUnavailable: 0; then the old one's address is taken away
            // before it ends, as its preStop pause does it.
            cluster.start(part).await;
            let old = cluster.all(part).remove(0);
            *doors.lock().unwrap() = self::doors(&mut cluster);
            old.terminate().await;
        }
    }
    let now = sent.load(Ordering::Relaxed);
    let began = Instant::now();
    while sent.load(Ordering::Relaxed) < now + 50 {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{}",
            cluster.logs()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let waits = futures_util::future::join_all(senders).await;
    let longest = waits.into_iter().map(Result::unwrap).max().unwrap();
    let sent = sent.load(Ordering::Relaxed);
    let mut times: HashMap<String, usize> = HashMap::new();
    let began = Instant::now();
    while times.len() < sent {
        times.clear();
        for one in sink.received(sink.count()).await {
            *times
                .entry(one.header("ce-id").unwrap().to_owned())
                .or_default() += 1;
        }
        let came = times.len();
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{came} of {sent} came\n{}",
            cluster.logs()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let twice = times.values().filter(|count| **count > 1).count();
    println!("{sent} sent, 0 missing, {twice} came more than once, longest wait {longest:?}");
    assert!(longest < REFUSED_MAX, "{longest:?}");
    assert!(is_ready(&cluster.get(KYMA, "orders").await));
}

type Doors = Arc<std::sync::Mutex<Vec<std::net::SocketAddr>>>;

/// Sends one after the other until it is to stop; the longest that one has waited.
async fn send_on(stop: Arc<AtomicBool>, sent: Arc<AtomicUsize>, doors: Doors) -> Duration {
    let mut longest = Duration::ZERO;
    let mut clients: HashMap<_, Client> = HashMap::new();
    while !stop.load(Ordering::Relaxed) {
        let id = sent.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        for tries in id.. {
            let door = {
                let doors = doors.lock().unwrap();
                doors[tries % doors.len()]
            };
            if publish(&mut clients, door, &id.to_string()).await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        longest = longest.max(began.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    longest
}

fn doors(cluster: &mut Cluster) -> Vec<std::net::SocketAddr> {
    let gateways = cluster.all(Part::Gateway).iter();
    gateways.filter_map(|one| one.receive).collect()
}

async fn publish(
    clients: &mut HashMap<std::net::SocketAddr, Client>,
    door: std::net::SocketAddr,
    id: &str,
) -> bool {
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", "commerce"),
        ("ce-type", "order.created.v1"),
    ];
    let client = match clients.remove(&door) {
        Some(client) => Ok(client),
        None => Client::connect(door).await,
    };
    let Ok(mut client) = client else {
        return false;
    };
    match client.send("POST", "/publish", &headers, b"").await {
        Ok(answer) if answer.status == 204 => {
            clients.insert(door, client);
            true
        }
        Ok(_) | Err(_) => false,
    }
}
