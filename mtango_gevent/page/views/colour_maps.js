/** Colour maps as tables of 256 pixels. */

// Polynomials for red, green and blue of the colour maps of matplotlib (by M. Zucker, CC0).
const POLYNOMIALS = {
  viridis: [
    [0.2777, 0.1051, -0.3309, -4.6342, 6.2283, 4.7764, -5.4355],
    [0.0054, 1.4046, 0.2148, -5.7991, 14.1799, -13.7451, 4.6459],
    [0.3341, 1.3846, 0.0951, -19.3324, 56.6906, -65.353, 26.3124],
  ],
  inferno: [
    [0.0002, 0.1065, 11.6025, -41.704, 77.1629, -71.3194, 25.1311],
    [0.0017, 0.564, -3.9729, 17.4364, -33.4024, 32.6261, -12.2427],
    [-0.0195, 3.9327, -15.9424, 44.3541, -81.8073, 73.2095, -23.0703],
  ],
  grey: [[0, 1], [0, 1], [0, 1]],
};

export const NAMES = Object.keys(POLYNOMIALS);

/** Return the table of a colour map: red, green, blue and alpha in the order of the bytes of ImageData. */
export function colourTable(name) {
  const bytes = new Uint8ClampedArray(1024);
  for (let level = 0; level < 256; level++) {
    const colours = POLYNOMIALS[name].map((terms) => 255 * terms.reduceRight((sum, term) => sum * (level / 255) + term, 0));
    bytes.set([...colours, 255], level * 4);
  }
  return new Uint32Array(bytes.buffer);
}

/** Set the pixels of numbers: `low` has the first colour of the table, `high` the last one. */
export function paint(pixels, numbers, low, high, table) {
  const scale = 255 / (high - low || 1);
  for (let index = 0; index < pixels.length; index++) {
    const level = (numbers[index] - low) * scale;
    pixels[index] = level > 0 ? table[level < 255 ? level | 0 : 255] : table[0];
  }
}
