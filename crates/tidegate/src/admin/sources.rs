//! `/api/v1/sources`: topics that are read, and how each stands.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    routing::get,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tidegate_application::{Format, KafkaSource, Start, Topics};

use super::{
    openapi::{self, Shapes},
    page,
    problem::Problem,
};
use crate::sources::{Known, Stand};

/// The routes.
pub(super) fn routes(known: Known) -> Router {
    Router::new()
        .route("/api/v1/sources", get(list))
        .route("/api/v1/sources/{name}", get(show))
        .with_state(known)
}

/// What the routes take and answer.
pub(super) fn paths(shapes: &mut Shapes) -> Value {
    let shown = shapes.of::<Shown>();
    let all = page::shape(&shown);
    json!({
        "/api/v1/sources": {
            "get": {
                "summary": "Topics that are read as sources, by name",
                "parameters": Shapes::query::<page::Wanted>(),
                "responses": shapes.answers("200", "A page.", Some(&all)),
            },
        },
        "/api/v1/sources/{name}": {
            "parameters": [openapi::in_path("name", "string", "Its name.")],
            "get": {
                "summary": "A source",
                "responses": shapes.answers("200", "The source.", Some(&shown)),
            },
        },
    })
}

/// A KafkaSource, as the process that answers has it. No secret is told, nor where one is.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Source")]
struct Shown {
    name: String,
    /// Some of the cluster's brokers.
    brokers: Vec<String>,
    /// The topics, where they are named.
    topics: Option<Vec<String>>,
    /// What the names of topics match, where they are not.
    topic_pattern: Option<String>,
    /// The consumer group.
    group: String,
    /// Where a group begins that has no offset yet: `earliest` or `latest`.
    start: &'static str,
    /// How records are read; `null` where that is seen from each.
    format: Option<&'static str>,
    /// The Application that it acts as.
    application: String,
    /// The partitions that this process reads, by topic; the others of the group read the rest. Each
    /// with how many of its records are not stored yet, where that is known.
    partitions: BTreeMap<String, BTreeMap<i32, Option<i64>>>,
    /// Records that are not stored yet, of all of these.
    lag: i64,
    /// What is wrong; `null` where nothing is.
    trouble: Option<String>,
}

impl Shown {
    fn of((source, stand): &(KafkaSource, Stand)) -> Self {
        let (topics, topic_pattern) = match source.topics.clone() {
            Topics::Named(topics) => (Some(topics), None),
            Topics::Matching(pattern) => (None, Some(pattern)),
        };
        let lags = stand.partitions.values().flat_map(BTreeMap::values);
        Self {
            name: source.name.clone(),
            brokers: source.cluster.brokers.clone(),
            topics,
            topic_pattern,
            group: source.group.clone(),
            start: match source.start {
                Start::Earliest => "earliest",
                Start::Latest => "latest",
            },
            format: source.format.map(Format::name),
            application: source.application.clone(),
            lag: lags.flatten().sum(),
            partitions: stand.partitions.clone(),
            trouble: stand.trouble.clone(),
        }
    }
}

async fn list(
    State(known): State<Known>,
    wanted: Result<Query<page::Wanted>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(wanted) = wanted?;
    let all = Arc::clone(&known.borrow());
    let all: Vec<_> = all.iter().collect();
    let name = |(source, _): &&(KafkaSource, Stand)| source.name.clone();
    let (page, next) = wanted.of(all, |(source, _), from| *source.name < *from, name);
    let items: Vec<Shown> = page.into_iter().map(Shown::of).collect();
    Ok(Json(json!({ "items": items, "next": next })))
}

async fn show(
    State(known): State<Known>,
    Path(name): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let all = Arc::clone(&known.borrow());
    let one = all.iter().find(|(source, _)| source.name == name);
    let one = one.ok_or_else(|| Problem {
        status: StatusCode::NOT_FOUND,
        code: "admin/no-such-source",
        detail: format!("no document in this process's folder describes a source {name:?}"),
    })?;
    Ok(Json(Shown::of(one)))
}
