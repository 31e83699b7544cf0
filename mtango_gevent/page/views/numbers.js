/** Arrays of numbers: their extent, histogram and percentiles. */

/** Return the elements as something that has numbers; null if they are texts. NaN and infinities may come as texts. */
export function numbersOf(list) {
  if (ArrayBuffer.isView(list)) return list;
  const numbers = Float64Array.from(list, Number);
  return list.every((each, index) => typeof each !== "string" || isFinite(numbers[index]) || /^(NaN|-?Infinity)$/.test(each)) ? numbers : null;
}

/** Return lowest, highest and mean of the finite elements; null if there are none. */
export function statistics(numbers) {
  let low = Infinity, high = -Infinity, sum = 0, count = 0;
  for (let index = 0; index < numbers.length; index++) {
    const number = numbers[index];
    if (!Number.isFinite(number)) continue;
    if (number < low) low = number;
    if (number > high) high = number;
    sum += number;
    count++;
  }
  return count ? { low, high, mean: sum / count } : null;
}

// Elements of which a histogram is made at most; of more, each n-th.
const SAMPLES = 1 << 18;

/** Return how many elements are in each of equal intervals from `low` to `high`. */
export function histogram(numbers, low, high, bins) {
  const counts = new Uint32Array(bins), step = Math.ceil(numbers.length / SAMPLES) | 1, scale = (bins - 1) / (high - low || 1);
  for (let index = 0; index < numbers.length; index += step) {
    const bin = (numbers[index] - low) * scale;
    if (bin >= 0 && bin < bins) counts[bin | 0]++;
  }
  return counts;
}

/** Return the values below which the given parts of the elements are. */
export function percentiles(counts, low, high, parts) {
  const total = counts.reduce((sum, count) => sum + count, 0), width = (high - low) / (counts.length - 1);
  return parts.map((part) => {
    let left = total * part, bin = 0;
    while (bin < counts.length - 1 && (left -= counts[bin]) > 0) bin++;
    return low + bin * width;
  });
}
