"""What a run tells of itself. ``preview`` speaks before the first step. ``run_log`` keeps a report
of each evaluation, which ``loggers`` show as it comes and ``curves`` draws at the end.
``model_card`` tells of the finished biLM. ``units`` writes numbers for people."""

from .curves import plot_curves
from .loggers import LogStep
from .model_card import (
    CardFacts,
    CorpusFacts,
    HeldOutFacts,
    Setting,
    TeacherFacts,
    write_model_card,
)
from .preview import preview
from .run_log import Report, RunLog

__all__ = [
    "CardFacts",
    "CorpusFacts",
    "HeldOutFacts",
    "LogStep",
    "Report",
    "RunLog",
    "Setting",
    "TeacherFacts",
    "plot_curves",
    "preview",
    "write_model_card",
]
