//! A folder of resource files: read, and read again when it changes.
//!
//! It is polled by content: that works for mounted ConfigMaps and network disks, too. A file
//! that has become bad keeps its last good resources.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, fs, io,
    path::{Path, PathBuf},
};

use tidegate_application::Application;
use tidegate_document::{Mistake, Parsed, Secret};
use tidegate_snapshot::Kind;
use tidegate_subscription::Subscription;

use crate::documents::Documented;

/// Largest file that is read; the parser's own bound.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Most files in the folder.
const FILES_MAX: usize = 10_000;

/// What a folder's files hold.
pub(crate) trait Resource: Clone {
    /// Reads the documents of one file.
    fn parse(text: &str) -> Parsed<Self>;

    /// What no two of them may share.
    fn id(&self) -> String;
}

impl Resource for Subscription {
    fn parse(text: &str) -> Parsed<Self> {
        tidegate_subscription::parse(text)
    }

    fn id(&self) -> String {
        Self::id(self)
    }
}

impl Resource for Application {
    fn parse(text: &str) -> Parsed<Self> {
        tidegate_application::parse(text)
    }

    fn id(&self) -> String {
        self.name.clone()
    }
}

impl Documented for Subscription {
    const KIND: Kind = Kind::Subscription;

    fn held(self) -> Self {
        Self {
            pause: true,
            ..self
        }
    }

    fn secrets(&self) -> Vec<&Secret> {
        Self::secrets(self)
    }
}

impl Documented for Application {
    const KIND: Kind = Kind::Application;

    /// What it sends is never held.
    fn held(self) -> Self {
        self
    }

    fn secrets(&self) -> Vec<&Secret> {
        let methods = self.authentication.iter();
        methods.filter_map(|method| method.secret()).collect()
    }
}

/// A folder and what was last found in it.
#[derive(Debug)]
pub(crate) struct Folder<T> {
    path: PathBuf,
    texts: BTreeMap<PathBuf, Text>,
    good: HashMap<PathBuf, Vec<(usize, T)>>,
    missing: bool,
    /// Whether it is one that nobody named, which need not be there.
    is_usual: bool,
}

/// What a file holds, or why that is not known.
type Text = Result<String, String>;

/// What documents say.
#[derive(Debug)]
pub(crate) struct Loaded<T> {
    pub(crate) resources: Vec<T>,
    pub(crate) mistakes: Vec<FileMistake>,
}

impl<T> Default for Loaded<T> {
    fn default() -> Self {
        Self {
            resources: Vec::new(),
            mistakes: Vec::new(),
        }
    }
}

/// A mistake and its file.
#[derive(Clone, Debug)]
pub(crate) struct FileMistake {
    file: PathBuf,
    /// Which resource, and what is wrong with which of its fields, if that is known.
    pub(crate) of: Option<(String, String)>,
    mistake: String,
}

impl fmt::Display for FileMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.mistake)
    }
}

impl FileMistake {
    pub(crate) fn new(file: &Path, mistake: &Mistake) -> Self {
        Self {
            file: file.to_owned(),
            of: mistake
                .object
                .clone()
                .map(|object| (object, format!("{}: {}", mistake.field, mistake.message))),
            mistake: mistake.to_string(),
        }
    }
}

impl<T: Resource> Folder<T> {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            texts: BTreeMap::new(),
            good: HashMap::new(),
            missing: false,
            is_usual: false,
        }
    }

    /// The same folder. Where nobody has named it and it never was there, it holds nothing, and
    /// that is no mistake.
    pub(crate) fn usual(self, is_usual: bool) -> Self {
        Self { is_usual, ..self }
    }

    /// What the folder says now.
    pub(crate) fn load(&mut self) -> Loaded<T> {
        self.missing = false;
        self.texts.clear();
        self.poll().unwrap_or_else(|| self.read())
    }

    /// What the folder says now, if that is something else than before.
    pub(crate) fn poll(&mut self) -> Option<Loaded<T>> {
        let texts = match texts(&self.path) {
            Err(error) if self.is_usual && error.kind() == io::ErrorKind::NotFound => {
                self.texts.is_empty().then(BTreeMap::new).ok_or(error)
            }
            read => read,
        };
        match texts {
            Ok(texts) => {
                let changed = self.missing || texts != self.texts;
                self.missing = false;
                self.texts = texts;
                changed.then(|| self.read())
            }
            Err(error) => {
                // What runs goes on: a folder that is gone for a moment takes nothing with it.
                let first = !self.missing;
                self.missing = true;
                first.then(|| {
                    let mut loaded = self.read();
                    let mistake = format!(" the folder cannot be read: {error}");
                    loaded.mistakes.push(FileMistake {
                        file: self.path.clone(),
                        of: None,
                        mistake,
                    });
                    loaded
                })
            }
        }
    }

    fn read(&mut self) -> Loaded<T> {
        let mut loaded = Loaded::default();
        let mut seen: HashMap<String, String> = HashMap::new();
        let mut good = HashMap::new();
        for (file, text) in &self.texts {
            let parsed = match text {
                Ok(text) => T::parse(text),
                Err(error) => {
                    let mistake = format!(" {error}");
                    loaded.mistakes.push(FileMistake {
                        file: file.clone(),
                        of: None,
                        mistake,
                    });
                    Parsed::default()
                }
            };
            let is_bad = text.is_err() || !parsed.mistakes.is_empty();
            loaded.mistakes.extend(
                parsed
                    .mistakes
                    .iter()
                    .map(|one| FileMistake::new(file, one)),
            );
            let mut resources = parsed.documents;
            if is_bad {
                keep_last_good(&mut resources, self.good.get(file));
            }
            good.insert(file.clone(), resources.clone());
            for (line, resource) in resources {
                let place = format!("{}:{line}", file.display());
                match seen.insert(resource.id(), place.clone()) {
                    None => loaded.resources.push(resource),
                    Some(first) => {
                        let mistake =
                            format!("{line}: {} stands in {first} already", resource.id());
                        loaded.mistakes.push(FileMistake {
                            file: file.clone(),
                            of: None,
                            mistake,
                        });
                        seen.insert(resource.id(), first);
                    }
                }
            }
        }
        self.good = good;
        loaded
    }
}

