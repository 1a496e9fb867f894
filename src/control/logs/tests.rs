use super::{writer::tests::Folder, *};
use crate::observe::{access_log::Format, queue::queue, record::Record};
use std::{fs, path::Path, process::Command};

fn spec(path: &Path) -> Spec {
    Spec {
        path: path.to_owned(),
        format: Format::Json,
    }
}

#[tokio::test]
async fn lines_of_all_shards_arrive_and_the_end_is_flushed() {
    let folder = Folder::new("flush");
    let path = folder.0.join("access.log");
    let log = AccessLog::open(spec(&path)).unwrap();
    assert!(path.exists(), "created before the first request");
    let (first, first_receiver) = queue(1 << 16);
    let (second, second_receiver) = queue(1 << 16);
    let (stop, shutdown) = watch::channel(false);
    let running = tokio::spawn(log.run(vec![first_receiver, second_receiver], shutdown));

    let line = |n: u64| Record {
        unix_millis: n * 1000,
        ..Record::default()
    };
    assert!(first.push(&line(1)) && second.push(&line(2)));
    // Written while running, not only at the end.
    while fs::read_to_string(&path).unwrap().lines().count() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(first.push(&line(3)) && second.push(&line(4)));
    stop.send(true).unwrap();
    running.await.unwrap();

    let mut times: Vec<String> = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["time"]
                .as_str()
                .unwrap()
                .into()
        })
        .collect();
    times.sort();
    let expected: Vec<String> = (1..=4).map(|n| format!("1970-01-01T00:00:0{n}.000Z")).collect();
    assert_eq!(times, expected);
}

#[tokio::test]
async fn a_pipe_nobody_reads_stops_neither_control_nor_the_shutdown_and_memory_stays_bounded() {
    let folder = Folder::new("stuck");
    let path = folder.0.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let log = AccessLog::open(spec(&path)).unwrap();
    let progress = log.writer.progress().clone();
    let (sender, receiver) = queue(1 << 20);
    let (stop, shutdown) = watch::channel(false);
    let running = tokio::spawn(log.run(vec![receiver], shutdown));

    let target = vec![b'a'; 4096];
    let record = Record {
        target: &target,
        ..Record::default()
    };
    // More than the bound, the queue and the pipe together hold: ends only if the shard's end drops.
    let mut dropped = 0;
    while dropped < 100 || progress.waiting_bytes() < WAITING_BYTES {
        if !sender.push(&record) {
            dropped += 1;
            // The control thread runs: it is this one.
            tokio::task::yield_now().await;
        }
    }
    assert!(progress.waiting_bytes() < WAITING_BYTES + (2 << 20));
    stop.send(true).unwrap();
    timeout(FLUSH_LIMIT * 5, running)
        .await
        .expect("the shutdown does not wait for the reader")
        .unwrap();
}
