//! Passwords against their argon2id hashes, at a bounded price.

use std::{
    collections::{HashMap, VecDeque},
    fmt, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier};
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use tokio::{sync::Semaphore, time::Instant};
use zeroize::Zeroizing;

use crate::{Config, memory::locked};

/// Hashes that are computed together: each takes a core and up to 64 MiB.
const TOGETHER_MAX: usize = 2;

/// Requests that wait for their turn; above it they are told to come back.
const WAITING_MAX: usize = 64;

/// The memory of one hash, in KiB.
const MEMORY_KIB_MAX: u32 = 64 * 1024;

/// Passes over the memory.
const PASSES_MAX: u32 = 10;

/// Lanes of the memory.
const LANES_MAX: u32 = 4;

/// A hash that is within the bounds.
#[derive(Clone)]
pub(crate) struct Hash(Arc<Zeroizing<String>>);

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hash")
    }
}

impl Hash {
    /// Reads the PHC form.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const BROKEN: &str = "is no password hash in PHC form";
        let hash = PasswordHash::new(text).map_err(|_| BROKEN)?;
        if hash.algorithm.as_str() != Algorithm::Argon2id.as_str() {
            return Err("is not an argon2id hash");
        }
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err(BROKEN);
        }
        let params = Params::try_from(&hash).map_err(|_| BROKEN)?;
        if params.m_cost() > MEMORY_KIB_MAX
            || params.t_cost() > PASSES_MAX
            || params.p_cost() > LANES_MAX
        {
            return Err("costs too much: at most m=65536 (64 MiB), t=10, p=4");
        }
        Ok(Self(Arc::new(Zeroizing::new(text.to_owned()))))
    }

    fn fits(&self, password: &[u8]) -> bool {
        PasswordHash::new(&self.0)
            .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
    }
}

/// The hash of a password, as a secret's file holds it: argon2id in PHC form with a fresh salt, at
/// the cost that OWASP's cheat sheet names first (19 MiB, 2 passes).
///
/// # Errors
/// When the machine has no random bytes to give, or the password is beyond argon2's own bounds.
pub fn hash_password(password: &[u8]) -> Result<String, &'static str> {
    let mut salt = [0; 16];
    let random = SystemRandom::new().fill(&mut salt);
    random.map_err(|_| "there are no random bytes to be had")?;
    Argon2::default()
        .hash_password_with_salt(password, &salt)
        .map(|hash| hash.to_string())
        .map_err(|_| "the password cannot be hashed")
}

/// Too many wait for their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// Verified pairs, oldest first; all live equally long.
#[derive(Default)]
struct Remembered {
    until: HashMap<[u8; 32], Instant>,
    order: VecDeque<[u8; 32]>,
}

/// Verifies passwords, and remembers the good ones for a while under a key that only this process
/// has.
pub(crate) struct Passwords {
    key: hmac::Key,
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    remembered: Mutex<Remembered>,
    remembered_max: usize,
    remembered_for: Duration,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Passwords").finish_non_exhaustive()
    }
}

