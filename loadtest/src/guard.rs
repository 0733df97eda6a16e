//! Guards against a run that is wrong and looks fine.

use std::{collections::HashSet, fs, net::SocketAddr};

use anyhow::{Context, bail};

/// Fails when anybody but `pid` listens on the port: with SO_REUSEPORT a forgotten server would
/// take a share of the connections.
pub(crate) fn only_listener(address: SocketAddr, pid: u32) -> anyhow::Result<()> {
    let mut inodes = HashSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        inodes.extend(listeners(
            &fs::read_to_string(table).unwrap_or_default(),
            address.port(),
        ));
    }
    if inodes.is_empty() {
        bail!("nobody listens on {address}");
    }
    let own: HashSet<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .with_context(|| format!("process {pid}"))?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .map(|link| link.to_string_lossy().into_owned())
        .collect();
    for inode in inodes {
        if !own.contains(&format!("socket:[{inode}]")) {
            bail!("the run is void: somebody beside process {pid} listens on {address}");
        }
    }
    Ok(())
}

/// The inodes of listening sockets on a port.
fn listeners(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let port = format!(":{port:04X}");
    table
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let is_ours = fields.get(1)?.ends_with(&port) && *fields.get(3)? == LISTEN;
            is_ours.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
        })
        .collect()
}

/// What was acknowledged has to be there.
pub(crate) fn stored_at_least(stored: Option<u64>, acknowledged: u64) -> anyhow::Result<()> {
    match stored {
        Some(stored) if stored < acknowledged => {
            bail!("the run is void: {acknowledged} events acknowledged, {stored} stored")
        }
        _ => Ok(()),
    }
}
