// Line and scatter charts as SVG, described in words, in the colours of the page.

const NS = "http://www.w3.org/2000/svg";
export const PANEL = 340; // width of a chart's viewBox, about that of a panel in CSS pixels: text keeps its size
const LETTER = 8; // width of a letter of the 14 px of its text, about

/** An SVG element with attributes and children. */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value != null) made.setAttribute(name, String(value));
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** Round numbers from low to high, about `wanted` of them. */
export function ticks(low, high, wanted = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, n) => Number(((first + n) * step).toPrecision(12)));
}

/** Powers of ten, and 2 and 5 times them where there are few, from low to high. */
export function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high) + 1e-9; power += 1) {
    for (const factor of high / low > 100 ? [1] : [1, 2, 5]) {
      const value = factor * 10 ** power;
      if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) found.push(value);
    }
  }
  return found;
}

/** A frame with axes; `x` and `y` map data to pixels, `invert` a pixel to a value of x. Labels that would touch are left out. */
export function frame({ width = PANEL, height, xs, ys, log = false, xLabel, yLabel, rightLabel, right, label }) {
  const margin = { left: 66, right: right ? 52 : 12, top: 10, bottom: 46 };
  const inner = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom };
  const place = (value) => (log ? Math.log10(value) : value);
  const span = place(xs[1]) - place(xs[0]) || 1;
  const x = (value) => margin.left + ((place(value) - place(xs[0])) / span) * inner.width;
  const y = (value) => margin.top + inner.height - ((value - ys[0]) / (ys[1] - ys[0] || 1)) * inner.height;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, class: "chart" });
  const axis = svg("g", { class: "axis" });
  let free = -Infinity; // where the last label ends
  for (const tick of log ? logTicks(...xs) : ticks(...xs)) {
    const text = tick.toLocaleString("en-US");
    const half = (LETTER * text.length) / 2;
    axis.append(svg("line", { x1: x(tick), x2: x(tick), y1: margin.top, y2: margin.top + inner.height }));
    if (x(tick) - half < free) continue;
    axis.append(svg("text", { x: x(tick), y: height - margin.bottom + 18, "text-anchor": "middle" }, text));
    free = x(tick) + half + LETTER;
  }
  for (const tick of ticks(...ys)) {
    axis.append(
      svg("line", { x1: margin.left, x2: width - margin.right, y1: y(tick), y2: y(tick) }),
      svg("text", { x: margin.left - 6, y: y(tick) + 4, "text-anchor": "end" }, String(tick)),
    );
    if (right) axis.append(svg("text", { x: width - margin.right + 6, y: y(tick) + 4 }, right(tick)));
  }
  const middle = margin.top + inner.height / 2;
  axis.append(
    svg("text", { x: margin.left + inner.width / 2, y: height - 6, "text-anchor": "middle" }, xLabel),
    svg("text", { x: 14, y: middle, "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` }, yLabel),
  );
  if (right) axis.append(svg("text", { x: width - 8, y: middle, "text-anchor": "middle", transform: `rotate(90 ${width - 8} ${middle})` }, rightLabel));
  picture.append(axis);
  const invert = (pixel) => {
    const value = place(xs[0]) + ((pixel - margin.left) / inner.width) * span;
    return log ? 10 ** value : value;
  };
  return { picture, x, y, invert, inner, margin };
}

/** The d attribute of a line through points; a missing value breaks it. */
export function path(points) {
  let drawing = false;
  return points
    .map(([x, y]) => {
      if (!Number.isFinite(y)) {
        drawing = false;
        return "";
      }
      const part = `${drawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
      drawing = true;
      return part;
    })
    .join("");
}

/** [least, greatest] of the finite values, with a little room; [0, 1] for none. */
export function range(values, room = 0.05) {
  const known = values.filter(Number.isFinite);
  if (!known.length) return [0, 1];
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const extra = (high - low || Math.abs(high) || 1) * room;
  return [low - extra, high + extra];
}

/**
 * Where to write the names of points so that none covers another: beside each point, to its right
 * as long as that stays within the width, above it or below.
 *
 * @param points [{ x, y, name }]
 * @returns [{ x, y, anchor }], text anchors of SVG
 */
export function besides(points, width = PANEL) {
  const taken = [];
  return points.map(({ x, y, name }) => {
    const long = LETTER * name.length;
    const places = [[8, -6], [8, 15], [-8, -6], [-8, 15], [8, 26], [-8, 26]].map(([dx, dy]) => ({
      x: x + dx, y: y + dy, anchor: dx < 0 ? "end" : "start", left: x + dx - (dx < 0 ? long : 0),
    }));
    const inside = places.filter(({ left }) => left >= 0 && left + long <= width);
    const free = (p) => taken.every((other) => p.left + long <= other.left || other.left + other.long <= p.left || Math.abs(p.y - other.y) >= 14);
    const chosen = inside.find(free) ?? inside[0] ?? places[0];
    taken.push({ left: chosen.left, long, y: chosen.y });
    return { x: chosen.x, y: chosen.y, anchor: chosen.anchor };
  });
}
