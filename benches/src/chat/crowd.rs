//! The loop that drives everybody.

use std::{io, time::Duration};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    fd::{AsFd, OwnedFd},
};

use super::{
    door::{Post, make_room},
    noticed::Noticed,
    person::{Heard, Person, room_name},
    plan::ChatPlan,
};
use crate::{
    clock::now_ns,
    load::{
        client::{Client, Exchange},
        overlap_ns,
    },
    report::Figures,
};

const EVENTS: usize = 512;
/// Who only reads: connections, and requests a second on all of them together.
const READERS: usize = 10;
const READS_PER_SECOND: f64 = 50.0;
/// The chat before and after the blocking.
const CALM: Duration = Duration::from_secs(1);
/// While a thread is busy for this long, the requests that block for longer are sent, so that they
/// are found together and not one by the thread that then does not look for the next.
const PRELUDE: Duration = Duration::from_millis(2);
/// After the end, this long is waited for what is late.
const DRAIN: Duration = Duration::from_secs(20);
/// The longest sleep of the loop.
const NAP_NS: u64 = 10_000_000;

/// Runs `plan` and gives its figures.
///
/// # Errors
/// The server cannot be reached, or refuses what people say: then it is not this that would be
/// measured. A connection that is lost is a figure and no error.
pub(crate) fn run(plan: &ChatPlan) -> Result<Figures, String> {
    let failed = |what: &'static str| move |error| format!("{what} {}: {error}", plan.address);
    let mut crowd = Crowd::gather(plan).map_err(failed("entering the chat at"))?;
    let figures = crowd.chat().map_err(failed("the chat at"))?;
    match crowd.noticed.refused.take() {
        Some(refused) => Err(format!("refused by {}: {refused}", plan.address)),
        None => Ok(figures),
    }
}

/// Everybody, and what they have noticed.
struct Crowd<'a> {
    plan: &'a ChatPlan,
    epoll: OwnedFd,
    events: Vec<Event>,
    buf: Vec<u8>,
    /// `None` once the connection is lost, as for the readers.
    people: Vec<Option<Person>>,
    /// How many of each room are there.
    present: Vec<u64>,
    readers: Vec<Option<Client>>,
    exchange: Exchange,
    posts: Vec<Post>,
    noticed: Noticed,
    /// When somebody says something next, and who.
    next_say: f64,
    speaker: usize,
    /// When somebody reads next, and who.
    next_read: f64,
    reader: usize,
}

impl<'a> Crowd<'a> {
    fn gather(plan: &'a ChatPlan) -> io::Result<Self> {
        for room in 0..plan.rooms {
            make_room(plan.address, &room_name(room))?;
        }
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut present = vec![0; plan.rooms];
        let mut people = Vec::with_capacity(plan.people);
        for number in 0..plan.people {
            let room = number % plan.rooms;
            let person = Person::arrive(plan.address, number, room)?;
            watch(&epoll, &person.stream, number)?;
            present[room] += 1;
            people.push(Some(person));
        }
        let mut readers = Vec::with_capacity(READERS);
        for number in 0..READERS {
            let client = Client::connect(plan.address)?;
            watch(&epoll, &client.stream, plan.people + number)?;
            readers.push(Some(client));
        }
        Ok(Self {
            plan,
            epoll,
            events: Vec::with_capacity(EVENTS),
            buf: vec![0; 64 * 1024],
            people,
            present,
            readers,
            exchange: Exchange::learn_http("/api", "", plan.address)?,
            posts: Vec::new(),
            noticed: Noticed::new(),
            next_say: 0.0,
            speaker: 0,
            next_read: 0.0,
            reader: 0,
        })
    }

    fn chat(&mut self) -> io::Result<Figures> {
        let start = now_ns();
        (self.next_say, self.next_read) = (start as f64, start as f64);
        self.go_on_for(self.plan.warmup)?;
        let calm = now_ns();
        self.noticed.calm = calm..u64::MAX;
        self.go_on_for(CALM)?;
        self.block()?;
        self.go_on_for(self.plan.time + CALM)?;
        self.drain()?;
        let mut figures = self.noticed.figures();
        if self.plan.kind.is_some() {
            let spans: io::Result<Vec<_>> = self.posts.iter().map(Post::blocked_between).collect();
            figures.set("all_blocked_ms", overlap_ns(&spans?) as f64 / 1e6);
        }
        Ok(figures)
    }

    /// Has as many threads of the server blocked as the plan says, from now on.
    fn block(&mut self) -> io::Result<()> {
        if self.plan.kind.is_some() {
            let mut prelude = Post::connect(self.plan.address)?;
            for _ in 0..self.plan.times {
                let post = Post::connect(self.plan.address)?;
                let key = self.people.len() + READERS + self.posts.len();
                watch(&self.epoll, &post.stream, key)?;
                self.posts.push(post);
            }
            // They are to be accepted before anything is blocked.
            self.go_on_for(PRELUDE * 10)?;
            prelude.block("spin", PRELUDE)?;
            self.go_on_for(PRELUDE / 2)?;
        }
        let begin = now_ns();
        self.noticed.calm.end = begin;
        self.noticed.blocked = begin..begin + self.plan.time.as_nanos() as u64;
        if let Some(kind) = self.plan.kind.as_deref() {
            for post in &mut self.posts {
                post.block(kind, self.plan.time)?;
            }
        }
        Ok(())
    }

