// What the points of a picture are: the nearest one to the pointer, or one after the other by keys.

import { element } from "./dom.js";

const REACH = 28; // CSS pixels

/** Index of the point nearest to (x, y), pixels of a picture of that size; -1 if none is near. */
export function nearest(data, x, y, width, height, reach = REACH) {
  let [found, least] = [-1, reach * reach];
  for (let n = 0; n < data.text.length; n += 1) {
    const dx = (data.left[n] / data.scale) * width - x;
    const dy = (data.top[n] / data.scale) * height - y;
    const distance = dx * dx + dy * dy;
    if (distance < least) [found, least] = [n, distance];
  }
  return found;
}

/** The points from left to right, upper ones first: the order of the arrow keys. */
export function reading(data) {
  return data.text.map((_, n) => n).sort((a, b) => data.left[a] - data.left[b] || data.top[a] - data.top[b]);
}

/** The picture of the cell before, or of the nearest one before that; null if there is none. */
function pictureBefore(el) {
  for (let cell = el.closest(".cell, .jp-Cell"); cell; cell = cell.previousElementSibling) {
    const image = cell.querySelector("img");
    if (image) return image;
  }
  return null;
}

/** The names of lines with their colours, for screens too narrow for those in the picture. */
function key(names) {
  const items = Object.entries(names).map(([name, look]) => {
    const [color, dashed] = look.split(" ");
    const mark = element("span", { class: "mark", "aria-hidden": "true" });
    mark.style.background = dashed ? `repeating-linear-gradient(90deg, ${color} 0 0.4em, transparent 0.4em 0.6em)` : color;
    return element("li", {}, mark, name);
  });
  return items.length ? [element("ul", { class: "hover-key", "aria-label": "Lines of the picture" }, ...items)] : [];
}

/** How to ask a picture, below the first one of a page; the others answer in the same way. */
function hint() {
  if (document.querySelector(".hover-note")) return [];
  const how = matchMedia("(hover: none)").matches ? "Tap a figure" : "Point at a figure, or use the arrow keys on it,";
  return [element("p", { class: "hover-note" }, `${how} to identify lines and points.`)];
}

function lay(image, data) {
  const order = reading(data);
  const ring = element("span", { class: "ring", hidden: true });
  const tip = element("output", { class: "tip", hidden: true });
  const label = `${data.text.length} points: the arrow keys go from one to the next`;
  const layer = element("span", { class: "hover-points", tabindex: 0, role: "group", "aria-label": label });
  image.replaceWith(layer);
  layer.append(image, ring, tip);
  const below = [...hint(), ...key(data.names)];
  layer.after(...below);
  let at = -1;

  const show = (n) => {
    at = n;
    ring.hidden = tip.hidden = n < 0;
    if (n < 0) return;
    const [left, top] = [data.left[n] / data.scale, data.top[n] / data.scale];
    for (const made of [ring, tip]) {
      made.style.left = `${100 * left}%`;
      made.style.top = `${100 * top}%`;
    }
    tip.textContent = data.text[n];
    tip.style.translate = `${-100 * left}% ${top > 0.15 ? "calc(-100% - 12px)" : "12px"}`;
  };
  const point = (event) => {
    const box = image.getBoundingClientRect();
    show(nearest(data, event.clientX - box.left, event.clientY - box.top, box.width, box.height));
  };
  layer.addEventListener("pointermove", point);
  layer.addEventListener("pointerdown", point);
  layer.addEventListener("pointerleave", () => show(-1));
  layer.addEventListener("blur", () => show(-1));
  layer.addEventListener("keydown", (event) => {
    const here = order.indexOf(at);
    const goal = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: order.length - 1 }[event.key];
    if (event.key === "Escape") show(-1);
    else if (goal != null) show(order[Math.max(0, Math.min(goal, order.length - 1))]);
    else return;
    event.preventDefault();
  });
  return () => {
    layer.replaceWith(image);
    for (const made of below) made.remove();
  };
}

function render({ model, el }) {
  const image = pictureBefore(el);
  return image ? lay(image, model.get("data")) : undefined;
}

export default { render };
