//! Who is in which room: a state machine without I/O.
//!
//! It knows connections by number and says whom an event concerns; the hub delivers. Changes of
//! presence are not told one by one: a thousand people who come at once would be a million
//! events. They add up (someone who came and went is no change at all) until
//! [`Rooms::take_changes`] is asked for what is new.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::protocol::RoomSummary;

/// One connection; a person with two tabs open has two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConnId(u64);

/// The people in a room by name, each with the number of connections.
pub(crate) type People = Vec<(Arc<str>, usize)>;

/// All rooms and all connections.
#[derive(Debug)]
pub(crate) struct Rooms {
    rooms: BTreeMap<Arc<str>, Room>,
    connections: HashMap<ConnId, Connection>,
    next_id: u64,
    joined_max: usize,
    changed: BTreeSet<Arc<str>>,
}

#[derive(Debug)]
struct Room {
    created_ms: u64,
    last_seq: u64,
    connections: HashSet<ConnId>,
    /// How many connections each person has in here; never zero.
    people: BTreeMap<Arc<str>, usize>,
    /// Who came or went since the last announcement, to be told to those who are here.
    unannounced: BTreeMap<Arc<str>, Move>,
}

#[derive(Debug)]
struct Connection {
    name: Arc<str>,
    joined: BTreeSet<Arc<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Came,
    Went,
}

/// Why a connection may not join.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum JoinRefused {
    UnknownRoom,
    /// It is already in this many rooms, which is the limit.
    TooMany(usize),
    /// The connection itself is no longer known: it was dropped a moment ago.
    Gone,
}

/// What has changed since the last time, and whom it concerns.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) presence: Vec<PresenceChange>,
    pub(crate) rooms: Vec<RoomSummary>,
    /// Those who should see `rooms`: all who cannot know it from being in these rooms themselves.
    pub(crate) rooms_for: Vec<ConnId>,
}

/// Comings and goings in one room.
#[derive(Debug)]
pub(crate) struct PresenceChange {
    pub(crate) room: Arc<str>,
    pub(crate) came: Vec<Arc<str>>,
    pub(crate) went: Vec<Arc<str>>,
    pub(crate) people: usize,
    pub(crate) tell: Vec<ConnId>,
}

impl Rooms {
    /// No rooms yet; each connection may join `joined_max` of those to come.
    pub(crate) fn new(joined_max: usize) -> Self {
        Self {
            rooms: BTreeMap::new(),
            connections: HashMap::new(),
            next_id: 0,
            joined_max,
            changed: BTreeSet::new(),
        }
    }

    /// Adds a room; one that is known already stays as it is.
    pub(crate) fn add_room(&mut self, name: &Arc<str>, created_ms: u64, last_seq: u64) {
        if !self.rooms.contains_key(name) {
            let room = Room {
                created_ms,
                last_seq,
                connections: HashSet::new(),
                people: BTreeMap::new(),
                unannounced: BTreeMap::new(),
            };
            self.rooms.insert(Arc::clone(name), room);
            self.changed.insert(Arc::clone(name));
        }
    }

    pub(crate) fn connect(&mut self, name: &str) -> ConnId {
        self.next_id += 1;
        let id = ConnId(self.next_id);
        self.connections.insert(
            id,
            Connection {
                name: name.into(),
                joined: BTreeSet::new(),
            },
        );
        id
    }