    /// Lets people talk for `time`.
    fn go_on_for(&mut self, time: Duration) -> io::Result<()> {
        let until = now_ns() + time.as_nanos() as u64;
        loop {
            let now = now_ns();
            if now >= until {
                return Ok(());
            }
            let next = self.say_and_read(now);
            self.step(next.min(until).saturating_sub(now))?;
        }
    }

    /// Says nothing more and waits for what has not come.
    fn drain(&mut self) -> io::Result<()> {
        let until = now_ns() + DRAIN.as_nanos() as u64;
        loop {
            let reading = self
                .readers
                .iter()
                .flatten()
                .any(|reader| !reader.is_idle());
            let mut blocked = false;
            for post in &mut self.posts {
                blocked |= !post.receive()?;
            }
            let done = self.noticed.is_complete() && !reading && !blocked;
            if done || now_ns() > until {
                return Ok(());
            }
            self.step(NAP_NS)?;
        }
    }

    /// Sends what is due; says when the next is.
    fn say_and_read(&mut self, now: u64) -> u64 {
        while self.next_say <= now as f64 {
            let due = self.next_say as u64;
            self.next_say += 1e9 / self.plan.rate;
            self.say(due, now);
        }
        while self.next_read <= now as f64 {
            let due = self.next_read as u64;
            self.next_read += 1e9 / READS_PER_SECOND;
            self.reader = (self.reader + 1) % READERS;
            self.noticed.sent(due, now);
            if let Some(reader) = &mut self.readers[self.reader]
                && reader.send(&self.exchange, due).is_err()
            {
                self.lose_reader(self.reader);
            }
        }
        self.next_say.min(self.next_read) as u64
    }

    /// Somebody who is still there says something.
    fn say(&mut self, due: u64, now: u64) {
        let count = self.people.len();
        let turns = (1..=count).map(|turn| (self.speaker + turn) % count);
        let Some(who) = turns.into_iter().find(|&who| self.people[who].is_some()) else {
            return;
        };
        self.speaker = who;
        self.noticed.sent(due, now);
        if let Some(person) = &mut self.people[who] {
            match person.say(due) {
                Ok(()) => self.noticed.expect(self.present[person.room]),
                Err(_) => self.lose_person(who),
            }
        }
    }

    /// Takes one batch of events, sleeping at most `wait_ns` for it.
    fn step(&mut self, wait_ns: u64) -> io::Result<()> {
        let wait_ns = if self.plan.spin {
            0
        } else {
            wait_ns.min(NAP_NS)
        };
        let wait = Timespec {
            tv_sec: 0,
            tv_nsec: wait_ns as i64,
        };
        self.events.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&wait))?;
        for at in 0..self.events.len() {
            let key = self.events[at].data.u64() as usize;
            if key < self.people.len() {
                self.hear(key);
            } else if key < self.people.len() + READERS {
                self.read(key - self.people.len());
            } else {
                // Whether the answer is whole is asked at the end.
                self.posts[key - self.people.len() - READERS].receive()?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, who: usize) {
        let Some(person) = &mut self.people[who] else {
            return;
        };
        let (now, noticed) = (now_ns(), &mut self.noticed);
        let listened = person.listen(|heard| match heard {
            Heard::Message(due) => noticed.message(due, now),
            Heard::Refused(why) => drop(noticed.refused.get_or_insert(why)),
            Heard::Other => {}
        });
        if listened.and_then(|()| person.flush()).is_err() {
            self.lose_person(who);
        }
    }

    fn read(&mut self, who: usize) {
        let Some(reader) = &mut self.readers[who] else {
            return;
        };
        let (now, noticed) = (now_ns(), &mut self.noticed);
        let got = reader.receive(&self.exchange, &mut self.buf, |due| noticed.got(due, now));
        if got.and_then(|()| reader.flush(&self.exchange)).is_err() {
            self.lose_reader(who);
        }
    }

    fn lose_person(&mut self, who: usize) {
        if let Some(person) = self.people[who].take() {
            self.present[person.room] -= 1;
            self.noticed.lost += 1;
        }
    }

    fn lose_reader(&mut self, who: usize) {
        if self.readers[who].take().is_some() {
            self.noticed.lost += 1;
        }
    }
}

fn watch(epoll: &OwnedFd, stream: impl AsFd, key: usize) -> io::Result<()> {
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
    epoll::add(epoll, stream, EventData::new_u64(key as u64), flags)?;
    Ok(())
}
