// Numbers that a page carries as text: base64 of integers (numbers.py wrote them).

export const MISSING = 65535;

/** The bytes of base64. */
export function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}

/** Whole numbers from 0 to 65,535. */
export function unsigned(text) {
  return new Uint16Array(bytes(text));
}

/** A matrix of whole numbers from −127 to 127, each row with what one step of it stands for. */
export function matrix({ values, scales, columns }) {
  const [whole, steps] = [new Int8Array(bytes(values)), new Float32Array(bytes(scales))];
  return Float64Array.from(whole, (value, n) => value * steps[Math.floor(n / columns)]);
}
