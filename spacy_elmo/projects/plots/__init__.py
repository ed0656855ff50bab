"""Pictures in one style, a file for each kind."""
