// The websocket: opens it with whatever key is needed, passes events both ways, says in words why it closed.

const MAX_BUFFERED = 1 << 20; // bytes: 20 s of sound that the network has not taken

export class KeyNeeded extends Error {}

// A short-lived key for this browser; null when the server asks for none.
async function clientSecret(key) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const response = await fetch("v1/realtime/client_secrets", { method: "POST", headers });
  if (response.status === 401 || response.status === 403) throw new KeyNeeded();
  return response.ok ? (await response.json()).value : null;
}

export class Connection {
  // told(event) for each server event; ended(reason, again) once: why, and whether it is worth trying again.
  constructor({ told, ended }) {
    this.told = told;
    this.ended = ended;
  }

  async open({ key, extensions }) {
    const secret = await clientSecret(key);
    const url = new URL("v1/realtime", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.searchParams.set("extensions", extensions);
    const protocols = secret ? ["realtime", `openai-insecure-api-key.${secret}`] : ["realtime"];
    const socket = (this.socket = new WebSocket(url, protocols));
    socket.onmessage = ({ data }) => this.told(JSON.parse(data));
    await new Promise((opened, failed) => {
      socket.onopen = opened;
      socket.onclose = () => failed(new Error("The server does not answer."));
    });
    socket.onclose = ({ code, reason }) => this.ended(explain(code, reason), [1001, 1006, 1012].includes(code));
  }

  send(event) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    // Old sound is worth nothing: what the network cannot take is left out rather than piled up.
    if (event.type === "input_audio_buffer.append" && this.socket.bufferedAmount > MAX_BUFFERED) return;
    this.socket.send(JSON.stringify(event));
  }

  close() {
    if (!this.socket) return;
    this.socket.onclose = null;
    this.socket.close(1000);
  }
}

function explain(code, reason) {
  if (reason) return `${reason[0].toUpperCase()}${reason.slice(1)}${reason.endsWith(".") ? "" : "."}`;
  if (code === 1012) return "The server restarts.";
  if (code === 1013) return "The server has too much to do.";
  if (code === 1008) return "The server ended the session.";
  return "The connection was lost.";
}
