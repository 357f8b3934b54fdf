// The automata reader: learned automata as diagrams, what each does to a text, and its part in the
// decision; a slider prunes them.

import { frame, path, svg } from "./charts.js";
import { choice, count, element } from "./dom.js";
import { matrix } from "./numbers.js";
import { arcs, kept, keptLengths, roles, scores, tellingPath } from "./rational.js";

const SHOWN = 8; // automata that are drawn at most, the weightiest first

function rowsOf(packed, count) {
  const flat = matrix(packed);
  return Array.from({ length: count }, (_, r) => flat.subarray(r * packed.columns, (r + 1) * packed.columns));
}

const probability = (logit) => 1 / (1 + Math.exp(-logit));

/** Words as the corpus has them: lower case, punctuation apart. */
export function tokenise(text) {
  return text
    .toLowerCase()
    .replace(/n't\b/g, " n't")
    .match(/n't|'(?:s|re|ve|m|d|ll)\b|[\p{L}\p{N}]+(?:[-_][\p{L}\p{N}]+)*|[^\s\p{L}\p{N}]/gu) ?? [];
}

function diagram(length, keptStates, norms, most, taken) {
  const step = 54;
  const picture = svg("svg", {
    viewBox: `0 0 ${step * (length + 1)} 46`, width: step * (length + 1), height: 46, role: "img", class: "wfsa",
    "aria-label": `Automaton: ${keptStates} of ${length} states kept`,
  });
  for (let i = 0; i <= length; i += 1) {
    const x = 24 + i * step;
    const there = i <= keptStates;
    const strength = i ? 0.8 + 2.4 * (norms[i - 1] / most) : 1.2;
    const style = there ? "state" : "state gone";
    if (i) {
      picture.append(svg("path", { d: `M${x - step + 12} 30H${x - 15}`, class: there ? "arc" : "arc gone", "stroke-width": strength }));
      picture.append(svg("path", { d: `M${x - 17} 26l5 4l-5 4`, class: there ? "arc" : "arc gone", fill: "none" }));
    }
    picture.append(svg("path", { d: `M${x - 6} 20c-7 -15 19 -15 12 0`, class: there ? "arc" : "arc gone", fill: "none", "stroke-width": strength }));
    const circle = svg("circle", { cx: x, cy: 30, r: 11, class: style + (taken >= i && i ? " taken" : "") });
    if (i) circle.append(svg("title", {}, `state ${i}: norm ${norms[i - 1].toFixed(3)}${there ? "" : ", removed"}`));
    picture.append(circle, svg("text", { x, y: 34, "text-anchor": "middle", class: there ? "" : "gone" }, String(i)));
  }
  return picture;
}

function render({ model, el }) {
  const data = model.get("data");
  const root = element("div", { class: "sparse-explorer automata" });
  el.append(root);
  const { lengths } = data;
  const rows = lengths.reduce((sum, n) => sum + n, 0);
  const layer = { lengths, main: rowsOf(data.main, rows), loop: rowsOf(data.loop, rows) };
  const idOf = new Map(data.words.map((word, n) => [word, n]));
  const mostNorm = Math.max(...data.norms, 1e-9);
  const state = { text: model.get("text"), threshold: model.get("threshold") };
  const set = (name, value) => {
    state[name] = value;
    model.set(name, value);
    model.save_changes();
    draw();
  };

  const key = Math.random().toString(36).slice(2);
  const area = element("textarea", { id: `text-${key}`, rows: 3, spellcheck: "false" });
  area.value = state.text;
  area.addEventListener("input", () => set("text", area.value));
  const samples = choice(
    "Pick a text",
    [["", "choose one …"], ...data.samples.map((sample, n) => [String(n), `${sample.label}: ${sample.text.slice(0, 60)}…`])],
    "",
    (n) => {
      if (n === "") return;
      area.value = data.samples[Number(n)].text;
      set("text", area.value);
    },
  );
  const slider = element("input", { type: "range", min: 0, max: 1000, step: 1, id: `threshold-${key}` });
  const place = (threshold) => Math.round(1000 * Math.sqrt(threshold / (1.02 * mostNorm)));
  slider.addEventListener("input", () => set("threshold", 1.02 * mostNorm * (Number(slider.value) / 1000) ** 2));
  const sliderLabel = element("label", { for: `threshold-${key}` });
  const verdict = element("p", { class: "decision", "aria-live": "polite" });
  const course = element("div");
  const unknown = element("p", { class: "note" });
  const list = element("ol", { class: "wfsas" });
  root.append(
    samples.box,
    element("div", { class: "field" }, element("label", { for: `text-${key}` }, "Or type one"), area),
    element("div", { class: "field" }, sliderLabel, slider),
    verdict,
    course,
    unknown,
    list,
    element(
      "p",
      { class: "note" },
      element("span", { class: "token taken" }, "taken"), " by a transition of the automaton, whose number is the small figure after the word; ",
      element("span", { class: "token loop" }, "skipped"), " by a self-loop; the rest was read before the pattern began. ",
      "In the drawings the path reaches the filled states. The larger the norm of the weights of a state, the thicker the arrow that enters it. What is faint is removed.",
    ),
  );

  /** How the decision moves as states go, the least norm first; a dot where the slider stands. */
  function courseOf(logitOf, removed, logit) {
    const points = new Map();
    for (const threshold of [-1, ...data.norms].sort((x, y) => x - y)) {
      const left = keptLengths(lengths, data.norms, threshold);
      points.set(rows - left.reduce((sum, n) => sum + n, 0), left);
    }
    const yes = data.labels[1];
    const { picture, x, y, inner, margin } = frame({
      width: course.clientWidth || undefined, height: 190, xs: [0, rows], ys: [0, 1], xLabel: "states removed", yLabel: `P(${yes})`,
      label: `Line chart: the probability of ${yes} as states are removed; ${probability(logit).toFixed(2)} with ${removed} removed`,
    });
    picture.setAttribute("class", "chart whole");
    const line = [...points].map(([gone, left]) => [x(gone), y(probability(logitOf(left)))]);
    picture.append(
      svg("path", { d: `M${margin.left} ${y(0.5)}h${inner.width}`, class: "zero" }),
      svg("path", { d: path(line), class: "line" }),
      svg("circle", { cx: x(removed), cy: y(probability(logit)), r: 6, class: "here" }),
    );
    return picture;
  }

  /** The phrases of the corpus that drive the state an automaton ends in, before and after pruning. */
  function phrasesOf(d, length, left) {
    const told = (state) => (data.phrases?.[d]?.[state - 1] ?? []).map((words) => `“${words}”`).join(", ");
    const [all, now] = [told(length), left ? told(left) : ""];
    if (!all) return "";
    const before = left < length ? ` (with all its states: ${all})` : "";
    return element("p", { class: "note" }, now ? `Highest in the corpus: ${now}${before}.` : `Removed. Highest in the corpus with all its states: ${all}.`);
  }

  function draw() {
    const tokens = tokenise(state.text);
    const read = ["<s>", ...tokens, "</s>"].filter((word) => idOf.has(word));
    const missing = [...new Set(tokens.filter((word) => /[\p{L}\p{N}]/u.test(word) && !idOf.has(word)))];
    const weights = arcs(layer, read.map((word) => idOf.get(word)));
    const { counts, states } = kept(lengths, data.norms, state.threshold);
    const found = scores(layer, counts, weights);
    const parts = found.map((score, d) => score * data.weight[d]);
    const logitOf = (left) => scores(layer, left, weights).reduce((sum, score, d) => sum + score * data.weight[d], data.offset);
    const [logit, every] = [logitOf(counts), logitOf(lengths)];
    const [no, yes] = data.labels;
    const says = (value) => `${value > 0 ? yes : no}, at ${(100 * probability(Math.abs(value))).toFixed(0)} %`;
    const transitions = states.length;
    slider.value = String(place(state.threshold));
    sliderLabel.textContent = `Remove states whose norm is at most ${state.threshold.toFixed(3)}: ${transitions} of ${rows} transitions are left, in ${counts.filter(Boolean).length} automata`;
    slider.setAttribute("aria-valuetext", `${state.threshold.toFixed(3)}, ${transitions} transitions left`);
    verdict.replaceChildren("The model says ", element("strong", {}, says(logit)), ".", transitions < rows ? ` With all its states: ${says(every)}.` : "");
    course.replaceChildren(courseOf(logitOf, rows - transitions, logit));
    unknown.textContent = missing.length ? `Not read, as this page does not have them: ${missing.slice(0, 12).join(", ")}${missing.length > 12 ? ", …" : ""}.` : "";
    const starts = lengths.map((_, d) => lengths.slice(0, d).reduce((sum, n) => sum + n, 0));
    const order = lengths.map((_, d) => d).sort((a, b) => Math.abs(parts[b]) - Math.abs(parts[a]) || a - b);
    const most = Math.max(...parts.map(Math.abs), 1e-9);
    const shown = order.slice(0, SHOWN);
    list.replaceChildren(
      ...shown.map((d) => {
        const telling = read.length && counts[d] ? tellingPath(weights, starts[d], counts[d], found[d]) : null;
        const did = telling ? roles(telling.path.steps, read.length) : read.map(() => ({ role: "before", transition: 0 }));
        const side = parts[d] >= 0 ? yes : no;
        const bar = element("span", { class: `bar ${parts[d] >= 0 ? "for" : "against"}`, "aria-hidden": "true" });
        bar.style.width = `${(46 * Math.abs(parts[d])) / most}%`;
        return element(
          "li",
          {},
          element("div", { class: "head" }, diagram(lengths[d], counts[d], data.norms.slice(starts[d], starts[d] + lengths[d]), mostNorm, telling ? telling.state : 0),
            element("div", { class: "share" }, counts[d] ? bar : "", element("span", {}, counts[d] ? `${Math.abs(parts[d]).toFixed(2)} towards ${side}` : "removed"))),
          phrasesOf(d, lengths[d], counts[d]),
          counts[d] === 0 ? "" : element("p", { class: "tokens" }, ...read.flatMap((word, t) => [
            element("span", { class: `token ${did[t].role}`, title: did[t].role === "taken" ? `transition ${did[t].transition}` : did[t].role },
              word, did[t].role === "taken" ? element("sup", {}, String(did[t].transition)) : null), " "])),
        );
      }),
      order.length > SHOWN ? element("li", { class: "note" }, `and ${count(order.length - SHOWN)} automata of less weight.`) : "",
    );
  }
  for (const name of ["text", "threshold"]) {
    model.on(`change:${name}`, () => {
      if (Object.is(model.get(name), state[name])) return;
      state[name] = model.get(name);
      if (name === "text") area.value = state.text;
      draw();
    });
  }
  draw();
}

export default { render };
