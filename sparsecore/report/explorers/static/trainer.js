// One training run of the small language model: text in, loss and ρ out, a few updates at a time.

import { logCorrelation } from "./correlation.js";
import { adam, clipNorm, forward, generator, initialise, lossAndGradients, predict, sgd, startState } from "./lstm.js";

export const EVERY = 25; // updates from one report to the next
const CHUNKS = 4; // reports whose positions enter a word's mean chi
const LEAST = 5; // times that a word must have been the target among them
const LONGEST = 14; // words of a sentence that the model writes
const OPTIMISERS = { sgd, adam };

/**
 * A run over `ids`, in B parallel columns, windows of T words, again from the start at the end.
 *
 * @param text { ids, V, eos } word ids of the text, how many words there are, the end of a sentence
 * @param settings { optimiser, rate, seed, E, H, B, T, clip }
 * @returns { update, report, write }
 */
export function trainer({ ids, V, eos }, settings) {
  const sizes = { V, ...settings };
  const { B, T } = sizes;
  const length = Math.floor(ids.length / B);
  const frequency = new Float64Array(V);
  for (const id of ids) frequency[id] += 1;
  frequency[eos] = 0; // not a word
  const parameters = initialise(sizes, settings.seed);
  const optimise = OPTIMISERS[settings.optimiser](settings.rate);
  const random = generator(settings.seed + 1);
  let state = startState(sizes);
  let [at, updates, loss, since] = [0, 0, 0, 0];
  const empty = () => ({ sum: new Float64Array(V), count: new Float64Array(V) });
  let chunks = [empty()];

  /** Train on the next window. */
  function update() {
    if (at + T + 1 > length) [at, state] = [0, startState(sizes)];
    const piece = (shift) => Uint16Array.from({ length: T * B }, (_, n) => ids[(n % B) * length + at + shift + Math.floor(n / B)]);
    const [inputs, targets] = [piece(0), piece(1)];
    at += T;
    const made = lossAndGradients(sizes, parameters, inputs, targets, state);
    state = made.state;
    const now = chunks[chunks.length - 1];
    targets.forEach((word, n) => {
      now.sum[word] += made.chi[n];
      now.count[word] += 1;
    });
    clipNorm(made.gradients, settings.clip);
    optimise(parameters, made.gradients);
    updates += 1;
    loss += made.loss;
    since += 1;
    return updates;
  }

  /** Since the last report: mean loss; over the last CHUNKS of them, chi by word (NaN: too rare) and ρ. */
  function report() {
    const chi = Float64Array.from({ length: V }, (_, word) => {
      const seen = chunks.reduce((sum, chunk) => sum + chunk.count[word], 0);
      return word === eos || seen < LEAST ? NaN : chunks.reduce((sum, chunk) => sum + chunk.sum[word], 0) / seen;
    });
    const told = { update: updates, loss: loss / since, rho: logCorrelation(frequency, chi), chi };
    chunks = [...chunks.slice(-(CHUNKS - 1)), empty()];
    [loss, since] = [0, 0];
    return told;
  }

  /** Ids of a sentence that the model writes, each word drawn as it expects it. */
  function write() {
    const one = { ...sizes, B: 1 };
    let [before, word] = [startState(one), eos];
    const written = [];
    while (written.length < LONGEST) {
      const pass = forward(one, parameters, [word], before);
      before = pass.state;
      const p = predict(one, parameters, pass.h, one.H);
      let left = random();
      word = p.findIndex((share) => (left -= share) < 0);
      if (word < 0 || word === eos) break;
      written.push(word);
    }
    return written;
  }
  return { update, report, write };
}
