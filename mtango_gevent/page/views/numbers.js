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

// Elements of which a histogram is made, and which are sorted, at most; of more, each n-th.
const SAMPLES = 1 << 18, SORTED = 1 << 14;

const stepTo = (count, most) => Math.ceil(count / most) | 1; // odd, so that not all are of the same columns

/** Return how many elements are in each of equal intervals from `low` to `high`. */
export function histogram(numbers, low, high, bins) {
  const counts = new Uint32Array(bins), step = stepTo(numbers.length, SAMPLES), scale = bins / (high - low || 1);
  for (let index = 0; index < numbers.length; index += step) {
    const number = numbers[index];
    if (number >= low && number <= high) counts[Math.min(bins - 1, (number - low) * scale) | 0]++;
  }
  return counts;
}

/** Return the values below which the given parts of the finite elements are. */
export function percentiles(numbers, parts) {
  const step = stepTo(numbers.length, SORTED), length = Math.ceil(numbers.length / step);
  const sorted = Float64Array.from({ length }, (_, index) => numbers[index * step]).filter(Number.isFinite).sort();
  return parts.map((part) => sorted[Math.floor(part * (sorted.length - 1))]);
}
