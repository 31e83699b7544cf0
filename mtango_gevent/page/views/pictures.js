/** Images of attributes, and encoded images, as something that can be drawn, and the colours of numbers. */

import { numbersOf } from "./numbers.js";

const ENCODED = /^(GRAY8|GRAY16|RGB24)$|^JPEG_/, BYTES = { GRAY8: 1, GRAY16: 2, RGB24: 3 };

/** Return {numbers, width, height}, {source, width, height} with something that a canvas draws, or {text} if neither can be.
 *
 * value: of an image, or of a DevEncoded. */
export async function pictureOf(value, labels) {
  if (value.encoded_format !== undefined) return decode(value);
  if (!value.data) return { text: "not an image" };
  const { data, width, height } = value, isLabels = labels && typeof data[0] === "string";
  const numbers = numbersOf(isLabels ? data.map((label) => labels.indexOf(label)) : data);
  if (!width || !height) return { text: "an image without pixels" };
  return numbers ? { numbers, width, height } : { texts: data, width, height };
}

async function decode({ encoded_format: format, encoded_data }) {
  if (!ENCODED.test(format)) return { text: `no view for the format ${format}` };
  const bytes = Uint8Array.from(atob(encoded_data), (character) => character.charCodeAt(0));
  if (format.startsWith("JPEG_")) {
    const source = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
    return { source, width: source.width, height: source.height };
  }
  const view = new DataView(bytes.buffer), width = view.getUint16(0), height = view.getUint16(2), pixels = bytes.subarray(4);
  if (!width || !height) return { text: "an image without pixels" };
  const size = width * height * BYTES[format];
  if (pixels.length < size) return { text: `${format} of ${width} × ${height}: expected ${size} bytes, got ${pixels.length}` };
  if (format === "GRAY8") return { numbers: pixels, width, height };
  if (format === "GRAY16") return { numbers: Uint16Array.from({ length: width * height }, (_, index) => view.getUint16(4 + 2 * index)), width, height };
  const source = new ImageData(width, height);
  for (let from = 0, to = 0; from < width * height * 3; from += 3, to += 4) {
    source.data.set(pixels.subarray(from, from + 3), to);
    source.data[to + 3] = 255;
  }
  return { source, width, height };
}

/** Draw a picture that is no matrix of numbers. */
export function drawSource(context, { source }) {
  if (source instanceof ImageData) context.putImageData(source, 0, 0);
  else context.drawImage(source, 0, 0);
}

// --- colour maps: tables of 256 pixels ---

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
