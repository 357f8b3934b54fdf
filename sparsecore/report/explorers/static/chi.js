// Chi by word: pick words, and see how concentrated each signal is for them, over training and
// against how frequent they are.

import { besides, frame, path, range, svg } from "./charts.js";
import { logCorrelation } from "./correlation.js";
import { choice, count, element } from "./dom.js";

const COLOURS = ["#2185c5", "#d55e00", "#0c9a6c", "#b0689b", "#b8860b", "#7f73c6"];
const CLASSES = { closed: "#b8860b", open: "#7f73c6", none: "#8c8c8c" };
const CLASS_NAMES = { closed: "function words", open: "content words", none: "neither" };
const MOST = COLOURS.length;

/** 1/chi^2: as concentrated as so many units of equal size. */
export function effectiveUnits(chi) {
  return 1 / (chi * chi);
}

/** Chi of one signal: value(word, epoch), NaN where the word was not met. */
export function reader(data, signal) {
  const { values, scale } = data.chi[signal];
  const epochs = data.epochs.length;
  return (word, epoch) => {
    const stored = values[word * epochs + epoch];
    return stored == null || stored < 0 ? NaN : stored / scale;
  };
}

function marker(kind, x, y, size, attributes) {
  if (kind === "closed") return svg("rect", { x: x - size, y: y - size, width: 2 * size, height: 2 * size, ...attributes });
  return svg("circle", { cx: x, cy: y, r: size * 1.1, ...attributes });
}

