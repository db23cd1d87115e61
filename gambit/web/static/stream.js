// The WebSocket: says who we are, subscribes, and comes back by itself with the last numbers it saw.

const LOG_IN_AGAIN = 4401;
const WAIT_MS = [500, 1000, 2000, 4000, 8000, 15000];
const PING_MS = 2000;
const SILENCE_MS = 8000;

export class Stream {
  // on: {message(m), welcome(w), link({state, retryAt, why, rtt}), unauthorised()}
  constructor(on) {
    this.on = on;
    this.seen = {};
    this.failures = 0;
    this.socket = null;
    this.token = null;
    this.timers = [];
    this.rtt = null;
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.retryNow());
  }

  use(token) {
    this.token = token;
    if (this.socket?.readyState === WebSocket.OPEN) this.say({ op: "auth", token });
    else if (!this.socket) this.open();
  }

  stop() {
    this.token = null;
    this.clear();
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  retryNow() {
    if (this.token && !this.socket) this.open();
  }

  open() {
    this.clear();
    this.on.link({ state: "connecting" });
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/dashboard`);
    this.socket = socket;
    this.heardAt = Date.now();
    socket.onopen = () => this.say({ op: "auth", token: this.token });
    socket.onmessage = (event) => this.hear(JSON.parse(event.data));
    socket.onclose = (event) => {
      if (this.socket === socket) this.closed(event.code, event.reason);
    };
    this.timers.push(setInterval(() => this.probe(), PING_MS));
  }

  say(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  hear(message) {
    this.heardAt = Date.now();
    if (message.channel) {
      this.seen[message.channel] = message.seq;
      this.on.message(message);
    } else if (message.op === "welcome") {
      this.failures = 0;
      const isFirst = !this.isWelcome;
      this.isWelcome = true;
      this.on.welcome(message);
      if (isFirst) this.subscribe(message.channels);
      this.on.link({ state: "live", rtt: this.rtt });
    } else if (message.op === "subscribed") {
      for (const [channel, start] of Object.entries(message.channels)) {
        if (!start.resumed) delete this.seen[channel]; // its snapshot says where it begins
      }
    } else if (message.op === "pong") {
      this.rtt = performance.now() - message.t;
      this.on.link({ state: "live", rtt: this.rtt });
    }
  }

  subscribe(channels) {
    const since = Object.fromEntries(Object.entries(this.seen).filter(([channel]) => channels.includes(channel)));
    this.say({ op: "subscribe", channels, since });
  }

  probe() {
    if (Date.now() - this.heardAt > SILENCE_MS) {
      const socket = this.socket;
      this.socket = null;
      socket?.close();
      this.closed(0, "nothing was heard");
      return;
    }
    if (this.isWelcome) this.say({ op: "ping", t: performance.now() });
  }

  closed(code, why) {
    this.clear();
    this.socket = null;
    this.isWelcome = false;
    this.rtt = null;
    if (!this.token) return;
    if (code === LOG_IN_AGAIN) {
      this.on.unauthorised();
      return;
    }
    const wait = WAIT_MS[Math.min(this.failures, WAIT_MS.length - 1)] * (0.75 + Math.random() / 2);
    this.failures += 1;
    const retryAt = Date.now() + wait;
    this.on.link({ state: "down", retryAt, why });
    this.timers.push(setTimeout(() => this.open(), wait));
  }

  clear() {
    for (const timer of this.timers) {
      clearTimeout(timer);
      clearInterval(timer);
    }
    this.timers = [];
  }
}
