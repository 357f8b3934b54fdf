"""Every reader of the project by name."""

from tools.fuzz import runs, texts, values
from tools.fuzz.campaign import Reader

READERS: dict[str, Reader] = {
    reader.name: reader for reader in (*texts.READERS, *runs.READERS, *values.READERS)
}
