// Plain lines for an installation without uPlot: the same few calls, no cursor, no zoom.
const SVG = "http://www.w3.org/2000/svg";
const [LEFT, RIGHT, TOP, BOTTOM] = [58, 6, 8, 22];
const TICKS = 3;

export default class Lines {
  constructor(options, data, place) {
    this.options = options;
    this.width = options.width;
    this.svg = place.appendChild(document.createElementNS(SVG, "svg"));
    this.setData(data);
  }

  setSize({ width }) {
    this.width = width;
    this.setData(this.data);
  }

  destroy() {
    this.svg.remove();
  }

  setData(data) {
    this.data = data;
    const { height, axes, series } = this.options;
    const values = data.slice(1).flat().filter((value) => value !== null && value !== undefined);
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
    this.svg.setAttribute("width", this.width);
    this.svg.setAttribute("height", height);
    this.svg.replaceChildren();
    if (data[0].length < 2 || !values.length) return;
    const [begin, end] = [data[0][0], data[0].at(-1)];
    const [low, high] = spread(Math.min(...values), Math.max(...values));
    const x = (at) => LEFT + ((at - begin) / (end - begin || 1)) * (this.width - LEFT - RIGHT);
    const y = (value) => height - BOTTOM - ((value - low) / (high - low)) * (height - TOP - BOTTOM);
    for (let step = 0; step < TICKS; step++) {
      const value = low + ((high - low) * step) / (TICKS - 1);
      this.add("line", { x1: LEFT, x2: this.width - RIGHT, y1: y(value), y2: y(value), stroke: axes[1].grid.stroke });
      this.text(LEFT - 6, y(value) + 4, "end", axes[1].values(null, [value, value])[0]);
      const at = begin + ((end - begin) * step) / (TICKS - 1);
      this.text(x(at), height - 6, ["start", "middle", "end"][step], axes[0].values(null, [at])[0]);
    }
    series.slice(1).forEach((one, place) => {
      const points = data[0].map((at, index) => [at, data[place + 1][index]]);
      this.add("path", { d: path(points, x, y, one.spanGaps), fill: "none", stroke: one.stroke, "stroke-width": one.width });
    });
  }

  text(x, y, anchor, words) {
    this.add("text", { x, y, "text-anchor": anchor, "font-size": 11, fill: this.options.axes[0].stroke }).textContent = words;
  }

  add(name, attributes) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return this.svg.appendChild(element);
  }
}

// A line that breaks where nothing is known, unless gaps are spanned.
function path(points, x, y, spansGaps) {
  let isDown = false;
  let text = "";
  for (const [at, value] of points) {
    if (value === null || value === undefined) {
      isDown = isDown && spansGaps;
      continue;
    }
    text += `${isDown ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    isDown = true;
  }
  return text;
}

function spread(low, high) {
  return low === high ? [low - 1, high + 1] : [low, high];
}
