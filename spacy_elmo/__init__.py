from .api import BiLM

__all__ = ["BiLM"]
