"""Torch ports of face-api's two networks: who a face is, and how old and of which sex it looks.

Pictures enter as RGB floats 0 to 255, ``[B, 3, S, S]``; both networks subtract the mean colour themselves.
"""

from importlib.resources import files
from typing import TypeVar

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional as F

MEAN_RGB = (122.782, 117.001, 104.298)
RECOGNITION_SIZE = 150  # px
ATTRIBUTE_SIZE = 112  # px

Net = TypeVar("Net", bound=nn.Module)


class Residual(nn.Module):
    """Two 3x3 convolutions beside a short cut, as in dlib's ResNet; ``down`` halves the picture and may widen it."""

    def __init__(self, in_channels: int, out_channels: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.extra_channels = out_channels - in_channels
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=2 if down else 1, padding=0 if down else 1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C_in, S, S]`` to ``[B, C_out, S or S // 2, S or S // 2]``."""
        out = self.conv2(F.relu(self.conv1(x)))
        if self.down:
            x = F.avg_pool2d(x, 2)
            missing = x.shape[-1] - out.shape[-1]  # an even side loses one more pixel to the unpadded convolution
            out = F.pad(out, (0, missing, 0, missing))
            x = F.pad(x, (0, 0, 0, 0, 0, self.extra_channels))
        return F.relu(out + x)


class RecognitionNet(nn.Module):
    """Face chip ``[B, 3, 150, 150]`` to identity ``[B, 128]``; the same person lies within about 0.6 (L2).

    Source:
        dlib's face recognition ResNet (King 2017, http://blog.dlib.net/2017/02/high-quality-face-recognition-with-deep.html)
        as converted by face-api; the scale layers are folded into the convolutions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, stride=2)
        widths = [(32, 32, False)] * 3
        widths += [(32, 64, True)] + [(64, 64, False)] * 3
        widths += [(64, 128, True)] + [(128, 128, False)] * 2
        widths += [(128, 256, True)] + [(256, 256, False)] * 2 + [(256, 256, True)]
        self.blocks = nn.Sequential(*(Residual(*width) for width in widths))
        self.fc = nn.Linear(256, 128, bias=False)

    def forward(self, chips: Tensor) -> Tensor:
        """RGB 0 to 255, ``[B, 3, 150, 150]``, to ``[B, 128]`` (length about 1.3)."""
        x = F.max_pool2d(F.relu(self.stem(_centred(chips))), 3, stride=2)
        identity: Tensor = self.fc(self.blocks(x).mean(dim=(2, 3)))
        return identity


class Separable(nn.Sequential):
    """Depthwise 3x3, then pointwise convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, out_channels, 1),
        )


class Reduction(nn.Module):
    """Two separable convolutions, pooled to half the size, beside a 1x1 short cut."""

    def __init__(self, in_channels: int, out_channels: int, activate: bool = True) -> None:
        super().__init__()
        self.activate = activate
        self.conv0 = Separable(in_channels, out_channels)
        self.conv1 = Separable(out_channels, out_channels)
        self.expansion = nn.Conv2d(in_channels, out_channels, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C_in, S, S]`` to ``[B, C_out, S / 2, S / 2]``."""
        out = self.conv1(F.relu(self.conv0(F.relu(x) if self.activate else x)))
        out = F.max_pool2d(F.pad(out, (0, 1, 0, 1), value=-torch.inf), 3, stride=2)
        return out + self.expansion(x)  # type: ignore[no-any-return]


class Middle(nn.Module):
    """Three separable convolutions with a short cut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Separable(channels, channels) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, S, S]`` to the same."""
        out = x
        for conv in self.convs:
            out = conv(F.relu(out))
        return out + x


class AttributeNet(nn.Module):
    """Face crop ``[B, 3, 112, 112]`` to apparent age in years ``[B]`` and probability of male ``[B]``.

    Source:
        face-api's age and gender network, a small Xception (Chollet 2017, https://arxiv.org/abs/1610.02357).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2)
        self.blocks = nn.Sequential(
            Reduction(32, 64, activate=False), Reduction(64, 128), Middle(128), Middle(128), Reduction(128, 256)
        )
        self.last = Separable(256, 512)
        self.age = nn.Linear(512, 1)
        self.sex = nn.Linear(512, 2)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """RGB 0 to 255, ``[B, 3, 112, 112]``, to age ``[B]`` and male ``[B]`` in [0, 1]."""
        x = F.pad(_centred(crops), (0, 1, 0, 1))  # TensorFlow's "same" pads an even picture at the end only
        x = F.relu(self.last(self.blocks(F.relu(self.stem(x)))))
        pooled = x.mean(dim=(2, 3))
        return self.age(pooled)[:, 0], F.softmax(self.sex(pooled), dim=1)[:, 0]


def load_recognition_net() -> RecognitionNet:
    """The bundled identity network, ready for inference."""
    return _with_weights(RecognitionNet(), "face_recognition.safetensors")


def load_attribute_net() -> AttributeNet:
    """The bundled age and sex network, ready for inference."""
    return _with_weights(AttributeNet(), "face_attributes.safetensors")


def dequantise(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Float weights from a file where ``name`` may be uint8 beside ``name:scale`` and ``name:min``, one per output."""
    weights = {}
    for name, values in stored.items():
        if values.dtype == torch.uint8:
            per_output = (-1, *[1] * (values.dim() - 1))
            values = values * stored[f"{name}:scale"].view(per_output) + stored[f"{name}:min"].view(per_output)
        if ":" not in name:
            weights[name] = values
    return weights


def _with_weights(net: Net, asset: str) -> Net:
    stored = load((files("rtc_voice") / "assets" / asset).read_bytes())
    net.load_state_dict(dequantise(stored))
    # On a CPU channels_last is 1.1 to 2.4 times as fast as the default.
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    net.eval().requires_grad_(False)
    return net


def _centred(pictures: Tensor) -> Tensor:
    return (pictures - pictures.new_tensor(MEAN_RGB).view(3, 1, 1)) / 255
