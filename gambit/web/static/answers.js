// Four questions that whoever opens this page has, and their answers in plain words.
import { $, h, setText, setClass } from "./dom.js";
import { fixed, plain, sign } from "./decimal.js";
import { age, count, since } from "./format.js";
import { may, model, now, waits } from "./model.js";
import { staleQuotes } from "./quotes.js";

const MARKS = { good: "✓", warn: "!", bad: "✕", info: "…" };
const QUESTIONS = [
  ["trading", "Is it trading?", trading],
  ["quotes", "Are the quotes fresh?", quotes],
  ["earning", "Is it earning?", earning],
  ["broken", "Is anything broken?", broken],
];

let cards;

export function mount() {
  cards = QUESTIONS.map(([name, question, read]) => {
    const [mark, answer, detail] = [h("i", { "aria-hidden": "true" }), h("b"), h("small")];
    const card = h("div", { class: "answer", id: `a-${name}` }, mark, h("span", {}, question), answer, detail);
    return { card, mark, answer, detail, read };
  });
  $("answers").append(...cards.map((one) => one.card));
}

export function render() {
  for (const one of cards) {
    const found = one.read();
    one.card.hidden = found === null;
    if (found === null) continue;
    const [tone, answer, detail = ""] = found;
    setClass(one.card, `answer ${tone}`);
    setText(one.mark, MARKS[tone]);
    setText(one.answer, answer);
    setText(one.detail, detail);
    if (one.detail.title !== detail) one.detail.title = detail;
  }
}

// Whose money it is, in words.
export function money() {
  const { mode, play_money } = model.trading ?? {};
  if (mode !== "live") return "on paper: real prices, simulated fills";
  return play_money ? "with play money, on simulated exchanges" : "with real money";
}

function trading() {
  const told = model.trading;
  if (!told) return ["info", "Not known yet", "waiting for the daemon"];
  const why = [told.reason && `“${told.reason}”`, told.by && `by ${told.by}`, `for ${age(since(told.since, now()))}`];
  if (told.state === "HALTED") return ["bad", "No: HALTED, nothing new leaves", why.filter(Boolean).join(" · ")];
  if (told.state === "REDUCING") return ["warn", "Only reducing exposure", why.filter(Boolean).join(" · ")];
  const left = told.armed_until ? (Date.parse(told.armed_until) - now()) / 1000 : 0;
  if (told.mode === "live" && left <= 0) return ["warn", "No: not armed", "no live order leaves until somebody arms it"];
  const halted = Object.keys(told.halted_scopes ?? {});
  if (halted.length) return ["warn", `Yes, but not ${halted.join(", ")}`, Object.values(told.halted_scopes).join(" · ")];
  const waiting = [...model.plans.values()].filter(waits).length;
  if (waiting && may("trader")) return ["warn", `Waits for you: ${waiting} ${waiting === 1 ? "plan" : "plans"}`, "each leaves when you approve it, below"];
  return ["good", "Yes", money()];
}

function quotes() {
  const system = model.system;
  if (!system) return ["info", "Not known yet", "waiting for the daemon"];
  const hurt = system.venues.filter((venue) => venue.state !== "up");
  const behind = system.books - system.books_synced;
  const stale = staleQuotes();
  if (hurt.length || behind > 0) {
    const words = hurt.map((venue) => `${venue.venue} ${venue.state.replace("_", " ")}${venue.reason ? ` (${venue.reason})` : ""}`);
    const answer = `No: ${behind} of ${system.books} books are out`;
    return [hurt.some((venue) => venue.state === "down" || venue.state === "given_up") ? "bad" : "warn", behind ? answer : "Yes, but late", words.join(" · ")];
  }
  if (stale.length) {
    const words = stale.slice(0, 3).map((one) => `${one.venue} ${one.symbol} ${age(one.age)} old`);
    return ["warn", `${stale.length} of ${system.books} quiet`, `${words.join(" · ")}: no part in trading until there is news`];
  }
  return ["good", "Yes", `${system.books_synced} of ${system.books} books on ${system.venues.length} exchanges`];
}

function earning() {
  const pnl = model.account?.pnl;
  if (!pnl) return model.user && !model.user.channels.includes("account") ? null : ["info", "Not known yet"];
  const way = sign(pnl.result_today);
  const best = [...(model.account.positions ?? [])].sort((a, b) => Number(b.realised) - Number(a.realised))[0];
  const words = [`${count(pnl.funnel.traded ?? 0)} of ${count(pnl.opportunities)} traded`];
  if (best && sign(best.realised) > 0) words.unshift(`most by ${best.symbol}: ${fixed(best.realised, 2)}`);
  if (way === 0) return ["info", "Nothing yet today", `${words[0].replace(" traded", " opportunities traded")}`];
  const amount = `${way > 0 ? "+" : ""}${fixed(pnl.result_today, 2)} today`;
  return way > 0 ? ["good", `Yes: ${amount}`, words.join(" · ")] : ["bad", `No: ${amount}`, words.join(" · ")];
}

function broken() {
  if (!model.system) return ["info", "Not known yet"];
  const open = [...model.alerts.values()].filter((row) => row.event !== "resolved" && !row.resolved_ns && row.severity !== "low");
  const worst = ["critical", "high", "medium"].find((level) => open.some((row) => row.severity === level));
  const reasons = model.system.reasons ?? [];
  if (!open.length && !reasons.length) return ["good", "No", `up ${age(model.system.uptime_sec)}, ${plain(String(model.system.dead_letters ?? 0))} unreadable frames`];
  if (!open.length) {
    const down = model.system.venues.filter((venue) => venue.state === "down" || venue.state === "given_up");
    return ["warn", down.length ? `Yes: ${down.map((venue) => venue.venue).join(", ")} down` : "Yes", reasons.join(" · ")];
  }
  const answer = open.length === 1 ? `Yes: one ${worst} alert` : `Yes: ${open.length} alerts, worst ${worst}`;
  return [worst === "medium" ? "warn" : "bad", answer, open.find((row) => row.severity === worst).message];
}
