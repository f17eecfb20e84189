// The page: what is shown and what the visitor does. Everything that people wrote goes into the
// page as text nodes, never as HTML.

import { Link } from "/link.js";

const $ = (id) => document.getElementById(id);
const KEPT_MESSAGES = 400;
const GROUP_MS = 5 * 60_000;

const store = {
  get(key) { try { return JSON.parse(localStorage.getItem(`hangout.${key}`)); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(`hangout.${key}`, JSON.stringify(value)); } catch { /* private mode */ } },
};
// A tab keeps its own name, so that two tabs can be two people; a new tab starts with the last.
const tab = {
  get name() { try { return sessionStorage.getItem("hangout.name") ?? store.get("name"); } catch { return null; } },
  set name(name) { try { sessionStorage.setItem("hangout.name", name); } catch { /* private mode */ } store.set("name", name); },
};

let limits = { message_chars: 4000, name_chars: 32, room_chars: 40 };
let name = tab.name;
const rooms = new Map();          // name -> summary
let room = null;                  // the name of the open room
let wanted = roomInAddress() || store.get("room") || "lobby";
let people = new Set();
let messages = [];                // of the open room, oldest first, without gaps
let joined = false;               // whether the server has answered our join
let moreOlder = false;
let loadingOlder = false;
let unreadFrom = null;            // the first message that was unread when the room was opened
const settling = new Map();       // seq -> element of a message that is stored but not yet shown
let read = {};                    // room -> the newest seq that this person has seen

const link = new Link("hangout.outbox", { state: showState, event: receive, outbox: showPending });

// ---- what the server says

function receive(frame) {
  switch (frame.type) {
    case "welcome":
      limits = frame.limits;
      name = frame.name;
      tab.name = name;
      read = store.get(`read:${name}`) ?? {};
      rooms.clear();
      for (const summary of frame.rooms) rooms.set(summary.name, summary);
      showMe();
      enter(rooms.has(wanted) ? wanted : firstRoom(), { again: true });
      break;
    case "joined": showJoined(frame); break;
    case "history": showOlder(frame); break;
    case "message": showMessage(frame); break;
    case "ack": settle(frame); break;
    case "presence":
      if (frame.room !== room) break;
      frame.joined.forEach((person) => people.add(person));
      frame.left.forEach((person) => people.delete(person));
      showPeople();
      break;
    case "rooms":
      for (const summary of frame.rooms) {
        // A room that comes to be while we watch starts with nothing unread.
        if (!rooms.has(summary.name) && !(summary.name in read)) markRead(summary.name, 0);
        rooms.set(summary.name, summary);
      }
      showRooms();
      break;
    case "created":
      rooms.set(frame.room.name, frame.room);
      $("new-room-name").value = "";
      enter(frame.room.name);
      break;
    case "error": showError(frame); break;
  }
}

function showError(frame) {
  if (!link.online) {
    link.stop();
    askName(frame.message);
    return;
  }
  switch (frame.code) {
    case "room_exists":
      $("new-room-name").value = "";
      enter(frame.room);
      return;
    case "bad_room_name":
    case "too_many_rooms":
      $("new-room-problem").textContent = sentence(frame.message);
      return;
    case "rate_limited":
      setTimeout(() => { if (!joined) join(); }, frame.retry_after_ms);
      return;
    case "unknown_room":
      if (frame.room === room) enter(firstRoom());
      break;
  }
  toast(sentence(frame.message));
}

function firstRoom() {
  return rooms.has("lobby") ? "lobby" : (rooms.keys().next().value ?? null);
}

// ---- rooms

function enter(next, { again = false } = {}) {
  if (next === null || (next === room && !again)) return;
  if (next !== room) {
    if (room !== null) link.send({ type: "leave", room });
    room = wanted = next;
    messages = [];
    people = new Set();
    moreOlder = false;
    unreadFrom = null;
    settling.clear();
    store.set("room", room);
    history.replaceState(null, "", `#${encodeURIComponent(room)}`);
    $("messages").replaceChildren();
    $("room-name").textContent = room;
    $("older").textContent = "Loading…";
    showPending();
    showPeople();
  }
  closePanels();
  showRooms();
  join();
}

