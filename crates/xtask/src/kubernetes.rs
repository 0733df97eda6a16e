//! A real kube-apiserver and etcd for the tests, with kubectl and helm; and the tests on them.
//!
//! They are built from the projects' own main packages by the module of `crates/testkit/kubernetes`,
//! once for all clones of this repository on a machine, so that `cargo clean` costs no ten minutes.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{self, Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::{cloudevents, kafka, nats, process::Run, process::cargo, root, which};

const SOURCE: &str = "crates/testkit/kubernetes";

/// What they are made of. The module proxy's checksums stand in go.sum.
const FILES: [&str; 2] = ["go.mod", "go.sum"];

/// What `KUBEBUILDER_ASSETS` holds, the quickest to build first, and their packages.
const ASSETS: [(&str, &str); 3] = [
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
];

const HELM: (&str, &str) = ("helm", "helm.sh/helm/v4/cmd/helm");

/// How often a build says how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// The tests on a cluster's API: the targets of that name, which nothing else builds.
pub(crate) fn test(arguments: &[&str]) -> anyhow::Result<()> {
    let assets = assets()?;
    cargo("test")
        .args(which(arguments))
        .args(["--locked", "--test", "kubernetes"])
        .args(arguments)
        .env("TIDEGATE_NATS_SERVER", nats::ensure()?)
        .env("TIDEGATE_KAFKA", kafka::ensure()?)
        .env("TIDEGATE_CLOUDEVENTS_PYTHON", cloudevents::ensure()?)
        .env("TIDEGATE_HELM", helm()?)
        .env("KUBEBUILDER_ASSETS", assets)
        .run()
}

/// The folder of kube-apiserver, etcd and kubectl.
fn assets() -> anyhow::Result<PathBuf> {
    if let Some(folder) = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) {
        for (name, _) in ASSETS {
            if !folder.join(name).is_file() {
                bail!(
                    "KUBEBUILDER_ASSETS={} has no {name}; unset it to have all of them built",
                    folder.display()
                );
            }
        }
        // The tests run in other folders.
        return Ok(folder.canonicalize()?);
    }
    let folder = folder()?;
    build(&folder, &ASSETS).context(
        "kube-apiserver, etcd and kubectl could not be built; install Go, or name a folder that \
         has them in KUBEBUILDER_ASSETS",
    )?;
    Ok(folder)
}

fn helm() -> anyhow::Result<PathBuf> {
    if let Some(binary) = env::var_os("TIDEGATE_HELM").map(PathBuf::from) {
        return Ok(binary);
    }
    if let Some(binary) = helm_on_path() {
        return Ok(binary);
    }
    let folder = folder()?;
    build(&folder, &[HELM])
        .context("helm could not be built; install Go, or name one in TIDEGATE_HELM")?;
    Ok(folder.join(HELM.0))
}

/// One of version 3 or 4.
fn helm_on_path() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join("helm"))
        .find(|binary| {
            let said = Command::new(binary).args(["version", "--short"]).output();
            said.is_ok_and(|said| {
                said.stdout.starts_with(b"v3.") || said.stdout.starts_with(b"v4.")
            })
        })
}

/// Where they are kept: outside the repository, named by what they are made of.
fn folder() -> anyhow::Result<PathBuf> {
    // Of those that are relative, the convention says that they do not count.
    let absolute = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let cache = env::var_os("TIDEGATE_CACHE")
        .map(PathBuf::from)
        .or_else(|| Some(absolute("XDG_CACHE_HOME")?.join("tidegate")))
        .or_else(|| Some(absolute("HOME")?.join(".cache").join("tidegate")))
        .context("there is no HOME; name a folder for what is built in TIDEGATE_CACHE")?;
    Ok(path::absolute(cache)?.join(format!("kubernetes-{}", digest()?)))
}

