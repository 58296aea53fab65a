// Who is signed in. Tokens are in this module's memory and nowhere else: no storage, no cookie, no
// address. Whoever reloads the page signs in anew.

import { ask } from "./api.js";

const EARLY_S = 60; // before it is over, a token is exchanged for the next one

export class Session {
  #token;
  #refresh = null;
  #renewing = null;
  #timer;

  /** kind: "own" (signed in without being asked), "account" or "token" (one that was pasted). */
  constructor(kind, { user_id, access_token, refresh_token = null, expires_in = null }, over) {
    this.kind = kind;
    this.over = over; // called when nothing renews it any more
    this.#take({ user_id, access_token, refresh_token, expires_in });
  }

  get token() {
    return this.#token;
  }

  #take({ user_id, access_token, refresh_token, expires_in }) {
    this.userId = user_id;
    this.#token = access_token;
    this.#refresh = refresh_token;
    clearTimeout(this.#timer);
    if (expires_in) this.#timer = setTimeout(() => this.renewed(), Math.max(expires_in - EARLY_S, 10) * 1000);
  }

  /** Get the next token; gives whether there is one. Several who ask at once share it. */
  renewed() {
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async #renew() {
    try {
      if (this.kind === "own") this.#take(await begin());
      else if (this.#refresh) this.#take(await auth("refresh", { refresh_token: this.#refresh }));
      else return this.#end();
      return true;
    } catch (error) {
      // Away is not over: the old token may still be good, and the next attempt may succeed.
      if (["unreachable", "database_error", "overloaded", "rate_limited"].includes(error.code)) return true;
      return this.#end();
    }
  }

  #end() {
    this.over();
    return false;
  }

  /** Sign out; an account's session ends on the service as well. */
  async close() {
    clearTimeout(this.#timer);
    const token = this.#token;
    this.#token = this.#refresh = null;
    if (this.kind === "account") await ask("/api/auth/logout", { method: "POST", token }).catch(() => {});
  }
}

const auth = async (what, body) => (await ask(`/api/auth/${what}`, { method: "POST", body })).json();

const begin = async () => (await ask("/page/session", { method: "POST" })).json();

/** The session of whoever runs the service on this machine. */
export const ownSession = async (over) => new Session("own", await begin(), over);

/** The session of an account; what: "login" or "register". */
export const accountSession = async (what, email, password, over) =>
  new Session("account", await auth(what, { email, password }), over);

/** The session of a token that somebody has. Throws if it is none. */
export async function tokenSession(text, over) {
  const token = text.trim().replace(/^Bearer\s+/i, "");
  const userId = subjectOf(token);
  if (userId === null) throw new Error("This is no token. Paste the whole of it: three parts with dots between.");
  await ask(`/api/${encodeURIComponent(userId)}/limits`, { token });
  return new Session("token", { user_id: userId, access_token: token }, over);
}

/** Whose a token says it is; the service checks whether that is so. */
function subjectOf(token) {
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (character) => character.codePointAt(0));
    const { sub } = JSON.parse(new TextDecoder().decode(bytes));
    return typeof sub === "string" && sub ? sub : null;
  } catch {
    return null;
  }
}
