//! An issuer of tokens on loopback, which counts what it is asked.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[derive(Debug, Default)]
struct Inside {
    keys: Vec<Value>,
    alleged: Option<String>,
    down: bool,
    redirects: bool,
    fetches: usize,
}

/// Serves a discovery document and keys.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its name, and where it is.
    pub url: String,
    inside: Arc<Mutex<Inside>>,
}

impl Issuer {
    /// Starts on a free port with these keys.
    pub async fn start(keys: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let issuer = Self {
            url: format!("http://{}", listener.local_addr().expect("it is bound")),
            inside: Arc::default(),
        };
        issuer.inside.lock().expect("nobody panics with it").keys = keys;
        let serving = issuer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.clone().answer(stream).await;
            }
        });
        issuer
    }

    /// Has other keys from now on.
    pub fn set_keys(&self, keys: Vec<Value>) {
        self.inside.lock().expect("nobody panics with it").keys = keys;
    }

    /// Answers 503, or no longer.
    pub fn set_down(&self, down: bool) {
        self.inside.lock().expect("nobody panics with it").down = down;
    }

    /// Says another name in its discovery document.
    pub fn pretend_to_be(&self, issuer: &str) {
        self.inside.lock().expect("nobody panics with it").alleged = Some(issuer.to_owned());
    }

    /// Answers discovery with a redirect from now on.
    pub fn redirect(&self) {
        self.inside.lock().expect("nobody panics with it").redirects = true;
    }

    /// How often the keys were fetched.
    pub fn fetches(&self) -> usize {
        self.inside.lock().expect("nobody panics with it").fetches
    }

    async fn answer(self, mut stream: TcpStream) {
        let mut request = Vec::new();
        let mut buffer = [0; 1024];
        while !request.windows(4).any(|four| four == b"\r\n\r\n") {
            match stream.read(&mut buffer).await {
                Ok(count) if count > 0 => {
                    request.extend_from_slice(buffer.get(..count).unwrap_or_default());
                }
                _ => return,
            }
        }
        let (status, body) = self.document(&String::from_utf8_lossy(&request));
        let answer = format!(
            "HTTP/1.1 {status}\r\nlocation: {}/keys\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.url,
            body.len()
        );
        // Whoever has seen enough hangs up.
        stream
            .write_all(answer.as_bytes())
            .await
            .unwrap_or_default();
    }

    fn document(&self, request: &str) -> (&'static str, String) {
        let mut inside = self.inside.lock().expect("nobody panics with it");
        let discovery = request.starts_with("GET /.well-known/openid-configuration ");
        if !discovery {
            inside.fetches += 1;
        }
        if inside.down {
            return ("503 Service Unavailable", String::new());
        }
        if discovery && inside.redirects {
            return ("302 Found", String::new());
        }
        let issuer = inside.alleged.as_ref().unwrap_or(&self.url);
        let document = if discovery {
            json!({"issuer": issuer, "jwks_uri": format!("{}/keys", self.url)})
        } else {
            json!({"keys": inside.keys})
        };
        ("200 OK", document.to_string())
    }
}