fn digest() -> anyhow::Result<String> {
    let mut digest = Sha256::new();
    for file in FILES {
        digest.update(fs::read(root().join(SOURCE).join(file))?);
    }
    let digest = digest.finalize();
    Ok(digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Builds what is not there yet.
fn build(folder: &Path, programs: &[(&str, &str)]) -> anyhow::Result<()> {
    let missing: Vec<_> = programs
        .iter()
        .filter(|(name, _)| !folder.join(name).is_file())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
    println!(
        "building {} below {}, from source, which takes minutes, once",
        names.join(", "),
        folder.display()
    );
    fs::create_dir_all(folder)?;
    let flags = linker_flags(&fs::read_to_string(root().join(SOURCE).join("go.mod"))?)?;
    for (name, package) in missing {
        // Another clone may build the same meanwhile.
        let part = folder.join(format!("{name}.{}.part", std::process::id()));
        go_build(name, package, &flags, &part)?;
        fs::rename(part, folder.join(name))?;
    }
    Ok(())
}

/// Small, and with the versions of go.mod, which the programs are told when they are linked.
fn linker_flags(go_mod: &str) -> anyhow::Result<String> {
    let version = |module: &str| {
        go_mod
            .lines()
            .filter_map(|line| line.trim().strip_prefix(module)?.strip_prefix(" v"))
            .find_map(|rest| rest.split(' ').next())
            .with_context(|| format!("{SOURCE}/go.mod requires no {module}"))
    };
    let kubernetes = version("k8s.io/kubernetes")?;
    let helm = version("helm.sh/helm/v4")?;
    let mut numbers = kubernetes.split('.');
    let (major, minor) = (numbers.next(), numbers.next());
    let of_kubernetes = "k8s.io/component-base/version.git";
    Ok(format!(
        "-s -w -X {of_kubernetes}Version=v{kubernetes} -X {of_kubernetes}Major={} -X \
         {of_kubernetes}Minor={} -X helm.sh/helm/v4/internal/version.version=v{helm}",
        major.unwrap_or_default(),
        minor.unwrap_or_default(),
    ))
}

/// Builds one, and says now and then how far it is: Go tells of each package that it compiles.
fn go_build(name: &str, package: &str, flags: &str, binary: &Path) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut go = Command::new("go")
        .args(["build", "-v", "-mod=readonly", "-trimpath", "-ldflags"])
        .arg(flags)
        .arg("-o")
        .arg(binary)
        .arg(package)
        .current_dir(root().join(SOURCE))
        .env("CGO_ENABLED", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run go")?;
    let (mut packages, mut told) = (0, began);
    for line in BufReader::new(go.stderr.take().context("go has no output")?).lines() {
        let line = line?;
        if line.contains(' ') {
            eprintln!("{line}");
            continue;
        }
        packages += 1;
        if told.elapsed() >= PROGRESS_INTERVAL {
            told = Instant::now();
            println!(
                "  {name}: {packages} packages in {} s",
                began.elapsed().as_secs()
            );
        }
    }
    let status = go.wait()?;
    if !status.success() {
        bail!("go build {package} failed with {status}");
    }
    println!(
        "  {name}: built in {} s, {} MB",
        began.elapsed().as_secs(),
        fs::metadata(binary)?.len() / 1_000_000
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chart that asks for a version of Kubernetes is told one; so is who asks helm for its own.
    #[test]
    fn programs_are_told_the_versions_that_are_pinned() {
        let flags = linker_flags(
            "module a\n\nrequire (\n\thelm.sh/helm/v4 v4.2.4 // indirect\n\tk8s.io/kubernetes \
             v1.36.3 // indirect\n)\n\nreplace k8s.io/kubernetes => k8s.io/kubernetes v0.36.3\n",
        )
        .unwrap();
        assert_eq!(
            flags,
            "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 -X \
             k8s.io/component-base/version.gitMajor=1 -X \
             k8s.io/component-base/version.gitMinor=36 -X \
             helm.sh/helm/v4/internal/version.version=v4.2.4"
        );
        assert!(linker_flags("module a\n").is_err());
    }

    /// What stands in the repository can be built: each program's package is a tool of the module.
    #[test]
    fn the_module_has_every_program() {
        let go_mod = fs::read_to_string(root().join(SOURCE).join("go.mod")).unwrap();
        linker_flags(&go_mod).unwrap();
        for (name, package) in ASSETS.iter().chain([&HELM]) {
            let line = format!("\t{package}");
            assert!(go_mod.lines().any(|have| have == line), "{name}");
        }
    }
}
