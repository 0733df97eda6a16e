//! Who may do what at this door: bearer tokens, each with a role.
//!
//! Without any token the door is as open as its address. No secret is kept, only its digest.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{AUTHORIZATION, WWW_AUTHENTICATE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::problem::Problem;
use crate::config::{self, Mistakes, Role};

/// A shorter secret could be guessed: 16 bytes, as of `openssl rand -hex 16` twice that.
const SECRET_BYTES_MIN: usize = 16;

/// A header with a longer one would be refused by many a proxy.
const SECRET_BYTES_MAX: u64 = 4096;

/// How soon a changed file counts. Whoever asks without a token makes no more files be read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

type Digest = [u8; 32];

/// Who asks, by the name of the token; told to the operation, and to whoever writes the audit log.
#[derive(Clone, Debug)]
pub(super) struct Who(pub(super) Arc<str>);

/// Who may come in.
pub(crate) struct Access {
    tokens: Mutex<Tokens>,
    is_open: bool,
}

struct Tokens {
    all: Vec<Token>,
    looked_at: Instant,
}

struct Token {
    name: Arc<str>,
    role: Role,
    file: PathBuf,
    /// `None` while its file is no use: then it lets nobody in.
    digest: Option<Digest>,
}

/// Why somebody may not.
enum Denied {
    /// No token.
    Missing,
    /// One that is not known.
    Unknown,
    /// One whose role does not allow it.
    Role(Who),
}

impl Access {
    /// Reads the secrets; every file that is no use is a mistake.
    pub(crate) fn new(config: &config::Admin) -> Result<Self, Mistakes> {
        let mut mistakes = Vec::new();
        let mut all: Vec<Token> = Vec::new();
        for token in &config.tokens {
            let mut mistake = |what: &str| {
                mistakes.push(format!("admin.tokens: the file of {:?} {what}", token.name));
            };
            let digest = match read(&token.file) {
                Ok(digest) => digest,
                Err(reason) => {
                    mistake(&reason);
                    continue;
                }
            };
            if all.iter().any(|other| other.digest == Some(digest)) {
                mistake("holds the secret of another token");
            }
            all.push(Token {
                name: token.name.as_str().into(),
                role: token.role,
                file: token.file.clone(),
                digest: Some(digest),
            });
        }
        if !mistakes.is_empty() {
            return Err(Mistakes(mistakes));
        }
        Ok(Self {
            is_open: all.is_empty(),
            tokens: Mutex::new(Tokens {
                all,
                looked_at: Instant::now(),
            }),
        })
    }

    /// Who asks, if they may do this.
    fn admit(&self, headers: &HeaderMap, method: &Method) -> Result<Option<Who>, Denied> {
        if self.is_open {
            return Ok(None);
        }
        let secret = bearer(headers).ok_or(Denied::Missing)?;
        let presented: Digest = Sha256::digest(secret).into();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.look_again();
        let mut found = None;
        // All of them, so that how long it takes tells nothing.
        for token in &tokens.all {
            let digest = token.digest.as_ref();
            if digest.is_some_and(|digest| digest.ct_eq(&presented).into()) {
                found = Some(token);
            }
        }
        let token = found.ok_or(Denied::Unknown)?;
        let who = Who(Arc::clone(&token.name));
        match token.role {
            Role::Operator => Ok(Some(who)),
            Role::Viewer if method.is_safe() => Ok(Some(who)),
            Role::Viewer => Err(Denied::Role(who)),
        }
    }
}

impl Tokens {
    fn look_again(&mut self) {
        if self.looked_at.elapsed() < LOOK_EVERY {
            return;
        }
        self.looked_at = Instant::now();
        for token in &mut self.all {
            let name = &*token.name;
            let now = read(&token.file);
            match &now {
                Ok(digest) if token.digest.as_ref() == Some(digest) => {}
                Ok(_) => tracing::info!(token = name, "a token of the admin door changed"),
                Err(reason) if token.digest.is_some() => {
                    tracing::error!(
                        token = name,
                        file = %token.file.display(),
                        reason,
                        "a token of the admin door lets nobody in until its file is mended"
                    );
                }
                Err(_) => {}
            }
            token.digest = now.ok();
        }
    }
}

/// The digest of what a file holds, without the line's end that an editor puts there.
fn read(file: &Path) -> Result<Digest, String> {
    let mut secret = Zeroizing::new(Vec::new());
    fs::File::open(file)
        .and_then(|file| file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut secret))
        .map_err(|error| format!("cannot be read: {error}"))?;
    let secret = secret.trim_ascii();
    let is_long = u64::try_from(secret.len()).is_ok_and(|length| length > SECRET_BYTES_MAX);
    if secret.len() < SECRET_BYTES_MIN || is_long {
        return Err(format!(
            "must hold {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes"
        ));
    }
    if !secret.iter().all(u8::is_ascii_graphic) {
        return Err("must hold letters, digits and signs of ASCII alone".to_owned());
    }
    Ok(Sha256::digest(secret).into())
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, secret) = value.split_at_checked(b"bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| secret.trim_ascii())
}

/// Lets in who may, and tells the operation and the audit log who it is.
pub(super) async fn only_who_may(
    State(access): State<Arc<Access>>,
    mut request: Request,
    next: Next,
) -> Response {
    match access.admit(request.headers(), request.method()) {
        Ok(who) => {
            if let Some(who) = &who {
                request.extensions_mut().insert(who.clone());
            }
            let mut response = next.run(request).await;
            if let Some(who) = who {
                response.extensions_mut().insert(who);
            }
            response
        }
        Err(denied) => denied.into_response(),
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let unauthenticated = |detail: &str, challenge: &'static str| {
            let problem = Problem {
                status: StatusCode::UNAUTHORIZED,
                code: "admin/unauthenticated",
                detail: detail.to_owned(),
            };
            let challenge = [(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))];
            (challenge, problem).into_response()
        };
        match self {
            Self::Missing => unauthenticated(
                "this door wants a bearer token; on the command line: --token-file",
                "Bearer realm=\"tidegate\"",
            ),
            Self::Unknown => unauthenticated(
                "the bearer token is none of admin.tokens",
                "Bearer realm=\"tidegate\", error=\"invalid_token\"",
            ),
            Self::Role(who) => {
                let problem = Problem {
                    status: StatusCode::FORBIDDEN,
                    code: "admin/not-permitted",
                    detail: format!(
                        "the token {:?} has the role viewer; this is for the role operator",
                        &*who.0
                    ),
                };
                let mut response = problem.into_response();
                response.extensions_mut().insert(who);
                response
            }
        }
    }
}
