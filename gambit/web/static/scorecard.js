// How often signals of each score won, of the last days.
import { $, h, setText, Table } from "./dom.js";
import { count } from "./format.js";

const EVERY_MS = 300_000;

let table;
let verdict;
let timer = 0;

export function mount() {
  table = new Table(
    [
      { name: "Score", cell: (row) => [row.name, "strong"] },
      { name: "Signals", class: "num", cell: (row) => count(row.n) },
      { name: "Won", class: "num", title: "Share that earned something, traded or one latency later", cell: rate },
      { name: "95 %", class: "num p2", title: "Where the true share is, 19 times of 20", cell: interval },
      { name: "Profit", class: "num", title: "Quote units, traded or not", cell: profit },
    ],
    { empty: "No signal has an outcome yet.", label: "Scorecard" },
  );
  verdict = h("p", { class: "note" });
  $("p-score").querySelector(".body").append(table.element, verdict);
}

// Asks now and every few minutes while somebody is logged in who may see it.
export function follow(api, isAllowed) {
  clearTimeout(timer);
  $("p-score").hidden = !isAllowed;
  if (!isAllowed) return;
  const ask = async () => {
    try {
      show(await api.call("GET", "/arb/scorecard"));
    } catch (error) {
      setText(verdict, `The scorecard cannot be had: ${error.message}`);
    }
    timer = setTimeout(ask, EVERY_MS);
  };
  ask();
}

function show(card) {
  table.show(card.bins.filter((row) => row.n), (row) => row.name);
  setText($("p-score").querySelector(".count"), `last ${card.days} days`);
  setText(verdict, `Does a higher score win more often? ${card.verdict}: ${card.reason}`);
}

function rate(row) {
  return row.win_rate === null ? "–" : `${(row.win_rate * 100).toFixed(1)} %`;
}

function interval(row) {
  return row.low95 === null ? "–" : `${(row.low95 * 100).toFixed(0)} – ${(row.high95 * 100).toFixed(0)}`;
}

function profit(row) {
  return [row.profit.toFixed(2), row.profit > 0 ? "num good" : row.profit < 0 ? "num bad" : "num"];
}
