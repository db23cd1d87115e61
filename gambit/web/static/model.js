// What the page knows: made of messages, read by the views.

const ORDERS_KEPT = 100;
const PLANS_KEPT = 60;
const ALERTS_KEPT = 100;
const HISTORY_SEC = 900;
const OVER_KEPT = 8;

export const model = {
  trading: null,
  system: null,
  account: null,
  signals: new Map(),
  over: [], // the last opportunities that ended, newest first
  market: new Map(),
  orders: new Map(),
  plans: new Map(),
  alerts: new Map(),
  link: { state: "connecting" },
  user: null,
  heardAt: 0,
  began: new Set(), // channels of which something was heard
  history: { at: [], series: {} },
  day: null, // the same of the last day, once it was asked for
  offset: Infinity, // ms that this machine's clock is ahead of the daemon's, as little as was seen
};

const apply = {
  "trading.state": (message) => {
    model.trading = message.snapshot ? message.data[0] : message.data;
  },
  "system.metrics": (message) => {
    model.system = message.data.at(-1) ?? model.system;
    remember();
  },
  account: (message) => {
    model.account = message.data.at(-1) ?? model.account;
  },
  "arb.signals": (message) => {
    if (message.snapshot) model.signals.clear();
    for (const row of message.data) {
      if (row.event === "closed") {
        model.signals.delete(row.raw_signal_id);
        model.over = [{ ...row, endedAt: now() }, ...model.over].slice(0, OVER_KEPT);
      } else model.signals.set(row.raw_signal_id, row);
    }
  },
  "market.normalized": (message) => {
    if (message.snapshot) model.market.clear();
    for (const row of message.data) model.market.set(`${row.venue} ${row.symbol}`, row);
  },
  "order.status": (message) => keep(model.orders, message, "order_id", ORDERS_KEPT),
  "plan.status": (message) => keep(model.plans, message, "plan_id", PLANS_KEPT),
  "alert.raised": (message) => keep(model.alerts, message, "alert_id", ALERTS_KEPT),
};

// Takes a message in; gives the channel that changed.
export function take(message) {
  model.heardAt = Date.now();
  if (message.ts) model.offset = Math.min(model.offset, model.heardAt - Date.parse(message.ts));
  model.began.add(message.channel);
  apply[message.channel]?.(message);
  return message.channel;
}

// Newest first in the map's own order reversed: what changes goes to the end.
function keep(map, message, name, most) {
  const rows = message.snapshot ? [...message.data].reverse() : [message.data];
  if (message.snapshot) map.clear();
  for (const row of rows) {
    const had = map.get(row[name]);
    map.delete(row[name]);
    map.set(row[name], { ...had, ...row });
  }
  for (const key of map.keys()) {
    if (map.size <= most) break;
    map.delete(key);
  }
}

// A point of every line of the charts, once a second; numbers are for drawing only.
function remember() {
  const { at, series } = model.history;
  const point = {};
  for (const row of model.signals.values()) {
    const name = `edge ${row.symbol}`;
    point[name] = Math.max(point[name] ?? -Infinity, row.net_bps);
  }
  for (const venue of model.system?.venues ?? []) {
    if (venue.lag_p99_ns !== null) point[`lag ${venue.venue}`] = venue.lag_p99_ns / 1e6;
  }
  if (model.account) point["result"] = Number(model.account.pnl.result_today);
  at.push(now() / 1000);
  for (const name of new Set([...Object.keys(series), ...Object.keys(point)])) {
    series[name] ??= Array(at.length - 1).fill(null);
    series[name].push(point[name] ?? null);
  }
  if (at.length > HISTORY_SEC) {
    at.shift();
    for (const values of Object.values(series)) values.shift();
  }
}

const WAITING = new Set(["waiting", "planned", "awaiting_approval", "proposed"]);

// Whether a plan waits for somebody's approval.
export function waits(row) {
  return row.approval === "manual" && WAITING.has(row.status) && !row.end && !row.stopped;
}

const RANK = { viewer: 0, trader: 1, admin: 2 };

export function may(role) {
  return (RANK[model.user?.role] ?? -1) >= RANK[role];
}

// The answer of /history as the charts want it.
export function historyOf(told) {
  const series = {};
  for (const [symbol, values] of Object.entries(told.edges_bps ?? {})) series[`edge ${symbol}`] = [...values];
  for (const [venue, values] of Object.entries(told.lags_ms)) series[`lag ${venue}`] = [...values];
  if (told.result) series.result = told.result.map((text) => (text === null ? null : Number(text)));
  return { at: told.at_ns.map((ns) => ns / 1e9), series };
}

// Now by the daemon's clock, as far as this page knows: while nothing is heard, things grow no older than when they were last seen.
export function now() {
  const here = model.link.state === "live" || !model.heardAt ? Date.now() : model.heardAt;
  return Number.isFinite(model.offset) ? here - model.offset : here;
}
