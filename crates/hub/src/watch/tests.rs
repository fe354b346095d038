use futures::StreamExt as _;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::*;

const STREAM: Timestamp = Timestamp::constant(1_790_000_000, 0);

#[derive(Debug, Clone, PartialEq)]
struct Lamp {
    name: &'static str,
    light: u64,
    gone: bool,
}

impl Resource for Lamp {
    fn name(&self) -> &str {
        self.name
    }
    fn is_gone(&self) -> bool {
        self.gone
    }
}

fn lamp(name: &'static str, light: u64) -> Lamp {
    Lamp {
        name,
        light,
        gone: false,
    }
}

/// Draws these lamps now, with so much folded.
fn draw(board: &Board<Lamp>, sequence: u64, lamps: &[Lamp]) {
    let drawing = board.begin();
    board.show(&drawing, (STREAM, sequence), lamps.to_vec());
}

/// A room that is drawn again and again, as a service does while somebody watches.
struct Room {
    board: Arc<Board<Lamp>>,
    shutdown: Shutdown,
    now: Arc<std::sync::Mutex<(Timestamp, u64, Vec<Lamp>)>>,
}

impl Room {
    fn new(sequence: u64, lamps: &[Lamp]) -> Self {
        let board = Arc::new(Board::new("lamps"));
        let now = Arc::new(std::sync::Mutex::new((STREAM, sequence, lamps.to_vec())));
        let (drawn, seen) = (Arc::clone(&board), Arc::clone(&now));
        tokio::spawn(async move {
            loop {
                drawn.is_wanted().await;
                let drawing = drawn.begin();
                let (stream, sequence, lamps) = seen.lock().unwrap().clone();
                drawn.show(&drawing, (stream, sequence), lamps);
                sleep(Duration::from_secs(1)).await;
            }
        });
        Self {
            board,
            shutdown: Shutdown::default(),
            now,
        }
    }

    fn set(&self, sequence: u64, lamps: &[Lamp]) {
        let mut now = self.now.lock().unwrap();
        (now.1, now.2) = (sequence, lamps.to_vec());
    }

    async fn watch(&self, token: &str, name: &str) -> Result<Watch, Box<Status>> {
        let wish = Wish { token, name };
        let stream = self.board.open(wish, &self.shutdown).await?;
        Ok(Watch(Box::pin(stream)))
    }
}

struct Watch(std::pin::Pin<Box<dyn Stream<Item = Result<Message<Lamp>, Status>> + Send>>);

impl Watch {
    async fn next(&mut self) -> Message<Lamp> {
        self.0.next().await.unwrap().unwrap()
    }

