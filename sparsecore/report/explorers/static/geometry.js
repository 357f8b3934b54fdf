// Where the weights of predefined-sparse layers are: the same arithmetic as
// sparsecore/layers/geometry.py, to the last parameter.
// A test runs both over many geometries.

const ROUNDING = 1e-7;
const ALPHA_TOLERANCE = 1e-6;
export const GATES = { LSTM: 4, GRU: 3, RNN: 1 };

/** [first, end) of each block's hidden units. */
export function blockUnits(hiddenSize, numBlocks) {
  const end = (n) => Math.floor((n * hiddenSize) / numBlocks);
  return Array.from({ length: numBlocks }, (_, n) => [end(n), end(n + 1)]);
}

/** The least legal gamma: 1/N, or 1/i where there are more blocks than inputs. */
export function leastGamma(inputSize, numBlocks) {
  return 1 / Math.min(inputSize, numBlocks);
}

/** Which field of a recurrent geometry is wrong, and what would be right: [name, text]; null if none. */
export function recurrentTrouble(inputSize, hiddenSize, numBlocks, gamma) {
  if (!(inputSize >= 1)) return ["i", "The input size i must be at least 1."];
  if (!(hiddenSize >= 1)) return ["h", "The hidden size h must be at least 1."];
  if (!(numBlocks >= 1 && numBlocks <= hiddenSize)) {
    return ["N", `The number of blocks N must lie between 1 and the hidden size, ${hiddenSize}.`];
  }
  const least = leastGamma(inputSize, numBlocks);
  if (!(gamma >= least - 1e-12 && gamma <= 1)) {
    const name = numBlocks > inputSize ? "1/i" : "1/N";
    return ["gamma", `The window γ must lie between ${name} = ${least.toPrecision(4)} and 1: with less, some inputs would reach no block.`];
  }
  return null;
}

/** [first, end) of the inputs that each block sees. */
export function inputWindows(inputSize, numBlocks, gamma) {
  if (numBlocks === 1) return [[0, inputSize]];
  const width = inputSize * gamma;
  const stride = width - (inputSize * (numBlocks * gamma - 1)) / (numBlocks - 1);
  const windows = Array.from({ length: numBlocks }, (_, n) => [
    Math.trunc(n * stride),
    Math.trunc(n * stride + width + ROUNDING),
  ]);
  windows[numBlocks - 1][1] = inputSize;
  return windows;
}

/** Parameters of a recurrent layer: over its blocks, gates · s · (w + s + 2). */
export function recurrentParameters(cell, inputSize, hiddenSize, numBlocks = 1, gamma = 1) {
  const windows = inputWindows(inputSize, numBlocks, gamma);
  return blockUnits(hiddenSize, numBlocks).reduce((sum, [first, end], n) => {
    const size = end - first;
    return sum + GATES[cell] * size * (windows[n][1] - windows[n][0] + size + 2);
  }, 0);
}

/** Hidden size of the dense layer on the same inputs whose parameters come nearest. */
export function denseHiddenSize(cell, inputSize, parameters) {
  const b = inputSize + 2;
  const root = (-b + Math.sqrt(b * b + (4 * parameters) / GATES[cell])) / 2;
  const size = Math.max(1, Math.floor(root));
  const off = (h) => Math.abs(recurrentParameters(cell, inputSize, h) - parameters);
  return off(size + 1) < off(size) ? size + 1 : size;
}

function binRatio(density, numBins) {
  if (density >= 1) return 1;
  let [low, high] = [0, 1];
  while (high - low > ALPHA_TOLERANCE) {
    const middle = (low + high) / 2;
    let sum = 0;
    for (let j = 0; j < numBins; j += 1) sum += middle ** j;
    if (sum / numBins < density) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Dimensions of each bin: floor(k/M), the last takes the remainder. */
export function binWidths(embeddingDim, numBins) {
  const width = Math.floor(embeddingDim / numBins);
  return [...Array(numBins - 1).fill(width), embeddingDim - (numBins - 1) * width];
}

/** Which field of an embedding's geometry is wrong, and what would be right: [name, text]; null if none. */
export function embeddingTrouble(numEmbeddings, embeddingDim, density, numBins) {
  if (!(numEmbeddings >= 1)) return ["V", "The vocabulary V must have at least 1 word."];
  if (!(embeddingDim >= 1)) return ["k", "The embedding size k must be at least 1."];
  if (!(numBins >= 1 && numBins <= embeddingDim)) {
    return ["M", `The number of bins M must lie between 1 and the embedding size, ${embeddingDim}.`];
  }
  if (!(density >= 1 / numBins - 1e-12 && density <= 1)) {
    return ["density", `The density δ must lie between 1/M = ${(1 / numBins).toPrecision(4)} and 1: every word has the first bin.`];
  }
  return null;
}

function roundHalfEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest === 0.5) return floor % 2 === 0 ? floor : floor + 1;
  return rest < 0.5 ? floor : floor + 1;
}

/** How many words have each bin, so that density · k · V entries are left. */
export function binRows(numEmbeddings, embeddingDim, density, numBins) {
  const widths = binWidths(embeddingDim, numBins);
  const rows = [numEmbeddings];
  const budget = density * embeddingDim * numEmbeddings;
  let [used, left] = [0, embeddingDim];
  for (let m = 1; m < numBins - 1; m += 1) {
    const last = rows[m - 1];
    const share = last ? (budget - used) / (last * left) : 0;
    const alpha = binRatio(share, numBins - m + 1);
    used += last * widths[m - 1];
    left -= widths[m - 1];
    rows.push(last - Math.ceil(last * (1 - alpha)));
  }
  if (numBins > 1) {
    used += rows[numBins - 2] * widths[numBins - 2];
    let last = roundHalfEven((Math.floor(budget) - used) / widths[numBins - 1]);
    for (let m = 1; last > numEmbeddings; ) {
      // so many bins that rounding left more than the last one can hold
      if (rows[m] === numEmbeddings) m += 1;
      rows[m] += 1;
      used += widths[m];
      last = roundHalfEven((Math.floor(budget) - used) / widths[numBins - 1]);
    }
    rows.push(Math.max(0, last));
  }
  return rows;
}
