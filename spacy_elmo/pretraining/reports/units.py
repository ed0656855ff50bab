"""How quantities are shown to people: in tables, plots and model cards."""

import math


def format_count(count: float) -> str:
    """A number in three digits: ``950``, ``12.3K``, ``1.23M``, ``40M``.

    count: Not negative; NaN is shown as ``-``.
    """
    if math.isnan(count):
        return "-"
    unit = ""
    for larger in "KMBT":
        if count < 999.5:
            break
        count, unit = count / 1000, larger
    return f"{count:.3g}{unit}"


def format_duration(seconds: float) -> str:
    """A time in hours, minutes and seconds: ``2:31:07``.

    seconds: Not negative; NaN is shown as ``-``.
    """
    if not math.isfinite(seconds):
        return "-"
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}"


def format_decimal(number: float) -> str:
    """A loss or a perplexity in four digits, more if there are more before the point; ``-`` for
    NaN."""
    if math.isnan(number):
        return "-"
    return f"{number:,.0f}" if abs(number) >= 999.95 else f"{number:#.4g}"


def format_size(n_bytes: int) -> str:
    """The size of a file: ``512 bytes``, ``1.5 KB``, ``23.0 MB``."""
    size, unit = float(n_bytes), "bytes"
    for larger in ("KB", "MB", "GB", "TB"):
        if size < 999.95:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