function join() {
  joined = false;
  loadingOlder = false;
  const last = messages.at(-1);
  link.send(last ? { type: "join", room, after: last.seq } : { type: "join", room });
}

function showJoined(page) {
  if (page.room !== room) return;
  people = new Set(page.people);
  showPeople();
  if (messages.length && page.more) {
    // Away for more than a page: start over from the newest; scrolling back has the rest.
    messages = [];
    $("messages").replaceChildren();
    join();
    return;
  }
  joined = true;
  const fresh = messages.length === 0;
  if (fresh) {
    moreOlder = page.more;
    const seen = read[room];
    if (seen !== undefined) unreadFrom = page.messages.find((message) => message.seq > seen)?.seq ?? null;
  }
  const summary = rooms.get(room);
  if (summary) summary.last_seq = Math.max(summary.last_seq, page.last_seq);
  const stick = fresh || atBottom();
  page.messages.forEach(append);
  trim();
  showOlderNote();
  if (stick) toBottom();
  noteRead();
  watchTop();
}

function showRooms() {
  const list = $("rooms");
  const focused = document.activeElement?.dataset?.room;
  let unreadElsewhere = 0;
  const items = [...rooms.values()].sort((a, b) => a.name.localeCompare(b.name)).map((summary) => {
    const unread = unreadIn(summary);
    if (summary.name !== room) unreadElsewhere += unread;
    const button = element("button", "room");
    button.type = "button";
    button.dataset.room = summary.name;
    button.append(element("span", "name", summary.name));
    if (summary.name === room) button.setAttribute("aria-current", "true");
    if (unread > 0) {
      button.classList.add("unread");
      const badge = element("span", "badge", unread > 99 ? "99+" : String(unread));
      badge.append(element("span", "unseen", " unread"));
      button.append(badge);
    } else if (summary.people > 0) {
      const count = element("span", "count", String(summary.people));
      count.title = `${summary.people} here`;
      count.append(element("span", "unseen", summary.people === 1 ? " person" : " people"));
      button.append(count);
    }
    const item = document.createElement("li");
    item.append(button);
    return item;
  });
  list.replaceChildren(...items);
  if (focused) list.querySelector(`[data-room="${CSS.escape(focused)}"]`)?.focus();
  $("other-unread").hidden = unreadElsewhere === 0;
  const here = room === null ? 0 : unreadIn(rooms.get(room));
  const total = unreadElsewhere + here;
  document.title = `${total > 0 ? `(${total > 99 ? "99+" : total}) ` : ""}${room === null ? "" : `${room} · `}hangout`;
}

function unreadIn(summary) {
  const seen = summary && read[summary.name];
  return seen === undefined ? 0 : Math.max(0, summary.last_seq - seen);
}

function markRead(where, seq) {
  if (read[where] >= seq) return;
  // Other tabs of the same person mark things read too.
  Object.assign(read, store.get(`read:${name}`));
  read[where] = Math.max(read[where] ?? 0, seq);
  store.set(`read:${name}`, read);
}

// What is on the screen of somebody who is looking has been read.
function noteRead() {
  if (document.hidden || !joined || !atBottom()) return;
  markRead(room, messages.at(-1)?.seq ?? 0);
  $("latest").hidden = true;
  showRooms();
}

// ---- people

function showPeople() {
  const sorted = [...people].sort((a, b) => a.localeCompare(b));
  $("people").replaceChildren(...sorted.map((person) => {
    const item = element("li", "person");
    item.append(avatar(person), element("span", "", person === name ? `${person} (you)` : person));
    return item;
  }));
  $("people-count").textContent = people.size;
  const summary = rooms.get(room);
  if (summary && joined) summary.people = people.size;
}

function avatar(person) {
  const mark = element("span", "avatar", [...person][0]?.toUpperCase() ?? "?");
  mark.setAttribute("aria-hidden", "true");
  mark.style.setProperty("--hue", hue(person));
  return mark;
}