/// Of a file with mistakes, resources that it had and now does not show go on.
fn keep_last_good<T: Resource>(now: &mut Vec<(usize, T)>, before: Option<&Vec<(usize, T)>>) {
    for (line, resource) in before.into_iter().flatten() {
        if !now.iter().any(|(_, have)| have.id() == resource.id()) {
            now.push((*line, resource.clone()));
        }
    }
}

fn texts(folder: &Path) -> io::Result<BTreeMap<PathBuf, Text>> {
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
        // Metadata follows links, as a mounted ConfigMap is made of them.
        if name.starts_with('.')
            || !is_yaml
            || fs::metadata(&path).is_ok_and(|found| found.is_dir())
        {
            continue;
        }
        if texts.len() == FILES_MAX {
            return Err(io::Error::other(format!("more than {FILES_MAX} files")));
        }
        let text = text(&path);
        texts.insert(path, text);
    }
    Ok(texts)
}

fn text(path: &Path) -> Text {
    let bytes = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("{bytes} bytes, the limit is {FILE_BYTES_MAX}"));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(name: &str) -> String {
        format!(
            "apiVersion: eventing.kyma-project.io/v1alpha2\nkind: Subscription\n\
             metadata: {{name: {name}}}\nspec: {{sink: \"http://h/\", source: s, types: [a.b]}}\n"
        )
    }

    fn ids(loaded: &Loaded<Subscription>) -> Vec<String> {
        loaded.resources.iter().map(Subscription::id).collect()
    }

    /// A mistake while editing must not stop deliveries that ran.
    #[test]
    fn a_file_that_becomes_bad_keeps_its_last_good_subscriptions() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), document("one")).unwrap();
        fs::write(dir.path().join("b.yaml"), document("two")).unwrap();
        let mut folder = Folder::<Subscription>::new(dir.path().to_owned());
        assert_eq!(ids(&folder.load()), ["default/one", "default/two"]);
        assert!(folder.poll().is_none());

        fs::write(dir.path().join("a.yaml"), "kind: [").unwrap();
        let loaded = folder.poll().unwrap();
        assert_eq!(ids(&loaded), ["default/one", "default/two"]);
        assert!(
            loaded.mistakes[0].to_string().contains("a.yaml:1"),
            "{}",
            loaded.mistakes[0]
        );

        fs::remove_file(dir.path().join("a.yaml")).unwrap();
        assert_eq!(ids(&folder.poll().unwrap()), ["default/two"]);
    }

    /// A folder that is away for a moment takes nothing with it.
    #[test]
    fn a_folder_that_vanishes_stops_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("subscriptions");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("a.yaml"), document("one")).unwrap();
        let mut folder = Folder::<Subscription>::new(path.clone());
        folder.load();
        fs::rename(&path, dir.path().join("away")).unwrap();
        let loaded = folder.poll().unwrap();
        assert_eq!(ids(&loaded), ["default/one"]);
        assert_eq!(loaded.mistakes.len(), 1);
        assert!(folder.poll().is_none(), "said once is enough");
    }

    /// Whoever starts without any Subscription has made no mistake; and gets the first ones.
    #[test]
    fn a_usual_folder_need_not_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("subscriptions");
        let mut named = Folder::<Subscription>::new(path.clone());
        assert_eq!(named.load().mistakes.len(), 1);
        let mut folder = Folder::<Subscription>::new(path.clone()).usual(true);
        let loaded = folder.load();
        assert_eq!((ids(&loaded).len(), loaded.mistakes.len()), (0, 0));
        assert!(folder.poll().is_none());
        fs::create_dir(&path).unwrap();
        fs::write(path.join("a.yaml"), document("one")).unwrap();
        assert_eq!(ids(&folder.poll().unwrap()), ["default/one"]);
        fs::rename(&path, dir.path().join("away")).unwrap();
        let loaded = folder.poll().unwrap();
        assert_eq!(ids(&loaded), ["default/one"]);
        assert_eq!(loaded.mistakes.len(), 1, "it was there");
    }

    /// Two Subscriptions of one name would fight for one consumer.
    #[test]
    fn a_repeated_name_is_a_mistake() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), document("one")).unwrap();
        fs::write(dir.path().join("b.yml"), document("one")).unwrap();
        fs::write(dir.path().join("ignored.txt"), document("two")).unwrap();
        fs::write(dir.path().join(".hidden.yaml"), document("three")).unwrap();
        let loaded = Folder::<Subscription>::new(dir.path().to_owned()).load();
        assert_eq!(ids(&loaded), ["default/one"]);
        let mistake = loaded.mistakes[0].to_string();
        assert!(
            mistake.contains("b.yml") && mistake.contains("a.yaml:1"),
            "{mistake}"
        );
    }
}
