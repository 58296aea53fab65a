// One conversation as it is shown: its turns in order, made of what was said (read over HTTP) and of
// what happens (events). Each event counts once, whatever way and however often it comes.

const OVER = new Set(["turn_completed", "error"]);

export class Thread {
  constructor(id) {
    this.id = id; // null until the first message is taken
    this.about = null; // the conversation's own fields
    this.turns = new Map(); // by id
    this.order = []; // ids of the turns that are shown
    this.earlier = null; // the cursor of what was said before them
    this.isRead = id === null;
    this.problem = "";
    this.aim = null; // a message to bring into view
    this.isFollowed = true; // whether what is new is scrolled into view
  }

  get shown() {
    return this.order.map((id) => this.turns.get(id));
  }

  /** The turn that is under way, if one is. */
  get running() {
    return this.shown.find((turn) => !turn.isOver && turn.status !== "queued") ?? null;
  }

  /** The oldest turn that is not over, or else the newest: from there on something may be missing. */
  get place() {
    const heard = [...this.turns.values()].filter((turn) => turn.number !== null);
    heard.sort((one, other) => one.number - other.number);
    const turn = heard.find((one) => !one.isOver) ?? heard.at(-1);
    return turn ? { turn_id: turn.id, after_seq: turn.lastSeq } : null;
  }

  #turn(id) {
    if (!this.turns.has(id)) this.turns.set(id, newTurn(id));
    return this.turns.get(id);
  }

  /**
   * Take the newest page of messages: it says which turns are shown, as far back as it goes.
   * shownThen: what was shown when it was asked for; what began since is not in it.
   */
  takeNewest({ data, next_cursor }, shownThen) {
    const ids = this.#take(data);
    const known = this.order.indexOf(ids[0]);
    const before = known > 0 ? this.order.slice(0, known) : [];
    const since = this.order.filter((id) => !ids.includes(id) && !shownThen.includes(id));
    this.order = [...before, ...ids, ...since];
    if (known <= 0) this.earlier = next_cursor;
    this.isRead = true;
  }

  /** Take the page before what is shown. */
  takeEarlier({ data, next_cursor }) {
    const ids = this.#take(data);
    this.order = [...ids.filter((id) => !this.order.includes(id)), ...this.order];
    this.earlier = next_cursor;
  }

  /** A message to a turn is stored; the turn has not read it yet. */
  steered(turnId, messageId, content) {
    const turn = this.#turn(turnId);
    if (turn.parts.some((part) => part.id === messageId)) return;
    turn.parts.push({ kind: "user", id: messageId, content, isSteering: true, isPending: true });
  }

  /** Turns of which it is not known how they ended. unfinished: ids of those that have not. */
  unanswered(unfinished) {
    return this.shown.filter((turn) => !turn.isOver && !turn.lastSeq && !unfinished.includes(turn.id));
  }

  /** Take a turn as its own address tells it. */
  takeTurn({ id, status, error }) {
    const turn = this.#turn(id);
    if (turn.lastSeq) return;
    turn.status = status;
    turn.isOver = ["completed", "failed", "cancelled"].includes(status);
    if (error) ended(turn, error);
  }

  #take(messages) {
    const ids = [];
    for (const message of messages) {
      const turn = this.#turn(message.turn_id);
      if (ids.at(-1) !== turn.id) ids.push(turn.id);
      takeMessage(turn, message);
    }
    return ids;
  }

  /** Take an event; returns the turn it happened in, or null if it was known. */
  hear(event) {
    const turn = this.#turn(event.turn_id);
    const isOver = OVER.has(event.type);
    // What was heard comes again after a break. Of a turn of long ago only the end is told.
    if (event.seq <= turn.lastSeq || (event.seq > turn.lastSeq + 1 && !isOver)) return null;
    const isWhole = event.seq === turn.lastSeq + 1;
    // What was read is made anew of what happened, which says more.
    if (event.seq === 1) turn.parts = turn.parts.filter((part) => part.kind === "user" && part.isPending);
    turn.lastSeq = event.seq;
    if (event.type === "turn_started") this.#begin(turn, event);
    else happen(turn, event);
    if (isOver) {
      turn.isOver = true;
      if (!isWhole) for (const message of event.result?.messages ?? []) takeMessage(turn, message);
    }
    return turn;
  }

  #begin(turn, event) {
    turn.number = event.number;
    turn.root = event.version_of;
    put(turn, { kind: "user", id: event.message_id, content: event.content, at: event.timestamp }, true);
    if (this.order.includes(turn.id)) return;
    if (turn.root !== null) {
      // Another version begins a branch: what came behind the first one is not on it.
      const family = (id) => id === turn.root || this.turns.get(id).root === turn.root;
      const place = this.order.findIndex(family);
      if (place >= 0) this.order.length = place;
    }
    this.order.push(turn.id);
  }
}

function newTurn(id) {
  return { id, number: null, root: null, status: "thinking", lastSeq: 0, isOver: false, parts: [], notes: new Map() };
}

