// Sound out: plays the queued samples of each item, and counts exactly which of them have been rendered.
//
// In:  { item, pcm: Int16Array }   queue samples of an item
//      { flush: true }             drop what is queued; answered by `flushed`
// Out: { started: item, time }     the first sample of an item is rendered, at this second of the context
//      { progress: item, played }  samples of the item rendered so far, about every 50 ms
//      { drained: item, played }   the queue has run empty
//      { flushed: [{ item, played, queued }] }  what was dropped: samples rendered, samples that were not

const REPORT = 1200; // samples between two progress reports: 50 ms

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = []; // { item, pcm, at }
    this.played = new Map(); // samples by item; items are dropped once another has begun and the queue is past them
    this.sinceReport = 0;
    this.port.onmessage = ({ data }) => (data.flush ? this.flush() : this.push(data));
  }

  push({ item, pcm }) {
    this.queue.push({ item, pcm, at: 0 });
  }

  flush() {
    const queued = new Map();
    for (const { item, pcm, at } of this.queue) queued.set(item, (queued.get(item) ?? 0) + pcm.length - at);
    const current = [...this.played.keys()].at(-1);
    if (current !== undefined && !queued.has(current)) queued.set(current, 0);
    const flushed = [...queued].map(([item, left]) => ({ item, played: this.played.get(item) ?? 0, queued: left }));
    this.queue = [];
    this.port.postMessage({ flushed });
  }

  process(_inputs, [output]) {
    const out = output[0];
    let filled = 0;
    while (filled < out.length && this.queue.length) {
      const head = this.queue[0];
      if (!this.played.has(head.item)) this.begin(head.item, filled);
      const count = Math.min(out.length - filled, head.pcm.length - head.at);
      for (let i = 0; i < count; i++) out[filled + i] = head.pcm[head.at + i] / 32768;
      head.at += count;
      filled += count;
      this.played.set(head.item, this.played.get(head.item) + count);
      if (head.at === head.pcm.length) this.queue.shift();
      this.report(head.item, count);
    }
    for (let channel = 1; channel < output.length; channel++) output[channel].set(out);
    return true;
  }

  begin(item, offset) {
    this.played.clear();
    this.played.set(item, 0);
    this.port.postMessage({ started: item, time: currentTime + offset / sampleRate });
  }

  report(item, count) {
    this.sinceReport += count;
    const played = this.played.get(item);
    if (!this.queue.length) this.port.postMessage({ drained: item, played });
    else if (this.sinceReport >= REPORT) this.port.postMessage({ progress: item, played });
    else return;
    this.sinceReport = 0;
  }
}

registerProcessor("playback", Playback);
