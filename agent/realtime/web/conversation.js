// The conversation as the page sees it: server events and playback reports in, things to do out.
//
// No sockets, no sound, no page: every method returns a list of actions
//   { send: event }          to the server
//   { play: item, pcm }      queue samples
//   { flush: true }          stop playback and report what was played
//   { fail: message }        tell the user
// Times are seconds of one clock, sounds are samples at 24 kHz.

export const RATE = 24000;
// The server judges by the words when a turn is over, and whether a voice over the reply wants the turn.
const HANDS_FREE = { type: "semantic_vad", create_response: true, interrupt_response: true };
const MAX_LINES = 200;
const MAX_THOUGHTS = 20000; // letters
const MAX_SEGMENTS = 16;

// One thing said by one side. An agent's line knows which of its text was heard.
class Line {
  constructor(id, who) {
    this.id = id;
    this.who = who;
    this.text = "";
    this.pieces = []; // { at: letters, from: samples } where each piece of text begins, in text and in sound
    this.received = 0; // samples
    this.played = 0; // samples
    this.complete = who === "user" ? false : null; // of the agent: whether all its sound has come
    this.typed = false;
    this.cut = false;
    this.latencyMs = null;
  }

  say(text, fromSamples) {
    if (this.pieces.at(-1)?.from !== fromSamples) this.pieces.push({ at: this.text.length, from: fromSamples });
    this.text += text;
  }

  // How many letters of the text have begun to sound: whole words, spread over the sound of their piece.
  get heard() {
    if (this.typed || this.who === "user") return this.text.length;
    let letters = 0;
    for (const [index, { at, from }] of this.pieces.entries()) {
      const next = this.pieces[index + 1] ?? { at: this.text.length, from: Math.max(this.received, from + 1) };
      if (this.played <= from) break;
      const share = Math.min(1, (this.played - from) / (next.from - from));
      letters = at + share * (next.at - at);
    }
    const rest = this.text.slice(Math.floor(letters));
    return letters === 0 ? 0 : Math.floor(letters) + rest.match(/^\S*/)[0].length;
  }
}

export class Conversation {
  constructor() {
    this.lines = [];
    this.thoughts = "";
    this.hearing = false; // the user speaks
    this.holding = false; // the user holds the button
    this.response = null; // id of the one that runs
    this.awaited = false; // a reply is to come
    this.session = null;
    this.pushToTalk = false;
    this.endOfSpeech = null; // second at which the user stopped
    this.playing = null; // item
    this.dead = new Set(); // responses whose sound is not wanted any more
    this.items = new Map(); // item -> response
    this.segments = []; // { sample, time }: the second at which a sample of the input was recorded
    this.sent = 0; // samples of input
  }

  // What is going on, in one word.
  get status() {
    if (!this.session) return "connecting";
    if (this.hearing || this.holding) return "hearing";
    if (this.playing) return "speaking";
    if (this.response || this.awaited) return "thinking";
    return this.pushToTalk ? "waiting" : "listening";
  }

  // Sound of the microphone; `time` is the second of its last sample.
  captured(pcm, time) {
    if (!this.session || (this.pushToTalk && !this.holding)) {
      this.contiguous = false;
      return [];
    }
    if (!this.contiguous) {
      this.segments.push({ sample: this.sent, time: time - pcm.length / RATE });
      this.segments = this.segments.slice(-MAX_SEGMENTS);
      this.contiguous = true;
    }
    this.sent += pcm.length;
    return [{ send: { type: "input_audio_buffer.append", audio: toBase64(pcm) } }];
  }

  timeOfInput(ms) {
    const sample = (ms * RATE) / 1000;
    const segment = this.segments.findLast((one) => one.sample <= sample) ?? this.segments[0];
    return segment ? segment.time + (sample - segment.sample) / RATE : null;
  }

  usePushToTalk(wanted) {
    this.pushToTalk = wanted;
    this.hearing = false;
    if (!this.session) return [];
    const turn_detection = wanted ? null : HANDS_FREE;
    return [
      { send: { type: "input_audio_buffer.clear" } },
      { send: { type: "session.update", session: { type: "realtime", audio: { input: { turn_detection } } } } },
    ];
  }

