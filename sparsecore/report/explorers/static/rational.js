// Rational automata in the browser: the arithmetic of sparsecore (layers/rational.py, prune/paths.py,
// patterns.py, compact.py) for one layer, plus-times, summed states. A test runs both side by side.
// A layer is {lengths, main, loop}: the lengths of its automata, and of each of their S states the
// scores of its main transition and of its self-loop (before the sigmoid) for every word.

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** How many states of each automaton are kept: those before the first whose norm is not above the
 * threshold. */
export function keptLengths(lengths, norms, threshold) {
  let first = 0;
  return lengths.map((length) => {
    const own = norms.slice(first, first + length);
    first += length;
    const gone = own.findIndex((norm) => !(norm > threshold));
    return gone < 0 ? length : gone;
  });
}

/** {lengths, states}: the kept automata's lengths by automaton, and the rows of their states. */
export function kept(lengths, norms, threshold) {
  const counts = keptLengths(lengths, norms, threshold);
  const states = [];
  let first = 0;
  lengths.forEach((length, d) => {
    for (let i = 0; i < counts[d]; i += 1) states.push(first + i);
    first += length;
  });
  return { counts, states };
}

/** Main-path weights u and self-loop weights f, [token][state], of the words with these numbers. */
export function arcs(layer, ids) {
  const f = ids.map((id) => layer.loop.map((row) => sigmoid(row[id])));
  const u = ids.map((id, t) => layer.main.map((row, s) => row[id] * (1 - f[t][s])));
  return { u, f };
}

/** The score of each automaton after the last token, only its first counts[d] states being there. */
export function scores(layer, counts, { u, f }) {
  let first = 0;
  return layer.lengths.map((length, d) => {
    let states = Array(counts[d]).fill(0);
    u.forEach((_, t) => {
      states = states.map((c, i) => c * f[t][first + i] + (i ? states[i - 1] : 1) * u[t][first + i]);
    });
    first += length;
    return states.reduce((sum, c) => sum + c, 0);
  });
}

/** Largest and smallest path into each state of an automaton whose states begin at row `first`:
 * [{score, steps}] of each, steps being the tokens of the main-path steps. */
export function bestPaths({ u, f }, first, length) {
  const nothing = null;
  let high = Array(length).fill(nothing);
  let low = Array(length).fill(nothing);
  const start = { score: 1, steps: [] };
  const best = (candidates, sign) => {
    let found = nothing;
    for (const one of candidates) if (one && (!found || sign * one.score > sign * found.score)) found = one;
    return found;
  };
  u.forEach((_, t) => {
    const enter = (path, i) => path && { score: path.score * u[t][first + i], steps: [...path.steps, t] };
    const stay = (path, i) => path && { score: path.score * f[t][first + i], steps: path.steps };
    const before = (paths, i) => (i ? paths[i - 1] : start);
    const next = (own, other, sign) => own.map((path, i) => best([enter(before(own, i), i), enter(before(other, i), i), stay(path, i)], sign));
    [high, low] = [next(high, low, 1), next(low, high, -1)];
  });
  return { high, low };
}

/** The path that shows what an automaton does: the one of the greatest magnitude among its states'
 * largest paths, where its score is positive, or smallest ones. */
export function tellingPath(weights, first, length, score) {
  const { high, low } = bestPaths(weights, first, length);
  let found = null;
  (score >= 0 ? high : low).forEach((path, i) => {
    if (path && (!found || Math.abs(path.score) > Math.abs(found.path.score))) found = { path, state: i + 1 };
  });
  return found;
}

/** What a path does at each of `count` tokens: {role: before | taken | loop, transition}. */
export function roles(steps, count) {
  let at = 0;
  return Array.from({ length: count }, (_, t) => {
    if (steps[at] === t) {
      at += 1;
      return { role: "taken", transition: at };
    }
    return { role: at ? "loop" : "before", transition: 0 };
  });
}
