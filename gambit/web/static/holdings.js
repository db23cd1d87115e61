// What trading brought, by symbol, and what lies where, by exchange.
import { $, h, setText, Table } from "./dom.js";
import { fixed, plain, sign } from "./decimal.js";
import { model } from "./model.js";
import { passes } from "./opportunities.js";

const ASSETS = 6;

let positions;
let balances;
let assetsShown = "";

export function mount() {
  positions = new Table(
    [
      { name: "Symbol", cell: (row) => [row.symbol, "strong"] },
      { name: "Quantity", class: "num", cell: (row) => plain(row.qty) },
      { name: "Average cost", class: "num p2", cell: (row) => money(row.average_cost) },
      { name: "Mark", class: "num p2", cell: (row) => money(row.mark) },
      { name: "Unrealised", class: "num", cell: (row) => toned(row.unrealised) },
      { name: "Realised", class: "num", title: "What this symbol earned since the start", cell: (row) => toned(row.realised) },
    ],
    { empty: "Flat: nothing is held that trading brought.", label: "Positions" },
  );
  balances = h("table", { "aria-label": "Balances by exchange", hidden: true });
  $("p-account").querySelector(".body").append(positions.element, h("p", { class: "note", id: "fees" }), balances);
}

export function render() {
  const account = model.account;
  const isAllowed = !model.user || model.user.channels.includes("account");
  $("p-account").hidden = !isAllowed;
  if (!isAllowed) return;
  const held = (account?.positions ?? []).filter((row) => passes(row.symbol));
  positions.show(held, (row) => row.symbol, { isKnown: account !== null });
  const fees = Object.entries(account?.pnl.fees ?? {}).map(([asset, amount]) => `${plain(amount, 6)} ${asset}`);
  setText($("fees"), fees.length ? `Fees paid: ${fees.join(", ")}` : "");
  renderBalances(account?.balances ?? []);
}

function renderBalances(rows) {
  balances.hidden = rows.length === 0;
  const venues = [...new Set(rows.map((row) => row.venue))].filter((name) => passes(name)).sort();
  const assets = [...new Set(rows.map((row) => row.asset))].sort().slice(0, ASSETS);
  const version = `${venues.join()}|${assets.join()}`;
  if (version !== assetsShown) {
    assetsShown = version;
    const head = ["Held at", ...assets].map((name, at) => h("th", { scope: "col", class: at ? "num" : "" }, name));
    const lines = venues.map((venue) => h("tr", {}, h("td", {}, venue), assets.map(() => h("td", { class: "num" }))));
    balances.replaceChildren(h("thead", {}, h("tr", {}, head)), h("tbody", {}, lines));
  }
  const amounts = new Map(rows.map((row) => [`${row.venue} ${row.asset}`, row.amount]));
  venues.forEach((venue, at) =>
    assets.forEach((asset, place) => {
      const cell = balances.tBodies[0].rows[at].cells[place + 1];
      const amount = amounts.get(`${venue} ${asset}`);
      setText(cell, amount === undefined ? "–" : short(amount));
      if (cell.title !== (amount ?? "")) cell.title = amount ?? "";
      cell.className = `num${amount !== undefined && sign(amount) < 0 ? " bad" : ""}`;
    }),
  );
}

// As many decimals as its size leaves interesting.
function short(amount) {
  const whole = amount.replace("-", "").split(".")[0].length;
  return whole > 4 ? fixed(amount, 0) : plain(amount, whole > 2 ? 3 : 6);
}

function money(text) {
  return text === null || text === undefined ? "–" : [fixed(text, 2), "", text];
}

function toned(text) {
  const name = sign(text) > 0 ? "good" : sign(text) < 0 ? "bad" : "";
  return text === null || text === undefined ? "–" : [fixed(text, 2), name, text];
}
