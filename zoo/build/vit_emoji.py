"""Makes zoo/vit-emoji: a small vision transformer that names the thing drawn in a picture, wherever it is.

    node zoo/build/drawings.mjs CACHE
    python zoo/build/vit_emoji.py --out zoo/vit-emoji --cache CACHE --photographs zoo/photographs

Pictures are made while training: one or two drawings, turned, mirrored, scaled and recoloured, on a photograph or a gradient.
Six emoji sets are trained on; the seventh is held out, so that accuracy on it is accuracy on drawings never seen. Training is
first on 64 x 64 pixels, where a picture has 64 patches, then, with position embeddings enlarged, on 96 x 96, where it has 144.
Seeds are fixed, but weights come out a little different on another processor, and after an interruption: CACHE/vit-emoji.pt
has what was reached, and another call goes on from there with new pictures (the committed file was made in two calls). About
40 minutes on one busy core.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification

from measure import facts, file_table, replace_block, table
from onnx_files import export, largest_difference, require, session

TRAINED = ("noto", "noto-v1", "fluent-emoji", "fluent-emoji-flat", "fxemoji", "emojione")
HELD_OUT = "twemoji"
PATCH, SMALL, LARGE = 8, 64, 96
# (side, steps, batch, highest learning rate)
PHASES = ((SMALL, 1900, 64, 1.5e-3), (LARGE, 160, 48, 4e-4))
BACKGROUNDS = 3000
HELD_OUT_PICTURES = 1000


class Pictures:
    """Pictures with their answers. `halves` says which half of each photograph may be a background: 0 to train, 1 to measure."""

    def __init__(self, cache: Path, photographs: Path, sets: tuple[str, ...], half: int, seed: int):
        self.generator = torch.Generator().manual_seed(seed)
        folder = cache / "drawings"
        self.things = sorted(path.stem for path in (folder / HELD_OUT).glob("*.png"))
        drawings, self.classes = [], []
        for name in sets:
            for index, thing in enumerate(self.things):
                path = folder / name / f"{thing}.png"
                if path.exists():
                    drawing = Image.open(path).convert("RGBA").resize((56, 56), Image.Resampling.LANCZOS)
                    drawings.append(torch.from_numpy(np.asarray(drawing, np.float32) / 255).permute(2, 0, 1))
                    self.classes.append(index)
        self.drawings = torch.stack(drawings)
        # Colours times opacity, so that enlarging does not bleed what stands behind transparency.
        self.drawings[:, :3] *= self.drawings[:, 3:]
        self.store = None
        self.photographs = []
        for path in sorted(photographs.glob("*.jpg")):
            if path.stem == "cat":  # it shows one of the things
                continue
            image = Image.open(path).convert("RGB")
            image = image.resize((320, round(320 * image.height / image.width)), Image.Resampling.LANCZOS)
            pixels = torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)
            self.photographs.append(pixels[:, :, :160] if half == 0 else pixels[:, :, 160:])

    def uniform(self, *shape: int, low: float = 0, high: float = 1) -> torch.Tensor:
        return low + (high - low) * torch.rand(*shape, generator=self.generator)

    def below(self, limit: int) -> int:
        return int(torch.randint(limit, (1,), generator=self.generator))

    def backgrounds(self, count: int, side: int) -> torch.Tensor:
        """Some of a store that is made once for each side, mirrored at random."""
        if self.store is None or self.store.shape[-1] != side:
            self.store = torch.stack([self.background(side) for _ in range(BACKGROUNDS)])
        chosen = self.store[torch.randint(BACKGROUNDS, (count,), generator=self.generator)]
        return torch.where(self.uniform(count, 1, 1, 1) < 0.5, chosen, chosen.flip(-1))

    def background(self, side: int) -> torch.Tensor:
        if self.uniform(1) < 0.5:
            photograph = self.photographs[self.below(len(self.photographs))]
            size = min(self.below(90) + 48, photograph.shape[1], photograph.shape[2])
            y, x = self.below(photograph.shape[1] - size + 1), self.below(photograph.shape[2] - size + 1)
            crop = photograph[None, :, y : y + size, x : x + size]
            return F.interpolate(crop, size=(side, side), mode="bilinear", align_corners=False)[0]
        grain = 2 + self.below(7)
        cells = self.uniform(1, 3, grain, grain) * self.uniform(1) + self.uniform(1, 3, 1, 1)
        return F.interpolate(cells / 2, size=(side, side), mode="bicubic", align_corners=False)[0].clamp(0, 1)

    def batch(self, count: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures [count, 3, side, side] from 0 to 1, and answers [count, things]: 1 for one thing, a half for each of two."""
        scene = self.backgrounds(count, side)
        answers = torch.zeros(count, len(self.things))
        two = self.uniform(count) < 0.3
        for place in range(2):
            chosen = torch.randint(len(self.classes), (count,), generator=self.generator)
            drawings = self.drawings[chosen]
            # Sizes are in pixels, whatever the picture's side, so that a thing spans as many patches in both phases.
            single = self.uniform(count, low=30, high=60)
            size = torch.where(two, single.clamp(max=0.55 * side), single.clamp(max=0.92 * side)) / side
            room = (1 - size).clamp(min=0)
            x, y = (self.uniform(count) * 2 - 1) * room, (self.uniform(count) * 2 - 1) * room
            # Two things lie in opposite halves.
            shift = (0.25 + self.uniform(count, low=0.1, high=0.3)) * (1 if place else -1)
            across = self.uniform(count) < 0.5
            x = torch.where(two & across, shift.sign() * shift.abs().maximum(size), x).clamp(-room, room)
            y = torch.where(two & ~across, shift.sign() * shift.abs().maximum(size), y).clamp(-room, room)
            angle = self.uniform(count, low=-0.3, high=0.3)
            mirror = torch.where(self.uniform(count) < 0.5, -1.0, 1.0)
            cos, sin = torch.cos(angle) / size, torch.sin(angle) / size
            rows = torch.stack([cos * mirror, -sin * mirror, -(cos * x - sin * y) * mirror, sin, cos, -(sin * x + cos * y)], 1)
            grid = F.affine_grid(rows.reshape(count, 2, 3), [count, 4, side, side], align_corners=False)
            layer = F.grid_sample(drawings, grid, align_corners=False)
            opacity, colour = layer[:, 3:], layer[:, :3]
            gain = self.uniform(count, 3, 1, 1, low=0.85, high=1.15) * self.uniform(count, 1, 1, 1, low=0.75, high=1.15)
            colour = (colour * gain).clamp(max=1)
            drawn = two | torch.tensor(place == 0)
            opacity = opacity * drawn.float().reshape(-1, 1, 1, 1)
            scene = scene * (1 - opacity) + colour * drawn.float().reshape(-1, 1, 1, 1)
            classes = torch.tensor(self.classes)[chosen]
            answers[torch.arange(count), classes] += drawn.float() * torch.where(two, 0.5, 1.0)
        noise = torch.randn(scene.shape, generator=self.generator) * self.uniform(count, 1, 1, 1, high=0.03)
        return (scene + noise).clamp(0, 1), answers


