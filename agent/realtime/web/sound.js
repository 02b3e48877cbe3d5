// Microphone and loudspeaker: two worklets on one clock. Knows nothing of the conversation.

import { RATE } from "./conversation.js";

const MICROPHONE = { audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true } };

export class Sound {
  // heard(pcm, time, level): 40 ms of the microphone; reported(report, latencyS): see playback-worklet.js.
  constructor({ heard, reported }) {
    this.heard = heard;
    this.reported = reported;
  }

  async open() {
    if (!navigator.mediaDevices) throw new Error("The microphone needs https, or a server on this machine.");
    // Made inside the user's press of a button: a phone lets a page sound only then.
    this.context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
    await this.context.resume();
    this.stream = await navigator.mediaDevices.getUserMedia(MICROPHONE);
    await this.context.audioWorklet.addModule(new URL("playback-worklet.js", import.meta.url));
    this.playback = new AudioWorkletNode(this.context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
    this.playback.port.onmessage = ({ data }) => this.reported(data, this.latencyS);
    this.playback.connect(this.context.destination);
    await this.openMicrophone();
  }

  async openMicrophone() {
    let context = this.context;
    let source;
    try {
      source = context.createMediaStreamSource(this.stream);
    } catch (error) {
      if (error.name !== "NotSupportedError") throw error;
      // Some browsers do not resample a microphone: it gets a context of its own, and the worklet resamples.
      context = this.second = new AudioContext({ latencyHint: "interactive" });
      await context.resume();
      source = context.createMediaStreamSource(this.stream);
    }
    await context.audioWorklet.addModule(new URL("microphone-worklet.js", import.meta.url));
    const behind = this.context.currentTime - context.currentTime;
    this.microphone = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
    this.microphone.port.onmessage = ({ data }) => this.heard(data.pcm, data.time + behind, data.level);
    source.connect(this.microphone);
  }

  // Seconds from the rendering of a sample to the listener's ear, as far as the browser knows.
  get latencyS() {
    return this.context.outputLatency || this.context.baseLatency || 0;
  }

  get now() {
    return this.context.currentTime;
  }

  play(item, pcm) {
    this.playback.port.postMessage({ item, pcm }, [pcm.buffer]);
  }

  flush() {
    this.playback.port.postMessage({ flush: true });
  }

  mute(muted) {
    this.microphone.port.postMessage({ muted });
  }

  async close() {
    this.stream?.getTracks().forEach((track) => track.stop());
    await Promise.all([this.context, this.second].map((context) => context?.close()));
  }
}
