// Lines over the last minutes, drawn by uPlot where this installation has it.
import { $, h, setText } from "./dom.js";
import { model } from "./model.js";

const KINDS = [
  { title: "Best net edge, bps", prefix: "edge ", digits: 2 },
  { title: "Result today, quote units", prefix: "result", digits: 2 },
  { title: "Feed lag p99, ms", prefix: "lag ", digits: 1 },
];
const COLOURS = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6"];
const HEIGHT = 130;

let library = null;
let boxes = [];

export async function mount() {
  const body = $("p-charts").querySelector(".body");
  try {
    library = (await import("./vendor/uplot/uPlot.esm.js")).default;
    document.head.append(h("link", { rel: "stylesheet", href: "/vendor/uplot/uPlot.min.css" }));
  } catch {
    body.append(h("p", { class: "empty" }, "Charts are missing: this installation was made without uPlot. Everything else works."));
    return;
  }
  boxes = KINDS.map((kind) => {
    const wait = h("p", { class: "empty" }, "collecting…");
    const key = h("span", { class: "key" });
    const box = h("div", { class: "chart" }, h("h3", {}, kind.title, key), wait);
    body.append(box);
    return { kind, box, wait, key, plot: null, names: "" };
  });
  new ResizeObserver(() => boxes.forEach(fit)).observe(body);
  document.addEventListener("themechange", () => boxes.forEach((one) => drop(one)));
}

function fit(one) {
  const width = one.box.clientWidth;
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
  const { at, series } = model.history;
  const names = Object.keys(series).filter((name) => name.startsWith(one.kind.prefix)).sort();
  one.wait.hidden = names.length > 0 && at.length > 1;
  if (one.wait.hidden === false || !one.box.clientWidth) return;
  const version = names.join();
  if (one.names !== version) {
    drop(one);
    one.names = version;
    one.plot = make(one, names);
    label(one, names);
  }
  one.plot.setData([at, ...names.map((name) => series[name])]);
}

function label(one, names) {
  const words = names.map((name, index) => h("i", { class: `key-${index % COLOURS.length}` }, name.slice(one.kind.prefix.length)));
  one.key.replaceChildren(...(names.length > 1 ? words : []));
}

function make(one, names) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  const options = {
    width: one.box.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { size: 5 } },
    scales: { x: { time: true } },
    axes: [
      { ...axis, size: 26, space: 70, values: (_, ticks) => ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString([], { hour12: false })) },
      { ...axis, size: 58, space: 30, values: (_, ticks) => ticks.map((tick) => tick.toFixed(Math.abs(tick) >= 100 || ticks[1] - ticks[0] >= 1 ? 0 : one.kind.digits)) },
    ],
    series: [{}, ...names.map((name, index) => ({ label: name, stroke: colour(COLOURS[index % COLOURS.length]), width: 1.5, points: { size: 3 } }))],
  };
  const box = h("div", { class: "plot" });
  one.box.querySelector(".plot")?.remove();
  one.box.append(box);
  return new library(options, [[], ...names.map(() => [])], box);
}

export function describe() {
  setText($("p-charts").querySelector(".count"), "since this page was opened");
}
