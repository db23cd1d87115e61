// What each exchange bids and asks: the best of each side stands out, and so does what is too old to be used.
import { $, h, setText } from "./dom.js";
import { compare, price } from "./decimal.js";
import { age, bps } from "./format.js";
import { model, now } from "./model.js";
import { passes } from "./opportunities.js";

const ROWS = 40;

let table;
let drawn = "";

export function mount() {
  table = h("table", { class: "quotes", "aria-label": "Quotes" });
  $("p-quotes").querySelector(".body").append(table, h("p", { class: "empty" }, "loading…"));
}

// Books that did not move for longer than the engine believes them: {venue, symbol, age}, oldest first.
export function staleQuotes() {
  const most = model.system?.book_age_max_sec ?? 3;
  return [...model.market.values()]
    .map((row) => ({ venue: row.venue, symbol: row.symbol, age: (now() - Date.parse(row.ts)) / 1000 }))
    .filter((row) => row.age > most)
    .sort((a, b) => b.age - a.age);
}

export function render() {
  const rows = [...model.market.values()].filter((row) => passes(row.symbol, row.venue));
  const venues = (model.system?.venues ?? []).map((venue) => venue.venue).filter((name) => rows.some((row) => row.venue === name));
  const symbols = [...new Set(rows.map((row) => row.symbol))].sort().slice(0, ROWS);
  const empty = table.nextElementSibling;
  empty.hidden = symbols.length > 0;
  table.hidden = symbols.length === 0;
  setText(empty, model.began.has("market.normalized") ? "No book has moved since this page was opened." : "loading…");
  const version = `${venues.join()}|${symbols.join()}`;
  if (version !== drawn) {
    drawn = version;
    build(venues, symbols);
  }
  const stale = new Set(staleQuotes().map((row) => `${row.venue} ${row.symbol}`));
  symbols.forEach((symbol, place) => fill(table.tBodies[0].rows[place], symbol, venues, stale));
  setText($("p-quotes").querySelector(".count"), stale.size ? `${stale.size} too old to be used` : rows.length ? "all fresh" : "");
}

function build(venues, symbols) {
  const head = ["Symbol", ...venues, "Gap bps"].map((name, at, all) =>
    h("th", { scope: "col", class: at ? "num" : "", title: at === all.length - 1 ? "Best bid over best ask, before fees" : null }, name),
  );
  const lines = symbols.map((symbol) =>
    h("tr", {}, h("td", { class: "strong" }, symbol), venues.map(() => h("td", { class: "num quote" }, h("span"), h("span"), h("small"))), h("td", { class: "num" })),
  );
  table.replaceChildren(h("thead", {}, h("tr", {}, head)), h("tbody", {}, lines));
}

function fill(line, symbol, venues, stale) {
  const found = venues.map((venue) => model.market.get(`${venue} ${symbol}`));
  const usable = found.filter((row) => row && !stale.has(`${row.venue} ${symbol}`) && isUp(row.venue));
  const bid = best(usable, "bid", 1);
  const ask = best(usable, "ask", -1);
  found.forEach((row, at) => {
    const cell = line.cells[at + 1];
    const [above, below, note] = cell.children;
    setText(above, row?.ask ? price(row.ask) : "–");
    setText(below, row?.bid ? price(row.bid) : "–");
    const isOld = row && (stale.has(`${row.venue} ${symbol}`) || !isUp(row.venue));
    setText(note, isOld ? age((now() - Date.parse(row.ts)) / 1000) : "");
    cell.className = `num quote${isOld ? " old" : ""}`;
    above.className = row && row.ask === ask ? "best" : "";
    below.className = row && row.bid === bid ? "best" : "";
    if (row) cell.title = `${row.venue} ${symbol}: bid ${row.bid} × ${row.bid_qty}, ask ${row.ask} × ${row.ask_qty}`;
  });
  const gap = bid && ask ? (Number(bid) / Number(ask) - 1) * 1e4 : null;
  const last = line.cells[line.cells.length - 1];
  setText(last, gap === null ? "–" : bps(gap));
  last.className = gap !== null && gap > 0 ? "num good" : "num muted";
}

function isUp(venue) {
  return (model.system?.venues ?? []).some((row) => row.venue === venue && row.state === "up");
}

function best(rows, side, way) {
  return rows.reduce((top, row) => (row[side] && (top === null || compare(row[side], top) * way > 0) ? row[side] : top), null);
}
