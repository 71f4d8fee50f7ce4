"""J2, the judge that learns: a small convolutional detector (after CenterNet, arXiv 1904.07850) on true scenes alone.

It sees true scenes only, damaged as generated pictures may be: blurred, noisy, compressed, off in colour. It shares
nothing with J1, the autoencoder or the U-Net (batch norm, dilation, no attention), and no training loss knows it.
"""

# torch types the call of a module as Any, and some methods of tensors not at all.
# mypy: disable-error-code="no-any-return,no-untyped-call"

import io
from collections.abc import Generator, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image, ImageFilter
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from calotype.data.scenes import Scene, World
from calotype.data.spec import Object
from calotype.data.sprites import Pixels, SpriteBank
from calotype.files import cache_dir, damage_told, written_whole
from calotype.hardware import half_precision
from calotype.lab.detection import Detection, Pictures
from calotype.lab.progress import Progress

VERSION = 1
"""Part of the file's name: raise it when the network or its training changes."""
STEPS, BATCH, LEARNING_RATE = 600, 48, 4e-3
SEEDS = 5_000_000_000
"""Where the seeds of its training scenes begin: apart from those of every other purpose."""
WIDTH = 96
"""Channels of the features."""
CELL = 8
ACCEPT = 0.3
"""The least confidence of a detection, as GenEval's detector (arXiv 2310.11513, section 3)."""


class Network(nn.Module):
    """Pictures to a map of cells: is a thing's centre here, where exactly, how large, and which."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            _conv(3, WIDTH // 4, stride=2),
            _conv(WIDTH // 4, WIDTH // 2, stride=2),
            Residual(WIDTH // 2, 1),
            _conv(WIDTH // 2, WIDTH, stride=2),
            *(Residual(WIDTH, dilation) for dilation in (1, 2, 4)),
        )
        self.head = nn.Conv2d(WIDTH, 5 + classes, 1)
        assert self.head.bias is not None
        with torch.no_grad():
            self.head.weight.zero_()
            # Centres are rare: arXiv 1708.02002, section 4.1.
            self.head.bias.copy_(torch.tensor([-4.0] + (4 + classes) * [0.0]))

    def forward(self, pictures: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, Tensor]:
        """Pixels in 0..255 to features (b, WIDTH, h / 8, w / 8) and answers (b, 5 + classes, h / 8, w / 8)."""
        *_, features = self.layers(pictures)
        return features, self.head(features).float()

    def layers(self, pictures: Float[Tensor, "b 3 h w"]) -> Iterator[Float[Tensor, "b c y x"]]:
        """What each layer of the trunk makes of pixels in 0..255."""
        features = pictures / 64 - 2
        for layer in self.trunk:
            features = layer(features)
            yield features


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside the identity."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(width, width, dilation=dilation), _conv(width, width, dilation=dilation))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Same shape."""
        return x + self.body(x)


class Detector:
    """J2 for one bank: call it with pictures uint8 (b, h, w, 3)."""

    def __init__(self, bank: SpriteBank, network: Network) -> None:
        self.ids = [sprite.id for sprite in bank.sprites]
        self.network = network.eval()

    def __call__(self, pictures: Pictures) -> list[list[Detection]]:
        """The detections in each picture, surest first."""
        return [detections for _, answers in self._chunks(pictures) for detections in self._read(answers)]

    def features(self, pictures: Pictures) -> Float[np.ndarray, "b d"]:
        """The last features' mean over each picture: the space of diversity and of Fréchet distances."""
        means = [features.float().mean((2, 3)) for features, _ in self._chunks(pictures)]
        return torch.cat(means).double().numpy()

    @torch.inference_mode()
    def differences(self, pictures: Pictures, references: Pictures) -> Float[np.ndarray, "b"]:
        """How far each picture is from its reference in the trunk's layers: LPIPS (arXiv 1801.03924, eq. 1) with all
        weights 1. 0 for equal pictures, at most 2 a layer.
        """
        found = []
        for pair in zip(*(torch.from_numpy(some).split(32) for some in (pictures, references)), strict=True):
            layers = (self.network.layers(some.permute(0, 3, 1, 2).float()) for some in pair)
            units = ([F.normalize(features) for features in of_one] for of_one in layers)
            apart = [(one - other).square().sum(1).mean((1, 2)) for one, other in zip(*units, strict=True)]
            found.append(torch.stack(apart).sum(0))
        return torch.cat(found).double().numpy()

    @torch.inference_mode()
    def _chunks(self, pictures: Pictures) -> Iterator[tuple[Tensor, Tensor]]:
        for chunk in torch.from_numpy(pictures).split(32):
            with half_precision(torch.device("cpu")):
                yield self.network(chunk.permute(0, 3, 1, 2).float())

    def _read(self, answers: Tensor) -> list[list[Detection]]:
        centre = answers[:, 0].sigmoid()
        peak = (centre == F.max_pool2d(centre[:, None], 3, 1, 1)[:, 0]) & (centre >= ACCEPT)
        found: list[list[Detection]] = [[] for _ in answers]
        for picture, row, column in peak.nonzero().tolist():
            _, dx, dy, width, height, *_ = answers[picture, :5, row, column].tolist()
            x, y = CELL * (column + 0.5 + dx), CELL * (row + 0.5 + dy)
            w, h = float(np.exp(width)) * 32, float(np.exp(height)) * 32
            sprite = self.ids[int(answers[picture, 5:, row, column].argmax())]
            box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
            found[picture].append(Detection(sprite, box, float(centre[picture, row, column])))
        return [sorted(detections, key=lambda detection: -detection.score) for detections in found]