    /// Forgets a connection and takes it out of its rooms; does nothing the second time.
    pub(crate) fn disconnect(&mut self, id: ConnId) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        for room in connection.joined {
            self.take_out(id, &connection.name, &room);
        }
    }

    /// Puts a connection into a room and says who is there, itself included. Joining twice is
    /// joining once.
    pub(crate) fn join(&mut self, id: ConnId, room: &str) -> Result<Vec<Arc<str>>, JoinRefused> {
        let connection = self.connections.get_mut(&id).ok_or(JoinRefused::Gone)?;
        let Some((key, entry)) = self.rooms.get_key_value(room) else {
            return Err(JoinRefused::UnknownRoom);
        };
        if entry.connections.contains(&id) {
            return Ok(entry.people.keys().cloned().collect());
        }
        if connection.joined.len() >= self.joined_max {
            return Err(JoinRefused::TooMany(self.joined_max));
        }
        let key = Arc::clone(key);
        connection.joined.insert(Arc::clone(&key));
        let name = Arc::clone(&connection.name);
        let entry = self.rooms.get_mut(room).ok_or(JoinRefused::UnknownRoom)?;
        entry.connections.insert(id);
        let tabs = entry.people.entry(Arc::clone(&name)).or_insert(0);
        *tabs += 1;
        if *tabs == 1 {
            entry.note(name, Move::Came);
            self.changed.insert(key);
        }
        Ok(entry.people.keys().cloned().collect())
    }

    /// Takes a connection out of a room; false if it was not in there.
    pub(crate) fn leave(&mut self, id: ConnId, room: &str) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else {
            return false;
        };
        let Some(room) = connection.joined.take(room) else {
            return false;
        };
        let name = Arc::clone(&connection.name);
        self.take_out(id, &name, &room);
        true
    }

    fn take_out(&mut self, id: ConnId, name: &Arc<str>, room: &Arc<str>) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        if !entry.connections.remove(&id) {
            return;
        }
        if let Some(tabs) = entry.people.get_mut(name) {
            *tabs -= 1;
            if *tabs == 0 {
                entry.people.remove(name);
                entry.note(Arc::clone(name), Move::Went);
                self.changed.insert(Arc::clone(room));
            }
        }
    }

    /// Notes that a message became durable, and says which connections must see it.
    pub(crate) fn published(&mut self, room: &str, seq: u64) -> impl Iterator<Item = ConnId> + '_ {
        let changed = &mut self.changed;
        let rooms = &mut self.rooms;
        if let Some((key, entry)) = rooms.get_key_value(room)
            && entry.last_seq < seq
        {
            changed.insert(Arc::clone(key));
        }
        let entry = rooms.get_mut(room);
        entry.into_iter().flat_map(move |entry| {
            entry.last_seq = entry.last_seq.max(seq);
            entry.connections.iter().copied()
        })
    }

    /// Whether [`Rooms::take_changes`] has something to say.
    pub(crate) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Takes what is new since the last call, to be announced.
    pub(crate) fn take_changes(&mut self) -> Changes {
        let changed = std::mem::take(&mut self.changed);
        let mut changes = Changes::default();
        for name in &changed {
            let Some(room) = self.rooms.get_mut(name) else {
                continue;
            };
            changes.rooms.push(room.summary(name));
            if room.unannounced.is_empty() {
                continue;
            }
            let (mut came, mut went) = (Vec::new(), Vec::new());
            for (person, moved) in std::mem::take(&mut room.unannounced) {
                match moved {
                    Move::Came => came.push(person),
                    Move::Went => went.push(person),
                }
            }
            changes.presence.push(PresenceChange {
                room: Arc::clone(name),
                came,
                went,
                people: room.people.len(),
                tell: room.connections.iter().copied().collect(),
            });
        }
        let outside = |connection: &Connection| !changed.is_subset(&connection.joined);
        let rooms_for = self
            .connections
            .iter()
            .filter(|(_, connection)| outside(connection));
        changes.rooms_for = rooms_for.map(|(&id, _)| id).collect();
        changes
    }

    pub(crate) fn contains(&self, room: &str) -> bool {
        self.rooms.contains_key(room)
    }

    /// All rooms, by name.
    pub(crate) fn summaries(&self) -> Vec<RoomSummary> {
        self.rooms
            .iter()
            .map(|(name, room)| room.summary(name))
            .collect()
    }

    /// One room, and for each person in it the number of connections.
    pub(crate) fn room(&self, name: &str) -> Option<(RoomSummary, People)> {
        let (name, room) = self.rooms.get_key_value(name)?;
        let people = room
            .people
            .iter()
            .map(|(person, &tabs)| (Arc::clone(person), tabs))
            .collect();
        Some((room.summary(name), people))
    }

    /// The names of all who are connected, each as often as it is.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self
            .connections
            .values()
            .map(|c| Arc::clone(&c.name))
            .collect();
        names.sort();
        names
    }
}

