//! NATS with what this benchmark needs of it: groups of messages, written as a whole, and their
//! answers. What it sends is built before the clock runs.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Semaphore,
};

/// Messages of a group: a batch request.
pub(crate) const GROUP: usize = 100;

/// Bytes of data of an event, as in the other benchmarks.
const DATA_BYTES: usize = 1_024;

/// Room for many answers.
const READ_BYTES: usize = 64 * 1_024;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Each message is acknowledged.
    Plain,
    /// The group is.
    Fast,
}

/// A connection. It lives too short for the server to miss an answer to its PING.
pub(crate) struct Client {
    pub(crate) version: String,
    inbox: String,
    reader: Reader,
    write: OwnedWriteHalf,
}

/// What is written at once.
pub(crate) struct Write {
    frames: String,
    groups: u32,
}

struct Reader {
    read: BufReader<OwnedReadHalf>,
    line: Vec<u8>,
    payload: Vec<u8>,
}

/// What JetStream answers to a message.
#[derive(Debug, Deserialize)]
struct Answer {
    /// Of what is no acknowledgement: `ack` for the flow, `gap` and `err`.
    r#type: Option<String>,
    seq: Option<u64>,
    count: Option<usize>,
    #[serde(default)]
    duplicate: bool,
    error: Option<Value>,
}

impl Client {
    pub(crate) async fn open(url: &str) -> Self {
        let address = url.trim_start_matches("nats://");
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (read, write) = stream.into_split();
        let mut client = Self {
            version: String::new(),
            inbox: format!("_INBOX.{:022x}", fastrand::u64(..)),
            reader: Reader {
                read: BufReader::with_capacity(READ_BYTES, read),
                line: Vec::new(),
                payload: Vec::new(),
            },
            write,
        };
        let info = client.reader.line().await.strip_prefix("INFO ");
        let info: Value = serde_json::from_str(info.unwrap()).unwrap();
        client.version = info["version"].as_str().unwrap().to_owned();
        let connect = json!({ "verbose": false, "pedantic": false, "headers": true });
        let hello = format!("CONNECT {connect}\r\nSUB {}.> 1\r\nPING\r\n", client.inbox);
        client.write.write_all(hello.as_bytes()).await.unwrap();
        while client.reader.line().await != "PONG" {}
        client
    }

    /// Of JetStream's API.
    pub(crate) async fn request(&mut self, subject: &str, body: &str) -> Value {
        let Self { inbox, reader, .. } = self;
        let frame = format!("PUB {subject} {inbox}.api {}\r\n{body}\r\n", body.len());
        self.write.write_all(frame.as_bytes()).await.unwrap();
        reader.message(inbox).await;
        serde_json::from_slice(&reader.payload).unwrap()
    }

    /// The messages of so many groups, one of each in turn.
    pub(crate) fn write(&self, way: Way, first: usize, groups: usize) -> Write {
        let data = "1".repeat(DATA_BYTES);
        let mut frames = String::new();
        for number in 0..GROUP {
            for group in first..first + groups {
                frames.push_str(&self.head(way, group, number));
                frames.push_str(&data);
                frames.push_str("\r\n");
            }
        }
        let groups = u32::try_from(groups).unwrap();
        Write { frames, groups }
    }

    /// What stands before a message's data.
    fn head(&self, way: Way, group: usize, number: usize) -> String {
        let inbox = &self.inbox;
        let reply = match way {
            Way::Plain => format!("{inbox}.{group:08x}{number:04x}"),
            Way::Fast => {
                let sequence = number + 1;
                let operation = match sequence {
                    1 => 0,
                    GROUP => 2,
                    _ => 1,
                };
                format!("{inbox}.{group:08x}0000.{GROUP}.fail.{sequence}.{operation}.$FI")
            }
        };
        let id = fastrand::u128(..);
        let headers = format!(
            "NATS/1.0\r\nce-specversion: 1.0\r\nce-id: {id:032x}\r\nce-source: /bench\r\n\
             ce-type: bench.event.v1\r\nce-datacontenttype: application/json\r\n\
             Nats-Msg-Id: {id:032x}\r\n\r\n"
        );
        let (head, all) = (headers.len(), headers.len() + DATA_BYTES);
        let subject = "bench.%2Fbench.bench.event.v1";
        format!("HPUB {subject} {reply} {head} {all}\r\n{headers}")
    }

    /// Sends all, so many groups at once, until each is acknowledged as a whole. Tells how many answers
    /// that took.
    pub(crate) async fn run(&mut self, way: Way, writes: &[Write], at_once: usize) -> u32 {
        let Self {
            inbox,
            reader,
            write,
            ..
        } = self;
        let room = Semaphore::new(at_once);
        let send = async {
            for Write { frames, groups } in writes {
                room.acquire_many(*groups).await.unwrap().forget();
                write.write_all(frames.as_bytes()).await.unwrap();
            }
        };
        let receive = async {
            let groups = writes.iter().map(|write| write.groups).sum();
            let mut open: Vec<Open> = (0..groups).map(|_| Open::default()).collect();
            let (mut left, mut answers) = (groups, 0);
            while left > 0 {
                let token = reader.message(inbox).await;
                let answer: Answer = serde_json::from_slice(&reader.payload).unwrap();
                answers += 1;
                let group = usize::from_str_radix(&token[..8], 16).unwrap();
                let number = usize::from_str_radix(&token[8..], 16).unwrap();
                if open[group].is_whole(way, number, &answer) {
                    left -= 1;
                    room.add_permits(1);
                }
            }
            answers
        };
        tokio::join!(send, receive).1
    }
}

/// A group of which something is not acknowledged.
#[derive(Default)]
struct Open {
    /// A bit for each message.
    acknowledged: u128,
}

impl Open {
    /// Whether this answer was its last.
    fn is_whole(&mut self, way: Way, number: usize, answer: &Answer) -> bool {
        assert!(answer.error.is_none() && !answer.duplicate, "{answer:?}");
        assert!(answer.seq.is_some(), "{answer:?}");
        match answer.r#type.as_deref() {
            Some("ack") if way == Way::Fast => return false,
            r#type => assert_eq!(r#type, None, "{answer:?}"),
        }
        if way == Way::Fast {
            assert_eq!(answer.count, Some(GROUP), "{answer:?}");
            return true;
        }
        let bit = 1 << number;
        assert_eq!(self.acknowledged & bit, 0, "twice: {answer:?}");
        self.acknowledged |= bit;
        self.acknowledged == (1 << GROUP) - 1
    }
}

impl Reader {
    /// Without its end.
    async fn line(&mut self) -> &str {
        self.line.clear();
        self.read.read_until(b'\n', &mut self.line).await.unwrap();
        let line = str::from_utf8(&self.line).unwrap();
        let line = line.strip_suffix("\r\n").expect("the server is there");
        assert!(!line.starts_with("-ERR"), "{line}");
        line
    }

    /// The next message's payload is read; which token its subject has behind the inbox.
    async fn message(&mut self, inbox: &str) -> String {
        loop {
            let Some(message) = self.line().await.strip_prefix("MSG ") else {
                continue;
            };
            let mut words = message.split(' ');
            let subject = words.next().unwrap();
            let bytes: usize = words.next_back().unwrap().parse().unwrap();
            let token = subject.strip_prefix(inbox).unwrap().split('.').nth(1);
            let token = token.unwrap().to_owned();
            self.payload.resize(bytes + "\r\n".len(), 0);
            self.read.read_exact(&mut self.payload).await.unwrap();
            return token;
        }
    }
}