function hue(text) {
  let hash = 7;
  for (const char of text) hash = (hash * 31 + char.codePointAt(0)) % 3600;
  return hash / 10;
}

function showMe() {
  $("my-name").textContent = name;
  $("my-avatar").replaceWith(Object.assign(avatar(name), { id: "my-avatar" }));
  $("hello-name").maxLength = limits.name_chars;
  $("new-room-name").maxLength = limits.room_chars;
}

// ---- messages

function showMessage(message) {
  const summary = rooms.get(message.room);
  if (summary) summary.last_seq = Math.max(summary.last_seq, message.seq);
  if (message.room === room && joined) {
    const stick = atBottom();
    append(message);
    if (stick) {
      trim();
      toBottom();
    } else if (message.name !== name) {
      $("latest").textContent = "New messages ↓";
      $("latest").hidden = false;
    }
    noteRead();
  }
  showRooms();
}

function append(message) {
  const last = messages.at(-1);
  if (last && message.seq <= last.seq) return;
  settling.get(message.seq)?.remove();
  settling.delete(message.seq);
  const item = messageElement(message);
  decorate(item, last, message);
  messages.push(message);
  $("messages").append(item);
  if (!last) showOlderNote();
}

function messageElement(message) {
  const item = element("li", "message");
  if (message.seq) item.dataset.seq = message.seq;
  const head = element("p", "head");
  head.append(element("span", "name", message.name));
  if (message.time_ms) {
    const at = new Date(message.time_ms);
    const time = element("time", "", clock.format(at));
    time.dateTime = at.toISOString();
    time.title = full.format(at);
    head.append(time);
  }
  const text = element("p", "text");
  text.append(...linked(message.text));
  item.append(avatar(message.name), head, text);
  return item;
}

// Puts a message in relation to the one before it: a new day, the first unread, the same author.
function decorate(item, before, message) {
  item.querySelectorAll(".rule").forEach((rule) => rule.remove());
  const rules = [];
  if (!before || dayOf(before.time_ms) !== dayOf(message.time_ms)) {
    rules.push(element("div", "rule", dayName(message.time_ms)));
  }
  if (message.seq === unreadFrom) rules.push(element("div", "rule unread-rule", "New"));
  item.prepend(...rules);
  const follows = before && !rules.length && before.name === message.name
    && message.time_ms - before.time_ms < GROUP_MS;
  item.classList.toggle("follow", Boolean(follows));
}

function showOlder(page) {
  if (page.room !== room || !loadingOlder) return;
  loadingOlder = false;
  moreOlder = page.more;
  const first = messages[0];
  const older = page.messages.filter((message) => !first || message.seq < first.seq);
  const items = older.map((message, index) => {
    const item = messageElement(message);
    decorate(item, older[index - 1], message);
    return item;
  });
  const log = $("log");
  // Old messages are not news to be read out.
  log.setAttribute("aria-busy", "true");
  const below = log.scrollHeight - log.scrollTop;
  $("messages").prepend(...items);
  if (first && older.length) {
    decorate($("messages").children[items.length], older.at(-1), first);
  }
  messages = [...older, ...messages];
  showOlderNote();
  log.scrollTop = log.scrollHeight - below;
  log.removeAttribute("aria-busy");
  watchTop();
}

function showOlderNote() {
  const empty = messages.length === 0;
  $("older").classList.toggle("empty", empty);
  $("older").textContent = moreOlder ? "Loading older messages…"
    : empty ? "Nobody has written here yet. Say hello!" : "This is where the room begins.";
}

// Keeps a long-lived page small; what is let go can be scrolled back to.
function trim() {
  if (messages.length <= KEPT_MESSAGES) return;
  const gone = messages.length - Math.floor(KEPT_MESSAGES * 0.75);
  messages = messages.slice(gone);
  const list = $("messages");
  for (let index = 0; index < gone; index += 1) list.firstChild.remove();
  moreOlder = true;
  decorate(list.firstChild, undefined, messages[0]);
  showOlderNote();
}

