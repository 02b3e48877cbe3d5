// Sound in: what the microphone gives becomes 24 kHz 16-bit chunks, each stamped with the second it ended.
//
// Normally the audio context runs at 24 kHz and samples pass as they are. A browser that cannot join a microphone to
// such a context runs this in a context of the device's rate; then a windowed sinc brings it down.

const RATE = 24000;
const CHUNK = 960; // samples: 40 ms
const ZEROS = 12; // zero crossings on each side of the resampling kernel

class Resampler {
  constructor(from) {
    this.step = from / RATE;
    this.cutoff = 0.94 * Math.min(1, 1 / this.step);
    this.half = Math.ceil(ZEROS / this.cutoff);
    this.kept = new Float32Array(this.half); // input not yet outside every kernel
    this.next = this.half; // where in `kept` the next output stands
  }

  // Mono block in, samples at 24 kHz out; half a kernel late.
  push(block) {
    const input = new Float32Array(this.kept.length + block.length);
    input.set(this.kept);
    input.set(block, this.kept.length);
    const output = [];
    for (; this.next + this.half < input.length; this.next += this.step) {
      const centre = Math.floor(this.next);
      let sum = 0;
      for (let k = centre - this.half + 1; k <= centre + this.half; k++) {
        const x = (k - this.next) * this.cutoff;
        const window = 0.5 + 0.5 * Math.cos((Math.PI * (k - this.next)) / (this.half + 1));
        sum += input[k] * window * this.cutoff * (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
      }
      output.push(sum);
    }
    const drop = Math.max(0, Math.floor(this.next) - this.half);
    this.kept = input.slice(drop);
    this.next -= drop;
    return output;
  }
}

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = sampleRate === RATE ? null : new Resampler(sampleRate);
    this.chunk = new Int16Array(CHUNK);
    this.filled = 0;
    this.square = 0;
    this.muted = false;
    this.port.onmessage = ({ data }) => {
      this.muted = data.muted;
    };
  }

  process([input]) {
    const block = input[0];
    if (!block) return true;
    const samples = this.resampler ? this.resampler.push(block) : block;
    for (const sample of samples) {
      // A muted microphone sends silence, so that the server's clock and this one go on together.
      const value = this.muted ? 0 : Math.max(-1, Math.min(1, sample));
      this.square += value * value;
      this.chunk[this.filled++] = Math.round(value * 32767);
      if (this.filled === CHUNK) this.post(block.length);
    }
    return true;
  }

  post(blockLength) {
    const level = Math.sqrt(this.square / CHUNK);
    const time = currentTime + blockLength / sampleRate;
    this.port.postMessage({ pcm: this.chunk, time, level }, [this.chunk.buffer]);
    this.chunk = new Int16Array(CHUNK);
    this.filled = 0;
    this.square = 0;
  }
}

registerProcessor("microphone", Microphone);
