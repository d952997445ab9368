//! Manager.List through a real pipe.

use std::io::{BufRead, BufReader, Lines, PipeReader};

use fuse_promise_core::limits::LISTINGS_MAX;
use fuse_promise_core::record::Record;
use fuse_promise_core::status::Status;
use fuse_promise_wire::bus::{LIST_END, Options, option};

use super::rig::{Client, Refusal, Rig, options, run};

/// More lines than any pipe holds.
const MANY: u32 = 20_000;

#[test]
fn a_listing_is_counts_promises_nodes_and_an_end() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let provider = client.register().await;
        client.commit_tree(&provider, 1).await;
        client.commit_tree(&provider, 0).await;
        let lines = read_all(list(&client, options(&[])).await.unwrap()).await;
        assert_eq!(
            lines,
            [
                "providers=1",
                "promises=2",
                "promise id=promise-1 provider=1 state=available nodes=2",
                "node promise=promise-1 path=dir inode=4294967297 kind=directory size=0 mode=755 \
                 provider_node=id-dir",
                "node promise=promise-1 path=dir/0 inode=4294967298 kind=file size=0 mode=644 \
                 provider_node=id-0",
                "promise id=promise-2 provider=1 state=available nodes=1",
                "node promise=promise-2 path=dir inode=8589934593 kind=directory size=0 mode=755 \
                 provider_node=id-dir",
                LIST_END,
            ]
        );
    });
}

#[test]
fn nodes_can_be_left_out() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let provider = client.register().await;
        client.commit_tree(&provider, 7).await;
        let without = options(&[(option::NODES, false.into())]);
        let lines = read_all(list(&client, without).await.unwrap()).await;
        assert_eq!(lines.len(), 4);
        assert!(lines[2].ends_with(" nodes=8"), "{lines:?}");
    });
}

#[test]
fn nothing_is_a_listing_too() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let lines = read_all(list(&client, options(&[])).await.unwrap()).await;
        assert_eq!(lines, ["providers=0", "promises=0", LIST_END]);
    });
}

#[test]
fn while_a_listing_waits_for_its_reader_the_bus_goes_on() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let provider = client.register().await;
        client.commit_tree(&provider, MANY).await;
        let slow = list(&client, options(&[])).await.unwrap();
        client.commit_tree(&provider, 1).await;
        assert_eq!(client.manager_property::<u32>("Promises").await, 2);
        let lines = read_all(slow).await;
        assert_eq!(lines.last().map(String::as_str), Some(LIST_END));
        let nodes = lines
            .iter()
            .filter(|line| line.starts_with("node promise=promise-1 "));
        assert_eq!(nodes.count(), MANY as usize + 1);
        for line in &lines {
            assert!(Record::parse(line).is_some(), "{line}");
        }
    });
}

#[test]
fn a_reader_that_goes_away_gives_its_place_back() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let provider = client.register().await;
        client.commit_tree(&provider, MANY).await;
        let mut waiting = Vec::new();
        let refusal = loop {
            match list(&client, options(&[])).await {
                Ok(pipe) => waiting.push(pipe),
                Err(refusal) => break refusal,
            }
        };
        assert_eq!(waiting.len(), LISTINGS_MAX);
        assert_eq!(refusal.status(), Some(Status::Unavailable));
        let limit = LISTINGS_MAX.to_string();
        assert!(refusal.sentence.contains(&limit), "{refusal:?}");
        drop(waiting.split_off(1));
        // Their threads end in their own time; the one that is left tells when it has.
        while rig.bus.service.listings.running() > 1 {
            tokio::task::yield_now().await;
        }
        let again = list(&client, options(&[])).await.unwrap();
        let both = [waiting.remove(0), again];
        for pipe in both {
            let lines = read_all(pipe).await;
            assert_eq!(lines.last().map(String::as_str), Some(LIST_END));
        }
    });
}

#[test]
fn what_is_no_pipe_is_refused() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let file = std::fs::File::open("/dev/null").unwrap();
        let arguments = (zbus::Fd::from(&file), options(&[]));
        let refused = client.manager::<_, ()>("List", &arguments).await;
        assert_eq!(refused.unwrap_err().status(), Some(Status::InvalidArgument));
        let unknown = options(&[("depth", 3u32.into())]);
        let refusal = list(&client, unknown).await.err().unwrap();
        assert_eq!(refusal.status(), Some(Status::InvalidArgument));
        assert!(refusal.sentence.contains("\"depth\""), "{refusal:?}");
    });
}

async fn list(client: &Client, given: Options) -> Result<PipeReader, Refusal> {
    let (reader, writer) = std::io::pipe().unwrap();
    let arguments = (zbus::Fd::from(&writer), given);
    client.manager::<_, ()>("List", &arguments).await?;
    Ok(reader)
}

async fn read_all(pipe: PipeReader) -> Vec<String> {
    let lines = |pipe: PipeReader| -> Lines<BufReader<PipeReader>> { BufReader::new(pipe).lines() };
    let reading = tokio::task::spawn_blocking(move || lines(pipe).map(Result::unwrap).collect());
    reading.await.unwrap()
}
