//! JetStream alone: messages published straight to it, without headers, many unacknowledged at a
//! time. It is the ceiling of one stream on this machine.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::time::timeout;

use crate::wire::{Wire, frame};

/// Messages that wait for their acknowledgement: JetStream is at its fastest from about here on.
const WINDOW: u64 = 1_024;

/// How long nothing may be acknowledged.
const PATIENCE: Duration = Duration::from_secs(10);

/// Messages a second over that time, all of them acknowledged; their data comes in turn.
pub(crate) async fn publish(
    url: &str,
    stream: &str,
    subject: &str,
    payloads: &[String],
    time: Duration,
) -> anyhow::Result<f64> {
    let mut payloads = payloads.iter().cycle();
    let mut wire = Wire::connect(url).await?;
    let inbox = format!("_INBOX.loadtest.{:x}", fastrand::u64(..));
    let subscribe = format!("SUB {inbox} 1\r\n");
    let outbox = Rc::clone(&wire.outbox);
    outbox.append(|bytes| bytes.extend_from_slice(subscribe.as_bytes()));
    let begins = frame::stored_in(stream);
    let (mut sent, mut acknowledged) = (0_u64, 0_u64);
    let began = Instant::now();
    while began.elapsed() < time || acknowledged < sent {
        if began.elapsed() < time && sent < acknowledged + WINDOW {
            outbox.append(|bytes| {
                while sent < acknowledged + WINDOW {
                    let payload = payloads
                        .next()
                        .map_or(&[][..], |payload| payload.as_bytes());
                    frame::publish(bytes, subject.as_bytes(), inbox.as_bytes(), payload);
                    sent += 1;
                }
            });
        }
        let read = wire.read(|message| {
            if !frame::is_stored(message.body, &begins) {
                let text = String::from_utf8_lossy(message.body);
                bail!("the baseline is void: {text}");
            }
            acknowledged += 1;
            Ok(())
        });
        timeout(PATIENCE, read)
            .await
            .context("no acknowledgement")??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = acknowledged as f64 / began.elapsed().as_secs_f64();
    Ok(rate)
}
