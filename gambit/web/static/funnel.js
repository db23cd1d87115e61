// What became of every opportunity, and what those that were not traded would have earned.
import { $, h, setText, Table } from "./dom.js";
import { fixed, sign } from "./decimal.js";
import { count } from "./format.js";
import { model } from "./model.js";

const WORDS = {
  traded: "Traded",
  fee: "Nothing left after fees",
  depth: "Too little in the books",
  stale: "A book was too old",
  skew: "The two books were of different times",
  inventory: "Not enough on a venue to pay with",
  in_flight: "A plan for the same was under way",
  lost_race: "Gone before the order arrived",
  rules: "Below what the venue accepts",
  unapproved: "Nobody approved it in time",
  halted: "Trading was not ACTIVE",
  superseded: "A newer one took its place",
  warm_up: "Raised before the accounts were open",
};

let table;

export function mount() {
  table = new Table(
    [
      { name: "What became of them", class: "wide", cell: (row) => [words(row.reason), row.reason === "traded" ? "strong" : "", row.reason] },
      { name: "Count", class: "num", cell: (row) => count(row.n) },
      { name: "Share", class: "bar p2", cell: bar, version: (row) => String(Math.round(row.share * 200)) },
      { name: "Would have earned", class: "num", title: "One latency later, in quote units", cell: missed },
    ],
    { empty: "No opportunity was seen yet.", label: "What became of opportunities" },
  );
  $("p-funnel").querySelector(".body").append(table.element);
}

export function render() {
  const pnl = model.account?.pnl;
  $("p-funnel").hidden = Boolean(model.user) && !model.user.channels.includes("account");
  const ended = Object.entries(pnl?.funnel ?? {});
  const total = ended.reduce((sum, [, n]) => sum + n, 0);
  const rows = ended
    .map(([reason, n]) => ({ reason, n, share: n / total, missed: pnl.counterfactual?.[reason] }))
    .sort((a, b) => (b.reason === "traded") - (a.reason === "traded") || b.n - a.n)
    .slice(0, 12);
  table.show(rows, (row) => row.reason, { isKnown: Boolean(pnl) });
  setText($("p-funnel").querySelector(".count"), pnl ? `${count(pnl.opportunities)} seen` : "");
}

function words(reason) {
  if (WORDS[reason]) return WORDS[reason];
  const [kind, name] = reason.split(":");
  return name ? `Refused by the ${kind} gate: ${name.replaceAll("_", " ")}` : reason.replaceAll("_", " ");
}

function bar(row) {
  const meter = h("meter", { min: 0, max: 1, value: row.share, title: `${(row.share * 100).toFixed(1)} %` });
  meter.textContent = `${(row.share * 100).toFixed(0)} %`;
  return meter;
}

function missed(row) {
  if (row.reason === "traded" || row.missed === undefined) return ["–", "num"];
  return [fixed(row.missed, 2), sign(row.missed) < 0 ? "num good" : "num", row.missed];
}
