// Lines over time, drawn by uPlot; where this installation was made without it, plainly by ourselves.
import { fixed } from "./decimal.js";
import { $, h, setText } from "./dom.js";
import Lines from "./lines.js";
import { historyOf, model } from "./model.js";

const KINDS = [
  { title: "Result today, quote units", prefix: "result", digits: 2, isFilled: true, channel: "account" },
  { title: "Best net edge, bps", prefix: "edge ", digits: 2, channel: "arb.signals" },
  { title: "Feed lag p99, ms", prefix: "lag ", digits: 1, channel: "system.metrics" },
];
const SPANS = { "15m": "15 minutes", "24h": "24 hours" };
const DAY_EVERY_MS = 30_000;
const COLOURS = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6"];
const HEIGHT = 132;

let library = null;
let boxes = [];
let span = "15m";
let timer = 0;

export async function mount() {
  const body = $("p-charts").querySelector(".body");
  try {
    library = (await import("./vendor/uplot/uPlot.esm.js")).default;
    document.head.append(h("link", { rel: "stylesheet", href: "/vendor/uplot/uPlot.min.css" }));
  } catch {
    library = Lines;
  }
  boxes = KINDS.map((kind) => {
    const wait = h("p", { class: "empty" }, "collecting…");
    const key = h("span", { class: "key" });
    const place = h("div", { class: "plot" });
    const box = h("div", { class: "chart" }, h("h3", {}, kind.title, key), wait, place);
    body.append(box);
    return { kind, box, place, wait, key, plot: null, names: "" };
  });
  new ResizeObserver(() => boxes.forEach(fit)).observe(body);
  document.addEventListener("themechange", () => boxes.forEach((one) => drop(one)));
}

function fit(one) {
  const width = one.place.clientWidth;
  if (one.plot && width && one.plot.width !== width) one.plot.setSize({ width, height: HEIGHT });
}

function drop(one) {
  one.plot?.destroy();
  one.plot = null;
  one.names = "";
}

export function render() {
  if (!library) return;
  for (const one of boxes) draw(one);
}

function draw(one) {
  const { at, series } = (span === "24h" && model.day) || model.history;
  const names = Object.keys(series).filter((name) => name.startsWith(one.kind.prefix)).sort();
  one.box.hidden = Boolean(model.user) && !model.user.channels.includes(one.kind.channel);
  one.wait.hidden = names.length > 0 && at.length > 1;
  if (one.wait.hidden === false || !one.place.clientWidth) return;
  if (one.kind.isFilled) setText(one.key, below());
  const version = names.join();
  if (one.names !== version) {
    drop(one);
    one.names = version;
    one.plot = make(one, names);
    label(one, names);
  }
  one.plot.setData([at, ...names.map((name) => series[name])]);
}

// The drawdown, beside the result.
function below() {
  const pnl = model.account?.pnl;
  return pnl ? `${fixed(pnl.drawdown, 2)} below its best, at worst ${fixed(pnl.drawdown_worst, 2)}` : "";
}

function label(one, names) {
  if (one.kind.isFilled) return;
  const words = names.map((name, index) => h("i", { class: `key-${index % COLOURS.length}` }, name.slice(one.kind.prefix.length)));
  one.key.replaceChildren(...(names.length > 1 ? words : []));
}

function make(one, names) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  const options = {
    width: one.place.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { size: 5 } },
    scales: { x: { time: true } },
    axes: [
      { ...axis, size: 26, space: 70, values: (_, ticks) => ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString([], { hour12: false })) },
      { ...axis, size: 58, space: 30, values: (_, ticks) => ticks.map((tick) => tick.toFixed(Math.abs(tick) >= 100 || ticks[1] - ticks[0] >= 1 ? 0 : one.kind.digits)) },
    ],
    series: [{}, ...names.map((name, index) => ({ label: name, stroke: colour(COLOURS[index % COLOURS.length]), width: 1.5, points: { show: false }, fill: one.kind.isFilled ? `${colour(COLOURS[index])}26` : undefined, spanGaps: one.kind.isFilled }))],
  };
  return new library(options, [[], ...names.map(() => [])], one.place);
}

// What the daemon remembers from before this page, and which span is shown.
export function follow(api) {
  const ask = async (name) => historyOf(await api.call("GET", `/history?span=${name}`));
  const show = async (name) => {
    clearTimeout(timer);
    try {
      if (name === "24h") {
        model.day = await ask(name);
        timer = setTimeout(() => show(name), DAY_EVERY_MS);
      } else {
        const told = await ask(name);
        if (told.at.length >= model.history.at.length) model.history = told;
      }
      span = name;
    } catch (error) {
      setText($("p-charts").querySelector(".count .note"), `no history: ${error.message}`);
    }
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.value === span));
    render();
  };
  const buttons = Object.entries(SPANS).map(([name, words]) =>
    h("button", { class: "small quiet", value: name, "aria-pressed": String(name === span), onclick: () => show(name) }, words),
  );
  $("p-charts").querySelector(".count").replaceChildren(h("span", { class: "note" }), ...buttons);
  show(span);
}
