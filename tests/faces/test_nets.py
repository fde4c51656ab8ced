import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.scenes import astronaut
from rtc_voice.faces.nets import dequantise, load_attribute_net, load_recognition_net
from rtc_voice.training.convert_face_nets import floats, pack

REFERENCE = json.loads((Path(__file__).parent / "data" / "face_api.json").read_text())

# The original computes in float32 in another order; another JPEG decoder may be one grey level off in places.
TOLERANCE = 2e-3


def part_of_the_portrait(name: str) -> Tensor:
    rows, columns = slice(*REFERENCE[f"{name}_rows"]), slice(*REFERENCE[f"{name}_columns"])
    return torch.from_numpy(astronaut()[rows, columns]).permute(2, 0, 1)[None].float()


def test_recognition_net_equals_the_original() -> None:
    identity = load_recognition_net()(part_of_the_portrait("chip"))[0]
    torch.testing.assert_close(identity, torch.tensor(REFERENCE["identity"]), rtol=0, atol=TOLERANCE)


def test_attribute_net_equals_the_original() -> None:
    age, male = load_attribute_net()(part_of_the_portrait("crop"))
    assert age.item() == pytest.approx(REFERENCE["age"], abs=50 * TOLERANCE)
    assert male.item() == pytest.approx(REFERENCE["male"], abs=5 * TOLERANCE)


def test_batch_row_equals_the_row_alone() -> None:
    net = load_recognition_net()
    chips = torch.cat([part_of_the_portrait("chip"), part_of_the_portrait("chip").flip(-1)])
    torch.testing.assert_close(net(chips)[1:], net(chips[1:]), rtol=0, atol=1e-5)  # float32, another blocking


def test_packed_weights_come_back(rng: np.random.Generator) -> None:
    raw = rng.integers(0, 256, (3, 3, 4, 6), dtype=np.uint8)  # TensorFlow: rows, columns, in, out
    gain = torch.arange(1.0, 7.0)
    back = dequantise(pack((raw, 0.01, -1.2), "w", (3, 2, 0, 1), gain))
    assert list(back) == ["w"]
    expected = floats((raw, 0.01, -1.2)).permute(3, 2, 0, 1) * gain.view(-1, 1, 1, 1)
    torch.testing.assert_close(back["w"], expected, rtol=0, atol=1e-5)
