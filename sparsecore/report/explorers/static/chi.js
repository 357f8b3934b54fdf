// Chi by word: every word of a run against its frequency, chosen words over training. Pick words,
// play through the epochs, and choose a range of frequency: ρ over its words is told.

import { frame, path, range, svg } from "./charts.js";
import { logCorrelation } from "./correlation.js";
import { choice, count, element, signed } from "./dom.js";
import { MISSING, unsigned } from "./numbers.js";
import { scatter } from "./scatter.js";

const COLOURS = ["#2185c5", "#d55e00", "#0c9a6c", "#b0689b", "#b8860b", "#7f73c6"];
const CLASSES = { closed: "#b8860b", open: "#7f73c6", none: "#8c8c8c" };
const CLASS_NAMES = { closed: "function words", open: "content words", none: "neither" };
const MOST = COLOURS.length;
const PACE = 800; // ms an epoch when it plays
const STEPS = 1000; // of a range of frequency

/** 1/chi^2: as concentrated as so many units of equal size. */
export function effectiveUnits(chi) {
  return 1 / (chi * chi);
}

/** The words of which every epoch of a signal is known. */
export function followedOf(data, signal) {
  return data.complete.includes(signal) ? data.words.map((_, n) => n) : data.followed;
}

/** Chi of one signal: value(word, epoch), NaN where the word was not met or the tables do not say. */
export function reader(data, signal) {
  const [over, last] = [unsigned(data.over[signal]), unsigned(data.last[signal])];
  const epochs = data.epochs.length;
  const rows = new Map(followedOf(data, signal).map((word, row) => [word, row]));
  return (word, epoch) => {
    const stored = epoch === epochs - 1 ? last[word] : rows.has(word) ? over[rows.get(word) * epochs + epoch] : MISSING;
    return stored === MISSING ? NaN : stored * data.step;
  };
}

