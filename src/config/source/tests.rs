use super::{super::environment::Environment, FOLDERS, Source, gather};
use crate::located::Problems;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A folder of this test's own, gone when it ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ringway-source-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn gathered(paths: &[PathBuf], environment: &Environment, root: &Path) -> (Vec<Source>, Vec<String>) {
    let mut problems = Problems::default();
    let sources = gather(paths, environment, root, &mut problems);
    (
        sources,
        problems.into_list().iter().map(ToString::to_string).collect(),
    )
}

fn texts(sources: &[Source]) -> Vec<&str> {
    sources.iter().map(|source| source.text.as_str()).collect()
}

#[test]
fn what_a_folder_can_not_give_is_told() {
    let folder = Folder::new("unreachable");
    folder.write("a.yaml", b"a");
    fs::create_dir_all(folder.0.join("b.yaml")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", folder.0.join("c.yaml")).unwrap();
    std::os::unix::fs::symlink("d.yaml", folder.0.join("d.yaml")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.0.join("e.yaml")).unwrap();
    let (sources, problems) = gathered(
        std::slice::from_ref(&folder.0),
        &Environment::default(),
        Path::new("/"),
    );
    assert_eq!(texts(&sources), ["a"]);
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].contains("c.yaml:1:1: can't be read: No such file"));
    assert!(problems[1].contains("d.yaml:1:1: can't be read: "));
    assert!(problems[2].ends_with("e.yaml:1:1: is not a file"));
}

#[test]
fn a_default_folder_that_is_none_is_told() {
    let root = Folder::new("no-folder");
    root.write(&FOLDERS[0][1..], b"a");
    root.write(&format!("{}/x.yaml", &FOLDERS[1][1..]), b"b");
    let (sources, problems) = gathered(&[], &Environment::fixed([]), &root.0);
    assert_eq!(texts(&sources), ["b"]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("/etc/ringway/conf.d:1:1: can't be read: "));
}

#[test]
fn an_endless_file_ends() {
    let (sources, problems) = gathered(
        &[PathBuf::from("/dev/zero")],
        &Environment::default(),
        Path::new("/"),
    );
    assert!(problems.is_empty());
    let documents = super::yaml::read(&sources[0].name, &sources[0].text);
    assert!(
        documents.problems[0]
            .to_string()
            .ends_with("is larger than 16 MiB")
    );
}

#[test]
fn a_folder_gives_its_documents_by_name() {
    let folder = Folder::new("folder");
    folder.write("b.yml", b"b");
    folder.write("a.yaml", b"a");
    folder.write(".hidden.yaml", b"h");
    folder.write("notes.txt", b"n");
    folder.write("below/c.yaml", b"c");
    let (sources, problems) = gathered(
        std::slice::from_ref(&folder.0),
        &Environment::default(),
        Path::new("/"),
    );
    assert_eq!(texts(&sources), ["a", "b"]);
    assert!(problems.is_empty());
    assert_eq!(&*sources[0].name, folder.0.join("a.yaml").to_str().unwrap());
}

#[test]
fn files_are_taken_in_the_order_given_and_whatever_their_name() {
    let folder = Folder::new("files");
    let paths = [folder.write("z.conf", b"z"), folder.write("a.yaml", b"a")];
    let (sources, _) = gathered(
        &paths,
        &Environment::fixed([("RINGWAY_CONFIG", "e")]),
        Path::new("/"),
    );
    assert_eq!(texts(&sources), ["z", "a"]);
}

#[test]
fn what_cannot_be_read_is_told() {
    let folder = Folder::new("unreadable");
    let binary = folder.write("binary.yaml", b"\xff\xfe");
    let empty = folder.0.join("empty");
    fs::create_dir(&empty).unwrap();
    let missing = folder.0.join("missing.yaml");
    let (sources, problems) = gathered(
        &[binary.clone(), empty.clone(), missing.clone()],
        &Environment::default(),
        Path::new("/"),
    );
    assert!(sources.is_empty());
    assert_eq!(
        problems[0],
        format!("{}:1:1: is not UTF-8 text", binary.display())
    );
    assert_eq!(
        problems[1],
        format!("{}:1:1: the folder has no .yaml or .yml file", empty.display())
    );
    assert!(problems[2].starts_with(&format!("{}:1:1: can't be read: No such file", missing.display())));
}

#[test]
fn variables_come_before_folders_and_ours_before_the_vendors() {
    let root = Folder::new("variables");
    root.write(&FOLDERS[0][1..], b"");
    let both = Environment::fixed([("FLEX_CONFIG", "theirs"), ("RINGWAY_CONFIG", "ours")]);
    let (sources, _) = gathered(&[], &both, &root.0);
    assert_eq!(sources, [Source::new("$RINGWAY_CONFIG", "ours")]);
    let theirs = Environment::fixed([("FLEX_CONFIG", "theirs"), ("RINGWAY_CONFIG", " ")]);
    let (sources, _) = gathered(&[], &theirs, &root.0);
    assert_eq!(sources, [Source::new("$FLEX_CONFIG", "theirs")]);
}

#[test]
fn all_usual_folders_are_merged() {
    let root = Folder::new("usual");
    for folder in &FOLDERS[1..] {
        root.write(&format!("{}/x.yaml", &folder[1..]), folder.as_bytes());
    }
    let (sources, problems) = gathered(&[], &Environment::fixed([]), &root.0);
    assert_eq!(texts(&sources), FOLDERS[1..]);
    assert!(problems.is_empty());
}

#[test]
fn nothing_at_all_says_what_there_could_be() {
    let root = Folder::new("nothing");
    let (_, problems) = gathered(&[], &Environment::fixed([]), &root.0);
    assert_eq!(problems.len(), 1);
    for part in FOLDERS
        .iter()
        .chain(&["RINGWAY_CONFIG", "FLEX_CONFIG", "--config", "ringway demo"])
    {
        assert!(problems[0].contains(part), "{part}");
    }
}
