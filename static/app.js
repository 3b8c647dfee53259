// Sendoff in the browser. Pages work without this file; it makes them move, and saves a click here and there.
// No code in attributes, nothing inline: the content security policy forbids both.
"use strict";

const root = document.documentElement;
root.classList.add("scripted");

// ---------------------------------------------------------------- live

// What one event has reached so far. The extension listens again for an element each time that it was morphed;
// the second listener for the same element is found out here and dropped.
const turn = { reached: null, again: false };

// An event source that lets go of its connection while nobody looks at the tab: a browser has only six for a server.
// What was missed does not matter, for the server sends all of it again on connect.
class WatchedSource {
  constructor(url) {
    this.url = url;
    this.listeners = new Map();
    this.closed = false;
    this.hear = (event) => this.dispatch(event);
    this.seen = () => (document.hidden ? this.rest() : this.begin());
    document.addEventListener("visibilitychange", this.seen);
    this.begin();
  }

  begin() {
    if (this.closed || this.inner || document.hidden) return;
    this.inner = new EventSource(this.url);
    this.inner.onopen = (event) => this.onopen?.(event);
    this.inner.onerror = (event) => this.failed(event);
    for (const type of this.listeners.keys()) this.inner.addEventListener(type, this.hear);
  }

  rest() {
    this.inner?.close();
    this.inner = null;
  }

  // The browser gave up (an error answer): the extension makes a new source, so this one ends.
  failed(event) {
    if (this.inner?.readyState === EventSource.CLOSED) this.close();
    this.onerror?.(event);
  }

  get readyState() {
    if (this.closed) return EventSource.CLOSED;
    return this.inner ? this.inner.readyState : EventSource.CONNECTING;
  }

  dispatch(event) {
    turn.reached = new Set();
    for (const listener of [...(this.listeners.get(event.type) ?? [])]) {
      turn.again = false;
      listener(event);
      if (turn.again) this.removeEventListener(event.type, listener);
    }
    turn.reached = null;
  }

  addEventListener(type, listener) {
    if (!this.listeners.has(type)) {
      this.listeners.set(type, new Set());
      this.inner?.addEventListener(type, this.hear);
    }
    this.listeners.get(type).add(listener);
  }

  removeEventListener(type, listener) {
    this.listeners.get(type)?.delete(listener);
  }

  close() {
    this.closed = true;
    document.removeEventListener("visibilitychange", this.seen);
    this.rest();
  }
}

function clock(date) {
  const zone = document.body.dataset.timezone || undefined;
  return new Intl.DateTimeFormat(root.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone }).format(date);
}

const live = {
  last: new Date(), // when the figures on the page were true for the last time
  opened: false,

  on() {
    const again = this.opened;
    this.opened = true;
    this.last = new Date();
    document.body.dataset.live = "on";
    if (again) htmx.trigger(document.body, "live:resync");
  },

  lost() {
    if (document.hidden) return;
    document.body.dataset.live = "lost";
    for (const time of document.querySelectorAll("[data-live-time]")) time.textContent = clock(this.last);
  },
};

function listen() {
  const body = document.body;
  htmx.createEventSource = (url) => (live.source = new WatchedSource(url));
  body.addEventListener("htmx:sseOpen", (event) => {
    if (event.detail.source !== live.heard) {
      live.heard = event.detail.source;
      live.heard.addEventListener("beat", () => (live.last = new Date()));
      // Signed out elsewhere, or by time: the server says what to do.
      live.heard.addEventListener("bye", () => location.reload());
    }
    live.on();
  });
  body.addEventListener("htmx:sseError", () => live.lost());
  body.addEventListener("htmx:sseBeforeMessage", (event) => {
    live.last = new Date();
    if (!turn.reached?.has(event.target)) return;
    turn.again = true;
    event.preventDefault();
  });
  body.addEventListener("htmx:sseMessage", (event) => {
    if (turn.reached?.has(event.target)) turn.again = true;
    turn.reached?.add(event.target);
  });
  // A connection that died without a word: there is a sign of life every 15 seconds.
  setInterval(() => {
    if (document.hidden || !live.opened || Date.now() - live.last < 40000) return;
    live.lost();
    live.source.rest();
    live.source.begin();
  }, 5000);
  // A value that somebody is typing is theirs.
  if (window.Idiomorph) {
    Idiomorph.defaults.ignoreActiveValue = true;
    // What somebody has unfolded stays unfolded when its figures move.
    Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, element) => !(name === "open" && element.tagName === "DETAILS");
  }
}