impl Passwords {
    pub(crate) fn new(config: &Config) -> io::Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| io::Error::other("the machine gives no random numbers"))?;
        Ok(Self {
            key,
            slots: Arc::new(Semaphore::new(TOGETHER_MAX)),
            waiting: AtomicUsize::new(0),
            remembered: Mutex::default(),
            remembered_max: config.verified_cache_max,
            remembered_for: config.verified_for,
        })
    }

    /// Whether the password is the hash's.
    pub(crate) async fn verify(
        &self,
        hash: &Hash,
        username: &str,
        password: &Zeroizing<Vec<u8>>,
    ) -> Result<bool, Busy> {
        let name = self.name_of(hash, username, password);
        if self.remembers(&name) {
            return Ok(true);
        }
        let fits = self.compute(hash, password).await?;
        if fits {
            self.remember(name);
        }
        Ok(fits)
    }

    /// The work of [`Self::verify`] for a user that does not exist, so that the time of the answer
    /// does not tell.
    pub(crate) async fn pretend(
        &self,
        hash: &Hash,
        password: &Zeroizing<Vec<u8>>,
    ) -> Result<(), Busy> {
        self.compute(hash, password).await.map(|_| ())
    }

    async fn compute(&self, hash: &Hash, password: &Zeroizing<Vec<u8>>) -> Result<bool, Busy> {
        let waiting = Waiting::begin(&self.waiting)?;
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            return Err(Busy);
        };
        drop(waiting);
        let (hash, password) = (hash.clone(), password.clone());
        let computed = tokio::task::spawn_blocking(move || {
            let fits = hash.fits(&password);
            drop(slot);
            fits
        });
        computed.await.map_err(|_| Busy)
    }

    /// What a verified pair is remembered as. A new hash makes it another one.
    fn name_of(&self, hash: &Hash, username: &str, password: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [hash.0.as_bytes(), username.as_bytes(), password] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut name = [0; 32];
        name.copy_from_slice(context.sign().as_ref());
        name
    }

    fn remembers(&self, name: &[u8; 32]) -> bool {
        let remembered = locked(&self.remembered);
        let until = remembered.until.get(name);
        until.is_some_and(|until| *until > Instant::now())
    }

    fn remember(&self, name: [u8; 32]) {
        if self.remembered_max == 0 || self.remembered_for.is_zero() {
            return;
        }
        let mut guard = locked(&self.remembered);
        let Remembered { until, order } = &mut *guard;
        if until
            .insert(name, Instant::now() + self.remembered_for)
            .is_some()
        {
            order.retain(|other| *other != name);
        }
        order.push_back(name);
        while order.len() > self.remembered_max {
            if let Some(oldest) = order.pop_front() {
                until.remove(&oldest);
            }
        }
    }
}

/// A place in the queue, given back even when its request is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Result<Self, Busy> {
        let place = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            return Err(Busy);
        }
        Ok(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHasher, Version};

    use super::*;

    fn hash(password: &str) -> Hash {
        let params = Params::new(8, 1, 1, None).unwrap();
        let text = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_with_salt(password.as_bytes(), b"salt for the tests")
            .unwrap();
        Hash::parse(&text.to_string()).unwrap()
    }

    fn passwords(remembered_max: usize) -> Passwords {
        let config = Config {
            verified_cache_max: remembered_max,
            ..Config::default()
        };
        Passwords::new(&config).unwrap()
    }

    fn secret(text: &str) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(text.as_bytes().to_vec())
    }

    /// A changed or withdrawn password must not live on in the memory.
    #[tokio::test]
    async fn a_pair_is_remembered_for_its_own_hash_and_its_own_time() {
        let passwords = passwords(10);
        let (old, new) = (hash("old"), hash("new"));
        assert_eq!(
            passwords.verify(&old, "anna", &secret("old")).await,
            Ok(true)
        );
        assert_eq!(
            passwords.verify(&new, "anna", &secret("old")).await,
            Ok(false)
        );
        assert_eq!(
            passwords.verify(&old, "anna", &secret("new")).await,
            Ok(false)
        );
        let name = passwords.name_of(&old, "anna", b"old");
        assert!(passwords.remembers(&name));
        assert!(!passwords.remembers(&passwords.name_of(&old, "bert", b"old")));
        tokio::time::pause();
        tokio::time::advance(Duration::from_mins(5)).await;
        assert!(!passwords.remembers(&name));
    }

    /// Many users must not fill the memory; the oldest are asked again.
    #[tokio::test]
    async fn the_number_of_remembered_pairs_is_bounded() {
        let passwords = passwords(2);
        let hash = hash("x");
        for username in ["a", "b", "b", "c"] {
            assert_eq!(
                passwords.verify(&hash, username, &secret("x")).await,
                Ok(true)
            );
        }
        assert_eq!(locked(&passwords.remembered).until.len(), 2);
        assert!(!passwords.remembers(&passwords.name_of(&hash, "a", b"x")));
        assert!(passwords.remembers(&passwords.name_of(&hash, "c", b"x")));
    }

    /// Waiting requests hold their bodies' connections; a queue without an end would be one more
    /// way to fill the process.
    #[tokio::test]
    async fn the_queue_of_logins_has_an_end() {
        let passwords = passwords(2);
        let places: Vec<_> = (0..WAITING_MAX)
            .map_while(|_| Waiting::begin(&passwords.waiting).ok())
            .collect();
        assert_eq!(places.len(), WAITING_MAX);
        let hash = hash("x");
        assert_eq!(passwords.verify(&hash, "a", &secret("x")).await, Err(Busy));
        drop(places);
        assert_eq!(passwords.verify(&hash, "a", &secret("x")).await, Ok(true));
    }
}
