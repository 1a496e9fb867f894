use super::*;
use std::{fs, os::unix::fs::PermissionsExt, process::Command};

#[test]
fn appends_and_creates_readable_by_few() {
    let folder = Folder::new("append");
    let path = folder.0.join("access.log");
    Sink::open(&path).unwrap().write(b"one\n").unwrap();
    Sink::open(&path).unwrap().write(b"two\n").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
    assert_eq!(
        path.metadata().unwrap().permissions().mode() & 0o137,
        0,
        "nothing beyond 0640"
    );
}

#[test]
fn follows_a_rotation_and_a_removal() {
    let folder = Folder::new("rotate");
    let (path, old) = (folder.0.join("access.log"), folder.0.join("access.log.1"));
    let mut sink = Sink::open(&path).unwrap();
    sink.write(b"one\n").unwrap();
    fs::rename(&path, &old).unwrap();
    sink.write(b"two\n").unwrap();
    sink.looked = Instant::now().checked_sub(LOOK_EVERY).unwrap();
    sink.write(b"three\n").unwrap();
    assert_eq!(fs::read(&old).unwrap(), b"one\ntwo\n");
    assert_eq!(fs::read(&path).unwrap(), b"three\n");

    fs::remove_file(&path).unwrap();
    sink.looked = Instant::now().checked_sub(LOOK_EVERY).unwrap();
    sink.write(b"four\n").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"four\n");
}

#[test]
fn a_torn_line_does_not_spoil_the_next() {
    let folder = Folder::new("torn");
    let path = folder.0.join("access.log");
    let mut sink = Sink::open(&path).unwrap();
    sink.write(b"{\"cut\":").unwrap();
    sink.write(b"whole\n").unwrap();
    sink.write(b"next\n").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"{\"cut\":\nwhole\nnext\n");
}

#[test]
fn a_wrong_path_fails_at_once() {
    let folder = Folder::new("wrong");
    assert_eq!(
        Sink::open(&folder.0.join("no/such/log")).err().unwrap().kind(),
        io::ErrorKind::NotFound
    );
    assert_eq!(
        Sink::open(&folder.0).err().unwrap().kind(),
        io::ErrorKind::IsADirectory
    );
}

#[test]
fn standard_output_and_a_fifo_without_reader_open_without_waiting() {
    assert!(Sink::open(Path::new("/dev/stdout")).unwrap().path.is_none());
    assert!(Sink::open(Path::new("/dev/stderr")).unwrap().path.is_none());
    let folder = Folder::new("fifo");
    let path = folder.0.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let mut sink = Sink::open(&path).unwrap();
    assert!(sink.path.is_none());
    sink.write(b"line\n").unwrap();
}

#[tokio::test]
async fn failed_lines_are_counted_with_their_reason() {
    let writer = Writer::start(Path::new("/dev/full")).unwrap();
    writer.write(Batch {
        bytes: b"a\nb\n".to_vec(),
        lines: 2,
    });
    writer.write(Batch {
        bytes: b"c\n".to_vec(),
        lines: 1,
    });
    let progress = writer.progress().clone();
    writer.finish().await;
    assert_eq!((progress.failed_lines(), progress.waiting_bytes()), (3, 0));
    assert!(
        progress.last_error().unwrap().contains("space"),
        "{:?}",
        progress.last_error()
    );
}

/// A folder of the test's own, gone with it.
pub(in crate::control::logs) struct Folder(pub PathBuf);

impl Folder {
    pub(in crate::control::logs) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ringway-logs-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _: io::Result<()> = fs::remove_dir_all(&self.0);
    }
}
