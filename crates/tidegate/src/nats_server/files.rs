//! What nats-server keeps in the data directory.

use std::{
    fs, io,
    net::IpAddr,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde_json::Value;
use tokio::{
    process::Child,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::{Options, POLL, still_starting};

/// Attributes, headers and framing around the largest body.
const MESSAGE_MARGIN_BYTES: u64 = 256 << 10;

/// nats-server's own default; smaller would surprise its other clients.
const MESSAGE_BYTES_MIN: u64 = 1 << 20;

/// Its log is cut at this size.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// How much of its log an error repeats.
const LOG_END_LINES: usize = 3;

/// The files of one nats-server.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    host: IpAddr,
    message_bytes_max: u64,
    fsync: bool,
    password: String,
}

impl Files {
    pub(super) fn prepare(options: &Options) -> anyhow::Result<Self> {
        let folder = &options.folder;
        let failed = || format!("the data directory cannot be used: {}", folder.display());
        fs::create_dir_all(folder).with_context(failed)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).with_context(failed)?;
        let folder = folder.canonicalize().with_context(failed)?;
        let message_bytes_max =
            (options.message_bytes_max + MESSAGE_MARGIN_BYTES).max(MESSAGE_BYTES_MIN);
        let password = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Ok(Self {
            folder,
            host: options.listen.ip(),
            message_bytes_max,
            fsync: options.fsync,
            password,
        })
    }

    pub(super) fn user(&self) -> &'static str {
        "tidegate"
    }

    pub(super) fn password(&self) -> &str {
        &self.password
    }

    pub(super) fn configuration(&self) -> PathBuf {
        self.folder.join("nats-server.conf")
    }

    pub(super) fn pid(&self) -> PathBuf {
        self.folder.join("nats-server.pid")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("nats-server.log")
    }

    /// The last lines of its log, for an error.
    pub(super) fn log_end(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let end = lines
            .get(lines.len().saturating_sub(LOG_END_LINES)..)
            .unwrap_or_default();
        end.iter().map(|line| format!("\n  {line}")).collect()
    }

    /// Writes its configuration; port 0 lets it take a free one.
    pub(super) fn write_configuration(&mut self, port: u16) -> anyhow::Result<()> {
        let port = if port == 0 {
            "-1".to_owned()
        } else {
            port.to_string()
        };
        let sync = if self.fsync {
            ", sync_interval: always"
        } else {
            ""
        };
        let path = |path: PathBuf| Value::String(path.to_string_lossy().into_owned());
        let text = format!(
            "# Written by tidegate at every start; changes are lost.\n\
             server_name: tidegate\n\
             host: \"{host}\"\n\
             port: {port}\n\
             max_payload: {max_payload}\n\
             pid_file: {pid}\n\
             ports_file_dir: {folder}\n\
             log_file: {log}\n\
             logfile_size_limit: {LOG_BYTES_MAX}\n\
             jetstream {{ store_dir: {store}{sync} }}\n\
             authorization {{ user: {user}, password: \"{password}\" }}\n",
            host = self.host,
            max_payload = self.message_bytes_max,
            pid = path(self.pid()),
            folder = path(self.folder.clone()),
            log = path(self.log()),
            store = path(self.folder.join("jetstream")),
            user = self.user(),
            password = self.password,
        );
        write_private(&self.configuration(), &text)
    }

    pub(super) fn write_url(&self, url: &str) -> anyhow::Result<()> {
        write_private(&self.folder.join("url"), &format!("{url}\n"))
    }

    /// The port that it took, from the file that it writes.
    pub(super) async fn port_of(&self, child: &mut Child) -> anyhow::Result<u16> {
        let began = Instant::now();
        loop {
            if let Some(port) = child.id().and_then(|pid| self.port_in_file(pid)) {
                return Ok(port);
            }
            still_starting(began, child, self)?;
            sleep(POLL).await;
        }
    }

    /// The file is named after the binary, which may be called anything, and the process.
    fn port_in_file(&self, pid: u32) -> Option<u16> {
        let end = format!("_{pid}.ports");
        let file = fs::read_dir(&self.folder)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.to_string_lossy().ends_with(&end))?;
        let ports: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        ports
            .pointer("/nats/0")?
            .as_str()?
            .rsplit(':')
            .next()?
            .parse()
            .ok()
    }
}

/// Writes a file for the owner's eyes alone.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        io::Write::write_all(&mut file, text.as_bytes())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
