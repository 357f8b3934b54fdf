// The mask explorer: choose the geometry of a predefined-sparse layer and embedding, see where the
// weights are, how many there are, and the line of code that makes it.

import { canvas, choice, copyButton, count, element, field, percent } from "./dom.js";
import { binRows, binWidths, blockUnits, denseHiddenSize, embeddingTrouble, inputWindows, leastGamma, recurrentParameters, recurrentTrouble } from "./geometry.js";

const PRESETS = {
  "Language model, middle layer (Table 1)": { cell: "LSTM", i: 1725, h: 1725, N: 3, gamma: 0.555151 },
  "Language model, first layer (Table 1)": { cell: "LSTM", i: 400, h: 1725, N: 3, gamma: 1 },
  "Reciting, half size, middle layer (Table 4)": { cell: "LSTM", i: 1150, h: 1150, N: 5, gamma: 0.2991 },
  "Reciting, a third, middle layer (Table 4)": { cell: "LSTM", i: 1150, h: 1150, N: 10, gamma: 0.1211 },
  "Tagger's embedding, δ 0.2 (Fig. 2)": { V: 43815, k: 20, density: 0.2, M: 20, order: "up" },
  "Tagger's embedding, δ 0.1 (Table 3)": { V: 43815, k: 20, density: 0.1, M: 20, order: "up" },
  "Reciting, half the embedding (Table 4)": { V: 10000, k: 400, density: 0.5, M: 10, order: "up" },
};
const RECURRENT = [
  ["cell", "Cell"],
  ["i", "Inputs i"],
  ["h", "Hidden units h"],
  ["N", "Blocks N"],
  ["gamma", "Window γ"],
];
const EMBEDDING = [
  ["V", "Words V"],
  ["k", "Dimensions k"],
  ["density", "Density δ"],
  ["M", "Bins M"],
  ["order", "Long vectors"],
];
const ORDERS = [
  ["up", "frequent (up)"],
  ["down", "rare (down)"],
  ["none", "at random (none)"],
];
const SIZE = 220;

function colours(root) {
  const style = getComputedStyle(root);
  const named = (name) => style.getPropertyValue(name).trim();
  const probe = element("span", { style: "color: var(--accent)" });
  root.append(probe);
  const accent = getComputedStyle(probe).color;
  probe.style.color = "var(--line)";
  const line = getComputedStyle(probe).color;
  probe.remove();
  return { accent, line, ground: named("--raised") || "transparent" };
}

/** Filled blocks in a frame, to scale unless `stretched` to a square. */
function drawBlocks(root, width, height, blocks, label, stretched = false) {
  const longest = Math.max(width, height);
  const [w, h] = stretched ? [SIZE, SIZE] : [Math.max(24, (SIZE * width) / longest), Math.max(24, (SIZE * height) / longest)];
  const picture = canvas(w, h, label);
  const pen = picture.getContext("2d");
  const { accent, line } = colours(root);
  pen.fillStyle = accent;
  for (const { x, y } of blocks) {
    const [left, top] = [(x[0] / width) * w, (y[0] / height) * h];
    pen.fillRect(left, top, Math.max(0.7, ((x[1] - x[0]) / width) * w), Math.max(0.7, ((y[1] - y[0]) / height) * h));
  }
  pen.strokeStyle = line;
  pen.strokeRect(0.5, 0.5, w - 1, h - 1);
  return picture;
}

