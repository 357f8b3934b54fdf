// Numbers that a page carries as text: base64 of 16-bit integers (numbers.py wrote them).

export const MISSING = 65535;

/** The bytes of base64. */
export function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}

/** Whole numbers from 0 to 65,535. */
export function unsigned(text) {
  return new Uint16Array(bytes(text));
}

/** Numbers of either sign, {values, scale}. */
export function unpacked({ values, scale }) {
  return Float64Array.from(new Int16Array(bytes(values)), (whole) => whole * scale);
}
