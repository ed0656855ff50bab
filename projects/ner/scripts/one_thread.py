"""For `spacy train --code`. The biLM's steps over a batch of a hundred words are too small to share
among threads: on a busy machine, these would mostly wait for each other."""

import torch

torch.set_num_threads(1)
