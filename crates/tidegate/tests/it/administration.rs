//! The admin door: who may do what there, and what is told of it.

use std::process::{Command, Output};

use crate::harness::Tidegate;

fn command(of: &Tidegate, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .args(["--admin", &format!("http://{}", of.admin)])
        .output()
        .unwrap()
}

/// What is logged is changed while it runs, until the next start; what is no level changes nothing.
#[tokio::test]
async fn the_log_level_is_changed_while_it_runs() {
    let mut tidegate = Tidegate::up("", "telemetry: { log: { level: warn } }\n").await;
    let said = |arguments: &[&str]| {
        let output = command(&tidegate, arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout) + &text(&output.stderr),
        )
    };
    assert_eq!(said(&["log-level"]), (Some(0), "warn\n".to_owned()));
    let (code, text) = said(&["log-level", "set", "loud"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no level is called \"loud\""), "{text}");
    assert!(!tidegate.log().contains("INFO"), "{}", tidegate.log());
    let (code, text) = said(&["log-level", "set", "info,tidegate_consume=debug"]);
    assert_eq!(code, Some(0), "{text}");
    let expected = "info,tidegate_consume=debug (after a restart: warn)\n";
    assert_eq!(said(&["log-level", "show"]), (Some(0), expected.to_owned()));
    tidegate.terminate().await;
    assert!(
        tidegate.log().contains("shutting down"),
        "{}",
        tidegate.log()
    );
}
