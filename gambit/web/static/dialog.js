// One dialog for everything that has to be confirmed.
import { $, h } from "./dom.js";

// Asks; resolves to the fields' values, or null when it was called off. `fields`: [{name, label, type, value, required}],
// with `options` a choice.
export function ask({ title, text, confirm, tone = "primary", fields = [] }) {
  const dialog = $("dialog");
  const inputs = fields.map(({ name, label, options, ...attributes }) =>
    h("label", {}, label, options ? h("select", { name }, options.map((one) => h("option", {}, one))) : h("input", { name, ...attributes })),
  );
  const yes = h("button", { class: tone, value: "yes", type: "submit" }, confirm);
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "dialog-title" }, title),
    ...[text].flat().map((line) => (line instanceof Node ? line : h("p", {}, line))),
    ...inputs,
    h("div", { class: "acts" }, h("button", { value: "", type: "button", class: "cancel", onclick: () => dialog.close("") }, "Not now"), yes),
  );
  open(form);
  dialog.returnValue = "";
  (fields.some((field) => field.required) ? form.querySelector("input") : yes).focus();
  return new Promise((resolve) => {
    const ended = () => {
      if (dialog.open && form.isConnected) return; // the end of the dialog before, told late
      dialog.removeEventListener("close", ended);
      const isYes = form.isConnected && dialog.returnValue === "yes";
      resolve(isYes ? Object.fromEntries(new FormData(form)) : null);
    };
    dialog.addEventListener("close", ended);
  });
}

// Tells; `actions` are buttons beside Close: [{label, tone, run}].
export function tell({ title, rows = [], note = "", actions = [], isKeys = false, body = [] }) {
  const list = h("dl", {}, rows.flatMap(([term, text]) => [h("dt", {}, isKeys ? h("kbd", {}, term) : term), h("dd", {}, text)]));
  const buttons = actions.map(({ label, tone = "", run }) => h("button", { type: "button", class: tone, onclick: () => (close(), run()) }, label));
  open(
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "dialog-title" }, title),
      rows.length ? list : null,
      ...body,
      note ? h("p", { class: "note" }, note) : null,
      h("div", { class: "acts" }, ...buttons, h("button", { class: actions.length ? "" : "primary" }, "Close")),
    ),
  );
}

export function open(content) {
  const dialog = $("dialog");
  if (dialog.open) dialog.close("");
  dialog.replaceChildren(content);
  dialog.showModal();
}

export function close() {
  if ($("dialog").open) $("dialog").close("");
}

let timer;

export function toast(text, tone = "") {
  const element = $("toast");
  element.textContent = text;
  element.className = `${tone} shown`;
  clearTimeout(timer);
  timer = setTimeout(() => element.classList.remove("shown"), 6000);
}
