// Joins connection, sound, conversation and view; reads the keys and buttons.

import { Connection, KeyNeeded } from "./connection.js";
import { Conversation } from "./conversation.js";
import { Sound } from "./sound.js";
import { View, find } from "./view.js";

const RETRY_S = [1, 2, 4, 8];
const KEY = "descant-key";

const view = new View();
let conversation = new Conversation();
let connection = null;
let sound = null;
let live = false;
let muted = false;
let tries = 0;
let wake = null;

function act(actions) {
  for (const action of actions) {
    if (action.send) connection?.send(action.send);
    else if (action.play) sound?.play(action.play, action.pcm);
    else if (action.flush) sound?.flush();
    else if (action.fail) view.alert(action.fail);
  }
  if (actions.length) draw();
}

let drawing = false;
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    view.status(live ? conversation.status : "offline", muted);
    view.lines(conversation.lines);
    view.thoughts(conversation.thoughts);
    const busy = live && ["thinking", "speaking"].includes(conversation.status);
    find("interrupt").disabled = !busy;
  });
}

async function askKey() {
  const dialog = find("ask-key");
  find("key").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  if (dialog.returnValue !== "use") return null;
  sessionStorage.setItem(KEY, find("key").value.trim());
  return sessionStorage.getItem(KEY);
}

async function connect() {
  const reveal = find("reveal").checked;
  const opened = new Connection({ told, ended });
  let key = sessionStorage.getItem(KEY);
  for (;;) {
    try {
      await opened.open({ key, extensions: reveal ? "words,thoughts" : "words" });
      connection = opened;
      break;
    } catch (error) {
      if (!(error instanceof KeyNeeded)) throw error;
      sessionStorage.removeItem(KEY);
      key = await askKey();
      if (!key) throw new Error("Without a key this server does not answer.");
    }
  }
  find("thoughts").hidden = !reveal;
  document.body.classList.toggle("reveals", reveal);
}

function told(event) {
  if (event.type === "session.created") tries = 0;
  act(conversation.receive(event));
  draw();
}

function ended(reason, again) {
  view.alert(again && tries < RETRY_S.length ? `${reason} Trying again…` : reason);
  sound?.flush();
  conversation.session = null;
  conversation.response = null;
  if (!live || !again || tries >= RETRY_S.length) return stop();
  setTimeout(reconnect, RETRY_S[tries++] * 1000);
  draw();
}

async function reconnect() {
  if (!live) return;
  const old = conversation;
  conversation = new Conversation();
  conversation.pushToTalk = old.pushToTalk;
  // What was said stays readable, though the server begins anew.
  conversation.lines = old.lines;
  try {
    await connect();
    view.alert(null);
  } catch (error) {
    ended(error.message, true);
  }
}

async function start() {
  if (live) return stop();
  view.alert(null);
  live = true;
  conversation = new Conversation();
  conversation.pushToTalk = find("push").checked;
  document.body.dataset.live = true;
  find("start").textContent = "End";
  draw();
  sound = new Sound({
    heard: (pcm, time, level) => {
      view.level(muted ? 0 : level);
      act(conversation.captured(pcm, time));
    },
    reported: (report, latency) => {
      act(conversation.reported(report, latency));
      draw();
    },
  });
  try {
    await sound.open();
    await connect();
  } catch (error) {
    view.alert(error.name === "NotAllowedError" ? "The browser does not let this page use the microphone." : error.message);
    return stop();
  }
  sound.mute(muted);
  for (const id of ["mute", "text", "send"]) find(id).disabled = false;
  wake = await navigator.wakeLock?.request("screen").catch(() => null);
}

async function stop() {
  live = false;
  connection?.close();
  connection = null;
  const closing = sound;
  sound = null;
  tries = 0;
  delete document.body.dataset.live;
  find("start").textContent = "Start";
  for (const id of ["mute", "text", "send", "interrupt"]) find(id).disabled = true;
  view.level(0);
  draw();
  await wake?.release();
  wake = null;
  await closing?.close();
}

function mute() {
  if (!live || find("mute").disabled) return;
  muted = !muted;
  sound?.mute(muted);
  find("mute").setAttribute("aria-pressed", muted);
  find("mute").textContent = muted ? "Unmute" : "Mute";
  draw();
}

function interrupt() {
  if (live) act(conversation.interrupt());
  draw();
}

function hold(pressed) {
  if (!live || !conversation.pushToTalk) return;
  find("hold").setAttribute("aria-pressed", pressed);
  act(pressed ? conversation.hold() : conversation.release(sound.now));
  draw();
}

function choosePush() {
  const push = find("push").checked;
  document.body.dataset.push = push;
  find("hold").hidden = !push;
  act(conversation.usePushToTalk(push));
  draw();
}

find("start").addEventListener("click", start);
find("mute").addEventListener("click", mute);
find("interrupt").addEventListener("click", interrupt);
find("push").addEventListener("change", choosePush);
find("typed").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = find("text").value.trim();
  if (!text || !live) return;
  find("text").value = "";
  act(conversation.type(text, sound.now));
});

const button = find("hold");
button.addEventListener("pointerdown", (event) => {
  button.setPointerCapture(event.pointerId);
  hold(true);
});
for (const name of ["pointerup", "pointercancel"]) button.addEventListener(name, () => hold(false));
button.addEventListener("contextmenu", (event) => event.preventDefault());
button.addEventListener("blur", () => hold(false));
addEventListener("blur", () => hold(false));

// Keys are the page's only where they mean nothing else; Space on the hold button always holds it.
function isTalkKey(event) {
  if (event.target === button) return event.key === " " || event.key === "Enter";
  return event.key === " " && find("keys").checked && !event.target.closest("input, button, summary, dialog, a");
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || find("ask-key").open) return;
  if (isTalkKey(event) && conversation.pushToTalk) {
    event.preventDefault();
    if (!event.repeat) hold(true);
  } else if (find("keys").checked && event.key === "Escape") interrupt();
  else if (find("keys").checked && event.key.toLowerCase() === "m" && event.target !== find("text")) mute();
});
addEventListener("keyup", (event) => {
  if (isTalkKey(event)) hold(false);
});

find("reveal").checked = new URLSearchParams(location.search).get("extensions")?.split(",").includes("thoughts") ?? false;
choosePush();
