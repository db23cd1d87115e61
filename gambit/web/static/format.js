// Words for numbers that are no money: durations, rates, times.

export function age(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  const value = Math.max(0, seconds);
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 120) return `${Math.floor(value)} s`;
  if (value < 7200) return `${Math.floor(value / 60)} min`;
  if (value < 172800) return `${Math.floor(value / 3600)} h`;
  return `${Math.floor(value / 86400)} d`;
}

export function since(text, now) {
  return text ? (now - Date.parse(text)) / 1000 : NaN;
}

export function clock(text) {
  if (!text) return "–";
  return new Date(text).toLocaleTimeString([], { hour12: false });
}

// A duration in ns, in the unit that suits it.
export function duration(ns) {
  if (ns === null || ns === undefined) return "–";
  if (ns < 1_000) return `${ns} ns`;
  if (ns < 1_000_000) return `${trim(ns / 1_000)} µs`;
  if (ns < 1_000_000_000) return `${trim(ns / 1_000_000)} ms`;
  return `${trim(ns / 1_000_000_000)} s`;
}

export function milliseconds(ns) {
  if (ns === null || ns === undefined) return "–";
  const value = ns / 1_000_000;
  return Math.abs(value) < 9.995 ? value.toFixed(2) : Math.abs(value) < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

export function count(value) {
  if (value === null || value === undefined) return "–";
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u2009");
}

export function rate(value) {
  if (value === null || value === undefined) return "–";
  return value < 10 ? value.toFixed(1) : count(value);
}

export function bytes(value) {
  return value ? `${Math.round(value / 1048576)} MB` : "–";
}

export function bps(value) {
  return typeof value === "number" ? value.toFixed(2) : "–";
}

export function short(id) {
  return id ? id.slice(0, 8) : "–";
}

function trim(value) {
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0);
}
