"""stub"""

import pandas as pd


def phrase_table(model, inputs):
    return pd.DataFrame({"wfsa": pd.Series([], dtype="int64")})
