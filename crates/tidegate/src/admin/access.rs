//! Who may do what at this door: bearer tokens, each with a role.
//!
//! Those of `admin.tokens` are looked at first, then those of people. Without any of both the door
//! is as open as its address.

mod people;
mod secrets;

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{
        HeaderValue, Method, StatusCode,
        header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use self::{people::People, secrets::Tokens};
use super::{door::Peer, problem::Problem};
use crate::config::{self, Mistakes, Role};

/// When to ask again where the issuer's keys are missing: no sooner are they fetched again.
const NO_KEYS_RETRY: &str = "5";

/// Who asks, told to the operation, and to whoever writes the audit log.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// The name of the token, or of the person.
    pub(super) name: Arc<str>,
    /// The `sub` of a person's token: a name may be that of another one.
    pub(super) subject: Option<Arc<str>>,
}

/// Who may come in.
pub(crate) struct Access {
    tokens: Mutex<Tokens>,
    people: Option<People>,
    /// No token is asked for.
    is_open: bool,
    /// A certificate of `admin.tls.client_ca` is, beside the token.
    wants_certificate: bool,
}

/// Why somebody may not.
enum Denied {
    /// No client certificate.
    NoCertificate,
    /// No token.
    Missing,
    /// One that is not known.
    Unknown,
    /// One of a person, whose time is over.
    Expired,
    /// One of a person, whose time has not come.
    NotYetValid,
    /// One of a person, perhaps: the issuer's keys are missing.
    NoKeys,
    /// One of a person without a role, by this claim.
    NoRole(Who, String),
    /// One whose role does not allow it.
    Role(Who),
}

impl Access {
    /// Reads the secrets; every file that is no use is a mistake.
    pub(crate) fn new(
        config: &config::Admin,
        identity: &tidegate_identity::Config,
    ) -> Result<Self, Mistakes> {
        let tokens = Tokens::new(&config.tokens)?;
        let people = People::of(&config.oidc, identity)?;
        Ok(Self {
            is_open: tokens.is_empty() && people.is_none(),
            tokens: Mutex::new(tokens),
            people,
            wants_certificate: config.tls.client_ca.is_some(),
        })
    }

    /// Whether no token is asked for.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether a client certificate is asked for.
    pub(super) fn wants_certificate(&self) -> bool {
        self.wants_certificate
    }

    /// The issuer of people's tokens.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.people.as_ref().map(|people| &*people.url)
    }

    /// Who asks, if they may do this.
    async fn admit(
        &self,
        has_certificate: bool,
        authorization: Option<HeaderValue>,
        method: &Method,
    ) -> Result<Option<Who>, Denied> {
        if self.wants_certificate && !has_certificate {
            return Err(Denied::NoCertificate);
        }
        if self.is_open {
            return Ok(None);
        }
        let secret = authorization.as_ref().and_then(bearer);
        let secret = secret.ok_or(Denied::Missing)?;
        let (who, role) = match (self.by_secret(secret), &self.people) {
            (Some(found), _) => found,
            (None, Some(people)) => people.find(secret).await?,
            (None, None) => return Err(Denied::Unknown),
        };
        match role {
            Role::Operator => Ok(Some(who)),
            Role::Viewer if method.is_safe() => Ok(Some(who)),
            Role::Viewer => Err(Denied::Role(who)),
        }
    }

    fn by_secret(&self, secret: &[u8]) -> Option<(Who, Role)> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, role) = tokens.find(secret)?;
        let subject = None;
        Some((Who { name, subject }, role))
    }
}

fn bearer(authorization: &HeaderValue) -> Option<&[u8]> {
    let value = authorization.as_bytes();
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
    let peer = request.extensions().get::<ConnectInfo<Peer>>();
    let has_certificate = peer.is_some_and(|ConnectInfo(peer)| peer.has_certificate);
    let authorization = request.headers().get(AUTHORIZATION).cloned();
    let method = request.method().clone();
    let admitted = access.admit(has_certificate, authorization, &method);
    match admitted.await {
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
        match self {
            Self::NoCertificate => Problem {
                status: StatusCode::FORBIDDEN,
                code: "admin/no-certificate",
                detail: "this door wants a client certificate of admin.tls.client_ca, beside a \
                         token where there are some; on the command line: --certificate and --key"
                    .to_owned(),
            }
            .into_response(),
            Self::Missing => unauthenticated(
                "admin/unauthenticated",
                "this door wants a bearer token; on the command line: --token-file",
                "Bearer realm=\"tidegate\"",
            ),
            Self::Unknown => unauthenticated(
                "admin/unauthenticated",
                "the bearer token is none of admin.tokens, nor one that the issuer of admin.oidc \
                 has signed for its audience",
                "Bearer realm=\"tidegate\", error=\"invalid_token\"",
            ),
            Self::Expired => unauthenticated(
                "admin/token-expired",
                "the token has expired; get a new one from its issuer",
                "Bearer realm=\"tidegate\", error=\"invalid_token\", \
                 error_description=\"the token has expired\"",
            ),
            Self::NotYetValid => unauthenticated(
                "admin/token-not-yet-valid",
                "the token is not valid yet; a clock is wrong, here or at its issuer",
                "Bearer realm=\"tidegate\", error=\"invalid_token\", \
                 error_description=\"the token is not valid yet\"",
            ),
            Self::NoKeys => {
                let problem = Problem {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    code: "admin/issuer-unavailable",
                    detail:
                        "the keys of the issuer of admin.oidc cannot be fetched, so its tokens \
                             cannot be verified; the log says why; a token of admin.tokens counts \
                             without it"
                            .to_owned(),
                };
                let retry = [(RETRY_AFTER, HeaderValue::from_static(NO_KEYS_RETRY))];
                (retry, problem).into_response()
            }
            Self::NoRole(who, claim) => {
                let detail = format!(
                    "the token of {:?} gives no role: no value of its claim {claim:?} is one of \
                     admin.oidc.operators or admin.oidc.viewers",
                    &*who.name
                );
                forbidden("admin/no-role", detail, who)
            }
            Self::Role(who) => {
                let detail = format!(
                    "the token of {:?} has the role viewer; this is for the role operator",
                    &*who.name
                );
                forbidden("admin/not-permitted", detail, who)
            }
        }
    }
}

fn unauthenticated(code: &'static str, detail: &str, challenge: &'static str) -> Response {
    let problem = Problem {
        status: StatusCode::UNAUTHORIZED,
        code,
        detail: detail.to_owned(),
    };
    let challenge = [(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))];
    (challenge, problem).into_response()
}

fn forbidden(code: &'static str, detail: String, who: Who) -> Response {
    let problem = Problem {
        status: StatusCode::FORBIDDEN,
        code,
        detail,
    };
    let mut response = problem.into_response();
    response.extensions_mut().insert(who);
    response
}
