/** Texts of Tango's values. A number may come as a text: "NaN", "Infinity", or an integer beyond 2^53. */

const PRINTF = /^(.*?)%([-+ 0#]*)(\d*)(?:\.(\d+))?[hlLqjzt]*([diuxXoeEfFgGs])(.*)$/s;
const WHOLE_NUMBER = /^-?\d+$/;
// Beyond 2^53: times in microseconds, which each record has, are below.
const LARGE_NUMBER = /(?:^|[:,[\s])-?(?:9\d{15}|\d{17,})(?:$|[,\]}\s])/;
const UNSET = /^(|not specified|no (standard |display )?unit|no description)$/i;
const NO_VALUE = "–";
// Digits that JavaScript has at most behind the point, and characters of a padded number.
const MOST_DIGITS = 100;

/** Characters of a text that are shown at first. */
export const MOST_CHARACTERS = 500;

/** Parse JSON; an integer beyond 2^53 becomes a text with all its digits, where the browser has them (Chromium 114, Firefox 135, Safari 18.4). */
export function parseJson(text) {
  return LARGE_NUMBER.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text);
}

const keepDigits = (_, value, context) =>
  typeof value === "number" && !Number.isSafeInteger(value) && WHOLE_NUMBER.test(context?.source) ? context.source : value;

/** Return the beginning of a text that is too long for a cell. */
export const shorten = (text) => (text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text);

/** The text of a setting of a configuration, "" if it is not set. */
export const setting = (text) => (UNSET.test(text ?? "") ? "" : String(text));

export const unitOf = (configuration) => setting(configuration?.unit);

/** Return the text of a scalar in Tango's display format; a list or an image is described in short. */
export function formatValue(value, configuration) {
  if ((value ?? null) === null) return NO_VALUE;
  if (typeof value === "bigint") value = String(value);
  if (typeof value === "object") return describe(value, configuration);
  if (configuration?.enum_label?.length) return labelOf(value, configuration.enum_label);
  if (!isNumber(value, configuration)) return String(value);
  const parts = PRINTF.exec(configuration?.format);
  return parts ? printf(value, configuration, parts) : String(value);
}

/** Returns the label of a number; a label is returned as it is, also one such as "length". */
export const labelOf = (value, labels) => String((typeof value === "number" ? labels[value] : null) ?? value);

const isNumber = (value, configuration) =>
  typeof value === "number" || (/^(Dev)?U?(Long|Short|Char|Double|Float)/.test(configuration?.data_type) && isFinite(value));

function describe(value, configuration) {
  if (value.encoded_format !== undefined) return `${value.encoded_format || "no format"}, ${bytesOf(value.encoded_data)} bytes`;
  if (value.width !== undefined) return `${value.width} × ${value.height}`;
  const texts = Array.from(value.slice(0, 8), (each) => formatValue(each, configuration));
  return `[${value.length}] ${texts.join(", ")}${value.length > 8 ? ", …" : ""}`;
}

const bytesOf = (base64) => Math.floor((base64.replace(/=+$/, "").length * 3) / 4);

function printf(value, configuration, [, before, flags, width, digits, kind, after]) {
  const precision = digits && Math.min(digits, MOST_DIGITS);
  let text = KINDS[kind.toLowerCase()](value, precision, flags, configuration);
  if (kind < "a") text = text.toUpperCase();
  if (flags.includes("+") && !/^[-+]/.test(text) && "dieEfFgG".includes(kind)) text = `+${text}`;
  if (flags.includes("0")) text = text.replace(/^([-+]?)(.*)$/s, (_, sign, rest) => sign + rest.padStart(Math.min(width, MOST_DIGITS) - sign.length, "0"));
  return (before + text + after).replaceAll("%%", "%");
}

const integer = (value) => BigInt(WHOLE_NUMBER.test(value) ? value : Math.trunc(value));

/** Digits of another base; a negative number has the bits of its type, as in C. */
function based(value, base, flags, configuration) {
  if (!isFinite(value)) return String(value);
  const bits = /64/.test(configuration?.data_type) ? 64 : 32;
  return (flags.includes("#") ? { 8: "0", 16: "0x" }[base] : "") + BigInt.asUintN(bits, integer(value)).toString(base);
}

const exponent = (text) => text.replace(/e([-+])(\d)$/, "e$10$2");
const decimal = (value) => (isFinite(value) ? String(integer(value)) : String(value));

function general(value, precision, flags) {
  const digits = Math.max(1, precision ?? 6), scientific = Number(value).toExponential(digits - 1);
  const text = /e-([5-9]|..)$/.test(scientific) ? scientific : Number(value).toPrecision(digits);
  return exponent(flags.includes("#") ? text : text.replace(/(\.\d*?)0+(e|$)/, "$1$2").replace(/\.(e|$)/, "$1"));
}

const KINDS = {
  d: decimal, i: decimal, u: decimal, s: String, g: general,
  x: (value, _, flags, configuration) => based(value, 16, flags, configuration),
  o: (value, _, flags, configuration) => based(value, 8, flags, configuration),
  e: (value, precision) => exponent(Number(value).toExponential(precision ?? 6)),
  f: (value, precision) => Number(value).toFixed(precision ?? 6),
};

/** The word of a quality: valid, alarm, warning, changing or invalid; "" of one that is unknown. */
export const qualityText = (quality) => quality?.slice(5).toLowerCase() ?? "";

export const qualityClass = (quality) => `quality-${qualityText(quality)}`;

/** Tango's states in the order of their numbers. */
export const STATES = "ON OFF CLOSE OPEN INSERT EXTRACT MOVING STANDBY FAULT INIT RUNNING ALARM DISABLE UNKNOWN".split(" ");

/** The class of a state, beside the class `state`. */
export const stateClass = (state) => String(state).toLowerCase();

const SPANS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/** "3 s ago"; time in milliseconds since the epoch. */
export function age(time, now = Date.now()) {
  const seconds = Math.max(0, (now - time) / 1000);
  const [span, unit] = SPANS.find(([length]) => seconds >= length) ?? [1, "s"];
  return `${Math.floor(seconds / span)} ${unit} ago`;
}
