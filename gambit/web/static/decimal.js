// Exact decimals as text: money is never a binary number here. Only charts make numbers of it.

const SHAPE = /^(-?)(\d+)(?:\.(\d+))?$/;

function parsed(text) {
  const found = SHAPE.exec(text ?? "");
  if (!found) return null;
  const [, sign, whole, part = ""] = found;
  const units = BigInt(whole + part);
  return { units: sign ? -units : units, scale: part.length };
}

// A decimal text with exactly `digits` decimals, rounded half away from zero, thousands apart.
export function fixed(text, digits) {
  const value = parsed(text);
  return value === null ? "–" : spelled(rounded(value, digits), digits);
}

// As many decimals as there are, at most `most`.
export function plain(text, most = 8) {
  const value = parsed(text);
  if (value === null) return "–";
  const digits = Math.min(value.scale, most);
  const found = spelled(rounded(value, digits), digits);
  return found.includes(".") ? found.replace(/\.?0+$/, "") : found;
}

// A price: as many decimals as its size leaves interesting.
export function price(text) {
  const value = parsed(text);
  if (value === null) return "–";
  const whole = (value.units < 0n ? -value.units : value.units) / 10n ** BigInt(value.scale);
  return plain(text, whole >= 1000n ? 2 : whole >= 10n ? 4 : 8);
}

// The product of two decimal texts, as text.
export function times(one, other) {
  const a = parsed(one);
  const b = parsed(other);
  if (a === null || b === null) return null;
  return bare(a.units * b.units, a.scale + b.scale);
}

// The sum of decimal texts, as text.
export function sum(texts) {
  const values = texts.map(parsed).filter((value) => value !== null);
  const scale = Math.max(0, ...values.map((value) => value.scale));
  return bare(values.reduce((total, value) => total + value.units * 10n ** BigInt(scale - value.scale), 0n), scale);
}

// -1, 0 or 1: whether the first is less than, equal to or more than the second.
export function compare(one, other) {
  return sign(sum([one, other.startsWith("-") ? other.slice(1) : `-${other}`]));
}

// -1, 0 or 1.
export function sign(text) {
  const value = parsed(text);
  return value === null || value.units === 0n ? 0 : value.units < 0n ? -1 : 1;
}

function rounded({ units, scale }, digits) {
  if (scale <= digits) return units * 10n ** BigInt(digits - scale);
  const step = 10n ** BigInt(scale - digits);
  const half = step / 2n;
  return units < 0n ? -((-units + half) / step) : (units + half) / step;
}

function bare(units, scale) {
  const text = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
  const whole = text.slice(0, text.length - scale);
  return (units < 0n ? "-" : "") + whole + (scale ? "." + text.slice(-scale) : "");
}

function spelled(units, digits) {
  const text = bare(units, digits);
  const [, minus, whole, part] = /^(-?)(\d+)(\.\d+)?$/.exec(text);
  return (minus ? "−" : "") + whole.replace(/\B(?=(\d{3})+$)/g, "\u2009") + (part ?? "");
}
