// A one-layer LSTM language model by hand: forward, backward, chi of the upward gradient. The names
// and shapes of its parameters are PyTorch's, row by row; a test holds every gradient to PyTorch's.
//
//     embedding -> LSTM -> linear -> softmax;   axes: T time, B batch, E embedding, H hidden, V words

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** Random numbers in [0, 1) that are the same for the same seed (mulberry32). */
export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Untrained parameters: embedding and output rows U(±0.1), LSTMs (lowest first) U(±1/√H), output bias 0. */
export function initialise({ V, E, H }, seed, layers = ["lstm"]) {
  const random = generator(seed);
  const uniform = (count, bound) => Float64Array.from({ length: count }, () => bound * (2 * random() - 1));
  const bound = 1 / Math.sqrt(H);
  return {
    "embedding.weight": uniform(V * E, 0.1),
    ...Object.assign({}, ...layers.map((name, n) => ({
      [`${name}.weight_ih_l0`]: uniform(4 * H * (n ? H : E), bound),
      [`${name}.weight_hh_l0`]: uniform(4 * H * H, bound),
      [`${name}.bias_ih_l0`]: uniform(4 * H, bound),
      [`${name}.bias_hh_l0`]: uniform(4 * H, bound),
    }))),
    "decoder.weight": uniform(V * H, 0.1),
    "decoder.bias": new Float64Array(V),
  };
}

/** As many zeros as `parameters` has numbers: gradients, or the sums of an optimiser. */
export function zerosLike(parameters) {
  return Object.fromEntries(Object.entries(parameters).map(([name, values]) => [name, new Float64Array(values.length)]));
}

/** ||v||2 / ||v||1 of the `count` numbers from `start` on; NaN for zeros. */
export function chi(values, start = 0, count = values.length) {
  let [squares, sum] = [0, 0];
  for (let n = start; n < start + count; n += 1) {
    squares += values[n] * values[n];
    sum += Math.abs(values[n]);
  }
  return Math.sqrt(squares) / sum;
}

/** out += M v, for M (rows x columns) and v from the given offsets on. */
function addProduct(out, outAt, M, rows, columns, v, at) {
  for (let r = 0, m = 0; r < rows; r += 1) {
    let [even, odd, c] = [0, 0, 0]; // two sums at once: neither waits for the other
    for (; c + 1 < columns; c += 2, m += 2) {
      even += M[m] * v[at + c];
      odd += M[m + 1] * v[at + c + 1];
    }
    if (c < columns) even += M[m++] * v[at + c];
    out[outAt + r] += even + odd;
  }
}

/** out += Mᵀ d and dM += d vᵀ in one pass over M: the two halves of a product's backward. */
function backProduct(d, dAt, M, dM, rows, columns, v, at, out, outAt) {
  for (let r = 0, m = 0; r < rows; r += 1) {
    const slope = d[dAt + r];
    for (let c = 0; c < columns; c += 1, m += 1) {
      out[outAt + c] += slope * M[m];
      dM[m] += slope * v[at + c];
    }
  }
}

/** Before the first word: {h, c}, each B H. */
export function startState({ B, H }) {
  return { h: new Float64Array(B * H), c: new Float64Array(B * H) };
}

/** Read a window: inputs (T B) from a state on. What backward needs; `h` (T + 1, B, H) begins with the state's. */
export function forward({ E, H, B }, parameters, inputs, state) {
  const T = inputs.length / B;
  const h = new Float64Array((T + 1) * B * H);
  const c = new Float64Array((T + 1) * B * H);
  const gates = new Float64Array(T * B * 4 * H); // i f g o, after their activations
  h.set(state.h);
  c.set(state.c);
  const [bi, bh] = [parameters["lstm.bias_ih_l0"], parameters["lstm.bias_hh_l0"]];
  for (let n = 0; n < T * B; n += 1) {
    const [g, before, now] = [n * 4 * H, n * H, (n + B) * H];
    for (let r = 0; r < 4 * H; r += 1) gates[g + r] = bi[r] + bh[r];
    addProduct(gates, g, parameters["lstm.weight_ih_l0"], 4 * H, E, parameters["embedding.weight"], inputs[n] * E);
    addProduct(gates, g, parameters["lstm.weight_hh_l0"], 4 * H, H, h, before);
    for (let u = 0; u < H; u += 1) {
      const i = (gates[g + u] = sigmoid(gates[g + u]));
      const f = (gates[g + H + u] = sigmoid(gates[g + H + u]));
      const a = (gates[g + 2 * H + u] = Math.tanh(gates[g + 2 * H + u]));
      const o = (gates[g + 3 * H + u] = sigmoid(gates[g + 3 * H + u]));
      c[now + u] = f * c[before + u] + i * a;
      h[now + u] = o * Math.tanh(c[now + u]);
    }
  }
  const end = T * B * H;
  return { inputs, h, c, gates, state: { h: h.slice(end), c: c.slice(end) } };
}

