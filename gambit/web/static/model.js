// What the page knows: made of messages, read by the views.

const ORDERS_KEPT = 100;
const PLANS_KEPT = 60;
const ALERTS_KEPT = 100;
const HISTORY_SEC = 900;

export const model = {
  trading: null,
  system: null,
  account: null,
  signals: new Map(),
  market: new Map(),
  orders: new Map(),
  plans: new Map(),
  alerts: new Map(),
  link: { state: "connecting" },
  user: null,
  heardAt: 0,
  began: new Set(), // channels of which something was heard
  history: { at: [], series: {} },
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
      if (row.event === "closed") model.signals.delete(row.raw_signal_id);
      else model.signals.set(row.raw_signal_id, row);
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
  at.push(Date.now() / 1000);
  for (const name of new Set([...Object.keys(series), ...Object.keys(point)])) {
    series[name] ??= Array(at.length - 1).fill(null);
    series[name].push(point[name] ?? null);
  }
  if (at.length > HISTORY_SEC) {
    at.shift();
    for (const values of Object.values(series)) values.shift();
  }
}

const RANK = { viewer: 0, trader: 1, admin: 2 };

export function may(role) {
  return (RANK[model.user?.role] ?? -1) >= RANK[role];
}

// Now, as far as this page knows: while nothing is heard, things grow no older than when they were last seen.
export function now() {
  return model.link.state === "live" || !model.heardAt ? Date.now() : model.heardAt;
}
