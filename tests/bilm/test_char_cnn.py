import numpy as np
import torch

from spacy_elmo.bilm.char_cnn import Highway


def test_highway_mixes_the_relu_of_the_transform_with_its_input():
    highway = Highway(2).double()
    with torch.no_grad():
        highway.transform.weight.copy_(torch.tensor([[1.0, 2.0], [0.0, -1.0]]))
        highway.transform.bias.copy_(torch.tensor([0.5, 0.0]))
        highway.carry.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
        highway.carry.bias.copy_(torch.tensor([100.0, 0.0]))
        y = highway(torch.tensor([[3.0, 4.0]], dtype=torch.float64))
    # First: all transform, 0.5 + 3 + 2 * 4. Second: relu(-4) = 0, sigmoid(3) taken from 4.
    expected = [[11.5, (1 - 1 / (1 + np.exp(-3))) * 4]]
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12)