function recurrentPanels(root, s) {
  const trouble = recurrentTrouble(s.i, s.h, s.N, s.gamma);
  if (trouble) return { trouble };
  const [units, windows] = [blockUnits(s.h, s.N), inputWindows(s.i, s.N, s.gamma)];
  const parameters = recurrentParameters(s.cell, s.i, s.h, s.N, s.gamma);
  const dense = recurrentParameters(s.cell, s.i, s.h);
  const equal = denseHiddenSize(s.cell, s.i, parameters);
  const widths = [...new Set(windows.map(([a, b]) => b - a))].sort((a, b) => a - b).join(" or ");
  const heights = [...new Set(units.map(([a, b]) => b - a))].sort((a, b) => a - b).join(" or ");
  const gamma = Number(s.gamma.toPrecision(6));
  return {
    trouble,
    pictures: [
      ["W_hh, hidden to hidden", drawBlocks(root, s.h, s.h, units.map((u) => ({ x: u, y: u })), `Mask of W_hh: ${s.N} diagonal blocks of ${heights} units`)],
      ["W_hi, input to hidden", drawBlocks(root, s.i, s.h, units.map((u, n) => ({ x: windows[n], y: u })), `Mask of W_hi: ${s.N} windows of ${widths} of ${s.i} inputs`)],
    ],
    rows: [
      ["Parameters", count(parameters)],
      [`Dense ${s.cell} of the same size`, count(dense)],
      ["Saved", percent(1 - parameters / dense)],
      ["Dense, of as many parameters", `${count(equal)} units`],
      ["Each block", `${widths} inputs → ${heights} units`],
    ],
    code: `sc.Sparse${s.cell}(${s.i}, ${s.h}, num_blocks=${s.N}, gamma=${gamma})`,
    told: `${count(parameters)} parameters, ${percent(parameters / dense)} of a dense layer.`,
  };
}

function embeddingPanels(root, s) {
  const trouble = embeddingTrouble(s.V, s.k, s.density, s.M);
  if (trouble) return { trouble };
  const [rows, widths] = [binRows(s.V, s.k, s.density, s.M), binWidths(s.k, s.M)];
  let first = 0;
  const blocks = rows.map((number, m) => {
    const x = [first, first + widths[m]];
    first += widths[m];
    return { x, y: s.order === "down" ? [0, number] : [s.V - number, s.V] };
  });
  const stored = rows.reduce((sum, number, m) => sum + number * widths[m], 0);
  const longest = rows[rows.length - 1];
  const shown = s.order === "none" ? "words in the order drawn" : "rarest word on top, the most frequent at the bottom";
  const order = s.order === "up" ? "" : `, order=sc.frequency_order(counts, "${s.order}")`;
  return {
    trouble,
    pictures: [[`Dimensions by words: ${shown}`, drawBlocks(root, s.k, s.V, blocks, `Mask of the embedding: ${s.M} bins, from ${s.V} words in the first to ${longest} in the last`, true)]],
    rows: [
      ["Parameters", count(stored)],
      ["Dense embedding", count(s.V * s.k)],
      ["Saved", percent(1 - stored / (s.V * s.k))],
      ["Dense, of as many parameters", `${(stored / s.V).toFixed(1)} dimensions`],
      ["Words of full length", count(longest)],
    ],
    code: `sc.SparseEmbedding(${s.V}, ${s.k}, density=${Number(s.density.toPrecision(6))}, num_bins=${s.M}${order})`,
    told: `${count(stored)} parameters, ${percent(stored / (s.V * s.k))} of a dense embedding.`,
  };
}

const REAL = ["gamma", "density"]; // the others are whole numbers
const STEPS = 1000; // of a slider

/** The ends of a slider: whole numbers run by their logarithm. */
function ends(name, state) {
  const low = { gamma: leastGamma(state.i, state.N), density: 1 / state.M }[name] ?? 1;
  const high = { i: 4000, h: 4000, N: Math.min(state.h, 60), V: 200000, k: 600, M: state.k }[name] ?? 1;
  return [low, Math.max(low, high)];
}

/** The value at a step of a slider, and the step of a value. */
export function slid(name, [low, high]) {
  if (REAL.includes(name)) {
    const span = high - low || 1;
    return { value: (step) => Number((low + (step / STEPS) * span).toFixed(4)), step: (value) => Math.round((STEPS * (value - low)) / span) };
  }
  const span = Math.log(high / low) || 1;
  return { value: (step) => Math.round(low * Math.exp((step / STEPS) * span)), step: (value) => Math.round((STEPS * Math.log(value / low)) / span) };
}

