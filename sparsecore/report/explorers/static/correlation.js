// Correlations of the explorers: the same as sparsecore/stats/correlation.py; a test runs both.

/** Pearson's correlation of two lists of numbers. */
export function pearson(x, y) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [mx, my] = [mean(x), mean(y)];
  let [xy, xx, yy] = [0, 0, 0];
  for (let n = 0; n < x.length; n += 1) {
    xy += (x[n] - mx) * (y[n] - my);
    xx += (x[n] - mx) ** 2;
    yy += (y[n] - my) ** 2;
  }
  return xy / Math.sqrt(xx * yy);
}

/** Pearson's correlation of chi with log frequency over the words that have both. */
export function logCorrelation(frequency, chi) {
  const known = Array.from(chi.keys()).filter((n) => Number.isFinite(chi[n]) && frequency[n] > 0);
  return pearson(known.map((n) => Math.log(frequency[n])), known.map((n) => chi[n]));
}
