//! On a real nats-server.

use std::{fs, net::Ipv4Addr, os::unix::fs::PermissionsExt, path::Path};

use super::*;

fn options(folder: &Path, binary: Option<PathBuf>) -> Options {
    Options {
        binary: binary.or_else(|| Some(tidegate_testkit::nats_server_binary())),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        folder: folder.join("nats"),
        message_bytes_max: 1 << 20,
        fsync: false,
    }
}

async fn until(what: &str, fine: impl Fn() -> bool) {
    let began = Instant::now();
    while !fine() {
        assert!(began.elapsed() < START_MAX, "{what}");
        sleep(POLL).await;
    }
}

fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// A server that dies is back on the same address, and stopping leaves nothing running.
#[tokio::test]
async fn a_killed_server_is_restarted_on_its_port() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(options(dir.path(), None)).await.unwrap();
    let (first, url) = (supervisor.pid(), supervisor.public_url().to_owned());
    kill(first, Signal::KILL);
    until("it is not restarted", || supervisor.pid() != first).await;
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    let began = Instant::now();
    while tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .is_err()
    {
        assert!(began.elapsed() < START_MAX);
        sleep(POLL).await;
    }
    let second = supervisor.pid();
    supervisor.stop().await;
    assert!(
        fs::metadata(format!("/proc/{second}")).is_err(),
        "it still runs"
    );
}

/// After a kill -9 of Tidegate its server still holds the store; the next start takes over.
#[tokio::test]
async fn an_orphan_is_ended_before_a_new_start() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(options(dir.path(), None)).await.unwrap();
    let orphan = supervisor.pid();
    // As after kill -9: nobody watches it, nobody stops it.
    supervisor.task.abort();
    let files = Files::prepare(&options(dir.path(), None)).unwrap();
    let child = spawn(supervisor.binary(), &files);
    drop(child);
    let second = Supervisor::start(options(dir.path(), None)).await.unwrap();
    assert_ne!(second.pid(), orphan);
    let gone = || fs::read(format!("/proc/{orphan}/cmdline")).map_or(true, |line| line.is_empty());
    until("the orphan still runs", gone).await;
    second.stop().await;
}

/// What is promised about the disk is what the server is told, at every start.
#[tokio::test]
async fn the_configuration_says_whether_it_syncs() {
    let dir = tempfile::tempdir().unwrap();
    for (fsync, expected) in [(false, 0), (true, 1), (false, 0)] {
        let options = Options {
            fsync,
            ..options(dir.path(), None)
        };
        let mut files = Files::prepare(&options).unwrap();
        files.write_configuration(4222).unwrap();
        let text = fs::read_to_string(files.configuration()).unwrap();
        assert_eq!(text.matches("sync_interval: always").count(), expected);
    }
}

/// A server that would sync for each event is refused, by its version and with the way out.
#[tokio::test]
async fn fsync_needs_a_server_that_can_do_it() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old");
    fs::write(&old, "#!/bin/sh\necho 'nats-server: v2.14.9'\n").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    let options = Options {
        fsync: true,
        ..options(dir.path(), Some(old))
    };
    let error = Supervisor::start(options).await.unwrap_err().to_string();
    for word in ["2.14.9", "fsync", "2.15", "server.binary"] {
        assert!(error.contains(word), "{error}");
    }
}

/// Nobody else on the machine reads the password.
#[tokio::test]
async fn secrets_are_for_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(options(dir.path(), None)).await.unwrap();
    assert!(supervisor.url().contains('@') && !supervisor.public_url().contains('@'));
    for file in ["nats-server.conf", "url"] {
        let mode = fs::metadata(dir.path().join("nats").join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    supervisor.stop().await;
}

/// Missing, too old, or something else: the error says what to do.
#[tokio::test]
async fn a_wrong_binary_is_said_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let script = |name: &str, says: &str| {
        let path = dir.path().join(name);
        fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    for (binary, expected) in [
        (dir.path().join("absent"), "cannot run"),
        (script("old", "nats-server: v2.9.25"), "too old"),
        (script("other", "hello"), "no nats-server"),
    ] {
        let error = Supervisor::start(options(dir.path(), Some(binary)))
            .await
            .unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains(expected) && text.contains("cargo xtask demo"),
            "{text}"
        );
    }
}
