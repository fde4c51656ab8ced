"""The rows on a GPU say what the rows on a CPU say; and what of it can be told without a GPU."""

import numpy as np
import pytest
import torch

from rtc_voice.synthesis.graphs import GraphRows, batch_sizes
from rtc_voice.synthesis.rows import Rows
from tests.speech.signals import vowel
from tests.synthesis.voices import small_chain, voice

CHUNK = 480


def test_batches_double_up_to_all_voices() -> None:
    assert batch_sizes(1) == [1]
    assert batch_sizes(2) == [1, 2]
    assert batch_sizes(5) == [1, 2, 4, 5]
    assert batch_sizes(1_000)[-2:] == [512, 1_000]


@torch.inference_mode()
def test_a_step_never_leaves_the_chains_device_nor_looks_at_a_value() -> None:
    # The device "meta" has shapes and no values: reading one raises, and so does what was made on the CPU.
    chain = small_chain().to("meta")
    rows = Rows(chain, 3)
    rows.reset(1)
    made = chain.step(torch.zeros(3, CHUNK, device="meta"), rows.state)
    assert made.shape == (3, CHUNK)
    assert made.is_meta


def spoken(rows: Rows | GraphRows) -> list[np.ndarray]:
    """Three voices that come one after the other and do not always speak together."""
    source = [vowel(140.0 + 40 * n, 0.6)[0].numpy().astype(np.float32) for n in range(3)]
    out: list[list[np.ndarray]] = [[], [], []]
    for row in range(3):
        rows.reset(row)
        rows.set_voice(row, voice(120 + 50 * row, seed=row))
    for number in range(30):
        speaking = [row for row in range(3) if (number + row) % 4]
        chunks = np.stack([source[row][number * CHUNK : (number + 1) * CHUNK] for row in speaking])
        for row, made in zip(speaking, rows.step(speaking, chunks), strict=True):
            out[row].append(made)
    return [np.concatenate(one) for one in out]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@torch.inference_mode()
def test_graphs_say_what_the_cpu_says_and_are_captured_once() -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    on_cpu, captured = Rows(small_chain(), 5), GraphRows(small_chain().to("cuda"), 5)
    captured.warm_up()
    captures = captured.captures
    for ours, theirs in zip(spoken(captured), spoken(on_cpu), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)  # other transforms, and pitch makes a phase of it
    assert captured.captures == captures


@torch.inference_mode()
def test_rows_that_are_not_neighbours_do_not_touch_each_other() -> None:
    rows = Rows(small_chain(), 3)
    together = spoken(rows)
    alone = Rows(small_chain(), 1)
    alone.reset(0)
    alone.set_voice(0, voice(120, seed=0))
    source = vowel(140.0, 0.6)[0].numpy().astype(np.float32)
    expected = [alone.step([0], source[None, n * CHUNK : (n + 1) * CHUNK])[0] for n in range(30) if n % 4]
    np.testing.assert_allclose(together[0], np.concatenate(expected), atol=1e-5)