  hold() {
    if (!this.session || this.holding) return [];
    this.holding = true;
    return [...this.interrupt(), { send: { type: "input_audio_buffer.clear" } }];
  }

  release(time) {
    if (!this.holding) return [];
    this.holding = false;
    this.endOfSpeech = time;
    const segment = this.segments.at(-1);
    const samples = this.contiguous && segment ? this.sent - segment.sample : 0;
    // Less than a tenth of a second is a slip of the finger; the server would refuse it.
    if (samples < RATE / 10) return [{ send: { type: "input_audio_buffer.clear" } }];
    this.awaited = true;
    return [{ send: { type: "input_audio_buffer.commit" } }, { send: { type: "response.create" } }];
  }

  type(text, time) {
    const content = [{ type: "input_text", text }];
    this.endOfSpeech = time;
    const stop = this.interrupt();
    this.awaited = true;
    return [
      ...stop,
      { send: { type: "conversation.item.create", item: { type: "message", role: "user", content } } },
      { send: { type: "response.create" } },
    ];
  }

  interrupt() {
    const actions = [];
    this.awaited = false;
    if (this.response) {
      this.dead.add(this.response);
      actions.push({ send: { type: "response.cancel", response_id: this.response } });
    }
    return [...actions, ...this.silence()];
  }

  silence() {
    if (this.response) this.dead.add(this.response);
    return this.playing || this.response ? [{ flush: true }] : [];
  }

  // Reports of the playback; `latencyS` is how long a rendered sample takes to the listener's ear.
  reported(report, latencyS) {
    const late = Math.round(latencyS * RATE);
    if (report.started) {
      this.playing = report.started;
      const line = this.line(report.started);
      if (line && this.endOfSpeech !== null) {
        line.latencyMs = Math.max(0, (report.time + latencyS - this.endOfSpeech) * 1000);
        this.endOfSpeech = null;
      }
    } else if (report.progress ?? report.drained) {
      const line = this.line(report.progress ?? report.drained);
      const finished = report.drained && line?.complete;
      if (line) line.played = finished ? report.played : Math.max(0, report.played - late);
      if (report.drained && (finished || !line)) this.playing = null;
    } else if (report.flushed) {
      this.playing = null;
      return report.flushed.flatMap((one) => this.truncate(one, late));
    }
    return [];
  }

  truncate({ item, played, queued }, late) {
    const line = this.line(item);
    if (!line || line.cut || (queued === 0 && line.complete)) return [];
    line.cut = true;
    line.played = Math.max(0, played - late);
    const audio_end_ms = Math.floor((line.played * 1000) / RATE);
    return [{ send: { type: "conversation.item.truncate", item_id: item, content_index: 0, audio_end_ms } }];
  }

  line(id) {
    return this.lines.find((line) => line.id === id);
  }

  addLine(id, who, after) {
    const known = this.line(id);
    if (known) return known;
    const line = new Line(id, who);
    const place = this.lines.findIndex((one) => one.id === after);
    this.lines.splice(place < 0 ? this.lines.length : place + 1, 0, line);
    if (this.lines.length > MAX_LINES) this.lines.shift();
    return line;
  }

  receive(event) {
    return this[handlers[event.type]]?.(event) ?? [];
  }

  sessionCreated({ session }) {
    this.session = session;
    return this.usePushToTalk(this.pushToTalk);
  }

  sessionUpdated({ session }) {
    this.session = session;
    return [];
  }

  speechStarted({ item_id }) {
    this.hearing = true;
    this.awaited = false;
    this.addLine(item_id, "user", null);
    const detection = this.session?.audio?.input?.turn_detection;
    return detection?.interrupt_response === false ? [] : this.silence();
  }

  speechStopped({ audio_end_ms }) {
    this.hearing = false;
    this.awaited = this.session?.audio?.input?.turn_detection?.create_response !== false;
    this.endOfSpeech = this.timeOfInput(audio_end_ms);
    return [];
  }

  itemAdded({ item, previous_item_id }) {
    if (item.type !== "message" || item.role === "system") return [];
    const line = this.addLine(item.id, item.role === "user" ? "user" : "agent", previous_item_id);
    const typed = item.content.map((part) => part.text ?? "").join("");
    if (item.role === "user" && typed) Object.assign(line, { text: typed, typed: true, complete: true });
    return [];
  }

