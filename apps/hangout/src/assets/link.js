// The connection to the server: it stays up by itself, and what is to be sent is kept until the
// server has acknowledged it. Each message carries a nonce, so that sending again after a lost
// connection stores it once.

const BACKOFF_FIRST_MS = 400;
const BACKOFF_MAX_MS = 15_000;
const SILENCE_MAX_MS = 45_000;
const PONG_MAX_MS = 5_000;

export class Link {
  #name = null;
  #socket = null;
  #attempts = 0;
  #timer = null;
  #watchdog = null;
  #inFlight = null;
  #handlers;
  #storageKey;

  online = false;
  outbox;

  // `handlers`: state(word, seconds), event(frame), outbox()
  constructor(storageKey, handlers) {
    this.#storageKey = storageKey;
    this.#handlers = handlers;
    this.outbox = load(storageKey) ?? [];
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.online ? this.#probe() : this.retryNow();
    });
  }

  start(name) {
    this.#name = name;
    this.#attempts = 0;
    this.#connect();
  }

  get started() {
    return this.#name !== null;
  }

  stop() {
    this.#name = null;
    this.#drop();
  }

  retryNow() {
    if (this.#name === null || this.online) return;
    this.#attempts = 0;
    this.#connect();
  }

  // Sends at once, or not at all: for what is pointless later.
  send(frame) {
    if (!this.online) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  // Queues a message; it will arrive, once.
  post(room, text) {
    this.outbox.push({ nonce: nonce(), room, text, problem: null });
    this.#changed();
    this.#pump();
  }

  retry(entry) {
    entry.problem = null;
    entry.nonce = nonce();
    this.#changed();
    this.#pump();
  }

  discard(entry) {
    this.outbox = this.outbox.filter((other) => other !== entry);
    this.#changed();
  }

  #changed() {
    try {
      sessionStorage.setItem(this.#storageKey, JSON.stringify(this.outbox));
    } catch {
      // Without storage the queue still lives as long as the page.
    }
    this.#handlers.outbox();
  }

  #drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    const socket = this.#socket;
    this.#socket = null;
    this.online = false;
    this.#inFlight = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  #connect() {
    this.#drop();
    this.#handlers.state("connecting", 0);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws`);
    this.#socket = socket;
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", name: this.#name }));
    socket.onmessage = (message) => this.#receive(JSON.parse(message.data));
    socket.onclose = () => this.#lost();
  }

  #lost() {
    this.#drop();
    const base = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.#attempts);
    this.#attempts += 1;
    // A whole room that was cut off together should not come back in step.
    const delay = base * (0.75 + Math.random() / 2);
    this.#handlers.state("offline", Math.round(delay / 1000));
    this.#timer = setTimeout(() => this.#connect(), delay);
  }

  #receive(frame) {
    this.#rest();
    switch (frame.type) {
      case "welcome":
        this.online = true;
        this.#attempts = 0;
        this.#handlers.state("online", 0);
        this.#handlers.event(frame);
        this.#pump();
        return;
      case "ack":
        this.#acknowledged(frame);
        return;
      case "error":
        if (frame.nonce && frame.nonce === this.#inFlight) {
          this.#refused(frame);
          return;
        }
        break;
      case "pong":
        return;
    }
    this.#handlers.event(frame);
  }

  // One message at a time: the order in which they were written is the order in which they arrive.
  #pump() {
    if (!this.online || this.#inFlight !== null) return;
    const next = this.outbox.find((entry) => entry.problem === null);
    if (!next) return;
    this.#inFlight = next.nonce;
    this.send({ type: "send", room: next.room, text: next.text, nonce: next.nonce });
  }

  #acknowledged(frame) {
    const entry = this.outbox.find((other) => other.nonce === frame.nonce);
    if (this.#inFlight === frame.nonce) this.#inFlight = null;
    this.#handlers.event(frame);
    if (entry) this.discard(entry);
    this.#pump();
  }

  #refused(frame) {
    const socket = this.#socket;
    const again = { rate_limited: frame.retry_after_ms, storage: 3000, stopping: 1000 }[frame.code];
    if (again !== undefined) {
      setTimeout(() => {
        if (this.#socket !== socket) return;
        this.#inFlight = null;
        this.#pump();
      }, again);
      return;
    }
    this.#inFlight = null;
    const entry = this.outbox.find((other) => other.nonce === frame.nonce);
    if (entry) entry.problem = frame.message;
    this.#changed();
    this.#pump();
  }

  // A connection can die without a word. After a long silence, ask.
  #rest() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#probe(), SILENCE_MAX_MS);
  }

  #probe() {
    clearTimeout(this.#watchdog);
    if (!this.send({ type: "ping" })) return;
    this.#watchdog = setTimeout(() => this.#lost(), PONG_MAX_MS);
  }
}

// crypto.randomUUID exists on secure origins only, and a chat in the local network is none.
function nonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function load(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}
