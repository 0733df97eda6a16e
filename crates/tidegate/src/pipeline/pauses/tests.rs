//! Pauses over documents, on a register in which others write, or which is away.

use std::sync::Mutex;

use tidegate_backbone::{
    Registered, Shard,
    memory::{Memory, MemoryPresence, MemoryRegister},
};

use super::{door::text, *};

const ID: &str = "shop/billing";
const CONSUMER: &str = "sub-1";

fn pause(subscription: &str, who: &str) -> Pause {
    Pause {
        subscription: subscription.to_owned(),
        who: Some(who.to_owned()),
        since: "2026-11-27T10:14:03.120Z".to_owned(),
        reason: Some("it is mended".to_owned()),
    }
}

fn register() -> MemoryRegister {
    Memory::default().register(Shard::WHOLE)
}

async fn pauses<R: Register>(register: &R) -> Pauses<R> {
    Pauses::of(register.clone()).await.unwrap()
}

fn document(pause: bool) -> Arc<Subscription> {
    let text = format!(
        "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: billing, namespace: shop }}\n\
         spec: {{ sink: {{ uri: 'http://h/' }}, pause: {pause} }}\n"
    );
    let mut parsed = tidegate_subscription::parse(&text).documents;
    Arc::new(parsed.remove(0).1)
}

/// A register in which something happens just before a writing.
#[derive(Clone)]
struct Meddled {
    register: MemoryRegister,
    meddling: Arc<Mutex<Vec<Meddling>>>,
}

#[derive(Clone, Copy)]
enum Meddling {
    /// Somebody else pauses the same Subscription.
    Same,
    /// Somebody else pauses another one.
    Other,
    /// Somebody else takes it away.
    Resume,
    /// Somebody else writes what matters to nobody.
    Touch,
    /// The writing is done, and nobody hears of it.
    Unheard,
    /// The writing is not done.
    Away,
}

impl Meddled {
    fn by(register: &MemoryRegister, meddling: &[Meddling]) -> Self {
        Self {
            register: register.clone(),
            meddling: Arc::new(Mutex::new(meddling.iter().rev().copied().collect())),
        }
    }
}

impl Register for Meddled {
    type Presence = MemoryPresence;

    async fn read(&self) -> Result<Registered, ControlError> {
        self.register.read().await
    }

    async fn revision(&self) -> Result<u64, ControlError> {
        self.register.revision().await
    }

    async fn get(&self, name: &str) -> Result<Option<String>, ControlError> {
        self.register.get(name).await
    }

    async fn write(
        &self,
        name: &str,
        value: Option<&str>,
        revision: u64,
    ) -> Result<u64, RegisterError> {
        let unreachable = || RegisterError::Unreachable {
            detail: "by script".to_owned(),
        };
        let meddling = self.meddling.lock().unwrap().pop();
        let mut other = pauses(&self.register).await;
        match meddling {
            None => {}
            Some(Meddling::Same) => {
                other.pause(CONSUMER, pause(ID, "faster")).await.unwrap();
            }
            Some(Meddling::Other) => {
                other.pause("sub-2", pause("a/b", "other")).await.unwrap();
            }
            Some(Meddling::Resume) => drop(other.resume(ID).await.unwrap()),
            Some(Meddling::Touch) => {
                let now = self.register.revision().await.unwrap();
                self.register.write("nobody", None, now).await.unwrap();
            }
            Some(Meddling::Unheard) => {
                self.register.write(name, value, revision).await.unwrap();
                return Err(unreachable());
            }
            Some(Meddling::Away) => return Err(unreachable()),
        }
        self.register.write(name, value, revision).await
    }

    async fn appear(&self, name: &str) -> Result<MemoryPresence, ControlError> {
        self.register.appear(name).await
    }

    async fn look(&self, name: &str, says: Option<u32>) -> Result<bool, ControlError> {
        self.register.look(name, says).await
    }
}

