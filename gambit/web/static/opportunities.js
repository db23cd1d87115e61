import { $, h, setText, Table } from "./dom.js";
import { times, fixed } from "./decimal.js";
import { age, bps, since } from "./format.js";
import { model, now } from "./model.js";

const ROWS_MIN = 6; // those that ended fill up to here, so that there is time to read one

let table;
let filterText = [];

export function mount() {
  table = new Table(
    [
      { name: "Symbol", cell: (row) => [row.symbol, "strong"] },
      { name: "Buy at", cell: (row) => row.venue_buy },
      { name: "Sell at", cell: (row) => row.venue_sell },
      { name: "Net bps", class: "num", title: "Edge after fees, in hundredths of a percent", cell: edge },
      { name: "Gross", class: "num p2", title: "Spread before fees, bps", cell: (row) => bps(row.spread_bps) },
      { name: "Notional", class: "num p3", title: "What would be bought, in quote units", cell: notional },
      { name: "Profit", class: "num p2", title: "Expected, in quote units", cell: profit },
      { name: "Age", class: "num", title: "Since it was first seen, or since it was over", cell: lived },
      { name: "Score", class: "p3", title: "Rank: spread, liquidity, volatility", cell: score, version: scoreOf },
    ],
    { empty: "Nothing worth doing right now: no spread is above the fees and the least edge.", label: "Opportunities" },
  );
  $("p-opportunities").querySelector(".body").append(table.element);
}

export function filter(words) {
  filterText = words;
}

export function passes(...texts) {
  const text = texts.join(" ").toLowerCase();
  return filterText.every((word) => text.includes(word));
}

export function render() {
  const rows = [...model.signals.values()]
    .filter((row) => passes(row.symbol, row.venue_buy, row.venue_sell))
    .sort((a, b) => b.score - a.score || b.net_bps - a.net_bps)
    .slice(0, 12);
  const over = model.over.filter((row) => !model.signals.has(row.raw_signal_id) && passes(row.symbol, row.venue_buy, row.venue_sell));
  rows.push(...over.slice(0, Math.max(0, ROWS_MIN - rows.length)));
  table.show(rows, (row) => row.raw_signal_id, {
    classOf: (row) => (row.endedAt ? "over" : row.degraded ? "dim" : ""),
    isKnown: model.began.has("arb.signals"),
  });
  setText($("p-opportunities").querySelector(".count"), model.signals.size ? `${model.signals.size} open` : "");
}

function edge(row) {
  return [bps(row.net_bps), row.net_bps > 0 ? "num good" : "num bad"];
}

function lived(row) {
  if (!row.endedAt) return [age(since(row.since, now())), "num"];
  return [`over ${age((now() - row.endedAt) / 1000)}`, "num", `it lasted ${age(since(row.since, row.endedAt))}`];
}

function notional(row) {
  const amount = times(String(row.qty), String(row.buy_vwap));
  return [amount === null ? "–" : fixed(amount, 0), "num p3", `${row.qty} ${row.base_asset} at ${row.buy_vwap}`];
}

function profit(row) {
  const text = String(row.profit_quote);
  return [fixed(text, 2), "num p2", `${text} ${row.quote_asset}`];
}

function scoreOf(row) {
  return String(Math.round((row.score ?? 0) * 100));
}

function score(row) {
  const meter = h("meter", { min: 0, max: 1, value: row.score ?? 0, title: (row.score ?? 0).toFixed(3) });
  meter.textContent = (row.score ?? 0).toFixed(2);
  return meter;
}
