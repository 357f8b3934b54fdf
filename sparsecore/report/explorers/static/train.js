// Train one: a small language model that learns in a worker while one watches loss and ρ. Every
// curve stays until it is cleared, so that optimisers can be compared.

import { besides, frame, path, range, svg } from "./charts.js";
import { choice, count, element, field, signed } from "./dom.js";
import { unsigned } from "./numbers.js";

const OPTIMISERS = {
  "sgd-20": { name: "SGD, rate 20", short: "SGD 20", optimiser: "sgd", rate: 20, colour: "#d55e00" },
  "sgd-5": { name: "SGD, rate 5", short: "SGD 5", optimiser: "sgd", rate: 5, colour: "#2185c5" },
  "sgd-1": { name: "SGD, rate 1", short: "SGD 1", optimiser: "sgd", rate: 1, colour: "#0c9a6c" },
  "adam-0.01": { name: "Adam, rate 0.01", short: "Adam .01", optimiser: "adam", rate: 0.01, colour: "#b0528b" },
  "adam-0.002": { name: "Adam, rate 0.002", short: "Adam .002", optimiser: "adam", rate: 0.002, colour: "#8a6fd0" },
};
const TOLD = 250; // updates from one spoken report to the next
const NAMED = 9; // words that the scatter chart names
const RAREST = 8; // times in the text: where the frequency axis begins

/** Words to name: spread evenly over the logarithm of frequency, the commonest first. */
export function landmarks(frequency, wanted) {
  const order = Array.from(frequency.keys()).filter((n) => frequency[n] > RAREST).sort((a, b) => frequency[b] - frequency[a]);
  const [high, low] = [Math.log(frequency[order[0]]), Math.log(frequency[order[order.length - 1]])];
  const found = [];
  for (const n of order) if (Math.log(frequency[n]) <= high - (found.length * (high - low)) / wanted) found.push(n);
  return found;
}

/** 42000 -> "about 40 seconds", 150000 -> "about 3 minutes". */
export function lasting(milliseconds) {
  const seconds = milliseconds / 1000;
  return seconds < 90 ? `about ${Math.max(5, 5 * Math.round(seconds / 5))} seconds` : `about ${Math.round(seconds / 60)} minutes`;
}

/** A line a run: value(report) over along(report), named where it ends. */
function lines(curves, along, value, { ys, xs, ...texts }) {
  const chart = frame({ height: 230, xs, ys, ...texts });
  if (ys[0] < 0 && ys[1] > 0) chart.picture.append(svg("line", { class: "zero", x1: chart.x(xs[0]), x2: chart.x(xs[1]), y1: chart.y(0), y2: chart.y(0) }));
  const ends = [];
  for (const curve of curves) {
    const points = curve.reports.map((one) => [chart.x(along(one)), chart.y(value(one))]);
    chart.picture.append(svg("path", { d: path(points), fill: "none", stroke: OPTIMISERS[curve.optimiser].colour, "stroke-width": curve === curves[curves.length - 1] ? 2.6 : 1.5 }));
    const end = points.filter(([, y]) => Number.isFinite(y)).at(-1);
    if (end) ends.push({ x: end[0], y: end[1], name: OPTIMISERS[curve.optimiser].short });
  }
  besides(ends).forEach(({ x, y, anchor }, n) => chart.picture.append(svg("text", { x, y, "text-anchor": anchor, class: "name" }, ends[n].name)));
  return chart.picture;
}

