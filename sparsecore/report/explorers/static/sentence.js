// Any sentence, read by a language model in the page: χ of every signal word by word as one types,
// the units of one word, and what the model expected; after training with one optimiser or another,
// before it, and the difference.

import { range, svg } from "./charts.js";
import { logCorrelation } from "./correlation.js";
import { choice, count, element, fetched, field, percent, sideways, signed } from "./dom.js";
import { readSentence, untrained } from "./language.js";
import { matrix } from "./numbers.js";
import { wordsOf } from "./tokens.js";

const UNTRAINED = "untrained";
const LONGEST = 40; // words of a sentence that are read
const [WIDTH, HEIGHT] = [340, 130];

/** 0.1234 -> ".123"; differences with their sign. */
export function short(value, difference = false) {
  const text = Math.abs(value).toFixed(3).replace(/^0\./, ".");
  return difference ? `${value < 0 ? "−" : "+"}${text}` : text;
}

const SHOWN = 0.0005; // what three digits do not show gets no colour of its own

/** Where a value stands in its row: a share in [0, 1], of a difference in [−1, 1] about zero. */
export function shade(value, values, difference) {
  const known = values.filter(Number.isFinite);
  if (difference) return value / Math.max(...known.map(Math.abs), SHOWN);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  return high - low > SHOWN ? (value - low) / (high - low) : 0.5;
}

function loaded(stored, sizes) {
  if (!stored) return untrained(sizes);
  const weights = Object.fromEntries(Object.entries(stored).map(([name, packed]) => [name, matrix(packed)]));
  return { ...sizes, weights };
}

function units(vector, name) {
  const [low, high] = range(Array.from(vector), 0.05);
  const step = WIDTH / vector.length;
  const y = (value) => HEIGHT - ((value - Math.min(low, 0)) / (Math.max(high, 0) - Math.min(low, 0) || 1)) * HEIGHT;
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "chart units", "aria-label": `Bar chart: the ${vector.length} units of ${name}` });
  vector.forEach((value, u) => {
    const bar = svg("rect", { x: u * step, width: Math.max(0.5, step - 0.6), y: Math.min(y(value), y(0)), height: Math.abs(y(value) - y(0)) || 0.4 });
    bar.append(svg("title", {}, `unit ${u}: ${value.toPrecision(3)}`));
    picture.append(bar);
  });
  return picture;
}

