// What has to be seen first: may it trade, is this page live, how does it stand.
import { $, h, setText } from "./dom.js";
import { fixed, sign } from "./decimal.js";
import { age, bytes, count, duration, rate, since } from "./format.js";
import { may, model, now } from "./model.js";

const MEANING = {
  ACTIVE: "trading",
  REDUCING: "only reducing exposure",
  HALTED: "nothing new leaves",
};

const MODES = { live: "LIVE", play: "PLAY MONEY", paper: "PAPER" };

const FIGURES = [
  ["Result today", () => money(model.account?.pnl.result_today), () => model.account?.pnl.result_today],
  ["Drawdown today", () => drawdown(), () => model.account?.pnl.drawdown],
  ["Equity", () => [model.account ? fixed(model.account.pnl.equity, 0) : "–"], () => model.account?.pnl.equity],
  ["Best edge", best, null],
  ["Signals/s", () => [rate(model.system?.signals_per_sec)], null],
  ["Frames/s", () => [count(model.system?.frames_per_sec)], null],
  ["Frame → signal p99", () => [duration(model.system?.latency.tick_to_signal?.p99_ns)], null],
  ["Frame → order p99", () => [duration(model.system?.latency.tick_to_order?.count ? model.system.latency.tick_to_order.p99_ns : null)], null],
];

// What a viewer has no part in.
const OF_ACCOUNT = new Set(["Result today", "Drawdown today", "Equity", "Best edge"]);

let cells;

export function mount() {
  cells = FIGURES.map(([name]) => h("div", { class: `figure ${OF_ACCOUNT.has(name) ? "of-account" : ""}` }, h("span", {}, name), h("b", {}, "–")));
  $("figures").append(...cells);
}

export function render() {
  renderState();
  renderNotice();
  FIGURES.forEach(([, read, whole], index) => {
    const value = cells[index].lastElementChild;
    const [text, tone = ""] = read();
    setText(value, text);
    value.className = tone;
    if (whole) value.title = whole() ?? "";
  });
  const system = model.system;
  if (system) {
    const uptime = age(system.uptime_sec);
    const lag = duration(system.loop_lag_p99_ns || null);
    setText($("build"), `gambit ${system.version} · up ${uptime} · ${bytes(system.rss_bytes)} · journal ${count(system.journal.head)} · loop lag p99 ${lag}`);
  }
  for (const button of document.querySelectorAll("[data-role]")) button.hidden = !may(button.dataset.role);
}

function renderState() {
  const trading = model.trading;
  const banner = $("banner");
  const name = trading?.state ?? "UNKNOWN";
  banner.dataset.state = name;
  setText($("state-name"), trading ? name : "…");
  const mode = trading?.mode === "live" && trading.play_money ? "play" : (trading?.mode ?? "");
  setText($("mode"), MODES[mode] ?? "");
  $("mode").dataset.mode = mode;
  const words = trading ? [MEANING[name]] : ["waiting for the daemon"];
  if (trading?.reason) words.push(`“${trading.reason}”`);
  if (trading && name !== "ACTIVE" && trading.by) words.push(`by ${trading.by}`);
  if (trading && name !== "ACTIVE") words.push(`for ${age(since(trading.since, now()))}`);
  if (trading?.mode === "live") words.push(armed(trading));
  if (trading && model.link.state !== "live") words.unshift("when last seen");
  const text = words.join(" · ");
  setText($("state-text"), text);
  $("state-text").title = text;
  document.title = trading ? `${name} · gambit` : "gambit";
  $("resume").disabled = name === "ACTIVE";
  $("reduce").disabled = name !== "ACTIVE";
  $("halt").disabled = $("halt-thumb").disabled = name === "HALTED";
}

function armed(trading) {
  const left = trading.armed_until ? (Date.parse(trading.armed_until) - Date.now()) / 1000 : 0;
  if (left <= 0) return "not armed: no live order leaves";
  const until = new Date(trading.armed_until).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
  return `armed until ${until}`;
}

export function renderLink() {
  const link = model.link;
  const root = document.documentElement;
  root.dataset.link = link.state;
  const quiet = model.heardAt ? (Date.now() - model.heardAt) / 1000 : null;
  let text = "connecting";
  if (link.state === "live") text = link.rtt === null || link.rtt === undefined ? "live" : `live · ${link.rtt.toFixed(0)} ms`;
  if (link.state === "down") {
    const wait = Math.max(0, Math.ceil((link.retryAt - Date.now()) / 1000));
    text = wait ? `disconnected · again in ${wait} s` : "disconnected · trying";
  }
  if (link.state === "connecting" && quiet !== null) text = "reconnecting";
  setText($("link-text"), text);
}

function renderNotice() {
  const notice = $("notice");
  const link = model.link;
  let text = "";
  let tone = "";
  if (link.state !== "live" && model.heardAt) {
    const quiet = age((Date.now() - model.heardAt) / 1000);
    text = `No connection to the daemon. What you see is ${quiet} old. The daemon goes on without this page, if it runs.`;
    tone = "bad";
  } else if (model.system?.degraded) {
    const hurt = model.system.venues.filter((venue) => venue.state !== "up");
    const reasons = model.system.reasons.length
      ? model.system.reasons
      : hurt.map((venue) => `${venue.venue} is ${venue.state.replace("_", " ")}${venue.reason ? `: ${venue.reason}` : ""}`);
    text = `Degraded: ${reasons.slice(0, 4).join(" · ")}`;
    tone = "warn";
  } else if (model.system && !model.system.ready) {
    text = "Starting: books are being fetched.";
    tone = "info";
  }
  notice.hidden = !text;
  notice.className = tone;
  setText(notice, text);
}

function money(text) {
  if (text === undefined || text === null) return ["–"];
  const way = sign(text);
  return [(way > 0 ? "+" : "") + fixed(text, 2), way > 0 ? "good" : way < 0 ? "bad" : ""];
}

function drawdown() {
  const pnl = model.account?.pnl;
  if (!pnl) return ["–"];
  return sign(pnl.drawdown) > 0 ? [`−${fixed(pnl.drawdown, 2)}`, "warn"] : ["none"];
}

function best() {
  const edges = [...model.signals.values()].map((row) => row.net_bps);
  return edges.length ? [`${Math.max(...edges).toFixed(2)} bps`, "good"] : ["none"];
}
