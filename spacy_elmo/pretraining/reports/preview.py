"""What a run says before its first step: the text it has, and what may not be meant."""

from typing import Any, Optional

from thinc.api import Config
from wasabi import msg

from ..corpus import TokenStore, Vocabulary
from .units import format_count


def preview(
    config: Config,
    train_store: TokenStore,
    dev_store: Optional[TokenStore],
    vocabulary: Vocabulary,
    n_steps: int,
) -> None:
    """Print it.

    config: Of the run, interpolated.
    train_store, dev_store: Its texts.
    vocabulary: The words to be predicted.
    n_steps: Steps until training ends, about.
    """
    known = vocabulary.ids(train_store.words) != vocabulary.unknown_id
    outside = 1 - train_store.counts[known].sum() / train_store.n_tokens
    msg.info(
        f"{train_store.n_sentences:,} sentences, {format_count(train_store.n_tokens)} tokens; "
        f"a vocabulary of {len(vocabulary):,} words, {outside:.1%} of the tokens are outside it"
    )
    if dev_store is None:
        msg.warn("There is no held-out text (paths.dev): no perplexity, no model-best.")
    warmup_steps = _warmup_steps(config["training"]["optimizer"].get("learn_rate"))
    if warmup_steps >= n_steps:
        msg.warn(
            f"Training ends after about {n_steps:,} steps, while the learning rate still rises, up "
            f"to step {warmup_steps:,}. Set training.optimizer.learn_rate.warmup_steps lower."
        )


def _warmup_steps(learn_rate: Any) -> int:
    """As Thinc's schedules name them; 0 for those that have none."""
    return learn_rate.get("warmup_steps", 0) if isinstance(learn_rate, dict) else 0