function render({ model, el }) {
  const data = model.get("data");
  const root = element("div", { class: "sparse-explorer lens" });
  el.append(root);
  const ids = new Map(data.words.map((word, n) => [word, n]));
  const stored = { ...data.networks, ...data.later }; // of a page without a kernel, the later ones are addresses
  const networks = {};
  const network = (which) => (networks[which] ??= loaded(stored[which], data.sizes)); // when first read
  const shared = ["text", "network", "difference", "word"];
  const state = { ...Object.fromEntries(shared.map((name) => [name, model.get(name)])), signal: data.headline };
  const set = (changes) => {
    Object.assign(state, changes);
    for (const [name, value] of Object.entries(changes)) if (name !== "signal") model.set(name, value);
    model.save_changes();
    draw();
  };

  const key = `sentence-${Math.random().toString(36).slice(2)}`;
  const box = element("textarea", { id: key, rows: 2, spellcheck: "false" });
  box.value = state.text;
  box.addEventListener("input", () => set({ text: box.value }));
  const samples = choice("Or pick one", [["", "choose one …"], ...data.samples.map((text) => [text, text])], "", (text) => {
    if (!text) return;
    box.value = text;
    set({ text });
  });
  const chosen = choice("Network", [...Object.keys(stored), UNTRAINED].map((name) => [name, name]), state.network, choose);
  const minus = field("minus untrained", { type: "checkbox", checked: state.difference }, () => set({ difference: minus.input.checked }));
  minus.box.classList.add("check");
  const signals = choice("Signal of the units", data.signals.filter(([name]) => name !== "softmax_gradient"), state.signal, (signal) => set({ signal }));
  const table = element("table");
  const told = element("p", { class: "note", "aria-live": "polite" });
  const unknown = element("p", { class: "note" });
  const detail = element("section", { "aria-label": "One word" });
  root.append(
    element("div", { class: "field" }, element("label", { for: key }, "Type a sentence"), box),
    element("div", { class: "fields wide" }, samples.box, chosen.box, minus.box),
    sideways(element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Chi of every word and signal" }, table), table),
    unknown, told, detail,
  );

  async function choose(name) {
    if (typeof stored[name] === "string") {
      told.textContent = `Fetching the weights of the network ${name} …`;
      try {
        stored[name] = await fetched(stored[name]);
      } catch {
        chosen.input.value = state.network;
        told.textContent = `The weights of the network ${name} are not beside this page.`;
        return;
      }
    }
    if (chosen.input.value === name) set({ network: name }); // and not another one meanwhile
  }

  function draw() {
    const words = wordsOf(state.text).slice(0, LONGEST);
    const missing = [...new Set(words.filter((word) => !ids.has(word)))];
    unknown.textContent = missing.length ? `Not among the model's ${data.words.length.toLocaleString("en-US")} types, read as <unk>: ${missing.join(", ")}.` : "";
    if (!words.length) {
      table.replaceChildren();
      detail.replaceChildren();
      told.textContent = "Type a sentence of English.";
      return;
    }
    const read = [data.eos, ...words.map((word) => ids.get(word) ?? data.unk), data.eos];
    const names = read.map((id) => data.words[id]);
    const which = state.network in stored ? state.network : UNTRAINED;
    const difference = state.difference && which !== UNTRAINED;
    minus.input.disabled = which === UNTRAINED;
    const shown = readSentence(network(which), read);
    const before = difference ? readSentence(network(UNTRAINED), read) : null;
    const valuesOf = (name) => shown.map((one, t) => one.chi[name] - (difference ? before[t].chi[name] : 0));
    const at = Math.min(state.word, shown.length - 1);
    const column = (t) => (t === at ? "col chosen" : "col");
    const cells = (make) => shown.map((_, t) => make(t));
    const head = element("tr", {}, element("th", { scope: "row" }, "read"), ...cells((t) => element("th", { scope: "col", class: column(t) }, names[t])));
    const next = element("tr", { class: "next" }, element("th", { scope: "row" }, "to predict"), ...cells((t) => {
      const button = element("button", { type: "button", "aria-pressed": String(t === at), onclick: () => set({ word: t }) }, names[t + 1]);
      return element("td", { class: column(t) }, button);
    }));
    const text = (name, make) => element("tr", { class: "next" }, element("th", { scope: "row" }, name), ...cells((t) => element("td", { class: column(t) }, make(t))));
    const rows = data.signals.map(([name, label]) => {
      const values = valuesOf(name);
      return element("tr", {}, element("th", { scope: "row" }, label), ...values.map((value, t) => {
        const share = shade(value, values, difference);
        const cell = element("td", { class: `heat ${share < 0 ? "less" : ""} ${column(t)}`, title: `${label}, “${names[t]}” → “${names[t + 1]}”: χ ${shown[t].chi[name].toFixed(4)} ${which}${difference ? `, ${before[t].chi[name].toFixed(4)} ${UNTRAINED}` : ""}` }, short(value, difference));
        cell.style.setProperty("--heat", `${Math.round(100 * Math.abs(share))}%`);
        return cell;
      }));
    });
    const focused = table.contains(document.activeElement) && document.activeElement.tagName === "BUTTON";
    table.replaceChildren(element("thead", {}, head), element("tbody", {}, next,
      text("occurrences in its training text", (t) => count(data.counts[read[t + 1]])),
      text("expected", (t) => data.words[shown[t].expected[0][0]]),
      text("surprisal (nats)", (t) => shown[t].surprisal.toFixed(1)), ...rows));
    if (focused) table.querySelectorAll("button")[at].focus();
    const headline = valuesOf(data.headline);
    const rho = logCorrelation(read.slice(1).map((id) => data.counts[id]), headline);
    told.textContent = [
      `Over the words of this sentence, ρ of the gradient of the upper LSTM with log frequency is ${signed(rho)}${difference ? " (of its change in training)" : ""}.`,
      difference ? "Blue: more concentrated than before training; red: less. Colours run to the largest change of each row." : "Colours run from the least to the greatest value of each row.",
    ].join(" ");
    drawWord(shown[at], names[at], names[at + 1], which);
  }

  function drawWord(one, word, next, which) {
    const label = data.signals.find(([name]) => name === state.signal)[1];
    const vector = one.signals[state.signal];
    const value = one.chi[state.signal];
    const expected = one.expected.map(([id, p]) => element("li", {}, data.words[id], " ", element("span", { class: "note" }, percent(p))));
    detail.replaceChildren(
      element("h3", {}, `After “${word}”, “${next}” is to be predicted (network: ${which})`),
      element("div", { class: "panels" },
        element("figure", {}, element("figcaption", { class: "note" }, `The ${vector.length} units of: ${label}. χ ${value.toFixed(4)}, as concentrated as ${(1 / value ** 2).toFixed(1)} units.`), units(vector, label)),
        element("div", {}, signals.box, element("p", { class: "note" }, "It expected:"), element("ol", {}, ...expected))),
    );
  }
  for (const name of shared) {
    model.on(`change:${name}`, () => {
      if (Object.is(model.get(name), state[name])) return;
      state[name] = model.get(name);
      if (name === "text") box.value = state.text;
      if (name === "network") chosen.input.value = state.network;
      if (name === "difference") minus.input.checked = state.difference;
      draw();
    });
  }
  draw();
}

export default { render };
