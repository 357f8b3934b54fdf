// Words of a typed sentence, cut as the language models' texts are (sparsecore/data/text.py) where
// it is plain English; a test holds ordinary sentences to the Python rule.

/** Lower-cased words; clitics (do n't, it 's) and punctuation stand apart. */
export function wordsOf(text) {
  return (
    text
      .toLowerCase()
      .replace(/[’]/g, "'")
      .replace(/[“”]/g, '"')
      .replace(/n't\b/g, " n't")
      .replaceAll("cannot", "can not")
      .match(/<unk>|n't|'(?:s|re|ve|m|d|ll)\b|\d+(?:[.,]\d+)+|[\p{L}\p{N}_]+|\.\.+|--+|[!?]+|[^\s\p{L}\p{N}_]/gu) ?? []
  );
}
