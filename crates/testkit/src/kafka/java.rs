//! Java, as Kafka's own scripts would start it, but for a short life.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// For a process that lives for seconds: few records, and little that is compiled. Nothing is left
/// behind in the machine's folder for temporary files, and Java itself says what is wrong where nobody
/// takes it for a tool's output.
const OPTIONS: [&str; 7] = [
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-XX:-UsePerfData",
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
];

/// What `cargo xtask` has Java keep beside the jars, so that it starts sooner.
const ARCHIVE: &str = "classes.jsa";

/// Who logs how much: the first is for the jars of `cargo xtask`, the other for those of Apache's
/// distribution.
const LOG_LEVELS: [&str; 2] = ["org.slf4j.simpleLogger.defaultLogLevel", "log4j2.level"];

/// A Java and Kafka's jars.
#[derive(Debug)]
pub(super) struct Java {
    binary: PathBuf,
    classes: OsString,
    archive: Option<PathBuf>,
}

impl Java {
    /// The jars of the folder `TIDEGATE_KAFKA`, and the Java of `JAVA_HOME`, else of `PATH`.
    ///
    /// # Panics
    /// When there are none.
    pub(super) fn find() -> Self {
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
            binary,
            classes: classes(&jars),
            archive: archive.is_file().then_some(archive),
        }
    }

    /// The server; its properties are still to be named.
    pub(super) fn broker(&self, folder: &Path) -> Command {
        self.command("kafka.Kafka", folder, "info")
    }

    /// A tool, which says what it is asked for, and what goes wrong.
    pub(super) fn tool(&self, class: &str, folder: &Path) -> Command {
        self.command(class, folder, "warn")
    }

    /// Nothing is taken from this process' surroundings.
    fn command(&self, class: &str, folder: &Path, log_level: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear().args(OPTIONS);
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
