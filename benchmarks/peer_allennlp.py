"""Run by inference.py in a Python that has AllenNLP: the seconds that its biLM takes for the
sentences, sorted by length in batches of 32, its best case."""

import json
import sys
import time
from pathlib import Path

import torch
from allennlp.modules.elmo import _ElmoBiLm, batch_to_ids

folder, threads = Path(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(threads)
sentences = sorted(json.loads((folder / "sentences.json").read_text()), key=len)
bilm = _ElmoBiLm(str(folder / "options.json"), str(folder / "weights.hdf5")).eval()
with torch.no_grad():
    bilm(batch_to_ids(sentences[:2]))
    start = time.perf_counter()
    for i in range(0, len(sentences), 32):
        bilm(batch_to_ids(sentences[i : i + 32]))
    print(time.perf_counter() - start)
