// Venues, alerts, latencies: how the machine itself is.
import { $, h, setText, Table } from "./dom.js";
import { age, clock, count, duration, milliseconds, rate } from "./format.js";
import { model } from "./model.js";
import { passes } from "./opportunities.js";

const STAGES = {
  tick_to_signal: "Frame → signal",
  tick_to_order: "Frame → order sent",
  scan: "Read a frame",
  book: "Move the book",
  engine: "Compare venues",
  frame: "Whole frame",
};
const TONE = { up: "good", syncing: "warn", degraded: "warn", down: "bad", given_up: "bad" };

let feeds;
let latency;

let act;

export function mount(actions) {
  act = actions;
  feeds = new Table(
    [
      { name: "Venue", cell: (row) => [row.venue, "strong"] },
      { name: "Feed", cell: state, version: (row) => row.state + row.reason + row.circuit_open },
      { name: "Books", class: "num", title: "Synced of wanted", cell: books },
      { name: "Frames/s", class: "num p2", cell: (row) => rate(row.frames_per_sec) },
      { name: "Lag ms", class: "num", title: "Median and 99th percentile, by the venue's own clock", cell: lag },
      { name: "Heard", class: "num p3", title: "Since the last frame", cell: (row) => age(row.last_frame_age_sec) },
      { name: "Order ms", class: "num p3", title: "Order sent to the venue's answer, median", cell: submit },
    ],
    { empty: "No venue is configured.", label: "Venues" },
  );
  $("p-feeds").querySelector(".body").append(feeds.element);
  latency = new Table(
    [
      { name: "Stage", cell: (row) => STAGES[row.stage] ?? row.stage.replaceAll("_", " ") },
      { name: "p50", class: "num", cell: (row) => duration(row.p50_ns) },
      { name: "p99", class: "num", cell: (row) => duration(row.p99_ns) },
      { name: "p99.9", class: "num p3", cell: (row) => duration(row.p999_ns) },
      { name: "Worst", class: "num p2", cell: (row) => duration(row.max_ns) },
      { name: "Count", class: "num p3", cell: (row) => count(row.count) },
    ],
    { empty: "Nothing was timed yet.", label: "Latency" },
  );
  $("p-latency").querySelector(".body").append(latency.element);
  $("p-alerts").querySelector(".body").append(h("ol", { id: "alert-list" }), h("p", { class: "empty" }, "Nothing was wrong so far."));
}

export function render() {
  const system = model.system;
  if (system) {
    const rows = system.venues.filter((row) => passes(row.venue));
    feeds.show(rows, (row) => row.venue, {
      classOf: (row) => (row.state === "down" || row.state === "given_up" ? "hurt" : ""),
    });
    const up = system.venues.filter((row) => row.state === "up").length;
    setText($("p-feeds").querySelector(".count"), `${up} of ${system.venues.length} up`);
    const stages = Object.entries(system.latency).map(([stage, numbers]) => ({ stage, ...numbers }));
    latency.show(stages.filter((row) => row.count), (row) => row.stage);
  }
}

let shownAlerts = "";

export function renderAlerts() {
  const rows = [...model.alerts.values()].reverse();
  const version = rows.map((row) => `${row.alert_id} ${row.event} ${row.resolved_ns} ${row.acked_by}`).join();
  const list = $("alert-list");
  list.nextElementSibling.hidden = rows.length > 0;
  const open = rows.filter((row) => row.event !== "resolved" && !row.resolved_ns);
  setText($("p-alerts").querySelector(".count"), open.length ? `${open.length} open` : "");
  if (version === shownAlerts) return;
  shownAlerts = version;
  list.replaceChildren(...rows.slice(0, 30).map((row) => alert(row, open.includes(row))));
}

function alert(row, isOpen) {
  const severity = String(row.severity ?? "medium").toLowerCase();
  return h(
    "li",
    { class: `alert ${isOpen ? severity : "over"}` },
    h("span", { class: "chip" }, isOpen ? severity : "resolved"),
    h("button", { class: "text", type: "button", title: "What it is and what to do", onclick: () => act.alert(row, isOpen) }, row.message ?? row.rule_id ?? "", row.scope ? h("small", {}, ` ${row.scope}`) : null, row.acked_by ? h("small", {}, ` · ${row.acked_by} is on it`) : null),
    h("time", {}, clock(row.ts ?? new Date(row.created_ns / 1e6).toISOString())),
  );
}

function state(row) {
  const text = row.circuit_open ? "circuit open" : row.state.replace("_", " ");
  const tone = row.circuit_open ? "bad" : (TONE[row.state] ?? "");
  return h("span", { class: `chip ${tone}`, title: row.reason || text }, text);
}

function books(row) {
  return [`${row.books_synced}/${row.books}`, row.books_synced < row.books ? "num warn" : "num"];
}

function lag(row) {
  if (row.lag_p50_ns === null || row.lag_p50_ns === undefined) return ["–", "num"];
  const text = `${milliseconds(row.lag_p50_ns)} · ${milliseconds(row.lag_p99_ns)}`;
  return [text, row.lag_p99_ns > 500e6 ? "num bad" : "num"];
}

function submit(row) {
  return [row.order_submit?.count ? milliseconds(row.order_submit.p50_ns) : "–", "num p3"];
}