/** Probabilities of the next word (V) from the hidden vector at an offset of `h`. */
export function predict({ V, H }, parameters, h, at) {
  const p = Float64Array.from(parameters["decoder.bias"]);
  addProduct(p, 0, parameters["decoder.weight"], V, H, h, at);
  let most = -Infinity;
  for (let v = 0; v < V; v += 1) if (p[v] > most) most = p[v];
  let sum = 0;
  for (let v = 0; v < V; v += 1) sum += p[v] = Math.exp(p[v] - most);
  for (let v = 0; v < V; v += 1) p[v] /= sum;
  return p;
}

/**
 * Mean cross entropy of a window, its gradients, and what comes up to the LSTM.
 *
 * The upward gradient of a position is Wᵀ(p − onehot(y)) (over T B, for the mean): `upward` (T B H).
 *
 * @returns {{ loss, gradients, upward, chi, state }} chi (T B) of the upward gradient
 */
export function lossAndGradients(sizes, parameters, inputs, targets, state) {
  const { E, H, V, B } = sizes;
  const count = targets.length;
  const pass = forward(sizes, parameters, inputs, state);
  const gradients = zerosLike(parameters);
  const upward = new Float64Array(count * H);
  const chis = new Float64Array(count);
  let loss = 0;
  for (let n = 0; n < count; n += 1) {
    const p = predict(sizes, parameters, pass.h, (n + B) * H);
    loss -= Math.log(p[targets[n]]) / count;
    p[targets[n]] -= 1;
    for (let v = 0; v < V; v += 1) gradients["decoder.bias"][v] += p[v] /= count;
    backProduct(p, 0, parameters["decoder.weight"], gradients["decoder.weight"], V, H, pass.h, (n + B) * H, upward, n * H);
    chis[n] = chi(upward, n * H, H);
  }
  const dh = Float64Array.from(upward); // and what comes from later steps
  const later = new Float64Array(B * H); // into the state before the window: not used
  const dc = new Float64Array(B * H);
  const d = new Float64Array(4 * H);
  const [bi, bh] = [gradients["lstm.bias_ih_l0"], gradients["lstm.bias_hh_l0"]];
  for (let n = count - 1; n >= 0; n -= 1) {
    const [g, before, now, own] = [n * 4 * H, n * H, (n + B) * H, (n % B) * H];
    for (let u = 0; u < H; u += 1) {
      const [i, f, a, o] = [pass.gates[g + u], pass.gates[g + H + u], pass.gates[g + 2 * H + u], pass.gates[g + 3 * H + u]];
      const t = Math.tanh(pass.c[now + u]);
      const slope = dc[own + u] + dh[before + u] * o * (1 - t * t);
      d[u] = slope * a * i * (1 - i);
      d[H + u] = slope * pass.c[before + u] * f * (1 - f);
      d[2 * H + u] = slope * i * (1 - a * a);
      d[3 * H + u] = dh[before + u] * t * o * (1 - o);
      dc[own + u] = slope * f;
    }
    for (let r = 0; r < 4 * H; r += 1) {
      bi[r] += d[r];
      bh[r] += d[r];
    }
    const word = inputs[n] * E;
    backProduct(d, 0, parameters["lstm.weight_ih_l0"], gradients["lstm.weight_ih_l0"], 4 * H, E, parameters["embedding.weight"], word, gradients["embedding.weight"], word);
    const first = n < B; // nothing of this window came before
    backProduct(d, 0, parameters["lstm.weight_hh_l0"], gradients["lstm.weight_hh_l0"], 4 * H, H, pass.h, before, first ? later : dh, first ? own : (n - B) * H);
  }
  return { loss, gradients, upward, chi: chis, state: pass.state };
}

/** Scale the gradients so that their joint ℓ2 norm is at most `clip`, as PyTorch's clip_grad_norm_. */
export function clipNorm(gradients, clip) {
  let squares = 0;
  for (const values of Object.values(gradients)) for (let n = 0; n < values.length; n += 1) squares += values[n] * values[n];
  const factor = Math.min(1, clip / (Math.sqrt(squares) + 1e-6));
  if (factor < 1) for (const values of Object.values(gradients)) for (let n = 0; n < values.length; n += 1) values[n] *= factor;
}

/** Plain stochastic gradient descent: p -= rate g. */
export function sgd(rate) {
  return (parameters, gradients) => {
    for (const [name, values] of Object.entries(parameters)) {
      const slopes = gradients[name];
      for (let n = 0; n < values.length; n += 1) values[n] -= rate * slopes[n];
    }
  };
}

/** Adam with PyTorch's defaults (Kingma & Ba 2015). */
export function adam(rate, first = 0.9, second = 0.999, epsilon = 1e-8) {
  let [means, squares, step] = [null, null, 0];
  return (parameters, gradients) => {
    means ??= zerosLike(parameters);
    squares ??= zerosLike(parameters);
    step += 1;
    const [short, long] = [1 - first ** step, 1 - second ** step];
    for (const [name, values] of Object.entries(parameters)) {
      const [slopes, m, v] = [gradients[name], means[name], squares[name]];
      for (let n = 0; n < values.length; n += 1) {
        m[n] = first * m[n] + (1 - first) * slopes[n];
        v[n] = second * v[n] + (1 - second) * slopes[n] * slopes[n];
        values[n] -= (rate / short) * (m[n] / (Math.sqrt(v[n] / long) + epsilon));
      }
    }
  };
}
