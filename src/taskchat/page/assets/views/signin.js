// Signing in: by an account where there are accounts, or by a token that somebody has.

import { signInByAccount, signInByItself, signInByToken } from "../account.js";
import { afterDrawing, service, state } from "../store.js";
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { icon } from "./icons.js";

const WORDS = {
  login: { title: "Sign in", send: "Sign in" },
  register: { title: "Make an account", send: "Make the account" },
  token: { title: "Sign in by a token", send: "Sign in" },
};

export function signIn() {
  const { mode, busy, problem } = state.signIn;
  const { title, send } = WORDS[mode];
  return html`
    <main class="sign-in">
      <div class="card">
        <p class="brand">${icon("check")}<span>taskchat</span></p>
        <h1>${title}</h1>
        <form @submit=${submit}>
          ${mode === "token" ? tokenField() : accountFields(mode)}
          <p class="problem" role="alert">${problem ? html`${icon("problem")}${problem}` : nothing}</p>
          <button class="primary" aria-disabled=${busy ? "true" : "false"}>${busy ? "Signing in …" : send}</button>
        </form>
        <div class="ways">${ways(mode)}</div>
        <p class="hint">What signs you in stays in this window’s memory: it is gone when you reload.</p>
      </div>
    </main>`;
}

const accountFields = (mode) => html`
  <label>Email <input name="email" type="email" autocomplete="username" required></label>
  <label>Password
    <input name="password" type="password" required
      autocomplete=${mode === "login" ? "current-password" : "new-password"}>
  </label>`;

const tokenField = () => html`
  <label>Token <textarea name="token" rows="4" required spellcheck="false" autocomplete="off"></textarea></label>
  <p class="hint"><code>taskchat dev</code> prints one, and <code>taskchat token</code> makes one.</p>`;

const ways = (mode) => [
  service.accounts && mode !== "login" ? way("I have an account", "login") : nothing,
  service.accounts && mode !== "register" ? way("Make an account", "register") : nothing,
  mode !== "token" ? way("I have a token", "token") : nothing,
  service.signsIn ? html`<button type="button" class="plain" @click=${signInByItself}>Sign in as this machine’s user</button>` : nothing,
];

const way = (label, mode) => html`<button type="button" class="plain" @click=${() => choose(mode)}>${label}</button>`;

function choose(mode) {
  Object.assign(state.signIn, { mode, problem: "" });
  afterDrawing(() => document.querySelector(".card :is(input, textarea)").focus());
}

function submit(event) {
  event.preventDefault();
  if (state.signIn.busy) return;
  const given = Object.fromEntries(new FormData(event.target));
  if (state.signIn.mode === "token") signInByToken(given.token);
  else signInByAccount(state.signIn.mode, given.email, given.password);
}