def path(bank: SpriteBank) -> Path:
    """Where J2's weights for a bank are kept: another place for other art, and for scenes drawn or laid out anew."""
    digest = blake2b(f"{VERSION} {STEPS} {World(bank).digest()}".encode(), digest_size=8)
    for sprite in bank.sprites:
        digest.update(sprite.id.encode() + sprite.pixels.tobytes())
    return cache_dir("judges") / f"j2-{digest.hexdigest()}.safetensors"


def load(bank: SpriteBank) -> Detector:
    """J2 as ``train`` left it. Raises FileNotFoundError before, and CalotypeError when the file is damaged."""
    network, place = Network(len(bank.sprites)), path(bank)
    with damage_told(place, "remove it, and the judge is trained anew"):
        network.load_state_dict(load_file(place))
    return Detector(bank, network)


def trained(bank: SpriteBank) -> Generator[Progress, None, Detector]:
    """J2, trained the first time it is needed."""
    if not path(bank).exists():
        yield from train(bank)
    return load(bank)


def train(bank: SpriteBank, steps: int = STEPS) -> Iterator[Progress]:
    """Train J2 from scratch, yielding after each step; its weights are written when the last is done."""
    with torch.random.fork_rng():
        torch.manual_seed(SEEDS)
        network = Network(len(bank.sprites)).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.02)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    order = {sprite.id: index for index, sprite in enumerate(bank.sprites)}
    world, rng = World(bank), np.random.default_rng(SEEDS)
    for step in range(steps):
        drawn = [world.scene(SEEDS + step * BATCH + index, "any") for index in range(BATCH)]
        pictures = torch.from_numpy(np.stack([damaged(scene.image, rng) for scene in drawn]))
        with half_precision(torch.device("cpu")):
            _, answers = network(pictures.permute(0, 3, 1, 2).float())
        loss = _loss(answers, drawn, order)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        plan.step()
        yield Progress("training J2", step + 1, steps)
    with written_whole(path(bank)) as temporary:
        save_file(network.state_dict(), temporary)


def damaged(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """The picture (h, w, 3) blurred, tinted, noisy and compressed, each by an amount that ``rng`` picks."""
    image = Image.fromarray(picture).filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.5)))
    values = np.asarray(image, np.float32) * rng.uniform(0.9, 1.1, 3) + rng.uniform(-8, 8, 3)
    values = values + rng.standard_normal(values.shape, np.float32) * rng.uniform(0, 10)
    file = io.BytesIO()
    quality = int(rng.integers(40, 100))
    Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def _loss(answers: Tensor, drawn: Sequence[Scene], order: dict[str, int]) -> Tensor:
    """Focal loss (arXiv 1708.02002, eq. 5) of the centres, cross-entropy of the kind, L1 of place and size."""
    batch, _, rows, columns = answers.shape
    picture, row, column, place, kind = _targets([scene.spec.objects for scene in drawn], order)
    centre, around = torch.zeros(batch, rows, columns), torch.ones(batch, rows, columns)
    kinds = torch.full((batch, rows, columns), -1)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            at = picture, (row + dy).clamp(0, rows - 1), (column + dx).clamp(0, columns - 1)
            around[at], kinds[at] = 0.0, kind
    centre[picture, row, column] = around[picture, row, column] = 1.0
    chance = answers[:, 0].sigmoid()
    entropy = F.binary_cross_entropy_with_logits(answers[:, 0], centre, reduction="none")
    missed = torch.where(centre == 1, 1 - chance, chance)
    focal = (missed**2 * entropy * around).sum() / len(kind)
    named = F.cross_entropy(answers[:, 5:], kinds, ignore_index=-1, label_smoothing=0.05)
    return focal + named + (answers[picture, 1:5, row, column] - place).abs().mean()


def _targets(
    things: Sequence[tuple[Object, ...]], order: dict[str, int]
) -> tuple[Int[Tensor, "n"], Int[Tensor, "n"], Int[Tensor, "n"], Float[Tensor, "n 4"], Int[Tensor, "n"]]:
    """Picture, row and column of each thing's centre; its place in the cell and its size's logarithm; its kind."""
    flat = [(index, thing) for index, objects in enumerate(things) for thing in objects]
    boxes = torch.tensor([thing.box for _, thing in flat])
    x, y = (boxes[:, :2] + boxes[:, 2:]).T / 2 / CELL
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    place = torch.stack([x - x.floor() - 0.5, y - y.floor() - 0.5, (width / 32).log(), (height / 32).log()], 1)
    pictures, kinds = torch.tensor([index for index, _ in flat]), torch.tensor([order[o.sprite] for _, o in flat])
    return pictures, y.long(), x.long(), place, kinds


def _conv(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())
