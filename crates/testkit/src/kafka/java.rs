//! Java, as Kafka's own scripts would start it, and for a short life unless it is to be measured.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Nothing is left behind in the machine's folder for temporary files, and Java itself says what is
/// wrong where nobody takes it for a tool's output.
const OPTIONS: [&str; 4] = [
    "-Xshare:auto",
    "-XX:-UsePerfData",
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
];

/// For a process that lives for seconds: few records, and little that is compiled.
const SHORT: [&str; 3] = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// What Kafka's own scripts say to all, where nobody says otherwise.
const LOADED: [&str; 4] = [
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

/// What they say to a server, and to the tools that measure.
const LOADED_BROKER: [&str; 2] = ["-Xms1g", "-Xmx1g"];
const LOADED_TOOL: [&str; 1] = ["-Xmx512m"];

/// What `cargo xtask` has Java keep beside the jars, so that it starts sooner.
const ARCHIVE: &str = "classes.jsa";

/// Who logs how much: the first is for the jars of `cargo xtask`, the other for those of Apache's
/// distribution.
const LOG_LEVELS: [&str; 2] = ["org.slf4j.simpleLogger.defaultLogLevel", "log4j2.level"];

/// What its processes are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A few records.
    Test,
    /// As many as they can take.
    Load,
}

/// A Java and Kafka's jars.
#[derive(Debug)]
pub(super) struct Java {
    is_for: Use,
    binary: PathBuf,
    classes: OsString,
    archive: Option<PathBuf>,
}

impl Java {
    /// The jars of the folder `TIDEGATE_KAFKA`, and the Java of `JAVA_HOME`, else of `PATH`.
    ///
    /// # Panics
    /// When there are none.
    pub(super) fn find(is_for: Use) -> Self {
        let jars = env::var_os("TIDEGATE_KAFKA")
            .map(PathBuf::from)
            .expect("a folder of Kafka's jars in TIDEGATE_KAFKA; `cargo xtask test` installs one");
        let home = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin"));
        let path = env::var_os("PATH").unwrap_or_default();
        let binary = home
            .into_iter()
            .chain(env::split_paths(&path))
            .map(|folder| folder.join("java"))
            .find(|binary| binary.is_file())
            .expect("a Java 17 in JAVA_HOME or on PATH");
        let archive = jars.join(ARCHIVE);
        Self {
            is_for,
            binary,
            classes: classes(&jars),
            archive: archive.is_file().then_some(archive),
        }
    }

    /// The server; its properties are still to be named.
    pub(super) fn broker(&self, folder: &Path) -> Command {
        self.command("kafka.Kafka", &LOADED_BROKER, folder, "info")
    }

    /// A tool, which says what it is asked for, and what goes wrong.
    pub(super) fn tool(&self, class: &str, folder: &Path) -> Command {
        self.command(class, &LOADED_TOOL, folder, "warn")
    }

    /// Nothing is taken from this process' surroundings.
    fn command(&self, class: &str, loaded: &[&str], folder: &Path, log_level: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear().args(OPTIONS);
        match self.is_for {
            Use::Test => command.args(SHORT),
            Use::Load => command.args(LOADED).args(loaded),
        };
        if let Some(archive) = &self.archive {
            command.arg(format!("-XX:SharedArchiveFile={}", archive.display()));
        }
        for property in LOG_LEVELS {
            command.arg(format!("-D{property}={log_level}"));
        }
        command
            // Where native libraries are unpacked to.
            .arg(format!("-Djava.io.tmpdir={}", folder.display()))
            .arg("-cp")
            .arg(&self.classes)
            .arg(class);
        command
    }
}

/// All jars, in the order of their names, in which `cargo xtask` has them too.
fn classes(jars: &Path) -> OsString {
    let mut paths: Vec<PathBuf> = fs::read_dir(jars)
        .expect("TIDEGATE_KAFKA names a folder")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jar"))
        .collect();
    paths.sort();
    env::join_paths(paths).expect("the folder's name has no colon")
}