/// A pause counts for whoever shares the register, and after a restart; so does its end.
#[tokio::test]
async fn all_processes_know_a_pause() {
    let register = register();
    let (mut one, mut other) = (pauses(&register).await, pauses(&register).await);
    assert!(!other.look().await.unwrap());
    let anna = pause(ID, "anna");
    let (is_new, held) = one.pause(CONSUMER, anna.clone()).await.unwrap();
    assert_eq!((is_new, &held), (true, &anna));
    assert!(!one.look().await.unwrap(), "it knows its own");
    assert_eq!(other.by_command(ID), None);
    assert!(other.look().await.unwrap());
    assert!(!other.look().await.unwrap());
    for pauses in [&one, &other, &pauses(&register).await] {
        assert_eq!(pauses.by_command(ID), Some(&anna));
    }
    assert_eq!(other.resume(ID).await.unwrap(), Some(anna));
    assert_eq!(other.resume(ID).await.unwrap(), None);
    assert!(one.look().await.unwrap());
    for pauses in [&one, &other, &pauses(&register).await] {
        assert_eq!(pauses.by_command(ID), None);
    }
}

/// The first one holds, whoever asks again; what somebody else was asked for meanwhile is known.
#[tokio::test]
async fn the_first_pause_holds() {
    let register = register();
    let (mut one, mut other) = (pauses(&register).await, pauses(&register).await);
    one.pause(CONSUMER, pause(ID, "anna")).await.unwrap();
    for pauses in [&mut one, &mut other] {
        let (is_new, held) = pauses.pause(CONSUMER, pause(ID, "ben")).await.unwrap();
        assert_eq!((is_new, held), (false, pause(ID, "anna")));
    }
    assert_eq!(register.revision().await.unwrap(), 1, "nothing is written");
}

/// Whoever is a moment late reads again, and what the faster one wrote stays.
#[tokio::test]
async fn who_is_late_reads_again() {
    let held = async |meddling: &[Meddling]| {
        let register = register();
        let mut late = pauses(&Meddled::by(&register, meddling)).await;
        let (is_new, held) = late.pause(CONSUMER, pause(ID, "late")).await.unwrap();
        let all = pauses(&register).await;
        assert_eq!(all.known, late.known);
        (is_new, held.who.unwrap(), all.known.len())
    };
    assert_eq!(held(&[]).await, (true, "late".to_owned(), 1));
    assert_eq!(
        held(&[Meddling::Same]).await,
        (false, "faster".to_owned(), 1)
    );
    assert_eq!(held(&[Meddling::Other]).await, (true, "late".to_owned(), 2));

    let register = register();
    let mut late = pauses(&Meddled::by(&register, &[])).await;
    late.pause(CONSUMER, pause(ID, "anna")).await.unwrap();
    late.register = Meddled::by(&register, &[Meddling::Other, Meddling::Resume]);
    assert_eq!(late.resume(ID).await.unwrap(), None, "somebody else has");
    assert_eq!(pauses(&register).await.known, late.known);
    assert_eq!(late.known.len(), 1);
}

/// Where the log is away nothing is said to be done, and what was done is known as soon as it is
/// back.
#[tokio::test]
async fn nothing_is_said_to_be_done_that_may_not_be() {
    for (meddling, is_done) in [(Meddling::Away, false), (Meddling::Unheard, true)] {
        let register = register();
        let mut one = pauses(&Meddled::by(&register, &[meddling])).await;
        let refused = one.pause(CONSUMER, pause(ID, "anna")).await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, Refused::Log(_)), "{refused}");
        assert!(refused.to_string().contains("ask again"), "{refused}");
        assert_eq!(one.by_command(ID), None);
        assert_eq!(one.look().await.unwrap(), is_done);
        let (is_new, _) = one.pause(CONSUMER, pause(ID, "ben")).await.unwrap();
        assert_eq!(is_new, !is_done);
    }
}

/// Others who write without an end are no reason to wait without one.
#[tokio::test]
async fn tries_have_an_end() {
    let register = register();
    let mut one = pauses(&Meddled::by(&register, &[Meddling::Touch; TRIES_MAX])).await;
    let refused = one.pause(CONSUMER, pause(ID, "anna")).await;
    assert!(matches!(refused, Err(Refused::Log(_))), "{refused:?}");
    let (is_new, _) = one.pause(CONSUMER, pause(ID, "anna")).await.unwrap();
    assert!(is_new);
}

