//! A request's body, read to its end or to a limit.
//!
//! Nothing is decoded here, and no more is held than the limits say.

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;

use crate::{error::Error, limits::Reservation};

/// Reads a body whole. What is held is counted in the reservation.
pub(crate) async fn read(
    mut body: Body,
    bytes_max: u64,
    reservation: &mut Reservation,
) -> Result<Bytes, Error> {
    let declared = body.size_hint().lower();
    if declared > bytes_max {
        return Err(Error::BodyTooLarge {
            declared: Some(declared),
            bytes_max,
        });
    }
    let Some(first) = next(&mut body, 0, bytes_max, reservation).await? else {
        return Ok(Bytes::new());
    };
    // Most bodies come in one piece, which is not copied.
    let Some(second) = next(&mut body, first.len(), bytes_max, reservation).await? else {
        return Ok(first);
    };
    // The announced size was checked above, and pages that nothing is written to cost nothing.
    let capacity = usize::try_from(declared)
        .unwrap_or_default()
        .max(first.len() + second.len());
    let mut whole = BytesMut::with_capacity(capacity);
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(more) = next(&mut body, whole.len(), bytes_max, reservation).await? {
        whole.extend_from_slice(&more);
    }
    Ok(whole.freeze())
}

/// The next piece that is not empty; trailers are left aside.
async fn next(
    body: &mut Body,
    have: usize,
    bytes_max: u64,
    reservation: &mut Reservation,
) -> Result<Option<Bytes>, Error> {
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else {
            break;
        };
        let Ok(piece) = frame.map_err(Error::BodyIncomplete)?.into_data() else {
            continue;
        };
        if piece.is_empty() {
            continue;
        }
        if have as u64 + piece.len() as u64 > bytes_max {
            return Err(Error::BodyTooLarge {
                declared: None,
                bytes_max,
            });
        }
        reservation
            .grow(piece.len())
            .map_err(|bytes_max| Error::BufferFull { bytes_max })?;
        return Ok(Some(piece));
    }
    Ok(None)
}