const top = new IntersectionObserver((entries) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  if (!joined || !moreOlder || loadingOlder || !messages.length) return;
  loadingOlder = link.send({ type: "history", room, before: messages[0].seq });
}, { root: $("log"), rootMargin: "300px 0px 0px 0px" });

// Observing afresh reports again, even if the top has stayed in view.
function watchTop() {
  top.unobserve($("older"));
  top.observe($("older"));
}

function atBottom() {
  const log = $("log");
  return log.scrollHeight - log.scrollTop - log.clientHeight < 60;
}

function toBottom() {
  const log = $("log");
  log.scrollTop = log.scrollHeight;
}

// ---- messages of our own that are on their way

function showPending() {
  const stick = atBottom();
  const items = link.outbox.filter((entry) => entry.room === room).map((entry) => {
    const item = messageElement({ name, text: entry.text });
    const note = element("p", "note");
    if (entry.problem) {
      item.classList.add("failed");
      note.append(element("span", "", `Not sent: ${entry.problem}`));
      note.append(action("Try again", () => link.retry(entry)), action("Discard", () => link.discard(entry)));
    } else {
      item.classList.add("waiting");
      note.textContent = link.online ? "Sending…" : "Waiting for the connection";
    }
    item.append(note);
    return item;
  });
  $("pending").replaceChildren(...settling.values(), ...items);
  if (stick) toBottom();
}

// Acknowledged: the message itself follows at once, unless we have it already.
function settle(ack) {
  const entry = link.outbox.find((other) => other.nonce === ack.nonce);
  if (!entry || ack.room !== room || ack.seq <= (messages.at(-1)?.seq ?? 0)) return;
  settling.set(ack.seq, messageElement({ name, text: entry.text }));
}

function action(label, run) {
  const button = element("button", "plain", label);
  button.type = "button";
  button.addEventListener("click", run);
  return button;
}

// ---- the state of the connection

let countdown = null;

function showState(state, seconds) {
  clearInterval(countdown);
  $("state").className = `state ${state === "online" ? "online" : state === "offline" ? "offline-state" : ""}`;
  $("state").textContent = { online: "Connected", offline: "Offline", connecting: "Connecting…" }[state];
  if (state === "online") {
    $("offline").hidden = true;
    showPending();
  } else if (state === "offline") {
    joined = false;
    $("offline").hidden = false;
    const show = () => {
      $("offline-text").textContent = seconds > 0
        ? `No connection. Trying again in ${seconds} s.` : "No connection. Trying again…";
      seconds -= 1;
    };
    show();
    countdown = setInterval(show, 1000);
    showPending();
  }
}

let toastTimer = null;

function toast(text) {
  clearTimeout(toastTimer);
  $("toast").textContent = text;
  $("toast").hidden = false;
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, 5000);
}

// ---- what the visitor does

function askName(problem = "") {
  $("hello-problem").textContent = problem && sentence(problem);
  $("hello-name").value = name ?? "";
  if (!$("hello").open) $("hello").showModal();
  $("hello-name").select();
}

$("hello-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const chosen = $("hello-name").value.trim();
  if (!chosen) return askName("Please give a name.");
  if (chosen !== name || !link.online) {
    name = chosen;
    showMe();
    link.start(name);
  }
  $("hello").close();
  // On a phone the focus would bring up the keyboard over what there is to read.
  if (!coarse.matches) $("text").focus();
});
// Without a name there is nothing to go back to.
$("hello").addEventListener("close", () => { if (!link.started) askName(); });
$("rename").addEventListener("click", () => askName());
$("retry").addEventListener("click", () => link.retryNow());

$("rooms").addEventListener("click", (event) => {
  const button = event.target.closest("[data-room]");
  if (!button) return;
  if (button.dataset.room === room) closePanels();
  enter(button.dataset.room);
  if (!coarse.matches) $("text").focus();
});