    /// Event, name and light.
    async fn brief(&mut self) -> (WatchEvent, Option<(&'static str, u64)>) {
        let message = self.next().await;
        let lamp = message.resource.map(|lamp| (lamp.name, lamp.light));
        (message.event, lamp)
    }

    async fn end(&mut self) -> Status {
        // A watch that goes on gives signs of life for ever.
        for _ in 0..BUFFER * 4 {
            if let Err(status) = self.0.next().await.unwrap() {
                return status;
            }
        }
        panic!("the watch goes on");
    }
}

#[tokio::test(start_paused = true)]
async fn everything_comes_first_then_what_changes_and_nothing_else() {
    let room = Room::new(7, &[lamp("b", 1), lamp("a", 1)]);
    let mut watch = room.watch("", "").await.unwrap();
    assert_eq!(watch.brief().await, (WatchEvent::Snapshot, Some(("a", 1))));
    assert_eq!(watch.brief().await, (WatchEvent::Snapshot, Some(("b", 1))));
    assert_eq!(watch.brief().await, (WatchEvent::Synced, None));
    room.set(8, &[lamp("b", 2), lamp("a", 1)]);
    assert_eq!(watch.brief().await, (WatchEvent::Changed, Some(("b", 2))));
    // More changes between two drawings are one.
    room.set(9, &[lamp("b", 3), lamp("a", 1)]);
    room.set(10, &[lamp("b", 4), lamp("a", 2), lamp("c", 1)]);
    let mut changed = [watch.brief().await, watch.brief().await, watch.brief().await];
    changed.sort_by_key(|(_, lamp)| *lamp);
    assert_eq!(
        changed.map(|(_, lamp)| lamp.unwrap()),
        [("a", 2), ("b", 4), ("c", 1)]
    );
    assert!(changed.iter().all(|(event, _)| *event == WatchEvent::Changed));
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_gives_signs_of_life_within_half_a_minute() {
    let room = Room::new(7, &[lamp("a", 1)]);
    let mut watch = room.watch("", "").await.unwrap();
    watch.next().await;
    watch.next().await;
    for _ in 0..3 {
        let before = Instant::now();
        assert_eq!(watch.brief().await, (WatchEvent::Bookmark, None));
        assert!(before.elapsed() <= Duration::from_secs(30));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_gone_on_from_with_what_changed_since() {
    let room = Room::new(7, &[lamp("a", 1), lamp("b", 1)]);
    let mut watch = room.watch("", "").await.unwrap();
    let first = watch.next().await.token;
    watch.next().await;
    let synced = watch.next().await.token;
    drop(watch);
    room.set(8, &[lamp("a", 1), lamp("b", 2)]);
    let mut watch = room.watch(&synced, "").await.unwrap();
    let changed = watch.next().await;
    assert_eq!(changed.event, WatchEvent::Changed);
    assert_eq!(changed.resource, Some(lamp("b", 2)));
    assert_eq!(watch.brief().await, (WatchEvent::Bookmark, None));
    // From there nothing is left.
    let mut watch = room.watch(&changed.token, "").await.unwrap();
    assert_eq!(watch.brief().await, (WatchEvent::Bookmark, None));
    // Whoever saw a part of the snapshot gets all of it.
    let mut watch = room.watch(&first, "").await.unwrap();
    let mut all = [watch.brief().await, watch.brief().await];
    all.sort_by_key(|(_, lamp)| *lamp);
    assert_eq!(all.map(|(_, lamp)| lamp.unwrap()), [("a", 1), ("b", 2)]);
}

#[tokio::test(start_paused = true)]
async fn another_replica_sends_everything_rather_than_too_little() {
    let room = Room::new(7, &[lamp("a", 1), lamp("b", 1)]);
    let mut watch = room.watch("", "").await.unwrap();
    watch.next().await;
    watch.next().await;
    let synced = watch.next().await.token;
    let other = Room::new(7, &[lamp("a", 1), lamp("b", 1)]);
    let mut watch = other.watch(&synced, "").await.unwrap();
    assert_eq!(watch.brief().await.0, WatchEvent::Changed);
    assert_eq!(watch.brief().await.0, WatchEvent::Changed);
    assert_eq!(watch.brief().await, (WatchEvent::Bookmark, None));
    // One that lags is waited for.
    let lagging = Room::new(6, &[lamp("a", 1)]);
    let (opened, ()) = tokio::join!(lagging.watch(&synced, ""), async {
        sleep(Duration::from_millis(500)).await;
        lagging.set(7, &[lamp("a", 1)]);
    });
    assert_eq!(
        opened.unwrap().brief().await,
        (WatchEvent::Changed, Some(("a", 1)))
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_of_another_log_or_watch_or_time_is_refused() {
    let room = Room::new(7, &[lamp("a", 1)]);
    let mut watch = room.watch("", "").await.unwrap();
    watch.next().await;
    let token = watch.next().await.token;
    let known = Token::parse("lamps", &token).unwrap();
    let stream = STREAM + jiff::SignedDuration::from_secs(1);
    for wrong in [
        "nonsense".to_owned(),
        known.encode("rooms"),
        Token {
            stream,
            ..known.clone()
        }
        .encode("lamps"),
        Token {
            sequence: 8,
            ..known.clone()
        }
        .encode("lamps"),
        Token {
            place: 900,
            ..known.clone()
        }
        .encode("lamps"),
    ] {
        let refused = room.watch(&wrong, "").await.err().unwrap();
        assert_eq!(refused.code(), Code::OutOfRange, "{wrong}");
        assert!(refused.message().contains("without a token"), "{refused:?}");
    }
    // A log that is made anew ends the watches of the old one.
    room.now.lock().unwrap().0 = stream;
    assert_eq!(watch.end().await.code(), Code::OutOfRange);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_told_to_those_who_knew_it() {
    let room = Room::new(7, &[lamp("a", 1), lamp("b", 1)]);
    let mut watch = room.watch("", "b").await.unwrap();
    assert_eq!(watch.brief().await, (WatchEvent::Snapshot, Some(("b", 1))));
    let synced = watch.next().await.token;
    let gone = Lamp {
        gone: true,
        ..lamp("b", 1)
    };
    room.set(8, &[lamp("a", 2), gone.clone()]);
    assert_eq!(watch.next().await.resource, Some(gone.clone()));
    let mut resumed = room.watch(&synced, "b").await.unwrap();
    assert_eq!(resumed.next().await.resource, Some(gone));
    let mut anew = room.watch("", "").await.unwrap();
    assert_eq!(anew.brief().await, (WatchEvent::Snapshot, Some(("a", 2))));
    assert_eq!(anew.brief().await, (WatchEvent::Synced, None));
    let nothing = room.watch("", "c").await.err().unwrap();
    assert_eq!(nothing.code(), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_does_not_read_is_sent_away() {
    let names: Vec<&'static str> = (0..BUFFER * 2).map(|n| &*format!("lamp-{n:03}").leak()).collect();
    let lamps: Vec<Lamp> = names.iter().map(|name| lamp(name, 1)).collect();
    let room = Room::new(7, &lamps);
    let mut slow = room.watch("", "").await.unwrap();
    slow.next().await;
    sleep(PATIENCE * 2).await;
    let status = slow.end().await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("with the last token"), "{status:?}");
    // One that reads gets all of it.
    let mut quick = room.watch("", "").await.unwrap();
    for _ in &lamps {
        assert_eq!(quick.next().await.event, WatchEvent::Snapshot);
    }
    assert_eq!(quick.next().await.event, WatchEvent::Synced);
}

#[tokio::test(start_paused = true)]
async fn the_stop_ends_every_watch_at_once() {
    let room = Room::new(7, &[lamp("a", 1)]);
    let mut watch = room.watch("", "").await.unwrap();
    watch.next().await;
    watch.next().await;
    let before = Instant::now();
    room.shutdown.request();
    assert_eq!(watch.end().await.code(), Code::Unavailable);
    assert!(before.elapsed() < Duration::from_secs(1));
    assert!(watch.0.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_drawn_while_nobody_watches() {
    let room = Room::new(7, &[lamp("a", 1)]);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(room.board.begun.load(Ordering::SeqCst), 0);
    let watch = room.watch("", "").await.unwrap();
    sleep(Duration::from_secs(5)).await;
    let drawn = room.board.begun.load(Ordering::SeqCst);
    assert!(drawn >= 5, "{drawn}");
    drop(watch);
    sleep(Duration::from_secs(2)).await;
    let before = room.board.begun.load(Ordering::SeqCst);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(room.board.begun.load(Ordering::SeqCst), before);
}

#[tokio::test(start_paused = true)]
async fn a_watch_where_nothing_is_drawn_says_so() {
    let board: Board<Lamp> = Board::new("lamps");
    draw(&board, 7, &[lamp("a", 1)]);
    let (wish, shutdown) = (Wish { token: "", name: "" }, Shutdown::default());
    let opened = board.open(wish, &shutdown).await;
    assert_eq!(opened.err().unwrap().code(), Code::Unavailable);
}