def network(side: int, things: list[str]) -> ViTForImageClassification:
    return ViTForImageClassification(ViTConfig(
        image_size=side, patch_size=PATCH, hidden_size=96, num_hidden_layers=6, num_attention_heads=4, intermediate_size=192,
        hidden_dropout_prob=0, attention_probs_dropout_prob=0, attn_implementation="eager",
        id2label=dict(enumerate(things)), label2id={thing: index for index, thing in enumerate(things)}))


def enlarged(model: ViTForImageClassification, side: int, things: list[str]) -> ViTForImageClassification:
    """The same weights for pictures of another side: position embeddings are read between the patches' centres."""
    larger = network(side, things)
    weights = model.state_dict()
    key = "vit.embeddings.position_embeddings"
    cls, grid = weights[key][:, :1], weights[key][:, 1:]
    old, new = int(grid.shape[1] ** 0.5), side // PATCH
    grid = grid.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=(new, new), mode="bicubic", align_corners=False).permute(0, 2, 3, 1).reshape(1, new * new, -1)
    weights[key] = torch.cat([cls, grid], 1)
    larger.load_state_dict(weights)
    return larger


def normalised(pictures: torch.Tensor) -> torch.Tensor:
    return (pictures - 0.5) / 0.5


def train(cache: Path, photographs: Path) -> ViTForImageClassification:
    torch.manual_seed(7)
    kept = cache / "vit-emoji.pt"
    state = torch.load(kept, weights_only=False) if kept.exists() else {"phase": 0, "step": 0}
    data = Pictures(cache, photographs, TRAINED, 0, seed=1000 + state["step"] + 100_000 * state["phase"])
    model = network(SMALL, data.things)
    for phase, (side, steps, size, highest) in enumerate(PHASES):
        if phase > 0:
            model = enlarged(model, side, data.things)
        if phase < state["phase"]:
            continue
        optimiser = torch.optim.AdamW(model.parameters(), lr=highest, weight_decay=0.05, betas=(0.9, 0.98))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, highest, total_steps=steps, pct_start=0.1)
        first = 0
        if phase == state["phase"] and state["step"] > 0:
            model.load_state_dict(state["model"])
            optimiser.load_state_dict(state["optimiser"])
            first = state["step"]
            for _ in range(first):
                schedule.step()
        model.train()
        began, mean = time.time(), 0.0
        for step in range(first, steps):
            pictures, answers = data.batch(size, side)
            logits = model(normalised(pictures)).logits
            loss = F.cross_entropy(logits, answers)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            mean += loss.item() / 50
            if step % 50 == 49:
                print(f"{side} px, step {step + 1}: loss {mean:.3f}, {(time.time() - began) / (step + 1 - first):.2f} s a step", flush=True)
                mean = 0.0
                part = kept.with_suffix(".partial")
                torch.save({"phase": phase, "step": step + 1, "model": model.state_dict(), "optimiser": optimiser.state_dict()}, part)
                part.rename(kept)
    return model


