// The WebSocket to one conversation. It connects again by itself, and then asks for what was missed;
// what was asked over it is asked again until it is answered, under the same key.

const PING_MS = 20_000;
const CONNECT_MS = 15_000; // the first frame may take some seconds, if the user has many sockets
const AGAIN_MS = [250, 2000]; // the shortest and the longest wait before it connects again
const TOO_MANY_MS = 15_000;

const BAD_TOKEN = 4001;
const IDLE = 4008;
const TOO_MANY = 4029;
const IN_VAIN = new Set([1008, 4003, 4004]); // closed with these, another attempt ends the same way
const PASSING = new Set(["DATABASE_ERROR", "OVERLOADED", "SHUTTING_DOWN", "PROCESSING_ERROR", "RATE_LIMITED"]);

export class Line {
  #socket = null;
  #asked = []; // { frame, resolve, reject }, in order, unanswered
  #failures = 0;
  #isSilent = false;
  #timers = new Map();
  #isClosed = false;
  #isRetired = false;
  #againMs = null;
  #work = Promise.resolve();

  /**
   * session: gives the token, and renews it. conversation: its id, or null for a new one.
   * place(): where to resume, or null. hear(frame): takes every frame of the server, one after
   * another. tell(status, text): "connecting", "online", "offline", "idle" or "refused".
   */
  constructor({ session, conversation, place, hear, tell }) {
    Object.assign(this, { session, conversation, place, hear, tell });
    this.isOnline = false;
    this.#connect();
  }

  /** Send a frame, and give what answers it; an error that does not pass is thrown. */
  ask(frame) {
    return new Promise((resolve, reject) => {
      const asked = { frame: { ...frame, id: crypto.randomUUID() }, resolve, reject };
      this.#asked.push(asked);
      if (this.isOnline) this.#sendAsked();
      else this.wake();
    });
  }

  /** Connect at once, if it is not connected: the network is back, or somebody is. */
  wake() {
    if (this.#isClosed || this.#socket) return;
    this.#failures = 0;
    this.#connect();
  }

  /** Nobody looks at it any more: it ends when what was asked over it is answered. */
  retire() {
    this.hear = this.tell = () => {};
    this.place = () => null;
    this.#isRetired = true;
    if (!this.#asked.length) this.close();
  }

  close() {
    this.#isClosed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#drop();
  }

  #later(name, work, ms) {
    clearTimeout(this.#timers.get(name));
    this.#timers.set(name, setTimeout(work, ms));
  }

  #connect() {
    clearTimeout(this.#timers.get("again"));
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const address = new URL(`/ws/chat/${this.conversation ?? "new"}`, location.href);
    address.protocol = location.protocol.replace("http", "ws");
    if (zone) address.searchParams.set("time_zone", zone);
    const socket = new WebSocket(address, ["taskchat", `taskchat.bearer.${this.session.token}`]);
    this.#socket = socket;
    this.#isSilent = false;
    this.#later("pulse", () => this.#gone(0, "no answer"), CONNECT_MS);
    socket.onopen = () => {
      // First of all, or what is new comes before what was missed.
      const place = this.place();
      if (place) this.send({ type: "resume", ...place });
    };
    socket.onclose = ({ code, reason }) => this.#gone(code, reason);
    socket.onmessage = ({ data }) => {
      this.#isSilent = false;
      this.#work = this.#work.then(() => this.#hear(JSON.parse(data)));
    };
  }

  /** Send a frame that nothing answers. */
  send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #sendAsked() {
    // Messages one by one, so that they arrive in order, however often they are sent.
    const first = this.#asked.find(({ frame }) => frame.type === "message");
    for (const asked of this.#asked) {
      if (asked.isSent || (asked.frame.type === "message" && asked !== first)) continue;
      asked.isSent = true;
      this.send(asked.frame);
    }
  }

  async #hear(frame) {
    if (this.#isClosed) return;
    if (frame.type === "connection") this.#connected();
    if (frame.type === "system") this.#againMs = frame.reconnect_after * 1000;
    // At the acknowledgment, not before: what is sent again has to go where it went at first.
    if (frame.type === "acknowledgment" || frame.type === "steered") this.conversation = frame.conversation_id;
    if (frame.reply_to) this.#answered(frame);
    if (frame.type !== "pong") await this.hear(frame);
  }

  #connected() {
    this.isOnline = true;
    this.#failures = 0;
    this.tell("online", "");
    this.#later("pulse", () => this.#pulse(), PING_MS);
    for (const asked of this.#asked) asked.isSent = false;
    this.#sendAsked();
  }

  #pulse() {
    // A network may go silent and close nothing.
    if (this.#isSilent) return this.#gone(0, "silence");
    this.#isSilent = true;
    this.send({ type: "ping" });
    this.#later("pulse", () => this.#pulse(), PING_MS);
  }

  #answered(frame) {
    const place = this.#asked.findIndex((asked) => asked.frame.id === frame.reply_to);
    if (place < 0) return;
    const asked = this.#asked[place];
    const isLimited = frame.type === "rate_limit_exceeded";
    if (isLimited || (frame.type === "error" && PASSING.has(frame.code))) {
      const waitMs = isLimited ? Math.max(1, frame.retry_after) * 1000 : 1000;
      this.#later(frame.reply_to, () => {
        asked.isSent = false;
        this.#sendAsked();
      }, waitMs);
      return;
    }
    this.#asked.splice(place, 1);
    if (frame.type === "error") asked.reject(Object.assign(new Error(frame.error), { code: frame.code }));
    else asked.resolve(frame);
    if (this.#isRetired && !this.#asked.length) this.close();
    else this.#sendAsked();
  }

  #drop() {
    if (!this.#socket) return;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
    this.isOnline = false;
  }

  async #gone(code, reason) {
    this.#drop();
    clearTimeout(this.#timers.get("pulse"));
    if (this.#isClosed) return;
    if (IN_VAIN.has(code)) return this.tell("refused", reason);
    // Nothing was said for long; whoever comes back is connected again.
    if (code === IDLE && document.hidden) return this.tell("idle", "");
    if (code === BAD_TOKEN && !(await this.session.renewed())) return;
    if (this.#isClosed || this.#socket) return;
    const [least, most] = AGAIN_MS;
    const backoffMs = code === TOO_MANY ? TOO_MANY_MS : Math.min(least * 2 ** this.#failures++, most);
    const waitMs = this.#againMs ?? backoffMs * (0.5 + Math.random() / 2);
    this.#againMs = null;
    this.tell("offline", code === TOO_MANY
      ? "Too many windows are open. Close one, and this one connects."
      : "Connecting again …");
    this.#later("again", () => this.#connect(), waitMs);
  }
}
