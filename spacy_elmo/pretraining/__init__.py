"""Pretraining: from raw text to a biLM."""