// ---------------------------------------------------------------- forms

// Fragments that came by the stream are the same for everybody, so they carry no token: it is put in when the form is sent.
function token() {
  try {
    return JSON.parse(document.body.getAttribute("hx-headers") || "{}")["X-CSRFToken"] || "";
  } catch {
    return "";
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const field = form.querySelector('input[name="csrf_token"]');
  if (field && !field.value) field.value = token();
  if (form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault(); // a second click is not a second message
  form.dataset.sent = "yes";
  event.submitter?.setAttribute("aria-busy", "true");
}, true);

// Back from the next page: the form may be sent again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const button of document.querySelectorAll('[aria-busy="true"]')) button.removeAttribute("aria-busy");
});

// Filters act at once.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-auto]");
  if (form && event.target.matches("select, input[type=checkbox], input[type=radio]")) form.requestSubmit();
  const box = event.target.closest("[data-check-all]");
  if (box) for (const other of document.querySelectorAll(`input[type=checkbox][name="${box.dataset.checkAll}"]`)) other.checked = box.checked;
});

// ---------------------------------------------------------------- dialogs

// A dialog that came open in the markup becomes modal: the keyboard stays inside, Escape goes back.
function modal(dialog) {
  dialog.removeAttribute("open");
  dialog.showModal();
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    leave(dialog);
  });
}

function leave(dialog) {
  const back = dialog.querySelector("[data-close]");
  const loaded = dialog.closest("[data-loaded]");
  dialog.close();
  dialog.remove();
  if (loaded) delete loaded.dataset.loaded;
  else if (back) location.assign(back.href);
}

document.addEventListener("click", (event) => {
  const close = event.target.closest("dialog [data-close]");
  if (close?.closest("[data-loaded]")) {
    event.preventDefault();
    leave(close.closest("dialog"));
  }
  const pick = event.target.closest("[data-fill]");
  if (pick) { // "Set to now" and the like: data-fill="#field" data-value="…", or the clock where there is no value
    const field = document.querySelector(pick.dataset.fill);
    if (field) {
      field.value = pick.dataset.value ?? local(new Date(), field.type);
      field.dispatchEvent(new Event("change", { bubbles: true }));
      field.focus();
    }
  }
  const copier = event.target.closest("[data-copy]");
  if (copier) { // data-copy="#field": the clipboard is there on https and this machine only; else the text is selected
    const field = document.querySelector(copier.dataset.copy);
    field?.select();
    navigator.clipboard?.writeText(field.value).then(() => (copier.dataset.tone = "ok"), () => {});
  }
  const opener = event.target.closest("[data-pick]");
  if (opener) document.querySelector(opener.dataset.pick)?.showPicker?.();
});

function local(date, type) {
  const zone = document.body.dataset.timezone || undefined;
  const text = new Intl.DateTimeFormat("sv", { dateStyle: "short", timeStyle: "short", timeZone: zone }).format(date);
  const [day, time] = text.split(" ");
  return type === "date" ? day : type === "time" ? time : `${day}T${time}`;
}

// ---------------------------------------------------------------- start

function ready() {
  if (window.htmx) {
    listen();
    document.body.addEventListener("htmx:afterSwap", (event) => {
      if (event.target.id !== "dialog") return;
      const dialog = event.target.querySelector("dialog[open]");
      if (!dialog) return;
      event.target.dataset.loaded = "yes";
      modal(dialog);
    });
    document.body.addEventListener("htmx:sendError", () => say("send"));
    document.body.addEventListener("htmx:responseError", () => say("answer"));
  } else {
    const banner = document.getElementById("no-assets");
    if (banner) banner.hidden = false;
  }
  // Where the tabs are wider than the page, the one that is open is in sight.
  for (const tab of document.querySelectorAll(".tabs [aria-current]")) tab.scrollIntoView({ block: "nearest", inline: "center" });
  const dialog = document.querySelector("#dialog > dialog[open]");
  if (dialog) modal(dialog);
  document.getElementById("problems")?.focus();
}

// The page could not be asked, or the answer was an error without words.
function say(what) {
  const banner = document.getElementById(`no-${what}`);
  if (!banner) return;
  banner.hidden = false;
  banner.scrollIntoView({ block: "nearest" });
}

// Deferred scripts run in order, so htmx is there (or is missing) by now, and it has not looked at the page yet.
ready();
