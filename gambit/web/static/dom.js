// Elements from data: text only ever becomes text, so nothing that a venue sends can become markup.

export const $ = (id) => document.getElementById(id);

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

// A table whose rows are kept by key and changed in place. A column is {name, title, class, cell}: `cell(row)` gives a
// text, [text, class, title], or an element made anew whenever `version(row)` changes.
export class Table {
  constructor(columns, { empty, label }) {
    this.columns = columns;
    this.rows = new Map();
    this.body = h("tbody");
    this.empty = empty;
    this.onOpen = null; // called with a row's item
    this.emptyText = h("p", { class: "empty" }, "loading…");
    const head = columns.map((column) =>
      h("th", { class: column.class ?? "", scope: "col", title: column.title }, column.name),
    );
    this.table = h("table", { "aria-label": label }, h("thead", {}, h("tr", {}, head)), this.body);
    this.element = h("div", {}, this.table, this.emptyText);
  }

  // What is shown; `isKnown` is false until the daemon has said what there is.
  show(items, keyOf, { classOf = () => "", isKnown = true } = {}) {
    setText(this.emptyText, isKnown ? this.empty : "loading…");
    this.emptyText.hidden = items.length > 0;
    this.table.hidden = items.length === 0;
    const keys = new Set();
    let place = this.body.firstElementChild;
    for (const item of items) {
      const key = keyOf(item);
      keys.add(key);
      let row = this.rows.get(key);
      if (!row) {
        row = h("tr", {}, this.columns.map((column) => h("td", { class: column.class ?? "" })));
        this.rows.set(key, row);
        if (this.onOpen) this.listen(row);
      }
      row.item = item;
      this.fill(row, item);
      setClass(row, [classOf(item), this.onOpen ? "opens" : ""].filter(Boolean).join(" "));
      if (row !== place) this.body.insertBefore(row, place);
      else place = place.nextElementSibling;
    }
    for (const [key, row] of this.rows) {
      if (!keys.has(key)) {
        row.remove();
        this.rows.delete(key);
      }
    }
  }

  // A row that opens: by a click or Enter, but not where a button in it was meant.
  listen(row) {
    row.tabIndex = 0;
    row.addEventListener("click", (event) => event.target.closest("button") ?? this.onOpen(row.item));
    row.addEventListener("keydown", (event) => event.key === "Enter" && event.target === row && this.onOpen(row.item));
  }

  fill(row, item) {
    this.columns.forEach((column, index) => {
      const cell = row.children[index];
      const found = column.cell(item);
      if (found instanceof Node) {
        const version = column.version?.(item) ?? "";
        if (cell.dataset.version !== version) {
          cell.dataset.version = version;
          cell.replaceChildren(found);
        }
        return;
      }
      const [text, name, title] = Array.isArray(found) ? found : [found];
      setText(cell, text);
      setClass(cell, [column.class, name].filter(Boolean).join(" "));
      if (title !== undefined && cell.title !== title) cell.title = title;
    });
  }
}
