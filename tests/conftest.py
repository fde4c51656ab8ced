"""What every test shares: a fixed seed, and one thread for torch, which is faster for small chunks."""

import numpy as np
import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
