//! The whole path on this machine: SAP events to a Function that dies and comes back.

mod function;
pub(crate) mod gateway;

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, bail};

use self::{function::Function, gateway::Gateway};
use crate::{
    nats,
    process::{Run, address, cargo},
    target,
};

/// How long an event may take to arrive, its retries included.
const ARRIVAL_MAX: Duration = Duration::from_secs(60);

/// One request of an SAP system: the door, the content type, further headers, the body, and the
/// id of its event.
struct Sent {
    what: &'static str,
    door: &'static str,
    arguments: &'static [&'static str],
    content_type: &'static str,
    body: &'static str,
    id: &'static str,
}

const STRUCTURED: Sent = Sent {
    what: "S/4HANA, structured CloudEvent",
    door: "/s4/events",
    arguments: &[],
    content_type: "application/cloudevents+json",
    body: r#"{"type":"sap.s4.beh.businesspartner.v1.BusinessPartner.Changed.v1","specversion":"1.0","source":"/default/sap.s4.beh/0LX3QK7","id":"demo-structured","time":"2026-11-20T09:41:27Z","datacontenttype":"application/json","data":{"BusinessPartner":"1003764"}}"#,
    id: "demo-structured",
};

const LABELLED: Sent = Sent {
    what: "S/4HANA, structured CloudEvent labelled application/json",
    door: "/s4/v2/events",
    arguments: &[],
    content_type: "application/json",
    body: r#"{"type":"sap.s4.beh.businesspartner.v1.BusinessPartner.Changed.v1","specversion":"1.0","source":"/default/sap.s4.beh/0LX3QK7","id":"demo-labelled","time":"2026-11-20T09:43:02Z","datacontenttype":"application/json","data":{"BusinessPartner":"1003801"}}"#,
    id: "demo-labelled",
};

const LEGACY: Sent = Sent {
    what: "Commerce, Kyma legacy event",
    door: "/commerce/v1/events",
    arguments: &[],
    content_type: "application/json",
    body: r#"{"event-type":"order.created","event-type-version":"v1","event-id":"5f2c1e6a-90b4-4c5e-8f0d-3a7d51c2b901","event-time":"2026-11-20T14:01:12.500+01:00","data":{"orderCode":"10000481","total":1.10}}"#,
    id: "5f2c1e6a-90b4-4c5e-8f0d-3a7d51c2b901",
};

/// Sent by the flags of `tidegate publish`.
const BINARY: Sent = Sent {
    what: "S/4HANA, binary CloudEvent",
    door: "/s4/events",
    arguments: &[
        "--type",
        "sap.s4.beh.salesorder.v1.SalesOrder.Created.v1",
        "--source",
        "/default/sap.s4.beh/ER9CLNT001",
        "--id",
        "demo-binary",
        "--data",
    ],
    content_type: "application/json",
    body: r#"{"SalesOrder":"3016329"}"#,
    id: "demo-binary",
};

const WHILE_DOWN: [Sent; 3] = [
    while_down("demo-down-1"),
    while_down("demo-down-2"),
    while_down("demo-down-3"),
];

const fn while_down(id: &'static str) -> Sent {
    let arguments: &[&str] = match id.as_bytes() {
        [.., b'1'] => &[
            "--type",
            "order.created.v1",
            "--source",
            "commerce",
            "--id",
            "demo-down-1",
            "--data",
        ],
        [.., b'2'] => &[
            "--type",
            "order.created.v1",
            "--source",
            "commerce",
            "--id",
            "demo-down-2",
            "--data",
        ],
        _ => &[
            "--type",
            "order.created.v1",
            "--source",
            "commerce",
            "--id",
            "demo-down-3",
            "--data",
        ],
    };
    Sent {
        what: "Commerce, while the Function is down",
        door: "/commerce/events",
        arguments,
        content_type: "application/json",
        body: r#"{"orderCode":"10000482","total":99.90}"#,
        id,
    }
}