impl Room {
    /// Adds one move; coming and going cancel each other out.
    fn note(&mut self, person: Arc<str>, moved: Move) {
        match self.unannounced.get(&person) {
            Some(earlier) if *earlier != moved => {
                self.unannounced.remove(&person);
            }
            _ => {
                self.unannounced.insert(person, moved);
            }
        }
    }

    fn summary(&self, name: &Arc<str>) -> RoomSummary {
        RoomSummary {
            name: Arc::clone(name),
            people: self.people.len(),
            last_seq: self.last_seq,
            created_ms: self.created_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{JoinRefused, Rooms};

    fn rooms() -> Rooms {
        let mut rooms = Rooms::new(2);
        for name in ["attic", "cellar", "lobby"] {
            rooms.add_room(&Arc::from(name), 0, 0);
        }
        rooms.take_changes();
        rooms
    }

    fn texts(names: &[Arc<str>]) -> Vec<&str> {
        names.iter().map(|name| &**name).collect()
    }

    #[test]
    fn two_tabs_are_one_person() {
        let mut rooms = rooms();
        let (first, second) = (rooms.connect("Ada"), rooms.connect("Ada"));
        rooms.join(first, "lobby").unwrap();
        assert_eq!(texts(&rooms.join(second, "lobby").unwrap()), ["Ada"]);
        let changes = rooms.take_changes();
        assert_eq!(changes.presence.len(), 1);
        assert_eq!(texts(&changes.presence[0].came), ["Ada"]);
        assert_eq!(changes.presence[0].tell.len(), 2);

        rooms.disconnect(first);
        assert!(!rooms.has_changes());
        rooms.disconnect(second);
        rooms.disconnect(second);
        let changes = rooms.take_changes();
        assert_eq!(texts(&changes.presence[0].went), ["Ada"]);
        assert_eq!(changes.presence[0].people, 0);
    }

    #[test]
    fn coming_and_going_between_announcements_is_no_news() {
        let mut rooms = rooms();
        let (ada, bob) = (rooms.connect("Ada"), rooms.connect("Bob"));
        rooms.join(ada, "lobby").unwrap();
        rooms.take_changes();
        rooms.join(bob, "lobby").unwrap();
        assert!(rooms.leave(bob, "lobby"));
        assert!(!rooms.leave(bob, "lobby"));
        assert!(rooms.take_changes().presence.is_empty());
    }

    #[test]
    fn joining_has_its_limits() {
        let mut rooms = rooms();
        let ada = rooms.connect("Ada");
        assert_eq!(rooms.join(ada, "nowhere"), Err(JoinRefused::UnknownRoom));
        rooms.join(ada, "attic").unwrap();
        rooms.join(ada, "cellar").unwrap();
        rooms.join(ada, "cellar").unwrap();
        assert_eq!(rooms.join(ada, "lobby"), Err(JoinRefused::TooMany(2)));
        rooms.leave(ada, "attic");
        rooms.join(ada, "lobby").unwrap();
        rooms.disconnect(ada);
        assert_eq!(rooms.join(ada, "lobby"), Err(JoinRefused::Gone));
    }

    #[test]
    fn messages_go_to_those_inside_and_news_to_those_outside() {
        let mut rooms = rooms();
        let (inside, outside) = (rooms.connect("Ada"), rooms.connect("Bob"));
        rooms.join(inside, "lobby").unwrap();
        rooms.take_changes();
        assert_eq!(rooms.published("lobby", 1).collect::<Vec<_>>(), [inside]);
        assert_eq!(rooms.published("nowhere", 1).count(), 0);
        let changes = rooms.take_changes();
        assert!(changes.presence.is_empty());
        assert_eq!(changes.rooms_for, [outside]);
        assert_eq!(changes.rooms[0].last_seq, 1);
        assert!(!rooms.has_changes());
    }
}
