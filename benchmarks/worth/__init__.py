"""What vectors are worth: systems a user could choose, trained and scored on public data sets.
``python benchmarks/worth --help`` lists the commands."""
