// Draws the conversation. Text goes in as text only, never as markup.

const WORDS = {
  offline: "Not connected",
  connecting: "Connecting",
  listening: "Listening",
  waiting: "Hold the button to talk",
  hearing: "Hearing you",
  thinking: "Thinking",
  speaking: "Speaking",
};

export const find = (id) => document.getElementById(id);

export class View {
  constructor() {
    this.drawn = new Map(); // line id -> { node, parts, shown }
  }

  status(status, muted) {
    const words = muted && status === "listening" ? "Muted" : WORDS[status];
    document.body.dataset.status = status;
    document.body.dataset.muted = muted;
    // Written only when it changes: a screen reader reads every write aloud.
    if (find("status").textContent !== words) find("status").textContent = words;
  }

  level(level) {
    document.documentElement.style.setProperty("--level", Math.min(1, level * 9).toFixed(2));
  }

  alert(message) {
    find("alert").textContent = message ?? "";
    find("alert").hidden = !message;
  }

  lines(all) {
    // A line stands from the moment it is thought of; it is shown when there is something to read.
    const lines = all.filter((line) => line.text || line.who === "user");
    find("hint").hidden = lines.length > 0;
    const list = find("talk");
    const following = nearEnd(find("conversation"));
    const wanted = new Set(lines.map((line) => line.id));
    for (const [id, { node }] of this.drawn) {
      if (!wanted.has(id)) {
        node.remove();
        this.drawn.delete(id);
      }
    }
    lines.forEach((line, index) => {
      const node = this.line(line);
      if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
    });
    if (following) find("conversation").scrollTop = find("conversation").scrollHeight;
  }

  line(line) {
    const known = this.drawn.get(line.id) ?? this.newLine(line);
    const heard = line.heard;
    const shown = `${heard}/${line.text.length}/${line.cut}/${line.complete}/${line.latencyMs}`;
    if (shown === known.shown && line.text === known.text) return known.node;
    Object.assign(known, { shown, text: line.text });
    const before = line.text.slice(0, heard);
    const word = line.typed || line.who === "user" ? before.length : before.search(/\S+$/);
    const last = word < 0 ? before.length : word;
    known.parts.said.textContent = before.slice(0, last);
    known.parts.word.textContent = before.slice(last);
    known.parts.rest.textContent = line.text.slice(heard);
    known.node.classList.toggle("cut", line.cut);
    known.node.classList.toggle("partial", line.who === "user" && !line.complete);
    known.node.classList.toggle("over", line.complete === true && heard === line.text.length);
    known.parts.note.textContent = note(line);
    return known.node;
  }

  newLine(line) {
    const node = document.createElement("li");
    node.className = line.who;
    const who = Object.assign(document.createElement("span"), { className: "unseen" });
    who.textContent = line.who === "user" ? "You: " : "Descant: ";
    const text = document.createElement("p");
    const parts = {};
    for (const name of ["said", "word", "rest"]) {
      parts[name] = Object.assign(document.createElement("span"), { className: name });
    }
    parts.note = document.createElement("small");
    text.append(who, parts.said, parts.word, parts.rest);
    node.append(text, parts.note);
    const known = { node, parts, shown: null, text: null };
    this.drawn.set(line.id, known);
    return known;
  }

  thoughts(text) {
    const box = find("thinking");
    if (box.textContent === text) return;
    const following = nearEnd(box);
    box.textContent = text;
    if (following) box.scrollTop = box.scrollHeight;
  }
}

function note(line) {
  const told = [];
  if (line.latencyMs !== null) told.push(`after ${(line.latencyMs / 1000).toFixed(1)} s`);
  if (line.cut) told.push("interrupted");
  return told.join(" · ");
}

function nearEnd(box) {
  return box.scrollHeight - box.scrollTop - box.clientHeight < 80;
}