$("new-room").addEventListener("submit", (event) => {
  event.preventDefault();
  const chosen = $("new-room-name").value.trim();
  $("new-room-problem").textContent = "";
  if (!chosen) return $("new-room-name").focus();
  if (!link.send({ type: "create", room: chosen })) {
    $("new-room-problem").textContent = "A room can be made once the connection is back.";
  }
});

const coarse = matchMedia("(pointer: coarse)");
const text = $("text");

function grow() {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
  const length = [...text.value].length;
  const left = limits.message_chars - length;
  const counter = $("counter");
  counter.textContent = left > limits.message_chars / 5 ? "" : left >= 0 ? `${left} left` : `${-left} too many`;
  counter.classList.toggle("over", left < 0);
  $("send").disabled = left < 0;
}

text.addEventListener("input", grow);
text.addEventListener("keydown", (event) => {
  // On a touch keyboard Enter is the only way to a new line; there the button sends.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || coarse.matches) return;
  event.preventDefault();
  $("composer").requestSubmit();
});

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  // Pasted text may bring control characters along, which the server would refuse.
  const written = text.value.replace(/\r\n?/g, "\n").replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "").trimEnd();
  if (!written.trim() || room === null || $("send").disabled) return;
  text.value = "";
  grow();
  link.post(room, written);
  toBottom();
  text.focus();
});

$("log").addEventListener("scroll", noteRead, { passive: true });
$("latest").addEventListener("click", () => { toBottom(); noteRead(); });
document.addEventListener("visibilitychange", () => { if (room !== null) noteRead(); });
addEventListener("hashchange", () => {
  const asked = roomInAddress();
  if (rooms.has(asked)) enter(asked);
});
addEventListener("storage", (event) => {
  if (event.key !== `hangout.read:${name}`) return;
  Object.assign(read, store.get(`read:${name}`));
  showRooms();
});

// ---- panels on a narrow screen

const panels = [["open-rooms", "rooms-panel"], ["open-people", "people-panel"]];

for (const [button, panel] of panels) {
  $(button).addEventListener("click", () => {
    const open = !$(panel).classList.contains("open");
    closePanels();
    if (!open) return;
    $(panel).classList.add("open");
    $(button).setAttribute("aria-expanded", "true");
    $("backdrop").hidden = false;
    $(panel).querySelector(".close").focus();
  });
}

function closePanels() {
  for (const [button, panel] of panels) {
    if ($(panel).classList.contains("open") && $(panel).contains(document.activeElement)) $(button).focus();
    $(panel).classList.remove("open");
    $(button).setAttribute("aria-expanded", "false");
  }
  $("backdrop").hidden = true;
}

for (const button of document.querySelectorAll(".close")) button.addEventListener("click", closePanels);
$("backdrop").addEventListener("click", closePanels);
addEventListener("keydown", (event) => { if (event.key === "Escape") closePanels(); });
addEventListener("resize", () => { if (atBottom()) toBottom(); });

// ---- small things

function roomInAddress() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; }
}

function element(tag, className, content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (content !== undefined) made.textContent = content;
  return made;
}

// Text with its addresses made into links.
function linked(content) {
  return content.split(/(https?:\/\/[^\s<>"']*[^\s<>"'.,;:!?)\]}])/).map((part, index) => {
    if (index % 2 === 0) return document.createTextNode(part);
    const anchor = element("a", "", part);
    anchor.href = part;
    anchor.target = "_blank";
    anchor.rel = "noopener noreferrer";
    return anchor;
  });
}

function sentence(problem) {
  return `${problem[0].toUpperCase()}${problem.slice(1)}${/[.!?]$/.test(problem) ? "" : "."}`;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dayAndYear = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });

function dayOf(time) {
  return new Date(time).toDateString();
}

function dayName(time) {
  const at = new Date(time);
  const now = new Date();
  if (dayOf(at) === dayOf(now)) return "Today";
  if (dayOf(at) === dayOf(now - 86_400_000)) return "Yesterday";
  return at.getFullYear() === now.getFullYear() ? day.format(at) : dayAndYear.format(at);
}

if (name) {
  showMe();
  link.start(name);
} else {
  askName();
}
