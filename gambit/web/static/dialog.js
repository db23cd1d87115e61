// One dialog for everything that has to be confirmed.
import { $, h } from "./dom.js";

// Asks; resolves to the fields' values, or null when it was called off. `fields`: [{name, label, type, value, required}].
export function ask({ title, text, confirm, tone = "primary", fields = [] }) {
  const dialog = $("dialog");
  if (dialog.open) dialog.close("");
  const inputs = fields.map(({ name, label, ...attributes }) => h("label", {}, label, h("input", { name, ...attributes })));
  const yes = h("button", { class: tone, value: "yes", type: "submit" }, confirm);
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "dialog-title" }, title),
    ...[text].flat().map((line) => h("p", {}, line)),
    ...inputs,
    h("div", { class: "acts" }, h("button", { value: "", type: "button", class: "cancel", onclick: () => dialog.close("") }, "Not now"), yes),
  );
  dialog.replaceChildren(form);
  dialog.returnValue = "";
  dialog.showModal();
  (fields.some((field) => field.required) ? form.querySelector("input") : yes).focus();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => resolve(dialog.returnValue === "yes" ? Object.fromEntries(new FormData(form)) : null),
      { once: true },
    );
  });
}

export function tell({ title, rows }) {
  const dialog = $("dialog");
  if (dialog.open) dialog.close("");
  const list = h("dl", {}, rows.flatMap(([term, text]) => [h("dt", {}, h("kbd", {}, term)), h("dd", {}, text)]));
  dialog.replaceChildren(
    h("form", { method: "dialog" }, h("h2", { id: "dialog-title" }, title), list, h("div", { class: "acts" }, h("button", { class: "primary" }, "Close"))),
  );
  dialog.showModal();
}

let timer;

export function toast(text, tone = "") {
  const element = $("toast");
  element.textContent = text;
  element.className = `${tone} shown`;
  clearTimeout(timer);
  timer = setTimeout(() => element.classList.remove("shown"), 6000);
}
