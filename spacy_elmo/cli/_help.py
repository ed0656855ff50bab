"""Words that the help texts of several commands share."""

SOURCE = "A bundled or published name, a path or a URL"
VOCABULARY = (
    "For a checkpoint of bilm-tf: the vocabulary file that it was trained with (default: vocab.txt "
    "beside it)"
)
