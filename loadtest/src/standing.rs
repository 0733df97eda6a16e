//! How a Subscription stands, as the admin doors of all processes say.

use std::{net::SocketAddr, time::Duration};

use anyhow::ensure;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::exchange::Connection;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// How long all of them may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is no such Subscription.
    Unknown,
    /// It is there and does not get events yet.
    Opening,
    Ready,
}

/// Waits until all say so of this Subscription, and tells how long that took.
pub(crate) async fn all(
    admins: &[SocketAddr],
    name: &str,
    wanted: Standing,
) -> anyhow::Result<Duration> {
    let began = Instant::now();
    for admin in admins {
        loop {
            let standing = of(*admin, name).await?;
            if standing == wanted {
                break;
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "{name} is {standing:?} at {admin} after {PATIENCE:?}, not {wanted:?}"
            );
            sleep(LOOK).await;
        }
    }
    Ok(began.elapsed())
}

async fn of(admin: SocketAddr, name: &str) -> anyhow::Result<Standing> {
    let mut connection = Connection::open(admin).await?;
    let request =
        format!("GET /api/v1/subscriptions/default/{name} HTTP/1.1\r\nhost: {admin}\r\n\r\n");
    let (status, body) = connection.asked(request.as_bytes()).await?;
    if status == 404 {
        return Ok(Standing::Unknown);
    }
    ensure!(status == 200, "{admin} answered {status} about {name}");
    let said: Value = serde_json::from_slice(body)?;
    let is_ready = said.get("ready").and_then(Value::as_bool) == Some(true);
    Ok(if is_ready {
        Standing::Ready
    } else {
        Standing::Opening
    })
}