  itemDeleted({ item_id }) {
    this.lines = this.lines.filter((line) => line.id !== item_id);
    return [];
  }

  userWords({ item_id, delta }) {
    const line = this.addLine(item_id, "user", null);
    if (!line.complete) line.text += delta;
    return [];
  }

  userTranscript({ item_id, transcript }) {
    const line = this.addLine(item_id, "user", null);
    Object.assign(line, { text: transcript.trim(), complete: true });
    if (!line.text) {
      // A cough: nobody answers it.
      this.itemDeleted({ item_id });
      this.awaited = false;
    }
    return [];
  }

  transcriptionFailed({ item_id }) {
    Object.assign(this.addLine(item_id, "user", null), { text: "(not understood)", complete: true });
    return [];
  }

  responseCreated({ response }) {
    this.response = response.id;
    this.awaited = false;
    return [];
  }

  outputItemAdded({ response_id, item }) {
    this.items.set(item.id, response_id);
    if (item.type === "message") this.addLine(item.id, "agent", null);
    return [];
  }

  replyText({ item_id, delta, start_time, thoughts }) {
    this.think(thoughts);
    if (!delta) return [];
    const line = this.addLine(item_id, "agent", null);
    line.say(delta, start_time == null ? line.received : Math.round(start_time * RATE));
    return [];
  }

  plainText({ item_id, delta, thoughts }) {
    this.think(thoughts);
    if (!delta) return [];
    const line = this.addLine(item_id, "agent", null);
    line.typed = true;
    line.text += delta;
    return [];
  }

  // Private text comes as an extra field of a delta, to those who have asked for it.
  think(text) {
    if (text) this.thoughts = (this.thoughts + text).slice(-MAX_THOUGHTS);
  }

  replySound({ response_id, item_id, delta }) {
    if (this.dead.has(response_id)) return [];
    const line = this.addLine(item_id, "agent", null);
    const pcm = fromBase64(delta);
    line.received += pcm.length;
    line.complete = false;
    return [{ play: item_id, pcm }];
  }

  replySoundDone({ item_id }) {
    const line = this.line(item_id);
    if (!line) return [];
    line.complete = true;
    // The queue may have run empty before it was known that nothing more would come.
    if (this.playing === item_id && line.played >= line.received - RATE / 2) this.playing = null;
    return [];
  }

  responseDone({ response }) {
    if (this.response === response.id) this.response = null;
    for (const [item, owner] of this.items) if (owner === response.id) this.items.delete(item);
    this.dead.delete(response.id);
    if (response.status === "failed") {
      const told = response.status_details?.error?.message ?? "no reason was given";
      return [{ fail: `The reply failed: ${told}` }];
    }
    return [];
  }

  failed({ error }) {
    // Cancelling what has just ended is no mistake of the user's.
    if (error.code === "response_cancel_not_active") return [];
    this.awaited = false;
    return [{ fail: error.message }];
  }
}

const handlers = {
  "session.created": "sessionCreated",
  "session.updated": "sessionUpdated",
  "input_audio_buffer.speech_started": "speechStarted",
  "input_audio_buffer.speech_stopped": "speechStopped",
  "conversation.item.added": "itemAdded",
  "conversation.item.deleted": "itemDeleted",
  "conversation.item.input_audio_transcription.delta": "userWords",
  "conversation.item.input_audio_transcription.completed": "userTranscript",
  "conversation.item.input_audio_transcription.failed": "transcriptionFailed",
  "response.created": "responseCreated",
  "response.output_item.added": "outputItemAdded",
  "response.output_audio_transcript.delta": "replyText",
  "response.output_text.delta": "plainText",
  "response.output_audio.delta": "replySound",
  "response.output_audio.done": "replySoundDone",
  "response.done": "responseDone",
  error: "failed",
};

export function toBase64(pcm) {
  return btoa(String.fromCharCode(...new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength)));
}

export function fromBase64(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Int16Array(bytes.buffer, 0, bytes.length >> 1);
}
