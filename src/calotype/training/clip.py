"""The text encoder's task: tell which caption belongs to which picture (CLIP, arXiv 2103.00020).

Each picture also brings captions that are nearly right. Without them the encoder becomes a bag of words (arXiv
2210.01936): in a batch of different things, who stands left of whom decides nothing.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor, nn

from calotype.configs import ImageConfig, TextConfig
from calotype.data.negatives import negatives
from calotype.data.scenes import Scene, World
from calotype.data.sprites import SpriteBank
from calotype.imaging.pixels import to_unit
from calotype.nn.clip import ImageEncoder, TextEncoder, first_end
from calotype.text.tokenizer import Tokenizer
from calotype.training import scenes
from calotype.training.loop import Batch
from calotype.training.run_file import Phase, Run
from calotype.training.sheets import grid
from calotype.training.tokenizer import learned

NEGATIVES = 2
"""Nearly right captions for each picture of a batch."""
EVALUATED = 256
"""The scenes of evaluations, among which the right caption has to be found."""


class Contrastive(nn.Module):
    """Both towers, in one space. The image tower and the projection serve this training and its measurement only."""

    def __init__(self, text: TextConfig, image: ImageConfig) -> None:
        super().__init__()
        self.text = TextEncoder(text)
        self.text.init_weights()
        self.projection = nn.Linear(text.hidden_size, image.projection_dim, bias=False)
        self.image = ImageEncoder(image)
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def of_texts(self, tokens: Int[Tensor, "b n"]) -> Float[Tensor, "b p"]:
        """Unit vectors of tokenized captions. What stands after the longest one's end is not looked at."""
        ends = first_end(tokens, self.text.config.vocab_size - 1)
        pooled = self.text(tokens[:, : int(ends.max()) + 1]).pooled
        return F.normalize(self.projection(pooled).float(), dim=-1)

    def of_images(self, pixels: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b p"]:
        """Unit vectors of pictures, which are looked at in half their size: a quarter of the work."""
        return F.normalize(self.image(F.avg_pool2d(to_unit(pixels), 2)).float(), dim=-1)

    @property
    def scale(self) -> Float[Tensor, ""]:
        """The inverse temperature, at most 100."""
        return self.log_scale.exp().clamp(max=100)


class ClipTask:
    """Symmetric cross-entropy over the pairs of a batch; pictures also choose among all nearly right captions."""

    frozen = measured = ()

    def __init__(self, text: TextConfig, tokenizer: Tokenizer, bank: SpriteBank, device: torch.device) -> None:
        self.module = Contrastive(text, ImageConfig()).to(device)
        self.tokenizer, self.bank, self.device = tokenizer, bank, device

    def batch(self, phase: Phase, rng: np.random.Generator) -> Batch:
        """Pictures as bytes, the tokens of their captions, and those of the nearly right ones."""
        drawn = scenes.draw(World(self.bank, *phase.world), rng, phase.batch)
        false = [text for scene in drawn for text in _false(scene, int(rng.integers(2**62)))]
        return {
            "images": scenes.images(drawn),
            "captions": self._tokens([scene.caption for scene in drawn]),
            "negatives": self._tokens(false),
        }

    def loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of finding the caption for the picture and the picture for the caption."""
        images = self.module.of_images(batch["images"])
        texts = self.module.of_texts(torch.cat([batch["captions"], batch["negatives"]]))
        with torch.autocast(images.device.type, enabled=False):
            logits = self.module.scale * images @ texts.T
            right = torch.arange(len(images), device=images.device)
            pairs = logits[:, : len(images)]
            loss = (F.cross_entropy(logits, right) + F.cross_entropy(pairs.T, right)) / 2
        return loss, {"found": (logits.argmax(1) == right).float().mean(), "scale": self.module.scale.detach()}

    @torch.no_grad()
    def evaluate(self, phase: Phase) -> dict[str, float]:
        """Held-out scenes: the share of captions and of pictures found among all, and of near misses told apart."""
        held_out = scenes.held_out(World(self.bank, phase.size), EVALUATED)
        captions = [scene.caption for scene in held_out]
        images, texts = self._images(held_out), self._texts(captions)
        scores = images @ texts.T
        right = torch.tensor([[a == b for b in captions] for a in captions], device=scores.device)  # some say the same
        told = [
            (own > self._texts(negatives(scene.spec, index)) @ image).float().mean()
            for index, (scene, image, own) in enumerate(zip(held_out, images, scores.diagonal(), strict=True))
        ]
        return {
            "caption_found": _hits(right, scores.argmax(1)),
            "picture_found": _hits(right, scores.argmax(0)),
            "told_apart": float(torch.stack(told).mean()),
        }

    @torch.no_grad()
    def sheet(self, phase: Phase) -> Image.Image:
        """Held-out scenes, each row over the pictures that their captions find among all held-out scenes."""
        held_out = scenes.held_out(World(self.bank, phase.size), EVALUATED)
        pixels = scenes.images(held_out)
        shown = held_out[:8]
        found = (self._texts([scene.caption for scene in shown]) @ self._images(held_out).T).argmax(1).cpu()
        return grid([pixels[:8], pixels[found]])

    def product(self) -> nn.Module:
        """Both towers: later stages take the text encoder, the judges both."""
        return self.module

    def _tokens(self, texts: list[str]) -> Int[Tensor, "b n"]:
        return torch.cat([self.tokenizer.encode(text) for text in texts])

    def _texts(self, texts: list[str]) -> Float[Tensor, "b p"]:
        return self.module.of_texts(self._tokens(texts).to(self.device))

    def _images(self, drawn: list[Scene]) -> Float[Tensor, "b p"]:
        return torch.cat(
            [self.module.of_images(some) for some in torch.split(scenes.images(drawn).to(self.device), 64)]
        )


def task(run: Run, device: torch.device) -> ClipTask:
    """The task that ``run`` describes."""
    return ClipTask(run.config.text[0], learned(run), scenes.bank(run.style), device)


def _false(scene: Scene, seed: int) -> list[str]:
    found = negatives(scene.spec, seed)
    return [found[index % len(found)] for index in range(NEGATIVES)]


def _hits(right: Tensor, found: Tensor) -> float:
    return float(right[torch.arange(len(found), device=found.device), found].float().mean())
