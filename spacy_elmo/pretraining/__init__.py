"""From raw text to a trained biLM."""
