// Plans and orders, and their lives.
import { tell } from "./dialog.js";
import { $, h, setText, Table } from "./dom.js";
import { fixed, plain, price, sign } from "./decimal.js";
import { age, clock, short } from "./format.js";
import { may, model, now, waits } from "./model.js";
import { passes } from "./opportunities.js";

const ROWS = 14;
const OVER = new Set(["filled", "canceled", "failed", "reconciled", "compensated", "aborted", "expired", "retried"]);
const TONE = {
  filled: "good", reconciled: "good", flat: "good", closed: "", partially_filled: "warn", canceled: "", expired: "",
  failed: "bad", aborted: "bad", unhedged: "bad", position: "bad", dust: "warn", compensated: "warn", unknown: "warn",
};

const HIDDEN = new Set(["schema_ver", "event", "ts", "user_id", "idempotency_key"]);
const ENDS = { nothing: "not traded", flat: "flat", dust: "flat, dust left", position: "position left" };

let plans;
let orders;
let act;

export function mount(actions) {
  act = actions;
  plans = new Table(
    [
      { name: "Plan", class: "p3 mono", cell: (row) => [short(row.plan_id), "p3 mono", row.plan_id] },
      { name: "Symbol", cell: (row) => [row.symbol, "strong"] },
      { name: "Venues", class: "p2 tight", cell: (row) => [(row.venues ?? []).join(" → "), "", (row.venues ?? []).join(" → ")] },
      { name: "Notional", class: "num", cell: (row) => money(row.total_quote_amount, 0, "num") },
      { name: "Expected", class: "num p2", cell: (row) => money(row.expected_profit, 2, "num p2") },
      { name: "Result", class: "num", cell: result },
      { name: "Age", class: "num p3", cell: (row) => age(now() / 1000 - row.created_ns / 1e9) },
      { name: "Status", class: "end", cell: planStatus, version: (row) => `${row.status}${row.end}${row.stopped}${may("trader")}` },
    ],
    { empty: "No plan yet: an opportunity becomes one once it passes every risk gate.", label: "Plans" },
  );
  plans.onOpen = details("Plan", "gambit explain");
  $("p-plans").querySelector(".body").append(plans.element);
  orders = new Table(
    [
      { name: "Time", class: "p3", cell: (row) => clock(row.ts ?? new Date(row.updated_ns / 1e6).toISOString()) },
      { name: "Symbol", cell: (row) => [row.symbol, "strong"] },
      { name: "Venue", cell: (row) => row.venue },
      { name: "Side", cell: (row) => [row.side, row.side === "buy" ? "buy" : "sell"] },
      { name: "Filled / qty", class: "num p2", cell: filled },
      { name: "Price", class: "num p2", cell: paid },
      { name: "For", class: "p4", cell: (row) => row.purpose ?? "" },
      { name: "Status", class: "end", cell: orderStatus, version: (row) => `${row.status}${may("trader")}` },
    ],
    { empty: "No orders yet.", label: "Orders" },
  );
  orders.onOpen = details("Order", "gambit explain");
  $("p-orders").querySelector(".body").append(orders.element);
}

export function render() {
  const allowed = model.user?.channels ?? [];
  if (model.user && !allowed.includes("order.status")) {
    for (const id of ["p-plans", "p-orders"]) $(id).hidden = true;
    return;
  }
  for (const id of ["p-plans", "p-orders"]) $(id).hidden = false;
  const planRows = newest(model.plans).filter((row) => passes(row.symbol, ...(row.venues ?? [])));
  planRows.sort((a, b) => waits(b) - waits(a));
  plans.show(planRows.slice(0, ROWS), (row) => row.plan_id, {
    classOf: (row) => (waits(row) ? "ask" : ""),
    isKnown: model.began.has("plan.status"),
  });
  const waiting = planRows.filter(waits).length;
  setText($("p-plans").querySelector(".count"), waiting ? `${waiting} wait for approval` : "");
  const orderRows = newest(model.orders).filter((row) => passes(row.symbol, row.venue, row.side, row.status));
  orders.show(orderRows.slice(0, ROWS), (row) => row.order_id, { isKnown: model.began.has("order.status") });
  const live = orderRows.filter((row) => !OVER.has(row.status)).length;
  setText($("p-orders").querySelector(".count"), live ? `${live} live` : "");
}

// Everything that is known of a row; why it came out so is told where the whole record is.
function details(what, command) {
  return (row) => {
    const id = row.order_id ?? row.plan_id;
    const fields = Object.entries(row).filter(([name, value]) => !HIDDEN.has(name) && said(value) !== "");
    const rows = fields.map(([name, value]) => [name.replaceAll("_", " ").replace(/ ns$/, ""), said(value, name)]);
    tell({ title: `${what}: ${row.symbol ?? ""} ${row.status ?? ""}`, rows, note: `Every gate and step of it, in a terminal: ${command} ${id}` });
  };
}

function said(value, name = "") {
  if (value === null || value === undefined) return "";
  if (name.endsWith("_ns")) return new Date(value / 1e6).toLocaleString([], { hour12: false });
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "object" ? Object.entries(value).map((pair) => pair.join(" ")).join(", ") : String(value);
}

function newest(map) {
  return [...map.values()].reverse();
}

function money(text, digits, name) {
  return text === null || text === undefined ? ["–", name] : [fixed(text, digits), name, text];
}

function toned(text) {
  const name = sign(text) > 0 ? "num good" : sign(text) < 0 ? "num bad" : "num";
  return text === null || text === undefined ? ["–", "num"] : [fixed(text, 2), name, text];
}

function result(row) {
  const found = Object.entries(row.result ?? {});
  if (!found.length || !row.end) return ["–", "num"];
  const [text, name] = toned(row.value);
  return [text, name, found.map(([asset, amount]) => `${amount} ${asset}`).join(", ")];
}

function filled(row) {
  const [done, whole] = [plain(row.qty_filled, 6), plain(row.qty, 6)];
  return [done === whole ? whole : `${done} / ${whole}`, "num p2", `${row.qty_filled} of ${row.qty}`];
}

function paid(row) {
  const text = row.average_price ?? row.limit_price ?? row.price;
  return [price(text), "num p2", text ?? ""];
}

function chip(text) {
  return h("span", { class: `chip ${TONE[text] ?? "busy"}` }, (text ?? "").replaceAll("_", " "));
}

function planStatus(row) {
  if (waits(row) && may("trader")) {
    return h(
      "span",
      { class: "acts" },
      h("button", { class: "small primary", onclick: () => act.approve(row) }, "Approve"),
      h("button", { class: "small", onclick: () => act.reject(row) }, "Reject"),
    );
  }
  const isIdle = row.end === "nothing";
  const word = h("span", { class: `chip ${isIdle ? "" : (TONE[row.end ?? row.status] ?? "busy")}` }, ENDS[row.end] ?? row.status);
  if (isIdle && row.stopped) word.textContent = `${row.stopped}`.replaceAll("_", " ");
  if (row.stopped) word.title = `${row.stopped}`;
  return word;
}

function orderStatus(row) {
  const word = chip(row.status);
  if (OVER.has(row.status) || !may("trader")) return word;
  const cancel = h("button", { class: "small", title: "Cancel this order", onclick: () => act.cancel(row) }, "Cancel");
  return h("span", { class: "acts" }, word, cancel);
}