/** A number with its label, and a slider below it. */
function numberField(name, label, state, change) {
  const real = REAL.includes(name);
  const made = field(label, { type: "number", value: String(state[name]), min: real ? 0 : 1, max: real ? 1 : null, step: real ? "any" : 1 }, (value) => change(name, value));
  const slider = element("input", { type: "range", min: 0, max: STEPS, step: 1, "aria-label": `${label}, slider` });
  slider.addEventListener("input", () => change(name, slid(name, ends(name, state)).value(Number(slider.value))));
  made.box.append(slider);
  const place = () => {
    if (made.input.valueAsNumber !== state[name] && document.activeElement !== made.input) made.input.value = String(state[name]);
    slider.value = String(slid(name, ends(name, state)).step(state[name]));
    slider.setAttribute("aria-valuetext", String(state[name]));
  };
  return { ...made, place };
}

function part(root, model, title, names, panels) {
  const state = Object.fromEntries(names.map(([name]) => [name, model.get(name)]));
  const inputs = {};
  const fields = element("div", { class: "fields" });
  const trouble = element("p", { class: "trouble", role: "alert", id: `trouble-${Math.random().toString(36).slice(2)}` });
  const pictures = element("div", { class: "panels" });
  const table = element("tbody");
  const code = element("pre", { tabindex: 0, "aria-label": "Python code" });
  const told = element("p", { class: "unseen", "aria-live": "polite" });
  const change = (name, value) => {
    state[name] = value;
    model.set(name, value);
    model.save_changes();
    draw();
  };
  for (const [name, label] of names) {
    const options = name === "cell" ? ["LSTM", "GRU", "RNN"].map((cell) => [cell, cell]) : ORDERS;
    const made =
      typeof state[name] === "string"
        ? choice(label, options, state[name], (value) => change(name, value))
        : numberField(name, label, state, change);
    inputs[name] = made;
    fields.append(made.box);
  }
  function draw() {
    const found = panels(root, state);
    const [fault, why] = found.trouble ?? [null, ""];
    trouble.textContent = why;
    for (const [name, { input, place }] of Object.entries(inputs)) {
      input.setAttribute("aria-invalid", String(name === fault));
      if (name === fault) input.setAttribute("aria-describedby", trouble.id);
      else input.removeAttribute("aria-describedby");
      place?.();
    }
    pictures.classList.toggle("stale", fault != null);
    if (fault) return;
    pictures.replaceChildren(
      ...found.pictures.map(([caption, picture]) => element("figure", {}, element("figcaption", { class: "note" }, caption), picture)),
      element("table", {}, table),
    );
    table.replaceChildren(
      ...found.rows.map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", { class: "number" }, value))),
    );
    code.textContent = found.code;
    told.textContent = found.told;
  }
  for (const [name] of names) {
    model.on(`change:${name}`, () => {
      if (Object.is(model.get(name), state[name])) return;
      state[name] = model.get(name);
      inputs[name].input.value = String(state[name]);
      draw();
    });
  }
  const box = element(
    "section",
    { "aria-label": title },
    element("h3", {}, title),
    fields,
    trouble,
    pictures,
    element("div", { class: "code" }, code, copyButton(() => code.textContent)),
    told,
  );
  return { box, draw };
}

function render({ model, el }) {
  const root = element("div", { class: "sparse-explorer" });
  el.append(root);
  const parts = [part(root, model, "A recurrent layer", RECURRENT, recurrentPanels), part(root, model, "A word embedding", EMBEDDING, embeddingPanels)];
  const names = Object.keys(PRESETS).map((name) => [name, name]);
  const presets = choice("Settings of the paper", [["", "choose one …"], ...names], "", (name) => {
    for (const [key, value] of Object.entries(PRESETS[name] ?? {})) model.set(key, value);
    model.save_changes();
  });
  root.append(presets.box, ...parts.map((one) => one.box));
  const redraw = () => parts.forEach((one) => one.draw());
  redraw();
  const watcher = new MutationObserver(redraw); // the page went dark or light
  watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  return () => watcher.disconnect();
}

export default { render };
