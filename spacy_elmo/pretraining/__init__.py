"""From raw text to a biLM: tokenization, vocabulary, training and evaluation."""
