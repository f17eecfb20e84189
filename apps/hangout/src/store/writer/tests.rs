use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::Writer;
use crate::config::Durability;
use crate::store::health::{FailedRead, Health, Kind};
use crate::store::{Action, Done, Refusal, Span, open};

fn writer(path: &Path, rooms_max: usize) -> Writer {
    let opened = open(path, Durability::Normal).unwrap();
    let health = Arc::new(Health::new(path));
    Writer::new(opened.writer, opened.place, health, rooms_max)
}

fn say(nonce: Option<&str>, text: &str) -> Action {
    Action::Append {
        room: "lobby".to_owned(),
        name: "Ada".to_owned(),
        text: text.to_owned(),
        nonce: nonce.map(str::to_owned),
    }
}

fn seq_of(outcome: &Result<Done, Refusal>) -> (u64, bool) {
    match outcome {
        Ok(Done::Message { message, duplicate }) => (message.seq, *duplicate),
        other => panic!("not a message: {other:?}"),
    }
}

#[test]
fn sequences_nonces_and_limits() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(&dir.path().join("db"), 2);
    let mut run = |actions: &[Action]| {
        let actions: Vec<&Action> = actions.iter().collect();
        writer.answer(&actions)
    };
    let first = run(&[
        say(None, "a"),
        say(Some("n"), "b"),
        say(Some("n"), "b"),
        say(None, "a"),
    ]);
    let seqs: Vec<_> = first.iter().map(seq_of).collect();
    assert_eq!(seqs, [(1, false), (2, false), (2, true), (3, false)]);
    assert_eq!(
        run(&[say(Some("n"), "other")])[0].as_ref().unwrap_err(),
        &Refusal::NonceReused
    );

    let create = |room: &str| Action::CreateRoom {
        room: room.to_owned(),
    };
    let created = run(&[create("attic"), create("lobby"), create("cellar")]);
    assert!(matches!(created[0], Ok(Done::Room(_))));
    assert_eq!(created[1].as_ref().unwrap_err(), &Refusal::RoomExists);
    assert_eq!(created[2].as_ref().unwrap_err(), &Refusal::TooManyRooms(2));
}

#[test]
fn what_cannot_be_stored_does_not_harm_its_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(&dir.path().join("db"), 9);
    writer
        .connection
        .execute_batch(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON messages WHEN new.text = 'bad' \
             BEGIN SELECT raise(ABORT, 'disk full'); END",
        )
        .unwrap();
    let actions = [say(None, "a"), say(None, "bad"), say(None, "c")];
    let actions: Vec<&Action> = actions.iter().collect();
    let results = writer.answer(&actions);
    assert_eq!(seq_of(&results[0]), (1, false));
    assert!(matches!(&results[1], Err(Refusal::Disk(why)) if why.contains("disk full")));
    assert_eq!(seq_of(&results[2]), (2, false));
}

#[test]
fn a_nonce_belongs_to_its_sender() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(&dir.path().join("db"), 9);
    let by = |name: &str, text: &str| Action::Append {
        room: "lobby".to_owned(),
        name: name.to_owned(),
        text: text.to_owned(),
        nonce: Some("n".to_owned()),
    };
    let (ada, bob, eve) = (by("Ada", "hi"), by("Bob", "hi"), by("Eve", "other"));
    let seqs = writer.answer(&[&ada, &bob, &eve, &ada, &bob]);
    let seqs: Vec<_> = seqs.iter().map(seq_of).collect();
    assert_eq!(
        seqs,
        [(1, false), (2, false), (3, false), (1, true), (2, true)]
    );
}

#[test]
fn each_way_of_losing_the_file_is_noticed_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    let path = home.join("db");
    let mut writer = writer(&path, 9);
    let aside = dir.path().join("aside");
    let mut count = 0;
    let mut say_one = |writer: &mut Writer| {
        count += 1;
        let action = say(Some(&format!("n{count}")), "a");
        writer.answer(&[&action]).remove(0)
    };
    seq_of(&say_one(&mut writer));
    for (lost, with) in [
        (home.clone(), None),
        (path.clone(), None),
        (home.join("db-wal"), None),
        (home.join("db-shm"), None),
        (path.clone(), Some("replaced")),
        (home.join("db-wal"), Some("replaced")),
    ] {
        fs::rename(&lost, &aside).unwrap();
        if let Some(text) = with {
            fs::write(&lost, text).unwrap();
        }
        let outcome = say_one(&mut writer);
        let expected = with.unwrap_or("deleted or moved");
        assert!(
            matches!(&outcome, Err(Refusal::Disk(why)) if why.contains(expected)),
            "{lost:?}: {outcome:?}"
        );
        assert!(writer.check().is_err(), "{lost:?}");
        fs::rename(&aside, &lost).unwrap();
        assert_eq!(writer.check(), Ok(()), "{lost:?}");
        seq_of(&say_one(&mut writer));
    }
    fs::remove_file(&path).unwrap();
    assert!(say_one(&mut writer).is_err());
    assert!(writer.health.is_failing(Kind::Gone));
}

#[test]
fn a_full_disk_shows_until_something_can_be_stored() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(&dir.path().join("db"), 9);
    let pages = |writer: &Writer, most: &str| {
        let pragma = format!("PRAGMA max_page_count = {most}");
        writer
            .connection
            .query_row(&pragma, [], |_| Ok(()))
            .unwrap();
    };
    pages(&writer, "1");
    let (small, large) = (say(Some("s"), "a"), say(Some("l"), &"x".repeat(100_000)));
    let outcome = writer.answer(&[&small, &large]);
    assert_eq!(seq_of(&outcome[0]), (1, false));
    assert!(matches!(&outcome[1], Err(Refusal::Disk(why)) if why.contains("full")));
    // There is room for something, and not for that.
    assert_eq!(seq_of(&writer.answer(&[&small])[0]), (1, true));
    assert!(matches!(
        &writer.answer(&[&large])[0],
        Err(Refusal::Disk(_))
    ));
    assert!(writer.check().is_err());
    assert!(writer.health.is_failing(Kind::Write));
    pages(&writer, "1000000");
    assert_eq!(writer.check(), Ok(()));
    assert!(!writer.health.is_failing(Kind::Write));
    assert_eq!(seq_of(&writer.answer(&[&large])[0]), (2, false));
}

#[test]
fn nothing_is_stored_after_a_failed_read_until_it_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(&dir.path().join("db"), 9);
    let action = say(Some("n"), "a");
    let failed = FailedRead {
        room: "lobby".to_owned(),
        span: Span::Newest,
        limit: 1,
    };
    writer
        .connection
        .execute_batch("ALTER TABLE messages RENAME TO away")
        .unwrap();
    writer.health.read_fails(failed, "a page is damaged");
    assert!(writer.answer(&[&action])[0].is_err());
    assert!(writer.check().is_err());
    writer
        .connection
        .execute_batch("ALTER TABLE away RENAME TO messages")
        .unwrap();
    assert_eq!(seq_of(&writer.answer(&[&action])[0]), (1, false));
    assert_eq!(writer.check(), Ok(()));
}