function render({ model, el }) {
  const data = model.get("data");
  const ids = unsigned(data.ids);
  const frequency = new Float64Array(data.words.length);
  for (const id of ids) frequency[id] += 1;
  frequency[data.eos] = 0;
  const named = landmarks(frequency, NAMED);
  const state = { optimiser: model.get("optimiser"), seed: model.get("seed"), against: "updates", curves: [], going: false, written: "" };
  let worker = null;
  const set = (name, value) => {
    state[name] = value;
    model.set(name, value);
    model.save_changes();
    draw();
  };

  const root = element("div", { class: "sparse-explorer train" });
  el.append(root);
  const optimiser = choice("Optimiser", Object.entries(OPTIMISERS).map(([key, { name }]) => [key, name]), state.optimiser, (value) => set("optimiser", value));
  const seed = field("Seed", { type: "number", value: state.seed, min: 0, step: 1 }, (value) => Number.isInteger(value) && value >= 0 && set("seed", value));
  const against = choice("Show ρ against", [["updates", "updates"], ["loss", "loss"]], "updates", (value) => {
    state.against = value;
    draw();
  });
  const start = element("button", { type: "button", class: "start", onclick: begin }, "Start");
  const pause = element("button", { type: "button", onclick: () => go(!state.going) }, "Pause");
  const reset = element("button", { type: "button", onclick: clear }, "Clear");
  const status = element("p", { class: "status" });
  const spoken = element("p", { class: "unseen", "aria-live": "polite" });
  const trouble = element("p", { class: "trouble", role: "alert" });
  const [losses, rhos, scatter] = [element("figure"), element("figure"), element("figure")];
  const written = element("p", { class: "written" });
  const table = element("table");
  root.append(
    element("div", { class: "fields" }, optimiser.box, seed.box, against.box),
    element("div", { class: "buttons" }, start, pause, reset),
    status, spoken, trouble,
    element("div", { class: "panels" }, rhos, losses, scatter, element("div", {}, written, table)),
  );

  const current = () => state.curves.at(-1);
  function go(going) {
    state.going = going;
    current().heard = null; // the time of a pause is not that of training
    worker?.postMessage({ go: going });
    if (!going) tell();
    draw();
  }
  function stop() {
    worker?.terminate();
    worker = null;
    state.going = false;
  }
  function clear() {
    stop();
    state.curves = [];
    spoken.textContent = "The curves are cleared.";
    draw();
  }
  function begin() {
    if (worker) current().stopped = true;
    stop();
    const { optimiser: kind, rate } = OPTIMISERS[state.optimiser];
    const settings = { ...data.settings, optimiser: kind, rate, seed: state.seed };
    const address = URL.createObjectURL(new Blob([model.get("_worker")], { type: "text/javascript" }));
    worker = new Worker(address);
    worker.onmessage = ({ data: told }) => hear(told);
    worker.onerror = (event) => {
      event.preventDefault();
      trouble.textContent = `The training stopped: ${event.message ?? "this browser starts no worker here"}.`;
      stop();
      draw();
    };
    state.curves.push({ optimiser: state.optimiser, seed: state.seed, reports: [], took: 0, timed: 0, heard: null, stopped: false });
    state.going = true;
    trouble.textContent = "";
    worker.postMessage({ text: { ids, V: data.words.length, eos: data.eos }, settings, go: true });
    draw();
  }
  function hear(told) {
    const curve = current();
    const now = performance.now();
    if (curve.heard != null) {
      curve.took += now - curve.heard;
      curve.timed += told.update - curve.reports.at(-1).update;
    }
    curve.heard = now;
    curve.reports.push({ update: told.update, loss: told.loss, rho: told.rho });
    curve.chi = told.chi;
    if (told.written) state.written = told.written.map((id) => data.words[id]).join(" ");
    const done = told.update >= data.settings.updates;
    if (done) {
      stop();
      model.set("curves", state.curves.map(({ optimiser: kind, seed: number, reports }) => ({ optimiser: kind, seed: number, reports })));
      model.save_changes();
    }
    if (done || told.update % TOLD === 0) tell();
    draw();
  }
  function tell() {
    const last = current()?.reports.at(-1);
    if (last) spoken.textContent = `${OPTIMISERS[current().optimiser].name}, update ${count(last.update)}: loss ${signed(last.loss)}, correlation ${signed(last.rho)}.`;
  }

  function drawScatter() {
    const curve = current();
    const shown = curve?.chi ? Array.from(curve.chi.keys()).filter((n) => Number.isFinite(curve.chi[n])) : [];
    curve && (curve.ys = shown.length ? range([...(curve.ys ?? []), ...shown.map((n) => curve.chi[n])], 0) : curve.ys);
    const chart = frame({
      height: 230, log: true, ys: curve?.ys ?? [0.18, 0.3], xLabel: "Frequency in the text", yLabel: "Mean χ of the last updates",
      xs: [RAREST, 1.3 * Math.max(...frequency)],
      label: `Scatter chart: chi of ${shown.length} words against their frequency`,
    });
    for (const n of shown) {
      const point = svg("circle", { cx: chart.x(frequency[n]).toFixed(1), cy: chart.y(curve.chi[n]).toFixed(1), r: 2.4, fill: OPTIMISERS[curve.optimiser].colour, "fill-opacity": 0.5 });
      point.append(svg("title", {}, `${data.words[n]}: χ ${curve.chi[n].toFixed(3)}, ${count(frequency[n])} times`));
      chart.picture.append(point);
    }
    const names = named.filter((n) => shown.includes(n)).map((n) => ({ x: chart.x(frequency[n]), y: chart.y(curve.chi[n]), name: data.words[n] }));
    besides(names).forEach(({ x, y, anchor }, n) => chart.picture.append(svg("text", { x, y, "text-anchor": anchor, class: "name" }, names[n].name)));
    scatter.replaceChildren(element("figcaption", { class: "note" }, "Each point a word, as it is learned now."), chart.picture);
  }
  function drawTable() {
    const rows = state.curves.filter((curve) => curve.reports.length).map((curve) => {
      const last = curve.reports.at(-1);
      const most = curve.reports.reduce((found, one) => (one.rho > found.rho ? one : found), { rho: -Infinity });
      const cell = (text) => element("td", { class: "number" }, text);
      return element("tr", {}, element("th", { scope: "row" }, `${OPTIMISERS[curve.optimiser].short}, seed ${curve.seed}`), cell(`${count(last.update)}${curve.stopped ? ", stopped" : ""}`), cell(last.loss.toFixed(2)), cell(signed(last.rho)), cell(Number.isFinite(most.rho) ? `${signed(most.rho)} at ${count(most.update)}` : "–"));
    });
    const heads = ["Run", "Updates", "Loss", "ρ now", "Largest ρ"].map((name) => element("th", { scope: "col" }, name));
    table.replaceChildren(...(rows.length ? [element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows)] : []));
  }
  function draw() {
    const { updates } = data.settings;
    const curve = current();
    const last = curve?.reports.at(-1);
    const all = state.curves.flatMap((one) => one.reports);
    const about = state.curves.map((one) => `${OPTIMISERS[one.optimiser].name} ${signed(one.reports.at(-1)?.rho ?? NaN)}`).join("; ") || "no run yet";
    const update = (one) => one.update;
    const loss = (one) => one.loss;
    const [overUpdates, overLoss] = [[0, updates], all.length ? range(all.map(loss)) : [3, 6.5]];
    losses.replaceChildren(
      element("figcaption", { class: "note" }, "Loss in training, nats a word: lower predicts better."),
      lines(state.curves, update, loss, { xs: overUpdates, ys: overLoss, xLabel: "Updates", yLabel: "Loss", label: `Line chart: training loss over ${updates} updates` }),
    );
    const byLoss = state.against === "loss";
    rhos.replaceChildren(
      element("figcaption", { class: "note" }, "ρ of χ with log frequency over the words."),
      lines(state.curves, byLoss ? loss : update, (one) => one.rho, {
        xs: byLoss ? overLoss : overUpdates, ys: range([-0.1, 0.8, ...all.map((one) => one.rho)], 0), yLabel: "ρ",
        xLabel: byLoss ? "Loss (training moves to the left)" : "Updates", label: `Line chart: correlation of chi with log frequency against ${state.against}; ${about}`,
      }),
    );
    drawScatter();
    drawTable();
    written.replaceChildren(...(state.written ? ["It writes now: ", element("q", {}, state.written)] : []));
    const before = state.curves.at(-2);
    const stopped = before?.stopped ? ` ${OPTIMISERS[before.optimiser].name}, seed ${before.seed}, stopped at ${count(before.reports.at(-1)?.update ?? 0)} of ${count(updates)}.` : "";
    const left = curve?.timed && last.update < updates ? `, ${lasting(((updates - last.update) * curve.took) / curve.timed)} to go` : "";
    status.textContent = !curve
      ? `Not started: ${count(ids.length)} words of text, ${count(data.words.length)} different ones, ${count(updates)} updates.`
      : `${OPTIMISERS[curve.optimiser].name}, seed ${curve.seed}: ${last ? `update ${count(last.update)} of ${count(updates)}${left}, loss ${last.loss.toFixed(2)}, ρ ${signed(last.rho)}` : "starting"}${worker && !state.going ? ", paused" : ""}.${stopped}`;
    pause.textContent = worker && !state.going ? "Resume" : "Pause";
    pause.disabled = !worker;
    reset.disabled = !curve;
    start.textContent = curve ? "Start another" : "Start";
  }
  for (const [name, input] of [["optimiser", optimiser.input], ["seed", seed.input]]) {
    model.on(`change:${name}`, () => {
      state[name] = model.get(name);
      if (input.value !== String(state[name])) input.value = String(state[name]);
    });
  }
  draw();
  return stop;
}

export default { render };
