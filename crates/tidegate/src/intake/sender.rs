//! Who sends a request, and what they may send.

use std::{sync::Arc, time::SystemTime};

use http::StatusCode;
use tidegate_application::{Application, Format};
use tidegate_event::Event;
use tidegate_identity::{BodyCheck, ClientCertificate, Proof, Request};
use tidegate_normalize::Reading;
use tidegate_receive::{Door, Head, Peer, Refusal, WebHook};

use super::refusal;
use crate::applications::{Directory, Member, Quota};

/// A sender.
pub(crate) struct Sender {
    member: Arc<Member>,
    identity: Identity,
}

enum Identity {
    /// A connected system, proven.
    Known,
    /// A connected system, if the body proves it.
    ByBody(BodyCheck),
    /// Somebody at an address that may send without an identity.
    Anonymous,
}

/// Why an event may not be sent by its sender.
pub(crate) struct Denied {
    pub(crate) code: &'static str,
    pub(crate) detail: String,
}

impl Sender {
    /// Who sends, as far as the head of the request says it. `nobody` stands for those who send
    /// without an identity through a door that names no Application.
    pub(super) async fn of(
        head: &Head,
        directory: &Directory,
        nobody: &Arc<Member>,
    ) -> Result<Self, Refusal> {
        let door = head.door;
        let named = head.application.as_deref();
        let anonymous = |member| {
            if directory.lets_in_anonymously(head.peer.address.ip()) {
                let identity = Identity::Anonymous;
                Ok(Self { member, identity })
            } else {
                Err(refusal::of_stranger(door))
            }
        };
        if !directory.is_documented() {
            let undocumented = |name| Arc::new(Member::undocumented(name));
            return anonymous(named.map_or_else(|| Arc::clone(nobody), undocumented));
        }
        let certificate = certificate(&head.peer);
        let request = Request {
            headers: &head.headers,
            peer: head.peer.address.ip(),
            certificate: certificate.as_ref(),
            now: SystemTime::now(),
        };
        // In a place of its own: it is large, and many requests do without.
        let proof = Box::pin(directory.identities().by_head(named, &request)).await;
        let (name, identity) = match proof.map_err(|refused| refusal::of_identity(door, refused))? {
            Proof::Known(name) => (name, Identity::Known),
            Proof::NeedsBody(check) => (Arc::clone(check.client()), Identity::ByBody(check)),
            Proof::Anonymous => return anonymous(Arc::clone(nobody)),
        };
        match directory.member(&name) {
            Some(member) => Ok(Self { member, identity }),
            // Identities and members are made of the same documents.
            None => Err(refusal::of_stranger(door)),
        }
    }

    /// One that need not prove who it is, since who runs Tidegate has said it; none yet, where
    /// documents say who there is, and not this one.
    #[cfg(feature = "kafka")]
    pub(crate) fn acting_as(name: &str, directory: &Directory) -> Option<Self> {
        if let Some(member) = directory.member(name) {
            let identity = Identity::Known;
            return Some(Self { member, identity });
        }
        let nobody = || Self {
            member: Arc::new(Member::undocumented(name)),
            identity: Identity::Anonymous,
        };
        (!directory.is_documented()).then(nobody)
    }

    /// The same, once the body is there.
    pub(super) fn proven_by(self, body: &[u8], door: Door) -> Result<Self, Refusal> {
        match self.identity {
            Identity::Known | Identity::Anonymous => Ok(self),
            Identity::ByBody(check) => {
                check
                    .check(body)
                    .map_err(|refused| refusal::of_identity(door, refused))?;
                Ok(Self {
                    member: self.member,
                    identity: Identity::Known,
                })
            }
        }
    }

    pub(crate) fn application(&self) -> &Application {
        &self.member.application
    }

    pub(crate) fn quota(&self) -> &Quota {
        &self.member.quota
    }

    /// Counts events that it sent, where it is a connected system that documents describe. Who has
    /// not proved to be one must not count as it.
    pub(crate) fn has_sent(&self, accepted: usize, refused: usize) {
        if let (true, Some(counts)) = (self.is_known(), &self.member.counts) {
            counts.add(accepted, refused);
        }
    }

    /// Whether it is a connected system.
    pub(crate) fn is_known(&self) -> bool {
        matches!(self.identity, Identity::Known)
    }

    /// Whether an event is one that it may send.
    pub(crate) fn may_send(
        &self,
        event: &Event,
        format: Format,
        directory: &Directory,
    ) -> Result<(), Denied> {
        if !self.is_known() {
            return match directory.claimed_by(&event.source) {
                None => Ok(()),
                Some(owner) => Err(Denied {
                    code: "identity/source-claimed",
                    detail: format!(
                        "source {:?} belongs to the application {owner:?}, which has to prove itself",
                        event.source
                    ),
                }),
            };
        }
        let application = self.application();
        if !application.grants_source(&event.source, format) {
            return Err(Denied {
                code: "identity/source-not-granted",
                detail: format!(
                    "application {:?} may not use source {:?}; its spec.sources says what it may",
                    application.name, event.source
                ),
            });
        }
        if !application.grants_type(&event.r#type) {
            return Err(Denied {
                code: "identity/type-not-granted",
                detail: format!(
                    "application {:?} may not use type {:?}; its spec.types says what it may",
                    application.name, event.r#type
                ),
            });
        }
        Ok(())
    }
}

/// The certificate of the connection. The listener has verified it, so it can be read.
fn certificate(peer: &Peer) -> Option<ClientCertificate> {
    ClientCertificate::from_der(peer.certificate.as_deref()?).ok()
}

/// What a door says of the format.
pub(super) fn reading(door: Door, application: &Application) -> Reading {
    let format = match door {
        Door::Publish => return Reading::Publish,
        Door::Events | Door::ApplicationEvents | Door::ApplicationEventsV2 => return Reading::Seen,
        Door::Legacy => Format::KymaLegacy,
        Door::EventHub | Door::WebHook(WebHook::EventHub) => Format::EventHub,
        Door::EventMeshWebhook | Door::WebHook(WebHook::EventMesh) => Format::EventMeshWebhook,
        Door::EventMeshRest => Format::EventMeshRest,
        Door::EventMeshEventsApi => Format::EventMeshEventsApi,
        Door::SuccessFactors => Format::SuccessFactors,
        Door::WebHook(WebHook::Concur) => Format::Concur,
        Door::WebHook(WebHook::CustomerDataCloud) => Format::CustomerDataCloud,
        Door::WebHook(WebHook::CloudAlm) => Format::CloudAlm,
        Door::WebHook(WebHook::AlertNotification) => Format::AlertNotification,
        Door::WebHook(WebHook::LeanIx) => Format::LeanIx,
        Door::WebHook(WebHook::Generic) => match application.format {
            Some(format @ (Format::GenericJson | Format::GenericXml)) => format,
            Some(_) | None => return Reading::Seen,
        },
        Door::Idoc => Format::Idoc,
        Door::Cxml => Format::Cxml,
    };
    Reading::As(format)
}

/// The status that an Application wants as the answer to what its mapping reads.
pub(super) fn status(door: Door, application: &Application) -> Option<StatusCode> {
    if door != Door::WebHook(WebHook::Generic) {
        return None;
    }
    let status = application.mapping.as_ref()?.status?;
    StatusCode::from_u16(status).ok()
}
