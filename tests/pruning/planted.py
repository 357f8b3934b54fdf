"""Generated reviews whose label hangs on which two words follow one another, near or apart."""

from pathlib import Path

import numpy as np

FILLERS = "it was a the thing my they very here and we had time day use".split()


PAIRS = {"bad": ["not worth", "so bad"], "good": ["so worth", "not bad"]}


def write_planted(folder: Path, count: int = 400, seed: int = 0) -> Path:
    """``reviews.tsv`` and ``vectors.txt``: "not [word] worth X" is bad, "so [word] worth X" good.

    No single word tells anything: the label is that of a pair, with one word or none between.
    """
    generator = np.random.default_rng(seed)
    lines = []
    for number in range(count):
        label = ("bad", "good")[number % 2]
        first, second = PAIRS[label][number // 2 % 2].split()
        between = generator.choice(FILLERS, int(generator.integers(0, 2))).tolist()
        before = generator.choice(FILLERS, int(generator.integers(2, 6))).tolist()
        after = generator.choice(FILLERS, int(generator.integers(1, 3))).tolist()
        lines.append(f"{label}\t{' '.join([*before, first, *between, second, *after])} .")
    (folder / "reviews.tsv").write_text("\n".join(lines) + "\n")
    rows = [
        f"{word} {' '.join(f'{x:.4f}' for x in generator.normal(size=16))}"
        for word in [*FILLERS, "not", "so", "worth", "bad", "."]
    ]
    (folder / "vectors.txt").write_text("\n".join(rows) + "\n")
    return folder