/** The least and the largest chi of any word in any epoch, with a little room. */
function span(data, chi) {
  let [low, high] = [Infinity, -Infinity];
  for (let n = 0; n < data.words.length; n += 1) {
    for (let epoch = 0; epoch < data.epochs.length; epoch += 1) {
      const value = chi(n, epoch);
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return range([low, high]);
}

/** The frequency at a step of the slider from `low` to `high`, and back. */
export function stepped(low, high) {
  const span = Math.log(high / low) || 1;
  return { frequency: (step) => Math.round(low * Math.exp((step / STEPS) * span)), step: (frequency) => Math.round((STEPS * Math.log(frequency / low)) / span) };
}

function render({ model, el }) {
  const data = model.get("data");
  const root = element("div", { class: "sparse-explorer" });
  el.append(root);
  const indexOf = new Map(data.words.map((word, n) => [word, n]));
  const known = (words) => words.filter((word) => indexOf.has(word)).slice(0, MOST);
  const every = [data.frequency.at(-1), data.frequency[0]]; // words stand by frequency
  const names = ["words", "signal", "epoch", "matched", "low", "high"];
  const state = Object.fromEntries(names.map((name) => [name, model.get(name)]));
  state.words = known(state.words);
  const last = data.epochs.length - 1;
  const at = () => (state.epoch < 0 ? last : Math.min(state.epoch, last));
  const chosenRange = () => [Math.max(every[0], state.low), state.high > 0 ? Math.min(every[1], state.high) : every[1]];
  const readers = new Map();
  const chiOf = (signal) => readers.get(signal) ?? readers.set(signal, reader(data, signal)).get(signal);
  const spans = new Map(); // of a signal over all words and epochs, so that playing moves the points alone
  const spanOf = (signal) => spans.get(signal) ?? spans.set(signal, span(data, chiOf(signal))).get(signal);
  let playing = null;
  const change = (changes) => {
    Object.assign(state, changes);
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
    draw();
  };

  const key = `words-${Math.random().toString(36).slice(2)}`;
  const labelled = (name, text, attributes) => {
    const input = element("input", { id: `${key}-${name}`, ...attributes });
    const label = element("label", { for: input.id }, text);
    return { input, label, box: element("div", { class: "field" }, label, input) };
  };
  const adding = labelled("add", "Add a word", { type: "text", list: key, autocomplete: "off", placeholder: "a word, then Enter" });
  const told = element("p", { class: "note", "aria-live": "polite" });
  const addWord = (word) => {
    if (!indexOf.has(word)) told.textContent = `“${word}” is not among the ${count(data.words.length)} words here.`;
    else if (state.words.includes(word)) told.textContent = `“${word}” is shown already.`;
    else if (state.words.length >= MOST) told.textContent = `${MOST} words are shown; take one away first.`;
    else {
      adding.input.value = "";
      change({ words: [...state.words, word] });
    }
  };
  adding.input.addEventListener("keydown", (event) => event.key === "Enter" && adding.input.value.trim() && addWord(adding.input.value.trim().toLowerCase()));
  adding.input.addEventListener("change", () => indexOf.has(adding.input.value) && addWord(adding.input.value));
  const chips = element("div", { class: "chips" });
  const signals = choice("Signal", data.signals, state.signal, (signal) => change({ signal }));
  const slider = labelled("epoch", "", { type: "range", min: 0, max: last, step: 1 });
  slider.input.addEventListener("input", () => change({ epoch: Number(slider.input.value) }));
  const play = element("button", { type: "button", onclick: () => (playing ? pause() : start()) }, "Play");
  const scale = stepped(...every);
  const [from, to] = [["low", "Frequency from"], ["high", "to"]].map(([name, text]) => labelled(name, text, { type: "range", min: 0, max: STEPS, step: 1 }));
  from.input.addEventListener("input", () => change({ low: Math.min(scale.frequency(Number(from.input.value)), chosenRange()[1]) }));
  to.input.addEventListener("input", () => change({ high: Math.max(scale.frequency(Number(to.input.value)), chosenRange()[0]) }));
  const whole = element("button", { type: "button", onclick: () => change({ low: 0, high: 0 }) }, "All words");
  const matched = element("input", { type: "checkbox", id: `${key}-matched` });
  matched.addEventListener("change", () => change({ matched: matched.checked }));
  const over = element("figure");
  const chart = scatter({ onpick: ({ name }) => addWord(name), onrange: ([low, high]) => change({ low: Math.ceil(low), high: Math.floor(high) }) });
  const caption = element("figcaption", { class: "note" });
  const ranged = element("p", { class: "ranged", "aria-live": "polite" });

  const hasSample = data.sample.some(Boolean);
  root.append(
    element("div", { class: "fields wide" }, element("div", {}, adding.box, element("datalist", { id: key }, ...data.words.map((word) => element("option", { value: word })))), signals.box),
    chips, told,
    element("div", { class: "panels" }, element("figure", {}, caption, chart.box), over),
    element("div", { class: "playing" }, play, slider.box),
    element("div", { class: "playing" }, from.box, to.box, whole),
    ranged,
    hasSample ? element("div", { class: "check" }, matched, element("label", { for: matched.id }, "show the samples matched in frequency, and their means")) : null,
    element("p", { class: "note legend" }, ...Object.entries(CLASS_NAMES).flatMap(([kind, name]) => [svg("svg", { viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" }, svg("circle", { cx: 6, cy: 6, r: 4, fill: CLASSES[kind] })), ` ${name}  `])),
  );

  function pause() {
    clearInterval(playing);
    playing = null;
    play.textContent = "Play";
  }
  function start() {
    change({ epoch: at() === last ? 0 : at() });
    play.textContent = "Pause";
    playing = setInterval(() => {
      change({ epoch: Math.min(at() + 1, last) });
      if (at() === last || !root.isConnected) pause();
    }, PACE);
  }

  function drawOver() {
    const chi = chiOf(state.signal);
    const chosen = state.words.map((word) => indexOf.get(word));
    const values = chosen.flatMap((word) => data.epochs.map((_, epoch) => chi(word, epoch)));
    const floor = data.floors[state.signal];
    const drawing = frame({
      height: 300, xs: [0, Math.max(1, last)], ys: range(values.length ? values : [0.05, 0.1]),
      xLabel: "Epoch (0: before training)", yLabel: "Mean χ", rightLabel: "Effective units",
      right: (tick) => (tick > 0 ? effectiveUnits(tick).toFixed(effectiveUnits(tick) < 10 ? 1 : 0) : ""),
      label: `Line chart: mean chi of ${state.words.join(", ") || "no word"} over ${last + 1} epochs`,
    });
    const [top, bottom] = [drawing.margin.top, drawing.margin.top + drawing.inner.height];
    drawing.picture.append(svg("line", { class: "now", x1: drawing.x(at()), x2: drawing.x(at()), y1: top, y2: bottom }));
    chosen.forEach((word, n) => {
      const points = data.epochs.map((_, epoch) => [drawing.x(epoch), drawing.y(chi(word, epoch))]);
      drawing.picture.append(svg("path", { d: path(points), fill: "none", stroke: COLOURS[n], "stroke-width": 2.2 }));
    });
    const lost = chosen.filter((word) => !Number.isFinite(chi(word, 0)) && Number.isFinite(chi(word, last))).map((word) => data.words[word]);
    const note = `${floor ? ` Least possible: ${floor.toFixed(3)}.` : ""}${lost.length ? ` For ${lost.join(", ")} only the last epoch was stored.` : ""}`;
    over.replaceChildren(element("figcaption", { class: "note" }, `Over training.${note}`), drawing.picture);
  }

  function levels(chi, sample) {
    return ["closed", "open"].map((kind) => {
      const ones = sample.filter((n) => data.word_class[n] === kind);
      const y = ones.reduce((sum, n) => sum + chi(n, at()), 0) / ones.length;
      const frequencies = ones.map((n) => data.frequency[n]);
      return { y, xs: [Math.min(...frequencies), Math.max(...frequencies)], colour: CLASSES[kind], name: `${CLASS_NAMES[kind]}: mean ${y.toFixed(4)}` };
    });
  }

  function drawAgainst() {
    const chi = chiOf(state.signal);
    const shown = data.words.map((_, n) => n).filter((n) => Number.isFinite(chi(n, at())));
    const [low, high] = chosenRange();
    const inRange = shown.filter((n) => data.frequency[n] >= low && data.frequency[n] <= high);
    const rho = logCorrelation(inRange.map((n) => data.frequency[n]), inRange.map((n) => chi(n, at())));
    const followed = new Set(followedOf(data, state.signal));
    const sample = shown.filter((n) => data.sample[n]);
    const named = state.words.flatMap((name, n) => (Number.isFinite(chi(indexOf.get(name), at())) ? [{ name, colour: COLOURS[n], x: data.frequency[indexOf.get(name)], y: chi(indexOf.get(name), at()) }] : []));
    chart.draw({
      xs: [every[0] * 0.9, every[1] * 1.1], ys: spanOf(state.signal), range: [low, high],
      xLabel: "Frequency in the training text", yLabel: "Mean χ",
      label: `Scatter chart: mean chi of ${shown.length} words against their frequency, epoch ${data.epochs[at()]}`,
      points: shown.map((n) => ({
        x: data.frequency[n], y: chi(n, at()), name: data.words[n], colour: CLASSES[data.word_class[n]], large: state.matched && data.sample[n],
        faint: state.matched ? !data.sample[n] : at() === last && !followed.has(n),
        about: `${data.words[n]}: χ ${chi(n, at()).toFixed(4)}, ${count(data.frequency[n])} times`,
      })),
      marked: named, levels: state.matched ? levels(chi, sample) : [],
    });
    const told_ = data.rho[state.signal]?.[at()];
    const all = told_ ? ` ρ with log frequency ${signed(told_[0])} [${signed(told_[1])}, ${signed(told_[2])}] over all ${count(told_[3])} words, computed as in the chapter.` : "";
    const part = shown.length < data.words.length ? ` The tables keep ${count(shown.length)} of them for this epoch.` : "";
    caption.textContent = `Epoch ${data.epochs[at()]}.${all}${part}`;
    const whole_ = low === every[0] && high === every[1];
    ranged.textContent = `ρ over the ${count(inRange.length)} words drawn${whole_ ? "" : ` that occur ${count(low)} to ${count(high)} times`}: ${signed(rho)}. ${whole_ ? "Drag across the chart, or move the two sliders, to choose a range." : ""}`;
  }

  function draw() {
    chips.replaceChildren(
      ...state.words.map((word, n) => {
        const away = element("button", { type: "button", class: "chip", "aria-label": `take away ${word}`, onclick: () => change({ words: state.words.filter((other) => other !== word) }) }, `${word} ×`);
        away.style.borderColor = COLOURS[n];
        return away;
      }),
    );
    told.textContent = state.words.length ? "" : "Add words, or click points in the chart.";
    slider.input.value = String(at());
    slider.input.setAttribute("aria-valuetext", `epoch ${data.epochs[at()]}`);
    slider.label.textContent = `Epoch ${data.epochs[at()]} of ${data.epochs[last]}`;
    chosenRange().forEach((frequency, n) => {
      const one = [from, to][n];
      one.input.value = String(scale.step(frequency));
      one.input.setAttribute("aria-valuetext", `${count(frequency)} times`);
      one.label.textContent = `${["Frequency from", "to"][n]} ${count(frequency)}`;
    });
    matched.checked = state.matched;
    signals.input.value = state.signal;
    drawOver();
    drawAgainst();
  }
  for (const name of names) {
    model.on(`change:${name}`, () => {
      const value = name === "words" ? known(model.get(name)) : model.get(name);
      if (JSON.stringify(value) === JSON.stringify(state[name])) return;
      state[name] = value;
      draw();
    });
  }
  draw();
  return pause;
}

export default { render };
