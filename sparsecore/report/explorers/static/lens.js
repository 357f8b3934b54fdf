// A sentence under the lens: chi at every token in every layer, before and after training.

import { element, choice } from "./dom.js";

const VIEWS = [
  ["trained", "trained"],
  ["untrained", "untrained"],
  ["change", "trained less untrained"],
];

/** Where a value lies between the least and the greatest of its row, in [0, 1]. */
export function place(value, low, high) {
  return high > low ? (value - low) / (high - low) : 0.5;
}

function cell(value, share, about) {
  const made = element("td", { class: "heat", tabindex: -1, title: about }, Number.isFinite(value) ? value.toFixed(3).replace(/^(-?)0\./, "$1.").replace("-", "−") : "–");
  made.style.setProperty("--heat", `${Math.round(100 * share)}%`);
  return made;
}

function render({ model, el }) {
  const data = model.get("data");
  const root = element("div", { class: "sparse-explorer lens" });
  el.append(root);
  const state = { sentence: model.get("sentence"), view: model.get("view") };
  const set = (name, value) => {
    state[name] = value;
    model.set(name, value);
    model.save_changes();
    draw();
  };
  const sentences = choice("Sentence", data.sentences.map((one, n) => [String(n), one.tokens.join(" ").slice(0, 90)]), String(state.sentence), (n) => set("sentence", Number(n)));
  const views = choice("Network", VIEWS, state.view, (view) => set("view", view));
  const table = element("table");
  const told = element("p", { class: "note", "aria-live": "polite" });
  root.append(element("div", { class: "fields wide" }, sentences.box, views.box), element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Chi of every token and signal" }, table), told);

  function draw() {
    const one = data.sentences[state.sentence];
    const rows = data.signals.map(([key, name]) => {
      const [after, before] = [one.trained[key], one.untrained[key]];
      const values = state.view === "trained" ? after : state.view === "untrained" ? before : after.map((v, t) => v - before[t]);
      return { name, values, before, after };
    });
    const head = element("tr", {}, element("th", { scope: "col" }, "read"), ...one.tokens.slice(0, -1).map((word) => element("th", { scope: "col" }, word)));
    const next = element("tr", { class: "next" }, element("th", { scope: "row" }, "to predict"), ...one.tokens.slice(1).map((word) => element("td", {}, word)));
    const cost = state.view === "untrained" ? one.surprisal_untrained : one.surprisal;
    const surprise = element("tr", { class: "next" }, element("th", { scope: "row" }, "surprisal (nats)"), ...cost.map((value) => element("td", { class: "number" }, value.toFixed(1))));
    const body = rows.map(({ name, values, before, after }) => {
      const [low, high] = [Math.min(...values), Math.max(...values)];
      return element("tr", {}, element("th", { scope: "row" }, name), ...values.map((value, t) => cell(value, place(value, low, high), `${name}, “${one.tokens[t]}” → “${one.tokens[t + 1]}”: χ ${before[t].toFixed(4)} untrained, ${after[t].toFixed(4)} trained`)));
    });
    table.replaceChildren(element("thead", {}, head), element("tbody", {}, next, surprise, ...body));
    const top = rows.find((row) => row.name === data.signals[data.headline][1]);
    const most = top.values.indexOf(Math.max(...top.values));
    told.textContent = `${top.name}: most ${state.view === "change" ? "gained" : "concentrated"} where “${one.tokens[most + 1]}” is to be predicted. Colours run from the least to the greatest value of each row.`;
  }
  for (const name of ["sentence", "view"]) {
    model.on(`change:${name}`, () => {
      if (Object.is(model.get(name), state[name])) return;
      state[name] = model.get(name);
      (name === "view" ? views : sentences).input.value = String(state[name]);
      draw();
    });
  }
  draw();
}

export default { render };