/// The program. A demo that only tells whether all arrives takes the one that tests are built with, and
/// spares a machine that has run them a release build.
fn built(once: bool) -> anyhow::Result<PathBuf> {
    println!("building tidegate; the first time takes some minutes");
    if once {
        cargo("test")
            .args(["--workspace", "--quiet", "--locked", "--no-run"])
            .args(["--test", "kafka"])
            .run()?;
        return Ok(target().canonicalize()?.join("debug/tidegate"));
    }
    cargo("build")
        .args(["--release", "--locked", "--package", "tidegate"])
        .run()?;
    Ok(target().canonicalize()?.join("release/tidegate"))
}

pub(crate) fn run(once: bool) -> anyhow::Result<()> {
    let nats_server = nats::ensure()?;
    let binary = built(once)?;
    let folder = target().canonicalize()?.join("demo");
    // Each demo begins with an empty log.
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder)?;
    let sink = address(if once { 0 } else { 8090 })?;
    let gateway = Gateway::start(&binary, &nats_server, &folder, sink, once)?;
    println!("\ntidegate runs: {}", gateway.url());
    let mut function = Function::start(&binary, sink)?;
    println!("a Function listens on http://{sink}/\n");

    let mut expected = BTreeSet::new();
    for sent in [STRUCTURED, BINARY, LEGACY, LABELLED] {
        send(&binary, &folder, gateway.url(), &sent)?;
        expected.insert(sent.id.to_owned());
    }
    function.wait_for(&expected, ARRIVAL_MAX)?;

    println!("\nkill -9 of the Function; three more events:");
    let seen = function.kill()?;
    for sent in WHILE_DOWN {
        send(&binary, &folder, gateway.url(), &sent)?;
        expected.insert(sent.id.to_owned());
    }
    println!("\nthe Function starts again; what was retried meanwhile arrives:");
    let mut function = Function::start_after(&binary, sink, seen)?;
    function
        .wait_for(&expected, ARRIVAL_MAX)
        .with_context(|| gateway.log_hint())?;
    println!(
        "\nall {} events arrived, {} of them more than once",
        expected.len(),
        function.repeated()
    );

    if once {
        drop(function);
        return match gateway.terminate()? {
            Some(0) => Ok(()),
            code => bail!("tidegate ended with {code:?}"),
        };
    }
    next(&gateway, &binary);
    function.wait_until_interrupted()
}

fn send(binary: &PathBuf, folder: &std::path::Path, url: &str, sent: &Sent) -> anyhow::Result<()> {
    let mut publish = Command::new(binary);
    publish.args(["publish", "--url", url, "--door", sent.door]);
    publish.args(["--content-type", sent.content_type]);
    if sent.arguments.is_empty() {
        let file = folder.join("payload");
        fs::write(&file, sent.body)?;
        publish.arg("--raw").arg(file);
    } else {
        publish.args(sent.arguments).arg(sent.body);
    }
    let said = publish.output()?;
    if !said.status.success() {
        bail!(
            "{}: {}",
            sent.what,
            String::from_utf8_lossy(&said.stderr).trim()
        );
    }
    let answer = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    println!("→ POST {:<20} {:<57} {answer}", sent.door, sent.what);
    Ok(())
}

fn next(gateway: &Gateway, binary: &std::path::Path) {
    println!(
        "\nIt goes on running; Ctrl-C ends it. To try next:\n\n  \
         curl -i {}/commerce/events -H 'ce-specversion: 1.0' -H 'ce-id: 1' -H 'ce-source: commerce' \\\n    \
         -H 'ce-type: order.created.v1' -H 'content-type: application/json' -d '{{\"total\":1.10}}'\n  \
         {} publish --help\n  \
         curl {}/metrics\n\n\
         Subscriptions are read again when they change: {}\n",
        gateway.url(),
        binary.display(),
        gateway.admin(),
        gateway.subscriptions().display(),
    );
}
