//! An event in a sink's answer (Knative data plane, "Derived (Reply) Events").

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tidegate_event::{
    Leniency,
    http::{Mode, decode_binary, mode},
    json,
};

use crate::{Answer, Failure, Outcome, answer};

/// An answer 200 to a request that said that a reply is wanted.
pub(crate) fn read(headers: &HeaderMap, body: Bytes) -> Outcome {
    let begin = body.slice(..body.len().min(answer::BEGIN_BYTES_MAX));
    let event = match mode(headers) {
        Ok(None) => Ok(None),
        Ok(Some(Mode::Binary)) => decode_binary(headers, body, Leniency::Strict).map(Some),
        Ok(Some(Mode::Structured)) => json::decode(body, Leniency::Strict).map(Some),
        Ok(Some(Mode::Batch)) => return malformed("it is a batch".to_owned(), begin),
        Err(error) => Err(error),
    };
    match event {
        Ok(reply) => Outcome::Delivered {
            status: StatusCode::OK,
            reply: reply.map(Box::new),
        },
        Err(error) => malformed(error.to_string(), begin),
    }
}

fn malformed(reason: String, body: Bytes) -> Outcome {
    let status = StatusCode::OK;
    Outcome::Retry {
        failure: Failure {
            code: "deliver/malformed-reply",
            detail: format!("the sink's reply is no event: {reason}"),
            answer: Some(Answer { status, body }),
        },
        after: None,
    }
}
