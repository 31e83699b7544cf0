/** Images of attributes, and encoded images, as something that can be drawn. */

import { numbersOf } from "./numbers.js";

const ENCODED = /^(GRAY8|RGB24|JPEG_)/;

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
  if (format === "GRAY8") return { numbers: pixels, width, height };
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
