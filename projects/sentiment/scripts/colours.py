"""The colour behind a word: blue for what speaks for "positive", orange for what speaks against it,
which people with any colour vision tell apart; the paler, the less it matters."""

import numpy as np

FOR, AGAINST = (0, 114, 178), (213, 94, 0)
_STRONGEST = 0.75  # of the colour: black letters stay readable


def shade(effect: float, full: float) -> str:
    """A colour as #rrggbb.

    effect: Of the word, above 0 if it speaks for the label.
    full: The effect with the strongest colour; what is above it has the same.
    """
    share = _STRONGEST * min(abs(effect) / full, 1.0) if full > 0 else 0.0
    colour = np.array(FOR if effect > 0 else AGAINST)
    mixed = np.rint(255 + share * (colour - 255)).astype(int)
    return "#" + "".join(f"{value:02x}" for value in mixed)
