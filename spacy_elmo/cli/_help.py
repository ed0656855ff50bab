"""Words that the help texts of several commands share."""

SOURCE = "A bundled or published name, a path, a URL, or hf:OWNER/NAME of the Hugging Face Hub"
VOCABULARY = (
    "For a checkpoint of bilm-tf: the vocabulary file that it was trained with (default: vocab.txt "
    "beside it)"
)
TEXTS = (
    "Texts: .txt (each line is a Doc), .jsonl (each line has the key 'text', or 'tokens' with a "
    "list of words), both also compressed (.gz, .bz2, .xz, .zst), or .spacy"
)