/// What runs is the document with the pause over it, and it is told which of them pauses.
#[tokio::test]
async fn a_pause_is_laid_over_the_document() {
    let mut pauses = pauses(&register()).await;
    let by_document = |by_command| Paused {
        by_document: true,
        by_command,
    };
    assert_eq!(pauses.over(&document(false)), (document(false), None));
    let (subscription, paused) = pauses.over(&document(true));
    assert_eq!(subscription, document(true));
    assert_eq!(paused, Some(by_document(None)));
    let anna = pause(ID, "anna");
    pauses.pause(CONSUMER, anna.clone()).await.unwrap();
    let (subscription, paused) = pauses.over(&document(false));
    assert_eq!(subscription, document(true), "as if its document said so");
    let paused = paused.unwrap();
    assert_eq!(
        (paused.by_document, &paused.by_command),
        (false, &Some(anna.clone()))
    );
    assert_eq!(
        paused.words(),
        "paused by command of anna since 2026-11-27T10:14:03.120Z: it is mended"
    );
    let (subscription, paused) = pauses.over(&document(true));
    assert_eq!(subscription, document(true));
    assert_eq!(paused, Some(by_document(Some(anna))));
    let mut other = document(false);
    Arc::make_mut(&mut other).name = "other".to_owned();
    assert_eq!(pauses.over(&other), (Arc::clone(&other), None));
}

/// A reason is a line of bounded length.
#[test]
fn a_reason_is_a_short_line() {
    let fits = "ä".repeat(REASON_CHARS_MAX);
    for (reason, expected) in [
        (None, None),
        (Some(""), None),
        (Some(" \n "), None),
        (Some(" why "), Some("why")),
        (Some(&*fits), Some(&*fits)),
    ] {
        assert_eq!(text(reason).unwrap().as_deref(), expected);
    }
    let long = format!("{fits}ä");
    for reason in [&*long, "a\nb", "\u{1b}[2J", "a\u{7f}b"] {
        let refused = text(Some(reason)).unwrap_err();
        assert!(refused.to_string().starts_with("reason: "), "{refused}");
    }
}

/// There is an end to them, and one that ends makes room.
#[tokio::test]
async fn there_are_not_too_many() {
    let register = register();
    let mut pauses = pauses(&register).await;
    for number in 0..PAUSES_MAX {
        let one = serde_json::to_string(&pause(&format!("a/{number}"), "anna")).unwrap();
        let (name, revision) = (format!("sub-{number}"), u64::try_from(number).unwrap());
        let one = register.write(&name, Some(&one), revision);
        one.await.unwrap();
    }
    let refused = pauses.pause("sub-x", pause(ID, "anna")).await;
    assert!(
        matches!(refused, Err(Refused::TooMany(PAUSES_MAX))),
        "{refused:?}"
    );
    let again = pauses.pause("sub-7", pause("a/7", "ben")).await.unwrap();
    assert!(!again.0, "it is paused");
    pauses.resume("a/7").await.unwrap().unwrap();
    assert!(pauses.pause("sub-x", pause(ID, "anna")).await.unwrap().0);
}

/// What somebody else wrote there harms nothing; a newer version may have more to say.
#[tokio::test]
async fn what_is_not_understood_harms_nothing() {
    let register = register();
    let newer = "{\"subscription\":\"shop/billing\",\"since\":\"now\",\"until\":\"then\"}";
    for (revision, (name, value)) in [("sub-0", "no JSON"), ("sub-1", newer), ("sub-2", "{}")]
        .into_iter()
        .enumerate()
    {
        let revision = u64::try_from(revision).unwrap();
        register.write(name, Some(value), revision).await.unwrap();
    }
    let mut pauses = pauses(&register).await;
    let known = pauses.by_command(ID).unwrap();
    assert_eq!(
        (known.who.as_ref(), known.words().as_str()),
        (None, "command since now")
    );
    assert_eq!(pauses.known.len(), 1);
    let orphans = pauses.without(|id| id == "a/b");
    assert_eq!(orphans.count(), 1);
    assert_eq!(pauses.without(|id| id == ID).count(), 0);
    assert!(pauses.resume(ID).await.unwrap().is_some());
}