function render({ model, el }) {
  const data = model.get("data");
  const root = element("div", { class: "sparse-explorer" });
  el.append(root);
  const indexOf = new Map(data.words.map((word, n) => [word, n]));
  const known = (words) => words.filter((word) => indexOf.has(word)).slice(0, MOST);
  const state = { words: known(model.get("words")), signal: model.get("signal"), epoch: model.get("epoch"), matched: model.get("matched") };
  const last = data.epochs.length - 1;
  const at = () => (state.epoch < 0 ? last : Math.min(state.epoch, last));
  const change = (name, value) => {
    state[name] = value;
    model.set(name, value);
    model.save_changes();
    draw();
  };

  const list = `words-${Math.random().toString(36).slice(2)}`;
  const input = element("input", { type: "text", list, id: `${list}-input`, autocomplete: "off", placeholder: "a word, then Enter" });
  const told = element("p", { class: "note", "aria-live": "polite" });
  const add = () => {
    const word = input.value.trim().toLowerCase();
    if (!word) return;
    if (!indexOf.has(word)) told.textContent = `“${word}” is not among the ${count(data.words.length)} words here.`;
    else if (state.words.includes(word)) told.textContent = `“${word}” is shown already.`;
    else if (state.words.length >= MOST) told.textContent = `${MOST} words are shown; take one away first.`;
    else {
      input.value = "";
      change("words", [...state.words, word]);
    }
  };
  input.addEventListener("keydown", (event) => event.key === "Enter" && add());
  input.addEventListener("change", () => indexOf.has(input.value) && add());
  const chips = element("div", { class: "chips" });
  const signals = choice("Signal", data.signals, state.signal, (value) => change("signal", value));
  const slider = element("input", { type: "range", min: 0, max: last, step: 1, id: `${list}-epoch` });
  slider.addEventListener("input", () => change("epoch", Number(slider.value)));
  const sliderLabel = element("label", { for: `${list}-epoch` });
  const matched = element("input", { type: "checkbox", id: `${list}-matched` });
  matched.addEventListener("change", () => change("matched", matched.checked));
  const hasSample = data.sample.some(Boolean);
  const over = element("figure");
  const against = element("figure");
  const key = element("p", { class: "note legend" });

  root.append(
    element(
      "div",
      { class: "fields wide" },
      element("div", { class: "field" }, element("label", { for: `${list}-input` }, "Add a word"), input, element("datalist", { id: list }, ...data.words.map((word) => element("option", { value: word })))),
      signals.box,
    ),
    chips,
    told,
    element("div", { class: "panels" }, over, against),
    element("div", { class: "field" }, sliderLabel, slider),
    hasSample ? element("div", { class: "check" }, matched, element("label", { for: `${list}-matched` }, "only the samples matched in frequency")) : null,
    key,
  );

  function drawOver() {
    const chi = reader(data, state.signal);
    const chosen = state.words.map((word) => indexOf.get(word));
    const values = chosen.flatMap((word) => data.epochs.map((_, epoch) => chi(word, epoch)));
    const floor = data.floors[state.signal];
    const chart = frame({
      width: 460, height: 300, xs: [0, Math.max(1, last)], ys: range(values.length ? values : [0.05, 0.1]),
      xLabel: "Epoch (0: before training)", yLabel: "Mean χ", rightLabel: "Effective units",
      right: (tick) => (tick > 0 ? effectiveUnits(tick).toFixed(effectiveUnits(tick) < 10 ? 1 : 0) : ""),
      label: `Line chart: mean chi of ${state.words.join(", ") || "no word"} over ${last + 1} epochs`,
    });
    chart.picture.append(svg("line", { class: "now", x1: chart.x(at()), x2: chart.x(at()), y1: chart.margin.top, y2: chart.margin.top + chart.inner.height }));
    chosen.forEach((word, n) => {
      const points = data.epochs.map((_, epoch) => [chart.x(epoch), chart.y(chi(word, epoch))]);
      chart.picture.append(svg("path", { d: path(points), fill: "none", stroke: COLOURS[n], "stroke-width": 2.2 }));
    });
    const note = floor ? ` Least possible: ${floor.toFixed(3)}.` : "";
    over.replaceChildren(element("figcaption", { class: "note" }, `Over training.${note}`), chart.picture);
  }

  function drawAgainst() {
    const chi = reader(data, state.signal);
    const all = data.words.map((_, n) => n).filter((n) => !state.matched || data.sample[n]);
    const shown = all.filter((n) => Number.isFinite(chi(n, at())));
    const frequencies = shown.map((n) => data.frequency[n]);
    const everyEpoch = all.flatMap((n) => data.epochs.map((_, epoch) => chi(n, epoch)));
    const rho = logCorrelation(frequencies, shown.map((n) => chi(n, at())));
    const chart = frame({
      width: 460, height: 300, log: true,
      xs: [Math.min(...data.frequency) * 0.9, Math.max(...data.frequency) * 1.1], ys: range(everyEpoch),
      xLabel: "Frequency in the training text", yLabel: "Mean χ",
      label: `Scatter chart: mean chi of ${shown.length} words against their frequency in epoch ${data.epochs[at()]}`,
    });
    for (const n of shown) {
      const kind = data.word_class[n];
      const point = marker(kind, chart.x(data.frequency[n]), chart.y(chi(n, at())), 2.6, { fill: CLASSES[kind], "fill-opacity": 0.55 });
      point.append(svg("title", {}, `${data.words[n]}: χ ${chi(n, at()).toFixed(4)}, ${count(data.frequency[n])} times`));
      point.addEventListener("click", () => !state.words.includes(data.words[n]) && state.words.length < MOST && change("words", [...state.words, data.words[n]]));
      chart.picture.append(point);
    }
    const named = state.words.flatMap((name, n) => {
      const index = indexOf.get(name);
      const value = chi(index, at());
      return Number.isFinite(value) ? [{ name, n, index, x: chart.x(data.frequency[index]), y: chart.y(value) }] : [];
    });
    for (const { n, index, x, y } of named) {
      chart.picture.append(marker(data.word_class[index], x, y, 4.5, { fill: COLOURS[n], stroke: "var(--ground)", "stroke-width": 1.5 }));
    }
    besides(named, 460).forEach(({ x, y, anchor }, n) => {
      chart.picture.append(svg("text", { x, y, "text-anchor": anchor, class: "name" }, named[n].name));
    });
    against.replaceChildren(
      element("figcaption", { class: "note" }, `Against frequency, epoch ${data.epochs[at()]}: ρ with log frequency ${Number.isFinite(rho) ? rho.toFixed(2) : "–"} over ${count(shown.length)} words.`),
      chart.picture,
    );
  }

  function draw() {
    chips.replaceChildren(
      ...state.words.map((word, n) => {
        const away = element("button", { type: "button", class: "chip", "aria-label": `take away ${word}`, onclick: () => change("words", state.words.filter((other) => other !== word)) }, `${word} ×`);
        away.style.borderColor = COLOURS[n];
        return away;
      }),
    );
    told.textContent = state.words.length ? "" : "Add words, or click points in the chart.";
    slider.value = String(at());
    slider.setAttribute("aria-valuetext", `epoch ${data.epochs[at()]}`);
    sliderLabel.textContent = `Epoch ${data.epochs[at()]}`;
    matched.checked = state.matched;
    signals.input.value = state.signal;
    drawOver();
    drawAgainst();
  }
  key.append(
    ...Object.entries(CLASS_NAMES).flatMap(([kind, name]) => {
      const sign = svg("svg", { viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" }, marker(kind, 6, 6, 4, { fill: CLASSES[kind] }));
      return [sign, ` ${name}  `];
    }),
  );
  for (const name of ["words", "signal", "epoch", "matched"]) {
    model.on(`change:${name}`, () => {
      const value = name === "words" ? known(model.get(name)) : model.get(name);
      if (JSON.stringify(value) === JSON.stringify(state[name])) return;
      state[name] = value;
      draw();
    });
  }
  draw();
}

export default { render };
