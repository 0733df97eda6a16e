//! `/api/v1/openapi.json`: what the operations take and answer (OpenAPI 3.1).
//!
//! Shapes are derived from what is read and written; which operation has which stands beside its
//! route.

use axum::{Json, Router, routing::get};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    Access, applications, dead_letters, events, log_level, problem, replays, sources, status,
    subscriptions,
};

/// The routes.
pub(super) fn routes(access: &Access) -> Router {
    let document = Json(document(access));
    Router::new().route(
        "/api/v1/openapi.json",
        get(|| async move { document.clone() }),
    )
}

fn document(access: &Access) -> Value {
    let mut shapes = Shapes::new();
    let mut paths = Map::new();
    for of_one in [
        subscriptions::paths(&mut shapes),
        events::paths(&mut shapes),
        events::tail::paths(&mut shapes),
        dead_letters::paths(&mut shapes),
        replays::paths(&mut shapes),
        applications::paths(&mut shapes),
        sources::paths(&mut shapes),
        log_level::paths(&mut shapes),
        status::paths(&mut shapes),
    ] {
        if let Value::Object(of_one) = of_one {
            paths.extend(of_one);
        }
    }
    let (ways, wanted) = ways_in(access);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate operations",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "On the admin door. Pages of other origins are refused.",
        },
        "paths": paths,
        "security": wanted,
        "components": {
            "schemas": shapes.0.take_definitions(true),
            "securitySchemes": ways,
        },
    })
}

/// How to say who asks, and which of it is enough. Nothing, where nobody is asked.
fn ways_in(access: &Access) -> (Map<String, Value>, Vec<Value>) {
    let mut ways = Map::new();
    if !access.is_open() {
        let token = json!({
            "type": "http",
            "scheme": "bearer",
            "description": "A secret of admin.tokens, or a token (JWT) of the issuer of admin.oidc.",
        });
        ways.insert("token".to_owned(), token);
    }
    if let Some(issuer) = access.issuer() {
        let issuer = issuer.trim_end_matches('/');
        let person = json!({
            "type": "openIdConnect",
            "openIdConnectUrl": format!("{issuer}/.well-known/openid-configuration"),
        });
        ways.insert("person".to_owned(), person);
    }
    let mut wanted: Vec<Value> = ways.keys().map(|way| json!({ way: [] })).collect();
    if access.wants_certificate() {
        const CERTIFICATE: &str = "certificate";
        ways.insert(CERTIFICATE.to_owned(), json!({ "type": "mutualTLS" }));
        if wanted.is_empty() {
            wanted.push(json!({}));
        }
        // Beside the token.
        for one in wanted.iter_mut().filter_map(Value::as_object_mut) {
            one.insert(CERTIFICATE.to_owned(), json!([]));
        }
    }
    (ways, wanted)
}

/// The shapes that operations refer to.
pub(super) struct Shapes(SchemaGenerator);

impl Shapes {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12();
        let settings = settings.with(|settings| {
            settings.definitions_path = "/components/schemas".into();
        });
        Self(settings.into_generator())
    }

    /// A reference to the shape of `T`.
    pub(super) fn of<T: JsonSchema>(&mut self) -> Value {
        self.0.subschema_for::<T>().to_value()
    }

    /// Each member of `T` as a parameter.
    pub(super) fn query<T: JsonSchema>() -> Vec<Value> {
        let shape = Self::new().0.into_root_schema_for::<T>();
        let members = shape.get("properties").and_then(Value::as_object);
        members
            .into_iter()
            .flatten()
            .map(|(name, schema)| {
                let mut schema = schema.clone();
                let description = schema
                    .as_object_mut()
                    .and_then(|one| one.remove("description"));
                json!({
                    "name": name,
                    "in": "query",
                    "description": description.unwrap_or_default(),
                    "schema": schema,
                })
            })
            .collect()
    }

    /// An answer that goes on, as server-sent events.
    pub(super) fn stream(&mut self, about: &str) -> Value {
        let mut answers = self.answers("200", about, None);
        if let Some(Value::Object(done)) = answers.get_mut("200") {
            let content = json!({ "text/event-stream": { "schema": { "type": "string" } } });
            done.insert("content".to_owned(), content);
        }
        answers
    }

    /// The answer of this status, with a body of this shape; every other is a problem.
    pub(super) fn answers(&mut self, status: &str, about: &str, body: Option<&Value>) -> Value {
        let mut done = Map::from_iter([("description".to_owned(), json!(about))]);
        if let Some(schema) = body {
            let content = json!({ "application/json": { "schema": schema } });
            done.insert("content".to_owned(), content);
        }
        let problem = self.of::<problem::Body>();
        json!({
            status: done,
            "default": {
                "description": "A problem (RFC 9457); `code` says which.",
                "content": { "application/problem+json": { "schema": problem } },
            },
        })
    }
}

/// `items`, each of this shape.
pub(super) fn items(item: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["items"],
        "properties": { "items": { "type": "array", "items": item } },
    })
}

/// A parameter in the path.
pub(super) fn in_path(name: &str, r#type: &str, about: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": about,
        "schema": { "type": r#type },
    })
}
