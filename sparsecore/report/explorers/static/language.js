// A trained LSTM language model in the page: what it makes of a sentence, word by word. Its weights
// come in 8 bits a number; a test states how far χ is from PyTorch's for it.

import { chi, forward, initialise, predict, startState } from "./lstm.js";

/** The closed form of the upward gradient of one word: Wᵀ(p − onehot(y)), with δ = p − onehot(y) given. */
export function upwardGradient(decoder, delta, H) {
  const gradient = new Float64Array(H);
  for (let v = 0, m = 0; v < delta.length; v += 1) for (let u = 0; u < H; u += 1, m += 1) gradient[u] += delta[v] * decoder[m];
  return gradient;
}

/** A network of the same sizes before any training. */
export function untrained(sizes) {
  const names = Array.from({ length: sizes.layers }, (_, n) => `lstm${n + 1}`);
  return { ...sizes, weights: initialise(sizes, 0, names) };
}

/** The ids of the largest of some numbers, the largest first. */
export function largest(values, count) {
  const found = [];
  for (let id = 0; id < values.length; id += 1) {
    if (found.length === count && !(values[id] > values[found[count - 1]])) continue;
    let at = found.length;
    while (at && values[id] > values[found[at - 1]]) at -= 1;
    found.splice(at, 0, id);
    found.length = Math.min(found.length, count);
  }
  return found;
}

/** The layer of a model as the parameters of lstm.js; `table` takes the place of the embedding. */
function layerOf(weights, number, table) {
  const names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"];
  const own = Object.fromEntries(names.map((name) => [`lstm.${name}`, weights[`lstm${number}.${name}`]]));
  return { ...own, "embedding.weight": table };
}

/**
 * Read a sentence: every signal of every word.
 *
 * @param model { V, E, H, layers, weights } weights by PyTorch's names
 * @param ids the sentence, its boundaries too; ids[t] is read and ids[t + 1] is to be predicted
 * @returns one entry a word read: { signals: { name: vector }, surprisal, expected: [[id, p], …] };
 *   the vector of the softmax is left out of `signals` and only its χ told
 */
export function readSentence({ V, E, H, layers, weights }, ids, expected = 5) {
  const T = ids.length - 1;
  const embedded = new Float64Array(T * E);
  for (let t = 0; t < T; t += 1) embedded.set(weights["embedding.weight"].subarray(ids[t] * E, (ids[t] + 1) * E), t * E);
  const order = Array.from({ length: T }, (_, t) => t); // "word" t of a layer is what comes from below
  const outputs = [embedded];
  for (let number = 1; number <= layers; number += 1) {
    const sizes = { B: 1, H, E: number === 1 ? E : H };
    outputs.push(forward(sizes, layerOf(weights, number, outputs.at(-1)), order, startState(sizes)).h.subarray(H));
  }
  const top = { "decoder.weight": weights["decoder.weight"], "decoder.bias": weights["decoder.bias"] };
  return order.map((t) => {
    const p = predict({ V, H }, top, outputs.at(-1), t * H);
    const ranked = largest(p, expected).map((id) => [id, p[id]]);
    const surprisal = -Math.log(p[ids[t + 1]]);
    p[ids[t + 1]] -= 1;
    const signals = { embedding_activation: embedded.slice(t * E, (t + 1) * E) };
    for (let number = 1; number <= layers; number += 1) signals[`lstm${number}_activation`] = outputs[number].slice(t * H, (t + 1) * H);
    signals[`lstm${layers}_gradient`] = upwardGradient(weights["decoder.weight"], p, H);
    const chis = Object.fromEntries(Object.entries(signals).map(([name, vector]) => [name, chi(vector)]));
    return { signals, chi: { ...chis, softmax_gradient: chi(p) }, surprisal, expected: ranked };
  });
}