@torch.no_grad()
def accuracy(model: ViTForImageClassification, data: Pictures, count: int) -> tuple[float, float, int]:
    """Of pictures with one thing the share named rightly; of those with two the share whose two best answers are these."""
    one, two = [], []
    for start in range(0, count, 50):
        pictures, answers = data.batch(min(50, count - start), LARGE)
        logits = model(normalised(pictures)).logits
        for scores, truth in zip(logits, answers):
            named = set(truth.nonzero().flatten().tolist())
            best = set(scores.topk(len(named)).indices.tolist())
            (one if truth.max() == 1 else two).append(best == named)
    return float(np.mean(one)), float(np.mean(two)), len(one)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("out", "cache", "photographs"):
        arguments.add_argument(f"--{name}", type=Path, required=True)
    arguments.add_argument("--card", action="store_true", help="only write the card anew, from accuracy.json")
    options = arguments.parse_args()
    if options.card:
        return card(options.out)
    torch.set_num_threads(1)
    model = train(options.cache, options.photographs).eval()
    write(model, options.out, options.cache, options.photographs)
    card(options.out)


def write(model: ViTForImageClassification, out: Path, cache: Path, photographs: Path) -> None:
    seen = Pictures(cache, photographs, TRAINED, 1, seed=1)
    unseen = Pictures(cache, photographs, (HELD_OUT,), 1, seed=2)
    rows = {"of the sets trained on": accuracy(model, seen, HELD_OUT_PICTURES), f"of a set held out ({HELD_OUT})": accuracy(model, unseen, HELD_OUT_PICTURES)}
    example = normalised(unseen.batch(2, LARGE)[0])
    path = out / "onnx" / "model.onnx"
    export(Answers(model), (example,), path, input_names=["pixel_values"], dynamic_axes={"pixel_values": {0: "batch"}, "logits": {0: "batch"}}, opset=17)
    require(largest_difference(Answers(model), session(path, 1), {"pixel_values": example.numpy()}), "vit-emoji")
    names = [thing.replace("-face", "").replace("-", " ") for thing in unseen.things]
    config = {"architectures": ["ViTForImageClassification"], "model_type": "vit", "image_size": LARGE, "patch_size": PATCH, "id2label": dict(enumerate(names))}
    (out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    settings = {"do_resize": True, "size": {"height": LARGE, "width": LARGE}, "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255,
                "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (out / "preprocessor_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    # The held-out drawings side by side, in the order of the classes: tests and evaluations make scenes with known masks of them.
    sheet = Image.new("RGBA", (48 * len(names), 48))
    for index, thing in enumerate(unseen.things):
        drawing = Image.open(cache / "drawings" / HELD_OUT / f"{thing}.png").convert("RGBA")
        sheet.paste(drawing.resize((48, 48), Image.Resampling.LANCZOS), (48 * index, 0))
    sheet.save(out / "drawings.png", optimize=True)
    (out / "accuracy.json").write_text(json.dumps({"pictures": HELD_OUT_PICTURES, "rows": [
        {"drawings": name, "one": one, "two": two, "onePictures": count} for name, (one, two, count) in rows.items()]}, indent=1) + "\n")
    for name, (one, two, _) in rows.items():
        print(f"{name}: {one:.1%} of pictures with one thing, {two:.1%} of pictures with two")


def card(out: Path) -> None:
    """Writes what was measured into the card."""
    measured = json.loads((out / "accuracy.json").read_text())
    rows = [[row["drawings"], row["onePictures"], f"{row['one']:.1%}", measured["pictures"] - row["onePictures"], f"{row['two']:.1%}"]
            for row in measured["rows"]]
    scores = table(["Drawings", "Pictures with one thing", "named rightly", "with two things", "both named as its two best"], rows)
    note = "Backgrounds are other than those it was trained on. By chance: 6.2% and less than 1%."
    replace_block(out / "CARD.md", "\n\n".join([scores, note, file_table(facts(out / "onnx" / "model.onnx"))]))


class Answers(torch.nn.Module):
    """The logits alone, under the model's own module names."""

    def __init__(self, model: ViTForImageClassification):
        super().__init__()
        self.vit, self.classifier = model.vit, model.classifier

    def forward(self, pixel_values):
        return self.classifier(self.vit(pixel_values).last_hidden_state[:, 0])


if __name__ == "__main__":
    main()
