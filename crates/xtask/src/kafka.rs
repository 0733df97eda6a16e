//! An Apache Kafka for the tests: the one that is named, or the pinned jars with their checksums
//! verified, through the machine's own Maven and whatever repository that is set to.

mod archive;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use crate::{
    process::Run,
    root, target,
    tools::{self, sha256},
};

/// The jars of a broker and of its tools that are needed, and no others: a checksum and coordinates
/// a line. Maven is not asked what they depend on, so that nothing comes that does not stand there.
const LIST: &str = "crates/testkit/kafka/jars.txt";

/// The jar that has the version of all.
const BROKER: &str = "org.apache.kafka:kafka_2.13";

/// What copies them, pinned as well.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.11.0:copy-dependencies";

/// One line of the list.
struct Jar<'a> {
    sha256: &'a str,
    group: &'a str,
    artifact: &'a str,
    version: &'a str,
}

/// The folder of the jars.
pub(crate) fn ensure() -> anyhow::Result<PathBuf> {
    if let Some(folder) = env::var_os("TIDEGATE_KAFKA").map(PathBuf::from) {
        // The tests run in other folders.
        return folder
            .canonicalize()
            .with_context(|| format!("TIDEGATE_KAFKA={}", folder.display()));
    }
    let list = fs::read_to_string(root().join(LIST))?;
    let jars = jars(&list)?;
    let folder = folder(&list, &jars)?;
    if folder.is_dir() {
        return Ok(folder.canonicalize()?);
    }
    println!("installing Kafka below {}", folder.display());
    tools::place(&folder, |part| {
        install(&jars, part).context(
            "no Kafka could be had; install Java 17 and Maven, or name a folder of Kafka's jars in \
             TIDEGATE_KAFKA",
        )
    })?;
    let folder = folder.canonicalize()?;
    // It has the jars' paths in it. All works without, only slower.
    if let Err(error) = archive::make(&folder) {
        println!("Kafka will start slowly: {error:#}");
    }
    Ok(folder)
}

/// Named by the list too, so that a change is another folder.
fn folder(list: &str, jars: &[Jar<'_>]) -> anyhow::Result<PathBuf> {
    let broker = jars
        .iter()
        .find(|jar| format!("{}:{}", jar.group, jar.artifact) == BROKER)
        .with_context(|| format!("{LIST} has no {BROKER}"))?;
    let name = format!("kafka-{}-{}", broker.version, tools::digest(list));
    Ok(target().join("tools").join(name))
}

fn jars(list: &str) -> anyhow::Result<Vec<Jar<'_>>> {
    let jar = |line| {
        let (sha256, coordinates) = str::split_once(line, ' ')?;
        let mut parts = coordinates.split(':');
        let jar = Jar {
            sha256,
            group: parts.next()?,
            artifact: parts.next()?,
            version: parts.next()?,
        };
        parts.next().is_none().then_some(jar)
    };
    list.lines()
        .map(|line| jar(line).with_context(|| format!("{LIST}: not a jar: {line}")))
        .collect()
}

/// The jars in a folder that nobody else looks at yet.
fn install(jars: &[Jar<'_>], part: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(part)?;
    let part = part.canonicalize()?;
    let project = part.join("pom.xml");
    fs::write(&project, pom(jars))?;
    let mut output = std::ffi::OsString::from("-DoutputDirectory=");
    output.push(&part);
    Command::new("mvn")
        .args(["--batch-mode", "--quiet", "--file"])
        .arg(&project)
        .arg(COPY)
        .arg(output)
        .run()?;
    fs::remove_file(project)?;
    verify(jars, &part)
}

/// A project that depends on each of them, and on nothing that they depend on.
fn pom(jars: &[Jar<'_>]) -> String {
    let dependencies: String = jars
        .iter()
        .map(|jar| {
            format!(
                "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>\
                 <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>\
                 </exclusions></dependency>\n",
                jar.group, jar.artifact, jar.version
            )
        })
        .collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n\
         <modelVersion>4.0.0</modelVersion><packaging>pom</packaging>\n\
         <groupId>tidegate</groupId><artifactId>kafka</artifactId><version>0</version>\n\
         <dependencies>\n{dependencies}</dependencies>\n</project>\n"
    )
}

/// Whether the folder has these files, and no others.
fn verify(jars: &[Jar<'_>], folder: &Path) -> anyhow::Result<()> {
    let wanted: BTreeMap<String, &str> = jars
        .iter()
        .map(|jar| (format!("{}-{}.jar", jar.artifact, jar.version), jar.sha256))
        .collect();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !wanted.contains_key(&name) {
            bail!("Maven brought {name}, which {LIST} has not");
        }
    }
    for (name, wanted) in wanted {
        let jar =
            fs::read(folder.join(&name)).with_context(|| format!("Maven brought no {name}"))?;
        let found = sha256(&jar);
        if found != wanted {
            bail!("{name} has the checksum {found}, not {wanted}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing runs in the tests whose contents are not pinned.
    #[test]
    fn a_jar_that_is_missing_or_more_or_another_is_refused() {
        let list = format!("{} a.b:one:1.0\n", sha256(b"one"));
        let jars = jars(&list).unwrap();
        let folder = target().join(format!("kafka-verify.{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let told = || verify(&jars, &folder).err().map(|error| error.to_string());
        assert_eq!(told().unwrap(), "Maven brought no one-1.0.jar");
        fs::write(folder.join("one-1.0.jar"), "another").unwrap();
        assert!(told().unwrap().starts_with("one-1.0.jar has the checksum "));
        fs::write(folder.join("one-1.0.jar"), "one").unwrap();
        assert_eq!(told(), None);
        fs::write(folder.join("two-1.0.jar"), "one").unwrap();
        assert!(told().unwrap().starts_with("Maven brought two-1.0.jar"));
        fs::remove_dir_all(folder).unwrap();
    }

    /// What stands in the repository can be read, and has a checksum each.
    #[test]
    fn the_list_is_of_jars_with_checksums() {
        let list = fs::read_to_string(root().join(LIST)).unwrap();
        let all = jars(&list).unwrap();
        folder(&list, &all).unwrap();
        for jar in all {
            let hexadecimal = jar.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(jar.sha256.len() == 64 && hexadecimal, "{}", jar.artifact);
        }
        assert!(jars("abc a:b\n").is_err() && jars("abc a:b:1:c\n").is_err());
    }
}
