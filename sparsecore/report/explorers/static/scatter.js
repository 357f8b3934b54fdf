// A scatter chart that answers: it names the word under the pointer or the arrow keys, and a range
// dragged across it chooses words by their frequency.

import { besides, frame, PANEL, svg } from "./charts.js";
import { element } from "./dom.js";

const HEIGHT = 300;
const REACH = 20; // viewBox units from the pointer to the word that it names
const DRAG = 5; // viewBox units before a press is a drag

/** Index of the point [x, y] nearest to a place; -1 if none is within reach. */
export function nearestPoint(points, x, y, reach = REACH) {
  let [found, least] = [-1, reach * reach];
  points.forEach((point, n) => {
    const distance = (point.px - x) ** 2 + (point.py - y) ** 2;
    if (distance < least) [found, least] = [n, distance];
  });
  return found;
}

const dots = (points) => points.map(({ px, py }) => `M${px.toFixed(1)} ${py.toFixed(1)}h0`).join("");

/**
 * The chart and its answers.
 *
 * @param onpick told the point that was clicked, or chosen by Enter
 * @param onrange told [lowest, highest] frequency after a drag
 * @returns {{ box, draw }} draw(scene), scene: { xs, ys, range, points: [{ x, y, name, about, colour,
 *   faint }], marked: [{ x, y, name, colour }], levels: [{ y, name, colour }], label, xLabel, yLabel }
 */
export function scatter({ onpick, onrange }) {
  const ring = svg("circle", { r: 6, class: "ring", visibility: "hidden" });
  const band = svg("rect", { class: "band", visibility: "hidden" });
  const tip = element("output", { class: "tip", hidden: true });
  const holder = element("div");
  const box = element("div", { class: "hover-points", tabindex: 0, role: "group" }, holder, tip);
  let [points, chart, at, from] = [[], null, -1, null];

  function show(n) {
    at = n;
    tip.hidden = n < 0;
    ring.setAttribute("visibility", n < 0 ? "hidden" : "visible");
    if (n < 0) return;
    const { px, py, about } = points[n];
    ring.setAttribute("cx", px);
    ring.setAttribute("cy", py);
    tip.textContent = about;
    tip.style.left = `${(100 * px) / PANEL}%`;
    tip.style.top = `${(100 * py) / HEIGHT}%`;
    tip.style.translate = `${(-100 * px) / PANEL}% ${py > 60 ? "calc(-100% - 12px)" : "12px"}`;
  }
  const place = (event) => {
    const own = chart.picture.getBoundingClientRect();
    return [((event.clientX - own.left) / own.width) * PANEL, ((event.clientY - own.top) / own.height) * HEIGHT];
  };
  const inside = (x) => Math.min(Math.max(x, chart.margin.left), chart.margin.left + chart.inner.width);
  box.addEventListener("pointerdown", (event) => {
    from = place(event)[0];
    box.setPointerCapture(event.pointerId); // a drag may end beside the chart
    if (event.pointerType === "mouse") event.preventDefault(); // selects no text
    box.focus({ preventScroll: true });
  });
  box.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    if (from != null && event.buttons && Math.abs(x - from) > DRAG) {
      const [left, right] = [inside(Math.min(x, from)), inside(Math.max(x, from))];
      for (const [name, value] of Object.entries({ x: left, width: right - left, visibility: "visible" })) band.setAttribute(name, value);
      show(-1);
    } else show(nearestPoint(points, x, y));
  });
  box.addEventListener("pointerup", (event) => {
    const [x, y] = place(event);
    if (from != null && Math.abs(x - from) > DRAG) onrange([chart.invert(inside(Math.min(x, from))), chart.invert(inside(Math.max(x, from)))]);
    else if (nearestPoint(points, x, y) >= 0) onpick(points[nearestPoint(points, x, y)]);
    from = null;
    band.setAttribute("visibility", "hidden");
  });
  box.addEventListener("pointercancel", () => {
    from = null;
    band.setAttribute("visibility", "hidden");
  });
  box.addEventListener("pointerleave", () => show(-1));
  box.addEventListener("blur", () => show(-1));
  box.addEventListener("keydown", (event) => {
    const goal = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: points.length - 1, PageDown: at + 50, PageUp: at - 50 }[event.key];
    if (event.key === "Escape") show(-1);
    else if (event.key === "Enter" && at >= 0) onpick(points[at]);
    else if (goal != null && points.length) show(Math.max(0, Math.min(goal, points.length - 1)));
    else return;
    event.preventDefault();
  });

  function draw(scene) {
    chart = frame({ ...scene, height: HEIGHT, log: true });
    chart.picture.setAttribute("aria-label", scene.label);
    const [low, high] = scene.range.map((f) => inside(chart.x(f)));
    points = scene.points.map((point) => ({ ...point, px: chart.x(point.x), py: chart.y(point.y) })).sort((a, b) => b.x - a.x);
    const [top, height] = [chart.margin.top, chart.inner.height];
    chart.picture.append(svg("rect", { class: "chosen", x: low, width: Math.max(0, high - low), y: top, height }));
    const kinds = new Map();
    for (const point of points) {
      const outside = point.x < scene.range[0] || point.x > scene.range[1];
      const key = `${point.colour} ${point.faint || outside ? 0.18 : 0.6} ${point.large ? 5 : 4}`;
      kinds.set(key, [...(kinds.get(key) ?? []), point]);
    }
    const strongest = (key) => Number(key.split(" ")[1]);
    for (const [key, ones] of [...kinds].sort(([a], [b]) => strongest(a) - strongest(b))) {
      const [colour, opacity, size] = key.split(" ");
      chart.picture.append(svg("path", { d: dots(ones), stroke: colour, "stroke-opacity": opacity, "stroke-width": size, "stroke-linecap": "round", fill: "none" }));
    }
    scene.levels.forEach(({ y, xs, name, colour }, n) => {
      const [left, right] = xs.map((x) => chart.x(x));
      const legend = [chart.margin.left + 8, top + 14 + 17 * n];
      chart.picture.append(
        svg("line", { x1: left, x2: right, y1: chart.y(y), y2: chart.y(y), stroke: colour, "stroke-width": 3 }),
        svg("line", { x1: legend[0], x2: legend[0] + 18, y1: legend[1] - 4, y2: legend[1] - 4, stroke: colour, "stroke-width": 3 }),
        svg("text", { x: legend[0] + 24, y: legend[1], class: "name" }, name),
      );
    });
    const marked = scene.marked.map((one) => ({ ...one, px: chart.x(one.x), py: chart.y(one.y) }));
    for (const { px, py, colour } of marked) chart.picture.append(svg("circle", { cx: px, cy: py, r: 5, fill: colour, stroke: "var(--ground)", "stroke-width": 1.5 }));
    besides(marked.map(({ px, py, name }) => ({ x: px, y: py, name }))).forEach(({ x, y, anchor }, n) => chart.picture.append(svg("text", { x, y, "text-anchor": anchor, class: "name" }, marked[n].name)));
    for (const [name, value] of Object.entries({ y: top, height })) band.setAttribute(name, value);
    chart.picture.append(band, ring);
    holder.replaceChildren(chart.picture);
    box.setAttribute("aria-label", `${points.length} words: the arrow keys go from one to the next, the commonest first; Enter adds it`);
    show(-1);
  }
  return { box, draw };
}