/** What was said, as it is stored. */
function takeMessage(turn, message) {
  const { id, role, content, created_at: at, interrupted } = message;
  if (message.versions) turn.notes.set(id, { versions: message.versions, rating: message.rating });
  for (const call of message.tool_calls ?? []) {
    put(turn, {
      kind: "tool", id: call.id, name: call.tool_name, arguments: call.parameters, result: call.result,
      status: call.status, at: call.executed_at,
    });
  }
  if (role === "user") {
    put(turn, { kind: "user", id, content, at, isPending: false }, true);
    return;
  }
  turn.parts = turn.parts.filter((part) => part.kind !== "draft");
  put(turn, { kind: "reply", id, content, at, interrupted });
  turn.isOver = true;
  turn.status = interrupted ? "cancelled" : "completed";
}

/** Add a part, or more about one that is there; `first` puts it behind what the user has said. */
function put(turn, part, first = false) {
  const known = turn.parts.find((one) => one.kind === part.kind && one.id === part.id);
  if (known) return Object.assign(known, part);
  if (first) {
    const place = turn.parts.findLastIndex((one) => one.kind === "user") + 1;
    turn.parts.splice(place, 0, part);
  } else turn.parts.push(part);
  return part;
}

const without = (turn, kind) => (turn.parts = turn.parts.filter((part) => part.kind !== kind));

function happen(turn, event) {
  const { timestamp: at } = event;
  switch (event.type) {
    case "agent_status":
      turn.status = event.status;
      break;
    case "openai_call":
      turn.status = "thinking";
      turn.model = event.model;
      break;
    case "openai_response":
      turn.model = event.model;
      break;
    case "reasoning": {
      const last = turn.parts.at(-1);
      if (last?.kind === "reasoning") last.content += event.delta;
      else turn.parts.push({ kind: "reasoning", id: `${turn.id}-${event.seq}`, content: event.delta });
      break;
    }
    case "stream_start":
      // What a model says before it calls a tool is no part of the reply.
      without(turn, "draft");
      // What was read may be ahead of what is told.
      if (turn.parts.some((part) => part.kind === "reply")) break;
      turn.parts.push({ kind: "draft", id: `${turn.id}-draft`, content: "", at });
      break;
    case "stream_chunk": {
      const draft = turn.parts.find((part) => part.kind === "draft");
      if (draft) draft.content += event.delta;
      break;
    }
    case "stream_end":
      if (event.dropped) without(turn, "draft");
      break;
    case "tool_call":
      put(turn, {
        kind: "tool", id: event.tool_call_id, name: event.tool_name, arguments: event.arguments,
        status: "running", at,
      });
      break;
    case "tool_result":
      Object.assign(put(turn, { kind: "tool", id: event.tool_call_id, name: event.tool_name }), {
        result: event.result, ms: event.duration_ms, status: event.is_error ? "failed" : "completed",
      });
      break;
    case "user_message":
      turn.parts = turn.parts.filter((part) => part.id !== event.message_id);
      turn.parts.push({ kind: "user", id: event.message_id, content: event.content, at, isSteering: true });
      break;
    case "feedback_request":
      turn.status = "awaiting_feedback";
      for (const call of event.calls) {
        const tool = turn.parts.find((part) => part.kind === "tool" && part.id === call.tool_call_id);
        if (tool) tool.status = "waiting";
      }
      put(turn, {
        kind: "ask", id: event.feedback_id, asks: event.kind, question: event.question,
        choices: event.choices, calls: event.calls, expiresAt: event.expires_at, status: "open", at,
      });
      break;
    case "feedback_response": {
      const { status, answer, comment } = event;
      Object.assign(put(turn, { kind: "ask", id: event.feedback_id }), { status, answer, comment });
      turn.status = "thinking";
      break;
    }
    case "assistant":
      without(turn, "draft");
      put(turn, { kind: "reply", id: event.message_id, content: event.content, at });
      break;
    case "turn_completed":
      turn.status = "completed";
      turn.usage = event.result?.usage;
      turn.model = event.result?.model ?? turn.model;
      break;
    case "error":
      ended(turn, event);
      break;
  }
}

function ended(turn, event) {
  turn.status = event.error_code === "turn_cancelled" ? "cancelled" : "failed";
  without(turn, "draft");
  for (const part of turn.parts) {
    if (part.kind === "tool" && ["running", "waiting"].includes(part.status)) part.status = "interrupted";
    if (part.kind === "ask" && part.status === "open") part.status = "withdrawn";
  }
  // Of a turn that was stopped: what was told of its reply.
  const kept = (event.details ?? []).find((detail) => detail.field === "reply");
  if (kept?.message_id) {
    put(turn, {
      kind: "reply", id: kept.message_id, content: kept.content, at: event.timestamp, interrupted: true,
    });
  }
  put(turn, {
    kind: "error", id: `${turn.id}-error`, code: event.error_code, text: event.error,
    requestId: event.request_id,
  });
}
